package mm

import (
	"hornwork/host/mem"
	"hornwork/linux"
)

// Fork implements what fork(2) does with memory: the child has all VMAs (but MADV_DONTFORK), shares all pages, and
// both sides write to copies of private ones. The parent's memory is write-protected by one Apply; the
// child's stub gets all that is resident by another, so that it takes few faults.
func (as *AddressSpace) Fork() (*AddressSpace, linux.Errno) {
	child, errno := New(as.plat, as.mf)
	if errno != 0 {
		return nil, errno
	}
	// Files must know the child before it takes over what they said to the parent. They are told without the
	// lock; if the parent has mapped more meanwhile, once again.
	twins := map[*mapping]*mapping{}
	for !as.tryFork(child, twins, &errno) {
		as.mu.Lock()
		missing := as.untwinned(twins)
		for _, m := range missing {
			m.users++
		}
		as.unlock()
		for _, m := range missing {
			twins[m] = newMapping(child, m.ref, m.off, m.len, m.sharedWritable)
		}
		as.mu.Lock()
		child.mu.LockNested()
		for _, m := range missing {
			twins[m].addr, twins[m].hostFile = m.addr, m.hostFile
			as.release1(m)
		}
		child.mu.Unlock()
		as.unlock()
	}
	child.mu.Lock()
	for _, t := range twins {
		child.release1(t) // the share that twins had: see forkVMAs
	}
	child.unlock()
	if errno != 0 {
		child.Put()
		return nil, errno
	}
	return child, 0
}

// untwinned lists the mappings that have no counterpart in the child yet.
func (as *AddressSpace) untwinned(twins map[*mapping]*mapping) (out []*mapping) {
	seen := map[*mapping]bool{}
	for it := as.vmas.First(); it.Ok(); it = it.Next() {
		if v := *it.Val(); v.m != nil && !v.is(vmDontFork) && twins[v.m] == nil && !seen[v.m] {
			seen[v.m] = true
			out = append(out, v.m)
		}
	}
	return out
}

// tryFork copies everything into the child, or returns false when mappings lack a counterpart.
func (as *AddressSpace) tryFork(child *AddressSpace, twins map[*mapping]*mapping, errno *linux.Errno) bool {
	as.mu.Lock()
	defer as.unlock()
	if len(as.untwinned(twins)) > 0 {
		return false
	}
	child.mu.LockNested()
	defer child.unlock()
	for _, t := range twins {
		t.users++
	}
	child.limits, child.layout, child.base = as.limits, as.layout, as.base
	if *errno = as.forkVMAs(child, twins); *errno != 0 {
		return true
	}
	*errno = as.forkExts(child)
	for _, a := range []*AddressSpace{as, child} {
		if e := a.apply(); *errno == 0 {
			*errno = e
		}
	}
	return true
}

func (as *AddressSpace) forkVMAs(child *AddressSpace, twins map[*mapping]*mapping) linux.Errno {
	var promised uint64
	for it := as.vmas.First(); it.Ok(); it = it.Next() {
		if v := *it.Val(); v.is(vmAccount) && !v.is(vmDontFork) {
			promised += it.End() - it.Start()
		}
	}
	if promised > 0 && !VM.permit(promised) {
		return linux.ENOMEM
	}
	for it := as.vmas.First(); it.Ok(); it = it.Next() {
		v := *it.Val()
		if v.is(vmDontFork | vmHidden) {
			continue
		}
		w := new(vma)
		*w = *v
		w.flags &^= vmLocked | vmLockOnFault
		if w.m != nil {
			w.m = twins[v.m]
			w.m.users++
		}
		child.count(w, it.End()-it.Start(), true)
		child.vmas.Insert(it.Start(), it.End(), w)
	}
	return 0
}

// forkExts shares the extents. Private pages become copy-on-write on both sides.
func (as *AddressSpace) forkExts(child *AddressSpace) linux.Errno {
	pins := as.writePins.Load() != 0
	vit := as.vmas.First()
	for it := as.exts.First(); it.Ok(); {
		for vit.Ok() && vit.End() <= it.Start() {
			vit = vit.Next()
		}
		if !vit.Ok() {
			break
		}
		v, e, end := *vit.Val(), it.Val(), it.End()
		private := !v.is(vmShared) && e.mem
		var errno linux.Errno
		switch {
		case v.is(vmDontFork | vmWipeOnFork):
		case e.patched:
			errno = as.forkPatched(child, it)
		case private && pins && !e.wp:
			if errno := as.forkPinned(child, it); errno != 0 {
				return errno
			}
			it = as.exts.Seek(end)
			continue
		default:
			if private {
				e.wp = true
				as.opProtect(it)
			}
			if e.mem {
				as.mf.Get(span(it))
			}
			child.adopt(it.Start(), end, *e)
		}
		if errno != 0 {
			return errno
		}
		it = it.Next()
	}
	return 0
}

// adopt takes a parent's extent over, with a reference on its memory. What the parent's stub has mapped is mapped at
// once, which costs three microseconds for each span that is contiguous in the memory file; page tables are left
// to the host, because most of what a child touches first it writes, and that is a fault of ours anyway.
func (as *AddressSpace) adopt(start, end uint64, e extent) {
	resident := e.stub != unmapped
	e.stub = unmapped
	x := as.insertExt(start, end, e)
	if e.hostProt() != 0 && resident {
		as.opMap(x, false)
	}
}

// forkPatched gives the child unpatched text: its platform has no trampolines yet. Text that is the file's comes
// from the file again; other text is copied.
func (as *AddressSpace) forkPatched(child *AddressSpace, it extIter) linux.Errno {
	e := *it.Val()
	if e.fromFile {
		return 0
	}
	r, errno := as.mf.Alloc(it.End()-it.Start(), mem.Anon|mem.NoZero)
	if errno != 0 {
		return errno
	}
	b := as.mf.Slice(r)
	copy(b, as.mf.Slice(span(it)))
	as.original(b, it.Start())
	e.off, e.patched = r.Off, false
	child.adopt(it.Start(), it.End(), e)
	return 0
}

// forkPinned shares an extent of which the sentry may be writing pages right now for another thread: pages with more
// than one reference. The child gets a copy of those, so that the parent keeps the page that is being written.
func (as *AddressSpace) forkPinned(child *AddressSpace, it extIter) linux.Errno {
	start, end := it.Start(), it.End()
	for a := start; a < end; {
		x := as.exts.Find(a)
		c := *x.Val()
		off := c.off + a - x.Start()
		n, sole := as.mf.SoleRun(mem.Range{Off: off, Len: end - a})
		c.off = off
		if sole {
			x = as.isolate(a, a+n)
			x.Val().wp, c.wp = true, true
			as.opProtect(x)
			as.mf.Get(mem.Range{Off: off, Len: n})
		} else {
			r, errno := as.mf.Alloc(n, mem.Anon|mem.NoZero)
			if errno != 0 {
				return errno
			}
			copy(as.mf.Slice(r), as.mf.Slice(mem.Range{Off: off, Len: n}))
			c.off = r.Off
		}
		child.adopt(a, a+n, c)
		a += n
	}
	return 0
}
