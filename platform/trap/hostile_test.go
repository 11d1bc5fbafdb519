package trap

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/platform"
)

// Guests that try to gain something from the stub. None may hang or crash the sentry, change a mapping, or make the
// host do more than run instructions, fault, and hand over.

// hostView is what must not change: the stub's mappings and descriptors.
func hostView(t *testing.T, g *guest) string {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(g.as.pid)
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range fds {
		n, _ := os.Readlink(dir + "/fd/" + f.Name())
		names = append(names, n)
	}
	return string(maps) + strings.Join(names, "\n") + "\n"
}

// stubSyscalls are the addresses of all byte pairs in the stub's text that the CPU takes for syscall.
func stubSyscalls(p *Platform) (at []uint64) {
	for i := 0; i+1 < len(p.img.bytes); i++ {
		if bytes.Equal(p.img.bytes[i:i+2], insSyscall) {
			at = append(at, textBase+uint64(i))
		}
	}
	return at
}

func TestJumpToEverySyscallOfTheStub(t *testing.T) {
	g := newGuest(t)
	th := g.thread()
	regs := startRegs(g.put(movEAX(39), insSyscall))
	g.wantSyscall(th.Switch(regs, platform.ResumeFull), regs, 39)
	spare := g.thread()
	before := hostView(t, g)
	addrs := stubSyscalls(g.p)
	if len(addrs) < 15 {
		t.Fatalf("only %d syscall instructions found", len(addrs))
	}
	args := [][6]uint64{
		{userLo, userHi, 7, 0x32, ^uint64(0), 0},
		{textBase, 0x2000, 7, 0x11, 0, 0},
		{0, dataAddr, 4096, dataAddr, dataAddr, dataAddr},
		{uint64(g.as.pid), 9, 9, 9, 9, 9},
	}
	for _, at := range addrs {
		for nr := uint64(0); nr < 480; nr++ {
			if nr == 335 || nr == 336 { // uretprobe and uprobe: SIGILL on this host
				continue
			}
			a := args[nr%uint64(len(args))]
			r := startRegs(at)
			r.RAX, r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9 = nr, a[0], a[1], a[2], a[3], a[4], a[5]
			ev := th.Switch(r, platform.ResumeFull)
			if ev.Kind != platform.EventSyscall || r.OrigRAX != nr || r.RDI != a[0] || r.RIP != at+2 {
				t.Fatalf("call %d at %#x: event %+v, registers %+v", nr, at, ev, r)
			}
		}
	}
	// The stub's own exit ends this thread and nothing else.
	r := startRegs(addrs[0])
	r.RAX, r.RDI = linux.SYS_EXIT, exitCode
	if ev := th.Switch(r, platform.ResumeFull); ev.Kind != platform.EventGone {
		t.Errorf("exit: event %+v", ev)
	}
	r = startRegs(codeAddr + 64)
	g.wantSyscall(spare.Switch(r, platform.ResumeFull), r, 39)
	if after := hostView(t, g); after != before {
		t.Errorf("the stub changed from\n%s\nto\n%s", before, after)
	}
}

// TestJumpIntoTheStub starts at each byte of the stub's text with registers that point to good and bad places.
func TestJumpIntoTheStub(t *testing.T) {
	g := newGuest(t)
	patchable(g)
	before := hostView(t, g)
	th := g.thread()
	r := rand.New(rand.NewPCG(1, 2))
	values := []uint64{0, 1, dataAddr, stackTop - 512, threadsBase + pageSize, threadsBase + pageSize + ctxSlot, threadsBase + 3*pageSize,
		textBase, ordersBase, resultsBase, ^uint64(0), 1 << 63, notifySignal, notifyReady, notifySyscall, notifyMapper, userHi, taskMax}
	pick := func() uint64 { return values[r.IntN(len(values))] }
	end := g.p.img.guestProgram
	gone := 0
	for at := uint64(textBase); at < end; at++ {
		regs := startRegs(at)
		regs.RAX, regs.RBX, regs.RCX, regs.RDX, regs.RSI, regs.RDI, regs.RBP = pick(), pick(), pick(), pick(), pick(), pick(), pick()
		regs.R8, regs.R9, regs.R10, regs.R11, regs.R12, regs.R13, regs.R14, regs.R15 = pick(), pick(), pick(), pick(), pick(), pick(), pick(), pick()
		regs.RSP = pick()
		how := platform.ResumeFull
		for range 3 {
			ev, ok := switchSoon(th, regs, how)
			if !ok {
				t.Fatalf("from %#x: Switch hangs even after Interrupt", at)
			}
			if ev.Kind == platform.EventGone {
				gone++
				th.Release() // which ends the stub
				for !g.as.ended() {
					time.Sleep(time.Millisecond)
				}
				{
					pid := g.as.pid
					g.as.Release()
					g = guestOn(t, g.p, g.fd, g.mem)
					if g.as.pid == pid {
						t.Fatal("a dead stub was used again")
					}
					patchable(g)
					before = hostView(t, g)
				}
				th = g.thread()
				break
			}
			regs.RAX = pick()
			how = platform.ResumeResult
		}
	}
	t.Logf("%d of %d starts ended a thread", gone, end-textBase)
	if after := hostView(t, g); maps(after) != maps(before) {
		t.Errorf("the stub changed from\n%s\nto\n%s", before, after)
	}
}

