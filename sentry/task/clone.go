package task

import (
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/cred"
	"hornwork/sentry/mm"
	"hornwork/sentry/ns"
	"hornwork/sentry/signal"
	"hornwork/sentry/timer"
)

// checkCloneFlags refuses combinations in copy_process's order.
func (t *Task) checkCloneFlags(a *linux.CloneArgs) linux.Errno {
	f := a.Flags
	has := func(bits uint64) bool { return f&bits == bits }
	switch {
	case f&linux.CLONE_PIDFD != 0 && f&linux.CLONE_PARENT_SETTID != 0 && a.PidFD == a.ParentTID,
		has(linux.CLONE_NEWNS | linux.CLONE_FS),
		has(linux.CLONE_NEWUSER | linux.CLONE_FS),
		f&linux.CLONE_THREAD != 0 && f&linux.CLONE_SIGHAND == 0,
		f&linux.CLONE_SIGHAND != 0 && f&linux.CLONE_VM == 0,
		f&linux.CLONE_PARENT != 0 && t.Group.isInit(),
		f&linux.CLONE_THREAD != 0 && (f&(linux.CLONE_NEWUSER|linux.CLONE_NEWPID) != 0 || t.NS().PIDForChildren != t.PIDNS()),
		f&linux.CLONE_PIDFD != 0 && f&(linux.CLONE_DETACHED|linux.CLONE_THREAD) != 0,
		has(linux.CLONE_NEWIPC | linux.CLONE_SYSVSEM):
		return linux.EINVAL
	}
	return 0
}

// SetTID is the parts of clone3(2) that are read from user memory by the handler.
type SetTID []int32

// Clone implements clone(2), fork(2), vfork(2) and clone3(2), whose arguments the handler has checked. Stack is
// the stack pointer of the child (0: the parent's), tids the numbers that set_tid asks for. The result is the
// child's number in t's namespace.
func Clone(t *Task, a *linux.CloneArgs, tids SetTID) (int32, linux.Errno) {
	if errno := t.checkCloneFlags(a); errno != 0 {
		return 0, errno
	}
	if t.Interrupted() {
		return 0, linux.ERESTARTNOINTR // the child must not miss what comes before it exists
	}
	t.completeRegs()
	c, errno := t.copyProcess(a, tids)
	if errno != 0 {
		return 0, errno
	}
	tid := c.pid.Load().In(t.PIDNS())
	if a.Flags&linux.CLONE_PARENT_SETTID != 0 {
		var b [4]byte
		le.PutUint32(b[:], uint32(tid))
		_, _ = t.Memory().CopyOut(a.ParentTID, b[:]) // a bad address is ignored, as on Linux
	}
	var v *vforkWait
	if a.Flags&linux.CLONE_VFORK != 0 {
		v = &vforkWait{done: make(chan struct{})}
		c.exit.vfork = v
	}
	c.start()
	if v != nil {
		// Only death ends the wait: the result is then of no interest.
		_ = t.blockKillable(&v.queue, v.finished)
	}
	return tid, 0
}

// copyProcess makes the child; it has not started to run.
func (t *Task) copyProcess(a *linux.CloneArgs, tids SetTID) (_ *Task, errno linux.Errno) {
	var undo undoList
	defer func() {
		if errno != 0 {
			undo.run()
		}
	}()
	c := t.newChild() // no result variable: the undo list needs it after an error
	if errno = t.childCreds(c, a.Flags); errno != 0 {
		return nil, errno
	}
	if errno = c.countProcess(t.kernel, a.Flags); errno != 0 {
		return nil, errno
	}
	undo.add(c.uncount)
	t.childGroup(c, a)
	if a.Flags&linux.CLONE_SYSVSEM != 0 {
		c.misc.undo = t.misc.undo.get()
	}
	undo.add(func() { c.misc.undo.release(0) })
	if errno = t.childFiles(c, a.Flags); errno != 0 {
		return nil, errno
	}
	undo.add(func() { c.closeFiles(t) })
	if errno = t.childNamespaces(c, a); errno != 0 {
		return nil, errno
	}
	undo.add(func() { c.nsp.Load().release() })
	if errno = t.childMemory(c, a); errno != 0 {
		return nil, errno
	}
	undo.add(c.leaveMemory)
	if errno = t.attachChild(c, a, tids); errno != 0 {
		return nil, errno
	}
	t.kernel.forks.Add(1)
	return c, 0
}

