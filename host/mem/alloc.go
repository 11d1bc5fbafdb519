package mem

import (
	"math/bits"
	"slices"

	"hornwork/linux"
)

// run is a span of wholly free chunks, in units of chunks.
type run struct{ first, n uint64 }

// Alloc hands out length bytes, contiguous in the file, with one reference to each page, zeroed unless kind has
// NoZero. length is rounded up to pages. From 2 MiB on the range starts at a multiple of 2 MiB.
// It fails with ENOMEM at the limit and when the host has no memory left.
func (f *File) Alloc(length uint64, kind Kind) (Range, linux.Errno) {
	return f.AllocNear(length, kind, ^uint64(0))
}

// AllocNear is Alloc that tries to start at offset near, so that neighbours in an address space can be mapped as one.
func (f *File) AllocNear(length uint64, kind Kind, near uint64) (Range, linux.Errno) {
	if length == 0 || length > f.size {
		return Range{}, linux.ENOMEM
	}
	pages := (length + PageSize - 1) >> pageShift
	f.mu.Lock()
	if used := f.usedPages(); used >= f.limitPages || pages > f.limitPages-used {
		f.mu.Unlock()
		return Range{}, linux.ENOMEM
	}
	f.allocs++
	if pages >= chunkPages {
		return f.allocLarge(pages, kind)
	}
	return f.allocSmall(int(pages), kind, near)
}

// allocSmall takes less than a chunk. It is entered with the lock held and leaves without.
func (f *File) allocSmall(pages int, kind Kind, near uint64) (Range, linux.Errno) {
	c, at := f.findNear(pages, near)
	if c == nil {
		c, at = f.findPartial(pages)
	}
	if c == nil {
		first, ok := f.takeChunks(1)
		if !ok {
			f.mu.Unlock()
			return Range{}, linux.ENOMEM
		}
		c, at = f.chunks[first], 0
	}
	was := c.cold
	dirty, cold := c.take(at, pages, kind)
	f.warm -= uint64(pages - cold.count())
	extra := f.widen(c, &was, &cold)
	f.used[kind&kindMask] += uint64(pages)
	f.rebin(c)
	f.mu.Unlock()

	r := Range{c.off + uint64(at)<<pageShift, uint64(pages) << pageShift}
	errno := f.commit(c.off, &cold)
	f.settle(c, &extra, errno == 0)
	if errno != 0 {
		f.putCold(r)
		return Range{}, errno
	}
	if kind&NoZero == 0 {
		f.clear(c.off, &dirty)
	}
	return r, 0
}

// findNear looks whether near is free for so many pages, all in one chunk.
func (f *File) findNear(pages int, near uint64) (*chunk, int) {
	i := near >> chunkShift
	at := int(near >> pageShift & (chunkPages - 1))
	if i >= uint64(len(f.chunks)) || at == 0 || at+pages > chunkPages {
		return nil, 0
	}
	if c := f.chunks[i]; c.bin >= 0 && c.free.inRange(at, pages) {
		return c, at
	}
	return nil, 0
}

// findPartial finds the tightest partly free chunk that holds so many pages in a row.
func (f *File) findPartial(pages int) (*chunk, int) {
	class := bits.Len(uint(pages))
	tries := 8 // chunks of the request's own class may or may not have room
	for b := class; b < binCount; b++ {
		for c := f.bins[b]; c != nil; c = c.next {
			if at, _ := c.free.find(pages); at >= 0 {
				return c, at
			}
			if tries--; tries == 0 {
				break
			}
		}
	}
	return nil, 0
}

// allocLarge takes whole chunks and the beginning of one more. Lock as allocSmall.
func (f *File) allocLarge(pages uint64, kind Kind) (Range, linux.Errno) {
	n := (pages + chunkPages - 1) / chunkPages
	first, ok := f.takeChunks(n)
	if !ok {
		f.mu.Unlock()
		return Range{}, linux.ENOMEM
	}
	r := Range{first << chunkShift, pages << pageShift}
	type work struct{ dirty, cold, extra bitmap }
	var todo [1]work
	list := todo[:0]
	for i := range n {
		c := f.chunks[first+i]
		k := min(pages-i*chunkPages, chunkPages)
		was := c.cold
		dirty, cold := c.take(0, int(k), kind)
		f.warm -= k - uint64(cold.count())
		extra := f.widen(c, &was, &cold)
		list = append(list, work{dirty, cold, extra})
		f.rebin(c)
	}
	last := f.chunks[first+n-1]
	f.used[kind&kindMask] += pages
	f.mu.Unlock()

	var errno linux.Errno
	for i := range list {
		w := &list[i]
		off := (first + uint64(i)) << chunkShift
		if errno == 0 {
			errno = f.commit(off, &w.cold)
		}
		f.settle(last, &w.extra, errno == 0) // only the last chunk is not taken as a whole
		if errno == 0 && kind&NoZero == 0 {
			f.clear(off, &w.dirty)
		}
	}
	if errno != 0 {
		f.putCold(r)
		return Range{}, errno
	}
	return r, 0
}

