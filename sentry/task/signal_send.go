package task

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/signal"
)

// SendSignal sends the thread itself a signal.
func (t *Task) SendSignal(i *linux.Siginfo) { Send(t, i) }

// Send sends a signal to one thread. The caller has checked permissions. It does nothing if the thread has
// ended. EAGAIN: too many real-time signals are queued.
func Send(t *Task, i *linux.Siginfo) linux.Errno {
	sh := t.Group.lockSig()
	defer sh.mu.Unlock()
	return t.Group.sendLocked(sh, t, i, sendOpts{})
}

// SendGroup sends a signal to a process: one of its threads takes it.
func SendGroup(g *ThreadGroup, i *linux.Siginfo) linux.Errno {
	return g.send(i, i.Code == linux.SI_KERNEL)
}

// send is SendGroup; force says that even an init process takes a SIGKILL or SIGSTOP: it comes from an
// ancestor namespace or from the kernel.
func (g *ThreadGroup) send(i *linux.Siginfo, force bool) linux.Errno {
	sh := g.lockSig()
	defer sh.mu.Unlock()
	return g.sendLocked(sh, g.mainLocked(), i, sendOpts{shared: true, force: force})
}

// mainLocked is the thread that signals to the group try first.
func (g *ThreadGroup) mainLocked() *Task {
	if len(g.tree.threads) == 0 {
		return nil
	}
	return g.tree.threads[0]
}

type sendOpts struct {
	shared bool // to the group, not to one thread
	force  bool
	timed  signal.Timed
}

// sendLocked is Linux's send_signal_locked. Called with the lock held.
func (g *ThreadGroup) sendLocked(sh *sigHandlers, t *Task, i *linux.Siginfo, o sendOpts) linux.Errno {
	if t == nil || t.sig.exiting && !o.shared || !g.prepareLocked(sh, t, i.Signo, o.force) {
		return 0
	}
	p := &t.sig.pending
	if o.shared {
		p = &g.state.shared
	}
	switch {
	case o.timed != nil:
		if !p.EnqueueTimed(i, o.timed) {
			return 0
		}
	case i.Signo == linux.SIGKILL:
		p.Set |= signal.Bit(linux.SIGKILL)
	default:
		limit := g.limits.Get(linux.RLIMIT_SIGPENDING).Cur
		ok, errno := p.Enqueue(i, &t.user.Load().sigpending, limit)
		if !ok {
			return errno
		}
	}
	g.signalWait.Notify(wait.All)
	g.completeLocked(sh, t, i.Signo, o.shared)
	return 0
}

// prepareLocked does what sending a stop signal or SIGCONT does whoever takes it, and says whether the signal
// is to be queued: Linux's prepare_signal.
func (g *ThreadGroup) prepareLocked(sh *sigHandlers, t *Task, sig int32, force bool) bool {
	st := &g.state
	switch {
	case st.exiting: // the process is dying
	case signal.Has(signal.StopSet, sig):
		cont := signal.Bit(linux.SIGCONT)
		st.shared.Flush(cont)
		for _, x := range g.tree.threads {
			x.sig.pending.Flush(cont)
		}
	case sig == linux.SIGCONT:
		g.continueLocked()
	}
	return !ignoredLocked(sh, t, sig, force)
}

// continueLocked ends a stop.
func (g *ThreadGroup) continueLocked() {
	st := &g.state
	st.shared.Flush(signal.StopSet)
	for _, x := range g.tree.threads {
		x.sig.pending.Flush(signal.StopSet)
		x.sig.stopPending = false
		if x.sig.stopped {
			x.sig.stopped = false
			x.unpark()
		}
	}
	if st.stopped || st.stopLeft > 0 {
		why := int32(linux.CLD_CONTINUED)
		if !st.stopped {
			why = linux.CLD_STOPPED // the stop was not complete yet; the parent is told that it was
		}
		st.notifyStop = why
		st.continued = st.stopped
		st.stopped, st.stopSeen, st.stopSig, st.stopLeft = false, false, 0, 0
		for _, x := range g.tree.threads {
			x.wakeLocked()
		}
	}
}

// ignoredLocked says whether sig would be dropped anyway. Blocked signals are kept: the disposition may change.
func ignoredLocked(sh *sigHandlers, t *Task, sig int32, force bool) bool {
	b := signal.Bit(sig)
	if t.sig.blocked&b != 0 || t.sig.realBlocked&b != 0 {
		return false
	}
	switch sh.actions[sig].Handler {
	case signal.Ignored:
		return true
	case signal.Default:
		if t.Group.state.unkillable && !(force && b&signal.Unblockable != 0) {
			return true
		}
		return signal.DefaultAction(sig) == signal.Ignore
	}
	return false
}

// completeLocked finds a thread that takes the signal, and starts the end of the process at once if the signal
// is fatal: Linux's complete_signal.
func (g *ThreadGroup) completeLocked(sh *sigHandlers, t *Task, sig int32, shared bool) {
	if !t.wantsLocked(sig) {
		if !shared {
			return
		}
		if t = g.otherWantsLocked(sig); t == nil {
			return // whoever unblocks it takes it
		}
	}
	st := &g.state
	act := signal.DefaultAction(sig)
	fatal := sh.actions[sig].Handler == signal.Default && act == signal.Terminate &&
		(!st.unkillable || sig == linux.SIGKILL) && !signal.Has(t.sig.realBlocked, sig)
	if fatal && !st.exiting {
		g.startExitLocked(sig)
		return
	}
	t.wakeLocked()
}

