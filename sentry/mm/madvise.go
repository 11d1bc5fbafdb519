package mm

import (
	"maps"

	"hornwork/host/mem"
	"hornwork/linux"
)

// HolePuncher is a FileRef that MADV_REMOVE works on. The file tells all its mappings.
type HolePuncher interface {
	PunchHole(off, length uint64) linux.Errno
}

// MAdvise implements madvise(2). Like Linux it goes on after holes and reports ENOMEM for them at the end.
func (as *AddressSpace) MAdvise(addr, length uint64, advice int) linux.Errno {
	fn, known := as.advice(advice)
	if !known || addr&pageMask != 0 {
		return linux.EINVAL
	}
	end := addr + pageUp(length)
	if length != 0 && pageUp(length) == 0 || end < addr {
		return linux.EINVAL
	}
	if end == addr {
		return 0
	}
	switch advice {
	case linux.MADV_POPULATE_READ, linux.MADV_POPULATE_WRITE:
		return as.madvPopulate(addr, end, advice == linux.MADV_POPULATE_WRITE)
	case linux.MADV_REMOVE:
		return as.madvRemove(addr, end)
	}
	as.mu.Lock()
	defer as.unlock()
	var result linux.Errno
	for a := addr; a < end; {
		it := as.vmas.Seek(a)
		if !it.Ok() || it.Start() >= end {
			result = linux.ENOMEM
			break
		}
		if (*it.Val()).is(vmHidden) || it.Start() > a {
			result = linux.ENOMEM
		}
		start, stop := max(a, it.Start()), min(end, it.End())
		if v := *it.Val(); !v.is(vmHidden) {
			if errno := fn(v, start, stop); errno != 0 {
				result = errno
				break
			}
		}
		a = stop
	}
	as.mergeVMAs(addr, end)
	if errno := as.apply(); result == 0 {
		result = errno
	}
	return result
}

// advice finds what to do for one VMA.
func (as *AddressSpace) advice(advice int) (fn func(v *vma, start, end uint64) linux.Errno, known bool) {
	flags := func(set, reset vmFlags, bad func(v *vma) bool) func(v *vma, start, end uint64) linux.Errno {
		return func(v *vma, start, end uint64) linux.Errno {
			if bad != nil && bad(v) {
				return linux.EINVAL
			}
			return as.changeFlags(v, start, end, set, reset)
		}
	}
	special := func(v *vma) bool { return v.is(vmSpecial) }
	switch advice {
	case linux.MADV_NORMAL:
		fn = flags(0, vmRandom|vmSequential, nil)
	case linux.MADV_RANDOM:
		fn = flags(vmRandom, vmSequential, nil)
	case linux.MADV_SEQUENTIAL:
		fn = flags(vmSequential, vmRandom, nil)
	case linux.MADV_DONTFORK:
		fn = flags(vmDontFork, 0, nil)
	case linux.MADV_DOFORK:
		fn = flags(0, vmDontFork, nil)
	case linux.MADV_WIPEONFORK:
		fn = flags(vmWipeOnFork, 0, func(v *vma) bool { return v.m != nil || v.is(vmShared) })
	case linux.MADV_KEEPONFORK:
		fn = flags(0, vmWipeOnFork, nil)
	case linux.MADV_DONTDUMP:
		fn = flags(vmDontDump, 0, nil)
	case linux.MADV_DODUMP:
		fn = flags(0, vmDontDump, special)
	case linux.MADV_HUGEPAGE:
		fn = flags(vmHuge, vmNoHuge, special)
	case linux.MADV_NOHUGEPAGE:
		fn = flags(vmNoHuge, vmHuge, special)
	case linux.MADV_MERGEABLE:
		fn = flags(vmMergeable, 0, nil)
	case linux.MADV_UNMERGEABLE:
		fn = flags(0, vmMergeable, nil)
	case linux.MADV_DONTNEED, linux.MADV_DONTNEED_LOCKED:
		fn = func(v *vma, start, end uint64) linux.Errno {
			return as.zap(v, start, end, advice == linux.MADV_DONTNEED_LOCKED)
		}
	case linux.MADV_FREE:
		// Linux frees these pages when it needs memory; that moment may as well be now.
		fn = func(v *vma, start, end uint64) linux.Errno {
			if v.m != nil {
				return linux.EINVAL
			}
			return as.zap(v, start, end, false)
		}
	case linux.MADV_COLD, linux.MADV_PAGEOUT:
		fn = func(v *vma, start, end uint64) linux.Errno {
			if v.is(vmLocked) {
				return linux.EINVAL
			}
			return 0
		}
	case linux.MADV_COLLAPSE:
		fn = func(*vma, uint64, uint64) linux.Errno { return linux.EINVAL } // no huge page can be promised
	case linux.MADV_WILLNEED, linux.MADV_POPULATE_READ, linux.MADV_POPULATE_WRITE, linux.MADV_REMOVE:
		fn = func(*vma, uint64, uint64) linux.Errno { return 0 }
	}
	return fn, fn != nil
}

// changeFlags gives a part of a VMA other flags, splitting it.
func (as *AddressSpace) changeFlags(v *vma, start, end uint64, set, reset vmFlags) linux.Errno {
	if v.flags&^reset|set == v.flags {
		return 0
	}
	if int64(as.vmas.Len()+as.splitsNeeded(start, end)) > VM.MaxMapCount.Load() {
		return linux.ENOMEM
	}
	as.splitVMA(start)
	as.splitVMA(end)
	w := *as.vmas.Find(start).Val()
	as.count(w, end-start, false)
	w.flags = w.flags&^reset | set
	as.count(w, end-start, true)
	return 0
}

