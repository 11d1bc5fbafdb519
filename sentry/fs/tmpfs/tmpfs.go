// Package tmpfs is a filesystem in memory, like Linux's tmpfs: data lies in pages of the memory file, names
// and attributes in Go's heap. memfd_create(2) and the upper layer of overlay are made of its files too.
//
// Locks: a directory's mu guards its entries; a regular file's io orders reads, writes and truncation, and its
// mu guards the table of pages, which faults look at too: nothing is copied to or from a guest under mu.
package tmpfs

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// Options are what a tmpfs is made with.
type Options struct {
	Mem       *mem.File
	Source    string
	SizeBytes int64  // most data, 0: no limit of its own
	Inodes    int64  // most inodes, 0: no limit
	Mode      uint32 // of the root directory, 0: 01777
	UID, GID  uint32
	// TotalRAM is what size=50% and the default of mount(2) refer to; 0: such sizes mean no limit.
	TotalRAM int64
}

// FS is one tmpfs.
type FS struct {
	SB  *vfs.Superblock
	mem *mem.File
	opt Options

	ino      atomic.Uint64
	maxPages atomic.Int64 // 0: no limit
	pages    atomic.Int64
	maxInos  atomic.Int64
	inodes   atomic.Int64
}

// New makes a tmpfs with an empty root directory.
func New(o Options) *FS {
	if o.Mode == 0 {
		o.Mode = 0o1777
	}
	fs := &FS{mem: o.Mem, opt: o}
	fs.maxPages.Store((o.SizeBytes + linux.PageMask) / linux.PageSize)
	fs.maxInos.Store(o.Inodes)
	source := o.Source
	if source == "" {
		source = "tmpfs"
	}
	fs.SB = &vfs.Superblock{
		Type: "tmpfs", Dev: vfs.NewDev(), Magic: linux.TMPFS_MAGIC, Source: source,
		Statfs: fs.statfs, Options: fs.options, Remount: fs.remount, Release: fs.release,
	}
	d := fs.newDir(&vfs.MakeOptions{Mode: linux.S_IFDIR | o.Mode&0o7777, UID: o.UID, GID: o.GID})
	fs.inodes.Add(1)
	fs.SB.Root = &d.Inode
	return fs
}

// Type returns the filesystem type for mount(2); base has the memory file, and TotalRAM.
func Type(base Options) vfs.FSType {
	return vfs.FSType{Name: "tmpfs", NoDev: true, UserMount: true,
		Mount: func(c *vfs.Caller, source string, flags uint32, data string) (*vfs.Superblock, linux.Errno) {
			o := base
			o.Source = source
			o.SizeBytes = base.TotalRAM / 2
			o.UID, o.GID = c.Creds.FSUID, c.Creds.FSGID
			if errno := o.parse(data); errno != 0 {
				return nil, errno
			}
			fs := New(o)
			fs.SB.UserNS = c.Creds.UserNS
			fs.SB.SetFlags(flags)
			return fs.SB, 0
		}}
}

// parse reads the options of mount(2).
func (o *Options) parse(data string) linux.Errno {
	for opt := range strings.SplitSeq(data, ",") {
		key, val, has := strings.Cut(opt, "=")
		ok := true
		switch key {
		case "", "inode64", "inode32", "noswap":
		case "huge", "mpol", "nr_blocks":
			ok = has
			if key == "nr_blocks" {
				var n int64
				n, ok = parseSize(val, 0)
				o.SizeBytes = min(n, 1<<50) * linux.PageSize
			}
		case "size":
			o.SizeBytes, ok = parseSize(val, o.TotalRAM)
		case "nr_inodes":
			o.Inodes, ok = parseSize(val, 0)
		case "mode":
			m, err := strconv.ParseUint(val, 8, 32)
			o.Mode, ok = uint32(m)&0o7777, err == nil
		case "uid", "gid":
			id, err := strconv.ParseUint(val, 10, 32)
			ok = err == nil
			if key == "uid" {
				o.UID = uint32(id)
			} else {
				o.GID = uint32(id)
			}
		default:
			ok = false
		}
		if !ok {
			return linux.EINVAL
		}
	}
	return 0
}

