package remote

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/lib/ref"
	"hornwork/linux"
)

// donated is a host descriptor of a regular file that the gofer opened for us. Open files count references;
// the inode's cache counts one more.
type donated struct {
	ref.Count
	fd    int32
	write bool        // for reading and writing
	slow  atomic.Bool // the host's filesystem does not know RWF_NOWAIT
	used  atomic.Bool // since the clock's hand passed
}

// put drops a reference; the last one closes.
func (d *donated) put() {
	if d.Count.Put() {
		sys.Close(d.fd)
	}
}

// accept checks a descriptor that a gofer sent for the file of attributes a: only a regular file with the
// same identity, open as asked, is taken. Whatever else is closed.
func accept(fd int32, a *proto.Attr, write bool) (*donated, linux.Errno) {
	if fd < 0 {
		return nil, linux.EIO
	}
	var st linux.Stat
	errno := sys.Fstat(fd, &st)
	if errno == 0 && (st.Mode&linux.S_IFMT != linux.S_IFREG || st.Ino != a.Ino || st.Dev != a.Dev) {
		errno = linux.EIO
	}
	if errno == 0 {
		var fl uint32
		fl, errno = sys.Flags(fd)
		acc := fl & unix.O_ACCMODE
		if fl&unix.O_PATH != 0 || acc == unix.O_WRONLY || write != (acc == unix.O_RDWR) {
			errno = linux.EIO
		}
	}
	if errno != 0 {
		sys.Close(fd)
		return nil, linux.EIO
	}
	return &donated{fd: fd, write: write}, 0
}

// fdCache bounds the descriptors that inodes keep without need. It is a clock: a hit sets a bit, the hand
// takes the first without one.
type fdCache struct {
	max int

	mu   sync.Mutex // a leaf, guards the fields below
	ring []*fileNode
	hand int
}

// keep puts d into n's cache slot and makes room. The cache takes a reference of its own.
func (c *fdCache) keep(n *fileNode, d *donated) {
	d.Get()
	d.used.Store(true)
	if old := n.ro.Swap(d); old != nil {
		old.put()
	}
	if n.inRing.Swap(true) {
		return
	}
	var victim *fileNode
	c.mu.Lock()
	if len(c.ring) < c.max {
		c.ring = append(c.ring, n)
	} else {
		victim = c.replaceLocked(n)
	}
	c.mu.Unlock()
	if victim != nil {
		victim.inRing.Store(false)
		victim.dropFD()
	}
}

// replaceLocked puts n in the place of a node that was not used for a while.
func (c *fdCache) replaceLocked(n *fileNode) *fileNode {
	for {
		if c.hand++; c.hand >= len(c.ring) {
			c.hand = 0
		}
		v := c.ring[c.hand]
		if d := v.ro.Load(); d != nil && d.used.Swap(false) {
			continue
		}
		c.ring[c.hand] = n
		return v
	}
}

// dropFD empties the cache slot of n. Open files keep their descriptor.
func (n *fileNode) dropFD() {
	if d := n.ro.Swap(nil); d != nil {
		d.put()
	}
}

// cachedFD returns the kept read-only descriptor with a reference, or nil.
func (n *fileNode) cachedFD() *donated {
	d := n.ro.Load()
	if d == nil || !d.TryGet() {
		return nil
	}
	if !d.used.Load() {
		d.used.Store(true)
	}
	return d
}
