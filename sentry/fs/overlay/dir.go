package overlay

import (
	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// dir is a directory: the merger of lower directories, and the names that differ from them.
type dir struct {
	node
	vfs.NoLink

	lowers []*vfs.Inode // merged, the topmost first; none for a directory that was made here

	merged []mergedEntry // the lowers' names, listed once, if there are several; guarded by mu

	tab   rank.RWMutex[rank.FileData] // a leaf: layers call back while they list; guards the fields below
	names tmpfs.Names[entry]
	live  int // names with an inode
}

// entry is a name that differs from the layers.
type entry struct {
	inode *vfs.Inode // nil: a whiteout
	hides bool       // a layer has this name
}

// newDir makes an empty directory.
func (fs *FS) newDir(o *vfs.MakeOptions) *vfs.Inode {
	d := &dir{}
	d.fs = fs
	a := &vfs.Attr{Blksize: linux.PageSize}
	a.Mode.Store(o.Mode)
	a.UID.Store(o.UID)
	a.GID.Store(o.GID)
	a.Nlink.Store(2)
	a.Size.Store(linux.PageSize)
	a.Touch()
	a.Atime.Store(a.Mtime.Load())
	a.Btime = a.Mtime.Load()
	d.changed = true
	d.xattrs = &tmpfs.Xattrs{}
	vfs.InitInode(&d.Inode, fs.SB, fs.ino.Add(1), d, a)
	return &d.Inode
}

// Lookup implements vfs.DirOps.
func (d *dir) Lookup(c *vfs.Caller, _ *vfs.Inode, name string) (*vfs.Inode, linux.Errno) {
	if e, ok := d.own(name); ok {
		if e.inode == nil {
			return nil, linux.ENOENT
		}
		return e.inode, 0
	}
	return d.lookupLower(c, name)
}

// lookupLower finds name in the layers. The topmost object counts; directories merge with those below.
func (d *dir) lookupLower(c *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	var dirs []*vfs.Inode
	for _, l := range d.lowers {
		i, errno := l.Ops.Lookup(c, l, name)
		if errno == linux.ENOENT {
			continue
		}
		if errno != 0 {
			return nil, errno
		}
		if d.fs.isWhiteout(i) {
			break
		}
		if i.Type() != linux.S_IFDIR {
			if len(dirs) != 0 {
				break // hidden by the directories above
			}
			return d.fs.wrap(i), 0
		}
		dirs = append(dirs, i)
		if d.fs.isOpaque(c, i) {
			break
		}
	}
	if len(dirs) == 0 {
		return nil, linux.ENOENT
	}
	return d.fs.wrapDir(dirs), 0
}

// isWhiteout says whether a layer's object is overlayfs's mark for a deleted name. With a single layer there is
// nothing that it could delete.
func (fs *FS) isWhiteout(i *vfs.Inode) bool {
	return len(fs.lower) > 1 && i.Type() == linux.S_IFCHR && i.Attr().Rdev.Load() == 0
}

// isOpaque says whether a layer's directory hides those below.
func (fs *FS) isOpaque(c *vfs.Caller, i *vfs.Inode) bool {
	if len(fs.lower) == 1 {
		return false
	}
	v, errno := i.Ops.GetXattr(c, i, opaqueXattr)
	return errno == 0 && string(v) == "y"
}

// WalkPath implements vfs.PathWalker: the part of a path that lies in one layer is one call of that layer.
func (d *dir) WalkPath(c *vfs.Caller, _ *vfs.Inode, names []string) ([]*vfs.Inode, linux.Errno) {
	if _, own := d.own(names[0]); own || len(d.lowers) != 1 || len(d.fs.lower) != 1 {
		return d.walkOne(c, names[0])
	}
	low := d.lowers[0]
	w, ok := low.Ops.(vfs.PathWalker)
	if !ok {
		return d.walkOne(c, names[0])
	}
	inodes, errno := w.WalkPath(c, low, names)
	if len(inodes) > len(names) || errno != 0 && errno != linux.ENOENT && len(inodes) == 0 {
		if errno == 0 {
			errno = linux.EIO
		}
		return nil, errno
	}
	out := make([]*vfs.Inode, 0, len(inodes))
	for _, i := range inodes {
		if i == nil {
			return nil, linux.EIO
		}
		if i.Type() != linux.S_IFDIR {
			out = append(out, d.fs.wrap(i))
			return out, errno
		}
		changed := d.fs.find(lowerKey{i.SB, i.Ino})
		if changed != nil {
			return append(out, changed), 0 // below it names may differ
		}
		out = append(out, d.fs.wrapDir([]*vfs.Inode{i}))
	}
	return out, errno
}

func (d *dir) walkOne(c *vfs.Caller, name string) ([]*vfs.Inode, linux.Errno) {
	i, errno := d.Lookup(c, nil, name)
	if errno != 0 {
		return nil, errno
	}
	return []*vfs.Inode{i}, 0
}

// Revalidate implements vfs.Revalidator for layers that change by themselves.
func (d *dir) Revalidate(c *vfs.Caller, _ *vfs.Inode, name string, child *vfs.Inode) bool {
	if _, own := d.own(name); own || len(d.lowers) == 0 {
		return true
	}
	for _, l := range d.lowers {
		r, ok := l.Ops.(vfs.Revalidator)
		if !ok || !l.SB.Revalidate {
			continue
		}
		if !r.Revalidate(c, l, name, lowerOf(child, l.SB)) {
			return false
		}
	}
	return true
}

// lowerOf returns the object of a layer that child shows, nil if it shows none of that layer.
func lowerOf(child *vfs.Inode, sb *vfs.Superblock) *vfs.Inode {
	if child == nil {
		return nil
	}
	switch o := child.Ops.(type) {
	case *dir:
		for _, l := range o.lowers {
			if l.SB == sb {
				return l
			}
		}
	case *regular:
		if o.lower.SB == sb {
			return o.lower
		}
	case *other:
		if o.lower.SB == sb {
			return o.lower
		}
	}
	return nil
}

// own returns the entry of a name that differs from the layers.
func (d *dir) own(name string) (entry, bool) {
	d.tab.RLock()
	defer d.tab.RUnlock()
	return d.names.Get(name)
}

// set makes name stand for i, which may be nil to delete it. lowerHas says that a layer has the name, as far as the
// caller knows from what it looked up; an entry that is there knows better.
func (d *dir) set(name string, i *vfs.Inode, lowerHas bool) {
	d.tab.Lock()
	defer d.tab.Unlock()
	if e, ok := d.names.Get(name); ok {
		lowerHas = e.hides
		if e.inode != nil {
			d.live--
		}
		d.names.Remove(name)
	}
	if i == nil && !lowerHas {
		return
	}
	d.names.Add(name, entry{i, lowerHas})
	if i != nil {
		d.live++
	}
}

// newInode makes an object of the upper layer.
func (fs *FS) newInode(o *vfs.MakeOptions, nlink uint32) (*vfs.Inode, linux.Errno) {
	if o.Mode&linux.S_IFMT == linux.S_IFDIR {
		return fs.newDir(o), 0
	}
	return fs.upper.NewInodeOn(fs.SB, fs.ino.Add(1), o, nlink)
}

// Make implements vfs.DirOps.
func (d *dir) Make(c *vfs.Caller, _ *vfs.Inode, name string, o *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.changeLocked(c); errno != 0 {
		return nil, errno
	}
	i, errno := d.fs.newInode(o, 1)
	if errno != 0 {
		return nil, errno
	}
	d.set(name, i, false)
	if i.Type() == linux.S_IFDIR {
		d.addLinks(1)
	}
	d.Attr().Touch()
	return i, 0
}

// addLinks follows the number of subdirectories.
func (d *dir) addLinks(n int) {
	if n < 0 && d.Attr().Nlink.Load() <= 2 {
		return // a layer that does not count them
	}
	d.Attr().Nlink.Add(uint32(n))
}

// MakeTemp implements vfs.DirOps.
func (d *dir) MakeTemp(_ *vfs.Caller, _ *vfs.Inode, o *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	return d.fs.newInode(o, 0)
}

// Link implements vfs.DirOps.
func (d *dir) Link(c *vfs.Caller, _ *vfs.Inode, name string, target *vfs.Inode) linux.Errno {
	if errno := makeOurs(c, target); errno != 0 {
		return errno
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.changeLocked(c); errno != 0 {
		return errno
	}
	a := target.Attr()
	a.Nlink.Add(1)
	a.TouchChange()
	d.set(name, target, false)
	d.Attr().Touch()
	return 0
}

// Unlink implements vfs.DirOps.
func (d *dir) Unlink(c *vfs.Caller, _ *vfs.Inode, name string, victim *vfs.Inode) linux.Errno {
	if errno := makeOurs(c, victim); errno != 0 {
		return errno
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.changeLocked(c); errno != 0 {
		return errno
	}
	d.set(name, nil, true)
	d.Attr().Touch()
	dropLink(victim)
	return 0
}

// dropLink counts one name less.
func dropLink(i *vfs.Inode) {
	a := i.Attr()
	if a.Mode.Load()&linux.S_IFMT == linux.S_IFDIR {
		a.Nlink.Store(0)
	} else if a.Nlink.Load() > 0 {
		a.Nlink.Add(^uint32(0))
	}
	a.TouchChange()
}

// Rmdir implements vfs.DirOps.
func (d *dir) Rmdir(c *vfs.Caller, _ *vfs.Inode, name string, victim *vfs.Inode) linux.Errno {
	v, ok := victim.Ops.(*dir)
	if !ok {
		return linux.ENOTDIR
	}
	empty, errno := v.isEmpty(c)
	if errno != 0 {
		return errno
	}
	if !empty {
		return linux.ENOTEMPTY
	}
	if errno := v.change(c); errno != 0 {
		return errno
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.changeLocked(c); errno != 0 {
		return errno
	}
	d.set(name, nil, true)
	d.addLinks(-1)
	d.Attr().Touch()
	dropLink(victim)
	return 0
}

// Rename implements vfs.DirOps. vfs keeps both directories still.
func (d *dir) Rename(c *vfs.Caller, _ *vfs.Inode, oldName string, moved *vfs.Inode, to *vfs.Inode, newName string, replaced *vfs.Inode, flags uint32) linux.Errno {
	t := to.Ops.(*dir)
	exchange := flags&linux.RENAME_EXCHANGE != 0
	if errno := prepareRename(c, moved, replaced, exchange); errno != 0 {
		return errno
	}
	var left *vfs.Inode // at the old name
	if flags&linux.RENAME_WHITEOUT != 0 {
		var errno linux.Errno
		if left, errno = d.fs.newInode(&vfs.MakeOptions{Mode: linux.S_IFCHR}, 1); errno != 0 {
			return errno
		}
	}
	if exchange {
		left = replaced
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t != d {
		t.mu.LockNested()
		defer t.mu.Unlock()
		if errno := t.changeLocked(c); errno != 0 {
			return errno
		}
	}
	if errno := d.changeLocked(c); errno != 0 {
		return errno
	}
	d.set(oldName, left, true)
	t.set(newName, moved, replaced != nil)
	if moved.Type() == linux.S_IFDIR {
		d.addLinks(-1)
		t.addLinks(1)
	}
	if replaced != nil {
		if replaced.Type() == linux.S_IFDIR {
			t.addLinks(-1)
			if exchange {
				d.addLinks(1)
			}
		}
		if exchange {
			replaced.Attr().TouchChange()
		} else {
			dropLink(replaced)
		}
	}
	d.Attr().Touch()
	t.Attr().Touch()
	moved.Attr().TouchChange()
	return 0
}

// prepareRename makes what a rename changes ours, and refuses to replace a directory that is not empty.
func prepareRename(c *vfs.Caller, moved, replaced *vfs.Inode, exchange bool) linux.Errno {
	if replaced != nil {
		if v, ok := replaced.Ops.(*dir); ok && !exchange {
			empty, errno := v.isEmpty(c)
			if errno != 0 {
				return errno
			}
			if !empty {
				return linux.ENOTEMPTY
			}
		}
		if errno := makeOurs(c, replaced); errno != 0 {
			return errno
		}
	}
	return makeOurs(c, moved)
}

// takeNames empties the table of names and returns the inodes that were in it.
func (d *dir) takeNames() (out []*vfs.Inode) {
	d.tab.Lock()
	defer d.tab.Unlock()
	d.names.From(0, func(_ string, e entry, _ int64) bool {
		if e.inode != nil {
			out = append(out, e.inode)
		}
		return true
	})
	d.names, d.live = tmpfs.Names[entry]{}, 0
	return out
}
