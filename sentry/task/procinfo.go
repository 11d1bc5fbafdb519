package task

// What only proc asks.

// State is the thread's state letter, as in /proc/pid/stat: R, S, D, T, Z or X.
func (t *Task) State() byte {
	g := t.Group
	sh := g.lockSig()
	stopped, exiting := g.state.stopped, t.sig.exiting
	sh.mu.Unlock()
	switch {
	case exiting && t.Leader():
		return 'Z'
	case exiting:
		return 'X'
	case stopped:
		return 'T'
	}
	switch t.park.asleep.Load() {
	case 0:
		return 'R'
	case 2:
		return 'D'
	}
	return 'S'
}

// ExitSignal is the signal that the parent gets when the process ends.
func (g *ThreadGroup) ExitSignal() int32 {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return g.tree.exitSignal
}

// PGID is the process group's number in n, 0 if it has none there.
func (g *ThreadGroup) PGID(n *PIDNamespace) int32 {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	if g.tree.pgrp == nil {
		return 0
	}
	return g.tree.pgrp.pid.In(n)
}

// SID is the session's number in n, 0 if it has none there.
func (g *ThreadGroup) SID(n *PIDNamespace) int32 {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	if g.tree.pgrp == nil {
		return 0
	}
	return g.tree.pgrp.session.pid.In(n)
}

// Auxv is the program's auxiliary vector.
func (g *ThreadGroup) Auxv() []byte {
	if p := g.mem.auxv.Load(); p != nil {
		return *p
	}
	return nil
}
