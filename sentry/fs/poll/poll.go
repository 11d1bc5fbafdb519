// Package poll waits on many files at once: what poll(2), ppoll(2), select(2) and pselect(2) share.
//
// The syscall layer turns descriptors into FDs (with references), calls Poll, and turns Got back. Signal masks and
// restarting are its own: Poll returns what Block returns.
package poll

import (
	"sync"
	"sync/atomic"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// Which events select(2) takes for a descriptor in its three sets.
const (
	SelectRead   wait.Events = linux.POLLRDNORM | linux.POLLRDBAND | linux.POLLIN | linux.POLLHUP | linux.POLLERR
	SelectWrite  wait.Events = linux.POLLWRBAND | linux.POLLWRNORM | linux.POLLOUT | linux.POLLERR
	SelectExcept wait.Events = linux.POLLPRI
)

// FD is one file to watch.
type FD struct {
	File *vfs.File   // nil: not watched; Got stays as the caller set it (POLLNVAL) and counts
	Want wait.Events // Err and Hup are always added
	Got  wait.Events

	of wait.Waitable
}

// PerCaller is implemented by the operations of files whose readiness depends on who asks (signalfd).
type PerCaller interface {
	PerCaller(c *vfs.Caller) wait.Waitable
}

// Of is what c polls when it polls f.
func Of(c *vfs.Caller, f *vfs.File) wait.Waitable {
	if p, ok := f.Ops.(PerCaller); ok {
		return p.PerCaller(c)
	}
	return f.Ops
}

// poller is what one sleeping call needs; entries of the files' queues point into it.
type poller struct {
	q       wait.Queue
	woken   atomic.Bool
	entries []wait.Entry
}

// Wake implements wait.Waker.
func (p *poller) Wake(_ *wait.Entry, ev wait.Events) {
	p.woken.Store(true)
	p.q.Notify(ev)
}

var pollers = sync.Pool{New: func() any { return new(poller) }}

// Poll fills in Got and returns how many FDs have events. It sleeps until there is one, unless nowait; at the
// deadline it returns 0. The errno is that of an interrupted sleep.
func Poll(c *vfs.Caller, fds []FD, nowait bool, deadline wait.Deadline) (int, linux.Errno) {
	for i := range fds {
		if fds[i].File != nil {
			fds[i].of = Of(c, fds[i].File)
		}
	}
	if n := scan(fds); n > 0 || nowait || c.Blocker == nil {
		return n, 0
	}
	p := pollers.Get().(*poller)
	p.register(fds)
	n := 0
	errno := c.Blocker.Block(&p.q, wait.All, deadline, func() bool {
		if p.woken.Swap(false) {
			n = scan(fds)
		}
		return n > 0
	})
	p.unregister(fds)
	pollers.Put(p)
	if errno == linux.ETIMEDOUT {
		errno = 0
	}
	if errno != 0 {
		return 0, errno
	}
	return n, 0
}

func scan(fds []FD) int {
	n := 0
	for i := range fds {
		fd := &fds[i]
		if fd.of != nil {
			want := fd.Want | wait.Err | wait.Hup
			fd.Got = fd.of.Readiness(want) & want
		}
		if fd.Got != 0 {
			n++
		}
	}
	return n
}

func (p *poller) register(fds []FD) {
	if cap(p.entries) < len(fds) {
		p.entries = make([]wait.Entry, len(fds))
	}
	p.entries = p.entries[:len(fds)]
	p.woken.Store(true) // look once more after the registration
	for i := range fds {
		if fds[i].of != nil {
			p.entries[i] = wait.Entry{Waker: p, Mask: fds[i].Want | wait.Err | wait.Hup}
			fds[i].of.EventRegister(&p.entries[i])
		}
	}
}

func (p *poller) unregister(fds []FD) {
	for i := range fds {
		if fds[i].of != nil {
			fds[i].of.EventUnregister(&p.entries[i])
		}
	}
	clear(p.entries)
	if cap(p.entries) > 1024 { // do not keep what one unusual call needed
		p.entries = nil
	}
}
