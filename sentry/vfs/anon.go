package vfs

import (
	"strconv"
	"sync/atomic"

	"hornwork/linux"
)

// AnonFS is a filesystem of files without names: pipefs, sockfs, anon_inodefs. It is mounted nowhere.
type AnonFS struct {
	SB    *Superblock
	mount *Mount
	ino   atomic.Uint64
}

// NewAnonFS makes the filesystem; kind is what an inode's name starts with ("pipe" shows as "pipe:[ino]").
func NewAnonFS(kind string, magic int64) *AnonFS {
	fs := &AnonFS{}
	fs.SB = &Superblock{Type: kind, Dev: NewDev(), Magic: magic, NoAtime: true}
	fs.SB.Statfs = func(*Caller) (linux.Statfs, linux.Errno) {
		return linux.Statfs{Type: magic, Bsize: linux.PageSize, Namelen: linux.NAME_MAX, Frsize: linux.PageSize}, 0
	}
	root := &Attr{Blksize: linux.PageSize}
	root.Mode.Store(linux.S_IFDIR | 0o600)
	fs.SB.Root = NewInode(fs.SB, fs.ino.Add(1), anonOps{}, root)
	fs.mount = newMount(fs.SB, fs.SB.RootDentry(), 0)
	return fs
}

// anonFile is everything that a file without a name needs, in one allocation.
type anonFile struct {
	File
	dentry Dentry
	inode  Inode
	attr   Attr
}

// NewAnonFile makes an open file on a new inode of fs. mode has the type bits that fstat(2) shows. name is what
// /proc/pid/fd shows ("anon_inode:[eventpoll]"); "" gives "kind:[ino]".
func NewAnonFile(c *Caller, fs *AnonFS, name string, mode uint32, ops FileOps, flags uint32) *File {
	af := &anonFile{}
	now := Now()
	a := &af.attr
	a.Mode.Store(mode)
	a.UID.Store(c.Creds.FSUID)
	a.GID.Store(c.Creds.FSGID)
	a.Nlink.Store(1)
	a.Blksize = linux.PageSize
	a.Atime.Store(now)
	a.Mtime.Store(now)
	a.Ctime.Store(now)
	InitInode(&af.inode, fs.SB, fs.ino.Add(1), anonOps{ops: ops}, a)
	initNameless(&af.dentry, fs.SB, &af.inode, name)
	fs.mount.refs.Get()
	af.init(c, Path{fs.mount, &af.dentry}, ops, flags)
	return &af.File
}

// NewInodeFile makes an open file on an inode that has no name (memfd, SysV shared memory); name is what
// /proc/pid/fd shows. The inode's superblock need not be mounted.
func NewInodeFile(c *Caller, i *Inode, name string, ops FileOps, flags uint32) *File {
	m := newMount(i.SB, i.SB.RootDentry(), 0)
	d := &Dentry{}
	initNameless(d, i.SB, i, name)
	f := &File{}
	f.init(c, Path{m, d}, ops, flags)
	return f
}

// NamelessPath is the path of an inode of fs that has no name; it holds a reference. name is what /proc/pid/fd shows.
func NamelessPath(fs *AnonFS, i *Inode, name string) Path {
	d := &Dentry{}
	initNameless(d, fs.SB, i, name)
	fs.mount.refs.Get()
	return Path{fs.mount, d}
}

// initNameless makes d the unhashed dentry of i, with one reference.
func initNameless(d *Dentry, sb *Superblock, i *Inode, name string) {
	d.sb = sb
	d.home.name = name
	d.loc.Store(&d.home)
	d.refs.Store(1)
	d.state.Store(dentryUnhashed)
	d.display = namelessText
	i.uses.Add(1)
	d.inode.Store(i)
}

// namelessText is the name of a file without one.
func namelessText(d *Dentry) string {
	if d.home.name != "" {
		return d.home.name
	}
	return d.sb.Type + ":[" + strconv.FormatUint(d.Inode().Ino, 10) + "]"
}

// Nameless says whether d is an internal file, whose Name is not a path.
func (d *Dentry) Nameless() bool { return d.display != nil }

// Reopener is implemented by operations of nameless files that can be opened again through /proc/pid/fd.
type Reopener interface {
	Reopen(c *Caller, i *Inode, p Path, flags uint32) (FileOps, linux.Errno)
}

// anonOps are the inode operations of nameless files.
type anonOps struct {
	NoDir
	NoLink
	NoXattr
	ops FileOps
}

func (anonOps) GetAttr(*Caller, *Inode) linux.Errno { return 0 }

func (anonOps) SetAttr(c *Caller, i *Inode, s *SetAttr) linux.Errno {
	if s.Mask&linux.STATX_SIZE != 0 {
		return linux.EINVAL
	}
	StoreAttr(i.Attr(), s)
	return 0
}

func (o anonOps) Open(c *Caller, i *Inode, p Path, flags uint32) (FileOps, linux.Errno) {
	if r, ok := o.ops.(Reopener); ok {
		return r.Reopen(c, i, p, flags)
	}
	return nil, linux.ENXIO
}

func (anonOps) Forget(*Inode, bool) {}

// NewBareFile makes a File for a filesystem that reads an inode of a layer below it. It holds no references and is
// never Put: the user calls ops.Release when done.
func NewBareFile(i *Inode, ops FileOps, flags uint32) *File {
	d := &Dentry{sb: i.SB, display: namelessText}
	d.loc.Store(&d.home)
	d.state.Store(dentryUnhashed)
	d.inode.Store(i)
	f := &File{Ops: ops, Path: Path{Dentry: d}}
	f.flags.Store(flags)
	f.seekable = ops.Seekable()
	return f
}
