package trap

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/platform"
)

// Space is a stub process: it implements platform.AddressSpace.
type Space struct {
	p     *Platform
	pid   int
	pidfd atomic.Int32 // -1: none, or another Space's now

	mu     rank.Mutex[rank.Platform] // guards the fields below, the orders and the mapper
	ord    orders
	mapper *listener
	donation
	opsUsed int    // of the mapper's pages, at most at one time
	units   []unit // of the space itself and of its threads
	// trampolines are the units of patched sites' regions.
	trampolines []unit
	threads     int       // areas in use, from threadsBase
	idle        []*Thread // released by their owners, kept for the next NewThread
	live        map[*Thread]struct{}
	dead        bool
	cpuBase     int64 // CPU time of the stub before this address space

	patcher
}

var _ platform.AddressSpace = (*Space)(nil)

const cloneThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM

// newSpace makes a stub with its mapper and one idle guest thread.
func (p *Platform) newSpace() (*Space, error) {
	fail := func(what string, errno linux.Errno) (*Space, error) {
		return nil, fmt.Errorf("new stub: %s: %w", what, errno)
	}
	u, errno := p.ctl.alloc()
	if errno != 0 {
		return fail("contexts", errno)
	}
	s := &Space{p: p, donation: donation{socket: -1}, live: map[*Thread]struct{}{}, units: []unit{{u, ordMapperOps}}}
	s.pidfd.Store(-1)
	s.ord = orders{ro: p.ctl.roAt(u, 0), rw: p.ctl.rwAt(u, 0)}
	t, errno := s.newThreadLocked()
	if errno != 0 {
		s.abandon()
		return fail("contexts", errno)
	}
	isOpen := func(fd uint64) entry {
		return entry{nr: unix.SYS_FCNTL, args: [6]uint64{fd, unix.F_GETFD}, how: howUntil}
	}
	area := t.mapOps()
	s.ord.fill([]entry{
		{nr: unix.SYS_CLONE, args: [6]uint64{cloneThread, 0, 0, 0, 0, p.img.mapperProgram}, how: howMapper},
		isOpen(fdFree),
		area[0], area[1],
		{nr: unix.SYS_CLONE, args: [6]uint64{cloneThread, 0, 0, 0, 0, t.ctxAddr}, how: howThread},
		isOpen(fdFree + 1),
	})
	*(*uint32)(s.ord.ro) = s.ord.seq
	if s.pid, errno = p.zygote.clone(u); errno != 0 {
		s.abandon()
		return fail("clone", errno)
	}
	r, errno := raw(unix.SYS_PIDFD_OPEN, uintptr(s.pid), 0, 0, 0, 0, 0)
	if errno != 0 {
		s.abandon()
		return fail("pidfd_open", errno)
	}
	s.pidfd.Store(int32(r))
	p.mu.Lock()
	p.alive[s] = struct{}{}
	p.mu.Unlock()
	if err := s.settle(t); err != nil {
		s.dead = true
		s.end()
		return nil, err
	}
	return s, nil
}

// settle waits for the threads of a new stub and takes their listeners.
func (s *Space) settle(t *Thread) error {
	if errno := s.finish(); errno != 0 {
		return fmt.Errorf("new stub: %w", errno)
	}
	for i := range s.ord.count() {
		if r := s.ord.result(i); r < 0 && r > -4096 {
			return fmt.Errorf("new stub: call %d: %w", i, linux.Errno(-r))
		}
	}
	var errno linux.Errno
	if s.mapper, errno = takeListener(s.pidfd.Load(), fdFree); errno != 0 {
		return fmt.Errorf("new stub: the mapper's listener: %w", errno)
	}
	if !s.mapper.wait() || s.mapper.nb.nr != notifyMapper {
		return fmt.Errorf("new stub: %w", linux.ESRCH)
	}
	if errno = t.attach(fdFree + 1); errno != 0 {
		return fmt.Errorf("new stub: the thread's listener: %w", errno)
	}
	s.idle = append(s.idle, t)
	if errno = s.openDonations(); errno != 0 {
		return fmt.Errorf("new stub: socket: %w", errno)
	}
	*s.mapperEntry(0) = entry{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdFree, fdSocket - 1}}
	if errno = s.runMapperLocked(1); errno != 0 {
		return fmt.Errorf("new stub: mapper: %w", errno)
	}
	return nil
}

// finish waits for the creator.
func (s *Space) finish() linux.Errno {
	deadline := time.Now().Add(5 * time.Second)
	for !s.ord.finished() {
		if s.ended() || time.Now().After(deadline) {
			return linux.ENOMEM
		}
	}
	return 0
}

