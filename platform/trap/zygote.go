package trap

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// zygote is the process that stubs are cloned from.
type zygote struct {
	pid  int
	dead atomic.Bool
	gone chan struct{}

	mu  sync.Mutex // one order at a time
	ord orders
}

// kernelSigaction is struct sigaction as rt_sigaction(2) takes it.
type kernelSigaction struct {
	handler, flags, restorer, mask uint64
}

// handled are the signals of guest threads; all others are blocked in stubs. SIGUSR1 is Interrupt.
var handled = []uint64{linux.SIGSYS, linux.SIGSEGV, linux.SIGBUS, linux.SIGFPE, linux.SIGILL, linux.SIGTRAP, interruptSignal}

const interruptSignal = linux.SIGUSR1

// startZygote clones the sentry. The child's first calls are made on a copy of the sentry's memory; then it jumps
// into the stub's text, and its first orders unmap the rest.
func (p *Platform) startZygote(text int) error {
	z := &p.zygote
	z.gone = make(chan struct{})
	z.ord = orders{ro: p.ctl.roAt(0, 0), rw: p.ctl.rwAt(0, 0)}
	z.ord.fill(p.zygoteOrders())
	*(*uint32)(z.ord.ro) = z.ord.seq

	fds := []int{p.ctl.roFD, p.ctl.rwFD, int(p.memFD), text}
	if p.memFD < 0 {
		fds[fdMemory] = text // the number is taken, and of no use
	}
	started := make(chan error)
	go func() {
		// The thread is the zygote's parent as long as the process lives: PR_SET_PDEATHSIG refers to it.
		runtime.LockOSThread()
		n, err := z.fork(fds, p.img.worker)
		started <- err
		if err != nil {
			return
		}
		for {
			var ws syscall.WaitStatus
			_, err := syscall.Wait4(n, &ws, unix.WALL, nil)
			if err != syscall.EINTR {
				break
			}
		}
		z.dead.Store(true)
		close(z.gone)
		// Without Unlock the thread ends with this goroutine.
	}()
	if err := <-started; err != nil {
		return err
	}
	if errno := z.finish(); errno != 0 {
		return fmt.Errorf("start the zygote: %w", errno)
	}
	for i := range z.ord.count() {
		if r := z.ord.result(i); r < 0 && r > -4096 {
			return fmt.Errorf("start the zygote: call %d: %w", i, linux.Errno(-r))
		}
	}
	*z.ord.parent() = uint32(z.pid)
	return nil
}

// fork clones the zygote with the descriptors fds as 0, 1, ….
func (z *zygote) fork(fds []int, entry uint64) (int, error) {
	high := make([]int, len(fds)) // out of the way of the numbers that they get
	for i, fd := range fds {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 64)
		if err != nil {
			return 0, fmt.Errorf("dup: %w", err)
		}
		defer unix.Close(n)
		high[i] = n
	}
	noCore := new([2]uint64)
	calls := [][7]uintptr{
		{unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(linux.SIGKILL)},
		{unix.SYS_SETSID},
		{unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1},
		{unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, uintptr(unsafe.Pointer(noCore))},
	}
	for i, fd := range high {
		calls = append(calls, [7]uintptr{unix.SYS_DUP2, uintptr(fd), uintptr(i)})
	}
	calls = append(calls,
		[7]uintptr{unix.SYS_CLOSE_RANGE, uintptr(len(fds)), 0xffffffff},
		[7]uintptr{unix.SYS_MMAP, textBase, textSize, unix.PROT_READ | unix.PROT_EXEC, unix.MAP_SHARED | unix.MAP_FIXED, fdText, 0},
		[7]uintptr{unix.SYS_MMAP, ordersBase, ordersSize, unix.PROT_READ, unix.MAP_SHARED | unix.MAP_FIXED, fdReadOnly, 0},
		[7]uintptr{unix.SYS_MMAP, resultsBase, pageSize, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_FIXED, fdReadWrite, 0})
	forgetRseq()
	all, old := ^uint64(0), uint64(0)
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0, 0); e != 0 {
		return 0, fmt.Errorf("block signals: %w", e)
	}
	r := forkRun(0, &calls[0], uintptr(len(calls)), uintptr(entry))
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
	runtime.KeepAlive(noCore)
	if int(r) < 0 {
		return 0, fmt.Errorf("clone the zygote: %w", linux.Errno(-int(r)))
	}
	z.pid = int(r)
	return z.pid, nil
}

