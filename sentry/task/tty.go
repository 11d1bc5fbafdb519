package task

import (
	"hornwork/linux"
	"hornwork/sentry/signal"
)

// Terminal is a controlling terminal.
type Terminal = signal.Terminal

var (
	_ signal.JobControl      = (*Task)(nil)
	_ signal.TerminalSession = (*Session)(nil)
)

// ControllingTerminal implements signal.JobControl.
func (t *Task) ControllingTerminal() Terminal {
	k := t.kernel
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return t.Group.tree.pgrp.session.tty
}

// SetControllingTerminal implements signal.JobControl.
func (t *Task) SetControllingTerminal(tty Terminal, steal, quiet bool) linux.Errno {
	k, g := t.kernel, t.Group
	k.tasks.Lock()
	defer k.tasks.Unlock()
	s := g.tree.pgrp.session
	if s.leader == g && s.tty == tty {
		return 0
	}
	refused := linux.EPERM
	if quiet {
		refused = 0
	}
	if s.leader != g || s.tty != nil {
		return refused
	}
	if other, _ := tty.ControlledSession().(*Session); other != nil {
		if !steal || quiet || !t.Creds().HasCap(linux.CAP_SYS_ADMIN) {
			return refused
		}
		other.tty, other.ttyPgrp = nil, nil
	}
	s.tty, s.ttyPgrp = tty, g.tree.pgrp
	tty.SetControlledSession(s)
	return 0
}

// DropControllingTerminal implements signal.JobControl.
func (t *Task) DropControllingTerminal(tty Terminal) linux.Errno {
	k, g := t.kernel, t.Group
	k.tasks.Lock()
	s := g.tree.pgrp.session
	if s.tty == nil || s.tty != tty {
		k.tasks.Unlock()
		return linux.ENOTTY
	}
	if s.leader != g {
		// Linux lets a process other than the leader give up the terminal for itself alone. Sessions here have one
		// terminal for all; giving it up is left to the leader.
		k.tasks.Unlock()
		return 0
	}
	fg := s.loseTTYLocked()
	k.tasks.Unlock()
	fg.signalAll(linux.SIGHUP, linux.SIGCONT)
	return 0
}

// loseTTYLocked separates session and terminal, and returns the foreground group. Called with Kernel.tasks held.
func (s *Session) loseTTYLocked() *ProcessGroup {
	fg := s.ttyPgrp
	if s.tty != nil {
		s.tty.SetControlledSession(nil)
	}
	s.tty, s.ttyPgrp = nil, nil
	return fg
}

func (p *ProcessGroup) signalAll(sigs ...int32) {
	if p == nil {
		return
	}
	for _, sig := range sigs {
		i := signal.Kernel(sig)
		SendPgrp(p, &i)
	}
}

// loseTerminal is disassociate_ctty at the exit of a session's leader: the foreground group hears of it, the
// terminal hangs up.
func (t *Task) loseTerminal() {
	k, g := t.kernel, t.Group
	k.tasks.Lock()
	s := g.tree.pgrp.session
	if s.leader != g || s.tty == nil {
		k.tasks.Unlock()
		return
	}
	tty := s.tty
	fg := s.loseTTYLocked()
	k.tasks.Unlock()
	tty.Hangup()
	fg.signalAll(linux.SIGHUP)
}

// SignalForeground implements signal.TerminalSession.
func (s *Session) SignalForeground(sig int32) {
	k := s.kernel()
	k.tasks.RLock()
	fg := s.ttyPgrp
	k.tasks.RUnlock()
	fg.signalAll(sig)
}

// HungUp implements signal.TerminalSession.
func (s *Session) HungUp() {
	k := s.kernel()
	k.tasks.Lock()
	s.loseTTYLocked()
	leader := s.leader
	k.tasks.Unlock()
	for _, sig := range []int32{linux.SIGHUP, linux.SIGCONT} {
		i := signal.Kernel(sig)
		if leader != nil {
			SendGroup(leader, &i)
		}
	}
}

func (s *Session) kernel() *Kernel { return s.pid.numbers[0].ns.kernel }

// MayRead implements signal.JobControl.
func (t *Task) MayRead(tty Terminal) linux.Errno { return t.background(tty, linux.SIGTTIN) }

// MayWrite implements signal.JobControl.
func (t *Task) MayWrite(tty Terminal) linux.Errno { return t.background(tty, linux.SIGTTOU) }

// background is __tty_check_change: a process outside the foreground group gets sig.
func (t *Task) background(tty Terminal, sig int32) linux.Errno {
	k, g := t.kernel, t.Group
	k.tasks.RLock()
	s, p := g.tree.pgrp.session, g.tree.pgrp
	fg := s.ttyPgrp
	foreign := s.tty != tty
	orphaned := !foreign && fg != nil && fg != p && p.orphanedLocked(nil)
	k.tasks.RUnlock()
	if foreign || fg == nil || fg == p {
		return 0
	}
	sh := g.lockSig()
	ignored := signal.Has(t.sig.blocked, sig) || sh.actions[sig].Handler == signal.Ignored
	sh.mu.Unlock()
	switch {
	case ignored && sig == linux.SIGTTIN:
		return linux.EIO
	case ignored:
		return 0
	case orphaned:
		return linux.EIO
	}
	p.signalAll(sig)
	return linux.ERESTARTSYS
}

// ForegroundGroup implements signal.JobControl.
func (t *Task) ForegroundGroup(tty Terminal, any bool) (int32, linux.Errno) {
	k := t.kernel
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	s, ok := t.sessionOf(tty, any)
	if !ok {
		return 0, linux.ENOTTY
	}
	if s == nil || s.ttyPgrp == nil {
		return 0, 0
	}
	return s.ttyPgrp.pid.In(t.PIDNS()), 0
}

// TerminalSession implements signal.JobControl.
func (t *Task) TerminalSession(tty Terminal, any bool) (int32, linux.Errno) {
	k := t.kernel
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	s, ok := t.sessionOf(tty, any)
	if !ok || s == nil {
		return 0, linux.ENOTTY
	}
	return s.pid.In(t.PIDNS()), 0
}

// sessionOf is the session that tty controls. ok is false if that must be the caller's and is not.
func (t *Task) sessionOf(tty Terminal, any bool) (s *Session, ok bool) {
	s, _ = tty.ControlledSession().(*Session)
	return s, any || s != nil && s == t.Group.tree.pgrp.session
}

// SetForegroundGroup implements signal.JobControl.
func (t *Task) SetForegroundGroup(tty Terminal, pgid int32) linux.Errno {
	if errno := t.MayWrite(tty); errno != 0 {
		return errno
	}
	k := t.kernel
	k.tasks.Lock()
	defer k.tasks.Unlock()
	s := t.Group.tree.pgrp.session
	if s.tty != tty {
		return linux.ENOTTY
	}
	if pgid < 0 {
		return linux.EINVAL
	}
	id := t.PIDNS().pids[pgid]
	if id == nil || id.pgrp == nil {
		return linux.ESRCH
	}
	if id.pgrp.session != s {
		return linux.EPERM
	}
	s.ttyPgrp = id.pgrp
	return 0
}

// TTYOf is the controlling terminal of a process and its foreground group in n (tty_nr and tpgid of
// /proc/pid/stat).
func (g *ThreadGroup) TTYOf(n *PIDNamespace) (tty Terminal, foreground int32) {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	if g.tree.pgrp == nil {
		return nil, -1
	}
	s := g.tree.pgrp.session
	if s.tty == nil || s.ttyPgrp == nil {
		return s.tty, -1
	}
	return s.tty, s.ttyPgrp.pid.In(n)
}