// ended tells whether the stub process has ended.
func (s *Space) ended() bool {
	p := pollFD{fd: s.pidfd.Load(), events: unix.POLLIN}
	if p.fd < 0 {
		return true
	}
	n, _, e := syscall.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, 0)
	return e == 0 && n == 1
}

func (s *Space) mapperEntry(i int) *entry {
	return (*entry)(unsafe.Add(s.ord.ro, ordMapperOps+i*entrySize))
}

// runMapperLocked has the mapper carry out the first n entries.
func (s *Space) runMapperLocked(n int) linux.Errno {
	_, errno := s.runEntriesLocked(0, n)
	return errno
}

// runEntriesLocked has the mapper carry out entries first to n-1 and returns the number of those done.
func (s *Space) runEntriesLocked(first, n int) (int, linux.Errno) {
	if s.dead || !s.mapper.pending {
		return 0, linux.ESRCH
	}
	*(*[2]uint32)(unsafe.Add(s.ord.ro, ordMapper)) = [2]uint32{uint32(n - first), uint32(first)}
	s.opsUsed = max(s.opsUsed, n)
	if !s.mapper.turn(0) || s.mapper.nb.nr != notifyMapper {
		return 0, linux.ESRCH
	}
	if e := int64(s.mapper.nb.args[1]); e != 0 {
		return int(s.mapper.nb.args[0]), linux.Errno(-e)
	}
	return n - first, 0
}

// runBatchLocked runs entries 2 to n-1, which are the next done operations, with the donated files around them.
func (s *Space) runBatchLocked(n, done int) (int, linux.Errno) {
	if s.donation.count == 0 {
		_, errno := s.runEntriesLocked(2, n)
		return done, errno
	}
	if errno := s.donateLocked(); errno != 0 {
		return done, errno
	}
	free := entry{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdFree, fdSocket - 1}}
	*s.mapperEntry(0) = free // the lowest number is free: files come in order
	*s.mapperEntry(1) = entry{nr: unix.SYS_RECVMSG, args: [6]uint64{fdSocket, resultsBase + donationOffset, unix.MSG_CMSG_CLOEXEC | unix.MSG_DONTWAIT}}
	*s.mapperEntry(n) = free
	at, errno := s.runEntriesLocked(0, n+1)
	if errno != 0 && at < 2 {
		// Somebody has tampered with the message: it may still be in the socket.
		s.kill()
		return done, linux.ESRCH
	}
	return done, errno
}

// Apply implements platform.AddressSpace.
func (s *Space) Apply(ops []platform.MapOp) linux.Errno {
	for i := range ops {
		if !valid(&ops[i]) {
			return linux.EINVAL
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(ops) > 0 {
		n, errno := s.applyLocked(ops)
		if errno != 0 {
			return errno
		}
		ops = ops[n:]
	}
	return 0
}

func valid(op *platform.MapOp) bool {
	return op.Kind <= platform.OpProtect && op.Addr >= userLo && op.Addr < userHi && op.Len != 0 && op.Len <= userHi-op.Addr &&
		(op.Addr|op.Len|op.Offset)%pageSize == 0 && op.Prot <= 7
}

// applyLocked carries out as many operations as go at once, and returns how many.
func (s *Space) applyLocked(ops []platform.MapOp) (done int, errno linux.Errno) {
	s.donation.count = 0
	n := 2 // the first two entries are for donated files
	for ; done < len(ops) && n < maxMapperOps-1; done++ {
		op := &ops[done]
		s.regionsChanged(op)
		e := s.mapperEntry(n)
		switch op.Kind {
		case platform.OpUnmap:
			*e = entry{nr: unix.SYS_MUNMAP, args: [6]uint64{op.Addr, op.Len}}
		case platform.OpProtect:
			*e = entry{nr: unix.SYS_MPROTECT, args: [6]uint64{op.Addr, op.Len, uint64(op.Prot)}}
		default:
			fd := fdMemory
			if op.FD != s.p.memFD || op.FD < 0 {
				if fd = s.donation.add(op.FD); fd < 0 {
					return s.runBatchLocked(n, done)
				}
			}
			flags := uint64(unix.MAP_SHARED | unix.MAP_FIXED)
			if op.Populate {
				flags |= unix.MAP_POPULATE
			}
			*e = entry{nr: unix.SYS_MMAP, args: [6]uint64{op.Addr, op.Len, uint64(op.Prot), flags, uint64(fd), op.Offset}}
		}
		n++
	}
	return s.runBatchLocked(n, done)
}

// NewThread implements platform.AddressSpace.
func (s *Space) NewThread() (platform.Thread, linux.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil, linux.ESRCH
	}
	if n := len(s.idle); n > 0 {
		t := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.live[t] = struct{}{}
		return t, 0
	}
	// Most of the time goes into waking the creator, so it makes a few at once.
	if errno := s.makeThreadsLocked(min(max(s.threads/2, 1), maxThreadsAtOnce)); errno != 0 {
		return nil, errno
	}
	n := len(s.idle) - 1
	t := s.idle[n]
	s.idle = s.idle[:n]
	s.live[t] = struct{}{}
	return t, 0
}

const maxThreadsAtOnce = 8

// makeThreadsLocked adds up to n idle threads, at least one.
func (s *Space) makeThreadsLocked(n int) linux.Errno {
	var list []*Thread
	clones := []entry{{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdFree, fdSocket - 1}}}
	for i := range n {
		t, errno := s.newThreadLocked()
		if errno != 0 {
			if i == 0 {
				return errno
			}
			break
		}
		list = append(list, t)
		area := t.mapOps()
		*s.mapperEntry(2 * i), *s.mapperEntry(2*i + 1) = area[0], area[1]
		clones = append(clones,
			entry{nr: unix.SYS_CLONE, args: [6]uint64{cloneThread, 0, 0, 0, 0, t.ctxAddr}, how: howThread},
			entry{nr: unix.SYS_FCNTL, args: [6]uint64{uint64(fdFree + i), unix.F_GETFD}, how: howUntil})
	}
	if errno := s.runMapperLocked(2 * len(list)); errno != 0 {
		return errno
	}
	s.ord.fill(clones)
	s.ord.give()
	if errno := s.finish(); errno != 0 {
		return errno
	}
	for i, t := range list {
		if r := s.ord.result(1 + 2*i); r < 0 && r > -4096 {
			if i == 0 {
				return linux.Errno(-r)
			}
			break
		}
		if errno := s.attachLocked(t, fdFree+i); errno != 0 {
			if i == 0 {
				return errno
			}
			break
		}
		s.idle = append(s.idle, t)
	}
	return 0
}

