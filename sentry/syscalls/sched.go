package syscalls

import (
	"encoding/binary"
	"runtime"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/timer"
)

// SchedPolicy is SCHED_*.
type SchedPolicy int32

const maxRTPriority = 99

// SchedYield implements sched_yield(2).
func SchedYield(*task.Task) (uintptr, linux.Errno) {
	runtime.Gosched()
	return 0, 0
}

func realtime(p int32) bool { return p == linux.SCHED_FIFO || p == linux.SCHED_RR }

// setPolicy checks and stores a policy: __sched_setscheduler.
func setPolicy(t *task.Task, pid PID, change func(a *task.SchedAttr) linux.Errno) linux.Errno {
	o := taskAt(t, pid)
	if o == nil {
		return linux.ESRCH
	}
	old := o.Sched().Attr()
	a := old
	if errno := change(&a); errno != 0 {
		return errno
	}
	switch a.Policy {
	case linux.SCHED_FIFO, linux.SCHED_RR:
		if a.Priority < 1 || a.Priority > maxRTPriority {
			return linux.EINVAL
		}
	case linux.SCHED_NORMAL, linux.SCHED_BATCH, linux.SCHED_IDLE:
		if a.Priority != 0 {
			return linux.EINVAL
		}
	default:
		return linux.EINVAL
	}
	if errno := mayPolicy(t, o, &a, &old); errno != 0 {
		return errno
	}
	o.Sched().SetAttr(a)
	return 0
}

// mayPolicy is user_check_sched_setscheduler.
func mayPolicy(t, o *task.Task, a, old *task.SchedAttr) linux.Errno {
	c, oc := t.Creds(), o.Creds()
	if c.HasCapIn(oc.UserNS, linux.CAP_SYS_NICE) {
		return 0
	}
	rt := o.Limit(linux.RLIMIT_RTPRIO).Cur
	switch {
	case !realtime(a.Policy) && a.Nice < old.Nice && uint64(20-a.Nice) > o.Limit(linux.RLIMIT_NICE).Cur,
		realtime(a.Policy) && a.Policy != old.Policy && rt == 0,
		realtime(a.Policy) && a.Priority > old.Priority && uint64(a.Priority) > rt,
		old.Policy == linux.SCHED_IDLE && a.Policy != linux.SCHED_IDLE && uint64(20-old.Nice) > o.Limit(linux.RLIMIT_NICE).Cur,
		c.EUID != oc.EUID && c.EUID != oc.RUID,
		old.ResetOnFork && !a.ResetOnFork:
		return linux.EPERM
	}
	return 0
}

// SchedSetscheduler implements sched_setscheduler(2).
func SchedSetscheduler(t *task.Task, pid PID, policy SchedPolicy, param mm.User[int32]) (uintptr, linux.Errno) {
	if policy < 0 || pid < 0 || param == 0 {
		return 0, linux.EINVAL
	}
	prio, errno := param.Load(t)
	if errno != 0 {
		return 0, errno
	}
	return none(setPolicy(t, pid, func(a *task.SchedAttr) linux.Errno {
		a.Policy, a.Priority = int32(policy)&^linux.SCHED_RESET_ON_FORK, prio
		a.ResetOnFork = policy&linux.SCHED_RESET_ON_FORK != 0
		return 0
	}))
}

// SchedSetparam implements sched_setparam(2).
func SchedSetparam(t *task.Task, pid PID, param mm.User[int32]) (uintptr, linux.Errno) {
	if pid < 0 || param == 0 {
		return 0, linux.EINVAL
	}
	prio, errno := param.Load(t)
	if errno != 0 {
		return 0, errno
	}
	return none(setPolicy(t, pid, func(a *task.SchedAttr) linux.Errno { a.Priority = prio; return 0 }))
}

// SchedGetscheduler implements sched_getscheduler(2).
func SchedGetscheduler(t *task.Task, pid PID) (uintptr, linux.Errno) {
	if pid < 0 {
		return 0, linux.EINVAL
	}
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	a := o.Sched().Attr()
	p := uintptr(a.Policy)
	if a.ResetOnFork {
		p |= linux.SCHED_RESET_ON_FORK
	}
	return p, 0
}

