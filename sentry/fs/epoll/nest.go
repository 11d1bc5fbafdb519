package epoll

import "hornwork/linux"

// Epolls that watch epolls form a graph. It has no cycles and no long chains, and not many ways by which one event
// travels upwards, or else a guest could make a single wake-up cost without end. The caller of everything here holds
// nesting, under which no epoll starts to watch another.

// pathLimits is how many chains of so many epolls may stand above an epoll, as Linux has it for the files in it.
var pathLimits = [maxNests + 1]int{1000, 500, 100, 50, 10}

// checkNesting says whether ep may watch inner: ELOOP for a cycle or too long a chain, EINVAL for too many chains.
func (ep *Epoll) checkNesting(inner *Epoll) linux.Errno {
	if inner == ep {
		return linux.ELOOP // the same epoll by another description
	}
	below := map[*Epoll]int{}
	down := inner.depthBelow(below)
	if _, cycle := below[ep]; cycle || ep.depthAbove(map[*Epoll]int{})+1+down > maxNests {
		return linux.ELOOP
	}
	for e := range below {
		c := pathCounter{from: inner, to: ep}
		if !c.climb(e, 0) {
			return linux.EINVAL
		}
	}
	return 0
}

// pathCounter counts the chains above an epoll as they would be if to watched from.
type pathCounter struct {
	from, to *Epoll
	counts   [maxNests + 1]int
}

// climb goes on from e, which stands depth epolls above the start; false: there are too many chains.
func (c *pathCounter) climb(e *Epoll, depth int) bool {
	if depth > maxNests {
		return false
	}
	top := true
	for _, up := range e.parents() {
		top = false
		if !c.climb(up, depth+1) {
			return false
		}
	}
	if e == c.from {
		return c.climb(c.to, depth+1)
	}
	if top && depth > 0 {
		c.counts[depth]++
		return c.counts[depth] <= pathLimits[depth]
	}
	return true
}

// parents are the epolls that watch ep; one that does so through two descriptors counts twice.
func (ep *Epoll) parents() (out []*Epoll) {
	for it := range ep.watchers {
		if it.alive() {
			out = append(out, it.ep)
		} else {
			delete(ep.watchers, it)
		}
	}
	return out
}

func (it *item) alive() bool {
	it.ep.mu.Lock()
	defer it.ep.mu.Unlock()
	return it.ep.items[it.key] == it
}

// depthAbove is the length of the longest chain of epolls above ep; seen has the answers so far.
func (ep *Epoll) depthAbove(seen map[*Epoll]int) int {
	if n, ok := seen[ep]; ok {
		return n
	}
	longest := 0
	for _, up := range ep.parents() {
		longest = max(longest, 1+up.depthAbove(seen))
	}
	seen[ep] = longest
	return longest
}

// depthBelow is the length of the longest chain of epolls below ep; seen gets all of them, and ep.
func (ep *Epoll) depthBelow(seen map[*Epoll]int) int {
	if n, ok := seen[ep]; ok {
		return n
	}
	longest := 0
	for _, e := range ep.watched() {
		longest = max(longest, 1+e.depthBelow(seen))
	}
	seen[ep] = longest
	return longest
}

// watched returns the epolls among the items.
func (ep *Epoll) watched() (out []*Epoll) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for k := range ep.items {
		if e, ok := k.file.Ops.(*Epoll); ok {
			out = append(out, e)
		}
	}
	return out
}
