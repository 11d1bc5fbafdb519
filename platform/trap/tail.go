package trap

import (
	"encoding/binary"

	"hornwork/linux"
)

// Sites with only xor eax, eax before the syscall instruction, as in every libc's read(2). A jump has 5 bytes, and only 4
// are to be had: its last displacement byte is the one behind the syscall instruction, which stays what it is. So the
// trampoline lies in a certain span of 16 MiB, some 1.1 GiB further where a cmp rax follows. As in overlay.go, the byte
// over the old 0f must raise #UD; here it is the displacement's second, which chooses the trampoline's slot.
const (
	xorSize  = 2
	tailSize = xorSize + 2 + 1
	tailSpan = 1 << 24
)

// xorFlags are the flags that xor eax, eax defines, and xorResult how it leaves them.
const (
	flagPF, flagZF = 1 << 2, 1 << 6

	xorFlags  = 1 | flagPF | flagZF | 1<<7 | 1<<11
	xorResult = flagPF | flagZF
)

// tryTail patches a site with xor eax, eax, which is believed if the number and the flags are as it leaves them.
func (s *Space) tryTail(t *Thread, call uint64, regs *linux.Regs) bool {
	var b [1 + tailSize]byte // from the byte before the xor
	start := call - xorSize
	if regs.OrigRAX != 0 || start%pageSize+tailSize > pageSize || s.text.ReadText(start-1, b[:]) != 0 {
		return false
	}
	old := b[1:]
	if old[0] != 0x31 && old[0] != 0x33 || old[1] != 0xc0 || old[2] != 0x0f || old[3] != 0x05 || wouldPrefixXor(b[0]) {
		return false
	}
	lo := start + tailSize + uint64(int64(int8(old[4])))<<24
	if lo < userLo || lo > userHi-tailSpan {
		return false
	}
	if t.force(-int64(linux.ENOSYS)) != 0 || t.cur.Eflags&xorFlags != xorResult {
		return false
	}
	r := s.tailRegion(lo)
	if r == nil {
		return false
	}
	at := r.take(site{start: start, call: call, moved: xorSize}, old[:xorSize])
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(at-(start+tailSize)))
	return s.overwriteCall(call, start, old, jump)
}

// wouldPrefixXor tells whether the byte before could make another instruction of an xor eax, eax.
func wouldPrefixXor(b byte) bool { return b&0xf0 == 0x40 || b == 0x66 || b == 0x0f }

// suitsTail tells whether a jump whose displacement counts from lo, less its top byte, leaves an invalid opcode.
func suitsTail(lo, at uint64) bool { return at-lo < tailSpan && invalidOpcode(byte((at-lo)>>8)) }

// tailRegion returns a region whose next trampoline is one for the span at lo.
func (s *Space) tailRegion(lo uint64) *region {
	if p := s.regions.Load(); p != nil {
		for _, r := range *p {
			if !r.dead.Load() && r.skipTo(lo) {
				return r
			}
		}
	}
	// FindGap looks downward first.
	at, errno := s.text.FindGap(lo+tailSpan, unitSize)
	if errno != 0 || at-lo >= tailSpan {
		return nil
	}
	r := s.mapRegion(at)
	if r == nil || !r.skipTo(lo) {
		return nil
	}
	return r
}

// skipTo gives up slots until the next suits the span at lo; none, if no later one does.
func (r *region) skipTo(lo uint64) bool {
	for slot := r.used; slot < regionSlots; slot++ {
		if suitsTail(lo, r.slotAddr(slot)) {
			r.used = slot
			return true
		}
	}
	return false
}
