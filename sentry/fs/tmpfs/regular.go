package tmpfs

import (
	"hornwork/host/mem"
	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// regular is a regular file, and the operations of all its open descriptions.
type regular struct {
	node
	vfs.NoDir
	vfs.NoLink
	xattrOps
	vfs.DefaultFile

	// io orders users of the data: readers share it, writers and whoever takes pages away have it alone. It is
	// held while data is copied to and from guests, so faults never take it.
	io rank.RWMutex[rank.Inode]

	mu    rank.RWMutex[rank.FileData] // guards the fields below
	pages pageTable
	seals uint32
	maps  []mapping
	dev   uint64 // what mappings show instead of the inode's own numbers, if not 0: overlay's
	ino   uint64
}

var zeros [64 << 10]byte

// Most that is allocated and copied at a time.
const maxRunPages = 512

// Open implements vfs.InodeOps.
func (r *regular) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return r, 0
}

// Seekable implements vfs.FileOps.
func (r *regular) Seekable() bool { return true }

// Readiness implements wait.Waitable: a regular file is always ready.
func (r *regular) Readiness(mask wait.Events) wait.Events {
	return mask & (wait.Readable | wait.Writable)
}

// Sync implements vfs.FileOps.
func (r *regular) Sync(*vfs.Caller, *vfs.File, bool) linux.Errno { return 0 }

// run is the memory of a present run of pages, for at most n bytes from off on. Pages stay while io is held.
func (r *regular) run(off uint64, n int) ([]byte, bool) {
	page, in := off/linux.PageSize, off%linux.PageSize
	r.mu.RLock()
	rg, ok := r.pages.run(page, min((in+uint64(n)+linux.PageMask)/linux.PageSize, maxRunPages))
	r.mu.RUnlock()
	if !ok {
		return nil, false
	}
	b := r.fs.mem.Slice(rg)[in:]
	return b[:min(n, len(b))], true
}

// holeLen is how many of the n bytes from off on are in a hole.
func (r *regular) holeLen(off uint64, n int) int {
	page, in := off/linux.PageSize, off%linux.PageSize
	r.mu.RLock()
	k := r.pages.hole(page, min((in+uint64(n)+linux.PageMask)/linux.PageSize, maxRunPages))
	r.mu.RUnlock()
	return min(n, int(k*linux.PageSize-in))
}

// Read implements vfs.FileOps.
func (r *regular) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, off int64) (int, linux.Errno) {
	r.io.RLock()
	defer r.io.RUnlock()
	left := min(int64(dst.Len()), r.attr.Size.Load()-off)
	done := 0
	for left > 0 {
		b, ok := r.run(uint64(off), int(left))
		if !ok {
			b = zeros[:min(r.holeLen(uint64(off), int(left)), len(zeros))]
			if len(b) == 0 {
				continue // a fault filled it just now
			}
		}
		n, errno := dst.CopyOut(b)
		done += n
		off += int64(n)
		left -= int64(n)
		if errno != 0 || n == 0 {
			if done > 0 {
				return done, 0
			}
			return 0, errno
		}
	}
	return done, 0
}

// Write implements vfs.FileOps.
func (r *regular) Write(_ *vfs.Caller, f *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	r.io.Lock()
	defer r.io.Unlock()
	size := r.attr.Size.Load()
	if f.Flags()&linux.O_APPEND != 0 {
		off = size
	}
	n := src.Len()
	if n == 0 {
		return 0, off, 0
	}
	if errno := r.sealed(size, off+int64(n)); errno != 0 {
		return 0, off, errno
	}
	done, errno := r.write(src, uint64(off), n)
	if done == 0 {
		return 0, off, errno
	}
	end := off + int64(done)
	if end > size {
		r.attr.Size.Store(end)
	}
	r.attr.Touch()
	return done, end, 0
}

// sealed says whether the seals forbid a write that ends at end.
func (r *regular) sealed(size, end int64) linux.Errno {
	if r.seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0 || r.seals&linux.F_SEAL_GROW != 0 && end > size {
		return linux.EPERM
	}
	return 0
}

