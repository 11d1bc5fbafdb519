package futex

import (
	"hornwork/linux"
)

// Priority inheritance: the word of a PI futex has the owner's TID, and the kernel hands the futex over to the
// waiter that comes next. Nobody's priority is in fact raised (the sentry's goroutines have none); what programs
// can observe is the hand-over, its order, ownership after death, and the detection of deadlocks.

// Owner is a thread as the owner of PI futexes. Its zero value is ready; Table.chain guards it.
type Owner struct {
	held    map[*piState]struct{} // with waiters
	blocked *piState              // waits for this one
	dead    bool
}

// piState is a PI futex that is owned and has waiters. The bucket's lock guards waiters, Table.chain owner.
type piState struct {
	key     Key
	owner   *Owner
	waiters []*Waiter // first come, first served
}

// FindOwner finds the thread that a futex word names, in the PID namespace of who asks; nil: there is none.
type FindOwner func(tid uint32) *Owner

// LockPI takes a PI futex for w, or queues w on it (queued): the thread then parks until Woken and calls CancelPI.
// try: EAGAIN instead of queueing.
func (t *Table) LockPI(w *Waiter, word Word, find FindOwner, try bool) (queued bool, errno linux.Errno) {
	b := t.of(&word.Key)
	for {
		h, errno := word.peek(find)
		if errno != 0 {
			return false, errno
		}
		b.mu.Lock()
		st, errno := t.acquire(b, w, &word, h, false)
		switch {
		case errno == errChanged:
			b.mu.Unlock()
			continue
		case errno == 0 && st != nil && try:
			errno = linux.EAGAIN
			t.dropIfUnused(b, st)
		case errno == 0 && st != nil:
			w.reset(word, 0)
			if errno = t.enqueuePI(b, w, st); errno != 0 {
				t.dropIfUnused(b, st)
			}
			queued = errno == 0
		}
		b.mu.Unlock()
		return queued, errno
	}
}

// holder is whom a word names.
type holder struct {
	tid   uint32
	owner *Owner
}

// errChanged is internal: the word names another holder than it did. Look again.
const errChanged = linux.ERESTARTSYS

// peek looks at who holds the futex, before its bucket is locked: tasks cannot be looked up under that lock.
func (w *Word) peek(find FindOwner) (holder, linux.Errno) {
	v, errno := w.load()
	if errno != 0 {
		return holder{}, errno
	}
	h := holder{tid: v & linux.FUTEX_TID_MASK}
	if h.tid != 0 {
		h.owner = find(h.tid)
	}
	return h, 0
}

// acquire takes the futex for w if it is free (nil state), or returns its state to wait on. h is what peek saw.
// Called with the bucket locked.
func (t *Table) acquire(b *bucket, w *Waiter, word *Word, h holder, setWaiters bool) (*piState, linux.Errno) {
	for {
		v, errno := word.load()
		if errno != 0 {
			return nil, errno
		}
		tid := v & linux.FUTEX_TID_MASK
		switch {
		case tid == w.TID:
			return nil, linux.EDEADLK
		case tid != h.tid:
			return nil, errChanged
		}
		if st := b.pi[word.Key]; st != nil {
			// A word of 0 is that of a dying owner, whose waiters are about to get it.
			if tid != 0 && t.ownerOf(st) != h.owner {
				return nil, linux.EINVAL
			}
			return st, 0
		}
		n := v | linux.FUTEX_WAITERS
		if tid == 0 {
			n = v&linux.FUTEX_OWNER_DIED | w.TID
			if setWaiters {
				n |= linux.FUTEX_WAITERS
			}
		} else if h.owner == nil {
			return nil, linux.ESRCH
		}
		ok, errno := word.cas(v, n)
		switch {
		case errno != 0 || ok && tid == 0:
			return nil, errno
		case ok:
			return t.newState(b, word.Key, h.owner)
		}
	}
}

func (t *Table) newState(b *bucket, key Key, o *Owner) (*piState, linux.Errno) {
	t.chain.Lock()
	defer t.chain.Unlock()
	if o.dead {
		return nil, linux.ESRCH
	}
	st := &piState{key: key, owner: o}
	if b.pi == nil {
		b.pi = map[Key]*piState{}
	}
	b.pi[key] = st
	o.hold(st)
	return st, 0
}

func (o *Owner) hold(st *piState) {
	if o.held == nil {
		o.held = map[*piState]struct{}{}
	}
	o.held[st] = struct{}{}
}

// enqueuePI makes w wait for st. EDEADLK: the owner waits, perhaps through others, for w's thread.
func (t *Table) enqueuePI(b *bucket, w *Waiter, st *piState) linux.Errno {
	t.chain.Lock()
	defer t.chain.Unlock()
	for o := st.owner; o != nil; {
		if o == w.Owner {
			return linux.EDEADLK
		}
		if o.blocked == nil {
			break
		}
		o = o.blocked.owner
	}
	w.pi = st
	w.Owner.blocked = st
	st.waiters = append(st.waiters, w)
	b.add(w)
	return 0
}

// dropIfUnused forgets a state without waiters. Called with the bucket locked.
func (t *Table) dropIfUnused(b *bucket, st *piState) {
	if len(st.waiters) > 0 {
		return
	}
	t.chain.Lock()
	defer t.chain.Unlock()
	delete(b.pi, st.key)
	if st.owner != nil {
		delete(st.owner.held, st)
	}
}

