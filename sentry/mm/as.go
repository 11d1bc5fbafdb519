// Package mm is guest memory: address spaces, VMAs, page backing, faults, copy on write, user copies. Linux's
// counterpart is mm/.
//
// An AddressSpace is an ordered map of VMAs (what may be) over extents of the memory file or of mapped host
// files (what is). It keeps the stub's mappings in step by batches of platform.MapOp: whatever one call
// changes goes over in one Apply. Memory is given back only after the Apply that unmaps it has returned.
//
// The sentry reaches anonymous memory, and all that is in the memory file, by plain loads and stores. Private
// mappings of host files are the host's pages until they are written; the sentry reads those through
// MappedFile.ReadAt, and Pin refuses them.
//
// Locks: AddressSpace.mu guards both maps. User copies take it for reading, all else for writing. Files are
// called without it (see MappedFile); what a file said is checked again under the lock. The platform is
// called under it and must not call back into TextMemory from Apply or TextChanged.
package mm

import (
	"math/rand/v2"
	"sync/atomic"

	"hornwork/host/mem"
	"hornwork/lib/interval"
	"hornwork/lib/rank"
	"hornwork/lib/ref"
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/usermem"
)

const (
	pageSize  = mem.PageSize
	pageShift = 12
	pageMask  = pageSize - 1

	stackGuardGap = 256 * pageSize // Linux's stack_guard_gap
)

func pageDown(x uint64) uint64 { return x &^ pageMask }
func pageUp(x uint64) uint64   { return (x + pageMask) &^ pageMask }

// AddressSpace is the memory of a guest process: Linux's mm_struct.
type AddressSpace struct {
	refs   ref.Count
	id     uint64
	mf     *mem.File
	plat   platform.Platform
	host   platform.AddressSpace
	lo, hi uint64
	unpin  func(*usermem.Pinned) // made once, so that Pin does not allocate

	writePins atomic.Int64 // Pins for writing that are not released; see Fork

	mu       rank.RWMutex[rank.MM] // guards the fields below
	vmas     interval.Map[*vma]
	exts     interval.Map[extent]
	ops      []platform.MapOp // for the next apply
	puts     []mem.Range      // memory to give back after it
	stuck    []mem.Range      // memory that a broken stub may still map
	dead     []*mapping       // to be released after mu
	patches  []patch
	stat     stats
	limits   Limits
	layout   Layout
	base     uint64 // of top-down mmap
	lockAll  vmFlags
	refused  bool   // the last Apply failed
	spurious uint64 // address of the last fault that found nothing to do
}

var lastID atomic.Uint64

// New makes an empty address space with one reference, on a stub from the platform's pool.
func New(p platform.Platform, mf *mem.File) (*AddressSpace, linux.Errno) {
	as := &AddressSpace{id: lastID.Add(1), mf: mf, plat: p, limits: NoLimits()}
	host, errno := p.NewAddressSpace()
	if errno != 0 {
		return nil, errno
	}
	as.host = host
	as.lo, as.hi = p.UserRange()
	as.unpin = as.release
	as.vmas.Guard = guardOf
	// As Linux: a gap for the stack below the top, and 28 random bits of pages.
	as.layout.StackTop = as.hi - pageSize - rand.Uint64N(4<<20)<<pageShift
	as.base = as.layout.StackTop - 128<<20 - stackGuardGap - rand.Uint64N(1<<28)<<pageShift
	if as.base > as.layout.StackTop || as.base < as.hi/2 {
		as.base = pageDown(as.hi - as.hi/8)
	}
	if t, ok := host.(interface{ SetText(platform.TextMemory) }); ok {
		t.SetText(as)
	}
	return as, 0
}

// Get takes a reference.
func (as *AddressSpace) Get() *AddressSpace { as.refs.Get(); return as }

// TryGet takes a reference unless the last is gone.
func (as *AddressSpace) TryGet() bool { return as.refs.TryGet() }

