package loader

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Where Linux puts things; its TASK_SIZE is a page more than the highest address of a program.
const (
	dynBase     = 0x7ffffffff000 / 3 * 2 &^ (pageSize - 1) // ELF_ET_DYN_BASE
	mmapRndBits = 28
	brkRandom   = 32 << 20
	stackExtra  = 128 << 10       // mapped below the initial stack pointer
	stackGap    = 128<<20 + 1<<20 // between the top of the stack and the mappings, without randomisation
)

// LoadArgs is what Program.Load needs to know besides the program.
type LoadArgs struct {
	// FileRef makes a file of the vfs one that mm can map.
	FileRef func(*vfs.Caller, *vfs.File) mm.FileRef
	VDSO    *VDSO // nil: none
	// The new credentials, as numbers of the process's user namespace, and whether they were gained.
	UID, EUID, GID, EGID uint32
	Secure               bool
	// NoRandomize is ADDR_NO_RANDOMIZE of personality(2).
	NoRandomize bool
}

// Image is a loaded program.
type Image struct {
	Entry, SP uint64 // of the first instruction, in the interpreter if there is one
	// Aux is the auxiliary vector as /proc/pid/auxv shows it, AT_NULL included.
	Aux []byte
	// What /proc/pid/stat and prctl(PR_SET_MM) know.
	StartCode, EndCode, StartData, EndData uint64
	Brk                                    uint64 // where the heap starts
	StartStack                             uint64
	ArgStart, ArgEnd, EnvStart, EnvEnd     uint64
	Base                                   uint64 // of the interpreter; 0 if there is none
	VDSO                                   uint64 // 0 if there is none
}

// space is what loading does to an address space: *mm.AddressSpace.
type space interface {
	usermem.Memory
	MMap(o *mm.MMapOpts) (uint64, linux.Errno)
	MUnmap(addr, length uint64) linux.Errno
	Range() (lo, hi uint64)
}

// loading is one Load on its way.
type loading struct {
	c  *vfs.Caller
	p  *Program
	a  *LoadArgs
	as space
	hi uint64
	Image
	bias uint64 // of the program
	end  uint64 // of its highest segment
}

// Load maps the program into as, which is new and empty but for its layout, and sets the layout and the heap.
func (p *Program) Load(c *vfs.Caller, as *mm.AddressSpace, a *LoadArgs) (*Image, linux.Errno) {
	if a.NoRandomize {
		_, hi := as.Range()
		as.SetLayout(func(l *mm.Layout) { l.StackTop = hi - pageSize })
		as.SetMMapBase(hi - pageSize - stackGap)
	}
	img, errno := p.load(c, as, as.StackTop(), a)
	if errno != 0 {
		return nil, errno
	}
	as.SetBrkStart(img.Brk)
	as.SetLayout(func(l *mm.Layout) {
		l.StartCode, l.EndCode, l.StartData, l.EndData = img.StartCode, img.EndCode, img.StartData, img.EndData
		l.StartStack = img.StartStack
		l.ArgStart, l.ArgEnd, l.EnvStart, l.EnvEnd = img.ArgStart, img.ArgEnd, img.EnvStart, img.EnvEnd
	})
	return img, 0
}

// load maps everything. stackTop is where the stack ends.
func (p *Program) load(c *vfs.Caller, as space, stackTop uint64, a *LoadArgs) (*Image, linux.Errno) {
	_, hi := as.Range()
	l := &loading{c: c, p: p, a: a, as: as, hi: hi}
	var random [16]byte
	rand.Read(random[:]) // never fails
	shift := uint64(0)
	if !a.NoRandomize {
		shift = randomBelow(8192)
	}
	stack := buildStack(stackTop, p.Argv, p.envv, p.filename, random, shift, l.auxTypes())
	for _, step := range []func() linux.Errno{
		func() linux.Errno { return l.mapStack(stackTop, stack.sp) },
		l.mapProgram,
		l.mapInterp,
		l.mapVDSO,
	} {
		if errno := step(); errno != 0 {
			return nil, errno
		}
	}
	l.placeBrk()
	l.fillAux(stack)
	if n, errno := as.CopyOut(stack.sp, stack.data); errno != 0 || n < len(stack.data) {
		return nil, linux.EFAULT
	}
	l.SP, l.StartStack = stack.sp, stack.sp
	l.ArgStart, l.ArgEnd, l.EnvStart, l.EnvEnd = stack.argStart, stack.argEnd, stack.envStart, stack.envEnd
	return &l.Image, 0
}

