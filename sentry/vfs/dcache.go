package vfs

import (
	"sync/atomic"

	"hornwork/lib/rank"
)

// DentryLimit is how many dentries the cache keeps before the clock takes unused ones.
var DentryLimit atomic.Int64

func init() { DentryLimit.Store(1 << 17) }

// clockLinks puts a dentry on the ring; guarded by the clock's lock.
type clockLinks struct {
	next, prev *Dentry
}

// clockRing is the ring of all dentries that are or were in a directory's map. Its hand takes the unused ones
// that no walk has found since it came by last: an approximation of least recently used without a list
// operation per lookup.
type clockRing struct {
	mu   rank.Mutex[rank.DCache]
	hand *Dentry
	n    atomic.Int64
}

var clock clockRing

func (r *clockRing) add(d *Dentry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &d.clock
	if l.next != nil {
		return
	}
	d.state.Or(dentryRinged)
	if r.hand == nil {
		l.next, l.prev = d, d
		r.hand = d
	} else {
		h := r.hand // behind the hand: the last that it will meet
		l.next, l.prev = h, h.clock.prev
		l.prev.clock.next = d
		h.clock.prev = d
	}
	r.n.Add(1)
}

func (r *clockRing) remove(d *Dentry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &d.clock
	if l.next == nil {
		return
	}
	if r.hand == d {
		r.hand = l.next
	}
	if l.next == d {
		r.hand = nil
	}
	l.prev.clock.next = l.next
	l.next.clock.prev = l.prev
	l.next, l.prev = nil, nil
	r.n.Add(-1)
}

const shrinkBatch = 64

// candidates moves the hand over at most 4 batches and returns dentries that look unused.
func (r *clockRing) candidates(out []*Dentry) []*Dentry {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 4 * shrinkBatch {
		d := r.hand
		if d == nil || len(out) == cap(out) {
			break
		}
		r.hand = d.clock.next
		if d.refs.Load() != 0 {
			continue
		}
		if d.state.Load()&dentryUsed != 0 {
			d.state.And(^dentryUsed)
			continue
		}
		out = append(out, d)
	}
	return out
}

// shrinkCache evicts some unused dentries if there are too many. The caller holds no lock.
func shrinkCache() {
	if clock.n.Load() <= DentryLimit.Load() {
		return
	}
	var buf [shrinkBatch]*Dentry
	for _, d := range clock.candidates(buf[:0:shrinkBatch]) {
		d.evict()
	}
}

// evict takes d out of the cache unless somebody uses or watches it.
func (d *Dentry) evict() bool {
	l := d.loc.Load()
	if l.parent == nil {
		return false
	}
	if i := d.inode.Load(); i != nil && i.watched.Load() {
		return false
	}
	ds := l.parent.dir
	ds.mu.Lock()
	if d.loc.Load() != l || ds.children[l.name] != d || !d.refs.CompareAndSwap(0, deadRefs) {
		ds.mu.Unlock()
		return false
	}
	delete(ds.children, l.name)
	d.state.Or(dentryUnhashed)
	ds.mu.Unlock()
	d.bury().put()
	return true
}

// shrinkTree evicts all unused dentries below d.
func shrinkTree(d *Dentry) {
	if d.dir == nil {
		return
	}
	d.dir.mu.RLock()
	kids := make([]*Dentry, 0, len(d.dir.children))
	for _, ch := range d.dir.children {
		kids = append(kids, ch)
	}
	d.dir.mu.RUnlock()
	for _, ch := range kids {
		shrinkTree(ch)
		ch.evict()
	}
}

// DropCaches evicts every unused dentry, as writing 2 to /proc/sys/vm/drop_caches does.
func DropCaches() {
	for range 64 {
		clock.mu.Lock()
		n := clock.n.Load()
		var list []*Dentry
		d := clock.hand
		for range n {
			list = append(list, d)
			d = d.clock.next
		}
		clock.mu.Unlock()
		gone := 0
		for _, d := range list {
			if d.evict() {
				gone++
			}
		}
		if gone == 0 {
			return
		}
	}
}
