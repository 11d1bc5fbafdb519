package ptrace

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/platform"
)

func TestSyscallReportsAndTakesRegisters(t *testing.T) {
	g := newGuest(t,
		0x0f, 0x05, // syscall
		0x0f, 0x05, // syscall
	)
	g.r.RAX, g.r.RDI, g.r.RSI, g.r.RDX, g.r.R10, g.r.R8, g.r.R9 = 39, 1, 2, 3, 4, 5, 6
	g.r.RBX, g.r.R15, g.r.FSBase, g.r.GSBase = 0xb, 0xf, 0x123456, 0x7000
	g.run(platform.EventSyscall)
	enosys := linux.ENOSYS
	if g.r.OrigRAX != 39 || g.r.RAX != -uint64(enosys) || g.r.RIP != codeAddr+2 || g.r.R9 != 6 || g.r.RBX != 0xb ||
		g.r.FSBase != 0x123456 || g.r.GSBase != 0x7000 || g.r.RCX != g.r.RIP {
		t.Fatalf("%+v", g.r)
	}
	g.r.RAX = 0x100 // the result is the next number
	if ev := g.th.Switch(&g.r, platform.ResumeResult); ev.Kind != platform.EventSyscall || g.r.OrigRAX != 0x100 {
		t.Fatalf("%+v %+v", ev, g.r)
	}
}

func TestResultsLikeRestartCodesAreNotRestarted(t *testing.T) {
	g := newGuest(t, 0x0f, 0x05, 0x0f, 0x05)
	g.run(platform.EventSyscall)
	code := int64(-512)
	g.r.RAX = uint64(code)
	syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(g.as.HostPID()), uintptr(g.th.(*thread).tid), uintptr(kick))
	g.run(platform.EventSyscall)
	if g.r.RIP != codeAddr+4 || int64(g.r.OrigRAX) != code {
		t.Fatalf("rip %#x orig %d", g.r.RIP, int64(g.r.OrigRAX))
	}
}

func TestFaultsAndTraps(t *testing.T) {
	const rd, wr, ex = linux.PROT_READ, linux.PROT_WRITE, linux.PROT_EXEC
	far := uint64(0x10000000)
	for _, c := range []struct {
		name   string
		code   []byte
		kind   platform.EventKind
		access platform.Prot
		addr   uint64
		signo  int32
		trap   int32
		rip    uint64
	}{
		{"read", []byte{0x48, 0x8b, 0x07}, platform.EventFault, rd, far, linux.SIGSEGV, 14, 0},
		{"write", []byte{0x48, 0x89, 0x07}, platform.EventFault, wr, far, linux.SIGSEGV, 14, 0},
		{"cmp", []byte{0x83, 0x3f, 0}, platform.EventFault, rd, far, linux.SIGSEGV, 14, 0},
		{"lock cmpxchg", []byte{0xf0, 0x0f, 0xb1, 0x0f}, platform.EventFault, wr, far, linux.SIGSEGV, 14, 0},
		{"rep stosb", []byte{0xb9, 5, 0, 0, 0, 0xf3, 0xaa}, platform.EventFault, wr, far, linux.SIGSEGV, 14, 5},
		{"movdqu store", []byte{0xf3, 0x0f, 0x7f, 0x07}, platform.EventFault, wr, far, linux.SIGSEGV, 14, 0},
		{"movdqu load", []byte{0xf3, 0x0f, 0x6f, 0x07}, platform.EventFault, rd, far, linux.SIGSEGV, 14, 0},
		{"vmovdqu store", []byte{0xc5, 0xfe, 0x7f, 0x07}, platform.EventFault, wr, far, linux.SIGSEGV, 14, 0},
		{"vmovdqu load", []byte{0xc5, 0xfe, 0x6f, 0x07}, platform.EventFault, rd, far, linux.SIGSEGV, 14, 0},
		{"write own text", []byte{0x88, 0x05, 0xfa, 0xff, 0xff, 0xff}, platform.EventFault, ex, codeAddr, linux.SIGSEGV, 14, 0},
		{"write text", []byte{0x88, 0x05, 1, 0, 0, 0}, platform.EventFault, wr, codeAddr + 7, linux.SIGSEGV, 14, 0},
		{"jump", []byte{0xff, 0xe7}, platform.EventFault, ex, far, linux.SIGSEGV, 14, far},
		{"jump to data", []byte{0xff, 0xe6}, platform.EventFault, ex, dataAddr, linux.SIGSEGV, 14, dataAddr},
		{"ud2", []byte{0x0f, 0x0b}, platform.EventTrap, 0, codeAddr, linux.SIGILL, 6, 0},
		{"int3", []byte{0xcc}, platform.EventTrap, 0, 0, linux.SIGTRAP, 3, codeAddr + 1},
		{"hlt", []byte{0xf4}, platform.EventTrap, 0, 0, linux.SIGSEGV, 13, 0},
		{"divide", []byte{0x31, 0xd2, 0xf7, 0xf2}, platform.EventTrap, 0, codeAddr + 2, linux.SIGFPE, 0, codeAddr + 2},
		{"int 0x80", []byte{0xcd, 0x80}, platform.EventTrap, 0, 0, linux.SIGSEGV, 13, 0},
		{"vsyscall", []byte{0x48, 0xc7, 0xc0, 0, 0, 0x60, 0xff, 0xff, 0xd0}, platform.EventFault, ex, 0xffffffffff600000,
			linux.SIGSEGV, 14, 0xffffffffff600000},
		{"sysenter", []byte{0x0f, 0x34}, platform.EventTrap, 0, 0, 0, -1, 0},
		{"trap flag", []byte{0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0x90}, platform.EventTrap, 0, codeAddr + 10,
			linux.SIGTRAP, 1, codeAddr + 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t, c.code...)
			g.r.RDI, g.r.RSI, g.r.RAX = far, dataAddr, 0x77
			ev := g.run(c.kind)
			rip := c.rip
			if rip < 16 {
				rip += codeAddr
			}
			if c.trap == -1 {
				if ev.Signo != linux.SIGILL && ev.Signo != linux.SIGSEGV {
					t.Fatalf("%+v", ev)
				}
				return
			}
			if ev.Access != c.access || ev.Addr != c.addr || ev.Signo != c.signo || ev.TrapNo != c.trap || g.r.RIP != rip {
				t.Fatalf("%+v rip %#x, want %+v", ev, g.r.RIP, c)
			}
			if c.name == "int 0x80" && g.r.RAX != 0x77 {
				t.Errorf("rax %#x", g.r.RAX)
			}
			if c.name == "write own text" {
				if ev := g.run(platform.EventFault); ev.Access != wr {
					t.Errorf("the second fault is %+v, want a write", ev)
				}
			}
		})
	}
}

