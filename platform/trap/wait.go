package trap

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Two ways of waiting. PAIRED: nobody spins; the answer and the next request pass by SEND and RECV with a SYNC
// wake-up, both sides on one CPU. SPREAD: the stub thread runs on another CPU and both sides spin on the state word. A
// thread becomes SPREAD after a streak of requests that came soon after the answer and were answered soon.
//
// Only requests of patched sites count: all else comes by notification anyway.
//
// What SPREAD costs is uneven. The first wake-up on another CPU takes some 200 µs where that CPU is halted in a virtual
// machine, and any disturbance makes one side wait in vain; against that each call saves what a PAIRED one takes. So
// each thread has a fund of cycles: a call in SPREAD pays in what the PAIRED ones took lately, and all waiting is paid
// from it. The richer it is, the longer both sides spin before they sleep; when it is used up, the thread stays PAIRED
// for a multiple of the loss, twice as long each time. On a busy machine the stub does not get another CPU
// at all: that keeps all threads PAIRED for a while.
const (
	needFirst = 32 // calls that take as long as a wake-up on a halted CPU
	needAgain = 8  // after a stay that paid
	settled   = 64 // calls in a stay, after which the stub spins longer

	spinStub    = 10 * time.Microsecond
	spinStubMax = 50 * time.Microsecond
	spinHoldP   = 5 * time.Microsecond  // of the sentry's spin, with Go's P; then in slices without it
	spinLeast   = 20 * time.Microsecond // the sentry's whole spin
	spinMost    = 100 * time.Microsecond
	spinWake    = 400 * time.Microsecond // while the stub wakes up on another CPU
	gapShort    = 15 * time.Microsecond  // a request within it adds to the streak
	calibration = 2000                   // rounds

	fundFirst  = 600 * time.Microsecond // enough for one try
	fundMost   = 3 * time.Millisecond
	fundShare  = 16 // part of the fund that may go into one spin
	pauseShare = 32 // a pause is this many times the loss
	pauseMost  = time.Second
	busyLeast  = 20 * time.Millisecond
	busyMost   = 500 * time.Millisecond
	slotIdle   = time.Millisecond // after which another thread may have the slot
)

// spinLimits are the durations above: in rounds of PAUSE where they are for spin, else in cycles.
type spinLimits struct {
	stubRounds, stubMostRounds, holdP uint32
	stubMost                          uint64
	least, most, wake                 uint64
	gap, slotIdle                     uint64
	fundFirst, fundMost               int64
	pauseMost, busyLeast, busyMost    uint64
	slots                             int
	allowed                           [16]uint64 // CPUs that this process may use
}

func calibrate() spinLimits {
	state := uint32(stateReply)
	ns, cycles := int64(1<<62), uint64(1<<62)
	for range 5 {
		t, c := time.Now(), rdtsc()
		spin(&state, calibration)
		c = rdtsc() - c
		if d := int64(time.Since(t)); d < ns {
			ns, cycles = d, c
		}
	}
	rounds := func(d time.Duration) uint32 { return uint32(max(int64(d)*calibration/max(ns, 1), 1)) }
	inCycles := func(d time.Duration) uint64 { return uint64(float64(d) * float64(cycles) / float64(max(ns, 1))) }
	l := spinLimits{
		stubRounds: rounds(spinStub), stubMostRounds: rounds(spinStubMax), holdP: rounds(spinHoldP),
		stubMost: inCycles(spinStubMax),
		least:    inCycles(spinLeast), most: inCycles(spinMost), wake: inCycles(spinWake),
		gap: inCycles(gapShort), slotIdle: inCycles(slotIdle),
		fundFirst: int64(inCycles(fundFirst)), fundMost: int64(inCycles(fundMost)),
		pauseMost: inCycles(pauseMost), busyLeast: inCycles(busyLeast), busyMost: inCycles(busyMost),
		slots: min(runtime.NumCPU()/2, maxSlots),
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(l.allowed), uintptr(unsafe.Pointer(&l.allowed))); e != 0 || raceBuild {
		l.slots = 0 // no moving about
	}
	return l
}

const maxSlots = 64

