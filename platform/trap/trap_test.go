package trap

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/platform"
)

func TestSyscallCarriesArgumentsAndResult(t *testing.T) {
	g := newGuest(t)
	code := g.put(
		movReg(7, 11), movReg(6, 12), movReg(2, 13), movReg(10, 14), movReg(8, 15), movReg(9, 16),
		movEAX(linux.SYS_GETPPID), insSyscall,
		[]byte{0x48, 0x89, 0xc7}, // mov rdi, rax
		movEAX(linux.SYS_GETPID), insSyscall)
	th, regs, ev := g.start(code)
	g.wantSyscall(ev, regs, linux.SYS_GETPPID)
	if !ev.Partial || regs.RDI != 11 || regs.RSI != 12 || regs.RDX != 13 || regs.R10 != 14 || regs.R8 != 15 || regs.R9 != 16 {
		t.Errorf("registers %+v of %+v", regs, ev)
	}
	regs.RAX = 4242
	ev = th.Switch(regs, platform.ResumeResult)
	g.wantSyscall(ev, regs, linux.SYS_GETPID)
	if regs.RDI != 4242 {
		t.Errorf("the guest saw result %d", regs.RDI)
	}
}

func TestRegistersAreExact(t *testing.T) {
	g := newGuest(t)
	code := g.put(movEAX(linux.SYS_GETPPID), insSyscall, insUD2)
	th := g.thread()
	regs := startRegs(code)
	regs.RBX, regs.RBP, regs.R12, regs.R13, regs.R14, regs.R15 = 1, 2, 3, 4, 5, 6
	regs.RDI, regs.RSI, regs.RDX, regs.R10, regs.R8, regs.R9 = 7, 8, 9, 10, 11, 12
	regs.RCX, regs.R11, regs.FSBase = 13, 14, 0x12345000
	regs.Eflags = 0x202 | 1 | 0x400 | 0x800 // carry, direction, overflow
	in := *regs
	ev := th.Switch(regs, platform.ResumeFull)
	g.wantSyscall(ev, regs, linux.SYS_GETPPID)
	if errno := th.Complete(regs); errno != 0 {
		t.Fatal("Complete: ", errno)
	}
	want := in
	want.OrigRAX, want.RAX = linux.SYS_GETPPID, negative(linux.ENOSYS)
	want.RIP = code + 7
	want.RCX, want.R11 = want.RIP, in.Eflags
	if *regs != want {
		t.Errorf("after the call\n%+v, want\n%+v", *regs, want)
	}
	// Everything can be replaced, RCX and R11 too.
	next := startRegs(code + 7)
	next.RAX, next.RCX, next.R11, next.RBP, next.RSP, next.Eflags, next.FSBase = 21, 22, 23, 24, 25<<4, 0x246, 0x7000
	next.R15 = 26
	want = *next
	ev = th.Switch(next, platform.ResumeFull)
	if ev.Kind != platform.EventTrap || ev.Signo != linux.SIGILL || ev.Addr != code+7 {
		t.Fatalf("event %+v, want SIGILL", ev)
	}
	want.OrigRAX = noSyscall
	next.Eflags &^= 0x10000 // RF: the CPU sets it in what a fault saves
	if *next != want {
		t.Errorf("after the trap\n%+v, want\n%+v", *next, want)
	}
}

