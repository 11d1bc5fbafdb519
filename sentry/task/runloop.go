package task

import (
	"sync"

	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/signal"
)

var noDeadline = deadlineZero

// xfeatures is the machine's XCR0, which frames tell.
var xfeatures = sync.OnceValue(signal.XCR0)

// negErrno is what a failed system call leaves in RAX.
func negErrno(e linux.Errno) uint64 { return -uint64(e) }

// start runs the task on its own goroutine.
func (t *Task) start() {
	t.kernel.running.Add(1)
	go func() {
		defer t.kernel.running.Done()
		t.loop()
		t.end()
	}()
}

// loop is the life of a task: guest code until it needs the sentry, then the sentry. The way of a system call
// that nothing disturbs takes no lock and allocates nothing.
func (t *Task) loop() {
	t.storeChildTID()
	t.setAnswers()
	for {
		if t.run.work.Load() != 0 && !t.resumeGuest() {
			return
		}
		t.passBorder()
		if t.run.work.Load() != 0 {
			// Who set a bit before it saw the border passed has not interrupted us.
			t.passBorder()
			continue
		}
		ev := t.run.thread.Switch(&t.Regs, t.run.resume)
		t.passBorder()
		t.run.resume = platform.ResumeResult
		t.run.partial = ev.Partial
		if ev.Kind == platform.EventSyscall {
			t.syscall()
			continue
		}
		t.run.errno, t.run.restart = 0, false
		switch ev.Kind {
		case platform.EventFault:
			t.fault(&ev)
		case platform.EventTrap:
			t.trap(&ev)
		case platform.EventInterrupted:
			t.run.resume = platform.ResumeFull
			t.misc.invCtx.Add(1)
		default:
			t.gone("the stub is gone")
		}
	}
}

// passBorder counts the way into guest code or out of it.
func (t *Task) passBorder() {
	t.run.crossed++
	t.run.border.Store(t.run.crossed)
}

// inGuest says whether Switch may be running.
func (t *Task) inGuest() bool { return t.run.border.Load()&1 != 0 }

// syscall answers one system call.
func (t *Task) syscall() {
	ret, errno, control := t.kernel.Syscall(t, uintptr(t.Regs.OrigRAX))
	t.run.errno = errno
	switch {
	case control == ControlNoRet:
		t.run.errno = 0
		return
	case control == ControlExit:
		return
	case errno == 0:
		t.Regs.RAX = uint64(ret)
		return
	}
	t.Regs.RAX = negErrno(errno)
	if errno >= linux.ERESTARTSYS {
		t.run.restart = true
		t.run.work.Or(workResume)
	}
}

// completeRegs fetches the registers that the last event left out. What changes registers other than RAX comes
// through here.
func (t *Task) completeRegs() {
	if !t.run.partial {
		return
	}
	t.run.partial = false
	rax := t.Regs.RAX
	if t.run.thread.Complete(&t.Regs) != 0 {
		t.gone("the stub lost its registers")
	}
	t.Regs.RAX = rax
	t.run.resume = platform.ResumeFull
}

// FullRegs makes every register valid, and all of them count when guest code goes on.
func (t *Task) FullRegs() *linux.Regs {
	t.completeRegs()
	t.run.resume = platform.ResumeFull
	return &t.Regs
}

// fault answers a page fault.
func (t *Task) fault(ev *platform.Event) {
	t.run.resume = platform.ResumeFull
	f, ok := t.MM().HandleFault(ev.Addr, ev.Access)
	if ok {
		t.misc.vmInfo.minflt.Add(1)
		return
	}
	t.run.fault = signal.FaultInfo{TrapNo: uint64(ev.TrapNo), Err: uint64(ev.Err), CR2: ev.Addr}
	i := signal.Fault(f.Signo, f.Code, ev.Addr)
	if !canonical(ev.Addr) {
		i = signal.Kernel(linux.SIGSEGV) // a general protection fault on Linux, without an address
	}
	t.forceSignal(&i)
}

// trap answers another exception.
func (t *Task) trap(ev *platform.Event) {
	t.run.resume = platform.ResumeFull
	t.run.fault.TrapNo, t.run.fault.Err = uint64(ev.TrapNo), uint64(ev.Err)
	if !signal.Valid(ev.Signo) {
		t.gone("the stub reported nonsense")
		return
	}
	i := signal.Fault(ev.Signo, ev.Code, ev.Addr)
	t.forceSignal(&i)
}

// canonical says whether an address is one at all: bits 47 to 63 are equal.
func canonical(addr uint64) bool {
	top := int64(addr) >> 47
	return top == 0 || top == -1
}

// gone kills the process for a reason that is not the guest's business.
func (t *Task) gone(why string) {
	t.kernel.Fault(t, why)
	g := t.Group
	sh := g.lockSig()
	if !g.state.exiting {
		g.startExitLocked(linux.SIGKILL)
	}
	sh.mu.Unlock()
	t.run.work.Or(workSignal)
}

// storeChildTID writes the child's number for CLONE_CHILD_SETTID; like Linux, it does not mind a bad address.
func (t *Task) storeChildTID() {
	if addr := t.exit.setTID; addr != 0 {
		t.exit.setTID = 0
		var b [4]byte
		le.PutUint32(b[:], uint32(t.TID()))
		_, _ = t.Memory().CopyOut(addr, b[:])
	}
}
