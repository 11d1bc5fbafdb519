// Package overlay shows one tree made of read-only layers and of changes kept in memory, like Linux's overlayfs
// with a tmpfs as its upper directory.
//
// Since nothing of the upper layer outlives the sentry, it needs no directories, whiteouts or redirects of its own:
// a changed directory keeps a table of the names that differ from the layers, each with the inode that it stands
// for or with none. So a directory of a lower layer can be renamed as it is, and inode numbers and hard links
// survive changes. Objects that were made here are plain inodes of tmpfs, shown under overlay's device number;
// objects of lower layers are wrapped, and a file's data is copied when it is first opened for writing.
//
// What was opened for reading before that copy keeps showing the lower file, as on Linux.
//
// Locks: a node's mu guards what it is made of and is held over calls of the layers; FS.mu is a leaf.
package overlay

import (
	"sync"
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// Options are what an overlay is made of.
type Options struct {
	Lower  []*vfs.Superblock // read-only layers, the topmost first; at least one
	Upper  *tmpfs.FS         // holds data of new and changed files
	Source string
	// Text is shown as the mount's options ("lowerdir=…").
	Text string
	// Release runs when the overlay is gone, to let the layers go.
	Release func()
}

// FS is one overlay.
type FS struct {
	SB     *vfs.Superblock
	upper  *tmpfs.FS
	lower  []*vfs.Superblock
	layers map[*vfs.Superblock]uint64 // position in lower
	ino    atomic.Uint64

	mu sync.Mutex // a leaf; guards index
	// index has the nodes of lower objects that must be found again: changed ones, and, while they are in use,
	// those with several names.
	index map[lowerKey]*vfs.Inode
}

// lowerKey identifies an object of a lower layer.
type lowerKey struct {
	sb  *vfs.Superblock
	ino uint64
}

// firstIno is the first inode number of objects made here; lower filesystems' numbers are below.
const firstIno = 1 << 47

// New makes an overlay.
func New(o Options) *FS {
	fs := &FS{upper: o.Upper, lower: o.Lower, layers: map[*vfs.Superblock]uint64{}, index: map[lowerKey]*vfs.Inode{}}
	fs.ino.Store(firstIno)
	roots := make([]*vfs.Inode, 0, len(o.Lower))
	revalidate := false
	for k, sb := range o.Lower {
		fs.layers[sb] = uint64(k)
		roots = append(roots, sb.Root)
		revalidate = revalidate || sb.Revalidate
	}
	source := o.Source
	if source == "" {
		source = "overlay"
	}
	fs.SB = &vfs.Superblock{
		Type: "overlay", Dev: vfs.NewDev(), Magic: linux.OVERLAYFS_SUPER_MAGIC, Source: source,
		Options: func() string { return o.Text }, Statfs: fs.statfs, Revalidate: revalidate,
	}
	fs.SB.Root = fs.wrapDir(roots)
	fs.SB.Release = func() {
		fs.freeData()
		if o.Release != nil {
			o.Release()
		}
	}
	return fs
}

// freeData gives back the data of all files once nothing uses the overlay any more.
func (fs *FS) freeData() {
	seen := map[*vfs.Inode]bool{}
	todo := []*vfs.Inode{fs.SB.Root}
	fs.mu.Lock()
	for _, i := range fs.index {
		todo = append(todo, i)
	}
	fs.index = map[lowerKey]*vfs.Inode{}
	fs.mu.Unlock()
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		if d, ok := i.Ops.(*dir); ok {
			todo = append(todo, d.takeNames()...)
			continue
		}
		i.Ops.Forget(i, true)
	}
}

// statfs shows the space of the upper layer, or of the lowest if that has no limit.
func (fs *FS) statfs(c *vfs.Caller) (linux.Statfs, linux.Errno) {
	s, errno := fs.upper.SB.Statfs(c)
	if low := fs.lower[len(fs.lower)-1]; errno == 0 && s.Blocks == 0 && low.Statfs != nil {
		s, errno = low.Statfs(c)
	}
	s.Type = fs.SB.Magic
	s.Fsid = [2]int32{}
	return s, errno
}

// inoOf is the number under which an object of a layer is shown: its own, told apart from other layers'.
func (fs *FS) inoOf(i *vfs.Inode) uint64 { return i.Ino ^ fs.layers[i.SB]<<56 }

// find returns the node of a lower object that must not get a second one.
func (fs *FS) find(k lowerKey) *vfs.Inode {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.index[k]
}

func (fs *FS) remember(k lowerKey, i *vfs.Inode) {
	fs.mu.Lock()
	fs.index[k] = i
	fs.mu.Unlock()
}

