package server

import (
	"hornwork/gofer/proto"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

// Requests that change names. Both sides of a link or rename must be in one writable root: the host's
// link(2) knows nothing of roots.

func (c *session) link(m *proto.Link) (proto.Response, linux.Errno) {
	target, errno := c.resolve(&m.Target)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&target)
	dir, errno := c.writable(&m.Dir)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&dir)
	if target.base.root != dir.base.root {
		return nil, linux.EXDEV
	}
	if target.typ == linux.S_IFDIR {
		return nil, linux.EPERM
	}
	if errno := c.linkInto(&target, &dir, m.Name); errno != 0 {
		return nil, errno
	}
	r := &proto.OneAttr{}
	return r, c.fdAttr(target.fd, &r.Attr)
}

func (c *session) linkInto(target, dir *object, name string) linux.Errno {
	if target.base.kept && len(target.path) == 0 {
		return at.Link(target.fd, "", dir.fd, name)
	}
	from, old, done, errno := c.place(target)
	if errno != 0 {
		return errno
	}
	defer done()
	var st linux.Statx
	if errno := statx(from, old, &st); errno != 0 || st.Ino != target.ino || devOf(&st) != target.dev {
		return linux.ESTALE
	}
	return at.Link(from, old, dir.fd, name)
}

func (c *session) unlink(m *proto.Unlink) (proto.Response, linux.Errno) {
	dir, errno := c.writable(&m.Dir)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&dir)
	return &proto.Done{}, at.Unlink(dir.fd, m.Name, m.Directory)
}

func (c *session) rename(m *proto.Rename) (proto.Response, linux.Errno) {
	if m.Flags&^(linux.RENAME_NOREPLACE|linux.RENAME_EXCHANGE) != 0 {
		return nil, linux.EINVAL // a whiteout is a device node
	}
	from, errno := c.writable(&m.From)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&from)
	to, errno := c.writable(&m.To)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&to)
	if from.base.root != to.base.root {
		return nil, linux.EXDEV
	}
	if errno := at.Rename(from.fd, m.OldName, to.fd, m.NewName, m.Flags); errno != 0 {
		return nil, errno
	}
	if m.Moved != 0 {
		c.table.moved(m.Moved, from.base.root, to.node(), m.NewName)
	}
	return &proto.Done{}, 0
}
