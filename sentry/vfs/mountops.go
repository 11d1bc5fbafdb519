package vfs

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
)

// MayMount says whether c may change its mount namespace.
func MayMount(c *Caller) bool {
	ns := c.Root.Mount.NS()
	if ns == nil {
		return false
	}
	return c.capableIn(ns.UserNS, linux.CAP_SYS_ADMIN)
}

// capableIn says whether c has a capability over what user owns; nil stands for the root namespace.
func (c *Caller) capableIn(user *cred.UserNS, capability int) bool {
	if user == nil {
		return c.Creds.HasCap(capability) && (c.Creds.UserNS == nil || c.Creds.UserNS.Parent == nil)
	}
	return c.Creds.HasCapIn(user, capability)
}

const propagationFlags = linux.MS_SHARED | linux.MS_PRIVATE | linux.MS_SLAVE | linux.MS_UNBINDABLE

// mountFlagsOf picks a new mount's own flags from mount(2)'s; relatime is the default.
func mountFlagsOf(flags uint32) uint32 {
	out := flags & (linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME |
		linux.MS_NODIRATIME | linux.MS_NOSYMFOLLOW)
	if flags&(linux.MS_NOATIME|linux.MS_STRICTATIME) == 0 {
		out |= linux.MS_RELATIME
	}
	return out
}

// MountFS implements mount(2) once the target has been walked.
func MountFS(c *Caller, source string, target Path, fstype string, flags uint32, data string) linux.Errno {
	if flags&linux.MS_MGC_MSK == linux.MS_MGC_VAL {
		flags &^= linux.MS_MGC_MSK
	}
	if !MayMount(c) {
		return linux.EPERM
	}
	switch {
	case flags&(linux.MS_REMOUNT|linux.MS_BIND) == linux.MS_REMOUNT|linux.MS_BIND:
		return Remount(c, target, flags, "")
	case flags&linux.MS_REMOUNT != 0:
		return Remount(c, target, flags, data)
	case flags&(linux.MS_BIND|linux.MS_MOVE) != 0 && flags&propagationFlags == 0 && source == "":
		return linux.EINVAL
	case flags&linux.MS_BIND != 0:
		from, errno := Walk(c, c.Cwd, source, Follow)
		if errno != 0 {
			return errno
		}
		defer from.Put()
		return Bind(c, from, target, flags&linux.MS_REC != 0)
	case flags&propagationFlags != 0:
		return SetPropagation(c, target, flags)
	case flags&linux.MS_MOVE != 0:
		from, errno := Walk(c, c.Cwd, source, Follow)
		if errno != 0 {
			return errno
		}
		defer from.Put()
		return MoveMount(c, from, target)
	}
	return MountNew(c, fstype, source, target, flags, data)
}

// MountNew makes a filesystem of a registered type and attaches it at target.
func MountNew(c *Caller, fstype, source string, target Path, flags uint32, data string) linux.Errno {
	if fstype == "" {
		return linux.EINVAL
	}
	t, ok := lookupFSType(fstype)
	if !ok {
		return linux.ENODEV
	}
	if !t.UserMount && c.Creds.UserNS != nil && c.Creds.UserNS.Parent != nil {
		return linux.EPERM
	}
	sb, errno := t.Mount(c, source, flags, data)
	if errno != 0 {
		return errno
	}
	if sb.Source == "" {
		sb.Source = source
	}
	return MountAt(sb, target, flags)
}

// MountAt attaches a filesystem at target with mount(2)'s flags, which the filesystem has seen. The superblock
// is released if that fails and nothing else mounts it.
func MountAt(sb *Superblock, target Path, flags uint32) linux.Errno {
	m := newMount(sb, sb.RootDentry(), mountFlagsOf(flags))
	mounts.mu.Lock()
	errno := attachNewLocked(m, target)
	mounts.mu.Unlock()
	if errno != 0 {
		m.put()
	}
	return errno
}

// attachNewLocked grafts m at p, or on what has been mounted there meanwhile.
func attachNewLocked(m *Mount, p Path) linux.Errno {
	for top := mounts.at[p]; top != nil; top = mounts.at[p] {
		p = Path{top, top.root}
	}
	if p.Mount.ns == nil {
		return linux.EINVAL
	}
	if m.SB == p.Mount.SB && p.Dentry == p.Mount.root && m.root == p.Mount.root && p.Mount.parent != nil {
		return linux.EBUSY // the same thing twice at one place
	}
	if m.root.isDir() != p.Dentry.isDir() {
		return linux.ENOTDIR
	}
	if p.Dentry.Unlinked() {
		return linux.ENOENT
	}
	return graftLocked(m, p)
}

