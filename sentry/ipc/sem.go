package ipc

import (
	"hornwork/lib/wait"
	"hornwork/linux"
)

// semaphore is one semaphore of a set.
type semaphore struct {
	val        int32
	pid        int32
	ncnt, zcnt int32 // who waits for it to rise, and to be 0
}

// Sem is a semaphore set. The registry's lock guards it.
type Sem struct {
	Perm
	sems         []semaphore
	OTime, CTime int64
	queue        wait.Queue
	undo         map[*Undo][]int32 // what each process's end adds to each semaphore
}

// Bounds of what semaphores, and adjustments for SEM_UNDO, take of the sentry's memory. (Linux's SEMMNS is 1000 times
// as much.)
const (
	maxSems  = 1 << 20
	maxUndos = 1 << 22
)

// SemOp is struct sembuf.
type SemOp struct {
	Num   uint16
	Op    int16
	Flags int16
}

// Undo is the SEM_UNDO adjustments of one process; CLONE_SYSVSEM shares it.
type Undo struct{ sets map[*Sem]*Registry }

// SemGet implements semget(2).
func (r *Registry) SemGet(c *Caller, key, n int32, flags uint32) (int32, linux.Errno) {
	if n < 0 || n > linux.SEMMSL {
		return 0, linux.EINVAL
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sem.get(c, r.user, key, flags, func(s *Sem) linux.Errno {
		if int(n) > len(s.sems) {
			return linux.EINVAL
		}
		return 0
	}, func(p Perm) (*Sem, linux.Errno) {
		if n == 0 {
			return nil, linux.EINVAL
		}
		if r.sems+int(n) > maxSems {
			return nil, linux.ENOSPC
		}
		r.sems += int(n)
		return &Sem{Perm: p, sems: make([]semaphore, n), CTime: now()}, 0
	})
}

// SemOps implements semop(2) and semtimedop(2). undo is the caller's, for SEM_UNDO.
func (r *Registry) SemOps(c *Caller, id int32, ops []SemOp, undo *Undo, b wait.Blocker, deadline wait.Deadline) linux.Errno {
	w := semWait{r: r, c: c, ops: ops, undo: undo}
	r.mu.Lock()
	s, errno := r.sem.find(id)
	if errno == 0 {
		errno = w.check(s)
	}
	r.mu.Unlock()
	if errno != 0 {
		return errno
	}
	w.s = s
	if w.try() {
		return w.errno
	}
	e := b.Block(&s.queue, wait.All, deadline, w.try)
	w.leave()
	switch e {
	case 0:
		return w.errno
	case linux.ETIMEDOUT:
		return linux.EAGAIN
	}
	return linux.EINTR // semop(2) is never restarted
}

// semWait is one semop(2) on its way.
type semWait struct {
	r     *Registry
	c     *Caller
	s     *Sem
	ops   []SemOp
	undo  *Undo
	errno linux.Errno
	on    *int32 // the count of waiters that includes this one
}

// check is called with the lock held.
func (w *semWait) check(s *Sem) linux.Errno {
	want := uint32(mayRead)
	for _, o := range w.ops {
		if int(o.Num) >= len(s.sems) {
			return linux.EFBIG
		}
		if o.Op != 0 {
			want = mayWrite
		}
	}
	if !s.allows(w.c, w.r.user, want) {
		return linux.EACCES
	}
	return 0
}

// try does all operations or none. True: it is over, with errno.
func (w *semWait) try() bool {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.uncount()
	s := w.s
	if s.removed {
		w.errno = linux.EIDRM
		return true
	}
	vals := make(map[uint16]int32, len(w.ops))
	for _, o := range w.ops {
		v, ok := vals[o.Num]
		if !ok {
			v = s.sems[o.Num].val
		}
		if o.Op == 0 && v != 0 || v+int32(o.Op) < 0 {
			if o.Flags&linux.IPC_NOWAIT != 0 {
				w.errno = linux.EAGAIN
				return true
			}
			w.on = &s.sems[o.Num].ncnt
			if o.Op == 0 {
				w.on = &s.sems[o.Num].zcnt
			}
			*w.on++
			return false
		}
		if v += int32(o.Op); v > linux.SEMVMX {
			w.errno = linux.ERANGE
			return true
		}
		vals[o.Num] = v
	}
	if w.errno = w.roomForUndo(); w.errno != 0 {
		return true
	}
	for n, v := range vals {
		s.sems[n].val, s.sems[n].pid = v, w.c.PID
	}
	w.recordUndo()
	s.OTime = now()
	w.errno = 0
	s.queue.Notify(wait.All)
	return true
}

// roomForUndo makes sure that recordUndo has where to record. Called with the lock held.
func (w *semWait) roomForUndo() linux.Errno {
	if w.s.undo[w.undo] != nil {
		return 0
	}
	for _, o := range w.ops {
		if o.Flags&linux.SEM_UNDO != 0 && o.Op != 0 {
			if w.r.undos += len(w.s.sems); w.r.undos > maxUndos {
				w.r.undos -= len(w.s.sems)
				return linux.ENOSPC
			}
			return 0
		}
	}
	return 0
}

// recordUndo is called with the lock held.
func (w *semWait) recordUndo() {
	for _, o := range w.ops {
		if o.Flags&linux.SEM_UNDO == 0 || o.Op == 0 {
			continue
		}
		if w.undo.sets == nil {
			w.undo.sets = map[*Sem]*Registry{}
		}
		w.undo.sets[w.s] = w.r
		if w.s.undo == nil {
			w.s.undo = map[*Undo][]int32{}
		}
		if w.s.undo[w.undo] == nil {
			w.s.undo[w.undo] = make([]int32, len(w.s.sems))
		}
		w.s.undo[w.undo][o.Num] -= int32(o.Op)
	}
}

func (w *semWait) uncount() {
	if w.on != nil {
		*w.on--
		w.on = nil
	}
}

func (w *semWait) leave() {
	w.r.mu.Lock()
	w.uncount()
	w.r.mu.Unlock()
}

// Apply does the adjustments when the process ends.
func (u *Undo) Apply(pid int32) {
	for s, r := range u.sets {
		r.mu.Lock()
		for i, adj := range s.undo[u] {
			if adj != 0 {
				s.sems[i].val = min(max(s.sems[i].val+adj, 0), linux.SEMVMX)
				s.sems[i].pid = pid
			}
		}
		if _, ok := s.undo[u]; ok {
			r.undos -= len(s.sems)
		}
		delete(s.undo, u)
		s.OTime = now()
		s.queue.Notify(wait.All)
		r.mu.Unlock()
	}
	u.sets = nil
}

// SemInfo is a set as semctl(2) shows it.
type SemInfo struct {
	Perm
	N            int
	OTime, CTime int64
}

// with runs f on a set with the lock held, after a check of permissions.
func (r *Registry) withSem(c *Caller, id int32, want uint32, f func(*Sem) linux.Errno) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.sem.find(id)
	if errno != 0 {
		return errno
	}
	if !s.allows(c, r.user, want) {
		return linux.EACCES
	}
	return f(s)
}