// write stores n bytes at off. The caller holds io.
func (r *regular) write(src *usermem.Seq, off uint64, n int) (done int, errno linux.Errno) {
	for done < n && errno == 0 {
		var k int
		if b, ok := r.run(off, n-done); ok {
			k, errno = src.CopyIn(b)
			if k < len(b) && errno == 0 {
				errno = linux.EFAULT
			}
		} else {
			hole := r.holeLen(off, n-done)
			if hole == 0 {
				continue // a fault filled it just now
			}
			k, errno = r.writeHole(src, off, hole)
		}
		done += k
		off += uint64(k)
	}
	return done, errno
}

// writeHole stores n bytes at off, where there are no pages yet.
func (r *regular) writeHole(src *usermem.Seq, off uint64, n int) (int, linux.Errno) {
	page, in := off/linux.PageSize, off%linux.PageSize
	want := (in + uint64(n) + linux.PageMask) / linux.PageSize
	rg, errno := r.alloc(page, want, mem.NoZero)
	if errno != 0 {
		return 0, errno
	}
	b := r.fs.mem.Slice(rg)
	n = min(n, len(b)-int(in))
	clear(b[:in])
	k, errno := src.CopyIn(b[in : int(in)+n])
	if k < n && errno == 0 {
		errno = linux.EFAULT
	}
	used := (in + uint64(k) + linux.PageMask) / linux.PageSize * linux.PageSize
	if k == 0 {
		used = 0
	}
	clear(b[min(int(in)+k, int(used)):used])
	if used < rg.Len {
		r.free([]mem.Range{{Off: rg.Off + used, Len: rg.Len - used}})
		rg.Len = used
	}
	r.install(page, rg)
	return k, errno
}

// alloc gets memory for up to n pages that will be at page, charged to the filesystem.
func (r *regular) alloc(page, n uint64, kind mem.Kind) (mem.Range, linux.Errno) {
	near := ^uint64(0)
	if page > 0 {
		r.mu.RLock()
		if s := r.pages.get(page - 1); s.present() {
			near = s.off() + linux.PageSize
		}
		r.mu.RUnlock()
	}
	for n = min(n, maxRunPages); ; n /= 2 {
		if r.fs.chargePages(int64(n)) {
			rg, errno := r.fs.mem.AllocNear(n*linux.PageSize, mem.Shmem|kind, near)
			if errno == 0 {
				return rg, 0
			}
			r.fs.pages.Add(-int64(n))
		}
		if n <= 1 {
			return mem.Range{}, linux.ENOSPC
		}
	}
}

// install enters new pages. Where a fault has put a page meanwhile, the data goes there.
func (r *regular) install(page uint64, rg mem.Range) {
	if rg.Len == 0 {
		return
	}
	n := rg.Len / linux.PageSize
	r.mu.Lock()
	if r.pages.hole(page, n) == n {
		r.pages.fill(page, rg)
		r.countBlocks()
		r.mu.Unlock()
		return
	}
	var extra []mem.Range
	for k := range n {
		one := mem.Range{Off: rg.Off + k*linux.PageSize, Len: linux.PageSize}
		if s := r.pages.get(page + k); s.present() {
			copy(r.fs.mem.Slice(mem.Range{Off: s.off(), Len: linux.PageSize}), r.fs.mem.Slice(one))
			extra = append(extra, one)
		} else {
			r.pages.set(page+k, slotOf(one.Off))
		}
	}
	r.countBlocks()
	r.mu.Unlock()
	r.free(extra)
}

func (r *regular) countBlocks() { r.attr.Blocks.Store(r.pages.count * (linux.PageSize / 512)) }

// free gives memory back, also to the quota.
func (r *regular) free(list []mem.Range) {
	for _, rg := range list {
		r.fs.mem.Put(rg)
		r.fs.pages.Add(-int64(rg.Len / linux.PageSize))
	}
}

