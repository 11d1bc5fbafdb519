// Package platform is the contract between the sentry and what runs guest code: trap, ptrace, kvm.
//
// A Platform makes AddressSpaces (a stub process each). An AddressSpace takes batches of mapping
// operations and makes Threads. Thread.Switch runs guest code until it needs the sentry.
//
// Security: nothing that comes back from a Thread is trusted. Registers are whatever the guest chose;
// an implementation checks every index, length and state that it reads from memory that a stub can write,
// and treats nonsense as EventGone (the guest process is then killed), never as a panic.
package platform

import "hornwork/linux"

// Platform runs guest code in one way.
type Platform interface {
	Name() string
	// NewAddressSpace returns an empty address space, from a pool where that is possible.
	NewAddressSpace() (AddressSpace, linux.Errno)
	// UserRange is the span of addresses that guests may map, [lo, hi), page aligned, outside of which
	// the stub lives.
	UserRange() (lo, hi uint64)
	// FPSize is the size in bytes of the XSAVE image (standard form) that FPState returns; AT_MINSIGSTKSZ
	// and signal frames follow from it.
	FPSize() int
	// Close kills whatever is left, pools included.
	Close()
}

// Prot is a set of linux.PROT_READ, PROT_WRITE, PROT_EXEC.
type Prot uint8

// OpKind is what a MapOp does.
type OpKind uint8

// Kinds of MapOp.
const (
	OpMap     OpKind = iota // map FD at Addr (MAP_SHARED|MAP_FIXED); replaces what was there
	OpUnmap                 // remove
	OpProtect               // change Prot
)

// MapOp is one change of an address space. Addr, Len and Offset are page aligned and inside UserRange;
// the sentry guarantees that, and an implementation checks it again.
type MapOp struct {
	Kind     OpKind
	Prot     Prot
	Populate bool  // fill the page tables at once
	FD       int32 // descriptor in the sentry: the memory file, or a donated host file
	Addr     uint64
	Len      uint64
	Offset   uint64
}

// AddressSpace is one guest address space.
type AddressSpace interface {
	// Apply performs the operations in order. When it returns, every thread sees them: memory that was
	// unmapped can be given away. It fails only when the host refuses (ENOMEM) or the stub is gone (ESRCH).
	// May be called from any goroutine, also while threads run.
	Apply(ops []MapOp) linux.Errno
	// NewThread makes a thread that has not run yet.
	NewThread() (Thread, linux.Errno)
	// Release kills the stub. All threads have been released. Never blocks for long.
	Release()
	// TextChanged tells that the guest may have changed or read code in [addr, addr+length): patches
	// there are dropped. Called before OpProtect/OpMap make it writable or the sentry writes into it.
	TextChanged(addr, length uint64)
	// HostPID is the stub's process number in the sentry's PID namespace, for diagnostics; 0 if none.
	HostPID() int
}

// TextMemory is how a platform that patches code reads and replaces pages of text; mm implements it and
// AddressSpace implementations that patch implement SetText(TextMemory).
type TextMemory interface {
	// PatchText replaces len(b) code bytes at addr (inside one page) by b, in a private copy of the page
	// that the sentry owns, if they are old now and the page is private, executable and not writable.
	// The guest must never see b by reading: a page that was patched is mapped execute-only where the
	// machine can (it cannot without protection keys), else reads are served truthfully by mm.
	PatchText(addr uint64, old, b []byte) linux.Errno
	// FindGap returns a free page-aligned span of length bytes within 2 GiB of addr, and reserves it for the
	// platform: trampolines. The guest sees no mapping there in /proc/self/maps.
	FindGap(addr, length uint64) (uint64, linux.Errno)
	// ReadText copies code bytes as the guest would see them.
	ReadText(addr uint64, b []byte) linux.Errno
}

// EventKind says why Switch returned.
type EventKind uint8

// Kinds of Event.
const (
	EventSyscall     EventKind = iota // Regs.OrigRAX is the number; RAX is -ENOSYS as on Linux's entry
	EventFault                        // page fault: Addr and Access are set, RIP is at the instruction
	EventTrap                         // another exception: Signo, Code, Addr as Linux would put in siginfo
	EventInterrupted                  // Interrupt was called; registers are complete
	EventGone                         // the stub died or misbehaved: kill the guest process
)

// Event is one return from guest code.
type Event struct {
	Kind   EventKind
	Access Prot // EventFault: what was tried, one bit
	Signo  int32
	Code   int32
	TrapNo int32 // sigcontext.trapno
	Err    int32 // sigcontext.err
	Addr   uint64
	// Partial is true for a system call of which only OrigRAX, RDI, RSI, RDX, R10, R8, R9, RIP (and RSP, if
	// nonzero) are known. Thread.Complete fills in the rest.
	Partial bool
}

// Resume says what the sentry changed since the last event.
type Resume uint8

// Kinds of Resume.
const (
	ResumeResult Resume = iota // nothing but RAX: the result of a system call
	ResumeFull                 // any register; RCX, R11 and Eflags are restored exactly
)

// Thread is one guest thread. Its methods are called by one goroutine, except Interrupt and CPUTime.
type Thread interface {
	// Switch runs guest code from *regs and returns with *regs updated. After an error of the stub it
	// returns EventGone for ever.
	Switch(regs *linux.Regs, how Resume) Event
	// Complete fetches the registers that a Partial event left out. After it, ResumeFull is needed.
	Complete(regs *linux.Regs) linux.Errno
	// FPState returns the XSAVE image as of the last event; valid until the next Switch. It is guest data.
	FPState() ([]byte, linux.Errno)
	// SetFPState replaces it; img may be hostile: reserved bits that would fault are masked. An img of nil
	// sets the state after execve(2).
	SetFPState(img []byte) linux.Errno
	// Interrupt makes a running or the next Switch return EventInterrupted soon. Any goroutine may call it;
	// it costs little if the thread is not in guest code.
	Interrupt()
	// Answer lets the stub answer nr itself with value until the next call for nr; value < 0 withdraws it.
	// Platforms without such answers do nothing.
	Answer(nr uintptr, value int64)
	// CPUTime is the host CPU time that the guest thread used, in nanoseconds. Any goroutine may call it until
	// Release.
	CPUTime() int64
	Release()
}
