package vfs

import (
	"hornwork/linux"
)

// Stat implements statx(2) on a walked path: the basic fields, birth time and mount ID.
func Stat(c *Caller, p Path, out *linux.Statx) linux.Errno {
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if errno := i.Ops.GetAttr(c, i); errno != 0 {
		return errno
	}
	a := i.Attr()
	dev := i.SB.Dev
	rdev := a.Rdev.Load()
	*out = linux.Statx{
		Mask:           linux.STATX_BASIC_STATS | linux.STATX_MNT_ID,
		Blksize:        a.Blksize,
		Nlink:          a.Nlink.Load(),
		UID:            a.UID.Load(),
		GID:            a.GID.Load(),
		Mode:           uint16(a.Mode.Load()),
		Ino:            i.Ino,
		Size:           uint64(a.Size.Load()),
		Blocks:         uint64(a.Blocks.Load()),
		Atime:          statxTime(a.Atime.Load()),
		Ctime:          statxTime(a.Ctime.Load()),
		Mtime:          statxTime(a.Mtime.Load()),
		RdevMajor:      Major(rdev),
		RdevMinor:      Minor(rdev),
		DevMajor:       Major(dev),
		DevMinor:       Minor(dev),
		MntID:          uint64(p.Mount.ID),
		AttributesMask: linux.STATX_ATTR_AUTOMOUNT | linux.STATX_ATTR_MOUNT_ROOT,
	}
	if a.Btime != 0 {
		out.Mask |= linux.STATX_BTIME
		out.Btime = statxTime(a.Btime)
	}
	if p.Dentry == p.Mount.root {
		out.Attributes |= linux.STATX_ATTR_MOUNT_ROOT
	}
	return 0
}

// StatOf converts the result of Stat to the older struct.
func StatOf(x *linux.Statx) linux.Stat {
	ts := func(t linux.StatxTimestamp) linux.Timespec { return linux.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)} }
	return linux.Stat{
		Dev: MakeDev(x.DevMajor, x.DevMinor), Ino: x.Ino, Nlink: uint64(x.Nlink),
		Mode: uint32(x.Mode), UID: x.UID, GID: x.GID,
		Rdev: MakeDev(x.RdevMajor, x.RdevMinor),
		Size: int64(x.Size), Blksize: int64(x.Blksize), Blocks: int64(x.Blocks),
		Atim: ts(x.Atime), Mtim: ts(x.Mtime), Ctim: ts(x.Ctime),
	}
}

// StoreAttr carries out s on a, but for the size: what SetAttr of a filesystem in memory does.
func StoreAttr(a *Attr, s *SetAttr) {
	if s.Mask&linux.STATX_MODE != 0 {
		for {
			old := a.Mode.Load()
			if a.Mode.CompareAndSwap(old, old&linux.S_IFMT|s.Mode&0o7777) {
				break
			}
		}
	}
	if s.Mask&linux.STATX_UID != 0 {
		a.UID.Store(s.UID)
	}
	if s.Mask&linux.STATX_GID != 0 {
		a.GID.Store(s.GID)
	}
	if s.Mask&linux.STATX_ATIME != 0 {
		a.Atime.Store(s.Atime)
	}
	if s.Mask&linux.STATX_MTIME != 0 {
		a.Mtime.Store(s.Mtime)
	}
	a.TouchChange()
}

// setAttr lets the filesystem change attributes. ofTruncate: privileges are dropped as a write does.
func setAttr(c *Caller, i *Inode, s *SetAttr, ofTruncate bool) linux.Errno {
	if ofTruncate {
		if errno := dropPrivs(c, i); errno != 0 {
			return errno
		}
	}
	return i.Ops.SetAttr(c, i, s)
}

// dropPrivs clears the set-ID bits and security.capability of a regular file that is about to be changed.
func dropPrivs(c *Caller, i *Inode) linux.Errno {
	mode := i.Attr().Mode.Load()
	if mode&linux.S_IFMT != linux.S_IFREG {
		return 0
	}
	if i.state.Load()&inodeNoCaps == 0 {
		if errno := i.Ops.RemoveXattr(c, i, xattrCaps); errno != 0 && errno != linux.ENODATA && errno != linux.EOPNOTSUPP {
			return errno
		}
		i.state.Or(inodeNoCaps)
	}
	kill := uint32(0)
	if mode&linux.S_ISUID != 0 {
		kill = linux.S_ISUID
	}
	if mode&(linux.S_ISGID|linux.S_IXGRP) == linux.S_ISGID|linux.S_IXGRP {
		kill |= linux.S_ISGID
	} else if mode&linux.S_ISGID != 0 && !c.keepsSGID(i) {
		kill |= linux.S_ISGID
	}
	if kill == 0 || CapableOver(c.Creds, i, linux.CAP_FSETID) {
		return 0
	}
	return i.Ops.SetAttr(c, i, &SetAttr{Mask: linux.STATX_MODE, Mode: mode &^ kill & 0o7777})
}

