package vfs

import (
	"strconv"

	"hornwork/linux"
)

func tempName(i *Inode) string { return "#" + strconv.FormatUint(i.Ino, 10) }

// ownerOf sets the owner of a new object in dir, and its setgid bit, as setgid directories ask for.
func ownerOf(c *Caller, dir *Inode, o *MakeOptions) {
	o.UID, o.GID = c.Creds.FSUID, c.Creds.FSGID
	a := dir.Attr()
	if a.Mode.Load()&linux.S_ISGID == 0 {
		return
	}
	o.GID = a.GID.Load()
	switch {
	case o.Mode&linux.S_IFMT == linux.S_IFDIR:
		o.Mode |= linux.S_ISGID
	case o.Mode&(linux.S_ISGID|linux.S_IXGRP) == linux.S_ISGID|linux.S_IXGRP:
		// Nobody makes a setgid program for a group that is not theirs.
		if !c.Creds.InGroup(o.GID) && !CapableOver(c.Creds, dir, linux.CAP_FSETID) {
			o.Mode &^= linux.S_ISGID
		}
	}
}

// makeLocked makes the negative dentry d in dir a new object. dir's Dir lock is held.
func makeLocked(c *Caller, dir, d *Dentry, o *MakeOptions) linux.Errno {
	if errno := c.mayCreate(dir); errno != 0 {
		return errno
	}
	di := dir.Inode()
	ownerOf(c, di, o)
	i, errno := di.Ops.Make(c, di, d.loc.Load().name, o)
	if errno != 0 {
		return errno
	}
	i.state.Or(inodeNoCaps)
	d.instantiate(i)
	notifyDir(dir, d.loc.Load().name, linux.IN_CREATE, d.dir != nil, 0)
	return 0
}

// parentWalk is a walk to the parent directory of a name that is to be made, removed or renamed.
type parentWalk struct {
	dir      Path // with a reference
	last     string
	kind     lastKind
	trailing bool
}

func walkParent(c *Caller, at Path, name string) (parentWalk, linux.Errno) {
	var w walker
	defer w.done()
	if name == "" {
		return parentWalk{}, linux.ENOENT
	}
	for {
		errno := w.init(c, at, name, 0)
		if errno == 0 {
			errno = w.run(true)
		}
		if errno == 0 {
			p := w.here()
			if p.tryGet() {
				return parentWalk{p, w.last, w.kind, w.trailing}, 0
			}
			errno = errRestart
		}
		if errno != errRestart || !w.again(&errno) {
			return parentWalk{}, errno
		}
	}
}

// lookupLast finds the last component under the parent's Dir lock, asking the filesystem again if its names
// can change by themselves.
func lookupLast(c *Caller, dir *Dentry, name string) (*Dentry, linux.Errno) {
	if len(name) > linux.NAME_MAX {
		return nil, linux.ENAMETOOLONG
	}
	if dir.sb.Revalidate {
		if r, ok := dir.Inode().Ops.(Revalidator); ok {
			if d := dir.child(name); d != nil && !r.Revalidate(c, dir.Inode(), name, d.Inode()) {
				d.invalidate()
			}
		}
	}
	return lookupLocked(c, dir, name, "")
}

// create makes an object at name: Linux's filename_create and its users. The result, if wanted, has a reference.
func create(c *Caller, at Path, name string, o *MakeOptions, link *Inode, linkMount *Mount) (Path, linux.Errno) {
	w, errno := walkParent(c, at, name)
	if errno != 0 {
		return Path{}, errno
	}
	defer w.dir.Put()
	if w.kind != lastNorm {
		return Path{}, linux.EEXIST
	}
	dir := w.dir.Dentry
	if dir.dir == nil {
		return Path{}, linux.ENOTDIR
	}
	dir.dir.lock.Lock()
	defer dir.dir.lock.Unlock()
	d, errno := lookupLast(c, dir, w.last)
	if errno != 0 {
		return Path{}, errno
	}
	errno = createAt(c, &w, d, o, link, linkMount)
	if errno != 0 {
		d.put()
		return Path{}, errno
	}
	w.dir.Mount.refs.Get()
	return Path{w.dir.Mount, d}, 0
}

func createAt(c *Caller, w *parentWalk, d *Dentry, o *MakeOptions, link *Inode, linkMount *Mount) linux.Errno {
	if d.Inode() != nil {
		return linux.EEXIST
	}
	if w.trailing && (link != nil || o.Mode&linux.S_IFMT != linux.S_IFDIR) {
		return linux.ENOENT
	}
	if errno := wantWrite(w.dir); errno != 0 {
		return errno
	}
	if link == nil {
		return makeLocked(c, w.dir.Dentry, d, o)
	}
	if linkMount != w.dir.Mount {
		return linux.EXDEV
	}
	return linkLocked(c, w.dir.Dentry, d, link)
}

