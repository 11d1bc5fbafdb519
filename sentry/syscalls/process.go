package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// PID is a process, thread or process-group number.
type PID int32

// Getpid implements getpid(2).
func Getpid(t *task.Task) (uintptr, linux.Errno) { return uintptr(t.Group.PID()), 0 }

// Gettid implements gettid(2).
func Gettid(t *task.Task) (uintptr, linux.Errno) { return uintptr(t.TID()), 0 }

// Getppid implements getppid(2).
func Getppid(t *task.Task) (uintptr, linux.Errno) { return uintptr(t.Group.PPID(t.PIDNS())), 0 }

// taskAt finds a thread by its number; 0 is the caller.
func taskAt(t *task.Task, pid PID) *task.Task {
	if pid == 0 {
		return t
	}
	return t.PIDNS().Task(int32(pid))
}

// Getpgid implements getpgid(2).
func Getpgid(t *task.Task, pid PID) (uintptr, linux.Errno) {
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	return uintptr(o.Group.PGID(t.PIDNS())), 0
}

// Getpgrp implements getpgrp(2).
func Getpgrp(t *task.Task) (uintptr, linux.Errno) { return Getpgid(t, 0) }

// Getsid implements getsid(2).
func Getsid(t *task.Task, pid PID) (uintptr, linux.Errno) {
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	return uintptr(o.Group.SID(t.PIDNS())), 0
}

// Setsid implements setsid(2).
func Setsid(t *task.Task) (uintptr, linux.Errno) {
	sid, errno := t.SetSID()
	return uintptr(sid), errno
}

// Setpgid implements setpgid(2).
func Setpgid(t *task.Task, pid, pgid PID) (uintptr, linux.Errno) {
	return none(t.SetPGID(int32(pid), int32(pgid)))
}

// SetTidAddress implements set_tid_address(2).
func SetTidAddress(t *task.Task, addr Addr) (uintptr, linux.Errno) {
	t.SetTIDAddress(uint64(addr))
	return uintptr(t.TID()), 0
}

// Personality implements personality(2): what it returns is the old value.
func Personality(t *task.Task, persona uint32) (uintptr, linux.Errno) {
	old := t.Group.Personality()
	if persona != 0xffffffff {
		t.Group.SetPersonality(persona)
	}
	return uintptr(old), 0
}

// Getpriority implements getpriority(2), whose result is 20 minus the nice value.
func Getpriority(t *task.Task, which, who int32) (uintptr, linux.Errno) {
	tasks, errno := priorityTasks(t, which, who)
	if errno != 0 {
		return 0, errno
	}
	best := int32(-1)
	for _, o := range tasks {
		best = max(best, 20-o.Sched().Attr().Nice)
	}
	if best < 0 {
		return 0, linux.ESRCH
	}
	return uintptr(best), 0
}

// Setpriority implements setpriority(2).
func Setpriority(t *task.Task, which, who, nice int32) (uintptr, linux.Errno) {
	tasks, errno := priorityTasks(t, which, who)
	if errno != 0 {
		return 0, errno
	}
	errno = linux.ESRCH
	nice = min(max(nice, linux.PRIO_MIN), linux.PRIO_MAX-1)
	for _, o := range tasks {
		if e := setNice(t, o, nice); e != 0 {
			errno = e
		} else if errno == linux.ESRCH {
			errno = 0
		}
	}
	return 0, errno
}

// setNice changes the nice value of one task: set_one_prio.
func setNice(t, o *task.Task, nice int32) linux.Errno {
	c, oc := t.Creds(), o.Creds()
	if c.EUID != oc.RUID && c.EUID != oc.EUID && !c.HasCapIn(oc.UserNS, linux.CAP_SYS_NICE) {
		return linux.EPERM
	}
	s := o.Sched()
	a := s.Attr()
	if nice < a.Nice && !mayNice(t, o, nice) {
		return linux.EACCES
	}
	a.Nice = nice
	s.SetAttr(a)
	return 0
}

// mayNice says whether a nice value is within RLIMIT_NICE.
func mayNice(t, o *task.Task, nice int32) bool {
	return uint64(20-nice) <= o.Limit(linux.RLIMIT_NICE).Cur || t.Creds().HasCap(linux.CAP_SYS_NICE)
}

