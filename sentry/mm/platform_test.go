package mm_test

import (
	"runtime"
	"testing"
	"time"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/platform/ptrace"
	"hornwork/platform/trap"
	"hornwork/sentry/mm"
)

// toucher stores 1 at rdi, rdi+rdx, … below rsi, then makes a system call, and again.
var toucher = []byte{
	0xc6, 0x07, 0x01, // mov byte [rdi], 1
	0x48, 0x01, 0xd7, // add rdi, rdx
	0x48, 0x39, 0xf7, // cmp rdi, rsi
	0x72, 0xf5, // jb 0
	0x0f, 0x05, // syscall
	0xeb, 0xf1, // jmp 0
}

// eachPlatform runs a test with real stubs.
func eachPlatform(t testing.TB, fn func(t testing.TB, p platform.Platform, mf *mem.File)) {
	for _, x := range []struct {
		name string
		make func(mf *mem.File) (platform.Platform, error)
	}{
		{"ptrace", func(*mem.File) (platform.Platform, error) { return ptrace.New() }},
		{"trap", func(mf *mem.File) (platform.Platform, error) { return trap.New(trap.Options{MemoryFD: int(mf.FD())}) }},
	} {
		run := func(t testing.TB) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			mf, err := mem.New()
			if err != nil {
				t.Fatal(err)
			}
			defer mf.Close()
			p, err := x.make(mf)
			if err != nil {
				t.Skip(err)
			}
			defer p.Close()
			fn(t, p, mf)
		}
		switch t := t.(type) {
		case *testing.T:
			t.Run(x.name, func(t *testing.T) { run(t) })
		case *testing.B:
			t.Run(x.name, func(t *testing.B) { run(t) })
		}
	}
}

type process struct {
	t      testing.TB
	as     *mm.AddressSpace
	th     platform.Thread
	regs   linux.Regs
	faults int
}

const codeAddr = 0x400000

