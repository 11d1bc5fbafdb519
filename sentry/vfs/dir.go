package vfs

import (
	"math"

	"hornwork/linux"
)

// ReadDir implements getdents64(2): emit gets the entries from the shared offset on and returns false when an
// entry does not fit, which then comes first the next time.
func (f *File) ReadDir(c *Caller, emit func(DirEntry) bool) linux.Errno {
	return f.ReadDirTo(c, emit, nil)
}

// ReadDirTo is ReadDir for entries that can get lost after emit: deliver, if not nil, is told the offset before and
// after them, and returns the one that the file is to have.
func (f *File) ReadDirTo(c *Caller, emit func(DirEntry) bool, deliver func(from, to int64) int64) linux.Errno {
	if !f.Readable() {
		return linux.EBADF
	}
	i := f.Inode()
	if i.Type() != linux.S_IFDIR {
		return linux.ENOTDIR
	}
	f.pos.Lock()
	defer f.pos.Unlock()
	if f.Path.Dentry.dir != nil && f.Path.Dentry.Unlinked() {
		return linux.ENOENT
	}
	from := f.offset
	errno := f.Ops.ReadDir(c, f, f.offset, func(e DirEntry) bool {
		if !emit(e) {
			return false
		}
		f.offset = e.Next
		return true
	})
	if deliver != nil && f.offset != from {
		f.offset = deliver(from, f.offset)
	}
	if errno == 0 {
		f.touched()
		if watchCount.Load() != 0 {
			Notify(f.Path.Dentry, linux.IN_ACCESS)
		}
	}
	return errno
}

// EmitDots emits "." and ".." where pos says that they are due. Entries of the directory come at position 2 and
// after. ok=false: the consumer is full.
func EmitDots(f *File, pos int64, emit func(DirEntry) bool) (next int64, ok bool) {
	d := f.Path.Dentry
	if pos <= 0 {
		if !emit(DirEntry{Name: ".", Ino: d.Inode().Ino, Type: linux.DT_DIR, Next: 1}) {
			return 0, false
		}
		pos = 1
	}
	if pos == 1 {
		if !emit(DirEntry{Name: "..", Ino: d.Parent().Inode().Ino, Type: linux.DT_DIR, Next: 2}) {
			return 1, false
		}
		pos = 2
	}
	return pos, true
}

// SeekDir computes lseek(2) of a directory whose positions are cookies.
func SeekDir(cur, off int64, whence int) (int64, linux.Errno) {
	switch whence {
	case linux.SEEK_SET:
	case linux.SEEK_CUR:
		off = addOffset(cur, off)
	case linux.SEEK_END:
		off = addOffset(math.MaxInt64-1, off)
	default:
		return 0, linux.EINVAL
	}
	if off < 0 {
		return 0, linux.EINVAL
	}
	return off, 0
}

// DirType returns the DT_* value for a mode.
func DirType(mode uint32) uint8 { return uint8(mode & linux.S_IFMT >> 12) }
