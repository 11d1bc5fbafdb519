package trap

import (
	"testing"

	"hornwork/linux"
	"hornwork/platform"
)

// callLoop is code that makes the call nr for ever.
func callLoop(g *guest, nr uint32) uint64 {
	return g.put(movEAX(nr), insSyscall, []byte{0xeb, 0xf7})
}

func benchCalls(b *testing.B, g *guest, nr uint32) {
	th, regs, ev := g.start(callLoop(g, nr))
	defer th.Release()
	for range 5000 { // until patched and settled
		if ev.Kind != platform.EventSyscall {
			b.Fatalf("event %+v", ev)
		}
		regs.RAX = 42
		ev = th.Switch(regs, platform.ResumeResult)
	}
	b.ResetTimer()
	for range b.N {
		regs.RAX = 42
		if ev := th.Switch(regs, platform.ResumeResult); ev.Kind != platform.EventSyscall {
			b.Fatalf("event %+v", ev)
		}
	}
}

func BenchmarkUnpatchedCall(b *testing.B) { benchCalls(b, newGuest(b), linux.SYS_GETPPID) }

func BenchmarkCallWithFrame(b *testing.B) { benchCalls(b, newGuest(b), linux.SYS_CLONE) }

func BenchmarkFault(b *testing.B) {
	g := newGuest(b)
	th, regs, _ := g.start(g.put([]byte{0x8a, 0x03, 0xeb, 0xfc})) // mov al, [rbx]; jmp
	regs.RBX = 0x1234_0000
	b.ResetTimer()
	for range b.N {
		if ev := th.Switch(regs, platform.ResumeFull); ev.Kind != platform.EventFault {
			b.Fatalf("event %+v", ev)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(map[int]string{1: "1", 16: "16"}[n], func(b *testing.B) {
			g := newGuest(b)
			var ops []platform.MapOp
			for i := range n {
				ops = append(ops, platform.MapOp{Kind: platform.OpMap, Prot: 3, FD: int32(g.fd), Addr: 0x3000_0000 + uint64(i)*0x20000, Len: 0x10000, Offset: dataOff})
			}
			b.ResetTimer()
			for range b.N {
				if errno := g.as.Apply(ops); errno != 0 {
					b.Fatal(errno)
				}
			}
		})
	}
}

func BenchmarkApplyDonated(b *testing.B) {
	g := newGuest(b)
	op := []platform.MapOp{{Kind: platform.OpMap, Prot: 1, FD: int32(g.p.ctl.rwFD), Addr: 0x3000_0000, Len: 0x10000}}
	b.ResetTimer()
	for range b.N {
		if errno := g.as.Apply(op); errno != 0 {
			b.Fatal(errno)
		}
	}
}

func BenchmarkNewAddressSpace(b *testing.B) {
	for name, pool := range map[string]int{"pool": 2, "no pool": -1} {
		b.Run(name, func(b *testing.B) {
			p, _, _ := newPlatform(b, Options{Pool: pool})
			for range b.N {
				as, errno := p.NewAddressSpace()
				if errno != 0 {
					b.Fatal(errno)
				}
				th, errno := as.NewThread()
				if errno != 0 {
					b.Fatal(errno)
				}
				th.Release()
				as.Release()
			}
		})
	}
}

func BenchmarkNewThread(b *testing.B) {
	g := newGuest(b)
	var threads []*Thread
	for i := range b.N {
		if i%1000 == 999 {
			b.StopTimer()
			for _, th := range threads {
				th.Release()
			}
			threads = nil
			g.as.Release()
			g = guestOn(b, g.p, g.fd, g.mem)
			b.StartTimer()
		}
		threads = append(threads, g.thread())
	}
}

func BenchmarkPatchedCall(b *testing.B) {
	g := newGuest(b)
	patchable(g)
	benchCalls(b, g, linux.SYS_GETPPID)
}

func BenchmarkAnsweredInStub(b *testing.B) {
	g := newGuest(b)
	th, regs := patched(b, g, movEAX(110))
	th.Answer(110, 1)
	regs.R14 = uint64(b.N) + 1
	b.ResetTimer()
	if ev := th.Switch(regs, platform.ResumeFull); ev.Kind != platform.EventSyscall || regs.OrigRAX != 39 {
		b.Fatalf("event %+v", ev)
	}
}
