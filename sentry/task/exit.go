package task

import (
	"encoding/binary"
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/signal"
)

var (
	le           = binary.LittleEndian
	deadlineZero time.Time
)

// exitState is the end of a thread. Its own goroutine's, except vfork.
type exitState struct {
	asked  bool
	code   int32 // wait status of this thread
	setTID uint64
	vfork  *vforkWait // the parent that waits for this task to leave its address space
}

// vforkWait is what a vfork(2)ing parent sleeps on.
type vforkWait struct {
	queue wait.Queue
	done  chan struct{}
}

func (v *vforkWait) finish() {
	close(v.done)
	v.queue.Notify(wait.All)
}

func (v *vforkWait) finished() bool {
	select {
	case <-v.done:
		return true
	default:
		return false
	}
}

// ExitThread makes the calling thread exit with a code (exit(2)); the handler then returns ControlExit.
func (t *Task) ExitThread(code int32) Control {
	t.exit.asked, t.exit.code = true, code&0xff<<8
	t.run.work.Or(workResume)
	return ControlExit
}

// ExitGroup makes the whole process exit with a code (exit_group(2)).
func (t *Task) ExitGroup(code int32) Control {
	g := t.Group
	sh := g.lockSig()
	if !g.state.exiting && g.state.execer == nil {
		g.startExitLocked(code & 0xff << 8)
	}
	sh.mu.Unlock()
	t.exit.asked, t.exit.code = true, code&0xff<<8
	t.run.work.Or(workResume)
	return ControlExit
}

// end is Linux's do_exit: the goroutine's last act.
func (t *Task) end() {
	g := t.Group
	last := t.beginExit()
	if trace := t.kernel.TraceExit; trace != nil {
		trace(t, t.exit.code)
	}
	t.exitMemory()
	if f := t.files.Swap(nil); f != nil {
		t.releaseFiles(f)
	}
	t.misc.undo.release(t.Group.PID())
	t.releaseCaller()
	t.fs.Load().release()
	t.nsp.Swap(nil).release()
	if last {
		g.timer.stopAll()
		if f := g.mem.exe.Swap(nil); f != nil {
			f.Put()
		}
		t.loseTerminal()
	}
	g.times.addThread(t)
	t.notifyExit(last)
}

// beginExit takes the thread out of signal delivery and says whether it is the last of its group.
func (t *Task) beginExit() bool {
	g := t.Group
	sh := g.lockSig()
	st := &g.state
	if st.exiting {
		t.exit.code = st.exitCode
	}
	t.sig.exiting = true
	st.live--
	last := st.live == 0
	if last && !st.exiting {
		st.exiting, st.exitCode = true, t.exit.code
	}
	told := false
	if t.sig.stopPending {
		t.sig.stopPending = false
		told = g.stopOneLocked()
	}
	if !last {
		t.retargetLocked(g.state.shared.Set &^ t.sig.blocked)
	}
	sh.mu.Unlock()
	if told {
		g.notifyStopped(linux.CLD_STOPPED)
	}
	return last
}

// exitMemory leaves the address space: robust futexes, the thread's TID word, the vfork parent.
func (t *Task) exitMemory() {
	as := t.MM()
	t.walkRobustList(as)
	t.exitPI()
	if addr := t.misc.clearTID; addr != 0 {
		t.misc.clearTID = 0
		var zero [4]byte
		if _, errno := as.CopyOut(addr, zero[:]); errno == 0 {
			t.futexWakeAddr(as, addr, 1)
		}
	}
	t.dropThread()
	t.mm.Store(nil)
	if v := t.exit.vfork; v != nil {
		t.exit.vfork = nil
		defer v.finish()
	}
	as.Put()
}

// dropThread releases the platform's thread and keeps its CPU time.
func (t *Task) dropThread() {
	t.run.mu.Lock()
	th := t.run.thread
	t.run.thread = nil
	if th != nil {
		t.run.cpuDone += th.CPUTime()
	}
	t.run.mu.Unlock()
	if th != nil {
		th.Release()
	}
}

// notifyExit is Linux's exit_notify: children get a new parent, the own parent is told, and what nobody waits
// for is released.
func (t *Task) notifyExit(last bool) {
	g, k := t.Group, t.kernel
	if last && g.isInit() {
		g.killNamespace(t)
	}
	k.tasks.Lock()
	defer k.tasks.Unlock()
	t.reparentChildren(last)
	leader := g.tree.leader == t
	if leader {
		// It stays in the list of threads, so that the process keeps its number, until the last has gone.
		g.tree.leaderDone = true
	} else {
		g.removeThread(t)
		k.release(t)
	}
	g.exitWait.Notify(wait.All)
	if len(g.tree.threads) == 1 && g.tree.leaderDone {
		g.becomeZombie()
	}
}

