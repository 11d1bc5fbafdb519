package trap

import (
	"encoding/binary"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
	"hornwork/platform"
)

const (
	codeAddr  = 0x400000
	dataAddr  = 0x600000
	stackTop  = 0x7ffe_0001_0000
	codeOff   = 0
	dataOff   = 0x100000
	stackOff  = 0x200000
	memSize   = 0x1000000
	dataPages = 16
)

// guest is a guest process in a test: one address space over a memory file of its own.
type guest struct {
	t    testing.TB
	p    *Platform
	as   *Space
	mem  []byte
	fd   int
	code int // bytes used
}

var le = binary.LittleEndian

func newPlatform(t testing.TB, opt Options) (*Platform, int, []byte) {
	fd, err := unix.MemfdCreate("test-memory", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Ftruncate(fd, memSize); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(fd, 0, memSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	opt.MemoryFD = fd
	p, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		unix.Munmap(mem)
		unix.Close(fd)
	})
	return p, fd, mem
}

func newGuest(t testing.TB) *guest {
	p, fd, mem := newPlatform(t, Options{Pool: -1})
	return guestOn(t, p, fd, mem)
}

func guestOn(t testing.TB, p *Platform, fd int, mem []byte) *guest {
	as, errno := p.NewAddressSpace()
	if errno != 0 {
		t.Fatal("NewAddressSpace: ", errno)
	}
	g := &guest{t: t, p: p, as: as.(*Space), mem: mem, fd: fd, code: 64}
	t.Cleanup(g.as.Release)
	g.apply(
		platform.MapOp{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_EXEC, FD: int32(fd), Addr: codeAddr, Len: 0x10000, Offset: codeOff},
		platform.MapOp{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_WRITE, FD: int32(fd), Addr: dataAddr, Len: dataPages * 4096, Offset: dataOff},
		platform.MapOp{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_WRITE, FD: int32(fd), Addr: stackTop - 0x10000, Len: 0x10000, Offset: stackOff},
	)
	return g
}

func (g *guest) apply(ops ...platform.MapOp) {
	g.t.Helper()
	if errno := g.as.Apply(ops); errno != 0 {
		g.t.Fatal("Apply: ", errno)
	}
}

// put adds code and returns its address.
func (g *guest) put(parts ...[]byte) uint64 {
	a := (g.code + 63) &^ 63
	g.code = a
	for _, b := range parts {
		g.code += copy(g.mem[codeOff+g.code:], b)
	}
	return codeAddr + uint64(a)
}

func (g *guest) data(off int) []byte { return g.mem[dataOff+off:] }

func (g *guest) thread() *Thread {
	g.t.Helper()
	th, errno := g.as.NewThread()
	if errno != 0 {
		g.t.Fatal("NewThread: ", errno)
	}
	return th.(*Thread)
}

func startRegs(rip uint64) *linux.Regs {
	return &linux.Regs{RIP: rip, RSP: stackTop - 256, Eflags: 0x202, CS: userCS, SS: userSS}
}

// start runs code in a new thread up to its first event.
func (g *guest) start(rip uint64) (*Thread, *linux.Regs, platform.Event) {
	g.t.Helper()
	th, regs := g.thread(), startRegs(rip)
	return th, regs, th.Switch(regs, platform.ResumeFull)
}

func (g *guest) wantSyscall(ev platform.Event, regs *linux.Regs, nr uint64) {
	g.t.Helper()
	if ev.Kind != platform.EventSyscall || regs.OrigRAX != nr {
		g.t.Fatalf("event %+v, number %#x at rip %#x; want system call %#x", ev, regs.OrigRAX, regs.RIP, nr)
	}
}

// A little machine code.
func movEAX(v uint32) []byte { return le.AppendUint32([]byte{0xb8}, v) }
func movReg(r int, v uint64) []byte { // r: 0 rax … 15 r15
	return le.AppendUint64([]byte{0x48 | byte(r>>3), 0xb8 | byte(r&7)}, v)
}

var (
	insSyscall = []byte{0x0f, 0x05}
	insInt80   = []byte{0xcd, 0x80}
	insUD2     = []byte{0x0f, 0x0b}
	insLoop    = []byte{0xeb, 0xfe}
	insINT3    = []byte{0xcc}
)

func TestMain(m *testing.M) { os.Exit(m.Run()) }

func TestLayoutsAgree(t *testing.T) {
	var f frame
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"frame.FSBase", unsafe.Offsetof(f.FSBase), 16},
		{"frame.R8", unsafe.Offsetof(f.R8), 48},
		{"frame.RSP", unsafe.Offsetof(f.RSP), 168},
		{"frame.RIP", unsafe.Offsetof(f.RIP), 176},
		{"frame.Eflags", unsafe.Offsetof(f.Eflags), 184},
		{"frame.CS", unsafe.Offsetof(f.CS), 192},
		{"frame.CR2", unsafe.Offsetof(f.CR2), 224},
		{"frame.FP", unsafe.Offsetof(f.FP), 232},
		{"frame.Info", unsafe.Offsetof(f.Info), 312},
		{"request.RIP", unsafe.Offsetof(request{}.RIP), ctxRIP},
		{"request.R15", unsafe.Offsetof(request{}.R15), ctxR15},
		{"request.FS", unsafe.Offsetof(request{}.FS), ctxFS},
		{"config.Slot", unsafe.Offsetof(threadConfig{}.Slot), cfgSlot - cfgSpin},
		{"config.Stack", unsafe.Offsetof(threadConfig{}.Stack), cfgStack - cfgSpin},
		{"config.Program", unsafe.Offsetof(threadConfig{}.Program), cfgProgram - cfgSpin},
		{"config.Mask", unsafe.Offsetof(threadConfig{}.Mask), cfgMask - cfgSpin},
	} {
		if c.got != c.want {
			t.Errorf("%s at %d, want %d", c.name, c.got, c.want)
		}
	}
}