func (t *Task) wantsLocked(sig int32) bool {
	switch {
	case signal.Has(t.sig.blocked, sig), t.sig.exiting:
		return false
	case sig == linux.SIGKILL:
		return true
	case t.sig.stopped:
		return false
	}
	return t.inGuest() || !t.Interrupted()
}

func (g *ThreadGroup) otherWantsLocked(sig int32) *Task {
	th := g.tree.threads
	for range th {
		g.state.curTarget++
		if x := th[g.state.curTarget%len(th)]; x.wantsLocked(sig) {
			return x
		}
	}
	return nil
}

// startExitLocked makes every thread of the group exit; status is a wait status.
func (g *ThreadGroup) startExitLocked(status int32) {
	st := &g.state
	st.exiting, st.exitCode = true, status
	st.stopLeft, st.stopSig, st.stopped = 0, 0, false
	for _, x := range g.tree.threads {
		x.sig.stopPending = false
		x.sig.stopped = false
		x.wakeLocked()
	}
}

// force sends the thread itself a signal that it cannot block or ignore: a fault.
func (t *Task) forceSignal(i *linux.Siginfo) {
	g := t.Group
	sh := g.lockSig()
	defer sh.mu.Unlock()
	a := &sh.actions[i.Signo]
	blocked := signal.Has(t.sig.blocked, i.Signo)
	if blocked || a.Handler == signal.Ignored {
		a.Handler = signal.Default
		if blocked {
			t.sig.blocked &^= signal.Bit(i.Signo)
		}
	}
	if a.Handler == signal.Default {
		g.state.unkillable = false // not even init survives a fault
	}
	g.sendLocked(sh, t, i, sendOpts{})
	t.recalcSignals(false)
}

// forceFatal is forceSignal for a signal that no handler may take.
func (t *Task) forceFatal(sig int32) {
	sh := t.Group.lockSig()
	sh.actions[sig].Handler = signal.Default
	sh.mu.Unlock()
	i := signal.Kernel(sig)
	t.forceSignal(&i)
}

// dying says whether the thread's group is on its way out, or the thread itself has to give way to an execve.
func (t *Task) dying() bool {
	sh := t.Group.lockSig()
	defer sh.mu.Unlock()
	st := &t.Group.state
	return st.exiting || st.execer != nil && st.execer != t
}

// InfoFor makes the siginfo of kill(2) and its kin from t, in the numbers of the namespaces of target.
func (t *Task) InfoFor(target *ThreadGroup, sig, code int32) linux.Siginfo {
	tns := target.pid.Namespace()
	uid := t.Creds().RUID
	if c := target.credsForInfo(); c != nil {
		uid = cred.FromKUID(c.UserNS, uid)
	}
	return signal.User(sig, code, t.Group.pid.In(tns), uid)
}

func (g *ThreadGroup) credsForInfo() *cred.Credentials {
	if th := g.mainAny(); th != nil {
		return th.creds.Load()
	}
	return nil
}

// mainAny is a thread of the group, nil after it has been reaped.
func (g *ThreadGroup) mainAny() *Task {
	sh := g.lockSig()
	defer sh.mu.Unlock()
	return g.mainLocked()
}

// MayKill says whether t may send sig to the thread target: check_kill_permission.
func (t *Task) MayKill(target *Task, sig int32) linux.Errno {
	if t.Group == target.Group {
		return 0
	}
	c, o := t.Creds(), target.Creds()
	if c.EUID == o.SUID || c.EUID == o.RUID || c.RUID == o.SUID || c.RUID == o.RUID ||
		c.HasCapIn(o.UserNS, linux.CAP_KILL) {
		return 0
	}
	if sig == linux.SIGCONT && t.Group.Session() == target.Group.Session() {
		return 0
	}
	return linux.EPERM
}

// Kill sends sig from t to a process, as kill(2) does; sig 0 only checks.
func (t *Task) Kill(g *ThreadGroup, i *linux.Siginfo) linux.Errno {
	main := g.mainAny()
	if main == nil {
		return linux.ESRCH
	}
	if signal.FromUser(i) {
		if errno := t.MayKill(main, i.Signo); errno != 0 {
			return errno
		}
	}
	if i.Signo == 0 {
		return 0
	}
	return g.send(i, t.ancestorOf(g))
}

// ancestorOf says whether g's namespace is below t's, so that t may kill g's init.
func (t *Task) ancestorOf(g *ThreadGroup) bool {
	return t.PIDNS() != g.pid.Namespace() && t.PIDNS().Contains(g.pid.Namespace())
}

// fileTooLarge sends SIGXFSZ: a write met RLIMIT_FSIZE.
func (t *Task) fileTooLarge() {
	i := signal.User(linux.SIGXFSZ, linux.SI_USER, t.Group.PID(), t.Creds().RUID)
	Send(t, &i)
}
