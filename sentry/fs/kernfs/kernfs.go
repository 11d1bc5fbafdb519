// Package kernfs has the building blocks of file systems whose contents the kernel makes up: proc and sysfs.
//
// A file's text is made when it is read from the start, like Linux's seq_file, and stays with the open file, so that a
// reader with a small buffer sees one consistent text. A directory is a fixed table (Table) or is asked each time (Dir).
package kernfs

import (
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// inos hands out inode numbers; they are unique over all kernfs file systems.
var inos atomic.Uint64

func init() { inos.Store(0xf0000000) }

// attr makes the attributes of a made-up inode; the times are those of its making.
func attr(mode uint32, now int64) *vfs.Attr {
	a := &vfs.Attr{Blksize: 1024, Btime: now}
	a.Mode.Store(mode)
	a.Nlink.Store(1)
	a.Atime.Store(now)
	a.Mtime.Store(now)
	a.Ctime.Store(now)
	return a
}

// FS makes the inodes of one file system.
type FS struct {
	SB  *vfs.Superblock
	Now func() int64 // nanoseconds since the epoch
	// NoNames is what making a new name fails with: EACCES if 0. (In proc the look-up itself fails: ENOENT.)
	NoNames linux.Errno
}

func (fs *FS) inode(mode uint32, ops vfs.InodeOps) *vfs.Inode {
	return vfs.NewInode(fs.SB, inos.Add(1), ops, attr(mode, fs.Now()))
}

// common is what no made-up inode can do.
type common struct{ vfs.NoXattr }

func (common) GetAttr(*vfs.Caller, *vfs.Inode) linux.Errno { return 0 }

// SetAttr accepts a truncation, which is how shells open files that they write (echo 1 > /proc/...), and refuses the rest.
func (common) SetAttr(_ *vfs.Caller, _ *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	if s.Mask&^(linux.STATX_SIZE|linux.STATX_MTIME|linux.STATX_CTIME) != 0 {
		return linux.EPERM
	}
	return 0
}
func (common) Forget(*vfs.Inode, bool) {}

// Owned gives an inode to a user, as /proc/PID belongs to the process's effective user.
func Owned(i *vfs.Inode, uid, gid uint32) *vfs.Inode {
	i.Attr().UID.Store(uid)
	i.Attr().GID.Store(gid)
	return i
}

// link is a symbolic link whose target is made up when it is read.
type link struct {
	common
	vfs.NoDir
	text func(c *vfs.Caller) (string, linux.Errno)
	jump func(c *vfs.Caller) (vfs.Path, linux.Errno)
}

// Link makes a symbolic link.
func (fs *FS) Link(text func(c *vfs.Caller) (string, linux.Errno)) *vfs.Inode {
	return fs.inode(linux.S_IFLNK|0o777, &link{text: text})
}

// MagicLink makes a link that leads straight to a path, whatever its text says. The result of jump has a reference.
func (fs *FS) MagicLink(mode uint32, text func(c *vfs.Caller) (string, linux.Errno), jump func(c *vfs.Caller) (vfs.Path, linux.Errno)) *vfs.Inode {
	return fs.inode(linux.S_IFLNK|mode, &link{text: text, jump: jump})
}

func (l *link) Readlink(c *vfs.Caller, _ *vfs.Inode) (string, linux.Errno) { return l.text(c) }

func (l *link) Jump(c *vfs.Caller, _ *vfs.Inode) (vfs.Path, bool, linux.Errno) {
	if l.jump == nil {
		return vfs.Path{}, false, 0
	}
	p, errno := l.jump(c)
	return p, true, errno
}

func (l *link) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return nil, linux.ELOOP
}
