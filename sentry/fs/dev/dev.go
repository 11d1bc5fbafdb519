// Package dev has the device nodes of memory: null, zero, full, random and urandom (mem(4), random(4)).
package dev

import (
	"crypto/rand"
	"sync"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Major number of the memory devices, and their minors.
const (
	Major = 1

	Null    = 3
	Zero    = 5
	Full    = 7
	Random  = 8
	URandom = 9
)

// Register makes the devices known to vfs.
func Register() {
	for minor, ops := range map[uint32]vfs.FileOps{
		Null: &null{}, Zero: &zero{}, Full: &zero{full: true}, Random: &random{}, URandom: &urandom{},
	} {
		vfs.RegisterDevice(linux.S_IFCHR, Major, minor, func(*vfs.Caller, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
			return ops, 0
		})
	}
}

// device is what all have: an offset that nothing depends on.
type device struct{ vfs.DefaultFile }

// Seekable implements vfs.FileOps.
func (device) Seekable() bool { return true }

// Seek implements vfs.FileOps: the offset stays at 0.
func (device) Seek(*vfs.Caller, *vfs.File, int64, int64, int) (int64, linux.Errno) { return 0, 0 }

// unpolled are the devices without poll(2) of their own: they are always ready, and epoll does not take them.
type unpolled struct{ device }

// NoPoll implements epoll.NoPoll.
func (unpolled) NoPoll() {}

// drain takes all of src, as a write that keeps nothing does. Linux does not look at the bytes.
func drain(src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	n := src.Len()
	src.Drop(n)
	return n, off + int64(n), 0
}

type null struct{ unpolled }

// Read implements vfs.FileOps.
func (*null) Read(*vfs.Caller, *vfs.File, *usermem.Seq, int64) (int, linux.Errno) { return 0, 0 }

// Write implements vfs.FileOps.
func (*null) Write(_ *vfs.Caller, _ *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	return drain(src, off)
}

// zero is /dev/zero, and /dev/full.
type zero struct {
	unpolled
	full bool
}

var zeros [64 << 10]byte

// Read implements vfs.FileOps.
func (*zero) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	return fill(dst, zeros[:], nil)
}

// Write implements vfs.FileOps.
func (z *zero) Write(_ *vfs.Caller, _ *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	if z.full {
		return 0, off, linux.ENOSPC
	}
	return drain(src, off)
}

// MapsAnonymous says that a mapping of the file is new anonymous memory: mmap(2) of /dev/zero.
func (z *zero) MapsAnonymous() bool { return !z.full }

// fill copies buf to dst again and again; next, if not nil, renews it before each time.
func fill(dst *usermem.Seq, buf []byte, next func([]byte)) (int, linux.Errno) {
	done := 0
	for left := dst.Len(); left > 0; {
		b := buf[:min(left, len(buf))]
		if next != nil {
			next(b)
		}
		n, errno := dst.CopyOut(b)
		done += n
		left -= n
		if errno != 0 || n == 0 {
			if done > 0 {
				return done, 0
			}
			return 0, errno
		}
	}
	return done, 0
}

// random is /dev/random; the pool is always ready.
type random struct{ device }

// urandom is /dev/urandom, the same without poll(2).
type urandom struct{ random }

// NoPoll implements epoll.NoPoll.
func (*urandom) NoPoll() {}

// Readiness implements wait.Waitable.
func (*urandom) Readiness(mask wait.Events) wait.Events {
	return mask & (wait.Readable | wait.Writable)
}

// Readiness implements wait.Waitable: random_poll waits for room in the pool only as long as that is not ready.
func (*random) Readiness(mask wait.Events) wait.Events { return mask & wait.Readable }

var buffers = sync.Pool{New: func() any { return new([4096]byte) }}

// Read implements vfs.FileOps.
func (*random) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	b := buffers.Get().(*[4096]byte)
	defer buffers.Put(b)
	return fill(dst, b[:], func(b []byte) { rand.Read(b) }) // it never fails; crypto/rand
}

// Write implements vfs.FileOps: what is written would be mixed into the host's pool, which is not the guest's.
func (*random) Write(_ *vfs.Caller, _ *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	return drain(src, off)
}

// Requests of random(4).
const (
	rndGetEntCnt = 0x80045200
	poolBits     = 256
)

// Ioctl implements vfs.FileOps.
func (*random) Ioctl(c *vfs.Caller, _ *vfs.File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	if cmd != rndGetEntCnt {
		if cmd>>8&0xff == 'R' && !c.Creds.HasCap(linux.CAP_SYS_ADMIN) {
			return 0, linux.EPERM
		}
		return 0, linux.EINVAL
	}
	_, errno := mem.CopyOut(arg, []byte{poolBits & 0xff, poolBits >> 8, 0, 0})
	return 0, errno
}
