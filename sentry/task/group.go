package task

import (
	"sync/atomic"

	"hornwork/lib/wait"
	"hornwork/sentry/signal"
	"hornwork/sentry/vfs"
)

// ThreadGroup is a process: the threads that share signals, children and limits (Linux's signal_struct).
type ThreadGroup struct {
	kernel  *Kernel
	limits  Limits
	sighand atomic.Pointer[sigHandlers]

	// childWait wakes those who wait for this process's children.
	childWait wait.Queue
	// exitWait wakes an execve(2) that waits for its siblings, and init when it waits for its namespace.
	exitWait wait.Queue
	// signalWait wakes signalfds; notified for every signal sent to the group or to one of its threads.
	signalWait wait.Queue

	tree  groupTree  // Kernel.tasks guards it
	state groupState // the lock of sighand guards it
	times groupTimes
	timer groupTimers
	mem   groupMem

	// pid is the identity of the leader; a constant.
	pid *PID
}

// groupTree is a process's place among the others; Kernel.tasks guards it.
type groupTree struct {
	leader       *Task
	leaderDone   bool    // the leader has exited
	threads      []*Task // also guarded by the lock of sighand: hold both to change it, either to read
	parent       *ThreadGroup
	parentThread *Task // the thread that made it: __WNOTHREAD, PR_SET_PDEATHSIG
	children     groupList
	next, prev   *ThreadGroup // among the parent's children
	pgrp         *ProcessGroup
	subreaper    bool // PR_SET_CHILD_SUBREAPER
	hasSubreaper bool // an ancestor has it
	exitSignal   int32
	zombie       bool // every thread has ended; waits to be waited for
	reaped       bool
	execed       bool // has called execve since it was made: setpgid(2) by the parent is EACCES
}

// groupState is what signals change; the lock of sighand guards it.
type groupState struct {
	shared     signal.Pending
	live       int   // threads that have not begun to exit
	exiting    bool  // the whole group exits, with exitCode
	exitCode   int32 // wait status
	execer     *Task // the thread that waits for the others to end in execve(2)
	stopSig    int32 // the stop in progress or in force, 0 if none
	stopLeft   int   // threads that have not stopped yet
	stopped    bool  // all have stopped
	stopSeen   bool  // wait(2) has reported the stop
	continued  bool  // has been continued, not yet reported by wait(2)
	notifyStop int32 // CLD_STOPPED or CLD_CONTINUED to be told to the parent, by the next thread that looks
	unkillable bool  // init of a PID namespace: signals without a handler do nothing
	curTarget  int   // round robin for shared signals
}

// groupMem is what goes with the program that runs.
type groupMem struct {
	exe         atomic.Pointer[vfs.File]
	personality atomic.Uint32
	dumpable    atomic.Int32
	oomScoreAdj atomic.Int32
	thpDisable  atomic.Bool
	ioFlusher   atomic.Bool
	vdso        atomic.Uint64
	membarriers atomic.Uint32
	auxv        atomic.Pointer[[]byte]
}

// groupList is a list of processes, oldest first.
type groupList struct{ head, tail *ThreadGroup }

func (l *groupList) add(g *ThreadGroup) {
	g.tree.prev, g.tree.next = l.tail, nil
	if l.tail != nil {
		l.tail.tree.next = g
	} else {
		l.head = g
	}
	l.tail = g
}

func (l *groupList) remove(g *ThreadGroup) {
	if g.tree.prev != nil {
		g.tree.prev.tree.next = g.tree.next
	} else {
		l.head = g.tree.next
	}
	if g.tree.next != nil {
		g.tree.next.tree.prev = g.tree.prev
	} else {
		l.tail = g.tree.prev
	}
	g.tree.next, g.tree.prev = nil, nil
}

// PID is the process's number in its own PID namespace.
func (g *ThreadGroup) PID() int32 { return g.pid.Number() }

// Identity is the process's PID object.
func (g *ThreadGroup) Identity() *PID { return g.pid }

// Kernel is what all tasks share.
func (g *ThreadGroup) Kernel() *Kernel { return g.kernel }

// Limits are the process's resource limits.
func (g *ThreadGroup) Limits() *Limits { return &g.limits }

