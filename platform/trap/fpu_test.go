package trap

import (
	"bytes"
	"testing"

	"hornwork/linux"
	"hornwork/platform"
)

// Loads all of xmm/ymm/zmm that the CPU has from [rbx], makes a call, stores them to [rcx].
func vectorCode(g *guest, middle ...[]byte) uint64 {
	var load, store []byte
	avx512 := g.p.fp.features&(1<<6) != 0
	for r := range 16 {
		if avx512 { // vmovdqu64 zmm_r, [rbx+64*r]; disp8 is scaled by 64
			load = append(load, 0x62, 0, 0xfe, 0x48, 0x6f, 0x43|byte(r&7)<<3, byte(r))
			store = append(store, 0x62, 0, 0xfe, 0x48, 0x7f, 0x43|byte(r&7)<<3, byte(r))
			p0 := byte(0xf1)
			if r >= 8 {
				p0 = 0x71
			}
			load[len(load)-6], store[len(store)-6] = p0, p0
			continue
		}
		rex := byte(0x40)
		if r >= 8 {
			rex = 0x44
		}
		load = append(append(load, 0xf3, rex, 0x0f, 0x6f, 0x83|byte(r&7)<<3), le.AppendUint32(nil, uint32(64*r))...)
		store = append(append(store, 0xf3, rex, 0x0f, 0x7f, 0x83|byte(r&7)<<3), le.AppendUint32(nil, uint32(64*r))...)
	}
	parts := [][]byte{movReg(3, dataAddr), load}
	parts = append(parts, middle...)
	parts = append(parts, movReg(3, dataAddr+0x1000), store, movEAX(60000), insSyscall)
	return g.put(parts...)
}

func fillVectors(g *guest) {
	for i := range 1024 {
		g.data(0)[i] = byte(i*7 + i>>8 + 1)
	}
}

func (g *guest) checkVectors(name string) {
	g.t.Helper()
	width := 64
	if g.p.fp.features&(1<<6) == 0 {
		width = 16
	}
	for r := range 16 {
		if a, b := g.data(64 * r)[:width], g.data(0x1000 + 64*r)[:width]; !bytes.Equal(a, b) {
			g.t.Errorf("%s: vector register %d: %x, want %x", name, r, b, a)
		}
	}
}

// TestVectorsSurvive everything that stops a thread.
func TestVectorsSurvive(t *testing.T) {
	g := newGuest(t)
	fillVectors(g)
	tests := []struct {
		name   string
		middle []byte
		do     func(th *Thread, regs *linux.Regs) platform.Resume
	}{
		{"call", append(movEAX(39), insSyscall...), nil},
		{"call, completed", append(movEAX(39), insSyscall...), func(th *Thread, regs *linux.Regs) platform.Resume {
			th.Complete(regs)
			return platform.ResumeFull
		}},
		{"call with a frame", append(movEAX(56), insSyscall...), nil},
		{"fault", []byte{0xc6, 0x04, 0x25, 0, 0, 0, 0x10, 1}, func(th *Thread, regs *linux.Regs) platform.Resume {
			regs.RIP += 8
			return platform.ResumeFull
		}},
		{"interrupt", append(movEAX(39), insSyscall...), func(th *Thread, regs *linux.Regs) platform.Resume {
			th.Interrupt()
			if ev := th.Switch(regs, platform.ResumeResult); ev.Kind != platform.EventInterrupted {
				t.Errorf("event %+v", ev)
			}
			return platform.ResumeResult
		}},
		{"read and write", append(movEAX(39), insSyscall...), func(th *Thread, regs *linux.Regs) platform.Resume {
			img, errno := th.FPState()
			if errno != 0 {
				t.Fatal(errno)
			}
			img = bytes.Clone(img)
			if errno := th.SetFPState(nil); errno != 0 {
				t.Fatal(errno)
			}
			if errno := th.SetFPState(img); errno != 0 {
				t.Fatal(errno)
			}
			return platform.ResumeResult
		}},
		{"to another thread", append(movEAX(39), insSyscall...), nil},
	}
	for _, c := range tests {
		clear(g.data(0x1000)[:1024])
		code := vectorCode(g, c.middle)
		th, regs, ev := g.start(code)
		if ev.Kind != platform.EventSyscall && ev.Kind != platform.EventFault {
			t.Fatalf("%s: event %+v", c.name, ev)
		}
		how := platform.ResumeResult
		if c.do != nil {
			how = c.do(th, regs)
		}
		if c.name == "to another thread" {
			th2 := g.thread()
			img, errno := th.FPState()
			if errno != 0 {
				t.Fatal(errno)
			}
			th2.SetFPState(img)
			th.Complete(regs)
			th.Release()
			th, how = th2, platform.ResumeFull
		}
		ev = th.Switch(regs, how)
		g.wantSyscall(ev, regs, 60000)
		g.checkVectors(c.name)
		th.Release()
	}
}

func TestInitialFPState(t *testing.T) {
	g := newGuest(t)
	// fnstcw [rbx]; stmxcsr [rbx+8]
	code := g.put(movReg(3, dataAddr), []byte{0xd9, 0x3b, 0x0f, 0xae, 0x5b, 0x08}, movEAX(39), insSyscall)
	_, regs, ev := g.start(code)
	g.wantSyscall(ev, regs, 39)
	if cw, mx := le.Uint16(g.data(0)), le.Uint32(g.data(8)); cw != 0x37f || mx != 0x1f80 {
		t.Errorf("control word %#x, MXCSR %#x", cw, mx)
	}
}

// TestHostileFPImages must not break the thread: reserved bits are masked.
func TestHostileFPImages(t *testing.T) {
	g := newGuest(t)
	code := g.put(movEAX(39), insSyscall, []byte{0xeb, 0xf7})
	th, regs, ev := g.start(code)
	for i := range 40 {
		g.wantSyscall(ev, regs, 39)
		img := bytes.Repeat([]byte{byte(0xff - i*13)}, g.p.FPSize())
		if errno := th.SetFPState(img); errno != 0 {
			t.Fatal(errno)
		}
		ev = th.Switch(regs, platform.ResumeResult)
	}
	if errno := th.SetFPState(make([]byte, 100)); errno != linux.EINVAL {
		t.Errorf("short image: %v", errno)
	}
}