func start(t testing.TB, p platform.Platform, mf *mem.File) *process {
	t.Helper()
	as, errno := mm.New(p, mf)
	if errno != 0 {
		t.Fatal(errno)
	}
	_, errno = as.MMap(&mm.MMapOpts{Addr: codeAddr, Len: 4096, Prot: linux.PROT_READ | linux.PROT_WRITE,
		Flags: linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_FIXED})
	if errno == 0 {
		_, errno = as.CopyOut(codeAddr, toucher)
	}
	if errno == 0 {
		errno = as.MProtect(codeAddr, 4096, linux.PROT_READ|linux.PROT_EXEC)
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	return thread(t, as)
}

func thread(t testing.TB, as *mm.AddressSpace) *process {
	t.Helper()
	th, errno := as.Platform().NewThread()
	if errno != 0 {
		t.Fatal(errno)
	}
	return &process{t: t, as: as, th: th}
}

func (p *process) end() {
	p.th.Release()
	p.as.Put()
}

// touch lets the guest store to [addr, addr+length), a byte each step bytes.
func (p *process) touch(addr, length, step uint64) {
	p.t.Helper()
	p.regs = linux.Regs{RIP: codeAddr, RSP: codeAddr, RDI: addr, RSI: addr + length, RDX: step, Eflags: 0x202, CS: 0x33, SS: 0x2b}
	for {
		switch ev := p.th.Switch(&p.regs, platform.ResumeFull); ev.Kind {
		case platform.EventSyscall:
			return
		case platform.EventFault:
			p.faults++
			if f, ok := p.as.HandleFault(ev.Addr, ev.Access); !ok {
				p.t.Fatalf("fault at %#x rip %#x: %+v", ev.Addr, p.regs.RIP, f)
			}
		default:
			p.t.Fatalf("event %+v at %#x", ev, p.regs.RIP)
		}
	}
}

func (p *process) byteAt(addr uint64) byte {
	p.t.Helper()
	var b [1]byte
	if _, errno := p.as.CopyIn(b[:], addr); errno != 0 {
		p.t.Fatal(errno)
	}
	return b[0]
}

func (p *process) anon(length uint64, flags uint32) uint64 {
	p.t.Helper()
	a, errno := p.as.MMap(&mm.MMapOpts{Len: length, Prot: linux.PROT_READ | linux.PROT_WRITE, Flags: flags | linux.MAP_ANONYMOUS})
	if errno != 0 {
		p.t.Fatal(errno)
	}
	return a
}

func TestRealStubsSeeTheSameMemory(t *testing.T) {
	eachPlatform(t, func(t testing.TB, pl platform.Platform, mf *mem.File) {
		p := start(t, pl, mf)
		const size = 8 << 20
		a := p.anon(size, linux.MAP_PRIVATE)
		s := p.anon(size, linux.MAP_SHARED)
		p.touch(a, size, 4096)
		p.touch(s+100, 5000, 4096)
		if p.byteAt(a+size-4096) != 1 || p.byteAt(s+100) != 1 || p.byteAt(a+1) != 0 {
			t.Fatal("the sentry does not see what the guest stored")
		}
		p.as.CopyOut(a+8192, []byte{2, 2})
		as, errno := p.as.Fork()
		if errno != 0 {
			t.Fatal(errno)
		}
		c := thread(t, as)
		c.touch(a, size/2, 4096)
		c.touch(s+1<<20, 4096, 64)
		if p.byteAt(a+8192) != 2 || c.byteAt(a+8192) != 1 || c.byteAt(a+8193) != 2 {
			t.Error("a child's store reached its parent, or did not reach itself")
		}
		if p.byteAt(s+1<<20) != 1 {
			t.Error("shared memory is not shared")
		}
		p.touch(a, size, 4096)
		if p.byteAt(a+8192) != 1 {
			t.Error("the parent's store is lost")
		}
		c.end()
		p.touch(a, size, 4096)
		if errno := p.as.MUnmap(a, size); errno != 0 {
			t.Fatal(errno)
		}
		p.regs = linux.Regs{RIP: codeAddr, RSP: codeAddr, RDI: a, RSI: a + 1, RDX: 1, Eflags: 0x202, CS: 0x33, SS: 0x2b}
		ev := p.th.Switch(&p.regs, platform.ResumeFull)
		if _, ok := p.as.HandleFault(ev.Addr, ev.Access); ev.Kind != platform.EventFault || ok {
			t.Errorf("store to unmapped memory: %+v", ev)
		}
		p.end()
		if u := mf.Usage(); u != 0 {
			t.Errorf("%d bytes leaked", u)
		}
	})
}

func BenchmarkFirstTouch64MiB(b *testing.B) {
	eachPlatform(b, func(t testing.TB, pl platform.Platform, mf *mem.File) {
		b := t.(*testing.B)
		p := start(b, pl, mf)
		for b.Loop() {
			a := p.anon(64<<20, linux.MAP_PRIVATE)
			p.touch(a, 64<<20, 4096)
			p.as.MUnmap(a, 64<<20)
		}
		b.ReportMetric(float64(p.faults)/float64(b.N), "faults/op")
		p.end()
	})
}

func BenchmarkForkTouchExit(b *testing.B) {
	eachPlatform(b, func(t testing.TB, pl platform.Platform, mf *mem.File) {
		b := t.(*testing.B)
		p := start(b, pl, mf)
		for range 15 {
			a := p.anon(1<<20, linux.MAP_PRIVATE)
			p.touch(a, 64<<10, 4096)
			p.as.MProtect(a+32768, 4096, linux.PROT_READ)
		}
		a := p.anon(1<<20, linux.MAP_PRIVATE)
		p.touch(a, 128<<10, 4096)
		p.faults = 0
		var spent [5]time.Duration
		for b.Loop() {
			t0 := time.Now()
			as, errno := p.as.Fork()
			if errno != 0 {
				b.Fatal(errno)
			}
			t1 := time.Now()
			c := thread(b, as)
			t2 := time.Now()
			c.touch(a, 20, 8)
			t3 := time.Now()
			c.end()
			t4 := time.Now()
			p.touch(a, 20, 8)
			for i, d := range []time.Duration{t1.Sub(t0), t2.Sub(t1), t3.Sub(t2), t4.Sub(t3), time.Since(t4)} {
				spent[i] += d
			}
		}
		for i, name := range []string{"fork", "thread", "child", "exit", "parent"} {
			b.ReportMetric(float64(spent[i].Microseconds())/float64(b.N), "µs/"+name)
		}
		b.ReportMetric(float64(p.faults)/float64(b.N), "faults/op")
		p.end()
	})
}
