package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/timer"
)

// Numbers of CPU-time clocks that belong to a process or thread: the inverted number, and what is measured in the
// low bits (clock_getcpuclockid(3), pthread_getcpuclockid(3)).
const (
	clockPerThread = 4
	clockTypeMask  = 3
	clockProf      = 0
	clockVirt      = 1
	clockSched     = 2
	clockFD        = 3
)

// cpuClock finds the CPU-time clock that id names. ok is false if id is no such clock.
func cpuClock(t *task.Task, id ClockID) (c task.CPUClock, ok bool, errno linux.Errno) {
	switch id {
	case linux.CLOCK_PROCESS_CPUTIME_ID:
		return task.CPUClock{Group: t.Group}, true, 0
	case linux.CLOCK_THREAD_CPUTIME_ID:
		return task.CPUClock{Task: t}, true, 0
	}
	if id >= 0 {
		return c, false, 0
	}
	if id&clockTypeMask == clockFD {
		return c, true, linux.EINVAL // a PTP device
	}
	pid := ^int32(id) >> 3
	if id&clockPerThread != 0 {
		o := taskAt(t, PID(pid))
		if o == nil || o.Group != t.Group {
			return c, true, linux.EINVAL
		}
		return task.CPUClock{Task: o}, true, 0
	}
	g := t.Group
	if pid != 0 {
		if g = t.PIDNS().Group(pid); g == nil {
			return c, true, linux.EINVAL
		}
	}
	return task.CPUClock{Group: g}, true, 0
}

// readClock reads any clock, in nanoseconds.
func readClock(t *task.Task, id ClockID) (int64, linux.Errno) {
	if id == linux.CLOCK_REALTIME_ALARM || id == linux.CLOCK_BOOTTIME_ALARM {
		return 0, linux.EINVAL // there is no clock that could wake the machine
	}
	if ns, ok := timer.Now(int32(id), &t.NS().Time.Offsets); ok {
		return ns, 0
	}
	c, ok, errno := cpuClock(t, id)
	if !ok || errno != 0 {
		return 0, linux.EINVAL
	}
	return c.Now(), 0
}

// ClockGettime implements clock_gettime(2).
func ClockGettime(t *task.Task, id ClockID, out mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	ns, errno := readClock(t, id)
	if errno != 0 {
		return 0, errno
	}
	return none(out.Store(t, timer.ToTimespec(ns)))
}

// ClockGetres implements clock_getres(2).
func ClockGetres(t *task.Task, id ClockID, out mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	if _, errno := readClock(t, id); errno != 0 {
		return 0, errno
	}
	if out == 0 {
		return 0, 0
	}
	return none(out.Store(t, timer.ToTimespec(timer.Resolution(int32(id)))))
}

// ClockSettime implements clock_settime(2): nobody in a sandbox may.
func ClockSettime(t *task.Task, id ClockID, ts mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	switch id {
	case linux.CLOCK_REALTIME:
	default:
		return 0, linux.EINVAL
	}
	v, errno := ts.Load(t)
	if errno != 0 {
		return 0, errno
	}
	if _, ok := timer.FromTimespec(v); !ok {
		return 0, linux.EINVAL
	}
	return 0, linux.EPERM
}

// Gettimeofday implements gettimeofday(2). The kernel's time zone is UTC.
func Gettimeofday(t *task.Task, tv mm.User[linux.Timeval], tz mm.User[[2]int32]) (uintptr, linux.Errno) {
	if tv != 0 {
		ns, _ := timer.Now(linux.CLOCK_REALTIME, nil)
		if errno := tv.Store(t, timer.ToTimeval(ns)); errno != 0 {
			return 0, errno
		}
	}
	if tz != 0 {
		return none(tz.Store(t, [2]int32{}))
	}
	return 0, 0
}

// Settimeofday implements settimeofday(2): nobody in a sandbox may.
func Settimeofday(t *task.Task, tv mm.User[linux.Timeval], tz mm.User[[2]int32]) (uintptr, linux.Errno) {
	if tv != 0 {
		v, errno := tv.Load(t)
		if errno != 0 {
			return 0, errno
		}
		if _, ok := timer.FromTimeval(v); !ok {
			return 0, linux.EINVAL
		}
	}
	if tz != 0 {
		if _, errno := tz.Load(t); errno != 0 {
			return 0, errno
		}
	}
	return 0, linux.EPERM
}

