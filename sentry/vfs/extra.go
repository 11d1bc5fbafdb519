package vfs

import "hornwork/linux"

// inodeExtra is what few inodes have; guarded by Inode.mu.
type inodeExtra struct {
	posix   []posixLock
	flocks  []flockEntry
	waiters lockWaiters
	watches []Watcher
	bound   any // the AF_UNIX socket or the pipe of a FIFO
}

// Bits of Inode.state.
const (
	inodeLinkable uint32 = 1 << iota // made by O_TMPFILE without O_EXCL: may get its first name by linkat(2)
	inodeHasExtra                    // extra has been made
)

// extraLocked returns i.extra, making it. The caller holds i.mu.
func (i *Inode) extraLocked() *inodeExtra {
	if i.extra == nil {
		i.extra = &inodeExtra{}
		i.state.Or(inodeHasExtra)
	}
	return i.extra
}

// extraUsed says, without a lock, whether there can be locks or watches on i.
func (i *Inode) extraUsed() bool { return i.state.Load()&inodeHasExtra != 0 }

// Bound returns the object that was attached to a socket's or FIFO's inode, or nil.
func (i *Inode) Bound() any {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.extra == nil {
		return nil
	}
	return i.extra.bound
}

// SetBound attaches an object: the bound AF_UNIX socket. nil detaches.
func (i *Inode) SetBound(v any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.extraLocked().bound = v
}

// BoundOrMake returns the attached object, attaching the result of make first if there is none.
func (i *Inode) BoundOrMake(make func() any) any {
	i.mu.Lock()
	defer i.mu.Unlock()
	x := i.extraLocked()
	if x.bound == nil {
		x.bound = make()
	}
	return x.bound
}

// unuse drops a dentry's use; the filesystem hears of the last.
func (i *Inode) unuse() {
	if i.uses.Add(-1) != 0 {
		return
	}
	gone := i.Attr().Nlink.Load() == 0
	if gone {
		i.notifyGone()
	}
	i.Ops.Forget(i, gone)
}

// getWrite counts an opener that may write. ETXTBSY while the file is being executed.
func (i *Inode) getWrite() linux.Errno {
	for {
		n := i.writers.Load()
		if n < 0 {
			return linux.ETXTBSY
		}
		if i.writers.CompareAndSwap(n, n+1) {
			i.SB.writers.Add(1)
			return 0
		}
	}
}

func (i *Inode) putWrite() {
	i.writers.Add(-1)
	i.SB.writers.Add(-1)
}

// DenyWrite keeps everybody from opening i for writing, until AllowWrite; ETXTBSY if somebody has it open so.
func (i *Inode) DenyWrite() linux.Errno {
	for {
		n := i.writers.Load()
		if n > 0 {
			return linux.ETXTBSY
		}
		if i.writers.CompareAndSwap(n, n-1) {
			return 0
		}
	}
}

// AllowWrite ends a DenyWrite.
func (i *Inode) AllowWrite() { i.writers.Add(1) }
