package task

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Sighand is an identity of the group's signal dispositions, for kcmp(2): equal where they are shared.
func (g *ThreadGroup) Sighand() any { return g.sighand.Load() }

// CPU is a guest CPU that the task may be running on. Which host CPU runs it changes without the sentry being told;
// an answer that stays the same, among those of the affinity mask, is as true as any.
func (t *Task) CPU() uint32 {
	mask := t.sched.Affinity(len(t.kernel.CPUs))
	n := uint32(t.pid.Load().Number())
	count := uint32(0)
	for i := range len(mask) * 64 {
		if mask[i/64]&(1<<(i%64)) != 0 {
			count++
		}
	}
	if count == 0 {
		return 0
	}
	k := n % count
	for i := range len(mask) * 64 {
		if mask[i/64]&(1<<(i%64)) == 0 {
			continue
		}
		if k == 0 {
			return uint32(i)
		}
		k--
	}
	return 0
}

// ExpediteMemory runs a memory barrier in every thread of t's address space that runs guest code, and returns when
// all have: it interrupts them, and coming out of guest code is a barrier (membarrier(2)). global is for all threads
// of the sandbox.
func (t *Task) ExpediteMemory(global bool) {
	type crossing struct {
		t  *Task
		at uint64
	}
	var wait []crossing
	for _, g := range t.kernel.PIDNS.Groups() {
		for _, x := range g.Threads() {
			at := x.run.border.Load()
			if x == t || at&1 == 0 || !global && x.mm.Load() != t.mm.Load() {
				continue
			}
			x.run.work.Or(workResume)
			x.kick()
			wait = append(wait, crossing{x, at})
		}
	}
	for _, c := range wait {
		for n := 0; c.t.run.border.Load() == c.at; n++ {
			if n < 100 {
				runtime.Gosched()
			} else {
				time.Sleep(20 * time.Microsecond)
			}
		}
	}
}

// Membarriers are the commands that the process has registered for with membarrier(2).
func (g *ThreadGroup) Membarriers() *atomic.Uint32 { return &g.mem.membarriers }
