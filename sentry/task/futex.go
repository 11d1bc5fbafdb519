package task

import (
	"hornwork/linux"
	"hornwork/sentry/futex"
	"hornwork/sentry/mm"
)

// FutexWaiter is the task's waiter for a single futex.
func (t *Task) FutexWaiter() *futex.Waiter {
	w := &t.park.futex
	w.Waker, w.Owner, w.TID = t, &t.misc.pi, uint32(t.TID())
	return w
}

// FutexOwner is the task as the owner of PI futexes.
func (t *Task) FutexOwner() *futex.Owner { return &t.misc.pi }

// FindFutexOwner finds the thread that a futex word names, in t's PID namespace.
func (t *Task) FindFutexOwner(tid uint32) *futex.Owner {
	if o := t.PIDNS().Task(int32(tid)); o != nil {
		return &o.misc.pi
	}
	return nil
}

// futexWakeAddr wakes waiters on a word: clear_child_tid and robust lists. On private memory a shared key is the
// same as a private one.
func (t *Task) futexWakeAddr(as *mm.AddressSpace, addr uint64, n int) {
	if key, errno := as.FutexKey(addr, true); errno == 0 {
		// Waiters for a PI futex make it an error; they are woken by its owner's exit.
		_, _ = t.kernel.Futexes.Wake(key, n, linux.FUTEX_BITSET_MATCH_ANY)
	}
}
