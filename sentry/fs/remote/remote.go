// Package remote is the filesystem of the host's files, as a gofer serves them (gofer/proto): like Linux's 9p
// or virtiofs, but opened files come as host descriptors, so that reads, writes and mappings need no request.
//
// Names and attributes are cached as Options.Cache says. With CacheImmutable nothing is asked twice: a listing
// of a directory answers all later lookups in it, also those of names that are not there, a kept descriptor
// answers opens. With CacheShared, names are looked up again at every walk and attributes before every stat.
//
// Whatever a gofer answers is checked: proto checks the form, this package that the answer fits the question.
// A false one gives EIO, never more.
//
// Locks: dirNode.mu and fileNode.mu (class Remote) guard what has been fetched and are held over requests, so
// that two tasks do not ask the same. Client and fdCache have leaf locks.
package remote

import (
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"hornwork/gofer/proto"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// Cache says what may be taken for granted about the host's files.
type Cache uint8

// Kinds of caching.
const (
	// CacheImmutable: nobody but this sandbox changes the tree.
	CacheImmutable Cache = iota
	// CacheShared: others change it at any time.
	CacheShared
)

// Options of a mounted root.
type Options struct {
	Root     uint32 // number of the root in the gofer's list
	ReadOnly bool   // the superblock refuses changes; true anyway if the gofer says so
	Cache    Cache
	Source   string // as /proc/mounts shows it; "none" if empty
	NoXattr  bool   // do not ask for extended attributes: there are none
}

// fresh is how long attributes from the gofer serve the next stat in CacheShared: the walk of the same system
// call has fetched them, and stat(2) must not ask a second time.
const fresh = time.Millisecond

// fsys is one mounted root.
type fsys struct {
	cl   *Client
	sb   *vfs.Superblock
	opts Options
	root *node
	dev  uint64 // the host device of the root directory

	ahead, aheadGot, aheadUsed atomic.Int32 // see readahead.go

	mu       sync.Mutex // a leaf, guards the fields below
	devs     map[uint64]uint64
	nodes    map[hostKey]weak.Pointer[node]
	listings listingRing
}

// hostKey identifies an object of the host.
type hostKey struct{ dev, ino uint64 }

// New makes the superblock of one of the gofer's roots. Its root is a regular file where the gofer serves one.
func New(cl *Client, o Options) (*vfs.Superblock, error) {
	var a proto.Attached
	if errno := cl.call(&proto.Attach{Root: o.Root}, &a, nil); errno != 0 {
		return nil, errno
	}
	if t := a.Node.Attr.Mode & linux.S_IFMT; t != linux.S_IFDIR && t != linux.S_IFREG || a.Node.Handle == 0 {
		cl.broken()
		return nil, linux.EIO
	}
	o.ReadOnly = o.ReadOnly || a.ReadOnly
	if o.Source == "" {
		o.Source = "none"
	}
	fs := &fsys{cl: cl, opts: o, dev: a.Node.Attr.Dev, devs: map[uint64]uint64{}, nodes: map[hostKey]weak.Pointer[node]{}}
	fs.sb = &vfs.Superblock{
		Type: "9p", Dev: vfs.NewDev(), Magic: linux.V9FS_MAGIC, Source: o.Source, NoAtime: true,
		Revalidate: o.Cache == CacheShared,
		Options:    fs.options,
		Statfs:     fs.statfs,
		Release:    fs.release,
	}
	if o.ReadOnly {
		fs.sb.SetFlags(linux.MS_RDONLY)
	}
	fs.root = fs.build(&a.Node.Attr, nil, "", "")
	fs.root.track()
	fs.root.adopt(a.Node.Handle)
	fs.nodes[fs.root.host] = weak.Make(fs.root)
	fs.sb.Root = &fs.root.Inode
	return fs.sb, nil
}

func (fs *fsys) immutable() bool { return fs.opts.Cache == CacheImmutable }

func (fs *fsys) options() string {
	if fs.immutable() {
		return "trans=fd,cache=loose"
	}
	return "trans=fd,cache=none"
}

func (fs *fsys) statfs(*vfs.Caller) (linux.Statfs, linux.Errno) {
	var r proto.StatfsResult
	errno := fs.cl.call(&proto.Statfs{Ref: fs.root.ref()}, &r, nil)
	if errno != 0 {
		return linux.Statfs{}, errno
	}
	st := linux.Statfs{
		Type: fs.sb.Magic, Bsize: r.Bsize, Frsize: r.Frsize, Namelen: linux.NAME_MAX,
		Blocks: r.Blocks, Bfree: r.Bfree, Bavail: r.Bavail, Files: r.Files, Ffree: r.Ffree,
	}
	if st.Bsize <= 0 || st.Bsize > 1<<30 {
		st.Bsize = linux.PageSize
	}
	if st.Frsize <= 0 || st.Frsize > 1<<30 {
		st.Frsize = st.Bsize
	}
	return st, 0
}

// release runs when the filesystem is unmounted for good.
func (fs *fsys) release() {
	fs.mu.Lock()
	fs.listings = listingRing{}
	fs.mu.Unlock()
}

// ino makes one number of the host's device and inode numbers: different mounts of the host below one root
// would collide in one filesystem otherwise.
func (fs *fsys) ino(dev, ino uint64) uint64 {
	if dev == fs.dev {
		return ino
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	k, ok := fs.devs[dev]
	if !ok && len(fs.devs) < 1<<12 {
		k = uint64(len(fs.devs)) + 1
		fs.devs[dev] = k
	}
	return ino ^ k<<52
}

// newNode returns the inode of an object that the gofer told about: the known one, brought up to date, or a
// new one. name in parent is where it was found.
func (fs *fsys) newNode(a *proto.Attr, handle uint64, parent *dirNode, name, target string) *vfs.Inode {
	typ := a.Mode & linux.S_IFMT
	// Files with one name in a tree that nobody else changes are found through that name only.
	shared := typ == linux.S_IFDIR || a.Nlink > 1 || !fs.immutable() || !fs.opts.ReadOnly
	if !shared {
		fs.cl.forget(handle) // nobody asked for one
		return &fs.build(a, parent, name, target).Inode
	}
	key := hostKey{a.Dev, a.Ino}
	fs.mu.Lock()
	n := fs.nodes[key].Value()
	fs.mu.Unlock()
	if !n.same(a) {
		n = fs.build(a, parent, name, target)
		n.track()
		fs.mu.Lock()
		if old := fs.nodes[key].Value(); old.same(a) {
			n = old // another task found it at the same time
		} else {
			fs.nodes[key] = weak.Make(n)
		}
		fs.mu.Unlock()
	}
	n.update(a)
	n.place.Store(&place{parent, name})
	if handle != 0 && !n.grip.handle.CompareAndSwap(0, handle) && n.grip.handle.Load() != handle {
		fs.cl.forget(handle)
	}
	return &n.Inode
}

// build makes the node of the right kind.
func (fs *fsys) build(a *proto.Attr, parent *dirNode, name, target string) *node {
	var n *node
	var ops vfs.InodeOps
	switch a.Mode & linux.S_IFMT {
	case linux.S_IFDIR:
		d := &dirNode{}
		n, ops = &d.node, d
	case linux.S_IFREG:
		f := &fileNode{}
		n, ops = &f.node, f
	case linux.S_IFLNK:
		l := &linkNode{}
		if target != "" {
			l.target.Store(&target)
		}
		n, ops = &l.node, l
	default:
		s := &specialNode{}
		n, ops = &s.node, s
	}
	n.fs, n.host = fs, hostKey{a.Dev, a.Ino}
	n.place.Store(&place{parent, name})
	n.attr.Btime, n.attr.Blksize = a.Btime, a.Blksize
	n.update(a)
	vfs.InitInode(&n.Inode, fs.sb, fs.ino(a.Dev, a.Ino), ops, &n.attr)
	return n
}