// maps leaves out the areas of threads, which come with threads.
func maps(view string) string {
	var b strings.Builder
	for line := range strings.Lines(view) {
		if !strings.HasPrefix(line, "7fff1") && !strings.Contains(line, "seccomp") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// switchSoon is Switch for guests that may loop for ever.
func switchSoon(th *Thread, regs *linux.Regs, how platform.Resume) (platform.Event, bool) {
	done := make(chan platform.Event, 1)
	go func() { done <- th.Switch(regs, how) }()
	for range 1000 {
		select {
		case ev := <-done:
			return ev, true
		case <-time.After(3 * time.Millisecond):
			th.Interrupt()
		}
	}
	th.s.kill()
	<-done
	return platform.Event{}, false
}

func TestStubPagesCannotBeWritten(t *testing.T) {
	g := newGuest(t)
	th := g.thread()
	for _, c := range []struct {
		name string
		addr uint64
		want platform.EventKind
	}{
		{"text", textBase, platform.EventFault},
		{"filters", g.p.img.guestProgram, platform.EventFault},
		{"orders", ordersBase, platform.EventFault},
		{"mapper's orders", ordersBase + ordMapperOps, platform.EventFault},
		{"configuration of a thread", threadsBase + pageSize - 192, platform.EventFault},
		{"answers", threadsBase, platform.EventFault},
		{"results", resultsBase, platform.EventSyscall},
		{"context", threadsBase + pageSize, platform.EventSyscall},
	} {
		code := g.put(movReg(3, c.addr), []byte{0x48, 0x83, 0x03, 0x00}, movEAX(39), insSyscall) // add qword [rbx], 0
		regs := startRegs(code)
		if ev := th.Switch(regs, platform.ResumeFull); ev.Kind != c.want {
			t.Errorf("%s: event %+v", c.name, ev)
		}
	}
}

// TestScribblingAndRacing: one thread overwrites every writable page of the stub without end while others work.
func TestScribblingAndRacing(t *testing.T) {
	p, fd, mem := newPlatform(t, Options{})
	for round := range 12 {
		g := guestOn(t, p, fd, mem)
		g.code = 64 + round*512
		f := patchable(g)
		f.next = uint64(round) * 0x10000
		// rdi over the areas of 4 threads and the results, byte from r8, again and again.
		area := func(addr uint64) []byte {
			return append(append(movReg(7, addr), movReg(1, unitSize-pageSize)...), 0x44, 0x88, 0xc0, 0xf3, 0xaa, 0x49, 0x83, 0xc0, 0x11)
		}
		var body []byte
		for i := range uint64(4) {
			body = append(body, area(threadsBase+i*unitSize+pageSize)...)
		}
		body = append(body, movReg(7, resultsBase)...)
		body = append(body, movReg(1, pageSize)...)
		body = append(body, 0xf3, 0xaa)
		body = append(body, 0xe9)
		body = le.AppendUint32(body, uint32(-(len(body) + 4)))
		scribble := g.put(body)
		work := countCalls(g, movEAX(110))
		var wg sync.WaitGroup
		stop := make(chan bool)
		for i := range 4 {
			a, errno := g.as.NewThread()
			if errno != 0 {
				break
			}
			th := a.(*Thread)
			wg.Add(1)
			go func() {
				defer wg.Done()
				regs := startRegs(work)
				if i == 3 {
					regs.RIP = scribble
				}
				regs.R14 = 1 << 40
				how := platform.ResumeFull
				for n := 0; ; n++ {
					ev := th.Switch(regs, how)
					how = platform.ResumeResult
					if ev.Kind == platform.EventGone {
						break
					}
					if n%16 == 5 {
						th.Complete(regs)
						th.FPState()
						th.SetFPState(nil)
					}
					select {
					case <-stop:
						th.Release()
						return
					default:
					}
				}
				th.Release()
			}()
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						th.Interrupt()
					}
				}
			}()
		}
		time.Sleep(20 * time.Millisecond)
		for range 20 { // the mapper is out of reach
			if errno := g.as.Apply([]platform.MapOp{{Kind: platform.OpProtect, Addr: dataAddr, Len: 4096, Prot: 3}}); errno != 0 && errno != linux.ESRCH {
				t.Errorf("Apply: %v", errno)
			}
		}
		close(stop)
		time.AfterFunc(10*time.Millisecond, g.as.kill) // the scribbler makes no calls
		wg.Wait()
		g.as.Release()
	}
}

