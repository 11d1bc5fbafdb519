package trap

import (
	"testing"

	"hornwork/linux"
	"hornwork/platform"
)

func TestSyscallCarriesArgumentsAndResult(t *testing.T) {
	g := newGuest(t)
	code := g.put(
		movReg(7, 11), movReg(6, 12), movReg(2, 13), movReg(10, 14), movReg(8, 15), movReg(9, 16),
		movEAX(linux.SYS_GETPPID), insSyscall,
		[]byte{0x48, 0x89, 0xc7}, // mov rdi, rax
		movEAX(linux.SYS_GETPID), insSyscall)
	th, regs, ev := g.start(code)
	g.wantSyscall(ev, regs, linux.SYS_GETPPID)
	if !ev.Partial || regs.RDI != 11 || regs.RSI != 12 || regs.RDX != 13 || regs.R10 != 14 || regs.R8 != 15 || regs.R9 != 16 {
		t.Errorf("registers %+v of %+v", regs, ev)
	}
	regs.RAX = 4242
	ev = th.Switch(regs, platform.ResumeResult)
	g.wantSyscall(ev, regs, linux.SYS_GETPID)
	if regs.RDI != 4242 {
		t.Errorf("the guest saw result %d", regs.RDI)
	}
}
