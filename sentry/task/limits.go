package task

import (
	"math"
	"sync/atomic"

	"hornwork/linux"
)

// Infinity is RLIM_INFINITY.
const Infinity = math.MaxUint64

// Limits are the resource limits of a thread group. Reading takes no lock; each pair is replaced as a whole.
type Limits struct {
	pairs [linux.RLIM_NLIMITS]atomic.Pointer[linux.Rlimit]
}

var infinite = &linux.Rlimit{Cur: Infinity, Max: Infinity}

// Get returns the limit of a resource.
func (l *Limits) Get(res int) linux.Rlimit {
	if p := l.pairs[res].Load(); p != nil {
		return *p
	}
	return *infinite
}

// Set changes it.
func (l *Limits) Set(res int, r linux.Rlimit) { l.pairs[res].Store(&r) }

func (l *Limits) copyFrom(o *Limits) {
	for i := range l.pairs {
		l.pairs[i].Store(o.pairs[i].Load())
	}
}

// DefaultLimits are those of the first process of a Linux machine.
func DefaultLimits() map[int]linux.Rlimit {
	const nproc = 62000 // what a machine of 16 GiB computes (max_threads / 2)
	return map[int]linux.Rlimit{
		linux.RLIMIT_STACK:      {Cur: 8 << 20, Max: Infinity},
		linux.RLIMIT_CORE:       {Cur: 0, Max: Infinity},
		linux.RLIMIT_NPROC:      {Cur: nproc, Max: nproc},
		linux.RLIMIT_NOFILE:     {Cur: 1024, Max: fdMax},
		linux.RLIMIT_MEMLOCK:    {Cur: 8 << 20, Max: 8 << 20},
		linux.RLIMIT_SIGPENDING: {Cur: nproc, Max: nproc},
		linux.RLIMIT_MSGQUEUE:   {Cur: 819200, Max: 819200},
		linux.RLIMIT_NICE:       {},
		linux.RLIMIT_RTPRIO:     {},
	}
}

// Limit returns a resource limit of the task's thread group.
func (t *Task) Limit(res int) linux.Rlimit { return t.Group.limits.Get(res) }