// mapStack maps the stack: what is on it now and a little more; the rest grows.
func (l *loading) mapStack(top, sp uint64) linux.Errno {
	if sp > top || sp < stackExtra+pageSize {
		return linux.ENOMEM
	}
	bottom := pageDown(sp - stackExtra)
	prot := uint32(linux.PROT_READ | linux.PROT_WRITE)
	if l.p.elf.execStack {
		prot |= linux.PROT_EXEC
	}
	_, errno := l.as.MMap(&mm.MMapOpts{Addr: bottom, Len: top - bottom, Prot: prot, Name: "[stack]",
		Flags: linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_FIXED | linux.MAP_GROWSDOWN | linux.MAP_STACK})
	return errno
}

// mapProgram maps the executable. A PIE goes to Linux's place for it; a static PIE, which may be an interpreter
// that was called by name, among the mappings.
func (l *loading) mapProgram() linux.Errno {
	e := l.p.elf
	first, size, errno := e.span(l.hi)
	if errno != 0 {
		return errno
	}
	if e.typ == linux.ET_DYN {
		base := uint64(0)
		if l.p.interp != nil {
			base = dynBase
			if !l.a.NoRandomize {
				base += randomBelow(1<<mmapRndBits) * pageSize
			}
			base &^= e.maxAlign() - 1
		}
		if base, errno = l.reserve(base, size, e.maxAlign()); errno != 0 {
			return errno
		}
		l.bias = base - first
	}
	if errno := l.mapSegments(l.p.File, e, l.bias); errno != 0 {
		return errno
	}
	l.Entry = e.entry + l.bias
	l.StartCode, l.StartData = ^uint64(0), 0
	for i := range e.segments {
		s := &e.segments[i]
		start, fileEnd := l.bias+s.vaddr, l.bias+s.vaddr+s.filesz
		if s.flags&linux.PF_X != 0 {
			l.StartCode = min(l.StartCode, start)
			l.EndCode = max(l.EndCode, fileEnd)
		}
		l.StartData = max(l.StartData, start)
		l.EndData = max(l.EndData, fileEnd)
		l.end = max(l.end, start+s.memsz)
	}
	return 0
}

// mapInterp maps the interpreter of PT_INTERP and makes its entry the program's.
func (l *loading) mapInterp() linux.Errno {
	e := l.p.interp
	if e == nil {
		if l.Entry >= l.hi {
			return linux.EINVAL
		}
		return 0
	}
	first, size, errno := e.span(l.hi)
	if errno != 0 {
		return errno
	}
	bias := uint64(0)
	if e.typ == linux.ET_DYN {
		base, errno := l.reserve(0, size, e.maxAlign())
		if errno != 0 {
			return errno
		}
		bias = base - first
	}
	if errno := l.mapSegments(l.p.ld, e, bias); errno != 0 {
		return errno
	}
	l.Base = bias
	l.Entry = bias + e.entry
	if l.Entry >= l.hi {
		return linux.EINVAL
	}
	return 0
}

// reserve finds room for an image: at base, or anywhere if that is 0. Nobody else maps meanwhile, so
// that the room can be given back at once.
func (l *loading) reserve(base, size, align uint64) (uint64, linux.Errno) {
	o := mm.MMapOpts{Addr: base, Len: size, Flags: linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_NORESERVE}
	if base != 0 {
		o.Flags |= linux.MAP_FIXED_NOREPLACE
	} else if align > pageSize {
		if align > l.hi || size > l.hi-align {
			return 0, linux.ENOMEM
		}
		o.Len += align
	}
	addr, errno := l.as.MMap(&o)
	if errno != 0 {
		return 0, errno
	}
	if errno := l.as.MUnmap(addr, o.Len); errno != 0 {
		return 0, errno
	}
	return (addr + o.Len - size) &^ (align - 1), 0
}

// mapSegments maps the PT_LOADs of a file.
func (l *loading) mapSegments(f *vfs.File, e *elfFile, bias uint64) linux.Errno {
	ref := l.a.FileRef(l.c, f)
	if ref == nil {
		return linux.ENOEXEC
	}
	for i := range e.segments {
		flags := uint32(linux.MAP_PRIVATE | linux.MAP_FIXED)
		if i == 0 { // must not come over the stack or the program
			flags = linux.MAP_PRIVATE | linux.MAP_FIXED_NOREPLACE
		}
		if errno := l.mapSegment(ref, &e.segments[i], bias, flags); errno != 0 {
			return errno
		}
	}
	return 0
}