// spreadSlot is the right of one thread to be SPREAD: half of the CPUs may have a pair that spins. A thread that sleeps
// in the sentry keeps its slot until another wants it.
type spreadSlot struct {
	owner atomic.Uint32 // Thread.unit
	used  atomic.Uint64 // when, in cycles
	_     [48]byte
}

// waitState is a thread's way of waiting. Times and durations are cycles.
type waitState struct {
	spread bool
	streak int
	need   int
	slot   *spreadSlot
	left   uint64 // when the last event came
	calls  uint64 // of the present stay in SPREAD mode
	paired uint64 // the shortest PAIRED call of the streak
	fund   int64
	until  uint64 // not SPREAD before
	fails  uint
}

func newWaitState(l *spinLimits) waitState { return waitState{need: needFirst, fund: l.fundFirst} }

// reply publishes the answer to a request and waits for the next event.
//
//go:nosplit
func (t *Thread) reply(state uint32) bool {
	w := &t.wait
	start := rdtsc()
	if w.spread && t.staysSpread() {
		return t.spreadReply(state)
	}
	if start-w.left > t.p.spin.gap {
		w.streak = 0 // the sentry took long, perhaps the guest slept
	}
	if w.streak >= w.need && start > w.until && start > t.p.busyUntil.Load() && t.takeSlot(start) {
		return t.leavePair(state)
	}
	old := atomic.SwapUint32(&t.req.State, state|stateSentry)
	ok := t.handOver(old)
	t.timed(start)
	return ok
}

// answer is Switch's way to answer a notification and to wait for the next.
//
//go:nosplit
func (t *Thread) answer(val int64) bool {
	start := rdtsc()
	if start-t.wait.left > t.p.spin.gap {
		t.wait.streak = 0
	}
	ok := t.l.turn(val)
	t.timed(start)
	return ok
}

// timed counts a PAIRED call that was answered at start.
//
//go:nosplit
func (t *Thread) timed(start uint64) {
	w := &t.wait
	w.left = rdtsc()
	took := w.left - start
	switch {
	case took > t.p.spin.gap:
		w.streak = 0
	case t.l.nb.nr == notifySyscall:
		if w.streak++; w.streak == 1 || took < w.paired {
			w.paired = took
		}
	}
}

// handOver wakes a stub that sleeps after its request and waits for the next notification.
//
//go:nosplit
func (t *Thread) handOver(old uint32) bool {
	if !t.l.pending && old&stateStub != 0 {
		// It has said that it goes to sleep; take the notification first.
		if !t.l.wait() {
			return false
		}
		if t.l.nb.nr != notifySyscall {
			return true // a signal came before: event will see to it
		}
	}
	if t.l.pending {
		return t.l.turn(0)
	}
	return t.l.wait()
}

// takeSlot finds a slot that is free or not used any more.
//
//go:nosplit
func (t *Thread) takeSlot(now uint64) bool {
	for i := range t.p.spin.slots {
		s := &t.p.slots[i]
		owner := s.owner.Load()
		if (owner == 0 || int64(now-s.used.Load()) > int64(t.p.spin.slotIdle)) && s.owner.CompareAndSwap(owner, t.unit) {
			s.used.Store(now)
			t.wait.slot = s
			return true
		}
	}
	return false
}

// staysSpread ends SPREAD mode if the slot is another's now, or if the stub sleeps and the fund does not
// allow to wake it on another CPU.
//
//go:nosplit
func (t *Thread) staysSpread() bool {
	w := &t.wait
	if w.slot.owner.Load() == t.unit {
		if !t.l.pending && atomic.LoadUint32(&t.req.State)&stateStub == 0 {
			return true
		}
		w.fund -= int64(t.p.spin.stubMost) // its spin was in vain
		if w.fund > int64(t.p.spin.wake) {
			return true
		}
	}
	t.pair()
	w.streak = 0
	return false
}

// leavePair answers in SPREAD mode for the first time.
func (t *Thread) leavePair(state uint32) bool {
	w := &t.wait
	w.streak, w.calls, w.spread = 0, 0, true
	atomic.StoreUint32(&t.cfg.Spin, t.p.spin.stubRounds)
	return t.spreadReply(state)
}

