// Package clock reads the host's clocks without a system call: Go's runtime reads them through the host's vDSO,
// and the distance between its monotonic clock and CLOCK_MONOTONIC and CLOCK_BOOTTIME is measured once.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

var (
	start      = time.Now()
	monoStart  = read(unix.CLOCK_MONOTONIC)
	bootOffset = read(unix.CLOCK_BOOTTIME) - read(unix.CLOCK_MONOTONIC)
)

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
