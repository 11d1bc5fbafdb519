package remote

import (
	"strings"
	"sync/atomic"

	"hornwork/gofer/proto"
	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// dirNode is a directory.
type dirNode struct {
	node
	vfs.NoLink
	mu      rank.Mutex[rank.Remote] // held while the listing is fetched
	listing atomic.Pointer[listing] // in CacheImmutable
	changes atomic.Uint64           // made through us; a listing fetched meanwhile is not kept
	asks    atomic.Int32            // single lookups so far
}

// After askLimit single lookups a directory of at most listSize bytes is listed: that answers the rest, names
// that do not exist among them (programs search for headers and modules in many directories). A listing gets
// attributes when entries have been looked up as often as makes that cheaper than one request for each.
const (
	askLimit = 4
	listSize = 64 << 10
	// A request takes as long as the gofer needs to look at some ten entries.
	entriesPerRequest = 16
)

// Lookup finds one entry.
func (d *dirNode) Lookup(c *vfs.Caller, _ *vfs.Inode, name string) (*vfs.Inode, linux.Errno) {
	if d.fs.immutable() {
		if i, known := d.known(name); known {
			if i == nil {
				return nil, linux.ENOENT
			}
			return i, 0
		}
	}
	var one [1]string
	one[0] = name
	inodes, errno := d.walk(one[:])
	if errno == 0 && len(inodes) == 0 {
		errno = linux.ENOENT
	}
	if errno != 0 {
		return nil, errno
	}
	return inodes[0], 0
}

// known answers a lookup from the listing; known=false: the gofer has to be asked.
func (d *dirNode) known(name string) (i *vfs.Inode, known bool) {
	l := d.kept(false)
	if l == nil {
		if d.asks.Add(1) <= askLimit || d.attr.Size.Load() > listSize {
			return nil, false
		}
		var errno linux.Errno
		if l, errno = d.list(false); errno != 0 {
			d.asks.Store(-1 << 20) // not soon again
			return nil, false
		}
	}
	e := l.find(name)
	if e == nil {
		return nil, true
	}
	if !l.attrs && !e.Full() {
		if int(l.hits.Add(1)) <= 1+len(l.entries)/entriesPerRequest {
			return nil, false
		}
		full, errno := d.list(true)
		if errno != 0 {
			return nil, false
		}
		if e = full.find(name); e == nil {
			return nil, false // it has just gone
		}
	}
	if e.Attr.Mode&0o7777 == 0 && e.Attr.Nlink == 0 {
		return nil, false // the gofer could list but not look at it: let it say why
	}
	return d.fs.newNode(&e.Attr, 0, d, e.Name, e.Target), true
}

// WalkPath looks several components up with one request.
func (d *dirNode) WalkPath(c *vfs.Caller, _ *vfs.Inode, names []string) ([]*vfs.Inode, linux.Errno) {
	out := make([]*vfs.Inode, 0, len(names))
	for d.fs.immutable() && len(names) > 0 && d.listing.Load() != nil {
		i, known := d.known(names[0])
		if !known {
			break
		}
		if i == nil {
			return out, linux.ENOENT
		}
		out = append(out, i)
		next, ok := i.Ops.(*dirNode)
		if !ok {
			return out, 0
		}
		d, names = next, names[1:]
	}
	if len(names) == 0 {
		return out, 0
	}
	more, errno := d.walk(names)
	return append(out, more...), errno
}

// walk asks the gofer for names below d.
func (d *dirNode) walk(names []string) ([]*vfs.Inode, linux.Errno) {
	handles := proto.DirHandles
	if !d.fs.opts.ReadOnly {
		handles = proto.AllHandles // what is open must stay in reach after an unlink
	}
	var r proto.Walked
	var fd int32
	errno := d.fs.cl.call(&proto.Walk{Dir: d.ref(), Names: names, Handles: handles, Open: d.fs.immutable()}, &r, &fd)
	if errno != 0 {
		return nil, errno
	}
	if len(r.Nodes) > len(names) || r.Opened != (fd >= 0) {
		closeFD(fd)
		return nil, d.fs.cl.broken()
	}
	out := make([]*vfs.Inode, 0, len(r.Nodes))
	at := d
	for k := range r.Nodes {
		if at == nil { // went on below what is no directory
			closeFD(fd)
			return nil, d.fs.cl.broken()
		}
		target := ""
		if k == len(r.Nodes)-1 {
			target = r.Target
		}
		i := d.fs.newNode(&r.Nodes[k].Attr, r.Nodes[k].Handle, at, strings.Clone(names[k]), target)
		out = append(out, i)
		at, _ = i.Ops.(*dirNode)
	}
	if fd >= 0 {
		d.keepWalked(fd, r.Nodes, out)
	}
	if r.Errno != 0 {
		return out, hostErrno(linux.Errno(r.Errno))
	}
	if len(out) < len(names) && at != nil {
		return nil, d.fs.cl.broken() // stopped at a directory without a reason
	}
	return out, 0
}

// keepWalked keeps the descriptor that came with a walk for a later open.
func (d *dirNode) keepWalked(fd int32, nodes []proto.Node, out []*vfs.Inode) {
	f, ok := lastOf(out).(*fileNode)
	if !ok {
		closeFD(fd)
		return
	}
	don, errno := accept(fd, &nodes[len(nodes)-1].Attr, false)
	if errno != 0 {
		d.fs.cl.broken()
		return
	}
	d.fs.cl.fds.keep(f, don)
	don.put()
}

func lastOf(out []*vfs.Inode) vfs.InodeOps {
	if len(out) == 0 {
		return nil
	}
	return out[len(out)-1].Ops
}

// Revalidate asks whether name still means child.
func (d *dirNode) Revalidate(c *vfs.Caller, i *vfs.Inode, name string, child *vfs.Inode) bool {
	return d.RevalidatePath(c, i, []string{name}, []*vfs.Inode{child}) == 1
}

// RevalidatePath asks about several names with one request. Attributes come along.
func (d *dirNode) RevalidatePath(_ *vfs.Caller, _ *vfs.Inode, names []string, children []*vfs.Inode) int {
	var r proto.Walked
	var fd int32
	errno := d.fs.cl.call(&proto.Walk{Dir: d.ref(), Names: names}, &r, &fd)
	closeFD(fd)
	if errno != 0 || len(r.Nodes) > len(names) {
		return 0 // the lookup that follows has the error
	}
	for k := range r.Nodes {
		if children[k] == nil || nodeOf(children[k]).takeAttr(&r.Nodes[k].Attr) != 0 {
			return k
		}
	}
	n := len(r.Nodes)
	if n < len(names) && children[n] == nil && linux.Errno(r.Errno) == linux.ENOENT {
		n++
	}
	return n
}

// Make creates an entry. A new regular file comes with a descriptor for the open that mostly follows.
func (d *dirNode) Make(_ *vfs.Caller, _ *vfs.Inode, name string, o *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	return d.create(&proto.Make{Dir: d.ref(), Name: name, Mode: o.Mode, UID: o.UID, GID: o.GID, Rdev: o.Rdev, Target: o.Target,
		Open: o.Mode&linux.S_IFMT == linux.S_IFREG})
}

// MakeTemp creates a file without a name.
func (d *dirNode) MakeTemp(_ *vfs.Caller, _ *vfs.Inode, o *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	return d.create(&proto.Make{Dir: d.ref(), Mode: o.Mode, UID: o.UID, GID: o.GID, Temp: true, Open: true})
}

func (d *dirNode) create(m *proto.Make) (*vfs.Inode, linux.Errno) {
	var r proto.Opened
	var fd int32
	if errno := d.fs.cl.call(m, &r, &fd); errno != 0 {
		return nil, errno
	}
	a := &r.Node.Attr
	if r.Opened != (fd >= 0) || r.Opened && !m.Open || (a.Mode^m.Mode)&linux.S_IFMT != 0 {
		closeFD(fd)
		return nil, d.fs.cl.broken()
	}
	parent := d
	if m.Temp {
		parent = nil
	} else {
		d.dropListing()
		d.touched()
		if a.Mode&linux.S_IFMT == linux.S_IFDIR {
			d.attr.Nlink.Add(1)
		}
	}
	i := d.fs.newNode(a, r.Node.Handle, parent, m.Name, m.Target)
	if fd >= 0 {
		f, ok := i.Ops.(*fileNode)
		don, errno := accept(fd, a, true)
		if errno != 0 || !ok {
			return nil, d.fs.cl.broken()
		}
		f.keepWriter(don)
	}
	return i, 0
}

// touched notes a change of the directory's entries.
func (d *dirNode) touched() {
	d.attr.Touch()
	d.expire()
}

// Link gives target another name.
func (d *dirNode) Link(_ *vfs.Caller, _ *vfs.Inode, name string, target *vfs.Inode) linux.Errno {
	t := nodeOf(target)
	var r proto.OneAttr
	if errno := d.fs.cl.call(&proto.Link{Target: t.ref(), Dir: d.ref(), Name: name}, &r, nil); errno != 0 {
		return errno
	}
	d.dropListing()
	d.touched()
	if t.place.Load().parent == nil {
		t.place.Store(&place{d, name})
	}
	return t.takeAttr(&r.Attr)
}

// Unlink removes a name.
func (d *dirNode) Unlink(_ *vfs.Caller, _ *vfs.Inode, name string, victim *vfs.Inode) linux.Errno {
	return d.remove(name, nodeOf(victim), false)
}

// Rmdir removes an empty directory.
func (d *dirNode) Rmdir(_ *vfs.Caller, _ *vfs.Inode, name string, victim *vfs.Inode) linux.Errno {
	return d.remove(name, nodeOf(victim), true)
}

func (d *dirNode) remove(name string, v *node, directory bool) linux.Errno {
	errno := d.fs.cl.call(&proto.Unlink{Dir: d.ref(), Name: name, Directory: directory}, &proto.Done{}, nil)
	if errno != 0 {
		return errno
	}
	d.dropListing()
	d.touched()
	v.dropName(directory)
	if directory {
		decrement(&d.attr.Nlink)
	}
	return 0
}

// dropName notes that a name of n is gone.
func (n *node) dropName(directory bool) {
	n.attr.TouchChange()
	if directory {
		n.attr.Nlink.Store(0)
	} else {
		decrement(&n.attr.Nlink)
	}
	n.expire()
}

// decrement subtracts one from a link count that a gofer may have lied about.
func decrement(v *atomic.Uint32) {
	for {
		n := v.Load()
		if n == 0 || v.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// Rename moves an entry.
func (d *dirNode) Rename(_ *vfs.Caller, _ *vfs.Inode, oldName string, moved, to *vfs.Inode, newName string, replaced *vfs.Inode, flags uint32) linux.Errno {
	t, ok := to.Ops.(*dirNode)
	if !ok {
		return linux.ENOTDIR
	}
	m := nodeOf(moved)
	req := &proto.Rename{From: d.ref(), OldName: oldName, To: t.ref(), NewName: newName, Flags: flags}
	if m.grip != nil {
		req.Moved = m.grip.handle.Load()
	}
	if errno := d.fs.cl.call(req, &proto.Done{}, nil); errno != 0 {
		return errno
	}
	d.dropListing()
	t.dropListing()
	d.touched()
	t.touched()
	m.attr.TouchChange()
	m.expire()
	m.place.Store(&place{t, newName})
	if replaced == nil {
		d.countMoved(m, t)
		return 0
	}
	r := nodeOf(replaced)
	if flags&linux.RENAME_EXCHANGE != 0 {
		r.place.Store(&place{d, oldName})
		d.countMoved(m, t)
		t.countMoved(r, d)
		return 0
	}
	d.countMoved(m, t)
	if r != m {
		isDir := r.Type() == linux.S_IFDIR
		r.dropName(isDir)
		if isDir {
			decrement(&t.attr.Nlink)
		}
	}
	return 0
}

// countMoved corrects the link counts of directories when m goes from d to t.
func (d *dirNode) countMoved(m *node, t *dirNode) {
	if m.Type() == linux.S_IFDIR && d != t {
		decrement(&d.attr.Nlink)
		t.attr.Nlink.Add(1)
	}
}

// openDir is an open directory. It reads all entries at once, so that positions stay valid while names come
// and go; rewinding reads them again.
type openDir struct {
	vfs.DefaultFile
	d    *dirNode
	list *listing // guarded by the offset lock of the file
}

// Open opens the directory for reading its entries.
func (d *dirNode) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return &openDir{d: d}, 0
}

// ReadDir emits entries; position n+2 is the n-th of the listing.
func (o *openDir) ReadDir(c *vfs.Caller, f *vfs.File, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	if o.list == nil || pos == 0 {
		l, errno := o.d.list(false)
		if errno != 0 {
			return errno
		}
		o.list = l
	}
	pos, ok := vfs.EmitDots(f, pos, emit)
	if !ok {
		return 0
	}
	for k := pos - 2; k >= 0 && k < int64(len(o.list.entries)); k++ {
		e := &o.list.entries[k]
		dev := e.Attr.Dev
		if !o.list.attrs && !e.Full() {
			dev = o.d.host.dev
		}
		if !emit(vfs.DirEntry{Name: e.Name, Ino: o.d.fs.ino(dev, e.Attr.Ino), Type: uint8(e.Attr.Mode & linux.S_IFMT >> 12), Next: k + 3}) {
			break
		}
	}
	return 0
}

// Seek sets the position of a directory: any that ReadDir gave.
func (o *openDir) Seek(_ *vfs.Caller, _ *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	switch whence {
	case linux.SEEK_SET:
	case linux.SEEK_CUR:
		if off > 0 && cur > 1<<62 {
			return 0, linux.EINVAL
		}
		off += cur
	default:
		return 0, linux.EINVAL
	}
	if off < 0 {
		return 0, linux.EINVAL
	}
	return off, 0
}

// Read fails as read(2) of a directory does.
func (o *openDir) Read(*vfs.Caller, *vfs.File, *usermem.Seq, int64) (int, linux.Errno) {
	return 0, linux.EISDIR
}

// Sync makes the names durable.
func (o *openDir) Sync(_ *vfs.Caller, _ *vfs.File, dataOnly bool) linux.Errno {
	if o.d.fs.opts.ReadOnly {
		return 0
	}
	return o.d.fs.cl.call(&proto.Sync{Ref: o.d.ref(), DataOnly: dataOnly}, &proto.Done{}, nil)
}

// Seekable says that directories have positions.
func (o *openDir) Seekable() bool { return true }
