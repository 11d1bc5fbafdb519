package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/fs/inotify"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// InotifyInit implements inotify_init(2).
func InotifyInit(t *task.Task) (uintptr, linux.Errno) { return InotifyInit1(t, 0) }

// InotifyInit1 implements inotify_init1(2).
func InotifyInit1(t *task.Task, flags InotifyFlags) (uintptr, linux.Errno) {
	f, errno := inotify.New(t.Caller(), uint32(flags))
	if errno != 0 {
		return 0, errno
	}
	return newFD(t, f, flags&linux.IN_CLOEXEC != 0)
}

// inotifyFile returns the inotify instance behind fd, and its file to be Put.
func inotifyFile(t *task.Task, fd FD) (*inotify.Inotify, *vfs.File, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return nil, nil, errno
	}
	in, ok := inotify.FromFile(f)
	if !ok {
		f.Put()
		return nil, nil, linux.EINVAL
	}
	return in, f, 0
}

// InotifyAddWatch implements inotify_add_watch(2).
func InotifyAddWatch(t *task.Task, fd FD, name Path, mask InotifyMask) (uintptr, linux.Errno) {
	if errno := inotify.CheckMask(uint32(mask)); errno != 0 {
		return 0, errno
	}
	in, f, errno := inotifyFile(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	walk := vfs.Follow
	if mask&linux.IN_DONT_FOLLOW != 0 {
		walk = 0
	}
	if mask&linux.IN_ONLYDIR != 0 {
		walk |= vfs.Directory
	}
	p, errno := resolve(t, linux.AT_FDCWD, name, walk)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	if errno := vfs.Access(t.Caller(), p, vfs.MayRead, true); errno != 0 {
		return 0, errno
	}
	wd, errno := in.AddWatch(p.Inode(), uint32(mask))
	return uintptr(wd), errno
}

// InotifyRmWatch implements inotify_rm_watch(2).
func InotifyRmWatch(t *task.Task, fd FD, wd int32) (uintptr, linux.Errno) {
	in, f, errno := inotifyFile(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return none(in.RemoveWatch(wd))
}
