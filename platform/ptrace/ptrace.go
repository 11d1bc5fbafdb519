// Package ptrace is the platform that runs guest code under PTRACE_SYSEMU: the simplest and slowest one,
// which works wherever ptrace(2) does and is the oracle for the others.
//
// # Processes
//
// New forks the sentry once, without exec, into the zygote. The zygote shares the sentry's descriptor
// table (CLONE_FILES, which an exec would undo), so that MapOp.FD means the same file on both sides
// without passing or caching descriptors. It unmaps everything, the host's vdso included, but a page at the
// top of the address space: the text of stub.go. An address space is a clone of the zygote, with a page of
// its own for orders, read-only there. Its first thread, the helper, never runs guest code: it makes
// the threads, and the mapping calls for callers that trace no thread of the space. Each guest thread is one more
// host thread of that process.
//
// Call New before the jail's filter is set: what the zygote does to itself needs calls that a sentry does not.
// If somebody kills the zygote after that, new address spaces fail with EAGAIN.
//
// # Who traces whom
//
// The host accepts ptrace requests only from the thread that attached. One goroutine, the controller, is
// locked to its thread and traces the zygote and the helpers; address spaces send it errands. A guest
// thread is attached by the goroutine that first calls its Switch, which stays locked to its operating system
// thread until Release; Switch, FPState, SetFPState and Release must be called by that goroutine from then
// on. If it exits without Release, the Go runtime ends its thread, and the host kills the stub with
// it (PTRACE_O_EXITKILL).
//
// # What keeps a guest in
//
// A guest thread only ever runs by PTRACE_SYSEMU: none of its system calls reaches the host's table,
// whichever instruction and whatever place made it, stub text included. The helper, and a guest thread whose
// sentry goroutine changes mappings, run natively, but only stub text, with registers that the sentry chose,
// no stack, and orders in a page that the guest cannot write. Behind that stands a seccomp filter with
// the few calls that the stub needs (filter.go).
//
// # Host calls of the sentry
//
// ptrace, wait4, waitid, tgkill, kill, gettid, clock_gettime, and process_vm_readv (to decode a faulting
// instruction; its failure is no error). While New runs also clone, memfd_create, ftruncate, pwrite64, mmap, munmap,
// close, and rt_sigaction (SA_NOCLDSTOP for SIGCHLD: stops of tracees must not signal the sentry).
// In the zygote before its filter: prctl, seccomp, rseq (to undo what a C library did), rt_sigaction, rt_sigprocmask, setrlimit, mmap, munmap.
//
// Needs Linux 5.3 (PTRACE_GET_SYSCALL_INFO).
package ptrace

import (
	"fmt"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/platform"
)

const pageSize = 4096

// Addresses of the stub, the same in every address space. Guests may map what lies below userHi.
const (
	userLo     = 0x10000 // the host's usual vm.mmap_min_addr
	userHi     = 0x7fffffff0000
	ordersAddr = 0x7fffffffd000
	textAddr   = 0x7fffffffe000 // the last page of user memory
)

// Platform is the ptrace platform. It implements platform.Platform.
type Platform struct {
	ctl    *controller
	orders *orderBook
	// initFP is the XSAVE image that a program starts with.
	initFP []byte

	mu     rank.Mutex[rank.Platform] // guards the fields below
	spaces map[*space]struct{}
	closed bool
}

var _ platform.Platform = (*Platform)(nil)

// New starts the zygote. Its error says what the host refused.
func New() (*Platform, error) {
	if err := ignoreChildStops(); err != nil {
		return nil, fmt.Errorf("ptrace: setting SA_NOCLDSTOP for SIGCHLD: %w", err)
	}
	p := &Platform{spaces: map[*space]struct{}{}}
	orders, err := newOrderBook()
	if err != nil {
		return nil, fmt.Errorf("ptrace: %w", err)
	}
	p.orders = orders
	ctl, err := startController(orders)
	if err != nil {
		orders.close()
		return nil, fmt.Errorf("ptrace: starting the stub: %w", err)
	}
	p.ctl = ctl
	p.initFP = ctl.initFP
	return p, nil
}

// Name returns "ptrace".
func (p *Platform) Name() string { return "ptrace" }

// UserRange implements platform.Platform.
func (p *Platform) UserRange() (lo, hi uint64) { return userLo, userHi }

// FPSize implements platform.Platform.
func (p *Platform) FPSize() int { return len(p.initFP) }

// NewAddressSpace clones the zygote.
func (p *Platform) NewAddressSpace() (platform.AddressSpace, linux.Errno) {
	index, errno := p.orders.take()
	if errno != 0 {
		return nil, errno
	}
	s := &space{p: p, index: index, orders: p.orders.page(index)}
	if errno := p.ctl.do(&request{kind: makeSpace, space: s, done: make(chan linux.Errno, 1)}); errno != 0 {
		p.orders.put(index)
		return nil, errno
	}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.spaces[s] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		s.Release()
		return nil, linux.ESRCH
	}
	return s, 0
}

// forget drops a released address space.
func (p *Platform) forget(s *space) {
	p.mu.Lock()
	delete(p.spaces, s)
	p.mu.Unlock()
}

// Close kills every stub. Threads that are in Switch return EventGone.
func (p *Platform) Close() {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	var left []*space
	for s := range p.spaces {
		left = append(left, s)
	}
	p.mu.Unlock()
	for _, s := range left {
		s.Release()
	}
	p.ctl.stop()
	if !again {
		p.orders.close()
	}
}
