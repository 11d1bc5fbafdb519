package mm

import (
	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
)

const (
	minBlock  = 64 << 10 // a fault maps at least so much around itself
	maxBlock  = 2 << 20
	fileBlock = 1 << 30 // host files are mapped in one piece as far as they go
)

// Fault is the signal that a failed access earns.
type Fault struct {
	Signo, Code int32
	Addr        uint64
}

// HandleFault answers a page fault of guest code. ok: the access can be tried again. Access 0 means that the
// platform does not know what was tried: then a fault on memory that can be read already is taken for a write.
func (as *AddressSpace) HandleFault(addr uint64, access platform.Prot) (sig Fault, ok bool) {
	if addr < as.lo || addr >= as.hi {
		return Fault{linux.SIGSEGV, linux.SEGV_MAPERR, addr}, false
	}
	a := uint8(access)
	if a == 0 {
		a = as.guessAccess(addr)
	}
	sig = as.fault(addr, a, true)
	sig.Addr = addr
	return sig, sig.Signo == 0
}

func (as *AddressSpace) guessAccess(addr uint64) uint8 {
	as.mu.RLock()
	defer as.mu.RUnlock()
	if it := as.exts.Find(addr); it.Ok() {
		if e := it.Val(); e.stub != unmapped && e.stub == e.hostProt() && e.stub&linux.PROT_READ != 0 {
			return linux.PROT_WRITE
		}
	}
	return linux.PROT_READ
}

// fault makes the page at addr present for an access. guest says that the stub has tried it just now.
// The zero Fault is success.
func (as *AddressSpace) fault(addr uint64, access uint8, guest bool) Fault {
	var w work
	for {
		as.mu.Lock()
		if w.m != nil {
			as.install(&w)
			w = work{}
		}
		it := as.vmas.Find(addr)
		if !it.Ok() {
			it = as.growStack(addr)
		}
		if !it.Ok() || (*it.Val()).is(vmHidden) {
			as.unlock()
			return Fault{Signo: linux.SIGSEGV, Code: linux.SEGV_MAPERR}
		}
		if !allows((*it.Val()).prot, access) {
			as.applyUnlock()
			return Fault{Signo: linux.SIGSEGV, Code: linux.SEGV_ACCERR}
		}
		w = as.fill(it, addr, access&linux.PROT_WRITE != 0, guest)
		if w.m == nil {
			errno := as.applyUnlock()
			if w.errno != 0 {
				errno = w.errno
			}
			return faultOf(errno)
		}
		w.m.users++
		as.applyUnlock()
		if errno := as.ask(&w); errno != 0 {
			as.mu.Lock()
			as.release1(w.m)
			as.unlock()
			return faultOf(errno)
		}
		guest = false
	}
}

func (as *AddressSpace) applyUnlock() linux.Errno {
	errno := as.apply()
	as.unlock()
	return errno
}

// release1 drops a call's share of a mapping.
func (as *AddressSpace) release1(m *mapping) {
	if m.users--; m.users == 0 {
		as.dead = append(as.dead, m)
	}
}

// faultOf: Linux kills for want of memory, and sends SIGBUS for all else that a file says.
func faultOf(errno linux.Errno) Fault {
	switch errno {
	case 0:
		return Fault{}
	case linux.ENOMEM:
		return Fault{Signo: linux.SIGKILL}
	}
	return Fault{Signo: linux.SIGBUS, Code: linux.BUS_ADRERR}
}

// fill makes the page at addr present and mapped, as far as that needs no file. Else it returns what to ask.
func (as *AddressSpace) fill(vit vmaIter, addr uint64, write, guest bool) work {
	v := *vit.Val()
	x := as.exts.Seek(addr)
	if !x.Ok() || x.Start() > addr {
		if v.anon() {
			return work{errno: as.fillAnon(vit, addr)}
		}
		return as.askHole(vit, addr, write)
	}
	e := x.Val()
	switch {
	case write && e.patched:
		as.unpatch(pageDown(addr), pageDown(addr)+pageSize)
		return as.fill(vit, addr, write, guest)
	case write && e.wp && (v.is(vmShared) || !e.mem):
		s, t := as.block(vit, addr, max(x.Start(), vit.Start()), min(x.End(), vit.End()), minBlock)
		return work{m: v.m, inval: v.m.inval.Load(), start: s, end: t, off: v.off + s - vit.Start(), write: true, private: !v.is(vmShared)}
	case write && e.wp:
		return work{errno: as.breakCopy(x, addr)}
	case e.stub == e.hostProt() && guest && !e.mem:
		// The stub has it, and yet the guest faulted: the host file may have shrunk.
		p := pageDown(addr)
		return work{m: v.m, inval: v.m.inval.Load(), start: p, end: p + pageSize, off: v.off + p - vit.Start(), write: write, private: !v.is(vmShared)}
	case e.stub != e.hostProt():
		as.mapSome(x, addr)
	case guest:
		// Another thread was faster; or the stub lost it, then it comes again.
		if as.spurious == addr {
			as.mapSome(x, addr)
		}
		as.spurious = addr
	}
	return work{}
}

// mapSome maps an extent that the stub has not, or has with less rights: all of it, since one mapping costs the same
// as many pages of it. Page tables are filled only around addr when it is large.
func (as *AddressSpace) mapSome(x extIter, addr uint64) {
	if x.End()-x.Start() <= 4*minBlock {
		as.opMap(x, true)
		return
	}
	e := x.Val()
	if e.stub == unmapped {
		as.opMap(x, false)
	} else {
		as.opProtect(x)
	}
}

