package sys

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// MaxFDs is the most descriptors that Sendmsg passes and Recvmsg takes in one message.
const MaxFDs = 8

const (
	cmsgHeader = 16
	cmsgSpace  = cmsgHeader + 4*MaxFDs
)

// Sendmsg sends the blocks as one message (or stream bytes), with descriptors if there are any.
// MSG_NOSIGNAL is always set. EINTR is retried.
func Sendmsg(fd int32, blocks [][]byte, fds []int32, flags int) (int, linux.Errno) {
	var v [MaxIOV]unix.Iovec
	var ctl [cmsgSpace]byte
	h := unix.Msghdr{Iov: &v[0], Iovlen: uint64(iovecs(&v, blocks))}
	if len(fds) > MaxFDs {
		return 0, linux.EINVAL
	}
	if len(fds) > 0 {
		n := cmsgHeader + 4*len(fds)
		binary.LittleEndian.PutUint64(ctl[0:], uint64(n))
		binary.LittleEndian.PutUint32(ctl[8:], unix.SOL_SOCKET)
		binary.LittleEndian.PutUint32(ctl[12:], unix.SCM_RIGHTS)
		for i, f := range fds {
			binary.LittleEndian.PutUint32(ctl[cmsgHeader+4*i:], uint32(f))
		}
		h.Control = &ctl[0]
		h.Controllen = uint64((n + 7) &^ 7)
	}
	for {
		n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags|unix.MSG_NOSIGNAL))
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, linux.Errno(e)
		}
	}
}

// Recvmsg receives into b and stores descriptors that came along in fds (nfd of them, close-on-exec set).
// Descriptors beyond len(fds), and all if the message or its control data did not fit, are closed:
// msgFlags then has MSG_CTRUNC or MSG_TRUNC. n = 0 without an error is the end of the stream.
func Recvmsg(fd int32, b []byte, fds []int32, flags int) (n, nfd, msgFlags int, errno linux.Errno) {
	var ctl [cmsgSpace]byte
	iov := unix.Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
	var h unix.Msghdr
	for {
		h = unix.Msghdr{Iov: &iov, Iovlen: 1}
		// Even who wants no descriptors takes the control data: what is not taken leaves no trace.
		h.Control, h.Controllen = &ctl[0], uint64(len(ctl))
		r, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags|unix.MSG_CMSG_CLOEXEC))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, 0, 0, linux.Errno(e)
		}
		n = int(r)
		break
	}
	msgFlags = int(h.Flags)
	bad := msgFlags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0
	for c := ctl[:min(h.Controllen, cmsgSpace)]; len(c) >= cmsgHeader; {
		size := binary.LittleEndian.Uint64(c)
		if size < cmsgHeader || size > uint64(len(c)) {
			break
		}
		if binary.LittleEndian.Uint32(c[8:]) == unix.SOL_SOCKET && binary.LittleEndian.Uint32(c[12:]) == unix.SCM_RIGHTS {
			for d := c[cmsgHeader:size]; len(d) >= 4; d = d[4:] {
				f := int32(binary.LittleEndian.Uint32(d))
				if bad || nfd == len(fds) {
					Close(f)
					msgFlags |= unix.MSG_CTRUNC
					continue
				}
				fds[nfd] = f
				nfd++
			}
		}
		c = c[min((size+7)&^7, uint64(len(c))):]
	}
	return n, nfd, msgFlags, 0
}

// Socketpair makes a connected pair of AF_UNIX sockets of the given type, close-on-exec.
func Socketpair(typ int) ([2]int32, linux.Errno) {
	var p [2]int32
	_, _, e := unix.RawSyscall6(unix.SYS_SOCKETPAIR, unix.AF_UNIX, uintptr(typ|unix.SOCK_CLOEXEC), 0, uintptr(unsafe.Pointer(&p)), 0, 0)
	return p, linux.Errno(e)
}

// Shutdown is shutdown(2).
func Shutdown(fd int32, how int) linux.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0)
	return linux.Errno(e)
}

// SetsockoptInt sets an option whose value is an int.
func SetsockoptInt(fd int32, level, opt int, value int32) linux.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt), uintptr(unsafe.Pointer(&value)), 4, 0)
	return linux.Errno(e)
}
