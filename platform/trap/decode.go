package trap

import (
	"bytes"
	"encoding/binary"

	"hornwork/linux"
)

// decodeBefore returns the length of the instruction that ends at the end of b, which is the text before a syscall
// instruction that was just executed with regs; 0 if it is not known well enough, or is not fit to run elsewhere.
//
// The bytes could be the end of another instruction. So a load of a constant is believed when the register has
// that constant, and when the byte before it is no REX prefix (which would make it another register's, or longer). What
// remains is an instruction with exactly this tail, whose operands happen to be a register's value: no compiler
// makes that, and a guest that does harms itself.
func decodeBefore(b []byte, regs *linux.Regs) int {
	n := len(b)
	imm := uint64(binary.LittleEndian.Uint32(b[n-4:]))
	rex := func(at int) bool { return b[at]&0xf0 == 0x40 }
	if b[n-7] == 0x48 && b[n-6] == 0xc7 && b[n-5] == 0xc0 && !rex(n-8) {
		if uint64(int64(int32(imm))) == regs.OrigRAX { // mov rax, imm32
			return 7
		}
		return 0
	}
	if b[n-6] == 0x41 && !rex(n-7) {
		switch b[n-5] {
		case 0xb8:
			return when(regs.R8 == imm, 6)
		case 0xb9:
			return when(regs.R9 == imm, 6)
		case 0xba:
			return when(regs.R10 == imm, 6)
		}
	}
	if bytes.Equal(b[n-5:], []byte{0x4c, 0x8b, 0x4c, 0x24, 0x08}) {
		return 5 // mov r9, [rsp+8]: the generic syscall() of glibc
	}
	if rex(n - 6) {
		return 0
	}
	switch b[n-5] {
	case 0xb8:
		return when(uint64(uint32(regs.OrigRAX)) == imm, 5)
	case 0xba:
		return when(regs.RDX == imm, 5)
	case 0xbe:
		return when(regs.RSI == imm, 5)
	case 0xbf:
		return when(regs.RDI == imm, 5)
	}
	return 0
}

func when(ok bool, n int) int {
	if ok {
		return n
	}
	return 0
}
