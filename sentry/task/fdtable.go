package task

import (
	"math/bits"
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// FDTable maps descriptors to open files, like Linux's files_struct. Threads that were made with CLONE_FILES
// share one. Reads take no lock: a slot is an atomic pointer, and the slice of slots is replaced when it grows.
//
// A File in a slot has one reference for the slot.
type FDTable struct {
	slots atomic.Pointer[[]atomic.Pointer[vfs.File]]
	users atomic.Int32 // tasks that share the table

	mu      rank.Mutex[rank.FDTable] // guards the fields below, and changes of the slots
	limits  *Limits                  // of the thread group that made the table
	used    fdBits                   // descriptors in use or reserved
	cloexec fdBits
	next    int32 // no descriptor below is free
}

// maxSlots bounds the slots of all tables of the sandbox: a guest could make a huge table in each process.
const maxSlots = 32 << 20

var slotsUsed atomic.Int64

// fdMax is fs.nr_open: no descriptor reaches it, whatever RLIMIT_NOFILE says.
const fdMax = 1 << 20

// NewFDTable returns an empty table with one user. limits has the RLIMIT_NOFILE that it obeys.
func NewFDTable(limits *Limits) *FDTable {
	t := &FDTable{limits: limits}
	t.slots.Store(new([]atomic.Pointer[vfs.File]))
	t.users.Store(1)
	return t
}

// Get returns the file at fd with a reference, or nil. Files opened with O_PATH do not count.
func (t *FDTable) Get(fd int32) *vfs.File {
	f := t.GetRaw(fd)
	if f != nil && f.Flags()&linux.O_PATH != 0 {
		f.Put()
		return nil
	}
	return f
}

// GetRaw is Get including files opened with O_PATH.
func (t *FDTable) GetRaw(fd int32) *vfs.File {
	for {
		s := *t.slots.Load()
		if uint64(uint32(fd)) >= uint64(len(s)) {
			return nil
		}
		f := s[fd].Load()
		if f == nil {
			return nil
		}
		// The file may go between the load and here: then the slot, or the slice, has changed.
		if f.TryGet() {
			return f
		}
	}
}

// Reservation is descriptors that nobody can see yet.
type Reservation struct {
	t    *FDTable
	nums [2]int32
	more []int32
	n    int
	done uint64 // bit i: installed
}

// Reserve takes the n lowest free descriptors, EMFILE at RLIMIT_NOFILE. n is at most 64.
func (t *FDTable) Reserve(n int) (Reservation, linux.Errno) {
	r := Reservation{t: t, n: n}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range n {
		fd, errno := t.alloc(0)
		if errno != 0 {
			for _, fd := range r.list()[:i] {
				t.free(fd)
			}
			return Reservation{}, errno
		}
		if i < len(r.nums) {
			r.nums[i] = fd
		} else {
			if r.more == nil {
				r.more = append(make([]int32, 0, n), r.nums[:]...)
			}
			r.more = append(r.more, fd)
		}
	}
	return r, 0
}

func (r *Reservation) list() []int32 {
	if r.more != nil {
		return r.more
	}
	return r.nums[:]
}

// Numbers returns the descriptors.
func (r *Reservation) Numbers() []int32 { return r.list()[:r.n] }

// Install shows f, whose reference it takes, at the i-th descriptor.
func (r *Reservation) Install(i int, f *vfs.File, cloexec bool) {
	fd := r.list()[i]
	r.done |= 1 << i
	r.t.mu.Lock()
	r.t.cloexec.put(fd, cloexec)
	(*r.t.slots.Load())[fd].Store(f)
	r.t.mu.Unlock()
}

// Cancel gives the descriptors that were not installed back.
func (r *Reservation) Cancel() {
	if r.t == nil || r.done == 1<<r.n-1 {
		return
	}
	r.t.mu.Lock()
	for i, fd := range r.Numbers() {
		if r.done&(1<<i) == 0 {
			r.t.free(fd)
		}
	}
	r.t.mu.Unlock()
	r.t = nil
}

// alloc takes the lowest free descriptor from min on. Called with mu held.
func (t *FDTable) alloc(min int32) (int32, linux.Errno) {
	fd := t.used.nextClear(max(min, t.next))
	if uint64(fd) >= t.limit() {
		return 0, linux.EMFILE
	}
	if !t.grow(fd + 1) {
		return 0, linux.ENFILE
	}
	t.used.put(fd, true)
	if min <= t.next {
		t.next = fd + 1
	}
	return fd, 0
}

func (t *FDTable) limit() uint64 {
	return min(t.limits.Get(linux.RLIMIT_NOFILE).Cur, fdMax)
}

// free is called with mu held.
func (t *FDTable) free(fd int32) {
	t.used.put(fd, false)
	t.cloexec.put(fd, false)
	t.next = min(t.next, fd)
}

// grow makes room for n descriptors; false if the sandbox has too many. Called with mu held.
func (t *FDTable) grow(n int32) bool {
	old := *t.slots.Load()
	if int(n) <= len(old) {
		return true
	}
	size := max(64, 1<<bits.Len(uint(n-1)))
	more := int64(size - len(old))
	if slotsUsed.Add(more) > maxSlots {
		slotsUsed.Add(-more)
		return false
	}
	s := make([]atomic.Pointer[vfs.File], size)
	for i := range old {
		s[i].Store(old[i].Load())
	}
	t.slots.Store(&s)
	t.used.grow(size)
	t.cloexec.grow(size)
	return true
}

// discard ends a table that has no user and no files any more.
func (t *FDTable) discard() {
	t.mu.Lock()
	old := t.slots.Swap(new([]atomic.Pointer[vfs.File]))
	t.used, t.cloexec = fdBits{}, fdBits{}
	t.mu.Unlock()
	slotsUsed.Add(-int64(len(*old)))
}

// NewFD shows f, whose reference it takes, at the lowest free descriptor from min on.
func (t *FDTable) NewFD(f *vfs.File, cloexec bool, min int32) (int32, linux.Errno) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if min < 0 || uint64(min) >= t.limit() {
		return 0, linux.EINVAL
	}
	fd, errno := t.alloc(min)
	if errno != 0 {
		return 0, errno
	}
	t.cloexec.put(fd, cloexec)
	(*t.slots.Load())[fd].Store(f)
	return fd, 0
}

