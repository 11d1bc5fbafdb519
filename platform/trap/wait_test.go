package trap

import "testing"

// waiter is a thread that is about to wait, without a host thread.
func waiter(p *Platform, unit uint32) *Thread {
	t := &Thread{p: p, unit: unit, req: &request{}, cfg: &threadConfig{}, wait: newWaitState(&p.spin)}
	t.l.fd = -1
	return t
}

// enter makes t SPREAD as leavePair does.
func enter(t *Thread, now, paired uint64) bool {
	if !t.takeSlot(now) {
		return false
	}
	t.wait.spread, t.wait.calls, t.wait.paired = true, 0, paired
	return true
}

func testLimits() *Platform {
	p := &Platform{spin: calibrate()}
	p.spin.slots = 1
	return p
}

func TestOnePairSpinsForTwoCPUs(t *testing.T) {
	p := testLimits()
	a, b := waiter(p, 1), waiter(p, 2)
	now := rdtsc()
	if !enter(a, now, 0) || enter(b, now+p.spin.slotIdle/2, 0) {
		t.Fatal("not one of two threads may spin")
	}
	// a sleeps in the sentry: b takes the slot, and a sees it when it comes back.
	if !enter(b, now+2*p.spin.slotIdle, 0) || a.staysSpread() || a.wait.spread {
		t.Error("a slot that is not used is not passed on")
	}
	if p.slots[0].owner.Load() != 2 {
		t.Error("the former owner freed another's slot")
	}
	b.pair()
	if !enter(a, now, 0) {
		t.Error("a slot that was given back is not free")
	}
}

func TestLossesEndSpread(t *testing.T) {
	p := testLimits()
	a := waiter(p, 1)
	long := uint64(p.spin.fundFirst / 4)
	var pauses [3]uint64
	for i := range pauses {
		now := rdtsc()
		if !enter(a, now, 1) {
			t.Fatal("no slot")
		}
		for n := 0; a.wait.spread; n++ {
			if n == 8 {
				t.Fatal("still SPREAD after losing twice its fund")
			}
			a.hit(rdtsc() - long)
		}
		pauses[i] = a.wait.until - now
	}
	if pauses[0] < uint64(p.spin.fundFirst)*pauseShare || pauses[1] < pauses[0]*3/2 || pauses[2] < pauses[1]*3/2 {
		t.Errorf("pauses %v do not grow", pauses)
	}
}

func TestProfitBringsSpreadBackSoon(t *testing.T) {
	p := testLimits()
	a := waiter(p, 1)
	enter(a, rdtsc(), uint64(p.spin.fundMost))
	a.wait.fails = 3
	for range settled {
		a.hit(rdtsc())
	}
	if a.wait.fund > p.spin.fundMost || a.cfg.Spin != p.spin.stubMostRounds {
		t.Errorf("fund %d, the stub spins %d rounds", a.wait.fund, a.cfg.Spin)
	}
	a.pair()
	if a.wait.need != needAgain || a.wait.fails != 0 || a.cfg.Spin != 0 {
		t.Errorf("need %d after %d failures", a.wait.need, a.wait.fails)
	}
}