// SetAnonName names private anonymous memory for /proc/pid/maps: prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME). The caller
// has checked the name; an empty one takes it away.
func (as *AddressSpace) SetAnonName(addr, length uint64, name string) linux.Errno {
	end := addr + pageUp(length)
	if addr&pageMask != 0 || length != 0 && pageUp(length) == 0 || end < addr {
		return linux.EINVAL
	}
	if name != "" {
		name = "[anon:" + name + "]"
	}
	as.mu.Lock()
	defer as.unlock()
	var result linux.Errno
	for a := addr; a < end; {
		it := as.vmas.Seek(a)
		if !it.Ok() || it.Start() >= end {
			result = linux.ENOMEM
			break
		}
		v := *it.Val()
		if it.Start() > a || v.is(vmHidden) {
			result = linux.ENOMEM
		}
		start, stop := max(a, it.Start()), min(end, it.End())
		if !v.is(vmHidden) {
			if v.m != nil {
				return linux.EBADF
			}
			if int64(as.vmas.Len()+as.splitsNeeded(start, stop)) > VM.MaxMapCount.Load() {
				return linux.ENOMEM
			}
			as.splitVMA(start)
			as.splitVMA(stop)
			(*as.vmas.Find(start).Val()).name = name
		}
		a = stop
	}
	as.mergeVMAs(addr, end)
	return result
}

// zap drops the pages of a VMA: private memory reads as zero or as the file again, shared as it is.
func (as *AddressSpace) zap(v *vma, start, end uint64, lockedToo bool) linux.Errno {
	if v.is(vmLocked) && !lockedToo || v.is(vmSpecial) {
		return linux.EINVAL
	}
	as.dropExts(start, end, false)
	v.blockEnd, v.blockLen = 0, 0
	return 0
}

func (as *AddressSpace) madvRemove(addr, end uint64) linux.Errno {
	for a := addr; a < end; {
		as.mu.RLock()
		it := as.vmas.Find(a)
		if !it.Ok() {
			as.mu.RUnlock()
			return linux.ENOMEM
		}
		v := *it.Val()
		var errno linux.Errno
		switch {
		case v.is(vmLocked) || v.m == nil:
			errno = linux.EINVAL
		case !v.is(vmShared) || v.maxProt&linux.PROT_WRITE == 0:
			errno = linux.EACCES
		}
		if errno != 0 {
			as.mu.RUnlock()
			return errno
		}
		stop := min(end, it.End())
		m, off := v.m, v.off+a-it.Start()
		m.ref.GetRef()
		as.mu.RUnlock()
		if h, ok := m.ref.(HolePuncher); ok {
			errno = h.PunchHole(off, stop-a)
		} else {
			errno = linux.EOPNOTSUPP
		}
		m.ref.PutRef()
		if errno != 0 {
			return errno
		}
		a = stop
	}
	return 0
}

// madvPopulate faults a range in, as accesses would.
func (as *AddressSpace) madvPopulate(addr, end uint64, write bool) linux.Errno {
	access := uint8(linux.PROT_READ)
	if write {
		access = linux.PROT_WRITE
	}
	for a := addr; a < end; {
		stop, errno := as.populateStep(a, end, access)
		if errno != 0 {
			return errno
		}
		a = stop
	}
	return 0
}

// populateStep faults in the page at a, and returns where the next one begins that may need it.
func (as *AddressSpace) populateStep(a, end uint64, access uint8) (uint64, linux.Errno) {
	as.mu.Lock()
	it := as.vmas.Find(a)
	if !it.Ok() || (*it.Val()).is(vmHidden) {
		as.unlock()
		return 0, linux.ENOMEM
	}
	v := *it.Val()
	if !allows(v.prot, access) {
		as.unlock()
		return 0, linux.EINVAL
	}
	if v.anon() {
		stop := min(end, it.End(), a+64<<20)
		errno := as.fillRange(v, a, stop)
		if e := as.applyUnlock(); errno == 0 {
			errno = e
		}
		if errno != 0 || access&linux.PROT_WRITE == 0 {
			return stop, errno
		}
		as.mu.Lock()
	}
	if x := as.exts.Find(a); x.Ok() && x.Val().stub == x.Val().hostProt() && (access&linux.PROT_WRITE == 0 || !x.Val().wp) {
		stop := x.End()
		as.unlock()
		return stop, 0
	}
	as.unlock()
	switch f := as.fault(a, access, false); {
	case f.Signo == linux.SIGKILL:
		return 0, linux.ENOMEM
	case f.Signo != 0:
		return 0, linux.EFAULT
	}
	return a + pageSize, 0
}

// PunchHole implements HolePuncher.
func (s *sharedAnon) PunchHole(off, length uint64) linux.Errno {
	var free []mem.Range
	s.mu.Lock()
	s.cut(off)
	s.cut(off + length)
	for it := s.pages.Seek(off); it.Ok() && it.Start() < off+length; it = s.pages.Remove(it) {
		free = append(free, s.span(it))
	}
	told := maps.Clone(s.maps)
	s.mu.Unlock()
	for m := range told {
		m.Invalidate(off, length)
	}
	for _, r := range free {
		s.mf.Put(r)
	}
	return 0
}
