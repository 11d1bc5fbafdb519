package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
)

// Dup implements dup(2).
func Dup(t *task.Task, fd FD) (uintptr, linux.Errno) { return dupFrom(t, fd, 0, false) }

// dupFrom gives the file behind fd another number, min or above.
func dupFrom(t *task.Task, fd FD, min int32, cloexec bool) (uintptr, linux.Errno) {
	f, errno := fileRaw(t, fd)
	if errno != 0 {
		return 0, errno
	}
	n, errno := t.Files().NewFD(f, cloexec, min)
	if errno != 0 {
		f.Put()
		return 0, errno
	}
	return uintptr(n), 0
}

// Dup2 implements dup2(2), which does nothing if both numbers are the same.
func Dup2(t *task.Task, from, to FD) (uintptr, linux.Errno) {
	if from == to {
		f, errno := fileRaw(t, from)
		if errno != 0 {
			return 0, errno
		}
		f.Put()
		return uintptr(to), 0
	}
	return dupTo(t, from, to, false)
}

// Dup3 implements dup3(2).
func Dup3(t *task.Task, from, to FD, flags OpenFlags) (uintptr, linux.Errno) {
	if flags&^linux.O_CLOEXEC != 0 || from == to {
		return 0, linux.EINVAL
	}
	return dupTo(t, from, to, flags&linux.O_CLOEXEC != 0)
}

func dupTo(t *task.Task, from, to FD, cloexec bool) (uintptr, linux.Errno) {
	if to < 0 || uint64(to) >= t.Limit(linux.RLIMIT_NOFILE).Cur {
		return 0, linux.EBADF
	}
	f, errno := fileRaw(t, from)
	if errno != 0 {
		return 0, errno
	}
	old, errno := t.Files().Set(int32(to), f, cloexec)
	if errno != 0 {
		f.Put()
		return 0, errno
	}
	if old != nil {
		// The error of the silent close is lost, as dup2(2) warns.
		_ = t.FlushFile(old)
		old.Put()
	}
	return uintptr(to), 0
}
