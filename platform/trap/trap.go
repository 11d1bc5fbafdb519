// Package trap runs guest code natively in stub processes, whose system calls seccomp stops.
//
// # Processes
//
// New starts a zygote: a clone of the sentry that unmaps everything and runs nothing but the stub's own code.
// The zygote clones itself for each guest address space: a stub. In a stub
//   - the creator (its first thread) makes threads, as the sentry orders through a page that is read-only there;
//   - the mapper makes mapping calls, as ordered through further read-only pages. It works in registers only, has a
//     filter that allows mapping calls and a notification, and waits in that notification;
//   - each guest thread runs guest code, and the stub's code that hands over.
//
// A filter chain can have one listener only, so the creator has none and all others descend from it.
//
// # Why it is safe
//
// A guest thread's filter allows exit(2) with one odd status, which ends that thread, and nothing else, from anywhere:
// every other call raises a user notification or SIGSYS. So a guest that jumps to a syscall instruction of the stub with
// registers of its choice gets what it gets from its own instruction: the sentry answers. Because not even
// rt_sigreturn is allowed, signal masks and signal stacks are what the stub set up, for ever; the stub returns from
// signals by iretq.
//
// Guests cannot change mappings, so the stub's text and orders stay; they can scribble over their threads' contexts and
// signal stacks. The sentry knows a thread by its listener, never by what memory says; it takes registers
// from there (they are the guest's anyway), checks the address of a frame to lie in the thread's own area, and writes
// only there. A guest that changes its GS base makes the stub's code fault or use another context of the same guest
// process: it harms only itself, as signal handlers and notifications do not use GS.
//
// # Descriptors
//
// Sharing the sentry's descriptor table (CLONE_FILES) would be faster: nothing would have to travel. But then each
// stub would hold everything that the sentry holds, and a descriptor number that a stub reports could be some other
// guest's listener. So the stubs have a table of their own with four descriptors: the orders (sealed
// against writing), the contexts, the memory file, and a socket. Donated files come through the socket for one batch
// of operations and are closed at its end; their numbers follow from their order, so nothing that the kernel
// writes into the stub's memory is believed. (SECCOMP_IOCTL_NOTIF_ADDFD takes 20 µs for each: it wakes the mapper on
// another CPU.) Listeners are fetched by pidfd_getfd at a number that follows
// from the order of creation, before anything else is opened, and must answer as listeners.
//
// # Life and death
//
// Stubs die with the zygote and the zygote with the sentry (PR_SET_PDEATHSIG; the parent's thread lives as long as the
// process). The zygote ignores SIGCHLD, so stubs leave no zombies. A dead thread shows as a hung-up listener.
//
// New must be called after the sentry changed its user and before its seccomp filter, which stubs would inherit.
// Locks: Space.mu (rank Platform) guards an address space's orders and mapper; Platform.mu the pool and the zygote.
package trap

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/platform"
)

// Options are what the platform needs from its user.
type Options struct {
	// MemoryFD is the memory file. Stubs inherit it; other descriptors of MapOps travel with each batch. 0 or
	// less: none.
	MemoryFD int
	// Pool is the number of address spaces kept ready; 0 means 2, negative means none.
	Pool int
	// NoPatch leaves guest code as it is.
	NoPatch bool
}

// Platform implements platform.Platform.
type Platform struct {
	opt  Options
	img  *image
	ctl  *control
	fp   fpLayout
	spin spinLimits
	// slots are for the threads in SPREAD mode.
	slots [maxSlots]spreadSlot
	// No thread becomes SPREAD before busyUntil, in cycles; busyFor is how long that was.
	busyUntil, busyFor atomic.Uint64
	memFD              int32
	zygote             zygote
	closed             atomic.Bool
	stopped            sync.WaitGroup
	reap               chan struct{}
	refill             chan struct{}

	mu       rank.Mutex[rank.Platform] // guards the fields below
	pool     []*Space
	alive    map[*Space]struct{}
	released []*Space // for the reaper
}

var _ platform.Platform = (*Platform)(nil)

// New starts the platform. The error says what the machine lacks.
func New(opt Options) (*Platform, error) {
	if err := checkHost(); err != nil {
		return nil, fmt.Errorf("trap platform: %w", err)
	}
	p := &Platform{opt: opt, alive: map[*Space]struct{}{}, reap: make(chan struct{}, 1), refill: make(chan struct{}, 1), memFD: int32(opt.MemoryFD)}
	if p.opt.Pool == 0 {
		p.opt.Pool = 2
	}
	if opt.MemoryFD <= 0 {
		p.memFD = -1
	}
	if err := p.start(); err != nil {
		p.Close()
		return nil, fmt.Errorf("trap platform: %w", err)
	}
	return p, nil
}

func (p *Platform) start() (err error) {
	p.spin = calibrate()
	if p.fp, err = newFPLayout(); err != nil {
		return err
	}
	if p.img, err = newImage(); err != nil {
		return err
	}
	if p.ctl, err = newControl(); err != nil {
		return err
	}
	text, err := p.textFile()
	if err != nil {
		return err
	}
	defer unix.Close(text)
	if err = p.startZygote(text); err != nil {
		return err
	}
	p.stopped.Add(2)
	go p.reaper()
	go p.filler()
	// A first address space shows whether all of it works here.
	s, err := p.newSpace()
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.pool = append(p.pool, s)
	p.mu.Unlock()
	return nil
}

