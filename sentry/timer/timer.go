package timer

import (
	"math"
	"time"

	"hornwork/host/clock"
	"hornwork/lib/rank"
)

// Timer is an interval timer like Linux's hrtimer behind a timerfd or POSIX timer: it fires once and then rests
// until Forward counts the periods that have passed. So a timer whose owner does not look costs nothing.
//
// The zero value is disarmed; set Fire before the first Set. A Timer must not be copied.
type Timer struct {
	// Fire is called at expiry on a goroutine of its own, with no lock held. It may be called once more after a
	// Set that races with it: look at Expired.
	Fire func()

	mu       rank.Mutex[rank.Timer] // guards the fields below
	deadline int64                  // a reading of Monotonic; 0: disarmed
	interval int64
	expired  bool
	timer    *time.Timer
}

// Set arms the timer for deadline (a reading of Monotonic; 0 disarms) and then every interval nanoseconds.
// It returns what was left before, like timer_settime(2): 0 if disarmed, at least 1 if armed.
func (t *Timer) Set(deadline, interval int64) (oldLeft, oldInterval int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	oldLeft, oldInterval = t.left(), t.interval
	t.deadline, t.interval, t.expired = deadline, interval, false
	t.arm()
	return oldLeft, oldInterval
}

// Get returns what is left until the next expiry (0: disarmed) and the interval.
func (t *Timer) Get() (left, interval int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left(), t.interval
}

// left is called with mu held. For a timer at rest it is the time to the next period that is still to come.
func (t *Timer) left() int64 {
	if t.deadline == 0 {
		return 0
	}
	now := clock.GuestMonotonic()
	d := t.deadline - now
	if d <= 0 && t.interval > 0 {
		d = t.interval - (now-t.deadline)%t.interval
	} else if d <= 0 && t.expired {
		return 0
	}
	return max(d, 1)
}

// arm is called with mu held.
func (t *Timer) arm() {
	if t.deadline == 0 || t.deadline == math.MaxInt64 {
		if t.timer != nil {
			t.timer.Stop()
		}
		return
	}
	d := time.Duration(max(t.deadline-clock.GuestMonotonic(), 0))
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.expire)
	} else {
		t.timer.Reset(d)
	}
}

func (t *Timer) expire() {
	t.mu.Lock()
	if t.deadline == 0 || t.expired {
		t.mu.Unlock()
		return
	}
	if clock.GuestMonotonic() < t.deadline { // set anew meanwhile
		t.arm()
		t.mu.Unlock()
		return
	}
	t.expired = true
	t.mu.Unlock()
	t.Fire()
}

// Expired says whether the timer has fired since Set or Forward.
func (t *Timer) Expired() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.expired
}

// Due says whether the time of an expiry has come, though Fire may not have run yet. Linux's interrupt comes before
// the program looks; an owner whose state is polled asks this rather than Expired.
func (t *Timer) Due() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.due()
}

// due is called with mu held.
func (t *Timer) due() bool {
	return t.expired || t.deadline != 0 && t.deadline <= clock.GuestMonotonic()
}

// Forward counts the expiries since the timer was set or last forwarded, 0 if it has not fired, and starts the
// next period.
func (t *Timer) Forward() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.expired {
		return 0
	}
	return t.forward()
}

// ForwardDue is Forward for an owner that asks Due. An expiry that it counts before Fire has run does not fire.
func (t *Timer) ForwardDue() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.due() {
		return 0
	}
	return t.forward()
}

// forward is called with mu held, when the timer is due.
func (t *Timer) forward() uint64 {
	t.expired = false
	if t.interval == 0 {
		t.deadline = 0
		return 1
	}
	n := int64(1)
	if late := clock.GuestMonotonic() - t.deadline; late > 0 {
		n += late / t.interval
	}
	t.deadline = AddSat(t.deadline, n*t.interval)
	t.arm()
	return uint64(n)
}
