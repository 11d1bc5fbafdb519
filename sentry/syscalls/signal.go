package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/signal"
	"hornwork/sentry/task"
	"hornwork/sentry/timer"
)

// Signo is a signal number.
type Signo int32

const sigsetSize = 8

// RtSigaction implements rt_sigaction(2).
func RtSigaction(t *task.Task, sig Signo, act, old mm.User[linux.Sigaction], size uint64) (uintptr, linux.Errno) {
	if size != sigsetSize {
		return 0, linux.EINVAL
	}
	var a *linux.Sigaction
	if act != 0 {
		v, errno := act.Load(t)
		if errno != 0 {
			return 0, errno
		}
		a = &v
	}
	was, errno := t.SigAction(int32(sig), a)
	if errno != 0 || old == 0 {
		return 0, errno
	}
	return none(old.Store(t, was))
}

// RtSigprocmask implements rt_sigprocmask(2).
func RtSigprocmask(t *task.Task, how int32, set, old mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	if size != sigsetSize {
		return 0, linux.EINVAL
	}
	var mask *linux.Sigset
	if set != 0 {
		v, errno := set.Load(t)
		if errno != 0 {
			return 0, errno
		}
		mask = &v
	}
	was, errno := t.SigProcMask(how, mask)
	if errno != 0 || old == 0 {
		return 0, errno
	}
	return none(old.Store(t, was))
}

// RtSigpending implements rt_sigpending(2).
func RtSigpending(t *task.Task, out mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	if size > sigsetSize {
		return 0, linux.EINVAL
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(t.SigPending()))
	_, errno := t.Memory().CopyOut(uint64(out), b[:size])
	return 0, errno
}

// RtSigsuspend implements rt_sigsuspend(2).
func RtSigsuspend(t *task.Task, set mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	if size != sigsetSize {
		return 0, linux.EINVAL
	}
	mask, errno := set.Load(t)
	if errno != 0 {
		return 0, errno
	}
	return 0, t.SigSuspend(mask)
}

// Pause implements pause(2).
func Pause(t *task.Task) (uintptr, linux.Errno) {
	_ = t.Sleep(noDeadline) // ends only by a signal
	return 0, linux.ERESTARTNOHAND
}

// RtSigtimedwait implements rt_sigtimedwait(2).
func RtSigtimedwait(t *task.Task, set mm.User[linux.Sigset], out mm.User[linux.Siginfo], timeout mm.User[linux.Timespec], size uint64) (uintptr, linux.Errno) {
	if size != sigsetSize {
		return 0, linux.EINVAL
	}
	mask, errno := set.Load(t)
	if errno != 0 {
		return 0, errno
	}
	deadline, poll := noDeadline, false
	if timeout != 0 {
		ts, errno := timeout.Load(t)
		if errno != 0 {
			return 0, errno
		}
		ns, ok := timer.FromTimespec(ts)
		if !ok {
			return 0, linux.EINVAL
		}
		poll = ns == 0
		deadline = timer.Deadline(timer.AddSat(timer.Monotonic(), ns))
	}
	i, errno := t.SigTimedWait(mask, deadline, poll)
	if errno != 0 {
		return 0, errno
	}
	if out != 0 {
		if errno := out.Store(t, i); errno != 0 {
			return 0, errno
		}
	}
	return uintptr(i.Signo), 0
}

// RtSigreturn implements rt_sigreturn(2).
func RtSigreturn(t *task.Task) (uintptr, linux.Errno, task.Control) { return 0, 0, t.SigReturn() }

// Sigaltstack implements sigaltstack(2).
func Sigaltstack(t *task.Task, new, old mm.User[linux.StackT]) (uintptr, linux.Errno) {
	sp := t.FullRegs().RSP
	alt := t.AltStack()
	was := alt.Get(sp)
	if new != 0 {
		s, errno := new.Load(t)
		if errno != 0 {
			return 0, errno
		}
		if errno := alt.Set(&s, sp, task.MinSigStack); errno != 0 {
			return 0, errno
		}
	}
	if old != 0 {
		return none(old.Store(t, was))
	}
	return 0, 0
}

// RestartSyscall implements restart_syscall(2).
func RestartSyscall(t *task.Task) (uintptr, linux.Errno) { return t.Restart() }

