// Package cred has what a task may do: user and group IDs, capabilities, and the user namespace that
// they are valid in (credentials(7), capabilities(7), user_namespaces(7)).
//
// Credentials are immutable once published: change a Clone and publish that.
package cred

import (
	"slices"
	"sync/atomic"

	"hornwork/linux"
)

// CapSet is a set of capabilities; capability n is bit n.
type CapSet uint64

// AllCaps has every capability that Linux 6.6 knows.
const AllCaps CapSet = 1<<(linux.CAP_LAST_CAP+1) - 1

// Has says whether capability c is in the set.
func (s CapSet) Has(c int) bool { return s&(1<<c) != 0 }

// Credentials are a task's identity.
type Credentials struct {
	RUID, EUID, SUID, FSUID uint32 // in the root user namespace's numbers ("kuid")
	RGID, EGID, SGID, FSGID uint32
	Groups                  []uint32

	Permitted, Inheritable, Effective, Bounding, Ambient CapSet
	SecureBits                                           uint32
	NoNewPrivs                                           bool
	UserNS                                               *UserNS
}

// Clone returns a copy that the caller may change.
func (c *Credentials) Clone() *Credentials {
	n := *c
	n.Groups = slices.Clone(c.Groups)
	return &n
}

// InGroup says whether gid is the filesystem group or a supplementary one.
func (c *Credentials) InGroup(gid uint32) bool {
	return c.FSGID == gid || slices.Contains(c.Groups, gid)
}

// HasCap says whether c is effective in c's own user namespace.
func (c *Credentials) HasCap(capability int) bool { return c.Effective.Has(capability) }

// HasCapIn says whether c has the capability over objects owned by ns: in ns itself, or because c's
// namespace is an ancestor of ns and either owns it or holds the capability there.
func (c *Credentials) HasCapIn(ns *UserNS, capability int) bool {
	for n := ns; n != nil; n = n.Parent {
		if n == c.UserNS {
			return c.Effective.Has(capability)
		}
		if n.Parent == c.UserNS && n.Owner == c.EUID {
			return true
		}
	}
	return false
}

// Root returns the credentials of a privileged process of ns.
func Root(ns *UserNS) *Credentials {
	return &Credentials{Permitted: AllCaps, Effective: AllCaps, Bounding: AllCaps, UserNS: ns}
}

// IDMap is one line of uid_map: Count IDs from Inside map to those from Outside (the parent's).
type IDMap struct{ Inside, Outside, Count uint32 }

// UserNS is a user namespace. The root namespace has no parent and maps every ID to itself.
type UserNS struct {
	Parent *UserNS
	Owner  uint32 // kuid of the creator
	Group  uint32
	Ino    uint64
	Level  int

	uidMap idMap // empty until SetMap, once
	gidMap idMap

	SetgroupsDenied atomic.Bool
}
