package signal

import (
	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// The layout of struct rt_sigframe on x86-64: the return address, ucontext, siginfo; the FPU image is apart,
// above it, aligned to 64.
const (
	offUC       = 8
	offInfo     = offUC + ucSize
	frameSize   = offInfo + 128
	ucSize      = 304
	ucStack     = 16 // in ucontext
	ucContext   = 40
	ucMask      = 296
	redZone     = 128
	fxSize      = 512
	fxSWOff     = 464 // sw_reserved in the FXSAVE area
	xstateBV    = 512
	xsaveHeader = 64

	fpMagic1 = 0x46505853
	fpMagic2 = 0x46505845

	ucFlags = 0x1 | 0x2 | 0x4 // UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
	userCS  = 0x33
	userSS  = 0x2b

	flagDF = 1 << 10
	flagRF = 1 << 16
	flagTF = 1 << 8
	// fixFlags are the flags that rt_sigreturn takes from the frame (FIX_EFLAGS): AC OF DF TF SF ZF AF PF CF RF.
	fixFlags = 1<<18 | 1<<11 | flagDF | flagTF | 1<<7 | 1<<6 | 1<<4 | 1<<2 | 1<<0 | flagRF
)

// FaultInfo is what a thread remembers of its last exception, for sigcontext.
type FaultInfo struct{ TrapNo, Err, CR2 uint64 }

// Frame is what a handler is called with.
type Frame struct {
	Info   *linux.Siginfo
	Action linux.Sigaction
	Mask   Set // to be restored by rt_sigreturn
	Alt    *AltStack
	Fault  FaultInfo
	FP     []byte // XSAVE image in the standard form, or FXSAVE's 512 bytes; may be empty
	// Features is XCR0: the components that the image can have.
	Features uint64
}

// Push writes the frame and changes regs so that the handler runs next. EFAULT: the stack cannot take it; regs
// are unchanged, and the caller sends SIGSEGV.
func (f *Frame) Push(m usermem.Memory, regs *linux.Regs) linux.Errno {
	if f.Action.Flags&linux.SA_RESTORER == 0 {
		return linux.EFAULT // x86-64 has no other way back
	}
	sp := regs.RSP - redZone
	nested, entering := f.Alt.within(sp) && f.Alt.Flags&ssAutodisarm == 0, false
	if f.Action.Flags&linux.SA_ONSTACK != 0 && f.Alt.state(sp) == 0 {
		sp, entering = f.Alt.SP+f.Alt.Size, true
	}
	fpLen := uint64(len(f.FP))
	fpAddr := uint64(0)
	if fpLen != 0 {
		extra := uint64(0)
		if fpLen > fxSize {
			extra = 4 // FP_XSTATE_MAGIC2
		}
		sp = (sp - fpLen - extra) &^ 63
		fpAddr = sp
	}
	sp = (sp-frameSize)&^15 - 8
	if (nested || entering) && !f.Alt.within(sp) {
		return linux.EFAULT
	}
	if fpLen != 0 {
		if errno := f.pushFP(m, fpAddr); errno != 0 {
			return errno
		}
	}
	var b [frameSize]byte
	f.encode(&b, regs, fpAddr)
	n := frameSize
	if f.Action.Flags&linux.SA_SIGINFO == 0 {
		n = offInfo
	}
	if _, errno := m.CopyOut(sp, b[:n]); errno != 0 {
		return linux.EFAULT
	}
	regs.RDI, regs.RSI, regs.RDX = uint64(f.Info.Signo), sp+offInfo, sp+offUC
	regs.RAX, regs.RSP, regs.RIP = 0, sp, f.Action.Handler
	regs.CS, regs.SS = userCS, userSS
	regs.Eflags &^= flagDF | flagRF | flagTF
	return 0
}

// pushFP writes the FPU image with Linux's marks in it.
func (f *Frame) pushFP(m usermem.Memory, addr uint64) linux.Errno {
	var sw [48]byte
	size := uint32(len(f.FP))
	if size > fxSize {
		le.PutUint32(sw[0:], fpMagic1)
		le.PutUint32(sw[4:], size+4)
		le.PutUint64(sw[8:], f.Features)
		le.PutUint32(sw[16:], size)
	}
	if _, errno := m.CopyOut(addr, f.FP); errno != 0 {
		return errno
	}
	if _, errno := m.CopyOut(addr+fxSWOff, sw[:]); errno != 0 {
		return errno
	}
	if size > fxSize {
		var bv [8]byte
		le.PutUint64(bv[:], le.Uint64(f.FP[xstateBV:])|3) // x87 and SSE count as present, for old programs
		if _, errno := m.CopyOut(addr+xstateBV, bv[:]); errno != 0 {
			return errno
		}
		var magic [4]byte
		le.PutUint32(magic[:], fpMagic2)
		if _, errno := m.CopyOut(addr+uint64(size), magic[:]); errno != 0 {
			return errno
		}
	}
	return 0
}

// contextRegs are the general registers in sigcontext's order.
func contextRegs(r *linux.Regs) [18]*uint64 {
	return [18]*uint64{
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15,
		&r.RDI, &r.RSI, &r.RBP, &r.RBX, &r.RDX, &r.RAX, &r.RCX, &r.RSP, &r.RIP, &r.Eflags,
	}
}

func (f *Frame) encode(b *[frameSize]byte, r *linux.Regs, fpAddr uint64) {
	le.PutUint64(b[0:], f.Action.Restorer)
	uc := b[offUC:offInfo]
	le.PutUint64(uc[0:], ucFlags)
	if len(f.FP) <= fxSize {
		le.PutUint64(uc[0:], ucFlags&^1)
	}
	le.PutUint64(uc[ucStack:], f.Alt.SP)
	le.PutUint32(uc[ucStack+8:], uint32(f.Alt.Flags))
	le.PutUint64(uc[ucStack+16:], f.Alt.Size)
	sc := uc[ucContext:ucMask]
	for i, p := range contextRegs(r) {
		le.PutUint64(sc[i*8:], *p)
	}
	le.PutUint16(sc[144:], userCS)
	le.PutUint16(sc[150:], userSS)
	le.PutUint64(sc[152:], f.Fault.Err)
	le.PutUint64(sc[160:], f.Fault.TrapNo)
	le.PutUint64(sc[168:], uint64(f.Mask))
	le.PutUint64(sc[176:], f.Fault.CR2)
	le.PutUint64(sc[184:], fpAddr)
	le.PutUint64(uc[ucMask:], uint64(f.Mask))
	Encode(f.Info, (*[128]byte)(b[offInfo:]))
}

// Return is what rt_sigreturn(2) takes from a frame. Everything in it is the guest's to choose.
type Return struct {
	Mask  Set
	Stack linux.StackT
	FP    []byte // nil: the initial state
}

// Pop reads the frame that regs.RSP points behind and changes regs to what was interrupted. fpSize is the size
// of the platform's image. EFAULT: send SIGSEGV.
func Pop(m usermem.Memory, regs *linux.Regs, fpSize int) (Return, linux.Errno) {
	var b [ucSize]byte
	if _, errno := m.CopyIn(b[:], regs.RSP-8+offUC); errno != 0 {
		return Return{}, linux.EFAULT
	}
	var ret Return
	ret.Mask = Set(le.Uint64(b[ucMask:])) &^ Unblockable
	ret.Stack = linux.StackT{
		SP:    le.Uint64(b[ucStack:]),
		Flags: int32(le.Uint32(b[ucStack+8:])),
		Size:  le.Uint64(b[ucStack+16:]),
	}
	sc := b[ucContext:ucMask]
	r := *regs
	for i, p := range contextRegs(&r) {
		*p = le.Uint64(sc[i*8:])
	}
	r.Eflags = regs.Eflags&^fixFlags | r.Eflags&fixFlags
	// Departure: Linux lets a frame choose 32-bit segments. Guests run in 64-bit mode only.
	r.CS, r.SS = userCS, userSS
	r.OrigRAX = ^uint64(0)
	fp, errno := popFP(m, le.Uint64(sc[184:]), fpSize)
	if errno != 0 {
		return Return{}, errno
	}
	ret.FP = fp
	*regs = r
	return ret, 0
}

// popFP reads an FPU image as fpu__restore_sig does: with both marks it is an XSAVE image, else FXSAVE's part
// of it counts. The result has fpSize bytes, or is nil for a frame without one.
func popFP(m usermem.Memory, addr uint64, fpSize int) ([]byte, linux.Errno) {
	if addr == 0 {
		return nil, 0
	}
	img := make([]byte, max(fpSize, fxSize))
	if _, errno := m.CopyIn(img[:fxSize], addr); errno != 0 {
		return nil, linux.EFAULT
	}
	sw := img[fxSWOff:fxSize]
	size := le.Uint32(sw[16:])
	legacy := le.Uint32(sw[0:]) != fpMagic1 || fpSize <= fxSize ||
		size < fxSize+xsaveHeader || size > uint32(fpSize) || size > le.Uint32(sw[4:])
	features := le.Uint64(sw[8:])
	if !legacy {
		var magic [4]byte
		if _, errno := m.CopyIn(magic[:], addr+uint64(size)); errno != 0 {
			return nil, linux.EFAULT
		}
		legacy = le.Uint32(magic[:]) != fpMagic2
	}
	if legacy {
		if fpSize > fxSize {
			le.PutUint64(img[xstateBV:], 3) // x87 and SSE from the image, the rest as after execve
		}
		clear(sw)
		return img[:fpSize], 0
	}
	if _, errno := m.CopyIn(img[fxSize:size], addr+fxSize); errno != 0 {
		return nil, linux.EFAULT
	}
	clear(sw)
	bv := le.Uint64(img[xstateBV:]) & features
	clear(img[xstateBV : xstateBV+xsaveHeader]) // XCOMP_BV and the reserved words would fault
	le.PutUint64(img[xstateBV:], bv)
	return img, 0
}
