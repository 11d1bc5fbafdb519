package timer

import (
	"math"
	"testing"

	"hornwork/linux"
)

func TestTimerCountsWhatItMissed(t *testing.T) {
	fired := make(chan struct{}, 10)
	x := &Timer{Fire: func() { fired <- struct{}{} }}
	if l, i := x.Get(); l != 0 || i != 0 || x.Forward() != 0 {
		t.Error("armed at first")
	}
	x.Set(Monotonic()-35_000_000, 10_000_000) // due 35 ms ago, every 10 ms
	<-fired
	if !x.Expired() {
		t.Error("fired and not expired")
	}
	if n := x.Forward(); n < 4 {
		t.Errorf("%d expiries", n)
	}
	if l, i := x.Get(); l <= 0 || l > 10_000_000 || i != 10_000_000 {
		t.Errorf("left %d of %d", l, i)
	}
	if l, _ := x.Set(0, 0); l <= 0 {
		t.Errorf("old value %d", l)
	}
	x.Set(1, 0)
	<-fired
	for !x.Expired() {
	}
	if n := x.Forward(); n != 1 {
		t.Errorf("one shot: %d", n)
	}
	if l, _ := x.Get(); l != 0 {
		t.Error("armed after one shot")
	}
	x.Set(math.MaxInt64, 0)
	if l, _ := x.Get(); l == 0 {
		t.Error("never is not armed")
	}
}

func TestTimerIsDueBeforeItFires(t *testing.T) {
	x := &Timer{Fire: func() {}}
	for range 1000 {
		x.Set(1, 0)
		if !x.Due() {
			t.Fatal("set to the past and not due")
		}
		if n := x.ForwardDue(); n != 1 {
			t.Fatalf("%d expiries", n)
		}
		if x.Due() || x.ForwardDue() != 0 {
			t.Fatal("due again after its expiry was counted")
		}
	}
	x.Set(math.MaxInt64, 0)
	if x.Due() || x.ForwardDue() != 0 {
		t.Error("due in the far future")
	}
}

func TestTimesFromGuests(t *testing.T) {
	for _, tt := range []struct {
		ts linux.Timespec
		ns int64
		ok bool
	}{
		{linux.Timespec{Sec: 1, Nsec: 5}, 1_000_000_005, true},
		{linux.Timespec{Sec: -1}, 0, false},
		{linux.Timespec{Nsec: 1e9}, 0, false},
		{linux.Timespec{Nsec: -1}, 0, false},
		{linux.Timespec{Sec: math.MaxInt64, Nsec: 999_999_999}, math.MaxInt64, true},
	} {
		if ns, ok := FromTimespec(tt.ts); ns != tt.ns || ok != tt.ok {
			t.Errorf("%+v: %d %v", tt.ts, ns, ok)
		}
	}
	if AddSat(math.MaxInt64-1, 5) != math.MaxInt64 || AddSat(5, -3) != 2 {
		t.Error("AddSat")
	}
	if ts := ToTimespec(-1); ts.Sec != -1 || ts.Nsec != 999_999_999 {
		t.Error(ts)
	}
}

func TestClocksThatBelongToNobody(t *testing.T) {
	off := &Offsets{Monotonic: 1e15, Boottime: 2e15}
	a, _ := Now(linux.CLOCK_MONOTONIC, nil)
	b, _ := Now(linux.CLOCK_MONOTONIC, off)
	if b-a < 1e15 || b-a > 1e15+1e12 {
		t.Errorf("offset %d", b-a)
	}
	if _, ok := Now(linux.CLOCK_PROCESS_CPUTIME_ID, nil); ok {
		t.Error("a CPU-time clock needs a process")
	}
	if _, ok := Now(99, nil); ok {
		t.Error("no such clock")
	}
}