// Kill implements kill(2).
func Kill(t *task.Task, pid PID, sig Signo) (uintptr, linux.Errno) {
	// The signal is looked at after its target is found.
	send := func(g *task.ThreadGroup) linux.Errno {
		if sig < 0 || sig > linux.NSIG {
			return linux.EINVAL
		}
		i := t.InfoFor(g, int32(sig), linux.SI_USER)
		return t.Kill(g, &i)
	}
	switch {
	case pid > 0:
		o := t.PIDNS().Task(int32(pid)) // Linux takes a thread's number here as well
		if o == nil {
			return 0, linux.ESRCH
		}
		return none(send(o.Group))
	case pid == -1<<31:
		return 0, linux.ESRCH
	case pid == -1:
		return none(killEveryone(t, send))
	}
	p := t.Group.ProcessGroup()
	if pid != 0 {
		p = t.PIDNS().ProcessGroup(int32(-pid))
	}
	if p == nil {
		return 0, linux.ESRCH
	}
	errno, sent := linux.ESRCH, false
	for _, g := range p.Members() {
		if e := send(g); e == 0 {
			sent = true
		} else {
			errno = e
		}
	}
	if sent {
		return 0, 0
	}
	return 0, errno
}

// killEveryone is kill(-1): every process but init and the caller's own.
func killEveryone(t *task.Task, send func(*task.ThreadGroup) linux.Errno) linux.Errno {
	count, ret := 0, linux.Errno(0)
	for _, g := range t.PIDNS().Groups() {
		if g.Identity().In(t.PIDNS()) == 1 || g == t.Group {
			continue
		}
		count++
		if e := send(g); e != linux.EPERM {
			ret = e
		}
	}
	if count == 0 {
		return linux.ESRCH
	}
	return ret
}

// Tkill implements tkill(2).
func Tkill(t *task.Task, tid PID, sig Signo) (uintptr, linux.Errno) {
	if tid <= 0 {
		return 0, linux.EINVAL
	}
	return none(sendThread(t, 0, tid, sig, nil))
}

// Tgkill implements tgkill(2).
func Tgkill(t *task.Task, tgid, tid PID, sig Signo) (uintptr, linux.Errno) {
	if tgid <= 0 || tid <= 0 {
		return 0, linux.EINVAL
	}
	return none(sendThread(t, tgid, tid, sig, nil))
}

// sendThread sends to one thread: do_send_specific. tgid 0: of any process. info nil: as tkill(2) does.
func sendThread(t *task.Task, tgid, tid PID, sig Signo, info *linux.Siginfo) linux.Errno {
	o := t.PIDNS().Task(int32(tid))
	if o == nil || tgid > 0 && o.Group.Identity().In(t.PIDNS()) != int32(tgid) {
		return linux.ESRCH
	}
	if sig < 0 || sig > linux.NSIG {
		return linux.EINVAL
	}
	if info == nil {
		i := t.InfoFor(o.Group, int32(sig), linux.SI_TKILL)
		info = &i
	}
	if signal.FromUser(info) {
		if errno := t.MayKill(o, int32(sig)); errno != 0 {
			return errno
		}
	}
	if sig == 0 {
		return 0
	}
	return task.Send(o, info)
}

// loadSiginfo reads a siginfo_t that a program made; its number is the argument's.
func loadSiginfo(t *task.Task, sig Signo, info mm.User[linux.Siginfo]) (linux.Siginfo, linux.Errno) {
	i, errno := info.Load(t)
	i.Signo = int32(sig)
	return i, errno
}

// forged says whether a program claims that the kernel, or tkill(2), sent its signal.
func forged(i *linux.Siginfo) bool { return i.Code >= 0 || i.Code == linux.SI_TKILL }

// RtSigqueueinfo implements rt_sigqueueinfo(2).
func RtSigqueueinfo(t *task.Task, pid PID, sig Signo, info mm.User[linux.Siginfo]) (uintptr, linux.Errno) {
	i, errno := loadSiginfo(t, sig, info)
	if errno != 0 {
		return 0, errno
	}
	o := t.PIDNS().Task(int32(pid))
	if forged(&i) && (o == nil || o != t) {
		return 0, linux.EPERM
	}
	if o == nil {
		return 0, linux.ESRCH
	}
	if sig < 0 || sig > linux.NSIG {
		return 0, linux.EINVAL
	}
	return none(t.Kill(o.Group, &i))
}

// RtTgsigqueueinfo implements rt_tgsigqueueinfo(2).
func RtTgsigqueueinfo(t *task.Task, tgid, tid PID, sig Signo, info mm.User[linux.Siginfo]) (uintptr, linux.Errno) {
	i, errno := loadSiginfo(t, sig, info)
	if errno != 0 {
		return 0, errno
	}
	if tgid <= 0 || tid <= 0 {
		return 0, linux.EINVAL
	}
	if forged(&i) && t.PIDNS().Task(int32(tid)) != t {
		return 0, linux.EPERM
	}
	return none(sendThread(t, tgid, tid, sig, &i))
}
