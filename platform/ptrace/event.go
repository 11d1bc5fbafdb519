package ptrace

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/platform"
)

// Exceptions of the CPU, as sigcontext.trapno names them.
const (
	trapDE = 0
	trapDB = 1
	trapBP = 3
	trapUD = 6
	trapSS = 12
	trapGP = 13
	trapPF = 14
	trapMF = 16
	trapAC = 17
	trapXF = 19
)

// decode turns a stop into an event. It returns false for stops that mean nothing to the guest.
func (t *thread) decode(st uint32, regs *linux.Regs) (platform.Event, bool) {
	gone := platform.Event{Kind: platform.EventGone}
	sig := stopSignal(st)
	if st>>16 != 0 { // a group stop, or an interrupt of ptrace: swallowed
		return gone, false
	}
	if sig == linux.SIGTRAP|0x80 {
		return t.syscallStop(regs)
	}
	switch sig {
	case linux.SIGSEGV, linux.SIGBUS, linux.SIGILL, linux.SIGFPE, linux.SIGTRAP, linux.SIGSYS:
		if getSiginfo(t.tid, &t.info) != 0 || getRegs(t.tid, regs) != 0 {
			return gone, true
		}
		if t.info.Code <= 0 { // sent by somebody on the host
			return gone, false
		}
		return t.exception(regs), true
	case kick:
		if t.pending.Swap(0) == 0 {
			return gone, false
		}
		if getRegs(t.tid, regs) != 0 {
			return gone, true
		}
		return platform.Event{Kind: platform.EventInterrupted}, true
	}
	return gone, false
}

// syscallStop is a system call of the guest that the host did not make.
func (t *thread) syscallStop(regs *linux.Regs) (platform.Event, bool) {
	arch, errno := syscallArch(t.tid)
	if errno != 0 || getRegs(t.tid, regs) != 0 {
		return platform.Event{Kind: platform.EventGone}, true
	}
	if arch == auditArchX86_64 {
		return platform.Event{Kind: platform.EventSyscall}, true
	}
	// int 0x80, or a 32-bit syscall or sysenter. There is no 32-bit ABI here: this is what a kernel without
	// one does, a general protection fault of gate 0x80. Both instructions are 2 bytes long.
	regs.RIP -= 2
	regs.RAX = regs.OrigRAX
	regs.OrigRAX = ^uint64(0)
	return platform.Event{Kind: platform.EventTrap, Signo: linux.SIGSEGV, Code: linux.SI_KERNEL, TrapNo: trapGP,
		Err: 0x80<<3 | 2}, true
}

// exception makes an event of the siginfo in t.info, which the host made for an exception.
func (t *thread) exception(regs *linux.Regs) platform.Event {
	si := &t.info
	addr := binary.LittleEndian.Uint64(si.Fields[:8])
	ev := platform.Event{Kind: platform.EventTrap, Signo: si.Signo, Code: si.Code, Addr: addr}
	switch si.Signo {
	case linux.SIGSEGV:
		if si.Code == linux.SI_KERNEL {
			ev.TrapNo = trapGP
			return ev
		}
		ev.Kind, ev.TrapNo = platform.EventFault, trapPF
		ev.Access = t.access(regs, addr, si.Code == linux.SEGV_MAPERR)
		ev.Err = faultError(ev.Access, si.Code)
	case linux.SIGBUS:
		switch si.Code {
		case linux.BUS_ADRALN:
			ev.TrapNo = trapAC
		case linux.SI_KERNEL:
			ev.TrapNo = trapSS
		default:
			ev.TrapNo = trapPF
			ev.Access = t.access(regs, addr, true)
			ev.Err = faultError(ev.Access, linux.SEGV_MAPERR)
		}
	case linux.SIGILL:
		ev.TrapNo = trapUD
	case linux.SIGFPE:
		ev.TrapNo = t.fpeTrap(regs, si.Code)
	case linux.SIGTRAP:
		ev.TrapNo = trapDB
		if si.Code == linux.SI_KERNEL {
			ev.TrapNo = trapBP
		}
	case linux.SIGSYS:
		// The guest called into the host's vsyscall page; the host has emulated the return already. The
		// sentry gets what it gets where that page does not exist: a fault at the address called.
		regs.RSP -= 8
		regs.RIP = addr
		regs.OrigRAX = ^uint64(0)
		return platform.Event{Kind: platform.EventFault, Access: linux.PROT_EXEC, Signo: linux.SIGSEGV,
			Code: linux.SEGV_MAPERR, Addr: addr, TrapNo: trapPF, Err: faultError(linux.PROT_EXEC, linux.SEGV_MAPERR)}
	}
	return ev
}

// faultError rebuilds the page fault's error code.
func faultError(access platform.Prot, code int32) int32 {
	err := int32(4) // from user mode
	if code != linux.SEGV_MAPERR {
		err |= 1
	}
	switch access {
	case linux.PROT_WRITE:
		err |= 2
	case linux.PROT_EXEC:
		err |= 0x10
	}
	return err
}

// fpeTrap tells which exception made SIGFPE.
func (t *thread) fpeTrap(regs *linux.Regs, code int32) int32 {
	if code == linux.FPE_INTDIV || code == linux.FPE_INTOVF {
		return trapDE
	}
	var b [15]byte
	n := readRemote(t.s.pid, regs.RIP, b[:])
	in := parseInsn(b[:n])
	if in.ok && in.table == 0 { // D8-DF and FWAIT; all of SSE and AVX is in the other tables
		return trapMF
	}
	return trapXF
}
