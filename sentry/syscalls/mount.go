package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// mayMount says whether the caller administers its mount namespace.
func mayMount(t *task.Task) bool { return t.Creds().HasCap(linux.CAP_SYS_ADMIN) }

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
	if !mayMount(t) {
		return 0, linux.EPERM
	}
	if flags&linux.MS_MGC_MSK == linux.MS_MGC_VAL {
		flags &^= linux.MS_MGC_MSK
	}
	if flags&(linux.MS_NOUSER&(1<<32-1)) != 0 {
		return 0, linux.EINVAL
	}
	c, fl := t.Caller(), uint32(flags)
	const propagation = linux.MS_SHARED | linux.MS_PRIVATE | linux.MS_SLAVE | linux.MS_UNBINDABLE
	switch {
	case fl&(linux.MS_REMOUNT|linux.MS_BIND) == linux.MS_REMOUNT|linux.MS_BIND, fl&linux.MS_REMOUNT != 0:
		return none(vfs.Remount(c, p, fl, opts))
	case fl&linux.MS_BIND != 0:
		if source == 0 || src == "" {
			return 0, linux.EINVAL
		}
		from, errno := vfs.Walk(c, c.Cwd, src, vfs.Follow)
		if errno != 0 {
			return 0, errno
		}
		defer from.Put()
		return none(vfs.Bind(c, from, p, fl&linux.MS_REC != 0))
	case fl&propagation != 0:
		return none(vfs.SetPropagation(c, p, fl))
	case fl&linux.MS_MOVE != 0:
		if source == 0 || src == "" {
			return 0, linux.EINVAL
		}
		from, errno := vfs.Walk(c, c.Cwd, src, vfs.Follow)
		if errno != 0 {
			return 0, errno
		}
		defer from.Put()
		return none(vfs.MoveMount(c, from, p))
	}
	if fstype == 0 {
		return 0, linux.EINVAL
	}
	return none(vfs.MountNew(c, kind, src, p, fl, opts))
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
	if !mayMount(t) {
		return 0, linux.EPERM
	}
	return none(vfs.Umount(t.Caller(), p, uint32(flags)))
}

// PivotRoot implements pivot_root(2).
func PivotRoot(t *task.Task, newRoot, putOld Path) (uintptr, linux.Errno) {
	if !mayMount(t) {
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
