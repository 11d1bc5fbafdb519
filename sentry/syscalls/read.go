package syscalls

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// streamOffset as an offset means the file's own position: read(2), and preadv2(2) with -1.
const streamOffset = -1

// Read implements read(2).
func Read(t *task.Task, fd FD, buf OutBuf, count uint64) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return readOne(t, f, uint64(buf), count, streamOffset)
}

// Pread64 implements pread(2).
func Pread64(t *task.Task, fd FD, buf OutBuf, count uint64, off int64) (uintptr, linux.Errno) {
	if off < 0 {
		return 0, linux.EINVAL
	}
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if !f.Seekable() {
		return 0, linux.ESPIPE
	}
	return readOne(t, f, uint64(buf), count, off)
}

func readOne(t *task.Task, f *vfs.File, addr, count uint64, off int64) (uintptr, linux.Errno) {
	if !f.Readable() {
		return 0, linux.EBADF
	}
	x := newTransfer()
	defer x.free()
	if errno := x.one(t, addr, count); errno != 0 {
		return 0, errno
	}
	return readSeq(t, f, x, off, false)
}

// Readv implements readv(2).
func Readv(t *task.Task, fd FD, iov IOVecs, n uint64) (uintptr, linux.Errno) {
	return readv(t, fd, iov, n, streamOffset, 0)
}

// Preadv implements preadv(2). On amd64 the offset is whole in its first half.
func Preadv(t *task.Task, fd FD, iov IOVecs, n uint64, off int64, _ uint64) (uintptr, linux.Errno) {
	if off < 0 {
		return 0, linux.EINVAL
	}
	return readv(t, fd, iov, n, off, 0)
}

// Preadv2 implements preadv2(2).
func Preadv2(t *task.Task, fd FD, iov IOVecs, n uint64, off int64, _ uint64, flags RWFlags) (uintptr, linux.Errno) {
	if off < streamOffset {
		return 0, linux.EINVAL
	}
	return readv(t, fd, iov, n, off, flags)
}

func readv(t *task.Task, fd FD, iov IOVecs, n uint64, off int64, flags RWFlags) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if off >= 0 && !f.Seekable() {
		return 0, linux.ESPIPE
	}
	x := newTransfer()
	defer x.free()
	if errno := x.many(t, iov, n); errno != 0 {
		return 0, errno
	}
	if !f.Readable() {
		return 0, linux.EBADF
	}
	if x.seq.Len() == 0 {
		return 0, 0
	}
	// RWF_HIPRI, RWF_DSYNC, RWF_SYNC ask for nothing that a read could lack; RWF_APPEND is ignored by reads.
	if flags&^linux.RWF_SUPPORTED != 0 {
		return 0, linux.EOPNOTSUPP
	}
	return readSeq(t, f, x, off, flags&linux.RWF_NOWAIT != 0)
}

// readSeq reads into x.seq, waiting for the first bytes unless the file is non-blocking or nowait is set.
func readSeq(t *task.Task, f *vfs.File, x *transfer, off int64, nowait bool) (uintptr, linux.Errno) {
	n, errno := readOnce(t.Caller(), f, &x.seq, off)
	if errno == linux.EAGAIN && n == 0 {
		n, errno = readWait(t, f, x, off, nowait)
	}
	t.CountRead(n)
	if n > 0 {
		return uintptr(n), 0
	}
	return 0, errno
}

func readOnce(c *vfs.Caller, f *vfs.File, dst *usermem.Seq, off int64) (int, linux.Errno) {
	if off == streamOffset {
		return f.Read(c, dst)
	}
	return f.PRead(c, dst, off)
}

// readWait is the slow half of readSeq, apart so that the fast half has no closure.
func readWait(t *task.Task, f *vfs.File, x *transfer, off int64, nowait bool) (n int, errno linux.Errno) {
	if x.seq.Len() == 0 {
		return 0, 0 // a read of nothing never waits
	}
	if nowait || f.Flags()&linux.O_NONBLOCK != 0 {
		return 0, linux.EAGAIN
	}
	c, start := t.Caller(), x.seq
	blocked := waitFor(t, f.Ops, wait.Readable|wait.RdHup, readDeadline(f), func() bool {
		x.seq = start
		n, errno = readOnce(c, f, &x.seq, off)
		return errno != linux.EAGAIN
	})
	if blocked == linux.ETIMEDOUT {
		return 0, linux.EAGAIN // SO_RCVTIMEO
	}
	if blocked != 0 {
		return 0, blocked
	}
	return n, errno
}