// takePages makes [from, to), whole pages, a hole. The caller holds io alone, and calls invalidate without it:
// an address space that drops a mapping may let go of files.
func (r *regular) takePages(from, to uint64) {
	r.mu.Lock()
	list := r.pages.take(from/linux.PageSize, to/linux.PageSize)
	r.countBlocks()
	r.mu.Unlock()
	r.free(list)
}

// zero clears the bytes [from, to), which lie in one page.
func (r *regular) zero(from, to uint64) {
	if from >= to {
		return
	}
	if b, ok := r.run(from, int(to-from)); ok {
		clear(b)
	}
}

// zeroRange clears [from, to): whole pages become holes.
func (r *regular) zeroRange(from, to uint64) {
	first, last := (from+linux.PageMask)&^uint64(linux.PageMask), to&^uint64(linux.PageMask)
	if first > last {
		r.zero(from, to)
		return
	}
	r.zero(from, first)
	r.zero(last, to)
	if first < last {
		r.takePages(first, last)
	}
}

// freeAll gives up all data.
func (r *regular) freeAll() {
	r.io.Lock()
	defer r.io.Unlock()
	r.takePages(0, maxOffset)
}

// maxOffset is the first page boundary that no file reaches.
const maxOffset = 1 << 63

// Forget implements vfs.InodeOps.
func (r *regular) Forget(i *vfs.Inode, unlinked bool) {
	if unlinked {
		r.freeAll()
	}
	r.node.Forget(i, unlinked)
}

// SetAttr implements vfs.InodeOps.
func (r *regular) SetAttr(_ *vfs.Caller, _ *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	if s.Mask&linux.STATX_MODE != 0 && r.Seals()&F_SEAL_EXEC != 0 && (r.attr.Mode.Load()^s.Mode)&0o111 != 0 {
		return linux.EPERM
	}
	if s.Mask&linux.STATX_SIZE != 0 {
		if errno := r.truncate(s.Size); errno != 0 {
			return errno
		}
	}
	if s.Mask&^linux.STATX_SIZE != 0 {
		vfs.StoreAttr(&r.attr, s)
	}
	return 0
}

func (r *regular) truncate(size int64) linux.Errno {
	shrunk, errno := r.resize(size)
	if shrunk {
		r.truncated((uint64(size) + linux.PageMask) &^ uint64(linux.PageMask))
	}
	return errno
}

func (r *regular) resize(size int64) (shrunk bool, errno linux.Errno) {
	r.io.Lock()
	defer r.io.Unlock()
	old := r.attr.Size.Load()
	if size < old && r.seals&linux.F_SEAL_SHRINK != 0 || size > old && r.seals&linux.F_SEAL_GROW != 0 {
		return false, linux.EPERM
	}
	r.attr.Size.Store(size)
	if size < old {
		from := uint64(size)
		end := (from + linux.PageMask) &^ uint64(linux.PageMask)
		r.zero(from, end)
		r.takePages(end, maxOffset)
	}
	r.attr.Touch()
	return size < old, 0
}

// Seek implements vfs.FileOps.
func (r *regular) Seek(_ *vfs.Caller, f *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	if whence != linux.SEEK_DATA && whence != linux.SEEK_HOLE {
		return vfs.SeekRegular(f.Inode(), cur, off, whence)
	}
	r.io.RLock()
	defer r.io.RUnlock()
	size := r.attr.Size.Load()
	if off < 0 || off >= size {
		return 0, linux.ENXIO
	}
	r.mu.RLock()
	page, ok := r.pages.nextPage(uint64(off)/linux.PageSize, whence == linux.SEEK_DATA)
	r.mu.RUnlock()
	at := max(off, int64(page*linux.PageSize))
	if !ok || at >= size {
		if whence == linux.SEEK_DATA {
			return 0, linux.ENXIO
		}
		return size, 0
	}
	return at, 0
}

