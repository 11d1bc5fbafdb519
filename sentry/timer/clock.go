// Package timer has the guest's clocks and the interval timers on them: timerfd, POSIX timers, ITIMER_REAL.
//
// Guest clocks are the host's, plus the offsets of a time namespace. Nobody inside can set them.
package timer

import (
	"math"
	"time"

	"hornwork/host/clock"
	"hornwork/linux"
)

// CLOCK_TAI is ahead of CLOCK_REALTIME by what adjtimex(2) says; like Linux before NTP tells it: nothing.

// Offsets are what a time namespace adds to its clocks, in nanoseconds (time_namespaces(7)).
type Offsets struct{ Monotonic, Boottime int64 }

// Now reads a clock that belongs to no process, in nanoseconds. ok is false for CPU-time clocks and for
// numbers that are no clock.
func Now(id int32, off *Offsets) (ns int64, ok bool) {
	switch id {
	case linux.CLOCK_REALTIME, linux.CLOCK_REALTIME_COARSE, linux.CLOCK_REALTIME_ALARM, linux.CLOCK_TAI:
		return clock.GuestRealtime(), true
	case linux.CLOCK_MONOTONIC, linux.CLOCK_MONOTONIC_RAW, linux.CLOCK_MONOTONIC_COARSE:
		return clock.GuestMonotonic() + off.monotonic(), true
	case linux.CLOCK_BOOTTIME, linux.CLOCK_BOOTTIME_ALARM:
		return clock.GuestBoottime() + off.boottime(), true
	}
	return 0, false
}

func (o *Offsets) monotonic() int64 {
	if o == nil {
		return 0
	}
	return o.Monotonic
}

func (o *Offsets) boottime() int64 {
	if o == nil {
		return 0
	}
	return o.Boottime
}

// Resolution is what clock_getres(2) reports in nanoseconds: 1 ns, and a tick of 4 ms for the coarse clocks.
func Resolution(id int32) int64 {
	if id == linux.CLOCK_REALTIME_COARSE || id == linux.CLOCK_MONOTONIC_COARSE {
		return 4e6
	}
	return 1
}

// Monotonic is CLOCK_MONOTONIC without the offset of a time namespace, on which all Timers run, in nanoseconds.
// It is the clock that guests read in their vDSO, so that nobody sees a timer fire early.
func Monotonic() int64 { return clock.GuestMonotonic() }

// Deadline turns a reading of Monotonic into a deadline for Block. Go's clock and the guest's may differ by a
// little: who must not be early looks at Monotonic again.
func Deadline(monotonicNS int64) time.Time {
	return time.Now().Add(time.Duration(monotonicNS - clock.GuestMonotonic()))
}

// ToMonotonic turns a point of time of clock id into one of Monotonic. The clock is one that Now knows.
func ToMonotonic(id int32, off *Offsets, at int64) int64 {
	now, _ := Now(id, off)
	return AddSat(clock.GuestMonotonic(), at-now)
}

// AddSat is a+b for b that may be huge: beyond the largest number it is the largest number.
func AddSat(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// FromTimespec is ts in nanoseconds; times beyond 292 years are as good as never. ok is false when the
// structure is invalid (timespec64_valid).
func FromTimespec(ts linux.Timespec) (int64, bool) {
	if ts.Sec < 0 || ts.Nsec < 0 || ts.Nsec >= 1e9 {
		return 0, false
	}
	if ts.Sec >= math.MaxInt64/1_000_000_000 {
		return math.MaxInt64, true
	}
	return ts.Sec*1e9 + ts.Nsec, true
}

// FromTimeval is tv in nanoseconds, under the same rules.
func FromTimeval(tv linux.Timeval) (int64, bool) {
	if tv.Usec < 0 || tv.Usec >= 1e6 {
		return 0, false
	}
	return FromTimespec(linux.Timespec{Sec: tv.Sec, Nsec: tv.Usec * 1000})
}

// ToTimespec splits nanoseconds.
func ToTimespec(ns int64) linux.Timespec {
	s, n := ns/1e9, ns%1e9
	if n < 0 {
		s, n = s-1, n+1e9
	}
	return linux.Timespec{Sec: s, Nsec: n}
}

// ToTimeval splits nanoseconds into seconds and microseconds, rounded down.
func ToTimeval(ns int64) linux.Timeval {
	ts := ToTimespec(ns)
	return linux.Timeval{Sec: ts.Sec, Usec: ts.Nsec / 1000}
}
