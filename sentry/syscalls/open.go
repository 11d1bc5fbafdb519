package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

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
	how := vfs.OpenHow(uint32(flags), uint32(mode))
	return open(t, dirfd, name, &how)
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
	return open(t, dirfd, name, &how)
}

func open(t *task.Task, dirfd DirFD, name Path, how *linux.OpenHow) (uintptr, linux.Errno) {
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
	p, errno := place{}, linux.Errno(0)
	if how.Resolve&linux.RESOLVE_IN_ROOT != 0 {
		p, errno = atDir(t, dirfd, str) // which is the root of absolute names too
	} else {
		p, errno = atName(t, dirfd, str)
	}
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