// removeThread is called with Kernel.tasks held.
func (g *ThreadGroup) removeThread(t *Task) {
	sh := g.lockSig()
	defer sh.mu.Unlock()
	for i, x := range g.tree.threads {
		if x == t {
			th := make([]*Task, 0, len(g.tree.threads)-1)
			g.tree.threads = append(append(th, g.tree.threads[:i]...), g.tree.threads[i+1:]...)
			break
		}
	}
	t.sig.pending.Flush(^signal.Set(0))
}

// release takes a thread's number back. Called with Kernel.tasks held.
func (k *Kernel) release(t *Task) {
	p := t.pid.Load()
	if p.task == t {
		p.task = nil
		p.release()
	}
	k.users.leave(t.user.Load())
	k.threads.Add(-1)
	k.hostThreads.Add(-int64(t.hostThreads))
}

// becomeZombie tells the parent, or releases the process if it wants no zombies. Called with Kernel.tasks held.
func (g *ThreadGroup) becomeZombie() {
	if g.tree.zombie {
		return
	}
	g.tree.zombie = true
	p := g.tree.parent
	g.hangUpIfOrphaned(p, true)
	g.tellReapers()
	if n := g.pid.Namespace(); n.init == g {
		n.dead, n.init = true, nil
	}
	if p == nil && g.isInit() && g.pid.Namespace().Parent == nil {
		g.kernel.finish(g)
		return
	}
	reap := p == nil || p.notifyChildExit(g)
	g.pid.state.Store(pidZombie)
	g.pid.exits.Notify(wait.All)
	if reap {
		g.reapLocked()
	}
	if p != nil {
		p.childWait.Notify(wait.All)
	}
}

// notifyChildExit sends the exit signal of g and says whether g is to be released without being waited for.
// Called with Kernel.tasks held.
func (p *ThreadGroup) notifyChildExit(g *ThreadGroup) (reap bool) {
	sig := g.tree.exitSignal
	sh := p.lockSig()
	defer sh.mu.Unlock()
	if sig == linux.SIGCHLD {
		a := &sh.actions[sig]
		switch {
		case a.Handler == signal.Ignored:
			return true // without a signal
		case a.Flags&linux.SA_NOCLDWAIT != 0:
			reap = true
		}
	}
	if signal.Valid(sig) { // clone(2) takes any number up to 255
		info := g.exitInfo(p, sig)
		p.sendLocked(sh, p.mainLocked(), &info, sendOpts{shared: true})
	}
	return reap
}

// exitInfo is the siginfo of g's end for p.
func (g *ThreadGroup) exitInfo(p *ThreadGroup, sig int32) linux.Siginfo {
	code, status := decodeStatus(g.state.exitCode)
	u, s := g.cpuTimes()
	return signal.Child(sig, code, g.pid.In(p.pid.Namespace()), g.uidFor(p), status, u/nsPerTick, s/nsPerTick)
}

// decodeStatus turns a wait status into si_code and si_status.
func decodeStatus(ws int32) (code, status int32) {
	switch {
	case ws&0x7f == 0:
		return linux.CLD_EXITED, ws >> 8 & 0xff
	case ws&coreDumped != 0:
		return linux.CLD_DUMPED, ws & 0x7f
	}
	return linux.CLD_KILLED, ws & 0x7f
}

// reapLocked releases a zombie for good. Called with Kernel.tasks held.
func (g *ThreadGroup) reapLocked() {
	if g.tree.reaped {
		return
	}
	g.tree.reaped = true
	t := g.tree.leader
	if p := g.tree.parent; p != nil {
		p.tree.children.remove(g)
		p.times.addChild(g)
	}
	g.removeThread(t)
	sh := g.lockSig()
	g.state.shared.Flush(^signal.Set(0))
	sh.mu.Unlock()
	g.leavePgrp()
	if s := g.pid.sess; s != nil && s.leader == g {
		s.leader = nil
	}
	g.pid.group = nil
	g.pid.state.Store(pidGone)
	g.kernel.release(t)
	g.pid.exits.Notify(wait.All)
	g.tellReapers()
}

// finish ends the sandbox: its first process is gone. Called with Kernel.tasks held.
func (k *Kernel) finish(g *ThreadGroup) {
	k.initCode = g.state.exitCode
	g.reapLocked()
	go func() {
		k.running.Wait()
		close(k.initDone)
	}()
}
