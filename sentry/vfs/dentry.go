package vfs

import (
	"math"
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/linux"
)

// Dentry is a name in a directory, as far as the cache knows: positive with an inode, or negative. A
// directory has exactly one dentry per superblock, so that its Dir lock and its cached children are one.
//
// A child holds a reference on its parent. References of users pin a dentry; unused dentries stay in the
// cache until its clock (dcache.go) takes them, leaves first. A path walk takes no references on the way:
// the collector keeps what it looks at, and the reference on the result fails if the dentry died meanwhile.
type Dentry struct {
	inode   atomic.Pointer[Inode]
	loc     atomic.Pointer[location]
	dir     *directory // of a directory; set before inode and never changed
	sb      *Superblock
	refs    atomic.Int32  // deadRefs: gone
	mounted atomic.Int32  // mounts that sit on this dentry, in any namespace
	state   atomic.Uint32 // dentryUnhashed, …
	home    location      // what loc points to until the first rename
	display func(*Dentry) string

	clock clockLinks
}

// location is where a dentry hangs; a rename replaces it as a whole.
type location struct {
	parent *Dentry
	name   string
}

// directory is what only dentries of directories have.
type directory struct {
	lock    rank.Mutex[rank.Dir] // serialises the filesystem's operations on the directory; guards removed
	removed bool                 // rmdir(2) has taken it: nothing can be made in it

	mu       rank.RWMutex[rank.Dentry] // guards children
	children map[string]*Dentry
}

const (
	dentryUnhashed uint32 = 1 << iota // not in its parent's map: deleted, or never there
	dentryUsed                        // found by a walk since the clock's hand passed
	dentryRinged                      // on the clock's ring
)

const deadRefs = math.MinInt32 / 2

// newDentry makes a dentry with one reference; it is not in parent's map yet.
func newDentry(sb *Superblock, parent *Dentry, name string, i *Inode) *Dentry {
	d := &Dentry{sb: sb}
	d.home = location{parent, name}
	d.loc.Store(&d.home)
	d.refs.Store(1)
	d.state.Store(dentryUnhashed)
	if parent != nil {
		parent.refs.Add(1)
	}
	if i != nil {
		d.instantiate(i)
	}
	return d
}

// instantiate makes a negative dentry positive.
func (d *Dentry) instantiate(i *Inode) {
	i.uses.Add(1)
	if i.Type() == linux.S_IFDIR {
		d.dir = &directory{children: map[string]*Dentry{}}
	}
	d.inode.Store(i)
}

// Inode returns the inode, nil for a negative dentry.
func (d *Dentry) Inode() *Inode { return d.inode.Load() }

// Name returns the last component. Internal files (pipes, sockets) have the text that /proc shows.
func (d *Dentry) Name() string {
	if d.display != nil {
		return d.display(d)
	}
	return d.loc.Load().name
}

// Parent returns the directory that d is in; the root of a filesystem and internal files are their own.
func (d *Dentry) Parent() *Dentry {
	if p := d.loc.Load().parent; p != nil {
		return p
	}
	return d
}

// Superblock returns the filesystem that d belongs to.
func (d *Dentry) Superblock() *Superblock { return d.sb }

// Unlinked says whether the name has been deleted.
func (d *Dentry) Unlinked() bool { return d.state.Load()&dentryUnhashed != 0 && !d.isRoot() }

func (d *Dentry) isRoot() bool { return d.loc.Load().parent == nil }

// isDir says whether the dentry is a directory.
func (d *Dentry) isDir() bool { return d.Inode() != nil && d.dir != nil }

func (d *Dentry) get() { d.refs.Add(1) }

// tryGet takes a reference unless d is dead.
func (d *Dentry) tryGet() bool {
	for {
		n := d.refs.Load()
		if n < 0 {
			return false
		}
		if d.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// put drops a reference. A dentry that is still in its parent's map stays in the cache at zero.
func (d *Dentry) put() {
	for d != nil {
		if d.refs.Add(-1) != 0 || d.state.Load()&dentryUnhashed == 0 {
			return
		}
		if !d.refs.CompareAndSwap(0, deadRefs) {
			return
		}
		d = d.bury()
	}
}

// bury releases what a dead dentry holds, and returns the parent whose reference the caller drops.
func (d *Dentry) bury() *Dentry {
	if d.state.Load()&dentryRinged != 0 {
		clock.remove(d)
	}
	if i := d.inode.Load(); i != nil {
		i.unuse()
	}
	return d.loc.Load().parent
}

// child returns the cached child, without a reference.
func (d *Dentry) child(name string) *Dentry {
	ds := d.dir
	ds.mu.RLock()
	ch := ds.children[name]
	ds.mu.RUnlock()
	return ch
}

// childRef returns the cached child with a reference, nil if there is none.
func (d *Dentry) childRef(name string) *Dentry {
	ds := d.dir
	ds.mu.RLock()
	ch := ds.children[name]
	if ch != nil && !ch.tryGet() {
		ch = nil // the clock is taking it
	}
	ds.mu.RUnlock()
	return ch
}

// hash puts d into its parent's map. The caller holds the parent's Dir lock, or nobody else sees d yet.
func (d *Dentry) hash() {
	l := d.loc.Load()
	ds := l.parent.dir
	ds.mu.Lock()
	d.state.And(^dentryUnhashed)
	ds.children[l.name] = d
	ds.mu.Unlock()
	clock.add(d)
}

// unhash takes d out of its parent's map.
func (d *Dentry) unhash() {
	l := d.loc.Load()
	if l.parent == nil {
		return
	}
	ds := l.parent.dir
	ds.mu.Lock()
	if ds.children[l.name] == d {
		delete(ds.children, l.name)
	}
	d.state.Or(dentryUnhashed)
	ds.mu.Unlock()
}

// isAncestorOf says whether o is d or below it. The caller holds what keeps the tree still, or accepts a
// stale answer.
func (d *Dentry) isAncestorOf(o *Dentry) bool {
	for o != nil {
		if o == d {
			return true
		}
		o = o.loc.Load().parent
	}
	return false
}

// Path is a place in the tree: a dentry seen through a mount. It is comparable.
type Path struct {
	Mount  *Mount
	Dentry *Dentry
}

// IsZero says whether p is no place at all.
func (p Path) IsZero() bool { return p.Dentry == nil }

// Inode returns the inode at p.
func (p Path) Inode() *Inode { return p.Dentry.Inode() }

// Get takes a reference on the mount and the dentry; the caller holds one already.
func (p Path) Get() Path {
	p.Mount.refs.Get()
	p.Dentry.get()
	return p
}

// Put drops a reference.
func (p Path) Put() {
	if p.Dentry == nil {
		return
	}
	p.Dentry.put()
	p.Mount.put()
}

// tryGet takes a reference unless the dentry or the mount is gone.
func (p Path) tryGet() bool {
	if !p.Mount.refs.TryGet() {
		return false
	}
	if !p.Dentry.tryGet() {
		p.Mount.put()
		return false
	}
	return true
}
