// Package usermem names guest memory without knowing whose it is, so that files, sockets and pipes can
// move data to and from it. mm.AddressSpace is the Memory of a guest; Kernel wraps the sentry's own bytes.
//
// A Seq is what read(2), readv(2) and their kin go over: a few ranges, in order, with a cursor.
package usermem

import (
	"hornwork/linux"
)

// Range is a span of addresses [Addr, Addr+Len).
type Range struct{ Addr, Len uint64 }

// Pinned is guest memory that the sentry may touch by plain loads and stores until Release.
// Blocks together cover a prefix of what was asked for.
type Pinned struct {
	Blocks [][]byte
	// Unpin gives the pages back; nil when nothing is to be given back.
	Unpin func(*Pinned)
	// Arr and Priv let an implementation work without allocating.
	Arr  [8][]byte
	Priv [8]uint64
}

// Release ends the use of the blocks.
func (p *Pinned) Release() {
	if p.Unpin != nil {
		p.Unpin(p)
		p.Unpin = nil
	}
	p.Blocks = nil
}

// Len is the number of bytes in the blocks.
func (p *Pinned) Len() (n int) {
	for _, b := range p.Blocks {
		n += len(b)
	}
	return n
}

// Memory is memory reached by address. All methods check permissions as the guest's own access would
// be checked, fault pages in, never panic, and report EFAULT with the count that was done before it.
type Memory interface {
	CopyIn(dst []byte, addr uint64) (int, linux.Errno)
	CopyOut(addr uint64, src []byte) (int, linux.Errno)
	// Pin makes up to len(Pinned.Arr) blocks at addr accessible. It covers at least one byte or fails.
	// Where the memory cannot be reached by plain loads (mapped host files) it fails with EOPNOTSUPP,
	// and CopyIn works.
	Pin(p *Pinned, addr, length uint64, write bool) linux.Errno
}

// Seq is a sequence of memory with a cursor at its front. Copy it to remember a position.
type Seq struct {
	mem  Memory
	head Range   // what is left of the first range
	rest []Range // the later ones; never written through
	kern []byte  // kernel memory instead, when mem is nil
}

// One is a Seq over a single range. The caller has checked the length against MAX_RW_COUNT.
func One(m Memory, addr, length uint64) Seq { return Seq{mem: m, head: Range{addr, length}} }

// Many is a Seq over ranges, which the caller does not change afterwards.
func Many(m Memory, r []Range) Seq {
	if len(r) == 0 {
		return Seq{mem: m}
	}
	return Seq{mem: m, head: r[0], rest: r[1:]}
}

// Kernel is a Seq over the sentry's own memory.
func Kernel(b []byte) Seq { return Seq{kern: b} }

// Len is how many bytes are left.
func (s *Seq) Len() int {
	if s.mem == nil {
		return len(s.kern)
	}
	n := s.head.Len
	for _, r := range s.rest {
		n += r.Len
	}
	return int(n)
}

// Drop moves the cursor n bytes on.
func (s *Seq) Drop(n int) {
	if s.mem == nil {
		s.kern = s.kern[min(n, len(s.kern)):]
		return
	}
	left := uint64(n)
	for {
		k := min(left, s.head.Len)
		s.head.Addr += k
		s.head.Len -= k
		left -= k
		if s.head.Len != 0 || len(s.rest) == 0 {
			return
		}
		s.head, s.rest = s.rest[0], s.rest[1:]
	}
}

// Take returns a Seq over at most the next n bytes, leaving s alone.
func (s *Seq) Take(n int) Seq {
	if s.mem == nil {
		return Seq{kern: s.kern[:min(n, len(s.kern))]}
	}
	if uint64(n) <= s.head.Len {
		return Seq{mem: s.mem, head: Range{s.head.Addr, uint64(n)}}
	}
	out := Seq{mem: s.mem, head: s.head}
	left := uint64(n) - s.head.Len
	for _, r := range s.rest {
		if left == 0 {
			break
		}
		r.Len = min(r.Len, left)
		left -= r.Len
		out.rest = append(out.rest, r)
	}
	return out
}

// CopyOut stores src at the cursor (data for the reader of a file) and moves it.
func (s *Seq) CopyOut(src []byte) (int, linux.Errno) {
	if s.mem == nil {
		n := copy(s.kern, src)
		s.kern = s.kern[n:]
		return n, 0
	}
	return s.each(len(src), func(addr uint64, off, n int) (int, linux.Errno) {
		return s.mem.CopyOut(addr, src[off:off+n])
	})
}

// CopyIn loads dst from the cursor (data from the writer of a file) and moves it.
func (s *Seq) CopyIn(dst []byte) (int, linux.Errno) {
	if s.mem == nil {
		n := copy(dst, s.kern)
		s.kern = s.kern[n:]
		return n, 0
	}
	return s.each(len(dst), func(addr uint64, off, n int) (int, linux.Errno) {
		return s.mem.CopyIn(dst[off:off+n], addr)
	})
}

func (s *Seq) each(want int, f func(addr uint64, off, n int) (int, linux.Errno)) (int, linux.Errno) {
	done := 0
	for done < want {
		for s.head.Len == 0 {
			if len(s.rest) == 0 {
				return done, 0
			}
			s.head, s.rest = s.rest[0], s.rest[1:]
		}
		n := int(min(s.head.Len, uint64(want-done)))
		k, errno := f(s.head.Addr, done, n)
		done += k
		s.head.Addr += uint64(k)
		s.head.Len -= uint64(k)
		if errno != 0 {
			return done, errno
		}
	}
	return done, 0
}

// Pin makes the memory at the cursor accessible: at most max bytes, at least one, all of one range.
// The cursor stays; Drop what was used.
func (s *Seq) Pin(p *Pinned, max int, write bool) linux.Errno {
	if s.mem == nil {
		p.Arr[0] = s.kern[:min(max, len(s.kern))]
		p.Blocks = p.Arr[:1]
		return 0
	}
	for s.head.Len == 0 && len(s.rest) > 0 {
		s.head, s.rest = s.rest[0], s.rest[1:]
	}
	return s.mem.Pin(p, s.head.Addr, min(s.head.Len, uint64(max)), write)
}
