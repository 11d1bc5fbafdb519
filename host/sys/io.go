package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// MaxIOV is the most blocks that the vector functions pass in one call; more are left for the next.
const MaxIOV = 16

// Flags of preadv2(2) and pwritev2(2).
const (
	RWF_HIPRI  = 0x1
	RWF_DSYNC  = 0x2
	RWF_SYNC   = 0x4
	RWF_NOWAIT = 0x8
	RWF_APPEND = 0x10
)

// addr is the address of b's first byte; for an empty slice a null pointer.
func addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// iovecs fills v from blocks and returns how many entries are used.
func iovecs(v *[MaxIOV]unix.Iovec, blocks [][]byte) int {
	n := min(len(blocks), MaxIOV)
	for i, b := range blocks[:n] {
		v[i].Base = unsafe.SliceData(b)
		v[i].Len = uint64(len(b))
	}
	return n
}

// Read is read(2).
func Read(fd int32, b []byte) (int, linux.Errno) {
	for {
		n, _, e := unix.Syscall(unix.SYS_READ, uintptr(fd), addr(b), uintptr(len(b)))
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, linux.Errno(e)
		}
	}
}

// ReadRaw is read(2) of a descriptor that never makes the caller sleep (an eventfd, a non-blocking socket).
func ReadRaw(fd int32, b []byte) (int, linux.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), addr(b), uintptr(len(b)))
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return int(n), 0
}

// Write is write(2).
func Write(fd int32, b []byte) (int, linux.Errno) {
	for {
		n, _, e := unix.Syscall(unix.SYS_WRITE, uintptr(fd), addr(b), uintptr(len(b)))
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, linux.Errno(e)
		}
	}
}

// WriteRaw is write(2) to a descriptor that never makes the caller sleep.
func WriteRaw(fd int32, b []byte) (int, linux.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), addr(b), uintptr(len(b)))
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return int(n), 0
}

// Pread is pread64(2).
func Pread(fd int32, b []byte, off int64) (int, linux.Errno) {
	for {
		n, _, e := unix.Syscall6(unix.SYS_PREAD64, uintptr(fd), addr(b), uintptr(len(b)), uintptr(off), 0, 0)
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, linux.Errno(e)
		}
	}
}

// Pwrite is pwrite64(2).
func Pwrite(fd int32, b []byte, off int64) (int, linux.Errno) {
	for {
		n, _, e := unix.Syscall6(unix.SYS_PWRITE64, uintptr(fd), addr(b), uintptr(len(b)), uintptr(off), 0, 0)
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, linux.Errno(e)
		}
	}
}

// Preadv reads into blocks from off on; -1 means the stream or the descriptor's own offset.
func Preadv(fd int32, blocks [][]byte, off int64, flags int) (int, linux.Errno) {
	return vector(unix.SYS_PREADV2, fd, blocks, off, flags)
}

// Pwritev writes blocks at off; -1 means the stream or the descriptor's own offset.
func Pwritev(fd int32, blocks [][]byte, off int64, flags int) (int, linux.Errno) {
	return vector(unix.SYS_PWRITEV2, fd, blocks, off, flags)
}

func vector(nr uintptr, fd int32, blocks [][]byte, off int64, flags int) (int, linux.Errno) {
	var v [MaxIOV]unix.Iovec
	k := iovecs(&v, blocks)
	for {
		n, _, e := unix.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&v)), uintptr(k), uintptr(off), 0, uintptr(flags))
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, linux.Errno(e)
		}
	}
}

// PreadvNowait reads what the host's page cache has at off without sleeping and without the scheduler's
// knowledge: EAGAIN where the disk would be asked, EOPNOTSUPP where the filesystem cannot tell.
func PreadvNowait(fd int32, blocks [][]byte, off int64) (int, linux.Errno) {
	var v [MaxIOV]unix.Iovec
	k := iovecs(&v, blocks)
	n, _, e := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&v)), uintptr(k), uintptr(off), 0, RWF_NOWAIT)
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return int(n), 0
}

// Lseek is lseek(2).
func Lseek(fd int32, off int64, whence int) (int64, linux.Errno) {
	n, _, e := unix.Syscall(unix.SYS_LSEEK, uintptr(fd), uintptr(off), uintptr(whence))
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return int64(n), 0
}

// retry makes a call that may sleep again while a signal interrupts it.
func retry(nr, a0, a1, a2, a3 uintptr) linux.Errno {
	for {
		if _, _, e := unix.Syscall6(nr, a0, a1, a2, a3, 0, 0); e != unix.EINTR {
			return linux.Errno(e)
		}
	}
}

// Fsync is fsync(2).
func Fsync(fd int32) linux.Errno { return retry(unix.SYS_FSYNC, uintptr(fd), 0, 0, 0) }

// Fdatasync is fdatasync(2).
func Fdatasync(fd int32) linux.Errno { return retry(unix.SYS_FDATASYNC, uintptr(fd), 0, 0, 0) }

// Ftruncate is ftruncate(2).
func Ftruncate(fd int32, size int64) linux.Errno {
	return retry(unix.SYS_FTRUNCATE, uintptr(fd), uintptr(size), 0, 0)
}

// Fallocate is fallocate(2).
func Fallocate(fd int32, mode uint32, off, length int64) linux.Errno {
	return retry(unix.SYS_FALLOCATE, uintptr(fd), uintptr(mode), uintptr(off), uintptr(length))
}

// CopyFileRange is copy_file_range(2) with both offsets given.
func CopyFileRange(in int32, inOff int64, out int32, outOff int64, n int) (int, linux.Errno) {
	r, _, e := unix.Syscall6(unix.SYS_COPY_FILE_RANGE, uintptr(in), uintptr(unsafe.Pointer(&inOff)),
		uintptr(out), uintptr(unsafe.Pointer(&outOff)), uintptr(n), 0)
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return int(r), 0
}
