package clock

import (
	"math/bits"
	"slices"
	"time"

	"hornwork/lib/rank"
)

// Guest clocks: what clock_gettime(2) answers, in the sentry (GuestRealtime, GuestMonotonic) and in the vDSO
// by the pages of page.go. Both compute them from the TSC with the same parameters, so that a program that
// reads now here and now there never sees time go back.
//
// Parameters are good for at most a second. Nothing renews them while nobody asks: the reader that finds
// them old (the vDSO through a system call) takes a new sample of the host's clocks. So the guest's clocks
// follow the host's, adjustments by NTP included, within microseconds.

const (
	// maxValidNS is how long parameters are used before the host is asked again.
	maxValidNS = 1e9
	// minBaselineNS is what two samples must be apart to tell the frequency of the TSC.
	minBaselineNS = 5e6
	// baselineGain: parameters are used for this many times the baseline that they were measured on, which
	// bounds their error by as many times the error of a sample (tens of nanoseconds).
	baselineGain = 4
	// windowNS is the least age of the older sample once time enough has passed.
	windowNS = 8e9
	// stepNS is the error of the realtime clock from which on it is set instead of slewed.
	stepNS = 1e6
	// maxBad is how many times in a row the TSC may be off by more than an NTP slew before it is given up.
	maxBad = 3
)

// scale is 2^scaleBits: multipliers are nanoseconds per tick in units of 2^-scaleBits.
const scaleBits = 32

// line is a clock as a function of the TSC.
type line struct {
	ns   int64  // at params.tsc
	mult uint64 // nanoseconds per tick, scaled
}

func (l line) at(ticks uint64) int64 {
	hi, lo := bits.Mul64(ticks, l.mult)
	return l.ns + int64(hi<<(64-scaleBits)|lo>>scaleBits)
}

// params is the state of the guest clocks; valid 0 means that the host must be asked each time.
type params struct {
	tsc, valid uint64
	real, mono line
}

// sample is the host's clocks at one moment.
type sample struct {
	tsc        uint64
	real, mono int64
}

// takeSample reads the clocks, a few times over, and keeps the tightest reading.
func takeSample() sample {
	var best sample
	width := ^uint64(0)
	for range 4 {
		before := tsc()
		now := time.Now()
		after := tsc()
		if w := after - before; w < width {
			width = w
			best = sample{before + w/2, now.UnixNano(), monoStart + int64(now.Sub(start))}
		}
	}
	return best
}

// source is the state behind the guest clocks.
type source struct {
	mu    rank.Mutex[rank.Clock] // guards the fields below
	off   bool                   // the TSC is no good
	bad   int
	p     params
	older sample // the frequency is measured from here
	newer sample // which becomes older, to forget the past
	pages []*Page

	// For tests: the host.
	take  func() sample
	ticks func() uint64
}

var guest = newSource(takeSample, tsc, hasInvariantTSC())

func newSource(take func() sample, ticks func() uint64, usable bool) *source {
	s := &source{take: take, ticks: ticks, off: !usable}
	s.older = take()
	s.newer = s.older
	return s
}

// hasInvariantTSC says whether the TSC ticks at one rate in all states of the CPU, by CPUID 8000_0007.
func hasInvariantTSC() bool {
	top, _, _, _ := cpuid(0x80000000, 0)
	if top < 0x80000007 {
		return false
	}
	_, _, _, d := cpuid(0x80000007, 0)
	return d&(1<<8) != 0
}

// GuestRealtime is CLOCK_REALTIME as guests see it, in nanoseconds since the epoch.
func GuestRealtime() int64 { r, _ := guest.read(); return r }

// GuestMonotonic is CLOCK_MONOTONIC as guests see it, without the offset of a time namespace.
func GuestMonotonic() int64 { _, m := guest.read(); return m }

// GuestBoottime is CLOCK_BOOTTIME as guests see it, without the offset of a time namespace.
func GuestBoottime() int64 { return GuestMonotonic() + bootOffset }

