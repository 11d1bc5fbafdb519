package task

import (
	"math"
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/signal"
	"hornwork/sentry/timer"
)

// PosixTimer is a timer of timer_create(2). Its signal is queued at most once; expiries meanwhile are counted as
// overruns, and the next period starts when the signal is taken.
type PosixTimer struct {
	ID     int32
	Clock  int32
	Notify int32 // SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID (with SIGEV_SIGNAL's bits)
	Signo  int32
	Value  uint64

	g       *ThreadGroup
	off     *timer.Offsets
	target  *Task // SIGEV_THREAD_ID
	acct    *signal.Account
	t       timer.Timer
	onCPU   CPUClock
	gen     atomic.Uint32 // changes with each set: older signals are dropped
	queued  uint32        // gen of the queued signal; sighand's lock
	overrun atomic.Int32  // of the signal delivered last
	gone    atomic.Bool

	// On a CPU-time clock, guarded by groupTimers.mu:
	cpu      cpuTimer
	sample   int64 // the clock, when it was looked at last, unless it is the process's own
	cpuFired bool
}

// CPUClock names a CPU-time clock of a task or process.
type CPUClock struct {
	Task  *Task        // a thread's clock
	Group *ThreadGroup // a process's clock
}

// Now reads the clock, in nanoseconds.
func (c CPUClock) Now() int64 {
	if c.Task != nil {
		return c.Task.CPUTime()
	}
	return c.Group.CPUTime()
}

const maxTimers = 1 << 16

// NewTimer implements timer_create(2) for arguments that the handler has checked. cpu is set for CPU-time clocks.
func (t *Task) NewTimer(clock, notify, signo int32, value uint64, target *Task, cpu CPUClock) (*PosixTimer, linux.Errno) {
	g := t.Group
	p := &PosixTimer{Clock: clock, Notify: notify, Signo: signo, Value: value, g: g, target: target, onCPU: cpu,
		off: &t.NS().Time.Offsets}
	p.t.Fire = p.fire
	// A timer holds the place of its signal in the queue.
	p.acct = &t.user.Load().sigpending
	if p.acct.Add(1) > int64(min(g.limits.Get(linux.RLIMIT_SIGPENDING).Cur, math.MaxInt64)) {
		p.acct.Add(-1)
		return nil, linux.EAGAIN
	}
	g.timer.mu.Lock()
	defer g.timer.mu.Unlock()
	if g.timer.posix == nil {
		g.timer.posix = map[int32]*PosixTimer{}
	}
	if len(g.timer.posix) >= maxTimers {
		p.acct.Add(-1)
		return nil, linux.EAGAIN
	}
	for g.timer.posix[g.timer.next] != nil {
		g.timer.next = (g.timer.next + 1) & math.MaxInt32
	}
	p.ID = g.timer.next
	g.timer.next = (g.timer.next + 1) & math.MaxInt32
	g.timer.posix[p.ID] = p
	return p, 0
}

// Timer finds a timer of the process.
func (t *Task) Timer(id int32) (*PosixTimer, linux.Errno) {
	g := t.Group
	g.timer.mu.Lock()
	defer g.timer.mu.Unlock()
	if p := g.timer.posix[id]; p != nil {
		return p, 0
	}
	return nil, linux.EINVAL
}

// Timers are the process's timers, for /proc/pid/timers.
func (g *ThreadGroup) Timers() []*PosixTimer {
	g.timer.mu.Lock()
	defer g.timer.mu.Unlock()
	out := make([]*PosixTimer, 0, len(g.timer.posix))
	for _, p := range g.timer.posix {
		out = append(out, p)
	}
	return out
}

func (p *PosixTimer) isCPU() bool { return p.onCPU.Task != nil || p.onCPU.Group != nil }

// Set implements timer_settime(2): value and interval in nanoseconds, abs for TIMER_ABSTIME.
func (p *PosixTimer) Set(value, interval int64, abs bool) (oldValue, oldInterval int64) {
	p.gen.Add(1)
	p.overrun.Store(0)
	if p.isCPU() {
		return p.setCPU(value, interval, abs)
	}
	deadline := int64(0)
	if value > 0 {
		if abs {
			deadline = max(timer.ToMonotonic(p.Clock, p.off, value), 1)
		} else {
			deadline = timer.AddSat(timer.Monotonic(), value)
		}
	}
	oldValue, oldInterval = p.t.Set(deadline, interval)
	return oldValue, oldInterval
}

