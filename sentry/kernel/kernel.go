// Package kernel boots a sandbox: it joins the platform, memory, file systems, tasks and system calls, and starts the
// first process. It owns no logic of its own.
package kernel

import (
	"fmt"
	"io"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/fs/proc"
	"hornwork/sentry/fs/remote"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/loader"
	"hornwork/sentry/mm"
	"hornwork/sentry/ns"
	"hornwork/sentry/signal"
	"hornwork/sentry/syscalls"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
	"hornwork/sentry/vfs"

	_ "hornwork/sentry/sock/unix" // registers AF_UNIX
)

// Release is the kernel that guests believe to run on.
const (
	Release = "6.6.0"
	Version = "#1 SMP Hornwork"
)

// Deps is what the sandbox process gives to its kernel.
type Deps struct {
	Platform platform.Platform
	Memory   *mem.File
	Files    *remote.Client // the gofer's client
	Host     Host
	Stdio    [3]int32 // host descriptors of the first process's standard streams
	Log      io.Writer
}

// Kernel is a booted sandbox.
type Kernel struct {
	Tasks *task.Kernel

	cfg     *Config
	deps    *Deps
	mounts  *vfs.MountNS
	root    *vfs.Caller // the kernel's own caller, with all rights
	sys     *proc.System
	vdso    *loader.VDSO
	pts     *vfs.Superblock // the devpts that the console is in
	console *console
	init    *task.ThreadGroup
}

// StartError is a failure to start the first process, with runc's exit code.
type StartError struct {
	Message string
	Code    int
}

func (e *StartError) Error() string { return e.Message }

// New builds the kernel and its file systems.
func New(cfg *Config, d *Deps) (*Kernel, error) {
	k := &Kernel{cfg: cfg, deps: d, Tasks: task.NewKernel()}
	k.sys = &proc.System{
		Kernel: k.Tasks, CPUs: len(d.Host.CPUs), CPUInfo: d.Host.cpuInfo,
		MemTotal: k.memTotal, MemUsed: d.Memory.Usage, BootTime: vfs.Now(), Now: vfs.Now,
		Version:     "Linux version " + Release + " (hornwork) " + Version,
		Cmdline:     "hornwork",
		Unsupported: func(path string) { trace.Unsupported(trace.ProcPath, path, "") },
	}
	vdso, errno := loader.NewVDSO(d.Memory, 0, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("make the vDSO: %w", errno)
	}
	k.vdso = vdso
	if err := k.mountAll(); err != nil {
		return nil, err
	}
	t := k.Tasks
	t.Syscall = syscalls.Dispatch
	t.Loader = programs{k}
	t.NewMM = func() (*mm.AddressSpace, linux.Errno) { return mm.New(d.Platform, d.Memory) }
	t.FPSize = d.Platform.FPSize()
	t.CPUs = d.Host.CPUs
	if n := int64(k.cfg.HostTasks); n > 0 {
		t.MaxHostThreads = n
	}
	t.AnonFS = syscalls.AnonInodes
	syscalls.SetShmem(tmpfs.New(tmpfs.Options{Mem: d.Memory}))
	t.MemTotal = k.memTotal
	mm.VM.Total.Store(k.memTotal())
	t.MemFree = func() uint64 { return k.memTotal() - min(k.memTotal(), d.Memory.Usage()) }
	t.Fault = func(t *task.Task, why string) {
		fmt.Fprintf(d.Log, "hornwork: process %d (%s) was killed: %s\n", t.Group.PID(), t.Name(), why)
	}
	return k, k.traceCalls()
}

func (k *Kernel) memTotal() uint64 {
	if k.cfg.HostMemory != 0 {
		return k.cfg.HostMemory
	}
	return k.deps.Host.Memory
}

// Wait returns when the first process has ended and all others are gone: its wait status.
func (k *Kernel) Wait() int32 {
	<-k.Tasks.Done()
	if k.console != nil {
		k.console.drain()
	}
	return k.Tasks.ExitStatus()
}

// Signal sends a signal from outside to the first process.
func (k *Kernel) Signal(sig int) linux.Errno {
	if sig < 1 || sig > linux.NSIG {
		return linux.EINVAL
	}
	info := signal.Kernel(int32(sig))
	return task.SendGroup(k.init, &info)
}

// SetWinsize changes the size of the first process's terminal.
func (k *Kernel) SetWinsize(w linux.Winsize) {
	if k.console != nil {
		k.console.setWinsize(w)
	}
}

// namespaces are the first ones.
func (k *Kernel) namespaces() *task.Namespaces {
	u := k.Tasks.UserNS
	time := ns.NewTime(u, ns.InitTimeIno, nil)
	return &task.Namespaces{
		Mount: k.mounts, UTS: ns.NewUTS(u, k.cfg.Hostname), IPC: ns.NewIPC(u, ns.InitIPCIno), Net: ns.NewNet(u, ns.InitNetIno),
		Cgroup: ns.NewCgroup(u, ns.InitCgroupIno, "/"), Time: time, TimeForChildren: time, PIDForChildren: k.Tasks.PIDNS,
	}
}

// addrNoRandomize is ADDR_NO_RANDOMIZE of personality(2).
const addrNoRandomize = 0x0040000

// programs is task.Loader over sentry/loader.
type programs struct{ k *Kernel }

// Load implements task.Loader.
func (l programs) Load(a *task.LoadArgs) (task.Image, linux.Errno) {
	p, errno := loader.Begin(a.Caller, &loader.Args{
		File: a.File, Filename: a.Filename, Argv: a.Argv, Envv: a.Envv, StackLimit: a.StackLimit.Cur,
		Inaccessible: a.Inaccessible,
	})
	if errno != 0 {
		return task.Image{}, errno
	}
	defer p.Close()
	c, errno := a.Credentials(p.File)
	if errno != 0 {
		return task.Image{}, errno
	}
	img, errno := p.Load(a.Caller, a.AS, &loader.LoadArgs{
		FileRef: syscalls.NewFileRef, VDSO: l.k.vdso, UID: c.UID, EUID: c.EUID, GID: c.GID, EGID: c.EGID, Secure: c.Secure,
		NoRandomize: a.Personality&addrNoRandomize != 0,
	})
	if errno != 0 {
		return task.Image{}, errno
	}
	return task.Image{Entry: img.Entry, SP: img.SP, Exe: p.File.Get(), VDSO: img.VDSO, Auxv: img.Aux}, 0
}
