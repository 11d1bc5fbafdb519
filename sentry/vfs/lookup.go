package vfs

import (
	"strings"

	"hornwork/linux"
)

// lookup finds the child of the directory where the walk stands, in the cache if it can; rest is the path
// behind name, for filesystems that look up several components in one go. The result has no reference.
func (w *walker) lookup(name, rest string) (*Dentry, linux.Errno) {
	dir := w.d
	d := dir.child(name)
	if d != nil && dir.sb.Revalidate && !w.isFresh(dir, d) {
		if w.flags&Cached != 0 {
			return nil, linux.EAGAIN
		}
		if !w.revalidate(dir, d, name, rest) {
			d.invalidate()
			d = nil
		}
	}
	if d != nil {
		if d.state.Load()&dentryUsed == 0 {
			d.state.Or(dentryUsed)
		}
		return d, 0
	}
	if w.flags&Cached != 0 {
		return nil, linux.EAGAIN
	}
	if !dir.tryGet() {
		return nil, errRestart
	}
	defer dir.put()
	dir.dir.lock.Lock()
	d, errno := lookupLocked(w.c, dir, name, rest)
	dir.dir.lock.Unlock()
	if errno != 0 {
		return nil, errno
	}
	// Dropping the reference leaves the dentry in the cache, where the clock may take it: the caller's
	// tryGet at the end of the walk finds out.
	d.put()
	if dir.sb.Revalidate {
		w.fresh, w.freshAt = maxWalkAhead, d // all that is cached below is younger than this walk
	}
	return d, 0
}

// isFresh says whether child d of dir needs no question since this walk has asked already.
func (w *walker) isFresh(dir, d *Dentry) bool {
	if w.fresh == 0 || w.freshAt != dir {
		return false
	}
	w.fresh--
	w.freshAt = d
	return true
}

// revalidate asks whether the cached child d is still what name means, and at the same time about as much of
// the path behind it as is cached, if the filesystem can.
func (w *walker) revalidate(dir, d *Dentry, name, rest string) bool {
	i := dir.Inode()
	if pr, ok := i.Ops.(PathRevalidator); ok {
		names := componentsOf(name, rest)
		if len(names) == 0 {
			names = []string{name}
		}
		children := make([]*Inode, 0, len(names))
		for at := d; ; {
			children = append(children, at.Inode())
			if len(children) == len(names) || !at.isDir() || at.mounted.Load() != 0 {
				break
			}
			if at = at.child(names[len(children)]); at == nil {
				break
			}
		}
		n := pr.RevalidatePath(w.c, i, names[:len(children)], children)
		if n > 0 {
			w.fresh, w.freshAt = n-1, d
		}
		return n > 0
	}
	if r, ok := i.Ops.(Revalidator); ok {
		return r.Revalidate(w.c, i, name, d.Inode())
	}
	return true
}

// invalidate drops a cached name that does not mean what it did, unless something is mounted below it.
func (d *Dentry) invalidate() {
	if d.mounted.Load() != 0 {
		return
	}
	if !d.tryGet() {
		return
	}
	shrinkTree(d)
	d.unhash()
	d.put()
}

// lookupLocked returns the child with a reference, negative if there is no such file. The caller holds dir's
// Dir lock and a reference on dir.
func lookupLocked(c *Caller, dir *Dentry, name, rest string) (*Dentry, linux.Errno) {
	if d := dir.childRef(name); d != nil {
		return d, 0
	}
	if dir.dir.removed {
		return nil, linux.ENOENT
	}
	di := dir.Inode()
	if pw, ok := di.Ops.(PathWalker); ok {
		if more := componentsOf(name, rest); len(more) > 0 {
			return walkPathLocked(c, dir, pw, more)
		}
	}
	i, errno := di.Ops.Lookup(c, di, name)
	if errno != 0 && errno != linux.ENOENT {
		return nil, errno
	}
	if errno == 0 && i == nil {
		return nil, linux.EIO
	}
	return addChild(dir, name, i), 0
}

// addChild enters a new name into the cache and returns its dentry with a reference.
func addChild(dir *Dentry, name string, i *Inode) *Dentry {
	d := newDentry(dir.sb, dir, strings.Clone(name), i)
	d.hash()
	return d
}

const maxWalkAhead = 32

// componentsOf returns name and the plain components that follow it in rest, if there are any.
func componentsOf(name, rest string) []string {
	if onlySlashes(rest) {
		return nil
	}
	names := append(make([]string, 0, 8), name)
	for len(names) < maxWalkAhead {
		for rest != "" && rest[0] == '/' {
			rest = rest[1:]
		}
		if rest == "" {
			break
		}
		comp, after, _ := strings.Cut(rest, "/")
		if comp == "." || comp == ".." || len(comp) > linux.NAME_MAX {
			break
		}
		names = append(names, comp)
		rest = rest[len(comp):]
		if after == "" {
			break
		}
	}
	if len(names) == 1 {
		return nil
	}
	return names
}

// walkPathLocked looks up names in one go and enters all of the answer into the cache. Nobody else can be at
// work below names[0]: it is not cached, and dir's lock is held.
func walkPathLocked(c *Caller, dir *Dentry, pw PathWalker, names []string) (*Dentry, linux.Errno) {
	inodes, errno := pw.WalkPath(c, dir.Inode(), names)
	if errno != 0 && errno != linux.ENOENT || len(inodes) > len(names) {
		if len(inodes) == 0 || len(inodes) > len(names) {
			if errno == 0 {
				errno = linux.EIO
			}
			return nil, errno
		}
		errno = 0 // what is beyond the prefix is asked for again, and fails then
	}
	// Each new dentry keeps its reference until its child has one on it, lest the clock takes it.
	var first *Dentry
	at := dir
	enter := func(name string, i *Inode) {
		d := addChild(at, name, i)
		if first == nil {
			first = d
		} else if at != first {
			at.put()
		}
		at = d
	}
	n := 0
	for n < len(inodes) && inodes[n] != nil && at.dir != nil {
		enter(names[n], inodes[n])
		n++
	}
	if errno == linux.ENOENT && n == len(inodes) && n < len(names) && at.dir != nil {
		enter(names[n], nil)
	}
	if first == nil {
		return nil, linux.EIO
	}
	if at != first {
		at.put()
	}
	return first, 0
}
