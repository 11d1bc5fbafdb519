package trap

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/platform"
)

// fakeText is a TextMemory over a test's memory file: it swaps pages as mm does.
type fakeText struct {
	g       *guest
	mu      sync.Mutex
	pages   map[uint64]uint64 // page → offset of the patched copy
	next    uint64
	gap     uint64
	patches int
}

func (f *fakeText) page(addr uint64) []byte {
	p := addr &^ 4095
	if off, ok := f.pages[p]; ok {
		return f.g.mem[off:][:4096]
	}
	return f.g.mem[codeOff+p-codeAddr:][:4096]
}

func (f *fakeText) PatchText(addr uint64, old, b []byte) linux.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	page := bytes.Clone(f.page(addr))
	if !bytes.Equal(page[addr&4095:][:len(old)], old) {
		return linux.EAGAIN
	}
	copy(page[addr&4095:], b)
	f.next += 4096
	off := 0x300000 + f.next
	copy(f.g.mem[off:], page)
	f.pages[addr&^4095] = off
	f.patches++
	return f.g.as.Apply([]platform.MapOp{{Kind: platform.OpMap, Prot: 5, FD: int32(f.g.fd), Addr: addr &^ 4095, Len: 4096, Offset: off}})
}

func (f *fakeText) FindGap(addr, length uint64) (uint64, linux.Errno) {
	f.gap += length + 0x100000
	if addr > 1<<28 { // far from all that tests map
		return (addr - f.gap) &^ (pageSize - 1), 0
	}
	return 0x800000 + f.gap - length, 0
}

func (f *fakeText) ReadText(addr uint64, b []byte) linux.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	copy(b, f.g.mem[codeOff+addr-codeAddr:])
	return 0
}

func patchable(g *guest) *fakeText {
	f := &fakeText{g: g, pages: map[uint64]uint64{}}
	g.as.SetText(f)
	return f
}

// countCalls is code that makes r14 calls nr, adds up the results in r12, and then calls 39.
func countCalls(g *guest, before []byte) uint64 {
	body := append(append([]byte{}, before...), insSyscall...)
	body = append(body, 0x49, 0x01, 0xc4, 0x49, 0xff, 0xce) // add r12, rax; dec r14
	body = append(body, 0x75, byte(-(len(body) + 2)))
	return g.put(body, movEAX(39), insSyscall)
}