// Fallocate implements vfs.FileOps. Linux's tmpfs has no FALLOC_FL_ZERO_RANGE; files of disks have, and this
// one stands for them below overlay.
func (r *regular) Fallocate(c *vfs.Caller, f *vfs.File, mode uint32, off, length int64) linux.Errno {
	const known = linux.FALLOC_FL_KEEP_SIZE | linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_ZERO_RANGE
	if mode&^known != 0 {
		return linux.EOPNOTSUPP
	}
	errno := r.fallocate(c, f, mode, off, length)
	if errno != 0 || mode&^linux.FALLOC_FL_KEEP_SIZE != 0 {
		first := uint64(off) &^ uint64(linux.PageMask)
		r.invalidate(first, (uint64(off+length)+linux.PageMask)&^uint64(linux.PageMask))
	}
	return errno
}

func (r *regular) fallocate(c *vfs.Caller, f *vfs.File, mode uint32, off, length int64) linux.Errno {
	r.io.Lock()
	defer r.io.Unlock()
	end, size := off+length, r.attr.Size.Load()
	if mode&linux.FALLOC_FL_PUNCH_HOLE != 0 {
		if r.seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0 {
			return linux.EPERM
		}
		r.zeroRange(uint64(off), uint64(end))
		r.attr.Touch()
		return 0
	}
	grow := end > size && mode&linux.FALLOC_FL_KEEP_SIZE == 0
	if grow {
		if errno := c.LimitSize(f.Inode(), end); errno != 0 {
			return errno
		}
		if r.seals&linux.F_SEAL_GROW != 0 {
			return linux.EPERM
		}
	}
	if mode&linux.FALLOC_FL_ZERO_RANGE != 0 {
		if r.seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0 {
			return linux.EPERM
		}
		r.zeroRange(uint64(off), uint64(end))
	}
	if errno := r.reserve(uint64(off), uint64(end)); errno != 0 {
		return errno
	}
	if grow {
		r.attr.Size.Store(end)
	}
	r.attr.Touch()
	return 0
}

// reserve fills the holes of [from, to), or none of them.
func (r *regular) reserve(from, to uint64) linux.Errno {
	page, end := from/linux.PageSize, (to+linux.PageMask)/linux.PageSize
	// What cannot succeed is not begun.
	if most := r.fs.maxPages.Load(); most != 0 && int64(end-page)-r.attr.Blocks.Load()*512/linux.PageSize > most-r.fs.pages.Load() {
		return linux.ENOSPC
	}
	var made [][2]uint64
	for page < end {
		r.mu.RLock()
		n := r.pages.hole(page, min(end-page, maxRunPages))
		r.mu.RUnlock()
		if n == 0 {
			page++
			continue
		}
		rg, errno := r.alloc(page, n, 0)
		if errno != 0 {
			for _, m := range made {
				r.takePages(m[0]*linux.PageSize, m[1]*linux.PageSize)
			}
			return errno
		}
		n = rg.Len / linux.PageSize
		r.install(page, rg)
		made = append(made, [2]uint64{page, page + n})
		page += n
	}
	return 0
}

// Seals returns the F_SEAL_* bits, for F_GET_SEALS.
func (r *regular) Seals() uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.seals
}

// AddSeals implements F_ADD_SEALS.
func (r *regular) AddSeals(_ *vfs.File, seals uint32) linux.Errno {
	r.io.Lock()
	defer r.io.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seals&linux.F_SEAL_SEAL != 0 {
		return linux.EPERM
	}
	if seals&F_SEAL_EXEC != 0 && r.attr.Mode.Load()&0o111 != 0 {
		seals |= linux.F_SEAL_SHRINK | linux.F_SEAL_GROW | linux.F_SEAL_WRITE | linux.F_SEAL_FUTURE_WRITE // code stays as it is
	}
	if seals&linux.F_SEAL_WRITE&^r.seals != 0 && r.writableMapped() {
		return linux.EBUSY
	}
	r.seals |= seals
	return 0
}
