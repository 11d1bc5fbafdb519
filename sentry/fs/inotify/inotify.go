// Package inotify is inotify(7) on vfs's notifications (vfs.Watcher).
//
// A watch sits on an inode and queues events at its instance. Reads do not sleep: they return EAGAIN, and the
// syscall layer waits. Like Linux's, an event that equals the last one in the queue is not queued again, and a full
// queue ends in one IN_Q_OVERFLOW.
//
// Locks: Inotify.mu is a leaf; vfs calls Notify with its own locks held. vfs's calls are made without it.
package inotify

import (
	"encoding/binary"
	"sync"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

const (
	// MaxQueuedEvents is /proc/sys/fs/inotify/max_queued_events.
	MaxQueuedEvents = 16384
	// MaxUserWatches is /proc/sys/fs/inotify/max_user_watches; counted for each instance, not for each user.
	MaxUserWatches = 65536
	// MaxUserInstances is /proc/sys/fs/inotify/max_user_instances; not enforced, descriptors are limited anyway.
	MaxUserInstances = 128

	// eventSize is the size of struct inotify_event without the name, and what names are padded to.
	eventSize = 16
	// flagBits of a watch are not events.
	flagBits = linux.IN_ONLYDIR | linux.IN_DONT_FOLLOW | linux.IN_EXCL_UNLINK | linux.IN_MASK_CREATE |
		linux.IN_MASK_ADD | linux.IN_ISDIR | linux.IN_ONESHOT
	validBits = linux.IN_ALL_EVENTS | linux.IN_UNMOUNT | linux.IN_Q_OVERFLOW | linux.IN_IGNORED | flagBits
)

// Inotify is an instance: the object behind the descriptor.
type Inotify struct {
	anon.File

	mu       sync.Mutex // guards the fields below and the watches' masks
	watches  map[int32]*watch
	byInode  map[*vfs.Inode]*watch
	lastWD   int32
	events   []event // the queue, from head on
	head     int
	queued   int // bytes that reading all would give
	overflow bool
	closed   bool

	queue wait.Queue
}

type watch struct {
	in    *Inotify
	wd    int32
	inode *vfs.Inode
	mask  uint32 // events, and IN_ONESHOT, IN_EXCL_UNLINK
	gone  bool   // IN_IGNORED has been queued
}

type event struct {
	wd           int32
	mask, cookie uint32
	name         string
}

// New makes an instance; flags: IN_NONBLOCK.
func New(c *vfs.Caller, flags uint32) (*vfs.File, linux.Errno) {
	if flags&^(linux.IN_CLOEXEC|linux.IN_NONBLOCK) != 0 {
		return nil, linux.EINVAL
	}
	in := &Inotify{watches: map[int32]*watch{}, byInode: map[*vfs.Inode]*watch{}}
	return anon.NewFile(c, "inotify", in, linux.O_RDONLY|flags&linux.IN_NONBLOCK), 0
}

// FromFile returns the instance behind f.
func FromFile(f *vfs.File) (*Inotify, bool) {
	in, ok := f.Ops.(*Inotify)
	return in, ok
}

// CheckMask is what inotify_add_watch(2) tests before it looks at the descriptor and the path.
func CheckMask(mask uint32) linux.Errno {
	if mask&^validBits != 0 || mask&validBits == 0 {
		return linux.EINVAL
	}
	if mask&linux.IN_MASK_ADD != 0 && mask&linux.IN_MASK_CREATE != 0 {
		return linux.EINVAL
	}
	return 0
}

// AddWatch is inotify_add_watch(2) once the path is resolved (with IN_DONT_FOLLOW and IN_ONLYDIR observed, and read
// permission checked) and the mask is checked. It returns the watch descriptor.
func (in *Inotify) AddWatch(i *vfs.Inode, mask uint32) (int32, linux.Errno) {
	keep := mask & (linux.IN_ALL_EVENTS | linux.IN_ONESHOT | linux.IN_EXCL_UNLINK)
	in.mu.Lock()
	if w := in.byInode[i]; w != nil {
		defer in.mu.Unlock()
		if mask&linux.IN_MASK_CREATE != 0 {
			return 0, linux.EEXIST
		}
		if mask&linux.IN_MASK_ADD != 0 {
			keep |= w.mask
		}
		w.mask = keep
		return w.wd, 0
	}
	if len(in.watches) >= MaxUserWatches || in.lastWD == 1<<31-1 {
		in.mu.Unlock()
		return 0, linux.ENOSPC
	}
	in.lastWD++ // numbers are not used again, as on Linux until they wrap
	w := &watch{in: in, wd: in.lastWD, inode: i, mask: keep}
	in.watches[w.wd] = w
	in.byInode[i] = w
	in.mu.Unlock()
	i.AddWatcher(w)
	return w.wd, 0
}

// RemoveWatch is inotify_rm_watch(2).
func (in *Inotify) RemoveWatch(wd int32) linux.Errno {
	in.mu.Lock()
	w := in.watches[wd]
	if w == nil {
		in.mu.Unlock()
		return linux.EINVAL
	}
	in.forgetLocked(w)
	in.mu.Unlock()
	in.queue.Notify(wait.Readable)
	w.inode.RemoveWatcher(w)
	return 0
}

// forgetLocked takes w out of the instance and tells the reader so.
func (in *Inotify) forgetLocked(w *watch) {
	if w.gone {
		return
	}
	w.gone = true
	delete(in.watches, w.wd)
	delete(in.byInode, w.inode)
	in.pushLocked(event{wd: w.wd, mask: linux.IN_IGNORED})
}

// Notify implements vfs.Watcher.
func (w *watch) Notify(i *vfs.Inode, ev vfs.Event) {
	in := w.in
	last := ev.Mask&(linux.IN_DELETE_SELF|linux.IN_UNMOUNT) != 0
	in.mu.Lock()
	if w.gone || in.closed {
		in.mu.Unlock()
		return
	}
	wanted := ev.Mask&w.mask&linux.IN_ALL_EVENTS != 0 || ev.Mask&linux.IN_UNMOUNT != 0
	if wanted && !(ev.Unlinked && w.mask&linux.IN_EXCL_UNLINK != 0) {
		e := event{wd: w.wd, mask: ev.Mask, cookie: ev.Cookie, name: ev.Name}
		if ev.Mask&(linux.IN_DELETE_SELF|linux.IN_MOVE_SELF) != 0 {
			e.mask &^= linux.IN_ISDIR // never reported with these two
		}
		in.pushLocked(e)
		if w.mask&linux.IN_ONESHOT != 0 {
			in.forgetLocked(w)
		}
	}
	if last {
		in.forgetLocked(w)
	}
	ignored := w.gone && !last
	in.mu.Unlock()
	in.queue.Notify(wait.Readable)
	if ignored {
		// A one-shot watch that has fired. Taking it off here would call back into vfs under its locks.
		go i.RemoveWatcher(w)
	}
}

// pushLocked queues e, unless it repeats the last event or the queue is full.
func (in *Inotify) pushLocked(e event) {
	n := len(in.events)
	if n > in.head && in.events[n-1] == e && e.mask&linux.IN_IGNORED == 0 {
		return
	}
	if n-in.head >= MaxQueuedEvents {
		if in.overflow {
			return
		}
		in.overflow = true
		e = event{wd: -1, mask: linux.IN_Q_OVERFLOW}
	}
	in.events = append(in.events, e)
	in.queued += e.size()
}

// size is how many bytes the event takes in read(2): names end in a NUL and are padded to whole headers.
func (e *event) size() int {
	if e.name == "" {
		return eventSize
	}
	return eventSize + (len(e.name)+eventSize)/eventSize*eventSize
}

func (e *event) encode() []byte {
	b := make([]byte, e.size())
	le := binary.LittleEndian
	le.PutUint32(b[0:], uint32(e.wd))
	le.PutUint32(b[4:], e.mask)
	le.PutUint32(b[8:], e.cookie)
	le.PutUint32(b[12:], uint32(len(b)-eventSize))
	copy(b[eventSize:], e.name)
	return b
}

// Read gives whole events. EINVAL when the first does not fit.
func (in *Inotify) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.head == len(in.events) {
		return 0, linux.EAGAIN
	}
	done := 0
	for in.head < len(in.events) {
		e := &in.events[in.head]
		if e.size() > dst.Len() {
			if done == 0 {
				return 0, linux.EINVAL
			}
			break
		}
		b := e.encode()
		in.popLocked() // also after a fault, as on Linux
		if _, errno := dst.CopyOut(b); errno != 0 {
			if done == 0 {
				return 0, errno
			}
			break
		}
		done += len(b)
	}
	return done, 0
}

