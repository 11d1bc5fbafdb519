package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
)

// Close implements close(2). The descriptor is free whatever the file says; an interrupted flush is EINTR and
// is never restarted, because the number may belong to another file by then.
func Close(t *task.Task, fd FD) (uintptr, linux.Errno) {
	f := t.Files().Close(int32(fd))
	if f == nil {
		return 0, linux.EBADF
	}
	defer f.Put()
	errno := t.FlushFile(f)
	switch errno {
	case linux.ERESTARTSYS, linux.ERESTARTNOINTR, linux.ERESTARTNOHAND, linux.ERESTART_RESTARTBLOCK:
		errno = linux.EINTR
	}
	return 0, errno
}

// CloseRange implements close_range(2).
func CloseRange(t *task.Task, first, last uint32, flags CloseFlags) (uintptr, linux.Errno) {
	if flags&^(linux.CLOSE_RANGE_UNSHARE|linux.CLOSE_RANGE_CLOEXEC) != 0 || first > last {
		return 0, linux.EINVAL
	}
	if flags&linux.CLOSE_RANGE_UNSHARE != 0 {
		if errno := t.UnshareFiles(); errno != 0 {
			return 0, errno
		}
	}
	if flags&linux.CLOSE_RANGE_CLOEXEC != 0 {
		t.Files().SetCloexecRange(first, last)
		return 0, 0
	}
	t.CloseRange(first, last)
	return 0, 0
}
