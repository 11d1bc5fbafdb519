package syscalls

import (
	"runtime"
	"sync"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/pipe"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// copyChunk is how much sendfile and copy_file_range move at a time.
const copyChunk = 64 << 10

// copyBuffer carries bytes between two files.
type copyBuffer struct {
	data [copyChunk]byte
	x    transfer
}

var copyBuffers = sync.Pool{New: func() any { return new(copyBuffer) }}

// Sendfile implements sendfile(2).
func Sendfile(t *task.Task, out, in FD, offset mm.User[int64], count uint64) (uintptr, linux.Errno) {
	src, errno := file(t, in)
	if errno != 0 {
		return 0, errno
	}
	defer src.Put()
	if !src.Readable() {
		return 0, linux.EBADF
	}
	pos := int64(streamOffset)
	if offset != 0 {
		if pos, errno = offset.Load(t); errno != 0 {
			return 0, errno
		}
		if !src.Seekable() {
			return 0, linux.ESPIPE
		}
		if pos < 0 {
			return 0, linux.EINVAL
		}
	}
	dst, errno := file(t, out)
	if errno != 0 {
		return 0, errno
	}
	defer dst.Put()
	if !dst.Writable() {
		return 0, linux.EBADF
	}
	if int64(count) < 0 || !src.Seekable() || src.Inode().Type() == linux.S_IFDIR {
		return 0, linux.EINVAL
	}
	if dst.Flags()&linux.O_APPEND != 0 {
		return 0, linux.EINVAL
	}
	c := &copier{t: t, src: src, dst: dst, srcPos: pos, dstPos: streamOffset}
	n, errno := c.run(min(count, maxRWCount))
	if offset != 0 && n > 0 {
		if errno := offset.Store(t, c.srcPos); errno != 0 {
			return 0, errno
		}
	}
	return n, errno
}

// copier moves bytes from a file with an offset to any file. Positions of streamOffset mean the file's own.
type copier struct {
	t              *task.Task
	src, dst       *vfs.File
	srcPos, dstPos int64
}

func (c *copier) run(count uint64) (uintptr, linux.Errno) {
	buf := copyBuffers.Get().(*copyBuffer)
	defer copyBuffers.Put(buf)
	ownPos := c.srcPos == streamOffset
	if ownPos {
		pos, errno := c.src.Seek(c.t.Caller(), 0, linux.SEEK_CUR)
		if errno != 0 {
			return 0, errno
		}
		c.srcPos = pos
	}
	var done uint64
	var errno linux.Errno
	for done < count {
		var n uintptr
		want := min(count-done, copyChunk)
		n, errno = c.step(buf, int(want))
		done += uint64(n)
		if errno != 0 || uint64(n) < want {
			break
		}
	}
	if ownPos && done > 0 {
		if _, errno := c.src.Seek(c.t.Caller(), c.srcPos, linux.SEEK_SET); errno != 0 {
			return 0, errno
		}
	}
	if done > 0 {
		return uintptr(done), 0
	}
	return 0, errno
}

// step copies up to n bytes and moves the positions by what the target took.
func (c *copier) step(buf *copyBuffer, n int) (uintptr, linux.Errno) {
	buf.x.seq = usermem.Kernel(buf.data[:n])
	got, errno := c.src.PRead(c.t.Caller(), &buf.x.seq, c.srcPos)
	if got == 0 {
		return 0, errno
	}
	buf.x.seq = usermem.Kernel(buf.data[:got])
	put, errno := writeSeq(c.t, c.dst, &buf.x, c.dstPos, false)
	c.srcPos += int64(put)
	if c.dstPos != streamOffset {
		c.dstPos += int64(put)
	}
	return put, errno
}

// CopyFileRange implements copy_file_range(2).
func CopyFileRange(t *task.Task, in FD, inOff mm.User[int64], out FD, outOff mm.User[int64], count uint64, flags uint32) (uintptr, linux.Errno) {
	src, errno := file(t, in)
	if errno != 0 {
		return 0, errno
	}
	defer src.Put()
	dst, errno := file(t, out)
	if errno != 0 {
		return 0, errno
	}
	defer dst.Put()
	c := &copier{t: t, src: src, dst: dst}
	if c.srcPos, errno = loadOffset(t, src, inOff); errno != 0 {
		return 0, errno
	}
	if c.dstPos, errno = loadOffset(t, dst, outOff); errno != 0 {
		return 0, errno
	}
	if flags != 0 {
		return 0, linux.EINVAL
	}
	count = min(count, maxRWCount)
	if errno := c.check(&count); errno != 0 || count == 0 {
		return 0, errno
	}
	n, errno := c.run(count)
	if errno != 0 {
		return 0, errno
	}
	if errno := storeOffset(t, src, inOff, c.srcPos); errno != 0 {
		return 0, errno
	}
	return n, storeOffset(t, dst, outOff, c.dstPos)
}

// check is what Linux refuses before it copies; it cuts count at the end of the source.
func (c *copier) check(count *uint64) linux.Errno {
	for _, f := range [2]*vfs.File{c.src, c.dst} {
		switch f.Inode().Type() {
		case linux.S_IFDIR:
			return linux.EISDIR
		case linux.S_IFREG:
		default:
			return linux.EINVAL
		}
	}
	if !c.src.Readable() || !c.dst.Writable() || c.dst.Flags()&linux.O_APPEND != 0 {
		return linux.EBADF
	}
	if c.src.Inode().SB != c.dst.Inode().SB {
		return linux.EXDEV
	}
	for _, pos := range [2]int64{c.srcPos, c.dstPos} {
		if uint64(pos)+*count < uint64(pos) {
			return linux.EOVERFLOW // Linux adds them unsigned, before it looks for negative ones
		}
	}
	if c.srcPos < 0 || c.dstPos < 0 {
		return linux.EINVAL
	}
	if c.srcPos+int64(*count) < 0 || c.dstPos+int64(*count) < 0 {
		return linux.EOVERFLOW
	}
	size := c.src.Inode().Attr().Size.Load()
	*count = min(*count, uint64(max(0, size-c.srcPos)))
	same := c.src.Inode() == c.dst.Inode()
	if same && c.dstPos+int64(*count) > c.srcPos && c.dstPos < c.srcPos+int64(*count) {
		return linux.EINVAL
	}
	return 0
}

// loadOffset reads an optional offset; without one it is the file's own.
func loadOffset(t *task.Task, f *vfs.File, off mm.User[int64]) (int64, linux.Errno) {
	if off == 0 {
		pos, errno := f.Seek(t.Caller(), 0, linux.SEEK_CUR)
		if errno == linux.ESPIPE {
			return 0, 0 // the type check that follows has the better error
		}
		return pos, errno
	}
	return off.Load(t)
}

func storeOffset(t *task.Task, f *vfs.File, off mm.User[int64], pos int64) linux.Errno {
	if off == 0 {
		_, errno := f.Seek(t.Caller(), pos, linux.SEEK_SET)
		return errno
	}
	return off.Store(t, pos)
}

const spliceFlags = linux.SPLICE_F_MOVE | linux.SPLICE_F_NONBLOCK | linux.SPLICE_F_MORE | linux.SPLICE_F_GIFT

// Splice implements splice(2).
func Splice(t *task.Task, in FD, inOff mm.User[int64], out FD, outOff mm.User[int64], count uint64, flags SpliceFlags) (uintptr, linux.Errno) {
	if count == 0 {
		return 0, 0
	}
	if flags&^spliceFlags != 0 {
		return 0, linux.EINVAL
	}
	src, errno := file(t, in)
	if errno != 0 {
		return 0, errno
	}
	defer src.Put()
	dst, errno := file(t, out)
	if errno != 0 {
		return 0, errno
	}
	defer dst.Put()
	from, fromPipe := pipe.FromFile(src)
	to, toPipe := pipe.FromFile(dst)
	if fromPipe && inOff != 0 || toPipe && outOff != 0 {
		return 0, linux.ESPIPE
	}
	s := &splicer{t: t, src: src, dst: dst, srcPos: streamOffset, dstPos: streamOffset}
	if outOff != 0 {
		if s.dstPos, errno = outOff.Load(t); errno != 0 {
			return 0, errno
		}
	}
	if inOff != 0 {
		if s.srcPos, errno = inOff.Load(t); errno != 0 {
			return 0, errno
		}
	}
	if !src.Readable() || !dst.Writable() {
		return 0, linux.EBADF
	}
	n, nonblock := int(min(count, maxRWCount)), flags&linux.SPLICE_F_NONBLOCK != 0
	switch {
	case fromPipe && toPipe:
		nonblock = nonblock || (src.Flags()|dst.Flags())&linux.O_NONBLOCK != 0
		return s.run(nonblock, func() (int, linux.Errno) { return pipe.Splice(from, to, n) })
	case fromPipe:
		if outOff != 0 && (!dst.Seekable() || s.dstPos < 0) || dst.Flags()&linux.O_APPEND != 0 {
			return 0, linux.EINVAL
		}
		got, errno := s.run(nonblock, func() (int, linux.Errno) { return from.Drain(n, s.sink) })
		if outOff != 0 && got > 0 {
			if errno := outOff.Store(t, s.dstPos); errno != 0 {
				return 0, errno
			}
		}
		return got, errno
	case toPipe:
		if inOff != 0 && (!src.Seekable() || s.srcPos < 0) || src.Inode().Type() == linux.S_IFDIR {
			return 0, linux.EINVAL
		}
		got, errno := s.run(nonblock, func() (int, linux.Errno) { return to.Fill(n, s.source) })
		if inOff != 0 && got > 0 {
			if errno := inOff.Store(t, s.srcPos); errno != 0 {
				return 0, errno
			}
		}
		return got, errno
	}
	return 0, linux.EINVAL
}

// splicer moves bytes between two files of which one at least is a pipe.
type splicer struct {
	t              *task.Task
	src, dst       *vfs.File
	srcPos, dstPos int64
}

// run repeats op, which does not sleep, until it gives something else than EAGAIN. It sleeps for whichever side is
// not ready; nonblock is about the pipe, the other side has its own O_NONBLOCK.
func (s *splicer) run(nonblock bool, op func() (int, linux.Errno)) (uintptr, linux.Errno) {
	for {
		n, errno := op()
		if errno == linux.EPIPE {
			raise(s.t, linux.SIGPIPE)
		}
		if n > 0 || errno != linux.EAGAIN {
			return uintptr(n), errno
		}
		if errno := s.wait(nonblock); errno != 0 {
			return 0, errno
		}
	}
}

func (s *splicer) wait(nonblock bool) linux.Errno {
	side, mask := s.src, wait.Readable|wait.RdHup
	if side.Ops.Readiness(mask|pollErr) != 0 {
		side, mask = s.dst, wait.Writable
	}
	if _, isPipe := pipe.FromFile(side); isPipe && nonblock || !isPipe && side.Flags()&linux.O_NONBLOCK != 0 {
		return linux.EAGAIN
	}
	if side.Ops.Readiness(mask|pollErr) != 0 {
		// Both are ready: another splice has one of the pipes reserved for a moment.
		runtime.Gosched()
		if s.t.Interrupted() {
			return linux.ERESTARTSYS
		}
		return 0
	}
	return waitFor(s.t, side.Ops, mask, noDeadline, ready(side, mask))
}

// sink writes what comes out of a pipe.
func (s *splicer) sink(src *usermem.Seq) (int, linux.Errno) {
	n, errno := writeOnce(s.t.Caller(), s.dst, src, s.dstPos)
	if s.dstPos != streamOffset {
		s.dstPos += int64(n)
	}
	return n, errno
}

// source reads what goes into a pipe.
func (s *splicer) source(dst *usermem.Seq) (int, linux.Errno) {
	n, errno := readOnce(s.t.Caller(), s.src, dst, s.srcPos)
	if s.srcPos != streamOffset {
		s.srcPos += int64(n)
	}
	return n, errno
}

// ready is a condition for waitFor: f has one of the events, or an error.
func ready(f *vfs.File, mask wait.Events) func() bool {
	return func() bool { return f.Ops.Readiness(mask|pollErr) != 0 }
}

// Tee implements tee(2).
func Tee(t *task.Task, in, out FD, count uint64, flags SpliceFlags) (uintptr, linux.Errno) {
	if flags&^spliceFlags != 0 {
		return 0, linux.EINVAL
	}
	if count == 0 {
		return 0, 0
	}
	src, errno := file(t, in)
	if errno != 0 {
		return 0, errno
	}
	defer src.Put()
	dst, errno := file(t, out)
	if errno != 0 {
		return 0, errno
	}
	defer dst.Put()
	if !src.Readable() || !dst.Writable() {
		return 0, linux.EBADF
	}
	from, ok := pipe.FromFile(src)
	if !ok {
		return 0, linux.EINVAL
	}
	to, ok := pipe.FromFile(dst)
	if !ok {
		return 0, linux.EINVAL
	}
	nonblock := flags&linux.SPLICE_F_NONBLOCK != 0 || (src.Flags()|dst.Flags())&linux.O_NONBLOCK != 0
	s := splicer{t: t, src: src, dst: dst}
	return s.run(nonblock, func() (int, linux.Errno) { return pipe.Tee(from, to, int(min(count, maxRWCount))) })
}

// Vmsplice implements vmsplice(2) by copying: the memory is not shared with the pipe afterwards.
func Vmsplice(t *task.Task, fd FD, iov IOVecs, n uint64, flags SpliceFlags) (uintptr, linux.Errno) {
	if flags&^spliceFlags != 0 {
		return 0, linux.EINVAL
	}
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if !f.Readable() && !f.Writable() {
		return 0, linux.EBADF
	}
	x := newTransfer()
	defer x.free()
	if errno := x.many(t, iov, n); errno != 0 {
		return 0, errno
	}
	if _, ok := pipe.FromFile(f); !ok {
		return 0, linux.EBADF
	}
	if x.seq.Len() == 0 {
		return 0, 0
	}
	nonblock := flags&linux.SPLICE_F_NONBLOCK != 0
	if f.Writable() {
		return writeSeq(t, f, x, streamOffset, nonblock)
	}
	return readSeq(t, f, x, streamOffset, nonblock)
}