func TestPatchedSites(t *testing.T) {
	const n = 3000
	tests := []struct {
		name   string
		before []byte
		want   int
	}{
		{"mov eax, imm32", movEAX(110), 1},
		{"mov rax, imm32", []byte{0x48, 0xc7, 0xc0, 110, 0, 0, 0}, 1},
		{"mov edx, imm32", append(movEAX(110), 0xba, 7, 0, 0, 0), 1},
		{"mov r10d, imm32", append(movEAX(110), 0x41, 0xba, 7, 0, 0, 0), 1},
		{"mov r9, [rsp+8]", append(movEAX(110), 0x4c, 0x8b, 0x4c, 0x24, 0x08), 1},
		{"mov r8d, imm32, the same as the number", append(movEAX(110), 0x41, 0xb8, 110, 0, 0, 0), 1},
		{"mov rdi, rbx", append(movEAX(110), 0x48, 0x89, 0xdf), 1},
		{"mov r10, rcx", append(movEAX(110), 0x49, 0x89, 0xca), 1},
		{"mov rax, rbp", []byte{0x48, 0x89, 0xe8}, 1},
		{"mov rax, rbp, the other encoding", []byte{0x48, 0x8b, 0xc5}, 1},
		{"mov r8, rsp", append(movEAX(110), 0x49, 0x89, 0xe0), 0},
		{"movabs", []byte{0x48, 0xb8, 110, 0, 0, 0, 0, 0, 0, 0}, 0},
		{"tail of a load", append(movEAX(110), 0x8b, 0xba, 0, 1, 0, 0), 0}, // mov edi, [rdx+0x100]
		{"nothing", append(movEAX(110), 0x90), 0},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t)
			f := patchable(g)
			g.code = 4096 // the tail of the page before is no instruction
			code := countCalls(g, c.before)
			th := g.thread()
			regs := startRegs(code)
			regs.R14, regs.RBX, regs.RBP, regs.R13, regs.R15 = n, 1, 2, 3, 5
			regs.RDX = dataAddr
			regs.RDI = 9
			if strings.Contains(c.name, "rbp") {
				regs.RBP = 110
			}
			rbp := regs.RBP
			how := platform.ResumeFull
			requests := 0
			for i := uint64(1); i <= n; i++ {
				ev := th.Switch(regs, how)
				how = platform.ResumeResult
				g.wantSyscall(ev, regs, 110)
				if !ev.Partial {
					requests++
					if regs.RBX != 1 || regs.RBP != rbp || regs.R13 != 3 || regs.R15 != 5 || regs.R14 != n+1-i || regs.RSP != stackTop-256 {
						t.Fatalf("call %d: registers %+v", i, regs)
					}
					if got := regs.RIP; got != code+uint64(len(c.before))+2 {
						t.Fatalf("rip %#x", got)
					}
				}
				regs.RAX = i
			}
			ev := th.Switch(regs, how)
			g.wantSyscall(ev, regs, 39)
			th.Complete(regs)
			if regs.R12 != n*(n+1)/2 {
				t.Errorf("sum %d", regs.R12)
			}
			if f.patches != c.want {
				t.Errorf("%d patches, want %d", f.patches, c.want)
			}
			if want := n - hotTraps; c.want == 1 && requests < want {
				t.Errorf("%d of %d calls came through the patch", requests, n)
			}
		})
	}
}

// patched starts a thread that has just made a request from a patched site.
func patched(t testing.TB, g *guest, before []byte) (*Thread, *linux.Regs) {
	patchable(g)
	th := g.thread()
	regs := startRegs(countCalls(g, before))
	regs.R14 = 1 << 40
	how := platform.ResumeFull
	for range 10000 {
		ev := th.Switch(regs, how)
		how = platform.ResumeResult
		g.wantSyscall(ev, regs, 110)
		regs.RAX = 1
		if !ev.Partial {
			return th, regs
		}
	}
	t.Fatal("never patched")
	return nil, nil
}

func TestPatchedSiteKeepsFlagsAndRedZone(t *testing.T) {
	g := newGuest(t)
	patchable(g)
	// Each round: flags from rbx, red zone written, call; then flags to rcx, compared by us.
	code := g.put(
		movReg(0, 0x1122334455667788), []byte{0x48, 0x89, 0x44, 0x24, 0xf8}, // mov [rsp-8], rax
		[]byte{0x48, 0x89, 0x84, 0x24, 0x80, 0xff, 0xff, 0xff},                                                                         // mov [rsp-128], rax
		[]byte{0x48, 0x83, 0xec, 0x78, 0x48, 0x83, 0xec, 0x78, 0x53, 0x9d, 0x48, 0x8d, 0x64, 0x24, 0x78, 0x48, 0x8d, 0x64, 0x24, 0x78}, // sub rsp 240; push rbx; popf; lea back
		movEAX(110), insSyscall,
		[]byte{0x48, 0x8d, 0x64, 0x24, 0x88, 0x48, 0x8d, 0x64, 0x24, 0x88, 0x9c, 0x5d, 0x48, 0x8d, 0x64, 0x24, 0x78, 0x48, 0x8d, 0x64, 0x24, 0x78}, // lea down; pushf; pop rbp; lea back
		[]byte{0x4c, 0x8b, 0x64, 0x24, 0xf8, 0x4c, 0x8b, 0xac, 0x24, 0x80, 0xff, 0xff, 0xff},                                                       // mov r12, [rsp-8]; mov r13, [rsp-128]
		movEAX(56), insSyscall)
	th := g.thread()
	for i := range 200 {
		regs := startRegs(code)
		flags := uint64(0x202 | i&1 | i>>1&1<<2 | i>>2&1<<6 | i>>3&1<<7 | i>>4&1<<11 | i>>5&1<<10)
		regs.RBX = flags
		ev := th.Switch(regs, platform.ResumeFull)
		g.wantSyscall(ev, regs, 110)
		if !ev.Partial && regs.Eflags != flags {
			t.Fatalf("flags of the request %#x, want %#x", regs.Eflags, flags)
		}
		if i == 199 && ev.Partial {
			t.Error("never patched")
		}
		how := platform.ResumeResult
		if i%3 == 1 {
			th.Complete(regs)
			how = platform.ResumeFull
		}
		if i%7 == 3 {
			th.Answer(110, 5)
		}
		ev = th.Switch(regs, how)
		g.wantSyscall(ev, regs, 56)
		if regs.RBP != flags || regs.R12 != 0x1122334455667788 || regs.R13 != regs.R12 {
			t.Fatalf("round %d: flags %#x, want %#x; red zone %#x %#x", i, regs.RBP, flags, regs.R12, regs.R13)
		}
		th.Answer(110, -1)
	}
}

