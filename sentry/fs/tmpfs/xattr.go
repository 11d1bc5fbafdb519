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

// Xattrs are extended attributes in memory; the zero value has none.
type Xattrs struct {
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
	return nodeOf(i).xattrs.Get(name)
}

// SetXattr implements vfs.XattrOps.
func (xattrOps) SetXattr(_ *vfs.Caller, i *vfs.Inode, name string, value []byte, flags uint32) linux.Errno {
	n := nodeOf(i)
	errno := n.xattrs.Set(name, value, flags)
	if errno == 0 {
		n.attr.TouchChange()
	}
	return errno
}

// ListXattr implements vfs.XattrOps.
func (xattrOps) ListXattr(_ *vfs.Caller, i *vfs.Inode) ([]string, linux.Errno) {
	return nodeOf(i).xattrs.List(), 0
}

// RemoveXattr implements vfs.XattrOps.
func (xattrOps) RemoveXattr(_ *vfs.Caller, i *vfs.Inode, name string) linux.Errno {
	n := nodeOf(i)
	errno := n.xattrs.Remove(name)
	if errno == 0 {
		n.attr.TouchChange()
	}
	return errno
}

// Get returns a value, which the caller does not change; ENODATA.
func (x *Xattrs) Get(name string) ([]byte, linux.Errno) {
	x.mu.Lock()
	defer x.mu.Unlock()
	v, ok := x.m[name]
	if !ok {
		return nil, linux.ENODATA
	}
	return v, 0
}

// Set stores a copy of value; flags are XATTR_CREATE and XATTR_REPLACE.
func (x *Xattrs) Set(name string, value []byte, flags uint32) linux.Errno {
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

// List returns the names in order.
func (x *Xattrs) List() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Sorted(maps.Keys(x.m))
}

// Remove takes a name out; ENODATA.
func (x *Xattrs) Remove(name string) linux.Errno {
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
