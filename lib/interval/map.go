// Package interval has an ordered map from ranges of numbers that do not overlap to values: a B+ tree that
// also knows the largest gap below each node. It serves as Linux's maple tree does: VMAs, extents of files.
//
// A Map is not safe for concurrent writers. Iterators are small values; changing the map other than through
// an iterator's own methods makes it stale.
package interval

const fanout = 32

// entry is one range and its value.
type entry[V any] struct {
	start, end uint64
	val        V
}

// node is a leaf (kids nil) or an inner node. Ranges below kid i start at or after first[i].
type node[V any] struct {
	parent     *node[V]
	at         int // index in parent
	n          int
	ents       []entry[V] // of a leaf
	kids       []*node[V] // of an inner node
	next, prev *node[V]   // leaves are chained

	// Of everything below: first start, last end, and the largest gap between two neighbours.
	start, end, gap uint64
}

// Map maps ranges to values. The zero value is empty and ready.
type Map[V any] struct {
	// Guard, if set, is how many bytes below an entry must stay free in FindGap.
	Guard func(*V) uint64

	root *node[V]
	size int
}

// Iter is a position in a Map: at an entry, or nowhere (Ok is false).
type Iter[V any] struct {
	leaf *node[V]
	i    int
}

// Ok says whether the iterator is at an entry.
func (it Iter[V]) Ok() bool { return it.leaf != nil }

// Start is the first number of the range.
func (it Iter[V]) Start() uint64 { return it.leaf.ents[it.i].start }

// End is the number after the range.
func (it Iter[V]) End() uint64 { return it.leaf.ents[it.i].end }

// Val points to the value; valid until the map changes.
func (it Iter[V]) Val() *V { return &it.leaf.ents[it.i].val }

// Next is the following entry.
func (it Iter[V]) Next() Iter[V] {
	if it.i+1 < it.leaf.n {
		return Iter[V]{it.leaf, it.i + 1}
	}
	return Iter[V]{it.leaf.next, 0}
}

// Prev is the entry before.
func (it Iter[V]) Prev() Iter[V] {
	if it.i > 0 {
		return Iter[V]{it.leaf, it.i - 1}
	}
	if p := it.leaf.prev; p != nil {
		return Iter[V]{p, p.n - 1}
	}
	return Iter[V]{}
}

// Len is the number of entries.
func (m *Map[V]) Len() int { return m.size }

// First is the lowest entry.
func (m *Map[V]) First() Iter[V] { return m.Seek(0) }

// Last is the highest entry.
func (m *Map[V]) Last() Iter[V] {
	n := m.root
	if n == nil {
		return Iter[V]{}
	}
	for n.kids != nil {
		n = n.kids[n.n-1]
	}
	return Iter[V]{n, n.n - 1}
}

