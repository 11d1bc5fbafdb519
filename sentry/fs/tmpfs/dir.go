package tmpfs

import (
	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// direntSize is what one name adds to the size of a directory, as Linux shows it.
const direntSize = 20

// dir is a directory.
type dir struct {
	node
	vfs.NoLink
	xattrOps
	vfs.DefaultFile

	mu    rank.RWMutex[rank.Inode] // guards names
	names Names[*vfs.Inode]
}

func (fs *FS) newDir(o *vfs.MakeOptions) *dir {
	d := &dir{}
	d.initOn(fs, fs.SB, fs.ino.Add(1), d, o, 2)
	d.attr.Size.Store(2 * direntSize)
	return d
}

// newInode makes an object of the type in o.Mode, charged to the filesystem's inodes.
func (fs *FS) newInode(o *vfs.MakeOptions, nlink uint32) (*vfs.Inode, linux.Errno) {
	if o.Mode&linux.S_IFMT != linux.S_IFDIR {
		return fs.NewInodeOn(fs.SB, fs.ino.Add(1), o, nlink)
	}
	if !charge(&fs.inodes, &fs.maxInos, 1) {
		return nil, linux.ENOSPC
	}
	return &fs.newDir(o).Inode, 0
}

// NewInodeOn makes an object other than a directory that another filesystem, stacked on this one, shows as its own:
// with its superblock and inode number.
func (fs *FS) NewInodeOn(sb *vfs.Superblock, ino uint64, o *vfs.MakeOptions, nlink uint32) (*vfs.Inode, linux.Errno) {
	if !charge(&fs.inodes, &fs.maxInos, 1) {
		return nil, linux.ENOSPC
	}
	switch o.Mode & linux.S_IFMT {
	case linux.S_IFREG:
		r := &regular{}
		r.initOn(fs, sb, ino, r, o, nlink)
		r.seals = linux.F_SEAL_SEAL
		return &r.Inode, 0
	case linux.S_IFLNK:
		s := &symlink{target: o.Target}
		s.initOn(fs, sb, ino, s, o, nlink)
		s.attr.Size.Store(int64(len(o.Target)))
		return &s.Inode, 0
	}
	s := &special{}
	s.initOn(fs, sb, ino, s, o, nlink)
	return &s.Inode, 0
}

// Lookup implements vfs.DirOps.
func (d *dir) Lookup(_ *vfs.Caller, _ *vfs.Inode, name string) (*vfs.Inode, linux.Errno) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if i, ok := d.names.Get(name); ok {
		return i, 0
	}
	return nil, linux.ENOENT
}

// Make implements vfs.DirOps.
func (d *dir) Make(_ *vfs.Caller, _ *vfs.Inode, name string, o *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	i, errno := d.fs.newInode(o, 1)
	if errno != 0 {
		return nil, errno
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addLocked(name, i)
	if i.Type() == linux.S_IFDIR {
		d.attr.Nlink.Add(1)
	}
	d.attr.Touch()
	return i, 0
}

// MakeTemp implements vfs.DirOps.
func (d *dir) MakeTemp(_ *vfs.Caller, _ *vfs.Inode, o *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	return d.fs.newInode(o, 0)
}

// Link implements vfs.DirOps.
func (d *dir) Link(_ *vfs.Caller, _ *vfs.Inode, name string, target *vfs.Inode) linux.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := target.Attr()
	a.Nlink.Add(1)
	a.TouchChange()
	d.addLocked(name, target)
	d.attr.Touch()
	return 0
}

// Unlink implements vfs.DirOps.
func (d *dir) Unlink(_ *vfs.Caller, _ *vfs.Inode, name string, victim *vfs.Inode) linux.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.removeLocked(name) {
		return linux.ENOENT
	}
	d.attr.Touch()
	a := victim.Attr()
	a.Nlink.Add(^uint32(0))
	a.Ctime.Store(d.attr.Ctime.Load())
	return 0
}

// Rmdir implements vfs.DirOps.
func (d *dir) Rmdir(_ *vfs.Caller, _ *vfs.Inode, name string, victim *vfs.Inode) linux.Errno {
	v, ok := victim.Ops.(*dir)
	if !ok {
		return linux.ENOTDIR
	}
	if !v.empty() {
		return linux.ENOTEMPTY
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.removeLocked(name) {
		return linux.ENOENT
	}
	d.attr.Nlink.Add(^uint32(0))
	v.attr.Nlink.Store(0)
	d.attr.Touch()
	v.attr.TouchChange()
	return 0
}

func (d *dir) empty() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.names.Len() == 0
}

