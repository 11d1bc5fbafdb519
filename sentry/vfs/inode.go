// Package vfs is the virtual file system: mounts, dentries, inodes, open file descriptions, path walk.
//
// A filesystem fills in Inodes with InodeOps and gives a Superblock to Mount. vfs owns the dentry tree
// (the cache of names), permission checks, path resolution, locks, notifications; filesystems own data.
// No operation knows a task: who asks travels as a *Caller.
//
// Locks: Mounts, then Dir of parents before children, then Inode. InodeOps of a directory run with that
// directory's Dir lock held, so that a filesystem sees one change of a directory at a time.
package vfs

import (
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
)

// Caller is on whose behalf an operation runs: what vfs needs of a task.
type Caller struct {
	Creds *cred.Credentials
	Root  Path // as chroot(2) left it
	Cwd   Path
	Umask uint32
	PID   int32 // thread group ID, for lock owners and SIGIO
	// Files is the caller's descriptor table, the owner of its POSIX locks; nil: the thread group is.
	Files   any
	Blocker wait.Blocker // nil: the operation must not sleep
	// MaxFileSize is RLIMIT_FSIZE in bytes; XFSZ is called (if set) when a write meets it, to send SIGXFSZ.
	MaxFileSize uint64
	XFSZ        func()
	// Task is the *task.Task that asks, for files whose meaning depends on it (proc's self, tty); nil in
	// the kernel itself.
	Task any
}

// Attr is the attributes of an inode. Inodes of stacked filesystems share one (Inode.SetAttrs).
// Scalars that path walk and stat read often are atomics, so that reading takes no lock.
type Attr struct {
	Mode  atomic.Uint32 // type and permission bits
	UID   atomic.Uint32
	GID   atomic.Uint32
	Nlink atomic.Uint32
	Size  atomic.Int64
	Rdev  atomic.Uint64 // linux dev_t of a device node
	// Blocks counts 512-byte units.
	Blocks  atomic.Int64
	Blksize uint32
	// Times are nanoseconds since the epoch.
	Atime, Mtime, Ctime atomic.Int64
	Btime               int64
}

// Inode is one object of a filesystem.
type Inode struct {
	Ops InodeOps
	SB  *Superblock
	Ino uint64

	attr atomic.Pointer[Attr]

	uses    atomic.Int32 // live dentries
	writers atomic.Int32 // open for writing; below zero: that many deny writing (ETXTBSY)
	state   atomic.Uint32
	watched atomic.Bool // extra has watches

	mu    rank.Mutex[rank.Inode] // guards the field below
	extra *inodeExtra            // file locks, watches, bound objects: created on demand, see extra.go
}

// Attr returns the attributes.
func (i *Inode) Attr() *Attr { return i.attr.Load() }

// SetAttrs makes i use a; a filesystem calls it before it shows the inode, and overlay at copy-up.
func (i *Inode) SetAttrs(a *Attr) { i.attr.Store(a) }

// Type is the S_IFMT part of the mode.
func (i *Inode) Type() uint32 { return i.Attr().Mode.Load() & linux.S_IFMT }

// SetAttr says what SetAttr of InodeOps is to change: the fields whose bit is in Mask.
type SetAttr struct {
	Mask         uint32 // linux.STATX_MODE, _UID, _GID, _SIZE, _ATIME, _MTIME (ctime follows)
	Mode         uint32 // permission bits only
	UID, GID     uint32
	Size         int64
	Atime, Mtime int64 // nanoseconds
}

// MakeOptions describe a new directory entry.
type MakeOptions struct {
	Mode     uint32 // type and permission bits, umask applied
	UID, GID uint32 // owner, setgid directories considered
	Rdev     uint64 // device nodes
	Target   string // symbolic links
}

// InodeOps is what a filesystem does with an inode. Embed NoDir, NoLink, NoXattr for the parts that a kind
// of inode lacks. Permissions have been checked by vfs; the names are valid components, not "." or "..".
type InodeOps interface {
	// GetAttr brings Inode.Attr up to date before a stat, where it can be stale (proc, shared remote files).
	GetAttr(c *Caller, i *Inode) linux.Errno
	// SetAttr changes attributes and ctime; for STATX_SIZE it truncates or extends.
	SetAttr(c *Caller, i *Inode, s *SetAttr) linux.Errno
	// Open makes the File's operations. flags are those of open(2). The operations keep i themselves if they need
	// it: File.Inode is another one where a filesystem (overlay) is stacked on this one. O_TRUNC has been done.
	Open(c *Caller, i *Inode, p Path, flags uint32) (FileOps, linux.Errno)
	// Forget tells that vfs has dropped the last use of an inode whose Nlink is 0, or (unlinked=false) that it
	// left the cache.
	Forget(i *Inode, unlinked bool)

	DirOps
	LinkOps
	XattrOps
}