// forgetRseq takes back the registration of restartable sequences that the C library made for this thread, if the
// binary has one: the zygote would inherit it and die when the kernel cannot write there. The library keeps the
// area at some distance from the thread pointer.
func forgetRseq() {
	const (
		unregister = 1
		signature  = 0x53053053
		around     = 8192
	)
	tp := rdfsbase() &^ 31
	for off := uintptr(0); off < around; off += 32 {
		for _, addr := range [2]uintptr{tp + off, tp - off} {
			if _, _, e := syscall.RawSyscall6(unix.SYS_RSEQ, addr, 32, unregister, signature, 0, 0); e == 0 {
				return
			}
		}
	}
}

const textSize = 2 * pageSize

// zygoteOrders are the zygote's first orders: be nothing but a stub.
func (p *Platform) zygoteOrders() []entry {
	unmap := func(lo, hi uint64) entry {
		return entry{nr: unix.SYS_MUNMAP, args: [6]uint64{lo, hi - lo}}
	}
	list := []entry{
		unmap(0, textBase),
		unmap(textBase+textSize, ordersBase),
		unmap(ordersBase+ordersSize, resultsBase),
		unmap(resultsBase+pageSize, taskMax),
		{nr: unix.SYS_CLOSE_RANGE, args: [6]uint64{fdFree, 0xffffffff}},
		// The kernel precomputes for each filter which numbers it always allows, but only those that the filter before
		// it always allows. One that looks at an argument allows none always: this halves the time to install others.
		{nr: unix.SYS_SECCOMP, args: [6]uint64{linux.SECCOMP_SET_MODE_FILTER, linux.SECCOMP_FILTER_FLAG_SPEC_ALLOW, p.img.baseProgram}},
	}
	// The actions lie behind the orders, in the part that the mapper of an address space would use.
	data := uint64(ordMapperOps)
	put := func(a kernelSigaction) uint64 {
		*(*kernelSigaction)(p.ctl.roAt(0, uintptr(data))) = a
		data += 32
		return ordersBase + data - 32
	}
	for _, sig := range handled {
		a := put(kernelSigaction{
			handler: p.img.signal,
			flags:   linux.SA_SIGINFO | linux.SA_ONSTACK | linux.SA_NODEFER | linux.SA_RESTART | linux.SA_RESTORER,
			// The handler never returns through it.
			restorer: p.img.exit,
		})
		list = append(list, entry{nr: unix.SYS_RT_SIGACTION, args: [6]uint64{sig, a, 0, 8}})
	}
	ignore := put(kernelSigaction{handler: 1, flags: linux.SA_RESTORER, restorer: p.img.exit})
	name := data
	copy(unsafe.Slice((*byte)(p.ctl.roAt(0, uintptr(name))), 16), "hornwork-stub")
	return append(list,
		entry{nr: unix.SYS_RT_SIGACTION, args: [6]uint64{linux.SIGCHLD, ignore, 0, 8}},
		entry{nr: unix.SYS_PRCTL, args: [6]uint64{unix.PR_SET_NAME, ordersBase + name}})
}

func (o *orders) count() int { return int(*(*uint32)(unsafe.Add(o.ro, ordCount))) }

// give publishes the orders that fill wrote.
func (o *orders) give() {
	p := (*uint32)(o.ro)
	atomic.StoreUint32(p, o.seq)
	futexWake(p)
}

// finish waits until the zygote has carried out its orders.
func (z *zygote) finish() linux.Errno {
	deadline := time.Now().Add(5 * time.Second)
	for !z.ord.finished() {
		if z.dead.Load() || time.Now().After(deadline) {
			return linux.ENOMEM
		}
	}
	return 0
}

// finished waits a while for the orders to be done.
func (o *orders) finished() bool {
	p := o.done()
	for range 200 {
		if atomic.LoadUint32(p) == o.seq {
			return true
		}
	}
	if v := atomic.LoadUint32(p); v != o.seq {
		futexWait(p, v, 20e6)
	}
	return atomic.LoadUint32(p) == o.seq
}

// clone makes a process with control unit u and returns its number.
func (z *zygote) clone(u uint32) (int, linux.Errno) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ord.fill([]entry{{nr: unix.SYS_CLONE, args: [6]uint64{uint64(unix.SIGCHLD), 0, 0, 0, 0, uint64(u) * unitSize}, how: howProcess}})
	z.ord.give()
	if errno := z.finish(); errno != 0 {
		return 0, errno
	}
	r := z.ord.result(0)
	if r < 0 {
		return 0, linux.Errno(-r)
	}
	return int(r), 0
}

// stop kills the zygote, and with it every stub.
func (z *zygote) stop() {
	if z.pid == 0 {
		return
	}
	if !z.dead.Load() {
		syscall.Kill(z.pid, syscall.SIGKILL) // a child that only the goroutine above waits for: the number is still its own
	}
	<-z.gone
}
