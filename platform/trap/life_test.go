package trap

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hornwork/linux"
	"hornwork/platform"
)

func TestManyThreadsInOneAddressSpace(t *testing.T) {
	g := newGuest(t)
	// Counts calls in rbx; result of the k-th call must be k.
	code := g.put(
		[]byte{0xb8, 110, 0, 0, 0}, insSyscall,
		[]byte{0x49, 0x01, 0xc4}, // add r12, rax
		[]byte{0x48, 0xff, 0xcb}, // dec rbx
		[]byte{0x75, 0xf1},       // jnz
		movEAX(39), insSyscall)
	var wg sync.WaitGroup
	for range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			th := g.thread()
			defer th.Release()
			regs := startRegs(code)
			regs.RBX = 200
			how := platform.ResumeFull
			for n := uint64(1); ; n++ {
				ev := th.Switch(regs, how)
				how = platform.ResumeResult
				if ev.Kind != platform.EventSyscall {
					t.Errorf("event %+v", ev)
					return
				}
				if regs.OrigRAX == 39 {
					th.Complete(regs)
					if n != 201 || regs.R12 != 200*201/2 {
						t.Errorf("%d calls, sum %d", n, regs.R12)
					}
					return
				}
				regs.RAX = n
			}
		}()
	}
	wg.Wait()
	if g.as.threads > 40+maxThreadsAtOnce {
		t.Errorf("%d areas for 40 threads", g.as.threads)
	}
}

func TestReleasedThreadStartsClean(t *testing.T) {
	g := newGuest(t)
	code := g.put([]byte{0xf3, 0x0f, 0x6f, 0x00}, movEAX(39), insSyscall) // movdqu xmm0, [rax]
	show := g.put([]byte{0xf3, 0x0f, 0x7f, 0x00}, movEAX(39), insSyscall) // movdqu [rax], xmm0
	copy(g.data(0), "secret of before")
	for range 3 {
		th := g.thread()
		regs := startRegs(code)
		regs.RAX = dataAddr
		g.wantSyscall(th.Switch(regs, platform.ResumeFull), regs, 39)
		th.Release()
		th = g.thread()
		regs = startRegs(show)
		regs.RAX = dataAddr + 64
		copy(g.data(64), "................")
		g.wantSyscall(th.Switch(regs, platform.ResumeFull), regs, 39)
		if got := g.data(64)[:16]; !bytes.Equal(got, make([]byte, 16)) {
			t.Fatalf("xmm0 of a new thread: %q", got)
		}
		th.Release()
	}
	if g.as.threads != 1 {
		t.Errorf("%d areas", g.as.threads)
	}
}

func TestAddressSpacesAreSeparate(t *testing.T) {
	p, fd, mem := newPlatform(t, Options{})
	a, b := guestOn(t, p, fd, mem), guestOn(t, p, fd, mem)
	b.apply(platform.MapOp{Kind: platform.OpUnmap, Addr: dataAddr, Len: 4096})
	code := a.put(movReg(0, dataAddr), []byte{0x8a, 0x00}, movEAX(39), insSyscall)
	_, regs, ev := a.start(code)
	a.wantSyscall(ev, regs, 39)
	_, _, ev = b.start(code)
	if ev.Kind != platform.EventFault || ev.Addr != dataAddr {
		t.Errorf("event %+v", ev)
	}
	if a.as.pid == b.as.pid {
		t.Error("one process for both")
	}
}

// TestStubHoldsNothing looks at a stub from outside: mappings, descriptors, capabilities to write its text.
func TestStubHoldsNothing(t *testing.T) {
	g := newGuest(t)
	g.thread()
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(g.as.pid) + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "vsyscall") {
			continue
		}
		f := strings.Fields(line)
		lo, _ := strconv.ParseUint(strings.Split(f[0], "-")[0], 16, 64)
		writable := strings.Contains(f[1], "w")
		switch {
		case lo < userHi:
			if !strings.Contains(line, "test-memory") {
				t.Errorf("below userHi: %s", line)
			}
		case lo == textBase:
			if f[1] != "r-xs" {
				t.Errorf("text: %s", line)
			}
		case lo == ordersBase:
			if f[1] != "r--s" {
				t.Errorf("orders: %s", line)
			}
		case lo == resultsBase:
		case lo >= threadsBase && lo < threadsBase+unitSize:
			if strings.Contains(f[1], "x") || writable && !strings.Contains(line, "hornwork-context") {
				t.Errorf("thread: %s", line)
			}
		default:
			t.Errorf("unexpected mapping: %s", line)
		}
	}
}

