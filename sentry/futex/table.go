package futex

import (
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
)

// Memory is the guest words of one address space. Operations fault pages in; EFAULT where that is impossible.
type Memory interface {
	LoadUint32(addr uint64) (uint32, linux.Errno)
	// CompareAndSwapUint32 stores new if the word is old, and says whether it was.
	CompareAndSwapUint32(addr uint64, old, new uint32) (bool, linux.Errno)
}

// Word is one futex as a thread reaches it.
type Word struct {
	Mem  Memory
	Addr uint64
	Key  Key
}

func (w *Word) load() (uint32, linux.Errno) { return w.Mem.LoadUint32(w.Addr) }

func (w *Word) cas(old, new uint32) (bool, linux.Errno) {
	return w.Mem.CompareAndSwapUint32(w.Addr, old, new)
}

// Waiter is one thread waiting on one futex. It belongs to the waiting thread, which may use it again once it is
// off its queue.
type Waiter struct {
	Waker wait.Waker
	// TID and Owner are the thread's, for PI futexes.
	TID   uint32
	Owner *Owner

	bucket atomic.Pointer[bucket] // nil: not queued
	woken  atomic.Bool

	// The bucket's lock guards the rest.
	word       Word
	bitset     uint32
	next, prev *Waiter
	pi         *piState // waits for this PI futex
	target     *Word    // FUTEX_WAIT_REQUEUE_PI: the PI futex that it may be moved to
}

// bucket is the futexes whose keys have one hash.
type bucket struct {
	mu         rank.Mutex[rank.Futex] // guards the fields below
	head, tail *Waiter
	pi         map[Key]*piState // PI futexes that are waited for; made on demand
}

const numBuckets = 1024 // a power of two

// Table is all futexes of a sandbox.
type Table struct {
	buckets [numBuckets]bucket
	chain   rank.Mutex[rank.FutexPI] // guards Owners: who owns and who waits for PI futexes
}

// NewTable returns an empty table.
func NewTable() *Table { return &Table{} }

func (t *Table) of(k *Key) *bucket { return &t.buckets[k.hash()%numBuckets] }

// lock2 locks the buckets of two keys.
func (t *Table) lock2(a, b *Key) (x, y *bucket) {
	x, y = t.of(a), t.of(b)
	switch i, j := a.hash()%numBuckets, b.hash()%numBuckets; {
	case i == j:
		x.mu.Lock()
	case i < j:
		x.mu.Lock()
		y.mu.LockNested()
	default:
		y.mu.Lock()
		x.mu.LockNested()
	}
	return x, y
}

func unlock2(x, y *bucket) {
	x.mu.Unlock()
	if y != x {
		y.mu.Unlock()
	}
}

func (b *bucket) add(w *Waiter) {
	w.prev, w.next = b.tail, nil
	if b.tail != nil {
		b.tail.next = w
	} else {
		b.head = w
	}
	b.tail = w
	w.bucket.Store(b)
}

func (b *bucket) remove(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.tail = w.prev
	}
	w.next, w.prev = nil, nil
	w.bucket.Store(nil)
}

// wake takes w off its queue and wakes its thread.
func (b *bucket) wake(w *Waiter) {
	waker := w.Waker // w may be used again as soon as it is marked
	b.remove(w)
	w.woken.Store(true)
	waker.Wake(nil, 0)
}

// Woken says whether the wait is over.
func (w *Waiter) Woken() bool { return w.woken.Load() }

func (w *Waiter) reset(word Word, bitset uint32) {
	w.word, w.bitset = word, bitset
	w.pi, w.target = nil, nil
	w.woken.Store(false)
}

// Enqueue queues w on a futex if the word has the value want; EAGAIN if not. The thread then parks until Woken,
// and calls Dequeue in any case.
func (t *Table) Enqueue(w *Waiter, word Word, bitset, want uint32) linux.Errno {
	b := t.of(&word.Key)
	b.mu.Lock()
	defer b.mu.Unlock()
	v, errno := word.load()
	if errno != 0 {
		return errno
	}
	if v != want {
		return linux.EAGAIN
	}
	w.reset(word, bitset)
	b.add(w)
	return 0
}

// Dequeue ends a wait. True: w was still queued; false: it had been woken.
func (t *Table) Dequeue(w *Waiter) bool {
	b := w.lockBucket()
	if b == nil {
		return false
	}
	defer b.mu.Unlock()
	b.remove(w)
	return true
}

// lockBucket locks the bucket that w is on; nil if it is on none. Requeue may move it meanwhile.
func (w *Waiter) lockBucket() *bucket {
	for {
		b := w.bucket.Load()
		if b == nil {
			return nil
		}
		b.mu.Lock()
		if w.bucket.Load() == b {
			return b
		}
		b.mu.Unlock()
	}
}

