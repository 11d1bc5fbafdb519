// Package clock reads the host's clocks without a system call: Go's runtime reads them through the host's vDSO,
// and the distance between its monotonic clock and CLOCK_MONOTONIC and CLOCK_BOOTTIME is measured once.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

var (
	start, monoStart = pair()
	bootOffset       = offset()
)

// pair reads Go's clock and CLOCK_MONOTONIC at the same moment: of a few tries the one that took least.
func pair() (t time.Time, mono int64) {
	best := time.Duration(1 << 62)
	for range 8 {
		before := time.Now()
		m := read(unix.CLOCK_MONOTONIC)
		if d := time.Since(before); d < best {
			best, t, mono = d, before.Add(d/2), m
		}
	}
	return t, mono
}

// offset is how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC, measured likewise.
func offset() (ns int64) {
	best := int64(1 << 62)
	for range 8 {
		m := read(unix.CLOCK_MONOTONIC)
		b := read(unix.CLOCK_BOOTTIME)
		if d := read(unix.CLOCK_MONOTONIC) - m; d < best {
			best, ns = d, b-m-d/2
		}
	}
	if ns < 10_000 && ns > -10_000 {
		return 0 // never suspended: the two are one
	}
	return ns
}

func read(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic("clock: " + err.Error()) // these clocks exist on every Linux
	}
	return ts.Nano()
}

// Monotonic is the host's CLOCK_MONOTONIC in nanoseconds.
func Monotonic() int64 { return monoStart + int64(time.Since(start)) }

// Boottime is CLOCK_BOOTTIME in nanoseconds; suspensions of the host after the start are not seen.
func Boottime() int64 { return Monotonic() + bootOffset }

// Realtime is CLOCK_REALTIME in nanoseconds since the epoch.
func Realtime() int64 { return time.Now().UnixNano() }

// At turns a reading of Monotonic into a time of Go's monotonic clock, for wait.Deadline.
func At(monotonicNS int64) time.Time {
	if monotonicNS <= monoStart {
		return start // long past
	}
	return start.Add(time.Duration(monotonicNS - monoStart))
}
