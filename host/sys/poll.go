package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// PollNow returns which of events hold on fd now, without sleeping; ERR, HUP and NVAL as poll(2) reports them.
func PollNow(fd int32, events int16) (int16, linux.Errno) {
	p := linux.Pollfd{FD: fd, Events: events}
	var zero linux.Timespec
	_, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&zero)), 0, 0, 0)
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return p.Revents, 0
}

// Poll sleeps until one of fds is ready or the timeout (nil: none) is over. EINTR is returned.
func Poll(fds []linux.Pollfd, timeout *linux.Timespec) (int, linux.Errno) {
	n, _, e := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(timeout)), 0, 0, 0)
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return int(n), 0
}

// Operations of EpollCtl, and events that linux.POLL* does not name.
const (
	EPOLL_CTL_ADD = 1
	EPOLL_CTL_DEL = 2
	EPOLL_CTL_MOD = 3
	EPOLLET       = 1 << 31
	EPOLLONESHOT  = 1 << 30
)

// EpollCreate makes an epoll instance.
func EpollCreate() (int32, linux.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_EPOLL_CREATE1, unix.EPOLL_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, linux.Errno(e)
	}
	return int32(n), 0
}

// EpollCtl is epoll_ctl(2); data comes back with each event.
func EpollCtl(ep int32, op int, fd int32, events uint32, data uint64) linux.Errno {
	ev := linux.EpollEvent{Events: events, Data: [2]uint32{uint32(data), uint32(data >> 32)}}
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return linux.Errno(e)
}

// EpollWait sleeps until an event comes; timeoutMS -1 means for ever.
func EpollWait(ep int32, out []linux.EpollEvent, timeoutMS int) (int, linux.Errno) {
	for {
		n, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(out))),
			uintptr(len(out)), uintptr(timeoutMS), 0, 0)
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, linux.Errno(e)
		}
	}
}

// Eventfd makes a non-blocking eventfd.
func Eventfd() (int32, linux.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_EVENTFD2, 0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK, 0)
	if e != 0 {
		return -1, linux.Errno(e)
	}
	return int32(n), 0
}

// EventfdSignal adds one to an eventfd.
func EventfdSignal(fd int32) linux.Errno {
	one := [8]byte{1}
	_, errno := WriteRaw(fd, one[:])
	return errno
}