// keepsSGID says whether c may leave a setgid bit on i: it is in the group, or privileged.
func (c *Caller) keepsSGID(i *Inode) bool {
	return c.Creds.InGroup(i.Attr().GID.Load()) || CapableOver(c.Creds, i, linux.CAP_FSETID)
}

// Chmod implements fchmodat(2) on a walked path.
func Chmod(c *Caller, p Path, mode uint32) linux.Errno {
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if errno := wantWrite(p); errno != 0 {
		return errno
	}
	if i.Type() == linux.S_IFLNK {
		return linux.EOPNOTSUPP
	}
	if !c.ownerOrCapable(i) {
		return linux.EPERM
	}
	mode &= 0o7777
	if !c.keepsSGID(i) {
		mode &^= linux.S_ISGID
	}
	errno := i.Ops.SetAttr(c, i, &SetAttr{Mask: linux.STATX_MODE, Mode: mode})
	if errno == 0 {
		Notify(p.Dentry, linux.IN_ATTRIB)
	}
	return errno
}

// NoID leaves an ID as it is, in Chown.
const NoID = ^uint32(0)

// Chown implements fchownat(2) on a walked path; uid and gid are the root namespace's numbers or NoID.
func Chown(c *Caller, p Path, uid, gid uint32) linux.Errno {
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if errno := wantWrite(p); errno != 0 {
		return errno
	}
	a := i.Attr()
	s := SetAttr{}
	if uid != NoID {
		if !(c.Creds.FSUID == a.UID.Load() && uid == a.UID.Load()) && !CapableOver(c.Creds, i, linux.CAP_CHOWN) {
			return linux.EPERM
		}
		s.Mask |= linux.STATX_UID
		s.UID = uid
	}
	if gid != NoID {
		own := c.Creds.FSUID == a.UID.Load() && (c.Creds.InGroup(gid) || gid == a.GID.Load())
		if !own && !CapableOver(c.Creds, i, linux.CAP_CHOWN) {
			return linux.EPERM
		}
		s.Mask |= linux.STATX_GID
		s.GID = gid
	}
	mode := a.Mode.Load()
	if mode&linux.S_IFMT != linux.S_IFDIR {
		kill := mode & linux.S_ISUID
		if mode&(linux.S_ISGID|linux.S_IXGRP) == linux.S_ISGID|linux.S_IXGRP || mode&linux.S_ISGID != 0 && !c.keepsSGID(i) {
			kill |= linux.S_ISGID
		}
		if kill != 0 {
			s.Mask |= linux.STATX_MODE
			s.Mode = mode &^ kill & 0o7777
		}
		if mode&linux.S_IFMT == linux.S_IFREG && i.state.Load()&inodeNoCaps == 0 {
			if errno := i.Ops.RemoveXattr(c, i, xattrCaps); errno != 0 && errno != linux.ENODATA && errno != linux.EOPNOTSUPP {
				return errno
			}
			i.state.Or(inodeNoCaps)
		}
	}
	errno := i.Ops.SetAttr(c, i, &s)
	if errno == 0 {
		Notify(p.Dentry, linux.IN_ATTRIB)
	}
	return errno
}

// Truncate implements truncate(2) on a walked path.
func Truncate(c *Caller, p Path, size int64) linux.Errno {
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if size < 0 {
		return linux.EINVAL
	}
	switch i.Type() {
	case linux.S_IFREG:
	case linux.S_IFDIR:
		return linux.EISDIR
	default:
		return linux.EINVAL
	}
	if errno := wantWrite(p); errno != 0 {
		return errno
	}
	if errno := c.Permission(i, MayWrite); errno != 0 {
		return errno
	}
	if errno := i.getWrite(); errno != 0 {
		return errno
	}
	defer i.putWrite()
	return truncateTo(c, p, i, size)
}

// Truncate implements ftruncate(2).
func (f *File) Truncate(c *Caller, size int64) linux.Errno {
	if size < 0 {
		return linux.EINVAL
	}
	if f.Flags()&linux.O_PATH != 0 {
		return linux.EBADF
	}
	i := f.Inode()
	if i.Type() != linux.S_IFREG || !f.Writable() {
		return linux.EINVAL
	}
	return truncateTo(c, f.Path, i, size)
}

