package interval

// FindGapDown returns the highest address a, a multiple of align (a power of two), such that
// [a, a+length) is free and inside [lo, hi).
func (m *Map[V]) FindGapDown(lo, hi, length, align uint64) (uint64, bool) {
	if hi <= lo || length == 0 || length > hi-lo {
		return 0, false
	}
	if it := m.last(hi); it.Ok() {
		// The gap above the last entry that starts below hi.
		if a, ok := m.fitDown(it, it.Next(), lo, hi, length, align); ok {
			return a, true
		}
		for {
			n := m.gapBefore(it, length)
			if !n.Ok() {
				break
			}
			// n is an entry whose gap below is at least length long.
			p := n.Prev()
			if !p.Ok() {
				it = n
				break
			}
			if a, ok := m.fitDown(p, n, lo, hi, length, align); ok {
				return a, true
			}
			if p.End() <= lo {
				return 0, false
			}
			it = p
		}
	}
	// Below the first entry.
	return m.fitDown(Iter[V]{}, m.First(), lo, hi, length, align)
}

// last is the last entry that starts below x.
func (m *Map[V]) last(x uint64) Iter[V] {
	if m.root == nil || m.root.start >= x {
		return Iter[V]{}
	}
	it := m.Seek(x - 1)
	if !it.Ok() {
		return m.Last()
	}
	if it.Start() >= x {
		return it.Prev()
	}
	return it
}

// fitDown places length bytes at the top of the gap between two neighbours; either may be missing.
func (m *Map[V]) fitDown(below, above Iter[V], lo, hi, length, align uint64) (uint64, bool) {
	if below.Ok() {
		lo = max(lo, below.End())
	}
	if above.Ok() {
		g := m.guard(above.Val())
		s := above.Start()
		if s < g {
			return 0, false
		}
		hi = min(hi, s-g)
	}
	if hi < lo || hi-lo < length {
		return 0, false
	}
	if a := (hi - length) &^ (align - 1); a >= lo {
		return a, true
	}
	return 0, false
}

// fitUp is fitDown at the bottom of the gap.
func (m *Map[V]) fitUp(below, above Iter[V], lo, hi, length, align uint64) (uint64, bool) {
	if below.Ok() {
		lo = max(lo, below.End())
	}
	if above.Ok() {
		g := m.guard(above.Val())
		s := above.Start()
		if s < g {
			return 0, false
		}
		hi = min(hi, s-g)
	}
	a := (lo + align - 1) &^ (align - 1)
	return a, a >= lo && a <= hi && hi-a >= length
}

// gapBefore returns the last entry at or before it whose gap below is at least length long; the very first entry
// counts as having one.
func (m *Map[V]) gapBefore(it Iter[V], length uint64) Iter[V] {
	leaf := it.leaf
	for i := it.i; i > 0; i-- {
		if leaf.ents[i].start-leaf.ents[i-1].end >= length {
			return Iter[V]{leaf, i}
		}
	}
	// Between this leaf and the one before, or inside an earlier one: climb until a left sibling has room.
	for n := leaf; ; n = n.parent {
		p := n.parent
		if p == nil {
			return m.First()
		}
		for i := n.at; i > 0; i-- {
			if p.kids[i].start-p.kids[i-1].end >= length {
				return firstOf(p.kids[i])
			}
			if p.kids[i-1].gap >= length {
				return lastGap(p.kids[i-1], length)
			}
		}
	}
}

func firstOf[V any](n *node[V]) Iter[V] {
	for n.kids != nil {
		n = n.kids[0]
	}
	return Iter[V]{n, 0}
}

// lastGap descends to the last entry below n that has a gap of length before it; n.gap says there is one.
func lastGap[V any](n *node[V], length uint64) Iter[V] {
	for n.kids != nil {
		for i := n.n - 1; ; i-- {
			if n.kids[i].gap >= length {
				n = n.kids[i]
				break
			}
			if n.kids[i].start-n.kids[i-1].end >= length {
				return firstOf(n.kids[i])
			}
		}
	}
	for i := n.n - 1; ; i-- {
		if n.ents[i].start-n.ents[i-1].end >= length {
			return Iter[V]{n, i}
		}
	}
}

// FindGapUp returns the lowest address a, a multiple of align, such that [a, a+length) is free and inside
// [lo, hi).
func (m *Map[V]) FindGapUp(lo, hi, length, align uint64) (uint64, bool) {
	if hi <= lo || length == 0 || length > hi-lo {
		return 0, false
	}
	it := m.Seek(lo)
	var below Iter[V]
	if it.Ok() && it.Start() <= lo {
		below, it = it, it.Next()
	}
	for {
		if a, ok := m.fitUp(below, it, lo, hi, length, align); ok {
			return a, true
		}
		if !it.Ok() || it.End() >= hi {
			return 0, false
		}
		below = it
		if it = m.gapAfter(it, length); it.Ok() {
			below = it.Prev()
		} else {
			below = m.Last()
		}
	}
}

// gapAfter returns the first entry after it whose gap below is at least length long.
func (m *Map[V]) gapAfter(it Iter[V], length uint64) Iter[V] {
	leaf := it.leaf
	for i := it.i + 1; i < leaf.n; i++ {
		if leaf.ents[i].start-leaf.ents[i-1].end >= length {
			return Iter[V]{leaf, i}
		}
	}
	for n := leaf; n.parent != nil; n = n.parent {
		p := n.parent
		for i := n.at + 1; i < p.n; i++ {
			if p.kids[i].start-p.kids[i-1].end >= length {
				return firstOf(p.kids[i])
			}
			if p.kids[i].gap >= length {
				return firstGap(p.kids[i], length)
			}
		}
	}
	return Iter[V]{}
}

func firstGap[V any](n *node[V], length uint64) Iter[V] {
	for n.kids != nil {
		for i := 0; ; i++ {
			if i > 0 && n.kids[i].start-n.kids[i-1].end >= length {
				return firstOf(n.kids[i])
			}
			if n.kids[i].gap >= length {
				n = n.kids[i]
				break
			}
		}
	}
	for i := 1; ; i++ {
		if n.ents[i].start-n.ents[i-1].end >= length {
			return Iter[V]{n, i}
		}
	}
}
