package mm

import "hornwork/linux"

// MLock implements mlock(2) and mlock2(2). Memory of the sentry is never swapped by us; what locking does is to make
// it present, and to count.
func (as *AddressSpace) MLock(addr, length uint64, onFault bool) linux.Errno {
	start := pageDown(addr)
	end := start + pageUp(length+addr&pageMask)
	as.mu.Lock()
	if as.limits.MemLock == 0 && !as.limits.CapIPCLock {
		as.unlock()
		return linux.EPERM
	}
	n := end - start
	if !as.limits.CapIPCLock && end >= start && n-as.lockedIn(start, end)+uint64(as.stat.locked)<<pageShift > as.limits.MemLock {
		as.unlock()
		return linux.ENOMEM
	}
	set, reset := vmLocked, vmLockOnFault
	if onFault {
		set, reset = vmLocked|vmLockOnFault, 0
	}
	errno := as.lockRange(start, end, set, reset)
	as.unlock()
	if errno == 0 && !onFault {
		errno = as.lockPopulate(start, end)
	}
	return errno
}

// MUnlock implements munlock(2).
func (as *AddressSpace) MUnlock(addr, length uint64) linux.Errno {
	start := pageDown(addr)
	as.mu.Lock()
	defer as.unlock()
	return as.lockRange(start, start+pageUp(length+addr&pageMask), 0, vmLocked|vmLockOnFault)
}

func (as *AddressSpace) lockedIn(start, end uint64) (n uint64) {
	for it := as.vmas.Seek(start); it.Ok() && it.Start() < end; it = it.Next() {
		if (*it.Val()).is(vmLocked) {
			n += min(end, it.End()) - max(start, it.Start())
		}
	}
	return n
}

func (as *AddressSpace) lockRange(start, end uint64, set, reset vmFlags) linux.Errno {
	if end < start {
		return linux.EINVAL
	}
	defer as.mergeVMAs(start, end)
	for a := start; a < end; {
		it := as.vmas.Find(a)
		if !it.Ok() || (*it.Val()).is(vmHidden) {
			return linux.ENOMEM
		}
		stop := min(end, it.End())
		if v := *it.Val(); !v.is(vmSpecial) {
			if errno := as.changeFlags(v, a, stop, set, reset); errno != 0 {
				return errno
			}
		}
		a = stop
	}
	return 0
}

// lockPopulate makes memory present. It goes on after what cannot be faulted in, memory without permission for one,
// and reports that as ENOMEM.
func (as *AddressSpace) lockPopulate(start, end uint64) (result linux.Errno) {
	for a := start; a < end; {
		as.mu.RLock()
		it := as.vmas.Seek(a)
		if !it.Ok() || it.Start() >= end {
			as.mu.RUnlock()
			return result
		}
		v := *it.Val()
		s, e := max(a, it.Start()), min(end, it.End())
		access := uint8(linux.PROT_READ)
		if v.prot&linux.PROT_WRITE != 0 && !v.is(vmShared) {
			access = linux.PROT_WRITE
		}
		skip := v.is(vmHidden | vmSpecial)
		as.mu.RUnlock()
		for s < e && !skip {
			next, errno := as.populateStep(s, e, access)
			if errno != 0 {
				result = linux.ENOMEM
				break
			}
			s = next
		}
		a = e
	}
	return result
}

// MLockAll implements mlockall(2); the caller has checked the flags.
func (as *AddressSpace) MLockAll(flags uint32) linux.Errno {
	as.mu.Lock()
	if !as.limits.CapIPCLock {
		if as.limits.MemLock == 0 {
			as.unlock()
			return linux.EPERM
		}
		if flags&linux.MCL_CURRENT != 0 && uint64(as.stat.total)<<pageShift > as.limits.MemLock {
			as.unlock()
			return linux.ENOMEM
		}
	}
	set, reset := vmLocked, vmLockOnFault
	if flags&linux.MCL_ONFAULT != 0 {
		set, reset = vmLocked|vmLockOnFault, 0
	}
	as.lockAll = 0
	if flags&linux.MCL_FUTURE != 0 {
		as.lockAll = set
	}
	if flags&linux.MCL_CURRENT != 0 {
		as.changeAll(set, reset)
	}
	as.unlock()
	if flags&linux.MCL_CURRENT != 0 && flags&linux.MCL_ONFAULT == 0 {
		as.lockPopulate(as.lo, as.hi) // errors are ignored, as on Linux
	}
	return 0
}

