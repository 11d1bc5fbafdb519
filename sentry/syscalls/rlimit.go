package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// Getrlimit implements getrlimit(2).
func Getrlimit(t *task.Task, res uint32, out mm.User[linux.Rlimit]) (uintptr, linux.Errno) {
	if res >= linux.RLIM_NLIMITS {
		return 0, linux.EINVAL
	}
	return none(out.Store(t, t.Limit(int(res))))
}

// Setrlimit implements setrlimit(2).
func Setrlimit(t *task.Task, res uint32, new mm.User[linux.Rlimit]) (uintptr, linux.Errno) {
	l, errno := new.Load(t)
	if errno != 0 {
		return 0, errno
	}
	return none(setLimit(t, t.Group, res, l))
}

// Prlimit64 implements prlimit64(2).
func Prlimit64(t *task.Task, pid PID, res uint32, new, old mm.User[linux.Rlimit]) (uintptr, linux.Errno) {
	var l linux.Rlimit
	if new != 0 {
		var errno linux.Errno
		if l, errno = new.Load(t); errno != 0 {
			return 0, errno
		}
	}
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	if o != t && !mayLimit(t, o) {
		return 0, linux.EPERM
	}
	if res >= linux.RLIM_NLIMITS {
		return 0, linux.EINVAL
	}
	was := o.Limit(int(res))
	if new != 0 {
		if errno := setLimit(t, o.Group, res, l); errno != 0 {
			return 0, errno
		}
	}
	if old != 0 {
		return none(old.Store(t, was))
	}
	return 0, 0
}

// mayLimit is check_prlimit_permission.
func mayLimit(t, o *task.Task) bool {
	c, oc := t.Creds(), o.Creds()
	same := c.RUID == oc.EUID && c.RUID == oc.SUID && c.RUID == oc.RUID &&
		c.RGID == oc.EGID && c.RGID == oc.SGID && c.RGID == oc.RGID
	return same || c.HasCapIn(oc.UserNS, linux.CAP_SYS_RESOURCE)
}

func setLimit(t *task.Task, g *task.ThreadGroup, res uint32, l linux.Rlimit) linux.Errno {
	const nrOpen = 1 << 20
	if res >= linux.RLIM_NLIMITS || l.Cur > l.Max {
		return linux.EINVAL
	}
	if res == linux.RLIMIT_NOFILE && l.Max > nrOpen {
		return linux.EPERM
	}
	if l.Max > g.Limits().Get(int(res)).Max && !t.Creds().HasCap(linux.CAP_SYS_RESOURCE) {
		return linux.EPERM
	}
	g.Limits().Set(int(res), l)
	switch res {
	case linux.RLIMIT_AS, linux.RLIMIT_DATA, linux.RLIMIT_STACK, linux.RLIMIT_MEMLOCK:
		g.LimitsChanged()
	case linux.RLIMIT_CPU:
		g.CPULimitChanged()
	}
	return 0
}
