package mm

import (
	"unsafe"

	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// User is the address of a T in guest memory: a number until Load or Store touches it. T holds no pointers, and no
// padding that would show bytes of the sentry.
type User[T any] uint64

// Memoried is a caller with memory: a task.
type Memoried interface{ Memory() usermem.Memory }

// Load copies a T in.
func (u User[T]) Load(m Memoried) (T, linux.Errno) {
	var v T
	as, ok := m.Memory().(*AddressSpace)
	if !ok {
		return loadFrom[T](m.Memory(), uint64(u))
	}
	n, errno := as.CopyIn(unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)), uint64(u))
	if n < int(unsafe.Sizeof(v)) && errno != 0 {
		var zero T
		return zero, errno
	}
	return v, 0
}

// Store copies v out.
func (u User[T]) Store(m Memoried, v T) linux.Errno {
	as, ok := m.Memory().(*AddressSpace)
	if !ok {
		return storeTo(m.Memory(), uint64(u), v)
	}
	_, errno := as.CopyOut(uint64(u), unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)))
	return errno
}

// At is the i-th element of an array that begins at u.
func (u User[T]) At(i int) User[T] {
	var v T
	return u + User[T](uint64(i)*uint64(unsafe.Sizeof(v)))
}

// loadFrom is Load from memory of another kind; here v goes to the heap.
func loadFrom[T any](m usermem.Memory, addr uint64) (T, linux.Errno) {
	v := new(T)
	_, errno := m.CopyIn(unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)), addr)
	return *v, errno
}

// storeTo is Store to memory of another kind. Inlined, it would put every Store's v on the heap.
//
//go:noinline
func storeTo[T any](m usermem.Memory, addr uint64, v T) linux.Errno {
	_, errno := m.CopyOut(addr, unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)))
	return errno
}
