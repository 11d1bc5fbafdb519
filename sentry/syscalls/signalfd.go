package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/fs/signalfd"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// Signalfd implements signalfd(2) of the system-call table, which has no flags.
func Signalfd(t *task.Task, fd FD, mask mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	return Signalfd4(t, fd, mask, size, 0)
}

// Signalfd4 implements signalfd4(2): fd -1 makes a descriptor, another changes its mask.
func Signalfd4(t *task.Task, fd FD, mask mm.User[linux.Sigset], size uint64, flags SignalfdFlags) (uintptr, linux.Errno) {
	if size != 8 {
		return 0, linux.EINVAL
	}
	set, errno := mask.Load(t)
	if errno != 0 {
		return 0, errno
	}
	if flags&^(linux.SFD_CLOEXEC|linux.SFD_NONBLOCK) != 0 {
		return 0, linux.EINVAL
	}
	if fd == -1 {
		return newFD(t, signalfd.New(t.Caller(), set, uint32(flags)), flags&linux.SFD_CLOEXEC != 0)
	}
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	s, ok := signalfd.FromFile(f)
	if !ok {
		return 0, linux.EINVAL
	}
	s.SetMask(set)
	return uintptr(fd), 0
}