func TestFaults(t *testing.T) {
	g := newGuest(t)
	tests := []struct {
		name string
		code []byte
		off  int // of the faulting instruction
		want platform.Event
	}{
		{"read", append(movReg(0, 0x1234_5000), 0x8a, 0x00), 10, platform.Event{Kind: platform.EventFault, Access: linux.PROT_READ, Addr: 0x1234_5000, Signo: linux.SIGSEGV, Code: linux.SEGV_MAPERR, TrapNo: 14, Err: 4}},
		{"write", append(movReg(0, 0x1234_5008), 0x88, 0x00), 10, platform.Event{Kind: platform.EventFault, Access: linux.PROT_WRITE, Addr: 0x1234_5008, Signo: linux.SIGSEGV, Code: linux.SEGV_MAPERR, TrapNo: 14, Err: 6}},
		{"write to code", append(movReg(0, codeAddr), 0x88, 0x00), 10, platform.Event{Kind: platform.EventFault, Access: linux.PROT_WRITE, Addr: codeAddr, Signo: linux.SIGSEGV, Code: linux.SEGV_ACCERR, TrapNo: 14, Err: 7}},
		{"non-canonical", append(movReg(0, 1<<62), 0x8a, 0x00), 10, platform.Event{Kind: platform.EventTrap, Addr: 0, Signo: linux.SIGSEGV, Code: linux.SI_KERNEL, TrapNo: 13}},
		{"ud2", insUD2, 0, platform.Event{Kind: platform.EventTrap, Signo: linux.SIGILL, Code: linux.ILL_ILLOPN, TrapNo: 6}},
		{"divide", []byte{0x31, 0xc9, 0xf7, 0xf1}, 2, platform.Event{Kind: platform.EventTrap, Signo: linux.SIGFPE, Code: linux.FPE_INTDIV, TrapNo: 0}},
		{"int3", insINT3, 1, platform.Event{Kind: platform.EventTrap, Signo: linux.SIGTRAP, Code: linux.SI_KERNEL, TrapNo: 3}},
		{"int 0x80", insInt80, 0, platform.Event{Kind: platform.EventTrap, Signo: linux.SIGSEGV, Code: linux.SI_KERNEL, TrapNo: 13, Err: 0x402}},
		{"hlt", []byte{0xf4}, 0, platform.Event{Kind: platform.EventTrap, Signo: linux.SIGSEGV, Code: linux.SI_KERNEL, TrapNo: 13}},
	}
	for _, c := range tests {
		code := g.put(c.code)
		th, regs, ev := g.start(code)
		if c.want.Addr == 0 && (c.want.Signo == linux.SIGILL || c.want.Signo == linux.SIGFPE) {
			c.want.Addr = code + uint64(c.off)
		}
		if ev != c.want || regs.RIP != code+uint64(c.off) {
			t.Errorf("%s: %+v at %#x, want %+v at %#x", c.name, ev, regs.RIP, c.want, code+uint64(c.off))
		}
		th.Release()
	}
	// Instruction fetch.
	th, regs, ev := g.start(0x1000_0000)
	if ev.Kind != platform.EventFault || ev.Access != linux.PROT_EXEC || ev.Addr != 0x1000_0000 || regs.RIP != ev.Addr {
		t.Errorf("fetch: %+v", ev)
	}
	// Map what was missing and go on.
	g.apply(platform.MapOp{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_EXEC, FD: int32(g.fd), Addr: 0x1000_0000, Len: 0x1000, Offset: codeOff, Populate: true})
	copy(g.mem[codeOff:], append(movEAX(39), insSyscall...))
	ev = th.Switch(regs, platform.ResumeResult)
	g.wantSyscall(ev, regs, linux.SYS_GETPID)
}

func TestCallsThatNeedAllRegistersAreComplete(t *testing.T) {
	g := newGuest(t)
	for _, nr := range trapped {
		code := g.put(movReg(3, 77), movEAX(nr), insSyscall, []byte{0x89, 0xc7}, movEAX(39), insSyscall)
		th, regs, ev := g.start(code)
		g.wantSyscall(ev, regs, uint64(int64(int32(nr))))
		if ev.Partial || regs.RBX != 77 || regs.RIP != code+17 || regs.RCX != regs.RIP || regs.RAX != negative(linux.ENOSYS) {
			t.Errorf("call %#x: %+v, %+v", nr, ev, regs)
		}
		regs.RAX = 5
		ev = th.Switch(regs, platform.ResumeResult)
		g.wantSyscall(ev, regs, linux.SYS_GETPID)
		if regs.RDI != 5 {
			t.Errorf("call %#x: result %d", nr, regs.RDI)
		}
		th.Release()
	}
}

