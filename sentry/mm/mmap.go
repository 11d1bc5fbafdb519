package mm

import (
	"math/rand/v2"

	"hornwork/linux"
)

// MMapOpts are the arguments of mmap(2), and what the caller knows of the file.
type MMapOpts struct {
	Addr, Len   uint64
	Prot, Flags uint32
	// File is nil for MAP_ANONYMOUS. MMap takes a reference of its own.
	File   FileRef
	Offset uint64
	// MaxProt is what the open file permits: PROT_READ and PROT_WRITE by its access mode, PROT_EXEC unless the
	// mount is noexec. For anonymous memory 0 is as good as all.
	MaxProt uint32
	// Name is shown in /proc/pid/maps for memory without a file: [stack], [vdso].
	Name string
	// Special memory is the kernel's own, as the vdso: it is not counted, and never merged.
	Special bool
}

const (
	legacyFlags = linux.MAP_SHARED | linux.MAP_PRIVATE | linux.MAP_FIXED | linux.MAP_ANONYMOUS | linux.MAP_DENYWRITE |
		linux.MAP_EXECUTABLE | linux.MAP_UNINITIALIZED | linux.MAP_GROWSDOWN | linux.MAP_LOCKED | linux.MAP_NORESERVE |
		linux.MAP_POPULATE | linux.MAP_NONBLOCK | linux.MAP_STACK | linux.MAP_HUGETLB | linux.MAP_32BIT |
		linux.MAP_HUGE_2MB | linux.MAP_HUGE_1GB
	protMask = linux.PROT_READ | linux.PROT_WRITE | linux.PROT_EXEC
)

// MMap implements mmap(2) after the descriptor was looked up, in Linux's order of errors.
func (as *AddressSpace) MMap(o *MMapOpts) (uint64, linux.Errno) {
	if o.Offset&pageMask != 0 {
		return 0, linux.EINVAL
	}
	if o.Len == 0 {
		return 0, linux.EINVAL
	}
	if o.Flags&linux.MAP_HUGETLB != 0 {
		return 0, linux.ENOMEM // as with an empty pool of huge pages
	}
	length := pageUp(o.Len)
	if length == 0 {
		return 0, linux.ENOMEM
	}
	if o.Offset+length < o.Offset {
		return 0, linux.EOVERFLOW
	}
	fixed := o.Flags&(linux.MAP_FIXED|linux.MAP_FIXED_NOREPLACE) != 0
	v := &vma{prot: uint8(o.Prot & protMask), maxProt: protMask, name: o.Name}
	v.flags = as.flagsOf(o)
	if errno := as.checkArea(o, length, fixed); errno != 0 {
		return 0, errno
	}
	if errno := checkMapType(o, v); errno != 0 {
		return 0, errno
	}
	file, off := o.File, o.Offset
	if file == nil {
		off = 0
		if v.is(vmShared) {
			file = newSharedAnon(as.mf, length)
			defer file.PutRef()
		}
	}
	if accountable(v.prot, v.flags, o.File == nil) {
		v.flags |= vmAccount
	}
	if file != nil {
		v.m = newMapping(as, file, off, length, v.is(vmShared) && v.maxProt&linux.PROT_WRITE != 0)
		v.off = off
	}
	return as.mmap(o, v, length, fixed)
}

func (as *AddressSpace) flagsOf(o *MMapOpts) (f vmFlags) {
	for _, x := range [...]struct {
		flag uint32
		vm   vmFlags
	}{{linux.MAP_GROWSDOWN, vmGrowsDown}, {linux.MAP_LOCKED, vmLocked}, {linux.MAP_STACK, vmNoHuge}} {
		if o.Flags&x.flag != 0 {
			f |= x.vm
		}
	}
	if o.Flags&linux.MAP_NORESERVE != 0 && VM.Mode.Load() != 2 {
		f |= vmNoReserve
	}
	if o.Special {
		f |= vmSpecial | vmDontExpand
	}
	if t := o.Flags & linux.MAP_TYPE; t == linux.MAP_SHARED || t == linux.MAP_SHARED_VALIDATE {
		f |= vmShared
	}
	return f
}