// Seek is the first entry that ends after x: the one that contains x, or the next.
func (m *Map[V]) Seek(x uint64) Iter[V] {
	n := m.root
	if n == nil || n.end <= x {
		return Iter[V]{}
	}
	for n.kids != nil {
		lo, hi := 0, n.n-1
		for lo < hi {
			mid := int(uint(lo+hi) >> 1)
			if n.kids[mid].end > x {
				hi = mid
			} else {
				lo = mid + 1
			}
		}
		n = n.kids[lo]
	}
	lo, hi := 0, n.n-1
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.ents[mid].end > x {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return Iter[V]{n, lo}
}

// Find is the entry that contains x.
func (m *Map[V]) Find(x uint64) Iter[V] {
	it := m.Seek(x)
	if !it.Ok() || it.Start() > x {
		return Iter[V]{}
	}
	return it
}

// Insert adds [start, end), which must be free and not empty.
func (m *Map[V]) Insert(start, end uint64, v V) Iter[V] {
	if start >= end {
		panic("interval: empty range")
	}
	if m.root == nil {
		m.root = &node[V]{ents: make([]entry[V], 0, 4)}
	}
	leaf, i := m.root, 0
	if m.size > 0 {
		at := m.Seek(start)
		if at.Ok() {
			if at.Start() < end {
				panic("interval: overlapping ranges")
			}
			leaf, i = at.leaf, at.i
		} else {
			last := m.Last()
			leaf, i = last.leaf, last.leaf.n
		}
	}
	m.size++
	if leaf.n == fanout {
		right := m.split(leaf)
		if i > leaf.n {
			leaf, i = right, i-leaf.n
		}
	}
	leaf.ents = append(leaf.ents, entry[V]{})
	copy(leaf.ents[i+1:], leaf.ents[i:])
	leaf.ents[i] = entry[V]{start, end, v}
	leaf.n++
	m.update(leaf)
	return Iter[V]{leaf, i}
}

// Remove takes the entry away and returns the next one.
func (m *Map[V]) Remove(it Iter[V]) Iter[V] {
	leaf := it.leaf
	copy(leaf.ents[it.i:], leaf.ents[it.i+1:])
	leaf.n--
	leaf.ents[leaf.n] = entry[V]{}
	leaf.ents = leaf.ents[:leaf.n]
	m.size--
	if leaf.n > 0 {
		m.update(leaf)
		if it.i < leaf.n {
			return it
		}
		return Iter[V]{leaf.next, 0}
	}
	next := leaf.next
	if leaf.prev != nil {
		leaf.prev.next = leaf.next
	}
	if leaf.next != nil {
		leaf.next.prev = leaf.prev
	}
	m.drop(leaf)
	return Iter[V]{next, 0}
}

// Resize changes the range of an entry; the new one must not reach into its neighbours.
func (m *Map[V]) Resize(it Iter[V], start, end uint64) {
	if start >= end {
		panic("interval: empty range")
	}
	if p := it.Prev(); p.Ok() && p.End() > start {
		panic("interval: overlapping ranges")
	}
	if n := it.Next(); n.Ok() && n.Start() < end {
		panic("interval: overlapping ranges")
	}
	e := &it.leaf.ents[it.i]
	e.start, e.end = start, end
	m.update(it.leaf)
}

// Clear removes all entries.
func (m *Map[V]) Clear() { m.root, m.size = nil, 0 }

// Changed must be called after a value changed in a way that Guard sees.
func (m *Map[V]) Changed(it Iter[V]) { m.update(it.leaf) }

// split moves the upper half of a full node to a new one on its right.
func (m *Map[V]) split(n *node[V]) *node[V] {
	r := &node[V]{}
	h := n.n / 2
	if n.at == n.lastIndex() {
		h = n.n - 4 // at the right edge entries are mostly appended
	}
	if n.kids == nil {
		r.ents = append(make([]entry[V], 0, fanout), n.ents[h:]...)
		clear(n.ents[h:])
		n.ents = n.ents[:h]
		r.next, r.prev, n.next = n.next, n, r
		if r.next != nil {
			r.next.prev = r
		}
	} else {
		r.kids = append(make([]*node[V], 0, fanout), n.kids[h:]...)
		clear(n.kids[h:])
		n.kids = n.kids[:h]
		for i, k := range r.kids {
			k.parent, k.at = r, i
		}
	}
	r.n, n.n = n.n-h, h
	m.refresh(n)
	m.refresh(r)
	p := n.parent
	if p == nil {
		p = &node[V]{kids: append(make([]*node[V], 0, fanout), n), n: 1}
		n.parent, n.at = p, 0
		m.root = p
	}
	if p.n == fanout {
		m.split(p)
		p = n.parent
	}
	p.kids = append(p.kids, nil)
	copy(p.kids[n.at+2:], p.kids[n.at+1:])
	p.kids[n.at+1] = r
	p.n++
	for i := n.at; i < p.n; i++ {
		p.kids[i].parent, p.kids[i].at = p, i
	}
	m.update(p)
	return r
}

func (n *node[V]) lastIndex() int {
	if n.parent == nil {
		return n.at
	}
	return n.parent.n - 1
}

// drop removes an empty node from its parent.
func (m *Map[V]) drop(n *node[V]) {
	p := n.parent
	if p == nil {
		m.root = nil
		return
	}
	copy(p.kids[n.at:], p.kids[n.at+1:])
	p.n--
	p.kids[p.n] = nil
	p.kids = p.kids[:p.n]
	for i := n.at; i < p.n; i++ {
		p.kids[i].at = i
	}
	if p.n == 0 {
		m.drop(p)
		return
	}
	m.update(p)
	for m.root.kids != nil && m.root.n == 1 {
		m.root = m.root.kids[0]
		m.root.parent, m.root.at = nil, 0
	}
}

func (m *Map[V]) guard(v *V) uint64 {
	if m.Guard == nil {
		return 0
	}
	return m.Guard(v)
}

// refresh computes the summary of one node from what is directly below it.
func (m *Map[V]) refresh(n *node[V]) {
	n.gap = 0
	if n.kids == nil {
		n.start, n.end = n.ents[0].start, n.ents[n.n-1].end
		for i := 1; i < n.n; i++ {
			n.gap = max(n.gap, n.ents[i].start-n.ents[i-1].end)
		}
		return
	}
	n.start, n.end = n.kids[0].start, n.kids[n.n-1].end
	for i, k := range n.kids {
		n.gap = max(n.gap, k.gap)
		if i > 0 {
			n.gap = max(n.gap, k.start-n.kids[i-1].end)
		}
	}
}

// update refreshes a node and all above it that change.
func (m *Map[V]) update(n *node[V]) {
	for ; n != nil; n = n.parent {
		s, e, g := n.start, n.end, n.gap
		m.refresh(n)
		if n.parent != nil && s == n.start && e == n.end && g == n.gap {
			return
		}
	}
}
