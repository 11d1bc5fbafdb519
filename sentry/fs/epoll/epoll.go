// Package epoll is epoll(7).
//
// An item (one file under one descriptor number) has an entry on the file's queue. An event puts the item on the
// ready list, O(1), and wakes the waiters; Wait takes items from the front of the list, asks their files what really
// holds, and puts level-triggered ones back at the end, so that all get their turn. An item holds no reference on its
// file: vfs tells when the last one goes.
//
// Locks: nesting (package) is taken before any Epoll.mu, mu of an outer epoll before that of an inner one, then the
// locks of the files. readyMu is a leaf under the queues' own locks; nested epolls wake each other upwards, in the
// order that the loop check keeps free of cycles.
package epoll

import (
	"sync"
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/vfs"
)

const (
	// privateBits of the events say how to report, not what.
	privateBits = linux.EPOLLWAKEUP | linux.EPOLLONESHOT | linux.EPOLLET | linux.EPOLLEXCLUSIVE
	// exclusiveOK is what may stand beside EPOLLEXCLUSIVE.
	exclusiveOK = linux.EPOLLIN | linux.EPOLLOUT | linux.EPOLLERR | linux.EPOLLHUP | linux.EPOLLWAKEUP |
		linux.EPOLLET | linux.EPOLLEXCLUSIVE
	// maxNests is how deep epolls may watch each other.
	maxNests = 4
	// maxItems bounds one epoll, where Linux bounds each user by memory (max_user_watches).
	maxItems = 1 << 20
)

// Epoll is the object behind an epoll descriptor.
type Epoll struct {
	anon.File

	mu    rank.Mutex[rank.Epoll] // guards items and their fields; held over a whole scan
	items map[key]*item

	readyMu    sync.Mutex // guards the ready list and item.listed
	head, tail *item
	nready     int

	queue wait.Queue // epoll_wait, and whoever polls the epoll itself

	watchers map[*item]struct{} // items of other epolls on this one; guarded by nesting
}

// nesting serialises the additions of epolls to epolls.
var nesting sync.Mutex

type key struct {
	file *vfs.File
	fd   int32
}

type item struct {
	ep     *Epoll
	key    key
	of     wait.Waitable // the file's operations as the one who added it sees them
	entry  wait.Entry
	events uint32 // as given, with Err and Hup; only privateBits are left after a one-shot has fired
	data   [2]uint32

	// armed is the part of events that Wake looks at.
	armed      atomic.Uint32
	listed     bool
	next, prev *item
}

// New makes an epoll descriptor's file.
func New(c *vfs.Caller) *vfs.File {
	ep := &Epoll{items: map[key]*item{}}
	return anon.NewFile(c, "[eventpoll]", ep, linux.O_RDWR)
}

// FromFile returns the epoll behind f.
func FromFile(f *vfs.File) (*Epoll, bool) {
	ep, ok := f.Ops.(*Epoll)
	return ep, ok
}

// Wake implements wait.Waker for the entry of an item.
func (it *item) Wake(_ *wait.Entry, ev wait.Events) {
	if uint32(ev)&it.armed.Load() == 0 {
		return
	}
	it.makeReady()
}

func (it *item) makeReady() {
	ep := it.ep
	ep.readyMu.Lock()
	ep.pushLocked(it)
	ep.readyMu.Unlock()
	ep.queue.Notify(wait.Readable)
}

// pushLocked puts it at the end of the ready list, if it is not on it.
func (ep *Epoll) pushLocked(it *item) {
	if it.listed {
		return
	}
	it.listed = true
	it.prev, it.next = ep.tail, nil
	if ep.tail != nil {
		ep.tail.next = it
	} else {
		ep.head = it
	}
	ep.tail = it
	ep.nready++
}

// unlistLocked takes it off the ready list, if it is on it.
func (ep *Epoll) unlistLocked(it *item) {
	if !it.listed {
		return
	}
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		ep.head = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		ep.tail = it.prev
	}
	it.listed, it.next, it.prev = false, nil, nil
	ep.nready--
}

