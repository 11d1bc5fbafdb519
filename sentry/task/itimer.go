package task

import (
	"math"
	"sync/atomic"
	"time"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/signal"
	"hornwork/sentry/timer"
)

// groupTimers are the timers of a process: interval timers, POSIX timers, and the limit on CPU time.
type groupTimers struct {
	real     timer.Timer // ITIMER_REAL
	realOnce atomic.Bool // real.Fire is set

	cpuIdle atomic.Bool // they rest, because no thread has run: whoever wakes up looks at them

	mu    rank.Mutex[rank.Timer] // guards the fields below
	posix map[int32]*PosixTimer
	next  int32
	virt  cpuTimer // ITIMER_VIRTUAL
	prof  cpuTimer // ITIMER_PROF
	cpu   *time.Timer
	last  int64 // CPU time at the last look
	limit int64 // CPU time at which RLIMIT_CPU is looked at again, in nanoseconds; 0: no limit
}

// cpuTimer is an interval timer on the process's CPU time.
type cpuTimer struct{ expiry, interval int64 }

// rearmReal starts the next period of ITIMER_REAL when its SIGALRM is taken.
func (g *groupTimers) rearmReal() {
	if g.realOnce.Load() {
		g.real.Forward()
	}
}

// SetITimer implements setitimer(2); times are nanoseconds.
func (t *Task) SetITimer(which int32, value, interval int64) (oldValue, oldInterval int64, errno linux.Errno) {
	g := t.Group
	switch which {
	case linux.ITIMER_REAL:
		if g.timer.realOnce.CompareAndSwap(false, true) {
			g.timer.mu.Lock()
			g.timer.real.Fire = func() { i := signal.Kernel(linux.SIGALRM); SendGroup(g, &i) }
			g.timer.mu.Unlock()
		}
		deadline := int64(0)
		if value > 0 {
			deadline = timer.AddSat(timer.Monotonic(), value)
		}
		oldValue, oldInterval = g.timer.real.Set(deadline, interval)
		return oldValue, oldInterval, 0
	case linux.ITIMER_VIRTUAL, linux.ITIMER_PROF:
		oldValue, oldInterval = g.setCPUTimer(which, value, interval)
		return oldValue, oldInterval, 0
	}
	return 0, 0, linux.EINVAL
}

// GetITimer implements getitimer(2).
func (t *Task) GetITimer(which int32) (value, interval int64, errno linux.Errno) {
	g := t.Group
	switch which {
	case linux.ITIMER_REAL:
		value, interval = g.timer.real.Get()
		return value, interval, 0
	case linux.ITIMER_VIRTUAL, linux.ITIMER_PROF:
		now := g.CPUTime()
		g.timer.mu.Lock()
		defer g.timer.mu.Unlock()
		c := g.timer.cpuTimer(which)
		if c.expiry != 0 {
			value = max(c.expiry-now, 1)
		}
		return value, c.interval, 0
	}
	return 0, 0, linux.EINVAL
}

func (g *groupTimers) cpuTimer(which int32) *cpuTimer {
	if which == linux.ITIMER_VIRTUAL {
		return &g.virt
	}
	return &g.prof
}

func (g *ThreadGroup) setCPUTimer(which int32, value, interval int64) (oldValue, oldInterval int64) {
	now := g.CPUTime()
	g.timer.mu.Lock()
	defer g.timer.mu.Unlock()
	c := g.timer.cpuTimer(which)
	if c.expiry != 0 {
		oldValue = max(c.expiry-now, 1)
	}
	oldInterval = c.interval
	*c = cpuTimer{interval: interval}
	if value > 0 {
		c.expiry = timer.AddSat(now, value)
	}
	g.armCPULocked(now)
	return oldValue, oldInterval
}

// armCPULocked plans the next look at the timers that run on CPU time: not before they can have expired, if all
// threads run all the time. Called with timer.mu held.
func (g *ThreadGroup) armCPULocked(now int64) {
	tm := &g.timer
	first := tm.firstCPU()
	tm.cpuIdle.Store(false)
	if first == math.MaxInt64 {
		if tm.cpu != nil {
			tm.cpu.Stop()
		}
		return
	}
	tm.last = now
	d := max(time.Duration(first-now)/time.Duration(max(int64(len(g.kernel.CPUs)), 1)), time.Millisecond)
	if tm.cpu == nil {
		tm.cpu = time.AfterFunc(d, g.lookAtCPU)
	} else {
		tm.cpu.Reset(d)
	}
}

func (g *groupTimers) firstCPU() int64 {
	first := int64(math.MaxInt64)
	for _, e := range []int64{g.virt.expiry, g.prof.expiry, g.limit} {
		if e != 0 {
			first = min(first, e)
		}
	}
	for _, p := range g.posix {
		if e := p.cpuExpiry(); e != 0 {
			first = min(first, e)
		}
	}
	return first
}

