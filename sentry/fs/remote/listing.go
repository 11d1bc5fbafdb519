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
// between the parts for a channel.
func (d *dirNode) fetch(attrs bool) (*listing, linux.Errno) {
	cl := d.fs.cl
	if cl.dead.Load() {
		return nil, linux.EIO
	}
	ch := <-cl.free
	defer func() { cl.free <- ch }()
	l := &listing{attrs: attrs}
	for pos := uint64(0); ; {
		var r proto.Entries
		if errno := cl.callOn(ch, &proto.Readdir{Ref: d.ref(), Pos: pos, Attrs: attrs}, &r, nil); errno != 0 {
			return nil, errno
		}
		d.adopt(r.Handle)
		if r.Attrs != attrs {
			return nil, cl.broken()
		}
		if len(l.entries)+len(r.Entries) > maxListing {
			return nil, linux.ENOMEM
		}
		l.entries = append(l.entries, r.Entries...)
		if r.End {
			return l, 0
		}
		if len(r.Entries) == 0 {
			return nil, cl.broken() // it would never end
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
		return d.fetch(attrs)
	}
	if l := d.kept(attrs); l != nil {
		return l, 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.kept(attrs); l != nil {
		return l, 0
	}
	if !attrs && d.fs.opts.ReadOnly {
		if l := d.readAhead(); l != nil {
			return l, 0
		}
	}
	seq := d.changes.Load()
	l, errno := d.fetch(attrs)
	if errno != 0 {
		return nil, errno
	}
	l.makeIndex()
	d.fs.keepListing(d, l, seq)
	return l, 0
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
