package task

import (
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/signal"
)

// resumeGuest does what waits on the way to guest code: stops, kills, signals, restarts, the saved mask. False
// means that the task exits.
func (t *Task) resumeGuest() bool {
	if t.sig.hasSaved && t.run.errno != linux.EINTR && t.run.errno != linux.ERESTARTNOHAND {
		t.restoreMask() // the call ended by itself: its mask ends before signals are looked at
	}
	for t.run.work.Load() != 0 {
		t.run.work.And(^workResume)
		if t.misc.staleAnswers.Load() {
			t.setAnswers()
		}
		if t.exit.asked {
			return false
		}
		info, act, verdict := t.nextSignal()
		switch verdict {
		case takeExit:
			return false
		case takeHandler:
			t.handle(&info, &act)
		case takeNone:
			t.restartSyscall(linux.Sigaction{}, false)
			if t.sig.hasSaved {
				t.restoreMask()
			}
		}
	}
	return true
}

func (t *Task) restoreMask() {
	t.sig.hasSaved = false
	t.SetSigMask(t.sig.saved)
}

type verdict uint8

const (
	takeNone verdict = iota
	takeHandler
	takeExit
)

// nextSignal finds what is to be done next: Linux's get_signal. It takes part in group stops itself.
func (t *Task) nextSignal() (info linux.Siginfo, act linux.Sigaction, v verdict) {
	g := t.Group
	sh := g.lockSig()
	defer func() { sh.mu.Unlock() }()
	for {
		st := &g.state
		if why := st.notifyStop; why != 0 {
			st.notifyStop = 0
			sh.mu.Unlock()
			g.notifyStopped(why)
			sh = g.lockSig()
			continue
		}
		if st.exiting || st.execer != nil && st.execer != t {
			return info, act, takeExit
		}
		if t.sig.stopPending {
			sh.mu.Unlock()
			t.joinStop()
			sh = g.lockSig()
			continue
		}
		var ok bool
		if info, ok = t.dequeueLocked(t.sig.blocked); !ok {
			t.recalcSignals(true)
			return info, act, takeNone
		}
		sig := info.Signo
		if sig == 0 {
			continue
		}
		if trace := t.kernel.TraceSignal; trace != nil {
			sh.mu.Unlock()
			trace(t, &info)
			sh = g.lockSig()
		}
		act = sh.actions[sig]
		switch act.Handler {
		case signal.Ignored:
			continue
		case signal.Default:
		default:
			if act.Flags&linux.SA_RESETHAND != 0 {
				sh.actions[sig].Handler = signal.Default
			}
			return info, act, takeHandler
		}
		if st.unkillable && !signal.Has(signal.Unblockable, sig) {
			continue
		}
		switch signal.DefaultAction(sig) {
		case signal.Ignore:
		case signal.Stop:
			if sig != linux.SIGSTOP {
				// Looking at the tree needs the outer lock.
				sh.mu.Unlock()
				orphaned := g.orphaned()
				sh = g.lockSig()
				if orphaned || st.exiting {
					continue
				}
			}
			t.startStopLocked(sig)
		case signal.Core:
			if t.dumps() {
				g.startExitLocked(sig | coreDumped)
			} else {
				g.startExitLocked(sig)
			}
		default:
			g.startExitLocked(sig)
		}
	}
}

// coreDumped is the bit of a wait status that WCOREDUMP tests.
const coreDumped = 0x80

// dumps says whether Linux would dump core. The dump itself goes nowhere, as with a core_pattern that pipes it
// to a program that discards it.
func (t *Task) dumps() bool {
	return t.Limit(linux.RLIMIT_CORE).Cur >= linux.PageSize && t.Group.Dumpable() == 1
}

