package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// Close is close(2). It is never retried: Linux has freed the number even when it says EINTR.
func Close(fd int32) linux.Errno {
	_, _, e := unix.Syscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return linux.Errno(e)
}

// Dup duplicates fd with close-on-exec set.
func Dup(fd int32) (int32, linux.Errno) {
	n, errno := Fcntl(fd, unix.F_DUPFD_CLOEXEC, 0)
	return int32(n), errno
}

// Fcntl is fcntl(2) for the commands that do not sleep.
func Fcntl(fd int32, cmd int, arg uintptr) (uintptr, linux.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), uintptr(cmd), arg)
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return n, 0
}

// Flags returns the open file description's access mode and status flags.
func Flags(fd int32) (uint32, linux.Errno) {
	n, errno := Fcntl(fd, unix.F_GETFL, 0)
	return uint32(n), errno
}

// Fstat is fstat(2). linux.Stat is laid out as the amd64 host's struct stat.
func Fstat(fd int32, st *linux.Stat) linux.Errno {
	_, _, e := unix.Syscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
	return linux.Errno(e)
}

// FstatRaw is Fstat of a file whose attributes are known to be in memory.
func FstatRaw(fd int32, st *linux.Stat) linux.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
	return linux.Errno(e)
}

// Fstatfs is fstatfs(2). linux.Statfs is laid out as the amd64 host's struct statfs.
func Fstatfs(fd int32, st *linux.Statfs) linux.Errno {
	_, _, e := unix.Syscall(unix.SYS_FSTATFS, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
	return linux.Errno(e)
}

// Ioctl is ioctl(2) with a number as argument.
func Ioctl(fd int32, cmd uint32, arg uintptr) (uintptr, linux.Errno) {
	n, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), arg)
	if e != 0 {
		return 0, linux.Errno(e)
	}
	return n, 0
}

// IoctlValue is ioctl(2) with a structure as argument, which the command must know the size of.
func IoctlValue[T any](fd int32, cmd uint32, v *T) linux.Errno {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(unsafe.Pointer(v)))
	return linux.Errno(e)
}

// MemfdCreate is memfd_create(2).
func MemfdCreate(name string, flags int) (int32, linux.Errno) {
	fd, err := unix.MemfdCreate(name, flags)
	return int32(fd), Errno(err)
}