func TestDonatedFile(t *testing.T) {
	g := newGuest(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Write(append(bytes.Repeat([]byte{0x90}, 4096), append(movEAX(500), insSyscall...)...))
	g.apply(
		platform.MapOp{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_EXEC, FD: int32(file.Fd()), Addr: 0x2000_0000, Len: 0x1000},
		platform.MapOp{Kind: platform.OpMap, Prot: linux.PROT_READ | linux.PROT_EXEC, FD: int32(file.Fd()), Addr: 0x2000_1000, Len: 0x2000, Offset: 0x1000})
	th, regs, ev := g.start(0x2000_0000)
	g.wantSyscall(ev, regs, 500)
	// Beyond the end of the file the host sends SIGBUS.
	regs.RIP = 0x2000_2000
	ev = th.Switch(regs, platform.ResumeFull)
	if ev.Kind != platform.EventTrap || ev.Signo != linux.SIGBUS || ev.Code != linux.BUS_ADRERR || ev.Addr != 0x2000_2000 {
		t.Errorf("beyond the end: %+v", ev)
	}
	if n := stubDescriptors(t, g.as.pid); n != 4 {
		t.Errorf("the stub holds %d descriptors, want 4", n)
	}
}

func stubDescriptors(t *testing.T, pid int) int {
	l, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}

func TestApplyRejectsWhatIsOutside(t *testing.T) {
	g := newGuest(t)
	for _, op := range []platform.MapOp{
		{Kind: platform.OpUnmap, Addr: textBase, Len: 4096},
		{Kind: platform.OpUnmap, Addr: 0, Len: 4096},
		{Kind: platform.OpUnmap, Addr: userHi - 4096, Len: 8192},
		{Kind: platform.OpUnmap, Addr: userHi - 4096, Len: ^uint64(4095)},
		{Kind: platform.OpProtect, Addr: ordersBase, Len: 4096, Prot: 3},
		{Kind: platform.OpMap, Addr: codeAddr + 1, Len: 4096},
		{Kind: platform.OpMap, Addr: codeAddr, Len: 4096, Prot: 8},
		{Kind: 9, Addr: codeAddr, Len: 4096},
	} {
		if errno := g.as.Apply([]platform.MapOp{op}); errno != linux.EINVAL {
			t.Errorf("%+v: %v, want EINVAL", op, errno)
		}
	}
	if errno := g.as.Apply([]platform.MapOp{{Kind: platform.OpMap, Addr: codeAddr, Len: 4096, FD: 9999}}); errno != linux.EBADF {
		t.Errorf("bad descriptor: %v", errno)
	}
	g.apply(platform.MapOp{Kind: platform.OpUnmap, Addr: dataAddr, Len: 4096}) // still works
}

func TestManyOperations(t *testing.T) {
	g := newGuest(t)
	var ops []platform.MapOp
	for i := range uint64(1000) {
		ops = append(ops, platform.MapOp{Kind: platform.OpMap, Prot: 3, FD: int32(g.fd), Addr: 0x3000_0000 + i*8192, Len: 4096, Offset: dataOff + i%16*4096})
	}
	g.apply(ops...)
	code := g.put([]byte{0xc6, 0x03, 0x55}, movEAX(39), insSyscall) // mov byte [rbx], 0x55
	th := g.thread()
	regs := startRegs(code)
	regs.RBX = ops[999].Addr + 5
	ev := th.Switch(regs, platform.ResumeFull)
	g.wantSyscall(ev, regs, 39)
	if g.data(999 % 16 * 4096)[5] != 0x55 {
		t.Error("the last operation did not map the page")
	}
}

func TestInterruptStopsALoop(t *testing.T) {
	g := newGuest(t)
	code := g.put(movReg(3, 99), insLoop)
	th := g.thread()
	regs := startRegs(code)
	for i := range 50 {
		if i%2 == 0 {
			th.Interrupt() // before
		} else {
			time.AfterFunc(time.Duration(i*20)*time.Microsecond, th.Interrupt)
		}
		ev := th.Switch(regs, platform.ResumeFull)
		if ev.Kind != platform.EventInterrupted {
			t.Fatalf("event %+v", ev)
		}
	}
	if regs.RBX != 99 || regs.RIP != code+10 {
		t.Errorf("registers %+v", regs)
	}
}

// TestInterruptIsNeverLost interrupts a thread that makes system calls, at all times: each must be seen, the count of
// calls must be that of a run without interrupts.
func TestInterruptIsNeverLost(t *testing.T) {
	const total = 6000
	g := newGuest(t)
	code := g.put(
		movReg(3, total),
		[]byte{0xb8, 110, 0, 0, 0}, insSyscall, // 10
		[]byte{0x49, 0x01, 0xc4}, // add r12, rax
		[]byte{0x48, 0xff, 0xcb}, // dec rbx
		[]byte{0x75, 0xf1},       // jnz 10
		movEAX(60), insLoop[:0], movEAX(39), insSyscall)
	th := g.thread()
	regs := startRegs(code)
	stop := make(chan bool)
	var sent, seen atomic.Int64
	started := make(chan bool)
	go func() {
		defer close(stop)
		close(started)
		for seen.Load() >= 0 {
			if sent.Load() == seen.Load() {
				sent.Add(1)
				th.Interrupt()
			}
			runtime.Gosched()
		}
	}()
	<-started
	how := platform.ResumeFull
	calls := uint64(0)
	for {
		ev := th.Switch(regs, how)
		how = platform.ResumeResult
		switch {
		case ev.Kind == platform.EventInterrupted:
			if regs.RSP != stackTop-256 {
				t.Fatalf("incomplete registers %+v", regs)
			}
			seen.Add(1)
			continue
		case ev.Kind != platform.EventSyscall:
			t.Fatalf("event %+v", ev)
		case regs.OrigRAX == 39:
		default:
			calls++
			regs.RAX = calls
			continue
		}
		break
	}
	th.Complete(regs)
	n := seen.Load()
	seen.Store(-1)
	<-stop
	if calls != total || regs.R12 != total*(total+1)/2 {
		t.Errorf("%d calls, sum %d", calls, regs.R12)
	}
	if n == 0 {
		t.Error("no interrupt was seen")
	}
	t.Logf("%d interrupts", n)
}
