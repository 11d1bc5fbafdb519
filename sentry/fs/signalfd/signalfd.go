// Package signalfd is signalfd(2): reading pending signals as a file.
//
// A signalfd holds only a set of signals: whose signals it reads depends on who reads. So what it needs of a task
// comes through vfs.Caller.Task, which implements Signals. Read sleeps through Caller.Blocker when the file lacks
// O_NONBLOCK. Where there is no caller (Readiness, EventRegister) the task that made the descriptor counts, and
// PerCaller gives poll and epoll one that is bound to another, as on Linux, where an epoll watches the signals of
// the process that added the descriptor.
package signalfd

import (
	"encoding/binary"
	"sync/atomic"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// InfoSize is the size of struct signalfd_siginfo.
const InfoSize = 128

// Signals is what a signalfd needs of the task that uses it.
type Signals interface {
	// DequeueSignal takes the next pending signal that is in set: the thread's own first, then its group's.
	DequeueSignal(set linux.Sigset) (linux.Siginfo, bool)
	// PendingSignals are those of the thread and its group.
	PendingSignals() linux.Sigset
	// SignalQueue is notified of wait.In whenever a signal becomes pending for the thread or its group.
	SignalQueue() *wait.Queue
}

// unblockable signals are silently left out of the set.
const unblockable = linux.Sigset(1<<(linux.SIGKILL-1) | 1<<(linux.SIGSTOP-1))

// SignalFD is the object behind the descriptor.
type SignalFD struct {
	anon.File
	mask  atomic.Uint64
	owner Signals // nil only for kernel callers
}

// New makes a signalfd for mask; flags: SFD_NONBLOCK.
func New(c *vfs.Caller, mask linux.Sigset, flags uint32) *vfs.File {
	s := &SignalFD{}
	s.owner, _ = c.Task.(Signals)
	s.SetMask(mask)
	return anon.NewFile(c, "[signalfd]", s, linux.O_RDWR|flags&linux.SFD_NONBLOCK)
}

// FromFile returns the signalfd behind f.
func FromFile(f *vfs.File) (*SignalFD, bool) {
	s, ok := f.Ops.(*SignalFD)
	return s, ok
}

// Mask is the set of signals.
func (s *SignalFD) Mask() linux.Sigset { return linux.Sigset(s.mask.Load()) }

// SetMask replaces the set: signalfd(2) on an existing descriptor.
func (s *SignalFD) SetMask(mask linux.Sigset) {
	s.mask.Store(uint64(mask &^ unblockable))
	if s.owner != nil {
		s.owner.SignalQueue().Notify(wait.In) // waiters look again
	}
}

// Read fills dst with as many infos as are pending and fit.
func (s *SignalFD) Read(c *vfs.Caller, f *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	room := dst.Len() / InfoSize
	if room == 0 {
		return 0, linux.EINVAL
	}
	task, ok := c.Task.(Signals)
	if !ok {
		return 0, linux.EAGAIN
	}
	info, ok := task.DequeueSignal(s.Mask())
	if !ok {
		if f.Flags()&linux.O_NONBLOCK != 0 || c.Blocker == nil {
			return 0, linux.EAGAIN
		}
		errno := c.Blocker.Block(task.SignalQueue(), wait.In, wait.Deadline{}, func() bool {
			info, ok = task.DequeueSignal(s.Mask())
			return ok
		})
		if errno != 0 && !ok {
			return 0, errno
		}
	}
	done := 0
	for ; ok; room-- {
		var b [InfoSize]byte
		encode(&b, &info)
		if _, errno := dst.CopyOut(b[:]); errno != 0 { // the signal is lost, as on Linux
			if done == 0 {
				return 0, errno
			}
			break
		}
		done += InfoSize
		if room == 1 {
			break
		}
		info, ok = task.DequeueSignal(s.Mask())
	}
	return done, 0
}

// view is a signalfd as one task sees it.
type view struct {
	s    *SignalFD
	task Signals
}

// PerCaller implements poll.PerCaller.
func (s *SignalFD) PerCaller(c *vfs.Caller) wait.Waitable {
	task, ok := c.Task.(Signals)
	if !ok || task == s.owner {
		return s
	}
	return view{s, task}
}

func (v view) Readiness(mask wait.Events) wait.Events {
	if v.task == nil || v.task.PendingSignals()&v.s.Mask() == 0 {
		return 0
	}
	return wait.In & mask
}

func (v view) EventRegister(e *wait.Entry) {
	if v.task != nil {
		v.task.SignalQueue().Add(e)
	}
}

func (v view) EventUnregister(e *wait.Entry) {
	if v.task != nil {
		v.task.SignalQueue().Remove(e)
	}
}

func (s *SignalFD) Readiness(mask wait.Events) wait.Events { return view{s, s.owner}.Readiness(mask) }
func (s *SignalFD) EventRegister(e *wait.Entry)            { view{s, s.owner}.EventRegister(e) }
func (s *SignalFD) EventUnregister(e *wait.Entry)          { view{s, s.owner}.EventUnregister(e) }

// Offsets in struct signalfd_siginfo.
const (
	ssiSigno, ssiErrno, ssiCode, ssiPID, ssiUID, ssiFD = 0, 4, 8, 12, 16, 20
	ssiTID, ssiBand, ssiOverrun, ssiStatus             = 24, 28, 32, 40
	ssiInt, ssiPtr, ssiUtime, ssiStime, ssiAddr        = 44, 48, 56, 64, 72
	ssiAddrLSB, ssiSyscall, ssiCallAddr, ssiArch       = 80, 84, 88, 96
)

// encode turns a siginfo into a signalfd_siginfo. Which members of the union count depends on number and code, as
// in Linux's siginfo_layout.
func encode(b *[InfoSize]byte, i *linux.Siginfo) {
	le := binary.LittleEndian
	le.PutUint32(b[ssiSigno:], uint32(i.Signo))
	le.PutUint32(b[ssiErrno:], uint32(i.Errno))
	le.PutUint32(b[ssiCode:], uint32(i.Code))
	from := func(dst, src, n int) { copy(b[dst:dst+n], i.Fields[src:src+n]) }
	value := func() {
		from(ssiPtr, 8, 8)
		from(ssiInt, 8, 4)
	}
	switch layout(i.Signo, i.Code) {
	case layoutTimer:
		from(ssiTID, 0, 4)
		from(ssiOverrun, 4, 4)
		value()
	case layoutPoll:
		from(ssiBand, 0, 4)
		from(ssiFD, 8, 4)
	case layoutFault:
		from(ssiAddr, 0, 8)
		if i.Signo == linux.SIGBUS && (i.Code == linux.BUS_MCEERR_AR || i.Code == linux.BUS_MCEERR_AO) {
			from(ssiAddrLSB, 8, 2)
		}
	case layoutChild:
		from(ssiPID, 0, 4)
		from(ssiUID, 4, 4)
		from(ssiStatus, 8, 4)
		from(ssiUtime, 16, 8)
		from(ssiStime, 24, 8)
	case layoutSys:
		from(ssiCallAddr, 0, 8)
		from(ssiSyscall, 8, 4)
		from(ssiArch, 12, 4)
	case layoutRT:
		from(ssiPID, 0, 4)
		from(ssiUID, 4, 4)
		value()
	default:
		from(ssiPID, 0, 4)
		from(ssiUID, 4, 4)
	}
}

const (
	layoutKill = iota
	layoutTimer
	layoutPoll
	layoutFault
	layoutChild
	layoutRT
	layoutSys
)

func layout(sig, code int32) int {
	switch {
	case code == linux.SI_TIMER:
		return layoutTimer
	case code == linux.SI_SIGIO:
		return layoutPoll
	case code < 0:
		return layoutRT
	case code == linux.SI_USER || code >= linux.SI_KERNEL:
		return layoutKill
	}
	switch sig {
	case linux.SIGILL, linux.SIGFPE, linux.SIGSEGV, linux.SIGBUS, linux.SIGTRAP:
		return layoutFault
	case linux.SIGCHLD:
		return layoutChild
	case linux.SIGSYS:
		return layoutSys
	}
	if code <= linux.POLL_HUP { // SIGPOLL, or what F_SETSIG put in its place
		return layoutPoll
	}
	return layoutKill
}
