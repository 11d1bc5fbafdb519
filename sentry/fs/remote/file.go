package remote

import (
	"sync"
	"sync/atomic"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// fileNode is a regular file.
type fileNode struct {
	node
	vfs.NoDir
	vfs.NoLink
	mu     rank.Mutex[rank.Remote] // held while a descriptor is asked for
	ro     atomic.Pointer[donated] // kept for the next open for reading; has a reference
	rw     atomic.Pointer[donated] // for reading and writing, while somebody has it open; has a reference
	inRing atomic.Bool             // in Client.fds
	maps   mappings
}

// readFD returns a read-only descriptor with a reference.
func (n *fileNode) readFD() (*donated, linux.Errno) {
	if d := n.cachedFD(); d != nil {
		return d, 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if d := n.cachedFD(); d != nil {
		return d, 0
	}
	d, errno := n.ask(linux.O_RDONLY)
	if errno == 0 {
		n.fs.cl.fds.keep(n, d)
	}
	return d, errno
}

// writeFD returns a descriptor for reading and writing with a reference.
func (n *fileNode) writeFD() (*donated, linux.Errno) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d := n.rw.Load(); d != nil && d.TryGet() {
		return d, 0
	}
	d, errno := n.ask(linux.O_RDWR)
	if errno == 0 {
		n.keepWriter(d)
		d.Get()
	}
	return d, errno
}

// keepWriter puts d, whose reference it takes, into the slot for writers.
func (n *fileNode) keepWriter(d *donated) {
	if old := n.rw.Swap(d); old != nil {
		old.put()
	}
}

// dropWriter empties the slot if it holds d: after a close nobody may find the file busy (ETXTBSY on the host).
func (n *fileNode) dropWriter(d *donated) {
	if d != nil && n.rw.CompareAndSwap(d, nil) {
		d.put()
	}
}

// ask has the gofer open the file.
func (n *fileNode) ask(flags uint32) (*donated, linux.Errno) {
	var r proto.Opened
	var fd int32
	if errno := n.fs.cl.call(&proto.Open{Ref: n.ref(), Flags: flags}, &r, &fd); errno != 0 {
		return nil, errno
	}
	if !r.Opened {
		closeFD(fd)
		return nil, n.fs.cl.broken()
	}
	if errno := n.takeAttr(&r.Node.Attr); errno != 0 {
		closeFD(fd)
		return nil, errno // the name means another file by now
	}
	d, errno := accept(fd, &r.Node.Attr, flags != linux.O_RDONLY)
	if errno != 0 {
		return nil, n.fs.cl.broken()
	}
	return d, 0
}

// Forget drops descriptors that nobody uses any more.
func (n *fileNode) Forget(_ *vfs.Inode, unlinked bool) {
	n.dropWriter(n.rw.Load())
	if unlinked {
		n.dropFD()
	}
}

// GetAttr of a file that is open for writing asks the host's descriptor, which costs no request.
func (n *fileNode) GetAttr(c *vfs.Caller, i *vfs.Inode) linux.Errno {
	if !n.stale() {
		return 0
	}
	errno := n.fetchAttr()
	if errno == 0 {
		return 0
	}
	// The name may be gone while the file is open: what the descriptor says is still true.
	d := n.anyFD()
	if d == nil {
		return errno
	}
	defer d.put()
	return n.restat(d)
}

// anyFD returns a descriptor that is there, with a reference, or nil.
func (n *fileNode) anyFD() *donated {
	if d := n.rw.Load(); d != nil && d.TryGet() {
		return d
	}
	return n.cachedFD()
}

// restat brings size and times up to date from a descriptor.
func (n *fileNode) restat(d *donated) linux.Errno {
	var st linux.Stat
	if errno := sys.Fstat(d.fd, &st); errno != 0 {
		return errno
	}
	n.updateStat(&st)
	return 0
}

// SetAttr truncates through the descriptor if the file is open for writing, else all is the gofer's.
func (n *fileNode) SetAttr(c *vfs.Caller, i *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	old := n.attr.Size.Load()
	errno := n.setAttr(c, i, s)
	if errno == 0 && s.Mask&linux.STATX_SIZE != 0 && s.Size < old {
		n.maps.truncated(uint64(s.Size))
	}
	return errno
}

func (n *fileNode) setAttr(c *vfs.Caller, i *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	if s.Mask != linux.STATX_SIZE {
		return n.node.SetAttr(c, i, s)
	}
	d := n.rw.Load()
	if d == nil || !d.TryGet() {
		return n.node.SetAttr(c, i, s)
	}
	defer d.put()
	if errno := sys.Ftruncate(d.fd, s.Size); errno != 0 {
		return errno
	}
	return n.restat(d)
}

// openFile is an open regular file.
type openFile struct {
	vfs.DefaultFile
	n *fileNode
	d *donated
}

// Open gets a descriptor: the kept one, or a new one from the gofer.
func (n *fileNode) Open(_ *vfs.Caller, _ *vfs.Inode, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	var d *donated
	var errno linux.Errno
	if flags&linux.O_ACCMODE == linux.O_RDONLY {
		d, errno = n.readFD()
	} else {
		d, errno = n.writeFD()
	}
	if errno != 0 {
		return nil, errno
	}
	return &openFile{n: n, d: d}, 0
}

// Release gives the descriptor back.
func (o *openFile) Release(*vfs.File) {
	o.n.dropWriter(o.d)
	o.d.put()
}

// pinned has what one data transfer needs, kept from one to the next.
type pinned struct{ usermem.Pinned }

var pins = sync.Pool{New: func() any { return new(pinned) }}

const (
	maxPin    = 1 << 20  // bytes pinned at a time
	maxBounce = 64 << 10 // bytes copied where memory cannot be pinned
)

// Read reads straight into the guest's memory.
func (o *openFile) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, off int64) (int, linux.Errno) {
	p := pins.Get().(*pinned)
	defer pins.Put(p)
	done := 0
	for left := dst.Len(); left > 0; {
		want := min(left, maxPin)
		errno := dst.Pin(&p.Pinned, want, true)
		if errno == linux.EOPNOTSUPP {
			n, errno := o.readBounced(dst, min(left, maxBounce), off+int64(done))
			done, left = done+n, left-n
			if errno != 0 || n == 0 {
				return partial(done, errno)
			}
			continue
		}
		if errno != 0 {
			return partial(done, errno)
		}
		got := p.Len()
		n, errno := o.readBlocks(p.Blocks, got, off+int64(done))
		p.Release()
		dst.Drop(n)
		done, left = done+n, left-n
		if errno != 0 || n < got {
			return partial(done, errno)
		}
	}
	return done, 0
}

