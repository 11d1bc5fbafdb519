package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
)

// Lseek implements lseek(2).
func Lseek(t *task.Task, fd FD, off int64, whence Whence) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if whence > linux.SEEK_HOLE {
		return 0, linux.EINVAL
	}
	n, errno := f.Seek(t.Caller(), off, int(whence))
	return uintptr(n), errno
}

// Sync implements sync(2). The data of this kernel's filesystems reaches its host file at each write.
func Sync(t *task.Task) (uintptr, linux.Errno) { return 0, 0 }

// Syncfs implements syncfs(2).
func Syncfs(t *task.Task, fd FD) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	f.Put()
	return 0, 0
}

// Fsync implements fsync(2).
func Fsync(t *task.Task, fd FD) (uintptr, linux.Errno) { return syncFile(t, fd, false) }

// Fdatasync implements fdatasync(2).
func Fdatasync(t *task.Task, fd FD) (uintptr, linux.Errno) { return syncFile(t, fd, true) }

func syncFile(t *task.Task, fd FD, dataOnly bool) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return none(f.Sync(t.Caller(), dataOnly))
}

// SyncFileRange implements sync_file_range(2) by a whole fdatasync.
func SyncFileRange(t *task.Task, fd FD, off, n int64, flags SyncFlags) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	const known = linux.SYNC_FILE_RANGE_WAIT_BEFORE | linux.SYNC_FILE_RANGE_WRITE | linux.SYNC_FILE_RANGE_WAIT_AFTER
	if flags&^known != 0 || off < 0 || off+n < off {
		return 0, linux.EINVAL
	}
	switch f.Inode().Type() {
	case linux.S_IFREG, linux.S_IFBLK:
	case linux.S_IFDIR, linux.S_IFLNK:
		return 0, 0
	default:
		return 0, linux.ESPIPE
	}
	return none(f.Sync(t.Caller(), true))
}

// Fadvise64 implements posix_fadvise(2): advice is checked, and nothing depends on it.
func Fadvise64(t *task.Task, fd FD, off, n int64, advice FileAdvice) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if f.Inode().Type() == linux.S_IFIFO {
		return 0, linux.ESPIPE
	}
	if n < 0 || advice > linux.POSIX_FADV_NOREUSE {
		return 0, linux.EINVAL
	}
	return 0, 0
}

// Readahead implements readahead(2): it checks what Linux checks; the page cache is the host's.
func Readahead(t *task.Task, fd FD, _ int64, _ uint64) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if !f.Readable() {
		return 0, linux.EBADF
	}
	if f.Inode().Type() != linux.S_IFREG {
		return 0, linux.EINVAL
	}
	return 0, 0
}

// Flock implements flock(2).
func Flock(t *task.Task, fd FD, op FlockOp) (uintptr, linux.Errno) {
	if op&linux.LOCK_MAND != 0 {
		return 0, 0 // Linux ignores mandatory share-mode locks since 5.15
	}
	switch op &^ linux.LOCK_NB {
	case linux.LOCK_SH, linux.LOCK_EX, linux.LOCK_UN:
	default:
		return 0, linux.EINVAL
	}
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if op&^linux.LOCK_NB != linux.LOCK_UN && !f.Readable() && !f.Writable() {
		return 0, linux.EBADF
	}
	return none(f.Flock(t.Caller(), uint32(op)))
}
