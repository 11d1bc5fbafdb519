package mem

import "math/bits"

// bitmap has one bit for each page of a chunk.
type bitmap [chunkPages / 64]uint64

var allPages = func() (b bitmap) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	return
}()

func (b *bitmap) empty() bool {
	return b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7] == 0
}

func (b *bitmap) count() (n int) {
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// setRange sets or clears the bits [from, from+n).
func (b *bitmap) setRange(from, n int, on bool) {
	for n > 0 {
		w, o := from>>6, from&63
		k := min(64-o, n)
		m := (^uint64(0) >> (64 - k)) << o
		if on {
			b[w] |= m
		} else {
			b[w] &^= m
		}
		from += k
		n -= k
	}
}

// inRange says whether all bits [from, from+n) are set.
func (b *bitmap) inRange(from, n int) bool {
	for n > 0 {
		w, o := from>>6, from&63
		k := min(64-o, n)
		m := (^uint64(0) >> (64 - k)) << o
		if b[w]&m != m {
			return false
		}
		from += k
		n -= k
	}
	return true
}

// and returns the bits of b inside [from, from+n).
func (b *bitmap) and(from, n int) (out bitmap) {
	out.setRange(from, n, true)
	for i := range out {
		out[i] &= b[i]
	}
	return out
}

// next finds the first run of set bits at or after from; n is 0 when there is none.
func (b *bitmap) next(from int) (start, n int) {
	for from < chunkPages {
		w := b[from>>6] >> (from & 63)
		if w != 0 {
			from += bits.TrailingZeros64(w)
			break
		}
		from = (from | 63) + 1
	}
	if from >= chunkPages {
		return chunkPages, 0
	}
	start = from
	for from < chunkPages {
		w := ^(b[from>>6] >> (from & 63)) // zeros shifted in from above look like the end of the run
		k := bits.TrailingZeros64(w)
		if room := 64 - from&63; k < room {
			return start, from + k - start
		}
		from = (from | 63) + 1
	}
	return start, chunkPages - start
}

// find returns the first run of at least n set bits, or -1, and the longest run that it met.
func (b *bitmap) find(n int) (at, longest int) {
	for p := 0; ; {
		s, l := b.next(p)
		if l == 0 {
			return -1, longest
		}
		if l >= n {
			return s, l
		}
		longest = max(longest, l)
		p = s + l
	}
}

func (b *bitmap) longest() int {
	_, l := b.find(chunkPages + 1)
	return l
}

// chunk is the state of 2 MiB of the file. A page is in use (its word is not 0), or in free; dirty and cold say
// more about free pages: dirty ones hold old bytes, cold ones occupy nothing at the host. They keep their
// meaning for wholly free chunks, which are in File.freeRuns instead of a bin.
type chunk struct {
	off   uint64
	pages *[chunkPages]uint32 // word of each page: references, and the Kind in the two high bits
	word  uint32              // that of all pages, where pages is nil
	inUse int                 // pages with references

	free, dirty, cold bitmap

	bin        int8 // the list it is on, -1 for none
	next, prev *chunk
}

const (
	refMask   = 1<<30 - 1
	kindShift = 30
	binCount  = 10 // classes 1..9 by bits.Len of the longest free run, below a whole chunk
)

func newChunk(off uint64) *chunk {
	return &chunk{off: off, free: allPages, cold: allPages, bin: -1}
}

// spread gives every page its own word.
func (c *chunk) spread() *[chunkPages]uint32 {
	if c.pages == nil {
		c.pages = new([chunkPages]uint32)
		if c.word != 0 {
			for i := range c.pages {
				c.pages[i] = c.word
			}
		}
	}
	return c.pages
}

func (c *chunk) refs(page int) int64 {
	w := c.word
	if c.pages != nil {
		w = c.pages[page]
	}
	return int64(w & refMask)
}

// take marks free pages as used once.
func (c *chunk) take(from, n int, k Kind) (dirty, cold bitmap) {
	w := uint32(k&kindMask)<<kindShift | 1
	if n == chunkPages {
		c.pages, c.word = nil, w
		dirty, cold = c.dirty, c.cold
		c.free, c.dirty, c.cold = bitmap{}, bitmap{}, bitmap{}
		c.inUse = chunkPages
		return dirty, cold
	}
	p := c.spread()
	for i := from; i < from+n; i++ {
		p[i] = w
	}
	dirty, cold = c.dirty.and(from, n), c.cold.and(from, n)
	c.free.setRange(from, n, false)
	c.dirty.setRange(from, n, false)
	c.cold.setRange(from, n, false)
	c.inUse += n
	return dirty, cold
}

// get adds a reference to each page.
func (c *chunk) get(from, n int) {
	if n == chunkPages && c.pages == nil {
		c.word = incWord(c.word)
		return
	}
	p := c.spread()
	for i := from; i < from+n; i++ {
		p[i] = incWord(p[i])
	}
}

func incWord(w uint32) uint32 {
	if w&refMask == 0 || w&refMask == refMask {
		panic("mem: Get of a free page")
	}
	return w + 1
}

// put drops a reference of each page and returns how many pages of each kind lost their last.
func (c *chunk) put(from, n int) (freed [4]uint64) {
	if n == chunkPages && c.pages == nil {
		k := c.word >> kindShift
		if c.word = decWord(c.word); c.word&refMask == 0 {
			c.word = 0
			c.free, c.dirty = allPages, allPages
			c.inUse = 0
			freed[k] = chunkPages
		}
		return freed
	}
	p := c.spread()
	for i := from; i < from+n; i++ {
		w := decWord(p[i])
		if w&refMask == 0 {
			freed[w>>kindShift]++
			w = 0
			m := uint64(1) << (i & 63)
			c.free[i>>6] |= m
			c.dirty[i>>6] |= m
			c.inUse--
		}
		p[i] = w
	}
	if c.inUse == 0 {
		c.word = 0 // c.pages is all zero now, and stays for the next small allocation
	}
	return freed
}

func decWord(w uint32) uint32 {
	if w&refMask == 0 {
		panic("mem: Put of a free page")
	}
	return w - 1
}
