package trap

import "unsafe"

// The stub's part of its address space: everything from userHi up. Guests get what is below.
//
//	textBase      the stub's code and filters: sealed memfd, read and execute
//	ordersBase    orders of the sentry to the creator and the mapper: read-only here
//	resultsBase   results of the creator (or the zygote): hints, never trusted once guests run
//	threadsBase   one area for each thread: a read-only page, then its context and signal stack
const (
	pageSize = 4096

	userLo  = 0x10000
	userHi  = 0x7fff_0000_0000
	taskMax = 0x7fff_ffff_f000

	textBase    = 0x7fff_0001_0000
	ordersBase  = 0x7fff_0010_0000
	resultsBase = 0x7fff_0018_0000
	threadsBase = 0x7fff_1000_0000

	maxThreads = 1 << 16 // of one address space; their areas end below taskMax

	ordersPages = 5
	ordersSize  = ordersPages * pageSize
)

// Descriptors of a stub.
const (
	fdReadOnly  = 0  // the control file that only the sentry writes
	fdReadWrite = 1  // the control file of contexts and signal stacks
	fdMemory    = 2  // the memory file
	fdText      = 3  // the stub's image; gone after the zygote's start
	fdFree      = 3  // the lowest free number; listeners and donated files come there
	fdSocket    = 15 // through which donated files come
	maxDonated  = fdSocket - fdFree
)

// Numbers of "system calls" by which stub code talks to the sentry: no kernel has them, and the filters
// raise a user notification for them.
const (
	notifySignal  = 0x4801 // a signal handler: rdi signo, rsi siginfo, rdx ucontext
	notifyReady   = 0x4802 // a new thread
	notifySyscall = 0x4803 // a patched site: the request is in the context
	notifyMapper  = 0x4804 // the mapper is idle: rdi operations done, rsi error
)

// State word of a context. Requests have stateReply clear.
const (
	stateRequest = 1
	stateReply   = 0x10  // result in ctxRAX
	stateFull    = 0x11  // all registers in the resume frame
	stateStub    = 0x100 // the stub sleeps, or is about to, in a notification
	stateSentry  = 0x200 // the sentry sleeps, or is about to, in RECV
)

// Offsets from a thread's GS base, which is the start of its context page. Negative ones are in the
// read-only page before it.
const (
	ctxState = 0
	ctxCPU   = 4
	ctxRAX   = 8
	ctxRDI   = 16
	ctxRSI   = 24
	ctxRDX   = 32
	ctxR10   = 40
	ctxR8    = 48
	ctxR9    = 56
	ctxRIP   = 64
	ctxRSP   = 72
	ctxRBX   = 80
	ctxRBP   = 88
	ctxR12   = 96
	ctxR13   = 104
	ctxR14   = 112
	ctxR15   = 120
	ctxFlags = 128
	ctxFS    = 136

	ctxSlot = 512  // the resume frame, laid out like a signal frame
	ctxFP   = 1024 // an XSAVE image for the resume frame

	cfgAnswers  = -4096 // int64 for each number below maxAnswer; negative: ask the sentry
	maxAnswer   = 480
	cfgSpin     = -256 // iterations that the stub spins
	cfgFlagsTop = -248 // where the stub points rsp to push the flags
	cfgSlot     = -240 // address of ctxSlot
	cfgStack    = -224 // stack_t of the signal stack
	cfgProgram  = -192 // sock_fprog of the guest's filter
	cfgMask     = -176 // an empty signal mask
)

// request mirrors the first part of a context.
type request struct {
	State, CPU                             uint32
	RAX, RDI, RSI, RDX, R10, R8, R9        uint64
	RIP, RSP, RBX, RBP, R12, R13, R14, R15 uint64
	Flags, FS                              uint64
}

// threadConfig mirrors the end of a thread's read-only page, from cfgSpin.
type threadConfig struct {
	Spin     uint32
	_        uint32
	FlagsTop uint64
	Slot     uint64
	_        uint64
	Stack    struct {
		SP    uint64
		Flags uint64
		Size  uint64
	}
	_       uint64
	Program struct {
		Len    uint64
		Filter uint64
	}
	Mask uint64
}

// Offsets inside the orders: the creator's (or zygote's) part is the first page, the mapper's the rest.
const (
	ordSeq       = 0
	ordCount     = 4
	ordParent    = 8
	ordEntries   = 64
	ordMapper    = pageSize // u32 count
	ordMapperOps = pageSize + 64
	entrySize    = 64

	maxOrders    = (pageSize - ordEntries) / entrySize
	maxMapperOps = (ordersSize - ordMapperOps) / entrySize
)

// entry is one system call that a worker of the stub makes.
type entry struct {
	nr   uint64
	args [6]uint64
	how  uint64
}

// Values of entry.how.
const (
	howCall    = 0
	howProcess = 1 // clone: the child becomes a new address space; args[5] is its control offset
	howThread  = 2 // clone: the child becomes a guest thread; args[5] is its context
	howMapper  = 3 // clone: the child becomes the mapper; args[5] is its filter
	howUntil   = 4 // repeat, yielding, until it succeeds
)

var _ = [1]struct{}{}[unsafe.Sizeof(request{})-144]
