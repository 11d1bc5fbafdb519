package mm

import (
	"hornwork/host/mem"
	"hornwork/lib/interval"
	"hornwork/linux"
	"hornwork/platform"
)

// extent is what is behind a span of addresses: a piece of the memory file or of a host file. Its range is its key
// in AddressSpace.exts. A piece of the memory file has a reference on each of its pages.
type extent struct {
	off      uint64
	fd       int32
	mem      bool  // of the memory file
	wp       bool  // a write needs more work first: a copy, or the file's consent
	fromFile bool  // of the memory file, but the pages are a file's, not copies of them
	patched  bool  // text that a platform has patched; as.patches has the original bytes
	prot     uint8 // of the VMA
	stub     uint8 // protection that the stub's mapping has, or unmapped
}

const unmapped = 0xff

type extIter = interval.Iter[extent]

// hostProt is the protection to give to the stub.
func (e *extent) hostProt() uint8 {
	p := e.prot
	if p&(linux.PROT_WRITE|linux.PROT_EXEC) != 0 {
		p |= linux.PROT_READ
	}
	if e.wp {
		p &^= linux.PROT_WRITE
	}
	return p
}

func (e *extent) continues(n *extent, length uint64) bool {
	return e.off+length == n.off && e.fd == n.fd && e.mem == n.mem && e.wp == n.wp && e.fromFile == n.fromFile && e.patched == n.patched &&
		e.prot == n.prot && e.stub == n.stub
}

// span is the range of the memory file behind an extent.
func span(it extIter) mem.Range { return mem.Range{Off: it.Val().off, Len: it.End() - it.Start()} }

func (as *AddressSpace) countRSS(e *extent, length uint64, add bool) {
	n := int64(length >> pageShift)
	if !add {
		n = -n
	}
	if e.mem {
		as.stat.rssAnon += n
	} else {
		as.stat.rssFile += n
	}
	as.stat.rssPeak = max(as.stat.rssPeak, as.stat.rssAnon+as.stat.rssFile)
}

// insertExt adds an extent over free addresses. The reference on the memory becomes the extent's.
func (as *AddressSpace) insertExt(start, end uint64, e extent) extIter {
	as.countRSS(&e, end-start, true)
	return as.exts.Insert(start, end, e)
}

// boundary says whether a VMA begins at addr: extents never reach from one VMA into the next.
func (as *AddressSpace) boundary(addr uint64) bool {
	it := as.vmas.Seek(addr)
	return !it.Ok() || it.Start() >= addr
}

// mergeExt joins it with its neighbours where they continue each other.
func (as *AddressSpace) mergeExt(it extIter) extIter {
	if n := it.Next(); n.Ok() && n.Start() == it.End() && it.Val().continues(n.Val(), it.End()-it.Start()) && !as.boundary(n.Start()) {
		start, end := it.Start(), n.End()
		as.exts.Remove(n)
		it = as.exts.Find(start)
		as.exts.Resize(it, start, end)
	}
	if p := it.Prev(); p.Ok() && p.End() == it.Start() && p.Val().continues(it.Val(), p.End()-p.Start()) && !as.boundary(it.Start()) {
		start, end := p.Start(), it.End()
		as.exts.Remove(it)
		it = as.exts.Find(start)
		as.exts.Resize(it, start, end)
	}
	return it
}

// mergeRange joins what it can from the extent before start to the one after end.
func (as *AddressSpace) mergeRange(start, end uint64) {
	it := as.exts.Seek(start)
	for it.Ok() && it.Start() <= end {
		it = as.mergeExt(it).Next()
	}
}

// splitExt makes addr a boundary between extents, if one contains it.
func (as *AddressSpace) splitExt(addr uint64) {
	it := as.exts.Find(addr)
	if !it.Ok() || it.Start() == addr {
		return
	}
	e := *it.Val()
	start, end := it.Start(), it.End()
	e.off += addr - start
	as.exts.Resize(it, start, addr)
	as.exts.Insert(addr, end, e)
}

// isolate splits extents so that [start, end) is made of whole ones, and returns the first.
func (as *AddressSpace) isolate(start, end uint64) extIter {
	as.splitExt(start)
	as.splitExt(end)
	return as.exts.Seek(start)
}

