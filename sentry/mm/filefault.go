package mm

import (
	"hornwork/host/mem"
	"hornwork/linux"
)

// work is a question to a file, asked without the lock: what is behind [start, end), which begins at off.
// While it is under way it holds a share of m.
type work struct {
	m          *mapping
	inval      uint64 // of m when asked
	start, end uint64
	off        uint64
	at         uint64 // the page that matters, if not the first
	write      bool
	private    bool

	got   Backing // the answer
	copy  bool    // got is a private copy, made for a write
	errno linux.Errno
}

// askHole is the question for a hole around addr.
func (as *AddressSpace) askHole(vit vmaIter, addr uint64, write bool) work {
	v := *vit.Val()
	lo, hi := as.hole(vit, addr)
	w := work{m: v.m, inval: v.m.inval.Load(), write: write, private: !v.is(vmShared)}
	if v.m.hostFile && !(write && w.private) {
		w.start, w.end = max(lo, addr&^(minBlock-1)), hi
		w.end = min(w.end, w.start+fileBlock)
	} else {
		w.start, w.end = as.block(vit, addr, lo, hi, minBlock)
	}
	w.off = v.off + w.start - vit.Start()
	// A block around addr may begin before it and yet end before it, if the file is in pieces: then ask again from
	// addr on. See ask.
	w.at = pageDown(addr)
	return w
}

// ask asks the file. No locks are held.
func (as *AddressSpace) ask(w *work) linux.Errno {
	b, errno := w.m.file.Backing(w.off, w.end-w.start, w.write && !w.private)
	if errno == 0 && w.at >= w.start+b.Len || errno != 0 && w.at > w.start {
		if errno == 0 {
			as.putBacking(b)
		}
		w.off += w.at - w.start
		w.start = w.at
		b, errno = w.m.file.Backing(w.off, w.end-w.start, w.write && !w.private)
	}
	if errno != 0 {
		return errno
	}
	if b.Len == 0 || b.Len&pageMask != 0 || b.Offset&pageMask != 0 || b.Offset+b.Len < b.Offset {
		return linux.EIO
	}
	if over := w.end - w.start; b.Len > over {
		if b.Mem {
			as.mf.Put(mem.Range{Off: b.Offset + over, Len: b.Len - over})
		}
		b.Len = over
	}
	if w.write && !w.private && !b.Write {
		as.putBacking(b)
		return linux.EACCES
	}
	w.got = b
	if w.write && w.private && !b.Mem {
		return as.copyFile(w)
	}
	return 0
}

func (as *AddressSpace) putBacking(b Backing) {
	if b.Mem {
		as.mf.Put(mem.Range{Off: b.Offset, Len: b.Len})
	}
}

// copyFile replaces the answer by a private copy in the memory file. What is beyond the end of the file in its last
// page is zero.
func (as *AddressSpace) copyFile(w *work) linux.Errno {
	r, errno := as.mf.Alloc(w.got.Len, mem.Anon|mem.NoZero)
	if errno != 0 {
		return errno
	}
	b := as.mf.Slice(r)
	n := 0
	for n < len(b) {
		k, errno := w.m.file.ReadAt(b[n:], w.off+uint64(n))
		if errno != 0 {
			as.mf.Put(r)
			return errno
		}
		if k <= 0 {
			break
		}
		n += k
	}
	clear(b[n:])
	w.got = Backing{FD: as.mf.FD(), Mem: true, Offset: r.Off, Len: r.Len, Write: true}
	w.copy = true
	return 0
}

