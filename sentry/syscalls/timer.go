package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/timer"
)

// Setitimer implements setitimer(2).
func Setitimer(t *task.Task, which int32, new, old mm.User[linux.Itimerval]) (uintptr, linux.Errno) {
	var v linux.Itimerval // a null pointer disarms the timer, as Linux still allows
	if new != 0 {
		var errno linux.Errno
		if v, errno = new.Load(t); errno != 0 {
			return 0, errno
		}
	}
	value, ok1 := timer.FromTimeval(v.Value)
	interval, ok2 := timer.FromTimeval(v.Interval)
	if !ok1 || !ok2 {
		return 0, linux.EINVAL
	}
	wasValue, wasInterval, errno := t.SetITimer(which, value, interval)
	if errno != 0 || old == 0 {
		return 0, errno
	}
	return none(old.Store(t, itimerval(wasValue, wasInterval)))
}

// itimerval shows a timer; one that is armed never shows as 0.
func itimerval(value, interval int64) linux.Itimerval {
	v := linux.Itimerval{Interval: timer.ToTimeval(interval), Value: timer.ToTimeval(value)}
	if value > 0 && v.Value == (linux.Timeval{}) {
		v.Value.Usec = 1
	}
	return v
}

// Getitimer implements getitimer(2).
func Getitimer(t *task.Task, which int32, out mm.User[linux.Itimerval]) (uintptr, linux.Errno) {
	value, interval, errno := t.GetITimer(which)
	if errno != 0 {
		return 0, errno
	}
	return none(out.Store(t, itimerval(value, interval)))
}

// Alarm implements alarm(2): what was left is rounded to seconds, but never to 0.
func Alarm(t *task.Task, seconds uint32) (uintptr, linux.Errno) {
	left, _, _ := t.SetITimer(linux.ITIMER_REAL, int64(seconds)*1e9, 0)
	s := left / 1e9
	if left%1e9 >= 5e8 || left > 0 && s == 0 {
		s++
	}
	return uintptr(s), 0
}

// sigeventSize is sizeof(struct sigevent).
const sigeventSize = 64

// sigevent is the part of struct sigevent that the kernel looks at.
type sigevent struct {
	value  uint64
	signo  int32
	notify int32
	tid    int32
}

func loadSigevent(t *task.Task, addr Addr) (e sigevent, errno linux.Errno) {
	var b [sigeventSize]byte
	if _, errno := t.Memory().CopyIn(b[:], uint64(addr)); errno != 0 {
		return e, errno
	}
	le := binary.LittleEndian
	return sigevent{le.Uint64(b[:]), int32(le.Uint32(b[8:])), int32(le.Uint32(b[12:])), int32(le.Uint32(b[16:]))}, 0
}

// TimerCreate implements timer_create(2).
func TimerCreate(t *task.Task, clock ClockID, event Addr, out mm.User[int32]) (uintptr, linux.Errno) {
	var cpu task.CPUClock
	switch clock {
	case linux.CLOCK_REALTIME, linux.CLOCK_MONOTONIC, linux.CLOCK_BOOTTIME, linux.CLOCK_TAI:
	case linux.CLOCK_REALTIME_ALARM, linux.CLOCK_BOOTTIME_ALARM,
		linux.CLOCK_MONOTONIC_RAW, linux.CLOCK_REALTIME_COARSE, linux.CLOCK_MONOTONIC_COARSE:
		return 0, linux.EOPNOTSUPP
	default:
		c, ok, errno := cpuClock(t, clock)
		if !ok || errno != 0 {
			return 0, linux.EINVAL
		}
		cpu = c
	}
	e := sigevent{signo: linux.SIGALRM, notify: linux.SIGEV_SIGNAL}
	if event != 0 {
		var errno linux.Errno
		if e, errno = loadSigevent(t, event); errno != 0 {
			return 0, errno
		}
	}
	target, errno := timerTarget(t, &e)
	if errno != 0 {
		return 0, errno
	}
	p, errno := t.NewTimer(int32(clock), e.notify, e.signo, e.value, target, cpu)
	if errno != 0 {
		return 0, errno
	}
	if event == 0 {
		p.Value = uint64(p.ID)
	}
	if errno := out.Store(t, p.ID); errno != 0 {
		p.Delete()
		return 0, errno
	}
	return 0, 0
}

