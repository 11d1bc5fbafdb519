package remote

import (
	"sync/atomic"

	"hornwork/gofer/proto"
	"hornwork/linux"
)

// listing is all entries of a directory at one moment. It is never changed once shown.
type listing struct {
	entries []proto.Entry
	index   map[string]int32
	attrs   bool         // the entries have attributes; else only numbers and types
	hits    atomic.Int32 // lookups of entries whose attributes were missing
	ahead   atomic.Bool  // came unasked and has not been used yet
}

const (
	// maxListing bounds one directory: 4 million names are 600 MB of the sentry's memory.
	maxListing = 1 << 22
	// maxListed bounds the entries that directories keep in CacheImmutable, per filesystem.
	maxListed = 1 << 17
)

// find returns the entry called name.
func (l *listing) find(name string) *proto.Entry {
	i, ok := l.index[name]
	if !ok {
		return nil
	}
	return &l.entries[i]
}

// fetch reads the whole directory from the gofer, on one channel, since the gofer keeps the directory open
// between the parts for a channel. With ahead, listings of directories below may come along.
func (d *dirNode) fetch(attrs bool, ahead uint32) (*listing, []proto.Sublist, linux.Errno) {
	cl := d.fs.cl
	if cl.dead.Load() {
		return nil, nil, linux.EIO
	}
	ch := <-cl.free
	defer func() { cl.free <- ch }()
	l := &listing{attrs: attrs}
	for pos := uint64(0); ; {
		var r proto.Entries
		if errno := cl.callOn(ch, &proto.Readdir{Ref: d.ref(), Pos: pos, Attrs: attrs, Ahead: ahead}, &r, nil); errno != 0 {
			return nil, nil, errno
		}
		d.adopt(r.Handle)
		if r.Attrs != attrs || len(r.Below) > int(ahead) || len(r.Below) > 0 && (!r.End || pos != 0) {
			return nil, nil, cl.broken()
		}
		if len(l.entries)+len(r.Entries) > maxListing {
			return nil, nil, linux.ENOMEM
		}
		l.entries = append(l.entries, r.Entries...)
		if r.End {
			return l, r.Below, 0
		}
		if len(r.Entries) == 0 {
			return nil, nil, cl.broken() // it would never end
		}
		pos = r.Entries[len(r.Entries)-1].Next
	}
}

// makeIndex prepares find.
func (l *listing) makeIndex() {
	l.index = make(map[string]int32, len(l.entries))
	for i := range l.entries {
		l.index[l.entries[i].Name] = int32(i)
	}
}

// list returns the directory's entries: in CacheImmutable those that are known already. attrs asks for their
// attributes too.
func (d *dirNode) list(attrs bool) (*listing, linux.Errno) {
	if !d.fs.immutable() {
		l, _, errno := d.fetch(attrs, 0)
		return l, errno
	}
	if l := d.kept(attrs); l != nil {
		return l, 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.kept(attrs); l != nil {
		return l, 0
	}
	seq := d.changes.Load()
	l, below, errno := d.fetch(attrs, d.wantAhead(attrs))
	if errno != 0 {
		return nil, errno
	}
	l.makeIndex()
	d.fs.keepListing(d, l, seq)
	return l, d.keepBelow(l, below)
}

// kept returns the listing that is there, if it has what is wanted.
func (d *dirNode) kept(attrs bool) *listing {
	l := d.listing.Load()
	if l == nil || attrs && !l.attrs {
		return nil
	}
	if l.ahead.Load() && l.ahead.Swap(false) {
		d.fs.aheadUsed.Add(1)
	}
	return l
}

const minAhead = 4

// wantAhead is how many listings below are wanted with this one. Whoever lists a directory after its parent
// may be going through a whole tree: then requests that bring hundreds of listings make that fast. The number
// doubles while what comes is used, and falls when it is not. Changing trees are left alone.
func (d *dirNode) wantAhead(attrs bool) uint32 {
	p := d.place.Load().parent
	if attrs || !d.fs.opts.ReadOnly || p == nil || p.listing.Load() == nil {
		return 0
	}
	n := d.fs.ahead.Load()
	if used := d.fs.aheadUsed.Swap(0); used*2 >= n {
		n = min(max(2*n, minAhead), proto.MaxAhead/2)
	} else {
		n = max(n/2, minAhead)
	}
	d.fs.ahead.Store(n)
	return uint32(n)
}

// keepBelow stores the listings that came along with l.
func (d *dirNode) keepBelow(l *listing, below []proto.Sublist) linux.Errno {
	type level struct {
		d *dirNode
		l *listing
	}
	levels := append(make([]level, 0, len(below)+1), level{d, l})
	for i := range below {
		s := &below[i]
		if int(s.Parent) >= len(levels) {
			return d.fs.cl.broken()
		}
		up := levels[s.Parent]
		e := up.l.find(s.Name)
		if e == nil || !e.Full() {
			return d.fs.cl.broken()
		}
		sub, ok := d.fs.newNode(&e.Attr, 0, up.d, e.Name, "").Ops.(*dirNode)
		if !ok {
			return d.fs.cl.broken()
		}
		sl := &listing{entries: s.Entries, attrs: l.attrs}
		sl.makeIndex()
		sl.ahead.Store(true)
		if sub.listing.Load() == nil {
			d.fs.keepListing(sub, sl, sub.changes.Load())
		}
		levels = append(levels, level{sub, sl})
	}
	return 0
}

// listingRing has the directories with a listing, in the order in which they got it.
type listingRing struct {
	dirs    []*dirNode
	entries int
}

// keepListing stores l for later lookups unless the directory has changed since seq, and drops the oldest
// listings if there are too many.
func (fs *fsys) keepListing(d *dirNode, l *listing, seq uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	r := &fs.listings
	if old := d.listing.Swap(l); old != nil {
		r.entries -= len(old.entries) + 1
	}
	if d.changes.Load() != seq {
		d.listing.Store(nil)
		return
	}
	r.dirs = append(r.dirs, d)
	r.entries += len(l.entries) + 1
	for len(r.dirs) > 1 && (r.entries > maxListed || len(r.dirs) > maxListed) {
		old := r.dirs[0]
		r.dirs[0] = nil
		r.dirs = r.dirs[1:]
		if l := old.listing.Swap(nil); l != nil {
			r.entries -= len(l.entries) + 1
		}
	}
}

// dropListing forgets the listing after a change in the directory.
func (d *dirNode) dropListing() {
	d.changes.Add(1)
	if l := d.listing.Swap(nil); l != nil {
		d.fs.mu.Lock()
		d.fs.listings.entries -= len(l.entries) + 1
		d.fs.mu.Unlock()
	}
}
