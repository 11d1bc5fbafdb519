package signal

import (
	"encoding/binary"

	"hornwork/linux"
)

var le = binary.LittleEndian

// User makes the siginfo of kill(2) and tgkill(2): code is SI_USER, SI_TKILL or the like.
func User(sig, code, pid int32, uid uint32) linux.Siginfo {
	i := linux.Siginfo{Signo: sig, Code: code}
	le.PutUint32(i.Fields[0:], uint32(pid))
	le.PutUint32(i.Fields[4:], uid)
	return i
}

// Kernel makes the siginfo of a signal that the kernel sends for no process.
func Kernel(sig int32) linux.Siginfo { return linux.Siginfo{Signo: sig, Code: linux.SI_KERNEL} }

// Fault makes the siginfo of SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGTRAP.
func Fault(sig, code int32, addr uint64) linux.Siginfo {
	i := linux.Siginfo{Signo: sig, Code: code}
	le.PutUint64(i.Fields[0:], addr)
	return i
}

// Child makes the siginfo of SIGCHLD. Times are in clock ticks of 10 ms.
func Child(sig, code, pid int32, uid uint32, status int32, utime, stime int64) linux.Siginfo {
	i := User(sig, code, pid, uid)
	le.PutUint32(i.Fields[8:], uint32(status))
	le.PutUint64(i.Fields[16:], uint64(utime))
	le.PutUint64(i.Fields[24:], uint64(stime))
	return i
}

// Timer makes the siginfo of a POSIX timer's expiry.
func Timer(sig, id, overrun int32, value uint64) linux.Siginfo {
	i := linux.Siginfo{Signo: sig, Code: linux.SI_TIMER}
	le.PutUint32(i.Fields[0:], uint32(id))
	SetOverrun(&i, overrun)
	le.PutUint64(i.Fields[8:], value)
	return i
}

// SetOverrun changes si_overrun of a timer's siginfo.
func SetOverrun(i *linux.Siginfo, n int32) { le.PutUint32(i.Fields[4:], uint32(n)) }

// Poll makes the siginfo of SIGIO for a descriptor (F_SETSIG).
func Poll(sig, code int32, band int64, fd int32) linux.Siginfo {
	i := linux.Siginfo{Signo: sig, Code: code}
	le.PutUint64(i.Fields[0:], uint64(band))
	le.PutUint32(i.Fields[8:], uint32(fd))
	return i
}

// PID is si_pid.
func PID(i *linux.Siginfo) int32 { return int32(le.Uint32(i.Fields[0:])) }

// SetPID changes si_pid, when a signal crosses into another PID namespace.
func SetPID(i *linux.Siginfo, pid int32) { le.PutUint32(i.Fields[0:], uint32(pid)) }

// UID is si_uid.
func UID(i *linux.Siginfo) uint32 { return le.Uint32(i.Fields[4:]) }

// SetUID changes si_uid.
func SetUID(i *linux.Siginfo, uid uint32) { le.PutUint32(i.Fields[4:], uid) }

// FromUser says whether a process sent it (SI_FROMUSER).
func FromUser(i *linux.Siginfo) bool { return i.Code <= 0 }

// Encode is the 128 bytes of siginfo_t.
func Encode(i *linux.Siginfo, b *[128]byte) {
	le.PutUint32(b[0:], uint32(i.Signo))
	le.PutUint32(b[4:], uint32(i.Errno))
	le.PutUint32(b[8:], uint32(i.Code))
	le.PutUint32(b[12:], 0)
	copy(b[16:], i.Fields[:])
}
