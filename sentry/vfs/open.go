package vfs

import (
	"hornwork/linux"
)

// ValidOpenFlags are the flags that openat2(2) accepts; open(2) ignores all others.
const ValidOpenFlags = linux.O_ACCMODE | linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC |
	linux.O_APPEND | linux.O_NONBLOCK | linux.O_SYNC | linux.O_ASYNC | linux.O_DIRECT | linux.O_LARGEFILE |
	linux.O_DIRECTORY | linux.O_NOFOLLOW | linux.O_NOATIME | linux.O_CLOEXEC | linux.O_PATH | linux.O_TMPFILE

const (
	oPathFlags = linux.O_DIRECTORY | linux.O_NOFOLLOW | linux.O_PATH | linux.O_CLOEXEC
	tmpfileBit = linux.O_TMPFILE &^ linux.O_DIRECTORY
)

// OpenHow builds openat2(2)'s argument from open(2)'s, dropping what open(2) ignores.
func OpenHow(flags uint32, mode uint32) linux.OpenHow {
	how := linux.OpenHow{Flags: uint64(flags & ValidOpenFlags), Mode: uint64(mode & 0o7777)}
	if how.Flags&linux.O_PATH != 0 {
		how.Flags &= oPathFlags
	}
	if how.Flags&(linux.O_CREAT|tmpfileBit) == 0 {
		how.Mode = 0
	}
	return how
}

// opening is one open(2) on its way.
type opening struct {
	c       *Caller
	flags   uint32
	mode    uint32
	access  uint32 // MayRead, MayWrite: what permission to ask
	exec    bool   // for execve(2)
	created bool
	walk    WalkFlags
}

// Open implements open(2) and openat2(2).
func Open(c *Caller, at Path, name string, how *linux.OpenHow) (*File, linux.Errno) {
	o := opening{c: c}
	if errno := o.parse(how); errno != 0 {
		return nil, errno
	}
	return o.open(at, name)
}

// OpenPath opens a path that has been walked already, as Open with an empty name would if it could: for
// /proc/pid/fd, open_by_handle_at(2) and the kernel itself.
func OpenPath(c *Caller, p Path, flags uint32) (*File, linux.Errno) {
	o := opening{c: c}
	how := linux.OpenHow{Flags: uint64(flags &^ (linux.O_CREAT | linux.O_EXCL))}
	if errno := o.parse(&how); errno != 0 {
		return nil, errno
	}
	return o.finish(p)
}

// OpenExec opens a program for execve(2): it must be a regular file that c may execute, on a mount that allows
// it; nobody can write it until the File is released.
func OpenExec(c *Caller, at Path, name string, fl WalkFlags) (*File, linux.Errno) {
	o := opening{c: c, exec: true, access: MayExec, walk: fl}
	p, errno := Walk(c, at, name, fl)
	if errno != 0 {
		return nil, errno
	}
	defer p.Put()
	i := p.Inode()
	if i.Type() == linux.S_IFLNK {
		return nil, linux.ELOOP
	}
	if i.Type() != linux.S_IFREG || p.Mount.flags.Load()&linux.MS_NOEXEC != 0 || i.SB.NoExecDev {
		return nil, linux.EACCES
	}
	f, errno := o.finish(p)
	if errno != 0 {
		return nil, errno
	}
	if errno := i.DenyWrite(); errno != 0 {
		f.Put()
		return nil, errno
	}
	f.state.denies = true
	return f, 0
}

// parse checks the flags: Linux's build_open_flags.
func (o *opening) parse(how *linux.OpenHow) linux.Errno {
	if how.Flags&^ValidOpenFlags != 0 {
		return linux.EINVAL
	}
	fl, errno := ResolveFlags(how.Resolve)
	if errno != 0 {
		return errno
	}
	flags := uint32(how.Flags)
	o.walk = fl
	if flags&(linux.O_CREAT|tmpfileBit) != 0 {
		if how.Mode&^0o7777 != 0 {
			return linux.EINVAL
		}
		o.mode = uint32(how.Mode)
	} else if how.Mode != 0 {
		return linux.EINVAL
	}
	if flags&(linux.O_DIRECTORY|linux.O_CREAT) == linux.O_DIRECTORY|linux.O_CREAT {
		return linux.EINVAL
	}
	if flags&tmpfileBit != 0 {
		if flags&linux.O_DIRECTORY == 0 {
			return linux.EINVAL
		}
		if flags&linux.O_ACCMODE == linux.O_RDONLY {
			return linux.EINVAL
		}
	}
	if flags&linux.O_PATH != 0 {
		if flags&^oPathFlags != 0 {
			return linux.EINVAL
		}
		o.access = 0
	} else {
		o.access = [4]uint32{MayRead, MayWrite, MayRead | MayWrite, MayRead | MayWrite}[flags&linux.O_ACCMODE]
		if flags&linux.O_TRUNC != 0 {
			o.access |= MayWrite
		}
	}
	if o.walk&Cached != 0 && flags&(linux.O_TRUNC|linux.O_CREAT|tmpfileBit) != 0 {
		return linux.EAGAIN
	}
	o.flags = flags
	if flags&linux.O_DIRECTORY != 0 {
		o.walk |= Directory
	}
	if flags&linux.O_NOFOLLOW == 0 && flags&(linux.O_CREAT|linux.O_EXCL) != linux.O_CREAT|linux.O_EXCL {
		o.walk |= Follow
	}
	return 0
}

