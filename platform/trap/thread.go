package trap

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
	"hornwork/platform"
)

// place says where the host thread is while its owner is in the sentry.
type place uint8

const (
	placeNew     place = iota // in notifyReady
	placeSyscall              // in its own system call, stopped by a notification
	placeFrame                // in a signal handler's notification; Thread.cur is the frame
	placeRequest              // at a patched site: its request is in the context
	placeGone
)

// Bits of Thread.intr.
const (
	intrWanted  = 1 // Interrupt was called
	intrRunning = 2 // Switch has resumed or is about to resume the guest
)

// Thread is a guest thread and the host thread of the stub that runs it.
type Thread struct {
	s       *Space
	p       *Platform
	tid     int32
	ctxAddr uint64 // in the stub
	rwEnd   uint64
	unit    uint32

	// The sentry's view of the context. Everything there may change at any moment.
	req     *request
	slot    *frame
	slotFP  []byte
	cfg     *threadConfig
	answers *[maxAnswer]int64

	l    listener
	at   place
	intr atomic.Uint32

	// cur is the frame of the signal handler that the thread is in (placeFrame). When that handler interrupted
	// the stub itself (inStub), the guest's registers are not in cur but known, and outer is the frame
	// from which they are restored.
	cur       *frame
	outer     *frame
	outerAddr uint64
	inStub    bool

	needFull bool // the next resume restores all registers
	fpDirty  bool // slotFP is to be loaded
	fp       []byte
	wait     waitState
	sites    siteCache
}

var _ platform.Thread = (*Thread)(nil)

// newThread makes the sentry's side of the thread with area index in s and control unit u.
func newThread(s *Space, u uint32, index int) *Thread {
	area := threadsBase + uint64(index)*unitSize
	c := s.p.ctl
	rw := c.rwAt(u, pageSize)
	t := &Thread{s: s, p: s.p, unit: u, ctxAddr: area + pageSize, rwEnd: area + unitSize}
	t.l.fd = -1
	t.req = (*request)(rw)
	t.slot = (*frame)(unsafe.Add(rw, ctxSlot))
	t.slotFP = unsafe.Slice((*byte)(unsafe.Add(rw, ctxFP)), s.p.fp.size)
	t.answers = (*[maxAnswer]int64)(c.roAt(u, 0))
	t.cfg = (*threadConfig)(c.roAt(u, pageSize+cfgSpin))
	t.cfg.FlagsTop = t.ctxAddr + ctxFlags + 8
	t.cfg.Slot = t.ctxAddr + ctxSlot
	t.cfg.Stack.SP = t.ctxAddr + pageSize
	t.cfg.Stack.Size = t.rwEnd - t.cfg.Stack.SP
	t.cfg.Program.Len = s.p.img.guestLen
	t.cfg.Program.Filter = s.p.img.guestProgram
	t.cfg.Mask = ^uint64(0)
	for _, sig := range handled {
		t.cfg.Mask &^= 1 << (sig - 1)
	}
	t.reset()
	return t
}

// reset prepares for another guest thread.
func (t *Thread) reset() {
	for i := range t.answers {
		t.answers[i] = -1
	}
	t.intr.Store(0)
	t.p.fp.initial(t.slotFP)
	t.fpDirty, t.needFull = true, true
	t.wait = newWaitState(&t.p.spin)
	t.cfg.Spin = 0
}

// mapOps are the calls that map the thread's area into the stub.
func (t *Thread) mapOps() [2]entry {
	const fixed = unix.MAP_SHARED | unix.MAP_FIXED
	off := uint64(t.unit) * unitSize
	return [2]entry{
		{nr: unix.SYS_MMAP, args: [6]uint64{t.ctxAddr - pageSize, pageSize, unix.PROT_READ, fixed, fdReadOnly, off}},
		{nr: unix.SYS_MMAP, args: [6]uint64{t.ctxAddr, unitSize - pageSize, unix.PROT_READ | unix.PROT_WRITE, fixed, fdReadWrite, off + pageSize}},
	}
}

// attach takes the thread's listener, which is descriptor fd of the stub, and waits until it is ready.
func (t *Thread) attach(fd int) linux.Errno {
	l, errno := takeListener(t.s.pidfd.Load(), fd)
	if errno != 0 {
		return errno
	}
	t.l = *l
	if !t.l.wait() || t.l.nb.nr != notifyReady || t.l.nb.ip != t.p.img.readyNotified {
		t.l.close()
		return linux.ESRCH
	}
	t.tid = int32(t.l.nb.pid)
	t.at = placeNew
	t.outer, t.outerAddr = t.slot, t.ctxAddr+ctxSlot
	return 0
}

// Release implements platform.Thread: the host thread is kept for another guest thread, or ended.
func (t *Thread) Release() {
	const maxIdle = 16
	s := t.s
	t.pair()
	if t.at != placeGone {
		t.reset()
	}
	s.mu.Lock()
	delete(s.live, t)
	if t.at != placeGone && !s.dead && len(s.idle) < maxIdle {
		s.idle = append(s.idle, t)
		s.mu.Unlock()
		return
	}
	dead := s.dead
	s.mu.Unlock()
	if !dead && t.at != placeGone && t.force(0) == 0 {
		t.cur.RIP = t.p.img.exit
		t.l.send(0)
	} else if !dead {
		s.kill() // without its listener the thread would run on by itself
	}
	t.l.close()
}

