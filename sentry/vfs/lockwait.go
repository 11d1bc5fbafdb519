package vfs

import (
	"math"
	"slices"
	"sync"
)

// lockWait is a process that waits for a lock of another.
type lockWait struct {
	owner, blocker any
}

// waitGraph says who waits for whom, to find deadlocks.
type waitGraph struct {
	mu    sync.Mutex // a leaf
	waits map[*lockWait]struct{}
}

var lockGraph waitGraph

// maxDeadlockDepth is how many owners Linux follows; beyond that it assumes that there is none.
const maxDeadlockDepth = 10

// add notes that w waits for blocker, unless blocker waits, over any number of others, for w.
func (g *waitGraph) add(w *lockWait, blocker any) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := blocker
	for range maxDeadlockDepth {
		next, ok := g.waitsFor(at)
		if !ok {
			break
		}
		if next == w.owner {
			return false
		}
		at = next
	}
	if g.waits == nil {
		g.waits = map[*lockWait]struct{}{}
	}
	w.blocker = blocker
	g.waits[w] = struct{}{}
	return true
}

func (g *waitGraph) waitsFor(owner any) (any, bool) {
	for w := range g.waits {
		if w.owner == owner {
			return w.blocker, true
		}
	}
	return nil, false
}

func (g *waitGraph) remove(w *lockWait) {
	g.mu.Lock()
	delete(g.waits, w)
	g.mu.Unlock()
}

// lockedInodes are the inodes with locks, for /proc/locks.
var lockedInodes struct {
	mu sync.Mutex // a leaf
	m  map[*Inode]struct{}
}

// locksChanged keeps lockedInodes. The caller holds i.mu.
func (i *Inode) locksChanged(x *inodeExtra) {
	lockedInodes.mu.Lock()
	defer lockedInodes.mu.Unlock()
	if len(x.posix)+len(x.flocks) == 0 {
		delete(lockedInodes.m, i)
		return
	}
	if lockedInodes.m == nil {
		lockedInodes.m = map[*Inode]struct{}{}
	}
	lockedInodes.m[i] = struct{}{}
}

// LockInfo is one line of /proc/locks.
type LockInfo struct {
	Kind       string // "POSIX", "OFDLCK", "FLOCK"
	Write      bool
	PID        int32
	Dev, Ino   uint64
	Start, End int64 // End MaxInt64: EOF
}

// Locks returns all file locks.
func Locks() []LockInfo {
	lockedInodes.mu.Lock()
	inodes := make([]*Inode, 0, len(lockedInodes.m))
	for i := range lockedInodes.m {
		inodes = append(inodes, i)
	}
	lockedInodes.mu.Unlock()
	slices.SortFunc(inodes, func(a, b *Inode) int { return int(int64(a.Ino - b.Ino)) })
	var out []LockInfo
	for _, i := range inodes {
		i.mu.Lock()
		for _, l := range i.extra.posix {
			kind := "POSIX"
			if l.pid == -1 {
				kind = "OFDLCK"
			}
			out = append(out, LockInfo{kind, l.write, l.pid, i.SB.Dev, i.Ino, l.start, l.end})
		}
		for _, e := range i.extra.flocks {
			out = append(out, LockInfo{"FLOCK", e.excl, e.pid, i.SB.Dev, i.Ino, 0, math.MaxInt64})
		}
		i.mu.Unlock()
	}
	return out
}
