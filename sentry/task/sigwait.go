package task

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/signal"
)

// SigTimedWait implements rt_sigtimedwait(2): it takes a pending signal of set, waiting until the deadline.
// EAGAIN: none came; EINTR: another signal did.
func (t *Task) SigTimedWait(set signal.Set, deadline wait.Deadline, poll bool) (linux.Siginfo, linux.Errno) {
	set &^= signal.Unblockable
	if i, ok := t.DequeueSignal(set); ok {
		return i, 0
	}
	if poll {
		return linux.Siginfo{}, linux.EAGAIN
	}
	// While it waits the thread takes the signals of set although they are blocked: they wake it, and are not
	// dropped if they are ignored.
	sh := t.Group.lockSig()
	t.sig.realBlocked = t.sig.blocked
	t.sig.blocked &^= set
	t.recalcSignals(true)
	sh.mu.Unlock()
	errno := t.Park(deadline)
	for errno == 0 {
		errno = t.Park(deadline)
	}
	sh = t.Group.lockSig()
	t.sig.blocked, t.sig.realBlocked = t.sig.realBlocked, 0
	var info linux.Siginfo
	ok := true
	for info.Signo == 0 && ok {
		info, ok = t.dequeueLocked(^set)
	}
	t.recalcSignals(true)
	sh.mu.Unlock()
	switch {
	case ok:
		return info, 0
	case errno == linux.ETIMEDOUT:
		return info, linux.EAGAIN
	}
	return info, linux.EINTR
}

// DequeueSignal takes a pending signal of set, for signalfd and rt_sigtimedwait.
func (t *Task) DequeueSignal(set signal.Set) (linux.Siginfo, bool) {
	sh := t.Group.lockSig()
	defer sh.mu.Unlock()
	for {
		i, ok := t.dequeueLocked(^set)
		if !ok {
			return linux.Siginfo{}, false
		}
		if i.Signo != 0 {
			t.recalcSignals(true)
			return i, true
		}
	}
}

// PendingSignals are the signals pending for the thread or its group.
func (t *Task) PendingSignals() signal.Set {
	sh := t.Group.lockSig()
	defer sh.mu.Unlock()
	return t.sig.pending.Set | t.Group.state.shared.Set
}

// SignalQueue is notified whenever a signal becomes pending for the thread or its group.
func (t *Task) SignalQueue() *wait.Queue { return &t.Group.signalWait }