// dropExts removes the extents in [start, end), and what the stub has mapped there unless keep. Memory is given
// back by the next apply, after the stub has let go.
func (as *AddressSpace) dropExts(start, end uint64, keep bool) {
	it := as.isolate(start, end)
	mapped := false
	for it.Ok() && it.Start() < end {
		e := it.Val()
		mapped = mapped || e.stub != unmapped
		if e.mem {
			as.puts = append(as.puts, span(it))
		}
		if e.patched {
			as.dropPatches(it.Start(), it.End())
		}
		as.countRSS(e, it.End()-it.Start(), false)
		it = as.exts.Remove(it)
	}
	if mapped && !keep {
		as.opUnmap(start, end)
	}
}

// opMap maps the extent at it into the stub, as its VMA allows now.
func (as *AddressSpace) opMap(it extIter, populate bool) {
	e := it.Val()
	p := e.hostProt()
	length := it.End() - it.Start()
	e.stub = p
	if k := len(as.ops) - 1; k >= 0 {
		o := &as.ops[k]
		if o.Kind == platform.OpMap && o.Addr+o.Len == it.Start() && o.Offset+o.Len == e.off && o.FD == e.fd &&
			o.Prot == platform.Prot(p) && o.Populate == populate {
			o.Len += length
			return
		}
	}
	as.ops = append(as.ops, platform.MapOp{Kind: platform.OpMap, Prot: platform.Prot(p), Populate: populate,
		FD: e.fd, Addr: it.Start(), Len: length, Offset: e.off})
}

// opProtect gives the extent at it the protection that it should have, if the stub has it mapped.
func (as *AddressSpace) opProtect(it extIter) {
	e := it.Val()
	p := e.hostProt()
	if e.stub == unmapped || e.stub == p {
		return
	}
	e.stub = p
	length := it.End() - it.Start()
	if k := len(as.ops) - 1; k >= 0 {
		o := &as.ops[k]
		if o.Kind == platform.OpProtect && o.Addr+o.Len == it.Start() && o.Prot == platform.Prot(p) {
			o.Len += length
			return
		}
	}
	as.ops = append(as.ops, platform.MapOp{Kind: platform.OpProtect, Prot: platform.Prot(p), Addr: it.Start(), Len: length})
}

func (as *AddressSpace) opUnmap(start, end uint64) {
	if k := len(as.ops) - 1; k >= 0 {
		if o := &as.ops[k]; o.Kind == platform.OpUnmap && o.Addr+o.Len == start {
			o.Len += end - start
			return
		}
	}
	as.ops = append(as.ops, platform.MapOp{Kind: platform.OpUnmap, Addr: start, Len: end - start})
}

// apply sends the collected operations to the stub, then gives memory back that nothing maps any more.
// When the stub cannot hold so many mappings it is emptied, and everything is mapped again as it is touched; if the
// next try fails too, there is no memory. A stub that is gone is no error here: its threads find out.
func (as *AddressSpace) apply() linux.Errno {
	errno, reachable := linux.Errno(0), false
	if len(as.ops) > 0 {
		errno = as.host.Apply(as.ops)
		if errno == linux.ESRCH {
			errno = 0
		}
		again := as.refused
		as.refused = errno != 0
		if as.refused {
			reachable = as.flush() != 0
			if errno == linux.ENOMEM && !again && !reachable {
				errno = 0
			}
		}
		as.ops = as.ops[:0]
		if cap(as.ops) > 512 {
			as.ops = nil
		}
	}
	if reachable {
		// The stub may still map these: they stay ours until it is dead.
		as.stuck = append(as.stuck, as.puts...)
	} else {
		for _, r := range as.puts {
			as.mf.Put(r)
		}
	}
	as.puts = as.puts[:0]
	if cap(as.puts) > 512 {
		as.puts = nil
	}
	return errno
}

// flush unmaps everything from the stub but what the platform keeps there.
func (as *AddressSpace) flush() linux.Errno {
	for it := as.exts.First(); it.Ok(); it = it.Next() {
		it.Val().stub = unmapped
	}
	as.ops = as.ops[:0]
	from := as.lo
	for it := as.vmas.First(); it.Ok(); it = it.Next() {
		if (*it.Val()).is(vmHidden) {
			if from < it.Start() {
				as.opUnmap(from, it.Start())
			}
			from = it.End()
		}
	}
	if from < as.hi {
		as.opUnmap(from, as.hi)
	}
	if errno := as.host.Apply(as.ops); errno != 0 && errno != linux.ESRCH {
		return linux.ENOMEM
	}
	return 0
}
