package syscalls

import (
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
)

// active is the tracer that sees every call, if any.
var active atomic.Pointer[Tracer]

// Dispatch answers the system call in t's registers; the kernel installs it in the run loop. nr is what the
// guest put into rax. A restart code (linux.ERESTARTSYS and its kin) as errno is for the run loop to resolve.
func Dispatch(t *task.Task, nr uintptr) (uintptr, linux.Errno, task.Control) {
	if tr := active.Load(); tr != nil {
		return tr.dispatch(t, nr)
	}
	return invoke(t, nr)
}

func invoke(t *task.Task, nr uintptr) (uintptr, linux.Errno, task.Control) {
	// Linux takes the low half of rax. Numbers with the x32 bit are beyond the table: ENOSYS, as without x32.
	nr = uintptr(uint32(nr))
	if nr >= tableSize {
		return unknown(t, nr)
	}
	h := &table[nr].Handler
	if h.call != nil {
		ret, errno := h.call(t, &t.Regs)
		return ret, errno, task.ControlNormal
	}
	if h.control != nil {
		return h.control(t, &t.Regs)
	}
	return unknown(t, nr)
}

// unknown counts a call that nobody answers.
func unknown(t *task.Task, nr uintptr) (uintptr, linux.Errno, task.Control) {
	errno := linux.ENOSYS
	if nr < tableSize {
		if e, ok := table[nr].Handler.fn.(missingErrno); ok {
			errno = linux.Errno(e)
		}
	}
	trace.Unsupported(trace.Syscall, Name(nr), t.Name())
	return 0, errno, task.ControlNormal
}