// attachLocked is attach for a stub whose guests run: they could have written the results, and the descriptor is not
// there yet.
func (s *Space) attachLocked(t *Thread, fd int) linux.Errno {
	deadline := time.Now().Add(time.Second)
	for {
		errno := t.attach(fd)
		if errno == 0 {
			return 0
		}
		if s.ended() || time.Now().After(deadline) {
			return linux.EAGAIN
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// newThreadLocked makes the sentry's side of a thread.
func (s *Space) newThreadLocked() (*Thread, linux.Errno) {
	if s.threads == maxThreads {
		return nil, linux.EAGAIN
	}
	u, errno := s.p.ctl.alloc()
	if errno != 0 {
		return nil, errno
	}
	t := newThread(s, u, s.threads)
	s.units = append(s.units, unit{u, pageSize})
	s.threads++
	return t, 0
}

// kill ends the stub process.
func (s *Space) kill() {
	if fd := s.pidfd.Load(); fd >= 0 {
		raw(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(fd), uintptr(linux.SIGKILL), 0, 0, 0, 0)
	}
}

// Release implements platform.AddressSpace.
func (s *Space) Release() {
	s.mu.Lock()
	done := s.dead
	s.dead = true
	s.mu.Unlock()
	if done {
		return
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.closed.Load() {
		return // killed
	}
	s.p.released = append(s.p.released, s)
	select {
	case s.p.reap <- struct{}{}:
	default:
	}
}

// end kills the stub, waits for it to end and frees what it used.
func (s *Space) end() {
	s.kill()
	p := pollFD{fd: s.pidfd.Load(), events: unix.POLLIN}
	for p.fd >= 0 {
		_, _, e := syscall.Syscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, ^uintptr(0))
		if e != unix.EINTR {
			break
		}
	}
	s.p.forget(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pidfd.Store(-1)
	raw(unix.SYS_CLOSE, uintptr(p.fd), 0, 0, 0, 0, 0)
	s.closeDonations()
	if s.mapper != nil {
		s.mapper.close()
	}
	for _, t := range s.idle {
		t.l.close()
	}
	// Threads that their owners have not released may be in Switch for a moment more and see the listener
	// hang up; Release closes it.
	s.abandon()
}

// abandon gives back the units; no process maps them.
func (s *Space) abandon() {
	s.units[0].roUsed += uint32(s.opsUsed * entrySize)
	s.p.ctl.release(s.units)
	s.p.ctl.release(s.trampolines)
	s.units, s.trampolines = nil, nil
}

// cpuTime is the CPU time of the stub since it began.
func (s *Space) cpuTime() int64 {
	var ts unix.Timespec
	clock := ^uintptr(s.pid)<<3 | 2 // CPUCLOCK_SCHED of a process
	if _, _, e := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); e != 0 {
		return 0
	}
	return ts.Nano()
}

// HostPID implements platform.AddressSpace.
func (s *Space) HostPID() int { return s.pid }
