package loader

import (
	"bytes"
	"encoding/binary"
	"sync"

	"hornwork/linux"
)

// vdsoNames are the exported functions, in the order of vdsoCode. Each is there under a second, weak name
// without the prefix as well, as in Linux's own.
var vdsoNames = [5]string{"clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres"}

// What vDSOs are known by.
const (
	vdsoSoname  = "linux-vdso.so.1"
	vdsoVersion = "LINUX_2.6"
	vdsoRelease = 6<<16 | 6<<8 // the kernel that uname(2) names
)

// VDSOImage is the vDSO: a page of an ELF shared object without relocations, which works at any address if
// the vvar page (host/clock) is mapped just below it.
var VDSOImage = sync.OnceValue(buildVDSO)

// elfSection is a section on its way into the image.
type elfSection struct {
	name           string
	typ            uint32
	flags          uint64
	data           []byte
	link, info     uint32
	align, entsize uint64
	off            uint64 // where it lies
}

const (
	sectionHash = iota
	sectionDynsym
	sectionDynstr
	sectionVersym
	sectionVerdef
	sectionNote
	sectionFrameHdr
	sectionFrame
	sectionDynamic
	sectionText
	sectionShstrtab
	vdsoSections
)

const vdsoProgramHeaders = 4

// stringTable collects names.
type stringTable struct{ b []byte }

func (t *stringTable) add(s string) uint32 {
	if t.b == nil {
		t.b = []byte{0}
	}
	if i := bytes.Index(t.b, append([]byte(s), 0)); i >= 0 && (i == 0 || t.b[i-1] == 0) {
		return uint32(i)
	}
	n := uint32(len(t.b))
	t.b = append(append(t.b, s...), 0)
	return n
}

// buildVDSO lays the image out twice: sizes do not depend on addresses, so the second time has them right.
func buildVDSO() []byte {
	var b vdsoBuilder
	b.layOut()
	b.layOut()
	return b.write()
}

type vdsoBuilder struct {
	sec     [vdsoSections]elfSection
	entries [len(vdsoNames)]uint64 // of the functions, in the text
	end     uint64
}

func (b *vdsoBuilder) layOut() {
	text := b.text()
	var strs stringTable
	soname, version := strs.add(vdsoSoname), strs.add(vdsoVersion)
	syms, names := b.symbols(&strs, len(text))
	frame := b.frame(len(text))
	const alloc = linux.SHF_ALLOC
	b.set(sectionHash, elfSection{name: ".hash", typ: linux.SHT_HASH, flags: alloc, data: hashTable(names), link: sectionDynsym + 1, align: 8, entsize: 4})
	b.set(sectionDynsym, elfSection{name: ".dynsym", typ: linux.SHT_DYNSYM, flags: alloc, data: syms, link: sectionDynstr + 1, info: 1, align: 8, entsize: 24})
	b.set(sectionDynstr, elfSection{name: ".dynstr", typ: linux.SHT_STRTAB, flags: alloc, data: strs.b, align: 1})
	b.set(sectionVersym, elfSection{name: ".gnu.version", typ: 0x6fffffff, flags: alloc, data: versionTable(len(names)), link: sectionDynsym + 1, align: 2, entsize: 2})
	b.set(sectionVerdef, elfSection{name: ".gnu.version_d", typ: 0x6ffffffd, flags: alloc, data: versionDefs(soname, version), link: sectionDynstr + 1, info: 2, align: 8})
	b.set(sectionNote, elfSection{name: ".note", typ: linux.SHT_NOTE, flags: alloc, data: words32(6, 4, 0, le32("Linu"), le32("x\x00\x00\x00"), vdsoRelease), align: 4})
	b.set(sectionFrameHdr, elfSection{name: ".eh_frame_hdr", typ: linux.SHT_PROGBITS, flags: alloc, data: b.frameHdr(), align: 4})
	b.set(sectionFrame, elfSection{name: ".eh_frame", typ: linux.SHT_PROGBITS, flags: alloc, data: frame, align: 8})
	b.set(sectionDynamic, elfSection{name: ".dynamic", typ: linux.SHT_DYNAMIC, flags: alloc | linux.SHF_WRITE, data: b.dynamic(soname), link: sectionDynstr + 1, align: 8, entsize: 16})
	b.set(sectionText, elfSection{name: ".text", typ: linux.SHT_PROGBITS, flags: alloc | linux.SHF_EXECINSTR, data: text, align: 64})
	var shstr stringTable
	shstr.add("")
	for i := range b.sec {
		shstr.add(b.sec[i].name)
	}
	b.set(sectionShstrtab, elfSection{name: ".shstrtab", typ: linux.SHT_STRTAB, data: shstr.b, align: 1})
	off := uint64(64 + vdsoProgramHeaders*56)
	for i := range b.sec {
		s := &b.sec[i]
		off = (off + s.align - 1) &^ (s.align - 1)
		s.off = off
		off += uint64(len(s.data))
	}
	b.end = (off + 7) &^ 7
}

