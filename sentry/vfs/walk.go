package vfs

import (
	"strings"
	"sync/atomic"

	"hornwork/linux"
)

const (
	maxSymlinks = 40
	// errRestart makes a walk start again: it stood on a dentry that died. It never leaves this package.
	errRestart linux.Errno = 0xfff0
)

// treeSeq counts renames of directories and changes of mounts, for walks that must not leave their root.
var treeSeq atomic.Uint64

// lastKind says what the last component of a parent walk is.
type lastKind uint8

const (
	lastNorm lastKind = iota
	lastDot
	lastDotDot
	lastRoot // no component at all: "/"
)

// walker is the state of one walk. It stays on the caller's stack.
type walker struct {
	c     *Caller
	flags WalkFlags
	mnt   *Mount  // where the walk stands, without references
	d     *Dentry // "
	root  Path    // ".." stops here

	path  string // still to go
	after later  // what comes after the symlinks that are being followed
	links int

	// Of a walk to the parent: the last component, not walked.
	last     string
	kind     lastKind
	trailing bool // slashes follow the last component

	scoped bool   // Beneath or InRoot
	seq    uint64 // treeSeq at the start, if scoped
	jumped Path   // where a magic link led: holds a reference
	depth  uint32 // restarts

	// In a filesystem with Revalidate: so many cached names on from freshAt have been asked about by this walk.
	fresh   int
	freshAt *Dentry
}

// init sets the walk to its start.
func (w *walker) init(c *Caller, at Path, name string, fl WalkFlags) linux.Errno {
	w.c, w.flags, w.path = c, fl, name
	w.after.n = 0
	w.links, w.last, w.kind, w.trailing = 0, "", lastNorm, false
	w.fresh, w.freshAt = 0, nil
	w.root = c.Root
	if fl&(Beneath|InRoot) != 0 {
		w.scoped = true
		w.seq = treeSeq.Load()
		w.root = at
	}
	if len(name) >= linux.PATH_MAX {
		return linux.ENAMETOOLONG
	}
	if name != "" && name[0] == '/' {
		if fl&Beneath != 0 {
			return linux.EXDEV
		}
		at = w.root
	}
	w.mnt, w.d = at.Mount, at.Dentry
	return 0
}

// done releases what the walker holds.
func (w *walker) done() {
	if !w.jumped.IsZero() {
		w.jumped.Put()
		w.jumped = Path{}
	}
	shrinkCache()
}

func (w *walker) here() Path { return Path{w.mnt, w.d} }

// Walk resolves name, which starts at at unless it is absolute. The result has a reference: Put it.
func Walk(c *Caller, at Path, name string, fl WalkFlags) (Path, linux.Errno) {
	var w walker
	defer w.done()
	for {
		errno := w.resolve(c, at, name, fl)
		if errno == 0 {
			p := w.here()
			if p.tryGet() {
				return p, 0
			}
			errno = errRestart
		}
		if errno != errRestart || !w.again(&errno) {
			return Path{}, errno
		}
	}
}

// again says whether a walk that met a dying dentry may start over. The limit is far beyond what races cause.
func (w *walker) again(errno *linux.Errno) bool {
	if w.depth++; w.depth > 1000 {
		*errno = linux.ESTALE
		return false
	}
	return true
}

// resolve walks all of name; the result is w.here().
func (w *walker) resolve(c *Caller, at Path, name string, fl WalkFlags) linux.Errno {
	if name == "" {
		if fl&Empty == 0 {
			return linux.ENOENT
		}
		w.c, w.mnt, w.d = c, at.Mount, at.Dentry
		if fl&Directory != 0 && !w.d.isDir() {
			return linux.ENOTDIR
		}
		return 0
	}
	if errno := w.init(c, at, name, fl); errno != 0 {
		return errno
	}
	if errno := w.run(false); errno != 0 {
		return errno
	}
	return w.finish()
}

// finish checks the object that the walk ended at.
func (w *walker) finish() linux.Errno {
	i := w.d.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if w.flags&Directory != 0 || w.trailing {
		if w.d.dir == nil {
			return linux.ENOTDIR
		}
	}
	if w.scoped && w.flags&(Beneath|InRoot) != 0 && !w.inScope() {
		return linux.EXDEV
	}
	return 0
}

// inScope checks after the fact that a scoped walk ended below its root, in case a rename raced with it.
func (w *walker) inScope() bool {
	if w.seq == treeSeq.Load() {
		return true
	}
	return pathIsUnder(w.here(), w.root)
}

// run walks components until none is left; with parent, until one is left, which w.last names.
func (w *walker) run(parent bool) linux.Errno {
	for {
		rest := w.path
		for rest != "" && rest[0] == '/' {
			rest = rest[1:]
		}
		if rest == "" {
			if w.after.n > 0 {
				w.path = w.after.pop()
				continue
			}
			if w.path != "" { // a trailing slash, or "/" alone
				w.trailing = true
			}
			w.path = ""
			if parent {
				w.kind = lastRoot
			}
			return 0
		}
		end := strings.IndexByte(rest, '/')
		name := rest
		if end >= 0 {
			name, rest = rest[:end], rest[end:]
		} else {
			rest = ""
		}
		if w.d.dir == nil || w.d.Inode() == nil {
			return linux.ENOTDIR
		}
		if errno := w.c.permission(w.d.Inode(), MayExec); errno != 0 {
			return errno
		}
		if len(name) > linux.NAME_MAX {
			return linux.ENAMETOOLONG
		}
		w.path = rest
		final := w.isFinal(rest)
		if parent && final {
			w.setLast(name, rest)
			return 0
		}
		if errno := w.component(name, rest, final); errno != 0 {
			return errno
		}
	}
}