func (ep *Epoll) unlist(it *item) {
	ep.readyMu.Lock()
	ep.unlistLocked(it)
	ep.readyMu.Unlock()
}

func (ep *Epoll) anyListed() bool {
	ep.readyMu.Lock()
	defer ep.readyMu.Unlock()
	return ep.nready > 0
}

// poll asks the file of it what holds of what was asked for.
func (it *item) poll() uint32 {
	want := it.events &^ privateBits
	if want == 0 {
		return 0
	}
	return uint32(it.of.Readiness(wait.Events(want))) & want
}

// Wait fills in events and returns how many there are: epoll_wait(2). It sleeps until there is one, unless nowait;
// at the deadline it returns 0. The errno is that of an interrupted sleep.
func (ep *Epoll) Wait(b wait.Blocker, events []linux.EpollEvent, nowait bool, deadline wait.Deadline) (int, linux.Errno) {
	for {
		if n := ep.collect(events); n > 0 || nowait || b == nil {
			return n, 0
		}
		switch errno := b.Block(&ep.queue, wait.Readable, deadline, ep.anyListed); errno {
		case 0:
		case linux.ETIMEDOUT:
			return ep.collect(events), 0
		default:
			return 0, errno
		}
	}
}

// collect goes once over the items that are on the ready list now.
func (ep *Epoll) collect(events []linux.EpollEvent) int {
	if !ep.anyListed() {
		return 0
	}
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.readyMu.Lock()
	left := ep.nready
	n := 0
	for ; left > 0 && n < len(events) && ep.head != nil; left-- {
		it := ep.head
		ep.unlistLocked(it)
		ep.readyMu.Unlock()
		got := it.poll() // an event from now on lists the item again
		if got != 0 {
			events[n] = linux.EpollEvent{Events: got, Data: it.data}
			n++
			switch {
			case it.events&linux.EPOLLONESHOT != 0:
				it.events &= privateBits
				it.armed.Store(0)
				ep.unlist(it)
			case it.events&linux.EPOLLET == 0:
				ep.readyMu.Lock()
				ep.pushLocked(it)
				continue
			}
		}
		ep.readyMu.Lock()
	}
	ep.readyMu.Unlock()
	return n
}

// Readiness is poll(2) on the epoll itself: readable when Wait would return something. Items on the list that are
// not ready any more leave it on the way.
func (ep *Epoll) Readiness(mask wait.Events) wait.Events {
	if mask&wait.Readable == 0 || !ep.anyListed() {
		return 0
	}
	ep.mu.LockNested()
	defer ep.mu.Unlock()
	for {
		ep.readyMu.Lock()
		it := ep.head
		if it == nil {
			ep.readyMu.Unlock()
			return 0
		}
		ep.unlistLocked(it)
		ep.readyMu.Unlock()
		if it.poll() != 0 {
			ep.readyMu.Lock()
			ep.pushLocked(it)
			ep.readyMu.Unlock()
			return wait.Readable & mask
		}
	}
}

func (ep *Epoll) EventRegister(w *wait.Entry)   { ep.queue.Add(w) }
func (ep *Epoll) EventUnregister(w *wait.Entry) { ep.queue.Remove(w) }

// Release lets go of all items.
func (ep *Epoll) Release(*vfs.File) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for _, it := range ep.items {
		it.key.file.RemoveReleaseHook(it)
		ep.removeLocked(it)
	}
}

// Item is one line of /proc/pid/fdinfo of an epoll.
type Item struct {
	FD     int32
	Events uint32
	Data   uint64
	File   *vfs.File
}

// Items calls f for each item; f must not come back to the epoll.
func (ep *Epoll) Items(f func(Item)) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for k, it := range ep.items {
		f(Item{FD: k.fd, Events: it.events, Data: uint64(it.data[0]) | uint64(it.data[1])<<32, File: k.file})
	}
}