// set replaces a section and keeps its place.
func (b *vdsoBuilder) set(i int, s elfSection) {
	s.off = b.sec[i].off
	b.sec[i] = s
}

// text joins the functions and points each at the vvar page, one page below the image.
func (b *vdsoBuilder) text() []byte {
	var text []byte
	for i, code := range vdsoCode() {
		for len(text)%16 != 0 {
			text = append(text, 0xcc)
		}
		b.entries[i] = uint64(len(text))
		for at := bytes.Index(code, vvarLoad); at >= 0; at = bytes.Index(code, vvarLoad) {
			next := b.sec[sectionText].off + uint64(len(text)+at) + 7
			lea := binary.LittleEndian.AppendUint32([]byte{0x4c, 0x8d, 0x05}, uint32(-int32(next+pageSize)))
			copy(code[at:], append(lea, 0x0f, 0x1f, 0x00)) // a nop of 3 bytes
		}
		text = append(text, code...)
	}
	return text
}

// symbols builds the symbol table and the list of its names; the first symbol is the empty one.
func (b *vdsoBuilder) symbols(strs *stringTable, textLen int) (table []byte, names []string) {
	add := func(name string, info byte, section uint16, value, size uint64) {
		names = append(names, name)
		table = binary.LittleEndian.AppendUint32(table, strs.add(name))
		table = append(table, info, 0)
		table = binary.LittleEndian.AppendUint16(table, section)
		table = binary.LittleEndian.AppendUint64(table, value)
		table = binary.LittleEndian.AppendUint64(table, size)
	}
	add("", 0, 0, 0, 0)
	for i, n := range vdsoNames {
		end := uint64(textLen)
		if i+1 < len(b.entries) {
			end = b.entries[i+1]
		}
		at := b.sec[sectionText].off + b.entries[i]
		add("__vdso_"+n, linux.STB_GLOBAL<<4|linux.STT_FUNC, sectionText+1, at, end-b.entries[i])
		add(n, linux.STB_WEAK<<4|linux.STT_FUNC, sectionText+1, at, end-b.entries[i])
	}
	add(vdsoVersion, linux.STB_GLOBAL<<4|linux.STT_OBJECT, linux.SHN_ABS, 0, 0)
	return table, names
}

// elfHash is the System V hash of a name.
func elfHash(name string) (h uint32) {
	for i := range len(name) {
		h = h<<4 + uint32(name[i])
		h ^= h >> 24 & 0xf0
		h &= 0x0fffffff
	}
	return h
}

func hashTable(names []string) []byte {
	const buckets = 4
	w := make([]uint32, 2+buckets+len(names))
	w[0], w[1] = buckets, uint32(len(names))
	for i, n := range names[1:] {
		head := &w[2+elfHash(n)%buckets]
		w[2+buckets+i+1] = *head
		*head = uint32(i + 1)
	}
	return words32(w...)
}

// versionTable gives every symbol but the empty one the version LINUX_2.6.
func versionTable(symbols int) []byte {
	b := []byte{0, 0}
	for range symbols - 1 {
		b = append(b, 2, 0)
	}
	return b
}

func versionDefs(soname, version uint32) []byte {
	// Verdef is version, flags, index, count in 16 bits each, hash, offset of the names, offset of the next.
	return words32(
		1|1<<16, 1|1<<16, elfHash(vdsoSoname), 20, 28, soname, 0, // flags: the base version
		1, 2|1<<16, elfHash(vdsoVersion), 20, 0, version, 0)
}

// dynamic builds the dynamic section.
func (b *vdsoBuilder) dynamic(soname uint32) (d []byte) {
	for _, e := range [][2]uint64{
		{linux.DT_SONAME, uint64(soname)},
		{linux.DT_HASH, b.sec[sectionHash].off},
		{linux.DT_STRTAB, b.sec[sectionDynstr].off},
		{linux.DT_SYMTAB, b.sec[sectionDynsym].off},
		{linux.DT_STRSZ, uint64(len(b.sec[sectionDynstr].data))},
		{linux.DT_SYMENT, 24},
		{linux.DT_VERDEF, b.sec[sectionVerdef].off},
		{linux.DT_VERDEFNUM, 2},
		{linux.DT_VERSYM, b.sec[sectionVersym].off},
		{linux.DT_NULL, 0},
	} {
		d = binary.LittleEndian.AppendUint64(d, e[0])
		d = binary.LittleEndian.AppendUint64(d, e[1])
	}
	return d
}