// checkArea has the errors of Linux's get_unmapped_area for addresses that the caller chose.
func (as *AddressSpace) checkArea(o *MMapOpts, length uint64, fixed bool) linux.Errno {
	if length > as.hi {
		return linux.ENOMEM
	}
	if !fixed {
		return 0
	}
	if o.Addr > as.hi-length {
		return linux.ENOMEM
	}
	if o.Addr&pageMask != 0 {
		return linux.EINVAL
	}
	if o.Addr < VM.MinAddr.Load() && !as.limits.CapRawIO {
		return linux.EPERM
	}
	if o.Addr < as.lo {
		return linux.ENOMEM // the platform cannot
	}
	return 0
}

// checkMapType has the errors of do_mmap that depend on the type of the mapping and the file.
func checkMapType(o *MMapOpts, v *vma) linux.Errno {
	t := o.Flags & linux.MAP_TYPE
	if o.File == nil {
		if t != linux.MAP_SHARED && t != linux.MAP_PRIVATE || v.is(vmShared) && v.is(vmGrowsDown) {
			return linux.EINVAL
		}
		if o.MaxProt != 0 && v.is(vmShared) {
			v.maxProt = uint8(o.MaxProt & protMask)
		}
		return 0
	}
	v.maxProt = uint8(o.MaxProt & protMask)
	switch t {
	case linux.MAP_SHARED_VALIDATE:
		if o.Flags&^(legacyFlags|linux.MAP_SHARED_VALIDATE|linux.MAP_FIXED_NOREPLACE) != 0 {
			return linux.EOPNOTSUPP
		}
		fallthrough
	case linux.MAP_SHARED:
		if o.Prot&linux.PROT_WRITE != 0 && o.MaxProt&linux.PROT_WRITE == 0 {
			return linux.EACCES
		}
	case linux.MAP_PRIVATE:
		v.maxProt |= linux.PROT_WRITE
	default:
		return linux.EINVAL
	}
	if o.MaxProt&linux.PROT_READ == 0 {
		return linux.EACCES
	}
	if o.Prot&linux.PROT_EXEC != 0 && o.MaxProt&linux.PROT_EXEC == 0 {
		return linux.EPERM
	}
	if o.File.Mapped() == nil {
		return linux.ENODEV
	}
	if v.is(vmGrowsDown) {
		return linux.EINVAL
	}
	return 0
}

// mmap places and inserts a VMA that is ready.
func (as *AddressSpace) mmap(o *MMapOpts, v *vma, length uint64, fixed bool) (uint64, linux.Errno) {
	addr, populate, errno := as.place(o, v, length, fixed)
	if populate && errno == 0 {
		as.lockPopulate(addr, addr+length) // errors are ignored, as on Linux
	}
	return addr, errno
}

func (as *AddressSpace) place(o *MMapOpts, v *vma, length uint64, fixed bool) (addr uint64, populate bool, errno linux.Errno) {
	var ahead work
	if v.m != nil {
		ahead = as.answerAhead(v, length)
	}
	as.mu.Lock()
	defer as.unlock()
	if v.m != nil {
		v.m.users++ // of this call
		defer func() {
			if ahead.m != nil {
				as.putBacking(ahead.got)
			}
			as.release1(v.m)
		}()
	}
	v.flags |= as.lockAll
	if int64(as.vmas.Len()) > VM.MaxMapCount.Load() {
		return 0, false, linux.ENOMEM
	}
	addr = o.Addr
	if !fixed {
		var ok bool
		if addr, ok = as.findAddr(o.Addr, length, o.Flags&linux.MAP_32BIT != 0, v.is(vmGrowsDown)); !ok {
			return 0, false, linux.ENOMEM
		}
	} else if o.Flags&linux.MAP_FIXED_NOREPLACE != 0 && !as.free(addr, addr+length) {
		return 0, false, linux.EEXIST
	}
	if v.is(vmLocked) {
		if as.limits.MemLock == 0 && !as.limits.CapIPCLock && as.lockAll == 0 {
			return 0, false, linux.EPERM
		}
		if errno := as.mayLock(length); errno != 0 {
			return 0, false, errno
		}
	}
	if !v.is(vmSpecial) && !as.mayGrow(v.prot, v.flags, length-as.mappedIn(addr, addr+length)) {
		return 0, false, linux.ENOMEM
	}
	if v.is(vmAccount) && !VM.permit(length) {
		return 0, false, linux.ENOMEM
	}
	if fixed {
		as.unmapRange(addr, addr+length, true)
	}
	if v.m != nil {
		v.m.addr = addr
	}
	it := as.insertVMA(addr, addr+length, v)
	populate = o.Flags&linux.MAP_POPULATE != 0 && o.Flags&linux.MAP_NONBLOCK == 0 || v.flags&(vmLocked|vmLockOnFault) == vmLocked
	if ahead.m != nil {
		ahead.start = addr
		v.m.users++
		as.install(&ahead)
		ahead.m = nil
	}
	as.mapAhead(*it.Val(), addr, addr+length, populate)
	if errno := as.apply(); errno != 0 {
		return 0, false, errno
	}
	return addr, populate && v.m != nil, 0
}

