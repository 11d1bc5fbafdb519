package task

import (
	"slices"

	"hornwork/lib/rank"
	"hornwork/linux"
)

// SchedState is what the scheduling calls set and report. The host schedules the sandbox as it likes: policies and
// priorities are kept and answered truthfully, but do not change who runs.
type SchedState struct {
	mu       rank.Mutex[rank.TaskState] // guards the fields below
	attr     SchedAttr
	affinity []uint64 // nil: all CPUs
}

// SchedAttr is a policy with its parameters.
type SchedAttr struct {
	Policy      int32
	Nice        int32
	Priority    int32 // 1 to 99 for SCHED_FIFO and SCHED_RR
	ResetOnFork bool
	UtilMin     uint32
	UtilMax     uint32
	RuntimeNS   uint64
	DeadlineNS  uint64
	PeriodNS    uint64
}

// Attr returns the attributes.
func (s *SchedState) Attr() SchedAttr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attr
}

// SetAttr changes them.
func (s *SchedState) SetAttr(a SchedAttr) {
	s.mu.Lock()
	s.attr = a
	s.mu.Unlock()
}

// Affinity is the set of guest CPUs that the task may run on; n is how many there are.
func (s *SchedState) Affinity(n int) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.affinity != nil {
		return slices.Clone(s.affinity)
	}
	return allCPUs(n)
}

func allCPUs(n int) []uint64 {
	m := make([]uint64, (n+63)/64)
	for i := range n {
		m[i/64] |= 1 << (i % 64)
	}
	return m
}

// SetAffinity changes it to those of mask that exist; EINVAL if there are none.
func (s *SchedState) SetAffinity(mask []uint64, n int) linux.Errno {
	all := allCPUs(n)
	some := false
	for i := range all {
		if i < len(mask) {
			all[i] &= mask[i]
		} else {
			all[i] = 0
		}
		some = some || all[i] != 0
	}
	if !some {
		return linux.EINVAL
	}
	s.mu.Lock()
	s.affinity = all
	s.mu.Unlock()
	return 0
}

// inherit copies what a child gets.
func (s *SchedState) inherit(p *SchedState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.attr, s.affinity = p.attr, slices.Clone(p.affinity)
	if s.attr.ResetOnFork {
		s.attr = SchedAttr{Nice: max(s.attr.Nice, 0)}
		if p.attr.Policy == linux.SCHED_FIFO || p.attr.Policy == linux.SCHED_RR {
			s.attr.Nice = 0
		}
	}
}