// SchedGetparam implements sched_getparam(2).
func SchedGetparam(t *task.Task, pid PID, param mm.User[int32]) (uintptr, linux.Errno) {
	if pid < 0 || param == 0 {
		return 0, linux.EINVAL
	}
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	return none(param.Store(t, o.Sched().Attr().Priority))
}

// SchedGetPriorityMax implements sched_get_priority_max(2).
func SchedGetPriorityMax(_ *task.Task, p SchedPolicy) (uintptr, linux.Errno) {
	return priorityRange(p, maxRTPriority)
}

// SchedGetPriorityMin implements sched_get_priority_min(2).
func SchedGetPriorityMin(_ *task.Task, p SchedPolicy) (uintptr, linux.Errno) {
	return priorityRange(p, 1)
}

func priorityRange(p SchedPolicy, rt uintptr) (uintptr, linux.Errno) {
	switch p {
	case linux.SCHED_FIFO, linux.SCHED_RR:
		return rt, 0
	case linux.SCHED_NORMAL, linux.SCHED_BATCH, linux.SCHED_IDLE, linux.SCHED_DEADLINE:
		return 0, 0
	}
	return 0, linux.EINVAL
}

// SchedRrGetInterval implements sched_rr_get_interval(2).
func SchedRrGetInterval(t *task.Task, pid PID, out mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	if pid < 0 {
		return 0, linux.EINVAL
	}
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	ns := int64(4_000_000) // a tick
	switch o.Sched().Attr().Policy {
	case linux.SCHED_RR:
		ns = 100_000_000
	case linux.SCHED_FIFO:
		ns = 0
	}
	return none(out.Store(t, timer.ToTimespec(ns)))
}