// Rename implements vfs.DirOps. vfs holds the locks that keep both directories still.
func (d *dir) Rename(_ *vfs.Caller, _ *vfs.Inode, oldName string, moved *vfs.Inode, to *vfs.Inode, newName string, replaced *vfs.Inode, flags uint32) linux.Errno {
	t := to.Ops.(*dir)
	exchange := flags&linux.RENAME_EXCHANGE != 0
	if v, ok := dirOf(replaced); ok && !exchange && !v.empty() {
		return linux.ENOTEMPTY
	}
	var whiteout *vfs.Inode
	if flags&linux.RENAME_WHITEOUT != 0 {
		var errno linux.Errno
		whiteout, errno = d.fs.newInode(&vfs.MakeOptions{Mode: linux.S_IFCHR}, 1)
		if errno != 0 {
			return errno
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t != d {
		t.mu.LockNested()
		defer t.mu.Unlock()
	}
	_, movedDir := dirOf(moved)
	_, replacedDir := dirOf(replaced)
	d.removeLocked(oldName)
	if replaced != nil {
		t.removeLocked(newName)
		if exchange {
			d.addLocked(oldName, replaced)
		} else {
			dropLink(replaced, replacedDir)
		}
	}
	t.addLocked(newName, moved)
	if whiteout != nil {
		d.addLocked(oldName, whiteout)
	}
	// ".." of directories is a link of their parents.
	if movedDir {
		d.attr.Nlink.Add(^uint32(0))
		t.attr.Nlink.Add(1)
	}
	if replacedDir {
		t.attr.Nlink.Add(^uint32(0))
		if exchange {
			d.attr.Nlink.Add(1)
		}
	}
	d.attr.Touch()
	t.attr.Touch()
	moved.Attr().TouchChange()
	if replaced != nil {
		replaced.Attr().TouchChange()
	}
	return 0
}

func dirOf(i *vfs.Inode) (*dir, bool) {
	if i == nil {
		return nil, false
	}
	d, ok := i.Ops.(*dir)
	return d, ok
}

func dropLink(i *vfs.Inode, isDir bool) {
	if isDir {
		i.Attr().Nlink.Store(0)
		return
	}
	i.Attr().Nlink.Add(^uint32(0))
}

func (d *dir) addLocked(name string, i *vfs.Inode) {
	d.names.Add(name, i)
	d.attr.Size.Add(direntSize)
}

func (d *dir) removeLocked(name string) bool {
	if !d.names.Remove(name) {
		return false
	}
	d.attr.Size.Add(-direntSize)
	return true
}

// freeTree frees the data of everything below a directory that nobody can reach any more.
func (d *dir) freeTree() {
	d.mu.Lock()
	names := d.names
	d.names = Names[*vfs.Inode]{}
	d.mu.Unlock()
	names.From(0, func(_ string, i *vfs.Inode, _ int64) bool {
		switch o := i.Ops.(type) {
		case *dir:
			o.freeTree()
		case *regular:
			o.freeAll()
		}
		return true
	})
}

// Open implements vfs.InodeOps; a directory is its own file operations.
func (d *dir) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return d, 0
}

// Seekable implements vfs.FileOps.
func (d *dir) Seekable() bool { return true }

// Read implements vfs.FileOps.
func (d *dir) Read(*vfs.Caller, *vfs.File, *usermem.Seq, int64) (int, linux.Errno) {
	return 0, linux.EISDIR
}

// Seek implements vfs.FileOps.
func (d *dir) Seek(_ *vfs.Caller, _ *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	return vfs.SeekDir(cur, off, whence)
}

// Sync implements vfs.FileOps.
func (d *dir) Sync(*vfs.Caller, *vfs.File, bool) linux.Errno { return 0 }

// ReadDir implements vfs.FileOps.
func (d *dir) ReadDir(_ *vfs.Caller, f *vfs.File, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	pos, ok := vfs.EmitDots(f, pos, emit)
	if !ok {
		return 0
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	d.names.From(pos, func(name string, i *vfs.Inode, pos int64) bool {
		return emit(vfs.DirEntry{Name: name, Ino: i.Ino, Type: vfs.DirType(i.Attr().Mode.Load()), Next: pos + 1})
	})
	return 0
}
