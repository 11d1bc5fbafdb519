package ptrace

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"

	"hornwork/linux"
)

type requestKind uint8

const (
	makeSpace requestKind = iota
	makeThread
	applyOrders
	quit
)

// request is an errand for the controller.
type request struct {
	kind   requestKind
	space  *space
	tid    int                           // makeThread: the result
	orders [maxOrders][orderWords]uint64 // applyOrders
	n      int
	done   chan linux.Errno
}

// controller traces the zygote and the helpers, on one thread of the host.
type controller struct {
	requests chan *request
	ended    chan struct{}
	endOnce  sync.Once
	zygote   int
	initFP   []byte
	orders   *orderBook
}

// stuckAfter is how long an errand takes before the watchdog looks whether the stub died.
const stuckAfter = 100 * time.Millisecond

func startController(orders *orderBook) (*controller, error) {
	c := &controller{orders: orders, requests: make(chan *request), ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the host ends the stubs with this thread
		err := c.startZygote()
		started <- err
		if err == nil {
			c.serve()
		}
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// do has the controller run r.
func (c *controller) do(r *request) linux.Errno {
	select {
	case c.requests <- r:
		return <-r.done
	case <-c.ended:
		return linux.ESRCH
	}
}

func (c *controller) stop() {
	c.endOnce.Do(func() {
		c.do(&request{kind: quit, done: make(chan linux.Errno, 1)})
	})
	<-c.ended
}

func (c *controller) serve() {
	for r := range c.requests {
		switch r.kind {
		case makeSpace:
			r.done <- c.cloneSpace(r.space)
		case makeThread:
			v, errno := c.inject(r.space, r.space.pid, textAddr, textThread, linux.SYS_CLONE, threadFlags)
			r.tid = int(v)
			r.done <- errno
		case applyOrders:
			r.done <- c.runOrders(r)
		case quit:
			if c.zygote != 0 {
				kill(c.zygote)
				wait(c.zygote, wAll)
			}
			r.done <- 0
			return
		}
	}
}

// cloneSpace makes a stub process, from a new zygote if somebody killed the old one.
func (c *controller) cloneSpace(s *space) linux.Errno {
	pid, errno := c.inject(nil, c.zygote, textAddr, textInject, linux.SYS_CLONE, spaceFlags)
	if errno == linux.ESRCH {
		if err := c.startZygote(); err != nil {
			return linux.EAGAIN
		}
		pid, errno = c.inject(nil, c.zygote, textAddr, textInject, linux.SYS_CLONE, spaceFlags)
	}
	if errno != 0 {
		return errno
	}
	if pid < 2 || pid > 1<<22 { // the host's largest process number
		return linux.EAGAIN
	}
	// It was attached with its birth, and starts with a SIGSTOP.
	if _, st, errno := wait(int(pid), wAll|wNoThread); errno != 0 || !stopped(st) {
		return linux.EAGAIN // somebody killed it
	}
	_, errno = c.inject(nil, int(pid), textAddr, textInject, linux.SYS_MMAP, ordersAddr, pageSize, linux.PROT_READ,
		linux.MAP_SHARED|linux.MAP_FIXED, uint64(c.orders.fd), uint64(s.index)*pageSize)
	if errno != 0 {
		kill(int(pid))
		wait(int(pid), wAll)
		return linux.EAGAIN
	}
	s.pid = int(pid)
	return 0
}

// inject makes pid, which is stopped, do one system call at an entry of the stub's text.
func (c *controller) inject(s *space, pid int, text, entry, nr uint64, args ...uint64) (uint64, linux.Errno) {
	regs := stubRegs(text + entry)
	regs.RAX = nr
	for i, p := range []*uint64{&regs.RDI, &regs.RSI, &regs.RDX, &regs.R10, &regs.R8, &regs.R9} {
		if i < len(args) {
			*p = args[i]
		}
	}
	if errno := c.run(s, pid, &regs); errno != 0 {
		return 0, errno
	}
	return regs.RAX, resultErrno(regs.RAX)
}

// runOrders has the helper make the mapping calls of r, all in one go.
func (c *controller) runOrders(r *request) linux.Errno {
	regs := r.prepare()
	if errno := c.run(r.space, r.space.pid, &regs); errno != 0 {
		return errno
	}
	return r.result(&regs)
}

// prepare gives the registers with which a thread of the stub performs r, and writes the orders if there are more
// than registers can hold.
func (r *request) prepare() linux.Regs {
	if r.n == 1 {
		o := &r.orders[0]
		regs := stubRegs(textAddr + textInject)
		regs.RAX, regs.RDI, regs.RSI, regs.RDX, regs.R10, regs.R8, regs.R9 = o[0], o[1], o[2], o[3], o[4], o[5], o[6]
		return regs
	}
	page := r.space.orders
	for i := range r.orders[:r.n] {
		copy(page[i*orderWords:], r.orders[i][:])
	}
	regs := stubRegs(textAddr + textBatch)
	regs.RBX, regs.R12 = ordersAddr, ordersAddr+uint64(r.n)*8*orderWords
	return regs
}

// result reads from the registers how r ended.
func (r *request) result(regs *linux.Regs) linux.Errno {
	if r.n > 1 && regs.RBX == regs.R12 {
		return 0
	}
	return resultErrno(regs.RAX)
}

func resultErrno(rax uint64) linux.Errno {
	if rax > ^uint64(4095) {
		return linux.Errno(-rax)
	}
	return 0
}

func stubRegs(rip uint64) linux.Regs {
	return linux.Regs{RIP: rip, CS: userCS, SS: userSS, Eflags: 0x202, OrigRAX: ^uint64(0)}
}

// run is drive for a thread of the controller's own. It fails with ESRCH if pid died.
func (c *controller) run(s *space, pid int, regs *linux.Regs) linux.Errno {
	if s != nil {
		w := time.AfterFunc(stuckAfter, s.reapThreads)
		defer w.Stop()
	}
	switch drive(pid, regs) {
	case driveDone:
		return 0
	case driveDied:
		if s != nil {
			s.reaped.Store(true)
		}
	case driveFault:
		// Its text or orders are not there any more, or somebody on the host plays with it.
		kill(pid)
	}
	return linux.ESRCH
}

// How drive ends.
const (
	driveDone  = iota
	driveDied  // its exit status was taken
	driveLost  // it cannot be reached: it is dying
	driveFault // it stopped at an exception
)

// drive lets tid, which is stopped and traced by this host thread, go on with regs in the stub's text until the
// breakpoint that ends every piece of that.
func drive(tid int, regs *linux.Regs) int {
	entry := regs.RIP &^ (pageSize - 1)
	if setRegs(tid, regs) != 0 {
		return driveLost
	}
	for {
		if ptrace(ptCont, tid, 0, 0) != 0 {
			return driveLost
		}
		_, st, errno := wait(tid, wAll|wNoThread)
		if errno != 0 {
			return driveLost
		}
		if !stopped(st) {
			return driveDied
		}
		if getRegs(tid, regs) != 0 {
			return driveLost
		}
		switch stopSignal(st) {
		case linux.SIGTRAP:
			if st>>16 == 0 && regs.RIP&^(pageSize-1) == entry {
				return driveDone
			}
		case linux.SIGSEGV, linux.SIGBUS, linux.SIGILL, linux.SIGSYS:
			return driveFault
		}
		// A signal from elsewhere: swallowed. Interrupt's leaves its mark in thread.pending.
	}
}

func stopped(st uint32) bool      { return st&0xff == 0x7f }
func stopSignal(st uint32) uint32 { return st >> 8 & 0xff }

// startZygote forks the sentry and makes the zygote of the copy.
func (c *controller) startZygote() error {
	text := stubText()
	fd, err := memfdWith("stub", text)
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	defer syscall.Close(fd)
	gadget, err := syscall.Mmap(fd, 0, pageSize, syscall.PROT_READ|syscall.PROT_EXEC, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping the stub's text: %w", err)
	}
	defer syscall.Munmap(gadget)
	setZygoteFilter(stubFilter())

	c.zygote = 0
	r := forkZygote(linux.CLONE_FILES)
	if errno := resultErrno(uint64(r)); errno != 0 {
		return fmt.Errorf("clone: %w", syscall.Errno(errno))
	}
	pid := int(r)
	_, st, errno := wait(pid, wAll|wNoThread)
	if errno != 0 || !stopped(st) {
		return errors.New("ptrace(PTRACE_TRACEME) was refused: look at kernel.yama.ptrace_scope and seccomp filters")
	}
	if err := c.setUpZygote(pid, fd, gadget); err != nil {
		kill(pid)
		wait(pid, wAll)
		return err
	}
	c.zygote = pid
	return nil
}

// setUpZygote turns a fresh copy of the sentry, stopped, into the zygote.
func (c *controller) setUpZygote(pid, fd int, gadget []byte) error {
	if errno := ptrace(ptSetOptions, pid, 0, traceOpts); errno != 0 {
		return fmt.Errorf("PTRACE_O_EXITKILL: %w", syscall.Errno(errno))
	}
	for _, off := range []uintptr{offFSBase, offGSBase} {
		if errno := ptrace(ptPokeUser, pid, off, 0); errno != 0 {
			return fmt.Errorf("clearing a segment base: %w", syscall.Errno(errno))
		}
	}
	name, zero, prog := zygoteAddrs()
	call := func(text uint64, what string, nr uint64, args ...uint64) error {
		if _, errno := c.inject(nil, pid, text, textInject, nr, args...); errno != 0 {
			return fmt.Errorf("%s in the stub: %w", what, syscall.Errno(errno))
		}
		return nil
	}
	first := addrOf(gadget)
	// A C library in the sentry (cgo, the race detector) has registered an area that is about to go away.
	if r := rseqOf(pid); r.addr != 0 {
		if err := call(first, "rseq", linux.SYS_RSEQ, r.addr, uint64(r.size), 1, uint64(r.signature)); err != nil {
			return err
		}
	}
	for sig := uint64(1); sig <= 64; sig++ {
		if sig == linux.SIGKILL || sig == linux.SIGSTOP {
			continue
		}
		if err := call(first, "rt_sigaction", linux.SYS_RT_SIGACTION, sig, zero, 0, 8); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		text uint64
		what string
		args []uint64
	}{
		{first, "rt_sigprocmask", []uint64{linux.SYS_RT_SIGPROCMASK, linux.SIG_SETMASK, zero, 0, 8}},
		{first, "PR_SET_NAME", []uint64{linux.SYS_PRCTL, linux.PR_SET_NAME, name}},
		// A sentry that changed its user ids is not dumpable, and threads of its copy could not be attached.
		{first, "PR_SET_DUMPABLE", []uint64{linux.SYS_PRCTL, linux.PR_SET_DUMPABLE, 1}},
		{first, "setrlimit(RLIMIT_CORE)", []uint64{linux.SYS_SETRLIMIT, linux.RLIMIT_CORE, zero}},
		{first, "PR_SET_NO_NEW_PRIVS", []uint64{linux.SYS_PRCTL, linux.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0}},
		{first, "mapping the text", []uint64{linux.SYS_MMAP, textAddr, pageSize, linux.PROT_READ | linux.PROT_EXEC,
			linux.MAP_SHARED | linux.MAP_FIXED, uint64(fd), 0}},
		{textAddr, "the seccomp filter", []uint64{linux.SYS_SECCOMP, 1, 0, prog}},
		{textAddr, "unmapping the sentry (are system mappings sealed?)", []uint64{linux.SYS_MUNMAP, 0, textAddr}},
	} {
		if err := call(s.text, s.what, s.args[0], s.args[1:]...); err != nil {
			return err
		}
	}
	if arch, errno := syscallArch(pid); errno != 0 || arch != auditArchX86_64 {
		return errors.New("PTRACE_GET_SYSCALL_INFO does not work: Linux 5.3 is needed")
	}
	if c.initFP == nil {
		fp, err := initialXState(pid)
		if err != nil {
			return err
		}
		c.initFP = fp
	}
	if errno := setXState(pid, c.initFP); errno != 0 {
		return fmt.Errorf("setting the FPU state: %w", syscall.Errno(errno))
	}
	return nil
}