func TestFaultIsRepairedByApply(t *testing.T) {
	g := newGuest(t,
		0x48, 0x8b, 0x07, // mov rax, [rdi]
		0x0f, 0x05, // syscall
	)
	g.r.RDI = 0x20000008
	g.run(platform.EventFault)
	g.mem[5*pageSize+8] = 0x5a
	if errno := g.as.Apply([]platform.MapOp{{Prot: linux.PROT_READ, FD: int32(g.fd), Addr: 0x20000000, Len: pageSize, Offset: 5 * pageSize}}); errno != 0 {
		t.Fatal(errno)
	}
	g.run(platform.EventSyscall)
	if g.r.OrigRAX != 0x5a {
		t.Fatalf("%#x", g.r.OrigRAX)
	}
}

func TestApplyLongBatchesAndErrors(t *testing.T) {
	g := newGuest(t, 0x8a, 0x07, 0x0f, 0x05) // mov al, [rdi]; syscall
	var ops []platform.MapOp
	const n = 3*maxOrders + 5
	for i := range uint64(n) {
		ops = append(ops, platform.MapOp{Prot: linux.PROT_READ, FD: int32(g.fd), Addr: 0x30000000 + 2*pageSize*i,
			Len: pageSize, Offset: (i % memPages) * pageSize})
	}
	if errno := g.as.Apply(ops); errno != 0 {
		t.Fatal(errno)
	}
	for i := range memPages {
		g.mem[i*pageSize+100] = byte(i)
	}
	for i := range uint64(n) {
		g.r.RIP, g.r.RAX, g.r.RDI = codeAddr, 0, ops[i].Addr+100
		g.run(platform.EventSyscall)
		if g.r.OrigRAX != i%memPages {
			t.Fatalf("order %d: %#x", i, g.r.OrigRAX)
		}
	}
	un := ops[:0]
	for _, op := range ops {
		un = append(un, platform.MapOp{Kind: platform.OpUnmap, Addr: op.Addr, Len: op.Len})
	}
	if errno := g.as.Apply(un); errno != 0 {
		t.Fatal(errno)
	}
	g.r.RIP = codeAddr
	g.run(platform.EventFault)

	bad := platform.MapOp{Prot: linux.PROT_READ, FD: 9999, Addr: 0x30000000, Len: pageSize}
	good := platform.MapOp{Prot: linux.PROT_READ, FD: int32(g.fd), Addr: 0x30000000, Len: pageSize}
	if errno := g.as.Apply([]platform.MapOp{good, bad, good}); errno != linux.EBADF {
		t.Errorf("a bad descriptor: %v", errno)
	}
	for _, op := range []platform.MapOp{
		{Kind: platform.OpUnmap, Addr: textAddr, Len: pageSize},
		{Kind: platform.OpUnmap, Addr: userHi - pageSize, Len: 1 << 20},
		{Kind: platform.OpUnmap, Addr: 0x30000000, Len: ^uint64(pageSize - 1)},
		{Kind: platform.OpProtect, Addr: 0x30000001, Len: pageSize},
		{Kind: platform.OpProtect, Addr: 0x30000000, Len: 0},
		{Kind: 7, Addr: 0x30000000, Len: pageSize},
	} {
		if errno := g.as.Apply([]platform.MapOp{op}); errno != linux.EINVAL {
			t.Errorf("%+v: %v", op, errno)
		}
	}
}

