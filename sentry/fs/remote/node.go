package remote

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"hornwork/gofer/proto"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// node is what all inodes of this filesystem have in common. The kinds embed it first.
type node struct {
	vfs.Inode
	attr  vfs.Attr
	fs    *fsys
	host  hostKey
	place atomic.Pointer[place]
	grip  *grip        // nil: the object never has a handle
	asked atomic.Int64 // when the attributes came, in nanoseconds since start
	xattr atomic.Pointer[xattrs]
}

// place is where an object was found last.
type place struct {
	parent *dirNode // nil: the root, or a file without a name
	name   string
}

// grip is the gofer's handle of an object. It lives outside the node so that the cleanup can see it.
type grip struct{ handle atomic.Uint64 }

// base gives access to the node behind an inode's operations.
func (n *node) base() *node { return n }

// nodeOf returns the node of an inode of this filesystem.
func nodeOf(i *vfs.Inode) *node { return i.Ops.(interface{ base() *node }).base() }

// same says whether a describes n, which may be nil.
func (n *node) same(a *proto.Attr) bool {
	return n != nil && n.Type() == a.Mode&linux.S_IFMT && n.attr.Btime == a.Btime
}

// track lets the gofer know when the collector takes n. Correctness does not wait for that: the gofer bounds
// its descriptors by itself.
func (n *node) track() {
	n.grip = &grip{}
	runtime.AddCleanup(n, forgetNode, lost{n.fs, n.host, n.grip})
}

type lost struct {
	fs   *fsys
	key  hostKey
	grip *grip
}

func forgetNode(l lost) {
	l.fs.mu.Lock()
	if l.fs.nodes[l.key].Value() == nil {
		delete(l.fs.nodes, l.key)
	}
	l.fs.mu.Unlock()
	l.fs.cl.forget(l.grip.handle.Load())
}

// ref names the object to the gofer: by its handle, or by the path from the nearest ancestor that has one.
func (n *node) ref() proto.Ref {
	var path []string
	for {
		if n.grip != nil {
			if h := n.grip.handle.Load(); h != 0 {
				break
			}
		}
		p := n.place.Load()
		if p.parent == nil || len(path) == proto.MaxNames {
			return proto.Ref{} // handle 0 does not exist: the gofer refuses
		}
		path = append(path, p.name)
		n = &p.parent.node
	}
	slices.Reverse(path)
	return proto.Ref{Handle: n.grip.handle.Load(), Path: path}
}

// adopt takes a handle that the gofer gave for n.
func (n *node) adopt(handle uint64) {
	if handle == 0 {
		return
	}
	if n.grip == nil || !n.grip.handle.CompareAndSwap(0, handle) && n.grip.handle.Load() != handle {
		n.fs.cl.forget(handle)
	}
}

var start = time.Now()

// update takes over attributes that the gofer sent. The type never changes: newNode makes another node then.
func (n *node) update(a *proto.Attr) {
	t := &n.attr
	t.Mode.Store(a.Mode)
	t.UID.Store(a.UID)
	t.GID.Store(a.GID)
	t.Nlink.Store(a.Nlink)
	t.Rdev.Store(a.Rdev)
	t.Size.Store(a.Size)
	t.Blocks.Store(a.Blocks)
	t.Atime.Store(a.Atime)
	t.Mtime.Store(a.Mtime)
	t.Ctime.Store(a.Ctime)
	n.asked.Store(int64(time.Since(start)))
}

// updateStat takes over what a host fstat(2) knows and the user namespace does not change.
func (n *node) updateStat(st *linux.Stat) {
	t := &n.attr
	t.Nlink.Store(uint32(st.Nlink))
	t.Size.Store(st.Size)
	t.Blocks.Store(st.Blocks)
	t.Mtime.Store(st.Mtim.Sec*1e9 + st.Mtim.Nsec)
	t.Ctime.Store(st.Ctim.Sec*1e9 + st.Ctim.Nsec)
}

// stale says whether a stat has to ask for the attributes. Those that a walk has just brought serve once.
func (n *node) stale() bool {
	return !n.fs.immutable() && int64(time.Since(start))-n.asked.Swap(never) > int64(fresh)
}

const never = -1 << 62

// expire makes the next GetAttr ask, after a change whose effect only the host knows.
func (n *node) expire() { n.asked.Store(never) }

// takeAttr is update with the check that a is about the same object.
func (n *node) takeAttr(a *proto.Attr) linux.Errno {
	if (hostKey{a.Dev, a.Ino}) != n.host || !n.same(a) {
		return linux.ESTALE
	}
	n.update(a)
	return 0
}

// GetAttr asks the gofer where the attributes can be stale.
func (n *node) GetAttr(*vfs.Caller, *vfs.Inode) linux.Errno {
	if !n.stale() {
		return 0
	}
	return n.fetchAttr()
}

func (n *node) fetchAttr() linux.Errno {
	var r proto.Attrs
	errno := n.fs.cl.call(&proto.Getattr{Refs: []proto.Ref{n.ref()}}, &r, nil)
	if errno != 0 {
		return errno
	}
	if len(r.Results) != 1 {
		return n.fs.cl.broken()
	}
	if e := r.Results[0].Errno; e != 0 {
		return hostErrno(linux.Errno(e))
	}
	return n.takeAttr(&r.Results[0].Attr)
}

// SetAttr changes attributes through the gofer.
func (n *node) SetAttr(_ *vfs.Caller, _ *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	var r proto.OneAttr
	errno := n.fs.cl.call(&proto.Setattr{
		Ref: n.ref(), Mask: s.Mask, Mode: s.Mode & 0o7777, UID: s.UID, GID: s.GID, Size: s.Size, Atime: s.Atime, Mtime: s.Mtime,
	}, &r, nil)
	if errno != 0 {
		return errno
	}
	return n.takeAttr(&r.Attr)
}

// Forget has nothing to do: handles go with the node, kept descriptors with their cache.
func (n *node) Forget(*vfs.Inode, bool) {}

// linkNode is a symbolic link.
type linkNode struct {
	node
	vfs.NoDir
	target atomic.Pointer[string] // the text of one inode never changes
}

// Readlink returns the text of the link.
func (l *linkNode) Readlink(*vfs.Caller, *vfs.Inode) (string, linux.Errno) {
	if t := l.target.Load(); t != nil {
		return *t, 0
	}
	var r proto.Target
	if errno := l.fs.cl.call(&proto.Readlink{Ref: l.ref()}, &r, nil); errno != 0 {
		return "", errno
	}
	if r.Target == "" {
		return "", linux.EIO
	}
	l.target.Store(&r.Target)
	return r.Target, 0
}

// Jump says that these are no magic links.
func (l *linkNode) Jump(*vfs.Caller, *vfs.Inode) (vfs.Path, bool, linux.Errno) {
	return vfs.Path{}, false, 0
}

// Open fails: a link itself cannot be opened.
func (l *linkNode) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return nil, linux.ELOOP
}

// specialNode is a FIFO, socket or device node; vfs opens those by their type, the host's are never touched.
type specialNode struct {
	node
	vfs.NoDir
	vfs.NoLink
}

// Open fails: whoever opens special files does not ask their filesystem.
func (s *specialNode) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return nil, linux.ENXIO
}