// grant makes the first waiter the owner, and writes it to the word through v's successor. died: the old owner
// did not unlock. False: the word has changed, look again. Called with the bucket locked.
func (t *Table) grant(b *bucket, st *piState, v uint32, died bool) (bool, linux.Errno) {
	w := st.waiters[0]
	n := w.TID | linux.FUTEX_WAITERS
	if died {
		n |= linux.FUTEX_OWNER_DIED
	}
	ok, errno := w.word.cas(v, n)
	if !ok && errno == 0 {
		return false, 0
	}
	// Even if the word cannot be written any more, the waiter must not sleep for ever.
	t.chain.Lock()
	if st.owner != nil {
		delete(st.owner.held, st)
	}
	st.waiters = st.waiters[1:]
	st.owner = w.Owner
	w.Owner.blocked = nil
	if len(st.waiters) > 0 {
		w.Owner.hold(st)
	} else {
		delete(b.pi, st.key)
	}
	t.chain.Unlock()
	w.pi = nil
	b.wake(w)
	return true, errno
}

// UnlockPI gives up a PI futex that the thread with tid owns: EPERM if it does not.
func (t *Table) UnlockPI(word Word, tid uint32, me *Owner) linux.Errno {
	b := t.of(&word.Key)
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		v, errno := word.load()
		if errno != 0 {
			return errno
		}
		if v&linux.FUTEX_TID_MASK != tid {
			return linux.EPERM
		}
		st := b.pi[word.Key]
		if st == nil {
			ok, errno := word.cas(v, 0)
			if ok || errno != 0 {
				return errno
			}
			continue
		}
		if t.ownerOf(st) != me {
			return linux.EINVAL
		}
		if ok, errno := t.grant(b, st, v, false); ok || errno != 0 {
			return errno
		}
	}
}

func (t *Table) ownerOf(st *piState) *Owner {
	t.chain.Lock()
	defer t.chain.Unlock()
	return st.owner
}

// CancelPI ends a wait for a PI futex. True: w owns it after all, having been woken.
func (t *Table) CancelPI(w *Waiter) bool {
	b := w.lockBucket()
	if b == nil {
		return true
	}
	defer b.mu.Unlock()
	b.remove(w)
	st := w.pi
	if st == nil {
		return false // FUTEX_WAIT_REQUEUE_PI that was not requeued
	}
	t.chain.Lock()
	for i, x := range st.waiters {
		if x == w {
			st.waiters = append(st.waiters[:i:i], st.waiters[i+1:]...)
			break
		}
	}
	w.Owner.blocked = nil
	t.chain.Unlock()
	w.pi = nil
	t.dropIfUnused(b, st)
	return false
}

// OwnerExit hands what a dead thread owned to the waiters.
func (t *Table) OwnerExit(o *Owner) {
	for {
		t.chain.Lock()
		o.dead = true
		var st *piState
		for st = range o.held {
			break
		}
		t.chain.Unlock()
		if st == nil {
			return
		}
		b := t.of(&st.key)
		b.mu.Lock()
		for b.pi[st.key] == st && t.ownerOf(st) == o {
			if len(st.waiters) == 0 {
				t.dropIfUnused(b, st)
				break
			}
			v, errno := st.waiters[0].word.load()
			if errno != 0 {
				v = 0 // the store fails as well, and the waiter is woken nevertheless
			}
			if ok, _ := t.grant(b, st, v, true); ok {
				break
			}
		}
		b.mu.Unlock()
	}
}

// EnqueueRequeuePI is Enqueue for FUTEX_WAIT_REQUEUE_PI: RequeuePI may move w to target.
func (t *Table) EnqueueRequeuePI(w *Waiter, word Word, target *Word, bitset, want uint32) linux.Errno {
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
	w.target = target
	b.add(w)
	return 0
}

// Moved says whether RequeuePI has moved w to its PI futex. Only w's thread may ask, after CancelPI.
func (w *Waiter) Moved() bool { return w.target == nil }

// RequeuePI implements FUTEX_CMP_REQUEUE_PI: it gives to, a PI futex, to one waiter of from if it is free, and
// moves up to move others to its queue.
func (t *Table) RequeuePI(from, to Word, move int, want uint32, find FindOwner) (int, linux.Errno) {
	for {
		h, errno := to.peek(find)
		if errno != 0 {
			return 0, errno
		}
		x, y := t.lock2(&from.Key, &to.Key)
		n, errno := t.requeuePI(x, y, &from, &to, move, want, h)
		unlock2(x, y)
		if errno != errChanged {
			return n, errno
		}
	}
}

// requeuePI is called with both buckets locked.
func (t *Table) requeuePI(x, y *bucket, from, to *Word, move int, want uint32, h holder) (int, linux.Errno) {
	v, errno := from.load()
	if errno != 0 {
		return 0, errno
	}
	if v != want {
		return 0, linux.EAGAIN
	}
	done := 0
	for w := x.head; w != nil && done <= move; {
		next := w.next
		if w.word.Key != from.Key {
			w = next
			continue
		}
		if w.target == nil || w.target.Key != to.Key {
			return done, linux.EINVAL
		}
		target := *w.target
		st, errno := t.acquire(y, w, &target, h, move > 0)
		if errno != 0 {
			return done, errno
		}
		x.remove(w)
		w.word, w.target = target, nil
		if st == nil { // w owns it
			h = holder{w.TID, w.Owner}
			waker := w.Waker
			w.woken.Store(true)
			waker.Wake(nil, 0)
		} else if errno := t.enqueuePI(y, w, st); errno != 0 {
			t.dropIfUnused(y, st)
			w.target = &target
			x.add(w)
			return done, errno
		}
		done++
		w = next
	}
	return done, 0
}
