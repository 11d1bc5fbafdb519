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
const (
	needLeast = 8
	needMost  = 4096
	hitsGood  = 256 // hits in a row after which the needed streak halves

	spinStub    = 10 * time.Microsecond
	spinHoldP   = 5 * time.Microsecond // of the sentry's spin, with Go's P
	spinSentry  = 20 * time.Microsecond
	gapShort    = 15 * time.Microsecond // a request within it adds to the streak
	calibration = 2000                  // rounds
)

// spinLimits are the durations above in rounds of PAUSE and in cycles.
type spinLimits struct {
	stub, holdP, rest uint32
	gap               uint64
	cpus              int32
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
	return spinLimits{
		stub: rounds(spinStub), holdP: rounds(spinHoldP), rest: rounds(spinSentry - spinHoldP),
		gap:  uint64(gapShort) * cycles / uint64(max(ns, 1)),
		cpus: int32(runtime.NumCPU()),
	}
}

// waitState is a thread's way of waiting.
type waitState struct {
	spread bool
	streak int
	need   int
	hits   int
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

// mayLeavePair: half of the CPUs may have spinning pairs.
func (t *Thread) mayLeavePair() bool {
	return 2*(t.p.spreading.Load()+1) <= t.p.spin.cpus
}

// leavePair answers in SPREAD mode for the first time: the stub thread must wake up on another CPU.
func (t *Thread) leavePair(state uint32) bool {
	t.p.spreading.Add(1)
	atomic.StoreUint32(&t.cfg.Spin, t.p.spin.stub)
	old := atomic.SwapUint32(&t.req.State, state)
	if t.l.pending || old&stateStub != 0 {
		if !t.l.pending && (!t.l.wait() || t.l.nb.nr != notifySyscall) {
			return t.l.pending
		}
		cpu := rdpid()
		mask := [16]uint64{}
		for i := range mask {
			mask[i] = ^uint64(0)
		}
		if cpu < 1024 {
			mask[cpu/64] &^= 1 << (cpu % 64)
		}
		t.setAffinity(&mask)
		t.l.send(0)
		if cpu < 1024 {
			mask[cpu/64] |= 1 << (cpu % 64)
		}
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
	p := &t.req.State
	if spin(p, t.p.spin.holdP)&stateReply == 0 {
		if t.wait.hits++; t.wait.hits == hitsGood {
			t.wait.hits = 0
			t.wait.need = max(t.wait.need/2, needLeast)
		}
		return true
	}
	entersyscall()
	if spin(p, t.p.spin.rest)&stateReply == 0 {
		exitsyscall()
		return true
	}
	w := &t.wait
	w.hits, w.spread, w.need = 0, false, min(2*w.need, needMost)
	t.p.spreading.Add(-1)
	atomic.StoreUint32(&t.cfg.Spin, 0)
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
	exitsyscall()
	return ok
}

// pair makes a thread PAIRED that waits for something else than requests.
func (t *Thread) pair() {
	if t.wait.spread {
		t.wait.spread, t.wait.hits = false, 0
		t.p.spreading.Add(-1)
		atomic.StoreUint32(&t.cfg.Spin, 0)
	}
}
