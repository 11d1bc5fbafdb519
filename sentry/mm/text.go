package mm

import (
	"bytes"
	"slices"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
)

// Text that a platform patches. A patched page is a copy of its own in the memory file; every change swaps the
// whole page in the stub, so that no thread sees half of one. as.patches keeps the original bytes: the sentry
// serves them to all who read guest memory through it (write(2), process_vm_readv(2), /proc/pid/mem, ptrace), and
// restores them before the guest or the sentry writes there.
//
// Loads by the guest itself are another matter. On x86-64 nothing catches a load from a page that can be executed,
// but protection keys: with them the host maps PROT_EXEC alone without read permission, and a platform that
// sees such a fault may call Unpatch. Without them a guest that loads its own text sees the patched bytes.

var _ platform.TextMemory = (*AddressSpace)(nil)

const maxPatch = 16

type patch struct {
	addr uint64
	n    int
	old  [maxPatch]byte
}

func (p *patch) end() uint64 { return p.addr + uint64(p.n) }

// patchesIn is the index range of the patches that touch [start, end). Patches do not overlap.
func (as *AddressSpace) patchesIn(start, end uint64) (i, j int) {
	i, _ = slices.BinarySearchFunc(as.patches, start, func(p patch, a uint64) int {
		if p.end() <= a {
			return -1
		}
		return 1
	})
	for j = i; j < len(as.patches) && as.patches[j].addr < end; j++ {
	}
	return i, j
}

// original puts the original bytes into b, which was read at addr.
func (as *AddressSpace) original(b []byte, addr uint64) {
	i, j := as.patchesIn(addr, addr+uint64(len(b)))
	for _, p := range as.patches[i:j] {
		for k := range p.n {
			if a := p.addr + uint64(k); a >= addr && a-addr < uint64(len(b)) {
				b[a-addr] = p.old[k]
			}
		}
	}
}

// PatchText implements platform.TextMemory.
func (as *AddressSpace) PatchText(addr uint64, old, b []byte) linux.Errno {
	if len(old) != len(b) || len(b) == 0 || len(b) > maxPatch || addr&pageMask+uint64(len(b)) > pageSize {
		return linux.EINVAL
	}
	page := pageDown(addr)
	var w work
	for try := 0; ; try++ {
		as.mu.Lock()
		if w.m != nil {
			as.install(&w)
		}
		it := as.vmas.Find(addr)
		if !it.Ok() || try > 4 {
			as.applyUnlock()
			return linux.EFAULT
		}
		v := *it.Val()
		x := as.exts.Find(addr)
		if !x.Ok() || v.prot&linux.PROT_EXEC == 0 || v.prot&linux.PROT_WRITE != 0 || v.flags&(vmShared|vmHidden|vmSpecial) != 0 {
			as.applyUnlock()
			return linux.EACCES
		}
		if x.Val().mem {
			// A copy of a page that is just the file's stays marked so, and a child need not copy it.
			errno := as.patchPage(page, addr, old, b, x.Val().fromFile || w.copy)
			if e := as.applyUnlock(); errno == 0 {
				errno = e
			}
			return errno
		}
		w = work{m: v.m, inval: v.m.inval.Load(), start: page, end: page + pageSize, off: v.off + page - it.Start(), write: true, private: true}
		v.m.users++
		as.applyUnlock()
		if errno := as.ask(&w); errno != 0 {
			as.mu.Lock()
			as.release1(v.m)
			as.unlock()
			return errno
		}
	}
}

func (as *AddressSpace) patchPage(page, addr uint64, old, b []byte, pristine bool) linux.Errno {
	i, j := as.patchesIn(addr, addr+uint64(len(b)))
	if i != j {
		return linux.EEXIST
	}
	x := as.exts.Find(page)
	off := x.Val().off + page - x.Start()
	if !bytes.Equal(as.mf.Slice(mem.Range{Off: off + addr - page, Len: uint64(len(b))}), old) {
		return linux.EAGAIN
	}
	p := patch{addr: addr, n: len(b)}
	copy(p.old[:], old)
	errno := as.swapPage(page, true, pristine, func(dst []byte) { copy(dst[addr-page:], b) })
	if errno == 0 {
		as.patches = slices.Insert(as.patches, i, p)
	}
	return errno
}