// undoList is what is to be taken back when a clone fails, last first.
type undoList []func()

func (u *undoList) add(f func()) { *u = append(*u, f) }

func (u undoList) run() {
	for i := len(u) - 1; i >= 0; i-- {
		u[i]()
	}
}

// newChild copies what is copied whatever the flags.
func (t *Task) newChild() *Task {
	c := &Task{kernel: t.kernel, Regs: t.Regs}
	c.Regs.RAX = 0
	c.park.wake = make(chan struct{}, 1)
	c.run.resume = platform.ResumeFull
	c.run.started = timer.Monotonic()
	name := t.Name()
	c.misc.name.Store(&name)
	c.misc.slackNS, c.misc.defaultSlackNS = t.misc.slackNS, t.misc.slackNS
	c.misc.ioprio = t.IOPrio()
	c.sched.inherit(&t.sched)
	c.misc.undo = newSemUndo()
	c.sig.blocked = t.sig.blocked
	c.sig.alt = t.sig.alt
	return c
}

// childCreds copies the credentials; CLONE_NEWUSER gives them a namespace of their own with all capabilities.
func (t *Task) childCreds(c *Task, flags uint64) linux.Errno {
	cr := t.Creds()
	if flags&linux.CLONE_NEWUSER != 0 {
		n, errno := t.newUserNS()
		if errno != 0 {
			return errno
		}
		cr = n
	}
	c.creds.Store(cr)
	return 0
}

// newUserNS returns t's credentials in a new user namespace.
func (t *Task) newUserNS() (*cred.Credentials, linux.Errno) {
	if !t.rootIsNamespaceRoot() {
		return nil, linux.EPERM // a chroot must not be escaped by capabilities
	}
	n, errno := cred.NewUserNS(t.Creds(), ns.NewIno())
	if errno != 0 {
		return nil, errno
	}
	cr := t.Creds().Clone()
	cr.UserNS = n
	cr.SecureBits = 0
	cr.Permitted, cr.Effective, cr.Bounding = cred.AllCaps, cred.AllCaps, cred.AllCaps
	cr.Inheritable, cr.Ambient = 0, 0
	return cr, 0
}

// countProcess counts the child for RLIMIT_NPROC and the sandbox's limit.
func (c *Task) countProcess(k *Kernel, flags uint64) linux.Errno {
	cr := c.Creds()
	c.user.Store(k.users.join(cr.RUID))
	// On the host a thread is one, of the stub, and one of the sentry while it runs; a process's stub has one more.
	c.hostThreads = 2
	if flags&linux.CLONE_THREAD == 0 {
		c.hostThreads = 3
	}
	k.threads.Add(1)
	if k.hostThreads.Add(int64(c.hostThreads)) > k.MaxHostThreads {
		c.uncount()
		return linux.EAGAIN
	}
	return 0
}

func (c *Task) uncount() {
	c.kernel.threads.Add(-1)
	c.kernel.hostThreads.Add(-int64(c.hostThreads))
	c.kernel.users.leave(c.user.Load())
}

// overProcessLimit says whether t's user, the child counted, has more processes than RLIMIT_NPROC allows t.
func (t *Task) overProcessLimit() bool {
	cr := t.Creds()
	if cr.RUID == 0 || cr.HasCap(linux.CAP_SYS_RESOURCE) || cr.HasCap(linux.CAP_SYS_ADMIN) {
		return false
	}
	return uint64(t.user.Load().processes.Load()) > t.Limit(linux.RLIMIT_NPROC).Cur
}

