package cred

import "hornwork/linux"

// OverflowID is what an ID without a number in a namespace looks like there.
const OverflowID = 65534

// noID is -1, which stands for no ID in every namespace.
const noID = 1<<32 - 1

// Mapped says whether the maps have been written; before, no ID is valid inside.
func (n *UserNS) Mapped() bool { return n.Parent == nil || len(n.uidMap.get()) > 0 }

// KUID turns a user number of n into the root namespace's. ok is false if it is not mapped.
func (n *UserNS) KUID(uid uint32) (kuid uint32, ok bool) {
	for ; n.Parent != nil; n = n.Parent {
		if uid, ok = outward(n.uidMap.get(), uid); !ok {
			return 0, false
		}
	}
	return uid, uid != noID
}

// KGID is KUID for groups.
func (n *UserNS) KGID(gid uint32) (kgid uint32, ok bool) {
	for ; n.Parent != nil; n = n.Parent {
		if gid, ok = outward(n.gidMap.get(), gid); !ok {
			return 0, false
		}
	}
	return gid, gid != noID
}

// UID turns a user number of the root namespace into n's. ok is false if it has none. A nil n is the root namespace.
func (n *UserNS) UID(kuid uint32) (uid uint32, ok bool) {
	if n == nil || n.Parent == nil {
		return kuid, true
	}
	if kuid, ok = n.Parent.UID(kuid); !ok {
		return 0, false
	}
	return inward(n.uidMap.get(), kuid)
}

// GID is UID for groups.
func (n *UserNS) GID(kgid uint32) (gid uint32, ok bool) {
	if n == nil || n.Parent == nil {
		return kgid, true
	}
	if kgid, ok = n.Parent.GID(kgid); !ok {
		return 0, false
	}
	return inward(n.gidMap.get(), kgid)
}

// FromKUID is UID, with OverflowID for what has no number (from_kuid_munged).
func FromKUID(n *UserNS, kuid uint32) uint32 {
	if u, ok := n.UID(kuid); ok {
		return u
	}
	return OverflowID
}

// FromKGID is GID, with OverflowID for what has no number.
func FromKGID(n *UserNS, kgid uint32) uint32 {
	if g, ok := n.GID(kgid); ok {
		return g
	}
	return OverflowID
}

func outward(m []IDMap, id uint32) (uint32, bool) {
	for _, r := range m {
		if id-r.Inside < r.Count && id >= r.Inside {
			return r.Outside + (id - r.Inside), true
		}
	}
	return 0, false
}

func inward(m []IDMap, id uint32) (uint32, bool) {
	for _, r := range m {
		if id-r.Outside < r.Count && id >= r.Outside {
			return r.Inside + (id - r.Outside), true
		}
	}
	return 0, false
}

// NewUserNS makes a child namespace for a process with credentials c, or fails as user_namespaces(7) says:
// ENOSPC beyond 32 levels, EPERM if c's IDs have no number in its own namespace.
func NewUserNS(c *Credentials, ino uint64) (*UserNS, linux.Errno) {
	const maxLevel = 32
	p := c.UserNS
	if p.Level > maxLevel {
		return nil, linux.ENOSPC
	}
	if _, ok := p.UID(c.EUID); !ok {
		return nil, linux.EPERM
	}
	if _, ok := p.GID(c.EGID); !ok {
		return nil, linux.EPERM
	}
	n := &UserNS{Parent: p, Owner: c.EUID, Group: c.EGID, Ino: ino, Level: p.Level + 1}
	n.SetgroupsDenied.Store(p.SetgroupsDenied.Load())
	return n, 0
}