func (o *opening) open(at Path, name string) (*File, linux.Errno) {
	if o.flags&tmpfileBit != 0 {
		return o.openTemp(at, name)
	}
	if o.flags&linux.O_CREAT != 0 {
		return o.openCreate(at, name)
	}
	var w walker
	defer w.done()
	for {
		errno := w.resolve(o.c, at, name, o.walk)
		if errno == 0 {
			p := w.here()
			if p.tryGet() {
				f, errno := o.finishOwned(p)
				return f, errno
			}
			errno = errRestart
		}
		if errno != errRestart || !w.again(&errno) {
			return nil, errno
		}
	}
}

// finish opens p, on which it takes its own reference.
func (o *opening) finish(p Path) (*File, linux.Errno) { return o.finishOwned(p.Get()) }

// finishOwned opens p, whose reference it takes over.
func (o *opening) finishOwned(p Path) (*File, linux.Errno) {
	f, errno := o.openAt(p)
	if errno != 0 {
		p.Put()
		return nil, errno
	}
	return f, 0
}

// openAt does what remains once the file is found: Linux's do_open and do_dentry_open. The File takes over p's
// reference; on failure it stays the caller's.
func (o *opening) openAt(p Path) (*File, linux.Errno) {
	i := p.Inode()
	flags := o.flags
	if flags&linux.O_PATH != 0 {
		f := &File{}
		f.init(o.c, p, pathOps{}, flags)
		return f, 0
	}
	if !o.created {
		if errno := o.mayOpen(p, i); errno != 0 {
			return nil, errno
		}
	}
	typ := i.Type()
	writer := flags&linux.O_ACCMODE != 0 && flags&linux.O_ACCMODE != linux.O_ACCMODE && typ == linux.S_IFREG
	if !o.created && typ == linux.S_IFREG && o.access&MayWrite != 0 {
		if errno := wantWrite(p); errno != 0 {
			return nil, errno
		}
	}
	if writer {
		if errno := i.getWrite(); errno != 0 {
			return nil, errno
		}
	}
	ops, errno := o.operations(p, i, typ)
	if errno != 0 {
		if writer {
			i.putWrite()
		}
		return nil, errno
	}
	f := &File{}
	f.init(o.c, p, ops, flags|linux.O_LARGEFILE) // as 64-bit Linux has it, and F_GETFL shows
	f.state.writer = writer
	if watchCount.Load() != 0 {
		Notify(p.Dentry, linux.IN_OPEN)
	}
	return f, 0
}

// operations truncates if asked to, and gets the file's operations from whoever has them.
func (o *opening) operations(p Path, i *Inode, typ uint32) (FileOps, linux.Errno) {
	switch typ {
	case linux.S_IFREG:
		if o.flags&linux.O_TRUNC != 0 && !o.created {
			if errno := o.truncate(p, i); errno != 0 {
				return nil, errno
			}
		}
	case linux.S_IFIFO:
		if !p.Dentry.Nameless() {
			if OpenFIFO == nil {
				return nil, linux.ENXIO
			}
			return OpenFIFO(o.c, i, p, o.flags)
		}
	case linux.S_IFSOCK:
		return nil, linux.ENXIO
	case linux.S_IFCHR, linux.S_IFBLK:
		if !i.SB.OwnDevices {
			return openDevice(o.c, i, p, o.flags)
		}
	}
	return i.Ops.Open(o.c, i, p, o.flags)
}

func (o *opening) truncate(p Path, i *Inode) linux.Errno {
	writer := o.flags&linux.O_ACCMODE != 0 && o.flags&linux.O_ACCMODE != linux.O_ACCMODE
	if !writer { // O_RDONLY|O_TRUNC truncates too
		if errno := i.getWrite(); errno != 0 {
			return errno
		}
		defer i.putWrite()
	}
	errno := setAttr(o.c, i, &SetAttr{Mask: linux.STATX_SIZE}, true)
	if errno == 0 {
		Notify(p.Dentry, linux.IN_MODIFY)
	}
	return errno
}

// mayOpen is Linux's may_open.
func (o *opening) mayOpen(p Path, i *Inode) linux.Errno {
	switch i.Type() {
	case linux.S_IFLNK:
		return linux.ELOOP
	case linux.S_IFDIR:
		if o.access&MayWrite != 0 {
			return linux.EISDIR
		}
		if o.access&MayExec != 0 {
			return linux.EACCES
		}
	case linux.S_IFCHR, linux.S_IFBLK:
		if p.Mount.flags.Load()&linux.MS_NODEV != 0 || i.SB.NoExecDev {
			return linux.EACCES
		}
		o.flags &^= linux.O_TRUNC
	case linux.S_IFIFO, linux.S_IFSOCK:
		if o.access&MayExec != 0 {
			return linux.EACCES
		}
		o.flags &^= linux.O_TRUNC
	}
	if errno := o.c.Permission(i, o.access); errno != 0 {
		return errno
	}
	if o.flags&linux.O_NOATIME != 0 && !o.c.ownerOrCapable(i) {
		return linux.EPERM
	}
	return 0
}

