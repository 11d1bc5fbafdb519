package trap

import (
	"fmt"
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
	pidfd int32

	mu      rank.Mutex[rank.Platform] // guards the fields below, the orders and the mapper
	ord     orders
	mapper  *listener
	addfd   seccompAddFD
	opsUsed int // of the mapper's pages, at most at one time
	units   []unit
	threads int       // areas in use, from threadsBase
	idle    []*Thread // released by their owners, kept for the next NewThread
	live    map[*Thread]struct{}
	dead    bool
	cpuBase int64 // CPU time of the stub before this address space

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
	s := &Space{p: p, pidfd: -1, live: map[*Thread]struct{}{}, units: []unit{{u, ordMapperOps}}}
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
	s.pidfd = int32(r)
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
	if s.mapper, errno = takeListener(s.pidfd, fdFree); errno != 0 {
		return fmt.Errorf("new stub: the mapper's listener: %w", errno)
	}
	if !s.mapper.wait() || s.mapper.nb.nr != notifyMapper {
		return fmt.Errorf("new stub: %w", linux.ESRCH)
	}
	if errno = t.attach(fdFree + 1); errno != 0 {
		return fmt.Errorf("new stub: the thread's listener: %w", errno)
	}
	s.idle = append(s.idle, t)
	*s.mapperEntry(0) = entry{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdFree, 0xffffffff}}
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
	p := pollFD{fd: s.pidfd, events: unix.POLLIN}
	n, _, e := syscall.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, 0)
	return e == 0 && n == 1
}

func (s *Space) mapperEntry(i int) *entry {
	return (*entry)(unsafe.Add(s.ord.ro, ordMapperOps+i*entrySize))
}

// runMapperLocked has the mapper carry out the first n entries.
func (s *Space) runMapperLocked(n int) linux.Errno {
	if s.dead || !s.mapper.pending {
		return linux.ESRCH
	}
	*(*uint32)(unsafe.Add(s.ord.ro, ordMapper)) = uint32(n)
	s.opsUsed = max(s.opsUsed, n)
	if !s.mapper.turn(0) || s.mapper.nb.nr != notifyMapper {
		return linux.ESRCH
	}
	if e := int64(s.mapper.nb.args[1]); e != 0 {
		return linux.Errno(-e)
	}
	return 0
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
		// One entry is left for closing donated descriptors.
		n := min(len(ops), maxMapperOps-1)
		if errno := s.applyLocked(ops[:n]); errno != 0 {
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

func (s *Space) applyLocked(ops []platform.MapOp) linux.Errno {
	donated := int32(fdDonated)
	last := int32(-1) // the descriptor that is donated-1
	n := 0
	for i := range ops {
		op := &ops[i]
		s.regionsChanged(op)
		e := s.mapperEntry(n)
		n++
		switch op.Kind {
		case platform.OpUnmap:
			*e = entry{nr: unix.SYS_MUNMAP, args: [6]uint64{op.Addr, op.Len}}
			continue
		case platform.OpProtect:
			*e = entry{nr: unix.SYS_MPROTECT, args: [6]uint64{op.Addr, op.Len, uint64(op.Prot)}}
			continue
		}
		fd := int32(fdMemory)
		if op.FD != s.p.memFD || op.FD < 0 {
			if op.FD != last {
				if errno := s.donateLocked(op.FD, donated); errno != 0 {
					return errno
				}
				last = op.FD
				donated++
			}
			fd = donated - 1
		}
		flags := uint64(unix.MAP_SHARED | unix.MAP_FIXED)
		if op.Populate {
			flags |= unix.MAP_POPULATE
		}
		*e = entry{nr: unix.SYS_MMAP, args: [6]uint64{op.Addr, op.Len, uint64(op.Prot), flags, uint64(fd), op.Offset}}
	}
	if donated != fdDonated {
		*s.mapperEntry(n) = entry{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdDonated, 0xffffffff}}
		n++
	}
	return s.runMapperLocked(n)
}

// donateLocked puts the sentry's descriptor src into the stub's table as dst.
func (s *Space) donateLocked(src, dst int32) linux.Errno {
	if s.dead || !s.mapper.pending {
		return linux.ESRCH
	}
	s.addfd = seccompAddFD{id: s.mapper.nb.id, flags: linux.SECCOMP_ADDFD_FLAG_SETFD, srcFD: uint32(src), newFD: uint32(dst), newFlags: unix.O_CLOEXEC}
	for {
		_, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(s.mapper.fd), notifAddFD, uintptr(unsafe.Pointer(&s.addfd)))
		switch e {
		case 0:
			return 0
		case unix.EINTR:
		case unix.ENOENT:
			return linux.ESRCH
		default:
			return linux.Errno(e)
		}
	}
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
	t, errno := s.newThreadLocked()
	if errno != 0 {
		return nil, errno
	}
	area := t.mapOps()
	*s.mapperEntry(0), *s.mapperEntry(1) = area[0], area[1]
	if errno := s.runMapperLocked(2); errno != 0 {
		return nil, errno
	}
	s.ord.fill([]entry{
		{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdFree, 0xffffffff}},
		{nr: unix.SYS_CLONE, args: [6]uint64{cloneThread, 0, 0, 0, 0, t.ctxAddr}, how: howThread},
		{nr: unix.SYS_FCNTL, args: [6]uint64{fdFree, unix.F_GETFD}, how: howUntil},
	})
	s.ord.give()
	if errno := s.finish(); errno != 0 {
		return nil, errno
	}
	if r := s.ord.result(1); r < 0 && r > -4096 {
		return nil, linux.Errno(-r)
	}
	// A guest could have written the results; then the descriptor is not there yet.
	deadline := time.Now().Add(time.Second)
	for errno = t.attach(fdFree); errno != 0 && time.Now().Before(deadline) && !s.ended(); errno = t.attach(fdFree) {
		time.Sleep(50 * time.Microsecond)
	}
	if errno != 0 {
		return nil, linux.EAGAIN
	}
	s.live[t] = struct{}{}
	return t, 0
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
	if s.pidfd >= 0 {
		raw(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(s.pidfd), uintptr(linux.SIGKILL), 0, 0, 0, 0)
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
	p := pollFD{fd: s.pidfd, events: unix.POLLIN}
	for s.pidfd >= 0 {
		_, _, e := syscall.Syscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, ^uintptr(0))
		if e != unix.EINTR {
			break
		}
	}
	s.p.forget(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	raw(unix.SYS_CLOSE, uintptr(s.pidfd), 0, 0, 0, 0, 0)
	s.pidfd = -1
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
	s.units = nil
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