// TestKilledStub kills the stub in each state: Switch must say so, and nothing may hang.
func TestKilledStub(t *testing.T) {
	code := func(g *guest) uint64 { return g.put(movEAX(110), insSyscall, insLoop) }
	tests := map[string]func(g *guest, th *Thread, regs *linux.Regs){
		"in a loop": func(g *guest, th *Thread, regs *linux.Regs) {
			th.Switch(regs, platform.ResumeFull)
			time.AfterFunc(5*time.Millisecond, func() { syscall.Kill(g.as.pid, 9) })
		},
		"in a call": func(g *guest, th *Thread, regs *linux.Regs) {
			th.Switch(regs, platform.ResumeFull)
			syscall.Kill(g.as.pid, 9)
		},
		"in a call, later": func(g *guest, th *Thread, regs *linux.Regs) {
			th.Switch(regs, platform.ResumeFull)
			syscall.Kill(g.as.pid, 9)
			time.Sleep(10 * time.Millisecond)
		},
		"before it ran": func(g *guest, th *Thread, regs *linux.Regs) { syscall.Kill(g.as.pid, 9) },
		"in a frame": func(g *guest, th *Thread, regs *linux.Regs) {
			th.Switch(regs, platform.ResumeFull)
			th.Complete(regs)
			syscall.Kill(g.as.pid, 9)
		},
		"while interrupted": func(g *guest, th *Thread, regs *linux.Regs) {
			th.Switch(regs, platform.ResumeFull)
			th.Interrupt()
			syscall.Kill(g.as.pid, 9)
			time.Sleep(time.Millisecond)
		},
		"released": func(g *guest, th *Thread, regs *linux.Regs) { g.as.Release() },
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t)
			th := g.thread()
			regs := startRegs(code(g))
			do(g, th, regs)
			gone := make(chan platform.Event)
			go func() {
				for {
					if ev := th.Switch(regs, platform.ResumeResult); ev.Kind == platform.EventGone {
						gone <- ev
						return
					}
				}
			}()
			select {
			case <-gone:
			case <-time.After(10 * time.Second):
				t.Fatal("Switch hangs")
			}
			if _, errno := th.FPState(); errno == 0 {
				t.Error("FPState of a dead thread")
			}
			if errno := g.as.Apply([]platform.MapOp{{Kind: platform.OpUnmap, Addr: dataAddr, Len: 4096}}); errno != linux.ESRCH {
				t.Errorf("Apply: %v", errno)
			}
			if _, errno := g.as.NewThread(); errno == 0 {
				t.Error("NewThread in a dead stub")
			}
			th.Release()
		})
	}
}

func TestKilledAtRandomTimes(t *testing.T) {
	p, fd, mem := newPlatform(t, Options{})
	for i := range 60 {
		g := guestOn(t, p, fd, mem)
		f := patchable(g)
		f.next = uint64(i) * 0x4000
		code := g.put([]byte{0xb8, 110, 0, 0, 0}, insSyscall, []byte{0xeb, 0xf7})
		time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, func() { syscall.Kill(g.as.pid, 9) })
		var wg sync.WaitGroup
		for range 3 {
			a, errno := g.as.NewThread()
			if errno != 0 {
				continue
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				regs := startRegs(code)
				how := platform.ResumeFull
				for a.Switch(regs, how).Kind != platform.EventGone {
					how = platform.ResumeResult
				}
				a.Release()
			}()
		}
		for g.as.Apply([]platform.MapOp{{Kind: platform.OpProtect, Addr: dataAddr, Len: 4096, Prot: 3}}) == 0 {
		}
		wg.Wait()
		g.as.Release()
	}
}

func TestZygoteKilled(t *testing.T) {
	g := newGuest(t)
	th, regs, ev := g.start(g.put(movEAX(39), insSyscall, insLoop))
	g.wantSyscall(ev, regs, 39)
	syscall.Kill(g.p.zygote.pid, 9)
	if ev := th.Switch(regs, platform.ResumeResult); ev.Kind != platform.EventGone {
		t.Errorf("event %+v; stubs must die with the zygote", ev)
	}
	if _, errno := g.p.NewAddressSpace(); errno == 0 {
		t.Error("an address space without a zygote")
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	p, fd, mem := newPlatform(t, Options{})
	var pids []int
	for range 5 {
		g := guestOn(t, p, fd, mem)
		pids = append(pids, g.as.pid)
	}
	pids = append(pids, p.zygote.pid)
	p.Close()
	deadline := time.Now().Add(5 * time.Second)
	for _, pid := range pids {
		for unix.Kill(pid, 0) == nil {
			if time.Now().After(deadline) {
				t.Fatalf("process %d lives", pid)
			}
			time.Sleep(time.Millisecond)
		}
	}
}
