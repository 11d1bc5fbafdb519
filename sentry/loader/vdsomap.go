package loader

import (
	"hornwork/host/clock"
	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/mm"
)

// VDSO is the vDSO and its vvar page in memory, shared by all processes of a time namespace.
type VDSO struct {
	mf    *mem.File
	image mem.Range
	vvar  mem.Range
	page  *clock.Page
}

// NewVDSO puts the vDSO into the memory file. The offsets are those of the time namespace, in nanoseconds; cpus is
// the number of CPUs whose numbers guests may see, or 0 if getcpu is to be a system call.
func NewVDSO(mf *mem.File, monoOff, bootOff int64, cpus int) (*VDSO, linux.Errno) {
	img := VDSOImage()
	r, errno := mf.Alloc(uint64(len(img)), mem.Kernel)
	if errno != 0 {
		return nil, errno
	}
	copy(mf.Slice(r), img)
	v := &VDSO{mf: mf, image: r}
	if v.vvar, errno = mf.Alloc(pageSize, mem.Kernel); errno != 0 {
		mf.Put(r)
		return nil, errno
	}
	v.page = clock.NewPage(mf.Slice(v.vvar), monoOff, bootOff, cpus)
	return v, 0
}

// Close stops the clock. Processes that have the vDSO mapped keep its memory, and make system calls.
func (v *VDSO) Close() {
	v.page.Close()
	v.mf.Put(v.image)
	v.mf.Put(v.vvar)
}

// vdsoPart is the image or the page as a file to be mapped.
type vdsoPart struct {
	v    *VDSO
	r    mem.Range
	name string
}

func (p *vdsoPart) GetRef()               {}
func (p *vdsoPart) PutRef()               {}
func (p *vdsoPart) Mapped() mm.MappedFile { return p }
func (p *vdsoPart) PathName() string      { return p.name }

// Backing implements mm.MappedFile.
func (p *vdsoPart) Backing(off, length uint64, write bool) (mm.Backing, linux.Errno) {
	if off >= p.r.Len {
		return mm.Backing{}, linux.ENXIO
	}
	r := mem.Range{Off: p.r.Off + off, Len: min(length, p.r.Len-off)}
	p.v.mf.Get(r)
	return mm.Backing{FD: p.v.mf.FD(), Mem: true, Offset: r.Off, Len: r.Len}, 0
}

func (p *vdsoPart) AddMapping(mm.Mapping, uint64, uint64)    {}
func (p *vdsoPart) RemoveMapping(mm.Mapping, uint64, uint64) {}

// MapIdentity implements mm.MappedFile: the kernel's own memory has no inode.
func (p *vdsoPart) MapIdentity() (dev, ino uint64) { return 0, 0 }

// ReadAt implements mm.MappedFile; all is in the memory file.
func (p *vdsoPart) ReadAt(b []byte, off uint64) (int, linux.Errno) { return 0, linux.EOPNOTSUPP }

// mapVDSO maps the page and the image behind it. Neither can be written; the image can be made writable, which
// makes a private copy, for debuggers.
func (l *loading) mapVDSO() linux.Errno {
	v := l.a.VDSO
	if v == nil {
		return 0
	}
	addr, errno := l.reserve(0, pageSize+v.image.Len, pageSize)
	if errno != 0 {
		return errno
	}
	if _, errno := l.as.MMap(&mm.MMapOpts{Addr: addr, Len: pageSize, Prot: linux.PROT_READ, MaxProt: linux.PROT_READ,
		Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: &vdsoPart{v, v.vvar, "[vvar]"}, Name: "[vvar]", Special: true}); errno != 0 {
		return errno
	}
	l.VDSO = addr + pageSize
	const rx = linux.PROT_READ | linux.PROT_EXEC
	_, errno = l.as.MMap(&mm.MMapOpts{Addr: l.VDSO, Len: v.image.Len, Prot: rx, MaxProt: rx,
		Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: &vdsoPart{v, v.image, "[vdso]"}, Name: "[vdso]", Special: true})
	return errno
}
