package remote

import (
	"hornwork/gofer/proto"
)

// Whoever lists a directory after its parent may be going through a whole tree: find(1), rm -r, du. Then one
// request brings the listings of the directories that come next in that order. How many doubles while they
// are used and falls when they are not, so that others pay little.

const (
	minAhead = 4
	maxAhead = proto.MaxAhead
	// maxRefPath bounds the path that names an object without a handle.
	maxRefPath = 8
)

// wantAhead is how many listings to ask for.
func (fs *fsys) wantAhead() int {
	n := fs.ahead.Load()
	if used, got := fs.aheadUsed.Swap(0), fs.aheadGot.Swap(0); used*2 >= got {
		n = min(max(2*n, minAhead), maxAhead)
	} else {
		n = max(n/2, minAhead)
	}
	fs.ahead.Store(n)
	return int(n)
}

// readAhead fetches the listing of d together with those that follow it. It returns nil if there is no reason
// to, or if d did not come; then d is to be fetched alone. The caller holds d.mu.
func (d *dirNode) readAhead() *listing {
	p := d.place.Load()
	if p.parent == nil {
		return nil
	}
	up := p.parent.listing.Load()
	if up == nil {
		return nil
	}
	ref := p.parent.ref()
	if len(ref.Path) > maxRefPath {
		return nil // fetched alone, d gets a handle, and paths below are short again
	}
	first, ok := up.index[p.name]
	if !ok {
		return nil
	}
	n := d.fs.wantAhead()
	names := []string{p.name}
	for i := int(first) + 1; i < len(up.entries) && len(names) < min(n, proto.MaxNames); i++ {
		if e := &up.entries[i]; e.Full() && (!up.attrs || e.Attr.Nlink > 0) {
			names = append(names, e.Name)
		}
	}
	var r proto.Lists
	errno := d.fs.cl.call(&proto.ReadAhead{Ref: ref, Names: names, Max: uint32(n)}, &r, nil)
	if errno != 0 {
		return nil
	}
	if r.Attrs || len(r.Lists) > n {
		d.fs.cl.broken()
		return nil
	}
	return d.keepLists(p.parent, up, r.Lists)
}

// keepLists stores what came and returns the listing of d.
func (d *dirNode) keepLists(parent *dirNode, up *listing, lists []proto.Sublist) (own *listing) {
	type level struct {
		d *dirNode
		l *listing
	}
	levels := append(make([]level, 0, len(lists)+1), level{parent, up})
	for i := range lists {
		s := &lists[i]
		if int(s.Parent) >= len(levels) {
			d.fs.cl.broken()
			return nil
		}
		in := levels[s.Parent]
		e := in.l.find(s.Name)
		if e == nil || !e.Full() {
			d.fs.cl.broken()
			return nil
		}
		sub, ok := d.fs.newNode(&e.Attr, 0, in.d, e.Name, "").Ops.(*dirNode)
		if !ok {
			d.fs.cl.broken()
			return nil
		}
		l := &listing{entries: s.Entries}
		l.makeIndex()
		if sub == d {
			own = l
		} else {
			l.ahead.Store(true)
			d.fs.aheadGot.Add(1)
		}
		if sub.listing.Load() == nil {
			d.fs.keepListing(sub, l, sub.changes.Load())
		}
		levels = append(levels, level{sub, l})
	}
	return own
}