// frame builds the unwind information: the functions push nothing, so one entry tells it for all.
func (b *vdsoBuilder) frame(textLen int) []byte {
	here := b.sec[sectionFrame].off
	cie := append(words32(20, 0),
		1, 'z', 'R', 0, // version, augmentation
		1, 0x78, 16, // alignment of code and data (-8), return address column
		1, 0x1b, // pointers are relative, 4 bytes
		0x0c, 7, 8, // DW_CFA_def_cfa rsp, 8
		0x80|16, 1, // DW_CFA_offset: the return address is at cfa-8
		0, 0)
	start := uint32(b.sec[sectionText].off - here - uint64(len(cie)) - 8)
	fde := append(words32(20, uint32(len(cie)+4), start, uint32(textLen)), 0, 0, 0, 0, 0, 0, 0, 0)
	return append(append(cie, fde...), 0, 0, 0, 0)
}

func (b *vdsoBuilder) frameHdr() []byte {
	here := b.sec[sectionFrameHdr].off
	frame := b.sec[sectionFrame].off
	const cieLen = 24
	return append([]byte{1, 0x1b, 3, 0x3b}, // version; how the pointer, the count and the table are encoded
		words32(uint32(frame-here-4), 1, uint32(b.sec[sectionText].off-here), uint32(frame+cieLen-here))...)
}

// write assembles headers, sections and section headers.
func (b *vdsoBuilder) write() []byte {
	le := binary.LittleEndian
	size := b.end + 64*(vdsoSections+1)
	img := make([]byte, (size+pageSize-1)&^(pageSize-1))
	copy(img, "\x7fELF\x02\x01\x01")
	le.PutUint16(img[16:], linux.ET_DYN)
	le.PutUint16(img[18:], linux.EM_X86_64)
	le.PutUint32(img[20:], linux.EV_CURRENT)
	le.PutUint64(img[24:], b.sec[sectionText].off)
	le.PutUint64(img[32:], 64)
	le.PutUint64(img[40:], b.end)
	for i, v := range []uint16{64, 56, vdsoProgramHeaders, 64, vdsoSections + 1, sectionShstrtab + 1} {
		le.PutUint16(img[52+2*i:], v)
	}
	ph := img[64:]
	for _, p := range []struct {
		typ, flags uint32
		off, size  uint64
		align      uint64
	}{
		{linux.PT_LOAD, linux.PF_R | linux.PF_X, 0, uint64(len(img)), pageSize},
		{linux.PT_DYNAMIC, linux.PF_R, b.sec[sectionDynamic].off, uint64(len(b.sec[sectionDynamic].data)), 8},
		{linux.PT_NOTE, linux.PF_R, b.sec[sectionNote].off, uint64(len(b.sec[sectionNote].data)), 4},
		{linux.PT_GNU_EH_FRAME, linux.PF_R, b.sec[sectionFrameHdr].off, uint64(len(b.sec[sectionFrameHdr].data)), 4},
	} {
		le.PutUint32(ph, p.typ)
		le.PutUint32(ph[4:], p.flags)
		le.PutUint64(ph[8:], p.off)
		le.PutUint64(ph[16:], p.off)
		le.PutUint64(ph[24:], p.off)
		le.PutUint64(ph[32:], p.size)
		le.PutUint64(ph[40:], p.size)
		le.PutUint64(ph[48:], p.align)
		ph = ph[56:]
	}
	shstr := stringTable{b.sec[sectionShstrtab].data}
	sh := img[b.end+64:] // the first is empty
	for i := range b.sec {
		s := &b.sec[i]
		copy(img[s.off:], s.data)
		le.PutUint32(sh, shstr.add(s.name))
		le.PutUint32(sh[4:], s.typ)
		le.PutUint64(sh[8:], s.flags)
		if s.flags&linux.SHF_ALLOC != 0 {
			le.PutUint64(sh[16:], s.off)
		}
		le.PutUint64(sh[24:], s.off)
		le.PutUint64(sh[32:], uint64(len(s.data)))
		le.PutUint32(sh[40:], s.link)
		le.PutUint32(sh[44:], s.info)
		le.PutUint64(sh[48:], s.align)
		le.PutUint64(sh[56:], s.entsize)
		sh = sh[64:]
	}
	return img
}

func words32(w ...uint32) (b []byte) {
	for _, v := range w {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func le32(s string) uint32 { return binary.LittleEndian.Uint32([]byte(s)) }