// partial drops the error if some bytes were moved before it.
func partial(done int, errno linux.Errno) (int, linux.Errno) {
	if done > 0 {
		return done, 0
	}
	return 0, errno
}

// readBlocks reads want bytes at off: from the host's page cache without the scheduler's detour if that has
// them, else it may sleep. A short count is the end of the file.
func (o *openFile) readBlocks(blocks [][]byte, want int, off int64) (int, linux.Errno) {
	if want <= 64<<10 && !o.d.slow.Load() {
		n, errno := sys.PreadvNowait(o.d.fd, blocks, off)
		switch {
		case errno == 0 && (n == want || off+int64(n) == o.n.attr.Size.Load()):
			return n, 0
		case errno == linux.EOPNOTSUPP:
			o.d.slow.Store(true)
		}
	}
	done := 0
	for {
		n, errno := sys.Preadv(o.d.fd, blocks, off+int64(done), 0)
		done += n
		if errno != 0 || n == 0 || done == want {
			return partial(done, errno)
		}
		blocks = skip(blocks, n)
	}
}

// skip drops n bytes from the front of blocks, which it changes.
func skip(blocks [][]byte, n int) [][]byte {
	for len(blocks) > 0 && n >= len(blocks[0]) {
		n -= len(blocks[0])
		blocks = blocks[1:]
	}
	if len(blocks) > 0 {
		blocks[0] = blocks[0][n:]
	}
	return blocks
}

func (o *openFile) readBounced(dst *usermem.Seq, want int, off int64) (int, linux.Errno) {
	b := make([]byte, want)
	n, errno := sys.Pread(o.d.fd, b, off)
	if errno != 0 || n == 0 {
		return 0, errno
	}
	return dst.CopyOut(b[:n])
}
