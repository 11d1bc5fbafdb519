package trap

import (
	"testing"

	"hornwork/linux"
	"hornwork/platform"
)

// readLoop is code that makes r14 calls with before in front of the syscall instruction, adds up the results in r12, sets
// r13 to the flags after the last call, and then calls 39.
func readLoop(g *guest, before []byte) uint64 {
	body := append(append([]byte{}, before...), insSyscall...)
	body = append(body, 0x48, 0x89, 0xc3, 0x9c, 0x41, 0x5d) // mov rbx, rax; pushf; pop r13
	body = append(body, 0x49, 0x01, 0xdc, 0x49, 0xff, 0xce) // add r12, rbx; dec r14
	body = append(body, 0x75, byte(-(len(body) + 2)))
	return g.put([]byte{0x90}, body, movEAX(39), insSyscall) + 1
}

func TestReadIsPatched(t *testing.T) {
	const n = 2000
	tests := []struct {
		name   string
		before []byte
		want   int
	}{
		{"xor eax, eax", []byte{0x31, 0xc0}, 1},
		{"the other encoding", []byte{0x33, 0xc0}, 1},
		{"xor r8d, r8d", []byte{0x31, 0xc0, 0x45, 0x31, 0xc0}, 0},
		{"flags not those of the xor", []byte{0x29, 0xc0, 0xf9, 0xeb, 0x02, 0x31, 0xc0}, 0}, // sub eax, eax; stc; jmp over it
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t)
			f := patchable(g)
			code := readLoop(g, c.before)
			th, regs := g.thread(), startRegs(code)
			regs.R14, regs.RDI, regs.RSI = n, 3, dataAddr
			how := platform.ResumeFull
			requests := 0
			for i := uint64(1); i <= n; i++ {
				ev := th.Switch(regs, how)
				how = platform.ResumeResult
				g.wantSyscall(ev, regs, 0)
				if regs.RDI != 3 || regs.RSI != dataAddr || regs.RIP != code+uint64(len(c.before))+2 {
					t.Fatalf("call %d: registers %+v", i, regs)
				}
				if !ev.Partial {
					requests++
				}
				regs.RAX = i
			}
			g.wantSyscall(th.Switch(regs, how), regs, 39)
			th.Complete(regs)
			if regs.R12 != n*(n+1)/2 {
				t.Errorf("sum %d", regs.R12)
			}
			if c.want == 1 && regs.R13&xorFlags != xorResult {
				t.Errorf("flags %#x", regs.R13)
			}
			if f.patches != c.want {
				t.Errorf("%d patches, want %d", f.patches, c.want)
			}
			if c.want == 1 && requests < n-hotTraps {
				t.Errorf("%d of %d calls came through the patch", requests, n)
			}
		})
	}
}

func TestJumpToOverwrittenRead(t *testing.T) {
	g := newGuest(t)
	patchable(g)
	code := readLoop(g, []byte{0x31, 0xc0})
	th, regs := g.thread(), startRegs(code)
	regs.R14 = 1 << 40
	g.wantSyscall(th.Switch(regs, platform.ResumeFull), regs, 0)
	for range 2 * hotTraps {
		regs.RAX = 1
		g.wantSyscall(th.Switch(regs, platform.ResumeResult), regs, 0)
	}
	// To the syscall instruction with another number, as a restart or a jump table would.
	call := code + xorSize
	regs.RIP, regs.RAX, regs.RDI, regs.Eflags = call, 777, 5, 0x202
	ev := th.Switch(regs, platform.ResumeFull)
	g.wantSyscall(ev, regs, 777)
	if regs.RIP != call+2 || regs.RCX != call+2 || regs.RDI != 5 || regs.RAX != negative(linux.ENOSYS) {
		t.Errorf("registers %+v", regs)
	}
	regs.RAX = 1
	g.wantSyscall(th.Switch(regs, platform.ResumeResult), regs, 0)
}

func TestTailSlotsRaiseUD(t *testing.T) {
	for _, top := range []int8{0x48, 0x3d, 1, -1, -0x70} {
		for start := uint64(0x7f00_0000_0000); start < 0x7f00_0000_1000; start += 97 {
			lo := start + tailSize + uint64(int64(top))<<24
			r := &region{addr: (lo + tailSpan - unitSize) &^ (pageSize - 1), used: 1}
			n := 0
			for ; r.skipTo(lo); r.used++ {
				disp := uint32(r.slotAddr(r.used) - (start + tailSize))
				if int8(disp>>24) != top || !invalidOpcode(byte(disp>>8)) {
					t.Fatalf("displacement %#x", disp)
				}
				n++
			}
			if n == 0 {
				t.Fatalf("no slot for %#x with %#x", start, top)
			}
		}
	}
}
