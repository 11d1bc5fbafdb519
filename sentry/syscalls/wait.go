package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// WaitFlags are WNOHANG, WUNTRACED and their kin.
type WaitFlags uint32

const waitBits = linux.WNOTHREAD | linux.WCLONE | linux.WALL

// Wait4 implements wait4(2).
func Wait4(t *task.Task, pid PID, status mm.User[int32], flags WaitFlags, ru mm.User[linux.Rusage]) (uintptr, linux.Errno) {
	if flags&^(linux.WNOHANG|linux.WUNTRACED|linux.WCONTINUED|waitBits) != 0 {
		return 0, linux.EINVAL
	}
	if pid == -1<<31 {
		return 0, linux.ESRCH
	}
	o := task.WaitOpts{Options: uint32(flags) | linux.WEXITED}
	switch {
	case pid == -1:
	case pid < 0:
		waitForGroup(t, &o, int32(-pid))
	case pid == 0:
		o.Pgrp = t.Group.ProcessGroup()
	default:
		waitForPID(t, &o, int32(pid))
	}
	r, errno := task.Wait(t, &o)
	if errno != 0 || r.PID == 0 {
		return 0, errno
	}
	if status != 0 {
		if errno := status.Store(t, r.Status); errno != 0 {
			return 0, errno
		}
	}
	if ru != 0 {
		if errno := ru.Store(t, r.Rusage); errno != 0 {
			return 0, errno
		}
	}
	return uintptr(r.PID), 0
}

func waitForGroup(t *task.Task, o *task.WaitOpts, pgid int32) {
	o.Pgrp = t.PIDNS().ProcessGroup(pgid)
	o.None = o.Pgrp == nil
}

func waitForPID(t *task.Task, o *task.WaitOpts, pid int32) {
	o.PID = t.PIDNS().PID(pid)
	o.None = o.PID == nil
}

// Waitid implements waitid(2).
func Waitid(t *task.Task, which int32, id PID, infop mm.User[linux.Siginfo], flags WaitFlags, ru mm.User[linux.Rusage]) (uintptr, linux.Errno) {
	r, errno := waitid(t, which, id, flags)
	reaped := errno == 0 && r.PID != 0
	if ru != 0 && reaped {
		if errno := ru.Store(t, r.Rusage); errno != 0 {
			return 0, errno
		}
	}
	if infop == 0 {
		return 0, errno
	}
	var info linux.Siginfo
	if reaped {
		info = r.Info()
	}
	// Linux writes the fields one by one and leaves the rest of the structure alone; it clears them after an error too.
	if e := mm.User[[40]byte](infop).Store(t, waitInfoBytes(&info)); e != 0 {
		return 0, e
	}
	return 0, errno
}

func waitid(t *task.Task, which int32, id PID, flags WaitFlags) (r task.WaitResult, errno linux.Errno) {
	const kinds = linux.WEXITED | linux.WSTOPPED | linux.WCONTINUED
	if flags&^(linux.WNOHANG|linux.WNOWAIT|kinds|waitBits) != 0 || flags&kinds == 0 {
		return r, linux.EINVAL
	}
	o := task.WaitOpts{Options: uint32(flags)}
	if errno := waitTarget(t, &o, which, id); errno != 0 {
		return r, errno
	}
	return task.Wait(t, &o)
}

func waitInfoBytes(i *linux.Siginfo) (b [40]byte) {
	putU32 := func(off int, v int32) {
		b[off], b[off+1], b[off+2], b[off+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
	putU32(0, i.Signo)
	putU32(4, i.Errno)
	putU32(8, i.Code)
	copy(b[16:], i.Fields[:24])
	return b
}

// waitTarget turns waitid's type and number into what to wait for.
func waitTarget(t *task.Task, o *task.WaitOpts, which int32, id PID) linux.Errno {
	switch which {
	case linux.P_ALL:
	case linux.P_PID:
		if id <= 0 {
			return linux.EINVAL
		}
		waitForPID(t, o, int32(id))
	case linux.P_PGID:
		if id < 0 {
			return linux.EINVAL
		}
		if id == 0 {
			o.Pgrp = t.Group.ProcessGroup()
		} else {
			waitForGroup(t, o, int32(id))
		}
	case linux.P_PIDFD:
		if id < 0 {
			return linux.EINVAL
		}
		f, errno := file(t, FD(id))
		if errno != 0 {
			return errno
		}
		defer f.Put()
		p, ok := task.PIDOfFile(f)
		if !ok {
			return linux.EBADF
		}
		o.PID = p
		if f.Flags()&linux.O_NONBLOCK != 0 {
			o.NonBlock = true
		}
	default:
		return linux.EINVAL
	}
	return 0
}