// DirOps are the operations on directories. Lookup of one filesystem must stand being called at the same
// time for different directories, and by stacked filesystems for the same one.
type DirOps interface {
	Lookup(c *Caller, dir *Inode, name string) (*Inode, linux.Errno)
	// Make creates a file, directory, symlink, node, FIFO or socket.
	Make(c *Caller, dir *Inode, name string, o *MakeOptions) (*Inode, linux.Errno)
	// MakeTemp creates a regular file without a name (O_TMPFILE).
	MakeTemp(c *Caller, dir *Inode, o *MakeOptions) (*Inode, linux.Errno)
	Link(c *Caller, dir *Inode, name string, target *Inode) linux.Errno
	Unlink(c *Caller, dir *Inode, name string, victim *Inode) linux.Errno
	Rmdir(c *Caller, dir *Inode, name string, victim *Inode) linux.Errno
	// Rename moves; replaced is the target's present inode or nil; flags are RENAME_* (NOREPLACE is done by vfs).
	Rename(c *Caller, from *Inode, oldName string, moved *Inode, to *Inode, newName string, replaced *Inode, flags uint32) linux.Errno
}

// PathWalker is implemented by directories of filesystems where a lookup is a round trip. names are the
// components still to be walked, as many as are not cached; the answer has the inodes of a prefix. A shorter
// answer than names with errno 0 means: stopped at a symlink or a non-directory. ENOENT means that
// names[len(answer)] does not exist.
type PathWalker interface {
	WalkPath(c *Caller, dir *Inode, names []string) ([]*Inode, linux.Errno)
}

// Revalidator is implemented by directories whose entries can change behind vfs (shared volumes, proc).
type Revalidator interface {
	// Revalidate says whether the cached child (nil: a negative entry) is still what name means.
	Revalidate(c *Caller, dir *Inode, name string, child *Inode) bool
}

// PathRevalidator is a Revalidator where a question is a round trip: it is asked about several names at once.
type PathRevalidator interface {
	// RevalidatePath says how many of names, which lead on from dir, still mean children (nil: a negative entry,
	// only at the end).
	RevalidatePath(c *Caller, dir *Inode, names []string, children []*Inode) int
}

// LinkOps are the operations on symbolic links.
type LinkOps interface {
	Readlink(c *Caller, i *Inode) (string, linux.Errno)
	// Jump is for magic links (proc): the path to go to. ok=false: use Readlink's text.
	Jump(c *Caller, i *Inode) (p Path, ok bool, errno linux.Errno)
}

// XattrOps are the operations on extended attributes. Names include the namespace ("user.x"); permission
// checks and the system namespaces are vfs's.
type XattrOps interface {
	GetXattr(c *Caller, i *Inode, name string) ([]byte, linux.Errno)
	SetXattr(c *Caller, i *Inode, name string, value []byte, flags uint32) linux.Errno
	ListXattr(c *Caller, i *Inode) ([]string, linux.Errno)
	RemoveXattr(c *Caller, i *Inode, name string) linux.Errno
}

// NoDir is DirOps of what is not a directory.
type NoDir struct{}

func (NoDir) Lookup(*Caller, *Inode, string) (*Inode, linux.Errno) { return nil, linux.ENOTDIR }
func (NoDir) Make(*Caller, *Inode, string, *MakeOptions) (*Inode, linux.Errno) {
	return nil, linux.ENOTDIR
}
func (NoDir) MakeTemp(*Caller, *Inode, *MakeOptions) (*Inode, linux.Errno) {
	return nil, linux.ENOTDIR
}
func (NoDir) Link(*Caller, *Inode, string, *Inode) linux.Errno   { return linux.ENOTDIR }
func (NoDir) Unlink(*Caller, *Inode, string, *Inode) linux.Errno { return linux.ENOTDIR }
func (NoDir) Rmdir(*Caller, *Inode, string, *Inode) linux.Errno  { return linux.ENOTDIR }
func (NoDir) Rename(*Caller, *Inode, string, *Inode, *Inode, string, *Inode, uint32) linux.Errno {
	return linux.ENOTDIR
}

// NoLink is LinkOps of what is not a symbolic link.
type NoLink struct{}

func (NoLink) Readlink(*Caller, *Inode) (string, linux.Errno) { return "", linux.EINVAL }
func (NoLink) Jump(*Caller, *Inode) (Path, bool, linux.Errno) { return Path{}, false, 0 }

// NoXattr is XattrOps of filesystems without extended attributes.
type NoXattr struct{}

func (NoXattr) GetXattr(*Caller, *Inode, string) ([]byte, linux.Errno) {
	return nil, linux.EOPNOTSUPP
}
func (NoXattr) SetXattr(*Caller, *Inode, string, []byte, uint32) linux.Errno {
	return linux.EOPNOTSUPP
}
func (NoXattr) ListXattr(*Caller, *Inode) ([]string, linux.Errno) { return nil, 0 }
func (NoXattr) RemoveXattr(*Caller, *Inode, string) linux.Errno   { return linux.EOPNOTSUPP }
