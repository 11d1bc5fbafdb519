package pipe

import (
	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// growLocked makes room in the ring's memory for n more bytes; the caller has checked the capacity.
func (p *Pipe) growLocked(n int) {
	need := p.used() + n
	if need <= len(p.ring) {
		return
	}
	size := max(len(p.ring), linux.PageSize)
	for size < need {
		size *= 2
	}
	p.resizeLocked(size)
}

// resizeLocked moves the bytes to a ring of another size that holds them; the stream positions stay.
func (p *Pipe) resizeLocked(size int) {
	ring := make([]byte, size)
	a, b := p.dataLocked(p.used())
	pos := p.rpos
	for _, s := range [2][]byte{a, b} {
		for len(s) > 0 {
			k := copy(ring[pos&uint64(size-1):], s)
			s = s[k:]
			pos += uint64(k)
		}
	}
	p.ring = ring
}

// spanLocked is the n bytes of the ring at stream position pos, in at most two pieces.
func (p *Pipe) spanLocked(pos uint64, n int) (a, b []byte) {
	if n == 0 {
		return nil, nil
	}
	i := int(pos & uint64(len(p.ring)-1))
	if i+n <= len(p.ring) {
		return p.ring[i : i+n], nil
	}
	return p.ring[i:], p.ring[:i+n-len(p.ring)]
}

func (p *Pipe) dataLocked(n int) (a, b []byte) { return p.spanLocked(p.rpos, n) }

// copyOutLocked hands the next n bytes to dst and forgets those that arrived.
func (p *Pipe) copyOutLocked(dst *usermem.Seq, n int) (int, linux.Errno) {
	a, b := p.dataLocked(n)
	done, errno := dst.CopyOut(a)
	if errno == 0 && len(b) > 0 {
		var k int
		k, errno = dst.CopyOut(b)
		done += k
	}
	p.rpos += uint64(done)
	return done, errno
}

// copyInLocked appends n bytes of src. After a fault in the middle nothing of the piece counts as written.
func (p *Pipe) copyInLocked(src *usermem.Seq, n int) (int, linux.Errno) {
	p.growLocked(n)
	a, b := p.spanLocked(p.wpos, n)
	if k, errno := src.CopyIn(a); errno != 0 || k < len(a) {
		return 0, faultOr(errno)
	}
	if len(b) > 0 {
		if k, errno := src.CopyIn(b); errno != 0 || k < len(b) {
			return 0, faultOr(errno)
		}
	}
	p.wpos += uint64(n)
	return n, 0
}

func faultOr(errno linux.Errno) linux.Errno {
	if errno == 0 {
		return linux.EFAULT
	}
	return errno
}
