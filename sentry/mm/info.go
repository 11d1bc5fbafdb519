package mm

import (
	"hornwork/linux"
)

// stats are counts of pages.
type stats struct {
	total, peak, data, stack, exec, locked int64
	rssAnon, rssFile, rssPeak              int64
}

// Stats is what /proc/pid/{status,statm} show, in bytes.
type Stats struct {
	VMPeak, VMSize, VMLck, VMData, VMStk, VMExe, VMLib uint64
	RSSAnon, RSSFile, RSSPeak                          uint64
}

// Layout is where the parts of a program are: prctl(PR_SET_MM), /proc/pid/stat.
type Layout struct {
	StartCode, EndCode, StartData, EndData uint64
	StartBrk, Brk                          uint64
	StackTop, StartStack                   uint64
	ArgStart, ArgEnd, EnvStart, EnvEnd     uint64
}

// Layout returns the layout.
func (as *AddressSpace) Layout() Layout {
	as.mu.RLock()
	defer as.mu.RUnlock()
	return as.layout
}

// SetLayout changes the layout by fn, which sees the present one.
func (as *AddressSpace) SetLayout(fn func(l *Layout)) {
	as.mu.Lock()
	fn(&as.layout)
	as.mu.Unlock()
}

// StackTop is where execve(2) ends the stack: random, page aligned, in an otherwise empty area.
func (as *AddressSpace) StackTop() uint64 { return as.Layout().StackTop }

// MMapBase is where mmap(2) begins to search, downwards.
func (as *AddressSpace) MMapBase() uint64 {
	as.mu.RLock()
	defer as.mu.RUnlock()
	return as.base
}

// SetMMapBase replaces MMapBase: personality(2)'s ADDR_NO_RANDOMIZE, or an unlimited stack.
func (as *AddressSpace) SetMMapBase(base uint64) {
	as.mu.Lock()
	as.base = pageDown(min(base, as.hi))
	as.mu.Unlock()
}

// Stats returns the counts.
func (as *AddressSpace) Stats() Stats {
	as.mu.RLock()
	defer as.mu.RUnlock()
	b := func(n int64) uint64 { return uint64(max(n, 0)) << pageShift }
	s := &as.stat
	exe := pageUp(as.layout.EndCode) - pageDown(as.layout.StartCode)
	return Stats{VMPeak: b(s.peak), VMSize: b(s.total), VMLck: b(s.locked), VMData: b(s.data), VMStk: b(s.stack),
		VMExe: min(exe, b(s.exec)), VMLib: b(s.exec) - min(exe, b(s.exec)),
		RSSAnon: b(s.rssAnon), RSSFile: b(s.rssFile), RSSPeak: b(s.rssPeak)}
}

// VMAInfo describes a VMA to /proc.
type VMAInfo struct {
	Start, End uint64
	Prot       uint8
	Shared     bool
	Offset     uint64
	Dev, Ino   uint64
	Name       string
	// In bytes.
	RSS, Anonymous, Locked uint64
	VmFlags                string // as in smaps: "rd wr mr mw me ac "
}

// VMAs calls fn for every VMA, in order, until it returns false. It sees each one as it is at that moment; fn may
// take any lock, and may be slow.
func (as *AddressSpace) VMAs(fn func(VMAInfo) bool) {
	for next := uint64(0); ; {
		as.mu.RLock()
		it := as.vmas.Seek(next)
		for it.Ok() && (*it.Val()).is(vmHidden) {
			it = it.Next()
		}
		if !it.Ok() {
			as.mu.RUnlock()
			return
		}
		info, m := as.describe(it)
		as.mu.RUnlock()
		if m != nil {
			info.Dev, info.Ino = m.file.MapIdentity()
			info.Name = m.ref.PathName()
			m.ref.PutRef()
		}
		if !fn(info) {
			return
		}
		next = info.End
	}
}

// describe fills in what the lock protects. A mapping is returned with a reference on its file. Neighbours that
// differ for us alone (two mmap calls of one file) are shown as one, as Linux would have merged them.
func (as *AddressSpace) describe(it vmaIter) (VMAInfo, *mapping) {
	v := *it.Val()
	info := VMAInfo{Start: it.Start(), End: it.End(), Prot: v.prot, Shared: v.is(vmShared), Name: v.name, VmFlags: flagText(v)}
	if v.m != nil {
		info.Offset = v.off
		v.m.ref.GetRef()
		for n := it.Next(); n.Ok() && n.Start() == info.End; n = n.Next() {
			w := *n.Val()
			if w.m == nil || w.prot != v.prot || w.flags != v.flags || w.m.file != v.m.file || w.off != v.off+info.End-info.Start {
				break
			}
			info.End = n.End()
		}
	} else if v.name == "" {
		info.Name = as.areaName(it)
	}
	for x := as.exts.Seek(info.Start); x.Ok() && x.Start() < info.End; x = x.Next() {
		n := min(x.End(), info.End) - max(x.Start(), info.Start)
		info.RSS += n
		if e := x.Val(); e.mem && !e.fromFile && !v.is(vmShared) {
			info.Anonymous += n
		}
	}
	if v.is(vmLocked) {
		info.Locked = info.RSS
	}
	return info, v.m
}

// areaName is [heap] or [stack] for the VMAs that touch those areas.
func (as *AddressSpace) areaName(it vmaIter) string {
	l := &as.layout
	if l.Brk > l.StartBrk && it.Start() < pageUp(l.Brk) && it.End() > l.StartBrk {
		return "[heap]"
	}
	if it.Start() <= l.StartStack && it.End() >= l.StartStack && l.StartStack != 0 {
		return "[stack]"
	}
	return ""
}

func flagText(v *vma) string {
	b := make([]byte, 0, 64)
	add := func(on bool, s string) {
		if on {
			b = append(append(b, s...), ' ')
		}
	}
	add(v.prot&linux.PROT_READ != 0, "rd")
	add(v.prot&linux.PROT_WRITE != 0, "wr")
	add(v.prot&linux.PROT_EXEC != 0, "ex")
	add(v.is(vmShared), "sh")
	add(v.maxProt&linux.PROT_READ != 0, "mr")
	add(v.maxProt&linux.PROT_WRITE != 0, "mw")
	add(v.maxProt&linux.PROT_EXEC != 0, "me")
	add(v.is(vmShared), "ms")
	add(v.is(vmGrowsDown), "gd")
	add(v.is(vmLocked), "lo")
	add(v.is(vmSequential), "sr")
	add(v.is(vmRandom), "rr")
	add(v.is(vmDontFork), "dc")
	add(v.is(vmDontExpand), "de")
	add(v.is(vmAccount), "ac")
	add(v.is(vmNoReserve), "nr")
	add(v.is(vmWipeOnFork), "wf")
	add(v.is(vmDontDump|vmSpecial), "dd")
	add(v.is(vmHuge), "hg")
	add(v.is(vmNoHuge), "nh")
	add(v.is(vmMergeable), "mg")
	return string(b)
}
