package task

import (
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/timer"
)

// nsPerTick is a clock tick (USER_HZ is 100) in nanoseconds.
const nsPerTick = 10_000_000

// usage is what getrusage(2) adds up.
type usage struct {
	cpu, minflt, majflt, vol, invol, maxRSS atomic.Int64
}

func (u *usage) add(o *usage) {
	u.cpu.Add(o.cpu.Load())
	u.minflt.Add(o.minflt.Load())
	u.majflt.Add(o.majflt.Load())
	u.vol.Add(o.vol.Load())
	u.invol.Add(o.invol.Load())
	u.maxRSS.Store(max(u.maxRSS.Load(), o.maxRSS.Load()))
}

// groupTimes is what a process has used: its threads that have ended, and its children that were waited for.
type groupTimes struct{ dead, children usage }

// CPUTime is the time that the thread's guest code has run, in nanoseconds. Time in the sentry is not counted:
// it is the sandbox's, not the thread's, and measuring it would cost every system call two clock readings.
func (t *Task) CPUTime() int64 {
	t.run.mu.Lock()
	defer t.run.mu.Unlock()
	ns := t.run.cpuDone
	if t.run.thread != nil {
		ns += t.run.thread.CPUTime()
	}
	return ns
}

func (t *Task) addUsage(u *usage) {
	u.cpu.Add(t.CPUTime())
	u.minflt.Add(t.misc.vmInfo.minflt.Load())
	u.majflt.Add(t.misc.vmInfo.majflt.Load())
	u.vol.Add(t.misc.volCtx.Load())
	u.invol.Add(t.misc.invCtx.Load())
	if as := t.mm.Load(); as != nil {
		u.maxRSS.Store(max(u.maxRSS.Load(), int64(as.Stats().RSSPeak)))
	}
}

// addThread adds a thread that ends. It is counted here once, before it leaves the list of threads.
func (g *groupTimes) addThread(t *Task) {
	t.addUsage(&g.dead)
	t.misc.counted.Store(true)
}

func (g *groupTimes) addChild(c *ThreadGroup) {
	g.children.add(&c.times.dead)
	g.children.add(&c.times.children)
}

// selfUsage adds up the process. Called with a lock of g.tree.threads held.
func (g *ThreadGroup) selfUsage(u *usage) {
	u.add(&g.times.dead)
	for _, t := range g.tree.threads {
		if !t.misc.counted.Load() {
			t.addUsage(u)
		}
	}
}

// cpuTimes is the user and system time of the process in nanoseconds. Called with a lock of threads held.
func (g *ThreadGroup) cpuTimes() (utime, stime int64) {
	var u usage
	g.selfUsage(&u)
	return u.cpu.Load(), 0
}

// CPUTime is the CPU time of all threads of the process, ended ones included, in nanoseconds.
func (g *ThreadGroup) CPUTime() int64 {
	g.kernel.tasks.RLock()
	defer g.kernel.tasks.RUnlock()
	u, _ := g.cpuTimes()
	return u
}

// ChildCPUTime is the CPU time of the children that were waited for, in nanoseconds.
func (g *ThreadGroup) ChildCPUTime() int64 { return g.times.children.cpu.Load() }

func (u *usage) rusage() linux.Rusage {
	return linux.Rusage{
		Utime:  timer.ToTimeval(u.cpu.Load()),
		Maxrss: u.maxRSS.Load() >> 10,
		Minflt: u.minflt.Load(), Majflt: u.majflt.Load(),
		Nvcsw: u.vol.Load(), Nivcsw: u.invol.Load(),
	}
}

// Rusage implements getrusage(2): who is RUSAGE_SELF, RUSAGE_CHILDREN or RUSAGE_THREAD.
func (t *Task) Rusage(who int32) (linux.Rusage, linux.Errno) {
	var u usage
	switch who {
	case linux.RUSAGE_SELF:
		t.kernel.tasks.RLock()
		t.Group.selfUsage(&u)
		t.kernel.tasks.RUnlock()
	case linux.RUSAGE_CHILDREN:
		u.add(&t.Group.times.children)
	case linux.RUSAGE_THREAD:
		t.addUsage(&u)
	default:
		return linux.Rusage{}, linux.EINVAL
	}
	return u.rusage(), 0
}

// Faults counts the thread's page faults and context switches, for /proc.
func (t *Task) Faults() (minor, major, voluntary, involuntary int64) {
	return t.misc.vmInfo.minflt.Load(), t.misc.vmInfo.majflt.Load(), t.misc.volCtx.Load(), t.misc.invCtx.Load()
}

// Rusage is the process's own usage, and that of its children.
func (g *ThreadGroup) Rusage() (self, children linux.Rusage) {
	var u usage
	g.kernel.tasks.RLock()
	g.selfUsage(&u)
	g.kernel.tasks.RUnlock()
	return u.rusage(), g.times.children.rusage()
}

// rusageBoth is the usage of a child and of its children, for wait4(2). Called with Kernel.tasks held.
func (g *ThreadGroup) rusageBoth() linux.Rusage {
	var u usage
	g.selfUsage(&u)
	u.add(&g.times.children)
	return u.rusage()
}

// uidFor is g's real user ID in p's user namespace.
func (g *ThreadGroup) uidFor(p *ThreadGroup) uint32 {
	return cred.FromKUID(p.tree.leader.Creds().UserNS, g.tree.leader.Creds().RUID)
}
