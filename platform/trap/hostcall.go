package trap

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// HostCalls lists the host system calls that the sentry side makes after New: the jail must allow them.
// The stubs themselves are cloned from a zygote that New started, so the jail's filter does not apply to them.
func HostCalls() []uintptr {
	return []uintptr{
		unix.SYS_IOCTL,             // SECCOMP_IOCTL_NOTIF_* on listeners
		unix.SYS_FUTEX,             // orders of the creators and the zygote
		unix.SYS_TGKILL,            // Interrupt
		unix.SYS_PIDFD_OPEN,        // one for each stub
		unix.SYS_PIDFD_GETFD,       // its listeners
		unix.SYS_PIDFD_SEND_SIGNAL, // Release
		unix.SYS_POLL,              // has a stub ended?
		unix.SYS_CLOSE,
		unix.SYS_SOCKETPAIR, // donated files
		unix.SYS_SENDMSG,
		unix.SYS_FALLOCATE,         // give back contexts
		unix.SYS_SCHED_SETAFFINITY, // SPREAD: move a stub thread to another CPU
		unix.SYS_SCHED_YIELD,
		unix.SYS_CLOCK_GETTIME, // CPUTime
		unix.SYS_NANOSLEEP,
		unix.SYS_WAIT4, // of the zygote, already in progress when the jail closes
	}
}

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// raw makes a host call that does not block for long and takes no pointer.
//
//go:nosplit
func raw(nr, a, b, c, d, e, f uintptr) (uintptr, linux.Errno) {
	r, _, en := syscall.RawSyscall6(nr, a, b, c, d, e, f)
	return r, linux.Errno(en)
}

const (
	notifRecv     = 0xc0502100
	notifSend     = 0xc0182101
	notifAddFD    = 0x40182103
	notifSetFlags = 0x40082104
)

// seccompNotif is struct seccomp_notif.
type seccompNotif struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// seccompResp is struct seccomp_notif_resp.
type seccompResp struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// seccompAddFD is struct seccomp_notif_addfd.
type seccompAddFD struct {
	id       uint64
	flags    uint32
	srcFD    uint32
	newFD    uint32
	newFlags uint32
}

// listener is one end of a stub thread's notifications. Its owner calls it from one goroutine at a time.
type listener struct {
	fd      int32
	pending bool // nb has been received and not answered
	nb      seccompNotif
	resp    seccompResp
}

// send answers the pending notification.
//
//go:nosplit
func (l *listener) send(val int64) {
	l.pending = false
	l.resp = seccompResp{id: l.nb.id, val: val}
	syscall.RawSyscall(unix.SYS_IOCTL, uintptr(l.fd), notifSend, uintptr(unsafe.Pointer(&l.resp)))
	// An error means that the thread was killed meanwhile: recv will tell.
}

// recv waits for a notification; false: the thread is gone. The caller is between entersyscall and exitsyscall.
//
//go:nosplit
func (l *listener) recv() bool {
	for {
		l.nb = seccompNotif{}
		_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(l.fd), notifRecv, uintptr(unsafe.Pointer(&l.nb)))
		switch e {
		case 0:
			l.pending = true
			return true
		case unix.EINTR:
		case unix.ENOENT:
			// The thread has ended, or a signal took the request back before it was read.
			if l.hungUp() {
				return false
			}
		default:
			return false
		}
	}
}

type pollFD struct {
	fd      int32
	events  int16
	revents int16
}

//go:nosplit
func (l *listener) hungUp() bool {
	p := pollFD{fd: l.fd, events: unix.POLLIN}
	n, _, e := syscall.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, 0)
	return e == 0 && n == 1 && p.revents&unix.POLLHUP != 0
}

// ready tells whether recv would return at once.
//
//go:nosplit
func (l *listener) ready() bool {
	p := pollFD{fd: l.fd, events: unix.POLLIN}
	n, _, e := syscall.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, 0)
	return e != 0 || n != 0
}

// turn answers the pending notification and waits for the next, as one hand-over.
//
//go:nosplit
func (l *listener) turn(val int64) bool {
	entersyscall()
	l.send(val)
	ok := l.recv()
	exitsyscall()
	return ok
}

// wait is recv for ordinary callers.
//
//go:nosplit
func (l *listener) wait() bool {
	entersyscall()
	ok := l.recv()
	exitsyscall()
	return ok
}

func (l *listener) close() {
	if l.fd >= 0 {
		raw(unix.SYS_CLOSE, uintptr(l.fd), 0, 0, 0, 0, 0)
		l.fd = -1
	}
}

// takeListener fetches descriptor fd of the process behind pidfd, which must be a listener.
func takeListener(pidfd int32, fd int) (*listener, linux.Errno) {
	r, errno := raw(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0, 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	l := &listener{fd: int32(r)}
	// SYNC: the answer wakes the other side on this CPU. Fails on what is no listener.
	if _, errno := raw(unix.SYS_IOCTL, r, notifSetFlags, 1, 0, 0, 0); errno != 0 {
		l.close()
		return nil, errno
	}
	return l, 0
}

func futexWake(p *uint32) {
	syscall.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), 1, 1)
}

// futexWait sleeps while *p is v, at most for ns nanoseconds.
func futexWait(p *uint32, v uint32, ns int64) {
	ts := unix.NsecToTimespec(ns)
	syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), 0, uintptr(v), uintptr(unsafe.Pointer(&ts)), 0, 0)
}
