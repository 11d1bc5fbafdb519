package cred

import (
	"sync"

	"hornwork/linux"
)

// maps guards the setting of ID maps and of SetgroupsDenied, which happens once for each namespace.
var maps sync.Mutex

// Map returns uid_map or gid_map in the namespace's own terms: empty as long as it has not been set.
func (n *UserNS) Map(group bool) []IDMap {
	maps.Lock()
	defer maps.Unlock()
	if n.Parent == nil {
		return []IDMap{{0, 0, 1<<32 - 1}}
	}
	if group {
		return n.GIDMap
	}
	return n.UIDMap
}

// SetMap sets uid_map or gid_map; EPERM the second time.
func (n *UserNS) SetMap(group bool, m []IDMap) linux.Errno {
	maps.Lock()
	defer maps.Unlock()
	p := &n.UIDMap
	if group {
		p = &n.GIDMap
	}
	if n.Parent == nil || len(*p) > 0 {
		return linux.EPERM
	}
	*p = m
	return 0
}

// DenySetgroups forbids setgroups(2) in the namespace, before its gid_map is set; EPERM after.
func (n *UserNS) DenySetgroups() linux.Errno {
	maps.Lock()
	defer maps.Unlock()
	if len(n.GIDMap) > 0 && !n.SetgroupsDenied {
		return linux.EPERM
	}
	n.SetgroupsDenied = true
	return 0
}