// textFile returns a sealed memfd with the stub's image.
func (p *Platform) textFile() (int, error) {
	fd, err := unix.MemfdCreate("hornwork-stub", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	if _, err = unix.Write(fd, p.img.bytes); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("write the stub's image: %w", err)
	}
	return fd, nil
}

// checkHost says what the host lacks.
func checkHost() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	var major, minor int
	fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	if major < 6 || major == 6 && minor < 11 {
		// 6.6 has SYNC wake-ups; before 6.11 a RECV did not return when the stub died.
		return fmt.Errorf("needs Linux 6.11 for seccomp user notifications, this is %d.%d", major, minor)
	}
	action := uint32(retNotify)
	if _, _, e := syscall.RawSyscall(unix.SYS_SECCOMP, linux.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))); e != 0 {
		return fmt.Errorf("the kernel has no seccomp user notifications: %w", e)
	}
	auxv, err := unix.Auxv()
	if err != nil {
		return fmt.Errorf("read the auxiliary vector: %w", err)
	}
	const atHWCAP2, hwcap2FSGSBASE = 26, 2
	for _, a := range auxv {
		if a[0] == atHWCAP2 && a[1]&hwcap2FSGSBASE != 0 {
			return checkCPU()
		}
	}
	return errors.New("the CPU or the kernel lacks FSGSBASE instructions")
}

func checkCPU() error {
	if _, _, c, _ := cpuid(1, 0); c&(1<<27) == 0 {
		return errors.New("the CPU or the kernel lacks XSAVE")
	}
	if _, _, c, _ := cpuid(7, 0); c&(1<<22) == 0 {
		return errors.New("the CPU lacks RDPID")
	}
	return nil
}

// Name implements platform.Platform.
func (p *Platform) Name() string { return "trap" }

// UserRange implements platform.Platform.
func (p *Platform) UserRange() (lo, hi uint64) { return userLo, userHi }

// FPSize implements platform.Platform.
func (p *Platform) FPSize() int { return p.fp.size }

// NewAddressSpace implements platform.Platform.
func (p *Platform) NewAddressSpace() (platform.AddressSpace, linux.Errno) {
	p.mu.Lock()
	var s, old *Space
	if n := len(p.pool); n > 0 {
		s = p.pool[n-1]
		p.pool = p.pool[:n-1]
	} else if n := len(p.released); n > 0 {
		old = p.released[n-1]
		p.released = p.released[:n-1]
	}
	if !p.closed.Load() {
		select {
		case p.refill <- struct{}{}:
		default:
		}
	}
	p.mu.Unlock()
	if old != nil {
		s = p.recycled(old)
	}
	if s != nil {
		return s, 0
	}
	s, err := p.newSpace()
	if err != nil {
		var errno linux.Errno
		if errors.As(err, &errno) {
			return nil, errno
		}
		return nil, linux.ENOMEM
	}
	return s, 0
}

// recycled makes a new address space of a released one, or ends its stub.
func (p *Platform) recycled(s *Space) *Space {
	var n *Space
	if !p.closed.Load() {
		n = s.recycle()
	}
	if n == nil {
		s.end()
		return nil
	}
	p.mu.Lock()
	delete(p.alive, s)
	p.alive[n] = struct{}{}
	p.mu.Unlock()
	return n
}

// filler keeps the pool full.
func (p *Platform) filler() {
	defer p.stopped.Done()
	for range p.refill {
		for !p.closed.Load() {
			p.mu.Lock()
			full := len(p.pool)+len(p.released) >= p.opt.Pool
			p.mu.Unlock()
			if full {
				break
			}
			s, err := p.newSpace()
			if err != nil {
				break // NewAddressSpace will try again and report
			}
			p.mu.Lock()
			p.pool = append(p.pool, s)
			p.mu.Unlock()
		}
	}
}

// reaper recycles or ends the stubs of released address spaces.
func (p *Platform) reaper() {
	defer p.stopped.Done()
	for range p.reap {
		for {
			p.mu.Lock()
			var s *Space
			if n := len(p.released); n > 0 {
				s = p.released[0]
				p.released = p.released[1:]
			}
			p.mu.Unlock()
			if s == nil {
				break
			}
			n := p.recycled(s)
			if n == nil {
				continue
			}
			p.mu.Lock()
			keep := len(p.pool) < max(p.opt.Pool, 0)+poolSlack && !p.closed.Load()
			if keep {
				p.pool = append(p.pool, n)
			}
			p.mu.Unlock()
			if !keep {
				n.dead = true
				n.end()
			}
		}
	}
}

// forget takes a stub that has ended off the books.
func (p *Platform) forget(s *Space) {
	p.mu.Lock()
	delete(p.alive, s)
	p.mu.Unlock()
}

// Close implements platform.Platform.
func (p *Platform) Close() {
	if p.closed.Swap(true) {
		return
	}
	p.mu.Lock()
	for s := range p.alive {
		s.kill()
	}
	var last *Space
	for s := range p.alive {
		last = s
	}
	close(p.refill)
	close(p.reap)
	p.mu.Unlock()
	// The zygote reaps them, if it lives long enough.
	for i := 0; i < 1000 && last != nil && !last.ended(); i++ {
		time.Sleep(100 * time.Microsecond)
	}
	p.zygote.stop()
	p.stopped.Wait()
	// The windows stay mapped: threads that are still in Switch look at them once more.
	runtime.KeepAlive(p)
	if p.ctl != nil {
		unix.Close(p.ctl.roFD)
		unix.Close(p.ctl.rwFD)
	}
}
