package trap

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/platform"
)

// Patching. After hotTraps traps of one thread at one place the instruction before the syscall instruction becomes a
// jump to a trampoline, which does what that instruction did, loads the return address into rcx and goes to
// stubSyscall. Which instruction stands before cannot be told from the bytes alone in general: patterns are accepted
// where the registers of the call just made confirm them, see decodeBefore.
const (
	hotTraps       = 24
	trampolineSize = 32
	regionSlots    = unitSize / trampolineSize // the first holds the address of stubSyscall
	reach          = 1<<31 - 1<<16
)

// site is a patched place.
type site struct {
	start uint64 // of the instruction that became a jump
	call  uint64 // of the syscall instruction
	moved uint8  // bytes of the instruction in the trampoline
}

// region is a span of trampolines near the text that leads there. It is written by the sentry, read-only in the
// stub, and stays until the stub ends: threads may be in it.
type region struct {
	addr  uint64
	mem   unsafe.Pointer
	used  int // slots; only the one patcher at work changes it
	dead  atomic.Bool
	sites [regionSlots]site
}

// patcher is the part of a Space that patches.
type patcher struct {
	text    platform.TextMemory
	busy    atomic.Bool // one patches at a time; it may not hold a lock when it calls text
	gap     uint64      // where overlayRegion puts regions; of the one who patches
	regions atomic.Pointer[[]*region]

	pmu     rank.Mutex[rank.Platform] // guards the fields below; mm's lock may be held
	refused map[uint64]struct{}       // places not to try again
	ud      map[uint64]struct{}       // syscall instructions that were overwritten by what raises #UD
}

// SetText gives access to the guest's text; without it nothing is patched.
func (s *Space) SetText(m platform.TextMemory) {
	if !s.p.opt.NoPatch {
		s.text = m
	}
}

// siteCache counts a thread's traps at a few places.
type siteCache [16]struct {
	ip uint64
	n  uint32
}

func (c *siteCache) count(t *Thread, regs *linux.Regs) {
	e := &c[(regs.RIP>>1^regs.RIP>>5)%uint64(len(c))]
	if e.ip != regs.RIP {
		e.ip, e.n = regs.RIP, 1
		return
	}
	if e.n++; e.n == hotTraps && t.s.text != nil {
		t.s.patch(t, regs)
	}
}

// TextChanged implements platform.AddressSpace.
func (s *Space) TextChanged(addr, length uint64) {
	s.pmu.Lock()
	defer s.pmu.Unlock()
	for a := range s.refused {
		if a-addr < length {
			delete(s.refused, a)
		}
	}
	for a := range s.ud {
		if a-addr < length {
			delete(s.ud, a)
		}
	}
}

// patch tries to patch the syscall instruction that has just raised a notification with regs.
func (s *Space) patch(t *Thread, regs *linux.Regs) {
	call := regs.RIP - 2
	if call < userLo+pageSize || call >= userHi-2 || !s.busy.CompareAndSwap(false, true) {
		return
	}
	defer s.busy.Store(false)
	s.pmu.Lock()
	_, no := s.refused[call]
	s.pmu.Unlock()
	if no || s.tryPatch(call, regs) || s.tryOverlay(t, call, regs) || s.tryTail(t, call, regs) {
		return
	}
	s.pmu.Lock()
	if s.refused == nil || len(s.refused) > 4096 {
		s.refused = map[uint64]struct{}{}
	}
	s.refused[call] = struct{}{}
	s.pmu.Unlock()
}

const before = 8 // bytes of text that decodeBefore may look at

func (s *Space) tryPatch(call uint64, regs *linux.Regs) bool {
	var b [before + 2]byte
	if s.text.ReadText(call-before, b[:]) != 0 || b[before] != 0x0f || b[before+1] != 0x05 {
		return false
	}
	n := decodeBefore(b[:before], regs)
	start := call - uint64(n)
	if n < 5 || start%pageSize+uint64(n) > pageSize {
		return false
	}
	r := s.regionFor(start)
	if r == nil {
		return false
	}
	old := b[before-n : before]
	at := r.take(site{start: start, call: call, moved: uint8(n)}, old)
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(at-(start+5)))
	for len(jump) < n {
		jump = append(jump, 0x90)
	}
	return s.text.PatchText(start, old, jump) == 0
}

// take makes the next trampoline of a region and returns its address.
func (r *region) take(st site, moved []byte) uint64 {
	slot := r.used
	r.used++
	r.sites[slot] = st
	at := r.slotAddr(slot)
	writeTrampoline(unsafe.Slice((*byte)(unsafe.Add(r.mem, slot*trampolineSize)), trampolineSize), moved, st.call+2, r.addr, at)
	return at
}

