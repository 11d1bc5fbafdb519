package ptrace

import (
	"hornwork/linux"
	"hornwork/platform"
)

// access finds what a page fault at addr tried, which ptrace does not tell, from the instruction.
// It returns 0 if the instruction cannot be read: then mm takes what the VMA allows, write first.
func (t *thread) access(regs *linux.Regs, addr uint64, unmapped bool) platform.Prot {
	var b [15]byte
	n := readRemote(t.s.pid, regs.RIP, b[:])
	// A fetch faults at RIP, or at the start of the next page for an instruction across the border.
	if addr == regs.RIP || addr > regs.RIP && addr-regs.RIP < 15 && addr%pageSize == 0 {
		if n == 0 || addr != regs.RIP && n <= int(addr-regs.RIP) || !unmapped {
			// Code that writes to its own first byte looks the same. If it comes again, mm has resolved the
			// fetch in vain.
			again := t.fetchFault == addr
			t.fetchFault = addr
			if !again {
				return linux.PROT_EXEC
			}
			t.fetchFault = 0
			return linux.PROT_WRITE
		}
	}
	if regs.CS != userCS {
		return 0
	}
	in := parseInsn(b[:n])
	if !in.ok {
		return 0
	}
	if in.writes(regs, addr) {
		return linux.PROT_WRITE
	}
	return linux.PROT_READ
}
