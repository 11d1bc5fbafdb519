package trap

import (
	"bytes"
	"testing"
	"time"
	"unsafe"

	"hornwork/linux"
	"hornwork/platform"
)

// next returns a guest in the recycled stub of g, or in another one if the stub was ended.
func (g *guest) next() (n *guest, same bool) {
	pid := g.as.pid
	g.as.Release()
	deadline := time.Now().Add(5 * time.Second)
	for {
		g.p.mu.Lock()
		ready, alive := len(g.p.pool) != 0, len(g.p.alive)
		g.p.mu.Unlock()
		if ready || alive == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	n = guestOn(g.t, g.p, g.fd, g.mem)
	return n, n.as.pid == pid
}

func TestStubIsRecycledClean(t *testing.T) {
	wrgs := []byte{0xf3, 0x48, 0x0f, 0xae, 0xd8} // wrgsbase rax
	tests := []struct {
		name string
		code func(g *guest) uint64
		end  func(g *guest, th *Thread, regs *linux.Regs)
		same bool
	}{
		{"after a call", func(g *guest) uint64 { return g.put(movEAX(39), insSyscall) }, nil, true},
		{"after a fault", func(g *guest) uint64 { return g.put(insUD2) }, nil, true},
		{"after a patched call", func(g *guest) uint64 { return 0 }, nil, true},
		{"GS base changed", func(g *guest) uint64 { return g.put(movReg(0, 0x1234000), wrgs, movEAX(39), insSyscall) }, nil, true},
		{"GS base in the kernel's half", func(g *guest) uint64 {
			return g.put(movReg(0, 0xffff_8000_0000_0000), wrgs, movEAX(39), insSyscall)
		}, nil, true},
		{"selectors changed", func(g *guest) uint64 {
			return g.put([]byte{0xb8, 0x2b, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8}, movEAX(39), insSyscall)
		}, nil, true},
		{"stack pointer at the end of the signal stack", func(g *guest) uint64 {
			return g.put(movReg(4, threadsBase+2*pageSize+64), movEAX(39), insSyscall)
		}, nil, true},
		{"context scribbled over", func(g *guest) uint64 {
			return g.put(movReg(7, threadsBase+pageSize), movReg(1, 7*pageSize), []byte{0xb0, 0xaa, 0xf3, 0xaa}, movEAX(39), insSyscall)
		}, nil, true},
		{"interrupt pending", func(g *guest) uint64 { return g.put(movEAX(39), insSyscall) }, func(g *guest, th *Thread, regs *linux.Regs) {
			th.signal()
			th.Interrupt()
		}, true},
		{"dead", func(g *guest) uint64 { return g.put(movEAX(39), insSyscall) }, func(g *guest, th *Thread, regs *linux.Regs) {
			g.as.kill()
		}, false},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t)
			var th *Thread
			var regs *linux.Regs
			if code := c.code(g); code != 0 {
				var ev platform.Event
				th, regs, ev = g.start(code)
				if ev.Kind == platform.EventGone {
					t.Fatal("gone")
				}
			} else {
				th, regs = patched(t, g, movEAX(110))
			}
			if c.end != nil {
				c.end(g, th, regs)
			}
			copy(unsafe.Slice((*byte)(unsafe.Pointer(th.req)), pageSize)[300:], "a secret of the first guest")
			th.Release()
			old := g.as
			n, same := g.next()
			if same != c.same {
				t.Errorf("the same stub: %v, want %v", same, c.same)
			}
			if errno := old.Apply([]platform.MapOp{{Kind: platform.OpUnmap, Addr: codeAddr, Len: 4096}}); errno == 0 {
				t.Error("the old address space still works")
			}
			fresh := n.thread()
			if bytes.Contains(unsafe.Slice((*byte)(unsafe.Pointer(fresh.req)), unitSize-pageSize), []byte("secret")) {
				t.Error("the context was not cleared")
			}
			// Patched calls use GS; selectors as in a new process.
			show := n.put([]byte{0x8c, 0xd9, 0x8c, 0xc2, 0x8c, 0xe6, 0x8c, 0xef}, movEAX(39), insSyscall) // mov ecx,ds; edx,es; esi,fs; edi,gs
			r := startRegs(show)
			n.wantSyscall(fresh.Switch(r, platform.ResumeFull), r, 39)
			if r.RDX != 0 || r.RSI != 0 || r.RDI != 0 {
				t.Errorf("selectors %#x %#x %#x", r.RDX, r.RSI, r.RDI)
			}
			fresh.Release()
			th2, r2 := patched(t, n, movEAX(110))
			r2.RAX = 1
			n.wantSyscall(th2.Switch(r2, platform.ResumeResult), r2, 110)
			th2.Release()
			n.as.Release()
		})
	}
}
