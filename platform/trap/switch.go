package trap

import (
	"sync/atomic"

	"hornwork/linux"
	"hornwork/platform"
)

const noSyscall = ^uint64(0)

// Switch implements platform.Thread.
func (t *Thread) Switch(regs *linux.Regs, how platform.Resume) platform.Event {
	if t.at == placeGone {
		return platform.Event{Kind: platform.EventGone}
	}
	if t.needFull {
		how, t.needFull = platform.ResumeFull, false
	}
	if t.at == placeFrame && t.deep() {
		if !t.unwind(regs, how) {
			t.at = placeGone
			return platform.Event{Kind: platform.EventGone}
		}
		how = platform.ResumeFull
	}
	if t.intr.Or(intrRunning)&intrWanted != 0 {
		return t.interruptedBefore(regs, how)
	}
	passed := 0
	ok := t.resume(regs, how)
	for ok {
		ev, again := t.event(regs)
		if !again {
			if ev.Kind == platform.EventInterrupted {
				t.intr.Store(0)
			} else {
				t.intr.And(^uint32(intrRunning))
			}
			return ev
		}
		// What came was not for the sentry's user: back to where it came from. A guest can forge that without end.
		if t.intr.Load()&intrWanted != 0 {
			if passed++; passed > 1000 {
				break
			}
		}
		ok = t.l.turn(0)
	}
	t.at = placeGone
	t.intr.And(^uint32(intrRunning))
	return platform.Event{Kind: platform.EventGone}
}

// interruptedBefore returns EventInterrupted without running the guest; the registers become complete.
func (t *Thread) interruptedBefore(regs *linux.Regs, how platform.Resume) platform.Event {
	t.intr.Store(0)
	switch t.at {
	case placeSyscall:
		old := *regs
		if t.force(int64(regs.RAX)) != 0 {
			return platform.Event{Kind: platform.EventGone}
		}
		t.cur.load(regs)
		if how == platform.ResumeFull {
			*regs = old
		}
	case placeFrame:
		if how == platform.ResumeResult && !t.inStub {
			rax := regs.RAX
			t.cur.load(regs)
			regs.RAX = rax
		}
	}
	regs.OrigRAX = noSyscall
	t.needFull = true
	return platform.Event{Kind: platform.EventInterrupted}
}

// resume lets the guest run and waits for what comes next; false: the thread is gone.
func (t *Thread) resume(regs *linux.Regs, how platform.Resume) bool {
	full := how == platform.ResumeFull || t.fpDirty
	if t.at == placeSyscall {
		if !full {
			return t.answer(int64(regs.RAX))
		}
		if t.force(int64(regs.RAX)) != 0 {
			return false
		}
	}
	switch t.at {
	case placeNew:
		t.fillSlot(regs)
		t.req.State = stateReply | stateSentry
	case placeRequest:
		if full {
			t.slot.FP = 0
			t.fillSlot(regs)
			return t.reply(stateFull)
		}
		t.req.RAX = regs.RAX
		return t.reply(stateReply)
	case placeFrame:
		t.fillFrame(regs, how)
	}
	return t.l.turn(0)
}

// deep tells whether little is left of the signal stack. A signal that comes before the stub has restored the
// guest's registers nests another frame; only from guest code does the kernel start at the top again.
func (t *Thread) deep() bool {
	left := t.frameAddr(t.cur) - (t.ctxAddr + pageSize)
	return left < 4*uint64(t.p.fp.size+1024)
}

// unwind gets a thread off its signal stack: the handler goes on in stubReset. Interrupt sends no signals
// meanwhile. *regs become complete.
func (t *Thread) unwind(regs *linux.Regs, how platform.Resume) bool {
	f := t.cur
	if how == platform.ResumeResult && !t.inStub {
		rax := regs.RAX
		f.load(regs)
		regs.RAX = rax
	}
	img, errno := t.FPState()
	if errno != 0 || t.SetFPState(img) != 0 {
		return false
	}
	f.RIP, f.RSP, f.Eflags, f.CS, f.SS, f.FP = t.p.img.reset, t.ctxAddr+ctxSlot, fixedFlags, userCS, userSS, 0
	for range 64 {
		if !t.l.turn(0) {
			return false
		}
		if t.l.nb.nr == notifyReady && t.l.nb.ip == t.p.img.readyNotified {
			t.at, t.inStub = placeNew, false
			return true
		}
	}
	return false
}

