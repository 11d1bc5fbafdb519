package tmpfs

import (
	"maps"
	"slices"

	"hornwork/host/mem"
	"hornwork/linux"
)

// slot is where one page of a file is: its offset in the memory file with bit 0 set, 0 for a hole.
type slot uint64

func slotOf(off uint64) slot { return slot(off | 1) }

func (s slot) present() bool { return s != 0 }
func (s slot) off() uint64   { return uint64(s) &^ 1 }

const chunkPages = 512

// pageTable maps page numbers of a file to slots. The first 2 MiB lie in a slice that grows with the file, so that
// a small file costs a few words; the rest in blocks of 512 slots, so that a sparse file costs what it holds.
type pageTable struct {
	low    []slot // pages [0, chunkPages)
	high   map[uint64]*[chunkPages]slot
	last   *[chunkPages]slot // the block that was used last
	lastNr uint64
	count  int64 // present pages
}

func (t *pageTable) block(nr uint64) *[chunkPages]slot {
	if t.last != nil && t.lastNr == nr {
		return t.last
	}
	return t.high[nr]
}

// get returns the slot of a page.
func (t *pageTable) get(page uint64) slot {
	if page < chunkPages {
		if page < uint64(len(t.low)) {
			return t.low[page]
		}
		return 0
	}
	if b := t.block(page / chunkPages); b != nil {
		return b[page%chunkPages]
	}
	return 0
}

// set fills a hole, or makes one with slot 0.
func (t *pageTable) set(page uint64, s slot) {
	old := t.get(page)
	if old == s {
		return
	}
	if old == 0 {
		t.count++
	} else if s == 0 {
		t.count--
	}
	if page < chunkPages {
		for uint64(len(t.low)) <= page {
			t.low = append(t.low, 0)
		}
		t.low[page] = s
		return
	}
	nr := page / chunkPages
	b := t.block(nr)
	if b == nil {
		b = new([chunkPages]slot)
		if t.high == nil {
			t.high = map[uint64]*[chunkPages]slot{}
		}
		t.high[nr] = b
	}
	t.last, t.lastNr = b, nr
	b[page%chunkPages] = s
}

// run returns the memory of the pages from page on that lie in a row, at most n of them.
func (t *pageTable) run(page, n uint64) (r mem.Range, ok bool) {
	first := t.get(page)
	if !first.present() {
		return mem.Range{}, false
	}
	k := uint64(1)
	for k < n && t.get(page+k) == slotOf(first.off()+k*linux.PageSize) {
		k++
	}
	return mem.Range{Off: first.off(), Len: k * linux.PageSize}, true
}

// hole returns how many pages from page on are missing, at most n.
func (t *pageTable) hole(page, n uint64) uint64 {
	k := uint64(0)
	for k < n && !t.get(page+k).present() {
		k++
	}
	return k
}

// fill enters the pages of r at page.
func (t *pageTable) fill(page uint64, r mem.Range) {
	for off := uint64(0); off < r.Len; off += linux.PageSize {
		t.set(page, slotOf(r.Off+off))
		page++
	}
}

// take removes the pages [from, to) and returns their memory as ranges.
func (t *pageTable) take(from, to uint64) (out []mem.Range) {
	t.each(from, to, func(page uint64, s slot) bool {
		if n := len(out); n > 0 && out[n-1].End() == s.off() {
			out[n-1].Len += linux.PageSize
		} else {
			out = append(out, mem.Range{Off: s.off(), Len: linux.PageSize})
		}
		t.set(page, 0)
		return true
	})
	t.compact(from, to)
	return out
}

// compact drops the blocks of [from, to) that hold nothing.
func (t *pageTable) compact(from, to uint64) {
	if t.count == 0 {
		*t = pageTable{}
		return
	}
	if from < uint64(len(t.low)) && to >= uint64(len(t.low)) {
		t.low = slices.Clip(t.low[:from])
	}
	t.last = nil
	for nr, b := range t.high {
		if nr*chunkPages >= from && (nr+1)*chunkPages <= to && *b == [chunkPages]slot{} {
			delete(t.high, nr)
		}
	}
}

// each calls f for the present pages of [from, to) in order.
func (t *pageTable) each(from, to uint64, f func(page uint64, s slot) bool) {
	for p := from; p < min(to, uint64(len(t.low))); p++ {
		if s := t.low[p]; s.present() && !f(p, s) {
			return
		}
	}
	if len(t.high) == 0 || to <= chunkPages {
		return
	}
	for _, nr := range slices.Sorted(maps.Keys(t.high)) {
		if (nr+1)*chunkPages <= from || nr*chunkPages >= to {
			continue
		}
		b := t.high[nr]
		for k, s := range b {
			p := nr*chunkPages + uint64(k)
			if s.present() && p >= from && p < to && !f(p, s) {
				return
			}
		}
	}
}

// nextPage returns the first page at or after from that is present, or missing.
func (t *pageTable) nextPage(from uint64, present bool) (page uint64, ok bool) {
	if present {
		t.each(from, ^uint64(0), func(p uint64, _ slot) bool {
			page, ok = p, true
			return false
		})
		return page, ok
	}
	for p := from; ; p++ {
		if !t.get(p).present() {
			return p, true
		}
	}
}
