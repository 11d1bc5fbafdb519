package vfs

import "hornwork/linux"

const renameFlags = linux.RENAME_NOREPLACE | linux.RENAME_EXCHANGE | linux.RENAME_WHITEOUT

// Rename implements renameat2(2).
func Rename(c *Caller, atOld Path, old string, atNew Path, new string, flags uint32) linux.Errno {
	if flags&^renameFlags != 0 {
		return linux.EINVAL
	}
	if flags&linux.RENAME_EXCHANGE != 0 && flags != linux.RENAME_EXCHANGE {
		return linux.EINVAL
	}
	from, errno := walkParent(c, atOld, old)
	if errno != 0 {
		return errno
	}
	defer from.dir.Put()
	to, errno := walkParent(c, atNew, new)
	if errno != 0 {
		return errno
	}
	defer to.dir.Put()
	if from.dir.Mount != to.dir.Mount {
		return linux.EXDEV
	}
	if from.kind != lastNorm {
		return linux.EBUSY
	}
	if to.kind != lastNorm {
		if flags&linux.RENAME_NOREPLACE != 0 {
			return linux.EEXIST
		}
		return linux.EBUSY
	}
	if errno := wantWrite(from.dir); errno != 0 {
		return errno
	}
	if from.dir.Dentry.dir == nil || to.dir.Dentry.dir == nil {
		return linux.ENOTDIR
	}
	r := renaming{c: c, from: &from, to: &to, flags: flags}
	errno = r.run()
	r.release()
	return errno
}

// renaming is one rename(2) on its way.
type renaming struct {
	c        *Caller
	from, to *parentWalk
	flags    uint32
	old, new *Dentry // with references
}

func (r *renaming) release() {
	if r.old != nil {
		r.old.put()
	}
	if r.new != nil {
		r.new.put()
	}
}

// run takes the locks: both directories, the ancestor first, under the filesystem's rename lock if they differ.
func (r *renaming) run() linux.Errno {
	a, b := r.from.dir.Dentry, r.to.dir.Dentry
	if a == b {
		a.dir.lock.Lock()
		defer a.dir.lock.Unlock()
		return r.locked(false, false)
	}
	a.sb.rename.Lock()
	defer a.sb.rename.Unlock()
	aAbove, bAbove := a.isAncestorOf(b), b.isAncestorOf(a)
	if bAbove {
		a, b = b, a
	}
	// Unrelated directories: the tree cannot change now, and all others lock along its branches only.
	a.dir.lock.Lock()
	defer a.dir.lock.Unlock()
	b.dir.lock.LockNested()
	defer b.dir.lock.Unlock()
	return r.locked(aAbove, bAbove)
}

// locked looks up both names and renames. fromAbove: the old directory is an ancestor of the new one; toAbove:
// the other way round.
func (r *renaming) locked(fromAbove, toAbove bool) linux.Errno {
	from, to := r.from.dir.Dentry, r.to.dir.Dentry
	var errno linux.Errno
	if r.old, errno = lookupLast(r.c, from, r.from.last); errno != 0 {
		return errno
	}
	if r.old.Inode() == nil {
		return linux.ENOENT
	}
	if r.new, errno = lookupLast(r.c, to, r.to.last); errno != 0 {
		return errno
	}
	if r.flags&linux.RENAME_NOREPLACE != 0 && r.new.Inode() != nil {
		return linux.EEXIST
	}
	exchange := r.flags&linux.RENAME_EXCHANGE != 0
	if exchange {
		if r.new.Inode() == nil {
			return linux.ENOENT
		}
		if !r.new.isDir() && r.to.trailing {
			return linux.ENOTDIR
		}
	}
	if !r.old.isDir() {
		if r.from.trailing || !exchange && r.to.trailing {
			return linux.ENOTDIR
		}
	}
	// Neither may be moved below itself.
	if fromAbove && r.old.isAncestorOf(to) {
		return linux.EINVAL
	}
	if toAbove && r.new.isAncestorOf(from) {
		if exchange {
			return linux.EINVAL
		}
		return linux.ENOTEMPTY
	}
	return r.move(from, to, exchange)
}

