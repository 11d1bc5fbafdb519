// Package syscalls is the system-call table of amd64 Linux and the handlers behind it, one file per family of
// manual pages.
//
// A handler is an ordinary function of a task and typed parameters:
//
//	func Pipe2(t *task.Task, out mm.User[[2]int32], flags PipeFlags) (uintptr, linux.Errno)
//
// call0 … call6 turn it into a Handler that takes the parameters from registers. The tracer prints arguments
// from the same types (strace.go), so a parameter's type says what it means: FD, Path, OpenFlags.
//
// Handlers run on the task's goroutine with no lock held. Their order is always: check flags, look up objects,
// read user memory, work, write user memory, publish.
package syscalls

import (
	"reflect"

	"hornwork/linux"
	"hornwork/sentry/task"
)

// arg is what fits a register: numbers of any size and the named types made of them. Conversion truncates as
// Linux's SYSCALL_DEFINE does: the upper half of a register is ignored where the parameter is an int.
type arg interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Handler answers one system call.
type Handler struct {
	// call takes the arguments from r; it is all that runs when nobody traces.
	call func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno)
	// control is set instead of call for the calls that say how the task goes on: exit, sigreturn, execve.
	control func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno, task.Control)
	// fn is the typed function, whose parameter types the tracer reads.
	fn any
}

// params returns the types of the system call's own parameters.
func (h *Handler) params() []reflect.Type {
	ft := reflect.TypeOf(h.fn)
	if ft == nil || ft.Kind() != reflect.Func { // no handler
		return nil
	}
	types := make([]reflect.Type, 0, 6)
	for i := 1; i < ft.NumIn(); i++ {
		types = append(types, ft.In(i))
	}
	return types
}

func call0(f func(*task.Task) (uintptr, linux.Errno)) Handler {
	return Handler{fn: f, call: func(t *task.Task, _ *linux.Regs) (uintptr, linux.Errno) { return f(t) }}
}

func call1[A arg](f func(*task.Task, A) (uintptr, linux.Errno)) Handler {
	return Handler{fn: f, call: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno) {
		return f(t, A(r.RDI))
	}}
}

func call2[A, B arg](f func(*task.Task, A, B) (uintptr, linux.Errno)) Handler {
	return Handler{fn: f, call: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno) {
		return f(t, A(r.RDI), B(r.RSI))
	}}
}

func call3[A, B, C arg](f func(*task.Task, A, B, C) (uintptr, linux.Errno)) Handler {
	return Handler{fn: f, call: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno) {
		return f(t, A(r.RDI), B(r.RSI), C(r.RDX))
	}}
}

func call4[A, B, C, D arg](f func(*task.Task, A, B, C, D) (uintptr, linux.Errno)) Handler {
	return Handler{fn: f, call: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno) {
		return f(t, A(r.RDI), B(r.RSI), C(r.RDX), D(r.R10))
	}}
}

func call5[A, B, C, D, E arg](f func(*task.Task, A, B, C, D, E) (uintptr, linux.Errno)) Handler {
	return Handler{fn: f, call: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno) {
		return f(t, A(r.RDI), B(r.RSI), C(r.RDX), D(r.R10), E(r.R8))
	}}
}

func call6[A, B, C, D, E, F arg](f func(*task.Task, A, B, C, D, E, F) (uintptr, linux.Errno)) Handler {
	return Handler{fn: f, call: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno) {
		return f(t, A(r.RDI), B(r.RSI), C(r.RDX), D(r.R10), E(r.R8), F(r.R9))
	}}
}

// control0 … control5 are for calls after which the task does not just go on with a result.

func control0(f func(*task.Task) (uintptr, linux.Errno, task.Control)) Handler {
	return Handler{fn: f, control: func(t *task.Task, _ *linux.Regs) (uintptr, linux.Errno, task.Control) {
		return f(t)
	}}
}

func control1[A arg](f func(*task.Task, A) (uintptr, linux.Errno, task.Control)) Handler {
	return Handler{fn: f, control: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno, task.Control) {
		return f(t, A(r.RDI))
	}}
}

func control3[A, B, C arg](f func(*task.Task, A, B, C) (uintptr, linux.Errno, task.Control)) Handler {
	return Handler{fn: f, control: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno, task.Control) {
		return f(t, A(r.RDI), B(r.RSI), C(r.RDX))
	}}
}

func control5[A, B, C, D, E arg](f func(*task.Task, A, B, C, D, E) (uintptr, linux.Errno, task.Control)) Handler {
	return Handler{fn: f, control: func(t *task.Task, r *linux.Regs) (uintptr, linux.Errno, task.Control) {
		return f(t, A(r.RDI), B(r.RSI), C(r.RDX), D(r.R10), E(r.R8))
	}}
}

// missing answers a call that this kernel does not have with the error that a Linux configured without it gives.
func missing(errno linux.Errno) Handler { return Handler{fn: missingErrno(errno)} }

// missingErrno marks a row without a handler.
type missingErrno linux.Errno