func truncateTo(c *Caller, p Path, i *Inode, size int64) linux.Errno {
	if errno := c.LimitSize(i, size); errno != 0 {
		return errno
	}
	errno := setAttr(c, i, &SetAttr{Mask: linux.STATX_SIZE, Size: size}, true)
	if errno == 0 {
		Notify(p.Dentry, linux.IN_MODIFY)
	}
	return errno
}

// timeOf turns a time into nanoseconds, clamped to what fits.
func timeOf(t linux.Timespec, now int64) int64 {
	const most = 9_223_372_035
	switch {
	case t.Nsec == linux.UTIME_NOW:
		return now
	case t.Sec > most:
		return most * 1e9
	case t.Sec < -most:
		return -most * 1e9
	}
	return t.Sec*1e9 + t.Nsec
}

// Utimes implements utimensat(2) on a walked path; the times have UTIME_NOW and UTIME_OMIT in their Nsec, which
// has been checked.
func Utimes(c *Caller, p Path, ts [2]linux.Timespec) linux.Errno {
	omit := [2]bool{ts[0].Nsec == linux.UTIME_OMIT, ts[1].Nsec == linux.UTIME_OMIT}
	if omit[0] && omit[1] {
		return 0
	}
	i := p.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if errno := wantWrite(p); errno != 0 {
		return errno
	}
	// Setting both to now is what writing does; anything else is the owner's.
	if ts[0].Nsec == linux.UTIME_NOW && ts[1].Nsec == linux.UTIME_NOW {
		if !c.ownerOrCapable(i) {
			if errno := c.Permission(i, MayWrite); errno != 0 {
				return errno
			}
		}
	} else if !c.ownerOrCapable(i) {
		return linux.EPERM
	}
	now := Now()
	s := SetAttr{}
	if !omit[0] {
		s.Mask |= linux.STATX_ATIME
		s.Atime = timeOf(ts[0], now)
	}
	if !omit[1] {
		s.Mask |= linux.STATX_MTIME
		s.Mtime = timeOf(ts[1], now)
	}
	errno := i.Ops.SetAttr(c, i, &s)
	if errno == 0 {
		Notify(p.Dentry, linux.IN_ATTRIB)
	}
	return errno
}

// Statfs implements statfs(2) on a walked path.
func Statfs(c *Caller, p Path) (linux.Statfs, linux.Errno) {
	sb := p.Dentry.sb
	s := linux.Statfs{Bsize: linux.PageSize, Frsize: linux.PageSize, Namelen: linux.NAME_MAX} // simple_statfs
	if sb.Statfs != nil {
		var errno linux.Errno
		if s, errno = sb.Statfs(c); errno != 0 {
			return s, errno
		}
	}
	if s.Type == 0 {
		s.Type = sb.Magic
	}
	if s.Fsid == [2]int32{} {
		s.Fsid = [2]int32{int32(sb.Dev), int32(sb.Dev >> 32)}
	}
	s.Flags = linux.ST_VALID | mountStatFlags(p.Mount.flags.Load())
	if sb.ReadOnly() {
		s.Flags |= linux.ST_RDONLY
	}
	return s, 0
}

// mountStatFlags turns a mount's flags into statfs(2)'s.
func mountStatFlags(fl uint32) int64 {
	var out int64
	for _, b := range [...]struct{ ms, st uint32 }{
		{linux.MS_RDONLY, linux.ST_RDONLY}, {linux.MS_NOSUID, linux.ST_NOSUID}, {linux.MS_NODEV, linux.ST_NODEV},
		{linux.MS_NOEXEC, linux.ST_NOEXEC}, {linux.MS_NOATIME, linux.ST_NOATIME},
		{linux.MS_NODIRATIME, linux.ST_NODIRATIME}, {linux.MS_RELATIME, linux.ST_RELATIME},
	} {
		if fl&b.ms != 0 {
			out |= int64(b.st)
		}
	}
	return out
}

// Copy sets a to what from has now.
func (a *Attr) Copy(from *Attr) {
	a.Mode.Store(from.Mode.Load())
	a.UID.Store(from.UID.Load())
	a.GID.Store(from.GID.Load())
	a.Nlink.Store(from.Nlink.Load())
	a.Size.Store(from.Size.Load())
	a.Rdev.Store(from.Rdev.Load())
	a.Blocks.Store(from.Blocks.Load())
	a.Blksize = from.Blksize
	a.Atime.Store(from.Atime.Load())
	a.Mtime.Store(from.Mtime.Load())
	a.Ctime.Store(from.Ctime.Load())
	a.Btime = from.Btime
}