// inCallersNS says whether m is in c's own namespace.
func inCallersNS(c *Caller, m *Mount) bool { return m.ns != nil && m.ns == c.Root.Mount.ns }

// Bind implements MS_BIND, with MS_REC if recursive.
func Bind(c *Caller, from, target Path, recursive bool) linux.Errno {
	mounts.mu.Lock()
	var m *Mount
	errno := func() linux.Errno {
		src := from.Mount
		if !inCallersNS(c, target.Mount) || src.ns != nil && !inCallersNS(c, src) {
			return linux.EINVAL
		}
		if src.prop.unbindable || src.ns == nil && !from.Dentry.Nameless() {
			return linux.EINVAL
		}
		if !recursive && hasLockedChildren(src, from.Dentry) {
			return linux.EINVAL
		}
		if recursive {
			m = src.copyTreeLocked(from.Dentry, clonePeer, false, nil)
		} else {
			m = src.cloneLocked(from.Dentry, clonePeer)
		}
		m.locked = false
		return attachNewLocked(m, target)
	}()
	var gone []*Mount
	if errno != 0 && m != nil {
		gone = umountTreeLocked(m, false)
	}
	mounts.mu.Unlock()
	releaseMounts(gone)
	return errno
}

// hasLockedChildren says whether a bind mount of d alone would uncover what a locked mount hides.
func hasLockedChildren(m *Mount, d *Dentry) bool {
	for _, ch := range m.children {
		if ch.locked && d.isAncestorOf(ch.point) {
			return true
		}
	}
	return false
}

// Remount implements MS_REMOUNT; with MS_BIND it leaves the filesystem alone.
func Remount(c *Caller, p Path, flags uint32, data string) linux.Errno {
	m := p.Mount
	if p.Dentry != m.root {
		return linux.EINVAL
	}
	mounts.mu.RLock()
	ok := inCallersNS(c, m)
	locked := m.lockedFl
	mounts.mu.RUnlock()
	if !ok {
		return linux.EINVAL
	}
	next := mountFlagsOf(flags)
	if flags&(linux.MS_NOATIME|linux.MS_NODIRATIME|linux.MS_RELATIME|linux.MS_STRICTATIME) == 0 {
		const keep = linux.MS_NOATIME | linux.MS_NODIRATIME | linux.MS_RELATIME
		next = next&^keep | m.flags.Load()&keep
	}
	if locked&^next != 0 {
		return linux.EPERM
	}
	if flags&linux.MS_BIND == 0 {
		if !c.capableIn(m.SB.UserNS, linux.CAP_SYS_ADMIN) {
			return linux.EPERM
		}
		if flags&linux.MS_RDONLY != 0 && m.SB.writers.Load() > 0 {
			return linux.EBUSY
		}
		if m.SB.Remount != nil {
			if errno := m.SB.Remount(c, flags, data); errno != 0 {
				return errno
			}
		}
		m.SB.SetFlags(m.SB.Flags()&^(linux.MS_RDONLY|linux.MS_SYNCHRONOUS) | flags&(linux.MS_RDONLY|linux.MS_SYNCHRONOUS))
	}
	m.flags.Store(next)
	mounts.mu.Lock()
	if m.ns != nil {
		m.ns.changed()
	}
	mounts.mu.Unlock()
	return 0
}

// SetPropagation implements MS_SHARED, MS_PRIVATE, MS_SLAVE and MS_UNBINDABLE, with MS_REC for the mounts below.
func SetPropagation(c *Caller, p Path, flags uint32) linux.Errno {
	kind := flags & propagationFlags
	if kind&(kind-1) != 0 || flags&^(propagationFlags|linux.MS_REC|linux.MS_SILENT) != 0 {
		return linux.EINVAL
	}
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	m := p.Mount
	if p.Dentry != m.root || !inCallersNS(c, m) {
		return linux.EINVAL
	}
	if flags&linux.MS_REC != 0 {
		m.eachLocked(func(o *Mount) { o.setPropagationLocked(kind) })
	} else {
		m.setPropagationLocked(kind)
	}
	m.ns.changed()
	return 0
}

