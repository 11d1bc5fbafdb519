package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/fs/pipe"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// AnonInodes is the filesystem of files without names, for task.Kernel.
var AnonInodes = anon.FS()

// newFD gives a new file, whose reference it takes, the lowest free number.
func newFD(t *task.Task, f *vfs.File, cloexec bool) (uintptr, linux.Errno) {
	fd, errno := t.Files().NewFD(f, cloexec, 0)
	if errno != 0 {
		f.Put()
		return 0, errno
	}
	return uintptr(fd), 0
}

// Pipe implements pipe(2).
func Pipe(t *task.Task, out mm.User[[2]int32]) (uintptr, linux.Errno) { return Pipe2(t, out, 0) }

// Pipe2 implements pipe2(2).
func Pipe2(t *task.Task, out mm.User[[2]int32], flags PipeFlags) (uintptr, linux.Errno) {
	if flags&^(linux.O_CLOEXEC|linux.O_NONBLOCK|linux.O_DIRECT) != 0 {
		return 0, linux.EINVAL
	}
	fds, errno := t.Files().Reserve(2)
	if errno != 0 {
		return 0, errno
	}
	defer fds.Cancel()
	n := fds.Numbers()
	if errno := out.Store(t, [2]int32{n[0], n[1]}); errno != 0 {
		return 0, errno // nobody has seen the descriptors yet
	}
	r, w := pipe.New(t.Caller(), uint32(flags))
	fds.Install(0, r, flags&linux.O_CLOEXEC != 0)
	fds.Install(1, w, flags&linux.O_CLOEXEC != 0)
	return 0, 0
}