// priorityTasks are the threads that a priority call is about.
func priorityTasks(t *task.Task, which, who int32) ([]*task.Task, linux.Errno) {
	switch which {
	case linux.PRIO_PROCESS:
		if o := taskAt(t, PID(who)); o != nil {
			return []*task.Task{o}, 0
		}
		return nil, 0
	case linux.PRIO_PGRP:
		p := t.Group.ProcessGroup()
		if who != 0 {
			p = t.PIDNS().ProcessGroup(who)
		}
		if p == nil {
			return nil, 0
		}
		var out []*task.Task
		for _, g := range p.Members() {
			out = append(out, g.Threads()...)
		}
		return out, 0
	case linux.PRIO_USER:
		kuid := t.Creds().RUID
		if who != 0 {
			var ok bool
			if kuid, ok = t.Creds().UserNS.KUID(uint32(who)); !ok {
				return nil, 0
			}
		}
		var out []*task.Task
		for _, g := range t.PIDNS().Groups() {
			for _, o := range g.Threads() {
				if o.Creds().RUID == kuid {
					out = append(out, o)
				}
			}
		}
		return out, 0
	}
	return nil, linux.EINVAL
}

// Getrusage implements getrusage(2).
func Getrusage(t *task.Task, who int32, out mm.User[linux.Rusage]) (uintptr, linux.Errno) {
	r, errno := t.Rusage(who)
	if errno != 0 {
		return 0, errno
	}
	return none(out.Store(t, r))
}

// Getcpu implements getcpu(2). The third argument has no use any more.
func Getcpu(t *task.Task, cpu, node mm.User[uint32], _ Addr) (uintptr, linux.Errno) {
	if cpu != 0 {
		if errno := cpu.Store(t, t.CPU()); errno != 0 {
			return 0, errno
		}
	}
	if node != 0 {
		if errno := node.Store(t, 0); errno != 0 {
			return 0, errno
		}
	}
	return 0, 0
}

// kcmp's types.
const (
	kcmpFile = iota
	kcmpVM
	kcmpFiles
	kcmpFS
	kcmpSighand
	kcmpIO
	kcmpSysvsem
	kcmpEpollTfd
)

// Kcmp implements kcmp(2).
func Kcmp(t *task.Task, pid1, pid2 PID, kind int32, idx1, idx2 uint64) (uintptr, linux.Errno) {
	a, b := t.PIDNS().Task(int32(pid1)), t.PIDNS().Task(int32(pid2))
	if a == nil || b == nil {
		return 0, linux.ESRCH
	}
	if !t.MayAccess(a, false) || !t.MayAccess(b, false) {
		return 0, linux.EPERM
	}
	switch kind {
	case kcmpFile:
		fa, fb := a.Files(), b.Files()
		if fa == nil || fb == nil {
			return 0, linux.EBADF
		}
		x, y := fa.GetRaw(int32(idx1)), fb.GetRaw(int32(idx2))
		if x != nil {
			defer x.Put()
		}
		if y != nil {
			defer y.Put()
		}
		if x == nil || y == nil {
			return 0, linux.EBADF
		}
		return compareObjects(x, y), 0
	case kcmpVM:
		return compareObjects(a.MM(), b.MM()), 0
	case kcmpFiles:
		return compareObjects(a.Files(), b.Files()), 0
	case kcmpFS:
		return compareObjects(a.FS(), b.FS()), 0
	case kcmpSighand:
		return compareObjects(a.Group.Sighand(), b.Group.Sighand()), 0
	case kcmpIO, kcmpSysvsem:
		return compareObjects(a.Group, b.Group), 0
	case kcmpEpollTfd:
		return 0, linux.EOPNOTSUPP
	}
	return 0, linux.EINVAL
}

// compareObjects is 0 for the same object, else 3: not equal, without an order. Linux orders objects by hidden
// addresses; programs that sort by it must cope with "no order" as well.
func compareObjects[T comparable](a, b T) uintptr {
	if a == b {
		return 0
	}
	return 3
}

// uid and kuid convert between the numbers that the caller sees and the root namespace's.
func uidOf(t *task.Task, kuid uint32) uint32 { return cred.FromKUID(t.Creds().UserNS, kuid) }
func gidOf(t *task.Task, kgid uint32) uint32 { return cred.FromKGID(t.Creds().UserNS, kgid) }
