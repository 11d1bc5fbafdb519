package syscalls

import (
	"encoding/binary"
	"sync"
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/poll"
	"hornwork/sentry/mm"
	"hornwork/sentry/signal"
	"hornwork/sentry/task"
)

const (
	pollfdSize = 8
	// pollErr are the events that are always reported.
	pollErr = wait.Err | wait.Hup
	// maxPolled bounds the memory of one poll whatever RLIMIT_NOFILE says: Linux's fs.nr_open.
	maxPolled = 1 << 20
	// keepPolled is the largest poll set that goes back to the pool.
	keepPolled = 64
)

// pollSet is what poll(2) and select(2) work with.
type pollSet struct {
	fds []poll.FD
	raw []byte
}

var pollSets = sync.Pool{New: func() any { return new(pollSet) }}

// newPollSet returns a set of n files, all absent, and as many bytes as their struct pollfd take.
func newPollSet(n int) *pollSet {
	p := pollSets.Get().(*pollSet)
	if cap(p.fds) < n {
		p.fds, p.raw = make([]poll.FD, n), make([]byte, n*pollfdSize)
	}
	p.fds, p.raw = p.fds[:n], p.raw[:n*pollfdSize]
	return p
}

// free gives the files back.
func (p *pollSet) free() {
	for i := range p.fds {
		if f := p.fds[i].File; f != nil {
			f.Put()
		}
	}
	clear(p.fds)
	if cap(p.fds) <= keepPolled {
		pollSets.Put(p)
	}
}

// timeout turns a relative time into a deadline. A negative count of milliseconds is for ever.
func timeout(d time.Duration) (noWait bool, deadline wait.Deadline) {
	switch {
	case d < 0:
		return false, wait.Deadline{}
	case d == 0:
		return true, wait.Deadline{}
	}
	return false, time.Now().Add(d)
}

// Poll implements poll(2).
func Poll(t *task.Task, fds mm.User[linux.Pollfd], n uint32, timeoutMS int32) (uintptr, linux.Errno) {
	noWait, deadline := timeout(time.Duration(timeoutMS) * time.Millisecond)
	return pollRestart(t, uint64(fds), n, noWait, deadline)
}

// pollRestart is poll with an absolute end, which an interrupted poll goes on to after a stop.
func pollRestart(t *task.Task, fds uint64, n uint32, noWait bool, deadline wait.Deadline) (uintptr, linux.Errno) {
	ret, errno := pollFDs(t, fds, n, noWait, deadline)
	if errno == linux.ERESTARTSYS {
		t.SetRestart(func(t *task.Task) (uintptr, linux.Errno) {
			return pollRestart(t, fds, n, noWait, deadline)
		})
		return 0, linux.ERESTART_RESTARTBLOCK
	}
	return ret, errno
}

func pollFDs(t *task.Task, addr uint64, n uint32, noWait bool, deadline wait.Deadline) (uintptr, linux.Errno) {
	if uint64(n) > t.Limit(linux.RLIMIT_NOFILE).Cur || n > maxPolled {
		return 0, linux.EINVAL
	}
	p := newPollSet(int(n))
	defer p.free()
	if _, errno := t.Memory().CopyIn(p.raw, addr); errno != 0 {
		return 0, errno
	}
	for i := range p.fds {
		fd := int32(binary.LittleEndian.Uint32(p.raw[i*pollfdSize:]))
		p.fds[i].Want = wait.Events(binary.LittleEndian.Uint16(p.raw[i*pollfdSize+4:]))
		if fd < 0 {
			continue
		}
		if p.fds[i].File = t.Files().Get(fd); p.fds[i].File == nil {
			p.fds[i].Got = linux.POLLNVAL
		}
	}
	ready, errno := poll.Poll(t.Caller(), p.fds, noWait, deadline)
	if errno != 0 {
		return 0, errno
	}
	for i := range p.fds {
		// Only revents is new; what another thread changes of the rest meanwhile it must expect to lose.
		binary.LittleEndian.PutUint16(p.raw[i*pollfdSize+6:], uint16(p.fds[i].Got))
	}
	if _, errno := t.Memory().CopyOut(addr, p.raw); errno != 0 {
		return 0, errno
	}
	return uintptr(ready), 0
}

// Ppoll implements ppoll(2), which reports the time that was left.
func Ppoll(t *task.Task, fds mm.User[linux.Pollfd], n uint32, ts mm.User[linux.Timespec], mask mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	noWait, deadline, errno := loadTimeout(t, ts)
	if errno != 0 {
		return 0, errno
	}
	if errno := enterSigmask(t, mask, size); errno != 0 {
		return 0, errno
	}
	ret, errno := pollFDs(t, uint64(fds), n, noWait, deadline)
	storeTimeLeft(t, ts, noWait, deadline)
	return ret, withSigmask(errno)
}

// loadTimeout reads an optional relative time; none means for ever.
func loadTimeout(t *task.Task, ts mm.User[linux.Timespec]) (noWait bool, deadline wait.Deadline, errno linux.Errno) {
	if ts == 0 {
		return false, wait.Deadline{}, 0
	}
	v, errno := ts.Load(t)
	if errno != 0 {
		return false, wait.Deadline{}, errno
	}
	if v.Sec < 0 || v.Nsec < 0 || v.Nsec >= 1e9 {
		return false, wait.Deadline{}, linux.EINVAL
	}
	noWait, deadline = timeout(durationOf(v))
	return noWait, deadline, 0
}

// durationOf is a time as Go has it; what is beyond 292 years is 292 years.
func durationOf(v linux.Timespec) time.Duration {
	const most = time.Duration(1<<63 - 1)
	if v.Sec >= int64(most/time.Second) {
		return most
	}
	return time.Duration(v.Sec)*time.Second + time.Duration(v.Nsec)
}

// storeTimeLeft writes back how much of a timeout is left. Linux ignores a fault here: the call has happened.
func storeTimeLeft(t *task.Task, ts mm.User[linux.Timespec], noWait bool, deadline wait.Deadline) {
	if ts == 0 {
		return
	}
	var v linux.Timespec
	if !noWait && !deadline.IsZero() {
		if left := time.Until(deadline); left > 0 {
			v = linux.Timespec{Sec: int64(left / time.Second), Nsec: int64(left % time.Second)}
		}
	}
	_ = ts.Store(t, v)
}

// enterSigmask replaces the signal mask for the time of the call, if a mask is given.
func enterSigmask(t *task.Task, mask mm.User[linux.Sigset], size uint64) linux.Errno {
	if mask == 0 {
		return 0
	}
	if size != 8 {
		return linux.EINVAL
	}
	set, errno := mask.Load(t)
	if errno != 0 {
		return errno
	}
	t.SetTempMask(signal.Set(set)) // the run loop ends it
	return 0
}

// withSigmask is the errno of an interrupted call that may have had a signal mask of its own: it restarts only
// if no handler ran.
func withSigmask(errno linux.Errno) linux.Errno {
	if errno == linux.ERESTARTSYS {
		return linux.ERESTARTNOHAND
	}
	return errno
}