func TestForgedSignalFrames(t *testing.T) {
	g := newGuest(t)
	th := g.thread()
	img := g.p.img
	good := uint64(threadsBase + 4*pageSize)
	for _, addr := range []uint64{0, 8, dataAddr, threadsBase, threadsBase + pageSize - 8, good + 1, threadsBase + unitSize - 16,
		threadsBase + unitSize, ^uint64(0), ^uint64(7), textBase, 1 << 63} {
		// "Report" a signal whose frame is at addr.
		for _, signo := range []uint64{linux.SIGSEGV, linux.SIGSYS, interruptSignal, 77, ^uint64(0)} {
			regs := startRegs(img.signalNotified - 2)
			regs.RAX, regs.RDI, regs.RSI, regs.RDX, regs.RSP = notifySignal, signo, addr, addr+8, addr
			ev, ok := switchSoon(th, regs, platform.ResumeFull)
			if !ok {
				t.Fatal("hangs")
			}
			for n := 0; n < 3 && ev.Kind != platform.EventGone; n++ {
				th.FPState()
				if ev, ok = switchSoon(th, regs, platform.ResumeResult); !ok {
					t.Fatal("hangs")
				}
			}
			if th.at == placeGone || ev.Kind == platform.EventGone {
				th.Release() // which ends the stub
				g.as.Release()
				g = guestOn(t, g.p, g.fd, g.mem)
				th = g.thread()
			}
		}
	}
	th.Release()
	g.as.Release()
	g = guestOn(t, g.p, g.fd, g.mem)
	th = g.thread()
	// Frames with a kernel's or a null selector, or privileged flags, restored by the stub itself.
	for _, c := range []struct{ cs, ss, flags uint64 }{{0x10, 0x18, 2}, {0, 0, 2}, {0x33, 0x2b, 0x3202}, {0x2b, 0x2b, 2}, {0x23, 0x2b, 0x202}, {0x33, 0x2b, 0x20202}} {
		f := g.data(0x2000)
		clear(f[:4096])
		le.PutUint64(f[168:], stackTop-256)
		code := g.put(movEAX(39), insSyscall)
		le.PutUint64(f[176:], code)
		le.PutUint64(f[184:], c.flags)
		le.PutUint16(f[192:], uint16(c.cs))
		le.PutUint16(f[198:], uint16(c.ss))
		regs := startRegs(img.restore)
		regs.RSP = dataAddr + 0x2000
		ev, ok := switchSoon(th, regs, platform.ResumeFull)
		if !ok {
			t.Fatal("hangs")
		}
		if ev.Kind == platform.EventGone {
			t.Errorf("selectors %#x %#x: %+v", c.cs, c.ss, ev)
		}
	}
}

