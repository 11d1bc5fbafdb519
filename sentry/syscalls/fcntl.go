package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/fs/pipe"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
	"hornwork/sentry/vfs"
)

// Fcntl implements fcntl(2).
func Fcntl(t *task.Task, fd FD, cmd FcntlCmd, arg uint64) (uintptr, linux.Errno) {
	f, errno := fileRaw(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if f.Flags()&linux.O_PATH != 0 {
		switch cmd {
		case linux.F_DUPFD, linux.F_DUPFD_CLOEXEC, linux.F_GETFD, linux.F_SETFD, linux.F_GETFL:
		default:
			return 0, linux.EBADF
		}
	}
	switch cmd {
	case linux.F_DUPFD, linux.F_DUPFD_CLOEXEC:
		if arg >= t.Limit(linux.RLIMIT_NOFILE).Cur || arg > 1<<31-1 {
			return 0, linux.EINVAL
		}
		return dupFrom(t, fd, int32(arg), cmd == linux.F_DUPFD_CLOEXEC)
	case linux.F_GETFD:
		if cloexec, _ := t.Files().Cloexec(int32(fd)); cloexec {
			return linux.FD_CLOEXEC, 0
		}
		return 0, 0
	case linux.F_SETFD:
		t.Files().SetCloexec(int32(fd), arg&linux.FD_CLOEXEC != 0)
		return 0, 0
	case linux.F_GETFL:
		return uintptr(f.Flags() &^ linux.O_CLOEXEC), 0
	case linux.F_SETFL:
		return none(setFlags(t, f, fd, uint32(arg)))
	case linux.F_GETLK, linux.F_SETLK, linux.F_SETLKW, linux.F_OFD_GETLK, linux.F_OFD_SETLK, linux.F_OFD_SETLKW:
		return fcntlLock(t, f, cmd, mm.User[linux.Flock](arg))
	case linux.F_SETPIPE_SZ, linux.F_GETPIPE_SZ:
		return pipeSize(t, f, cmd, arg)
	case linux.F_ADD_SEALS, linux.F_GET_SEALS:
		return fcntlSeals(t, f, cmd, arg)
	case linux.F_SETLEASE, linux.F_GETLEASE, linux.F_NOTIFY:
		return fcntlLease(t, f, cmd, arg)
	}
	return fcntlOwner(t, f, cmd, arg)
}

// setFlags implements F_SETFL, which changes the status flags and ignores the rest, the access mode for one.
func setFlags(t *task.Task, f *vfs.File, fd FD, flags uint32) linux.Errno {
	old := f.Flags()
	if errno := f.SetFlags(t.Caller(), flags); errno != 0 {
		return errno
	}
	if (flags^old)&linux.O_ASYNC != 0 {
		setAsync(f, fd, flags&linux.O_ASYNC != 0)
	}
	return 0
}

func fcntlLock(t *task.Task, f *vfs.File, cmd FcntlCmd, arg mm.User[linux.Flock]) (uintptr, linux.Errno) {
	fl, errno := arg.Load(t)
	if errno != 0 {
		return 0, errno
	}
	ofd := cmd == linux.F_OFD_GETLK || cmd == linux.F_OFD_SETLK || cmd == linux.F_OFD_SETLKW
	switch cmd {
	case linux.F_GETLK, linux.F_OFD_GETLK:
		if errno := f.GetLock(t.Caller(), &fl, ofd); errno != 0 {
			return 0, errno
		}
		return none(arg.Store(t, fl))
	}
	wait := cmd == linux.F_SETLKW || cmd == linux.F_OFD_SETLKW
	return none(f.SetLock(t.Caller(), &fl, ofd, wait))
}

func pipeSize(t *task.Task, f *vfs.File, cmd FcntlCmd, arg uint64) (uintptr, linux.Errno) {
	p, ok := pipe.FromFile(f)
	if !ok {
		return 0, linux.EBADF
	}
	if cmd == linux.F_GETPIPE_SZ {
		return uintptr(p.Size()), 0
	}
	n, errno := p.SetSize(t.Caller(), uint64(uint32(arg)))
	return uintptr(n), errno
}

// sealer is a file with memfd's seals.
type sealer interface {
	Seals() uint32
	AddSeals(f *vfs.File, seals uint32) linux.Errno
}

func fcntlSeals(_ *task.Task, f *vfs.File, cmd FcntlCmd, arg uint64) (uintptr, linux.Errno) {
	s, ok := f.Ops.(sealer)
	if cmd == linux.F_GET_SEALS {
		if !ok {
			return 0, linux.EINVAL
		}
		return uintptr(s.Seals()), 0
	}
	if !f.Writable() {
		return 0, linux.EPERM
	}
	if !ok || arg&^tmpfs.AllSeals != 0 {
		return 0, linux.EINVAL
	}
	return none(s.AddSeals(f, uint32(arg)))
}

// fcntlLease answers leases and dnotify as a Linux whose filesystem does not have them.
func fcntlLease(t *task.Task, f *vfs.File, cmd FcntlCmd, arg uint64) (uintptr, linux.Errno) {
	switch cmd {
	case linux.F_GETLEASE:
		return linux.F_UNLCK, 0
	case linux.F_SETLEASE:
		if f.Inode().Type() != linux.S_IFREG {
			return 0, linux.EINVAL
		}
		if arg == linux.F_UNLCK {
			return 0, linux.EAGAIN // there is none to remove
		}
		trace.Unsupported(trace.Fcntl, "F_SETLEASE", t.Name())
		return 0, linux.EINVAL
	}
	if f.Inode().Type() != linux.S_IFDIR {
		return 0, linux.ENOTDIR
	}
	trace.Unsupported(trace.Fcntl, "F_NOTIFY", t.Name())
	return 0, linux.EINVAL
}
