package ipc

import "hornwork/linux"

// Memory is the bytes of a segment; the call layer makes it. Release is called when neither the registry nor a
// mapping needs it.
type Memory interface{ Release() }

// Shm is a shared memory segment. The registry's lock guards the fields, but those that never change.
type Shm struct {
	Perm
	Size   uint64
	Memory Memory
	CPID   int32

	ATime, DTime, CTime int64
	LPID                int32
	Attached            int64
	reg                 *Registry
	gone                bool // Memory has been released
}

// Bits of a segment's mode.
const (
	shmDest   = 0o1000 // removed, waits for the last detach
	shmLocked = 0o2000
)

const shmMax = 1<<47 - 1<<24

// ShmGet implements shmget(2). alloc makes the memory of a new segment.
func (r *Registry) ShmGet(c *Caller, key int32, size uint64, flags uint32, alloc func(key int32) (Memory, linux.Errno)) (int32, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shm.get(c, r.user, key, flags, func(s *Shm) linux.Errno {
		if size > s.Size {
			return linux.EINVAL
		}
		return 0
	}, func(p Perm) (*Shm, linux.Errno) {
		if size < linux.SHMMIN || size > shmMax {
			return nil, linux.EINVAL
		}
		if len(r.shm.byID) >= linux.SHMMNI {
			return nil, linux.ENOSPC
		}
		m, errno := alloc(key)
		if errno != 0 {
			return nil, errno
		}
		return &Shm{Perm: p, Size: size, Memory: m, CPID: c.PID, CTime: now(), reg: r}, 0
	})
}

// ShmAttach finds a segment for shmat(2) and counts a provisional attachment, to be taken back by Detach.
func (r *Registry) ShmAttach(c *Caller, id int32, want uint32) (*Shm, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.shm.find(id)
	if errno != 0 {
		return nil, errno
	}
	if !s.allows(c, r.user, want) {
		return nil, linux.EACCES
	}
	s.Attached++
	return s, 0
}

// Attach counts a mapping of the segment.
func (s *Shm) Attach() {
	s.reg.mu.Lock()
	s.Attached++
	s.ATime = now()
	s.reg.mu.Unlock()
}

// Used remembers who attached or detached last.
func (s *Shm) Used(pid int32) {
	s.reg.mu.Lock()
	s.LPID = pid
	s.reg.mu.Unlock()
}

// ShmUsed is Used for whoever knows only the number; the segment may have gone.
func (r *Registry) ShmUsed(id, pid int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, errno := r.shm.find(id); errno == 0 {
		s.LPID = pid
	}
}

// Detach undoes Attach or ShmAttach. The last detach of a removed segment frees it.
func (s *Shm) Detach() {
	s.reg.mu.Lock()
	s.Attached--
	s.DTime = now()
	free := s.Attached == 0 && s.Mode&shmDest != 0 && !s.gone
	if free {
		s.gone = true
		s.reg.shm.remove(s)
	}
	s.reg.mu.Unlock()
	if free {
		s.Memory.Release()
	}
}

// ShmRemove implements IPC_RMID: the segment goes away when nobody has it attached any more.
func (r *Registry) ShmRemove(c *Caller, id int32) linux.Errno {
	r.mu.Lock()
	s, errno := r.shm.find(id)
	if errno == 0 && !s.owns(c, r.user) {
		errno = linux.EPERM
	}
	if errno != 0 {
		r.mu.Unlock()
		return errno
	}
	free := s.Attached == 0 && !s.gone
	if free {
		s.gone = true
		r.shm.remove(s)
	} else {
		s.Mode |= shmDest
		r.shm.unkey(s)
	}
	r.mu.Unlock()
	if free {
		s.Memory.Release()
	}
	return 0
}

// ShmStat returns a copy of a segment: by ID, or by index for SHM_STAT, unchecked for SHM_STAT_ANY.
func (r *Registry) ShmStat(c *Caller, id int32, byIndex, any bool) (Shm, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.shm.find(id)
	if byIndex {
		s, errno = r.shm.index(id)
	}
	if errno != 0 {
		return Shm{}, errno
	}
	if !any && !s.allows(c, r.user, mayRead) {
		return Shm{}, linux.EACCES
	}
	return *s, 0
}

// ShmSet implements IPC_SET.
func (r *Registry) ShmSet(c *Caller, id int32, uid, gid, mode uint32) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.shm.find(id)
	switch {
	case errno != 0:
		return errno
	case !s.owns(c, r.user):
		return linux.EPERM
	}
	s.set(uid, gid, mode)
	s.CTime = now()
	return 0
}

// ShmLock implements SHM_LOCK and SHM_UNLOCK: the mode remembers it; memory is never swapped.
func (r *Registry) ShmLock(c *Caller, id int32, on bool) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.shm.find(id)
	if errno != 0 {
		return errno
	}
	if c.Creds.EUID != s.UID && c.Creds.EUID != s.CUID && !c.Creds.HasCapIn(r.user, linux.CAP_IPC_LOCK) {
		return linux.EPERM
	}
	s.Mode &^= shmLocked
	if on {
		s.Mode |= shmLocked
	}
	return 0
}

// ShmUsage is what SHM_INFO tells.
func (r *Registry) ShmUsage() (highest int32, segments int, pages uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.shm.byID {
		pages += (s.Size + linux.PageMask) / linux.PageSize
	}
	return r.shm.highest(), len(r.shm.byID), pages
}

// Shms returns copies of all segments, for /proc/sysvipc/shm.
func (r *Registry) Shms() (out []Shm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.shm.all() {
		out = append(out, *s)
	}
	return out
}
