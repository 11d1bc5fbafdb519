package server

import (
	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

// openFlags are the flags of an Open request that mean something.
const openFlags = linux.O_ACCMODE | linux.O_TRUNC

func (c *session) open(m *proto.Open, fd *int32) (proto.Response, linux.Errno) {
	acc := m.Flags & linux.O_ACCMODE
	if m.Flags&^openFlags != 0 || acc == linux.O_ACCMODE || m.Flags&linux.O_TRUNC != 0 && acc == linux.O_RDONLY {
		return nil, linux.EINVAL
	}
	o, errno := c.resolve(&m.Ref)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	switch {
	case o.typ == linux.S_IFDIR:
		return nil, linux.EISDIR // a directory's descriptor would be a way around this server
	case o.empty:
		return nil, linux.EACCES
	case acc != linux.O_RDONLY && o.base.root.readOnly:
		return nil, linux.EROFS
	}
	f, errno := c.openData(&o, uint64(m.Flags))
	if errno != 0 {
		return nil, errno
	}
	*fd = f
	r := &proto.Opened{Opened: true}
	if errno := c.fdAttr(f, &r.Node.Attr); errno != 0 {
		return nil, errno
	}
	if m.Handle {
		r.Node.Handle, errno = c.handleOf(&o)
	}
	return r, errno
}

func (c *session) make(m *proto.Make, fd *int32) (proto.Response, linux.Errno) {
	o, errno := c.writable(&m.Dir)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	typ := m.Mode & linux.S_IFMT
	if m.Temp && typ != linux.S_IFREG {
		return nil, linux.EINVAL
	}
	// own is an open file for regular files, else an O_PATH descriptor.
	own, errno := c.create(&o, m, typ)
	if errno != 0 {
		return nil, errno
	}
	r := &proto.Opened{}
	if errno = c.dress(own, m, typ, &r.Node.Attr); errno != 0 {
		sys.Close(own)
		if !m.Temp {
			at.Unlink(o.fd, m.Name, typ == linux.S_IFDIR)
		}
		return nil, errno
	}
	n := &node{root: o.base.root, parent: o.node(), name: m.Name, fd: -1,
		dev: r.Node.Attr.Dev, ino: r.Node.Attr.Ino, typ: typ}
	if typ == linux.S_IFREG {
		*fd = own
		if m.Temp {
			n.parent, n.kept = nil, true
			if n.fd, errno = sys.Dup(own); errno != 0 {
				return nil, errno
			}
		}
	} else {
		n.fd = own
	}
	if r.Node.Handle, errno = c.table.add(n); errno != 0 {
		if n.fd >= 0 {
			sys.Close(n.fd)
		}
		return nil, errno
	}
	if r.Opened = *fd >= 0 && m.Open; !r.Opened && *fd >= 0 {
		sys.Close(*fd)
		*fd = -1
	}
	return r, 0
}

// create makes the new object with the server's own owner and opens it.
func (c *session) create(o *object, m *proto.Make, typ uint32) (int32, linux.Errno) {
	perm := m.Mode & 0o7777
	var errno linux.Errno
	switch typ {
	case linux.S_IFREG:
		if m.Temp {
			return at.Open(o.fd, ".", unix.O_TMPFILE|unix.O_RDWR, perm)
		}
		return at.Open(o.fd, m.Name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, perm)
	case linux.S_IFDIR:
		errno = at.Mkdir(o.fd, m.Name, perm)
	case linux.S_IFLNK:
		errno = at.Symlink(m.Target, o.fd, m.Name)
	case linux.S_IFIFO, linux.S_IFSOCK:
		errno = at.Mknod(o.fd, m.Name, typ|perm, 0)
	case linux.S_IFCHR, linux.S_IFBLK:
		return -1, linux.EPERM // a device node on the host would outlive the sandbox and work outside
	default:
		return -1, linux.EINVAL
	}
	if errno != 0 {
		return -1, errno
	}
	fd, errno := at.Open(o.fd, m.Name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if errno != 0 {
		at.Unlink(o.fd, m.Name, typ == linux.S_IFDIR)
	}
	return fd, errno
}

// dress gives a new object its owner and mode and reads its attributes.
func (c *session) dress(fd int32, m *proto.Make, typ uint32, a *proto.Attr) linux.Errno {
	if errno := c.fdAttr(fd, a); errno != 0 {
		return errno
	}
	if a.Mode&linux.S_IFMT != typ {
		return linux.ESTALE // replaced by somebody on the host
	}
	chown := a.UID != m.UID || a.GID != m.GID
	if chown {
		if errno := at.Chown(fd, int(m.UID), int(m.GID)); errno != 0 {
			return errno
		}
	}
	// chown(2) clears set-ID bits, and a set-GID directory or an ACL may have changed the mode.
	if typ != linux.S_IFLNK && (a.Mode&0o7777 != m.Mode&0o7777 || chown && m.Mode&0o6000 != 0) {
		if errno := chmod(fd, m.Mode&0o7777); errno != 0 {
			return errno
		}
	}
	return c.fdAttr(fd, a)
}

// chmod changes the mode of an O_PATH or an open descriptor.
func chmod(fd int32, mode uint32) linux.Errno {
	errno := at.Chmod(fd, mode)
	if errno == linux.ENOSYS { // before Linux 6.6: works for open files only
		errno = at.Fchmod(fd, mode)
	}
	return errno
}

const settable = linux.STATX_MODE | linux.STATX_UID | linux.STATX_GID | linux.STATX_SIZE | linux.STATX_ATIME | linux.STATX_MTIME

func (c *session) setattr(m *proto.Setattr) (proto.Response, linux.Errno) {
	if m.Mask&^settable != 0 || m.Mask&linux.STATX_SIZE != 0 && m.Size < 0 {
		return nil, linux.EINVAL
	}
	o, errno := c.resolve(&m.Ref)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	if o.base.root.readOnly || o.empty {
		return nil, linux.EROFS
	}
	if errno := c.apply(&o, m); errno != 0 {
		return nil, errno
	}
	r := &proto.OneAttr{}
	return r, c.fdAttr(o.fd, &r.Attr)
}

func (c *session) apply(o *object, m *proto.Setattr) linux.Errno {
	if m.Mask&linux.STATX_SIZE != 0 {
		fd, errno := c.openData(o, unix.O_WRONLY)
		if errno != 0 {
			return errno
		}
		errno = sys.Ftruncate(fd, m.Size)
		sys.Close(fd)
		if errno != 0 {
			return errno
		}
	}
	if m.Mask&(linux.STATX_UID|linux.STATX_GID) != 0 {
		uid, gid := -1, -1
		if m.Mask&linux.STATX_UID != 0 {
			uid = int(m.UID)
		}
		if m.Mask&linux.STATX_GID != 0 {
			gid = int(m.GID)
		}
		if errno := at.Chown(o.fd, uid, gid); errno != 0 {
			return errno
		}
	}
	if m.Mask&linux.STATX_MODE != 0 {
		if errno := c.setMode(o, m.Mode&0o7777); errno != 0 {
			return errno
		}
	}
	if m.Mask&(linux.STATX_ATIME|linux.STATX_MTIME) == 0 {
		return 0
	}
	times := [2]linux.Timespec{{Nsec: linux.UTIME_OMIT}, {Nsec: linux.UTIME_OMIT}}
	if m.Mask&linux.STATX_ATIME != 0 {
		times[0] = timespec(m.Atime)
	}
	if m.Mask&linux.STATX_MTIME != 0 {
		times[1] = timespec(m.Mtime)
	}
	return at.Utimes(o.fd, &times)
}

func (c *session) setMode(o *object, mode uint32) linux.Errno {
	errno := at.Chmod(o.fd, mode)
	if errno != linux.ENOSYS {
		return errno
	}
	fd, errno := c.openData(o, unix.O_RDONLY)
	if errno != 0 {
		return errno
	}
	defer sys.Close(fd)
	return at.Fchmod(fd, mode)
}

// timespec splits nanoseconds, rounding the seconds down also before 1970.
func timespec(ns int64) linux.Timespec {
	sec, nsec := ns/1e9, ns%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return linux.Timespec{Sec: sec, Nsec: nsec}
}

func (c *session) sync(m *proto.Sync) (proto.Response, linux.Errno) {
	o, errno := c.resolve(&m.Ref)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	if o.empty {
		return &proto.Done{}, 0
	}
	fd, errno := c.openData(&o, unix.O_RDONLY)
	if errno != 0 {
		return nil, errno
	}
	defer sys.Close(fd)
	if m.DataOnly {
		return &proto.Done{}, sys.Fdatasync(fd)
	}
	return &proto.Done{}, sys.Fsync(fd)
}
