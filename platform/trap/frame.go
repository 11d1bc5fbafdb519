package trap

import (
	"unsafe"

	"hornwork/linux"
)

// frame mirrors the start of the kernel's struct rt_sigframe, from the handler's stack pointer.
type frame struct {
	Restorer                                    uint64
	Flags                                       uint64 // uc_flags
	FSBase                                      uint64 // uc_link
	Stack                                       [3]uint64
	R8, R9, R10, R11, R12, R13, R14, R15        uint64
	RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP uint64
	Eflags                                      uint64
	CS, GS, FS, SS                              uint16
	Err, TrapNo, OldMask, CR2                   uint64
	FP                                          uint64
	_                                           [8]uint64
	Mask                                        uint64
	Info                                        siginfo
}

// siginfo is the part of siginfo_t that faults and SIGSYS fill.
type siginfo struct {
	Signo, Errno, Code, _ int32
	Addr                  uint64
	Syscall               int32
	Arch                  uint32
}

const (
	frameSize = unsafe.Sizeof(frame{})

	userCS, userSS = 0x33, 0x2b
	userCS32       = 0x23

	// fixedFlags are always set in a user's rflags: bit 1 and IF.
	fixedFlags = 0x202
	// userFlags are those that a user may change; FIX_EFLAGS of Linux's sigreturn and NT, ID, which popf may set.
	userFlags = 0x254dd5
)

// load copies the registers of a frame.
func (f *frame) load(r *linux.Regs) {
	r.R8, r.R9, r.R10, r.R11 = f.R8, f.R9, f.R10, f.R11
	r.R12, r.R13, r.R14, r.R15 = f.R12, f.R13, f.R14, f.R15
	r.RDI, r.RSI, r.RBP, r.RBX = f.RDI, f.RSI, f.RBP, f.RBX
	r.RDX, r.RAX, r.RCX, r.RSP, r.RIP = f.RDX, f.RAX, f.RCX, f.RSP, f.RIP
	r.Eflags = f.Eflags
	r.CS, r.SS = userCS, userSS
	if f.CS == userCS32 {
		r.CS = userCS32
	}
	r.FSBase = f.FSBase
}

// store writes the registers to a frame that stubRestore loads.
func (f *frame) store(r *linux.Regs) {
	f.R8, f.R9, f.R10, f.R11 = r.R8, r.R9, r.R10, r.R11
	f.R12, f.R13, f.R14, f.R15 = r.R12, r.R13, r.R14, r.R15
	f.RDI, f.RSI, f.RBP, f.RBX = r.RDI, r.RSI, r.RBP, r.RBX
	f.RDX, f.RAX, f.RCX, f.RSP, f.RIP = r.RDX, r.RAX, r.RCX, r.RSP, canonical(r.RIP)
	f.Eflags = r.Eflags&userFlags | fixedFlags
	f.CS, f.SS = userCS, userSS
	if r.CS == userCS32 {
		f.CS = userCS32
	}
	f.FSBase = canonical(r.FSBase)
}

// canonical replaces an address that iretq or wrfsbase would fault on, inside the stub, by one that faults in
// guest code: Linux too delivers SIGSEGV for it.
func canonical(a uint64) uint64 {
	if int64(a<<16)>>16 != int64(a) {
		return taskMax
	}
	return a
}
