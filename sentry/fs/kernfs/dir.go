package kernfs

import (
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Dir is a directory whose entries are found when they are asked for.
type Dir interface {
	Lookup(c *vfs.Caller, name string) (*vfs.Inode, linux.Errno)
	// List emits the entries from position pos on (0 at first) until emit returns false; "." and ".." are not its.
	List(c *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno
}

// Volatile is a Dir whose entries come and go: Valid says whether a cached child is still what the name means.
type Volatile interface {
	Dir
	Valid(c *vfs.Caller, name string, child *vfs.Inode) bool
}

type dirInode struct {
	common
	vfs.NoLink
	d  Dir
	fs *FS
}

// refuse is the error of making a name: errno, unless the file system has one of its own.
func (i *dirInode) refuse(errno linux.Errno) linux.Errno {
	if i.fs.NoNames != 0 {
		return i.fs.NoNames
	}
	return errno
}

type volatileInode struct {
	dirInode
	v Volatile
}

// Directory makes a directory with permission bits perm.
func (fs *FS) Directory(perm uint32, d Dir) *vfs.Inode {
	var ops vfs.InodeOps = &dirInode{d: d, fs: fs}
	if v, ok := d.(Volatile); ok {
		ops = &volatileInode{dirInode: dirInode{d: d, fs: fs}, v: v}
	}
	i := fs.inode(linux.S_IFDIR|perm, ops)
	i.Attr().Nlink.Store(2)
	return i
}

func (i *volatileInode) Revalidate(c *vfs.Caller, _ *vfs.Inode, name string, child *vfs.Inode) bool {
	return i.v.Valid(c, name, child)
}

// Permits implements vfs.Permitter, if the directory does.
func (i *dirInode) Permits(c *vfs.Caller, mask uint32) bool {
	p, ok := i.d.(vfs.Permitter)
	return ok && p.Permits(c, mask)
}

func (i *dirInode) Lookup(c *vfs.Caller, _ *vfs.Inode, name string) (*vfs.Inode, linux.Errno) {
	return i.d.Lookup(c, name)
}

// A made-up directory takes no new names; Linux's proc and sysfs answer with these numbers.
func (i *dirInode) Make(*vfs.Caller, *vfs.Inode, string, *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	return nil, i.refuse(linux.EACCES)
}
func (i *dirInode) MakeTemp(*vfs.Caller, *vfs.Inode, *vfs.MakeOptions) (*vfs.Inode, linux.Errno) {
	return nil, linux.EOPNOTSUPP
}
func (i *dirInode) Link(*vfs.Caller, *vfs.Inode, string, *vfs.Inode) linux.Errno {
	return i.refuse(linux.EPERM)
}
func (i *dirInode) Unlink(*vfs.Caller, *vfs.Inode, string, *vfs.Inode) linux.Errno {
	return linux.EPERM
}
func (i *dirInode) Rmdir(*vfs.Caller, *vfs.Inode, string, *vfs.Inode) linux.Errno {
	return linux.EPERM
}
func (i *dirInode) Rename(*vfs.Caller, *vfs.Inode, string, *vfs.Inode, *vfs.Inode, string, *vfs.Inode, uint32) linux.Errno {
	return i.refuse(linux.EPERM)
}

func (i *dirInode) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return &openDir{d: i.d}, 0
}

type openDir struct {
	vfs.DefaultFile
	d Dir
}

func (o *openDir) Seekable() bool { return true }

func (o *openDir) Read(*vfs.Caller, *vfs.File, *usermem.Seq, int64) (int, linux.Errno) {
	return 0, linux.EISDIR
}

func (o *openDir) Seek(_ *vfs.Caller, _ *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	if whence == linux.SEEK_CUR {
		off += cur
	} else if whence != linux.SEEK_SET {
		return 0, linux.EINVAL
	}
	if off < 0 {
		return 0, linux.EINVAL
	}
	return off, 0
}

func (o *openDir) Sync(*vfs.Caller, *vfs.File, bool) linux.Errno { return linux.EINVAL }

// ReadDir puts "." and ".." before the directory's own entries, whose positions are shifted by two.
func (o *openDir) ReadDir(c *vfs.Caller, f *vfs.File, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	if pos == 0 {
		if !emit(vfs.DirEntry{Name: ".", Ino: f.Inode().Ino, Type: linux.DT_DIR, Next: 1}) {
			return 0
		}
		pos = 1
	}
	if pos == 1 {
		parent := f.Inode().Ino
		if p := f.Path.Dentry.Parent(); p != nil && p.Inode() != nil {
			parent = p.Inode().Ino
		}
		if !emit(vfs.DirEntry{Name: "..", Ino: parent, Type: linux.DT_DIR, Next: 2}) {
			return 0
		}
		pos = 2
	}
	return o.d.List(c, pos-2, func(e vfs.DirEntry) bool {
		e.Next += 2
		return emit(e)
	})
}

// Table is a directory with fixed entries.
type Table struct {
	names  []string
	inodes map[string]*vfs.Inode
}

// Add puts an entry into the table, before the directory is shown to anybody.
func (t *Table) Add(name string, i *vfs.Inode) *Table {
	if t.inodes == nil {
		t.inodes = map[string]*vfs.Inode{}
	}
	t.names = append(t.names, name)
	t.inodes[name] = i
	return t
}

// Lookup finds an entry.
func (t *Table) Lookup(_ *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	if i, ok := t.inodes[name]; ok {
		return i, 0
	}
	return nil, linux.ENOENT
}

// List emits the entries in the order of their adding.
func (t *Table) List(_ *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	for ; pos >= 0 && pos < int64(len(t.names)); pos++ {
		i := t.inodes[t.names[pos]]
		if !emit(vfs.DirEntry{Name: t.names[pos], Ino: i.Ino, Type: uint8(i.Type() >> 12), Next: pos + 1}) {
			return 0
		}
	}
	return 0
}

// DirOf returns what Directory was given, or nil for an inode that it did not make.
func DirOf(i *vfs.Inode) Dir {
	switch d := i.Ops.(type) {
	case *dirInode:
		return d.d
	case *volatileInode:
		return d.d
	}
	return nil
}
