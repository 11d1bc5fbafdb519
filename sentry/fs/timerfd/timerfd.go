// Package timerfd is timerfd_create(2): an interval timer whose expiries are read from a descriptor. Reads do not
// sleep: they return EAGAIN, and the syscall layer waits.
//
// Departure from Linux: nobody can set the guest's clocks, so TFD_TIMER_CANCEL_ON_SET never cancels.
//
// Locks: mu, a leaf but for the timer's own lock.
package timerfd

import (
	"encoding/binary"
	"math"
	"sync"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/timer"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// TimerFD is the object behind the descriptor.
type TimerFD struct {
	anon.File
	clock int32
	off   *timer.Offsets // of the creator's time namespace

	mu    sync.Mutex // guards ticks, and keeps Set and Read apart
	ticks uint64     // expiries that were counted but not read yet
	flags uint32     // of the last Set, for fdinfo

	timer timer.Timer
	queue wait.Queue
}

// New makes a timerfd on the clock; flags: TFD_NONBLOCK. EINVAL for other clocks than timers may have, EPERM for
// the alarm clocks without CAP_WAKE_ALARM.
func New(c *vfs.Caller, clock int32, flags uint32, off *timer.Offsets) (*vfs.File, linux.Errno) {
	if flags&^(linux.TFD_CLOEXEC|linux.TFD_NONBLOCK) != 0 {
		return nil, linux.EINVAL
	}
	switch clock {
	case linux.CLOCK_REALTIME, linux.CLOCK_MONOTONIC, linux.CLOCK_BOOTTIME:
	case linux.CLOCK_REALTIME_ALARM, linux.CLOCK_BOOTTIME_ALARM:
		if !c.Creds.HasCap(linux.CAP_WAKE_ALARM) {
			return nil, linux.EPERM
		}
	default:
		return nil, linux.EINVAL
	}
	t := &TimerFD{clock: clock, off: off}
	t.timer.Fire = func() { t.queue.Notify(wait.In) }
	return anon.NewFile(c, "[timerfd]", t, linux.O_RDWR|flags&linux.TFD_NONBLOCK), 0
}

// FromFile returns the timerfd behind f.
func FromFile(f *vfs.File) (*TimerFD, bool) {
	t, ok := f.Ops.(*TimerFD)
	return t, ok
}

// SetTime is timerfd_settime(2); it returns the old setting.
func (t *TimerFD) SetTime(flags uint32, its linux.Itimerspec) (linux.Itimerspec, linux.Errno) {
	if flags&^(linux.TFD_TIMER_ABSTIME|linux.TFD_TIMER_CANCEL_ON_SET) != 0 {
		return linux.Itimerspec{}, linux.EINVAL
	}
	value, ok1 := timer.FromTimespec(its.Value)
	interval, ok2 := timer.FromTimespec(its.Interval)
	if !ok1 || !ok2 {
		return linux.Itimerspec{}, linux.EINVAL
	}
	var deadline int64
	switch {
	case value == 0: // disarmed; the interval counts for nothing then
		interval = 0
	case flags&linux.TFD_TIMER_ABSTIME != 0:
		deadline = max(timer.ToMonotonic(t.clock, t.off, value), 1)
	default:
		deadline = timer.AddSat(timer.Monotonic(), value)
	}
	t.mu.Lock()
	left, oldInterval := t.timer.Set(deadline, interval)
	t.ticks, t.flags = 0, flags
	t.mu.Unlock()
	return linux.Itimerspec{Interval: timer.ToTimespec(oldInterval), Value: timer.ToTimespec(left)}, 0
}

// GetTime is timerfd_gettime(2).
func (t *TimerFD) GetTime() linux.Itimerspec {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countLocked()
	left, interval := t.timer.Get()
	return linux.Itimerspec{Interval: timer.ToTimespec(interval), Value: timer.ToTimespec(left)}
}

// Info is what /proc/pid/fdinfo shows.
func (t *TimerFD) Info() (clock int32, ticks uint64, flags uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clock, t.ticks, t.flags
}

// countLocked adds the expiries since the last look and lets the timer go on.
func (t *TimerFD) countLocked() {
	n := t.timer.ForwardDue()
	t.ticks += min(n, math.MaxUint64-t.ticks)
}

func (t *TimerFD) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	if dst.Len() < 8 {
		return 0, linux.EINVAL
	}
	t.mu.Lock()
	t.countLocked()
	ticks := t.ticks
	t.ticks = 0
	t.mu.Unlock()
	if ticks == 0 {
		return 0, linux.EAGAIN
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], ticks)
	return dst.CopyOut(b[:]) // after a fault the ticks are lost, as on Linux
}

func (t *TimerFD) Readiness(mask wait.Events) wait.Events {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ticks == 0 && !t.timer.Due() {
		return 0
	}
	return wait.In & mask
}

func (t *TimerFD) EventRegister(w *wait.Entry)   { t.queue.Add(w) }
func (t *TimerFD) EventUnregister(w *wait.Entry) { t.queue.Remove(w) }

// Release disarms the timer.
func (t *TimerFD) Release(*vfs.File) { t.timer.Set(0, 0) }
