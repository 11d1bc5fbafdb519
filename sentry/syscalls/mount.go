package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// loadMountString reads an optional string argument of mount(2), of at most a page.
func loadMountString(t *task.Task, s Str) (string, linux.Errno) {
	if s == 0 {
		return "", 0
	}
	return s.load(t, linux.PageSize, linux.EINVAL)
}

// Mount implements mount(2).
func Mount(t *task.Task, source Str, target Path, fstype Str, flags MountFlags, data Str) (uintptr, linux.Errno) {
	kind, errno := loadMountString(t, fstype)
	if errno != 0 {
		return 0, errno
	}
	src, errno := loadMountString(t, source)
	if errno != 0 {
		return 0, errno
	}
	opts, errno := loadMountString(t, data)
	if errno != 0 {
		return 0, errno
	}
	p, errno := resolve(t, linux.AT_FDCWD, target, vfs.Follow)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.MountFS(t.Caller(), src, p, kind, uint32(flags), opts))
}

// Umount2 implements umount2(2).
func Umount2(t *task.Task, target Path, flags UmountFlags) (uintptr, linux.Errno) {
	if flags&^(linux.MNT_FORCE|linux.MNT_DETACH|linux.MNT_EXPIRE|linux.UMOUNT_NOFOLLOW) != 0 {
		return 0, linux.EINVAL
	}
	follow := vfs.Follow
	if flags&linux.UMOUNT_NOFOLLOW != 0 {
		follow = 0
	}
	p, errno := resolve(t, linux.AT_FDCWD, target, follow)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Umount(t.Caller(), p, uint32(flags)))
}

// PivotRoot implements pivot_root(2).
func PivotRoot(t *task.Task, newRoot, putOld Path) (uintptr, linux.Errno) {
	if !vfs.MayMount(t.Caller()) {
		return 0, linux.EPERM
	}
	n, errno := resolve(t, linux.AT_FDCWD, newRoot, vfs.Follow|vfs.Directory)
	if errno != 0 {
		return 0, errno
	}
	defer n.Put()
	o, errno := resolve(t, linux.AT_FDCWD, putOld, vfs.Follow|vfs.Directory)
	if errno != 0 {
		return 0, errno
	}
	defer o.Put()
	old := t.Caller().Root.Get()
	defer old.Put()
	if errno := vfs.PivotRoot(t.Caller(), n, o); errno != 0 {
		return 0, errno
	}
	t.Kernel().MoveRoots(old, n)
	return 0, 0
}