// timerTarget checks a sigevent and finds the thread of SIGEV_THREAD_ID.
func timerTarget(t *task.Task, e *sigevent) (*task.Task, linux.Errno) {
	var target *task.Task
	switch e.notify {
	case linux.SIGEV_NONE:
		return nil, 0
	case linux.SIGEV_SIGNAL | linux.SIGEV_THREAD_ID:
		target = t.PIDNS().Task(e.tid)
		if target == nil || target.Group != t.Group {
			return nil, linux.EINVAL
		}
	case linux.SIGEV_SIGNAL, linux.SIGEV_THREAD:
	default:
		return nil, linux.EINVAL
	}
	if e.signo <= 0 || e.signo > linux.NSIG {
		return nil, linux.EINVAL
	}
	return target, 0
}

func itimerspec(value, interval int64) linux.Itimerspec {
	return linux.Itimerspec{Interval: timer.ToTimespec(interval), Value: timer.ToTimespec(value)}
}

// TimerSettime implements timer_settime(2).
func TimerSettime(t *task.Task, id, flags int32, new, old mm.User[linux.Itimerspec]) (uintptr, linux.Errno) {
	if new == 0 {
		return 0, linux.EINVAL
	}
	v, errno := new.Load(t)
	if errno != 0 {
		return 0, errno
	}
	value, ok1 := timer.FromTimespec(v.Value)
	interval, ok2 := timer.FromTimespec(v.Interval)
	if !ok1 || !ok2 {
		return 0, linux.EINVAL
	}
	p, errno := t.Timer(id)
	if errno != 0 {
		return 0, errno
	}
	wasValue, wasInterval := p.Set(value, interval, flags&linux.TIMER_ABSTIME != 0)
	if old == 0 {
		return 0, 0
	}
	return none(old.Store(t, itimerspec(wasValue, wasInterval)))
}

// TimerGettime implements timer_gettime(2).
func TimerGettime(t *task.Task, id int32, out mm.User[linux.Itimerspec]) (uintptr, linux.Errno) {
	p, errno := t.Timer(id)
	if errno != 0 {
		return 0, errno
	}
	return none(out.Store(t, itimerspec(p.Get())))
}

// TimerGetoverrun implements timer_getoverrun(2).
func TimerGetoverrun(t *task.Task, id int32) (uintptr, linux.Errno) {
	p, errno := t.Timer(id)
	if errno != 0 {
		return 0, errno
	}
	return uintptr(p.Overrun()), 0
}

// TimerDelete implements timer_delete(2).
func TimerDelete(t *task.Task, id int32) (uintptr, linux.Errno) {
	p, errno := t.Timer(id)
	if errno != 0 {
		return 0, errno
	}
	p.Delete()
	return 0, 0
}

// timex is struct timex.
type timex struct {
	Modes, _                               uint32
	Offset, Freq, MaxError, EstError       int64
	Status, _                              int32
	Constant, Precision, Tolerance         int64
	Time                                   linux.Timeval
	Tick, PPSFreq, Jitter                  int64
	Shift, _                               int32
	Stabil, Jitcnt, Calcnt, Errcnt, Stbcnt int64
	TAI                                    int32
	_                                      [11]int32
}

// Adjtimex implements adjtimex(2).
func Adjtimex(t *task.Task, buf mm.User[timex]) (uintptr, linux.Errno) {
	return ClockAdjtime(t, linux.CLOCK_REALTIME, buf)
}

// ClockAdjtime implements clock_adjtime(2): the state of a clock that nobody disciplines, and that nobody inside may
// change.
func ClockAdjtime(t *task.Task, clock ClockID, buf mm.User[timex]) (uintptr, linux.Errno) {
	switch {
	case clock == linux.CLOCK_REALTIME:
	case clock >= 0 && clock <= linux.CLOCK_TAI:
		return 0, linux.EOPNOTSUPP
	default:
		return 0, linux.EINVAL
	}
	x, errno := buf.Load(t)
	if errno != 0 {
		return 0, errno
	}
	const singleshot = linux.ADJ_OFFSET_SINGLESHOT &^ linux.ADJ_OFFSET
	readOnly := x.Modes == 0 || x.Modes == linux.ADJ_OFFSET_SS_READ
	if x.Modes&singleshot != 0 && x.Modes != linux.ADJ_OFFSET_SS_READ && x.Modes&linux.ADJ_OFFSET == 0 {
		return 0, linux.EINVAL
	}
	if !readOnly {
		return 0, linux.EPERM
	}
	now, _ := timer.Now(linux.CLOCK_REALTIME, nil)
	out := timex{Modes: x.Modes, MaxError: 16000000, EstError: 16000000, Status: linux.STA_UNSYNC, Constant: 7,
		Precision: 1, Tolerance: 32768000, Time: timer.ToTimeval(now), Tick: 10000}
	if errno := buf.Store(t, out); errno != 0 {
		return 0, errno
	}
	return linux.TIME_ERROR, 0
}
