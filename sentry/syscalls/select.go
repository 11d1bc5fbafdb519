package syscalls

import (
	"encoding/binary"
	"math/bits"
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/poll"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// FDSet is the address of an fd_set.
type FDSet uint64

// selectSets are the three sets as words of 64 descriptors; nil for a set that was not given.
type selectSets struct {
	addr [3]FDSet
	in   [3][]uint64
}

func loadSets(t *task.Task, n int32, sets [3]FDSet) (*selectSets, linux.Errno) {
	words := (int(n) + 63) / 64
	s := &selectSets{addr: sets}
	raw := make([]byte, words*8)
	for k, addr := range sets {
		if addr == 0 {
			continue
		}
		if _, errno := t.Memory().CopyIn(raw, uint64(addr)); errno != 0 {
			return nil, errno
		}
		s.in[k] = make([]uint64, words)
		for w := range words {
			s.in[k][w] = binary.LittleEndian.Uint64(raw[w*8:])
		}
		if r := uint(n) % 64; r != 0 {
			s.in[k][words-1] &= 1<<r - 1
		}
	}
	return s, 0
}

func (s *selectSets) has(k int, fd int) bool {
	return s.in[k] != nil && s.in[k][fd/64]&(1<<(fd%64)) != 0
}

// any returns the descriptors that are in one of the sets, of word w.
func (s *selectSets) any(w int) (m uint64) {
	for k := range s.in {
		if s.in[k] != nil {
			m |= s.in[k][w]
		}
	}
	return m
}

// fds lists the descriptors of all sets in order.
func (s *selectSets) fds(n int32) []int {
	var fds []int
	for w := range (int(n) + 63) / 64 {
		for m := s.any(w); m != 0; m &= m - 1 {
			fds = append(fds, w*64+bits.TrailingZeros64(m))
		}
	}
	return fds
}

var selectMasks = [3]wait.Events{poll.SelectRead, poll.SelectWrite, poll.SelectExcept}

// selectFDs waits for one of n descriptors and replaces the sets by what is ready.
func selectFDs(t *task.Task, n int32, addrs [3]FDSet, noWait bool, deadline wait.Deadline) (uintptr, linux.Errno) {
	if n < 0 {
		return 0, linux.EINVAL
	}
	// Linux looks no further than the table is large; descriptors beyond are ignored.
	n = int32(min(uint64(n), uint64(t.Files().Size()), maxPolled))
	s, errno := loadSets(t, n, addrs)
	if errno != 0 {
		return 0, errno
	}
	fds := s.fds(n)
	p := newPollSet(len(fds))
	defer p.free()
	for i, fd := range fds {
		f := t.Files().Get(int32(fd))
		if f == nil {
			return 0, linux.EBADF
		}
		p.fds[i].File = f
		for k, mask := range selectMasks {
			if s.has(k, fd) {
				p.fds[i].Want |= mask
			}
		}
	}
	if _, errno := poll.Poll(t.Caller(), p.fds, noWait, deadline); errno != 0 {
		return 0, errno
	}
	return s.store(t, fds, p)
}

// store writes the sets of ready descriptors; a descriptor counts once for each set that it is in.
func (s *selectSets) store(t *task.Task, fds []int, p *pollSet) (uintptr, linux.Errno) {
	total := 0
	for k, addr := range s.addr {
		if addr == 0 {
			continue
		}
		raw := make([]byte, len(s.in[k])*8)
		for i, fd := range fds {
			if s.has(k, fd) && p.fds[i].Got&selectMasks[k] != 0 {
				raw[fd/8] |= 1 << (fd % 8)
				total++
			}
		}
		if _, errno := t.Memory().CopyOut(uint64(addr), raw); errno != 0 {
			return 0, errno
		}
	}
	return uintptr(total), 0
}

// Select implements select(2).
func Select(t *task.Task, n int32, in, out, ex FDSet, tv mm.User[linux.Timeval]) (uintptr, linux.Errno) {
	noWait, deadline := false, wait.Deadline{}
	if tv != 0 {
		v, errno := tv.Load(t)
		if errno != 0 {
			return 0, errno
		}
		// Linux carries microseconds beyond a second over to the seconds.
		if v.Sec < 0 || v.Usec < 0 {
			return 0, linux.EINVAL
		}
		carry := v.Usec / 1e6
		if v.Sec > 1<<62 {
			carry = 0
		}
		noWait, deadline = timeout(durationOf(linux.Timespec{Sec: v.Sec + carry, Nsec: v.Usec % 1e6 * 1000}))
	}
	ret, errno := selectFDs(t, n, [3]FDSet{in, out, ex}, noWait, deadline)
	if errno == linux.ERESTARTSYS {
		errno = linux.ERESTARTNOHAND
	}
	if tv != 0 {
		var left linux.Timeval
		if d := time.Until(deadline); !deadline.IsZero() && d > 0 {
			left = linux.Timeval{Sec: int64(d / time.Second), Usec: int64(d % time.Second / time.Microsecond)}
		}
		_ = tv.Store(t, left) // Linux ignores a fault here
	}
	return ret, errno
}

// Pselect6 implements the system call pselect6(2). Its last argument points to the mask's address and size.
func Pselect6(t *task.Task, n int32, in, out, ex FDSet, ts mm.User[linux.Timespec], sig mm.User[[2]uint64]) (uintptr, linux.Errno) {
	var mask mm.User[linux.Sigset]
	var size uint64
	if sig != 0 {
		pair, errno := sig.Load(t)
		if errno != 0 {
			return 0, errno
		}
		mask, size = mm.User[linux.Sigset](pair[0]), pair[1]
	}
	noWait, deadline, errno := loadTimeout(t, ts)
	if errno != 0 {
		return 0, errno
	}
	if errno := enterSigmask(t, mask, size); errno != 0 {
		return 0, errno
	}
	ret, errno := selectFDs(t, n, [3]FDSet{in, out, ex}, noWait, deadline)
	storeTimeLeft(t, ts, noWait, deadline)
	return ret, withSigmask(errno)
}