// takeChunks removes n consecutive chunks from the free ones, the lowest that fit, or from beyond the end.
func (f *File) takeChunks(n uint64) (first uint64, ok bool) {
	for i := range f.freeRuns {
		r := &f.freeRuns[i]
		if r.n < n {
			continue
		}
		first = r.first
		r.first += n
		if r.n -= n; r.n == 0 {
			f.freeRuns = slices.Delete(f.freeRuns, i, i+1)
		}
		return first, true
	}
	first = uint64(len(f.chunks))
	// A free run at the end can be a part of it.
	if k := len(f.freeRuns); k > 0 && f.freeRuns[k-1].first+f.freeRuns[k-1].n == first {
		first = f.freeRuns[k-1].first
		if first+n <= f.size>>chunkShift {
			f.freeRuns = f.freeRuns[:k-1]
		}
	}
	if n > f.size>>chunkShift-first {
		return 0, false
	}
	for uint64(len(f.chunks)) < first+n {
		f.chunks = append(f.chunks, newChunk(uint64(len(f.chunks))<<chunkShift))
	}
	return first, true
}

// freeChunk puts a wholly free chunk among the runs.
func (f *File) freeChunk(i uint64) {
	at, _ := slices.BinarySearchFunc(f.freeRuns, i, func(r run, i uint64) int {
		if r.first < i {
			return -1
		}
		return 1
	})
	before := at > 0 && f.freeRuns[at-1].first+f.freeRuns[at-1].n == i
	after := at < len(f.freeRuns) && f.freeRuns[at].first == i+1
	switch {
	case before && after:
		f.freeRuns[at-1].n += 1 + f.freeRuns[at].n
		f.freeRuns = slices.Delete(f.freeRuns, at, at+1)
	case before:
		f.freeRuns[at-1].n++
	case after:
		f.freeRuns[at].first--
		f.freeRuns[at].n++
	default:
		f.freeRuns = slices.Insert(f.freeRuns, at, run{i, 1})
	}
}

// rebin puts c on the list where it belongs now. Wholly free chunks must be handled by the caller.
func (f *File) rebin(c *chunk) {
	want := int8(-1)
	if c.inUse != 0 && !c.free.empty() {
		want = int8(bits.Len(uint(c.free.longest())))
	}
	if want == c.bin {
		return
	}
	f.unbin(c)
	if want < 0 {
		return
	}
	c.bin, c.prev, c.next = want, nil, f.bins[want]
	if c.next != nil {
		c.next.prev = c
	}
	f.bins[want] = c
}

func (f *File) unbin(c *chunk) {
	if c.bin < 0 {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		f.bins[c.bin] = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.bin, c.next, c.prev = -1, nil, nil
}

// each calls fn for the part of r in every chunk. The lock is held.
func (f *File) each(r Range, fn func(c *chunk, from, n int)) {
	if r.Off&(PageSize-1) != 0 || r.Len&(PageSize-1) != 0 ||
		r.Off > f.size || r.Len > f.size-r.Off || (r.End()+ChunkSize-1)>>chunkShift > uint64(len(f.chunks)) {
		panic("mem: bad range")
	}
	for off := r.Off; off < r.End(); {
		c := f.chunks[off>>chunkShift]
		end := min(c.off+ChunkSize, r.End())
		fn(c, int((off-c.off)>>pageShift), int((end-off)>>pageShift))
		off = end
	}
}

// Get takes another reference to each page of r, all of which have one.
func (f *File) Get(r Range) {
	f.mu.Lock()
	f.each(r, func(c *chunk, from, n int) { c.get(from, n) })
	f.mu.Unlock()
}

// Put drops a reference of each page of r. Pages without references must not be mapped anywhere.
func (f *File) Put(r Range) {
	f.mu.Lock()
	f.putLocked(r)
	trim := f.wantTrimLocked()
	f.mu.Unlock()
	if trim {
		f.trim(warmHigh / 2)
	}
}

// putCold takes back pages that could not be committed, or not all of them: nobody may touch them as they are.
func (f *File) putCold(r Range) {
	f.mu.Lock()
	f.each(r, func(c *chunk, from, n int) {
		f.putLocked(Range{c.off + uint64(from)<<pageShift, uint64(n) << pageShift})
		c.dirty.setRange(from, n, false)
		c.cold.setRange(from, n, true)
		f.warm -= uint64(n)
	})
	f.mu.Unlock()
}

func (f *File) putLocked(r Range) {
	f.each(r, func(c *chunk, from, n int) {
		was := c.inUse
		for k, n := range c.put(from, n) {
			f.used[k] -= n
		}
		if c.inUse == was {
			return
		}
		f.warm += uint64(was - c.inUse)
		f.rebin(c)
		if c.inUse == 0 {
			f.freeChunk(c.off >> chunkShift)
		}
	})
}

// Refs returns the number of references to the page at off.
func (f *File) Refs(off uint64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := off >> chunkShift
	if i >= uint64(len(f.chunks)) {
		return 0
	}
	return f.chunks[i].refs(int(off >> pageShift & (chunkPages - 1)))
}

// SoleRun returns how many pages from the beginning of r on have exactly one reference (sole), or more
// than one (not sole): the length of the first run that is alike, in bytes.
func (f *File) SoleRun(r Range) (length uint64, sole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stop := false
	f.each(r, func(c *chunk, from, n int) {
		if stop {
			return
		}
		if c.pages == nil {
			one := c.word&refMask == 1
			if length == 0 {
				sole = one
			}
			if one != sole {
				stop = true
				return
			}
			length += uint64(n) << pageShift
			return
		}
		for i := from; i < from+n; i++ {
			one := c.pages[i]&refMask == 1
			if length == 0 {
				sole = one
			}
			if one != sole {
				stop = true
				return
			}
			length += PageSize
		}
	})
	return length, sole
}