// mapSegment maps the part of a segment that is in the file, clears the rest of its last page, and maps
// anonymous memory for what is left.
func (l *loading) mapSegment(ref mm.FileRef, s *segment, bias uint64, flags uint32) linux.Errno {
	start := pageDown(bias + s.vaddr)
	fileEnd, end := bias+s.vaddr+s.filesz, pageUp(bias+s.vaddr+s.memsz)
	if end > l.hi || end < start {
		return linux.ENOMEM
	}
	bss := start
	if s.filesz > 0 {
		bss = pageUp(fileEnd)
		_, errno := l.as.MMap(&mm.MMapOpts{Addr: start, Len: bss - start, Prot: s.prot(), Flags: flags, File: ref,
			Offset: pageDown(s.offset), MaxProt: linux.PROT_READ | linux.PROT_WRITE | linux.PROT_EXEC})
		if errno != 0 {
			return errno
		}
		// What cannot be written is left as the file has it.
		if n := bss - fileEnd; s.memsz > s.filesz && n > 0 && s.flags&linux.PF_W != 0 {
			if done, errno := l.as.CopyOut(fileEnd, zeroPage[:n]); errno != 0 || done < int(n) {
				return linux.EFAULT
			}
		}
		flags = linux.MAP_PRIVATE | linux.MAP_FIXED
	}
	if s.memsz == s.filesz || end <= bss {
		return 0
	}
	_, errno := l.as.MMap(&mm.MMapOpts{Addr: bss, Len: end - bss, Flags: flags | linux.MAP_ANONYMOUS,
		Prot: linux.PROT_READ | linux.PROT_WRITE | s.prot()&linux.PROT_EXEC})
	return errno
}

var zeroPage [pageSize]byte

// placeBrk decides where the heap starts: behind the program, or in the place for programs if this one is
// among the mappings.
func (l *loading) placeBrk() {
	l.Brk = pageUp(l.end)
	moved := l.p.elf.typ == linux.ET_DYN && l.p.interp == nil
	if moved {
		l.Brk = dynBase
	}
	if l.a.NoRandomize {
		return
	}
	if !moved {
		l.Brk += pageSize
	}
	l.Brk += randomBelow(brkRandom/pageSize) * pageSize
}

// auxTypes is the auxiliary vector in Linux's order, before anything is known. buildStack itself knows where
// AT_RANDOM, AT_EXECFN and AT_PLATFORM point to.
func (l *loading) auxTypes() (aux []auxEntry) {
	if l.a.VDSO != nil {
		aux = append(aux, auxEntry{linux.AT_SYSINFO_EHDR, 0})
	}
	for _, t := range [...]uint64{linux.AT_MINSIGSTKSZ, linux.AT_HWCAP, linux.AT_PAGESZ, linux.AT_CLKTCK,
		linux.AT_PHDR, linux.AT_PHENT, linux.AT_PHNUM, linux.AT_BASE, linux.AT_FLAGS, linux.AT_ENTRY, linux.AT_UID,
		linux.AT_EUID, linux.AT_GID, linux.AT_EGID, linux.AT_SECURE, linux.AT_RANDOM, linux.AT_HWCAP2, linux.AT_EXECFN,
		linux.AT_PLATFORM} {
		aux = append(aux, auxEntry{t, 0})
	}
	return aux
}

// fillAux puts the values into the stack's image.
func (l *loading) fillAux(stack *stackImage) {
	secure := uint64(0)
	if l.a.Secure {
		secure = 1
	}
	e := l.p.elf
	host := hostAux()
	for _, a := range [...]auxEntry{
		{linux.AT_SYSINFO_EHDR, l.VDSO},
		{linux.AT_MINSIGSTKSZ, host.minSigStack},
		{linux.AT_HWCAP, host.hwcap},
		{linux.AT_PAGESZ, pageSize},
		{linux.AT_CLKTCK, 100},
		{linux.AT_PHDR, e.phdrAddr() + l.bias},
		{linux.AT_PHENT, phdrSize},
		{linux.AT_PHNUM, uint64(e.phnum)},
		{linux.AT_BASE, l.Base},
		{linux.AT_ENTRY, e.entry + l.bias},
		{linux.AT_UID, uint64(l.a.UID)},
		{linux.AT_EUID, uint64(l.a.EUID)},
		{linux.AT_GID, uint64(l.a.GID)},
		{linux.AT_EGID, uint64(l.a.EGID)},
		{linux.AT_SECURE, secure},
	} {
		stack.setAux(a)
	}
	l.Aux = bytes.Clone(stack.auxBytes())
}

// randomBelow returns an unpredictable number below n, a power of two.
func randomBelow(n uint64) uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) & (n - 1)
}
