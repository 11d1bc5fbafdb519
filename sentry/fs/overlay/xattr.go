package overlay

import (
	"strings"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// Attributes by which overlayfs marks its own layers; nobody above sees them.
const (
	overlayPrefix = "trusted.overlay."
	opaqueXattr   = overlayPrefix + "opaque"
)

// GetXattr implements vfs.XattrOps.
func (n *node) GetXattr(c *vfs.Caller, _ *vfs.Inode, name string) ([]byte, linux.Errno) {
	if strings.HasPrefix(name, overlayPrefix) {
		return nil, linux.EOPNOTSUPP
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.xattrs != nil {
		return n.xattrs.Get(name)
	}
	if n.lower == nil {
		return nil, linux.ENODATA
	}
	return n.lower.Ops.GetXattr(c, n.lower, name)
}

// ListXattr implements vfs.XattrOps.
func (n *node) ListXattr(c *vfs.Caller, _ *vfs.Inode) ([]string, linux.Errno) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listXattrLocked(c)
}

func (n *node) listXattrLocked(c *vfs.Caller) ([]string, linux.Errno) {
	if n.xattrs != nil {
		return n.xattrs.List(), 0
	}
	if n.lower == nil {
		return nil, 0
	}
	names, errno := n.lower.Ops.ListXattr(c, n.lower)
	if errno != 0 {
		return nil, errno
	}
	out := names[:0:0]
	for _, s := range names {
		if !strings.HasPrefix(s, overlayPrefix) {
			out = append(out, s)
		}
	}
	return out, 0
}

// ownXattrsLocked copies the lower object's attributes.
func (n *node) ownXattrsLocked(c *vfs.Caller) linux.Errno {
	if n.xattrs != nil {
		return 0
	}
	names, errno := n.listXattrLocked(c)
	if errno != 0 && errno != linux.EOPNOTSUPP {
		return errno
	}
	own := &tmpfs.Xattrs{}
	for _, name := range names {
		v, errno := n.lower.Ops.GetXattr(c, n.lower, name)
		if errno == linux.ENODATA || errno == linux.EOPNOTSUPP || errno == linux.EPERM || errno == linux.EACCES {
			continue // gone meanwhile, or not the gofer's to read
		}
		if errno == 0 {
			errno = own.Set(name, v, 0)
		}
		if errno != 0 {
			return errno
		}
	}
	n.xattrs = own
	return 0
}

// SetXattr implements vfs.XattrOps.
func (n *node) SetXattr(c *vfs.Caller, _ *vfs.Inode, name string, value []byte, flags uint32) linux.Errno {
	if strings.HasPrefix(name, overlayPrefix) {
		return linux.EOPNOTSUPP
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if errno := n.changeLocked(c); errno != 0 {
		return errno
	}
	if errno := n.ownXattrsLocked(c); errno != 0 {
		return errno
	}
	errno := n.xattrs.Set(name, value, flags)
	if errno == 0 {
		n.Attr().TouchChange()
	}
	return errno
}

// RemoveXattr implements vfs.XattrOps. An attribute that is not there costs no copy.
func (n *node) RemoveXattr(c *vfs.Caller, _ *vfs.Inode, name string) linux.Errno {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.xattrs == nil {
		if n.lower == nil {
			return linux.ENODATA
		}
		if _, errno := n.lower.Ops.GetXattr(c, n.lower, name); errno != 0 {
			return errno
		}
		if errno := n.changeLocked(c); errno != 0 {
			return errno
		}
		if errno := n.ownXattrsLocked(c); errno != 0 {
			return errno
		}
	}
	errno := n.xattrs.Remove(name)
	if errno == 0 {
		n.Attr().TouchChange()
	}
	return errno
}
