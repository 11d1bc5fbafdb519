package task

import (
	"hornwork/linux"
)

// ProcessGroup is a process group; Kernel.tasks guards members.
type ProcessGroup struct {
	pid     *PID
	session *Session
	members map[*ThreadGroup]struct{}
}

// Session is a session; Kernel.tasks guards the fields.
type Session struct {
	pid     *PID
	leader  *ThreadGroup // nil after it has exited
	groups  map[*ProcessGroup]struct{}
	tty     Terminal
	ttyPgrp *ProcessGroup // the terminal's foreground group
}

// PID is the group's identity: that of the process that made it.
func (p *ProcessGroup) PID() *PID { return p.pid }

// Session is the session that the group is in.
func (p *ProcessGroup) Session() *Session { return p.session }

// PID is the session's identity.
func (s *Session) PID() *PID { return s.pid }

// joinPgrp moves g into p. Called with Kernel.tasks held.
func (g *ThreadGroup) joinPgrp(p *ProcessGroup) {
	g.leavePgrp()
	p.members[g] = struct{}{}
	g.tree.pgrp = p
}

// leavePgrp is called with Kernel.tasks held.
func (g *ThreadGroup) leavePgrp() {
	p := g.tree.pgrp
	if p == nil {
		return
	}
	g.tree.pgrp = nil
	delete(p.members, g)
	if len(p.members) > 0 {
		return
	}
	s := p.session
	delete(s.groups, p)
	p.pid.pgrp = nil
	p.pid.release()
	if s.ttyPgrp == p {
		s.ttyPgrp = nil
	}
	if len(s.groups) == 0 {
		s.pid.sess = nil
		s.pid.release()
	}
}

// newPgrp makes a process group named after g in s. Called with Kernel.tasks held.
func (g *ThreadGroup) newPgrp(s *Session) *ProcessGroup {
	p := &ProcessGroup{pid: g.pid, session: s, members: map[*ThreadGroup]struct{}{}}
	s.groups[p] = struct{}{}
	g.pid.pgrp = p
	return p
}

// newSession makes a session led by g, with a group of its own. Called with Kernel.tasks held.
func (g *ThreadGroup) newSession() *Session {
	s := &Session{pid: g.pid, leader: g, groups: map[*ProcessGroup]struct{}{}}
	g.pid.sess = s
	g.joinPgrp(g.newPgrp(s))
	return s
}

// SetSID implements setsid(2): the result is the session's number.
func (t *Task) SetSID() (int32, linux.Errno) {
	g := t.Group
	k := g.kernel
	k.tasks.Lock()
	defer k.tasks.Unlock()
	if g.tree.pgrp.session.leader == g || g.pid.pgrp != nil {
		return 0, linux.EPERM
	}
	g.newSession()
	return g.pid.Number(), 0
}

// SetPGID implements setpgid(2); numbers are those of t's PID namespace, 0 means t's own or pid's.
func (t *Task) SetPGID(pid, pgid int32) linux.Errno {
	me, n := t.Group, t.PIDNS()
	if pid == 0 {
		pid = me.PID()
	}
	if pgid == 0 {
		pgid = pid
	}
	if pgid < 0 {
		return linux.EINVAL
	}
	k := me.kernel
	k.tasks.Lock()
	defer k.tasks.Unlock()
	g := n.groupLocked(pid)
	if g == nil {
		if n.taskLocked(pid) != nil {
			return linux.EINVAL // a thread, not a process
		}
		return linux.ESRCH
	}
	s := me.tree.pgrp.session
	switch {
	case g.tree.parent == me && g.tree.parent != nil && g != me:
		if g.tree.pgrp == nil || g.tree.pgrp.session != s {
			return linux.EPERM
		}
		if g.tree.execed {
			return linux.EACCES
		}
	case g != me:
		return linux.ESRCH
	}
	if g.tree.pgrp == nil {
		return linux.ESRCH
	}
	if g.tree.pgrp.session.leader == g {
		return linux.EPERM
	}
	p := g.pid.pgrp
	if pgid != pid {
		p = nil
		if id := n.pids[pgid]; id != nil {
			p = id.pgrp
		}
		if p == nil || p.session != s {
			return linux.EPERM
		}
	}
	if p == nil {
		p = g.newPgrp(s)
	}
	if g.tree.pgrp != p {
		g.joinPgrp(p)
	}
	return 0
}

// SendPgrp sends a signal to every member of a process group. The result is 0 if anyone got it.
func SendPgrp(p *ProcessGroup, i *linux.Siginfo) linux.Errno {
	errno := linux.ESRCH
	for _, g := range p.Members() {
		if e := SendGroup(g, i); e == 0 || errno == linux.ESRCH {
			errno = e
		}
	}
	return errno
}

// Members returns the processes of the group.
func (p *ProcessGroup) Members() []*ThreadGroup {
	k := p.pid.numbers[0].ns.kernel
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	out := make([]*ThreadGroup, 0, len(p.members))
	for g := range p.members {
		out = append(out, g)
	}
	return out
}