// move checks permissions and lets the filesystem rename: Linux's vfs_rename.
func (r *renaming) move(from, to *Dentry, exchange bool) linux.Errno {
	c, old, new := r.c, r.old, r.new
	oi, ni := old.Inode(), new.Inode()
	if oi == ni {
		return 0 // two names of one file: nothing to do, and both stay
	}
	isDir := old.isDir()
	if errno := c.mayDelete(from, old, isDir); errno != 0 {
		return errno
	}
	var errno linux.Errno
	if ni == nil {
		errno = c.mayCreate(to)
	} else {
		errno = c.mayDelete(to, new, isDir && !exchange || exchange && new.isDir())
	}
	if errno != 0 {
		return errno
	}
	if from != to { // ".." changes
		if isDir {
			if errno := c.Permission(oi, MayWrite); errno != 0 {
				return errno
			}
		}
		if exchange && new.isDir() {
			if errno := c.Permission(ni, MayWrite); errno != 0 {
				return errno
			}
		}
	}
	if isLocalMountPoint(c, old) || isLocalMountPoint(c, new) {
		return linux.EBUSY
	}
	if !exchange && ni != nil && new.dir != nil {
		new.dir.lock.LockNested()
		defer new.dir.lock.Unlock()
	}
	flags := r.flags &^ linux.RENAME_NOREPLACE
	if errno := from.Inode().Ops.Rename(c, from.Inode(), r.from.last, oi, to.Inode(), r.to.last, ni, flags); errno != 0 {
		return errno
	}
	r.publish(from, to, exchange)
	return 0
}

// publish brings the cache in line and tells the watchers.
func (r *renaming) publish(from, to *Dentry, exchange bool) {
	old, new := r.old, r.new
	oldName, newName := old.loc.Load().name, new.loc.Load().name
	victim := new.Inode()
	treeSeq.Add(1)
	if exchange {
		swapDentries(old, new)
	} else {
		if victim != nil && new.dir != nil {
			new.dir.removed = true
		}
		detachMountsAt(new)
		new.unhash()
		old.moveTo(to, newName)
	}
	treeSeq.Add(1)
	if watchCount.Load() == 0 {
		return
	}
	cookie := nextCookie.Add(1)
	notifyDir(from, oldName, linux.IN_MOVED_FROM, old.isDir(), cookie)
	notifyDir(to, newName, linux.IN_MOVED_TO, old.isDir(), cookie)
	if !exchange && victim != nil && victim.Type() != linux.S_IFDIR {
		victim.notify(Event{Mask: linux.IN_ATTRIB})
	}
	old.Inode().notify(Event{Mask: linux.IN_MOVE_SELF})
	if exchange {
		cookie = nextCookie.Add(1)
		notifyDir(to, newName, linux.IN_MOVED_FROM, new.isDir(), cookie)
		notifyDir(from, oldName, linux.IN_MOVED_TO, new.isDir(), cookie)
		new.Inode().notify(Event{Mask: linux.IN_MOVE_SELF})
	}
}

// moveTo hangs d, which is cached, below another directory. Both Dir locks are held.
func (d *Dentry) moveTo(to *Dentry, name string) {
	l := d.loc.Load()
	if l.parent == to {
		ds := to.dir
		ds.mu.Lock()
		delete(ds.children, l.name)
		ds.children[name] = d
		d.loc.Store(&location{to, name})
		ds.mu.Unlock()
		return
	}
	to.get()
	d.unhash()
	d.loc.Store(&location{to, name})
	to.dir.mu.Lock()
	to.dir.children[name] = d
	d.state.And(^dentryUnhashed)
	to.dir.mu.Unlock()
	l.parent.put()
}

// swapDentries exchanges the places of two cached dentries. Both Dir locks are held.
func swapDentries(a, b *Dentry) {
	la, lb := a.loc.Load(), b.loc.Load()
	a.unhash()
	b.unhash()
	a.loc.Store(lb)
	b.loc.Store(la)
	for _, d := range [...]*Dentry{a, b} {
		l := d.loc.Load()
		l.parent.dir.mu.Lock()
		l.parent.dir.children[l.name] = d
		d.state.And(^dentryUnhashed)
		l.parent.dir.mu.Unlock()
	}
}
