package unix

import (
	"sync"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/sock"
	"hornwork/sentry/vfs"
)

const (
	// userInflight is how many files a user without CAP_SYS_RESOURCE or CAP_SYS_ADMIN may have in flight (Linux
	// takes the caller's RLIMIT_NOFILE); totalInflight is for everybody.
	userInflight  = 4096
	totalInflight = 1 << 16
)

// rights are files in flight: sent, and not received yet.
type rights struct {
	files []*vfs.File
	uid   uint32 // of the sender, to whom they count
}

var flying struct {
	sync.Mutex // a leaf
	byUser     map[uint32]int
	total      int
	sockets    map[*Socket]*flight
}

// sendFiles takes references on the files of a message and counts them.
func sendFiles(c *vfs.Caller, files []*vfs.File) (*rights, linux.Errno) {
	if len(files) == 0 {
		return nil, 0
	}
	if len(files) > sock.MaxRights {
		return nil, linux.EINVAL
	}
	uid := c.Creds.RUID
	free := c.Creds.HasCap(linux.CAP_SYS_RESOURCE) || c.Creds.HasCap(linux.CAP_SYS_ADMIN)
	flying.Lock()
	defer flying.Unlock()
	if flying.byUser == nil {
		flying.byUser = map[uint32]int{}
	}
	if flying.total+len(files) > totalInflight || !free && flying.byUser[uid]+len(files) > userInflight {
		return nil, linux.ETOOMANYREFS
	}
	flying.total += len(files)
	flying.byUser[uid] += len(files)
	r := &rights{uid: uid}
	for _, f := range files {
		r.files = append(r.files, f.Get())
	}
	took(r.files)
	return r, 0
}

// land ends the flight; the references are the taker's.
func (r *rights) land() []*vfs.File {
	flying.Lock()
	defer flying.Unlock()
	return r.landLocked()
}

func (r *rights) landLocked() []*vfs.File {
	flying.total -= len(r.files)
	if flying.byUser[r.uid] -= len(r.files); flying.byUser[r.uid] == 0 {
		delete(flying.byUser, r.uid)
	}
	files := r.files
	landed(files)
	r.files = nil
	return files
}

// peek gives new references and leaves r in flight (MSG_PEEK).
func (r *rights) peek() (files []*vfs.File) {
	flying.Lock() // not while the collector looks
	defer flying.Unlock()
	for _, f := range r.files {
		files = append(files, f.Get())
	}
	return files
}

// dropFiles ends a flight that nobody received. The caller holds no socket's lock: a last reference may be a
// socket's.
func dropFiles(r *rights) {
	if r == nil {
		return
	}
	for _, f := range r.land() {
		f.Put()
	}
}

// stamp is the sender that a message carries, in kernel IDs; set says that it carries one.
type stamp struct {
	ucred linux.Ucred
	set   bool
}

// stampOf checks SCM_CREDENTIALS against what the sender may claim, or makes the true ones if either end asked for
// them.
func (s *Socket) stampOf(c *vfs.Caller, claimed *linux.Ucred, receiver *Socket) (stamp, linux.Errno) {
	cr := c.Creds
	if claimed == nil {
		if !s.opts.passcred.Load() && !receiver.opts.passcred.Load() {
			return stamp{ucred: nobody}, 0
		}
		return stamp{linux.Ucred{PID: c.PID, UID: cr.RUID, GID: cr.RGID}, true}, 0
	}
	uid, ok1 := cr.UserNS.KUID(claimed.UID)
	gid, ok2 := cr.UserNS.KGID(claimed.GID)
	if !ok1 || !ok2 {
		return stamp{}, linux.EINVAL
	}
	switch {
	case claimed.PID != c.PID && !cr.HasCap(linux.CAP_SYS_ADMIN),
		uid != cr.RUID && uid != cr.EUID && uid != cr.SUID && !cr.HasCap(linux.CAP_SETUID),
		gid != cr.RGID && gid != cr.EGID && gid != cr.SGID && !cr.HasCap(linux.CAP_SETGID):
		return stamp{}, linux.EPERM
	}
	return stamp{linux.Ucred{PID: claimed.PID, UID: uid, GID: gid}, true}, 0
}

// seenBy turns kernel IDs into those of a receiver's user namespace.
func seenBy(cr *cred.Credentials, u linux.Ucred) *linux.Ucred {
	return &linux.Ucred{PID: u.PID, UID: cred.FromKUID(cr.UserNS, u.UID), GID: cred.FromKGID(cr.UserNS, u.GID)}
}
