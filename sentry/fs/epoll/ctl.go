package epoll

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/poll"
	"hornwork/sentry/vfs"
)

// NoPoll is implemented by the operations of files that cannot be polled though they are neither regular files nor
// directories (/dev/null): epoll refuses them with EPERM.
type NoPoll interface{ NoPoll() }

// Ctl is epoll_ctl(2) once both descriptors are looked up; self is the epoll's own file, event is not used by
// EPOLL_CTL_DEL.
func (ep *Epoll) Ctl(c *vfs.Caller, self *vfs.File, op int32, fd int32, target *vfs.File, event linux.EpollEvent) linux.Errno {
	if !pollable(target) {
		return linux.EPERM
	}
	if op != linux.EPOLL_CTL_DEL && event.Events&linux.EPOLLWAKEUP != 0 && !c.Creds.HasCap(linux.CAP_BLOCK_SUSPEND) {
		event.Events &^= linux.EPOLLWAKEUP
	}
	if self == target {
		return linux.EINVAL
	}
	inner, nested := target.Ops.(*Epoll)
	if op != linux.EPOLL_CTL_DEL && event.Events&linux.EPOLLEXCLUSIVE != 0 {
		if op == linux.EPOLL_CTL_MOD || nested || event.Events&^exclusiveOK != 0 {
			return linux.EINVAL
		}
	}
	if nested {
		nesting.Lock()
		defer nesting.Unlock()
		if op == linux.EPOLL_CTL_ADD {
			if errno := ep.checkNesting(inner); errno != 0 {
				return errno
			}
		}
	}
	ep.mu.Lock()
	defer ep.mu.Unlock()
	k := key{target, fd}
	it := ep.items[k]
	switch op {
	case linux.EPOLL_CTL_ADD:
		if it != nil {
			return linux.EEXIST
		}
		return ep.addLocked(poll.Of(c, target), k, event)
	case linux.EPOLL_CTL_DEL:
		if it == nil {
			return linux.ENOENT
		}
		target.RemoveReleaseHook(it)
		ep.removeLocked(it)
		return 0
	case linux.EPOLL_CTL_MOD:
		if it == nil {
			return linux.ENOENT
		}
		if it.events&linux.EPOLLEXCLUSIVE != 0 {
			return linux.EINVAL
		}
		it.of.EventUnregister(&it.entry)
		it.setLocked(event)
		return 0
	}
	return linux.EINVAL
}

func pollable(f *vfs.File) bool {
	switch f.Inode().Type() {
	case linux.S_IFREG, linux.S_IFDIR:
		p, ok := f.Ops.(interface{ CanPoll() bool })
		return ok && p.CanPoll() // /proc/self/mounts and the like
	}
	_, no := f.Ops.(NoPoll)
	return !no
}

func (ep *Epoll) addLocked(of wait.Waitable, k key, event linux.EpollEvent) linux.Errno {
	if len(ep.items) >= maxItems {
		return linux.ENOSPC
	}
	it := &item{ep: ep, key: k, of: of}
	ep.items[k] = it
	if inner, ok := k.file.Ops.(*Epoll); ok {
		if inner.watchers == nil {
			inner.watchers = map[*item]struct{}{}
		}
		inner.watchers[it] = struct{}{} // the caller holds nesting
	}
	k.file.AddReleaseHook(it)
	it.setLocked(event)
	return 0
}

// setLocked starts watching as event says; the entry is on no queue. What holds already is reported at once.
func (it *item) setLocked(event linux.EpollEvent) {
	it.events = event.Events | linux.EPOLLERR | linux.EPOLLHUP
	it.data = event.Data
	mask := it.events &^ privateBits
	it.armed.Store(mask)
	it.entry = wait.Entry{Waker: it, Mask: wait.Events(mask), Exclusive: it.events&linux.EPOLLEXCLUSIVE != 0}
	it.of.EventRegister(&it.entry)
	if it.poll() != 0 {
		it.makeReady()
	}
}

// removeLocked forgets an item whose release hook is gone or running.
func (ep *Epoll) removeLocked(it *item) {
	it.of.EventUnregister(&it.entry) // no Wake runs after this
	ep.unlist(it)
	delete(ep.items, it.key)
}

// FileReleased implements vfs.ReleaseHook.
func (it *item) FileReleased(*vfs.File) {
	ep := it.ep
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.items[it.key] == it {
		ep.removeLocked(it)
	}
}