// openCreate is open(2) with O_CREAT.
func (o *opening) openCreate(at Path, name string) (*File, linux.Errno) {
	var w walker
	defer w.done()
	for {
		f, errno := o.tryCreate(&w, at, name)
		if errno != errRestart || !w.again(&errno) {
			return f, errno
		}
	}
}

func (o *opening) tryCreate(w *walker, at Path, name string) (*File, linux.Errno) {
	if name == "" {
		return nil, linux.ENOENT
	}
	if errno := w.init(o.c, at, name, o.walk); errno != 0 {
		return nil, errno
	}
	for {
		if errno := w.run(true); errno != 0 {
			return nil, errno
		}
		if w.kind != lastNorm || w.trailing {
			if w.kind == lastRoot && !w.d.isDir() { // a magic link led to a file
				break
			}
			if w.kind == lastRoot && !w.jumped.IsZero() && w.jumped == w.here() {
				break
			}
			return nil, linux.EISDIR
		}
		d, errno := o.lookupOrCreate(w)
		if errno != 0 {
			return nil, errno
		}
		links := w.links
		w.trailing = false
		if errno := w.stepInto(d, true, ""); errno != 0 {
			if !o.created {
				d.put()
			}
			return nil, errno
		}
		d.put()
		if w.links == links {
			break
		}
		if o.flags&linux.O_EXCL != 0 {
			return nil, linux.EEXIST
		}
	}
	if w.scoped && !w.inScope() {
		return nil, linux.EXDEV
	}
	p := w.here()
	if w.d.Inode() == nil {
		return nil, linux.ENOENT
	}
	if !p.tryGet() {
		return nil, errRestart
	}
	if !o.created {
		if errno := o.existing(p); errno != 0 {
			p.Put()
			return nil, errno
		}
	}
	return o.finishOwned(p)
}

// existing checks a file that O_CREAT found.
func (o *opening) existing(p Path) linux.Errno {
	i := p.Inode()
	if o.flags&linux.O_EXCL != 0 {
		return linux.EEXIST
	}
	if i.Type() == linux.S_IFDIR {
		return linux.EISDIR
	}
	return 0
}

// lookupOrCreate finds w.last in the directory where the walk stands, or makes it. The dentry has a reference.
func (o *opening) lookupOrCreate(w *walker) (*Dentry, linux.Errno) {
	dir := w.d
	if dir.dir == nil {
		return nil, linux.ENOTDIR
	}
	if !dir.sb.Revalidate {
		if d := dir.childRef(w.last); d != nil {
			if d.Inode() != nil {
				return d, 0
			}
			d.put()
		}
	} else if _, errno := w.lookup(w.last, ""); errno != 0 { // revalidates
		return nil, errno
	}
	if !dir.tryGet() {
		return nil, errRestart
	}
	defer dir.put()
	dir.dir.lock.Lock()
	defer dir.dir.lock.Unlock()
	d, errno := lookupLocked(o.c, dir, w.last, "")
	if errno != 0 || d.Inode() != nil {
		return d, errno
	}
	mk := MakeOptions{Mode: linux.S_IFREG | o.mode&^o.c.Umask&0o7777}
	if errno = wantWrite(w.here()); errno == 0 {
		errno = makeLocked(o.c, dir, d, &mk)
	}
	if errno != 0 {
		d.put()
		return nil, errno
	}
	o.created = true
	return d, 0
}

// openTemp implements O_TMPFILE.
func (o *opening) openTemp(at Path, name string) (*File, linux.Errno) {
	dir, errno := Walk(o.c, at, name, o.walk|Directory)
	if errno != 0 {
		return nil, errno
	}
	defer dir.Put()
	if errno := wantWrite(dir); errno != 0 {
		return nil, errno
	}
	di := dir.Inode()
	if errno := o.c.Permission(di, MayWrite|MayExec); errno != 0 {
		return nil, errno
	}
	mk := MakeOptions{Mode: linux.S_IFREG | o.mode&^o.c.Umask&0o7777}
	ownerOf(o.c, di, &mk)
	dir.Dentry.dir.lock.Lock()
	i, errno := di.Ops.MakeTemp(o.c, di, &mk)
	dir.Dentry.dir.lock.Unlock()
	if errno != 0 {
		return nil, errno
	}
	i.state.Or(inodeNoCaps)
	if o.flags&linux.O_EXCL == 0 {
		i.state.Or(inodeLinkable)
	}
	d := newDentry(i.SB, dir.Dentry, tempName(i), i)
	dir.Mount.refs.Get()
	o.flags &^= tmpfileBit | linux.O_DIRECTORY
	o.created = true
	f, errno := o.finishOwned(Path{dir.Mount, d})
	if errno == 0 {
		f.flags.Or(linux.O_TMPFILE)
	}
	return f, errno
}

// pathOps are the operations of an O_PATH file: none.
type pathOps struct{ DefaultFile }
