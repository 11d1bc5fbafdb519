package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/fs/timerfd"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// TimerfdCreate implements timerfd_create(2).
func TimerfdCreate(t *task.Task, clock ClockID, flags TimerfdFlags) (uintptr, linux.Errno) {
	f, errno := timerfd.New(t.Caller(), int32(clock), uint32(flags), &t.NS().Time.Offsets)
	if errno != 0 {
		return 0, errno
	}
	return newFD(t, f, flags&linux.TFD_CLOEXEC != 0)
}

// timerFile returns the timerfd behind fd, and its file to be Put.
func timerFile(t *task.Task, fd FD) (*timerfd.TimerFD, *vfs.File, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return nil, nil, errno
	}
	tf, ok := timerfd.FromFile(f)
	if !ok {
		f.Put()
		return nil, nil, linux.EINVAL
	}
	return tf, f, 0
}

// TimerfdSettime implements timerfd_settime(2).
func TimerfdSettime(t *task.Task, fd FD, flags TimerfdSetFlags, new, old mm.User[linux.Itimerspec]) (uintptr, linux.Errno) {
	its, errno := new.Load(t)
	if errno != 0 {
		return 0, errno
	}
	tf, f, errno := timerFile(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	was, errno := tf.SetTime(uint32(flags), its)
	if errno != 0 || old == 0 {
		return 0, errno
	}
	return none(old.Store(t, was))
}

// TimerfdGettime implements timerfd_gettime(2).
func TimerfdGettime(t *task.Task, fd FD, out mm.User[linux.Itimerspec]) (uintptr, linux.Errno) {
	tf, f, errno := timerFile(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return none(out.Store(t, tf.GetTime()))
}