func (in *Inotify) popLocked() {
	e := &in.events[in.head]
	in.queued -= e.size()
	if e.mask == linux.IN_Q_OVERFLOW {
		in.overflow = false
	}
	*e = event{}
	in.head++
	switch {
	case in.head == len(in.events):
		in.events, in.head = in.events[:0], 0
		if cap(in.events) > 1024 {
			in.events = nil
		}
	case in.head >= 1024:
		in.events = append(in.events[:0:0], in.events[in.head:]...)
		in.head = 0
	}
}

func (in *Inotify) Readiness(mask wait.Events) wait.Events {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.head == len(in.events) {
		return 0
	}
	return wait.Readable & mask
}

func (in *Inotify) EventRegister(w *wait.Entry)   { in.queue.Add(w) }
func (in *Inotify) EventUnregister(w *wait.Entry) { in.queue.Remove(w) }

// Ioctl knows FIONREAD: the bytes of all queued events.
func (in *Inotify) Ioctl(_ *vfs.Caller, _ *vfs.File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	if cmd != linux.FIONREAD {
		return 0, linux.ENOTTY
	}
	in.mu.Lock()
	n := in.queued
	in.mu.Unlock()
	return 0, anon.StoreInt(mem, arg, int32(n))
}

// Release ends all watches.
func (in *Inotify) Release(*vfs.File) {
	in.mu.Lock()
	in.closed = true
	ws := in.watches
	in.watches, in.byInode, in.events, in.head = nil, nil, nil, 0
	in.mu.Unlock()
	for _, w := range ws {
		w.inode.RemoveWatcher(w)
	}
}

// Watches calls f for each watch, for /proc/pid/fdinfo.
func (in *Inotify) Watches(f func(wd int32, i *vfs.Inode, mask uint32)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, w := range in.watches {
		f(w.wd, w.inode, w.mask)
	}
}
