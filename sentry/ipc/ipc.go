// Package ipc has System V IPC: shared memory, semaphores, message queues (sysvipc(7)).
//
// A Registry is what one IPC namespace holds. One lock guards it all: these calls are rare, and hold it for a few
// steps. Who must wait does so through a wait.Blocker, on a queue of the object.
package ipc

import (
	"slices"
	"time"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/cred"
)

// maxObjects is how many objects of a kind there may be (SHMMNI is 4096, SEMMNI and MSGMNI are 32000).
const maxObjects = 32000

// Registry is the objects of one IPC namespace.
type Registry struct {
	mu   rank.Mutex[rank.IPC] // guards the fields below, and the objects
	user *cred.UserNS
	shm  table[*Shm]
	sem  table[*Sem]
	msg  table[*Msg]

	msgBytes int // in all queues
	sems     int // in all sets
	undos    int // adjustments kept for SEM_UNDO
}

// NewRegistry returns an empty registry of a namespace that user owns.
func NewRegistry(user *cred.UserNS) *Registry { return &Registry{user: user} }

// Caller is who asks.
type Caller struct {
	Creds *cred.Credentials
	PID   int32
}

// Perm is struct ipc64_perm, with IDs of the root user namespace.
type Perm struct {
	ID, Key              int32
	UID, GID, CUID, CGID uint32
	Mode                 uint32
	Seq                  uint16
	removed              bool
}

func (p *Perm) perm() *Perm { return p }

type object interface{ perm() *Perm }

// table is the objects of one kind.
type table[T object] struct {
	byID  map[int32]T
	byKey map[int32]T
	next  int32
	seq   uint16
}

const indexBits = 15

// find returns the object with an ID, EINVAL if there is none.
func (t *table[T]) find(id int32) (T, linux.Errno) {
	o, ok := t.byID[id]
	if !ok {
		return o, linux.EINVAL
	}
	return o, 0
}

// get implements the common part of the get calls: it finds the object with the key or lets add make one.
func (t *table[T]) get(c *Caller, user *cred.UserNS, key int32, flags uint32, check func(T) linux.Errno, add func(Perm) (T, linux.Errno)) (int32, linux.Errno) {
	if key != linux.IPC_PRIVATE {
		if o, ok := t.byKey[key]; ok {
			if flags&(linux.IPC_CREAT|linux.IPC_EXCL) == linux.IPC_CREAT|linux.IPC_EXCL {
				return 0, linux.EEXIST
			}
			if errno := check(o); errno != 0 {
				return 0, errno
			}
			if !o.perm().allows(c, user, flags) {
				return 0, linux.EACCES
			}
			return o.perm().ID, 0
		}
		if flags&linux.IPC_CREAT == 0 {
			return 0, linux.ENOENT
		}
	}
	if len(t.byID) >= maxObjects {
		return 0, linux.ENOSPC
	}
	p := Perm{Key: key, UID: c.Creds.EUID, CUID: c.Creds.EUID, GID: c.Creds.EGID, CGID: c.Creds.EGID, Mode: flags & 0o777}
	for {
		p.ID = int32(t.seq)<<indexBits | t.next
		if _, used := t.byID[p.ID]; !used {
			break
		}
		t.advance()
	}
	p.Seq = t.seq
	o, errno := add(p)
	if errno != 0 {
		return 0, errno
	}
	t.advance()
	if t.byID == nil {
		t.byID, t.byKey = map[int32]T{}, map[int32]T{}
	}
	t.byID[p.ID] = o
	if key != linux.IPC_PRIVATE {
		t.byKey[key] = o
	}
	return p.ID, 0
}

func (t *table[T]) advance() {
	if t.next++; t.next == 1<<indexBits {
		t.next, t.seq = 0, (t.seq+1)&0x7fff
	}
}

func (t *table[T]) remove(o T) {
	p := o.perm()
	delete(t.byID, p.ID)
	t.unkey(o)
	p.removed = true
}

// unkey makes the object one that no key finds.
func (t *table[T]) unkey(o T) {
	if p := o.perm(); p.Key != linux.IPC_PRIVATE {
		delete(t.byKey, p.Key)
		p.Key = linux.IPC_PRIVATE
	}
}

// index is the n-th object in the order of IDs, for the STAT calls by index.
func (t *table[T]) index(n int32) (T, linux.Errno) {
	for id, o := range t.byID {
		if id&(1<<indexBits-1) == n {
			return o, 0
		}
	}
	var none T
	return none, linux.EINVAL
}

// highest is the highest index in use, 0 if none: what the INFO calls return.
func (t *table[T]) highest() (max int32) {
	for id := range t.byID {
		if i := id & (1<<indexBits - 1); i > max {
			max = i
		}
	}
	return max
}

// all returns the objects in the order of IDs, for /proc/sysvipc.
func (t *table[T]) all() []T {
	out := make([]T, 0, len(t.byID))
	for _, o := range t.byID {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b T) int { return int(a.perm().ID) - int(b.perm().ID) })
	return out
}

// allows is ipcperms: want has the bits of open(2)'s mode in any of its three places.
func (p *Perm) allows(c *Caller, user *cred.UserNS, want uint32) bool {
	want = (want>>6 | want>>3 | want) & 7
	granted := p.Mode
	switch cr := c.Creds; {
	case cr.EUID == p.CUID || cr.EUID == p.UID:
		granted >>= 6
	case cr.InGroup(p.CGID) || cr.InGroup(p.GID):
		granted >>= 3
	}
	return want&^granted == 0 || c.Creds.HasCapIn(user, linux.CAP_IPC_OWNER)
}

// owns says whether c may remove or change the object.
func (p *Perm) owns(c *Caller, user *cred.UserNS) bool {
	return c.Creds.EUID == p.CUID || c.Creds.EUID == p.UID || c.Creds.HasCapIn(user, linux.CAP_SYS_ADMIN)
}

// set changes owner and mode (IPC_SET).
func (p *Perm) set(uid, gid, mode uint32) {
	p.UID, p.GID, p.Mode = uid, gid, p.Mode&^0o777|mode&0o777
}

func now() int64 { return time.Now().Unix() }

// Modes to ask allows for.
const (
	mayRead  = 0o444
	mayWrite = 0o222
)
