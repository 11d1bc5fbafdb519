package vfs

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
)

// What an access is for; the bits are those of the permission triplets and of access(2).
const (
	MayExec  = 1
	MayWrite = 2
	MayRead  = 4
)

// Permission says whether c may access i in the ways of mask: Linux's inode_permission, without the mount.
func (c *Caller) Permission(i *Inode, mask uint32) linux.Errno {
	if mask&MayWrite != 0 && i.SB.ReadOnly() {
		switch i.Type() {
		case linux.S_IFREG, linux.S_IFDIR, linux.S_IFLNK:
			return linux.EROFS
		}
	}
	return c.permission(i, mask)
}

// Permitter is an optional InodeOps that lets in some callers whom the mode bits and their capabilities do not.
type Permitter interface {
	Permits(c *Caller, mask uint32) bool
}

// permission is the check of mode bits and capabilities.
func (c *Caller) permission(i *Inode, mask uint32) linux.Errno {
	cr := c.Creds
	a := i.attr.Load()
	mode := a.Mode.Load()
	bits := mode
	if cr.FSUID == a.UID.Load() {
		bits >>= 6
	} else if bits>>3&7 != bits&7 && cr.InGroup(a.GID.Load()) {
		bits >>= 3
	}
	if mask&^bits&7 == 0 {
		return 0
	}
	errno := permissionByCap(cr, i, mode, mask)
	if errno != 0 {
		if p, ok := i.Ops.(Permitter); ok && p.Permits(c, mask) {
			return 0
		}
	}
	return errno
}

func permissionByCap(cr *cred.Credentials, i *Inode, mode, mask uint32) linux.Errno {
	if mode&linux.S_IFMT == linux.S_IFDIR {
		if mask&MayWrite == 0 && CapableOver(cr, i, linux.CAP_DAC_READ_SEARCH) {
			return 0
		}
		if CapableOver(cr, i, linux.CAP_DAC_OVERRIDE) {
			return 0
		}
		return linux.EACCES
	}
	if mask == MayRead && CapableOver(cr, i, linux.CAP_DAC_READ_SEARCH) {
		return 0
	}
	// Execution needs at least one x bit, whoever asks.
	if (mask&MayExec == 0 || mode&0o111 != 0) && CapableOver(cr, i, linux.CAP_DAC_OVERRIDE) {
		return 0
	}
	return linux.EACCES
}

// CapableOver says whether cr has the capability in its namespace and the inode's owners are mapped there:
// Linux's capable_wrt_inode_uidgid.
func CapableOver(cr *cred.Credentials, i *Inode, capability int) bool {
	if !cr.HasCap(capability) {
		return false
	}
	if cr.UserNS == nil || cr.UserNS.Parent == nil {
		return true
	}
	a := i.Attr()
	return uidMapped(cr.UserNS, a.UID.Load()) && gidMapped(cr.UserNS, a.GID.Load())
}

func uidMapped(ns *cred.UserNS, uid uint32) bool {
	_, ok := ns.UID(uid)
	return ok
}

func gidMapped(ns *cred.UserNS, gid uint32) bool {
	_, ok := ns.GID(gid)
	return ok
}

// ownerOrCapable is Linux's inode_owner_or_capable.
func (c *Caller) ownerOrCapable(i *Inode) bool {
	uid := i.Attr().UID.Load()
	if c.Creds.FSUID == uid {
		return true
	}
	return c.Creds.HasCap(linux.CAP_FOWNER) && uidMapped(c.Creds.UserNS, uid)
}

// sticky says whether the sticky bit of dir keeps c from taking victim away.
func (c *Caller) sticky(dir, victim *Inode) bool {
	a := dir.Attr()
	if a.Mode.Load()&linux.S_ISVTX == 0 {
		return false
	}
	uid := c.Creds.FSUID
	if victim.Attr().UID.Load() == uid || a.UID.Load() == uid {
		return false
	}
	return !CapableOver(c.Creds, victim, linux.CAP_FOWNER)
}

// mayCreate checks that c may make an entry in dir, whose Dir lock is held.
func (c *Caller) mayCreate(dir *Dentry) linux.Errno {
	if dir.dir.removed {
		return linux.ENOENT
	}
	if ns := c.Creds.UserNS; ns != nil && ns.Parent != nil &&
		(!uidMapped(ns, c.Creds.FSUID) || !gidMapped(ns, c.Creds.FSGID)) {
		return linux.EOVERFLOW
	}
	return c.Permission(dir.Inode(), MayWrite|MayExec)
}

// mayDelete checks that c may take victim out of dir, whose Dir lock is held: Linux's may_delete.
func (c *Caller) mayDelete(dir *Dentry, victim *Dentry, wantDir bool) linux.Errno {
	i := victim.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if errno := c.Permission(dir.Inode(), MayWrite|MayExec); errno != 0 {
		return errno
	}
	if c.sticky(dir.Inode(), i) {
		return linux.EPERM
	}
	if wantDir {
		if !victim.isDir() {
			return linux.ENOTDIR
		}
		if victim.isRoot() {
			return linux.EBUSY
		}
	} else if victim.isDir() {
		return linux.EISDIR
	}
	if dir.dir.removed {
		return linux.ENOENT
	}
	return 0
}

// wantWrite says whether p's mount and filesystem let anything be changed.
func wantWrite(p Path) linux.Errno {
	if p.Mount.flags.Load()&linux.MS_RDONLY != 0 || p.Dentry.sb.ReadOnly() {
		return linux.EROFS
	}
	return 0
}

// Access implements faccessat2(2) on a walked path; effective uses the filesystem IDs and capabilities as
// they are, else the real ones count.
func Access(c *Caller, p Path, mask uint32, effective bool) linux.Errno {
	if mask&^7 != 0 {
		return linux.EINVAL
	}
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	who := *c
	if !effective {
		who.Creds = realCreds(c.Creds)
	}
	mnt := p.Mount.flags.Load()
	if mask&MayExec != 0 && i.Type() == linux.S_IFREG && (mnt&linux.MS_NOEXEC != 0 || i.SB.NoExecDev) {
		return linux.EACCES
	}
	if errno := who.Permission(i, mask); errno != 0 {
		return errno
	}
	// Special files can be written on a read-only mount.
	if mask&MayWrite != 0 && mnt&linux.MS_RDONLY != 0 {
		switch i.Type() {
		case linux.S_IFREG, linux.S_IFDIR, linux.S_IFLNK:
			return linux.EROFS
		}
	}
	return 0
}

// realCreds is what access(2) checks with: the real IDs, and the capabilities of a program run by them.
func realCreds(cr *cred.Credentials) *cred.Credentials {
	if cr.FSUID == cr.RUID && cr.FSGID == cr.RGID && (cr.RUID == 0 && cr.Effective == cr.Permitted || cr.RUID != 0 && cr.Effective == 0) {
		return cr
	}
	n := cr.Clone()
	n.FSUID, n.FSGID = cr.RUID, cr.RGID
	if cr.SecureBits&linux.SECBIT_NO_SETUID_FIXUP == 0 {
		root, ok := cr.UserNS.UID(cr.RUID)
		if ok && root == 0 {
			n.Effective = n.Permitted
		} else {
			n.Effective = 0
		}
	}
	return n
}
