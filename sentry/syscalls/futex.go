package syscalls

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/futex"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/timer"
)

// FutexOp is FUTEX_* with its flags.
type FutexOp uint32

const futexFlags = linux.FUTEX_PRIVATE_FLAG | linux.FUTEX_CLOCK_REALTIME

// Futex implements futex(2).
func Futex(t *task.Task, addr Addr, op FutexOp, val uint32, timeout mm.User[linux.Timespec], addr2 Addr, val3 uint32) (uintptr, linux.Errno) {
	c := futexCall{t: t, addr: uint64(addr), addr2: uint64(addr2), val: val, val2: uint32(timeout), val3: val3,
		shared: op&linux.FUTEX_PRIVATE_FLAG == 0}
	cmd := op &^ futexFlags
	realtime := op&linux.FUTEX_CLOCK_REALTIME != 0
	switch cmd {
	case linux.FUTEX_WAIT, linux.FUTEX_WAIT_BITSET, linux.FUTEX_LOCK_PI, linux.FUTEX_LOCK_PI2, linux.FUTEX_WAIT_REQUEUE_PI:
		if timeout != 0 {
			ts, errno := timeout.Load(t)
			if errno != 0 {
				return 0, errno
			}
			ns, ok := timer.FromTimespec(ts)
			if !ok {
				return 0, linux.EINVAL
			}
			c.deadline(cmd, ns, realtime)
		}
		if realtime && cmd == linux.FUTEX_LOCK_PI {
			return 0, linux.ENOSYS
		}
	default:
		if realtime {
			return 0, linux.ENOSYS
		}
	}
	return c.run(cmd)
}

// futexCall is one futex(2) on its way.
type futexCall struct {
	t           *task.Task
	addr, addr2 uint64
	val, val2   uint32
	val3        uint32
	shared      bool
	until       int64 // a reading of timer.Monotonic; 0: no timeout
}

// deadline sets the timeout. FUTEX_WAIT's is relative, the others' are absolute, FUTEX_LOCK_PI's on the realtime
// clock whatever the flag says.
func (c *futexCall) deadline(cmd FutexOp, ns int64, realtime bool) {
	clock := int32(linux.CLOCK_MONOTONIC)
	if realtime || cmd == linux.FUTEX_LOCK_PI {
		clock = linux.CLOCK_REALTIME
	}
	if cmd == linux.FUTEX_WAIT {
		c.until = timer.AddSat(timer.Monotonic(), ns)
	} else {
		c.until = max(timer.ToMonotonic(clock, &c.t.NS().Time.Offsets, ns), 1)
	}
}

func (c *futexCall) run(cmd FutexOp) (uintptr, linux.Errno) {
	switch cmd {
	case linux.FUTEX_WAIT:
		return c.wait(linux.FUTEX_BITSET_MATCH_ANY)
	case linux.FUTEX_WAIT_BITSET:
		return c.wait(c.val3)
	case linux.FUTEX_WAKE:
		return c.wake(linux.FUTEX_BITSET_MATCH_ANY)
	case linux.FUTEX_WAKE_BITSET:
		return c.wake(c.val3)
	case linux.FUTEX_REQUEUE:
		return c.requeue(nil)
	case linux.FUTEX_CMP_REQUEUE:
		return c.requeue(&c.val3)
	case linux.FUTEX_WAKE_OP:
		return c.wakeOp()
	case linux.FUTEX_LOCK_PI, linux.FUTEX_LOCK_PI2:
		return c.lockPI(false)
	case linux.FUTEX_TRYLOCK_PI:
		return c.lockPI(true)
	case linux.FUTEX_UNLOCK_PI:
		return c.unlockPI()
	case linux.FUTEX_WAIT_REQUEUE_PI:
		return c.waitRequeuePI()
	case linux.FUTEX_CMP_REQUEUE_PI:
		return c.requeuePI()
	}
	return 0, linux.ENOSYS
}

// word finds the futex at an address.
func (c *futexCall) word(addr uint64) (futex.Word, linux.Errno) {
	if addr&3 != 0 {
		return futex.Word{}, linux.EINVAL
	}
	as := c.t.MM()
	key, errno := as.FutexKey(addr, c.shared)
	return futex.Word{Mem: as, Addr: addr, Key: key}, errno
}

// words finds both futexes of a call.
func (c *futexCall) words() (a, b futex.Word, errno linux.Errno) {
	if a, errno = c.word(c.addr); errno == 0 {
		b, errno = c.word(c.addr2)
	}
	return a, b, errno
}

