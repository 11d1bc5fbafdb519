package vfs

import (
	"math"
	"slices"

	"hornwork/lib/wait"
	"hornwork/linux"
)

// posixLock is one locked range of a file, of a process (fcntl F_SETLK) or of an open file description
// (F_OFD_SETLK). Both kinds conflict with each other.
type posixLock struct {
	owner any // the descriptor table, or the *File of an OFD lock
	pid   int32
	write bool
	start int64
	end   int64 // inclusive; MaxInt64 is the end of the file, wherever that is
}

func (l *posixLock) overlaps(o *posixLock) bool { return l.start <= o.end && o.start <= l.end }

func (l *posixLock) conflicts(o *posixLock) bool {
	return l.owner != o.owner && (l.write || o.write) && l.overlaps(o)
}

// flockEntry is one flock(2) lock.
type flockEntry struct {
	file *File
	pid  int32
	excl bool
}

// lockWaiters is where those sleep who want a lock of an inode.
type lockWaiters struct{ queue wait.Queue }

const lockEvent = wait.In

// lockRange turns struct flock into a range.
func (f *File) lockRange(fl *linux.Flock) (start, end int64, errno linux.Errno) {
	start = fl.Start
	switch fl.Whence {
	case linux.SEEK_SET:
	case linux.SEEK_CUR:
		f.pos.Lock()
		cur := f.offset
		f.pos.Unlock()
		if start > 0 && cur > math.MaxInt64-start {
			return 0, 0, linux.EOVERFLOW
		}
		start += cur
	case linux.SEEK_END:
		size := f.Inode().Attr().Size.Load()
		if start > 0 && size > math.MaxInt64-start {
			return 0, 0, linux.EOVERFLOW
		}
		start += size
	default:
		return 0, 0, linux.EINVAL
	}
	if start < 0 {
		return 0, 0, linux.EINVAL
	}
	switch {
	case fl.Len > 0:
		if fl.Len-1 > math.MaxInt64-start {
			return 0, 0, linux.EOVERFLOW
		}
		return start, start + fl.Len - 1, 0
	case fl.Len < 0:
		if start+fl.Len < 0 {
			return 0, 0, linux.EINVAL
		}
		return start + fl.Len, start - 1, 0
	}
	return start, math.MaxInt64, 0
}

// lockOwner is whom POSIX locks belong to.
func (c *Caller) lockOwner() any {
	if c.Files != nil {
		return c.Files
	}
	return c.PID
}

// lockRequest checks a struct flock and makes the lock that it asks for.
func (f *File) lockRequest(c *Caller, fl *linux.Flock, ofd bool) (posixLock, linux.Errno) {
	owner := c.lockOwner()
	if ofd {
		if fl.PID != 0 {
			return posixLock{}, linux.EINVAL
		}
		owner = f
	}
	if f.Flags()&linux.O_PATH != 0 {
		return posixLock{}, linux.EBADF
	}
	start, end, errno := f.lockRange(fl)
	if errno != 0 {
		return posixLock{}, errno
	}
	l := posixLock{owner: owner, pid: c.PID, start: start, end: end}
	if ofd {
		l.pid = -1
	}
	switch fl.Type {
	case linux.F_RDLCK, linux.F_UNLCK:
	case linux.F_WRLCK:
		l.write = true
	default:
		return posixLock{}, linux.EINVAL
	}
	return l, 0
}

// GetLock implements F_GETLK and F_OFD_GETLK: fl becomes the first lock in the way, or F_UNLCK.
func (f *File) GetLock(c *Caller, fl *linux.Flock, ofd bool) linux.Errno {
	if fl.Type != linux.F_RDLCK && fl.Type != linux.F_WRLCK {
		return linux.EINVAL
	}
	want, errno := f.lockRequest(c, fl, ofd)
	if errno != 0 {
		return errno
	}
	i := f.Inode()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, l := range i.extraLocked().posix {
		if !l.conflicts(&want) {
			continue
		}
		fl.Type, fl.Whence, fl.Start, fl.Len, fl.PID = linux.F_RDLCK, linux.SEEK_SET, l.start, 0, l.pid
		if l.write {
			fl.Type = linux.F_WRLCK
		}
		if l.end != math.MaxInt64 {
			fl.Len = l.end - l.start + 1
		}
		return 0
	}
	fl.Type = linux.F_UNLCK
	return 0
}

// SetLock implements F_SETLK, F_SETLKW and their OFD forms.
func (f *File) SetLock(c *Caller, fl *linux.Flock, ofd, block bool) linux.Errno {
	want, errno := f.lockRequest(c, fl, ofd)
	if errno != 0 {
		return errno
	}
	switch fl.Type {
	case linux.F_RDLCK:
		if !f.Readable() {
			return linux.EBADF
		}
	case linux.F_WRLCK:
		if !f.Writable() {
			return linux.EBADF
		}
	}
	i := f.Inode()
	if fl.Type == linux.F_UNLCK {
		i.mu.Lock()
		x := i.extraLocked()
		x.posix = subtractLock(x.posix, &want)
		i.locksChanged(x)
		i.mu.Unlock()
		x.waiters.queue.Notify(lockEvent)
		return 0
	}
	blocker := i.tryPosix(&want)
	if blocker == nil {
		return 0
	}
	if !block || c.Blocker == nil {
		return linux.EAGAIN
	}
	return i.waitPosix(c, &want, blocker, ofd)
}

