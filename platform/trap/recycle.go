package trap

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
	"hornwork/platform"
)

// A stub is expensive to make and to end: a process, three threads, two filters. So a stub whose threads were all
// released serves another address space: the mapper unmaps everything, each thread is brought to where a
// new one is, with GS base, selectors and the signal stack as at first, and all that the guest could write is cleared.
// Whatever looks odd ends the stub instead. The old Space and Threads stay dead: somebody may still hold them.
const (
	maxRecycledThreads = 8
	poolSlack          = 6 // stubs that the pool takes beyond its size
)

// recycle returns a fresh address space in the stub of s, which has been released; nil: end it.
func (s *Space) recycle() *Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) != 0 || len(s.idle) != s.threads || s.threads > maxRecycledThreads || s.threads == 0 || !s.mapper.pending {
		return nil
	}
	n := &Space{p: s.p, pid: s.pid, ord: s.ord, mapper: s.mapper, donation: donation{socket: s.socket}, threads: s.threads, live: map[*Thread]struct{}{}}
	n.pidfd.Store(s.pidfd.Load())
	*n.mapperEntry(0) = entry{nr: unix.SYS_MUNMAP, args: [6]uint64{userLo, userHi - userLo}}
	*n.mapperEntry(1) = entry{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdFree, fdSocket - 1}}
	if n.runMapperLocked(2) != 0 {
		return nil
	}
	for _, t := range s.idle {
		if !t.rewind() {
			return nil
		}
	}
	for _, t := range s.idle {
		nt := newThread(n, t.unit, int((t.ctxAddr-threadsBase)/unitSize))
		nt.l, nt.tid, nt.at = t.l, t.tid, placeNew
		nt.outer, nt.outerAddr = nt.slot, nt.ctxAddr+ctxSlot
		t.l.fd, t.at = -1, placeGone
		n.idle = append(n.idle, nt)
	}
	clear(unsafe.Slice((*byte)(s.ord.rw), pageSize))
	clear(unsafe.Slice((*byte)(unsafe.Add(s.ord.ro, ordMapperOps)), s.opsUsed*entrySize))
	n.opsUsed = 2
	n.units = s.units
	s.p.ctl.release(s.trampolines)
	s.pidfd.Store(-1)
	s.units, s.trampolines, s.idle, s.mapper, s.socket = nil, nil, nil, nil, -1
	n.cpuBase = n.cpuTime()
	return n
}

// rewind brings a released thread to where a new thread is.
func (t *Thread) rewind() bool {
	if t.at == placeGone || !t.l.pending {
		return false
	}
	if t.at != placeNew {
		if t.force(0) != 0 {
			return false
		}
		var regs linux.Regs
		if !t.unwind(&regs, platform.ResumeFull) {
			return false
		}
	}
	const n = unitSize/pageSize - 1
	var resident [n]byte
	start := unsafe.Pointer(t.req)
	if _, _, e := syscall.RawSyscall(unix.SYS_MINCORE, uintptr(start), n*pageSize, uintptr(unsafe.Pointer(&resident))); e != 0 {
		return false
	}
	for i, r := range resident {
		if r&1 != 0 {
			clear(unsafe.Slice((*byte)(unsafe.Add(start, i*pageSize)), pageSize))
		}
	}
	return true
}