// fillSlot writes the resume frame and makes it the one that the stub restores from.
func (t *Thread) fillSlot(regs *linux.Regs) {
	t.outer, t.outerAddr = t.slot, t.ctxAddr+ctxSlot
	t.fillOuter(regs)
}

func (t *Thread) fillOuter(regs *linux.Regs) {
	t.outer.store(regs)
	if t.fpDirty {
		t.fpDirty = false
		t.outer.FP = t.ctxAddr + ctxFP
	}
}

// fillFrame writes what a signal handler is to restore.
func (t *Thread) fillFrame(regs *linux.Regs, how platform.Resume) {
	f := t.cur
	if t.inStub {
		t.fillOuter(regs)
		f.RIP, f.RSP, f.Eflags, f.CS, f.SS = t.p.img.restore, t.outerAddr, fixedFlags, userCS, userSS
		return
	}
	t.outer, t.outerAddr = f, t.frameAddr(f)
	if how == platform.ResumeFull {
		t.fillOuter(regs)
		return
	}
	f.RAX = regs.RAX
	if t.fpDirty {
		t.fpDirty = false
		f.FP = t.ctxAddr + ctxFP
	}
}

// event turns the pending notification, or a request found by spinning, into an Event; again: resume at once.
func (t *Thread) event(regs *linux.Regs) (ev platform.Event, again bool) {
	if !t.l.pending {
		return t.requestEvent(regs)
	}
	n, img := &t.l.nb, t.p.img
	if n.ip-textBase < textSize {
		switch {
		case n.nr == notifySignal && n.ip == img.signalNotified:
			f := t.frameAt(n.args[2] - 8)
			if f == nil {
				t.at = placeGone
				return platform.Event{Kind: platform.EventGone}, false
			}
			return t.frameEvent(f, int32(n.args[0]), regs)
		case n.nr == notifySyscall && n.ip == img.waitNotified:
			if atomic.LoadUint32(&t.req.State)&stateReply != 0 {
				return ev, true // it slept in vain
			}
			return t.requestEvent(regs)
		}
	}
	t.at = placeSyscall
	regs.OrigRAX, regs.RAX = uint64(int64(n.nr)), negative(linux.ENOSYS)
	regs.RDI, regs.RSI, regs.RDX, regs.R10, regs.R8, regs.R9 = n.args[0], n.args[1], n.args[2], n.args[3], n.args[4], n.args[5]
	regs.RIP, regs.RSP = n.ip, 0
	t.sites.count(t, regs)
	return platform.Event{Kind: platform.EventSyscall, Partial: true}, false
}

func negative(e linux.Errno) uint64 { return uint64(-int64(e)) }

// requestEvent reads a system call from the context.
func (t *Thread) requestEvent(regs *linux.Regs) (platform.Event, bool) {
	q := t.req
	t.at = placeRequest
	regs.OrigRAX, regs.RAX = q.RAX, negative(linux.ENOSYS)
	regs.RDI, regs.RSI, regs.RDX, regs.R10, regs.R8, regs.R9 = q.RDI, q.RSI, q.RDX, q.R10, q.R8, q.R9
	regs.RIP, regs.RCX, regs.RSP = q.RIP, q.RIP, q.RSP
	regs.RBX, regs.RBP, regs.R12, regs.R13, regs.R14, regs.R15 = q.RBX, q.RBP, q.R12, q.R13, q.R14, q.R15
	regs.Eflags, regs.R11, regs.FSBase = q.Flags, q.Flags, q.FS
	regs.CS, regs.SS = userCS, userSS
	return platform.Event{Kind: platform.EventSyscall}, false
}

