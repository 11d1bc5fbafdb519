// Package ring is a stream of bytes in a buffer that wraps around: what pipes and stream sockets keep their data in.
// Positions count bytes since the beginning and never wrap. A Ring has no lock: its owner has one.
package ring

import (
	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// Ring is a stream; its zero value is empty. Its memory grows on demand and is never larger than the next power of
// two of what it held at most; limits are the owner's.
type Ring struct {
	buf  []byte // length 0 or a power of two
	R, W uint64 // positions of the next byte to read and to write
}

// Len is how many bytes are in the ring.
func (r *Ring) Len() int { return int(r.W - r.R) }

// Reset forgets bytes, positions and memory.
func (r *Ring) Reset() { *r = Ring{} }

// Cap is the size of the memory.
func (r *Ring) Cap() int { return len(r.buf) }

// Grow makes room in memory for n more bytes.
func (r *Ring) Grow(n int) {
	need := r.Len() + n
	if need <= len(r.buf) {
		return
	}
	size := max(len(r.buf), linux.PageSize)
	for size < need {
		size *= 2
	}
	r.Resize(size)
}

// Resize moves the bytes to memory of another size (a power of two) that holds them.
func (r *Ring) Resize(size int) {
	buf := make([]byte, size)
	a, b := r.Data(r.Len())
	pos := r.R
	for _, s := range [2][]byte{a, b} {
		for len(s) > 0 {
			k := copy(buf[pos&uint64(size-1):], s)
			s = s[k:]
			pos += uint64(k)
		}
	}
	r.buf = buf
}

// span is n bytes from position pos on, in at most two pieces.
func (r *Ring) span(pos uint64, n int) (a, b []byte) {
	if n == 0 {
		return nil, nil
	}
	i := int(pos & uint64(len(r.buf)-1))
	if i+n <= len(r.buf) {
		return r.buf[i : i+n], nil
	}
	return r.buf[i:], r.buf[:i+n-len(r.buf)]
}

// Data is the next n bytes to read.
func (r *Ring) Data(n int) (a, b []byte) { return r.span(r.R, n) }

// Room is the place of the next n bytes to write; Grow has made it.
func (r *Ring) Room(n int) (a, b []byte) { return r.span(r.W, n) }

// Peek hands n bytes, from skip bytes after the read position on, to dst. It says how many arrived.
func (r *Ring) Peek(dst *usermem.Seq, skip, n int) (int, linux.Errno) {
	a, b := r.span(r.R+uint64(skip), n)
	done, errno := dst.CopyOut(a)
	if errno == 0 && len(b) > 0 {
		var k int
		k, errno = dst.CopyOut(b)
		done += k
	}
	return done, errno
}

// CopyOut hands the next n bytes to dst and forgets those that arrived.
func (r *Ring) CopyOut(dst *usermem.Seq, n int) (int, linux.Errno) {
	done, errno := r.Peek(dst, 0, n)
	r.R += uint64(done)
	return done, errno
}

// CopyIn appends n bytes of src. After a fault in the middle nothing of them counts as written.
func (r *Ring) CopyIn(src *usermem.Seq, n int) (int, linux.Errno) {
	r.Grow(n)
	a, b := r.Room(n)
	if k, errno := src.CopyIn(a); errno != 0 || k < len(a) {
		return 0, faultOr(errno)
	}
	if len(b) > 0 {
		if k, errno := src.CopyIn(b); errno != 0 || k < len(b) {
			return 0, faultOr(errno)
		}
	}
	r.W += uint64(n)
	return n, 0
}

func faultOr(errno linux.Errno) linux.Errno {
	if errno == 0 {
		return linux.EFAULT
	}
	return errno
}