// Mknod implements mknodat(2) and, for sockets, bind(2). mode has the type; none means a regular file.
func Mknod(c *Caller, at Path, name string, mode uint32, rdev uint64) linux.Errno {
	p, errno := MknodPath(c, at, name, mode, rdev)
	if errno == 0 {
		p.Put()
	}
	return errno
}

// MknodPath is Mknod that returns the new node, with a reference.
func MknodPath(c *Caller, at Path, name string, mode uint32, rdev uint64) (Path, linux.Errno) {
	switch mode & linux.S_IFMT {
	case 0:
		mode |= linux.S_IFREG
	case linux.S_IFREG, linux.S_IFIFO, linux.S_IFSOCK:
	case linux.S_IFCHR, linux.S_IFBLK:
		if mode&linux.S_IFMT == linux.S_IFCHR && rdev == 0 {
			break // a whiteout needs no privilege
		}
		if !c.Creds.HasCap(linux.CAP_MKNOD) || c.Creds.UserNS != nil && c.Creds.UserNS.Parent != nil {
			return Path{}, mknodDenied(c, at, name)
		}
	case linux.S_IFDIR:
		return Path{}, linux.EPERM
	default:
		return Path{}, linux.EINVAL
	}
	o := MakeOptions{Mode: mode &^ (c.Umask & 0o777), Rdev: rdev}
	if t := mode & linux.S_IFMT; t != linux.S_IFCHR && t != linux.S_IFBLK {
		o.Rdev = 0
	}
	return create(c, at, name, &o, nil, nil)
}

// mknodDenied is EPERM, unless something else is wrong that Linux would have found first.
func mknodDenied(c *Caller, at Path, name string) linux.Errno {
	p, errno := Walk(c, at, name, 0)
	if errno == 0 {
		p.Put()
		return linux.EEXIST
	}
	w, errno := walkParent(c, at, name)
	if errno != 0 {
		return errno
	}
	defer w.dir.Put()
	if errno := wantWrite(w.dir); errno != 0 {
		return errno
	}
	if errno := c.Permission(w.dir.Inode(), MayWrite|MayExec); errno != 0 {
		return errno
	}
	return linux.EPERM
}

// Mkdir implements mkdirat(2).
func Mkdir(c *Caller, at Path, name string, mode uint32) linux.Errno {
	o := MakeOptions{Mode: linux.S_IFDIR | mode&0o1777&^c.Umask}
	p, errno := create(c, at, name, &o, nil, nil)
	if errno == 0 {
		p.Put()
	}
	return errno
}

// Symlink implements symlinkat(2).
func Symlink(c *Caller, target string, at Path, name string) linux.Errno {
	if target == "" {
		return linux.ENOENT
	}
	if len(target) >= linux.PATH_MAX {
		return linux.ENAMETOOLONG
	}
	o := MakeOptions{Mode: linux.S_IFLNK | 0o777, Target: target}
	p, errno := create(c, at, name, &o, nil, nil)
	if errno == 0 {
		p.Put()
	}
	return errno
}

// Link implements linkat(2); old has been walked.
func Link(c *Caller, old Path, at Path, name string) linux.Errno {
	i := old.Inode()
	if i == nil {
		return linux.ENOENT
	}
	p, errno := create(c, at, name, nil, i, old.Mount)
	if errno == 0 {
		p.Put()
	}
	return errno
}

// linkLocked gives i a further name, the negative d in dir. dir's Dir lock is held.
func linkLocked(c *Caller, dir, d *Dentry, i *Inode) linux.Errno {
	if errno := c.mayCreate(dir); errno != 0 {
		return errno
	}
	di := dir.Inode()
	if i.SB != di.SB {
		return linux.EXDEV
	}
	if i.Type() == linux.S_IFDIR {
		return linux.EPERM
	}
	if i.Attr().Nlink.Load() == 0 && i.state.Load()&inodeLinkable == 0 {
		return linux.ENOENT
	}
	name := d.loc.Load().name
	if errno := di.Ops.Link(c, di, name, i); errno != 0 {
		return errno
	}
	i.state.And(^inodeLinkable)
	d.instantiate(i)
	i.notify(Event{Mask: linux.IN_ATTRIB})
	notifyDir(dir, name, linux.IN_CREATE, false, 0)
	return 0
}

// Readlink implements readlinkat(2) on a walked path.
func Readlink(c *Caller, p Path) (string, linux.Errno) {
	i := p.Inode()
	if i == nil {
		return "", linux.ENOENT
	}
	if i.Type() != linux.S_IFLNK {
		return "", linux.EINVAL
	}
	touchAtime(p.Mount, i)
	return i.Ops.Readlink(c, i)
}