// Interrupt implements platform.Thread.
func (t *Thread) Interrupt() {
	if old := t.intr.Or(intrWanted); old == intrRunning {
		t.signal()
	}
}

func (t *Thread) signal() {
	syscall.RawSyscall(unix.SYS_TGKILL, uintptr(t.s.pid), uintptr(t.tid), uintptr(interruptSignal))
}

// Answer implements platform.Thread.
func (t *Thread) Answer(nr uintptr, value int64) {
	if nr < maxAnswer {
		atomic.StoreInt64(&t.answers[nr], max(value, -1))
	}
}

// CPUTime implements platform.Thread. The host tells CPU times of other processes, not of their threads: with
// several guest threads it is the stub's time in equal parts.
func (t *Thread) CPUTime() int64 {
	t.s.mu.Lock()
	n := max(len(t.s.live), 1)
	t.s.mu.Unlock()
	return (t.s.cpuTime() - t.s.cpuBase) / int64(n)
}

// frameAt returns the sentry's view of a frame whose address in the stub the guest may have chosen.
func (t *Thread) frameAt(addr uint64) *frame {
	if addr < t.ctxAddr || addr > t.rwEnd-uint64(frameSize) || addr%8 != 0 {
		return nil
	}
	return (*frame)(unsafe.Add(unsafe.Pointer(t.req), addr-t.ctxAddr))
}

// fpOf returns the sentry's view of a frame's XSAVE image, nil if the pointer is not in the thread's area.
func (t *Thread) fpOf(f *frame) []byte {
	addr := f.FP
	if addr < t.ctxAddr || addr > t.rwEnd-uint64(t.p.fp.size) {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(t.req), addr-t.ctxAddr)), t.p.fp.size)
}

// FPState implements platform.Thread.
func (t *Thread) FPState() ([]byte, linux.Errno) {
	if t.fp == nil {
		t.fp = make([]byte, t.p.fp.size)
	}
	if t.fpDirty {
		copy(t.fp, t.slotFP)
		t.p.fp.sanitize(t.fp)
		return t.fp, 0
	}
	if t.at != placeFrame {
		if errno := t.force(-int64(linux.ENOSYS)); errno != 0 {
			return nil, errno
		}
	}
	f := t.cur
	if t.inStub && t.outer.FP != 0 {
		f = t.outer // its image has not, or not surely, been loaded yet
	}
	img := t.fpOf(f)
	if img == nil {
		return nil, linux.ESRCH
	}
	copy(t.fp, img)
	t.p.fp.sanitize(t.fp)
	clear(t.fp[fpSoftware:fpLegacy])
	return t.fp, 0
}

// SetFPState implements platform.Thread.
func (t *Thread) SetFPState(img []byte) linux.Errno {
	if t.at == placeGone {
		return linux.ESRCH
	}
	t.fpDirty = true
	if img == nil {
		t.p.fp.initial(t.slotFP)
		return 0
	}
	if len(img) < fpMinimum {
		return linux.EINVAL
	}
	clear(t.slotFP)
	copy(t.slotFP, img)
	t.p.fp.sanitize(t.slotFP)
	return 0
}

// Complete implements platform.Thread.
func (t *Thread) Complete(regs *linux.Regs) linux.Errno {
	if t.at == placeSyscall {
		if errno := t.force(-int64(linux.ENOSYS)); errno != 0 {
			return errno
		}
	}
	switch {
	case t.at == placeGone:
		return linux.ESRCH
	case t.at == placeFrame && !t.inStub:
		nr, rax := regs.OrigRAX, regs.RAX
		t.cur.load(regs)
		regs.OrigRAX, regs.RAX = nr, rax
	}
	return 0
}

// force brings a thread that waits in the sentry into a signal handler, so that there is a frame: the signal is sent
// before the answer and taken after it.
func (t *Thread) force(val int64) linux.Errno {
	if t.at == placeFrame {
		return 0
	}
	if t.at == placeGone {
		return linux.ESRCH
	}
	t.pair()
	from := t.at
	t.signal()
	if t.l.pending {
		t.l.send(val)
	}
	for range 64 { // a few notifications can come before; a guest that makes more of them is up to something
		if !t.l.wait() {
			break
		}
		f := t.signalFrame()
		if f == nil {
			t.l.send(0) // a request that is already known
			continue
		}
		if int32(t.l.nb.args[0]) != interruptSignal {
			break
		}
		rip := f.RIP
		if rip >= t.p.img.signal && rip < t.p.img.signalNotified {
			t.l.send(0)
			continue
		}
		t.cur, t.at, t.inStub = f, placeFrame, false
		switch {
		case from == placeRequest:
			t.inStub = true
			t.outer, t.outerAddr = t.slot, t.ctxAddr+ctxSlot
			t.slot.FP = 0
			atomic.StoreUint32(&t.req.State, stateReply|stateSentry)
		case from == placeNew:
			t.inStub = true
		}
		return 0
	}
	t.at = placeGone
	return linux.ESRCH
}

// signalFrame returns the frame if the pending notification is a signal handler's.
func (t *Thread) signalFrame() *frame {
	n := &t.l.nb
	if n.nr != notifySignal || n.ip != t.p.img.signalNotified {
		return nil
	}
	return t.frameAt(n.args[2] - 8)
}

// frameAddr is the address in the stub of a frame that the sentry sees at f.
func (t *Thread) frameAddr(f *frame) uint64 {
	return t.ctxAddr + uint64(uintptr(unsafe.Pointer(f))-uintptr(unsafe.Pointer(t.req)))
}
