// Package sys has the host system calls that the sentry makes, as thin functions that return linux.Errno.
//
// It is the only place of the sentry that crosses into the host kernel (platform/ and host/mem have their own
// for what is theirs). Nothing here takes a path: those calls are in host/sys/at, which the sentry never imports.
//
// Two kinds of functions: most tell Go's scheduler that the call may sleep; the Raw ones do not, which saves
// 0.1 µs, and are for calls that never sleep. EINTR is retried where the call has done nothing yet.
// Errors become linux.Errno here and only here.
package sys

import (
	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// Call makes a system call that may sleep.
func Call(nr uintptr, a0, a1, a2 uintptr) (uintptr, linux.Errno) {
	r, _, e := unix.Syscall(nr, a0, a1, a2)
	return r, linux.Errno(e)
}

// Call6 is Call with six arguments.
func Call6(nr uintptr, a0, a1, a2, a3, a4, a5 uintptr) (uintptr, linux.Errno) {
	r, _, e := unix.Syscall6(nr, a0, a1, a2, a3, a4, a5)
	return r, linux.Errno(e)
}

// RawCall makes a system call that never sleeps.
func RawCall(nr uintptr, a0, a1, a2 uintptr) (uintptr, linux.Errno) {
	r, _, e := unix.RawSyscall(nr, a0, a1, a2)
	return r, linux.Errno(e)
}

// RawCall6 is RawCall with six arguments.
func RawCall6(nr uintptr, a0, a1, a2, a3, a4, a5 uintptr) (uintptr, linux.Errno) {
	r, _, e := unix.RawSyscall6(nr, a0, a1, a2, a3, a4, a5)
	return r, linux.Errno(e)
}

// Errno turns the error of a Go library call into an Errno; what is no errno becomes EIO.
func Errno(err error) linux.Errno {
	switch e := err.(type) {
	case nil:
		return 0
	case unix.Errno:
		return linux.Errno(e)
	case linux.Errno:
		return e
	}
	return linux.EIO
}
