package vfs

import "hornwork/linux"

// Unlink implements unlinkat(2) without AT_REMOVEDIR.
func Unlink(c *Caller, at Path, name string) linux.Errno {
	w, errno := walkParent(c, at, name)
	if errno != 0 {
		return errno
	}
	defer w.dir.Put()
	if w.kind != lastNorm {
		return linux.EISDIR
	}
	return remove(c, &w, false)
}

// Rmdir implements rmdir(2).
func Rmdir(c *Caller, at Path, name string) linux.Errno {
	w, errno := walkParent(c, at, name)
	if errno != 0 {
		return errno
	}
	defer w.dir.Put()
	switch w.kind {
	case lastDotDot:
		return linux.ENOTEMPTY
	case lastDot:
		return linux.EINVAL
	case lastRoot:
		return linux.EBUSY
	}
	return remove(c, &w, true)
}

// remove takes w.last out of its directory.
func remove(c *Caller, w *parentWalk, wantDir bool) linux.Errno {
	if errno := wantWrite(w.dir); errno != 0 {
		return errno
	}
	dir := w.dir.Dentry
	if dir.dir == nil {
		return linux.ENOTDIR
	}
	dir.dir.lock.Lock()
	d, errno := lookupLast(c, dir, w.last)
	if errno == 0 {
		errno = removeLocked(c, w, d, wantDir)
	}
	dir.dir.lock.Unlock()
	if d != nil {
		d.put() // may let the inode go: not under the lock
	}
	if errno == 0 { // watchers hear of the inode's end first
		notifyDir(dir, w.last, linux.IN_DELETE, wantDir, 0)
	}
	return errno
}

func removeLocked(c *Caller, w *parentWalk, d *Dentry, wantDir bool) linux.Errno {
	i := d.Inode()
	if i == nil {
		return linux.ENOENT
	}
	if w.trailing && !wantDir {
		if d.isDir() {
			return linux.EISDIR
		}
		return linux.ENOTDIR
	}
	dir := w.dir.Dentry
	if errno := c.mayDelete(dir, d, wantDir); errno != 0 {
		return errno
	}
	di := dir.Inode()
	if wantDir {
		d.dir.lock.LockNested()
		defer d.dir.lock.Unlock()
		if isLocalMountPoint(c, d) {
			return linux.EBUSY
		}
		if errno := di.Ops.Rmdir(c, di, w.last, i); errno != 0 {
			return errno
		}
		d.dir.removed = true
		detachMountsAt(d)
		d.unhash()
		return 0
	}
	if isLocalMountPoint(c, d) {
		return linux.EBUSY
	}
	if errno := di.Ops.Unlink(c, di, w.last, i); errno != 0 {
		return errno
	}
	detachMountsAt(d)
	d.unhash()
	i.notify(Event{Mask: linux.IN_ATTRIB})
	return 0
}
