package cred

import (
	"sync"
	"sync/atomic"

	"hornwork/linux"
)

// setMap guards the setting of ID maps and SetgroupsDenied, which happens once for each namespace.
var setMap sync.Mutex

// idMap is read without a lock, by whoever translates an ID.
type idMap struct{ p atomic.Pointer[[]IDMap] }

func (m *idMap) get() []IDMap {
	if p := m.p.Load(); p != nil {
		return *p
	}
	return nil
}

// Map returns uid_map or gid_map in the namespace's own terms: empty as long as it has not been set.
func (n *UserNS) Map(group bool) []IDMap {
	if n.Parent == nil {
		return []IDMap{{0, 0, 1<<32 - 1}}
	}
	if group {
		return n.gidMap.get()
	}
	return n.uidMap.get()
}

// SetMap sets uid_map or gid_map; EPERM the second time.
func (n *UserNS) SetMap(group bool, m []IDMap) linux.Errno {
	setMap.Lock()
	defer setMap.Unlock()
	p := &n.uidMap
	if group {
		p = &n.gidMap
	}
	if n.Parent == nil || len(p.get()) > 0 {
		return linux.EPERM
	}
	p.p.Store(&m)
	return 0
}

// DenySetgroups forbids setgroups(2) in the namespace, before its gid_map is set; EPERM after.
func (n *UserNS) DenySetgroups() linux.Errno {
	setMap.Lock()
	defer setMap.Unlock()
	if len(n.gidMap.get()) > 0 && !n.SetgroupsDenied.Load() {
		return linux.EPERM
	}
	n.SetgroupsDenied.Store(true)
	return 0
}