// Wake wakes up to n waiters of key whose bitset meets bitset, and returns how many. EINVAL: a waiter waits for a
// PI futex.
func (t *Table) Wake(key Key, n int, bitset uint32) (int, linux.Errno) {
	b := t.of(&key)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wakeMatching(&key, n, bitset)
}

// wakeMatching is called with the bucket locked.
func (b *bucket) wakeMatching(key *Key, n int, bitset uint32) (int, linux.Errno) {
	done := 0
	for w := b.head; w != nil && done < n; {
		next := w.next
		if w.word.Key == *key {
			if w.pi != nil || w.target != nil {
				return done, linux.EINVAL
			}
			if w.bitset&bitset != 0 {
				b.wake(w)
				done++
			}
		}
		w = next
	}
	return done, 0
}

// Requeue wakes up to wake waiters of from and moves up to move others to to. want, if not nil, is the value that
// from's word must have (EAGAIN). It returns how many were woken or moved.
func (t *Table) Requeue(from, to Word, wake, move int, want *uint32) (int, linux.Errno) {
	x, y := t.lock2(&from.Key, &to.Key)
	defer unlock2(x, y)
	if want != nil {
		v, errno := from.load()
		if errno != 0 {
			return 0, errno
		}
		if v != *want {
			return 0, linux.EAGAIN
		}
	}
	done := 0
	last := x.tail // waiters that are moved within the bucket come after it
	for w := x.head; w != nil && done-wake < move; {
		next := w.next
		if w == last {
			next = nil
		}
		if w.word.Key == from.Key {
			if w.pi != nil || w.target != nil {
				return done, linux.EINVAL
			}
			done++
			if done <= wake {
				x.wake(w)
			} else if from.Key != to.Key {
				x.remove(w)
				w.word.Key = to.Key
				y.add(w)
			}
		}
		w = next
	}
	return done, 0
}

// WakeOp changes to's word by op (the last argument of FUTEX_WAKE_OP), wakes up to n waiters of from, and, if the
// comparison in op held for the old value, up to m waiters of to.
func (t *Table) WakeOp(from, to Word, n, m int, op uint32) (int, linux.Errno) {
	x, y := t.lock2(&from.Key, &to.Key)
	defer unlock2(x, y)
	old, errno := to.apply(op)
	if errno != 0 {
		return 0, errno
	}
	meets, errno := compare(op, old)
	if errno != 0 {
		return 0, errno
	}
	done, errno := x.wakeMatching(&from.Key, n, linux.FUTEX_BITSET_MATCH_ANY)
	if errno != 0 || !meets {
		return done, errno
	}
	k, errno := y.wakeMatching(&to.Key, m, linux.FUTEX_BITSET_MATCH_ANY)
	return done + k, errno
}

// signExtend12 is a 12-bit two's complement field.
func signExtend12(v uint32) int32 { return int32(v<<20) >> 20 }

// CheckOp refuses operations that FUTEX_WAKE_OP does not know: ENOSYS, before anything is looked at.
func CheckOp(op uint32) linux.Errno {
	if op>>28&7 > linux.FUTEX_OP_XOR || op>>24&15 > linux.FUTEX_OP_CMP_GE {
		return linux.ENOSYS
	}
	return 0
}

func (w *Word) apply(op uint32) (old uint32, errno linux.Errno) {
	arg := uint32(signExtend12(op >> 12 & 0xfff))
	if op>>28&linux.FUTEX_OP_OPARG_SHIFT != 0 {
		arg = 1 << (arg & 31)
	}
	for {
		v, errno := w.load()
		if errno != 0 {
			return 0, errno
		}
		n := v
		switch op >> 28 & 7 {
		case linux.FUTEX_OP_SET:
			n = arg
		case linux.FUTEX_OP_ADD:
			n += arg
		case linux.FUTEX_OP_OR:
			n |= arg
		case linux.FUTEX_OP_ANDN:
			n &^= arg
		case linux.FUTEX_OP_XOR:
			n ^= arg
		default:
			return 0, linux.ENOSYS
		}
		if ok, errno := w.cas(v, n); errno != 0 || ok {
			return v, errno
		}
	}
}

func compare(op, old uint32) (bool, linux.Errno) {
	a, b := int32(old), signExtend12(op&0xfff)
	switch op >> 24 & 15 {
	case linux.FUTEX_OP_CMP_EQ:
		return a == b, 0
	case linux.FUTEX_OP_CMP_NE:
		return a != b, 0
	case linux.FUTEX_OP_CMP_LT:
		return a < b, 0
	case linux.FUTEX_OP_CMP_LE:
		return a <= b, 0
	case linux.FUTEX_OP_CMP_GT:
		return a > b, 0
	case linux.FUTEX_OP_CMP_GE:
		return a >= b, 0
	}
	return false, linux.ENOSYS
}
