package loader

import (
	"encoding/binary"

	"hornwork/linux"
)

const pageSize = 4096

func pageDown(a uint64) uint64 { return a &^ (pageSize - 1) }
func pageUp(a uint64) uint64   { return (a + pageSize - 1) &^ (pageSize - 1) }

// Sizes of ELF64 structures, and Linux's limits.
const (
	ehdrSize  = 64
	phdrSize  = 56
	maxPhdrs  = pageSize / phdrSize // Linux wants the program headers to fit in a page
	maxInterp = 4096                // PATH_MAX, the terminating NUL included
)

// segment is a PT_LOAD.
type segment struct {
	vaddr, memsz, filesz, offset uint64
	flags                        uint32
	align                        uint64
}

// prot is the segment's protection.
func (s *segment) prot() (p uint32) {
	if s.flags&linux.PF_R != 0 {
		p |= linux.PROT_READ
	}
	if s.flags&linux.PF_W != 0 {
		p |= linux.PROT_WRITE
	}
	if s.flags&linux.PF_X != 0 {
		p |= linux.PROT_EXEC
	}
	return p
}

// elfFile is what the headers of a program or an interpreter say, checked.
type elfFile struct {
	typ       uint16 // ET_EXEC or ET_DYN
	entry     uint64
	phoff     uint64
	phnum     int
	segments  []segment
	interpOff uint64 // PT_INTERP, if interpLen is not 0
	interpLen uint64
	phdrVaddr uint64 // PT_PHDR, if hasPhdr
	hasPhdr   bool
	execStack bool // PT_GNU_STACK asks for it; 64-bit programs without one do not get it
}

// source is where headers are read from.
type source interface {
	// readAt reads up to len(b) bytes; fewer at the end of the file.
	readAt(b []byte, off uint64) (int, linux.Errno)
}

// readFull is readAt of all of b; what: the error for a short file.
func readFull(f source, b []byte, off uint64, short linux.Errno) linux.Errno {
	if off > 1<<63-1-uint64(len(b)) {
		return short
	}
	n, errno := f.readAt(b, off)
	if errno != 0 {
		return errno
	}
	if n < len(b) {
		return short
	}
	return 0
}

// parseELF reads and checks the headers of f, of which head is the beginning. The error is ENOEXEC for what is
// no ELF64 program for amd64, as from Linux's load_elf_binary, so that a shell tries it as a script.
func parseELF(f source, head []byte) (*elfFile, linux.Errno) {
	return parse(f, head, true)
}

func parse(f source, head []byte, program bool) (*elfFile, linux.Errno) {
	if len(head) < ehdrSize || string(head[:4]) != "\x7fELF" {
		return nil, linux.ENOEXEC
	}
	le := binary.LittleEndian
	e := &elfFile{
		typ:   le.Uint16(head[16:]),
		entry: le.Uint64(head[24:]),
		phoff: le.Uint64(head[32:]),
		phnum: int(le.Uint16(head[56:])),
	}
	// Linux looks at neither EI_CLASS nor EI_DATA nor EI_VERSION: the machine and the sizes tell.
	if e.typ != linux.ET_EXEC && e.typ != linux.ET_DYN || le.Uint16(head[18:]) != linux.EM_X86_64 ||
		le.Uint16(head[54:]) != phdrSize || e.phnum < 1 || e.phnum > maxPhdrs {
		return nil, linux.ENOEXEC
	}
	raw := make([]byte, e.phnum*phdrSize)
	if readFull(f, raw, e.phoff, linux.EIO) != 0 {
		return nil, linux.ENOEXEC // whatever the reason
	}
	for ; len(raw) > 0; raw = raw[phdrSize:] {
		if errno := e.addHeader(raw[:phdrSize], program); errno != 0 {
			return nil, errno
		}
	}
	return e, 0
}

// parseInterp is parseELF for the file that PT_INTERP names, whose faults are ELIBBAD.
func parseInterp(f source, head []byte) (*elfFile, linux.Errno) {
	e, errno := parse(f, head, false)
	if errno != 0 {
		return nil, linux.ELIBBAD
	}
	return e, 0
}

// addHeader takes in one program header. An interpreter's own PT_INTERP does not matter.
func (e *elfFile) addHeader(p []byte, program bool) linux.Errno {
	le := binary.LittleEndian
	typ, flags := le.Uint32(p), le.Uint32(p[4:])
	off, vaddr := le.Uint64(p[8:]), le.Uint64(p[16:])
	filesz, memsz, align := le.Uint64(p[32:]), le.Uint64(p[40:]), le.Uint64(p[48:])
	switch typ {
	case linux.PT_LOAD:
		e.segments = append(e.segments, segment{vaddr, memsz, filesz, off, flags, align})
	case linux.PT_INTERP:
		if !program || e.interpLen != 0 { // the first counts
			return 0
		}
		if filesz < 2 || filesz > maxInterp {
			return linux.ENOEXEC
		}
		e.interpOff, e.interpLen = off, filesz
	case linux.PT_PHDR:
		e.phdrVaddr, e.hasPhdr = vaddr, true
	case linux.PT_GNU_STACK:
		e.execStack = flags&linux.PF_X != 0
	}
	return 0
}

// interpPath reads the path of PT_INTERP.
func (e *elfFile) interpPath(f source) (string, linux.Errno) {
	b := make([]byte, e.interpLen)
	if errno := readFull(f, b, e.interpOff, linux.EIO); errno != 0 {
		return "", errno
	}
	if b[len(b)-1] != 0 {
		return "", linux.ENOEXEC
	}
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), 0
		}
	}
	return "", linux.ENOEXEC
}

// span is the memory from the first segment to the end of the last. Every segment is checked here against what
// no program has: EINVAL.
func (e *elfFile) span(taskSize uint64) (first, size uint64, errno linux.Errno) {
	if len(e.segments) == 0 {
		return 0, 0, linux.EINVAL
	}
	first = pageDown(e.segments[0].vaddr)
	var last uint64
	for i := range e.segments {
		s := &e.segments[i]
		if s.filesz > s.memsz || s.memsz > taskSize || s.vaddr > taskSize-s.memsz {
			return 0, 0, linux.EINVAL
		}
		// mmap refuses offsets that are no pages, once the part of the address in its page is taken away.
		if s.filesz != 0 && ((s.vaddr-s.offset)%pageSize != 0 || s.offset > 1<<62) {
			return 0, 0, linux.EINVAL
		}
		first = min(first, pageDown(s.vaddr))
		last = max(last, s.vaddr+s.memsz)
	}
	return first, pageUp(last) - first, 0
}

// maxAlign is the alignment that the load address of a PIE needs.
func (e *elfFile) maxAlign() uint64 {
	a := uint64(pageSize)
	for i := range e.segments {
		if x := e.segments[i].align; x > a && x&(x-1) == 0 {
			a = x
		}
	}
	return a
}

// phdrAddr is where the program headers are in memory for AT_PHDR, without the load bias: PT_PHDR is not
// asked by old kernels; the segment that holds them in the file is. 0 if none does.
func (e *elfFile) phdrAddr() uint64 {
	for i := range e.segments {
		s := &e.segments[i]
		if s.offset <= e.phoff && e.phoff-s.offset < s.filesz {
			return e.phoff - s.offset + s.vaddr
		}
	}
	if e.hasPhdr {
		return e.phdrVaddr
	}
	return 0
}
