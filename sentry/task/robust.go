package task

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
)

// robustLimit bounds a robust list: ROBUST_LIST_LIMIT.
const robustLimit = 2048

// walkRobustList marks the futexes that the thread still holds as OWNER_DIED and wakes a waiter of each:
// exit_robust_list. The list is the guest's; it may be circular, endless or nonsense.
func (t *Task) walkRobustList(as *mm.AddressSpace) {
	head := t.RobustList()
	if head == 0 {
		return
	}
	t.SetRobustList(0)
	var b [24]byte
	if _, errno := as.CopyIn(b[:], head); errno != 0 {
		return
	}
	entry, offset, pending := le.Uint64(b[:]), le.Uint64(b[8:]), le.Uint64(b[16:])
	pi, pendingPI := entry&1 != 0, pending&1 != 0
	entry, pending = entry&^1, pending&^1
	for n := 0; entry != head && n < robustLimit; n++ {
		var next [8]byte
		_, errno := as.CopyIn(next[:], entry)
		if entry != pending && !t.ownerDied(as, entry+offset, pi, false) {
			return
		}
		if errno != 0 {
			return
		}
		nx := le.Uint64(next[:])
		entry, pi = nx&^1, nx&1 != 0
	}
	if pending != 0 {
		t.ownerDied(as, pending+offset, pendingPI, true)
	}
}

// ownerDied handles one futex word: handle_futex_death. False: stop walking.
func (t *Task) ownerDied(as *mm.AddressSpace, addr uint64, pi, pending bool) bool {
	if addr&3 != 0 {
		return false
	}
	tid := uint32(t.TID())
	for {
		v, errno := as.LoadUint32(addr)
		if errno != 0 {
			return false
		}
		// The thread died between unlocking in user space and waking: the wake-up is all that is missing.
		if pending && !pi && v == 0 {
			t.futexWakeAddr(as, addr, 1)
			return true
		}
		if v&linux.FUTEX_TID_MASK != tid {
			return true
		}
		swapped, errno := as.CompareAndSwapUint32(addr, v, v&linux.FUTEX_WAITERS|linux.FUTEX_OWNER_DIED)
		if errno != 0 {
			return false
		}
		if !swapped {
			continue
		}
		if !pi && v&linux.FUTEX_WAITERS != 0 {
			t.futexWakeAddr(as, addr, 1)
		}
		return true
	}
}

// exitPI hands the PI futexes that the thread still owns to their waiters: exit_pi_state_list.
func (t *Task) exitPI() { t.kernel.Futexes.OwnerExit(&t.misc.pi) }
