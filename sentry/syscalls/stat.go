package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// Stat implements stat(2).
func Stat(t *task.Task, name Path, out mm.User[linux.Stat]) (uintptr, linux.Errno) {
	return Newfstatat(t, linux.AT_FDCWD, name, out, 0)
}

// Lstat implements lstat(2).
func Lstat(t *task.Task, name Path, out mm.User[linux.Stat]) (uintptr, linux.Errno) {
	return Newfstatat(t, linux.AT_FDCWD, name, out, linux.AT_SYMLINK_NOFOLLOW)
}

// Fstat implements fstat(2).
func Fstat(t *task.Task, fd FD, out mm.User[linux.Stat]) (uintptr, linux.Errno) {
	f, errno := fileRaw(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return storeStat(t, f.Path, out)
}

// Newfstatat implements fstatat(2).
func Newfstatat(t *task.Task, dirfd DirFD, name Path, out mm.User[linux.Stat], flags AtFlags) (uintptr, linux.Errno) {
	if flags&^(linux.AT_SYMLINK_NOFOLLOW|linux.AT_NO_AUTOMOUNT|linux.AT_EMPTY_PATH|linux.AT_STATX_SYNC_TYPE) != 0 {
		return 0, linux.EINVAL
	}
	p, errno := resolve(t, dirfd, name, walkFlags(flags))
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return storeStat(t, p, out)
}

func storeStat(t *task.Task, p vfs.Path, out mm.User[linux.Stat]) (uintptr, linux.Errno) {
	var sx linux.Statx
	if errno := statAs(t, p, &sx); errno != 0 {
		return 0, errno
	}
	return none(out.Store(t, vfs.StatOf(&sx)))
}

// statAs is vfs.Stat with owners as the caller's user namespace numbers them.
func statAs(t *task.Task, p vfs.Path, sx *linux.Statx) linux.Errno {
	c := t.Caller()
	errno := vfs.Stat(c, p, sx)
	if c.Creds.UserNS.Parent != nil {
		sx.UID, sx.GID = uidOf(t, sx.UID), gidOf(t, sx.GID)
	}
	return errno
}

// Statx implements statx(2).
func Statx(t *task.Task, dirfd DirFD, name Path, flags AtFlags, mask StatxMask, out mm.User[linux.Statx]) (uintptr, linux.Errno) {
	if mask&linux.STATX__RESERVED != 0 || flags&linux.AT_STATX_SYNC_TYPE == linux.AT_STATX_SYNC_TYPE {
		return 0, linux.EINVAL
	}
	if flags&^(linux.AT_SYMLINK_NOFOLLOW|linux.AT_NO_AUTOMOUNT|linux.AT_EMPTY_PATH|linux.AT_STATX_SYNC_TYPE) != 0 {
		return 0, linux.EINVAL
	}
	p, errno := resolve(t, dirfd, name, walkFlags(flags))
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	var sx linux.Statx
	if errno := statAs(t, p, &sx); errno != 0 {
		return 0, errno
	}
	return none(out.Store(t, sx))
}

// Access implements access(2).
func Access(t *task.Task, name Path, mode AccessMode) (uintptr, linux.Errno) {
	return Faccessat2(t, linux.AT_FDCWD, name, mode, 0)
}

// Faccessat implements the system call faccessat(2), which has no flags.
func Faccessat(t *task.Task, dirfd DirFD, name Path, mode AccessMode) (uintptr, linux.Errno) {
	return Faccessat2(t, dirfd, name, mode, 0)
}

// Faccessat2 implements faccessat2(2).
func Faccessat2(t *task.Task, dirfd DirFD, name Path, mode AccessMode, flags AtFlags) (uintptr, linux.Errno) {
	if mode&^7 != 0 || flags&^(linux.AT_EACCESS|linux.AT_SYMLINK_NOFOLLOW|linux.AT_EMPTY_PATH) != 0 {
		return 0, linux.EINVAL
	}
	p, errno := resolve(t, dirfd, name, walkFlags(flags))
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Access(t.Caller(), p, uint32(mode), flags&linux.AT_EACCESS != 0))
}

// Statfs implements statfs(2).
func Statfs(t *task.Task, name Path, out mm.User[linux.Statfs]) (uintptr, linux.Errno) {
	p, errno := resolve(t, linux.AT_FDCWD, name, vfs.Follow)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return storeStatfs(t, p, out)
}

// Fstatfs implements fstatfs(2).
func Fstatfs(t *task.Task, fd FD, out mm.User[linux.Statfs]) (uintptr, linux.Errno) {
	f, errno := fileRaw(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return storeStatfs(t, f.Path, out)
}

func storeStatfs(t *task.Task, p vfs.Path, out mm.User[linux.Statfs]) (uintptr, linux.Errno) {
	sf, errno := vfs.Statfs(t.Caller(), p)
	if errno != 0 {
		return 0, errno
	}
	return none(out.Store(t, sf))
}
