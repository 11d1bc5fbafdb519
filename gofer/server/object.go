package server

import (
	"math"
	"strings"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

func statx(fd int32, path string, st *linux.Statx) linux.Errno { return at.Statx(fd, path, st) }

func devOf(st *linux.Statx) uint64 { return unix.Mkdev(st.DevMajor, st.DevMinor) }

// object is what a Ref names, for the time of one request.
type object struct {
	fd    int32 // O_PATH
	base  *node // the handle's
	path  []string
	dev   uint64
	ino   uint64
	typ   uint32
	empty bool // see node
}

// resolve finds the object of a Ref; the caller ends its use with put.
func (c *session) resolve(r *proto.Ref) (object, linux.Errno) {
	n := c.table.get(r.Handle)
	if n == nil {
		return object{}, linux.EBADF
	}
	fd, errno := c.table.acquire(n)
	if errno != 0 {
		return object{}, errno
	}
	o := object{fd: fd, base: n, path: r.Path, dev: n.dev, ino: n.ino, typ: n.typ, empty: n.empty}
	if len(r.Path) == 0 {
		return o, 0
	}
	if n.empty {
		c.table.release(n)
		return object{}, linux.ENOENT
	}
	errno = o.descend()
	if errno != 0 {
		c.table.release(n)
		return object{}, errno
	}
	return o, 0
}

// descend replaces the base's descriptor by the object's own.
func (o *object) descend() linux.Errno {
	fd, errno := at.Open(o.fd, strings.Join(o.path, "/"), unix.O_PATH|unix.O_NOFOLLOW, 0)
	if errno == linux.ELOOP {
		errno = linux.ESTALE // a directory on the way has become a symbolic link
	}
	if errno != 0 {
		return errno
	}
	var st linux.Statx
	if errno := statx(fd, "", &st); errno != 0 {
		sys.Close(fd)
		return errno
	}
	o.fd, o.dev, o.ino, o.typ = fd, devOf(&st), st.Ino, uint32(st.Mode)&linux.S_IFMT
	if o.dev != o.base.root.node.dev && kernelFS(fd) {
		if o.typ != linux.S_IFDIR || !mountRoot(fd) {
			sys.Close(fd)
			return linux.ENOENT
		}
		o.empty = true
	}
	return 0
}

// put ends the use of o.
func (c *session) put(o *object) {
	if len(o.path) > 0 {
		sys.Close(o.fd)
	}
	c.table.release(o.base)
}

// directory is resolve for what has to be a directory that entries can be looked up in.
func (c *session) directory(r *proto.Ref) (object, linux.Errno) {
	o, errno := c.resolve(r)
	if errno == 0 && o.typ != linux.S_IFDIR {
		c.put(&o)
		errno = linux.ENOTDIR
	}
	return o, errno
}

// writable is directory for what is to be changed.
func (c *session) writable(r *proto.Ref) (object, linux.Errno) {
	o, errno := c.directory(r)
	if errno == 0 && (o.base.root.readOnly || o.empty) {
		c.put(&o)
		errno = linux.EROFS
	}
	return o, errno
}

// node returns a node of o that outlives the request: the base, or a new one below it. The new one has no
// descriptor and no handle.
func (o *object) node() *node {
	n := o.base
	for i, name := range o.path {
		child := &node{root: n.root, parent: n, name: name, fd: -1, typ: linux.S_IFDIR}
		if i == len(o.path)-1 {
			child.dev, child.ino, child.typ, child.empty = o.dev, o.ino, o.typ, o.empty
		}
		n = child
	}
	return n
}

// place finds the directory and the name that o was reached by, for operations on names. The directory is
// acquired: release it with c.table.release or by closing the descriptor if own is set.
func (c *session) place(o *object) (dir int32, name string, done func(), errno linux.Errno) {
	parent, name := c.table.place(o.base)
	path := o.path
	if len(path) > 0 {
		parent, name, path = o.base, path[len(path)-1], path[:len(path)-1]
	}
	if parent == nil {
		return -1, "", nil, linux.ESTALE
	}
	dir, errno = c.table.acquire(parent)
	if errno != 0 {
		return -1, "", nil, errno
	}
	done = func() { c.table.release(parent) }
	if len(path) == 0 {
		return dir, name, done, 0
	}
	sub, errno := at.Open(dir, strings.Join(path, "/"), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	done()
	if errno != 0 {
		return -1, "", nil, errno
	}
	return sub, name, func() { sys.Close(sub) }, 0
}

// openData opens the regular file or directory o for its data and checks that it is the same object.
func (c *session) openData(o *object, flags uint64) (int32, linux.Errno) {
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	switch {
	case o.typ == linux.S_IFDIR:
		return at.Open(o.fd, ".", flags|unix.O_DIRECTORY, 0)
	case o.typ != linux.S_IFREG:
		return -1, linux.EPERM // never a FIFO, device or socket of the host
	case o.base.kept && len(o.path) == 0:
		return sys.Dup(o.fd) // a file without a name: open for reading and writing since it was made
	}
	dir, name, done, errno := c.place(o)
	if errno != 0 {
		return -1, errno
	}
	defer done()
	trunc := flags & unix.O_TRUNC // only once it is certain what is open
	fd, errno := at.Open(dir, name, flags&^unix.O_TRUNC, 0)
	if errno != 0 {
		if errno == linux.ENOENT || errno == linux.ELOOP {
			errno = linux.ESTALE
		}
		return -1, errno
	}
	var st linux.Statx
	if errno := statx(fd, "", &st); errno != 0 || st.Ino != o.ino || devOf(&st) != o.dev || uint32(st.Mode)&linux.S_IFMT != o.typ {
		sys.Close(fd)
		return -1, linux.ESTALE
	}
	if trunc != 0 {
		if errno := sys.Ftruncate(fd, 0); errno != 0 {
			sys.Close(fd)
			return -1, errno
		}
	}
	return fd, 0
}

// kernelFS says whether fd is on a filesystem whose files are the host kernel's insides. Opening
// /proc/self/mem of the gofer would be as good as owning it.
func kernelFS(fd int32) bool {
	var st linux.Statfs
	if sys.Fstatfs(fd, &st) != 0 {
		return true
	}
	switch st.Type {
	case linux.PROC_SUPER_MAGIC, linux.SYSFS_MAGIC, linux.DEVPTS_SUPER_MAGIC, linux.CGROUP_SUPER_MAGIC,
		linux.CGROUP2_SUPER_MAGIC, linux.DEBUGFS_MAGIC, linux.TRACEFS_MAGIC, linux.SECURITYFS_MAGIC,
		linux.BPF_FS_MAGIC, linux.PSTOREFS_MAGIC, linux.EFIVARFS_MAGIC, linux.BINFMTFS_MAGIC, linux.NSFS_MAGIC,
		linux.SELINUX_MAGIC, linux.SMACK_MAGIC, linux.XENFS_SUPER_MAGIC, linux.RDTGROUP_SUPER_MAGIC,
		linux.AUTOFS_SUPER_MAGIC, linux.BINDERFS_SUPER_MAGIC, linux.AAFS_MAGIC, linux.USBDEVICE_SUPER_MAGIC,
		configFS, fuseCtl, mqueueFS:
		return true
	}
	return false
}

// Magic numbers that <linux/magic.h> lacks.
const (
	configFS = 0x62656570
	fuseCtl  = 0x65735543
	mqueueFS = 0x19800202
)

// mountRoot says whether the directory fd is the root of a mount.
func mountRoot(fd int32) bool {
	var st linux.Statx
	return statx(fd, "", &st) == 0 && st.Attributes&linux.STATX_ATTR_MOUNT_ROOT != 0
}

// setAttr stores st in the protocol's form.
func setAttr(a *proto.Attr, st *linux.Statx) {
	*a = proto.Attr{
		Ino: st.Ino, Dev: devOf(st), Rdev: unix.Mkdev(st.RdevMajor, st.RdevMinor),
		Size: clamp(st.Size), Blocks: clamp(st.Blocks),
		Mode: uint32(st.Mode), Nlink: st.Nlink, UID: st.UID, GID: st.GID, Blksize: st.Blksize,
		Atime: nanos(st.Atime), Mtime: nanos(st.Mtime), Ctime: nanos(st.Ctime), Btime: nanos(st.Btime),
	}
}

func clamp(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

// nanos is a timestamp as nanoseconds, at the ends of the range where it does not fit.
func nanos(t linux.StatxTimestamp) int64 {
	const limit = math.MaxInt64/1_000_000_000 - 1
	return max(-limit, min(t.Sec, limit))*1e9 + int64(t.Nsec)
}
