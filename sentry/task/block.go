package task

import (
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
)

// Wake implements wait.Waker: an event on a queue on which the task waits.
func (t *Task) Wake(*wait.Entry, wait.Events) { t.unpark() }

// unpark leaves a token for Park. Tokens do not add up, and a stale one only costs a look.
func (t *Task) unpark() {
	select {
	case t.park.wake <- struct{}{}:
	default:
	}
}

// kick makes the task look at its work bits soon, wherever it is.
func (t *Task) kick() {
	if t.inGuest() {
		t.run.mu.Lock() // against execve and exit, which release the thread
		if th := t.run.thread; th != nil {
			th.Interrupt()
		}
		t.run.mu.Unlock()
	}
	t.unpark()
}

// Interrupted says whether a signal, a stop or a kill waits for the task.
func (t *Task) Interrupted() bool { return t.run.work.Load()&workSignal != 0 }

// Block implements wait.Blocker: it parks until ready returns true, looking again after each notification of
// q that meets mask. It returns 0, ETIMEDOUT after the deadline, or ERESTARTSYS when a signal, a stop or a kill
// interrupts.
func (t *Task) Block(q *wait.Queue, mask wait.Events, deadline wait.Deadline, ready func() bool) linux.Errno {
	e := &t.park.entry
	if t.park.busy {
		e = &wait.Entry{} // ready sleeps itself
	} else {
		t.park.busy = true
		defer func() { t.park.busy = false }()
	}
	e.Waker, e.Mask = t, mask
	q.Add(e)
	defer q.Remove(e)
	for {
		if ready() {
			return 0
		}
		if errno := t.Park(deadline); errno != 0 {
			if errno == linux.ETIMEDOUT && ready() {
				return 0
			}
			return errno
		}
	}
}

// Park sleeps until Wake, or returns ETIMEDOUT after the deadline, or ERESTARTSYS if a signal, a stop or a kill
// waits. It is for callers that are on several queues: add entries whose Waker is the task, test the condition,
// Park, test again. A return of 0 may be spurious.
func (t *Task) Park(deadline wait.Deadline) linux.Errno {
	if t.Interrupted() {
		return linux.ERESTARTSYS
	}
	t.park.asleep.Store(1)
	errno := t.parkUntil(deadline)
	t.park.asleep.Store(0)
	if t.Group.timer.cpuIdle.Load() {
		t.Group.wakeCPUTimers()
	}
	return errno
}

func (t *Task) parkUntil(deadline wait.Deadline) linux.Errno {
	t.misc.volCtx.Add(1)
	if deadline.IsZero() {
		<-t.park.wake
		return 0
	}
	d := time.Until(deadline)
	if d <= 0 {
		select {
		case <-t.park.wake:
			return 0
		default:
			return linux.ETIMEDOUT
		}
	}
	if t.park.timer == nil {
		t.park.timer = time.NewTimer(d)
	} else {
		t.park.timer.Reset(d)
	}
	select {
	case <-t.park.wake:
		t.park.timer.Stop()
		return 0
	case <-t.park.timer.C:
		return linux.ETIMEDOUT
	}
}

// Sleep parks until the deadline: ETIMEDOUT, or ERESTARTSYS when interrupted. Without a deadline it sleeps until
// a signal (pause(2)).
func (t *Task) Sleep(deadline wait.Deadline) linux.Errno {
	for {
		if errno := t.Park(deadline); errno != 0 {
			return errno
		}
	}
}

// blockKillable is Block without deadline that only a fatal signal ends, with EINTR.
func (t *Task) blockKillable(q *wait.Queue, ready func() bool) linux.Errno {
	e := wait.Entry{Waker: t, Mask: wait.All}
	q.Add(&e)
	defer q.Remove(&e)
	t.park.asleep.Store(2)
	defer t.park.asleep.Store(0)
	for {
		if ready() {
			return 0
		}
		if t.dying() {
			return linux.EINTR
		}
		<-t.park.wake
	}
}

// SetRestart says how a system call that returns ERESTART_RESTARTBLOCK goes on in restart_syscall(2).
func (t *Task) SetRestart(f func(*Task) (uintptr, linux.Errno)) { t.park.restartFn = f }

// Restart runs what SetRestart left: restart_syscall(2). Without it, EINTR.
func (t *Task) Restart() (uintptr, linux.Errno) {
	f := t.park.restartFn
	if f == nil {
		return 0, linux.EINTR
	}
	t.park.restartFn = nil
	return f(t)
}