// isFinal says whether nothing but slashes is left to walk.
func (w *walker) isFinal(rest string) bool {
	if !onlySlashes(rest) {
		return false
	}
	for k := range w.after.n {
		if !onlySlashes(w.after.at(k)) {
			return false
		}
	}
	return true
}

func onlySlashes(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '/' {
			return false
		}
	}
	return true
}

func (w *walker) setLast(name, rest string) {
	w.last = name
	w.trailing = w.anySlash(rest)
	w.path, w.after.n = "", 0
	switch name {
	case ".":
		w.kind = lastDot
	case "..":
		w.kind = lastDotDot
	default:
		w.kind = lastNorm
	}
}

// component walks over one name.
func (w *walker) component(name, rest string, final bool) linux.Errno {
	if name[0] == '.' {
		if name == "." {
			return 0
		}
		if name == ".." {
			return w.dotDot()
		}
	}
	d, errno := w.lookup(name, rest)
	if errno != 0 {
		return errno
	}
	return w.stepInto(d, final, rest)
}

// stepInto goes to child d of where the walk stands: over mounts, and through it if it is a symlink.
func (w *walker) stepInto(d *Dentry, final bool, rest string) linux.Errno {
	i := d.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if d.mounted.Load() != 0 {
		if errno := w.cross(d); errno != 0 {
			return errno
		}
		i = w.d.Inode()
		if i == nil {
			return linux.ENOENT
		}
		if i.Type() != linux.S_IFLNK {
			return 0
		}
		d = w.d
	}
	if i.Type() != linux.S_IFLNK {
		w.d = d
		return 0
	}
	// A trailing slash means the link's target, lstat(2) or not.
	if final && w.flags&Follow == 0 && !w.anySlash(rest) {
		w.d = d
		return 0
	}
	return w.followLink(d, i)
}

// anySlash says whether slashes follow the final component.
func (w *walker) anySlash(rest string) bool {
	if rest != "" {
		return true
	}
	for k := range w.after.n {
		if w.after.at(k) != "" {
			return true
		}
	}
	return false
}

// cross goes onto the topmost mount at child d.
func (w *walker) cross(d *Dentry) linux.Errno {
	mnt := w.mnt
	for d.mounted.Load() != 0 {
		m := lookupMount(Path{mnt, d})
		if m == nil {
			break
		}
		if w.flags&NoXdev != 0 {
			return linux.EXDEV
		}
		mnt, d = m, m.root
	}
	w.mnt, w.d = mnt, d
	return 0
}

// dotDot goes to the parent directory, as far as the root allows.
func (w *walker) dotDot() linux.Errno {
	for {
		if w.d == w.root.Dentry && w.mnt == w.root.Mount {
			if w.flags&Beneath != 0 {
				return linux.EXDEV
			}
			break
		}
		if w.d != w.mnt.root {
			p := w.d.loc.Load().parent
			if p == nil {
				break
			}
			// A directory that was moved out of what its bind mount shows has no way up.
			if w.mnt.root != w.d.sb.root && !w.mnt.root.isAncestorOf(p) {
				return linux.ENOENT
			}
			w.d = p
			break
		}
		up, ok := w.mnt.mountedOn()
		if !ok {
			break
		}
		if w.flags&NoXdev != 0 {
			return linux.EXDEV
		}
		w.mnt, w.d = up.Mount, up.Dentry
	}
	if w.scoped && w.seq != treeSeq.Load() && !pathIsUnder(w.here(), w.root) {
		return linux.EAGAIN
	}
	if w.d.mounted.Load() != 0 {
		return w.cross(w.d)
	}
	return 0
}

// followLink puts the target of the symlink before what is left to walk.
func (w *walker) followLink(d *Dentry, i *Inode) linux.Errno {
	if w.links++; w.links > maxSymlinks {
		return linux.ELOOP
	}
	if w.flags&NoSymlinks != 0 {
		return linux.ELOOP
	}
	if w.mnt.flags.Load()&linux.MS_NOSYMFOLLOW != 0 {
		return linux.ELOOP
	}
	touchAtime(w.mnt, i)
	p, ok, errno := i.Ops.Jump(w.c, i)
	if errno != 0 {
		return errno
	}
	if ok {
		return w.jump(p)
	}
	target, errno := i.Ops.Readlink(w.c, i)
	if errno != 0 {
		return errno
	}
	if target == "" {
		return linux.ENOENT
	}
	if len(target) >= linux.PATH_MAX {
		return linux.ENAMETOOLONG
	}
	if target[0] == '/' {
		if w.flags&Beneath != 0 {
			return linux.EXDEV
		}
		if w.flags&NoXdev != 0 && w.mnt != w.root.Mount {
			return linux.EXDEV
		}
		w.mnt, w.d = w.root.Mount, w.root.Dentry
	}
	if w.path != "" {
		w.after.push(w.path)
	}
	w.path = target
	return 0
}

// jump goes where a magic link leads; p has a reference, which the walker keeps.
func (w *walker) jump(p Path) linux.Errno {
	old := w.jumped
	w.jumped = p
	if !old.IsZero() {
		defer old.Put()
	}
	if w.flags&NoMagic != 0 {
		return linux.ELOOP
	}
	if w.flags&(Beneath|InRoot) != 0 {
		return linux.EXDEV
	}
	if w.flags&NoXdev != 0 && p.Mount != w.mnt {
		return linux.EXDEV
	}
	w.mnt, w.d = p.Mount, p.Dentry
	return 0
}

// pathIsUnder says whether p is root or below it.
func pathIsUnder(p, root Path) bool {
	for {
		if p.Mount == root.Mount {
			return root.Dentry.isAncestorOf(p.Dentry)
		}
		up, ok := p.Mount.mountedOn()
		if !ok {
			return false
		}
		p = up
	}
}