// Time implements time(2).
func Time(t *task.Task, out mm.User[int64]) (uintptr, linux.Errno) {
	ns, _ := timer.Now(linux.CLOCK_REALTIME, nil)
	if out != 0 {
		if errno := out.Store(t, ns/1e9); errno != 0 {
			return 0, errno
		}
	}
	return uintptr(ns / 1e9), 0
}

// Nanosleep implements nanosleep(2).
func Nanosleep(t *task.Task, req, rem mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	return ClockNanosleep(t, linux.CLOCK_MONOTONIC, 0, req, rem)
}

// ClockNanosleep implements clock_nanosleep(2).
func ClockNanosleep(t *task.Task, id ClockID, flags int32, req, rem mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	if id == linux.CLOCK_THREAD_CPUTIME_ID {
		return 0, linux.EOPNOTSUPP
	}
	cpu, isCPU, errno := cpuClock(t, id)
	if errno != 0 {
		return 0, errno
	}
	if _, ok := timer.Now(int32(id), nil); !ok && !isCPU {
		return 0, linux.EINVAL
	}
	switch id {
	case linux.CLOCK_MONOTONIC_RAW, linux.CLOCK_REALTIME_COARSE, linux.CLOCK_MONOTONIC_COARSE,
		linux.CLOCK_REALTIME_ALARM, linux.CLOCK_BOOTTIME_ALARM:
		return 0, linux.EOPNOTSUPP
	}
	ts, errno := req.Load(t)
	if errno != 0 {
		return 0, errno
	}
	ns, ok := timer.FromTimespec(ts)
	if !ok {
		return 0, linux.EINVAL
	}
	abs := flags&linux.TIMER_ABSTIME != 0
	if abs {
		rem = 0
	}
	if isCPU {
		if !abs {
			ns = timer.AddSat(cpu.Now(), ns)
		}
		return sleepCPU(t, cpu, ns, abs, rem)
	}
	until := int64(0)
	if abs {
		until = timer.ToMonotonic(int32(id), &t.NS().Time.Offsets, ns)
	} else {
		until = timer.AddSat(timer.Monotonic(), ns)
	}
	return sleepUntil(t, until, abs, rem)
}

// sleepUntil sleeps to a reading of timer.Monotonic. A relative sleep that a handler interrupts reports what is left;
// one that is merely disturbed goes on.
func sleepUntil(t *task.Task, until int64, abs bool, rem mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	for timer.Monotonic() < until {
		if t.Sleep(timer.Deadline(until)) == linux.ETIMEDOUT {
			continue
		}
		if abs {
			return 0, linux.ERESTARTNOHAND
		}
		return interruptedSleep(t, until-timer.Monotonic(), rem, func(t *task.Task) (uintptr, linux.Errno) {
			return sleepUntil(t, until, abs, rem)
		})
	}
	return 0, 0
}

func interruptedSleep(t *task.Task, left int64, rem mm.User[linux.Timespec], again func(*task.Task) (uintptr, linux.Errno)) (uintptr, linux.Errno) {
	if left <= 0 {
		return 0, 0
	}
	if rem != 0 {
		if errno := rem.Store(t, timer.ToTimespec(left)); errno != 0 {
			return 0, errno
		}
	}
	t.SetRestart(again)
	return 0, linux.ERESTART_RESTARTBLOCK
}

// sleepCPU sleeps until a CPU-time clock shows until. The clock cannot run faster than all CPUs together.
func sleepCPU(t *task.Task, c task.CPUClock, until int64, abs bool, rem mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	const tick = 1_000_000
	for {
		left := until - c.Now()
		if left <= 0 {
			return 0, 0
		}
		step := max(left/int64(len(t.Kernel().CPUs)), tick)
		if t.Sleep(timer.Deadline(timer.AddSat(timer.Monotonic(), step))) == linux.ETIMEDOUT {
			continue
		}
		if abs {
			return 0, linux.ERESTARTNOHAND
		}
		return interruptedSleep(t, until-c.Now(), rem, func(t *task.Task) (uintptr, linux.Errno) {
			return sleepCPU(t, c, until, abs, rem)
		})
	}
}

// Times implements times(2): its result is the time since an arbitrary point in the past, in ticks of 10 ms.
func Times(t *task.Task, out mm.User[linux.Tms]) (uintptr, linux.Errno) {
	const tick = 10_000_000
	if out != 0 {
		v := linux.Tms{Utime: t.Group.CPUTime() / tick, Cutime: t.Group.ChildCPUTime() / tick}
		if errno := out.Store(t, v); errno != 0 {
			return 0, errno
		}
	}
	return uintptr(timer.Monotonic() / tick), 0
}
