package tmpfs

import (
	"bytes"
	"maps"
	"slices"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// maxXattrBytes bounds what one inode keeps in names and values; ENOSPC beyond, as on a disk.
const maxXattrBytes = 256 << 10

// xattrs are the extended attributes of an inode.
type xattrs struct {
	mu   rank.Mutex[rank.FileData] // guards the fields below
	m    map[string][]byte
	size int
}

// xattrOps implements vfs.XattrOps for inodes whose first field is a node.
type xattrOps struct{}

// nodeOf finds the node of a tmpfs inode.
func nodeOf(i *vfs.Inode) *node {
	switch o := i.Ops.(type) {
	case *regular:
		return &o.node
	case *dir:
		return &o.node
	case *symlink:
		return &o.node
	case *special:
		return &o.node
	}
	return nil
}

// GetXattr implements vfs.XattrOps.
func (xattrOps) GetXattr(_ *vfs.Caller, i *vfs.Inode, name string) ([]byte, linux.Errno) {
	return nodeOf(i).xattrs.get(name)
}

// SetXattr implements vfs.XattrOps.
func (xattrOps) SetXattr(_ *vfs.Caller, i *vfs.Inode, name string, value []byte, flags uint32) linux.Errno {
	n := nodeOf(i)
	errno := n.xattrs.set(name, value, flags)
	if errno == 0 {
		n.attr.TouchChange()
	}
	return errno
}

// ListXattr implements vfs.XattrOps.
func (xattrOps) ListXattr(_ *vfs.Caller, i *vfs.Inode) ([]string, linux.Errno) {
	return nodeOf(i).xattrs.list(), 0
}

// RemoveXattr implements vfs.XattrOps.
func (xattrOps) RemoveXattr(_ *vfs.Caller, i *vfs.Inode, name string) linux.Errno {
	n := nodeOf(i)
	errno := n.xattrs.remove(name)
	if errno == 0 {
		n.attr.TouchChange()
	}
	return errno
}

func (x *xattrs) get(name string) ([]byte, linux.Errno) {
	x.mu.Lock()
	defer x.mu.Unlock()
	v, ok := x.m[name]
	if !ok {
		return nil, linux.ENODATA
	}
	return v, 0
}

func (x *xattrs) set(name string, value []byte, flags uint32) linux.Errno {
	x.mu.Lock()
	defer x.mu.Unlock()
	old, ok := x.m[name]
	switch {
	case ok && flags&linux.XATTR_CREATE != 0:
		return linux.EEXIST
	case !ok && flags&linux.XATTR_REPLACE != 0:
		return linux.ENODATA
	}
	size := x.size + len(value) - len(old)
	if !ok {
		size += len(name)
	}
	if size > maxXattrBytes {
		return linux.ENOSPC
	}
	if x.m == nil {
		x.m = map[string][]byte{}
	}
	x.size = size
	x.m[name] = bytes.Clone(value)
	if x.m[name] == nil {
		x.m[name] = []byte{}
	}
	return 0
}

func (x *xattrs) list() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Sorted(maps.Keys(x.m))
}

func (x *xattrs) remove(name string) linux.Errno {
	x.mu.Lock()
	defer x.mu.Unlock()
	v, ok := x.m[name]
	if !ok {
		return linux.ENODATA
	}
	delete(x.m, name)
	x.size -= len(name) + len(v)
	return 0
}