// read returns the guest clocks, with new parameters if the old ones have aged.
func (s *source) read() (realNS, monoNS int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.ticks() - s.p.tsc // a TSC that jumped back gives a huge number
	if d > s.p.valid || s.p.valid == 0 {
		s.refresh()
		d = 0
	}
	return s.p.real.at(d), s.p.mono.at(d)
}

// refresh takes a sample and publishes new parameters from it.
func (s *source) refresh() {
	for _, p := range s.pages {
		p.begin() // from here on no reader of a page can end with the old parameters
	}
	now := s.take()
	old := s.p
	next := params{tsc: now.tsc}
	mult, validNS := s.frequency(now)
	next.real, next.mono = line{now.real, mult}, line{now.mono, mult}
	if mult != 0 {
		next.valid = ticksFor(validNS, mult)
	}
	if old.tsc != 0 {
		// The last that anybody can have read.
		d := min(now.tsc-old.tsc, old.valid)
		next.mono.notBefore(old.mono.at(d), validNS)
		if back := old.real.at(d) - now.real; back < stepNS {
			next.real.notBefore(old.real.at(d), validNS)
		}
	}
	s.p = next
	for _, p := range s.pages {
		p.publish(&next)
	}
}

// notBefore lets the clock start at ns if it would start earlier, and run slower so that it meets the host's
// when the parameters end; at no less than half its rate.
func (l *line) notBefore(ns int64, validNS int64) {
	ahead := ns - l.ns
	if ahead <= 0 {
		return
	}
	l.ns = ns
	if validNS > 0 {
		slow := l.mult / 2
		if hi, lo := bits.Mul64(l.mult, uint64(ahead)); hi < uint64(validNS) {
			q, _ := bits.Div64(hi, lo, uint64(validNS))
			slow = min(slow, q)
		}
		l.mult -= slow
	}
}

// ticksFor is how many ticks ns take.
func ticksFor(ns int64, mult uint64) uint64 {
	hi, lo := bits.Mul64(uint64(ns), 1<<scaleBits)
	if hi >= mult {
		return 0
	}
	q, _ := bits.Div64(hi, lo, mult)
	return q
}

// frequency measures the multiplier between an older sample and now, and says for how long to use it; zeros
// if it cannot be told.
func (s *source) frequency(now sample) (mult uint64, validNS int64) {
	if s.off {
		return 0, 0
	}
	ns, ticks := now.mono-s.older.mono, now.tsc-s.older.tsc
	if ns < minBaselineNS {
		return 0, 0
	}
	hi, lo := bits.Mul64(uint64(ns), 1<<scaleBits)
	if int64(ticks) <= 0 || hi >= ticks { // the TSC jumped, or hardly ticks
		s.restart(now)
		return 0, 0
	}
	mult, _ = bits.Div64(hi, lo, ticks)
	if mult == 0 {
		s.restart(now)
		return 0, 0
	}
	if s.p.valid != 0 {
		// NTP slews by at most 500 parts per million; a TSC that is further off is none to rely on.
		d := now.tsc - s.p.tsc
		off := s.p.mono.at(d) - now.mono
		if limit := (now.mono-s.p.mono.ns)/1000 + 20_000; off > limit || off < -limit {
			s.restart(now)
			return 0, 0
		}
		s.bad = 0
	}
	if now.mono-s.newer.mono > windowNS {
		s.older, s.newer = s.newer, now
	}
	return mult, min(int64(maxValidNS), baselineGain*ns)
}

// restart forgets the samples after the TSC misbehaved, and the TSC if that happens again and again.
func (s *source) restart(now sample) {
	s.older, s.newer = now, now
	if s.bad++; s.bad >= maxBad {
		s.off = true
	}
}

// addPage has p kept up to date.
func (s *source) addPage(p *Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = append(s.pages, p)
	s.refresh()
}

func (s *source) removePage(p *Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.pages, p); i >= 0 {
		s.pages = slices.Delete(s.pages, i, i+1)
	}
}
