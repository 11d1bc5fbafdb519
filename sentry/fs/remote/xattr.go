package remote

import (
	"slices"
	"sync"

	"hornwork/gofer/proto"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// xattrs is what is known of an inode's extended attributes in CacheImmutable: all names, and the values
// that were asked for. Most files have none, and then one request answers all questions.
type xattrs struct {
	names []string

	mu     sync.Mutex // a leaf, guards values
	values map[string][]byte
}

// hasXattr says whether the kind of object can have attributes at all: the gofer opens nothing else.
func (n *node) hasXattr() bool {
	t := n.Type()
	return !n.fs.opts.NoXattr && (t == linux.S_IFREG || t == linux.S_IFDIR)
}

// ListXattr returns the names of the extended attributes.
func (n *node) ListXattr(*vfs.Caller, *vfs.Inode) ([]string, linux.Errno) {
	if !n.hasXattr() {
		return nil, 0
	}
	x, errno := n.listXattr()
	if errno == linux.EOPNOTSUPP {
		return nil, 0
	}
	if errno != 0 {
		return nil, errno
	}
	return slices.Clone(x.names), 0
}

func (n *node) listXattr() (*xattrs, linux.Errno) {
	if x := n.xattr.Load(); x != nil {
		return x, 0
	}
	var r proto.XattrNames
	errno := n.fs.cl.call(&proto.ListXattr{Ref: n.ref()}, &r, nil)
	if errno != 0 && (errno != linux.EOPNOTSUPP || !n.fs.immutable()) {
		return nil, errno
	}
	x := &xattrs{names: r.Names}
	if n.fs.immutable() {
		n.xattr.Store(x)
	}
	return x, 0
}

// GetXattr returns the value of one.
func (n *node) GetXattr(_ *vfs.Caller, _ *vfs.Inode, name string) ([]byte, linux.Errno) {
	if !n.hasXattr() {
		return nil, linux.ENODATA
	}
	var x *xattrs
	if n.fs.immutable() {
		var errno linux.Errno
		if x, errno = n.listXattr(); errno != 0 {
			return nil, errno
		}
		if !slices.Contains(x.names, name) {
			return nil, linux.ENODATA
		}
		x.mu.Lock()
		v, ok := x.values[name]
		x.mu.Unlock()
		if ok {
			return slices.Clone(v), 0
		}
	}
	var r proto.Value
	if errno := n.fs.cl.call(&proto.GetXattr{Ref: n.ref(), Name: name}, &r, nil); errno != 0 {
		return nil, errno
	}
	if x != nil {
		x.mu.Lock()
		if x.values == nil {
			x.values = map[string][]byte{}
		}
		x.values[name] = slices.Clone(r.Value)
		x.mu.Unlock()
	}
	return r.Value, 0
}

// SetXattr sets one.
func (n *node) SetXattr(_ *vfs.Caller, _ *vfs.Inode, name string, value []byte, flags uint32) linux.Errno {
	if !n.hasXattr() {
		return n.noXattr()
	}
	defer n.xattr.Store(nil)
	errno := n.fs.cl.call(&proto.SetXattr{Ref: n.ref(), Name: name, Value: value, Flags: flags}, &proto.Done{}, nil)
	n.changed(errno)
	return errno
}

// RemoveXattr removes one.
func (n *node) RemoveXattr(_ *vfs.Caller, _ *vfs.Inode, name string) linux.Errno {
	if !n.hasXattr() {
		return n.noXattr()
	}
	defer n.xattr.Store(nil)
	errno := n.fs.cl.call(&proto.RemoveXattr{Ref: n.ref(), Name: name}, &proto.Done{}, nil)
	n.changed(errno)
	return errno
}

// noXattr is the error of a change where there can be none.
func (n *node) noXattr() linux.Errno {
	if n.fs.opts.NoXattr {
		return linux.EOPNOTSUPP
	}
	return linux.EPERM
}

// changed notes a change of the inode that the gofer has made.
func (n *node) changed(errno linux.Errno) {
	if errno == 0 {
		n.attr.TouchChange()
		n.expire()
	}
}
