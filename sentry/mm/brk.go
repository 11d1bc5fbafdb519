package mm

import "hornwork/linux"

// SetBrkStart places the heap: execve(2) calls it with the end of the program's bss, randomised. The heap is empty.
func (as *AddressSpace) SetBrkStart(base uint64) {
	as.mu.Lock()
	as.layout.StartBrk, as.layout.Brk = base, base
	as.mu.Unlock()
}

// Brk implements brk(2): it returns the end of the heap, moved to addr if that is possible.
func (as *AddressSpace) Brk(addr uint64) uint64 {
	as.mu.Lock()
	defer as.unlock()
	l := &as.layout
	if addr < l.StartBrk || addr > as.hi || l.StartBrk == 0 {
		return l.Brk
	}
	if as.limits.Data != ^uint64(0) && addr-l.StartBrk+(l.EndData-min(l.StartData, l.EndData)) > as.limits.Data {
		return l.Brk
	}
	old, end := pageUp(l.Brk), pageUp(addr)
	switch {
	case end == old:
	case end < old:
		as.unmapRange(end, old, false)
		if as.apply() != 0 {
			return l.Brk
		}
	default:
		if !as.growHeap(old, end) {
			return l.Brk
		}
	}
	l.Brk = addr
	return addr
}

// growHeap maps [start, end) for the heap, and gives a part of it memory at once.
func (as *AddressSpace) growHeap(start, end uint64) bool {
	it := as.vmas.Seek(start)
	if it.Ok() && (it.Start() < end || it.Start()-end < guardOf(it.Val())) {
		return false
	}
	v := &vma{prot: linux.PROT_READ | linux.PROT_WRITE, maxProt: protMask, flags: vmAccount | as.lockAll}
	length := end - start
	if !as.mayGrow(v.prot, v.flags, length) || int64(as.vmas.Len()) > VM.MaxMapCount.Load() || !VM.permit(length) {
		return false
	}
	if v.is(vmLocked) && as.mayLock(length) != 0 {
		return false
	}
	n := *as.insertVMA(start, end, v).Val()
	ahead := min(length, aheadMax)
	if v.is(vmLocked) && !v.is(vmLockOnFault) {
		ahead = length
	}
	as.fillRange(n, start, start+ahead)
	return as.apply() == 0
}