// parseSize reads a number with a suffix k, m, g, t or, of ram, %.
func parseSize(s string, ram int64) (int64, bool) {
	if s == "" {
		return 0, false
	}
	shift := 0
	switch s[len(s)-1] | 0x20 {
	case 'k':
		shift = 10
	case 'm':
		shift = 20
	case 'g':
		shift = 30
	case 't':
		shift = 40
	}
	percent := s[len(s)-1] == '%'
	if shift != 0 || percent {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseUint(s, 0, 63)
	if err != nil || n > 1<<62>>shift {
		return 0, false
	}
	if percent {
		return int64(min(n, 1<<20)) * (ram / 100), true
	}
	return int64(n) << shift, true
}

func (fs *FS) options() string {
	var parts []string
	if n := fs.maxPages.Load(); n != 0 {
		parts = append(parts, fmt.Sprintf("size=%dk", n*linux.PageSize/1024))
	}
	if n := fs.maxInos.Load(); n != 0 {
		parts = append(parts, fmt.Sprintf("nr_inodes=%d", n))
	}
	if m := fs.opt.Mode; m != 0o1777 {
		parts = append(parts, fmt.Sprintf("mode=%03o", m))
	}
	if fs.opt.UID != 0 {
		parts = append(parts, fmt.Sprintf("uid=%d", fs.opt.UID))
	}
	if fs.opt.GID != 0 {
		parts = append(parts, fmt.Sprintf("gid=%d", fs.opt.GID))
	}
	return strings.Join(append(parts, "inode64"), ",")
}

// remount changes the limits; they cannot go below what is used.
func (fs *FS) remount(c *vfs.Caller, flags uint32, data string) linux.Errno {
	o := fs.opt
	o.SizeBytes = fs.maxPages.Load() * linux.PageSize
	o.Inodes = fs.maxInos.Load()
	if errno := o.parse(data); errno != 0 {
		return errno
	}
	pages := (o.SizeBytes + linux.PageMask) / linux.PageSize
	if pages != 0 && pages < fs.pages.Load() || o.Inodes != 0 && o.Inodes < fs.inodes.Load() {
		return linux.EINVAL
	}
	fs.maxPages.Store(pages)
	fs.maxInos.Store(o.Inodes)
	return 0
}

func (fs *FS) statfs(*vfs.Caller) (linux.Statfs, linux.Errno) {
	s := linux.Statfs{Type: linux.TMPFS_MAGIC, Bsize: linux.PageSize, Frsize: linux.PageSize, Namelen: linux.NAME_MAX}
	if n := fs.maxPages.Load(); n != 0 {
		s.Blocks = uint64(n)
		s.Bfree = uint64(max(0, n-fs.pages.Load()))
		s.Bavail = s.Bfree
	}
	if n := fs.maxInos.Load(); n != 0 {
		s.Files = uint64(n)
		s.Ffree = uint64(max(0, n-fs.inodes.Load()))
	}
	return s, 0
}

// release frees all data once the last mount is gone.
func (fs *FS) release() {
	if d, ok := fs.SB.Root.Ops.(*dir); ok {
		d.freeTree()
	}
}

// chargePages takes n pages from the quota.
func (fs *FS) chargePages(n int64) bool { return charge(&fs.pages, &fs.maxPages, n) }

func charge(used, limit *atomic.Int64, n int64) bool {
	now := used.Add(n)
	if most := limit.Load(); most != 0 && now > most {
		used.Add(-n)
		return false
	}
	return true
}

// node is what all inodes of tmpfs have.
type node struct {
	vfs.Inode
	attr   vfs.Attr
	fs     *FS
	xattrs Xattrs
}

// initOn fills in a new node, whose operations are ops.
func (n *node) initOn(fs *FS, sb *vfs.Superblock, ino uint64, ops vfs.InodeOps, o *vfs.MakeOptions, nlink uint32) {
	n.fs = fs
	now := vfs.Now()
	a := &n.attr
	a.Mode.Store(o.Mode)
	a.UID.Store(o.UID)
	a.GID.Store(o.GID)
	a.Nlink.Store(nlink)
	a.Rdev.Store(o.Rdev)
	a.Blksize = linux.PageSize
	a.Atime.Store(now)
	a.Mtime.Store(now)
	a.Ctime.Store(now)
	a.Btime = now
	vfs.InitInode(&n.Inode, sb, ino, ops, a)
}

// GetAttr implements vfs.InodeOps: attributes are always current.
func (n *node) GetAttr(*vfs.Caller, *vfs.Inode) linux.Errno { return 0 }

// SetAttr implements vfs.InodeOps for all but regular files.
func (n *node) SetAttr(c *vfs.Caller, i *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	if s.Mask&linux.STATX_SIZE != 0 {
		return linux.EINVAL
	}
	vfs.StoreAttr(&n.attr, s)
	return 0
}

// Forget implements vfs.InodeOps.
func (n *node) Forget(_ *vfs.Inode, unlinked bool) {
	if unlinked {
		n.fs.inodes.Add(-1)
	}
}

// special is a device node, FIFO or socket. vfs opens it.
type special struct {
	node
	vfs.NoDir
	vfs.NoLink
	xattrOps
}

// Open implements vfs.InodeOps; what reaches it has no operations of its own.
func (s *special) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return nil, linux.ENXIO
}

// symlink is a symbolic link.
type symlink struct {
	node
	vfs.NoDir
	xattrOps
	target string
}

// Open implements vfs.InodeOps.
func (s *symlink) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return nil, linux.ELOOP
}

// Readlink implements vfs.LinkOps.
func (s *symlink) Readlink(*vfs.Caller, *vfs.Inode) (string, linux.Errno) { return s.target, 0 }

// Jump implements vfs.LinkOps.
func (s *symlink) Jump(*vfs.Caller, *vfs.Inode) (vfs.Path, bool, linux.Errno) {
	return vfs.Path{}, false, 0
}
