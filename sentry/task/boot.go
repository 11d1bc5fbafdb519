package task

import (
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/cred"
	"hornwork/sentry/ns"
	"hornwork/sentry/signal"
	"hornwork/sentry/timer"
	"hornwork/sentry/vfs"
)

// InitArgs describe the first process of a sandbox.
type InitArgs struct {
	Creds    *cred.Credentials // in Kernel.UserNS
	Mount    *vfs.MountNS      // NewInit takes a reference of its own
	Root     vfs.Path
	Cwd      vfs.Path
	Umask    uint32
	Hostname string
	Limits   map[int]linux.Rlimit // over DefaultLimits
	Exec     ExecArgs             // File is taken
	// Unkillable: signals that process 1 has no handler for do nothing, as in a PID namespace.
	Unkillable bool
}

// NewInit makes the first process, loads its program, and returns its only thread, which has not run: give it
// descriptors (Files) and, if there is one, its terminal, then Start it.
func (k *Kernel) NewInit(a *InitArgs) (*Task, linux.Errno) {
	t := k.newFirst(a)
	as, errno := k.NewMM()
	if errno != 0 {
		a.Exec.File.Put()
		return nil, errno
	}
	as.SetLimits(t.mmLimits())
	defer a.Exec.File.Put()
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
	return t, 0
}

// Start lets the thread that NewInit made run.
func (t *Task) Start() { t.start() }

// newFirst makes a task out of nothing.
func (k *Kernel) newFirst(a *InitArgs) *Task {
	t := &Task{kernel: k}
	t.park.wake = make(chan struct{}, 1)
	t.run.resume = platform.ResumeFull
	t.run.started = timer.Monotonic()
	t.misc.slackNS = 50000
	t.SetName("init")
	t.sig.alt = signal.NoAltStack
	t.creds.Store(a.Creds)
	u := k.users.of(a.Creds.RUID)
	u.processes.Add(1)
	t.user.Store(u)
	k.threads.Add(1)
	k.forks.Add(1)

	g := &ThreadGroup{kernel: k}
	t.Group = g
	for _, m := range []map[int]linux.Rlimit{DefaultLimits(), a.Limits} {
		for res, l := range m {
			g.limits.Set(res, l)
		}
	}
	g.sighand.Store(newSigHandlers())
	g.mem.dumpable.Store(1)
	g.state.live = 1
	g.state.unkillable = a.Unkillable
	t.files.Store(NewFDTable(&g.limits))
	t.fs.Store(NewFSContext(a.Root, a.Cwd, a.Umask))
	t.nsp.Store(k.firstNamespaces(a))

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

func (k *Kernel) firstNamespaces(a *InitArgs) *Namespaces {
	u := k.UserNS
	tm := ns.NewTime(u, ns.InitTimeIno, nil)
	n := &Namespaces{Mount: a.Mount.Get(), UTS: ns.NewUTS(u, a.Hostname), IPC: ns.NewIPC(u, ns.InitIPCIno),
		Net: ns.NewNet(u, ns.InitNetIno), Cgroup: ns.NewCgroup(u, ns.InitCgroupIno, "/"), Time: tm,
		PIDForChildren: k.PIDNS, TimeForChildren: tm}
	n.users.Store(1)
	return n
}
