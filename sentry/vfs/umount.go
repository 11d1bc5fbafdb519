package vfs

import (
	"cmp"
	"slices"

	"hornwork/linux"
)

// Umount implements umount2(2) on a walked path, whose reference the caller holds.
func Umount(c *Caller, p Path, flags uint32) linux.Errno {
	if flags&^(linux.MNT_FORCE|linux.MNT_DETACH|linux.MNT_EXPIRE|linux.UMOUNT_NOFOLLOW) != 0 {
		return linux.EINVAL
	}
	if !MayMount(c) {
		return linux.EPERM
	}
	if p.Dentry != p.Mount.root {
		return linux.EINVAL
	}
	if flags&linux.MNT_EXPIRE != 0 && flags&(linux.MNT_FORCE|linux.MNT_DETACH) != 0 {
		return linux.EINVAL
	}
	mounts.mu.Lock()
	gone, errno := umountLocked(c, p.Mount, flags)
	mounts.mu.Unlock()
	releaseMounts(gone)
	return errno
}

func umountLocked(c *Caller, m *Mount, flags uint32) ([]*Mount, linux.Errno) {
	if !inCallersNS(c, m) || m.locked {
		return nil, linux.EINVAL
	}
	busy := m.refs.Load() > 2 // the tree's reference, and the caller's
	if flags&linux.MNT_EXPIRE != 0 {
		if m == c.Root.Mount {
			return nil, linux.EINVAL
		}
		if busy || len(m.children) != 0 {
			return nil, linux.EBUSY
		}
		if !m.expiring {
			m.expiring = true
			return nil, linux.EAGAIN
		}
	}
	if flags&linux.MNT_DETACH == 0 {
		if m.parent == nil || busy || len(m.children) != 0 || copiesBusy(m) {
			return nil, linux.EBUSY
		}
	} else if m.parent == nil {
		return nil, linux.EINVAL
	}
	gone := propagatedLocked(m)
	gone = append(gone, umountTreeLocked(m, true)...)
	treeSeq.Add(1)
	return gone, 0
}

// counterpartsLocked calls f for the mounts at m's place in all mounts that receive from m's parent.
func counterpartsLocked(m *Mount, f func(*Mount)) {
	if m.parent == nil {
		return
	}
	point := m.point
	receiversLocked(m.parent, func(r *Mount) {
		if o := mounts.at[Path{r, point}]; o != nil && o != m {
			f(o)
		}
	})
}

// copiesBusy says whether a copy that would go along is in use.
func copiesBusy(m *Mount) (busy bool) {
	counterpartsLocked(m, func(o *Mount) {
		busy = busy || len(o.children) == 0 && o.refs.Load() > 1
	})
	return busy
}

// propagatedLocked unmounts m's copies in the mounts that receive from its parent, but for those with mounts of
// their own on them.
func propagatedLocked(m *Mount) (gone []*Mount) {
	var go_ []*Mount
	counterpartsLocked(m, func(o *Mount) {
		if len(o.children) == 0 && !o.locked {
			go_ = append(go_, o)
		}
	})
	for _, o := range go_ {
		gone = append(gone, umountTreeLocked(o, true)...)
	}
	return gone
}

// umountTreeLocked takes m and all below it apart. The caller drops the tree's references of the result with
// releaseMounts, without the lock.
func umountTreeLocked(m *Mount, counted bool) (gone []*Mount) {
	m.eachLocked(func(o *Mount) { gone = append(gone, o) })
	for _, o := range slices.Backward(gone) {
		if o.ns != nil && counted {
			o.ns.n--
			o.ns.changed()
		}
		o.detachLocked()
		o.ns = nil
		o.leaveGroupLocked()
		o.leaveMasterLocked()
	}
	return gone
}

func releaseMounts(gone []*Mount) {
	for _, m := range gone {
		if watchCount.Load() != 0 && m.SB.mounts.Load() == 1 {
			m.root.unmountWatches()
		}
		m.put()
	}
}

