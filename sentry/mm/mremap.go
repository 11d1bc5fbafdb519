package mm

import "hornwork/linux"

// remap is one call of mremap(2).
type remap struct {
	as             *AddressSpace
	addr, oldLen   uint64
	newAddr        uint64
	newLen         uint64
	fixed, mayMove bool
	dontUnmap      bool
	spare          *mapping // for the VMA in its new place, or of its new size
}

// MRemap implements mremap(2), in Linux's order of errors.
func (as *AddressSpace) MRemap(addr, oldLen, newLen uint64, flags uint32, newAddr uint64) (uint64, linux.Errno) {
	r := remap{as: as, addr: addr, newAddr: newAddr, oldLen: pageUp(oldLen), newLen: pageUp(newLen),
		fixed: flags&linux.MREMAP_FIXED != 0, mayMove: flags&linux.MREMAP_MAYMOVE != 0, dontUnmap: flags&linux.MREMAP_DONTUNMAP != 0}
	switch {
	case flags&^(linux.MREMAP_FIXED|linux.MREMAP_MAYMOVE|linux.MREMAP_DONTUNMAP) != 0,
		r.fixed && !r.mayMove,
		r.dontUnmap && (!r.mayMove || oldLen != newLen),
		addr&pageMask != 0,
		r.newLen == 0:
		return 0, linux.EINVAL
	}
	for {
		as.mu.Lock()
		it := as.vmas.Find(addr)
		if !it.Ok() || (*it.Val()).is(vmHidden) {
			r.drop()
			return 0, linux.EFAULT
		}
		v := *it.Val()
		if v.m == nil || r.spare != nil && r.spare.ref == v.m.ref && r.spare.regOff <= v.off {
			break
		}
		if v.m != nil && r.newLen <= r.oldLen && !r.fixed && !r.dontUnmap {
			break // it only shrinks
		}
		// The file must know the new place beforehand, and cannot be told under the lock.
		m, off, length := v.m, v.off, it.End()-it.Start()+r.newLen
		m.users++
		r.drop()
		spare := newMapping(as, m.ref, off, length, m.sharedWritable)
		as.mu.Lock()
		spare.hostFile = m.hostFile
		spare.users++
		as.release1(m)
		r.spare = spare
		as.unlock()
	}
	ret, errno := r.do()
	if e := as.apply(); errno == 0 {
		errno = e
	}
	r.drop()
	if errno != 0 {
		return 0, errno
	}
	return ret, 0
}

// drop gives the spare mapping back and ends the lock.
func (r *remap) drop() {
	if r.spare != nil {
		r.as.release1(r.spare)
		r.spare = nil
	}
	r.as.unlock()
}

func (r *remap) do() (uint64, linux.Errno) {
	as := r.as
	if r.fixed || r.dontUnmap {
		return r.to()
	}
	if r.oldLen >= r.newLen {
		if r.addr+r.oldLen > as.hi || r.addr+r.oldLen < r.addr {
			return 0, linux.EINVAL
		}
		if r.oldLen > r.newLen {
			as.unmapRange(r.addr+r.newLen, r.addr+r.oldLen, false)
		}
		return r.addr, 0
	}
	it := as.vmas.Find(r.addr)
	v := *it.Val()
	if errno := r.resizable(it); errno != 0 {
		return 0, errno
	}
	if r.oldLen == it.End()-r.addr && r.expand(it) {
		return r.addr, 0
	}
	if !r.mayMove {
		return 0, linux.ENOMEM
	}
	to, ok := as.findAddr(0, r.newLen, false, v.is(vmGrowsDown))
	if !ok {
		return 0, linux.ENOMEM
	}
	return r.move(to)
}

// to is mremap_to: a place that the caller chose, or one that keeps the old mapping.
func (r *remap) to() (uint64, linux.Errno) {
	as := r.as
	if r.newAddr&pageMask != 0 || r.newLen > as.hi || r.newAddr > as.hi-r.newLen {
		return 0, linux.EINVAL
	}
	if r.addr+r.oldLen > r.newAddr && r.newAddr+r.newLen > r.addr {
		return 0, linux.EINVAL
	}
	if r.fixed && r.newAddr < max(as.lo, VM.MinAddr.Load()) {
		return 0, linux.EPERM
	}
	if int64(as.vmas.Len()+2) >= VM.MaxMapCount.Load()-3 {
		return 0, linux.ENOMEM
	}
	if r.fixed {
		as.unmapRange(r.newAddr, r.newAddr+r.newLen, true)
	}
	if r.oldLen > r.newLen {
		as.unmapRange(r.addr+r.newLen, r.addr+r.oldLen, false)
		r.oldLen = r.newLen
	}
	it := as.vmas.Find(r.addr)
	if !it.Ok() {
		return 0, linux.EFAULT
	}
	if errno := r.resizable(it); errno != 0 {
		return 0, errno
	}
	v := *it.Val()
	if r.dontUnmap && !as.mayGrow(v.prot, v.flags, r.oldLen) {
		return 0, linux.ENOMEM
	}
	to := r.newAddr
	if !r.fixed {
		var ok bool
		if to, ok = as.findAddr(r.newAddr, r.newLen, false, false); !ok {
			return 0, linux.ENOMEM
		}
	}
	return r.move(to)
}

