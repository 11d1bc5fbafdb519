// Package ptrace is the platform that runs guest code under PTRACE_SYSEMU: the simplest and slowest one,
// which works wherever ptrace(2) does and is the oracle for the others.
//
// # Processes
//
// New forks the sentry once, without exec, into the zygote. The zygote shares the sentry's descriptor
// table (CLONE_FILES, which an exec would undo), so that MapOp.FD means the same file on both sides
// without passing or caching descriptors. It unmaps everything, the host's vdso included, but two pages at
// the top of the address space: the text of stub.go and a read-only page of orders. An address space is a
// clone of the zygote. Its first thread, the helper, never runs guest code: it makes the mapping calls and
// the threads. Each guest thread is one more host thread of that process.
//
// # Who traces whom
//
// The host accepts ptrace requests only from the thread that attached. One goroutine, the controller, is
// locked to its thread and traces the zygote and the helpers. A guest thread is attached by the goroutine
// that first calls its Switch, which stays locked to its operating system thread until Release; Switch,
// FPState, SetFPState, CPUTime and Release must be called by that goroutine from then on. If it exits
// without Release, the Go runtime ends its thread, and the host kills the stub with it (PTRACE_O_EXITKILL).
//
// # What keeps a guest in
//
// A guest thread only ever runs by PTRACE_SYSEMU: none of its system calls reaches the host's table,
// whichever instruction and whatever place made it, stub text included. The helper runs natively, but only
// stub text, with registers that the sentry chose, no stack, and orders in a page that the guest cannot
// write. Behind that stands a seccomp filter with the few calls that the helper needs (filter.go).
//
// # Host calls of the sentry
//
// ptrace, wait4, tgkill, kill, gettid, clock_gettime, process_vm_readv (to decode a faulting instruction;
// its failure is no error); while New runs also clone, memfd_create, ftruncate, pwrite64, mmap, munmap, close,
// prlimit64 and rt_sigaction (SA_NOCLDSTOP for SIGCHLD: stops of tracees must not signal the sentry).
// In the zygote before the filter: prctl, rt_sigaction, rt_sigprocmask, setrlimit, mmap, munmap.
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
	ctl *controller
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
	ctl, err := startController()
	if err != nil {
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
	s := &space{p: p}
	errno := p.ctl.do(&request{kind: makeSpace, space: s, done: make(chan linux.Errno, 1)})
	if errno != 0 {
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
}