// MoveMount implements MS_MOVE.
func MoveMount(c *Caller, from, target Path) linux.Errno {
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	m := from.Mount
	if from.Dentry != m.root {
		return linux.EINVAL
	}
	for top := mounts.at[target]; top != nil; top = mounts.at[target] {
		target = Path{top, top.root}
	}
	if !inCallersNS(c, m) || !inCallersNS(c, target.Mount) || m.parent == nil || m.locked {
		return linux.EINVAL
	}
	if m.root.isDir() != target.Dentry.isDir() {
		return linux.EINVAL
	}
	if m.parent.prop.peers != nil {
		return linux.EINVAL
	}
	if target.Mount.prop.peers != nil && treeHasUnbindable(m) {
		return linux.EINVAL
	}
	for at := target.Mount; at != nil; at = at.parent {
		if at == m {
			return linux.ELOOP
		}
	}
	m.detachLocked()
	m.eachLocked(func(o *Mount) { o.ns.n--; o.ns = nil })
	treeSeq.Add(1)
	return graftLocked(m, target)
}

func treeHasUnbindable(m *Mount) (found bool) {
	m.eachLocked(func(o *Mount) { found = found || o.prop.unbindable })
	return found
}

// PivotRoot implements pivot_root(2), but for the root and working directories of tasks: the caller moves those
// that are at its old root to newRoot.
func PivotRoot(c *Caller, newRoot, putOld Path) linux.Errno {
	if !MayMount(c) {
		return linux.EPERM
	}
	return pivot(c, c.Root, newRoot, putOld)
}

func pivot(c *Caller, root, newRoot, putOld Path) linux.Errno {
	if newRoot.Dentry.dir == nil || putOld.Dentry.dir == nil {
		return linux.ENOTDIR
	}
	mounts.mu.Lock()
	defer mounts.mu.Unlock()
	nm, rm, om := newRoot.Mount, root.Mount, putOld.Mount
	shared := func(m *Mount) bool { return m != nil && m.prop.peers != nil }
	switch {
	case shared(om) || shared(nm.parent) || shared(rm.parent):
		return linux.EINVAL
	case !inCallersNS(c, rm) || !inCallersNS(c, nm) || !inCallersNS(c, om):
		return linux.EINVAL
	case nm.locked:
		return linux.EINVAL
	case newRoot.Dentry.Unlinked():
		return linux.ENOENT
	case nm == rm || om == rm:
		return linux.EBUSY // loop, on the same filesystem
	case root.Dentry != rm.root, newRoot.Dentry != nm.root, nm.parent == nil:
		return linux.EINVAL
	case !underLocked(putOld, newRoot) || !underLocked(newRoot, root):
		return linux.EINVAL
	}
	rootAt := Path{rm.parent, rm.point}
	ns := rm.ns
	nm.detachLocked()
	if rootAt.Mount != nil {
		rootAt.Dentry.get()
		rm.detachLocked()
		nm.attachLocked(ns, rootAt)
		rootAt.Dentry.put()
	} else {
		ns.root = nm
	}
	rm.attachLocked(ns, putOld)
	rm.locked, nm.locked = nm.locked, rm.locked
	treeSeq.Add(1)
	ns.changed()
	return 0
}

// underLocked is pathIsUnder for a caller that holds mounts.mu.
func underLocked(p, root Path) bool {
	for {
		if p.Mount == root.Mount {
			return root.Dentry.isAncestorOf(p.Dentry)
		}
		if p.Mount.parent == nil {
			return false
		}
		p = Path{p.Mount.parent, p.Mount.point}
	}
}

// Clone copies the namespace for unshare(CLONE_NEWNS) and clone(2); user owns the copy. Each path of moved (root
// and working directory of the caller) is replaced by its counterpart in the copy, with references changed.
func (ns *MountNS) Clone(user *cred.UserNS, moved ...*Path) (*MountNS, linux.Errno) {
	mounts.mu.Lock()
	kind := clonePeer
	foreign := user != ns.UserNS
	if foreign {
		kind = cloneSlave
	}
	n := &MountNS{UserNS: user, Ino: newNSIno()}
	copies := map[*Mount]*Mount{}
	n.root = ns.root.copyTreeLocked(ns.root.root, kind, true, func(from, to *Mount) {
		copies[from] = to
		if foreign {
			to.locked = from != ns.root
			to.lockedFl = from.flags.Load() & (linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
		}
	})
	adoptLocked(n.root, n)
	var old []Path
	for _, p := range moved {
		if m := copies[p.Mount]; m != nil {
			next := Path{m, p.Dentry}
			next.Get()
			old = append(old, *p)
			*p = next
		}
	}
	mounts.mu.Unlock()
	for _, p := range old {
		p.Put()
	}
	return n, 0
}