// hole is the span of a VMA around addr that has no extents.
func (as *AddressSpace) hole(vit vmaIter, addr uint64) (lo, hi uint64) {
	lo, hi = vit.Start(), vit.End()
	x := as.exts.Seek(addr)
	var p extIter
	if x.Ok() {
		hi = min(hi, x.Start())
		p = x.Prev()
	} else {
		p = as.exts.Last()
	}
	if p.Ok() {
		lo = max(lo, p.End())
	}
	return lo, hi
}

// block chooses what to make present around addr, inside [lo, hi): the aligned block of 64 KiB, or one that is four
// times the last if it continues that upwards or downwards.
func (as *AddressSpace) block(vit vmaIter, addr, lo, hi, least uint64) (start, end uint64) {
	v := *vit.Val()
	n := least
	p := pageDown(addr)
	if v.blockLen != 0 && (p == v.blockEnd || p+pageSize == v.blockEnd-v.blockLen) {
		if n = minBlock; v.blockLen >= minBlock/2 {
			n = min(nextPow2(v.blockLen)*4, maxBlock)
		}
	}
	start, end = addr&^(n-1), addr&^(n-1)+n
	start, end = max(start, lo), min(end, hi)
	v.blockEnd, v.blockLen = end, end-start
	return start, end
}

func nextPow2(x uint64) uint64 {
	n := uint64(pageSize)
	for n < x {
		n <<= 1
	}
	return n
}

// fillAnon gives new memory to a block around addr.
func (as *AddressSpace) fillAnon(vit vmaIter, addr uint64) linux.Errno {
	lo, hi := as.hole(vit, addr)
	start, end := as.block(vit, addr, lo, hi, minBlock)
	errno := as.newMemory(*vit.Val(), start, end, true)
	if errno == linux.ENOMEM && end-start > pageSize {
		errno = as.newMemory(*vit.Val(), pageDown(addr), pageDown(addr)+pageSize, true)
	}
	return errno
}

// newMemory puts zeroed memory behind [start, end), which has none, and maps it.
func (as *AddressSpace) newMemory(v *vma, start, end uint64, populate bool) linux.Errno {
	near := ^uint64(0)
	if p := as.exts.Seek(start - 1); p.Ok() && p.End() == start && p.Val().mem {
		near = span(p).End()
	}
	r, errno := as.mf.AllocNear(end-start, mem.Anon, near)
	if errno != 0 {
		return errno
	}
	x := as.insertExt(start, end, extent{off: r.Off, fd: as.mf.FD(), mem: true, prot: v.prot, stub: unmapped})
	if x.Val().hostProt() != 0 {
		as.opMap(x, populate)
	}
	as.mergeExt(x)
	return 0
}

// breakCopy makes private memory around addr writable: in place where nobody else has the pages any more, else by
// copying a block of them.
func (as *AddressSpace) breakCopy(x extIter, addr uint64) linux.Errno {
	e := *x.Val()
	page := pageDown(addr)
	lo := max(x.Start(), addr&^(minBlock-1))
	at := func(a uint64) uint64 { return e.off + a - x.Start() }
	n, sole := as.mf.SoleRun(mem.Range{Off: at(page), Len: min(x.End()-page, 2*maxBlock)})
	start, end := page, page+n
	if lo < page {
		if k, s := as.mf.SoleRun(mem.Range{Off: at(lo), Len: page - lo}); s == sole && k == page-lo {
			start = lo
		}
	}
	if sole {
		x = as.isolate(start, end)
		x.Val().wp, x.Val().fromFile = false, false
		if x.Val().stub == unmapped {
			as.opMap(x, end-start <= 4*minBlock)
		} else {
			as.opProtect(x)
		}
		as.mergeRange(start, end)
		return 0
	}
	end = min(end, addr&^(minBlock-1)+minBlock)
	r, errno := as.mf.Alloc(end-start, mem.Anon|mem.NoZero)
	if errno != 0 {
		start, end = page, page+pageSize
		if r, errno = as.mf.Alloc(pageSize, mem.Anon|mem.NoZero); errno != 0 {
			return errno
		}
	}
	copy(as.mf.Slice(r), as.mf.Slice(mem.Range{Off: at(start), Len: end - start}))
	as.dropExts(start, end, true)
	n2 := as.insertExt(start, end, extent{off: r.Off, fd: as.mf.FD(), mem: true, prot: e.prot, stub: unmapped})
	as.opMap(n2, true)
	as.mergeExt(n2)
	return 0
}

// growStack extends the stack above addr down to it, if there is one and limits allow.
func (as *AddressSpace) growStack(addr uint64) vmaIter {
	it := as.vmas.Seek(addr)
	none := vmaIter{}
	if !it.Ok() || !(*it.Val()).is(vmGrowsDown) {
		return none
	}
	v := *it.Val()
	start, end := it.Start(), it.End()
	to := pageDown(addr)
	if to < max(VM.MinAddr.Load(), as.lo) || end-to > as.limits.Stack || !as.mayGrow(v.prot, v.flags, start-to) {
		return none
	}
	if p := it.Prev(); p.Ok() && to-p.End() < stackGuardGap {
		if q := *p.Val(); !q.is(vmGrowsDown) && q.prot != 0 {
			return none
		}
	}
	if v.is(vmLocked) && as.mayLock(start-to) != 0 || v.is(vmAccount) && !VM.permit(start-to) {
		return none
	}
	as.vmas.Resize(it, to, end)
	as.count(v, start-to, true)
	return it
}
