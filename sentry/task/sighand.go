package task

import (
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/signal"
)

// sigHandlers are the dispositions of a thread group; CLONE_SIGHAND shares them between groups. Its lock guards
// all signal state of the groups that use it, as in Linux.
type sigHandlers struct {
	mu      rank.Mutex[rank.Sighand]
	users   atomic.Int32
	actions [linux.NSIG + 1]linux.Sigaction // by signal number
}

func newSigHandlers() *sigHandlers {
	s := &sigHandlers{}
	s.users.Store(1)
	return s
}

// lockSig takes the lock of the group's dispositions. execve(2) may replace them meanwhile.
func (g *ThreadGroup) lockSig() *sigHandlers {
	for {
		sh := g.sighand.Load()
		sh.mu.Lock()
		if g.sighand.Load() == sh {
			return sh
		}
		sh.mu.Unlock()
	}
}

// sigState is the signal state of a thread. The lock of its group's sighand guards the first group of fields;
// the rest is the thread's own.
type sigState struct {
	pending     signal.Pending
	blocked     signal.Set // written by the thread itself only, so it may read it without the lock
	realBlocked signal.Set // during rt_sigtimedwait: what blocked was
	stopPending bool       // takes part in a group stop as soon as it can
	stopped     bool
	exiting     bool

	saved    signal.Set // mask to be restored before guest code goes on, unless a handler runs
	hasSaved bool
	alt      signal.AltStack
}

// recalc sets or clears the thread's work bit. Called with the lock held; only the thread itself may clear it.
func (t *Task) recalcSignals(mayClear bool) {
	s, g := &t.sig, t.Group
	if (s.pending.Set|g.state.shared.Set)&^s.blocked != 0 || s.stopPending || s.stopped || g.state.notifyStop != 0 ||
		g.state.exiting || g.state.execer != nil && g.state.execer != t {
		t.run.work.Or(workSignal)
	} else if mayClear {
		t.run.work.And(^workSignal)
	}
}

// wakeLocked makes t look at its signals. Called with the lock held.
func (t *Task) wakeLocked() {
	t.run.work.Or(workSignal)
	t.kick()
}

// SigAction changes (act != nil) and returns the disposition of sig.
func (t *Task) SigAction(sig int32, act *linux.Sigaction) (old linux.Sigaction, errno linux.Errno) {
	if !signal.Valid(sig) || act != nil && signal.Has(signal.Unblockable, sig) {
		return old, linux.EINVAL
	}
	g := t.Group
	sh := g.lockSig()
	defer sh.mu.Unlock()
	old = sh.actions[sig]
	if act == nil {
		return old, 0
	}
	a := *act
	a.Mask &^= signal.Unblockable
	a.Flags &= knownSAFlags
	sh.actions[sig] = a
	// POSIX: setting a signal to be ignored drops pending ones, blocked or not.
	if a.Handler == signal.Ignored ||
		a.Handler == signal.Default && signal.DefaultAction(sig) == signal.Ignore {
		g.state.shared.Flush(signal.Bit(sig))
		for _, x := range g.tree.threads {
			x.sig.pending.Flush(signal.Bit(sig))
		}
	}
	return old, 0
}

// knownSAFlags are UAPI_SA_FLAGS of x86; unknown ones are cleared, so that programs can probe.
const knownSAFlags = linux.SA_NOCLDSTOP | linux.SA_NOCLDWAIT | linux.SA_SIGINFO | linux.SA_ONSTACK |
	linux.SA_RESTART | linux.SA_NODEFER | linux.SA_RESETHAND | linux.SA_RESTORER | saExposeTagbits

const saExposeTagbits = 0x800

// SigMask is the set of blocked signals.
func (t *Task) SigMask() signal.Set { return t.sig.blocked }

