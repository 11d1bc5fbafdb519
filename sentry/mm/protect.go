package mm

import "hornwork/linux"

// MProtect implements mprotect(2).
func (as *AddressSpace) MProtect(addr, length uint64, prot uint32) linux.Errno {
	grow := prot & (linux.PROT_GROWSDOWN | linux.PROT_GROWSUP)
	prot &^= linux.PROT_GROWSDOWN | linux.PROT_GROWSUP
	if grow == linux.PROT_GROWSDOWN|linux.PROT_GROWSUP || addr&pageMask != 0 {
		return linux.EINVAL
	}
	if length == 0 {
		return 0
	}
	end := addr + pageUp(length)
	if end <= addr {
		return linux.ENOMEM
	}
	if prot&^(protMask|linux.PROT_SEM) != 0 {
		return linux.EINVAL
	}
	as.mu.Lock()
	defer as.unlock()
	it := as.vmas.Seek(addr)
	if !it.Ok() {
		return linux.ENOMEM
	}
	switch grow {
	case linux.PROT_GROWSDOWN:
		if it.Start() >= end {
			return linux.ENOMEM
		}
		if !(*it.Val()).is(vmGrowsDown) {
			return linux.EINVAL
		}
		addr = it.Start()
	case linux.PROT_GROWSUP:
		if it.Start() > addr {
			return linux.ENOMEM
		}
		return linux.EINVAL // x86 has no such VMAs
	}
	if it.Start() > addr {
		return linux.ENOMEM
	}
	errno := as.protectRange(addr, end, uint8(prot&protMask))
	as.mergeVMAs(addr, end)
	if e := as.apply(); errno == 0 {
		errno = e
	}
	return errno
}

// protectRange changes one VMA after the other, up to the first that cannot be: Linux leaves it half done too.
func (as *AddressSpace) protectRange(addr, end uint64, prot uint8) linux.Errno {
	for a := addr; a < end; {
		it := as.vmas.Find(a)
		if !it.Ok() || (*it.Val()).is(vmHidden) {
			return linux.ENOMEM
		}
		v := *it.Val()
		stop := min(end, it.End())
		if prot&^v.maxProt != 0 {
			return linux.EACCES
		}
		if v.prot == prot {
			a = stop
			continue
		}
		if n := as.splitsNeeded(a, stop); n > 0 && int64(as.vmas.Len()+n) > VM.MaxMapCount.Load() {
			return linux.ENOMEM
		}
		if isData(prot, v.flags) && !isData(v.prot, v.flags) && !as.mayGrowData(stop-a) {
			return linux.ENOMEM
		}
		promise := !v.is(vmAccount) && accountable(prot, v.flags, false) && prot&linux.PROT_WRITE != 0
		if promise && !VM.permit(stop-a) {
			return linux.ENOMEM
		}
		as.splitVMA(a)
		as.splitVMA(stop)
		it = as.vmas.Find(a)
		v = *it.Val()
		if v.prot&linux.PROT_EXEC != 0 && prot&linux.PROT_WRITE != 0 {
			if errno := as.unpatch(a, stop); errno != 0 {
				return errno
			}
			as.host.TextChanged(a, stop-a)
		}
		as.count(v, stop-a, false)
		v.prot = prot
		if promise {
			v.flags |= vmAccount
		}
		as.count(v, stop-a, true)
		as.protectExts(a, stop, prot)
		a = stop
	}
	return 0
}

func (as *AddressSpace) mayGrowData(length uint64) bool {
	return uint64(as.stat.data)<<pageShift+length <= as.limits.Data
}

// protectExts brings the extents and the stub in step with a VMA's new protection.
func (as *AddressSpace) protectExts(start, end uint64, prot uint8) {
	for it := as.isolate(start, end); it.Ok() && it.Start() < end; it = it.Next() {
		it.Val().prot = prot
		as.opProtect(it)
	}
	as.mergeRange(start, end)
}

// mergeVMAs joins the VMAs from the one before start to the one after end where they are alike.
func (as *AddressSpace) mergeVMAs(start, end uint64) {
	it := as.vmas.Seek(start - min(start, 1))
	for it.Ok() && it.Start() <= end {
		it = as.mergeVMA(it).Next()
	}
}