func (r *region) slotAddr(slot int) uint64 { return r.addr + uint64(slot)*trampolineSize }

func writeTrampoline(dst, moved []byte, ret, regionAddr, at uint64) {
	c := append(dst[:0], moved...)
	if ret < 1<<32 {
		c = binary.LittleEndian.AppendUint32(append(c, 0xb9), uint32(ret)) // mov ecx, ret
	} else {
		c = binary.LittleEndian.AppendUint64(append(c, 0x48, 0xb9), ret)
	}
	c = append(c, 0xff, 0x25) // jmp [rip+…]: the start of the region
	end := at + uint64(len(c)) + 4
	binary.LittleEndian.AppendUint32(c, uint32(regionAddr-end))
}

// regionFor returns a region with a free slot that a jump at addr reaches.
func (s *Space) regionFor(addr uint64) *region {
	var list []*region
	if p := s.regions.Load(); p != nil {
		list = *p
	}
	for _, r := range list {
		if !r.dead.Load() && r.used < regionSlots && near(r.addr, addr) && near(r.addr+unitSize, addr) {
			return r
		}
	}
	at, errno := s.text.FindGap(addr, unitSize)
	if errno != 0 || !near(at, addr) || !near(at+unitSize, addr) {
		return nil
	}
	return s.mapRegion(at)
}

// mapRegion maps a new region at a place that FindGap has given.
func (s *Space) mapRegion(at uint64) *region {
	var list []*region
	if p := s.regions.Load(); p != nil {
		list = *p
	}
	if len(list) >= 64 || at < userLo || at > userHi-unitSize || at%pageSize != 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, errno := s.p.ctl.alloc()
	if errno != 0 {
		return nil
	}
	s.trampolines = append(s.trampolines, unit{u, unitSize})
	r := &region{addr: at, mem: s.p.ctl.roAt(u, 0), used: 1}
	*(*uint64)(r.mem) = s.p.img.syscall
	*s.mapperEntry(0) = entry{nr: unix.SYS_MMAP, args: [6]uint64{at, unitSize, unix.PROT_READ | unix.PROT_EXEC,
		unix.MAP_SHARED | unix.MAP_FIXED, fdReadOnly, uint64(u) * unitSize}}
	if s.runMapperLocked(1) != 0 {
		return nil
	}
	list = append(append([]*region(nil), list...), r)
	s.regions.Store(&list)
	return r
}

func near(a, b uint64) bool {
	d := int64(a - b)
	return d < reach && d > -reach
}

// regionsChanged takes regions out of use over which an operation maps something else.
func (s *Space) regionsChanged(op *platform.MapOp) {
	p := s.regions.Load()
	if p == nil {
		return
	}
	for _, r := range *p {
		if op.Addr < r.addr+unitSize && r.addr < op.Addr+op.Len {
			r.dead.Store(true)
		}
	}
}

// siteAt finds the site whose trampoline contains rip.
func (s *Space) siteAt(rip uint64) (st site, off uint64, ok bool) {
	p := s.regions.Load()
	if p == nil {
		return st, 0, false
	}
	for _, r := range *p {
		if o := rip - r.addr; o < unitSize {
			return r.sites[o/trampolineSize], o % trampolineSize, o >= trampolineSize
		}
	}
	return st, 0, false
}

func (s *Space) inTrampoline(rip uint64) bool {
	_, _, ok := s.siteAt(rip)
	return ok
}

// leaveTrampoline makes a thread that was stopped in a trampoline look as if it were still in its own text.
func (s *Space) leaveTrampoline(f *frame, regs *linux.Regs) {
	st, off, ok := s.siteAt(regs.RIP)
	if !ok || st.call == 0 {
		return
	}
	regs.RIP = st.start
	if off >= uint64(st.moved) {
		regs.RIP = st.call
	}
	f.RIP = regs.RIP
}

// emulateSite handles #UD at a syscall instruction whose first byte a jump has overwritten.
func (s *Space) emulateSite(f *frame, regs *linux.Regs) bool {
	s.pmu.Lock()
	_, ok := s.ud[regs.RIP]
	s.pmu.Unlock()
	if !ok {
		return false
	}
	regs.RIP += 2
	regs.RCX, regs.R11 = regs.RIP, regs.Eflags
	regs.OrigRAX, regs.RAX = uint64(int64(int32(regs.RAX))), negative(linux.ENOSYS)
	f.RIP, f.RCX, f.R11 = regs.RIP, regs.RCX, regs.R11
	return true
}
