package syscalls

import (
	"encoding/binary"
	"sync"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

const (
	// maxRWCount is Linux's MAX_RW_COUNT: what one read or write moves at most.
	maxRWCount = 0x7ffff000
	// maxIOV is UIO_MAXIOV.
	maxIOV = 1024
	// taskSizeMax is the end of the addresses that a guest can have.
	taskSizeMax = 0x7ffffffff000
	iovecSize   = 16
	fewIOVs     = 8
)

// file returns the open file behind fd with a reference; files opened with O_PATH do not count.
func file(t *task.Task, fd FD) (*vfs.File, linux.Errno) {
	if f := t.Files().Get(int32(fd)); f != nil {
		return f, 0
	}
	return nil, linux.EBADF
}

// fileRaw is file for the calls that accept O_PATH.
func fileRaw(t *task.Task, fd FD) (*vfs.File, linux.Errno) {
	if f := t.Files().GetRaw(int32(fd)); f != nil {
		return f, 0
	}
	return nil, linux.EBADF
}

// accessOK says whether [addr, addr+n) can be user memory at all; Linux tests that before it looks at counts.
func accessOK(addr, n uint64) bool { return n <= taskSizeMax && addr <= taskSizeMax-n }

// transfer is what one reading or writing call works with. It comes from a pool, because a Seq that is passed
// through an interface would be allocated each time.
type transfer struct {
	seq    usermem.Seq
	raw    [fewIOVs * iovecSize]byte
	ranges [fewIOVs]usermem.Range
}

var transfers = sync.Pool{New: func() any { return new(transfer) }}

func newTransfer() *transfer { return transfers.Get().(*transfer) }

func (x *transfer) free() {
	x.seq = usermem.Seq{}
	transfers.Put(x)
}

// one sets x to a single buffer.
func (x *transfer) one(t *task.Task, addr, count uint64) linux.Errno {
	if !accessOK(addr, count) {
		return linux.EFAULT
	}
	x.seq = usermem.One(t.Memory(), addr, min(count, maxRWCount))
	return 0
}

// many sets x to the buffers of an array of n struct iovec.
func (x *transfer) many(t *task.Task, iov IOVecs, n uint64) linux.Errno {
	return x.manyOf(t, iov, n, t.Memory())
}

// manyOf is many for buffers in another process's memory.
func (x *transfer) manyOf(t *task.Task, iov IOVecs, n uint64, m usermem.Memory) linux.Errno {
	if n > maxIOV {
		return linux.EINVAL
	}
	raw, ranges := x.raw[:], x.ranges[:0]
	if n > fewIOVs {
		raw, ranges = make([]byte, n*iovecSize), make([]usermem.Range, 0, n)
	}
	raw = raw[:n*iovecSize]
	if _, errno := t.Memory().CopyIn(raw, uint64(iov)); errno != 0 {
		return errno
	}
	left := uint64(maxRWCount)
	for ; len(raw) > 0; raw = raw[iovecSize:] {
		r := usermem.Range{Addr: binary.LittleEndian.Uint64(raw), Len: binary.LittleEndian.Uint64(raw[8:])}
		if int64(r.Len) < 0 {
			return linux.EINVAL
		}
		if !accessOK(r.Addr, r.Len) {
			return linux.EFAULT
		}
		r.Len = min(r.Len, left)
		left -= r.Len
		ranges = append(ranges, r)
	}
	x.seq = usermem.Many(m, ranges)
	return 0
}

// fileWaiter lets a task sleep on a file: the file's queue wakes it, it wakes the task's queue.
type fileWaiter struct {
	q     wait.Queue
	entry wait.Entry
}

// Wake implements wait.Waker.
func (w *fileWaiter) Wake(_ *wait.Entry, ev wait.Events) { w.q.Notify(ev) }

var fileWaiters = sync.Pool{New: func() any { return new(fileWaiter) }}

// noDeadline is to wait for ever.
var noDeadline wait.Deadline

// waitFor sleeps until try returns true; it is tried again whenever f has one of the events of mask. The
// answers are those of Block: 0, ETIMEDOUT, ERESTARTSYS.
func waitFor(t *task.Task, f wait.Waitable, mask wait.Events, deadline wait.Deadline, try func() bool) linux.Errno {
	w := fileWaiters.Get().(*fileWaiter)
	w.entry = wait.Entry{Waker: w, Mask: mask | wait.Err | wait.Hup}
	f.EventRegister(&w.entry)
	errno := t.Block(&w.q, wait.All, deadline, try)
	f.EventUnregister(&w.entry)
	fileWaiters.Put(w)
	return errno
}

// raise sends the task a signal as if from itself, such as SIGPIPE.
func raise(t *task.Task, signo int32) {
	info := t.InfoFor(t.Group, signo, linux.SI_USER)
	t.SendSignal(&info)
}
