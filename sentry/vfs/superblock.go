package vfs

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/cred"
)

// Superblock is one mounted filesystem. The filesystem fills in the exported fields before the first mount.
type Superblock struct {
	Type   string // as /proc/mounts shows it
	Dev    uint64 // linux dev_t; NewDev gives one
	Magic  int64  // of statfs(2)
	Source string
	// Options renders the filesystem's own mount options, without a leading comma (",size=…" is "size=…").
	Options func() string
	Root    *Inode
	Statfs  func(c *Caller) (linux.Statfs, linux.Errno)
	// Remount changes the options of a mounted filesystem; nil: data is ignored.
	Remount func(c *Caller, flags uint32, data string) linux.Errno
	// Release runs when the last mount is gone and nothing uses the filesystem.
	Release func()
	// MaxBytes is the largest file size, 0 for 1<<63 - 1.
	MaxBytes int64
	// TimeGranNS rounds timestamps down, 0 or 1 for none.
	TimeGranNS int64
	// Revalidate: directories implement Revalidator, to be asked at every walk.
	Revalidate bool
	// OwnDevices: InodeOps.Open opens device nodes itself (devpts); else the device registry does.
	OwnDevices bool
	// NoAtime: the filesystem keeps access times itself, or keeps none.
	NoAtime bool
	// NoExecDev marks kernel filesystems (proc, sysfs) on which nothing can be executed or opened as a device.
	NoExecDev bool
	// UserNS owns the filesystem; nil for the root namespace.
	UserNS *cred.UserNS

	writers atomic.Int64 // files open for writing

	flags atomic.Uint32 // MS_RDONLY, MS_SYNCHRONOUS, MS_DIRSYNC, MS_LAZYTIME, MS_MANDLOCK

	rename rank.Mutex[rank.Rename] // one rename across directories at a time

	once sync.Once
	root *Dentry
	// mounts counts the mounts; at zero after the first the filesystem is released.
	mounts atomic.Int32
}

// Flags returns the superblock's MS_* flags.
func (sb *Superblock) Flags() uint32 { return sb.flags.Load() }

// SetFlags sets the superblock's MS_* flags.
func (sb *Superblock) SetFlags(f uint32) { sb.flags.Store(f & sbFlagsMask) }

const sbFlagsMask = linux.MS_RDONLY | linux.MS_SYNCHRONOUS | linux.MS_DIRSYNC | linux.MS_LAZYTIME | linux.MS_MANDLOCK | linux.MS_POSIXACL

// ReadOnly says whether the whole filesystem is read-only.
func (sb *Superblock) ReadOnly() bool { return sb.flags.Load()&linux.MS_RDONLY != 0 }

// RootDentry returns the dentry of Root; it lives as long as the superblock.
func (sb *Superblock) RootDentry() *Dentry {
	sb.once.Do(func() { sb.root = newDentry(sb, nil, "/", sb.Root) })
	return sb.root
}

func (sb *Superblock) maxBytes() int64 {
	if sb.MaxBytes == 0 {
		return math.MaxInt64
	}
	return sb.MaxBytes
}

// release drops what the cache holds of a filesystem whose last mount is gone.
func (sb *Superblock) release() {
	if sb.root != nil {
		shrinkTree(sb.root)
	}
	if sb.Release != nil {
		sb.Release()
	}
}

var lastDev atomic.Uint64

// NewDev returns the number of an anonymous device (major 0), as filesystems without a disk have it.
func NewDev() uint64 {
	n := lastDev.Add(1) + 1
	return n&0xff | n&^0xff<<12
}

// NewInode makes an inode of sb with the given attributes.
func NewInode(sb *Superblock, ino uint64, ops InodeOps, a *Attr) *Inode {
	i := &Inode{}
	InitInode(i, sb, ino, ops, a)
	return i
}

// InitInode is NewInode for an inode that is a part of the filesystem's own struct.
func InitInode(i *Inode, sb *Superblock, ino uint64, ops InodeOps, a *Attr) {
	i.Ops, i.SB, i.Ino = ops, sb, ino
	i.attr.Store(a)
}

// MountFunc makes the superblock for mount(2): source, MS_* flags and the data string are the caller's.
type MountFunc func(c *Caller, source string, flags uint32, data string) (*Superblock, linux.Errno)

// FSType is a kind of filesystem that mount(2) knows.
type FSType struct {
	Name string
	// NoDev: needs no block device, as /proc/filesystems says.
	NoDev bool
	// UserMount: a privileged process of any user namespace may mount it (FS_USERNS_MOUNT).
	UserMount bool
	Mount     MountFunc
}

var fsTypes struct {
	sync.RWMutex // a leaf
	m            map[string]FSType
}

// RegisterFilesystem makes a type known to mount(2); a second registration replaces the first.
func RegisterFilesystem(t FSType) {
	fsTypes.Lock()
	defer fsTypes.Unlock()
	if fsTypes.m == nil {
		fsTypes.m = map[string]FSType{}
	}
	fsTypes.m[t.Name] = t
}

// Filesystems returns the known types by name, for /proc/filesystems.
func Filesystems() []FSType {
	fsTypes.RLock()
	defer fsTypes.RUnlock()
	var out []FSType
	for _, n := range slices.Sorted(maps.Keys(fsTypes.m)) {
		out = append(out, fsTypes.m[n])
	}
	return out
}

func lookupFSType(name string) (FSType, bool) {
	fsTypes.RLock()
	defer fsTypes.RUnlock()
	t, ok := fsTypes.m[name]
	return t, ok
}
