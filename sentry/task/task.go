package task

import (
	"sync/atomic"
	"time"

	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/cred"
	"hornwork/sentry/futex"
	"hornwork/sentry/mm"
	"hornwork/sentry/signal"
	"hornwork/sentry/usermem"
)

const fsize = linux.RLIMIT_FSIZE

// Task is one guest thread. One goroutine runs it; fields without a lock belong to that goroutine.
type Task struct {
	Group *ThreadGroup
	Regs  linux.Regs

	kernel      *Kernel
	hostThreads int8 // what this task may cost the host
	pid         atomic.Pointer[PID]

	creds atomic.Pointer[cred.Credentials]
	user  atomic.Pointer[userCounts] // of the real UID; counts this task as a process
	files atomic.Pointer[FDTable]
	fs    atomic.Pointer[FSContext]
	nsp   atomic.Pointer[Namespaces]
	mm    atomic.Pointer[mm.AddressSpace]

	caller callerCache
	run    runState
	park   parkState
	sig    sigState
	exit   exitState
	sched  SchedState
	misc   taskMisc
}

// runState is the guest side of a task.
type runState struct {
	work    atomic.Uint32 // work* bits: what must be looked at before guest code goes on
	border  atomic.Uint64 // how often the task has gone into guest code or come out of it; odd: it is inside
	crossed uint64        // the same, for the task itself
	resume  platform.Resume
	partial bool // Regs lacks what Complete would bring
	restart bool // the system call ended with a restart code, in errno
	errno   linux.Errno

	mu      rank.Mutex[rank.TaskState] // guards thread against Release, for those who read CPU time
	thread  platform.Thread
	cpuDone int64 // CPU time of threads before exec, in nanoseconds

	fault   signal.FaultInfo // of the last exception, for signal frames
	started int64            // timer.Monotonic
}

// Bits of runState.work.
const (
	workSignal uint32 = 1 << iota // a signal, a stop or a kill may wait: Linux's TIF_SIGPENDING
	workResume                    // something else to do on the way to guest code
)

// parkState is what a task sleeps on.
type parkState struct {
	wake   chan struct{} // one token
	timer  *time.Timer
	entry  wait.Entry
	busy   bool // entry is on a queue
	asleep atomic.Int32
	futex  futex.Waiter
	// killable: the sleep ends only for a fatal signal, not for others.
	restartFn func(*Task) (uintptr, linux.Errno)
}

// taskMisc is the smaller state of a thread.
type taskMisc struct {
	io         ioCounters
	name       atomic.Pointer[string]
	clearTID   uint64 // set_tid_address
	robustList uint64 // set_robust_list
	slackNS    int64  // PR_SET_TIMERSLACK

	defaultSlackNS int64 // the parent's when it made the task
	pdeathSig      atomic.Int32
	ioprio         int32
	vmInfo         struct{ minflt, majflt atomic.Int64 }
	staleAnswers   atomic.Bool // see answer.go
	counted        atomic.Bool // in Group.times.dead already
	volCtx         atomic.Int64
	invCtx         atomic.Int64
	pi             futex.Owner
	undo           *semUndo // SEM_UNDO; see semundo.go
}

// TID is the thread's number in its own PID namespace.
func (t *Task) TID() int32 { return t.pid.Load().Number() }

// PID is the thread's identity.
func (t *Task) PID() *PID { return t.pid.Load() }

// Kernel is what all tasks share.
func (t *Task) Kernel() *Kernel { return t.kernel }

// MM is the address space; nil only after the task has ended.
func (t *Task) MM() *mm.AddressSpace { return t.mm.Load() }

// Memory is the address space as files see it.
func (t *Task) Memory() usermem.Memory { return t.mm.Load() }

// Creds are the task's credentials. They do not change: SetCreds replaces them.
func (t *Task) Creds() *cred.Credentials { return t.creds.Load() }

// Files is the descriptor table; nil after the task has ended.
func (t *Task) Files() *FDTable { return t.files.Load() }

// NS are the task's namespaces; nil after the task has ended.
func (t *Task) NS() *Namespaces { return t.nsp.Load() }

// PIDNS is the PID namespace that the task is in.
func (t *Task) PIDNS() *PIDNamespace { return t.pid.Load().Namespace() }

// Name is the thread's name, at most 15 bytes (comm).
func (t *Task) Name() string { return *t.misc.name.Load() }

// SetName changes it; longer names are cut.
func (t *Task) SetName(s string) {
	if len(s) > 15 {
		s = s[:15]
	}
	t.misc.name.Store(&s)
}

// Leader says whether the thread is its group's leader.
func (t *Task) Leader() bool { return t.pid.Load() == t.Group.pid }

// CountFault counts a page fault for getrusage(2).
func (t *Task) CountFault(major bool) {
	if major {
		t.misc.vmInfo.majflt.Add(1)
	} else {
		t.misc.vmInfo.minflt.Add(1)
	}
}

// Sched is what the scheduling calls keep.
func (t *Task) Sched() *SchedState { return &t.sched }

// SetTIDAddress sets the word that is cleared and woken when the thread ends (set_tid_address(2)).
func (t *Task) SetTIDAddress(addr uint64) { t.misc.clearTID = addr }

// TIDAddress is what SetTIDAddress set.
func (t *Task) TIDAddress() uint64 { return t.misc.clearTID }

// SetRobustList sets the head of the robust list (set_robust_list(2)).
func (t *Task) SetRobustList(addr uint64) { atomic.StoreUint64(&t.misc.robustList, addr) }

// RobustList is what SetRobustList set.
func (t *Task) RobustList() uint64 { return atomic.LoadUint64(&t.misc.robustList) }

// PDeathSig is the signal that the task gets when its parent ends (PR_SET_PDEATHSIG), 0 if none.
func (t *Task) PDeathSig() int32 { return t.misc.pdeathSig.Load() }

// SetPDeathSig changes it.
func (t *Task) SetPDeathSig(sig int32) { t.misc.pdeathSig.Store(sig) }

// TimerSlack is PR_GET_TIMERSLACK, in nanoseconds.
func (t *Task) TimerSlack() int64 { return t.misc.slackNS }

// SetTimerSlack changes it, with 0 to what it was at first; sleeps are not in fact made longer by it.
func (t *Task) SetTimerSlack(ns int64) {
	if ns == 0 {
		ns = t.misc.defaultSlackNS
	}
	t.misc.slackNS = ns
}

// IOPrio is ioprio_get(2)'s value.
func (t *Task) IOPrio() int32 { return atomic.LoadInt32(&t.misc.ioprio) }

// SetIOPrio changes it.
func (t *Task) SetIOPrio(v int32) { atomic.StoreInt32(&t.misc.ioprio, v) }

// StartTime is when the thread was made, a reading of timer.Monotonic.
func (t *Task) StartTime() int64 { return t.run.started }