// park sleeps until w is woken, a signal comes or the time is over.
func (c *futexCall) park(w *futex.Waiter) linux.Errno {
	deadline := noDeadline
	if c.until != 0 {
		deadline = timer.Deadline(c.until)
	}
	for !w.Woken() {
		errno := c.t.Park(deadline)
		if errno == linux.ETIMEDOUT && timer.Monotonic() < c.until {
			deadline = timer.Deadline(c.until) // Go's clock is a little ahead of the guest's
			continue
		}
		if errno != 0 {
			return errno
		}
	}
	return 0
}

func (c *futexCall) wait(bitset uint32) (uintptr, linux.Errno) {
	if bitset == 0 {
		return 0, linux.EINVAL
	}
	word, errno := c.word(c.addr)
	if errno != 0 {
		return 0, errno
	}
	w, table := c.t.FutexWaiter(), c.t.Kernel().Futexes
	if errno := table.Enqueue(w, word, bitset, c.val); errno != 0 {
		return 0, errno
	}
	errno = c.park(w)
	if !table.Dequeue(w) {
		return 0, 0 // woken, whatever else happened
	}
	if errno != linux.ERESTARTSYS || c.until == 0 {
		return 0, errno
	}
	// With a timeout the restart must not begin it anew.
	again := *c
	c.t.SetRestart(func(t *task.Task) (uintptr, linux.Errno) {
		again.t = t
		return again.wait(bitset)
	})
	return 0, linux.ERESTART_RESTARTBLOCK
}

func (c *futexCall) wake(bitset uint32) (uintptr, linux.Errno) {
	if bitset == 0 {
		return 0, linux.EINVAL
	}
	if c.addr&3 != 0 {
		return 0, linux.EINVAL
	}
	key, errno := c.t.MM().FutexKey(c.addr, c.shared)
	if errno != 0 {
		return 0, errno
	}
	// Linux wakes at least one waiter, whatever the number says.
	n, errno := c.t.Kernel().Futexes.Wake(key, max(int(int32(c.val)), 1), bitset)
	return uintptr(n), errno
}

func (c *futexCall) requeue(want *uint32) (uintptr, linux.Errno) {
	if int32(c.val) < 0 || int32(c.val2) < 0 {
		return 0, linux.EINVAL
	}
	from, to, errno := c.words()
	if errno != 0 {
		return 0, errno
	}
	n, errno := c.t.Kernel().Futexes.Requeue(from, to, int(c.val), int(c.val2), want)
	return uintptr(n), errno
}

func (c *futexCall) wakeOp() (uintptr, linux.Errno) {
	if errno := futex.CheckOp(c.val3); errno != 0 {
		return 0, errno
	}
	from, to, errno := c.words()
	if errno != 0 {
		return 0, errno
	}
	n, errno := c.t.Kernel().Futexes.WakeOp(from, to, max(int(int32(c.val)), 1), max(int(int32(c.val2)), 1), c.val3)
	return uintptr(n), errno
}

func (c *futexCall) lockPI(try bool) (uintptr, linux.Errno) {
	word, errno := c.word(c.addr)
	if errno != 0 {
		return 0, errno
	}
	w, table := c.t.FutexWaiter(), c.t.Kernel().Futexes
	queued, errno := table.LockPI(w, word, c.t.FindFutexOwner, try)
	if errno != 0 || !queued {
		return 0, errno
	}
	errno = c.park(w)
	if table.CancelPI(w) {
		return 0, 0
	}
	if errno == linux.ERESTARTSYS {
		errno = linux.ERESTARTNOINTR // the timeout is absolute, so it can simply start again
	}
	return 0, errno
}

func (c *futexCall) unlockPI() (uintptr, linux.Errno) {
	word, errno := c.word(c.addr)
	if errno != 0 {
		return 0, errno
	}
	return none(c.t.Kernel().Futexes.UnlockPI(word, uint32(c.t.TID()), c.t.FutexOwner()))
}

func (c *futexCall) waitRequeuePI() (uintptr, linux.Errno) {
	if c.addr == c.addr2 {
		return 0, linux.EINVAL
	}
	word, target, errno := c.words()
	if errno != 0 {
		return 0, errno
	}
	if word.Key == target.Key {
		return 0, linux.EINVAL
	}
	w, table := c.t.FutexWaiter(), c.t.Kernel().Futexes
	if errno := table.EnqueueRequeuePI(w, word, &target, linux.FUTEX_BITSET_MATCH_ANY, c.val); errno != 0 {
		return 0, errno
	}
	errno = c.park(w)
	if table.CancelPI(w) {
		return 0, 0
	}
	switch {
	case errno == linux.ETIMEDOUT:
		return 0, errno
	case w.Moved():
		return 0, linux.EAGAIN // too late to start again: the word has changed
	}
	return 0, linux.ERESTARTNOINTR
}

