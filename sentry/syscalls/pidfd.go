package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// PidfdOpen implements pidfd_open(2).
func PidfdOpen(t *task.Task, pid PID, flags uint32) (uintptr, linux.Errno) {
	if flags&^linux.O_NONBLOCK != 0 || pid <= 0 {
		return 0, linux.EINVAL
	}
	f, errno := t.PIDFDOpen(int32(pid), flags)
	if errno != 0 {
		return 0, errno
	}
	return newFD(t, f, true)
}

// pidOfFD returns the process that a pidfd names.
func pidOfFD(t *task.Task, fd FD) (*task.PID, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return nil, errno
	}
	defer f.Put()
	if p, ok := task.PIDOfFile(f); ok {
		return p, 0
	}
	return nil, linux.EBADF
}

// PidfdSendSignal implements pidfd_send_signal(2).
func PidfdSendSignal(t *task.Task, fd FD, sig Signo, info mm.User[linux.Siginfo], flags uint32) (uintptr, linux.Errno) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	p, errno := pidOfFD(t, fd)
	if errno != 0 {
		return 0, errno
	}
	if !visible(t, p) || sig < 0 || sig > linux.NSIG {
		return 0, linux.EINVAL
	}
	g := p.Group()
	var i linux.Siginfo
	if info != 0 {
		if i, errno = info.Load(t); errno != 0 {
			return 0, errno
		}
		if i.Signo != int32(sig) {
			return 0, linux.EINVAL
		}
		if forged(&i) && g != t.Group {
			return 0, linux.EPERM
		}
	}
	if g == nil {
		return 0, linux.ESRCH
	}
	if info == 0 {
		i = t.InfoFor(g, int32(sig), linux.SI_USER)
	}
	return none(t.Kill(g, &i))
}

// visible says whether a process is in the caller's PID namespace or below.
func visible(t *task.Task, p *task.PID) bool { return p.In(t.PIDNS()) != 0 }

// PidfdGetfd implements pidfd_getfd(2).
func PidfdGetfd(t *task.Task, fd, target FD, flags uint32) (uintptr, linux.Errno) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	p, errno := pidOfFD(t, fd)
	if errno != 0 {
		return 0, errno
	}
	g := p.Group()
	if g == nil || g.Zombie() {
		return 0, linux.ESRCH
	}
	o := g.Leader()
	if !t.MayAccess(o, false) {
		return 0, linux.EPERM
	}
	var f *vfs.File
	if table := o.Files(); table != nil {
		f = table.GetRaw(int32(target))
	}
	if f == nil {
		return 0, linux.EBADF
	}
	return newFD(t, f, true)
}
