package trap

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// donation carries the sentry's descriptors to the mapper: one message of SCM_RIGHTS for a batch. The stub's
// msghdr is in its results page, where guests can write. They could make the mapper's recvmsg fail, or get fewer
// files; then a mapping call finds no descriptor. What it never gets is another file than the one meant, as the kernel
// numbers them in order from fdFree.
type donation struct {
	socket int32 // the sentry's end
	count  int
	fds    [maxDonated]int32
	msg    struct {
		hdr     unix.Msghdr
		iov     unix.Iovec
		data    [8]byte
		control controlMessage
	}
}

// controlMessage is struct cmsghdr with room for the descriptors.
type controlMessage struct {
	len   uint64
	level int32
	typ   int32
	fds   [maxDonated]int32
}

// donationOffset is where the msghdr lies in the results page, behind the results.
const donationOffset = 3072

// add returns the number that fd will have in the stub, or -1 if there is no room.
func (d *donation) add(fd int32) int {
	for i, x := range d.fds[:d.count] {
		if x == fd {
			return fdFree + i
		}
	}
	if d.count == maxDonated {
		return -1
	}
	d.fds[d.count] = fd
	d.count++
	return fdFree + d.count - 1
}

// openDonations makes the socket and gives the stub its end. The mapper is idle.
func (s *Space) openDonations() linux.Errno {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return linux.Errno(err.(syscall.Errno))
	}
	defer unix.Close(pair[1])
	s.socket = int32(pair[0])
	a := &seccompAddFD{id: s.mapper.nb.id, flags: linux.SECCOMP_ADDFD_FLAG_SETFD, srcFD: uint32(pair[1]), newFD: fdSocket, newFlags: unix.O_CLOEXEC}
	for {
		_, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(s.mapper.fd), notifAddFD, uintptr(unsafe.Pointer(a)))
		if e != unix.EINTR {
			return linux.Errno(e)
		}
	}
}

func (s *Space) closeDonations() {
	if s.socket >= 0 {
		raw(unix.SYS_CLOSE, uintptr(s.socket), 0, 0, 0, 0, 0)
		s.socket = -1
	}
}

// donateLocked sends the collected descriptors and prepares the stub's msghdr.
func (s *Space) donateLocked() linux.Errno {
	m := &s.msg
	size := 16 + 4*s.count
	m.control.len, m.control.level, m.control.typ = uint64(size), unix.SOL_SOCKET, unix.SCM_RIGHTS
	copy(m.control.fds[:], s.fds[:s.count])
	m.iov = unix.Iovec{Base: &m.data[0], Len: 1}
	m.hdr = unix.Msghdr{Iov: &m.iov, Iovlen: 1, Control: (*byte)(unsafe.Pointer(&m.control)), Controllen: uint64(size+7) &^ 7}
	for {
		_, _, e := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(s.socket), uintptr(unsafe.Pointer(&m.hdr)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if e == 0 {
			break
		}
		if e != unix.EINTR {
			return linux.Errno(e)
		}
	}
	// struct msghdr, iovec, data and control of the receiver.
	h := (*[16]uint64)(unsafe.Add(s.ord.rw, donationOffset))
	at := uint64(resultsBase + donationOffset)
	*h = [16]uint64{0, 0, at + 56, 1, at + 80, uint64(16+4*s.count+7) &^ 7, 0, at + 72, 1}
	return 0
}
