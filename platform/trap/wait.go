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
// wake-up, both sides on one CPU. SPREAD: the stub thread runs on another CPU and both sides spin for a few
// microseconds on the state word. A thread becomes SPREAD after a streak of requests that came soon after the answer, and
// PAIRED again at the first that does not come; then the streak that it needs doubles.
//
// Only requests of patched sites count: all else comes by notification anyway.
//
// On a busy machine SPREAD loses: threads that spin use up their time and are preempted for milliseconds, while a PAIRED
// pair sleeps so much that it runs at once when it wants to. So a spin that took far longer than it should (this
// thread was preempted), or a stub that did not answer at all after the change (it waits for a CPU), keeps all
// threads PAIRED for a while, which doubles each time.
const (
	needLeast = 8
	needMost  = 4096
	hitsGood  = 256 // hits in a row after which the needed streak halves

	spinStub    = 10 * time.Microsecond
	spinHoldP   = 5 * time.Microsecond // of the sentry's spin, with Go's P
	spinSentry  = 20 * time.Microsecond
	gapShort    = 15 * time.Microsecond // a request within it adds to the streak
	calibration = 2000                  // rounds

	preempted = 200 * time.Microsecond // a spin that takes longer was interrupted
	worthIt   = 4 * time.Microsecond   // SPREAD pays if a call takes less, the miss at the end included
	busyLeast = 50 * time.Millisecond
	busyMost  = 2 * time.Second
)

// spinLimits are the durations above in rounds of PAUSE and in cycles.
type spinLimits struct {
	stub, holdP, rest uint32
	gap               uint64
	preempted         uint64
	worthIt           uint64
	busyLeast         uint64
	busyMost          uint64
	cpus              int32
	allowed           [16]uint64 // CPUs that this process may use
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
		stub: rounds(spinStub), holdP: rounds(spinHoldP), rest: rounds(spinSentry - spinHoldP),
		gap: inCycles(gapShort), preempted: inCycles(preempted), worthIt: inCycles(worthIt),
		busyLeast: inCycles(busyLeast), busyMost: inCycles(busyMost),
		cpus: int32(runtime.NumCPU()),
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(l.allowed), uintptr(unsafe.Pointer(&l.allowed))); e != 0 || raceBuild {
		l.cpus = 1 // no moving about
	}
	return l
}

// waitState is a thread's way of waiting.
type waitState struct {
	spread bool
	streak int
	need   int
	// Of the present stay in SPREAD mode.
	since uint64
	calls uint64
}

func newWaitState() waitState { return waitState{need: needLeast} }

// reply publishes the answer to a request and waits for the next event.
//
//go:nosplit
func (t *Thread) reply(state uint32) bool {
	w := &t.wait
	if w.spread {
		return t.spreadReply(state)
	}
	if w.streak >= w.need && t.mayLeavePair() {
		w.streak, w.spread = 0, true
		return t.leavePair(state)
	}
	start := rdtsc()
	old := atomic.SwapUint32(&t.req.State, state|stateSentry)
	ok := t.handOver(old)
	if t.l.nb.nr == notifySyscall && rdtsc()-start < t.p.spin.gap {
		w.streak++
	} else {
		w.streak = 0
	}
	return ok
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

// mayLeavePair: half of the CPUs may have spinning pairs, and the machine must not be busy.
//
//go:nosplit
func (t *Thread) mayLeavePair() bool {
	return 2*(t.p.spreading.Load()+1) <= t.p.spin.cpus && rdtsc() >= t.p.busyUntil.Load()
}

// busy keeps threads PAIRED for a while.
//
//go:nosplit
func (p *Platform) busy() {
	d := min(max(2*p.busyFor.Load(), p.spin.busyLeast), p.spin.busyMost)
	p.busyFor.Store(d)
	p.busyUntil.Store(rdtsc() + d)
}

// leavePair answers in SPREAD mode for the first time: the stub thread must wake up on another CPU.
func (t *Thread) leavePair(state uint32) bool {
	t.p.spreading.Add(1)
	t.wait.since, t.wait.calls = rdtsc(), 0
	atomic.StoreUint32(&t.cfg.Spin, t.p.spin.stub)
	old := atomic.SwapUint32(&t.req.State, state)
	if t.l.pending || old&stateStub != 0 {
		if !t.l.pending && (!t.l.wait() || t.l.nb.nr != notifySyscall) {
			return t.l.pending
		}
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
	return t.spreadWait()
}

func (t *Thread) setAffinity(mask *[16]uint64) {
	syscall.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(t.tid), unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)))
}

//go:nosplit
func (t *Thread) spreadReply(state uint32) bool {
	old := atomic.SwapUint32(&t.req.State, state)
	if old&stateStub != 0 || t.l.pending {
		if !t.l.pending && (!t.l.wait() || t.l.nb.nr != notifySyscall) {
			return t.l.pending
		}
		t.l.send(0)
	}
	return t.spreadWait()
}

// spreadWait spins for a request, first with Go's P and then without, and at last sleeps.
//
//go:nosplit
func (t *Thread) spreadWait() bool {
	p, w, lim := &t.req.State, &t.wait, &t.p.spin
	start := rdtsc()
	if spin(p, lim.holdP)&stateReply == 0 {
		w.calls++
		if rdtsc()-start > lim.preempted {
			t.p.busy()
			t.pair()
		} else if w.calls == hitsGood {
			w.need = max(w.need/2, needLeast)
			t.p.busyFor.Store(t.p.busyFor.Load() / 2)
		}
		return true
	}
	entersyscall()
	if spin(p, lim.rest)&stateReply == 0 {
		exitsyscall()
		w.calls++
		return true
	}
	if w.calls == 0 || rdtsc()-start > lim.preempted {
		t.p.busy()
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
	if rdtsc()-w.since > (w.calls+1)*lim.worthIt {
		w.need = min(4*w.need, needMost)
	}
	exitsyscall()
	return ok
}

// pair makes a thread PAIRED.
//
//go:nosplit
func (t *Thread) pair() {
	if t.wait.spread {
		t.wait.spread = false
		t.wait.need = min(2*t.wait.need, needMost)
		t.p.spreading.Add(-1)
		atomic.StoreUint32(&t.cfg.Spin, 0)
	}
}