func TestJumpToPatchedCall(t *testing.T) {
	g := newGuest(t)
	th, regs := patched(t, g, movEAX(110))
	regs.RIP -= 2
	regs.RAX = 777
	ev := th.Switch(regs, platform.ResumeFull)
	g.wantSyscall(ev, regs, 777)
	if !ev.Partial {
		t.Error("not from the instruction itself")
	}
}

func TestJumpToOverwrittenCall(t *testing.T) {
	g := newGuest(t)
	th, regs := patched(t, g, append(movEAX(110), 0x49, 0x89, 0xca))
	regs.RIP -= 2
	regs.RAX, regs.RDI, regs.R10 = 777, 5, 6
	call := regs.RIP
	ev := th.Switch(regs, platform.ResumeFull)
	g.wantSyscall(ev, regs, 777)
	if regs.RIP != call+2 || regs.RCX != call+2 || regs.RDI != 5 || regs.R10 != 6 || regs.RAX != negative(linux.ENOSYS) {
		t.Errorf("registers %+v", regs)
	}
	regs.RAX = 1
	ev = th.Switch(regs, platform.ResumeResult)
	g.wantSyscall(ev, regs, 110)
	// The guest's own #UD elsewhere is still its own.
	g.code = 8192 // the page before is a copy now
	regs.RIP = g.put(insUD2)
	if ev = th.Switch(regs, platform.ResumeFull); ev.Kind != platform.EventTrap || ev.Signo != linux.SIGILL {
		t.Errorf("event %+v", ev)
	}
}

func TestAnswersInTheStub(t *testing.T) {
	g := newGuest(t)
	th, regs := patched(t, g, movEAX(110))
	th.Answer(110, 7)
	th.Answer(1<<40, 7) // no such number
	regs.R14, regs.R12 = 1000, 0
	ev := th.Switch(regs, platform.ResumeFull)
	g.wantSyscall(ev, regs, 39)
	th.Complete(regs)
	// The call that was pending gave RAX = 1, the 999 after it 7.
	if regs.R12 != 1+999*7 {
		t.Errorf("sum %d", regs.R12)
	}
	th.Answer(110, -1)
	regs.RIP = g.code0(110)
	ev = th.Switch(regs, platform.ResumeFull)
	g.wantSyscall(ev, regs, 110)
}

// code0 is where countCalls put its code.
func (g *guest) code0(uint32) uint64 { return codeAddr + 64 }

