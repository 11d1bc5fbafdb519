package ptrace

import (
	"slices"
	"sync/atomic"
	"time"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/platform"
)

// space is an address space: one stub process.
type space struct {
	p      *Platform
	pid    int
	index  int      // of its page in the order book
	orders []uint64 // that page

	mu       rank.Mutex[rank.Platform] // serialises errands; guards the fields below
	req      *request
	parked   []int // threads of the stub that nobody uses
	released bool
	tracees  map[int]*thread // attached threads, by the host thread that traces them

	threadsMu rank.Mutex[rank.Platform] // taken inside mu, also while an errand hangs; guards tids
	tids      []int                     // threads that are traced, or may be

	reaped atomic.Bool // the leader's exit status was taken: pid means nothing any more
	wall   stopwatch   // of the time that threads, released ones too, spent in guest code
}

var _ platform.AddressSpace = (*space)(nil)

// HostPID implements platform.AddressSpace.
func (s *space) HostPID() int { return s.pid }

// TextChanged does nothing: this platform patches no code.
func (s *space) TextChanged(addr, length uint64) {}

// Apply implements platform.AddressSpace.
func (s *space) Apply(ops []platform.MapOp) linux.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return linux.ESRCH
	}
	if s.req == nil {
		s.req = &request{space: s, done: make(chan linux.Errno, 1)}
	}
	r := s.req
	for len(ops) > 0 {
		n := min(len(ops), maxOrders)
		for i := range ops[:n] {
			if errno := encodeOrder(&ops[i], &r.orders[i]); errno != 0 {
				return errno
			}
		}
		r.kind, r.n = applyOrders, n
		if errno := s.perform(r); errno != 0 {
			return errno
		}
		ops = ops[n:]
	}
	return 0
}

// perform has the orders of r done: by the caller's own guest thread, if the calling goroutine traces one that is
// stopped, which saves the way to the controller; else by the helper. A guest thread is as good as the
// helper there: it is in the stub's text, with the sentry's registers, and back in a stop before the guest goes on.
func (s *space) perform(r *request) linux.Errno {
	if t := s.tracees[gettid()]; t != nil && !t.gone {
		regs := r.prepare()
		switch drive(t.tid, &regs) {
		case driveDone:
			return r.result(&regs)
		case driveDied, driveLost:
			t.lose()
			return linux.ESRCH
		}
		// The guest may have taken away its right to read the orders, by protection keys. Orders can be
		// repeated, and the guest's registers are all set at the next Switch.
	}
	return s.p.ctl.do(r)
}

// encodeOrder writes the system call of op.
func encodeOrder(op *platform.MapOp, o *[orderWords]uint64) linux.Errno {
	if op.Addr%pageSize != 0 || op.Len%pageSize != 0 || op.Offset%pageSize != 0 || op.Len == 0 ||
		op.Addr < userLo || op.Addr >= userHi || op.Len > userHi-op.Addr || op.Prot > 7 {
		return linux.EINVAL
	}
	switch op.Kind {
	case platform.OpMap:
		flags := uint64(linux.MAP_SHARED | linux.MAP_FIXED)
		if op.Populate {
			flags |= linux.MAP_POPULATE
		}
		*o = [orderWords]uint64{linux.SYS_MMAP, op.Addr, op.Len, uint64(op.Prot), flags, uint64(uint32(op.FD)), op.Offset}
	case platform.OpUnmap:
		*o = [orderWords]uint64{linux.SYS_MUNMAP, op.Addr, op.Len}
	case platform.OpProtect:
		*o = [orderWords]uint64{linux.SYS_MPROTECT, op.Addr, op.Len, uint64(op.Prot)}
	default:
		return linux.EINVAL
	}
	return 0
}

// NewThread implements platform.AddressSpace.
func (s *space) NewThread() (platform.Thread, linux.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return nil, linux.ESRCH
	}
	t := &thread{s: s, fp: make([]byte, len(s.p.initFP))}
	copy(t.fp, s.p.initFP)
	t.fpState = fpToSet
	if n := len(s.parked); n > 0 {
		t.tid = s.parked[n-1]
		s.parked = s.parked[:n-1]
	} else {
		r := request{kind: makeThread, space: s, done: make(chan linux.Errno, 1)}
		if errno := s.p.ctl.do(&r); errno != 0 {
			return nil, errno
		}
		t.tid = r.tid
	}
	s.threadsMu.LockNested()
	s.tids = append(s.tids, t.tid)
	s.threadsMu.Unlock()
	return t, 0
}

// attached and detached keep the map of who traces whom.
func (s *space) attached(t *thread) {
	s.mu.Lock()
	if s.tracees == nil {
		s.tracees = map[int]*thread{}
	}
	s.tracees[t.tracer] = t
	s.mu.Unlock()
}

func (s *space) detached(t *thread) {
	s.mu.Lock()
	if s.tracees[t.tracer] == t {
		delete(s.tracees, t.tracer)
	}
	s.mu.Unlock()
}

// park takes back the host thread of a released guest thread, which nobody traces any more.
func (s *space) park(tid int) {
	s.threadsMu.Lock()
	if i := slices.Index(s.tids, tid); i >= 0 {
		s.tids = slices.Delete(s.tids, i, i+1)
	}
	s.threadsMu.Unlock()
	s.mu.Lock()
	s.parked = append(s.parked, tid)
	s.mu.Unlock()
}

// reapThreads takes the exit status of dead threads whose owners do not run: until then the host does not
// report the death of the process, and whoever waits for that hangs.
func (s *space) reapThreads() {
	s.threadsMu.Lock()
	defer s.threadsMu.Unlock()
	for _, tid := range s.tids {
		reapDead(tid)
	}
}

// Release implements platform.AddressSpace.
func (s *space) Release() {
	s.mu.Lock()
	done := s.released
	s.released = true
	s.mu.Unlock()
	if done {
		return
	}
	s.p.forget(s)
	if s.reaped.Load() {
		s.p.orders.put(s.index)
		return
	}
	kill(s.pid)
	go s.reap()
}

// reap waits until the killed stub is gone.
func (s *space) reap() {
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		s.reapThreads()
		pid, _, errno := wait(s.pid, wAll|wNoHang)
		if pid == s.pid || errno != 0 {
			s.p.orders.put(s.index)
			return
		}
		time.Sleep(pause)
	}
}
