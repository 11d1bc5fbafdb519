package ptrace

import "hornwork/linux"

// Just enough of x86-64's instruction encoding to tell whether a memory operand is written.

// Opcode tables.
const (
	tableOne  = iota // one byte
	table0F          // 0F xx, VEX and EVEX map 1
	table0F38        // map 2
	table0F3A        // map 3
)

// insn is a parsed instruction, up to its ModRM byte.
type insn struct {
	ok     bool
	table  uint8
	op     byte
	prefix byte // 0, 0x66, 0xf2 or 0xf3, whichever selects the operation
	vector bool // VEX or EVEX
	reg    byte // of ModRM, without REX; 0 if there is none
	mem    bool // ModRM names memory
}

// parseInsn parses b, which may end anywhere.
func parseInsn(b []byte) (in insn) {
	i := 0
	for ; i < len(b) && isLegacyPrefix(b[i]); i++ {
		switch b[i] {
		case 0xf2, 0xf3:
			in.prefix = b[i]
		case 0x66:
			if in.prefix == 0 {
				in.prefix = 0x66
			}
		}
	}
	if i < len(b) && b[i]&0xf0 == 0x40 { // REX
		i++
	}
	b = b[i:]
	switch {
	case len(b) == 0:
		return in
	case b[0] == 0xc5 && len(b) > 2:
		in.vectorPrefix(1, b[1])
		b = b[2:]
	case b[0] == 0xc4 && len(b) > 3:
		in.vectorPrefix(b[1]&0x1f, b[2])
		b = b[3:]
	case b[0] == 0x62 && len(b) > 4:
		in.vectorPrefix(b[1]&7, b[2])
		b = b[4:]
	case b[0] == 0x0f && len(b) > 2 && b[1] == 0x38:
		in.table = table0F38
		b = b[2:]
	case b[0] == 0x0f && len(b) > 2 && b[1] == 0x3a:
		in.table = table0F3A
		b = b[2:]
	case b[0] == 0x0f && len(b) > 1:
		in.table = table0F
		b = b[1:]
	}
	in.op, in.ok = b[0], true
	if len(b) > 1 {
		in.reg, in.mem = b[1]>>3&7, b[1]>>6 != 3
	}
	return in
}

func isLegacyPrefix(c byte) bool {
	switch c {
	case 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65:
		return true
	}
	return false
}

// vectorPrefix takes the opcode map and the byte whose low bits stand for a prefix.
func (in *insn) vectorPrefix(opmap, pp byte) {
	in.vector = true
	in.prefix = [4]byte{0, 0x66, 0xf3, 0xf2}[pp&3]
	in.table = table0F
	if opmap == 2 || opmap == 3 {
		in.table = opmap
	}
}

// writes says whether the instruction writes at addr, given that it touched memory there.
func (in *insn) writes(regs *linux.Regs, addr uint64) bool {
	switch in.table {
	case tableOne:
		return in.writesOne(regs, addr)
	case table0F:
		return in.writes0F()
	case table0F38:
		return in.writes0F38()
	}
	switch in.op { // 0F 3A: the extracts
	case 0x14, 0x15, 0x16, 0x17, 0x19, 0x1b, 0x1d, 0x39, 0x3b:
		return true
	}
	return false
}

// near says whether addr lies in what a push below RSP, or an element at p, may span.
func near(addr, p uint64) bool { return addr-p < 8 }

func pushes(regs *linux.Regs, addr uint64) bool { return addr < regs.RSP && regs.RSP-addr <= 256 }

func (in *insn) writesOne(regs *linux.Regs, addr uint64) bool {
	op, reg := in.op, in.reg
	switch {
	case op < 0x38 && op&7 < 2: // add or adc sbb and sub xor, r/m ← r
		return true
	case op >= 0x50 && op <= 0x57, op == 0x68, op == 0x6a, op == 0x9c, op == 0xe8, op == 0xc8: // push, call, enter
		return true
	case op >= 0xc0 && op <= 0xc1, op >= 0xd0 && op <= 0xd3: // shifts
		return true
	}
	switch op {
	case 0x80, 0x81, 0x83:
		return reg != 7 // cmp only reads
	case 0x86, 0x87, 0x88, 0x89, 0x8c, 0xc6, 0xc7, 0xa2, 0xa3, 0xaa, 0xab, 0x6c, 0x6d:
		return true
	case 0x8f: // pop m: reads the stack, writes m
		return !near(addr, regs.RSP)
	case 0xa4, 0xa5: // movs
		return near(addr, regs.RDI) && !near(addr, regs.RSI)
	case 0xf6, 0xf7: // not, neg
		return reg == 2 || reg == 3
	case 0xfe:
		return true // inc, dec
	case 0xff:
		switch reg {
		case 0, 1:
			return true
		case 2, 3, 6: // call, push: read the operand, write the stack
			return !in.mem || pushes(regs, addr)
		}
	case 0xd9:
		return reg == 2 || reg == 3 || reg == 6 || reg == 7
	case 0xdb:
		return reg == 1 || reg == 2 || reg == 3 || reg == 7
	case 0xdd:
		return reg == 1 || reg == 2 || reg == 3 || reg == 6 || reg == 7
	case 0xdf:
		return reg == 1 || reg == 2 || reg == 3 || reg == 6 || reg == 7
	}
	return false
}

func (in *insn) writes0F() bool {
	op, reg := in.op, in.reg
	switch op {
	case 0x00:
		return reg < 2 // sldt, str
	case 0x01:
		return reg < 2 || reg == 4 // sgdt, sidt, smsw
	case 0x11, 0x13, 0x17, 0x29, 0x2b, 0x7f, 0xd6, 0xe7, 0xf7, 0xc3, 0xab, 0xb3, 0xbb, 0xb0, 0xb1, 0xc0, 0xc1,
		0xa4, 0xa5, 0xac, 0xad:
		return true
	case 0x7e:
		return in.prefix != 0xf3 // movd stores, movq xmm loads
	case 0xa0, 0xa8: // push fs, push gs
		return true
	case 0x91: // setno, or kmov to memory
		return true
	case 0xae: // fxsave, stmxcsr, xsave, xsaveopt
		return reg == 0 || reg == 3 || reg == 4 || reg == 6
	case 0xba:
		return reg >= 5
	case 0xc7: // cmpxchg8b/16b, xsavec, xsaves
		return reg == 1 || reg == 4 || reg == 5
	case 0x78, 0x79, 0x7a, 0x7b:
		return false
	}
	return op >= 0x90 && op <= 0x9f && !in.vector // setcc
}

func (in *insn) writes0F38() bool {
	switch op := in.op; {
	case op == 0xf1: // movbe, unless it is crc32
		return in.prefix != 0xf2
	case op == 0xf6 || op == 0xf5: // wrss, wruss; adcx, adox and VEX's mulx only read
		return !in.vector && (op == 0xf6 && in.prefix == 0 || op == 0xf5 && in.prefix == 0x66)
	case op == 0xf9:
		return true // movdiri
	case in.vector && (op == 0x2e || op == 0x2f || op == 0x8e || op == 0x8a || op == 0x8b || op == 0x63):
		return true // masked moves, compresses
	case in.vector && op >= 0xa0 && op <= 0xa3:
		return true // scatters
	case in.vector && in.prefix == 0xf3 && (op&0xf0 == 0x10 || op&0xf0 == 0x20 || op&0xf0 == 0x30) && op&0xf < 6:
		return true // vpmov to narrower elements
	}
	return false
}
