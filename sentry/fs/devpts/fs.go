package devpts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/signal"
	"hornwork/sentry/vfs"
)

const (
	ttyMajor  = 5 // tty 0, console 1, ptmx 2
	ptsMajor  = 136
	ptsMajors = 8 // 136 to 143, 256 terminals each
	// maxTTYs is /proc/sys/kernel/pty/max.
	maxTTYs = 4096
)

func ptsDev(index int) uint64 {
	return vfs.MakeDev(ptsMajor+uint32(index)>>8, uint32(index)&0xff)
}

// Options are what devpts is mounted with.
type Options struct {
	Mode     uint32  // of terminals; 0: 0600
	PtmxMode uint32  // of the node ptmx inside
	UID, GID *uint32 // owner of terminals; nil: who opens ptmx
	Max      int     // most terminals; 0: as many as there can be
}

// instance is one devpts: every mount has its own terminals.
type instance struct {
	opt  Options
	sb   *vfs.Superblock
	ptmx *vfs.Inode

	mu   sync.Mutex // a leaf
	ttys map[int]*entry
}

type entry struct {
	t     *TTY
	inode *vfs.Inode
}

// instanceOf finds the instance of a superblock that New made.
func instanceOf(sb *vfs.Superblock) *instance {
	inst, _ := kernfs.DirOf(sb.Root).(*instance)
	return inst
}

// standard is the first devpts: where ptmx nodes lead that have no directory pts beside them.
var standard atomic.Pointer[instance]

// Register makes the filesystem and the devices tty, console, ptmx known to vfs.
func Register() {
	vfs.RegisterFilesystem(vfs.FSType{Name: "devpts", NoDev: true, UserMount: true,
		Mount: func(_ *vfs.Caller, source string, flags uint32, data string) (*vfs.Superblock, linux.Errno) {
			o, errno := ParseOptions(data)
			if errno != 0 {
				return nil, errno
			}
			sb := New(o)
			sb.Source = source
			sb.SetFlags(flags)
			return sb, 0
		}})
	vfs.RegisterDevice(linux.S_IFCHR, ttyMajor, 0, openCurrent)
	vfs.RegisterDevice(linux.S_IFCHR, ttyMajor, 1, openConsole)
	vfs.RegisterDevice(linux.S_IFCHR, ttyMajor, 2, openPtmx)
}

// ParseOptions reads the data of mount(2). EINVAL for unknown options and bad numbers.
func ParseOptions(data string) (Options, linux.Errno) {
	var o Options
	for _, part := range strings.Split(data, ",") {
		key, text, _ := strings.Cut(part, "=")
		base := 10
		switch key {
		case "", "newinstance":
			continue
		case "mode", "ptmxmode":
			base = 8
		case "uid", "gid", "max":
		default:
			return o, linux.EINVAL
		}
		n, err := strconv.ParseUint(text, base, 32)
		if err != nil {
			return o, linux.EINVAL
		}
		v := uint32(n)
		switch key {
		case "mode":
			o.Mode = v & 0o7777
		case "ptmxmode":
			o.PtmxMode = v & 0o7777
		case "uid":
			o.UID = &v
		case "gid":
			o.GID = &v
		case "max":
			if v > maxTTYs {
				return o, linux.EINVAL
			}
			o.Max = int(v)
		}
	}
	return o, 0
}

// New makes a devpts without terminals.
func New(o Options) *vfs.Superblock {
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if o.Max == 0 {
		o.Max = maxTTYs
	}
	inst := &instance{opt: o, ttys: map[int]*entry{}}
	inst.sb = &vfs.Superblock{
		Type: "devpts", Source: "devpts", Dev: vfs.NewDev(), Magic: linux.DEVPTS_SUPER_MAGIC,
		Options: inst.options, Revalidate: true, OwnDevices: true,
	}
	inst.sb.Statfs = func(*vfs.Caller) (linux.Statfs, linux.Errno) {
		return linux.Statfs{Type: linux.DEVPTS_SUPER_MAGIC, Bsize: linux.PageSize, Namelen: linux.NAME_MAX, Frsize: linux.PageSize}, 0
	}
	inst.ptmx = inst.node(2, linux.S_IFCHR|o.PtmxMode, 0, 0, vfs.MakeDev(ttyMajor, 2), inst.openPtmx)
	fs := &kernfs.FS{SB: inst.sb, Now: vfs.Now}
	inst.sb.Root = fs.Directory(0o755, inst)
	standard.CompareAndSwap(nil, inst)
	return inst.sb
}

func (inst *instance) options() string {
	var parts []string
	if inst.opt.UID != nil {
		parts = append(parts, fmt.Sprintf("uid=%d", *inst.opt.UID))
	}
	if inst.opt.GID != nil {
		parts = append(parts, fmt.Sprintf("gid=%d", *inst.opt.GID))
	}
	parts = append(parts, fmt.Sprintf("mode=%03o,ptmxmode=%03o", inst.opt.Mode, inst.opt.PtmxMode))
	if inst.opt.Max < maxTTYs {
		parts = append(parts, fmt.Sprintf("max=%d", inst.opt.Max))
	}
	return strings.Join(parts, ",")
}

// node is a device node of the filesystem.
type node struct {
	vfs.NoDir
	vfs.NoLink
	vfs.NoXattr
	open func(c *vfs.Caller, flags uint32) (vfs.FileOps, linux.Errno)
}

func (n *node) GetAttr(*vfs.Caller, *vfs.Inode) linux.Errno { return 0 }
func (n *node) Forget(*vfs.Inode, bool)                     {}
func (n *node) Open(c *vfs.Caller, _ *vfs.Inode, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	return n.open(c, flags)
}

