package syscalls

import (
	"math"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// mappedFile lets mm hold a file that is mapped without knowing vfs.
type mappedFile struct {
	f    *vfs.File
	m    mm.MappedFile
	root vfs.Path // for the name in /proc/pid/maps, which is relative to the mapper's root
}

func (r *mappedFile) GetRef()               { r.f.Get() }
func (r *mappedFile) PutRef()               { r.f.Put() }
func (r *mappedFile) Mapped() mm.MappedFile { return r.m }
func (r *mappedFile) PathName() string {
	return vfs.PathString(&vfs.Caller{Creds: r.f.Creds, Root: r.root, Cwd: r.root}, r.f.Path)
}

// PunchHole implements mm.HolePuncher.
func (r *mappedFile) PunchHole(off, length uint64) linux.Errno { return punchHole(r.f, off, length) }

func punchHole(f *vfs.File, off, length uint64) linux.Errno {
	c := &vfs.Caller{Creds: f.Creds, MaxFileSize: math.MaxInt64}
	return f.Fallocate(c, linux.FALLOC_FL_PUNCH_HOLE|linux.FALLOC_FL_KEEP_SIZE, int64(off), int64(length))
}

// File returns the open file, for /proc/pid/map_files and /proc/pid/exe.
func (r *mappedFile) File() *vfs.File { return r.f }

// NewFileRef makes a mappable file known to mm; nil if its kind cannot be mapped. execve maps with it too.
func NewFileRef(c *vfs.Caller, f *vfs.File) mm.FileRef {
	m, ok := f.Ops.(mm.MappedFile)
	if !ok {
		return nil
	}
	return &mappedFile{f: f, m: m, root: c.Root}
}

// Mmap implements mmap(2).
func Mmap(t *task.Task, addr Addr, length uint64, prot Prot, flags MmapFlags, fd FD, off uint64) (uintptr, linux.Errno) {
	if off&linux.PageMask != 0 {
		return 0, linux.EINVAL
	}
	o := mm.MMapOpts{Addr: uint64(addr), Len: length, Prot: uint32(prot), Flags: uint32(flags), Offset: off}
	o.MaxProt = linux.PROT_READ | linux.PROT_WRITE | linux.PROT_EXEC
	if flags&linux.MAP_ANONYMOUS == 0 {
		f, errno := file(t, fd)
		if errno != 0 {
			return 0, errno
		}
		defer f.Put()
		if errno := mapFile(t, f, prot, flags, &o); errno != 0 {
			return 0, errno
		}
	}
	ret, errno := t.MM().MMap(&o)
	return uintptr(ret), errno
}

// mapFile fills in what mm has to know of the file, after the checks that need the file.
func mapFile(t *task.Task, f *vfs.File, prot Prot, flags MmapFlags, o *mm.MMapOpts) linux.Errno {
	if o.Len == 0 {
		return linux.EINVAL
	}
	if o.Offset+o.Len < o.Offset || int64(o.Offset+o.Len) < 0 {
		return linux.EOVERFLOW
	}
	switch flags & linux.MAP_TYPE {
	case linux.MAP_SHARED, linux.MAP_SHARED_VALIDATE:
		if prot&linux.PROT_WRITE != 0 && !f.Writable() {
			return linux.EACCES
		}
		if !f.Writable() {
			o.MaxProt &^= linux.PROT_WRITE
		}
	case linux.MAP_PRIVATE:
	default:
		return linux.EINVAL
	}
	if !f.Readable() {
		return linux.EACCES
	}
	if f.Path.Mount != nil && f.Path.Mount.Flags()&linux.MS_NOEXEC != 0 {
		if prot&linux.PROT_EXEC != 0 {
			return linux.EPERM
		}
		o.MaxProt &^= linux.PROT_EXEC
	}
	if a, ok := f.Ops.(mm.AnonymousFile); ok && a.MapsAnonymous() {
		if flags&linux.MAP_TYPE == linux.MAP_SHARED_VALIDATE {
			o.Flags = o.Flags&^linux.MAP_TYPE | linux.MAP_SHARED
		}
		return 0
	}
	ref := NewFileRef(t.Caller(), f)
	if ref == nil {
		return linux.ENODEV
	}
	const sealed = linux.F_SEAL_WRITE | linux.F_SEAL_FUTURE_WRITE
	if m, ok := f.Ops.(sealer); ok && m.Seals()&sealed != 0 && flags&linux.MAP_TYPE != linux.MAP_PRIVATE {
		if prot&linux.PROT_WRITE != 0 {
			return linux.EPERM
		}
		o.MaxProt &^= linux.PROT_WRITE
	}
	o.File = ref
	return 0
}

// Munmap implements munmap(2).
func Munmap(t *task.Task, addr Addr, length uint64) (uintptr, linux.Errno) {
	return none(t.MM().MUnmap(uint64(addr), length))
}

// Mprotect implements mprotect(2).
func Mprotect(t *task.Task, addr Addr, length uint64, prot Prot) (uintptr, linux.Errno) {
	return none(t.MM().MProtect(uint64(addr), length, uint32(prot)))
}

// Mremap implements mremap(2).
func Mremap(t *task.Task, old Addr, oldLen, newLen uint64, flags MremapFlags, new Addr) (uintptr, linux.Errno) {
	ret, errno := t.MM().MRemap(uint64(old), oldLen, newLen, uint32(flags), uint64(new))
	return uintptr(ret), errno
}

// Brk implements the system call brk(2), which returns the break and never fails.
func Brk(t *task.Task, addr Addr) (uintptr, linux.Errno) {
	return uintptr(t.MM().Brk(uint64(addr))), 0
}

// Madvise implements madvise(2).
func Madvise(t *task.Task, addr Addr, length uint64, advice Advice) (uintptr, linux.Errno) {
	return none(t.MM().MAdvise(uint64(addr), length, int(advice)))
}

// Msync implements msync(2).
func Msync(t *task.Task, addr Addr, length uint64, flags MsyncFlags) (uintptr, linux.Errno) {
	return none(t.MM().MSync(uint64(addr), length, int(flags)))
}

// Mincore implements mincore(2).
func Mincore(t *task.Task, addr Addr, length uint64, vec OutBuf) (uintptr, linux.Errno) {
	if addr&linux.PageMask != 0 {
		return 0, linux.EINVAL
	}
	if !accessOK(uint64(addr), length) {
		return 0, linux.ENOMEM
	}
	pages := (length + linux.PageMask) >> linux.PageShift
	if !accessOK(uint64(vec), pages) {
		return 0, linux.EFAULT
	}
	var buf [linux.PageSize]byte // a page of answers at a time, as Linux does
	for done := uint64(0); done < pages; {
		n := min(pages-done, uint64(len(buf)))
		if errno := t.MM().MInCore(uint64(addr)+done<<linux.PageShift, n<<linux.PageShift, buf[:n]); errno != 0 {
			return 0, errno
		}
		if _, errno := t.Memory().CopyOut(uint64(vec)+done, buf[:n]); errno != 0 {
			return 0, errno
		}
		done += n
	}
	return 0, 0
}

// Mlock implements mlock(2).
func Mlock(t *task.Task, addr Addr, length uint64) (uintptr, linux.Errno) {
	return Mlock2(t, addr, length, 0)
}

// Mlock2 implements mlock2(2).
func Mlock2(t *task.Task, addr Addr, length uint64, flags uint32) (uintptr, linux.Errno) {
	if flags&^linux.MLOCK_ONFAULT != 0 {
		return 0, linux.EINVAL
	}
	return none(t.MM().MLock(uint64(addr), length, flags&linux.MLOCK_ONFAULT != 0))
}

// Munlock implements munlock(2).
func Munlock(t *task.Task, addr Addr, length uint64) (uintptr, linux.Errno) {
	return none(t.MM().MUnlock(uint64(addr), length))
}

// Mlockall implements mlockall(2).
func Mlockall(t *task.Task, flags MlockFlags) (uintptr, linux.Errno) {
	const known = linux.MCL_CURRENT | linux.MCL_FUTURE | linux.MCL_ONFAULT
	if flags == 0 || flags&^known != 0 || flags == linux.MCL_ONFAULT {
		return 0, linux.EINVAL
	}
	return none(t.MM().MLockAll(uint32(flags)))
}

// Munlockall implements munlockall(2).
func Munlockall(t *task.Task) (uintptr, linux.Errno) {
	return none(t.MM().MUnlockAll())
}