func TestVectorsSurvivePatchedCalls(t *testing.T) {
	g := newGuest(t)
	patchable(g)
	fillVectors(g)
	code := vectorCode(g, movEAX(110), insSyscall)
	th := g.thread()
	for i := range 400 {
		clear(g.data(0x1000)[:1024])
		regs := startRegs(code)
		ev := th.Switch(regs, platform.ResumeFull)
		g.wantSyscall(ev, regs, 110)
		how := platform.ResumeResult
		switch i % 4 {
		case 1:
			how = platform.ResumeFull
			th.Complete(regs)
		case 2:
			img, errno := th.FPState()
			if errno != 0 {
				t.Fatal(errno)
			}
			th.SetFPState(img)
		case 3:
			th.Interrupt()
			if ev := th.Switch(regs, how); ev.Kind != platform.EventInterrupted {
				t.Fatalf("event %+v", ev)
			}
		}
		ev = th.Switch(regs, how)
		g.wantSyscall(ev, regs, 60000)
		g.checkVectors("patched")
		if t.Failed() {
			t.Fatal("round ", i)
		}
	}
}

// TestInterruptsOfPatchedCalls is TestInterruptIsNeverLost for patched sites, in both modes and with answers.
func TestInterruptsOfPatchedCalls(t *testing.T) {
	overlay := append(movEAX(110), 0x49, 0x89, 0xca)
	for i, before := range [][]byte{movEAX(110), movEAX(110), overlay, overlay} {
		answer := i%2 == 1
		g := newGuest(t)
		th, regs := patched(t, g, before)
		n := uint64(8000)
		regs.R14, regs.R12 = n, 0
		if answer {
			n = 2e6
			regs.R14 = n
			th.Answer(110, 1)
		}
		stop, done, started := make(chan bool), make(chan bool), make(chan bool)
		go func() {
			defer close(done)
			close(started)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				th.Interrupt()
				for d := time.Now(); time.Since(d) < time.Duration(i%50)*time.Microsecond; {
				}
			}
		}()
		<-started
		how := platform.ResumeFull
		interrupts, calls := 0, 0
		for {
			ev := th.Switch(regs, how)
			how = platform.ResumeResult
			if ev.Kind == platform.EventInterrupted {
				interrupts++
				if regs.RSP != stackTop-256 || regs.RIP < codeAddr || regs.RIP > codeAddr+128 {
					t.Fatalf("incomplete or foreign registers %+v", regs)
				}
				continue
			}
			if ev.Kind != platform.EventSyscall {
				t.Fatalf("event %+v regs %+v", ev, regs)
			}
			if regs.OrigRAX == 39 {
				break
			}
			calls++
			regs.RAX = 1
		}
		close(stop)
		<-done
		th.Complete(regs)
		if regs.R12 != n {
			t.Errorf("answer %v: sum %d, want %d (%d calls)", answer, regs.R12, n, calls)
		}
		if interrupts == 0 {
			t.Error("no interrupt was seen")
		}
		t.Logf("answer %v: %d interrupts, %d calls", answer, interrupts, calls)
	}
}

// TestThreadsWhileSitesArePatched runs threads through sites that become patched under them.
func TestThreadsWhileSitesArePatched(t *testing.T) {
	g := newGuest(t)
	f := patchable(g)
	var codes []uint64
	for range 12 {
		codes = append(codes, countCalls(g, movEAX(110)))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			th := g.thread()
			defer th.Release()
			for _, code := range codes {
				regs := startRegs(code)
				regs.R14 = 150
				how := platform.ResumeFull
				for {
					ev := th.Switch(regs, how)
					how = platform.ResumeResult
					if ev.Kind != platform.EventSyscall {
						t.Errorf("event %+v at %#x", ev, regs.RIP)
						return
					}
					if regs.OrigRAX == 39 {
						break
					}
					regs.RAX = 1
				}
				th.Complete(regs)
				if regs.R12 != 150 {
					t.Errorf("sum %d", regs.R12)
				}
			}
		}()
	}
	wg.Wait()
	if f.patches != len(codes) {
		t.Logf("%d patches of %d sites", f.patches, len(codes))
	}
	if f.patches == 0 {
		t.Error("nothing was patched")
	}
}
