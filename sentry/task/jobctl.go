package task

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/signal"
)

// startStopLocked begins a group stop: every thread takes part on its way to guest code.
func (t *Task) startStopLocked(sig int32) {
	g := t.Group
	st := &g.state
	if !st.stopped {
		st.stopSig = sig
	}
	st.stopLeft = 0
	for _, x := range g.tree.threads {
		if x.sig.exiting || x.sig.stopped {
			continue
		}
		x.sig.stopPending = true
		st.stopLeft++
		if x != t {
			x.wakeLocked()
		}
	}
	t.run.work.Or(workSignal)
}

// joinStop stops the thread, if that is still wanted, until it is continued or killed. With the tree locked nobody
// can wait for the stop before the parent has its SIGCHLD.
func (t *Task) joinStop() {
	g, k := t.Group, t.kernel
	k.tasks.RLock()
	sh := g.lockSig()
	if !t.sig.stopPending {
		sh.mu.Unlock()
		k.tasks.RUnlock()
		return
	}
	t.sig.stopPending = false
	t.sig.stopped = true
	told := g.stopOneLocked()
	sh.mu.Unlock()
	if told {
		g.notifyStoppedLocked(linux.CLD_STOPPED)
	}
	k.tasks.RUnlock()
	t.park.asleep.Store(3)
	defer t.park.asleep.Store(0)
	for {
		sh := g.lockSig()
		on := t.sig.stopped
		sh.mu.Unlock()
		if !on {
			return
		}
		<-t.park.wake
	}
}

// stopOneLocked counts one thread less that has to stop, and says whether it was the last.
func (g *ThreadGroup) stopOneLocked() bool {
	st := &g.state
	if st.stopLeft > 0 {
		st.stopLeft--
	}
	if st.stopLeft == 0 && !st.stopped && st.stopSig != 0 {
		st.stopped, st.stopSeen, st.continued = true, false, false
		return true
	}
	return false
}

// notifyStopped tells the parent that the process has stopped or continued.
func (g *ThreadGroup) notifyStopped(why int32) {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	g.notifyStoppedLocked(why)
}

// notifyStoppedLocked is called with Kernel.tasks held.
func (g *ThreadGroup) notifyStoppedLocked(why int32) {
	p := g.tree.parent
	if p == nil {
		return
	}
	status := int32(linux.SIGCONT)
	sh := g.lockSig()
	if why == linux.CLD_STOPPED {
		status = g.state.stopSig
		if status == 0 {
			status = linux.SIGSTOP
		}
	}
	sh.mu.Unlock()
	utime, stime := g.cpuTimes()
	info := signal.Child(linux.SIGCHLD, why, g.pid.In(p.pid.Namespace()), g.uidFor(p), status,
		utime/nsPerTick, stime/nsPerTick)
	psh := p.lockSig()
	if a := &psh.actions[linux.SIGCHLD]; a.Handler != signal.Ignored && a.Flags&linux.SA_NOCLDSTOP == 0 {
		p.sendLocked(psh, p.mainLocked(), &info, sendOpts{shared: true})
	}
	psh.mu.Unlock()
	p.childWait.Notify(wait.All)
}

// orphaned says whether the process group is orphaned: no member has a parent in another group of the same
// session. Its stop signals from the terminal do nothing.
func (g *ThreadGroup) orphaned() bool {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return g.tree.pgrp == nil || g.tree.pgrp.orphanedLocked(nil)
}

// orphanedLocked looks at the group without the process except. Called with Kernel.tasks held.
func (p *ProcessGroup) orphanedLocked(except *ThreadGroup) bool {
	for m := range p.members {
		if m == except || m.tree.zombie || m.tree.parent == nil {
			continue
		}
		pp := m.tree.parent.tree.pgrp
		if pp != nil && pp != p && pp.session == p.session {
			return false
		}
	}
	return true
}

// hangUpIfOrphaned sends SIGHUP and SIGCONT to a group that has just become orphaned with a stopped member:
// kill_orphaned_pgrp. g is the process that goes; parent is its parent, or nil if a parent exits and g stays.
// Called with Kernel.tasks held.
func (g *ThreadGroup) hangUpIfOrphaned(parent *ThreadGroup, exits bool) {
	except := g
	if parent == nil {
		return
	}
	if !exits {
		except = nil
	}
	p := g.tree.pgrp
	if p == nil || parent.tree.pgrp == p || parent.tree.pgrp == nil || parent.tree.pgrp.session != p.session {
		return
	}
	if !p.orphanedLocked(except) || !p.hasStoppedLocked() {
		return
	}
	for _, sig := range []int32{linux.SIGHUP, linux.SIGCONT} {
		info := signal.Kernel(sig)
		for m := range p.members {
			SendGroup(m, &info)
		}
	}
}

func (p *ProcessGroup) hasStoppedLocked() bool {
	for m := range p.members {
		sh := m.lockSig()
		stopped := m.state.stopped
		sh.mu.Unlock()
		if stopped {
			return true
		}
	}
	return false
}