// SchedSetaffinity implements sched_setaffinity(2).
func SchedSetaffinity(t *task.Task, pid PID, size uint32, mask Addr) (uintptr, linux.Errno) {
	n := len(t.Kernel().CPUs)
	b := make([]byte, (n+63)/64*8)
	if _, errno := t.Memory().CopyIn(b[:min(len(b), int(size))], uint64(mask)); errno != 0 {
		return 0, errno
	}
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	c, oc := t.Creds(), o.Creds()
	if c.EUID != oc.EUID && c.EUID != oc.RUID && !c.HasCapIn(oc.UserNS, linux.CAP_SYS_NICE) {
		return 0, linux.EPERM
	}
	words := make([]uint64, len(b)/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return none(o.Sched().SetAffinity(words, n))
}

// SchedGetaffinity implements sched_getaffinity(2): its result is how many bytes it wrote.
func SchedGetaffinity(t *task.Task, pid PID, size uint32, mask Addr) (uintptr, linux.Errno) {
	n := len(t.Kernel().CPUs)
	if uint64(size)*8 < uint64(n) || size%8 != 0 {
		return 0, linux.EINVAL
	}
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	words := o.Sched().Affinity(n)
	b := make([]byte, 8*len(words))
	for i, w := range words {
		binary.LittleEndian.PutUint64(b[8*i:], w)
	}
	b = b[:min(len(b), int(size))]
	if _, errno := t.Memory().CopyOut(uint64(mask), b); errno != 0 {
		return 0, errno
	}
	return uintptr(len(b)), 0
}

// schedAttr is struct sched_attr.
type schedAttr struct {
	Size, Policy              uint32
	Flags                     uint64
	Nice                      int32
	Priority                  uint32
	Runtime, Deadline, Period uint64
	UtilMin, UtilMax          uint32
}

const (
	schedAttrVer0 = 48
	schedAttrVer1 = 56
)

// SchedSetattr implements sched_setattr(2).
func SchedSetattr(t *task.Task, pid PID, attr Addr, flags uint32) (uintptr, linux.Errno) {
	if attr == 0 || pid < 0 || flags != 0 {
		return 0, linux.EINVAL
	}
	sa, errno := loadSchedAttr(t, attr)
	if errno != 0 {
		return 0, errno
	}
	const known = linux.SCHED_FLAG_RESET_ON_FORK | linux.SCHED_FLAG_KEEP_ALL | linux.SCHED_FLAG_UTIL_CLAMP
	if sa.Flags&^known != 0 || int32(sa.Policy) < 0 {
		return 0, linux.EINVAL
	}
	if sa.Policy == linux.SCHED_DEADLINE {
		return 0, linux.EPERM // what an unprivileged process is told; no bandwidth can be promised
	}
	return none(setPolicy(t, pid, func(a *task.SchedAttr) linux.Errno {
		if sa.Flags&linux.SCHED_FLAG_KEEP_POLICY == 0 {
			a.Policy = int32(sa.Policy)
		}
		if sa.Flags&linux.SCHED_FLAG_KEEP_PARAMS == 0 {
			a.Priority = int32(sa.Priority)
			if !realtime(a.Policy) {
				a.Nice = min(max(sa.Nice, linux.PRIO_MIN), linux.PRIO_MAX-1)
			}
		}
		a.ResetOnFork = sa.Flags&linux.SCHED_FLAG_RESET_ON_FORK != 0
		return 0
	}))
}

// loadSchedAttr reads a structure whose first word is its size; for one that is too long it writes the size wanted.
func loadSchedAttr(t *task.Task, attr Addr) (sa schedAttr, errno linux.Errno) {
	size, errno := mm.User[uint32](attr).Load(t)
	if errno != 0 {
		return sa, errno
	}
	if size == 0 {
		size = schedAttrVer0
	}
	bad := size < schedAttrVer0 || size > linux.PageSize
	b := make([]byte, schedAttrVer1)
	if !bad {
		b = make([]byte, max(size, schedAttrVer1))
		if _, errno := t.Memory().CopyIn(b[:size], uint64(attr)); errno != 0 {
			return sa, errno
		}
		for _, x := range b[schedAttrVer1:] {
			bad = bad || x != 0
		}
	}
	if bad {
		if errno := mm.User[uint32](attr).Store(t, schedAttrVer1); errno != 0 {
			return sa, errno
		}
		return sa, linux.E2BIG
	}
	le := binary.LittleEndian
	return schedAttr{Size: size, Policy: le.Uint32(b[4:]), Flags: le.Uint64(b[8:]), Nice: int32(le.Uint32(b[16:])),
		Priority: le.Uint32(b[20:]), Runtime: le.Uint64(b[24:]), Deadline: le.Uint64(b[32:]), Period: le.Uint64(b[40:]),
		UtilMin: le.Uint32(b[48:]), UtilMax: le.Uint32(b[52:])}, 0
}

// SchedGetattr implements sched_getattr(2).
func SchedGetattr(t *task.Task, pid PID, attr Addr, size, flags uint32) (uintptr, linux.Errno) {
	if attr == 0 || pid < 0 || size > linux.PageSize || size < schedAttrVer0 || flags != 0 {
		return 0, linux.EINVAL
	}
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	a := o.Sched().Attr()
	var b [schedAttrVer1]byte
	le := binary.LittleEndian
	size = min(size, schedAttrVer1)
	le.PutUint32(b[0:], size)
	le.PutUint32(b[4:], uint32(a.Policy))
	if a.ResetOnFork {
		le.PutUint64(b[8:], linux.SCHED_FLAG_RESET_ON_FORK)
	}
	if realtime(a.Policy) {
		le.PutUint32(b[20:], uint32(a.Priority))
	} else {
		le.PutUint32(b[16:], uint32(a.Nice))
	}
	le.PutUint32(b[52:], 1024) // sched_util_max
	_, errno := t.Memory().CopyOut(uint64(attr), b[:size])
	return 0, errno
}

// Who an I/O priority is about: IOPRIO_WHO_*.
const (
	ioprioProcess = 1
	ioprioPgrp    = 2
	ioprioUser    = 3
)

// IoprioSet implements ioprio_set(2). Priorities are kept; the host's block devices do not see them.
func IoprioSet(t *task.Task, which, who, prio int32) (uintptr, linux.Errno) {
	const classShift = 13
	const classNone, classRT, classBE, classIdle = 0, 1, 2, 3
	switch prio >> classShift {
	case classRT:
		if !t.Creds().HasCap(linux.CAP_SYS_ADMIN) && !t.Creds().HasCap(linux.CAP_SYS_NICE) {
			return 0, linux.EPERM
		}
		if prio&7 != prio&(1<<classShift-1) {
			return 0, linux.EINVAL
		}
	case classBE:
		if prio&(1<<classShift-1) > 7 {
			return 0, linux.EINVAL
		}
	case classIdle:
	case classNone:
		if prio&(1<<classShift-1) != 0 {
			return 0, linux.EINVAL
		}
	default:
		return 0, linux.EINVAL
	}
	tasks, errno := ioprioTasks(t, which, who)
	if errno != 0 {
		return 0, errno
	}
	for _, o := range tasks {
		c, oc := t.Creds(), o.Creds()
		if c.EUID != oc.RUID && c.RUID != oc.RUID && !c.HasCap(linux.CAP_SYS_NICE) {
			return 0, linux.EPERM
		}
		o.SetIOPrio(prio)
	}
	return 0, 0
}

// IoprioGet implements ioprio_get(2): of several tasks, the highest priority.
func IoprioGet(t *task.Task, which, who int32) (uintptr, linux.Errno) {
	tasks, errno := ioprioTasks(t, which, who)
	if errno != 0 {
		return 0, errno
	}
	best := tasks[0].IOPrio()
	for _, o := range tasks[1:] {
		if p := o.IOPrio(); best == 0 || p != 0 && p < best {
			best = p
		}
	}
	return uintptr(best), 0
}

func ioprioTasks(t *task.Task, which, who int32) ([]*task.Task, linux.Errno) {
	kind := map[int32]int32{ioprioProcess: linux.PRIO_PROCESS, ioprioPgrp: linux.PRIO_PGRP, ioprioUser: linux.PRIO_USER}
	k, ok := kind[which]
	if !ok {
		return nil, linux.EINVAL
	}
	tasks, errno := priorityTasks(t, k, who)
	if errno == 0 && len(tasks) == 0 {
		errno = linux.ESRCH
	}
	return tasks, errno
}

const membarrierGetRegistrations = 1 << 9 // MEMBARRIER_CMD_GET_REGISTRATIONS, since Linux 6.3

// Membarrier implements membarrier(2). Registration is not needed: any thread can be interrupted.
func Membarrier(t *task.Task, cmd int32, flags uint32, _ int32) (uintptr, linux.Errno) {
	const (
		global = linux.MEMBARRIER_CMD_GLOBAL | linux.MEMBARRIER_CMD_GLOBAL_EXPEDITED
		local  = linux.MEMBARRIER_CMD_PRIVATE_EXPEDITED | linux.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
		reg    = linux.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | linux.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
			linux.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
	)
	if flags != 0 {
		return 0, linux.EINVAL
	}
	switch {
	case cmd == linux.MEMBARRIER_CMD_QUERY:
		return global | local | reg | membarrierGetRegistrations, 0
	case cmd == membarrierGetRegistrations:
		return uintptr(t.Group.Membarriers().Load()), 0
	case cmd < 0 || cmd&(cmd-1) != 0:
		return 0, linux.EINVAL
	case cmd&reg != 0:
		t.Group.Membarriers().Or(uint32(cmd))
	case cmd&local != 0:
		if t.Group.Membarriers().Load()&uint32(cmd<<1) == 0 {
			return 0, linux.EPERM
		}
		t.ExpediteMemory(false)
	case cmd&global != 0:
		t.ExpediteMemory(true)
	default:
		return 0, linux.EINVAL
	}
	return 0, 0
}