// tryPosix takes the lock, or returns the owner that is in the way.
func (i *Inode) tryPosix(want *posixLock) (blocker any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	x := i.extraLocked()
	for k := range x.posix {
		if x.posix[k].conflicts(want) {
			return x.posix[k].owner
		}
	}
	x.posix = addLock(subtractLock(x.posix, want), *want)
	i.locksChanged(x)
	// A write lock that became a read lock lets others in.
	x.waiters.queue.Notify(lockEvent)
	return nil
}

// waitPosix sleeps until the lock is ours.
func (i *Inode) waitPosix(c *Caller, want *posixLock, blocker any, ofd bool) linux.Errno {
	w := &lockWait{owner: want.owner}
	defer lockGraph.remove(w)
	if !ofd && !lockGraph.add(w, blocker) {
		return linux.EDEADLK
	}
	deadlock := false
	errno := c.Blocker.Block(&i.extra.waiters.queue, lockEvent, wait.Deadline{}, func() bool {
		b := i.tryPosix(want)
		if b == nil {
			return true
		}
		if !ofd && !lockGraph.add(w, b) {
			deadlock = true
			return true
		}
		return false
	})
	if deadlock {
		return linux.EDEADLK
	}
	return errno
}

// subtractLock takes want's range from its owner's locks, splitting those that reach beyond it.
func subtractLock(locks []posixLock, want *posixLock) []posixLock {
	out := make([]posixLock, 0, len(locks)+1)
	for _, l := range locks {
		if l.owner != want.owner || !l.overlaps(want) {
			out = append(out, l)
			continue
		}
		if l.start < want.start {
			left := l
			left.end = want.start - 1
			out = append(out, left)
		}
		if l.end > want.end {
			right := l
			right.start = want.end + 1
			out = append(out, right)
		}
	}
	return out
}

// addLock enters n, merging it with its owner's neighbours of the same kind. Locks are in order of start.
func addLock(locks []posixLock, n posixLock) []posixLock {
	out := locks[:0]
	for _, l := range locks {
		touches := l.owner == n.owner && l.write == n.write &&
			(l.overlaps(&n) || l.end != math.MaxInt64 && l.end+1 == n.start || n.end != math.MaxInt64 && n.end+1 == l.start)
		if touches {
			n.start, n.end = min(n.start, l.start), max(n.end, l.end)
			continue
		}
		out = append(out, l)
	}
	k, _ := slices.BinarySearchFunc(out, n.start, func(l posixLock, s int64) int {
		if l.start < s {
			return -1
		}
		return 1
	})
	return slices.Insert(out, k, n)
}

// Flock implements flock(2) with an op of LOCK_SH, LOCK_EX or LOCK_UN and LOCK_NB.
func (f *File) Flock(c *Caller, op uint32) linux.Errno {
	nb := op&linux.LOCK_NB != 0
	op &^= linux.LOCK_NB
	if op != linux.LOCK_SH && op != linux.LOCK_EX && op != linux.LOCK_UN {
		return linux.EINVAL
	}
	if f.Flags()&linux.O_PATH != 0 {
		return linux.EBADF
	}
	i := f.Inode()
	if op == linux.LOCK_UN {
		i.dropFlock(f)
		return 0
	}
	excl := op == linux.LOCK_EX
	i.mu.Lock()
	x := i.extraLocked()
	for _, e := range x.flocks {
		if e.file == f && e.excl == excl {
			i.mu.Unlock()
			return 0
		}
	}
	i.mu.Unlock()
	i.dropFlock(f) // changing the kind is not atomic; flock(2)
	try := func() bool { return i.tryFlock(c, f, excl) }
	if try() {
		return 0
	}
	if nb || c.Blocker == nil {
		return linux.EAGAIN
	}
	return c.Blocker.Block(&x.waiters.queue, lockEvent, wait.Deadline{}, try)
}

func (i *Inode) tryFlock(c *Caller, f *File, excl bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	x := i.extra
	for _, e := range x.flocks {
		if e.file != f && (excl || e.excl) {
			return false
		}
	}
	x.flocks = append(x.flocks, flockEntry{f, c.PID, excl})
	i.locksChanged(x)
	return true
}

func (i *Inode) dropFlock(f *File) {
	i.mu.Lock()
	x := i.extraLocked()
	n := len(x.flocks)
	x.flocks = slices.DeleteFunc(x.flocks, func(e flockEntry) bool { return e.file == f })
	changed := len(x.flocks) != n
	if changed {
		i.locksChanged(x)
	}
	i.mu.Unlock()
	if changed {
		x.waiters.queue.Notify(lockEvent)
	}
}

// dropFileLocks releases the flock and OFD locks of a file description that goes away.
func (i *Inode) dropFileLocks(f *File) {
	i.dropFlock(f)
	i.dropPosixLocks(f)
}

// dropPosixLocks releases all locks of an owner.
func (i *Inode) dropPosixLocks(owner any) {
	i.mu.Lock()
	x := i.extraLocked()
	n := len(x.posix)
	x.posix = slices.DeleteFunc(x.posix, func(l posixLock) bool { return l.owner == owner })
	changed := len(x.posix) != n
	if changed {
		i.locksChanged(x)
	}
	i.mu.Unlock()
	if changed {
		x.waiters.queue.Notify(lockEvent)
	}
}