// SemStat describes a set: by ID, or by index for SEM_STAT, unchecked for SEM_STAT_ANY.
func (r *Registry) SemStat(c *Caller, id int32, byIndex, any bool) (SemInfo, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.sem.find(id)
	if byIndex {
		s, errno = r.sem.index(id)
	}
	if errno != 0 {
		return SemInfo{}, errno
	}
	if !any && !s.allows(c, r.user, mayRead) {
		return SemInfo{}, linux.EACCES
	}
	return SemInfo{s.Perm, len(s.sems), s.OTime, s.CTime}, 0
}

// SemRead implements GETVAL, GETPID, GETNCNT and GETZCNT.
func (r *Registry) SemRead(c *Caller, id, num int32, what int32) (v int32, errno linux.Errno) {
	errno = r.withSem(c, id, mayRead, func(s *Sem) linux.Errno {
		if num < 0 || int(num) >= len(s.sems) {
			return linux.EINVAL
		}
		x := &s.sems[num]
		switch what {
		case linux.GETVAL:
			v = x.val
		case linux.GETPID:
			v = x.pid
		case linux.GETZCNT:
			v = x.zcnt
		default:
			v = x.ncnt
		}
		return 0
	})
	return v, errno
}

// SemValues implements GETALL.
func (r *Registry) SemValues(c *Caller, id int32) (out []uint16, errno linux.Errno) {
	errno = r.withSem(c, id, mayRead, func(s *Sem) linux.Errno {
		for _, x := range s.sems {
			out = append(out, uint16(x.val))
		}
		return 0
	})
	return out, errno
}

// SemWrite implements SETVAL (num ≥ 0, one value) and SETALL (num -1, as many values as semaphores). Undo
// adjustments of what is set are forgotten.
func (r *Registry) SemWrite(c *Caller, id, num int32, values []uint16) linux.Errno {
	return r.withSem(c, id, mayWrite, func(s *Sem) linux.Errno {
		first, last := int(num), int(num)+1
		if num < 0 {
			first, last = 0, len(s.sems)
		}
		if last > len(s.sems) || len(values) != last-first {
			return linux.EINVAL
		}
		for _, v := range values {
			if v > linux.SEMVMX {
				return linux.ERANGE
			}
		}
		for i := first; i < last; i++ {
			s.sems[i].val, s.sems[i].pid = int32(values[i-first]), c.PID
			for _, adj := range s.undo {
				adj[i] = 0
			}
		}
		s.CTime = now()
		s.queue.Notify(wait.All)
		return 0
	})
}

// SemCount is how many semaphores a set has.
func (r *Registry) SemCount(id int32) (int, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.sem.find(id)
	if errno != 0 {
		return 0, errno
	}
	return len(s.sems), 0
}

// SemRemove implements IPC_RMID: who waits gets EIDRM.
func (r *Registry) SemRemove(c *Caller, id int32) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.sem.find(id)
	switch {
	case errno != 0:
		return errno
	case !s.owns(c, r.user):
		return linux.EPERM
	}
	r.sem.remove(s)
	r.sems -= len(s.sems)
	r.undos -= len(s.undo) * len(s.sems)
	s.undo = nil
	s.queue.Notify(wait.All)
	return 0
}

// SemSet implements IPC_SET.
func (r *Registry) SemSet(c *Caller, id int32, uid, gid, mode uint32) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, errno := r.sem.find(id)
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

// SemUsage is what SEM_INFO tells.
func (r *Registry) SemUsage() (highest int32, sets, sems int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sem.byID {
		sems += len(s.sems)
	}
	return r.sem.highest(), len(r.sem.byID), sems
}