// lookAtCPU runs on a timer's goroutine: it fires what has expired. If no thread has run since the last look it
// rests until one wakes up, so that a sleeping process costs nothing.
func (g *ThreadGroup) lookAtCPU() {
	tm := &g.timer
	asleep := g.allAsleep()
	now := g.CPUTime()
	g.sampleClocks()
	tm.mu.Lock()
	if asleep && now == tm.last {
		tm.cpuIdle.Store(true)
		tm.mu.Unlock()
		if !g.allAsleep() { // one woke up before it could see that
			g.wakeCPUTimers()
		}
		return
	}
	due := tm.expireCPU(now)
	g.armCPULocked(now)
	tm.mu.Unlock()
	for _, f := range due {
		f(g)
	}
}

// sampleClocks reads the clocks of the POSIX timers that do not run on the process's own. No lock is held while it
// reads.
func (g *ThreadGroup) sampleClocks() {
	tm := &g.timer
	tm.mu.Lock()
	var foreign []*PosixTimer
	for _, p := range tm.posix {
		if p.isCPU() && p.onCPU.Group != g {
			foreign = append(foreign, p)
		}
	}
	tm.mu.Unlock()
	for _, p := range foreign {
		now := p.onCPU.Now()
		tm.mu.Lock()
		p.sample = now
		tm.mu.Unlock()
	}
}

// wakeCPUTimers looks again after a rest.
func (g *ThreadGroup) wakeCPUTimers() {
	if !g.timer.cpuIdle.CompareAndSwap(true, false) {
		return
	}
	now := g.CPUTime()
	g.timer.mu.Lock()
	g.armCPULocked(now)
	g.timer.mu.Unlock()
}

func (g *ThreadGroup) allAsleep() bool {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	for _, t := range g.tree.threads {
		if t.park.asleep.Load() == 0 && !t.misc.counted.Load() {
			return false
		}
	}
	return true
}

// expireCPU returns what is to be done for the timers that have expired at now. Called with mu held.
func (g *groupTimers) expireCPU(now int64) (due []func(*ThreadGroup)) {
	sig := func(n int32) func(*ThreadGroup) {
		return func(g *ThreadGroup) { i := signal.Kernel(n); SendGroup(g, &i) }
	}
	for c, n := range map[*cpuTimer]int32{&g.virt: linux.SIGVTALRM, &g.prof: linux.SIGPROF} {
		if c.expiry == 0 || c.expiry > now {
			continue
		}
		due = append(due, sig(n))
		if c.interval == 0 {
			c.expiry = 0
		} else {
			c.expiry += (1 + (now-c.expiry)/c.interval) * c.interval
		}
	}
	if g.limit != 0 && g.limit <= now {
		g.limit = 0
		due = append(due, (*ThreadGroup).overCPULimit)
	}
	for _, p := range g.posix {
		if p.cpuDue(now) {
			p.cpuFired = true
			due = append(due, func(*ThreadGroup) { p.fire() })
		}
	}
	return due
}

// overCPULimit sends SIGXCPU at the soft limit and every second after it, SIGKILL at the hard one.
func (g *ThreadGroup) overCPULimit() {
	l := g.limits.Get(linux.RLIMIT_CPU)
	now := g.CPUTime()
	sig := int32(linux.SIGXCPU)
	if l.Max != Infinity && now >= seconds(l.Max) {
		sig = linux.SIGKILL
	}
	i := signal.Kernel(sig)
	SendGroup(g, &i)
	g.timer.mu.Lock()
	g.timer.limit = now/1e9*1e9 + 1e9
	g.armCPULocked(now)
	g.timer.mu.Unlock()
}

func seconds(s uint64) int64 { return int64(min(s, math.MaxInt64/1_000_000_000)) * 1_000_000_000 }

// CPULimitChanged makes a new RLIMIT_CPU count.
func (g *ThreadGroup) CPULimitChanged() {
	l := g.limits.Get(linux.RLIMIT_CPU)
	now := g.CPUTime()
	g.timer.mu.Lock()
	defer g.timer.mu.Unlock()
	g.timer.limit = 0
	if l.Cur != Infinity {
		g.timer.limit = max(seconds(l.Cur), 1)
	}
	g.armCPULocked(now)
}

// execReset deletes POSIX timers; interval timers go on.
func (g *groupTimers) execReset() {
	g.mu.Lock()
	old := g.posix
	g.posix = nil
	g.mu.Unlock()
	for _, p := range old {
		p.stop()
	}
}

// stopAll ends every timer of a process that ends.
func (g *groupTimers) stopAll() {
	g.real.Set(0, 0)
	g.execReset()
	g.mu.Lock()
	g.virt, g.prof, g.limit = cpuTimer{}, cpuTimer{}, 0
	if g.cpu != nil {
		g.cpu.Stop()
	}
	g.mu.Unlock()
}
