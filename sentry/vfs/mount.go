package vfs

import (
	"slices"
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/lib/ref"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/ns"
)

// Mount is a filesystem, or a part of one, attached somewhere in the tree of a namespace. The tree holds one
// reference, open files and working directories others.
type Mount struct {
	ID    int32
	SB    *Superblock
	root  *Dentry
	refs  ref.Count
	flags atomic.Uint32 // MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, …

	// Guarded by mounts.mu.
	ns       *MountNS // nil: detached, or internal
	parent   *Mount   // nil: the root of a namespace, or detached
	point    *Dentry  // of parent; holds a reference
	children []*Mount
	prop     propagation
	expiring bool // umount2(MNT_EXPIRE) has marked it, and nobody has used it since
	locked   bool // came from a more privileged namespace: cannot be unmounted alone
	lockedFl uint32
}

// MountNS is a mount namespace: a tree of mounts. Its count of references is the owner's (package ns).
type MountNS struct {
	UserNS *cred.UserNS
	Ino    uint64
	refs   ref.Count

	root *Mount // guarded by mounts.mu
	n    int    // mounts
	// Changes counts changes and tells of them, for poll(2) on /proc/mounts.
	Changes Counter
}

// Counter is a number that only grows, and whoever waits for that: with POLLERR and POLLPRI.
type Counter struct {
	N     atomic.Uint64
	Queue wait.Queue
}

// mounts is the forest of all namespaces. One lock serves them all, because propagation crosses namespaces.
var mounts struct {
	mu     rank.RWMutex[rank.Mounts]
	at     map[Path]*Mount // by mount point
	nextID int32
	groups int32
}

// maxMountsPerNS is /proc/sys/fs/mount-max.
const maxMountsPerNS = 100000

const mountFlagsMask = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME |
	linux.MS_NODIRATIME | linux.MS_RELATIME | linux.MS_NOSYMFOLLOW

// newMount makes a detached mount of root. The caller holds mounts.mu, or nobody else can see it yet.
func newMount(sb *Superblock, root *Dentry, flags uint32) *Mount {
	m := &Mount{SB: sb, root: root, ID: atomic.AddInt32(&mounts.nextID, 1)}
	m.flags.Store(flags & mountFlagsMask)
	root.get()
	sb.mounts.Add(1)
	return m
}

// put drops a reference; the last one lets the filesystem go.
func (m *Mount) put() {
	if !m.refs.Put() {
		return
	}
	m.root.put()
	if m.SB.mounts.Add(-1) == 0 {
		m.SB.release()
	}
}

// Flags returns the mount's MS_* flags.
func (m *Mount) Flags() uint32 { return m.flags.Load() }

// Root returns the root of the mount, without a reference.
func (m *Mount) Root() Path { return Path{m, m.root} }

// NS returns the namespace that the mount is in, nil if it is detached.
func (m *Mount) NS() *MountNS {
	mounts.mu.RLock()
	defer mounts.mu.RUnlock()
	return m.ns
}

// Parent returns the mount that m sits on, nil for a root.
func (m *Mount) Parent() *Mount {
	mounts.mu.RLock()
	defer mounts.mu.RUnlock()
	return m.parent
}

// mountedOn returns the place that m covers.
func (m *Mount) mountedOn() (Path, bool) {
	mounts.mu.RLock()
	defer mounts.mu.RUnlock()
	if m.parent == nil {
		return Path{}, false
	}
	return Path{m.parent, m.point}, true
}

// lookupMount returns the mount that covers p, nil if none does.
func lookupMount(p Path) *Mount {
	mounts.mu.RLock()
	m := mounts.at[p]
	mounts.mu.RUnlock()
	return m
}

// attachLocked puts m at p and takes a reference on the mount point for it.
func (m *Mount) attachLocked(ns *MountNS, p Path) {
	if mounts.at == nil {
		mounts.at = map[Path]*Mount{}
	}
	p.Dentry.get()
	p.Dentry.mounted.Add(1)
	m.ns, m.parent, m.point = ns, p.Mount, p.Dentry
	p.Mount.children = append(p.Mount.children, m)
	// A mount that is there already (propagation came late) goes on top of the new one's root.
	if old := mounts.at[p]; old != nil {
		old.detachLocked()
		mounts.at[p] = m
		old.attachLocked(ns, Path{m, m.root})
		return
	}
	mounts.at[p] = m
}

// detachLocked takes m from its parent; it stays in its namespace.
func (m *Mount) detachLocked() {
	p := Path{m.parent, m.point}
	if p.Mount == nil {
		return
	}
	if mounts.at[p] == m {
		delete(mounts.at, p)
	}
	k := p.Mount.children
	p.Mount.children = slices.Delete(k, slices.Index(k, m), slices.Index(k, m)+1)
	m.parent, m.point = nil, nil
	p.Dentry.mounted.Add(-1)
	p.Dentry.put()
}

// eachLocked calls f for m and all mounts below it, parents first.
func (m *Mount) eachLocked(f func(*Mount)) {
	f(m)
	for _, ch := range slices.Clone(m.children) {
		ch.eachLocked(f)
	}
}

// NewMountNS makes the first namespace, with root at its root; flags are those of mount(2).
func NewMountNS(root *Superblock, flags uint32) *MountNS {
	n := &MountNS{UserNS: root.UserNS, Ino: ns.InitMountIno, n: 1}
	m := newMount(root, root.RootDentry(), mountFlagsOf(flags))
	m.ns = n
	n.root = m
	return n
}

// newNSIno is the number of another one. All kinds of namespaces share their numbers, as on Linux's nsfs.
func newNSIno() uint64 { return ns.NewIno() }

// Get takes a reference on the namespace.
func (ns *MountNS) Get() *MountNS { ns.refs.Get(); return ns }

// TryGet takes a reference unless the last is gone.
func (ns *MountNS) TryGet() bool { return ns.refs.TryGet() }

// Put drops one; with the last all its mounts go.
func (ns *MountNS) Put() {
	if !ns.refs.Put() {
		return
	}
	mounts.mu.Lock()
	gone := umountTreeLocked(ns.root, true)
	ns.root = nil
	mounts.mu.Unlock()
	releaseMounts(gone)
}

// Root returns the topmost mount at the root of the namespace, with a reference.
func (ns *MountNS) Root() Path {
	mounts.mu.RLock()
	defer mounts.mu.RUnlock()
	p := Path{ns.root, ns.root.root}
	for m := mounts.at[p]; m != nil; m = mounts.at[p] {
		p = Path{m, m.root}
	}
	return p.Get()
}

func (ns *MountNS) changed() {
	ns.Changes.N.Add(1)
	ns.Changes.Queue.Notify(wait.Err | wait.Pri)
}
