package tmpfs

import (
	"slices"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/vfs"
)

// mapping is one use of the file's bytes by an address space.
type mapping struct {
	m           mm.Mapping
	off, length uint64
}

// holeAheadPages is how many missing pages a read fault fills at once: what mm maps around a fault.
const holeAheadPages = 16

// Backing implements mm.MappedFile. Holes are filled: a page that is mapped must be the page that a later write
// goes to.
func (r *regular) Backing(off, length uint64, write bool) (mm.Backing, linux.Errno) {
	size := (uint64(r.attr.Size.Load()) + linux.PageMask) &^ uint64(linux.PageMask)
	if off >= size {
		return mm.Backing{}, linux.ENXIO
	}
	page := off / linux.PageSize
	n := max(1, min(length, size-off)/linux.PageSize)
	for {
		r.mu.RLock()
		rg, ok := r.pages.run(page, min(n, maxRunPages))
		sealed := r.seals&linux.F_SEAL_WRITE != 0 // perhaps since mmap looked
		hole := uint64(0)
		if ok {
			r.fs.mem.Get(rg) // under mu, so that truncation cannot free it first
		} else {
			hole = r.pages.hole(page, min(n, maxRunPages))
		}
		r.mu.RUnlock()
		if ok {
			return mm.Backing{FD: r.fs.mem.FD(), Mem: true, Offset: rg.Off, Len: rg.Len, Write: !sealed}, 0
		}
		if !write {
			hole = min(hole, holeAheadPages)
		}
		if hole == 0 {
			continue
		}
		if errno := r.fillHole(page, hole); errno != 0 {
			return mm.Backing{}, errno
		}
	}
}

// fillHole puts zeroed pages where there are still none.
func (r *regular) fillHole(page, n uint64) linux.Errno {
	rg, errno := r.alloc(page, n, 0)
	if errno != 0 {
		return errno
	}
	n = rg.Len / linux.PageSize
	var extra []mem.Range
	r.mu.Lock()
	// The file may have shrunk meanwhile, and others may have filled the hole.
	end := (uint64(r.attr.Size.Load()) + linux.PageMask) / linux.PageSize
	for k := range n {
		off := rg.Off + k*linux.PageSize
		if page+k >= end || r.pages.get(page+k).present() {
			extra = append(extra, mem.Range{Off: off, Len: linux.PageSize})
			continue
		}
		r.pages.set(page+k, slotOf(off))
	}
	r.countBlocks()
	r.mu.Unlock()
	r.free(extra)
	if page >= end {
		return linux.ENXIO
	}
	return 0
}

// AddMapping implements mm.MappedFile.
func (r *regular) AddMapping(m mm.Mapping, off, length uint64) {
	r.mu.Lock()
	r.maps = append(r.maps, mapping{m, off, length})
	r.mu.Unlock()
}

// RemoveMapping implements mm.MappedFile.
func (r *regular) RemoveMapping(m mm.Mapping, off, length uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, o := range r.maps {
		if o.m == m && o.off == off && o.length == length {
			last := len(r.maps) - 1
			r.maps[k] = r.maps[last]
			r.maps[last] = mapping{}
			r.maps = r.maps[:last]
			return
		}
	}
}

// invalidate tells the mappings that [from, to) has lost its pages.
func (r *regular) invalidate(from, to uint64) {
	r.mu.RLock()
	var told []mapping
	for _, m := range r.maps {
		if m.off < to && from < m.off+m.length {
			told = append(told, m)
		}
	}
	r.mu.RUnlock()
	for _, m := range told {
		lo := max(from, m.off)
		m.m.Invalidate(lo, min(to, m.off+m.length)-lo)
	}
}

// truncated tells the mappings that there are no pages from off on.
func (r *regular) truncated(off uint64) {
	r.mu.RLock()
	var told []mapping
	for _, m := range r.maps {
		if off < m.off+m.length {
			told = append(told, m)
		}
	}
	r.mu.RUnlock()
	for _, m := range told {
		m.m.Truncated(off)
	}
}

// writableMapped says whether a mapping may write to the file: F_SEAL_WRITE is refused while there is one.
func (r *regular) writableMapped() bool {
	return slices.ContainsFunc(r.maps, func(m mapping) bool { return m.m.SharedWritable() })
}

// MapIdentity implements mm.MappedFile.
func (r *regular) MapIdentity() (dev, ino uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.ino != 0 {
		return r.dev, r.ino
	}
	return r.SB.Dev, r.Ino
}

// ReadAt implements mm.MappedFile.
func (r *regular) ReadAt(b []byte, off uint64) (int, linux.Errno) {
	if off >= maxOffset {
		return 0, 0
	}
	done := 0
	for size := uint64(r.attr.Size.Load()); done < len(b) && off < size; {
		n := int(min(uint64(len(b)-done), size-off))
		// mu is held while copying: the target is the sentry's own, and io is not taken here.
		r.mu.RLock()
		in := off % linux.PageSize
		rg, ok := r.pages.run(off/linux.PageSize, min((in+uint64(n)+linux.PageMask)/linux.PageSize, maxRunPages))
		if ok {
			n = copy(b[done:done+n], r.fs.mem.Slice(rg)[in:])
		} else {
			n = min(n, int(linux.PageSize-in))
			clear(b[done : done+n])
		}
		r.mu.RUnlock()
		done += n
		off += uint64(n)
	}
	return done, 0
}

// SyncRange implements mm.Syncer: there is nothing behind the pages.
func (r *regular) SyncRange(uint64, uint64) linux.Errno { return 0 }

// SetMapIdentity makes mappings of a regular file of tmpfs show other numbers than its own: those of the overlay
// inode that it is the data of.
func SetMapIdentity(i *vfs.Inode, dev, ino uint64) {
	if r, ok := i.Ops.(*regular); ok {
		r.mu.Lock()
		r.dev, r.ino = dev, ino
		r.mu.Unlock()
	}
}

// MapIdentityOf returns what mappings of i show.
func MapIdentityOf(i *vfs.Inode) (dev, ino uint64) {
	if r, ok := i.Ops.(*regular); ok {
		return r.MapIdentity()
	}
	return i.SB.Dev, i.Ino
}