// install puts an answer behind the addresses it was asked for, as far as nothing has changed since. It drops the
// question's share of the mapping.
func (as *AddressSpace) install(w *work) {
	defer as.release1(w.m)
	b := w.got
	start, end := w.start, w.start+b.Len
	it := as.vmas.Find(start)
	if !it.Ok() || (*it.Val()).m != w.m || (*it.Val()).off+start-it.Start() != w.off || w.m.inval.Load() != w.inval {
		as.putBacking(b)
		return
	}
	v := *it.Val()
	if !b.Mem {
		w.m.hostFile = true
	}
	end = min(end, it.End())
	e := extent{fd: b.FD, mem: b.Mem, prot: v.prot, stub: unmapped}
	if !w.copy {
		e.fromFile = b.Mem
		e.wp = w.private || !b.Write
	}
	for a := start; a < end; {
		x := as.exts.Seek(a)
		stop := end
		switch {
		case !x.Ok() || x.Start() >= end:
		case x.Start() > a:
			stop = x.Start()
		case as.replaces(w, x):
			stop = min(end, x.End())
			as.dropExts(a, stop, v.prot != 0)
		default:
			// Somebody else was faster here; or a private copy is there already.
			stop = min(end, x.End())
			as.putBacking(Backing{Mem: b.Mem, Offset: b.Offset + a - start, Len: stop - a})
			a = stop
			continue
		}
		e.off = b.Offset + a - start
		n := as.insertExt(a, stop, e)
		if n.Val().hostProt() != 0 {
			as.opMap(n, stop-a <= 4*minBlock)
		}
		as.mergeExt(n)
		a = stop
	}
	if over := start + b.Len - end; over > 0 {
		as.putBacking(Backing{Mem: b.Mem, Offset: b.Offset + end - start, Len: over})
	}
}

// replaces says whether an answer is better than what is there: the write that the extent at x does not permit, or
// the same host file again.
func (as *AddressSpace) replaces(w *work, x extIter) bool {
	e := x.Val()
	if w.private && e.mem && !e.fromFile {
		return false
	}
	return w.write && e.wp || !e.mem && !w.got.Mem
}

// mapAhead makes what a new mapping is likely to need present at once, in the same Apply.
func (as *AddressSpace) mapAhead(v *vma, start, end uint64, populate bool) {
	if !v.anon() || v.prot == 0 {
		return
	}
	if !populate && (v.prot&linux.PROT_WRITE == 0 || end-start > aheadMax || v.is(vmNoReserve|vmGrowsDown)) {
		return
	}
	as.fillRange(v, start, end)
}

// fillRange gives memory to all holes of a private anonymous VMA in [start, end), as far as there is memory.
func (as *AddressSpace) fillRange(v *vma, start, end uint64) linux.Errno {
	for a := start; a < end; {
		x := as.exts.Seek(a)
		if x.Ok() && x.Start() <= a {
			a = x.End()
			continue
		}
		stop := end
		if x.Ok() {
			stop = min(stop, x.Start())
		}
		// Pieces end at multiples of 2 MiB, so that the host can use huge pages.
		stop = min(stop, (a|(maxBlock-1))+1)
		if errno := as.newMemory(v, a, stop, true); errno != 0 {
			return errno
		}
		a = stop
	}
	return 0
}

const aheadMax = 64 << 10 // larger anonymous mappings are filled by faults

// answerAhead asks a file what is behind a mapping that is about to be made, so that its pages go over with it. A
// small private writable piece is copied at once: it is .data of a program, and relocation writes it.
func (as *AddressSpace) answerAhead(v *vma, length uint64) (w work) {
	if v.prot == 0 {
		return work{}
	}
	w = work{m: v.m, inval: v.m.inval.Load(), off: v.off, end: length, private: !v.is(vmShared)}
	w.write = w.private && v.prot&linux.PROT_WRITE != 0 && length <= aheadMax
	// How much of a file in the memory file is worth mapping is the file's affair; ask for little at first.
	w.end = min(length, maxBlock)
	if as.ask(&w) != 0 {
		return work{}
	}
	if !w.got.Mem && w.got.Len == maxBlock && length > maxBlock {
		more := work{m: v.m, inval: w.inval, off: v.off, end: length, private: w.private}
		if as.ask(&more) == 0 && !more.got.Mem {
			return more
		} else if more.got.Mem {
			as.putBacking(more.got)
		}
	}
	return w
}