// resizable is vma_to_resize.
func (r *remap) resizable(it vmaIter) linux.Errno {
	v := *it.Val()
	switch {
	case r.oldLen == 0 && !v.is(vmShared):
		return linux.EINVAL
	case r.dontUnmap && v.is(vmDontExpand):
		return linux.EINVAL
	case r.oldLen > it.End()-r.addr:
		return linux.EFAULT
	case r.newLen == r.oldLen:
		return 0
	case v.is(vmDontExpand):
		return linux.EFAULT
	}
	more := r.newLen - r.oldLen
	if v.is(vmLocked) {
		if errno := r.as.mayLock(more); errno != 0 {
			return errno
		}
	}
	if !r.as.mayGrow(v.prot, v.flags, more) || v.is(vmAccount) && !VM.permit(more) {
		return linux.ENOMEM
	}
	return 0
}

// expand makes the VMA longer in place, if nothing is in the way.
func (r *remap) expand(it vmaIter) bool {
	as := r.as
	end := r.addr + r.newLen
	if end > as.hi || end < r.addr {
		return false
	}
	if n := it.Next(); n.Ok() && (n.Start() < end || n.Start()-end < guardOf(n.Val())) {
		return false
	}
	v := *it.Val()
	old := it.End()
	if v.m != nil {
		m := r.spare
		m.off, m.len, m.addr = v.off, end-it.Start(), it.Start()
		m.users++
		as.forget(v)
		v.m = m
	}
	as.vmas.Resize(it, it.Start(), end)
	as.count(v, end-old, true)
	if v.flags&(vmLocked|vmLockOnFault) == vmLocked && v.anon() {
		as.fillRange(v, old, end)
	}
	as.mergeVMA(it)
	return true
}

// move takes [addr, addr+oldLen) to another place, where it has newLen bytes. The pages go along; no byte is copied.
func (r *remap) move(to uint64) (uint64, linux.Errno) {
	as := r.as
	if n := as.splitsNeeded(r.addr, r.addr+r.oldLen); int64(as.vmas.Len()+n+1) > VM.MaxMapCount.Load() {
		return 0, linux.ENOMEM
	}
	if r.oldLen != 0 {
		as.splitVMA(r.addr)
		as.splitVMA(r.addr + r.oldLen)
	}
	it := as.vmas.Find(r.addr)
	v := *it.Val()
	if v.prot&linux.PROT_EXEC != 0 {
		if errno := as.unpatch(r.addr, r.addr+r.oldLen); errno != 0 {
			return 0, errno
		}
	}
	w := new(vma)
	*w = *v
	w.blockEnd, w.blockLen = 0, 0
	if v.m != nil {
		m := r.spare
		w.off = v.off + r.addr - it.Start()
		m.off, m.len, m.addr = w.off, r.newLen, to
		w.m = m
	}
	start, end := r.addr, r.addr+r.oldLen
	// The extents first, then the old VMA: it must not take them with it.
	moved := as.takeExts(start, end)
	if !r.dontUnmap && r.oldLen != 0 {
		as.count(v, end-start, false)
		as.forget(v)
		as.vmas.Remove(as.vmas.Find(start))
	} else if r.dontUnmap {
		v.flags &^= vmLocked | vmLockOnFault
		if w.is(vmLocked) {
			as.stat.locked -= int64((end - start) >> pageShift)
		}
	}
	as.insertVMA(to, to+r.newLen, w)
	for _, x := range moved {
		resident := x.e.stub != unmapped
		x.e.stub = unmapped
		n := as.insertExt(to+x.at, to+x.at+x.n, x.e)
		if resident && x.e.hostProt() != 0 {
			as.opMap(n, x.n <= 4*minBlock)
		}
		as.mergeExt(n)
	}
	if w.flags&(vmLocked|vmLockOnFault) == vmLocked && w.anon() {
		as.fillRange(w, to+r.oldLen, to+r.newLen)
	}
	return to, 0
}

// movedExt is an extent on its way: n bytes, at bytes from the beginning.
type movedExt struct {
	at, n uint64
	e     extent
}

// takeExts removes the extents of a span without giving up their memory.
func (as *AddressSpace) takeExts(start, end uint64) (out []movedExt) {
	if start == end {
		return nil
	}
	mapped := false
	for it := as.isolate(start, end); it.Ok() && it.Start() < end; {
		e := *it.Val()
		mapped = mapped || e.stub != unmapped
		out = append(out, movedExt{it.Start() - start, it.End() - it.Start(), e})
		as.countRSS(&e, it.End()-it.Start(), false)
		it = as.exts.Remove(it)
	}
	if mapped {
		as.opUnmap(start, end)
	}
	return out
}
