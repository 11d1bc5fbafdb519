package clock

import (
	"testing"
	"time"
)

// fakeHost is a host whose TSC and clocks the test sets.
type fakeHost struct {
	tsc        uint64
	real, mono int64
}

func (h *fakeHost) sample() sample { return sample{h.tsc, h.real, h.mono} }
func (h *fakeHost) ticks() uint64  { return h.tsc }

// pass lets ns pass, in which the TSC ticks at 3 GHz and the clocks are slewed by ppm.
func (h *fakeHost) pass(ns, ppm int64) {
	h.tsc += uint64(3 * ns)
	d := ns + ns*ppm/1_000_000
	h.mono += d
	h.real += d
}

func newFake() (*fakeHost, *source) {
	h := &fakeHost{tsc: 1000, real: 1_700_000_000_000_000_000, mono: 5_000_000_000}
	return h, newSource(h.sample, h.ticks, true)
}

func TestGuestClocksFollowTheHost(t *testing.T) {
	for _, ppm := range []int64{0, 30, -30, 400, -400} {
		h, s := newFake()
		h.pass(20e6, 0)
		var lastReal, lastMono int64
		for i := range 100_000 {
			h.pass(int64(i*7919%400_000), ppm)
			r, m := s.read()
			if r < lastReal || m < lastMono {
				t.Fatalf("ppm %d step %d: back by %d, %d ns", ppm, i, lastReal-r, lastMono-m)
			}
			lastReal, lastMono = r, m
			// A change of the slew is noticed after maxValidNS at the latest, and averaged over the window.
			if d := m - h.mono; d > 500_000 || d < -500_000 {
				t.Fatalf("ppm %d step %d: off by %d ns", ppm, i, d)
			}
			if d := m - h.mono; i > 90_000 && (d > 20_000 || d < -20_000) {
				t.Fatalf("ppm %d step %d: still off by %d ns", ppm, i, d)
			}
		}
		if s.p.valid == 0 || s.off {
			t.Errorf("ppm %d: the TSC was given up", ppm)
		}
	}
}

func TestRealtimeStepsWithTheHostMonotonicDoesNot(t *testing.T) {
	h, s := newFake()
	h.pass(50e6, 0)
	s.read()
	_, m0 := s.read()
	h.real -= 3600e9
	h.pass(2e9, 0)
	r, m := s.read()
	if r != h.real {
		t.Errorf("realtime is off by %d", r-h.real)
	}
	if m < m0+2e9-1000 || m > m0+2e9+1000 {
		t.Errorf("monotonic moved by %d", m-m0)
	}
}

func TestClockThatIsAheadSlowsDownInsteadOfGoingBack(t *testing.T) {
	h, s := newFake()
	h.pass(50e6, 0)
	s.read()
	h.pass(100e6, 0)
	h.mono -= 15_000 // the parameters say 15 µs more
	h.pass(900e6, 0)
	last := int64(0)
	for range 2000 {
		_, m := s.read()
		if m < last {
			t.Fatal("back by", last-m)
		}
		last = m
		h.pass(1e6, 0)
	}
	if _, m := s.read(); m-h.mono > 1000 {
		t.Error("still ahead by", m-h.mono)
	}
}

func TestUselessTSCIsGivenUp(t *testing.T) {
	h, s := newFake()
	for i := range 100 {
		h.mono += 50e6
		h.real += 50e6
		h.tsc += uint64(1+i%3) * 100e6
		r, m := s.read()
		if m < h.mono || r < h.real {
			t.Fatal("behind")
		}
	}
	if !s.off || s.p.valid != 0 {
		t.Error("still used")
	}
	// A TSC that jumps back, as after a suspension.
	h, s = newFake()
	h.pass(50e6, 0)
	_, m0 := s.read()
	h.tsc = 5
	h.mono += 1e9
	if _, m := s.read(); m < m0 || m < h.mono {
		t.Error("time stands")
	}
}

func TestPageSaysWhatTheSourceSays(t *testing.T) {
	mem := make([]byte, 4096)
	p := NewPage(mem, 7e9, 9e9, 2)
	defer p.Close()
	time.Sleep(2 * minBaselineNS)
	before := GuestMonotonic()
	w := p.words
	if w[PageSeq/8].Load()&1 != 0 {
		t.Fatal("the page is being written")
	}
	if hasInvariantTSC() != (w[PageMode/8].Load() == ModeTSC) {
		t.Fatal("mode", w[PageMode/8].Load())
	}
	slot := w[(PageSlots+1*SlotSize)/8:]
	base := int64(slot[0].Load()*1e9+slot[1].Load()) - 7e9
	got := line{base, slot[2].Load()}.at(tsc() - w[PageTSCBase/8].Load())
	if after := GuestMonotonic(); w[PageMode/8].Load() == ModeTSC && (got < before || got > after) {
		t.Errorf("the page says %d, not in [%d, %d]", got, before, after)
	}
	if d := GuestRealtime() - Realtime(); d > 1e6 || d < -1e6 {
		t.Error("realtime is off by", d)
	}
}

func BenchmarkGuestMonotonic(b *testing.B) {
	for b.Loop() {
		GuestMonotonic()
	}
}
