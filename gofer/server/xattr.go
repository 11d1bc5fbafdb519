package server

import (
	"strings"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

// Extended attributes need an open descriptor, so only regular files and directories have them here; the
// user namespace of attributes does not exist for anything else on Linux either (xattr(7)).

// withData opens the object of ref for reading and hands it to f. none is the answer for other types.
func (c *session) withData(ref *proto.Ref, change bool, none linux.Errno, f func(fd int32) linux.Errno) linux.Errno {
	o, errno := c.resolve(ref)
	if errno != 0 {
		return errno
	}
	defer c.put(&o)
	if change && (o.base.root.readOnly || o.empty) {
		return linux.EROFS
	}
	if o.empty || o.typ != linux.S_IFREG && o.typ != linux.S_IFDIR {
		return none
	}
	fd, errno := c.openData(&o, unix.O_RDONLY)
	if errno != 0 {
		return errno
	}
	defer sys.Close(fd)
	return f(fd)
}

func (c *session) getXattr(m *proto.GetXattr) (proto.Response, linux.Errno) {
	r := &proto.Value{}
	return r, c.withData(&m.Ref, false, linux.ENODATA, func(fd int32) linux.Errno {
		n, errno := at.Getxattr(fd, m.Name, nil)
		if errno != 0 || n == 0 {
			return errno
		}
		if n > proto.MaxXattr {
			return linux.E2BIG
		}
		r.Value = make([]byte, n)
		n, errno = at.Getxattr(fd, m.Name, r.Value)
		r.Value = r.Value[:n]
		return errno
	})
}

func (c *session) listXattr(m *proto.ListXattr) (proto.Response, linux.Errno) {
	r := &proto.XattrNames{}
	return r, c.withData(&m.Ref, false, 0, func(fd int32) linux.Errno {
		n, errno := at.Listxattr(fd, nil)
		if errno != 0 || n == 0 {
			return errno
		}
		b := make([]byte, min(n, proto.MaxXattr))
		n, errno = at.Listxattr(fd, b)
		if errno != 0 {
			return errno
		}
		for name := range strings.SplitSeq(string(b[:n]), "\x00") {
			if name != "" && len(name) <= proto.MaxName {
				r.Names = append(r.Names, name)
			}
		}
		return 0
	})
}

func (c *session) setXattr(m *proto.SetXattr) (proto.Response, linux.Errno) {
	return &proto.Done{}, c.withData(&m.Ref, true, linux.EPERM, func(fd int32) linux.Errno {
		return at.Setxattr(fd, m.Name, m.Value, m.Flags)
	})
}

func (c *session) removeXattr(m *proto.RemoveXattr) (proto.Response, linux.Errno) {
	return &proto.Done{}, c.withData(&m.Ref, true, linux.EPERM, func(fd int32) linux.Errno {
		errno := at.Removexattr(fd, m.Name)
		if errno == linux.EPERM {
			// The host asks for the privilege first, even if there is nothing to remove. The sentry removes file
			// capabilities before each first write, and that must not fail where there are none.
			if _, missing := at.Getxattr(fd, m.Name, nil); missing == linux.ENODATA {
				errno = missing
			}
		}
		return errno
	})
}