func TestStubHoldsNothingButItsPages(t *testing.T) {
	p := newPlatform(t)
	as := must(t)(p.NewAddressSpace())
	defer as.Release()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", as.HostPID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "7fffffffd000-7fffffffe000 r--s") && !strings.HasPrefix(line, "7fffffffe000-7ffffffff000 r-xs") &&
			!strings.HasPrefix(line, "ffffffffff600000") {
			t.Error("mapped:", line)
		}
	}
	st, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", as.HostPID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n", "SigCgt:\t0000000000000000\n", "Name:\thornwork-stub\n"} {
		if !bytes.Contains(st, []byte(want)) {
			t.Errorf("no %q in\n%s", want, st)
		}
	}
}

// Guest code that jumps into the stub's text makes no host call there.
func TestJumpIntoStubTextIsASystemCallOfTheGuest(t *testing.T) {
	for _, entry := range []uint64{textInject, textThread, textPark, textBatch} {
		g := newGuest(t, 0x0f, 0x05)
		g.r.RIP = textAddr + entry
		g.r.RAX, g.r.RDI, g.r.RSI, g.r.RDX = linux.SYS_MMAP, dataAddr, pageSize, 7
		g.r.RBX, g.r.R12 = dataAddr, dataAddr+56
		g.mem[pageSize] = linux.SYS_MUNMAP
		g.run(platform.EventSyscall)
		if g.r.RIP&^(pageSize-1) != textAddr {
			t.Errorf("rip %#x", g.r.RIP)
		}
	}
	g := newGuest(t, 0x88, 0x07) // mov [rdi], al
	for _, addr := range []uint64{textAddr, ordersAddr} {
		g.r.RIP, g.r.RDI = codeAddr, addr
		if ev := g.run(platform.EventFault); ev.Access != linux.PROT_WRITE || ev.Addr != addr {
			t.Errorf("%+v", ev)
		}
	}
}

func TestSecondSpaceOverTheSameMemory(t *testing.T) {
	g := newGuest(t,
		0x48, 0x89, 0x07, // mov [rdi], rax
		0x0f, 0x05,
	)
	p := newPlatform(t)
	as := must(t)(p.NewAddressSpace())
	defer as.Release()
	g.mapStd(as)
	// The second one sees a copy of the data page.
	if errno := as.Apply([]platform.MapOp{{Prot: linux.PROT_READ | linux.PROT_WRITE, FD: int32(g.fd), Addr: dataAddr, Len: pageSize,
		Offset: 9 * pageSize}}); errno != 0 {
		t.Fatal(errno)
	}
	th, errno := as.NewThread()
	if errno != 0 {
		t.Fatal(errno)
	}
	defer th.Release()
	g.r.RDI, g.r.RAX = dataAddr, 0x11
	r2 := g.r
	r2.RAX = 0x22
	g.run(platform.EventSyscall)
	if ev := th.Switch(&r2, platform.ResumeFull); ev.Kind != platform.EventSyscall {
		t.Fatalf("%+v", ev)
	}
	if g.mem[pageSize] != 0x11 || g.mem[9*pageSize] != 0x22 {
		t.Fatalf("%#x %#x", g.mem[pageSize], g.mem[9*pageSize])
	}
}

func TestInterrupt(t *testing.T) {
	g := newGuest(t, 0xeb, 0xfe) // jmp self
	g.r.RBX = 77
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			time.Sleep(2 * time.Millisecond)
			g.th.Interrupt()
		})
		g.run(platform.EventInterrupted)
		if g.r.RIP != codeAddr || g.r.RBX != 77 {
			t.Fatalf("%+v", g.r)
		}
		wg.Wait()
	}
	g.th.Interrupt()
	g.th.Interrupt()
	g.run(platform.EventInterrupted)
	// Two at once are one; the code below must run now.
	g.mem[0], g.mem[1] = 0x0f, 0x05
	g.run(platform.EventSyscall)
}

func TestInterruptsAreNeitherLostNorInvented(t *testing.T) {
	g := newGuest(t, 0x0f, 0x05, 0xeb, 0xfc) // syscall; jmp back
	var got int
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				g.th.Interrupt()
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	for i := 0; i < 5000 || got == 0; i++ {
		switch ev := g.th.Switch(&g.r, platform.ResumeFull); ev.Kind {
		case platform.EventSyscall:
			if g.r.RIP != codeAddr+2 {
				t.Fatalf("rip %#x", g.r.RIP)
			}
			g.r.RAX = 0
		case platform.EventInterrupted:
			got++
		default:
			t.Fatalf("%+v", ev)
		}
	}
	close(stop)
	wg.Wait()
	g.th.Interrupt()
	g.run(platform.EventInterrupted)
	g.run(platform.EventSyscall)
}

func TestSignalsFromOutsideAreSwallowed(t *testing.T) {
	g := newGuest(t, 0x0f, 0x05, 0xeb, 0xfc)
	g.run(platform.EventSyscall)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGSEGV, syscall.SIGTRAP, syscall.SIGSTOP, syscall.SIGCONT, syscall.SIGUSR1} {
		syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(g.as.HostPID()), uintptr(g.th.(*thread).tid), uintptr(sig))
		for range 3 {
			g.run(platform.EventSyscall)
		}
	}
}
