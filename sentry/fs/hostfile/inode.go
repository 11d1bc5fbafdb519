package hostfile

import (
	"fmt"
	"sync"
	"sync/atomic"

	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/vfs"
)

// filesystem is where the inodes of host descriptors are. It is mounted nowhere.
type filesystem struct {
	sb  *vfs.Superblock
	ino atomic.Uint64
}

var hostFS = sync.OnceValue(func() *filesystem {
	fs := &filesystem{}
	fs.sb = &vfs.Superblock{Type: "hostfs", Dev: vfs.NewDev(), Magic: linux.HOSTFS_SUPER_MAGIC, NoAtime: true}
	fs.sb.Statfs = func(*vfs.Caller) (linux.Statfs, linux.Errno) {
		return linux.Statfs{Type: linux.HOSTFS_SUPER_MAGIC, Bsize: linux.PageSize, Namelen: linux.NAME_MAX, Frsize: linux.PageSize}, 0
	}
	root := &vfs.Attr{Blksize: linux.PageSize}
	root.Mode.Store(linux.S_IFDIR | 0o500)
	fs.sb.Root = vfs.NewInode(fs.sb, fs.ino.Add(1), &inode{}, root)
	return fs
})

// inode shows the attributes of a host descriptor. The guest cannot change them; it does not own the file.
type inode struct {
	vfs.NoDir
	vfs.NoLink
	vfs.NoXattr
	f    *File // nil: the root
	attr vfs.Attr
}

// identities gives two descriptors of one host file one inode number, so that programs see that their
// standard output and error are the same.
var identities struct {
	sync.Mutex // a leaf
	m          map[[2]uint64]uint64
}

func newInode(fs *filesystem, f *File, st *linux.Stat) *vfs.Inode {
	n := &inode{f: f}
	n.attr.Blksize = uint32(max(512, min(st.Blksize, 1<<20)))
	n.attr.Rdev.Store(st.Rdev)
	n.store(st)
	identities.Lock()
	defer identities.Unlock()
	if identities.m == nil {
		identities.m = map[[2]uint64]uint64{}
	}
	key := [2]uint64{st.Dev, st.Ino}
	ino, ok := identities.m[key]
	if !ok {
		ino = fs.ino.Add(1)
		identities.m[key] = ino
	}
	return vfs.NewInode(fs.sb, ino, n, &n.attr)
}

func (n *inode) store(st *linux.Stat) {
	a := &n.attr
	a.Mode.Store(st.Mode)
	a.UID.Store(st.UID)
	a.GID.Store(st.GID)
	a.Nlink.Store(uint32(st.Nlink))
	a.Size.Store(st.Size)
	a.Blocks.Store(st.Blocks)
	a.Atime.Store(st.Atim.Sec*1e9 + st.Atim.Nsec)
	a.Mtime.Store(st.Mtim.Sec*1e9 + st.Mtim.Nsec)
	a.Ctime.Store(st.Ctim.Sec*1e9 + st.Ctim.Nsec)
}

// GetAttr asks the host.
func (n *inode) GetAttr(*vfs.Caller, *vfs.Inode) linux.Errno {
	if n.f == nil {
		return 0
	}
	var st linux.Stat
	if errno := sys.Fstat(n.f.fd, &st); errno != 0 {
		return errno
	}
	n.store(&st)
	return 0
}

// SetAttr truncates a regular file; owner, mode and times of what the user handed over stay the user's.
func (n *inode) SetAttr(_ *vfs.Caller, _ *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	if n.f == nil || s.Mask&^(linux.STATX_SIZE|linux.STATX_ATIME|linux.STATX_MTIME) != 0 {
		return linux.EPERM
	}
	if s.Mask&linux.STATX_SIZE == 0 {
		return 0
	}
	return sys.Ftruncate(n.f.fd, s.Size)
}

// Open opens the file again through /proc/self/fd: with the same descriptor, if its access mode allows that.
func (n *inode) Open(_ *vfs.Caller, _ *vfs.Inode, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	if n.f == nil || n.f.kind == socket {
		return nil, linux.ENXIO
	}
	host, errno := sys.Flags(n.f.fd)
	if errno != 0 {
		return nil, errno
	}
	if have := host & linux.O_ACCMODE; have != linux.O_RDWR && have != flags&linux.O_ACCMODE {
		return nil, linux.EACCES
	}
	fd, errno := sys.Dup(n.f.fd)
	if errno != 0 {
		return nil, errno
	}
	f := &File{fd: fd, kind: n.f.kind, tty: n.f.tty, reg: n.f.reg, ino: n.f.ino}
	f.watch.init(fd)
	return f, 0
}

// Forget has nothing to do.
func (n *inode) Forget(*vfs.Inode, bool) {}

// text is the name in /proc/pid/fd.
func (f *File) text(st *linux.Stat, i *vfs.Inode) string {
	switch {
	case f.kind == socket:
		return fmt.Sprintf("socket:[%d]", i.Ino)
	case st.Mode&linux.S_IFMT == linux.S_IFIFO:
		return fmt.Sprintf("pipe:[%d]", i.Ino)
	case f.tty:
		return "/dev/tty"
	case st.Mode&linux.S_IFMT == linux.S_IFCHR && st.Rdev == 0x103:
		return "/dev/null"
	}
	return fmt.Sprintf("host:[%d]", i.Ino)
}

// Backing lets regular files be mapped; others fail with ENODEV as on Linux.
func (f *File) Backing(off, length uint64, write bool) (mm.Backing, linux.Errno) {
	var st linux.Stat
	if !f.reg {
		return mm.Backing{}, linux.ENODEV
	}
	if errno := sys.Fstat(f.fd, &st); errno != 0 {
		return mm.Backing{}, errno
	}
	flags, errno := sys.Flags(f.fd)
	if errno != 0 {
		return mm.Backing{}, errno
	}
	writable := flags&linux.O_ACCMODE == linux.O_RDWR
	if write && !writable {
		return mm.Backing{}, linux.EACCES
	}
	end := (uint64(st.Size) + linux.PageMask) &^ linux.PageMask
	if off >= end {
		return mm.Backing{}, linux.ENXIO
	}
	return mm.Backing{FD: f.fd, Offset: off, Len: min(max(length, linux.PageSize), end-off), Write: writable}, 0
}

// AddMapping has nothing to note: only host processes shrink the file, and nobody tells.
func (f *File) AddMapping(mm.Mapping, uint64, uint64) {}

// RemoveMapping undoes AddMapping.
func (f *File) RemoveMapping(mm.Mapping, uint64, uint64) {}

// MapIdentity is the same for every descriptor of one host file.
func (f *File) MapIdentity() (dev, ino uint64) { return hostFS().sb.Dev, f.ino }

// ReadAt reads bytes for the sentry.
func (f *File) ReadAt(b []byte, off uint64) (int, linux.Errno) {
	if off > 1<<62 {
		return 0, 0
	}
	return sys.Pread(f.fd, b, int64(off))
}