// TestOtherDoorsToTheKernel: everything but the syscall instruction of 64-bit code.
func TestOtherDoorsToTheKernel(t *testing.T) {
	g := newGuest(t)
	before := hostView(t, g)
	g.apply(platform.MapOp{Kind: platform.OpMap, Prot: 7, FD: int32(g.fd), Addr: 0x70000, Len: 0x4000, Offset: 0x400000})
	copy(g.mem[0x400000:], []byte{0xb8, 1, 0, 0, 0, 0xcd, 0x80, 0xf4})             // mov eax, 1; int 0x80; hlt
	copy(g.mem[0x400100:], []byte{0xb8, 90, 0, 0, 0, 0x0f, 0x05, 0xf4})            // mov eax, 90; syscall; hlt (32-bit: AMD only)
	copy(g.mem[0x400200:], []byte{0xb8, 1, 0, 0, 0, 0x89, 0xe5, 0x0f, 0x34, 0xf4}) // sysenter
	for _, c := range []struct {
		name string
		code uint64
		rax  uint64
		cs   uint64
	}{
		{"int 0x80", g.put(insInt80), 1, userCS},
		{"int 0x80 in 32-bit code", 0x70000, 0, userCS32},
		{"syscall in 32-bit code", 0x70100, 0, userCS32},
		{"sysenter", g.put([]byte{0x0f, 0x34}), 1, userCS},
		{"sysenter in 32-bit code", 0x70200, 0, userCS32},
		{"vsyscall", 0xffff_ffff_ff60_0000, 0, userCS},
		{"x32", g.put(insSyscall), 0x4000_0000 | 1, userCS},
		{"x32, exit", g.put(insSyscall), 0x4000_0000 | 60, userCS},
		{"-1", g.put(insSyscall), ^uint64(0), userCS},
		{"exit with other high bits", g.put(movReg(0, 1<<32|39), insSyscall), 0, userCS},
		{"int 0x81", g.put([]byte{0xcd, 0x81}), 1, userCS},
		{"iret", g.put([]byte{0x48, 0xcf}), 1, userCS},
		{"swapgs", g.put([]byte{0x0f, 0x01, 0xf8}), 1, userCS},
	} {
		th := g.thread()
		regs := startRegs(c.code)
		regs.RAX, regs.CS, regs.RSP = c.rax, c.cs, dataAddr+0x8000
		ev, ok := switchSoon(th, regs, platform.ResumeFull)
		if !ok {
			t.Fatalf("%s: hangs", c.name)
		}
		if ev.Kind == platform.EventGone {
			t.Errorf("%s: %+v", c.name, ev)
		}
		t.Logf("%s: %+v nr %#x", c.name, ev, regs.OrigRAX)
		th.Release()
	}
	g.apply(platform.MapOp{Kind: platform.OpUnmap, Addr: 0x70000, Len: 0x4000})
	if after := hostView(t, g); maps(after) != maps(before) {
		t.Errorf("the stub changed from\n%s\nto\n%s", before, after)
	}
}

// TestForeignGSBase makes patched calls with a GS base that the guest chose.
func TestForeignGSBase(t *testing.T) {
	p, fd, mem := newPlatform(t, Options{})
	for i, base := range []uint64{0, dataAddr, textBase, ordersBase, threadsBase + unitSize + pageSize, 0xffff_8000_0000_0000} {
		g := guestOn(t, p, fd, mem)
		g.code = 64 + i*256
		f := patchable(g)
		f.next = uint64(i) * 0x10000
		victim, vregs, ev := g.start(g.put(movEAX(39), insSyscall, []byte{0xeb, 0xf7}))
		g.wantSyscall(ev, vregs, 39)
		code := g.put(movEAX(110), insSyscall, movReg(0, base), []byte{0xf3, 0x48, 0x0f, 0xae, 0xd8}, []byte{0xe9}, le.AppendUint32(nil, uint32(0xffffffff-26)))
		th := g.thread()
		regs := startRegs(code)
		how := platform.ResumeFull
		for range 200 {
			ev, ok := switchSoon(th, regs, how)
			if !ok {
				t.Fatalf("GS base %#x: hangs", base)
			}
			if ev.Kind == platform.EventGone || ev.Kind == platform.EventFault || ev.Kind == platform.EventTrap {
				break
			}
			how = platform.ResumeResult
		}
		th.Release()
		if !g.as.ended() {
			if ev, ok := switchSoon(victim, vregs, platform.ResumeResult); !ok || ev.Kind == platform.EventGone {
				t.Logf("GS base %#x: another thread of the same process: %+v", base, ev)
			}
		}
		victim.Release()
		g.as.Release()
	}
}
