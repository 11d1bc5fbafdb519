package proc

import (
	"fmt"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/ns"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// nsfs has the inodes of namespaces: what the links of /proc/PID/ns lead to. Open files of them keep the namespace,
// and setns(2) takes them.
var nsfs = vfs.NewAnonFS("nsfs", linux.NSFS_MAGIC)

// nsInode keeps a namespace.
type nsInode struct {
	vfs.NoDir
	vfs.NoLink
	vfs.NoXattr
	ns any
}

// nsPath makes the file of a namespace; each look at it makes another one with the same numbers.
func nsPath(typ string, x any) (vfs.Path, linux.Errno) {
	if m, ok := x.(*vfs.MountNS); ok && !m.TryGet() {
		return vfs.Path{}, linux.ENOENT // its last task has just ended
	}
	a := &vfs.Attr{Blksize: linux.PageSize}
	a.Mode.Store(linux.S_IFREG | 0o444)
	a.Nlink.Store(1)
	now := vfs.Now()
	a.Atime.Store(now)
	a.Mtime.Store(now)
	a.Ctime.Store(now)
	return vfs.NamelessPath(nsfs, vfs.NewInode(nsfs.SB, nsIno(x), &nsInode{ns: x}, a), nsText(typ, x)), 0
}

// nsText is what a link to the namespace says.
func nsText(typ string, x any) string { return fmt.Sprintf("%s:[%d]", typ, nsIno(x)) }

func nsIno(x any) uint64 {
	switch n := x.(type) {
	case *cred.UserNS:
		return n.Ino
	case *vfs.MountNS:
		return n.Ino
	}
	return x.(ns.Namespace).NSInfo().Ino
}

func (*nsInode) GetAttr(*vfs.Caller, *vfs.Inode) linux.Errno { return 0 }

func (*nsInode) SetAttr(*vfs.Caller, *vfs.Inode, *vfs.SetAttr) linux.Errno { return linux.EPERM }

func (i *nsInode) Open(_ *vfs.Caller, _ *vfs.Inode, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	if flags&linux.O_ACCMODE != linux.O_RDONLY {
		return nil, linux.EPERM
	}
	return &nsFile{ns: i.ns}, 0
}

// Forget implements vfs.InodeOps: nothing leads to the inode any more.
func (i *nsInode) Forget(*vfs.Inode, bool) {
	if m, ok := i.ns.(*vfs.MountNS); ok {
		m.Put()
	}
}

// nsFile is an open namespace.
type nsFile struct {
	vfs.DefaultFile
	ns any
}

// Namespace is what setns(2) asks for.
func (f *nsFile) Namespace() any { return f.ns }

// namespaceLink is one entry of /proc/PID/ns.
type namespaceLink struct {
	name, typ string
	get       func(t *task.Task, n *task.Namespaces) any // nil: there is none
	afterEnd  bool                                       // a task that has ended still has it; get's n may be nil
}

// OpenNamespace opens a user or PID namespace, as ioctl_ns(2) does with what it finds.
func OpenNamespace(c *vfs.Caller, x any) (*vfs.File, linux.Errno) {
	typ := "user"
	if _, ok := x.(*task.PIDNamespace); ok {
		typ = "pid"
	}
	p, errno := nsPath(typ, x)
	if errno != 0 {
		return nil, errno
	}
	defer p.Put()
	return vfs.OpenPath(c, p, linux.O_RDONLY)
}