// Put drops a reference. The last one ends the stub and gives all memory back: no thread may be in it any more.
func (as *AddressSpace) Put() {
	if !as.refs.Put() {
		return
	}
	as.host.Release()
	as.mu.Lock()
	for it := as.exts.First(); it.Ok(); it = it.Next() {
		if it.Val().mem {
			as.mf.Put(span(it))
		}
	}
	for _, r := range append(as.stuck, as.puts...) {
		as.mf.Put(r)
	}
	for it := as.vmas.First(); it.Ok(); it = it.Next() {
		as.count(*it.Val(), it.End()-it.Start(), false)
		as.forget(*it.Val())
	}
	as.exts.Clear()
	as.vmas.Clear()
	as.stuck, as.puts = nil, nil
	as.unlock()
}

// Platform is the stub, for making threads.
func (as *AddressSpace) Platform() platform.AddressSpace { return as.host }

// MemFile is the memory file behind the address space.
func (as *AddressSpace) MemFile() *mem.File { return as.mf }

// Range is the span of addresses that can be mapped.
func (as *AddressSpace) Range() (lo, hi uint64) { return as.lo, as.hi }

// unlock ends a change. Files of mappings that went away are let go after the lock.
func (as *AddressSpace) unlock() {
	dead := as.dead
	as.dead = nil
	as.mu.Unlock()
	for _, m := range dead {
		m.close()
	}
}

// mapping ties the VMAs that one mmap(2) made, and what became of them, to their file. They keep the relation between
// addresses and file offsets that the call had; mremap(2) and fork(2) make a new one.
type mapping struct {
	as   *AddressSpace
	ref  FileRef
	file MappedFile
	addr uint64 // where offset off is, or would be
	off  uint64
	len  uint64

	sharedWritable bool // MAP_SHARED, and the file may be written through it

	regOff, regLen uint64 // what the file was told

	inval atomic.Uint64 // counts Invalidate: what a file said before is void

	// Guarded by as.mu.
	users    int  // VMAs and calls in progress
	hostFile bool // the file is behind a host descriptor: ask for much at once
}

// newMapping registers with the file, so that no invalidation is missed from here on. Not under as.mu.
func newMapping(as *AddressSpace, r FileRef, off, length uint64, sharedWritable bool) *mapping {
	r.GetRef()
	m := &mapping{as: as, ref: r, file: r.Mapped(), off: off, len: length, regOff: off, regLen: length, sharedWritable: sharedWritable}
	m.file.AddMapping(m, off, length)
	return m
}

// close undoes newMapping.
func (m *mapping) close() {
	m.file.RemoveMapping(m, m.regOff, m.regLen)
	m.ref.PutRef()
}

// SharedWritable implements Mapping.
func (m *mapping) SharedWritable() bool { return m.sharedWritable }

// Invalidate implements Mapping. Private copies stay, as on Linux.
func (m *mapping) Invalidate(off, length uint64) { m.invalidate(off, length, false) }

// Truncated implements Mapping.
func (m *mapping) Truncated(off uint64) { m.invalidate(off, ^uint64(0)-off, true) }

func (m *mapping) invalidate(off, length uint64, copies bool) {
	as := m.as
	as.mu.Lock()
	defer as.unlock()
	m.inval.Add(1)
	end := min(off+length, m.off+m.len)
	if off+length < off {
		end = m.off + m.len
	}
	off = max(off, m.off)
	if off >= end {
		return
	}
	start, stop := pageDown(m.addr+(off-m.off)), pageUp(m.addr+(end-m.off))
	for it := as.vmas.Seek(start); it.Ok() && it.Start() < stop; it = it.Next() {
		if v := *it.Val(); v.m == m {
			s, e := max(start, it.Start()), min(stop, it.End())
			if copies || v.is(vmShared) {
				as.dropExts(s, e, false)
			} else {
				as.dropFilePages(s, e)
			}
		}
	}
	as.apply()
}

// dropFilePages unmaps those pages of a private mapping that are the file's own, not copies.
func (as *AddressSpace) dropFilePages(start, end uint64) {
	for it := as.exts.Seek(start); it.Ok() && it.Start() < end; {
		s, e := max(start, it.Start()), min(end, it.End())
		x := it.Val()
		if x.mem && !x.fromFile {
			it = it.Next()
			continue
		}
		as.dropExts(s, e, false)
		it = as.exts.Seek(e)
	}
}
