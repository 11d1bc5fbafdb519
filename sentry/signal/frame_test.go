package signal

import (
	"testing"

	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// stack is guest memory from base on.
type stack struct {
	base uint64
	b    []byte
}

func (s *stack) at(addr uint64, n int) []byte {
	if addr < s.base || addr-s.base > uint64(len(s.b)) || uint64(n) > uint64(len(s.b))-(addr-s.base) {
		return nil
	}
	return s.b[addr-s.base:][:n]
}

func (s *stack) CopyIn(dst []byte, addr uint64) (int, linux.Errno) {
	b := s.at(addr, len(dst))
	if b == nil {
		return 0, linux.EFAULT
	}
	return copy(dst, b), 0
}

func (s *stack) CopyOut(addr uint64, src []byte) (int, linux.Errno) {
	b := s.at(addr, len(src))
	if b == nil {
		return 0, linux.EFAULT
	}
	return copy(b, src), 0
}

func (s *stack) Pin(*usermem.Pinned, uint64, uint64, bool) linux.Errno { return linux.EOPNOTSUPP }

const fpSize = 512 + 64 + 256

func testFrame() (*stack, linux.Regs, *Frame) {
	m := &stack{base: 0x7000_0000, b: make([]byte, 1<<16)}
	r := linux.Regs{R15: 15, R12: 12, RBP: 5, RBX: 3, RAX: 1, RCX: 2, RDX: 4, RSI: 6, RDI: 7, R8: 8, RIP: 0x401000,
		RSP: 0x7000_f000, Eflags: 0x246 | flagDF, CS: userCS, SS: userSS, OrigRAX: 1}
	fp := make([]byte, fpSize)
	for i := range fp {
		fp[i] = byte(i)
	}
	clear(fp[xstateBV : xstateBV+xsaveHeader])
	fp[xstateBV] = 7
	info := Kernel(linux.SIGUSR1)
	alt := NoAltStack
	return m, r, &Frame{Info: &info, Mask: 0x1234, Alt: &alt, FP: fp, Features: 7,
		Action: linux.Sigaction{Handler: 0x402000, Flags: linux.SA_SIGINFO | linux.SA_RESTORER, Restorer: 0x403000}}
}

func TestFrameComesBackAsItWas(t *testing.T) {
	m, r, f := testFrame()
	h := r
	if errno := f.Push(m, &h); errno != 0 {
		t.Fatal(errno)
	}
	if h.RIP != 0x402000 || h.RDI != linux.SIGUSR1 || h.RSP%16 != 8 || h.RSP > r.RSP-redZone || h.Eflags&flagDF != 0 {
		t.Errorf("handler's registers %+v", h)
	}
	if got := le.Uint64(m.at(h.RSP, 8)); got != 0x403000 {
		t.Errorf("return address %#x", got)
	}
	back := h
	back.RSP += 8 // the handler's ret
	ret, errno := Pop(m, &back, fpSize)
	if errno != 0 {
		t.Fatal(errno)
	}
	want := r
	want.OrigRAX = ^uint64(0)
	if back != want {
		t.Errorf("registers\n%+v want\n%+v", back, want)
	}
	if ret.Mask != 0x1234 || ret.Stack.Flags != ssDisable {
		t.Errorf("mask %#x stack %+v", ret.Mask, ret.Stack)
	}
	clear(f.FP[fxSWOff:fxSize])
	if string(ret.FP) != string(f.FP) {
		t.Error("the FPU image changed")
	}
}

func TestFrameOnAlternateStack(t *testing.T) {
	m, r, f := testFrame()
	f.Alt = &AltStack{SP: 0x7000_1000, Size: 0x2000}
	f.Action.Flags |= linux.SA_ONSTACK
	h := r
	if errno := f.Push(m, &h); errno != 0 || h.RSP < 0x7000_1000 || h.RSP > 0x7000_3000 {
		t.Errorf("%v, frame at %#x", errno, h.RSP)
	}
	f.Alt.Size = 512
	h = r
	if errno := f.Push(m, &h); errno != linux.EFAULT || h != r {
		t.Errorf("a frame that does not fit: %v", errno)
	}
}

func TestFrameNeedsARestorerAndAStack(t *testing.T) {
	m, r, f := testFrame()
	f.Action.Flags &^= linux.SA_RESTORER
	if errno := f.Push(m, &r); errno != linux.EFAULT {
		t.Error(errno)
	}
	m, r, f = testFrame()
	r.RSP = 64 // wraps around
	if errno := f.Push(m, &r); errno != linux.EFAULT {
		t.Error(errno)
	}
}

func TestHostileFrames(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(m *stack, uc, fp []byte)
		errno  linux.Errno
		check  func(r *linux.Regs, ret Return) bool
	}{
		{"blocks SIGKILL", func(_ *stack, uc, _ []byte) { le.PutUint64(uc[ucMask:], ^uint64(0)) }, 0,
			func(_ *linux.Regs, ret Return) bool { return ret.Mask&Unblockable == 0 }},
		{"system flags", func(_ *stack, uc, _ []byte) { le.PutUint64(uc[ucContext+17*8:], ^uint64(0)) }, 0,
			func(r *linux.Regs, _ Return) bool { return r.Eflags&^fixFlags == 0x246&^fixFlags }},
		{"segments", func(_ *stack, uc, _ []byte) { le.PutUint64(uc[ucContext+144:], 0) }, 0,
			func(r *linux.Regs, _ Return) bool { return r.CS == userCS && r.SS == userSS }},
		{"no FPU state", func(_ *stack, uc, _ []byte) { le.PutUint64(uc[ucContext+184:], 0) }, 0,
			func(_ *linux.Regs, ret Return) bool { return ret.FP == nil }},
		{"FPU state elsewhere", func(_ *stack, uc, _ []byte) { le.PutUint64(uc[ucContext+184:], 16) }, linux.EFAULT, nil},
		{"no first mark", func(_ *stack, _, fp []byte) { le.PutUint32(fp[fxSWOff:], 1) }, 0,
			func(_ *linux.Regs, ret Return) bool {
				return len(ret.FP) == fpSize && le.Uint64(ret.FP[xstateBV:]) == 3
			}},
		{"no second mark", func(_ *stack, _, fp []byte) { le.PutUint32(fp[fpSize:], 1) }, 0,
			func(_ *linux.Regs, ret Return) bool { return le.Uint64(ret.FP[xstateBV:]) == 3 }},
		{"size beyond the platform's", func(_ *stack, _, fp []byte) { le.PutUint32(fp[fxSWOff+16:], 1<<30) }, 0,
			func(_ *linux.Regs, ret Return) bool { return len(ret.FP) == fpSize }},
		{"reserved header", func(_ *stack, _, fp []byte) { le.PutUint64(fp[xstateBV+8:], ^uint64(0)) }, 0,
			func(_ *linux.Regs, ret Return) bool { return le.Uint64(ret.FP[xstateBV+8:]) == 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, r, f := testFrame()
			if errno := f.Push(m, &r); errno != 0 {
				t.Fatal(errno)
			}
			uc := m.at(r.RSP+offUC, ucSize)
			fp := m.at(le.Uint64(uc[ucContext+184:]), fpSize+4)
			tt.change(m, uc, fp)
			r.RSP += 8
			r.Eflags = 0x246
			before := r
			ret, errno := Pop(m, &r, fpSize)
			if errno != tt.errno {
				t.Fatal(errno)
			}
			if errno != 0 {
				if r != before {
					t.Error("registers changed nevertheless")
				}
			} else if !tt.check(&r, ret) {
				t.Errorf("%+v %+v", r, ret)
			}
		})
	}
}
