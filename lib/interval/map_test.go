package interval

import (
	"math/rand/v2"
	"slices"
	"testing"
)

type span struct {
	start, end uint64
	val        int
}

// model is the same map as a sorted slice, done the slow way.
type model []span

func (m model) free(lo, hi uint64) bool {
	for _, s := range m {
		if s.start < hi && s.end > lo {
			return false
		}
	}
	return true
}

// fits says whether [a, a+length) is free and keeps clear of the guard of the entry above.
func (m model) fits(a, length uint64) bool {
	for _, s := range m {
		if s.end > a {
			return s.start >= a+length+guardOf(&s.val)
		}
	}
	return true
}

func (m model) gapDown(lo, hi, length, align uint64) (uint64, bool) {
	for a := (hi - length) &^ (align - 1); a >= lo && a < hi; a -= align {
		if m.fits(a, length) {
			return a, true
		}
	}
	return 0, false
}

func (m model) gapUp(lo, hi, length, align uint64) (uint64, bool) {
	for a := (lo + align - 1) &^ (align - 1); a+length <= hi; a += align {
		if m.fits(a, length) {
			return a, true
		}
	}
	return 0, false
}

// Every seventh value wants five free numbers below it.
func guardOf(v *int) uint64 {
	if *v%7 == 0 {
		return 5
	}
	return 0
}

func check(t *testing.T, m *Map[int], want model) {
	t.Helper()
	i := 0
	for it := m.First(); it.Ok(); it = it.Next() {
		if i >= len(want) || want[i] != (span{it.Start(), it.End(), *it.Val()}) {
			t.Fatalf("entry %d is [%d,%d) %d, want %v", i, it.Start(), it.End(), *it.Val(), want)
		}
		i++
	}
	if i != len(want) || m.Len() != i {
		t.Fatalf("%d entries, Len %d, want %d", i, m.Len(), len(want))
	}
	for it := m.Last(); it.Ok(); it = it.Prev() {
		i--
		if it.Start() != want[i].start {
			t.Fatal("backwards differs from forwards")
		}
	}
	if i != 0 {
		t.Fatal("backwards ends early")
	}
}

func TestMapBehavesAsSortedSlice(t *testing.T) {
	const space = 4000
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		m := &Map[int]{Guard: guardOf}
		var want model
		for step := range 6000 {
			grow := 70
			if step/1500%2 == 1 {
				grow = 25
			}
			switch k := rng.IntN(100); {
			case k < grow:
				s := rng.Uint64N(space)
				e := s + 1 + rng.Uint64N(6)
				if !want.free(s, e) {
					continue
				}
				v := rng.IntN(1000)
				it := m.Insert(s, e, v)
				if it.Start() != s || *it.Val() != v {
					t.Fatal("Insert returned another entry")
				}
				i, _ := slices.BinarySearchFunc(want, s, func(a span, s uint64) int { return int(a.start) - int(s) })
				want = slices.Insert(want, i, span{s, e, v})
			case k < 90 && len(want) > 0:
				i := rng.IntN(len(want))
				n := 1 + rng.IntN(3)
				it := m.Find(want[i].start)
				for ; n > 0 && i < len(want); n-- {
					it = m.Remove(it)
					want = slices.Delete(want, i, i+1)
					if it.Ok() != (i < len(want)) || it.Ok() && it.Start() != want[i].start {
						t.Fatal("Remove returned another entry than the next")
					}
				}
			case len(want) > 0:
				i := rng.IntN(len(want))
				w := &want[i]
				lo, hi := uint64(0), uint64(space+10)
				if i > 0 {
					lo = want[i-1].end
				}
				if i+1 < len(want) {
					hi = want[i+1].start
				}
				s := lo + rng.Uint64N(w.end-lo)
				e := s + 1 + rng.Uint64N(hi-s)
				m.Resize(m.Find(w.start), s, e)
				w.start, w.end = s, e
			}
			x := rng.Uint64N(space + 20)
			i, _ := slices.BinarySearchFunc(want, x, func(a span, x uint64) int {
				if a.end <= x {
					return -1
				}
				return 1
			})
			it := m.Seek(x)
			if it.Ok() != (i < len(want)) || it.Ok() && it.Start() != want[i].start {
				t.Fatalf("Seek(%d) differs", x)
			}
			if step%40 == 0 {
				check(t, m, want)
			}
			if step%10 == 0 {
				lo, length := rng.Uint64N(space), 1+rng.Uint64N(30)
				hi := lo + rng.Uint64N(space-lo)
				align := uint64(1) << rng.IntN(4)
				if hi < lo+length {
					continue
				}
				a, ok := m.FindGapDown(lo, hi, length, align)
				b, ok2 := want.gapDown(lo, hi, length, align)
				if a != b || ok != ok2 {
					t.Fatalf("seed %d step %d: FindGapDown(%d,%d,%d,%d) = %d %v, want %d %v", seed, step, lo, hi, length, align, a, ok, b, ok2)
				}
				a, ok = m.FindGapUp(lo, hi, length, align)
				b, ok2 = want.gapUp(lo, hi, length, align)
				if ok != ok2 || ok && a != b {
					t.Fatalf("seed %d step %d: FindGapUp(%d,%d,%d,%d) = %d %v, want %d %v", seed, step, lo, hi, length, align, a, ok, b, ok2)
				}
			}
		}
		check(t, m, want)
		for m.Len() > 0 {
			m.Remove(m.First())
		}
		if m.root != nil {
			t.Fatal("an empty map keeps nodes")
		}
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []uint64{30, 1000, 65000} {
		b.Run(map[uint64]string{30: "30", 1000: "1000", 65000: "65000"}[n], func(b *testing.B) {
			var m Map[[4]uint64]
			for i := range n {
				m.Insert(i*8192, i*8192+4096, [4]uint64{})
			}
			x := uint64(1)
			for b.Loop() {
				x = x*6364136223846793005 + 1
				m.Seek((x >> 33) % n * 8192)
			}
		})
	}
}

func BenchmarkGapDown(b *testing.B) {
	var m Map[[4]uint64]
	for i := range uint64(65000) {
		m.Insert(1<<20+i*8192, 1<<20+i*8192+4096, [4]uint64{})
	}
	for b.Loop() {
		m.FindGapDown(65536, 1<<20+65000*8192, 8192, 4096)
	}
}
