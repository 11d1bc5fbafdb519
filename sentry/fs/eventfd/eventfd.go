// Package eventfd is eventfd(2): a 64-bit counter behind a descriptor. Reads and writes do not sleep: they return
// EAGAIN, and the syscall layer waits. The lock has no rank: it is a leaf, held over nothing but arithmetic.
package eventfd

import (
	"encoding/binary"
	"math"
	"sync"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// EventFD is the counter.
type EventFD struct {
	anon.File
	semaphore bool

	mu    sync.Mutex // guards count
	count uint64     // at most MaxUint64-1, but MaxUint64 after an overflow by Signal

	queue wait.Queue
}

// New makes an eventfd; flags are EFD_SEMAPHORE and EFD_NONBLOCK.
func New(c *vfs.Caller, initial uint32, flags uint32) *vfs.File {
	e := &EventFD{count: uint64(initial), semaphore: flags&linux.EFD_SEMAPHORE != 0}
	return anon.NewFile(c, "[eventfd]", e, linux.O_RDWR|flags&linux.EFD_NONBLOCK)
}

// FromFile returns the eventfd behind f.
func FromFile(f *vfs.File) (*EventFD, bool) {
	e, ok := f.Ops.(*EventFD)
	return e, ok
}

func (e *EventFD) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	if dst.Len() < 8 {
		return 0, linux.EINVAL
	}
	e.mu.Lock()
	v := e.count
	if v == 0 {
		e.mu.Unlock()
		return 0, linux.EAGAIN
	}
	if e.semaphore {
		v = 1
	}
	e.count -= v
	e.mu.Unlock()
	e.queue.Notify(wait.Out)
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return dst.CopyOut(b[:]) // after a fault the value is lost, as on Linux
}

func (e *EventFD) Write(_ *vfs.Caller, _ *vfs.File, src *usermem.Seq, _ int64) (int, int64, linux.Errno) {
	if src.Len() < 8 {
		return 0, 0, linux.EINVAL
	}
	var b [8]byte
	if _, errno := src.CopyIn(b[:]); errno != 0 {
		return 0, 0, errno
	}
	v := binary.LittleEndian.Uint64(b[:])
	if v == math.MaxUint64 {
		return 0, 0, linux.EINVAL
	}
	e.mu.Lock()
	// A counter at MaxUint64 (Signal overflowed it) has no room for anything, not even 0.
	if e.count == math.MaxUint64 || v > math.MaxUint64-1-e.count {
		e.mu.Unlock()
		return 0, 0, linux.EAGAIN
	}
	e.count += v
	e.mu.Unlock()
	e.queue.Notify(wait.In)
	return 8, 0, 0
}

// Signal adds n on behalf of the kernel (aio): it never fails, an overflow shows as POLLERR.
func (e *EventFD) Signal(n uint64) {
	e.mu.Lock()
	e.count += min(n, math.MaxUint64-e.count)
	e.mu.Unlock()
	e.queue.Notify(wait.In | wait.Err)
}

// Count is the present value, for /proc/pid/fdinfo.
func (e *EventFD) Count() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}

func (e *EventFD) Readiness(mask wait.Events) wait.Events {
	var ev wait.Events
	switch n := e.Count(); {
	case n == math.MaxUint64:
		ev = wait.In | wait.Err
	case n == math.MaxUint64-1:
		ev = wait.In
	case n > 0:
		ev = wait.In | wait.Out
	default:
		ev = wait.Out
	}
	return ev & (mask | wait.Err)
}

func (e *EventFD) EventRegister(w *wait.Entry)   { e.queue.Add(w) }
func (e *EventFD) EventUnregister(w *wait.Entry) { e.queue.Remove(w) }
