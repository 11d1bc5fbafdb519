package trap

import (
	"sync/atomic"
)

// spinLimits are the lengths of spins, in rounds of PAUSE.
type spinLimits struct {
	stub uint32
}

func calibrate() spinLimits { return spinLimits{} }

// waitState is a thread's way of waiting.
type waitState struct{}

func newWaitState() waitState { return waitState{} }

// reply publishes the answer to a request and waits for the next event.
func (t *Thread) reply(state uint32) bool {
	old := atomic.SwapUint32(&t.req.State, state|stateSentry)
	if !t.l.pending && old&stateStub != 0 && !t.l.wait() {
		return false
	}
	if !t.l.pending {
		return t.l.wait()
	}
	return t.l.turn(0)
}
