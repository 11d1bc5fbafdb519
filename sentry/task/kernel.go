package task

import (
	"sync"
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/futex"
	"hornwork/sentry/mm"
	"hornwork/sentry/ns"
	"hornwork/sentry/signal"
	"hornwork/sentry/timer"
	"hornwork/sentry/vfs"
)

// Control says how a task goes on after a system call.
type Control uint8

// Kinds of Control.
const (
	ControlNormal Control = iota // the result goes to RAX
	ControlNoRet                 // the registers are as they shall be: rt_sigreturn, a successful execve
	ControlExit                  // the task has asked to exit
)

// SyscallFunc answers system call nr of t, whose arguments are in t.Regs.
type SyscallFunc func(t *Task, nr uintptr) (uintptr, linux.Errno, Control)

// Image is a program that has been loaded into an address space.
type Image struct {
	Entry, SP uint64
	Exe       *vfs.File // the executable, with a reference (/proc/pid/exe)
	// VDSO is the address of the vDSO image, for /proc; 0 if none.
	VDSO uint64
	Auxv []byte // as /proc/pid/auxv shows it
}

// AuxCreds is what a new program is told about its identity, in its own user namespace's numbers.
type AuxCreds struct {
	UID, EUID, GID, EGID uint32
	Secure               bool
}

// LoadArgs is what a Loader gets.
type LoadArgs struct {
	Caller     *vfs.Caller
	AS         *mm.AddressSpace // new and empty
	File       *vfs.File        // opened for execution
	Filename   string           // as execve(2) had it, or /dev/fd/N[/name]: for scripts and AT_EXECFN
	Argv, Envv []string
	StackLimit linux.Rlimit
	// Personality is the task's (ADDR_NO_RANDOMIZE and the like).
	Personality uint32
	// Inaccessible says that Filename leads through a descriptor that the call closes: no script can be run by it.
	Inaccessible bool
	// Credentials is to be called once, with the file whose set-user-ID bits and capabilities count (not a
	// script's), before the stack is made.
	Credentials func(exe *vfs.File) (AuxCreds, linux.Errno)
}

// Loader maps a program into a new address space: sentry/loader, through an adapter in sentry/kernel. It takes no
// reference of a.File but Get()s what it puts into Image.
type Loader interface {
	Load(a *LoadArgs) (Image, linux.Errno)
}

// Kernel is what all tasks of a sandbox share. Fill in the exported fields before NewInit.
type Kernel struct {
	// Syscall answers system calls: syscalls.Dispatch.
	Syscall SyscallFunc
	Loader  Loader
	// NewMM makes an empty address space with one reference.
	NewMM func() (*mm.AddressSpace, linux.Errno)
	// FPSize is the platform's XSAVE image size.
	FPSize int
	// CPUs are the host CPUs that the sandbox may use; guests see them as 0 to len-1.
	CPUs []int
	// AnonFS is the superblock of pidfds: anon_inodefs.
	AnonFS *vfs.AnonFS
	// Fault is told of a guest process that is killed for a reason that the guest cannot see: the stub died.
	Fault func(t *Task, why string)
	// TraceSignal and TraceExit are told of each signal that a task takes and of each thread's end, with its wait
	// status, on the task's goroutine with no lock held; nil when nobody traces (sentry/syscalls has both).
	TraceSignal func(t *Task, i *linux.Siginfo)
	TraceExit   func(t *Task, status int32)
	// MemTotal and MemFree are bytes of RAM for sysinfo(2).
	MemTotal, MemFree func() uint64
	// MaxHostThreads bounds what the guests' threads may cost the host: clone(2) then fails with EAGAIN.
	MaxHostThreads int64

	Futexes   *futex.Table
	UserNS    *cred.UserNS
	PIDNS     *PIDNamespace
	StartTime int64 // timer.Monotonic at boot

	users users

	tasks   rank.RWMutex[rank.TaskSet] // guards the tree: parents, children, groups, sessions, PIDs
	threads atomic.Int64
	forks   atomic.Uint64
	// hostThreads is the sum of the tasks' hostThreads.
	hostThreads atomic.Int64

	initDone chan struct{}
	initCode int32
	running  sync.WaitGroup
}

// NewKernel returns a Kernel with empty namespaces and no task.
func NewKernel() *Kernel {
	k := &Kernel{
		Futexes:        futex.NewTable(),
		StartTime:      timer.Monotonic(),
		initDone:       make(chan struct{}),
		MaxHostThreads: 64000,
		Fault:          func(*Task, string) {},
		CPUs:           []int{0},
	}
	k.UserNS = &cred.UserNS{Ino: ns.InitUserIno}
	k.PIDNS = newPIDNamespace(k, nil, ns.Info{Ino: ns.InitPIDIno, UserNS: k.UserNS})
	return k
}

// Done is closed when the first process has exited and every other task is gone.
func (k *Kernel) Done() <-chan struct{} { return k.initDone }

// ExitStatus is the first process's wait status; read it after Done.
func (k *Kernel) ExitStatus() int32 { return k.initCode }

// Forks counts the tasks ever made ("processes" in /proc/stat).
func (k *Kernel) Forks() uint64 { return k.forks.Load() }

// Threads is the number of tasks that have not ended.
func (k *Kernel) Threads() int64 { return k.threads.Load() }

// KillAll sends SIGKILL to every process, for the end of a sandbox.
func (k *Kernel) KillAll() {
	info := signal.Kernel(linux.SIGKILL)
	for _, g := range k.PIDNS.Groups() {
		SendGroup(g, &info)
	}
}

// users counts per user what is limited per user. It only knows users that have a process: a guest that becomes one
// user after the other must not fill the sentry's memory.
type users struct {
	mu sync.Mutex
	m  map[uint32]*userCounts
}

type userCounts struct {
	uid        uint32
	processes  atomic.Int64
	sigpending signal.Account
}

// join counts a process of uid.
func (u *users) join(uid uint32) *userCounts {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := u.m[uid]
	if c == nil {
		if u.m == nil {
			u.m = map[uint32]*userCounts{}
		}
		c = &userCounts{uid: uid}
		u.m[uid] = c
	}
	c.processes.Add(1)
	return c
}

// leave undoes join. Signals that are still queued go on counting with an object that nobody else uses.
func (u *users) leave(c *userCounts) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.processes.Add(-1) == 0 {
		delete(u.m, c.uid)
	}
}

var _ wait.Blocker = (*Task)(nil)
