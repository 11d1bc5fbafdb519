package ptrace

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/platform"
)

// Where the tests map things.
const (
	codeAddr = 0x400000
	dataAddr = 0x500000
	memPages = 64
)

var testPlatform *Platform

func newPlatform(t *testing.T) *Platform {
	t.Helper()
	if testPlatform == nil {
		p, err := New()
		if err != nil {
			t.Fatal(err)
		}
		testPlatform = p
	}
	return testPlatform
}

// guest is an address space over a memory file, with a page of code and pages of data.
type guest struct {
	t   *testing.T
	as  platform.AddressSpace
	th  platform.Thread
	fd  int
	mem []byte
	r   linux.Regs
}

func newGuest(t *testing.T, code ...byte) *guest {
	t.Helper()
	runtime.LockOSThread() // the test's own lock: subtests must not change threads after Release
	t.Cleanup(runtime.UnlockOSThread)
	p := newPlatform(t)
	g := &guest{t: t}
	var err error
	g.fd, err = memfdWith("guest", make([]byte, memPages*pageSize))
	if err != nil {
		t.Fatal(err)
	}
	g.mem, err = syscall.Mmap(g.fd, 0, memPages*pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	copy(g.mem, code)
	g.as = must(t)(p.NewAddressSpace())
	g.mapStd(g.as)
	var errno linux.Errno
	g.th, errno = g.as.NewThread()
	if errno != 0 {
		t.Fatal("NewThread:", errno)
	}
	g.r = linux.Regs{RIP: codeAddr, RSP: dataAddr + pageSize, Eflags: 0x202, CS: userCS, SS: userSS}
	t.Cleanup(func() {
		g.th.Release()
		g.as.Release()
		syscall.Munmap(g.mem)
		syscall.Close(g.fd)
	})
	return g
}

func must(t *testing.T) func(platform.AddressSpace, linux.Errno) platform.AddressSpace {
	return func(as platform.AddressSpace, errno linux.Errno) platform.AddressSpace {
		t.Helper()
		if errno != 0 {
			t.Fatal("NewAddressSpace:", errno)
		}
		return as
	}
}

// mapStd maps page 0 as code and the pages 1 and 2 as data.
func (g *guest) mapStd(as platform.AddressSpace) {
	g.t.Helper()
	errno := as.Apply([]platform.MapOp{
		{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_EXEC, FD: int32(g.fd), Addr: codeAddr, Len: pageSize},
		{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_WRITE, FD: int32(g.fd), Addr: dataAddr, Len: 2 * pageSize,
			Offset: pageSize, Populate: true},
	})
	if errno != 0 {
		g.t.Fatal("Apply:", errno)
	}
}

// run switches with all registers of g.r and demands an event of the kind.
func (g *guest) run(want platform.EventKind) platform.Event {
	g.t.Helper()
	ev := g.th.Switch(&g.r, platform.ResumeFull)
	if ev.Kind != want {
		g.t.Fatalf("event %+v, want kind %d; rip %#x", ev, want, g.r.RIP)
	}
	return ev
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never:", what)
		}
	}
}
