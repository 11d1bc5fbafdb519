package server

import (
	"sync"

	"golang.org/x/sys/unix"

	"hornwork/host/sys"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

// node is an object that the sentry has, or had, a handle of, or one on the way to such an object. Its
// descriptor (O_PATH) comes and goes: when too many are open the least recently used is closed, and opened
// again through parent and name, if the same object is still there.
type node struct {
	root     *root
	dev, ino uint64 // ino 0: not known, an intermediate directory of a Ref
	typ      uint32 // S_IFMT part
	empty    bool   // a kernel filesystem is mounted here: shown as an empty directory
	kept     bool   // the descriptor is never closed while the node lives: roots, files without a name

	// Guarded by table.mu.
	handle     uint64 // 0: none
	parent     *node
	name       string
	fd         int32
	users      int // who works with fd at the moment
	next, prev *node
}

// table has the nodes by handle, and the ring of those with an open descriptor, most recently used first.
type table struct {
	mu      sync.Mutex // guards everything here and the marked fields of nodes
	byID    map[uint64]*node
	lastID  uint64
	ring    node // list head
	open    int
	maxOpen int
	temps   int
}

func (t *table) init(maxOpen int) {
	t.byID = map[uint64]*node{}
	t.ring.next, t.ring.prev = &t.ring, &t.ring
	t.maxOpen = maxOpen
}

// addRoot makes the node of a root. The directory of a root that is a file gets no handle: there is no way to
// its other entries.
func (t *table) addRoot(r *root, o Root) {
	var st linux.Statx
	n := &node{root: r, kept: true, fd: o.FD}
	r.top = n
	statx(o.FD, o.File, &st) // Serve has tried it
	if o.File != "" {
		n.typ = linux.S_IFDIR
		n = &node{root: r, parent: n, name: o.File, fd: -1}
	}
	n.dev, n.ino, n.typ = devOf(&st), st.Ino, uint32(st.Mode)&linux.S_IFMT
	r.node = n
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastID++
	n.handle = t.lastID
	t.byID[n.handle] = n
}

// add gives n, which the caller has just made, a handle. n.fd becomes the table's; with -1 it is opened on demand.
func (t *table) add(n *node) (uint64, linux.Errno) {
	t.mu.Lock()
	if len(t.byID) >= maxNodes || n.kept && t.temps >= maxTemps {
		t.mu.Unlock()
		return 0, linux.ENFILE
	}
	t.lastID++
	n.handle = t.lastID
	t.byID[n.handle] = n
	if n.kept {
		t.temps++
	} else if n.fd >= 0 {
		t.linkLocked(n)
	}
	victims := t.evictLocked()
	h := n.handle
	t.mu.Unlock()
	closeAll(victims)
	return h, 0
}

func (t *table) linkLocked(n *node) {
	n.next, n.prev = t.ring.next, &t.ring
	n.next.prev, t.ring.next = n, n
	t.open++
}

func (t *table) unlinkLocked(n *node) {
	n.next.prev, n.prev.next = n.prev, n.next
	n.next, n.prev = nil, nil
	t.open--
}

// evictLocked takes descriptors that nobody uses from the ring's end while there are too many; the caller
// closes them after it has released the lock.
func (t *table) evictLocked() (victims []int32) {
	for n := t.ring.prev; t.open > t.maxOpen && n != &t.ring; {
		prev := n.prev
		if n.users == 0 {
			t.unlinkLocked(n)
			victims = append(victims, n.fd)
			n.fd = -1
		}
		n = prev
	}
	return victims
}

func closeAll(fds []int32) {
	for _, fd := range fds {
		sys.Close(fd)
	}
}

// get returns the node of a handle.
func (t *table) get(h uint64) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[h]
}

// maxDepth bounds how far acquire climbs to open a node again.
const maxDepth = 4096

// acquire makes sure that n has a descriptor and keeps it until release.
func (t *table) acquire(n *node) (int32, linux.Errno) { return t.acquireAt(n, 0) }

func (t *table) acquireAt(n *node, depth int) (int32, linux.Errno) {
	t.mu.Lock()
	if n.fd >= 0 {
		n.users++
		if n.next != nil && t.ring.next != n {
			t.unlinkLocked(n)
			t.linkLocked(n)
		}
		fd := n.fd
		t.mu.Unlock()
		return fd, 0
	}
	parent, name := n.parent, n.name
	t.mu.Unlock()
	if parent == nil || depth == maxDepth {
		return -1, linux.ESTALE
	}
	fd, errno := t.reopen(n, parent, name, depth)
	if errno != 0 {
		return -1, errno
	}
	t.mu.Lock()
	n.users++
	if n.fd >= 0 { // somebody else was faster
		spare := fd
		fd = n.fd
		t.mu.Unlock()
		sys.Close(spare)
		return fd, 0
	}
	n.fd = fd
	t.linkLocked(n)
	victims := t.evictLocked()
	t.mu.Unlock()
	closeAll(victims)
	return fd, 0
}

// reopen opens name in parent and checks that it is still n.
func (t *table) reopen(n, parent *node, name string, depth int) (int32, linux.Errno) {
	dir, errno := t.acquireAt(parent, depth+1)
	if errno != 0 {
		return -1, errno
	}
	defer t.release(parent)
	fd, errno := at.Open(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if errno != 0 {
		return -1, linux.ESTALE
	}
	var st linux.Statx
	if errno := statx(fd, "", &st); errno != 0 || !n.is(&st) {
		sys.Close(fd)
		return -1, linux.ESTALE
	}
	return fd, 0
}

// is says whether st describes n.
func (n *node) is(st *linux.Statx) bool {
	return n.ino == 0 || n.ino == st.Ino && n.dev == devOf(st) && n.typ == uint32(st.Mode)&linux.S_IFMT
}

// release ends what acquire began.
func (t *table) release(n *node) {
	t.mu.Lock()
	n.users--
	fd := t.dropLocked(n)
	t.mu.Unlock()
	if fd >= 0 {
		sys.Close(fd)
	}
}

// dropLocked takes the descriptor of a node that has lost its handle and its users; the caller closes it.
func (t *table) dropLocked(n *node) int32 {
	if n.handle != 0 || n.users != 0 || n.fd < 0 || n == n.root.top {
		return -1
	}
	fd := n.fd
	n.fd = -1
	if n.next != nil {
		t.unlinkLocked(n)
	}
	return fd
}

// closeHandles takes handles back. Roots keep theirs.
func (t *table) closeHandles(handles []uint64) {
	var fds []int32
	t.mu.Lock()
	for _, h := range handles {
		n := t.byID[h]
		if n == nil || n == n.root.node {
			continue
		}
		delete(t.byID, h)
		n.handle = 0
		if n.kept {
			t.temps--
		}
		if fd := t.dropLocked(n); fd >= 0 {
			fds = append(fds, fd)
		}
	}
	t.mu.Unlock()
	closeAll(fds)
}

// moved tells that the object of handle h has a new name.
func (t *table) moved(h uint64, r *root, parent *node, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.byID[h]; n != nil && n.root == r && n != r.node {
		n.parent, n.name = parent, name
	}
}

// place returns where n was found.
func (t *table) place(n *node) (parent *node, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.parent, n.name
}

// close closes all descriptors; nobody works any more.
func (t *table) close() {
	for n := t.ring.next; n != nil && n != &t.ring; n = n.next {
		sys.Close(n.fd)
	}
	for _, n := range t.byID {
		if n.kept && n != n.root.top {
			sys.Close(n.fd)
		}
	}
}