// Set shows f, whose reference it takes, at fd, and returns the file that was there, for the caller to flush
// and Put. EBUSY: another thread has reserved the number and not installed it yet (dup2(2)).
func (t *FDTable) Set(fd int32, f *vfs.File, cloexec bool) (*vfs.File, linux.Errno) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd < 0 || uint64(fd) >= t.limit() {
		return nil, linux.EBADF
	}
	if !t.grow(fd + 1) {
		return nil, linux.ENFILE
	}
	slot := &(*t.slots.Load())[fd]
	old := slot.Load()
	if old == nil && t.used.get(fd) {
		return nil, linux.EBUSY
	}
	t.used.put(fd, true)
	t.cloexec.put(fd, cloexec)
	slot.Store(f)
	return old, 0
}

// Close frees fd and returns its file, for the caller to flush and Put; nil if there is none.
func (t *FDTable) Close(fd int32) *vfs.File {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(fd)
}

// take is called with mu held.
func (t *FDTable) take(fd int32) *vfs.File {
	s := *t.slots.Load()
	if uint64(uint32(fd)) >= uint64(len(s)) {
		return nil
	}
	f := s[fd].Load()
	if f == nil {
		return nil
	}
	s[fd].Store(nil)
	t.free(fd)
	return f
}

// Cloexec says whether fd closes at execve(2); ok is false if there is no such descriptor.
func (t *FDTable) Cloexec(fd int32) (cloexec, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open(fd) {
		return false, false
	}
	return t.cloexec.get(fd), true
}

// open is called with mu held.
func (t *FDTable) open(fd int32) bool {
	s := *t.slots.Load()
	return uint64(uint32(fd)) < uint64(len(s)) && s[fd].Load() != nil
}

// SetCloexec changes whether fd closes at execve(2); false if there is no such descriptor.
func (t *FDTable) SetCloexec(fd int32, cloexec bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open(fd) {
		return false
	}
	t.cloexec.put(fd, cloexec)
	return true
}

// SetCloexecRange marks the descriptors first to last (close_range(2) with CLOSE_RANGE_CLOEXEC).
func (t *FDTable) SetCloexecRange(first, last uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := uint32(len(*t.slots.Load()))
	for fd := first; fd <= last && fd < n; fd++ {
		if t.used.get(int32(fd)) {
			t.cloexec.put(int32(fd), true)
		}
	}
}

// Each calls f for every open descriptor from first on, in order, until f returns false. f gets no reference
// beyond the call.
func (t *FDTable) Each(first int32, f func(fd int32, file *vfs.File, cloexec bool) bool) {
	for fd := max(first, 0); ; fd++ {
		t.mu.Lock()
		fd = t.used.nextSet(fd)
		if fd < 0 {
			t.mu.Unlock()
			return
		}
		file := (*t.slots.Load())[fd].Load()
		cloexec := t.cloexec.get(fd)
		if file != nil {
			file.Get()
		}
		t.mu.Unlock()
		if file == nil {
			continue
		}
		more := f(fd, file, cloexec)
		file.Put()
		if !more {
			return
		}
	}
}

// Size is the number of descriptors that there is room for (FDSize in /proc/pid/status).
func (t *FDTable) Size() int { return max(64, len(*t.slots.Load())) }

// Fork returns a copy with one user, nil if the sandbox has too many descriptors. Reserved ones are free in the copy.
func (t *FDTable) Fork(limits *Limits) *FDTable {
	n := NewFDTable(limits)
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.used.last()
	if last < 0 {
		return n
	}
	if !n.grow(last + 1) {
		return nil
	}
	from, to := *t.slots.Load(), *n.slots.Load()
	for fd := t.used.nextSet(0); fd >= 0; fd = t.used.nextSet(fd + 1) {
		if f := from[fd].Load(); f != nil {
			to[fd].Store(f.Get())
			n.used.put(fd, true)
			n.cloexec.put(fd, t.cloexec.get(fd))
		}
	}
	n.next = n.used.nextClear(0)
	return n
}
