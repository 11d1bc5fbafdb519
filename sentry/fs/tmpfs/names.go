package tmpfs

import "slices"

// Names are the entries of a directory in memory, with what each name stands for. Every entry has a position that
// never changes and is never used again, so that readers of the directory see neither gaps nor doubles while
// others add and remove names. The zero value is empty; positions begin at 2, after "." and "..".
type Names[V any] struct {
	m       map[string]*name[V]
	order   []*name[V] // by position, with removed ones between
	removed int        // of order
	next    int64
}

type name[V any] struct {
	text string
	v    V
	pos  int64
	gone bool
}

// Get returns what name stands for.
func (n *Names[V]) Get(text string) (v V, ok bool) {
	if e := n.m[text]; e != nil {
		return e.v, true
	}
	return v, false
}

// Len is the number of names.
func (n *Names[V]) Len() int { return len(n.m) }

// Add enters a name that is not there.
func (n *Names[V]) Add(text string, v V) {
	if n.m == nil {
		n.m = map[string]*name[V]{}
	}
	e := &name[V]{text: text, v: v, pos: n.next + 2}
	n.next++
	n.m[text] = e
	n.order = append(n.order, e)
}

// Remove takes a name out; false if it is not there.
func (n *Names[V]) Remove(text string) bool {
	e := n.m[text]
	if e == nil {
		return false
	}
	delete(n.m, text)
	var zero V
	e.gone, e.v = true, zero
	n.removed++
	if n.removed > 32 && n.removed > len(n.order)/2 {
		n.order = slices.DeleteFunc(n.order, func(e *name[V]) bool { return e.gone })
		n.removed = 0
	}
	return true
}

// From calls f for the names from position pos on, in order, until it returns false.
func (n *Names[V]) From(pos int64, f func(text string, v V, pos int64) bool) {
	k, _ := slices.BinarySearchFunc(n.order, pos, func(e *name[V], pos int64) int {
		if e.pos < pos {
			return -1
		}
		return 1
	})
	for _, e := range n.order[k:] {
		if !e.gone && !f(e.text, e.v, e.pos) {
			return
		}
	}
}