func (fs *FS) forget(k lowerKey, i *vfs.Inode) {
	fs.mu.Lock()
	if fs.index[k] == i {
		delete(fs.index, k)
	}
	fs.mu.Unlock()
}

// wrap returns the inode that shows the lower object i, which is not a directory.
func (fs *FS) wrap(i *vfs.Inode) *vfs.Inode {
	k := lowerKey{i.SB, i.Ino}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n := fs.index[k]; n != nil {
		return n
	}
	var out *vfs.Inode
	if i.Type() == linux.S_IFREG {
		r := &regular{}
		r.init(fs, r, i)
		out = &r.Inode
	} else {
		o := &other{}
		o.init(fs, o, i)
		out = &o.Inode
	}
	if i.Attr().Nlink.Load() > 1 {
		fs.index[k] = out
	}
	return out
}

// wrapDir returns the inode that shows the merger of lower directories.
func (fs *FS) wrapDir(lowers []*vfs.Inode) *vfs.Inode {
	k := lowerKey{lowers[0].SB, lowers[0].Ino}
	if i := fs.find(k); i != nil {
		return i
	}
	d := &dir{lowers: lowers}
	d.init(fs, d, lowers[0])
	return &d.Inode
}

// node is what the inodes of lower objects, and all directories, have.
type node struct {
	vfs.Inode
	fs    *FS
	lower *vfs.Inode // nil: a directory that was made here

	mu      rank.Mutex[rank.Overlay] // guards the fields below
	changed bool                     // attributes are ours; the node is in the index
	xattrs  *tmpfs.Xattrs            // nil: the lower object's
}

func (n *node) init(fs *FS, ops vfs.InodeOps, lower *vfs.Inode) {
	n.fs, n.lower = fs, lower
	vfs.InitInode(&n.Inode, fs.SB, fs.inoOf(lower), ops, lower.Attr())
}

// GetAttr implements vfs.InodeOps.
func (n *node) GetAttr(c *vfs.Caller, _ *vfs.Inode) linux.Errno {
	if n.lower == nil || !n.lower.SB.Revalidate {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed {
		return 0
	}
	if errno := n.lower.Ops.GetAttr(c, n.lower); errno != 0 {
		return errno
	}
	n.SetAttrs(n.lower.Attr())
	return 0
}

// change makes the attributes ours.
func (n *node) change(c *vfs.Caller) linux.Errno {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changeLocked(c)
}

func (n *node) changeLocked(c *vfs.Caller) linux.Errno {
	if n.changed || n.lower == nil {
		return 0
	}
	if errno := n.lower.Ops.GetAttr(c, n.lower); errno != 0 {
		return errno
	}
	a := &vfs.Attr{}
	a.Copy(n.lower.Attr())
	n.SetAttrs(a)
	n.changed = true
	n.fs.remember(lowerKey{n.lower.SB, n.lower.Ino}, &n.Inode)
	return 0
}

// SetAttr implements vfs.InodeOps for all but regular files.
func (n *node) SetAttr(c *vfs.Caller, _ *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	if s.Mask&linux.STATX_SIZE != 0 {
		return linux.EINVAL
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if errno := n.changeLocked(c); errno != 0 {
		return errno
	}
	vfs.StoreAttr(n.Attr(), s)
	return 0
}

// Forget implements vfs.InodeOps.
func (n *node) Forget(_ *vfs.Inode, unlinked bool) {
	if n.lower == nil {
		return
	}
	n.mu.Lock()
	changed := n.changed
	n.mu.Unlock()
	if changed && !unlinked {
		return // the index keeps it
	}
	n.fs.forget(lowerKey{n.lower.SB, n.lower.Ino}, &n.Inode)
	n.lower.Ops.Forget(n.lower, false)
}

// changer is an inode of a lower object: its attributes must be made ours before they are changed.
type changer interface {
	change(c *vfs.Caller) linux.Errno
}

// makeOurs prepares i, of this overlay, for a change of its attributes.
func makeOurs(c *vfs.Caller, i *vfs.Inode) linux.Errno {
	if n, ok := i.Ops.(changer); ok {
		return n.change(c)
	}
	return 0
}

// other is a symlink, device node, FIFO or socket of a lower layer.
type other struct {
	node
	vfs.NoDir
}

// Open implements vfs.InodeOps; vfs opens these itself.
func (o *other) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return nil, linux.ENXIO
}

// Readlink implements vfs.LinkOps.
func (o *other) Readlink(c *vfs.Caller, _ *vfs.Inode) (string, linux.Errno) {
	return o.lower.Ops.Readlink(c, o.lower)
}

// Jump implements vfs.LinkOps: a layer has no magic links.
func (o *other) Jump(*vfs.Caller, *vfs.Inode) (vfs.Path, bool, linux.Errno) {
	return vfs.Path{}, false, 0
}
