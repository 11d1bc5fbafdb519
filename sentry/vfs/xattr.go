package vfs

import (
	"strings"

	"hornwork/linux"
)

const (
	xattrUser     = "user."
	xattrTrusted  = "trusted."
	xattrSecurity = "security."
	xattrSystem   = "system."
	xattrCaps     = "security.capability"
)

// inodeNoCaps: known to have no security.capability, so that each write need not look.
const inodeNoCaps uint32 = 1 << 8

// checkXattr is Linux's xattr_permission; write says that the attribute is to be changed.
func checkXattr(c *Caller, p Path, i *Inode, name string, write bool) linux.Errno {
	if name == "" || len(name) > linux.XATTR_NAME_MAX {
		return linux.ERANGE
	}
	mask := uint32(MayRead)
	if write {
		mask = MayWrite
		if errno := wantWrite(p); errno != 0 {
			return errno
		}
	}
	switch {
	case strings.HasPrefix(name, xattrSecurity), strings.HasPrefix(name, xattrSystem):
		if write && strings.HasPrefix(name, xattrSecurity) && !c.setSecurity(i, name) {
			return linux.EPERM
		}
		if strings.HasPrefix(name, xattrSystem) {
			return linux.EOPNOTSUPP // POSIX ACLs are not there
		}
		return 0
	case strings.HasPrefix(name, xattrTrusted):
		if !c.Creds.HasCap(linux.CAP_SYS_ADMIN) || c.Creds.UserNS != nil && c.Creds.UserNS.Parent != nil {
			if write {
				return linux.EPERM
			}
			return linux.ENODATA
		}
	case strings.HasPrefix(name, xattrUser):
		t := i.Type()
		if t != linux.S_IFREG && t != linux.S_IFDIR {
			if write {
				return linux.EPERM
			}
			return linux.ENODATA
		}
		if write && t == linux.S_IFDIR && i.Attr().Mode.Load()&linux.S_ISVTX != 0 && !c.ownerOrCapable(i) {
			return linux.EPERM
		}
	default:
		return linux.EOPNOTSUPP
	}
	if strings.IndexByte(name, '.') == len(name)-1 {
		return linux.EINVAL
	}
	return c.Permission(i, mask)
}

// setSecurity says whether c may change a security attribute: file capabilities have a capability of their own.
func (c *Caller) setSecurity(i *Inode, name string) bool {
	if name == xattrCaps {
		return CapableOver(c.Creds, i, linux.CAP_SETFCAP)
	}
	return c.Creds.HasCap(linux.CAP_SYS_ADMIN)
}

// GetXattr implements getxattr(2) on a walked path.
func GetXattr(c *Caller, p Path, name string) ([]byte, linux.Errno) {
	i := p.Inode()
	if i == nil {
		return nil, linux.ENOENT
	}
	if errno := checkXattr(c, p, i, name, false); errno != 0 {
		return nil, errno
	}
	return i.Ops.GetXattr(c, i, name)
}

// SetXattr implements setxattr(2) on a walked path.
func SetXattr(c *Caller, p Path, name string, value []byte, flags uint32) linux.Errno {
	if flags&^(linux.XATTR_CREATE|linux.XATTR_REPLACE) != 0 {
		return linux.EINVAL
	}
	if len(value) > linux.XATTR_SIZE_MAX {
		return linux.E2BIG
	}
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if errno := checkXattr(c, p, i, name, true); errno != 0 {
		return errno
	}
	if name == xattrCaps {
		i.state.And(^inodeNoCaps)
	}
	errno := i.Ops.SetXattr(c, i, name, value, flags)
	if errno == 0 {
		Notify(p.Dentry, linux.IN_ATTRIB)
	}
	return errno
}

// ListXattr implements listxattr(2) on a walked path.
func ListXattr(c *Caller, p Path) ([]string, linux.Errno) {
	i := p.Inode()
	if i == nil {
		return nil, linux.ENOENT
	}
	names, errno := i.Ops.ListXattr(c, i)
	if errno != 0 {
		return nil, errno
	}
	admin := c.Creds.HasCap(linux.CAP_SYS_ADMIN) && (c.Creds.UserNS == nil || c.Creds.UserNS.Parent == nil)
	out := names[:0:0]
	for _, n := range names {
		if admin || !strings.HasPrefix(n, xattrTrusted) {
			out = append(out, n)
		}
	}
	return out, 0
}

// RemoveXattr implements removexattr(2) on a walked path.
func RemoveXattr(c *Caller, p Path, name string) linux.Errno {
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if errno := checkXattr(c, p, i, name, true); errno != 0 {
		return errno
	}
	errno := i.Ops.RemoveXattr(c, i, name)
	if errno == 0 {
		Notify(p.Dentry, linux.IN_ATTRIB)
	}
	return errno
}