// mappedIn is how many bytes of [start, end) are mapped.
func (as *AddressSpace) mappedIn(start, end uint64) (n uint64) {
	for it := as.vmas.Seek(start); it.Ok() && it.Start() < end; it = it.Next() {
		if !(*it.Val()).is(vmHidden) {
			n += min(end, it.End()) - max(start, it.Start())
		}
	}
	return n
}

// findAddr chooses an address: the hint if it is free, else from the top down, else from the bottom up.
func (as *AddressSpace) findAddr(hint, length uint64, low, growsDown bool) (uint64, bool) {
	lo := max(as.lo, VM.MinAddr.Load())
	below := uint64(0) // a stack keeps its own gap to what is below it
	if growsDown {
		below = stackGuardGap
	}
	hint = pageUp(hint)
	if hint != 0 && hint >= lo && length <= as.hi && hint <= as.hi-length && (!low || hint+length <= 1<<31) {
		it := as.vmas.Seek(hint)
		if (!it.Ok() || it.Start() >= hint+length && it.Start()-(hint+length) >= guardOf(it.Val())) && as.free(hint-min(hint, below), hint) {
			return hint, true
		}
	}
	if low {
		from := uint64(0x40000000) + rand.Uint64N(0x2000)<<pageShift
		return as.vmas.FindGapUp(max(from, lo), min(0x80000000, as.hi), length, pageSize)
	}
	if a, ok := as.vmas.FindGapDown(lo, min(as.base, as.hi), length+below, pageSize); ok {
		return a + below, true
	}
	a, ok := as.vmas.FindGapUp(max(lo, pageDown(as.hi/3)), as.hi, length+below, pageSize)
	if !ok {
		a, ok = as.vmas.FindGapUp(lo, as.hi, length+below, pageSize)
	}
	return a + below, ok
}

// MUnmap implements munmap(2).
func (as *AddressSpace) MUnmap(addr, length uint64) linux.Errno {
	if addr&pageMask != 0 || addr > as.hi || length > as.hi-addr {
		return linux.EINVAL
	}
	end := addr + pageUp(length)
	if end == addr {
		return linux.EINVAL
	}
	as.mu.Lock()
	defer as.unlock()
	it := as.vmas.Find(addr)
	if it.Ok() && it.Start() < addr && it.End() > end && int64(as.vmas.Len()) >= VM.MaxMapCount.Load() {
		return linux.ENOMEM
	}
	as.unmapRange(addr, end, false)
	return as.apply()
}

// unmapRange removes the VMAs and extents of [start, end). Spans that the platform reserved stay, unless force: a
// mapping goes there, and patches that lead there must end.
func (as *AddressSpace) unmapRange(start, end uint64, force bool) {
	as.splitVMA(start)
	as.splitVMA(end)
	for it := as.vmas.Seek(start); it.Ok() && it.Start() < end; {
		v := *it.Val()
		s, e := it.Start(), it.End()
		if v.is(vmHidden) {
			if !force {
				it = it.Next()
				continue
			}
			as.endPatches()
		}
		if v.prot&linux.PROT_EXEC != 0 {
			as.host.TextChanged(s, e-s)
		}
		as.count(v, e-s, false)
		as.forget(v)
		it = as.vmas.Remove(it)
		as.dropExts(s, e, false)
	}
}