// dequeueLocked takes the next signal that is not in mask: the thread's own first, synchronous ones before
// others, then by number. ok is false if there is none; Signo is 0 if a timer withdrew its signal.
func (t *Task) dequeueLocked(mask signal.Set) (linux.Siginfo, bool) {
	g := t.Group
	p := &t.sig.pending
	sig := signal.Next(p.Set &^ mask)
	if sig == 0 {
		p = &g.state.shared
		sig = signal.Next(p.Set &^ mask)
	}
	if sig == 0 {
		return linux.Siginfo{}, false
	}
	info, ok := p.Dequeue(sig)
	if !ok {
		return linux.Siginfo{}, true
	}
	if sig == linux.SIGALRM && p == &g.state.shared {
		g.timer.rearmReal()
	}
	return info, true
}

// handle calls a handler: it decides about the restart of the system call and pushes the frame.
func (t *Task) handle(i *linux.Siginfo, act *linux.Sigaction) {
	t.completeRegs()
	t.restartSyscall(*act, true)
	mask := t.sig.blocked
	if t.sig.hasSaved {
		mask, t.sig.hasSaved = t.sig.saved, false
	}
	f := signal.Frame{Info: i, Action: *act, Mask: mask, Alt: &t.sig.alt, Fault: t.run.fault}
	var errno linux.Errno
	if f.FP, errno = t.run.thread.FPState(); errno == 0 {
		if len(f.FP) > 512 {
			f.Features = xfeatures()
		}
		errno = f.Push(t.Memory(), &t.Regs)
	}
	if errno != 0 {
		t.sig.saved, t.sig.hasSaved = mask, t.sig.hasSaved || mask != t.sig.blocked
		t.frameFailed(i.Signo)
		return
	}
	t.run.resume = platform.ResumeFull
	if t.run.thread.SetFPState(nil) != 0 {
		t.gone("the stub refused a floating point state")
	}
	block := t.sig.blocked | act.Mask
	if act.Flags&linux.SA_NODEFER == 0 {
		block |= signal.Bit(i.Signo)
	}
	t.SetSigMask(block)
	if t.sig.alt.Flags < 0 { // SS_AUTODISARM
		t.sig.alt = signal.NoAltStack
	}
}

// frameFailed is what happens when a handler cannot be called: SIGSEGV, and for SIGSEGV itself death.
func (t *Task) frameFailed(sig int32) {
	if sig == linux.SIGSEGV {
		sh := t.Group.lockSig()
		sh.actions[sig].Handler = signal.Default
		sh.mu.Unlock()
	}
	i := signal.Kernel(linux.SIGSEGV)
	t.forceSignal(&i)
}

// restartSyscall resolves a restart code: the call runs again, or returns EINTR because a handler does.
func (t *Task) restartSyscall(act linux.Sigaction, handler bool) {
	if !t.run.restart {
		return
	}
	t.run.restart = false
	t.completeRegs()
	t.run.resume = platform.ResumeFull
	const syscallLen = 2
	again := !handler
	switch t.run.errno {
	case linux.ERESTARTNOINTR:
		again = true
	case linux.ERESTARTSYS:
		again = again || act.Flags&linux.SA_RESTART != 0
	case linux.ERESTART_RESTARTBLOCK:
		if again {
			t.Regs.RAX = linux.SYS_RESTART_SYSCALL
			t.Regs.RIP -= syscallLen
			return
		}
	}
	if !again {
		t.Regs.RAX = negErrno(linux.EINTR)
		return
	}
	t.Regs.RAX = t.Regs.OrigRAX
	t.Regs.RIP -= syscallLen
}

// SigReturn implements rt_sigreturn(2): the registers come from the frame, so its result is ControlNoRet.
func (t *Task) SigReturn() Control {
	t.completeRegs()
	t.run.resume = platform.ResumeFull
	ret, errno := signal.Pop(t.Memory(), &t.Regs, t.kernel.FPSize)
	if errno == 0 {
		t.SetSigMask(ret.Mask)
		if errno = t.run.thread.SetFPState(ret.FP); errno == 0 {
			// Errors other than a fault are ignored, as Linux does.
			_ = t.sig.alt.Set(&ret.Stack, t.Regs.RSP, MinSigStack)
			return ControlNoRet
		}
	}
	i := signal.Kernel(linux.SIGSEGV)
	t.forceSignal(&i)
	return ControlNoRet
}