// frameEvent turns a signal that a stub's handler reports into an Event.
func (t *Thread) frameEvent(f *frame, signo int32, regs *linux.Regs) (platform.Event, bool) {
	if signo == interruptSignal {
		return t.interruptEvent(f, regs)
	}
	t.cur, t.at, t.inStub = f, placeFrame, false
	f.load(regs)
	if signo != linux.SIGTRAP {
		t.s.leaveTrampoline(f, regs)
	}
	info := f.Info
	ev := platform.Event{Kind: platform.EventTrap, Signo: signo, Code: info.Code, Addr: info.Addr, TrapNo: int32(f.TrapNo), Err: int32(f.Err)}
	regs.OrigRAX = noSyscall
	switch signo {
	case linux.SIGSYS:
		if info.Arch == linux.AUDIT_ARCH_X86_64 {
			regs.OrigRAX, regs.RAX = uint64(int64(info.Syscall)), negative(linux.ENOSYS)
			return platform.Event{Kind: platform.EventSyscall}, false
		}
		// int 0x80 on a kernel without 32-bit support: the gate is not present.
		regs.RIP -= 2
		t.needFull = true
		ev.Signo, ev.Code, ev.Addr, ev.TrapNo, ev.Err = linux.SIGSEGV, linux.SI_KERNEL, 0, 13, 0x80<<3|2
	case linux.SIGSEGV:
		if f.TrapNo != 14 {
			break
		}
		ev.Kind, ev.Addr, ev.Access = platform.EventFault, f.CR2, linux.PROT_READ
		switch {
		case f.Err&16 != 0:
			ev.Access = linux.PROT_EXEC
		case f.Err&2 != 0:
			ev.Access = linux.PROT_WRITE
		}
	case linux.SIGTRAP:
		// A guest that single-steps must not see our code.
		if info.Code == linux.TRAP_TRACE && (regs.RIP >= userHi || t.s.inTrampoline(regs.RIP)) {
			return ev, true
		}
	case linux.SIGILL:
		if t.s.emulateSite(f, regs) {
			return platform.Event{Kind: platform.EventSyscall}, false
		}
	}
	return ev, false
}

// interruptEvent handles the signal of Interrupt. The handler may have interrupted the stub itself: then the
// guest's registers are reconstructed, so that no interrupt is lost and no request is seen twice.
func (t *Thread) interruptEvent(f *frame, regs *linux.Regs) (ev platform.Event, again bool) {
	if t.intr.Load()&intrWanted == 0 {
		return ev, true // Switch had returned before the signal came
	}
	img, src := t.p.img, f
	for depth := 0; t.resuming(src.RIP); depth++ {
		// The guest's registers are on their way from another frame.
		if src = t.restoring(src); src == nil || depth == 32 {
			t.at = placeGone
			return platform.Event{Kind: platform.EventGone}, false
		}
	}
	switch rip := src.RIP; {
	case rip >= img.signal && rip < img.signalNotified:
		return ev, true // a handler that has not reported yet: its event comes next
	case rip >= img.syscall && rip < img.published:
		t.undoRequest(src, regs)
	case rip >= img.published && rip < img.requestHi:
		state := atomic.LoadUint32(&t.req.State)
		if state&stateReply == 0 {
			return ev, true // published: Switch will see it
		}
		// The answer, or the registers of the resume frame, are on their way: *regs is what they are.
		if state&0xff == stateReply {
			t.slot.FP = 0
		}
		t.outer, t.outerAddr = t.slot, t.ctxAddr+ctxSlot
	default:
		src.load(regs)
		t.s.leaveTrampoline(src, regs)
	}
	t.cur, t.at, t.inStub = f, placeFrame, src != f || src.RIP-textBase < textSize
	regs.OrigRAX = noSyscall
	t.needFull = true
	return platform.Event{Kind: platform.EventInterrupted}, false
}

// resuming tells whether a thread at rip is about to restore the registers of some frame.
func (t *Thread) resuming(rip uint64) bool {
	return rip >= t.p.img.resumeLo && rip < t.p.img.signal || rip >= t.p.img.signalNotified && rip < t.p.img.resumeHi ||
		rip == t.p.img.readyNotified
}

// restoring finds the frame that a thread was restoring when the signal with frame f came, and makes it t.outer.
func (t *Thread) restoring(f *frame) *frame {
	img, rip := t.p.img, f.RIP
	switch {
	case rip == img.readyNotified || rip < img.signal:
		t.outerAddr = t.ctxAddr + ctxSlot
	case rip < img.baseInR8:
		t.outerAddr = f.RSP
	case rip < img.iret:
		t.outerAddr = f.R8
	default:
		t.outerAddr = f.RSP + 5*8
	}
	t.outer = t.frameAt(t.outerAddr)
	return t.outer
}

// undoRequest rolls a request that is not published back to the syscall instruction.
func (t *Thread) undoRequest(f *frame, regs *linux.Regs) {
	img, q := t.p.img, t.req
	f.load(regs)
	if f.RIP != img.syscall {
		regs.RAX = q.RAX
	}
	if f.RSP-t.ctxAddr < pageSize {
		regs.RSP = q.RSP
	}
	if f.RIP >= img.answer {
		regs.Eflags = q.Flags
	}
	regs.RIP = regs.RCX - 2
	t.outer, t.outerAddr = t.slot, t.ctxAddr+ctxSlot
	t.slot.FP = 0
}
