package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// Chmod implements chmod(2).
func Chmod(t *task.Task, name Path, mode Mode) (uintptr, linux.Errno) {
	return Fchmodat2(t, linux.AT_FDCWD, name, mode, 0)
}

// Fchmodat implements the system call fchmodat(2), which has no flags.
func Fchmodat(t *task.Task, dirfd DirFD, name Path, mode Mode) (uintptr, linux.Errno) {
	return Fchmodat2(t, dirfd, name, mode, 0)
}

// Fchmodat2 implements fchmodat2(2).
func Fchmodat2(t *task.Task, dirfd DirFD, name Path, mode Mode, flags AtFlags) (uintptr, linux.Errno) {
	if flags&^(linux.AT_SYMLINK_NOFOLLOW|linux.AT_EMPTY_PATH) != 0 {
		return 0, linux.EINVAL
	}
	p, errno := resolve(t, dirfd, name, walkFlags(flags))
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Chmod(t.Caller(), p, uint32(mode)))
}

// Fchmod implements fchmod(2).
func Fchmod(t *task.Task, fd FD, mode Mode) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return none(vfs.Chmod(t.Caller(), f.Path, uint32(mode)))
}

// Chown implements chown(2).
func Chown(t *task.Task, name Path, uid, gid uint32) (uintptr, linux.Errno) {
	return Fchownat(t, linux.AT_FDCWD, name, uid, gid, 0)
}

// Lchown implements lchown(2).
func Lchown(t *task.Task, name Path, uid, gid uint32) (uintptr, linux.Errno) {
	return Fchownat(t, linux.AT_FDCWD, name, uid, gid, linux.AT_SYMLINK_NOFOLLOW)
}

// Fchownat implements fchownat(2). An ID of -1 stays as it is.
func Fchownat(t *task.Task, dirfd DirFD, name Path, uid, gid uint32, flags AtFlags) (uintptr, linux.Errno) {
	if flags&^(linux.AT_SYMLINK_NOFOLLOW|linux.AT_EMPTY_PATH) != 0 {
		return 0, linux.EINVAL
	}
	p, errno := resolve(t, dirfd, name, walkFlags(flags))
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(chown(t, p, uid, gid))
}

// Fchown implements fchown(2).
func Fchown(t *task.Task, fd FD, uid, gid uint32) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return none(chown(t, f.Path, uid, gid))
}

// chown gives a file to owners as the caller's user namespace numbers them; -1 leaves one alone.
func chown(t *task.Task, p vfs.Path, uid, gid uint32) linux.Errno {
	c := t.Caller()
	ok := true
	if uid != keepID {
		uid, ok = c.Creds.UserNS.KUID(uid)
	}
	if gid != keepID && ok {
		gid, ok = c.Creds.UserNS.KGID(gid)
	}
	if !ok {
		return linux.EINVAL
	}
	return vfs.Chown(c, p, uid, gid)
}

// Utimensat implements utimensat(2). Without a name dirfd is the file itself, as futimens(3) has it.
func Utimensat(t *task.Task, dirfd DirFD, name Path, times mm.User[[2]linux.Timespec], flags AtFlags) (uintptr, linux.Errno) {
	ts := [2]linux.Timespec{{Nsec: linux.UTIME_NOW}, {Nsec: linux.UTIME_NOW}}
	if times != 0 {
		var errno linux.Errno
		if ts, errno = times.Load(t); errno != 0 {
			return 0, errno
		}
		// With nothing to change Linux does not even look at the path.
		if ts[0].Nsec == linux.UTIME_OMIT && ts[1].Nsec == linux.UTIME_OMIT {
			return 0, 0
		}
	}
	return utimes(t, dirfd, name, ts, flags)
}

func utimes(t *task.Task, dirfd DirFD, name Path, ts [2]linux.Timespec, flags AtFlags) (uintptr, linux.Errno) {
	if name == 0 && dirfd != linux.AT_FDCWD {
		if flags != 0 {
			return 0, linux.EINVAL
		}
		f, errno := file(t, FD(dirfd))
		if errno != 0 {
			return 0, errno
		}
		defer f.Put()
		return none(setTimes(t, f.Path, ts))
	}
	if flags&^(linux.AT_SYMLINK_NOFOLLOW|linux.AT_EMPTY_PATH) != 0 {
		return 0, linux.EINVAL
	}
	p, errno := resolve(t, dirfd, name, walkFlags(flags))
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(setTimes(t, p, ts))
}

// setTimes is vfs_utimes: it looks at the times when the file is found.
func setTimes(t *task.Task, p vfs.Path, ts [2]linux.Timespec) linux.Errno {
	for _, v := range ts {
		if v.Nsec != linux.UTIME_NOW && v.Nsec != linux.UTIME_OMIT && (v.Nsec < 0 || v.Nsec >= 1e9) {
			return linux.EINVAL
		}
	}
	return vfs.Utimes(t.Caller(), p, ts)
}

// Futimesat implements futimesat(2).
func Futimesat(t *task.Task, dirfd DirFD, name Path, times mm.User[[2]linux.Timeval]) (uintptr, linux.Errno) {
	ts := [2]linux.Timespec{{Nsec: linux.UTIME_NOW}, {Nsec: linux.UTIME_NOW}}
	if times != 0 {
		tv, errno := times.Load(t)
		if errno != 0 {
			return 0, errno
		}
		for i, v := range tv {
			if v.Usec < 0 || v.Usec >= 1e6 {
				return 0, linux.EINVAL
			}
			ts[i] = linux.Timespec{Sec: v.Sec, Nsec: v.Usec * 1000}
		}
	}
	return utimes(t, dirfd, name, ts, 0)
}

// Utimes implements utimes(2).
func Utimes(t *task.Task, name Path, times mm.User[[2]linux.Timeval]) (uintptr, linux.Errno) {
	return Futimesat(t, linux.AT_FDCWD, name, times)
}

// Utime implements utime(2).
func Utime(t *task.Task, name Path, times mm.User[[2]int64]) (uintptr, linux.Errno) {
	ts := [2]linux.Timespec{{Nsec: linux.UTIME_NOW}, {Nsec: linux.UTIME_NOW}}
	if times != 0 {
		sec, errno := times.Load(t)
		if errno != 0 {
			return 0, errno
		}
		ts = [2]linux.Timespec{{Sec: sec[0]}, {Sec: sec[1]}}
	}
	return utimes(t, linux.AT_FDCWD, name, ts, 0)
}

// Truncate implements truncate(2).
func Truncate(t *task.Task, name Path, length int64) (uintptr, linux.Errno) {
	if length < 0 {
		return 0, linux.EINVAL
	}
	p, errno := resolve(t, linux.AT_FDCWD, name, vfs.Follow)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Truncate(t.Caller(), p, length))
}

// Ftruncate implements ftruncate(2). The descriptor's access mode counts, not the file's present permissions.
func Ftruncate(t *task.Task, fd FD, length int64) (uintptr, linux.Errno) {
	if length < 0 {
		return 0, linux.EINVAL
	}
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if f.Inode().Type() != linux.S_IFREG || !f.Writable() {
		return 0, linux.EINVAL
	}
	return none(f.Truncate(t.Caller(), length))
}

// Fallocate implements fallocate(2).
func Fallocate(t *task.Task, fd FD, mode FallocMode, off, length int64) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return none(f.Fallocate(t.Caller(), uint32(mode), off, length))
}
