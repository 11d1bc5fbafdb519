package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// openFlags are the flags that open(2) knows; it ignores others.
const openFlags = linux.O_ACCMODE | linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC | linux.O_APPEND |
	linux.O_NONBLOCK | linux.O_SYNC | linux.O_ASYNC | linux.O_DIRECT | linux.O_LARGEFILE | linux.O_DIRECTORY |
	linux.O_NOFOLLOW | linux.O_NOATIME | linux.O_CLOEXEC | linux.O_PATH | linux.O_TMPFILE

const permissionBits = 0o7777

// Open implements open(2).
func Open(t *task.Task, name Path, flags OpenFlags, mode Mode) (uintptr, linux.Errno) {
	return Openat(t, linux.AT_FDCWD, name, flags, mode)
}

// Creat implements creat(2).
func Creat(t *task.Task, name Path, mode Mode) (uintptr, linux.Errno) {
	return Openat(t, linux.AT_FDCWD, name, linux.O_CREAT|linux.O_WRONLY|linux.O_TRUNC, mode)
}

// Openat implements openat(2).
func Openat(t *task.Task, dirfd DirFD, name Path, flags OpenFlags, mode Mode) (uintptr, linux.Errno) {
	how := linux.OpenHow{Flags: uint64(flags & openFlags)}
	if flags&linux.O_PATH != 0 {
		// open(2) ignores what makes no sense with O_PATH; openat2(2) refuses it.
		how.Flags &= linux.O_PATH | linux.O_DIRECTORY | linux.O_NOFOLLOW | linux.O_CLOEXEC
	}
	if willCreate(how.Flags) {
		how.Mode = uint64(mode & permissionBits)
	}
	return open(t, dirfd, name, &how)
}

// willCreate is Linux's WILL_CREATE: O_CREAT, or the bit of O_TMPFILE that is not O_DIRECTORY.
func willCreate(flags uint64) bool {
	return flags&(linux.O_CREAT|(linux.O_TMPFILE&^linux.O_DIRECTORY)) != 0
}

// Openat2 implements openat2(2).
func Openat2(t *task.Task, dirfd DirFD, name Path, howAddr Addr, size uint64) (uintptr, linux.Errno) {
	const sizeV0 = 24
	if size < sizeV0 {
		return 0, linux.EINVAL
	}
	if size > linux.PageSize {
		return 0, linux.E2BIG
	}
	raw := make([]byte, size)
	if _, errno := t.Memory().CopyIn(raw, uint64(howAddr)); errno != 0 {
		return 0, errno
	}
	for _, b := range raw[sizeV0:] {
		if b != 0 {
			return 0, linux.E2BIG // a field of a later Linux
		}
	}
	how := linux.OpenHow{
		Flags:   binary.LittleEndian.Uint64(raw),
		Mode:    binary.LittleEndian.Uint64(raw[8:]),
		Resolve: binary.LittleEndian.Uint64(raw[16:]),
	}
	if errno := checkHow(&how); errno != 0 {
		return 0, errno
	}
	return open(t, dirfd, name, &how)
}

// checkHow refuses what openat2(2) refuses and open(2) lets pass.
func checkHow(how *linux.OpenHow) linux.Errno {
	const resolveAll = linux.RESOLVE_NO_XDEV | linux.RESOLVE_NO_MAGICLINKS | linux.RESOLVE_NO_SYMLINKS |
		linux.RESOLVE_BENEATH | linux.RESOLVE_IN_ROOT | linux.RESOLVE_CACHED
	if how.Flags&^openFlags != 0 || how.Resolve&^resolveAll != 0 {
		return linux.EINVAL
	}
	if how.Resolve&linux.RESOLVE_BENEATH != 0 && how.Resolve&linux.RESOLVE_IN_ROOT != 0 {
		return linux.EINVAL
	}
	if willCreate(how.Flags) {
		if how.Mode&^permissionBits != 0 {
			return linux.EINVAL
		}
	} else if how.Mode != 0 {
		return linux.EINVAL
	}
	const withPath = linux.O_PATH | linux.O_DIRECTORY | linux.O_NOFOLLOW | linux.O_CLOEXEC
	if how.Flags&linux.O_PATH != 0 && how.Flags&^withPath != 0 {
		return linux.EINVAL
	}
	if how.Resolve&linux.RESOLVE_CACHED != 0 && how.Flags&(linux.O_TRUNC|linux.O_CREAT|linux.O_TMPFILE&^linux.O_DIRECTORY) != 0 {
		return linux.EAGAIN
	}
	return 0
}

func open(t *task.Task, dirfd DirFD, name Path, how *linux.OpenHow) (uintptr, linux.Errno) {
	if errno := checkOpen(how.Flags); errno != 0 {
		return 0, errno
	}
	str, errno := name.Load(t)
	if errno != 0 {
		return 0, errno
	}
	if str == "" {
		return 0, linux.ENOENT
	}
	// Linux takes the descriptor number first: EMFILE comes before ENOENT.
	fds, errno := t.Files().Reserve(1)
	if errno != 0 {
		return 0, errno
	}
	defer fds.Cancel()
	p, errno := atName(t, dirfd, str)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	f, errno := vfs.Open(t.Caller(), p.at, p.name, how)
	if errno != 0 {
		return 0, errno
	}
	fd := fds.Numbers()[0]
	fds.Install(0, f, how.Flags&linux.O_CLOEXEC != 0)
	return uintptr(fd), 0
}

// checkOpen refuses impossible combinations before the path is read.
func checkOpen(flags uint64) linux.Errno {
	const tmpfileBit = linux.O_TMPFILE &^ linux.O_DIRECTORY
	if flags&tmpfileBit != 0 {
		if flags&linux.O_TMPFILE != linux.O_TMPFILE || flags&linux.O_CREAT != 0 {
			return linux.EINVAL
		}
		if flags&linux.O_ACCMODE == linux.O_RDONLY {
			return linux.EINVAL
		}
	}
	// Linux 6.4 and later: O_DIRECTORY with O_CREAT never worked, and says so.
	if flags&(linux.O_DIRECTORY|linux.O_CREAT) == linux.O_DIRECTORY|linux.O_CREAT {
		return linux.EINVAL
	}
	return 0
}
