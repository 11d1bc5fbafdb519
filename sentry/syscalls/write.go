package syscalls

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Write implements write(2).
func Write(t *task.Task, fd FD, buf InBuf, count uint64) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return writeOne(t, f, uint64(buf), count, streamOffset)
}

// Pwrite64 implements pwrite(2).
func Pwrite64(t *task.Task, fd FD, buf InBuf, count uint64, off int64) (uintptr, linux.Errno) {
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
	return writeOne(t, f, uint64(buf), count, off)
}

func writeOne(t *task.Task, f *vfs.File, addr, count uint64, off int64) (uintptr, linux.Errno) {
	if !f.Writable() {
		return 0, linux.EBADF
	}
	x := newTransfer()
	defer x.free()
	if errno := x.one(t, addr, count); errno != 0 {
		return 0, errno
	}
	return writeSeq(t, f, x, off, false)
}

// Writev implements writev(2).
func Writev(t *task.Task, fd FD, iov IOVecs, n uint64) (uintptr, linux.Errno) {
	return writev(t, fd, iov, n, streamOffset, 0)
}

// Pwritev implements pwritev(2).
func Pwritev(t *task.Task, fd FD, iov IOVecs, n uint64, off int64, _ uint64) (uintptr, linux.Errno) {
	if off < 0 {
		return 0, linux.EINVAL
	}
	return writev(t, fd, iov, n, off, 0)
}

// Pwritev2 implements pwritev2(2).
func Pwritev2(t *task.Task, fd FD, iov IOVecs, n uint64, off int64, _ uint64, flags RWFlags) (uintptr, linux.Errno) {
	if off < streamOffset {
		return 0, linux.EINVAL
	}
	return writev(t, fd, iov, n, off, flags)
}

func writev(t *task.Task, fd FD, iov IOVecs, n uint64, off int64, flags RWFlags) (uintptr, linux.Errno) {
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
	if !f.Writable() {
		return 0, linux.EBADF
	}
	if x.seq.Len() == 0 {
		return 0, 0
	}
	if flags&^linux.RWF_SUPPORTED != 0 {
		return 0, linux.EOPNOTSUPP
	}
	if flags&linux.RWF_APPEND != 0 && f.Flags()&linux.O_APPEND == 0 {
		if off, errno = f.Ops.Seek(t.Caller(), f, 0, 0, linux.SEEK_END); errno != 0 {
			return 0, errno
		}
	}
	ret, errno := writeSeq(t, f, x, off, flags&linux.RWF_NOWAIT != 0)
	if errno == 0 && flags&(linux.RWF_DSYNC|linux.RWF_SYNC) != 0 {
		if errno := f.Sync(t.Caller(), flags&linux.RWF_SYNC == 0); errno != 0 {
			return 0, errno
		}
	}
	return ret, errno
}

// writeSeq writes x.seq. A blocking stream takes everything, sleeping when it is full; what was written before
// a signal or an error is the result.
func writeSeq(t *task.Task, f *vfs.File, x *transfer, off int64, nowait bool) (uintptr, linux.Errno) {
	want := x.seq.Len()
	start := x.seq
	n, errno := writeOnce(t.Caller(), f, &x.seq, off)
	if n < want && (errno == 0 || errno == linux.EAGAIN) && off == streamOffset && !f.Seekable() {
		x.seq = start
		n, errno = writeRest(t, f, x, n, errno, nowait)
	}
	if errno == linux.EPIPE {
		raise(t, linux.SIGPIPE) // also after a part was written
	}
	t.CountWrite(n)
	if n > 0 {
		return uintptr(n), 0
	}
	return 0, errno
}

func writeOnce(c *vfs.Caller, f *vfs.File, src *usermem.Seq, off int64) (int, linux.Errno) {
	if off == streamOffset {
		return f.Write(c, src)
	}
	return f.PWrite(c, src, off)
}

// writeRest goes on after the first done bytes of x.seq, which ended with errno.
func writeRest(t *task.Task, f *vfs.File, x *transfer, done int, errno linux.Errno, nowait bool) (int, linux.Errno) {
	if done == 0 && errno == 0 {
		return 0, 0 // the file took nothing and does not mind: a short write
	}
	if nowait || f.Flags()&linux.O_NONBLOCK != 0 {
		return done, errno
	}
	c := t.Caller()
	x.seq.Drop(done)
	blocked := waitFor(t, f.Ops, wait.Writable, writeDeadline(f), func() bool {
		for x.seq.Len() > 0 {
			rest := x.seq
			var n int
			n, errno = f.Write(c, &x.seq)
			x.seq = rest
			x.seq.Drop(n)
			done += n
			if errno != 0 || n == 0 {
				return errno != linux.EAGAIN
			}
		}
		return true
	})
	if blocked == linux.ETIMEDOUT {
		blocked = linux.EAGAIN // SO_SNDTIMEO
	}
	if blocked != 0 {
		return done, blocked
	}
	return done, errno
}