func (p *PosixTimer) setCPU(value, interval int64, abs bool) (oldValue, oldInterval int64) {
	now, total := p.onCPU.Now(), p.g.CPUTime()
	p.g.timer.mu.Lock()
	defer p.g.timer.mu.Unlock()
	if p.cpu.expiry != 0 {
		oldValue = max(p.cpu.expiry-now, 1)
	}
	oldInterval = p.cpu.interval
	p.cpu = cpuTimer{interval: interval}
	p.cpuFired, p.sample = false, now
	if value > 0 {
		p.cpu.expiry = value
		if !abs {
			p.cpu.expiry = timer.AddSat(now, value)
		}
	}
	p.g.armCPULocked(total)
	return oldValue, oldInterval
}

// cpuExpiry is when the timer can expire at the earliest, in the process's CPU time; 0 if it is not armed. A
// thread's clock never runs faster than its process's. Called with groupTimers.mu held.
func (p *PosixTimer) cpuExpiry() int64 {
	if p.cpu.expiry == 0 || p.cpuFired || !p.isCPU() {
		return 0
	}
	if p.onCPU.Group == p.g {
		return p.cpu.expiry
	}
	return p.g.timer.last + max(p.cpu.expiry-p.sample, 1)
}

// cpuDue says whether the timer has expired, the process's CPU time being total. Called with groupTimers.mu held.
func (p *PosixTimer) cpuDue(total int64) bool {
	now := p.sample
	if p.onCPU.Group == p.g {
		now = total
	}
	return p.isCPU() && p.cpu.expiry != 0 && !p.cpuFired && p.cpu.expiry <= now
}

// Get implements timer_gettime(2).
func (p *PosixTimer) Get() (value, interval int64) {
	if !p.isCPU() {
		return p.t.Get()
	}
	now := p.onCPU.Now()
	p.g.timer.mu.Lock()
	defer p.g.timer.mu.Unlock()
	if p.cpu.expiry != 0 {
		value = max(p.cpu.expiry-now, 1)
	}
	return value, p.cpu.interval
}

// Overrun implements timer_getoverrun(2).
func (p *PosixTimer) Overrun() int32 { return p.overrun.Load() }

// fire queues the timer's signal.
func (p *PosixTimer) fire() {
	if p.gone.Load() || p.Notify&linux.SIGEV_NONE != 0 {
		return
	}
	g := p.g
	i := signal.Timer(p.Signo, p.ID, 0, p.Value)
	sh := g.lockSig()
	defer sh.mu.Unlock()
	p.queued = p.gen.Load()
	if p.target != nil {
		g.sendLocked(sh, p.target, &i, sendOpts{timed: p})
	} else {
		g.sendLocked(sh, g.mainLocked(), &i, sendOpts{shared: true, timed: p})
	}
}

// Dequeued implements signal.Timed; the lock of sighand is held.
func (p *PosixTimer) Dequeued(i *linux.Siginfo) bool {
	if p.gone.Load() || p.queued != p.gen.Load() {
		return false
	}
	n := int64(1)
	if p.isCPU() {
		n = p.forwardCPU()
	} else if f := p.t.Forward(); f > 0 {
		n = int64(min(f, math.MaxInt32))
	}
	over := int32(min(n-1, math.MaxInt32))
	p.overrun.Store(over)
	signal.SetOverrun(i, over)
	return true
}

// forwardCPU starts the next period on a CPU-time clock and counts those that have passed.
func (p *PosixTimer) forwardCPU() int64 {
	total, _ := p.g.cpuTimes()
	p.g.timer.mu.Lock()
	defer p.g.timer.mu.Unlock()
	if !p.cpuFired {
		return 1
	}
	p.cpuFired = false
	if p.cpu.interval == 0 {
		p.cpu.expiry = 0
		return 1
	}
	now := p.sample
	if p.onCPU.Group == p.g {
		now = total
	}
	n := 1 + max(now-p.cpu.expiry, 0)/p.cpu.interval
	p.cpu.expiry = timer.AddSat(p.cpu.expiry, n*p.cpu.interval)
	p.g.timer.cpuIdle.Store(true) // the next to wake up, or the check below, plans the look
	go p.g.wakeCPUTimers()
	return n
}

// Delete implements timer_delete(2).
func (p *PosixTimer) Delete() {
	p.g.timer.mu.Lock()
	delete(p.g.timer.posix, p.ID)
	p.g.timer.mu.Unlock()
	p.stop()
}

// stop makes sure that the timer does nothing more; a queued signal is dropped when it is taken.
func (p *PosixTimer) stop() {
	if p.gone.CompareAndSwap(false, true) {
		p.acct.Add(-1)
	}
	p.t.Set(0, 0)
}