// SetAttr changes mode, owner and times (chown and mesg(1) on a terminal); a truncation means nothing.
func (n *node) SetAttr(_ *vfs.Caller, i *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	x := *s
	x.Mask &^= linux.STATX_SIZE
	vfs.StoreAttr(i.Attr(), &x)
	return 0
}

func (inst *instance) node(ino uint64, mode, uid, gid uint32, rdev uint64, open func(*vfs.Caller, uint32) (vfs.FileOps, linux.Errno)) *vfs.Inode {
	a := &vfs.Attr{Blksize: 1024}
	now := vfs.Now()
	a.Mode.Store(mode)
	a.UID.Store(uid)
	a.GID.Store(gid)
	a.Nlink.Store(1)
	a.Rdev.Store(rdev)
	a.Atime.Store(now)
	a.Mtime.Store(now)
	a.Ctime.Store(now)
	return vfs.NewInode(inst.sb, ino, &node{open: open}, a)
}

// add makes a terminal with the lowest free number. ENOSPC when there are too many.
func (inst *instance) add(uid, gid uint32) (*TTY, linux.Errno) {
	if inst.opt.UID != nil {
		uid = *inst.opt.UID
	}
	if inst.opt.GID != nil {
		gid = *inst.opt.GID
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	for n := range inst.opt.Max {
		if inst.ttys[n] != nil {
			continue
		}
		t := newTTY(inst, n)
		i := inst.node(uint64(n)+3, linux.S_IFCHR|inst.opt.Mode, uid, gid, ptsDev(n), t.openSlave)
		inst.ttys[n] = &entry{t, i}
		return t, 0
	}
	return nil, linux.ENOSPC
}

func (inst *instance) remove(t *TTY) {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if e := inst.ttys[t.index]; e != nil && e.t == t {
		delete(inst.ttys, t.index)
	}
}

func (inst *instance) inodeOf(t *TTY) *vfs.Inode {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if e := inst.ttys[t.index]; e != nil && e.t == t {
		return e.inode
	}
	return nil
}

// openPtmx is open(2) of ptmx: a new terminal, its master side.
func (inst *instance) openPtmx(c *vfs.Caller, _ uint32) (vfs.FileOps, linux.Errno) {
	t, errno := inst.add(c.Creds.FSUID, c.Creds.FSGID)
	if errno != 0 {
		return nil, errno
	}
	t.masters = 1
	return &master{t: t}, 0
}

func (inst *instance) openPeer(c *vfs.Caller, t *TTY, flags uint32) (*vfs.File, linux.Errno) {
	i := inst.inodeOf(t)
	if i == nil {
		return nil, linux.EIO
	}
	ops, errno := t.openSlave(c, flags)
	if errno != 0 {
		return nil, errno
	}
	return vfs.NewInodeFile(c, i, "/dev/pts/"+strconv.Itoa(t.index), ops, flags&^linux.O_CLOEXEC), 0
}

// Lookup, List and Valid implement kernfs.Volatile.
func (inst *instance) Lookup(_ *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	if i := inst.find(name); i != nil {
		return i, 0
	}
	return nil, linux.ENOENT
}

func (inst *instance) find(name string) *vfs.Inode {
	if name == "ptmx" {
		return inst.ptmx
	}
	n, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(n) != name {
		return nil
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if e := inst.ttys[n]; e != nil {
		return e.inode
	}
	return nil
}

// Valid says whether the cached child is still what name means.
func (inst *instance) Valid(_ *vfs.Caller, name string, child *vfs.Inode) bool {
	return inst.find(name) == child
}

// List emits ptmx at position 0, and terminal n at n+1.
func (inst *instance) List(_ *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	if pos == 0 && !emit(vfs.DirEntry{Name: "ptmx", Ino: 2, Type: linux.DT_CHR, Next: 1}) {
		return 0
	}
	inst.mu.Lock()
	var numbers []int
	for n := range inst.ttys {
		if int64(n)+1 >= pos {
			numbers = append(numbers, n)
		}
	}
	inst.mu.Unlock()
	slices.Sort(numbers)
	for _, n := range numbers {
		if !emit(vfs.DirEntry{Name: strconv.Itoa(n), Ino: uint64(n) + 3, Type: linux.DT_CHR, Next: int64(n) + 2}) {
			return 0
		}
	}
	return 0
}

// openPtmx opens a ptmx node outside of devpts: the instance is the one mounted at pts beside it.
func openPtmx(c *vfs.Caller, p vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	inst := standard.Load()
	if dir := p.Dentry.Parent(); dir != nil {
		q, errno := vfs.Walk(c, vfs.Path{Mount: p.Mount, Dentry: dir}, "pts", vfs.Follow)
		if errno == 0 {
			if x, ok := kernfs.DirOf(q.Dentry.Inode()).(*instance); ok {
				inst = x
			}
			q.Put()
		}
	}
	if inst == nil {
		return nil, linux.ENODEV
	}
	return inst.openPtmx(c, flags)
}

// openCurrent opens /dev/tty: the controlling terminal of the caller.
func openCurrent(c *vfs.Caller, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	job, ok := c.Task.(signal.JobControl)
	if !ok {
		return nil, linux.ENXIO
	}
	t, ok := job.ControllingTerminal().(*TTY)
	if !ok || t == nil {
		return nil, linux.ENXIO
	}
	return t.openSlave(c, flags|linux.O_NOCTTY)
}