// Leader is the thread that the process is named after. It may have ended before the others.
func (g *ThreadGroup) Leader() *Task {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return g.tree.leader
}

// Threads returns the threads that have not been released.
func (g *ThreadGroup) Threads() []*Task {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return append([]*Task(nil), g.tree.threads...)
}

// Children returns the child processes, oldest first.
func (g *ThreadGroup) Children() []*ThreadGroup {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	var out []*ThreadGroup
	for c := g.tree.children.head; c != nil; c = c.tree.next {
		out = append(out, c)
	}
	return out
}

// Parent is the parent process, nil for the first process.
func (g *ThreadGroup) Parent() *ThreadGroup {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return g.tree.parent
}

// PPID is the parent's number in namespace n, 0 if it is not visible there.
func (g *ThreadGroup) PPID(n *PIDNamespace) int32 {
	if p := g.Parent(); p != nil {
		return p.pid.In(n)
	}
	return 0
}

// Zombie says whether the process has ended and waits to be waited for.
func (g *ThreadGroup) Zombie() bool {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return g.tree.zombie
}

// ProcessGroup is the process's group; nil after it has been reaped.
func (g *ThreadGroup) ProcessGroup() *ProcessGroup {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return g.tree.pgrp
}

// Session is the process's session; nil after it has been reaped.
func (g *ThreadGroup) Session() *Session {
	if p := g.ProcessGroup(); p != nil {
		return p.session
	}
	return nil
}

// Exe is the executable's file with a reference, or nil.
func (g *ThreadGroup) Exe() *vfs.File {
	for {
		f := g.mem.exe.Load()
		if f == nil || f.TryGet() {
			return f
		}
		if g.mem.exe.Load() == f {
			return nil
		}
	}
}

// SetExe replaces the executable's file, taking the reference (PR_SET_MM_EXE_FILE).
func (g *ThreadGroup) SetExe(f *vfs.File) {
	if old := g.mem.exe.Swap(f); old != nil {
		old.Put()
	}
}

// VDSO is where the vDSO is mapped.
func (g *ThreadGroup) VDSO() uint64 { return g.mem.vdso.Load() }

// Personality is personality(2)'s value.
func (g *ThreadGroup) Personality() uint32 { return g.mem.personality.Load() }

// SetPersonality changes it.
func (g *ThreadGroup) SetPersonality(p uint32) { g.mem.personality.Store(p) }

// Dumpable is PR_GET_DUMPABLE: 0, 1 or 2.
func (g *ThreadGroup) Dumpable() int32 { return g.mem.dumpable.Load() }

// SetDumpable changes it.
func (g *ThreadGroup) SetDumpable(v int32) { g.mem.dumpable.Store(v) }

// OOMScoreAdj is /proc/pid/oom_score_adj.
func (g *ThreadGroup) OOMScoreAdj() int32 { return g.mem.oomScoreAdj.Load() }

// SetOOMScoreAdj changes it.
func (g *ThreadGroup) SetOOMScoreAdj(v int32) { g.mem.oomScoreAdj.Store(v) }

// THPDisable is PR_GET_THP_DISABLE.
func (g *ThreadGroup) THPDisable() *atomic.Bool { return &g.mem.thpDisable }

// IOFlusher is PR_GET_IO_FLUSHER.
func (g *ThreadGroup) IOFlusher() *atomic.Bool { return &g.mem.ioFlusher }

// SetSubreaper changes PR_SET_CHILD_SUBREAPER; descendants remember that there is one above.
func (g *ThreadGroup) SetSubreaper(v bool) {
	g.kernel.tasks.Lock()
	defer g.kernel.tasks.Unlock()
	g.tree.subreaper = v
	if v {
		g.markSubreaper()
	}
}

func (g *ThreadGroup) markSubreaper() {
	for c := g.tree.children.head; c != nil; c = c.tree.next {
		if !c.tree.hasSubreaper {
			c.tree.hasSubreaper = true
			c.markSubreaper()
		}
	}
}

// Subreaper is PR_GET_CHILD_SUBREAPER.
func (g *ThreadGroup) Subreaper() bool {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	return g.tree.subreaper
}
