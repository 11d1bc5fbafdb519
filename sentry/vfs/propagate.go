package vfs

import (
	"slices"

	"hornwork/linux"
)

// propagation is how mounts below a mount travel (mount_namespaces(7)). Guarded by mounts.mu.
type propagation struct {
	peers      *peerGroup // shared: sends to and receives from these
	master     *peerGroup // slave: receives from these
	unbindable bool
}

// peerGroup is a set of mounts that share what is mounted below them.
type peerGroup struct {
	id      int32
	members []*Mount
	slaves  []*Mount
}

// newPeerGroupLocked gives out the smallest free number, as Linux does.
func newPeerGroupLocked() *peerGroup {
	mounts.groups++
	return &peerGroup{id: mounts.groups}
}

func (m *Mount) joinLocked(g *peerGroup) {
	g.members = append(g.members, m)
	m.prop.peers = g
}

func (m *Mount) enslaveLocked(g *peerGroup) {
	g.slaves = append(g.slaves, m)
	m.prop.master = g
}

func (m *Mount) shareLocked() {
	if m.prop.peers == nil {
		m.joinLocked(newPeerGroupLocked())
	}
	m.prop.unbindable = false
}

// leaveGroupLocked takes m out of its peers. The last one out passes its slaves on to the group's master.
func (m *Mount) leaveGroupLocked() {
	g := m.prop.peers
	if g == nil {
		return
	}
	m.prop.peers = nil
	g.members = slices.DeleteFunc(g.members, func(o *Mount) bool { return o == m })
	if len(g.members) != 0 {
		return
	}
	for _, s := range g.slaves {
		s.prop.master = nil
		if m.prop.master != nil {
			s.enslaveLocked(m.prop.master)
		}
	}
	g.slaves = nil
}

func (m *Mount) leaveMasterLocked() {
	if g := m.prop.master; g != nil {
		g.slaves = slices.DeleteFunc(g.slaves, func(o *Mount) bool { return o == m })
		m.prop.master = nil
	}
}

// setPropagationLocked carries out MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE.
func (m *Mount) setPropagationLocked(kind uint32) {
	switch kind {
	case linux.MS_SHARED:
		m.shareLocked()
	case linux.MS_SLAVE:
		g := m.prop.peers
		if g == nil {
			return // private stays private, a slave stays one
		}
		alone := len(g.members) == 1
		m.leaveGroupLocked()
		if !alone {
			m.leaveMasterLocked()
			m.enslaveLocked(g)
		}
	default:
		m.leaveGroupLocked()
		m.leaveMasterLocked()
		m.prop.unbindable = kind == linux.MS_UNBINDABLE
	}
}

// cloneKind says how a copied mount relates to its original.
type cloneKind uint8

const (
	clonePeer        cloneKind = iota // a peer if the original is shared, a slave of the same if that is a slave
	cloneSlave                        // a slave of the original
	cloneSharedSlave                  // and shared itself
	clonePrivate
)

// cloneLocked copies m with another root.
func (m *Mount) cloneLocked(root *Dentry, kind cloneKind) *Mount {
	n := newMount(m.SB, root, m.flags.Load())
	n.locked, n.lockedFl = m.locked, m.lockedFl
	switch kind {
	case clonePeer:
		if m.prop.peers != nil {
			n.joinLocked(m.prop.peers)
		}
		if m.prop.master != nil {
			n.enslaveLocked(m.prop.master)
		}
		n.prop.unbindable = m.prop.unbindable
	case cloneSlave, cloneSharedSlave:
		if m.prop.peers != nil {
			n.enslaveLocked(m.prop.peers)
		} else if m.prop.master != nil {
			n.enslaveLocked(m.prop.master)
		}
		if kind == cloneSharedSlave {
			n.shareLocked()
		}
	}
	return n
}

// copyTreeLocked copies m, from root on, and the mounts below it; the copies hang together but nowhere else.
// Unbindable mounts are left out unless all is set.
func (m *Mount) copyTreeLocked(root *Dentry, kind cloneKind, all bool, made func(from, to *Mount)) *Mount {
	n := m.cloneLocked(root, kind)
	if made != nil {
		made(m, n)
	}
	for _, ch := range m.children {
		if !root.isAncestorOf(ch.point) || ch.prop.unbindable && !all {
			continue
		}
		ch.copyTreeLocked(ch.root, kind, all, made).attachLocked(nil, Path{n, ch.point})
	}
	return n
}

// graftLocked attaches the detached tree src at p and wherever p's mount propagates to. It counts the mounts
// first: ENOSPC.
func graftLocked(src *Mount, p Path) linux.Errno {
	ns := p.Mount.ns
	size := 0
	src.eachLocked(func(*Mount) { size++ })
	if ns.n+size > maxMountsPerNS {
		return linux.ENOSPC
	}
	if g := p.Mount.prop.peers; g != nil {
		src.eachLocked(func(m *Mount) { m.shareLocked() })
		propagateLocked(g, p.Mount, p.Dentry, src)
	}
	src.attachLocked(ns, p)
	adoptLocked(src, ns)
	return 0
}

// adoptLocked makes the mounts of a tree members of ns.
func adoptLocked(src *Mount, ns *MountNS) {
	src.eachLocked(func(m *Mount) {
		m.ns = ns
		if ns != nil {
			ns.n++
		}
	})
	if ns != nil {
		ns.changed()
	}
}

// propagateLocked attaches copies of src at point of all mounts that receive from group g; from has the
// original.
func propagateLocked(g *peerGroup, from *Mount, point *Dentry, src *Mount) {
	for _, m := range slices.Clone(g.members) {
		if m != from {
			placeCopyLocked(m, point, src, clonePeer)
		}
	}
	done := map[*peerGroup]bool{g: true}
	for _, s := range slices.Clone(g.slaves) {
		sub := s.prop.peers
		if sub == nil {
			placeCopyLocked(s, point, src, cloneSlave)
			continue
		}
		if done[sub] {
			continue
		}
		done[sub] = true
		first := placeCopyLocked(s, point, src, cloneSharedSlave)
		if first == nil {
			first = src // s does not show the place, but its peers may
		}
		propagateLocked(sub, s, point, first)
	}
}

// placeCopyLocked attaches a copy of src to m, if m shows the place at all.
func placeCopyLocked(m *Mount, point *Dentry, src *Mount, kind cloneKind) *Mount {
	if m.ns == nil || !m.root.isAncestorOf(point) || m.ns.n >= maxMountsPerNS {
		return nil
	}
	n := src.copyTreeLocked(src.root, kind, true, nil)
	n.attachLocked(m.ns, Path{m, point})
	adoptLocked(n, m.ns)
	return n
}

// receiversLocked calls f for all mounts that receive what happens below m, without m.
func receiversLocked(m *Mount, f func(*Mount)) {
	seen := map[*Mount]bool{m: true}
	var visit func(g *peerGroup)
	visit = func(g *peerGroup) {
		for _, o := range g.members {
			if !seen[o] {
				seen[o] = true
				f(o)
			}
		}
		for _, s := range g.slaves {
			if seen[s] {
				continue
			}
			if s.prop.peers != nil {
				visit(s.prop.peers)
			} else {
				seen[s] = true
				f(s)
			}
		}
	}
	if m.prop.peers != nil {
		visit(m.prop.peers)
	}
}
