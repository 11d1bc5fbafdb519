package ptrace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/platform"
)

func TestFloatingPointState(t *testing.T) {
	g := newGuest(t,
		0xc5, 0xfe, 0x6f, 0x07, // vmovdqu ymm0, [rdi]
		0x0f, 0x05, // syscall
		0xc5, 0xfe, 0x7f, 0x06, // vmovdqu [rsi], ymm0
		0x0f, 0x05,
	)
	want := bytes.Repeat([]byte("hornwork"), 4)
	copy(g.mem[pageSize:], want)
	g.r.RDI, g.r.RSI = dataAddr, dataAddr+64
	first, errno := g.th.FPState()
	if errno != 0 || len(first) != newPlatform(t).FPSize() || binary.LittleEndian.Uint32(first[xsMXCSR:]) != 0x1f80 {
		t.Fatal("the first state:", errno)
	}
	for i, b := range first[160:416] { // XMM
		if b != 0 {
			t.Fatalf("a new thread starts with byte %d of XMM set", i)
		}
	}
	g.run(platform.EventSyscall)
	st, errno := g.th.FPState()
	if errno != 0 {
		t.Fatal(errno)
	}
	saved := bytes.Clone(st)
	if !bytes.Equal(saved[160:176], want[:16]) {
		t.Fatalf("xmm0 is %x", saved[160:176])
	}
	g.run(platform.EventSyscall)
	if !bytes.Equal(g.mem[pageSize+64:pageSize+96], want) {
		t.Fatalf("%q", g.mem[pageSize+64:pageSize+96])
	}
	// A new thread with the saved state, as after fork(2).
	th, errno := g.as.NewThread()
	if errno != 0 {
		t.Fatal(errno)
	}
	defer th.Release()
	if errno := th.SetFPState(saved); errno != 0 {
		t.Fatal(errno)
	}
	r := g.r
	r.RIP, r.RSI = codeAddr+6, dataAddr+128
	if ev := th.Switch(&r, platform.ResumeFull); ev.Kind != platform.EventSyscall {
		t.Fatalf("%+v", ev)
	}
	if !bytes.Equal(g.mem[pageSize+128:pageSize+160], want) {
		t.Fatalf("%q", g.mem[pageSize+128:pageSize+160])
	}
	// execve(2) clears it.
	if errno := th.SetFPState(nil); errno != 0 {
		t.Fatal(errno)
	}
	r.RIP = codeAddr + 6
	th.Switch(&r, platform.ResumeFull)
	if !bytes.Equal(g.mem[pageSize+128:pageSize+160], make([]byte, 32)) {
		t.Fatalf("%q", g.mem[pageSize+128:pageSize+160])
	}
}

func TestHostileFloatingPointState(t *testing.T) {
	g := newGuest(t, 0x0f, 0x05)
	img := bytes.Repeat([]byte{0xff}, newPlatform(t).FPSize())
	if errno := g.th.SetFPState(img); errno != 0 {
		t.Fatal(errno)
	}
	g.run(platform.EventSyscall)
	st, errno := g.th.FPState()
	if errno != 0 || binary.LittleEndian.Uint32(st[xsMXCSR:])&0x1f80 != 0x1f80 {
		t.Fatal("state lost", errno)
	}
	if errno := g.th.SetFPState(img[:100]); errno != linux.EINVAL {
		t.Error("a short image:", errno)
	}
}

func TestHostileRegisters(t *testing.T) {
	g := newGuest(t, 0x0f, 0x05)
	g.r.CS, g.r.SS, g.r.DS, g.r.FS = 0, 0x10, 0xffff, 0x18
	g.r.Eflags = ^uint64(0) &^ 0x100 // all but TF
	g.run(platform.EventSyscall)
	if g.r.CS != userCS || g.r.SS != userSS {
		t.Errorf("cs %#x ss %#x", g.r.CS, g.r.SS)
	}
	g.r.Eflags = 2
	for _, rip := range []uint64{0x8000000000000000, 0xffffffff81000000, 0x7fffffffffff} {
		g.r.RIP = rip
		ev := g.th.Switch(&g.r, platform.ResumeFull)
		if ev.Kind != platform.EventFault && ev.Kind != platform.EventTrap {
			t.Errorf("rip %#x: %+v", rip, ev)
		}
	}
	// A base that the guest can set and the host refuses to set.
	copy(g.mem, []byte{0xf3, 0x48, 0x0f, 0xae, 0xd7, 0x0f, 0x05, 0x0f, 0x05}) // wrfsbase rdi; syscall; syscall
	g.r.RIP, g.r.RDI = codeAddr, 0xffffffff81000000
	g.run(platform.EventSyscall)
	g.run(platform.EventSyscall)
	if g.r.FSBase != 0xffffffff81000000 {
		t.Errorf("fs base %#x", g.r.FSBase)
	}
}

