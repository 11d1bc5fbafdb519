package trap

import (
	"bytes"
	"encoding/binary"

	"hornwork/linux"
)

// Sites whose preceding instruction is a 3-byte register move (mov r64, r64), as in Go's Syscall6 and much of musl: the
// jump covers the move and the syscall instruction. Its third displacement byte lies where the 0f of syscall was, and
// must be an opcode that raises #UD in 64-bit mode: then whoever jumps there, or was about to execute it, gets a
// SIGILL that the sentry turns into the system call. So the trampoline's distance is constrained: it lies in one of
// 19 windows of 64 KiB in each 16 MiB.
const (
	moveSize    = 3
	overlayGap  = 4 << 20 // holds a whole window wherever it is
	overlaySize = moveSize + 2
)

// invalidOpcodes raise #UD in 64-bit mode whatever follows.
var invalidOpcodes = [...]byte{0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xd6, 0xea}

// raisesUD tells whether a jump of the site at call to a trampoline at at leaves an invalid opcode over the syscall.
func raisesUD(call, at uint64) bool {
	return invalidOpcode(byte((at - (call + 2)) >> 16))
}

func invalidOpcode(b byte) bool { return bytes.IndexByte(invalidOpcodes[:], b) >= 0 }

// decodeMove returns the registers of a mov r64, r64.
func decodeMove(b []byte) (dst, src int, ok bool) {
	if b[0]&0xf8 != 0x48 || b[0]&2 != 0 || b[2]>>6 != 3 {
		return 0, 0, false
	}
	reg, rm := int(b[2]>>3&7|b[0]<<1&8), int(b[2]&7|b[0]<<3&8)
	switch b[1] {
	case 0x89:
		return rm, reg, true
	case 0x8b:
		return reg, rm, true
	}
	return 0, 0, false
}

const regRCX, regRSP, regR11 = 1, 4, 11

// register returns register n in the machine's numbering.
func register(r *linux.Regs, n int) uint64 {
	return [16]uint64{r.OrigRAX, r.RCX, r.RDX, r.RBX, r.RSP, r.RBP, r.RSI, r.RDI, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}[n]
}

// tryOverlay patches a site with a 3-byte move. The move is believed if the registers are equal after it, or, as the
// call itself changed rcx and r11, if it copies one of those.
func (s *Space) tryOverlay(t *Thread, call uint64, regs *linux.Regs) bool {
	var b [overlaySize]byte
	start := call - moveSize
	if start%pageSize+overlaySize > pageSize || s.text.ReadText(start, b[:]) != 0 || b[3] != 0x0f || b[4] != 0x05 {
		return false
	}
	dst, src, ok := decodeMove(b[:])
	if !ok || dst == regRSP || src == regRSP || dst == regRCX || dst == regR11 {
		return false
	}
	if src != regRCX && src != regR11 {
		if t.force(-int64(linux.ENOSYS)) != 0 {
			return false
		}
		full := linux.Regs{OrigRAX: regs.OrigRAX}
		t.cur.load(&full)
		if uint32(register(&full, dst)) != uint32(register(&full, src)) || dst != 0 && register(&full, dst) != register(&full, src) {
			return false
		}
	}
	r := s.overlayRegion(call)
	if r == nil {
		return false
	}
	at := r.take(site{start: start, call: call, moved: moveSize}, b[:moveSize])
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(at-(call+2)))
	return s.overwriteCall(call, start, b[:], jump)
}

// overwriteCall patches a site whose syscall instruction raises #UD then.
func (s *Space) overwriteCall(call, start uint64, old, jump []byte) bool {
	s.pmu.Lock()
	if s.ud == nil {
		s.ud = map[uint64]struct{}{}
	}
	s.ud[call] = struct{}{}
	s.pmu.Unlock()
	if s.text.PatchText(start, old, jump) == 0 {
		return true
	}
	s.pmu.Lock()
	delete(s.ud, call)
	s.pmu.Unlock()
	return false
}

// overlayRegion returns a region whose next trampoline suits the site at call.
func (s *Space) overlayRegion(call uint64) *region {
	if p := s.regions.Load(); p != nil {
		for _, r := range *p {
			if !r.dead.Load() && r.used < regionSlots && near(r.addr, call) && near(r.addr+unitSize, call) && raisesUD(call, r.slotAddr(r.used)) {
				return r
			}
		}
	}
	if s.gap != 0 && near(s.gap, call) && near(s.gap+overlayGap, call) {
		if r := s.regionInGap(call); r != nil {
			return r
		}
	}
	gap, errno := s.text.FindGap(call, overlayGap)
	if errno != 0 || !near(gap, call) || !near(gap+overlayGap, call) {
		return nil
	}
	s.gap = gap
	return s.regionInGap(call)
}

// regionInGap maps a region in the gap, in a window for the site at call, where no other is.
func (s *Space) regionInGap(call uint64) *region {
	var list []*region
	if p := s.regions.Load(); p != nil {
		list = *p
	}
next:
	for at := s.gap; at+unitSize <= s.gap+overlayGap; at += pageSize {
		if !raisesUD(call, at) || !raisesUD(call, at+unitSize-1) {
			continue
		}
		for _, r := range list {
			if r.addr < at+unitSize && at < r.addr+unitSize {
				continue next
			}
		}
		return s.mapRegion(at)
	}
	return nil
}