// MUnlockAll implements munlockall(2).
func (as *AddressSpace) MUnlockAll() linux.Errno {
	as.mu.Lock()
	defer as.unlock()
	as.lockAll = 0
	as.changeAll(0, vmLocked|vmLockOnFault)
	return 0
}

func (as *AddressSpace) changeAll(set, reset vmFlags) {
	for it := as.vmas.First(); it.Ok(); it = it.Next() {
		if v := *it.Val(); !v.is(vmHidden | vmSpecial) {
			as.count(v, it.End()-it.Start(), false)
			v.flags = v.flags&^reset | set
			as.count(v, it.End()-it.Start(), true)
		}
	}
	as.mergeVMAs(0, as.hi)
}

// MInCore implements mincore(2): a byte for each page, 1 if it is present. A hole is ENOMEM. Pages of host files count
// as present once they are mapped.
func (as *AddressSpace) MInCore(addr, length uint64, vec []byte) linux.Errno {
	if addr&pageMask != 0 {
		return linux.EINVAL
	}
	end := addr + pageUp(length)
	if end < addr || end > as.hi || uint64(len(vec)) < (end-addr)>>pageShift {
		return linux.ENOMEM
	}
	as.mu.RLock()
	defer as.mu.RUnlock()
	if end > addr && !as.covered(addr, end) {
		return linux.ENOMEM
	}
	clear(vec[:(end-addr)>>pageShift])
	for it := as.exts.Seek(addr); it.Ok() && it.Start() < end; it = it.Next() {
		for a := max(addr, it.Start()); a < min(end, it.End()); a += pageSize {
			vec[(a-addr)>>pageShift] = 1
		}
	}
	return 0
}

// MSync implements msync(2).
func (as *AddressSpace) MSync(addr, length uint64, flags int) linux.Errno {
	if flags&^(linux.MS_ASYNC|linux.MS_INVALIDATE|linux.MS_SYNC) != 0 || addr&pageMask != 0 ||
		flags&linux.MS_ASYNC != 0 && flags&linux.MS_SYNC != 0 {
		return linux.EINVAL
	}
	end := addr + pageUp(length)
	if end < addr || length != 0 && end == addr {
		return linux.ENOMEM
	}
	var result linux.Errno
	for a := addr; a < end; {
		as.mu.RLock()
		it := as.vmas.Seek(a)
		if !it.Ok() || it.Start() >= end {
			as.mu.RUnlock()
			return linux.ENOMEM
		}
		v := *it.Val()
		if it.Start() > a || v.is(vmHidden) {
			result = linux.ENOMEM
		}
		if flags&linux.MS_INVALIDATE != 0 && v.is(vmLocked) {
			as.mu.RUnlock()
			return linux.EBUSY
		}
		s, e := max(a, it.Start()), min(end, it.End())
		var m *mapping
		off := v.off + s - it.Start()
		if flags&linux.MS_SYNC != 0 && v.m != nil && v.is(vmShared) {
			m = v.m
			m.ref.GetRef()
		}
		as.mu.RUnlock()
		if m != nil {
			errno := syncMapping(m, off, e-s)
			m.ref.PutRef()
			if errno != 0 {
				return errno
			}
		}
		a = e
	}
	return result
}

func syncMapping(m *mapping, off, length uint64) linux.Errno {
	if s, ok := m.ref.(Syncer); ok {
		return s.SyncRange(off, length)
	}
	if s, ok := m.file.(Syncer); ok {
		return s.SyncRange(off, length)
	}
	return 0 // memory: there is nowhere to write it to
}