// swapPage replaces a page of text by an edited copy.
func (as *AddressSpace) swapPage(page uint64, patched, pristine bool, edit func([]byte)) linux.Errno {
	r, errno := as.mf.Alloc(pageSize, mem.Anon|mem.NoZero)
	if errno != 0 {
		return errno
	}
	x := as.isolate(page, page+pageSize)
	e := *x.Val()
	dst := as.mf.Slice(r)
	copy(dst, as.mf.Slice(span(x)))
	edit(dst)
	x.Val().patched = false // the entries of as.patches are the caller's affair
	as.dropExts(page, page+pageSize, true)
	n := as.insertExt(page, page+pageSize, extent{off: r.Off, fd: as.mf.FD(), mem: true, prot: e.prot, stub: unmapped,
		patched: patched, fromFile: pristine, wp: pristine})
	if n.Val().hostProt() != 0 {
		as.opMap(n, true)
	}
	return 0
}

// dropPatches forgets the patches of pages that are going away.
func (as *AddressSpace) dropPatches(start, end uint64) {
	i, j := as.patchesIn(start, end)
	if i == j {
		return
	}
	as.patches = slices.Delete(as.patches, i, j)
	as.host.TextChanged(start, end-start)
}

// unpatch restores the original text of the pages in [start, end).
func (as *AddressSpace) unpatch(start, end uint64) linux.Errno {
	for {
		i, j := as.patchesIn(start, end)
		if i == j {
			return 0
		}
		page := pageDown(as.patches[i].addr)
		as.host.TextChanged(page, pageSize)
		x := as.exts.Find(page)
		pristine := x.Val().fromFile
		if errno := as.swapPage(page, false, pristine, func(dst []byte) { as.original(dst, page) }); errno != 0 {
			return errno
		}
		i, j = as.patchesIn(page, page+pageSize)
		as.patches = slices.Delete(as.patches, i, j)
	}
}

// endPatches restores all text: the platform is losing a span that patches may lead to.
func (as *AddressSpace) endPatches() {
	as.unpatch(0, as.hi)
}

// Unpatch restores the original text of a span: a platform that finds out that the guest reads it calls this.
func (as *AddressSpace) Unpatch(addr, length uint64) linux.Errno {
	as.mu.Lock()
	defer as.unlock()
	errno := as.unpatch(pageDown(addr), pageUp(addr+length))
	if e := as.apply(); errno == 0 {
		errno = e
	}
	return errno
}

// FindGap implements platform.TextMemory. The span belongs to the platform until the address space ends, or until
// the guest maps something fixed there: then all patches are undone first.
func (as *AddressSpace) FindGap(addr, length uint64) (uint64, linux.Errno) {
	length = pageUp(length)
	const reach = 1<<31 - 1<<20
	if length == 0 || length > reach {
		return 0, linux.EINVAL
	}
	as.mu.Lock()
	defer as.unlock()
	lo, hi := max(as.lo, VM.MinAddr.Load()), as.hi
	if addr > reach {
		lo = max(lo, pageUp(addr-reach))
	}
	if addr < hi-min(hi, reach) {
		hi = min(hi, pageDown(addr+reach))
	}
	// Below the text, far from where a heap grows; the free span nearest below, else above.
	at, ok := as.vmas.FindGapDown(lo, min(pageDown(addr), hi), length, pageSize)
	if !ok {
		at, ok = as.vmas.FindGapUp(max(pageDown(addr), lo), hi, length, pageSize)
	}
	if !ok {
		return 0, linux.ENOMEM
	}
	as.vmas.Insert(at, at+length, &vma{flags: vmHidden | vmDontFork})
	return at, 0
}

// ReadText implements platform.TextMemory.
func (as *AddressSpace) ReadText(addr uint64, b []byte) linux.Errno {
	_, errno := as.CopyIn(b, addr)
	return errno
}