// childGroup gives the child its thread group: the parent's, or a new one.
func (t *Task) childGroup(c *Task, a *linux.CloneArgs) {
	if a.Flags&linux.CLONE_THREAD != 0 {
		c.Group = t.Group
		return
	}
	p := t.Group
	g := &ThreadGroup{kernel: t.kernel}
	c.Group = g
	g.limits.copyFrom(&p.limits)
	switch {
	case a.Flags&linux.CLONE_SIGHAND != 0:
		sh := p.sighand.Load()
		sh.users.Add(1)
		g.sighand.Store(sh)
	default:
		sh := newSigHandlers()
		psh := p.lockSig()
		sh.actions = psh.actions
		psh.mu.Unlock()
		if a.Flags&linux.CLONE_CLEAR_SIGHAND != 0 {
			sh.clearHandlers()
		}
		g.sighand.Store(sh)
	}
	g.tree.exitSignal = int32(a.ExitSignal)
	g.mem.personality.Store(p.mem.personality.Load())
	g.mem.dumpable.Store(p.mem.dumpable.Load())
	g.mem.oomScoreAdj.Store(p.mem.oomScoreAdj.Load())
	g.mem.thpDisable.Store(p.mem.thpDisable.Load())
	g.mem.ioFlusher.Store(p.mem.ioFlusher.Load())
	g.mem.vdso.Store(p.mem.vdso.Load())
	g.mem.auxv.Store(p.mem.auxv.Load())
	g.mem.membarriers.Store(p.mem.membarriers.Load())
	g.mem.exe.Store(p.Exe())
}

// clearHandlers sets every handler to the default and leaves ignored signals alone.
func (s *sigHandlers) clearHandlers() {
	for i := range s.actions {
		a := &s.actions[i]
		if a.Handler != signal.Ignored {
			a.Handler = signal.Default
		}
		a.Flags, a.Mask, a.Restorer = 0, 0, 0
	}
}

func (t *Task) childFiles(c *Task, flags uint64) linux.Errno {
	files := t.Files()
	if flags&linux.CLONE_FILES != 0 {
		files.users.Add(1)
	} else if files = files.Fork(&c.Group.limits); files == nil {
		c.releaseExe(t)
		return linux.ENOMEM
	}
	c.files.Store(files)
	if flags&linux.CLONE_FS != 0 {
		fs := t.FS()
		fs.users.Add(1)
		c.fs.Store(fs)
	} else {
		c.fs.Store(t.FS().fork())
	}
	return 0
}

// closeFiles takes childFiles and childGroup back; t is the parent, which closes what the child had.
func (c *Task) closeFiles(t *Task) {
	t.releaseFiles(c.files.Load())
	c.fs.Load().release()
	c.releaseExe(t)
}

// releaseExe takes childGroup's reference back.
func (c *Task) releaseExe(t *Task) {
	if c.Group != t.Group {
		if f := c.Group.mem.exe.Swap(nil); f != nil {
			f.Put()
		}
	}
}

func (t *Task) childNamespaces(c *Task, a *linux.CloneArgs) linux.Errno {
	flags := a.Flags & nsFlags
	if flags == 0 {
		c.nsp.Store(t.NS().forChild())
		return 0
	}
	user := c.Creds().UserNS
	if !c.Creds().HasCapIn(user, linux.CAP_SYS_ADMIN) {
		return linux.EPERM
	}
	n, errno := t.NS().with(t.kernel, flags, user, t.PIDNS(), c.FS())
	if errno != 0 {
		return errno
	}
	n.Time = n.TimeForChildren
	c.nsp.Store(n)
	return 0
}

// childMemory gives the child its address space and a platform thread in it.
func (t *Task) childMemory(c *Task, a *linux.CloneArgs) linux.Errno {
	var as *mm.AddressSpace
	var errno linux.Errno
	if a.Flags&linux.CLONE_VM != 0 {
		as = t.MM().Get()
		if a.Flags&linux.CLONE_VFORK == 0 {
			c.sig.alt = signal.NoAltStack
		}
	} else if as, errno = t.MM().Fork(); errno != 0 {
		return errno
	}
	th, errno := as.Platform().NewThread()
	if errno != 0 {
		as.Put()
		return errno
	}
	c.mm.Store(as)
	c.run.thread = th
	fp, errno := t.run.thread.FPState()
	if errno == 0 {
		errno = th.SetFPState(fp)
	}
	if errno != 0 {
		c.leaveMemory()
		return errno
	}
	if a.Stack != 0 {
		c.Regs.RSP = a.Stack
	}
	if a.Flags&linux.CLONE_SETTLS != 0 {
		if a.TLS >= userAddrEnd {
			c.leaveMemory()
			return linux.EPERM
		}
		c.Regs.FSBase = a.TLS
	}
	if a.Flags&linux.CLONE_CHILD_SETTID != 0 {
		c.exit.setTID = a.ChildTID
	}
	if a.Flags&linux.CLONE_CHILD_CLEARTID != 0 {
		c.misc.clearTID = a.ChildTID
	}
	return 0
}