func TestKilledStubIsGone(t *testing.T) {
	g := newGuest(t, 0xeb, 0xfe)
	go func() {
		time.Sleep(5 * time.Millisecond)
		syscall.Kill(g.as.HostPID(), syscall.SIGKILL)
	}()
	g.run(platform.EventGone)
	g.run(platform.EventGone)
	if errno := g.as.Apply([]platform.MapOp{{Kind: platform.OpUnmap, Addr: dataAddr, Len: pageSize}}); errno != linux.ESRCH {
		t.Error(errno)
	}
	if _, errno := g.th.FPState(); errno == 0 {
		t.Error("a dead thread has a state")
	}
}

// The thread's tracer does not look while the stub dies, and Apply must not hang for that.
func TestApplyToKilledStub(t *testing.T) {
	g := newGuest(t, 0x0f, 0x05)
	g.run(platform.EventSyscall)
	if g.as.HostPID() < 2 {
		t.Fatal("no stub")
	}
	syscall.Kill(g.as.HostPID(), syscall.SIGKILL)
	errno := g.as.Apply([]platform.MapOp{{Kind: platform.OpUnmap, Addr: dataAddr, Len: pageSize}})
	if errno != linux.ESRCH {
		t.Fatal(errno)
	}
	if _, errno := g.as.NewThread(); errno != linux.ESRCH {
		t.Fatal(errno)
	}
	g.run(platform.EventGone)
}

func TestKilledZygoteIsReplaced(t *testing.T) {
	p := newPlatform(t)
	if p.ctl.zygote < 2 {
		t.Fatal("no zygote")
	}
	syscall.Kill(p.ctl.zygote, syscall.SIGKILL)
	g := newGuest(t, 0x0f, 0x05)
	g.run(platform.EventSyscall)
}

func TestReleaseLeavesNoProcess(t *testing.T) {
	p := newPlatform(t)
	as := must(t)(p.NewAddressSpace())
	pid := as.HostPID()
	var th []platform.Thread
	for range 3 {
		x, errno := as.NewThread()
		if errno != 0 {
			t.Fatal(errno)
		}
		th = append(th, x)
	}
	r := linux.Regs{RIP: 0x1234000}
	if ev := th[0].Switch(&r, platform.ResumeFull); ev.Kind != platform.EventFault || ev.Access != linux.PROT_EXEC {
		t.Fatalf("%+v", ev)
	}
	for _, x := range th {
		x.Release()
	}
	as.Release()
	as.Release()
	eventually(t, "the stub goes away", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		return err != nil
	})
	if _, errno := as.NewThread(); errno != linux.ESRCH {
		t.Error(errno)
	}
}

// A host thread is used again by the next guest thread, with nothing of the last one in it.
func TestThreadsAreReused(t *testing.T) {
	g := newGuest(t,
		0xc5, 0xfe, 0x6f, 0x07, // vmovdqu ymm0, [rdi]
		0x0f, 0x05,
		0x66, 0x0f, 0x7e, 0xc0, // movd eax, xmm0
		0x0f, 0x05,
	)
	copy(g.mem[pageSize:], "secrets of the last thread here..")
	th, errno := g.as.NewThread()
	if errno != 0 {
		t.Fatal(errno)
	}
	r := g.r
	r.RDI, r.FSBase = dataAddr, 0x4444
	th.Switch(&r, platform.ResumeFull)
	tid := th.(*thread).tid
	th.Release()
	th2, errno := g.as.NewThread()
	if errno != 0 {
		t.Fatal(errno)
	}
	defer th2.Release()
	if th2.(*thread).tid != tid {
		t.Errorf("a new host thread %d, not %d", th2.(*thread).tid, tid)
	}
	r = g.r
	r.RIP = codeAddr + 6
	if ev := th2.Switch(&r, platform.ResumeFull); ev.Kind != platform.EventSyscall || r.OrigRAX != 0 || r.FSBase != 0 {
		t.Errorf("%+v rax %#x fs %#x", ev, r.OrigRAX, r.FSBase)
	}
}