// spreadReply answers in SPREAD mode.
//
//go:nosplit
func (t *Thread) spreadReply(state uint32) bool {
	old := atomic.SwapUint32(&t.req.State, state)
	if old&stateStub == 0 && !t.l.pending {
		limit := uint64(max(t.wait.fund/fundShare, 0))
		return t.spreadWait(min(max(limit, t.p.spin.least), t.p.spin.most))
	}
	if !t.l.pending && (!t.l.wait() || t.l.nb.nr != notifySyscall) {
		t.pair()
		return t.l.pending
	}
	t.sendApart()
	return t.spreadWait(t.p.spin.wake)
}

// sendApart wakes the stub thread on another CPU. A SYNC wake-up would take it to this one.
func (t *Thread) sendApart() {
	cpu := rdpid()
	mask := t.p.spin.allowed
	if cpu < 1024 {
		mask[cpu/64] &^= 1 << (cpu % 64)
	}
	t.setAffinity(&mask)
	t.l.send(0)
	mask = t.p.spin.allowed
	t.setAffinity(&mask)
}

func (t *Thread) setAffinity(mask *[16]uint64) {
	syscall.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(t.tid), unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)))
}

// spreadWait spins for a request, first with Go's P and then without, until limit, and at last sleeps.
//
//go:nosplit
func (t *Thread) spreadWait(limit uint64) bool {
	p, w := &t.req.State, &t.wait
	start := rdtsc()
	if spin(p, t.p.spin.holdP)&stateReply == 0 {
		t.hit(start)
		return true
	}
	entersyscall()
	late := false
	for !late && !t.l.ready() {
		if spin(p, t.p.spin.holdP)&stateReply == 0 {
			t.hit(start)
			exitsyscall()
			return true
		}
		late = rdtsc()-start > limit
	}
	now := rdtsc()
	w.fund -= int64(now - start)
	if late && w.calls == 0 {
		t.p.busy(now)
	}
	if w.fund < 0 {
		t.pause(now)
	}
	t.pair()
	ok := true
	for try := 0; ; try++ {
		old := atomic.LoadUint32(p)
		if old&stateReply == 0 {
			break // it came after all
		}
		if atomic.CompareAndSwapUint32(p, old, old|stateSentry) || try > 64 { // other guest threads can write there
			ok = t.l.recv()
			break
		}
	}
	w.left = rdtsc()
	exitsyscall()
	return ok
}

// hit counts a request for which the sentry spun from start.
//
//go:nosplit
func (t *Thread) hit(start uint64) {
	w, lim := &t.wait, &t.p.spin
	now := rdtsc()
	w.left = now
	w.slot.used.Store(now)
	w.fund = min(w.fund+int64(w.paired)-int64(now-start), lim.fundMost)
	if w.fund < 0 {
		t.pause(now)
		t.pair()
		return
	}
	if w.calls++; w.calls == settled {
		atomic.StoreUint32(&t.cfg.Spin, lim.stubMostRounds)
		t.p.busyFor.Store(0)
	}
}

// pause keeps a thread PAIRED that has used up its fund.
//
//go:nosplit
func (t *Thread) pause(now uint64) {
	w, lim := &t.wait, &t.p.spin
	loss := uint64(lim.fundFirst - w.fund)
	w.until = now + min(loss*pauseShare<<w.fails, lim.pauseMost)
	w.fails = min(w.fails+1, 8)
	w.fund = lim.fundFirst
}

// busy keeps all threads PAIRED for a while.
//
//go:nosplit
func (p *Platform) busy(now uint64) {
	d := min(max(2*p.busyFor.Load(), p.spin.busyLeast), p.spin.busyMost)
	p.busyFor.Store(d)
	p.busyUntil.Store(now + d)
}

// pair makes a thread PAIRED.
//
//go:nosplit
func (t *Thread) pair() {
	w := &t.wait
	if !w.spread {
		return
	}
	w.spread, w.streak, w.need = false, 0, needFirst
	if w.fund > t.p.spin.fundFirst {
		w.need, w.fails = needAgain, 0
	}
	w.slot.owner.CompareAndSwap(t.unit, 0)
	atomic.StoreUint32(&t.cfg.Spin, 0)
}
