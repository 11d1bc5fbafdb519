package task

import (
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/cred"
	"hornwork/sentry/signal"
	"hornwork/sentry/timer"
	"hornwork/sentry/vfs"
)

// InitArgs describe the first process of a sandbox.
type InitArgs struct {
	Creds      *cred.Credentials // in Kernel.UserNS
	Namespaces *Namespaces       // NewInit takes a reference of its own to Mount
	Root, Cwd  vfs.Path          // NewInit takes references of its own
	Umask      uint32
	Files      []*vfs.File          // descriptors 0, 1, 2 …; taken
	Limits     map[int]linux.Rlimit // see DefaultLimits
	Exec       ExecArgs             // File is taken
	// Unkillable: signals that process 1 has no handler for do nothing, as in a PID namespace.
	Unkillable bool
}

// NewInit makes the first process and loads its program. It does not run before Start; until then its thread may be
// given a controlling terminal.
func NewInit(k *Kernel, a *InitArgs) (*ThreadGroup, linux.Errno) {
	defer a.Exec.File.Put()
	t := k.newFirst(a)
	as, errno := k.NewMM()
	if errno != 0 {
		return nil, errno
	}
	as.SetLimits(t.mmLimits())
	ec := execCreds{t: t}
	img, errno := k.Loader.Load(&LoadArgs{
		Caller: t.Caller(), AS: as, File: a.Exec.File, Filename: a.Exec.Filename, Argv: a.Exec.Argv,
		Envv: a.Exec.Envv, StackLimit: t.Limit(linux.RLIMIT_STACK), Credentials: ec.compute,
	})
	if errno != 0 {
		as.Put()
		return nil, errno
	}
	th, errno := as.Platform().NewThread()
	if errno == 0 {
		errno = th.SetFPState(nil)
	}
	if errno != 0 {
		img.Exe.Put()
		as.Put()
		return nil, errno
	}
	t.run.thread = th
	t.mm.Store(as)
	t.newProgram(&img, &a.Exec, &ec)
	t.Group.CPULimitChanged()
	return t.Group, 0
}

// Start lets a process that NewInit made run.
func (g *ThreadGroup) Start() { g.Leader().start() }

// newFirst makes a task out of nothing.
func (k *Kernel) newFirst(a *InitArgs) *Task {
	t := &Task{kernel: k}
	t.park.wake = make(chan struct{}, 1)
	t.run.resume = platform.ResumeFull
	t.run.started = timer.Monotonic()
	t.misc.slackNS, t.misc.defaultSlackNS = 50000, 50000
	t.misc.undo = newSemUndo()
	t.SetName("init")
	t.sig.alt = signal.NoAltStack
	t.creds.Store(a.Creds)
	t.user.Store(k.users.join(a.Creds.RUID))
	k.threads.Add(1)
	k.forks.Add(1)

	g := &ThreadGroup{kernel: k}
	t.Group = g
	for res, l := range a.Limits {
		g.limits.Set(res, l)
	}
	g.sighand.Store(newSigHandlers())
	g.mem.dumpable.Store(1)
	g.state.live = 1
	g.state.unkillable = a.Unkillable
	files := NewFDTable(&g.limits)
	t.files.Store(files)
	for i, f := range a.Files {
		// Whatever RLIMIT_NOFILE says: these come from outside.
		if !files.grow(int32(i) + 1) {
			break // cannot be: nobody else has descriptors yet
		}
		files.used.put(int32(i), true)
		(*files.slots.Load())[i].Store(f)
		files.next = int32(i) + 1
	}
	t.fs.Store(NewFSContext(a.Root, a.Cwd, a.Umask))
	a.Namespaces.Mount.Get()
	t.nsp.Store(a.Namespaces.get())

	k.tasks.Lock()
	defer k.tasks.Unlock()
	id, _ := k.PIDNS.newPID(nil) // an empty namespace has room
	id.task, id.group = t, g
	t.pid.Store(id)
	g.pid = id
	g.tree.leader, g.tree.threads = t, []*Task{t}
	g.tree.exitSignal = linux.SIGCHLD
	k.PIDNS.init = g
	g.newSession()
	return t
}