func (c *futexCall) requeuePI() (uintptr, linux.Errno) {
	if c.addr == c.addr2 || c.val != 1 || int32(c.val2) < 0 {
		return 0, linux.EINVAL
	}
	from, to, errno := c.words()
	if errno != 0 {
		return 0, errno
	}
	if from.Key == to.Key {
		return 0, linux.EINVAL
	}
	n, errno := c.t.Kernel().Futexes.RequeuePI(from, to, int(c.val2), c.val3, c.t.FindFutexOwner)
	return uintptr(n), errno
}

// futexWaitv is struct futex_waitv.
type futexWaitv struct {
	Val, Addr uint64
	Flags     uint32
	Reserved  uint32
}

// FutexWaitv implements futex_waitv(2): it waits on several futexes and returns the index of one that was woken.
func FutexWaitv(t *task.Task, waiters mm.User[futexWaitv], n, flags uint32, timeout mm.User[linux.Timespec], clock ClockID) (uintptr, linux.Errno) {
	if flags != 0 || n == 0 || n > linux.FUTEX_WAITV_MAX || waiters == 0 {
		return 0, linux.EINVAL
	}
	c := futexCall{t: t}
	if timeout != 0 {
		if clock != linux.CLOCK_MONOTONIC && clock != linux.CLOCK_REALTIME {
			return 0, linux.EINVAL
		}
		ts, errno := timeout.Load(t)
		if errno != 0 {
			return 0, errno
		}
		ns, ok := timer.FromTimespec(ts)
		if !ok {
			return 0, linux.EINVAL
		}
		c.deadline(linux.FUTEX_WAIT_BITSET, ns, clock == linux.CLOCK_REALTIME)
	}
	v := make([]futexWaitv, n)
	for i := range v {
		var errno linux.Errno
		if v[i], errno = waiters.At(i).Load(t); errno != 0 {
			return 0, errno
		}
		if v[i].Flags&^(linux.FUTEX_32|linux.FUTEX_PRIVATE_FLAG) != 0 || v[i].Flags&linux.FUTEX_32 == 0 || v[i].Val>>32 != 0 || v[i].Reserved != 0 {
			return 0, linux.EINVAL
		}
	}
	return c.waitMany(v)
}

func (c *futexCall) waitMany(v []futexWaitv) (uintptr, linux.Errno) {
	table := c.t.Kernel().Futexes
	ws := make([]futex.Waiter, len(v))
	// dequeue takes the first n off and returns the last that had been woken, -1 if none.
	dequeue := func(n int) int {
		woken := -1
		for i := range ws[:n] {
			if !table.Dequeue(&ws[i]) {
				woken = i
			}
		}
		return woken
	}
	for i := range ws {
		ws[i].Waker = c.t
		c.shared = v[i].Flags&linux.FUTEX_PRIVATE_FLAG == 0
		word, errno := c.word(v[i].Addr)
		if errno == 0 {
			errno = table.Enqueue(&ws[i], word, linux.FUTEX_BITSET_MATCH_ANY, uint32(v[i].Val))
		}
		if errno != 0 {
			if k := dequeue(i); k >= 0 {
				return uintptr(k), 0
			}
			return 0, errno
		}
	}
	any := func() bool {
		for i := range ws {
			if ws[i].Woken() {
				return true
			}
		}
		return false
	}
	errno := linux.Errno(0)
	for !any() && errno == 0 {
		deadline := wait.Deadline(noDeadline)
		if c.until != 0 {
			deadline = timer.Deadline(c.until)
		}
		errno = c.t.Park(deadline)
	}
	if k := dequeue(len(ws)); k >= 0 {
		return uintptr(k), 0
	}
	return 0, errno
}

// SetRobustList implements set_robust_list(2).
func SetRobustList(t *task.Task, head Addr, size uint64) (uintptr, linux.Errno) {
	const headSize = 24
	if size != headSize {
		return 0, linux.EINVAL
	}
	t.SetRobustList(uint64(head))
	return 0, 0
}

// GetRobustList implements get_robust_list(2).
func GetRobustList(t *task.Task, pid PID, head, size mm.User[uint64]) (uintptr, linux.Errno) {
	o := taskAt(t, pid)
	if o == nil {
		return 0, linux.ESRCH
	}
	if !t.MayAccess(o, false) {
		return 0, linux.EPERM
	}
	if errno := size.Store(t, 24); errno != 0 {
		return 0, errno
	}
	return none(head.Store(t, o.RobustList()))
}
