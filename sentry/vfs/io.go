package vfs

import (
	"math"

	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// fileState is what few operations of a File need.
type fileState struct {
	writer bool // counted in Inode.writers
	denies bool // holds a DenyWrite of its inode (OpenExec)
}

// statusFlags are what F_SETFL can change.
const statusFlags = linux.O_APPEND | linux.O_NONBLOCK | linux.O_ASYNC | linux.O_DIRECT | linux.O_NOATIME

// NewFile makes an open file description for p with one reference; it takes its own reference on p. flags
// are those of open(2), of which those that only matter while opening are dropped.
func NewFile(c *Caller, p Path, ops FileOps, flags uint32) *File {
	f := &File{}
	f.init(c, p.Get(), ops, flags)
	return f
}

func (f *File) init(c *Caller, p Path, ops FileOps, flags uint32) {
	f.Ops, f.Path, f.Creds = ops, p, c.Creds
	f.flags.Store(flags &^ (linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC | linux.O_CLOEXEC))
	f.seekable = ops.Seekable()
	f.stream = !f.seekable
	if o, ok := ops.(OwnOffset); ok && o.OwnOffset() {
		f.stream = true
	}
}

// Put drops a reference. The last one releases the file's locks and operations.
func (f *File) Put() {
	if !f.refs.Put() {
		return
	}
	i := f.Inode()
	f.runReleaseHooks()
	if !f.Path.Dentry.Nameless() && f.Flags()&linux.O_PATH == 0 {
		f.notifyClose()
	}
	if i.extraUsed() {
		i.dropFileLocks(f)
	}
	f.Ops.Release(f)
	if f.state.writer {
		i.putWrite()
	}
	if f.state.denies {
		i.AllowWrite()
	}
	f.Path.Put()
}

// Close is what close(2) of one descriptor does before it drops its reference: it flushes, and releases the
// POSIX locks of owner, the descriptor table, on the file, whichever descriptor they came through.
func (f *File) Close(c *Caller, owner any) linux.Errno {
	if f.Flags()&linux.O_PATH != 0 {
		return 0
	}
	if i := f.Inode(); i.extraUsed() {
		i.dropPosixLocks(owner)
		if c.Files == nil {
			i.dropPosixLocks(c.lockOwner())
		}
	}
	return f.Ops.Flush(c, f)
}

// SetFlags changes the status flags as fcntl(F_SETFL) does; other bits of flags are ignored.
func (f *File) SetFlags(c *Caller, flags uint32) linux.Errno {
	old := f.Flags()
	if flags&linux.O_NOATIME&^old != 0 && !c.ownerOrCapable(f.Inode()) {
		return linux.EPERM
	}
	for {
		next := old&^statusFlags | flags&statusFlags
		if f.flags.CompareAndSwap(old, next) {
			return 0
		}
		old = f.Flags()
	}
}

// Seekable says whether the file has an offset.
func (f *File) Seekable() bool { return f.seekable }

// Offset returns the shared offset, for /proc/pid/fdinfo.
func (f *File) Offset() int64 {
	f.pos.Lock()
	defer f.pos.Unlock()
	return f.offset
}

// Read implements read(2): at the shared offset, which it moves. EAGAIN means that the caller should wait.
func (f *File) Read(c *Caller, dst *usermem.Seq) (int, linux.Errno) {
	if !f.Readable() {
		return 0, linux.EBADF
	}
	if f.stream {
		n, errno := f.Ops.Read(c, f, dst, -1)
		f.accessed(n, dst, errno)
		return n, errno
	}
	f.pos.Lock()
	defer f.pos.Unlock()
	n, errno := f.Ops.Read(c, f, dst, f.offset)
	f.offset += int64(n)
	f.accessed(n, dst, errno)
	return n, errno
}

// PRead implements pread(2).
func (f *File) PRead(c *Caller, dst *usermem.Seq, off int64) (int, linux.Errno) {
	if off < 0 {
		return 0, linux.EINVAL
	}
	if !f.Readable() {
		return 0, f.badOr(linux.EBADF)
	}
	if !f.seekable {
		return 0, linux.ESPIPE
	}
	n, errno := f.Ops.Read(c, f, dst, off)
	f.accessed(n, dst, errno)
	return n, errno
}

// badOr is errno, or ESPIPE where pread(2) and pwrite(2) test for streams first: Linux looks for FMODE_PREAD
// before the access mode.
func (f *File) badOr(errno linux.Errno) linux.Errno {
	if !f.seekable && f.Flags()&linux.O_PATH == 0 {
		return linux.ESPIPE
	}
	return errno
}

// Write implements write(2): at the shared offset, or at the end for O_APPEND.
func (f *File) Write(c *Caller, src *usermem.Seq) (int, linux.Errno) {
	if !f.Writable() {
		return 0, linux.EBADF
	}
	if f.stream {
		n, _, errno := f.Ops.Write(c, f, src, -1)
		if n > 0 {
			f.modified()
		}
		return n, errno
	}
	f.pos.Lock()
	defer f.pos.Unlock()
	n, end, errno := f.writeAt(c, src, f.offset)
	if n > 0 {
		f.offset = end
	}
	return n, errno
}

// PWrite implements pwrite(2). With O_APPEND it appends, as Linux does.
func (f *File) PWrite(c *Caller, src *usermem.Seq, off int64) (int, linux.Errno) {
	if off < 0 {
		return 0, linux.EINVAL
	}
	if !f.Writable() {
		return 0, f.badOr(linux.EBADF)
	}
	if !f.seekable {
		return 0, linux.ESPIPE
	}
	n, _, errno := f.writeAt(c, src, off)
	return n, errno
}

// writeAt checks the limits of a regular file and writes.
func (f *File) writeAt(c *Caller, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	i := f.Inode()
	if i.Type() != linux.S_IFREG {
		n, end, errno := f.Ops.Write(c, f, src, off)
		if n > 0 {
			f.modified()
		}
		return n, end, errno
	}
	n := src.Len()
	if n == 0 {
		return 0, off, 0
	}
	at := off
	if f.Flags()&linux.O_APPEND != 0 {
		at = i.Attr().Size.Load()
	}
	room, errno := c.roomAt(i, at)
	if errno != 0 {
		return 0, off, errno
	}
	if errno := dropPrivs(c, i); errno != 0 {
		return 0, off, errno
	}
	if int64(n) <= room {
		n, end, errno := f.Ops.Write(c, f, src, off)
		if n > 0 {
			f.modified()
		}
		return n, end, errno
	}
	part := src.Take(int(room))
	done, end, errno := f.Ops.Write(c, f, &part, off)
	src.Drop(done)
	if done > 0 {
		f.modified()
	}
	return done, end, errno
}

// roomAt returns how much may be written to the regular file i from off on: RLIMIT_FSIZE and the filesystem's
// largest size. No room at all is EFBIG, with SIGXFSZ if it is the limit's fault.
func (c *Caller) roomAt(i *Inode, off int64) (int64, linux.Errno) {
	room := i.SB.maxBytes() - off
	if lim := c.fileLimit(); lim < math.MaxInt64 {
		if off >= lim {
			c.xfsz()
			return 0, linux.EFBIG
		}
		room = min(room, lim-off)
	}
	if room <= 0 {
		return 0, linux.EFBIG
	}
	return room, 0
}

// fileLimit is RLIMIT_FSIZE as an offset. Zero means a caller in the kernel, which has no limits.
func (c *Caller) fileLimit() int64 {
	if c.XFSZ == nil && c.MaxFileSize == 0 || c.MaxFileSize > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(c.MaxFileSize)
}

func (c *Caller) xfsz() {
	if c.XFSZ != nil {
		c.XFSZ()
	}
}

// LimitSize checks a new size of i against RLIMIT_FSIZE and the filesystem: truncate(2), fallocate(2).
func (c *Caller) LimitSize(i *Inode, size int64) linux.Errno {
	if size > i.Attr().Size.Load() {
		if size > c.fileLimit() {
			c.xfsz()
			return linux.EFBIG
		}
		if size > i.SB.maxBytes() {
			return linux.EFBIG
		}
	}
	return 0
}

// Seek implements lseek(2).
func (f *File) Seek(c *Caller, off int64, whence int) (int64, linux.Errno) {
	if f.Flags()&linux.O_PATH != 0 {
		return 0, linux.EBADF
	}
	f.pos.Lock()
	defer f.pos.Unlock()
	n, errno := f.Ops.Seek(c, f, f.offset, off, whence)
	if errno == 0 && f.seekable {
		f.offset = n
	}
	return n, errno
}

// Fallocate implements fallocate(2).
func (f *File) Fallocate(c *Caller, mode uint32, off, length int64) linux.Errno {
	if off < 0 || length <= 0 {
		return linux.EINVAL
	}
	const known = linux.FALLOC_FL_KEEP_SIZE | linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_COLLAPSE_RANGE |
		linux.FALLOC_FL_ZERO_RANGE | linux.FALLOC_FL_INSERT_RANGE | linux.FALLOC_FL_UNSHARE_RANGE
	if mode&^known != 0 {
		return linux.EOPNOTSUPP
	}
	const punch, zero = linux.FALLOC_FL_PUNCH_HOLE, linux.FALLOC_FL_ZERO_RANGE
	const keep = linux.FALLOC_FL_KEEP_SIZE
	switch {
	case mode&(punch|zero) == punch|zero, mode&punch != 0 && mode&keep == 0:
		return linux.EOPNOTSUPP
	case mode&linux.FALLOC_FL_COLLAPSE_RANGE != 0 && mode != linux.FALLOC_FL_COLLAPSE_RANGE,
		mode&linux.FALLOC_FL_INSERT_RANGE != 0 && mode != linux.FALLOC_FL_INSERT_RANGE,
		mode&linux.FALLOC_FL_UNSHARE_RANGE != 0 && mode&^(linux.FALLOC_FL_UNSHARE_RANGE|keep) != 0:
		return linux.EINVAL
	}
	if !f.Writable() {
		return linux.EBADF
	}
	switch f.Inode().Type() {
	case linux.S_IFREG, linux.S_IFBLK:
	case linux.S_IFIFO:
		return linux.ESPIPE
	case linux.S_IFDIR:
		return linux.EISDIR
	default:
		return linux.ENODEV
	}
	if off > math.MaxInt64-length || off+length > f.Inode().SB.maxBytes() {
		return linux.EFBIG
	}
	errno := f.Ops.Fallocate(c, f, mode, off, length)
	if errno == 0 {
		f.modified()
	}
	return errno
}

// Sync implements fsync(2) and fdatasync(2).
func (f *File) Sync(c *Caller, dataOnly bool) linux.Errno {
	if f.Flags()&linux.O_PATH != 0 {
		return linux.EBADF
	}
	return f.Ops.Sync(c, f, dataOnly)
}

// SeekRegular computes lseek(2) for a file of the given size without holes; filesystems share it.
func SeekRegular(i *Inode, cur, off int64, whence int) (int64, linux.Errno) {
	size := i.Attr().Size.Load()
	switch whence {
	case linux.SEEK_SET:
	case linux.SEEK_CUR:
		off = addOffset(cur, off)
	case linux.SEEK_END:
		off = addOffset(size, off)
	case linux.SEEK_DATA:
		if off < 0 || off >= size {
			return 0, linux.ENXIO
		}
		return off, 0
	case linux.SEEK_HOLE:
		if off < 0 || off >= size {
			return 0, linux.ENXIO
		}
		return size, 0
	default:
		return 0, linux.EINVAL
	}
	if off < 0 || off > i.SB.maxBytes() {
		return 0, linux.EINVAL
	}
	return off, 0
}

// addOffset adds without wrapping; an overflow becomes -1, which every caller rejects.
func addOffset(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return -1
	}
	return a + b
}
