package server

import (
	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

func (c *session) attach(m *proto.Attach) (proto.Response, linux.Errno) {
	if m.Root >= uint32(len(c.roots)) {
		return nil, linux.ENOENT
	}
	r := &c.roots[m.Root]
	fd, errno := c.table.acquire(r.node)
	if errno != 0 {
		return nil, errno
	}
	defer c.table.release(r.node)
	a := &proto.Attached{ReadOnly: r.readOnly}
	a.Node.Handle = r.node.handle // never changes
	return a, c.fdAttr(fd, &a.Node.Attr)
}

// step is where a walk stands: a directory with its descriptor.
type step struct {
	node  *node
	fd    int32
	done  func() // ends the use of fd; nil for the walk's start, which is an object
	empty bool
}

func (s *step) end() {
	if s.done != nil {
		s.done()
	}
}

func (c *session) walk(m *proto.Walk, fd *int32) (proto.Response, linux.Errno) {
	o, errno := c.directory(&m.Dir)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	w := &proto.Walked{Nodes: make([]proto.Node, 0, len(m.Names))}
	at := step{node: o.node(), fd: o.fd, empty: o.empty}
	defer func() { at.end() }()
	for i, name := range m.Names {
		if at.empty {
			w.Errno = uint16(linux.ENOENT)
			break
		}
		last := i == len(m.Names)-1
		var pn proto.Node
		next, errno := c.enter(&at, name, m, last, &pn, w, fd)
		if errno != 0 {
			w.Errno = uint16(errno)
			break
		}
		w.Nodes = append(w.Nodes, pn)
		if next.node == nil {
			break // not a directory
		}
		at.end()
		at = next
	}
	w.Opened = *fd >= 0
	return w, 0
}

// enter looks name up in the directory at. If it is a directory, next is the place to go on from.
func (c *session) enter(at *step, name string, m *proto.Walk, last bool, pn *proto.Node, w *proto.Walked, fd *int32) (next step, errno linux.Errno) {
	var st linux.Statx
	typ := uint32(linux.S_IFDIR) // what a component on the way should be
	if last {
		if errno := statx(at.fd, name, &st); errno != 0 {
			return step{}, errno
		}
		typ = uint32(st.Mode) & linux.S_IFMT
		if typ == linux.S_IFDIR && m.Handles == proto.NoHandles {
			setAttr(&pn.Attr, &st) // nobody will use a descriptor
			return step{}, 0
		}
	}
	if typ == linux.S_IFDIR || m.Handles == proto.AllHandles {
		n, nfd, errno := c.openNode(at, name, &st)
		if errno != 0 {
			return step{}, errno
		}
		next, errno = c.publish(n, nfd, m.Handles, pn)
		if errno != 0 {
			return step{}, errno
		}
		typ = n.typ
		if typ != linux.S_IFDIR {
			defer next.end()
			next = step{}
		}
	}
	setAttr(&pn.Attr, &st)
	switch {
	case typ == linux.S_IFLNK:
		w.Target, errno = readlinkAt(at.fd, name)
	case typ == linux.S_IFREG && last && m.Open:
		if f, errno := c.openPlain(at, name, &st); errno == 0 {
			*fd = f // else the sentry learns why when it opens
		}
	}
	return next, errno
}

// openNode opens name with O_PATH and makes its node; st becomes what really was opened.
func (c *session) openNode(dir *step, name string, st *linux.Statx) (*node, int32, linux.Errno) {
	fd, errno := at.Open(dir.fd, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if errno != 0 {
		return nil, -1, errno
	}
	if errno := statx(fd, "", st); errno != 0 {
		sys.Close(fd)
		return nil, -1, errno
	}
	n := &node{root: dir.node.root, parent: dir.node, name: name, fd: -1,
		dev: devOf(st), ino: st.Ino, typ: uint32(st.Mode) & linux.S_IFMT}
	if n.dev != dir.node.dev && n.dev != n.root.node.dev && kernelFS(fd) {
		n.empty = true
	}
	return n, fd, 0
}

// publish gives n a handle if handles asks for one, and makes it the place to go on from.
func (c *session) publish(n *node, fd int32, handles proto.Handles, pn *proto.Node) (step, linux.Errno) {
	want := handles == proto.AllHandles || handles == proto.DirHandles && n.typ == linux.S_IFDIR
	if !want {
		return step{node: n, fd: fd, empty: n.empty, done: func() { sys.Close(fd) }}, 0
	}
	n.fd, n.users = fd, 1
	h, errno := c.table.add(n)
	if errno != 0 {
		sys.Close(fd)
		return step{}, errno
	}
	pn.Handle = h
	return step{node: n, fd: fd, empty: n.empty, done: func() { c.table.release(n) }}, 0
}

// openPlain opens the regular file name, that st describes, for reading.
func (c *session) openPlain(dir *step, name string, st *linux.Statx) (int32, linux.Errno) {
	fd, errno := at.Open(dir.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errno != 0 {
		return -1, errno
	}
	var now linux.Statx
	errno = statx(fd, "", &now)
	if errno == 0 && (now.Ino != st.Ino || devOf(&now) != devOf(st) || now.Mode&linux.S_IFMT != linux.S_IFREG) {
		errno = linux.ESTALE
	}
	if errno == 0 && devOf(&now) != dir.node.root.node.dev && kernelFS(fd) {
		errno = linux.EACCES
	}
	if errno != 0 {
		sys.Close(fd)
		return -1, errno
	}
	return fd, 0
}

func readlinkAt(fd int32, name string) (string, linux.Errno) {
	var b [linux.PATH_MAX]byte
	n, errno := at.Readlink(fd, name, b[:])
	if errno != 0 {
		return "", errno
	}
	return string(b[:min(n, proto.MaxTarget)]), 0
}

func (c *session) readlink(m *proto.Readlink) (proto.Response, linux.Errno) {
	o, errno := c.resolve(&m.Ref)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	if o.typ != linux.S_IFLNK {
		return nil, linux.EINVAL
	}
	target, errno := readlinkAt(o.fd, "")
	return &proto.Target{Target: target}, errno
}

func (c *session) getattr(m *proto.Getattr) (proto.Response, linux.Errno) {
	r := &proto.Attrs{Results: make([]proto.AttrResult, len(m.Refs))}
	for i := range m.Refs {
		errno := c.attrOf(&m.Refs[i], &r.Results[i].Attr)
		r.Results[i].Errno = uint16(errno)
	}
	return r, 0
}

func (c *session) attrOf(ref *proto.Ref, a *proto.Attr) linux.Errno {
	o, errno := c.resolve(ref)
	if errno != 0 {
		return errno
	}
	defer c.put(&o)
	return c.fdAttr(o.fd, a)
}

func (c *session) fdAttr(fd int32, a *proto.Attr) linux.Errno {
	var st linux.Statx
	if errno := statx(fd, "", &st); errno != 0 {
		return errno
	}
	setAttr(a, &st)
	return 0
}

func (c *session) statfs(m *proto.Statfs) (proto.Response, linux.Errno) {
	o, errno := c.resolve(&m.Ref)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	var st linux.Statfs
	if errno := sys.Fstatfs(o.fd, &st); errno != 0 {
		return nil, errno
	}
	return &proto.StatfsResult{
		Type: st.Type, Bsize: st.Bsize, Frsize: st.Frsize, Namelen: st.Namelen, Flags: st.Flags,
		Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
	}, 0
}
