package clock

import (
	"sync/atomic"
	"unsafe"
)

// The page that vDSO code reads ("vvar"). All fields are 64 bits wide. A reader loads the sequence number, the
// fields, and the sequence number again; it makes the system call when the number is odd, when the mode is
// not PageTSC, or when more ticks than PageValid have passed since PageTSCBase. Else the clock is
// seconds, plus nanoseconds and (ticks × multiplier) >> 32 of its slot.
const (
	PageSeq     = 0x00
	PageMode    = 0x08
	PageTSCBase = 0x10
	PageValid   = 0x18
	PageCPUs    = 0x20 // getcpu answers CPU numbers below this; 0: it makes the system call
	PageSlots   = 0x40 // a slot for each clock number, PageClocks of them
	PageEnd     = PageSlots + PageClocks*SlotSize

	SlotSize   = 0x20
	SlotSec    = 0x00
	SlotNsec   = 0x08 // below 1e9
	SlotMult   = 0x10
	PageClocks = 12

	// ModeTSC is the mode in which the slots are good.
	ModeTSC = 1
	// PageClockMask has a bit for each clock that has a slot: REALTIME, MONOTONIC, MONOTONIC_RAW, the two
	// coarse ones, BOOTTIME and TAI.
	PageClockMask = 1<<0 | 1<<1 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<11
)

// Page is a page of guest-readable memory that says what time it is.
type Page struct {
	words            []atomic.Uint64
	monoOff, bootOff int64
}

// NewPage writes the page mem, 8-byte aligned and PageEnd bytes or longer, and keeps it up to date until
// Close. The offsets are those of the time namespace, in nanoseconds. cpus is the number of CPUs whose numbers
// the guest may see, 0 to ask the sentry.
func NewPage(mem []byte, monoOff, bootOff int64, cpus int) *Page {
	_ = mem[PageEnd-1]
	p := &Page{words: unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[0])), PageEnd/8), monoOff: monoOff, bootOff: bootOff}
	if !hasRDTSCP() {
		cpus = 0
	}
	p.words[PageCPUs/8].Store(uint64(cpus))
	guest.addPage(p)
	return p
}

// Close stops updates; the memory can be given away.
func (p *Page) Close() { guest.removePage(p) }

// begin makes the sequence number odd.
func (p *Page) begin() {
	if seq := &p.words[PageSeq/8]; seq.Load()&1 == 0 {
		seq.Add(1)
	}
}

// publish writes parameters and makes the sequence number even. The lock of source is held.
func (p *Page) publish(q *params) {
	w := p.words
	p.begin()
	mode := uint64(0)
	if q.valid != 0 {
		mode = ModeTSC
	}
	w[PageMode/8].Store(mode)
	w[PageTSCBase/8].Store(q.tsc)
	w[PageValid/8].Store(q.valid)
	for id := range PageClocks {
		l := q.mono
		switch id {
		case 0, 5, 11:
			l = q.real
		case 7:
			l.ns += bootOffset + p.bootOff
		default:
			l.ns += p.monoOff
		}
		sec, nsec := l.ns/1e9, l.ns%1e9
		if nsec < 0 {
			sec, nsec = sec-1, nsec+1e9
		}
		slot := w[(PageSlots+id*SlotSize)/8:]
		slot[SlotSec/8].Store(uint64(sec))
		slot[SlotNsec/8].Store(uint64(nsec))
		slot[SlotMult/8].Store(l.mult)
	}
	w[PageSeq/8].Add(1)
}

// hasRDTSCP says whether the CPU number can be read without a system call.
func hasRDTSCP() bool {
	top, _, _, _ := cpuid(0x80000000, 0)
	if top < 0x80000001 {
		return false
	}
	_, _, _, d := cpuid(0x80000001, 0)
	return d&(1<<27) != 0
}

// tsc reads the time stamp counter, after all earlier instructions.
func tsc() uint64

func cpuid(leaf, sub uint32) (a, b, c, d uint32)
