package hostfile

import (
	"unsafe"

	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// bytesOf views a structure without pointers as bytes.
func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// ioctlOut runs a command that fills in a structure.
func ioctlOut[T any](f *File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	var v T
	if errno := sys.IoctlValue(f.fd, cmd, &v); errno != 0 {
		return 0, errno
	}
	_, errno := mem.CopyOut(arg, bytesOf(&v))
	return 0, errno
}

// ioctlIn runs a command that reads a structure.
func ioctlIn[T any](f *File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	var v T
	if _, errno := mem.CopyIn(bytesOf(&v), arg); errno != 0 {
		return 0, errno
	}
	return 0, sys.IoctlValue(f.fd, cmd, &v)
}
