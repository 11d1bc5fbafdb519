package tmpfs

import (
	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// Flags of memfd_create(2).
const (
	MFD_CLOEXEC       = 1
	MFD_ALLOW_SEALING = 2
	MFD_HUGETLB       = 4
	MFD_NOEXEC_SEAL   = 8
	MFD_EXEC          = 16

	// F_SEAL_EXEC keeps the execute bits as they are.
	F_SEAL_EXEC = 0x20

	// AllSeals are those that F_ADD_SEALS knows.
	AllSeals = linux.F_SEAL_SEAL | linux.F_SEAL_SHRINK | linux.F_SEAL_GROW | linux.F_SEAL_WRITE | linux.F_SEAL_FUTURE_WRITE | F_SEAL_EXEC

	// memfdNameMax is the longest name: NAME_MAX without "memfd:".
	memfdNameMax = linux.NAME_MAX - 6
)

// NewMemfd implements memfd_create(2) but for the descriptor. fs is an internal tmpfs that is mounted nowhere.
func NewMemfd(c *vfs.Caller, fs *FS, name string, flags uint32) (*vfs.File, linux.Errno) {
	const known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC
	if flags&^known != 0 || flags&(MFD_EXEC|MFD_NOEXEC_SEAL) == MFD_EXEC|MFD_NOEXEC_SEAL || len(name) > memfdNameMax {
		return nil, linux.EINVAL
	}
	o := vfs.MakeOptions{Mode: linux.S_IFREG | 0o777, UID: c.Creds.FSUID, GID: c.Creds.FSGID}
	seals := uint32(linux.F_SEAL_SEAL)
	if flags&MFD_ALLOW_SEALING != 0 {
		seals = 0
	}
	if flags&MFD_NOEXEC_SEAL != 0 {
		o.Mode &^= 0o111
		seals = seals&^linux.F_SEAL_SEAL | F_SEAL_EXEC
	}
	i, errno := fs.newInode(&o, 0)
	if errno != 0 {
		return nil, errno
	}
	r := i.Ops.(*regular)
	r.seals = seals
	return vfs.NewInodeFile(c, i, "/memfd:"+name+" (deleted)", r, linux.O_RDWR|linux.O_LARGEFILE), 0
}

// Fill gives a new regular file its first size bytes from read, which is called for pieces in order and returns
// fewer bytes than asked only at the end of the source. Pieces without data stay holes.
func Fill(i *vfs.Inode, size int64, read func(b []byte, off int64) (int, linux.Errno)) linux.Errno {
	r, ok := i.Ops.(*regular)
	if !ok {
		return linux.EINVAL
	}
	r.io.Lock()
	defer r.io.Unlock()
	r.attr.Size.Store(size)
	for off := int64(0); off < size; {
		page := uint64(off) / linux.PageSize
		rg, errno := r.alloc(page, uint64(size-off+linux.PageMask)/linux.PageSize, mem.NoZero)
		if errno != 0 {
			return errno
		}
		b := r.fs.mem.Slice(rg)
		n, errno := read(b[:min(int64(len(b)), size-off)], off)
		n = max(0, min(n, len(b)))
		if errno != 0 || n == 0 {
			r.free([]mem.Range{rg})
			return errno
		}
		clear(b[n:])
		r.install(page, rg)
		off += int64(len(b))
	}
	return 0
}