// userAddrEnd is the end of the addresses that a guest may have (TASK_SIZE_MAX).
const userAddrEnd = 0x7ffffffff000

func (c *Task) leaveMemory() {
	c.dropThread()
	c.mm.Swap(nil).Put()
}

// attachChild gives the child its numbers and its place in the tree: from here on others see it.
func (t *Task) attachChild(c *Task, a *linux.CloneArgs, tids SetTID) linux.Errno {
	k := t.kernel
	var fd Reservation
	if a.Flags&linux.CLONE_PIDFD != 0 {
		var errno linux.Errno
		if fd, errno = t.Files().Reserve(1); errno != 0 {
			return errno
		}
		defer fd.Cancel()
	}
	pidns := c.nsp.Load().PIDForChildren
	if errno := t.maySetTIDs(pidns, tids); errno != 0 {
		return errno
	}
	if t.overProcessLimit() {
		return linux.EAGAIN
	}
	k.tasks.Lock()
	id, errno := pidns.newPID(tids)
	k.tasks.Unlock()
	if errno != 0 {
		return errno
	}
	if a.Flags&linux.CLONE_PIDFD != 0 {
		var b [4]byte
		le.PutUint32(b[:], uint32(fd.Numbers()[0]))
		if _, errno = t.Memory().CopyOut(a.PidFD, b[:]); errno != 0 {
			k.tasks.Lock()
			id.release()
			k.tasks.Unlock()
			return errno
		}
	}
	if errno = t.linkChild(c, a, id); errno != 0 {
		return errno
	}
	if a.Flags&linux.CLONE_PIDFD != 0 {
		fd.Install(0, t.newPIDFD(id, 0), true)
	}
	return 0
}

// maySetTIDs checks clone3(2)'s set_tid.
func (t *Task) maySetTIDs(pidns *PIDNamespace, tids SetTID) linux.Errno {
	if len(tids) > pidns.level+1 {
		return linux.EINVAL
	}
	for n, i := pidns, 0; i < len(tids); n, i = n.Parent, i+1 {
		cr := t.Creds()
		if !cr.HasCapIn(n.UserNS, linux.CAP_CHECKPOINT_RESTORE) && !cr.HasCapIn(n.UserNS, linux.CAP_SYS_ADMIN) {
			return linux.EPERM
		}
	}
	return 0
}

// linkChild puts the child into the tree.
func (t *Task) linkChild(c *Task, a *linux.CloneArgs, id *PID) linux.Errno {
	k, p, g := t.kernel, t.Group, c.Group
	k.tasks.Lock()
	defer k.tasks.Unlock()
	for _, x := range id.numbers {
		if x.ns.dead { // since newPID: its init has killed all that it found, and waits for nobody else
			id.release()
			return linux.ENOMEM
		}
	}
	psh := p.lockSig()
	if p.state.exiting || p.state.execer != nil && p.state.execer != t {
		psh.mu.Unlock()
		id.release()
		return linux.EINTR // never seen: the parent is being killed
	}
	if g == p {
		id.task = c
		c.pid.Store(id)
		g.tree.threads = append(g.tree.threads[:len(g.tree.threads):len(g.tree.threads)], c)
		g.state.live++
		c.recalcSignals(false)
		psh.mu.Unlock()
		return 0
	}
	psh.mu.Unlock()
	id.task, id.group = c, g
	c.pid.Store(id)
	g.pid = id
	g.tree.leader = c
	g.tree.threads = []*Task{c}
	g.state.live = 1
	if id.Number() == 1 {
		id.Namespace().init = g
		g.state.unkillable = true
	}
	parent, thread := p, t
	if a.Flags&linux.CLONE_PARENT != 0 {
		g.tree.exitSignal = p.tree.exitSignal
		if p.tree.parent != nil { // nil: the namespace is dying
			parent, thread = p.tree.parent, p.tree.parentThread
		}
	}
	g.tree.parent, g.tree.parentThread = parent, thread
	g.tree.hasSubreaper = parent.tree.hasSubreaper || parent.tree.subreaper
	parent.tree.children.add(g)
	g.joinPgrp(p.tree.pgrp)
	return 0
}