func TestManyThreadsRunWhileMappingsChange(t *testing.T) {
	g := newGuest(t,
		0xf0, 0x48, 0xff, 0x07, // lock inc qword [rdi]
		0x0f, 0x05,
		0xeb, 0xf8, // jmp back
	)
	const n, rounds = 4, 300
	var wg sync.WaitGroup
	for range n {
		th, errno := g.as.NewThread()
		if errno != 0 {
			t.Fatal(errno)
		}
		r := g.r
		r.RDI = dataAddr
		wg.Go(func() {
			defer th.Release()
			for i := 0; i < rounds; {
				switch ev := th.Switch(&r, platform.ResumeFull); ev.Kind {
				case platform.EventSyscall:
					i++
				case platform.EventFault:
					if ev.Addr != dataAddr || ev.Access != linux.PROT_WRITE {
						t.Errorf("%+v", ev)
						return
					}
					runtime.Gosched()
				default:
					t.Errorf("%+v", ev)
					return
				}
			}
			if th.CPUTime() <= 0 {
				t.Error("no CPU time")
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for alive := true; alive; {
		for _, prot := range []platform.Prot{linux.PROT_READ, linux.PROT_READ | linux.PROT_WRITE} {
			if errno := g.as.Apply([]platform.MapOp{{Kind: platform.OpProtect, Prot: prot, Addr: dataAddr, Len: pageSize}}); errno != 0 {
				t.Fatal(errno)
			}
		}
		select {
		case <-done:
			alive = false
		default:
			time.Sleep(time.Millisecond)
		}
	}
	if got := binary.LittleEndian.Uint64(g.mem[pageSize:]); got != n*rounds {
		t.Errorf("%d increments, want %d", got, n*rounds)
	}
}

func TestClose(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	as, errno := p.NewAddressSpace()
	if errno != 0 {
		t.Fatal(errno)
	}
	pids := []int{as.HostPID(), p.ctl.zygote}
	p.Close()
	p.Close()
	for _, pid := range pids {
		eventually(t, "the stubs go away", func() bool {
			_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
			return err != nil
		})
	}
	if _, errno := p.NewAddressSpace(); errno != linux.ESRCH {
		t.Error(errno)
	}
}

func BenchmarkSwitch(b *testing.B) {
	p, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	as, _ := p.NewAddressSpace()
	th, _ := as.NewThread()
	defer th.Release()
	r := linux.Regs{RIP: textAddr} // syscall, in the stub's own text
	for b.Loop() {
		r.RIP = textAddr
		if ev := th.Switch(&r, platform.ResumeFull); ev.Kind != platform.EventSyscall {
			b.Fatal(ev)
		}
	}
}

func BenchmarkNewAddressSpace(b *testing.B) {
	p, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for b.Loop() {
		as, errno := p.NewAddressSpace()
		if errno != 0 {
			b.Fatal(errno)
		}
		as.Release()
	}
}

func BenchmarkApply(b *testing.B) {
	p, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	fd, err := memfdWith("bench", make([]byte, 64*pageSize))
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			as, _ := p.NewAddressSpace()
			th, _ := as.NewThread()
			defer as.Release()
			defer th.Release()
			r := linux.Regs{RIP: textAddr}
			th.Switch(&r, platform.ResumeFull)
			var ops []platform.MapOp
			for i := range uint64(n) {
				ops = append(ops, platform.MapOp{Prot: linux.PROT_READ, FD: int32(fd), Addr: 0x400000 + i*pageSize*2, Len: pageSize})
			}
			for b.Loop() {
				if errno := as.Apply(ops); errno != 0 {
					b.Fatal(errno)
				}
			}
		})
	}
}
