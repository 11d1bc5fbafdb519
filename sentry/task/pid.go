package task

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/ns"
	"maps"
	"slices"
	"sync/atomic"
)

// PID is one identity, with a number in its own PID namespace and in each of its ancestors: Linux's struct
// pid. It names a thread, and, after the leader of a group, a thread group, a process group or a session;
// its numbers are not given to another as long as any of these uses them.
//
// Kernel.tasks guards the fields, except numbers, which never change.
type PID struct {
	numbers []pidNumber // from the outermost namespace inwards

	task  *Task
	group *ThreadGroup
	pgrp  *ProcessGroup
	sess  *Session

	state atomic.Int32 // of the process: pidAlive, pidZombie, pidGone; for readers without the lock
	exits wait.Queue   // pidfds: notified when the thread group has become a zombie, and when it is reaped
}

// States of a process.
const (
	pidAlive int32 = iota
	pidZombie
	pidGone
)

type pidNumber struct {
	ns *PIDNamespace
	nr int32
}

// In is the number in n, 0 if it has none there.
func (p *PID) In(n *PIDNamespace) int32 {
	if p == nil || n.level >= len(p.numbers) || p.numbers[n.level].ns != n {
		return 0
	}
	return p.numbers[n.level].nr
}

// Number is the number in the PID's own namespace.
func (p *PID) Number() int32 { return p.numbers[len(p.numbers)-1].nr }

// Numbers are the numbers from namespace n inwards (NSpid in /proc/pid/status).
func (p *PID) Numbers(n *PIDNamespace) []int32 {
	var out []int32
	if p.In(n) != 0 {
		for _, x := range p.numbers[n.level:] {
			out = append(out, x.nr)
		}
	}
	return out
}

// Namespace is the PID's own namespace.
func (p *PID) Namespace() *PIDNamespace { return p.numbers[len(p.numbers)-1].ns }

// release gives the numbers back if nothing uses them. Called with Kernel.tasks held.
func (p *PID) release() {
	if p.task != nil || p.group != nil || p.pgrp != nil || p.sess != nil {
		return
	}
	for _, x := range p.numbers {
		if x.ns.pids[x.nr] == p {
			delete(x.ns.pids, x.nr)
		}
	}
}

// PIDNamespace is a PID namespace (pid_namespaces(7)). Kernel.tasks guards the fields after level.
type PIDNamespace struct {
	ns.Info
	Parent *PIDNamespace
	level  int
	kernel *Kernel

	pids map[int32]*PID
	last int32        // the number given last
	init *ThreadGroup // process 1
	dead bool         // process 1 has died: no more processes
}

const (
	pidMax       = 32768 // the default of /proc/sys/kernel/pid_max
	reservedPIDs = 300   // not used again once the numbers have wrapped
	maxPIDLevels = 32
)

func newPIDNamespace(k *Kernel, parent *PIDNamespace, info ns.Info) *PIDNamespace {
	n := &PIDNamespace{Info: info, Parent: parent, kernel: k, pids: map[int32]*PID{}}
	if parent != nil {
		n.level = parent.level + 1
	}
	return n
}

// Begun says whether the namespace has had its first process; before, nobody can enter it.
func (n *PIDNamespace) Begun() bool {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	return n.init != nil || n.dead
}

// NSType implements ns.Namespace.
func (*PIDNamespace) NSType() uint64 { return linux.CLONE_NEWPID }

// alloc takes a number: the one wanted, or (0) the next free one. Called with Kernel.tasks held.
func (n *PIDNamespace) alloc(want int32) (int32, linux.Errno) {
	if want != 0 {
		if want < 1 || want >= pidMax {
			return 0, linux.EINVAL
		}
		if n.pids[want] != nil {
			return 0, linux.EEXIST
		}
		if want != 1 && n.init == nil && n.last == 0 {
			return 0, linux.EINVAL // the first process of a namespace is process 1
		}
		return want, 0
	}
	for try, nr := 0, n.last+1; try < pidMax; try, nr = try+1, nr+1 {
		if nr >= pidMax {
			nr = reservedPIDs
		}
		if n.pids[nr] == nil {
			n.last = nr
			return nr, 0
		}
	}
	return 0, linux.EAGAIN
}

// newPID makes an identity in n and its ancestors. want holds the numbers of clone3(2)'s set_tid, innermost
// first. Called with Kernel.tasks held.
func (n *PIDNamespace) newPID(want []int32) (*PID, linux.Errno) {
	p := &PID{numbers: make([]pidNumber, n.level+1)}
	for x := n; x != nil; x = x.Parent {
		if x.dead {
			p.abandon(x.level + 1)
			return nil, linux.ENOMEM
		}
		w := int32(0)
		if i := n.level - x.level; i < len(want) {
			w = want[i]
		}
		nr, errno := x.alloc(w)
		if errno != 0 {
			p.abandon(x.level + 1)
			return nil, errno
		}
		x.pids[nr] = p
		p.numbers[x.level] = pidNumber{x, nr}
	}
	return p, 0
}

// abandon gives back the numbers from level on.
func (p *PID) abandon(level int) {
	for _, x := range p.numbers[level:] {
		delete(x.ns.pids, x.nr)
	}
}

// Task returns the thread with the number, or nil.
func (n *PIDNamespace) Task(tid int32) *Task {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	return n.taskLocked(tid)
}

func (n *PIDNamespace) taskLocked(tid int32) *Task {
	if p := n.pids[tid]; p != nil {
		return p.task
	}
	return nil
}

// Group returns the process with the number, or nil.
func (n *PIDNamespace) Group(pid int32) *ThreadGroup {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	return n.groupLocked(pid)
}

func (n *PIDNamespace) groupLocked(pid int32) *ThreadGroup {
	if p := n.pids[pid]; p != nil {
		return p.group
	}
	return nil
}

// PID returns the identity with the number, or nil.
func (n *PIDNamespace) PID(nr int32) *PID {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	return n.pids[nr]
}

// ProcessGroup returns the process group with the number, or nil.
func (n *PIDNamespace) ProcessGroup(pgid int32) *ProcessGroup {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	if p := n.pids[pgid]; p != nil {
		return p.pgrp
	}
	return nil
}

// Groups returns the processes visible in n, in the order of their numbers.
func (n *PIDNamespace) Groups() []*ThreadGroup {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	return n.groupsLocked()
}

func (n *PIDNamespace) groupsLocked() []*ThreadGroup {
	var out []*ThreadGroup
	for _, nr := range slices.Sorted(maps.Keys(n.pids)) {
		if g := n.pids[nr].group; g != nil {
			out = append(out, g)
		}
	}
	return out
}

// Count is the number of threads visible in n, and the number given last (for /proc/loadavg).
func (n *PIDNamespace) Count() (threads int, last int32) {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	for _, p := range n.pids {
		if p.task != nil {
			threads++
		}
	}
	return threads, n.last
}

// Init is process 1, nil when it is gone.
func (n *PIDNamespace) Init() *ThreadGroup {
	n.kernel.tasks.RLock()
	defer n.kernel.tasks.RUnlock()
	return n.init
}

// Contains says whether m is n or one of its descendants.
func (n *PIDNamespace) Contains(m *PIDNamespace) bool {
	for ; m != nil; m = m.Parent {
		if m == n {
			return true
		}
	}
	return false
}