// unmountWatches ends the watches on a filesystem that goes away: IN_UNMOUNT.
func (d *Dentry) unmountWatches() {
	if i := d.Inode(); i != nil {
		i.endWatches(linux.IN_UNMOUNT)
	}
	if d.dir == nil {
		return
	}
	d.dir.mu.RLock()
	kids := make([]*Dentry, 0, len(d.dir.children))
	for _, ch := range d.dir.children {
		kids = append(kids, ch)
	}
	d.dir.mu.RUnlock()
	for _, ch := range kids {
		ch.unmountWatches()
	}
}

// isLocalMountPoint says whether something is mounted on d in c's namespace.
func isLocalMountPoint(c *Caller, d *Dentry) bool {
	if d.mounted.Load() == 0 {
		return false
	}
	mounts.mu.RLock()
	defer mounts.mu.RUnlock()
	for p, m := range mounts.at {
		if p.Dentry == d && m.ns == c.Root.Mount.ns {
			return true
		}
	}
	return false
}

// detachMountsAt unmounts what other namespaces have mounted on a name that is gone.
func detachMountsAt(d *Dentry) {
	if d.mounted.Load() == 0 {
		return
	}
	mounts.mu.Lock()
	var gone []*Mount
	for p, m := range mounts.at {
		if p.Dentry == d {
			gone = append(gone, umountTreeLocked(m, true)...)
		}
	}
	mounts.mu.Unlock()
	releaseMounts(gone)
}

// MountInfo is one line of /proc/pid/mountinfo.
type MountInfo struct {
	ID, ParentID   int32
	Dev            uint64
	Root, Point    string
	Flags, SBFlags uint32
	Shared, Master int32 // peer group numbers, 0 for none
	Unbindable     bool
	Type, Source   string
	Options        string // the filesystem's own
}

// FlagOptions renders mount flags as mountinfo does: "rw,nosuid,relatime".
func FlagOptions(fl uint32) string {
	s := "rw"
	if fl&linux.MS_RDONLY != 0 {
		s = "ro"
	}
	for _, o := range [...]struct {
		bit  uint32
		text string
	}{
		{linux.MS_NOSUID, ",nosuid"}, {linux.MS_NODEV, ",nodev"}, {linux.MS_NOEXEC, ",noexec"},
		{linux.MS_NOATIME, ",noatime"}, {linux.MS_NODIRATIME, ",nodiratime"}, {linux.MS_RELATIME, ",relatime"},
		{linux.MS_NOSYMFOLLOW, ",nosymfollow"},
	} {
		if fl&o.bit != 0 {
			s += o.text
		}
	}
	return s
}

// MountInfos returns the mounts of c's namespace that are below c's root, in the order they were made.
func MountInfos(c *Caller) []MountInfo {
	type entry struct {
		m    *Mount
		info MountInfo
	}
	var list []entry
	mounts.mu.RLock()
	ns := c.Root.Mount.ns
	if ns == nil || ns.root == nil {
		mounts.mu.RUnlock()
		return nil
	}
	ns.root.eachLocked(func(m *Mount) {
		if !underLocked(Path{m, m.root}, c.Root) {
			return
		}
		info := MountInfo{ID: m.ID, ParentID: m.ID, Dev: m.SB.Dev, Flags: m.flags.Load(), SBFlags: m.SB.Flags(),
			Unbindable: m.prop.unbindable, Type: m.SB.Type, Source: m.SB.Source, Root: pathWithin(m.root, m.SB.root)}
		if m.parent != nil {
			info.ParentID = m.parent.ID
		}
		if g := m.prop.peers; g != nil {
			info.Shared = g.id
		}
		if g := m.prop.master; g != nil {
			info.Master = g.id
		}
		list = append(list, entry{m, info})
	})
	mounts.mu.RUnlock()
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.info.ID, b.info.ID) })
	out := make([]MountInfo, 0, len(list))
	for _, e := range list {
		e.info.Point = PathString(c, Path{e.m, e.m.root})
		if e.m.SB.Options != nil {
			e.info.Options = e.m.SB.Options()
		}
		if e.info.Source == "" {
			e.info.Source = "none"
		}
		out = append(out, e.info)
	}
	return out
}
