package task

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/signal"
)

// WaitOpts is what wait4(2) and waitid(2) wait for.
type WaitOpts struct {
	PID      *PID          // only this process; with Pgrp nil
	Pgrp     *ProcessGroup // only members of this group
	None     bool          // a process or group that does not exist: ECHILD
	NonBlock bool          // a pidfd with PIDFD_NONBLOCK: EAGAIN instead of waiting
	Options  uint32        // WEXITED, WSTOPPED, WCONTINUED, WNOHANG, WNOWAIT, __WALL, __WCLONE, __WNOTHREAD
}

// WaitResult is what has happened to a child. PID is 0 if WNOHANG found nothing.
type WaitResult struct {
	PID    int32
	Status int32  // as wait4(2) has it
	Code   int32  // si_code
	Value  int32  // si_status
	UID    uint32 // si_uid
	Rusage linux.Rusage
}

// Info is the result as waitid(2) has it.
func (r *WaitResult) Info() linux.Siginfo {
	return signal.Child(linux.SIGCHLD, r.Code, r.PID, r.UID, r.Value, 0, 0)
}

const (
	waitStopStatus = 0x7f
	waitContStatus = 0xffff
)

// Wait waits for a child to change state. ECHILD: there is no child that could; ERESTARTSYS when interrupted.
func Wait(t *Task, o *WaitOpts) (WaitResult, linux.Errno) {
	var r WaitResult
	var errno linux.Errno
	look := func() bool {
		r, errno = t.lookAtChildren(o)
		return r.PID != 0 || errno != 0
	}
	if look() || o.Options&linux.WNOHANG != 0 {
		return r, errno
	}
	if o.NonBlock {
		return r, linux.EAGAIN
	}
	if e := t.Block(&t.Group.childWait, wait.All, noDeadline, look); e != 0 {
		return WaitResult{}, e
	}
	return r, errno
}

// lookAtChildren goes over the children once.
func (t *Task) lookAtChildren(o *WaitOpts) (WaitResult, linux.Errno) {
	g, k := t.Group, t.kernel
	k.tasks.Lock()
	defer k.tasks.Unlock()
	found := false
	for c := g.tree.children.head; c != nil; c = c.tree.next {
		if o.None || !o.matches(t, c) {
			continue
		}
		if c.tree.zombie && o.Options&linux.WEXITED == 0 {
			continue // nothing more can happen to it
		}
		found = true
		if r, ok := t.takeChild(c, o); ok {
			return r, 0
		}
	}
	if !found {
		return WaitResult{}, linux.ECHILD
	}
	return WaitResult{}, 0
}

func (o *WaitOpts) matches(t *Task, c *ThreadGroup) bool {
	switch {
	case o.PID != nil && c.pid != o.PID,
		o.Pgrp != nil && c.tree.pgrp != o.Pgrp,
		o.Options&linux.WNOTHREAD != 0 && c.tree.parentThread != t:
		return false
	}
	clone := c.tree.exitSignal != linux.SIGCHLD
	return o.Options&linux.WALL != 0 || clone == (o.Options&linux.WCLONE != 0)
}

// takeChild reports what has happened to c, if anything. Called with Kernel.tasks held.
func (t *Task) takeChild(c *ThreadGroup, o *WaitOpts) (WaitResult, bool) {
	keep := o.Options&linux.WNOWAIT != 0
	r := WaitResult{PID: c.pid.In(t.PIDNS()), UID: c.uidFor(t.Group)}
	if c.tree.zombie {
		r.Status = c.state.exitCode
		r.Code, r.Value = decodeStatus(r.Status)
		r.Rusage = c.rusageBoth()
		if !keep {
			c.reapLocked()
		}
		return r, true
	}
	sh := c.lockSig()
	st := &c.state
	switch {
	case st.stopped && !st.stopSeen && o.Options&linux.WSTOPPED != 0:
		st.stopSeen = !keep
		r.Status = st.stopSig<<8 | waitStopStatus
		r.Code, r.Value = linux.CLD_STOPPED, st.stopSig
	case st.continued && o.Options&linux.WCONTINUED != 0:
		st.continued = keep
		r.Status = waitContStatus
		r.Code, r.Value = linux.CLD_CONTINUED, linux.SIGCONT
	default:
		sh.mu.Unlock()
		return WaitResult{}, false
	}
	sh.mu.Unlock()
	r.Rusage = c.rusageBoth()
	return r, true
}
