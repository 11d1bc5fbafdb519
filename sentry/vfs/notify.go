package vfs

import (
	"slices"
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// Event is one thing that happened, as inotify(7) tells it.
type Event struct {
	Mask   uint32 // one linux.IN_* event, with IN_ISDIR
	Cookie uint32 // pairs IN_MOVED_FROM with IN_MOVED_TO
	Name   string // of the child, when the watched inode is its directory; else ""
	// Unlinked: the child has no name any more (IN_EXCL_UNLINK).
	Unlinked bool
}

// Watcher is told what happens to an inode. Notify runs with vfs's locks held: it may only queue, and not call
// back. After IN_DELETE_SELF or IN_UNMOUNT the watcher is off the inode already; it queues IN_IGNORED itself.
type Watcher interface {
	Notify(i *Inode, ev Event)
}

// watchCount is the number of watches anywhere, so that nothing is looked up while there is none.
var watchCount atomic.Int64

// AddWatcher starts notifications about i to w. A watched inode stays in the cache.
func (i *Inode) AddWatcher(w Watcher) {
	i.mu.Lock()
	defer i.mu.Unlock()
	x := i.extraLocked()
	x.watches = append(slices.Clone(x.watches), w)
	i.watched.Store(true)
	watchCount.Add(1)
}

// RemoveWatcher ends them; false if w was not there.
func (i *Inode) RemoveWatcher(w Watcher) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.extra == nil {
		return false
	}
	k := slices.Index(i.extra.watches, w)
	if k < 0 {
		return false
	}
	i.extra.watches = slices.Delete(slices.Clone(i.extra.watches), k, k+1)
	i.watched.Store(len(i.extra.watches) != 0)
	watchCount.Add(-1)
	return true
}

// watchers returns the present list, which is never changed in place.
func (i *Inode) watchers() []Watcher {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.extra == nil {
		return nil
	}
	return i.extra.watches
}

func (i *Inode) notify(ev Event) {
	if !i.watched.Load() {
		return
	}
	for _, w := range i.watchers() {
		w.Notify(i, ev)
	}
}

// Notify tells those who watch the inode of d, and those who watch its directory, about mask.
func Notify(d *Dentry, mask uint32) {
	if watchCount.Load() == 0 {
		return
	}
	i := d.Inode()
	if i == nil {
		return
	}
	if i.Type() == linux.S_IFDIR {
		mask |= linux.IN_ISDIR
	}
	l := d.loc.Load()
	if l.parent != nil {
		if p := l.parent.Inode(); p != nil {
			p.notify(Event{Mask: mask, Name: l.name, Unlinked: d.Unlinked()})
		}
	}
	i.notify(Event{Mask: mask})
}

// notifyDir tells the watchers of a directory about one of its names.
func notifyDir(dir *Dentry, name string, mask uint32, isDir bool, cookie uint32) {
	if watchCount.Load() == 0 {
		return
	}
	if isDir {
		mask |= linux.IN_ISDIR
	}
	dir.Inode().notify(Event{Mask: mask, Name: name, Cookie: cookie})
}

// notifyGone tells that the inode itself is no more, and ends its watches.
func (i *Inode) notifyGone() { i.endWatches(linux.IN_DELETE_SELF) }

func (i *Inode) endWatches(mask uint32) {
	if !i.watched.Load() {
		return
	}
	i.mu.Lock()
	ws := i.extra.watches
	i.extra.watches = nil
	i.watched.Store(false)
	i.mu.Unlock()
	watchCount.Add(-int64(len(ws)))
	for _, w := range ws {
		w.Notify(i, Event{Mask: mask})
	}
}

// nextCookie numbers renames.
var nextCookie atomic.Uint32

// accessed notes that n bytes of f have been read; dst is what is left to fill. Meeting the end is an access too, for
// the time but not for watchers; reading nothing on purpose is none.
func (f *File) accessed(n int, dst *usermem.Seq, errno linux.Errno) {
	if n <= 0 && (errno != 0 || dst.Len() == 0) {
		return
	}
	f.touched()
	if n > 0 && watchCount.Load() != 0 {
		Notify(f.Path.Dentry, linux.IN_ACCESS)
	}
}

// modified notes that f has been written.
func (f *File) modified() {
	if watchCount.Load() != 0 {
		Notify(f.Path.Dentry, linux.IN_MODIFY)
	}
}

func (f *File) notifyClose() {
	if watchCount.Load() == 0 {
		return
	}
	mask := uint32(linux.IN_CLOSE_NOWRITE)
	if f.Writable() {
		mask = linux.IN_CLOSE_WRITE
	}
	Notify(f.Path.Dentry, mask)
}
