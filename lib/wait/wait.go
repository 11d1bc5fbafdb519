// Package wait has the queues on which the sentry's goroutines sleep, like Linux's wait_queue_head.
//
// A Queue belongs to an object that becomes ready (a pipe, a futex, a child). Whoever waits adds an
// Entry with the events of interest, tests the condition again, and parks. Notify calls each matching
// entry's Waker: it must not block and must not take a lock that ranks above the queue's.
package wait

import (
	"sync"
	"sync/atomic"
	"time"

	"hornwork/linux"
)

// Events is a set of poll(2) events (linux.POLLIN and the like), or events private to a queue.
type Events uint32

// Events of poll(2), and one that everybody waits for.
const (
	In     Events = linux.POLLIN
	Out    Events = linux.POLLOUT
	Pri    Events = linux.POLLPRI
	Err    Events = linux.POLLERR
	Hup    Events = linux.POLLHUP
	RdHup  Events = linux.POLLRDHUP
	RdNorm Events = linux.POLLRDNORM
	WrNorm Events = linux.POLLWRNORM

	Readable = In | RdNorm
	Writable = Out | WrNorm
	All      = ^Events(0)
)

// Waker is told that a queue on which an entry waits has had one of its events.
type Waker interface {
	// Wake runs under the queue's lock: it may only mark and make runnable.
	Wake(e *Entry, ev Events)
}

// Entry is one waiter on one queue. An Entry must not be copied while it is on a queue.
type Entry struct {
	Waker     Waker
	Mask      Events
	Exclusive bool // Notify stops after the first exclusive entry that it wakes (EPOLLEXCLUSIVE, accept)
	Data      any  // the waiter's own

	next, prev *Entry
	queue      *Queue
}

// Queue is a list of entries. Its zero value is empty and ready.
type Queue struct {
	n          atomic.Int32 // entries; lets Notify of an empty queue cost one load
	mu         sync.Mutex   // a leaf lock, guards the list
	head, tail *Entry
}

// Add puts e at the tail.
func (q *Queue) Add(e *Entry) {
	q.mu.Lock()
	e.queue, e.prev, e.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = e
	} else {
		q.head = e
	}
	q.tail = e
	q.n.Add(1)
	q.mu.Unlock()
}

// Remove takes e off; it does nothing if e is not on q.
func (q *Queue) Remove(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != q {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.tail = e.prev
	}
	e.queue, e.next, e.prev = nil, nil, nil
	q.n.Add(-1)
}

// Notify wakes the entries whose mask meets ev. The caller has published the condition before.
func (q *Queue) Notify(ev Events) {
	if q.n.Load() == 0 {
		return
	}
	q.mu.Lock()
	for e := q.head; e != nil; {
		next := e.next
		if e.Mask&ev != 0 {
			e.Waker.Wake(e, ev)
			if e.Exclusive {
				break
			}
		}
		e = next
	}
	q.mu.Unlock()
}

// Empty says whether nobody waits.
func (q *Queue) Empty() bool { return q.n.Load() == 0 }

// Waitable is what poll(2) can watch.
type Waitable interface {
	// Readiness returns those of mask that hold now, and always Err and Hup if they hold.
	Readiness(mask Events) Events
	// EventRegister starts notifications to e; the mask is e.Mask plus Err and Hup.
	EventRegister(e *Entry)
	EventUnregister(e *Entry)
}

// Deadline is a point of time on Go's monotonic clock; the zero value means none.
type Deadline = time.Time

// Blocker is a caller that can sleep: a task. Kernel-internal callers have none.
type Blocker interface {
	// Block parks until ready returns true, looking again after each notification of q that meets mask.
	// Returns 0, linux.ETIMEDOUT after the deadline, or linux.ERESTARTSYS when a signal, stop or kill interrupts.
	Block(q *Queue, mask Events, deadline Deadline, ready func() bool) linux.Errno
}
