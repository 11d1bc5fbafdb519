package mm

import (
	"hornwork/lib/interval"
	"hornwork/linux"
)

// vmFlags are the properties of a VMA besides its protection: Linux's VM_*.
type vmFlags uint32

const (
	vmShared vmFlags = 1 << iota
	vmGrowsDown
	vmNoReserve
	vmLocked
	vmLockOnFault
	vmDontFork
	vmWipeOnFork
	vmDontDump
	vmDontExpand
	vmStack
	vmAccount // counts against the overcommit limit
	vmHuge
	vmNoHuge
	vmMergeable
	vmRandom
	vmSequential
	vmHidden // reserved for the platform: guests do not see it
	vmSpecial
)

// vma is a span of addresses of one policy. Its range is its key in AddressSpace.vmas.
type vma struct {
	prot, maxProt uint8
	flags         vmFlags
	m             *mapping // of a file or shared memory; nil for private anonymous memory
	off           uint64   // file offset of the first byte, if m is not nil
	name          string   // [heap], [stack], [vdso] or what PR_SET_VMA_ANON_NAME gave

	// Where the last fault's block ended and how large it was: sequential faults get growing blocks.
	blockEnd, blockLen uint64
}

type vmaIter = interval.Iter[*vma]

func (v *vma) is(f vmFlags) bool { return v.flags&f != 0 }

// private anonymous memory is backed by nothing but the memory file.
func (v *vma) anon() bool { return v.m == nil }

func guardOf(v **vma) uint64 {
	if (*v).is(vmGrowsDown) {
		return stackGuardGap
	}
	return 0
}

// allows says whether an access of one kind is permitted. On x86 everything that is mapped at all can be read.
func allows(prot, access uint8) bool {
	switch {
	case access&linux.PROT_WRITE != 0:
		return prot&linux.PROT_WRITE != 0
	case access&linux.PROT_EXEC != 0:
		return prot&linux.PROT_EXEC != 0
	}
	return prot&(linux.PROT_READ|linux.PROT_WRITE|linux.PROT_EXEC) != 0
}

// sameAs says whether two neighbours could be one VMA, given that w begins gap bytes after v does.
func (v *vma) sameAs(w *vma, gap uint64) bool {
	return v.prot == w.prot && v.maxProt == w.maxProt && v.flags == w.flags && v.name == w.name && v.m == w.m &&
		(v.m == nil || v.off+gap == w.off) && !v.is(vmHidden|vmSpecial)
}

// count adds pages of v to the statistics, or takes them away.
func (as *AddressSpace) count(v *vma, length uint64, add bool) {
	if v.is(vmHidden) {
		return
	}
	n := int64(length >> pageShift)
	if !add {
		n = -n
	}
	as.stat.total += n
	if add {
		as.stat.peak = max(as.stat.peak, as.stat.total)
	}
	switch {
	case v.is(vmGrowsDown | vmStack):
		as.stat.stack += n
	case isData(v.prot, v.flags):
		as.stat.data += n
	case v.prot&linux.PROT_EXEC != 0 && v.m != nil:
		as.stat.exec += n
	}
	if v.is(vmLocked) {
		as.stat.locked += n
	}
	if v.is(vmAccount) {
		VM.committed.Add(n)
	}
}

// isData says whether RLIMIT_DATA counts such memory: private and writable, not a stack.
func isData(prot uint8, f vmFlags) bool {
	return prot&linux.PROT_WRITE != 0 && f&(vmShared|vmGrowsDown|vmStack) == 0
}

// accountable says whether memory counts against the overcommit limit.
func accountable(prot uint8, f vmFlags, shared bool) bool {
	if f&vmNoReserve != 0 || f&(vmHidden|vmSpecial) != 0 {
		return false
	}
	return shared && f&vmShared != 0 || f&vmShared == 0 && prot&linux.PROT_WRITE != 0
}

// insertVMA adds v, merging it with its neighbours where they are alike. The range is free.
func (as *AddressSpace) insertVMA(start, end uint64, v *vma) vmaIter {
	as.count(v, end-start, true)
	if v.m != nil {
		v.m.users++
	}
	it := as.vmas.Insert(start, end, v)
	return as.mergeVMA(it)
}

// mergeVMA joins it with its neighbours where they are alike.
func (as *AddressSpace) mergeVMA(it vmaIter) vmaIter {
	if n := it.Next(); n.Ok() && n.Start() == it.End() {
		v, w := *it.Val(), *n.Val()
		if v.sameAs(w, it.End()-it.Start()) {
			start, end := it.Start(), n.End()
			as.forget(w)
			as.vmas.Remove(n)
			it = as.vmas.Find(start)
			as.vmas.Resize(it, start, end)
		}
	}
	if p := it.Prev(); p.Ok() && p.End() == it.Start() {
		v, w := *p.Val(), *it.Val()
		if v.sameAs(w, p.End()-p.Start()) {
			start, end := p.Start(), it.End()
			v.blockEnd, v.blockLen = w.blockEnd, w.blockLen
			as.forget(w)
			as.vmas.Remove(it)
			it = as.vmas.Find(start)
			as.vmas.Resize(it, start, end)
		}
	}
	return it
}

// forget drops a VMA's share of its mapping.
func (as *AddressSpace) forget(v *vma) {
	if v.m == nil {
		return
	}
	if v.m.users--; v.m.users == 0 {
		as.dead = append(as.dead, v.m)
	}
}

// splitVMA makes addr a boundary between VMAs, if one contains it.
func (as *AddressSpace) splitVMA(addr uint64) {
	it := as.vmas.Find(addr)
	if !it.Ok() || it.Start() == addr {
		return
	}
	v := *it.Val()
	w := new(vma)
	*w = *v
	start, end := it.Start(), it.End()
	if w.m != nil {
		w.off += addr - start
		w.m.users++
	}
	as.vmas.Resize(it, start, addr)
	as.vmas.Insert(addr, end, w)
	as.splitExt(addr)
}

// covered says whether VMAs cover all of [start, end).
func (as *AddressSpace) covered(start, end uint64) bool {
	for it := as.vmas.Find(start); it.Ok() && !(*it.Val()).is(vmHidden); {
		if it.End() >= end {
			return true
		}
		n := it.Next()
		if !n.Ok() || n.Start() != it.End() {
			return false
		}
		it = n
	}
	return false
}

// free says whether no VMA has a part of [start, end).
func (as *AddressSpace) free(start, end uint64) bool {
	it := as.vmas.Seek(start)
	return !it.Ok() || it.Start() >= end
}

// splitsNeeded is how many VMAs a change of [start, end) may add.
func (as *AddressSpace) splitsNeeded(start, end uint64) int {
	n := 0
	for _, x := range [2]uint64{start, end} {
		if it := as.vmas.Find(x); it.Ok() && it.Start() != x {
			n++
		}
	}
	return n
}