// SetSigMask changes it. SIGKILL and SIGSTOP are never in it.
func (t *Task) SetSigMask(mask signal.Set) {
	mask &^= signal.Unblockable
	if mask == t.sig.blocked {
		return
	}
	sh := t.Group.lockSig()
	t.setMaskLocked(mask)
	sh.mu.Unlock()
}

// setMaskLocked hands shared signals that the thread will no longer take to its siblings.
func (t *Task) setMaskLocked(mask signal.Set) {
	g := t.Group
	if newly := mask &^ t.sig.blocked & g.state.shared.Set; newly != 0 && t.Interrupted() {
		t.retargetLocked(newly)
	}
	t.sig.blocked = mask
	t.recalcSignals(true)
}

// retargetLocked wakes siblings for the shared signals in set.
func (t *Task) retargetLocked(set signal.Set) {
	for _, x := range t.Group.tree.threads {
		if x == t || x.sig.exiting || set&^x.sig.blocked == 0 {
			continue
		}
		set &= x.sig.blocked
		if !x.Interrupted() {
			x.wakeLocked()
		}
		if set == 0 {
			return
		}
	}
}

// SigProcMask implements rt_sigprocmask(2): set is nil when only the old mask is asked for.
func (t *Task) SigProcMask(how int32, set *signal.Set) (signal.Set, linux.Errno) {
	old := t.sig.blocked
	if set == nil {
		return old, 0
	}
	mask := *set &^ signal.Unblockable
	switch how {
	case linux.SIG_BLOCK:
		mask |= old
	case linux.SIG_UNBLOCK:
		mask = old &^ mask
	case linux.SIG_SETMASK:
	default:
		return old, linux.EINVAL
	}
	t.SetSigMask(mask)
	return old, 0
}

// SetTempMask installs a mask for the length of one system call: ppoll, pselect, epoll_pwait, sigsuspend. The
// old one comes back when the call ends; if it ends with EINTR or ERESTARTNOHAND, after the handlers.
func (t *Task) SetTempMask(mask signal.Set) {
	t.sig.saved, t.sig.hasSaved = t.sig.blocked, true
	t.run.work.Or(workResume)
	t.SetSigMask(mask)
}

// SigPending is the set of signals that are blocked and pending (sigpending(2)).
func (t *Task) SigPending() signal.Set {
	sh := t.Group.lockSig()
	defer sh.mu.Unlock()
	return (t.sig.pending.Set | t.Group.state.shared.Set) & t.sig.blocked
}

// SigSuspend implements rt_sigsuspend(2).
func (t *Task) SigSuspend(mask signal.Set) linux.Errno {
	t.SetTempMask(mask)
	for t.Park(noDeadline) == 0 {
	}
	return linux.ERESTARTNOHAND
}

// AltStack is the thread's alternate signal stack.
func (t *Task) AltStack() *signal.AltStack { return &t.sig.alt }

// MinSigStack is the smallest alternate stack: MINSIGSTKSZ. (AT_MINSIGSTKSZ says what a frame really takes.)
const MinSigStack = 2048

// SigInfo is the signal state of a thread for /proc/pid/status.
type SigInfo struct {
	Pending, Shared, Blocked, Ignored, Caught signal.Set
	Queued                                    int64
	Limit                                     uint64
}

// SigInfo describes the thread's signals.
func (t *Task) SigInfo() SigInfo {
	g := t.Group
	sh := g.lockSig()
	defer sh.mu.Unlock()
	s := SigInfo{Pending: t.sig.pending.Set, Shared: g.state.shared.Set, Blocked: t.sig.blocked,
		Queued: t.user.Load().sigpending.Load(), Limit: g.limits.Get(linux.RLIMIT_SIGPENDING).Cur}
	for n := int32(1); n <= linux.NSIG; n++ {
		switch sh.actions[n].Handler {
		case signal.Default:
		case signal.Ignored:
			s.Ignored |= signal.Bit(n)
		default:
			s.Caught |= signal.Bit(n)
		}
	}
	return s
}
