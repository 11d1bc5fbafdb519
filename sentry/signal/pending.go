package signal

import (
	"math/bits"
	"sync/atomic"

	"hornwork/linux"
)

// Timed is a POSIX timer whose expiry is queued: asked when the signal is taken from the queue.
type Timed interface {
	// Dequeued fills in the overrun count and arms the timer's next period. False: the timer is gone, or was
	// set anew since, and the signal is to be dropped.
	Dequeued(i *linux.Siginfo) bool
}

// Account counts the queued signals of one user, for RLIMIT_SIGPENDING.
type Account = atomic.Int64

// entry is one queued siginfo.
type entry struct {
	info  linux.Siginfo
	acct  *Account // nil: not accounted
	timed Timed
	next  *entry
}

type fifo struct{ head, tail *entry }

// Pending is a queue of signals: a thread's own or a thread group's. Its zero value is empty.
type Pending struct {
	Set  Set
	list *[linux.NSIG + 1]fifo // made when the first siginfo is queued
}

// Enqueue adds a signal. A standard signal that is pending already is dropped (false). limit is
// RLIMIT_SIGPENDING and acct its counter: beyond it the siginfo of a signal is lost, and a real-time signal sent
// by anything but kill(2) fails with EAGAIN. A nil acct is not counted.
func (p *Pending) Enqueue(i *linux.Siginfo, acct *Account, limit uint64) (bool, linux.Errno) {
	return p.enqueue(i, acct, limit, nil)
}

// EnqueueTimed adds the signal of a POSIX timer; its place was accounted when the timer was made.
func (p *Pending) EnqueueTimed(i *linux.Siginfo, t Timed) bool {
	if p.list != nil {
		for e := p.list[i.Signo].head; e != nil; e = e.next {
			if e.timed == t {
				return false // still queued: the timer counts an overrun
			}
		}
	}
	ok, _ := p.enqueue(i, nil, 0, t)
	return ok
}

func (p *Pending) enqueue(i *linux.Siginfo, acct *Account, limit uint64, t Timed) (bool, linux.Errno) {
	sig := i.Signo
	if !IsRT(sig) && Has(p.Set, sig) {
		return false, 0
	}
	if acct != nil {
		if n := acct.Add(1); uint64(n) > limit && !(!IsRT(sig) && i.Code >= 0) {
			acct.Add(-1)
			if IsRT(sig) && i.Code != linux.SI_USER {
				return false, linux.EAGAIN
			}
			p.Set |= Bit(sig) // delivered without its siginfo
			return true, 0
		}
	}
	if p.list == nil {
		p.list = new([linux.NSIG + 1]fifo)
	}
	e := &entry{info: *i, acct: acct, timed: t}
	l := &p.list[sig]
	if l.tail == nil {
		l.head = e
	} else {
		l.tail.next = e
	}
	l.tail = e
	p.Set |= Bit(sig)
	return true, 0
}

// Next is the signal of set that is to be delivered first, 0 if none: synchronous ones, then the lowest.
func Next(set Set) int32 {
	if s := set & Synchronous; s != 0 {
		set = s
	}
	if set == 0 {
		return 0
	}
	return int32(bits.TrailingZeros64(uint64(set))) + 1
}

// Dequeue takes the first queued instance of sig, which is in p.Set. ok is false if a timer withdrew it.
func (p *Pending) Dequeue(sig int32) (info linux.Siginfo, ok bool) {
	if p.list == nil || p.list[sig].head == nil {
		p.Set &^= Bit(sig)
		return User(sig, linux.SI_USER, 0, 0), true
	}
	l := &p.list[sig]
	e := l.head
	if l.head = e.next; l.head == nil {
		l.tail = nil
		p.Set &^= Bit(sig)
	}
	e.drop()
	if e.timed != nil && !e.timed.Dequeued(&e.info) {
		return linux.Siginfo{}, false
	}
	return e.info, true
}

func (e *entry) drop() {
	if e.acct != nil {
		e.acct.Add(-1)
	}
}

// Flush drops the signals of set.
func (p *Pending) Flush(set Set) {
	for s := p.Set & set; s != 0; s &= s - 1 {
		sig := int32(bits.TrailingZeros64(uint64(s))) + 1
		if p.list != nil {
			for e := p.list[sig].head; e != nil; e = e.next {
				e.drop()
			}
			p.list[sig] = fifo{}
		}
	}
	p.Set &^= set
}
