package ptrace

import (
	"runtime"
	"sync/atomic"

	"hornwork/linux"
	"hornwork/platform"
)

// Segment selectors of 64-bit programs, and the code segment of 32-bit ones, to which guest code can jump.
const (
	userCS   = 0x33
	userCS32 = 0x23
	userSS   = 0x2b
)

// kick is the signal that Interrupt sends. Whoever gets one by mistake ignores it.
const kick = linux.SIGURG

// What thread.fp holds.
const (
	fpUnknown = iota // nothing: the host has the state
	fpRead           // the state as of the last event
	fpToSet          // the state for the next Switch
)

// thread is a guest thread. See the package comment for which goroutine may call what.
type thread struct {
	s              *space
	tid            int
	tracer         int // the host thread that attached; 0 before the first Switch
	gone, released bool

	// running is 1 from before pending is looked at until the thread has stopped; Interrupt sets pending
	// before it looks at running. So one of the two sees the other, and an interrupt is never lost; a
	// signal that comes too late finds pending cleared and is swallowed.
	running atomic.Uint32
	pending atomic.Uint32

	host linux.Regs // the registers as the host knows them; only the segment bases are used
	set  linux.Regs // scratch for setRegs
	info linux.Siginfo

	fetchFault uint64 // see access

	fp      []byte
	fpState uint8
	wall    stopwatch    // of the thread's time in guest code
	cpu     atomic.Int64 // the last answer of CPUTime
}

var _ platform.Thread = (*thread)(nil)

// attach makes the calling goroutine the tracer and locks it to its host thread.
func (t *thread) attach() bool {
	runtime.LockOSThread()
	t.tracer = gettid()
	if ptrace(ptSeize, t.tid, 0, traceOpts) != 0 || ptrace(ptInterrupt, t.tid, 0, 0) != 0 {
		return false
	}
	if _, st, errno := wait(t.tid, wAll|wNoThread); errno != 0 || !stopped(st) {
		return false
	}
	// The bases are those of whoever used the host thread before: set them whatever they are.
	t.host.FSBase, t.host.GSBase = ^uint64(0), ^uint64(0)
	t.s.attached(t)
	return true
}

// Switch implements platform.Thread.
func (t *thread) Switch(regs *linux.Regs, how platform.Resume) platform.Event {
	if t.gone {
		return platform.Event{Kind: platform.EventGone}
	}
	if t.tracer == 0 && !t.attach() {
		return t.lose()
	}
	t.running.Store(1)
	if t.pending.Swap(0) != 0 {
		t.running.Store(0)
		return platform.Event{Kind: platform.EventInterrupted}
	}
	if !t.load(regs) {
		t.running.Store(0)
		return t.lose()
	}
	t.wall.start()
	t.s.wall.start()
	ev := t.run(regs)
	t.running.Store(0)
	t.wall.stop()
	t.s.wall.stop()
	if ev.Kind == platform.EventGone {
		return t.lose()
	}
	t.host.FSBase, t.host.GSBase = regs.FSBase, regs.GSBase
	return ev
}

// lose ends the stub for good: its state is not known any more.
func (t *thread) lose() platform.Event {
	t.gone = true
	if !t.s.reaped.Load() {
		kill(t.s.pid)
	}
	return platform.Event{Kind: platform.EventGone}
}

// load gives the host the registers and the floating point state for the guest.
func (t *thread) load(regs *linux.Regs) bool {
	t.set = *regs
	if t.set.CS != userCS32 {
		t.set.CS = userCS
	}
	t.set.SS = userSS
	t.set.OrigRAX = ^uint64(0) // else the host may restart a call
	if setRegs(t.tid, &t.set) != 0 {
		return false
	}
	// A guest can set a base that the host refuses to set, by wrfsbase; one that did not change stays.
	if regs.FSBase != t.host.FSBase && ptrace(ptPokeUser, t.tid, offFSBase, uintptr(regs.FSBase)) != 0 {
		return false
	}
	if regs.GSBase != t.host.GSBase && ptrace(ptPokeUser, t.tid, offGSBase, uintptr(regs.GSBase)) != 0 {
		return false
	}
	t.host.FSBase, t.host.GSBase = regs.FSBase, regs.GSBase
	if t.fpState == fpToSet && setXState(t.tid, t.fp) != 0 {
		return false
	}
	t.fpState = fpUnknown
	return true
}

// run resumes the thread until something happens that the sentry must know.
func (t *thread) run(regs *linux.Regs) platform.Event {
	for {
		if ptrace(ptSysemu, t.tid, 0, 0) != 0 {
			return platform.Event{Kind: platform.EventGone}
		}
		_, st, errno := wait(t.tid, wAll|wNoThread)
		if errno != 0 || !stopped(st) {
			return platform.Event{Kind: platform.EventGone}
		}
		if ev, ok := t.decode(st, regs); ok {
			return ev
		}
	}
}

// Complete does nothing: no event is partial.
func (t *thread) Complete(regs *linux.Regs) linux.Errno { return 0 }

// FPState implements platform.Thread.
func (t *thread) FPState() ([]byte, linux.Errno) {
	if t.gone {
		return nil, linux.ESRCH
	}
	if t.fpState == fpUnknown {
		n, errno := getXState(t.tid, t.fp)
		if errno != 0 || n != len(t.fp) {
			return nil, linux.ESRCH
		}
		t.fpState = fpRead
	}
	return t.fp, 0
}

// SetFPState implements platform.Thread.
func (t *thread) SetFPState(img []byte) linux.Errno {
	if t.gone {
		return linux.ESRCH
	}
	if img == nil {
		img = t.s.p.initFP
	}
	if len(img) != len(t.fp) {
		return linux.EINVAL
	}
	copy(t.fp, img)
	cleanXState(t.fp, t.s.p.initFP)
	t.fpState = fpToSet
	return 0
}

// Interrupt implements platform.Thread.
func (t *thread) Interrupt() {
	t.pending.Store(1)
	if t.running.Load() != 0 {
		tgkill(t.s.pid, t.tid, kick)
	}
}

// Answer does nothing: this stub answers no calls.
func (t *thread) Answer(nr uintptr, value int64) {}

// CPUTime implements platform.Thread. The host tells only the time of the whole process; threads share it by
// the time that they spent in guest code. It never goes backwards.
func (t *thread) CPUTime() int64 {
	mine, all := t.wall.sum(), t.s.wall.sum()
	if all == 0 {
		return 0
	}
	now := min(int64(float64(processTime(t.s.pid))*float64(mine)/float64(all)), mine)
	for {
		old := t.cpu.Load()
		if now <= old {
			return old
		}
		if t.cpu.CompareAndSwap(old, now) {
			return now
		}
	}
}

// Release implements platform.Thread. The host thread parks in the stub's text, for the next NewThread.
func (t *thread) Release() {
	if t.released {
		return
	}
	t.released = true
	reusable := !t.gone
	if t.tracer != 0 {
		t.s.detached(t)
		if reusable {
			t.set = stubRegs(textAddr + textPark)
			reusable = setRegs(t.tid, &t.set) == 0 && ptrace(ptDetach, t.tid, 0, 0) == 0
		}
		if gettid() == t.tracer {
			runtime.UnlockOSThread()
		}
	}
	t.gone = true
	if reusable {
		t.s.park(t.tid)
	}
}
