package task

import (
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/mm"
	"hornwork/sentry/signal"
	"hornwork/sentry/vfs"
)

// ExecArgs is a program to be run.
type ExecArgs struct {
	File       *vfs.File // from vfs.OpenExec; Exec takes the reference
	Filename   string    // as the call had it, or /dev/fd/N[/name] for execveat(2) of a descriptor
	Argv, Envv []string
	// Inaccessible says that Filename leads through a close-on-exec descriptor.
	Inaccessible bool
}

// Exec implements execve(2). On success the registers are those of the new program, and the handler returns
// ControlNoRet. An error leaves the caller as it was: the program is loaded into a fresh address space first. But
// where Linux has left the old image behind before it finds the new one bad, the process dies by SIGSEGV as it does there.
func Exec(t *Task, a *ExecArgs) linux.Errno {
	defer a.File.Put()
	as, errno := t.kernel.NewMM()
	if errno != 0 {
		return errno
	}
	as.SetLimits(t.mmLimits())
	ec := execCreds{t: t}
	noReturn := false // on Linux
	img, errno := t.kernel.Loader.Load(&LoadArgs{
		Caller: t.Caller(), AS: as, File: a.File, Filename: a.Filename, Argv: a.Argv, Envv: a.Envv,
		StackLimit: t.Limit(linux.RLIMIT_STACK), Personality: t.Group.Personality(), Inaccessible: a.Inaccessible,
		Credentials: func(exe *vfs.File) (AuxCreds, linux.Errno) {
			c, errno := ec.compute(exe)
			noReturn = errno == 0
			return c, errno
		},
	})
	if errno != 0 {
		as.Put()
		if noReturn {
			t.forceFatal(linux.SIGSEGV)
		}
		return errno
	}
	th, errno := as.Platform().NewThread()
	if errno == 0 {
		errno = th.SetFPState(nil)
	}
	if errno == 0 {
		errno = t.UnshareFiles()
	}
	if errno == 0 {
		errno = t.deThread()
	}
	if errno != 0 {
		if th != nil {
			th.Release()
		}
		img.Exe.Put()
		as.Put()
		return errno
	}
	// No way back from here.
	t.enterMemory(as, th)
	t.newProgram(&img, a, &ec)
	t.closeOnExec()
	return 0
}

// mmLimits are the limits of the task's address space.
func (t *Task) mmLimits() mm.Limits {
	l := &t.Group.limits
	c := t.Creds()
	return mm.Limits{
		AS: l.Get(linux.RLIMIT_AS).Cur, Data: l.Get(linux.RLIMIT_DATA).Cur, Stack: l.Get(linux.RLIMIT_STACK).Cur,
		MemLock: l.Get(linux.RLIMIT_MEMLOCK).Cur, CapIPCLock: c.HasCap(linux.CAP_IPC_LOCK),
		CapRawIO: c.HasCap(linux.CAP_SYS_RAWIO),
	}
}

// enterMemory leaves the old address space for as.
func (t *Task) enterMemory(as *mm.AddressSpace, th platform.Thread) {
	old := t.MM()
	t.walkRobustList(old)
	t.exitPI()
	if addr := t.misc.clearTID; addr != 0 {
		t.misc.clearTID = 0
		var zero [4]byte
		if _, errno := old.CopyOut(addr, zero[:]); errno == 0 {
			t.futexWakeAddr(old, addr, 1)
		}
	}
	t.dropThread()
	t.run.mu.Lock()
	t.run.thread = th
	t.run.mu.Unlock()
	t.mm.Store(as)
	if v := t.exit.vfork; v != nil {
		t.exit.vfork = nil
		v.finish()
	}
	old.Put()
}

// newProgram resets what execve(2) resets.
func (t *Task) newProgram(img *Image, a *ExecArgs, ec *execCreds) {
	g := t.Group
	t.run.partial, t.run.resume, t.run.fault = false, platform.ResumeFull, signal.FaultInfo{}
	const flagIF, flagFixed = 1 << 9, 1 << 1
	t.Regs = linux.Regs{RIP: img.Entry, RSP: img.SP, CS: 0x33, SS: 0x2b, Eflags: flagIF | flagFixed,
		OrigRAX: ^uint64(0)}
	g.SetExe(img.Exe)
	g.mem.vdso.Store(img.VDSO)
	g.mem.membarriers.Store(0)
	g.mem.auxv.Store(&img.Auxv)
	t.SetName(baseName(a.Filename))
	t.resetSignals()
	g.timer.execReset()
	t.sig.alt = signal.NoAltStack
	t.park.restartFn = nil
	ec.commit()
	t.misc.staleAnswers.Store(true)
	t.run.work.Or(workResume)
	t.kernel.tasks.Lock()
	g.tree.execed = true
	g.tree.exitSignal = linux.SIGCHLD
	t.kernel.tasks.Unlock()
	if n := t.NS(); n.Time != n.TimeForChildren {
		t.setNS(n.forChild())
	}
}

func baseName(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return s[i+1:]
		}
	}
	return s
}

// resetSignals gives the group dispositions of its own, with handlers set to the default.
func (t *Task) resetSignals() {
	g := t.Group
	sh := g.lockSig()
	if sh.users.Load() > 1 {
		own := newSigHandlers()
		own.actions = sh.actions
		own.clearHandlers()
		g.sighand.Store(own)
		sh.users.Add(-1)
	} else {
		sh.clearHandlers()
	}
	sh.mu.Unlock()
}

// deThread ends the other threads of the group and makes t its leader: de_thread. EAGAIN: the group is being
// killed, or another thread is in execve(2) already.
func (t *Task) deThread() linux.Errno {
	g, k := t.Group, t.kernel
	sh := g.lockSig()
	if g.state.exiting || g.state.execer != nil {
		sh.mu.Unlock()
		return linux.EAGAIN
	}
	if len(g.tree.threads) == 1 {
		sh.mu.Unlock()
		return 0
	}
	g.state.execer = t
	for _, x := range g.tree.threads {
		if x != t {
			x.sig.stopPending, x.sig.stopped = false, false
			x.wakeLocked()
		}
	}
	sh.mu.Unlock()
	errno := t.blockKillable(&g.exitWait, func() bool {
		k.tasks.RLock()
		defer k.tasks.RUnlock()
		n := len(g.tree.threads)
		return n == 1 || n == 2 && g.tree.leader != t && g.tree.leaderDone
	})
	if errno != 0 {
		sh := g.lockSig()
		g.state.execer = nil
		sh.mu.Unlock()
		return linux.EAGAIN
	}
	k.tasks.Lock()
	if old := g.tree.leader; old != t {
		t.becomeLeader(old)
	}
	sh = g.lockSig()
	g.state.execer = nil
	sh.mu.Unlock()
	k.tasks.Unlock()
	return 0
}

// becomeLeader gives t the number of the old leader, which has exited. Called with Kernel.tasks held.
func (t *Task) becomeLeader(old *Task) {
	g := t.Group
	mine := t.pid.Load()
	mine.task = nil
	mine.release()
	g.pid.task = t
	t.pid.Store(g.pid)
	t.run.started = old.run.started
	g.tree.leader, g.tree.leaderDone = t, false
	g.removeThread(old)
	t.kernel.release(old)
	for c := g.tree.children.head; c != nil; c = c.tree.next {
		if c.tree.parentThread == old {
			c.tree.parentThread = t
		}
	}
}
