package futex

import (
	"testing"

	"hornwork/lib/wait"
	"hornwork/linux"
)

// words is memory: a value per address; reading any other is EFAULT.
type words map[uint64]uint32

func (w words) LoadUint32(a uint64) (uint32, linux.Errno) {
	v, ok := w[a]
	if !ok {
		return 0, linux.EFAULT
	}
	return v, 0
}

func (w words) CompareAndSwapUint32(a uint64, old, new uint32) (bool, linux.Errno) {
	if w[a] != old {
		return false, 0
	}
	w[a] = new
	return true, 0
}

func (w words) at(a uint64) Word { return Word{w, a, Key{Space: 1, Offset: a}} }

type counter int

func (c *counter) Wake(*wait.Entry, wait.Events) { *c++ }

// thread is a waiter with its owner.
type thread struct {
	Waiter
	owner Owner
	wakes counter
}

func newThread(tid uint32) *thread {
	t := &thread{}
	t.Waker, t.TID, t.Owner = &t.wakes, tid, &t.owner
	return t
}

const any = linux.FUTEX_BITSET_MATCH_ANY

func TestWaitComparesAndWakeCounts(t *testing.T) {
	tab, m := NewTable(), words{8: 1}
	a, b := newThread(1), newThread(2)
	if e := tab.Enqueue(&a.Waiter, m.at(8), any, 2); e != linux.EAGAIN {
		t.Error(e)
	}
	if e := tab.Enqueue(&a.Waiter, m.at(16), any, 2); e != linux.EFAULT {
		t.Error(e)
	}
	tab.Enqueue(&a.Waiter, m.at(8), 1, 1)
	tab.Enqueue(&b.Waiter, m.at(8), 2, 1)
	if n, _ := tab.Wake(m.at(8).Key, 10, 2); n != 1 || a.Woken() || !b.Woken() {
		t.Errorf("by bitset: %d", n)
	}
	if n, _ := tab.Wake(m.at(8).Key, 10, any); n != 1 || !a.Woken() || a.wakes != 1 {
		t.Errorf("the rest: %d", n)
	}
	tab.Enqueue(&a.Waiter, m.at(8), any, 1)
	if !tab.Dequeue(&a.Waiter) || tab.Dequeue(&a.Waiter) {
		t.Error("a wait that nobody ended")
	}
	if n, _ := tab.Wake(m.at(8).Key, 10, any); n != 0 {
		t.Errorf("woke %d that had left", n)
	}
}

func TestRequeueMovesTheRest(t *testing.T) {
	tab, m := NewTable(), words{8: 1, 4096: 0}
	var th []*thread
	for i := range 5 {
		x := newThread(uint32(i + 1))
		th = append(th, x)
		tab.Enqueue(&x.Waiter, m.at(8), any, 1)
	}
	wrong := uint32(7)
	if _, e := tab.Requeue(m.at(8), m.at(4096), 1, 2, &wrong); e != linux.EAGAIN {
		t.Error(e)
	}
	if n, e := tab.Requeue(m.at(8), m.at(4096), 1, 2, nil); n != 3 || e != 0 {
		t.Errorf("%d %v", n, e)
	}
	if n, _ := tab.Wake(m.at(4096).Key, 10, any); n != 2 {
		t.Errorf("%d were moved", n)
	}
	if n, _ := tab.Wake(m.at(8).Key, 10, any); n != 2 {
		t.Errorf("%d stayed", n)
	}
	for i, x := range th {
		if x.wakes != 1 {
			t.Errorf("thread %d woken %d times", i, x.wakes)
		}
	}
	// To itself: nobody moves, nothing loops.
	tab.Enqueue(&th[0].Waiter, m.at(8), any, 1)
	tab.Enqueue(&th[1].Waiter, m.at(8), any, 1)
	if n, e := tab.Requeue(m.at(8), m.at(8), 0, 100, nil); n != 2 || e != 0 {
		t.Errorf("to itself: %d %v", n, e)
	}
}

func TestWakeOp(t *testing.T) {
	op := func(op, arg, cmp, cmpArg uint32) uint32 { return op<<28 | cmp<<24 | arg&0xfff<<12 | cmpArg&0xfff }
	for _, tt := range []struct {
		op        uint32
		old, want uint32
		second    bool
	}{
		{op(linux.FUTEX_OP_ADD, 3, linux.FUTEX_OP_CMP_EQ, 5), 5, 8, true},
		{op(linux.FUTEX_OP_SET, 9, linux.FUTEX_OP_CMP_GT, 5), 5, 9, false},
		{op(linux.FUTEX_OP_OR|linux.FUTEX_OP_OPARG_SHIFT, 4, linux.FUTEX_OP_CMP_LE, 5), 1, 17, true},
		{op(linux.FUTEX_OP_ADD, 0xfff, linux.FUTEX_OP_CMP_LT, 0xfff), 0xfffffffe, 0xfffffffd, true},
	} {
		tab, m := NewTable(), words{8: 0, 16: tt.old}
		a, b := newThread(1), newThread(2)
		tab.Enqueue(&a.Waiter, m.at(8), any, 0)
		tab.Enqueue(&b.Waiter, m.at(16), any, tt.old)
		n, e := tab.WakeOp(m.at(8), m.at(16), 1, 1, tt.op)
		if e != 0 || m[16] != tt.want || !a.Woken() || b.Woken() != tt.second || (n == 2) != tt.second {
			t.Errorf("op %#x: %d %v, word %#x", tt.op, n, e, m[16])
		}
	}
	if CheckOp(op(7, 0, 0, 0)) != linux.ENOSYS || CheckOp(op(0, 0, 9, 0)) != linux.ENOSYS {
		t.Error("unknown operations")
	}
}

func TestPIHandsOverInOrder(t *testing.T) {
	tab, m := NewTable(), words{8: 0}
	a, b, c := newThread(1), newThread(2), newThread(3)
	find := func(tid uint32) *Owner {
		for _, x := range []*thread{a, b, c} {
			if x.TID == tid {
				return &x.owner
			}
		}
		return nil
	}
	if q, e := tab.LockPI(&a.Waiter, m.at(8), find, false); q || e != 0 || m[8] != 1 {
		t.Fatalf("free futex: %v %v %#x", q, e, m[8])
	}
	if _, e := tab.LockPI(&a.Waiter, m.at(8), find, false); e != linux.EDEADLK {
		t.Error(e)
	}
	if _, e := tab.LockPI(&b.Waiter, m.at(8), find, true); e != linux.EAGAIN {
		t.Error(e)
	}
	for _, x := range []*thread{b, c} {
		if q, e := tab.LockPI(&x.Waiter, m.at(8), find, false); !q || e != 0 {
			t.Fatalf("%v %v", q, e)
		}
	}
	if m[8] != 1|linux.FUTEX_WAITERS {
		t.Errorf("word %#x", m[8])
	}
	if e := tab.UnlockPI(m.at(8), 2, &b.owner); e != linux.EPERM {
		t.Error(e)
	}
	if e := tab.UnlockPI(m.at(8), 1, &a.owner); e != 0 || m[8] != 2|linux.FUTEX_WAITERS || !b.Woken() || c.Woken() {
		t.Errorf("%v, word %#x", e, m[8])
	}
	if !tab.CancelPI(&b.Waiter) {
		t.Error("b does not own it")
	}
	tab.OwnerExit(&b.owner)
	if m[8] != 3|linux.FUTEX_WAITERS|linux.FUTEX_OWNER_DIED || !c.Woken() {
		t.Errorf("after b's death: %#x", m[8])
	}
	if e := tab.UnlockPI(m.at(8), 3, &c.owner); e != 0 || m[8] != 0 {
		t.Errorf("last: %v %#x", e, m[8])
	}
	m[8] = 99
	if _, e := tab.LockPI(&a.Waiter, m.at(8), find, false); e != linux.ESRCH {
		t.Error(e)
	}
}

func TestPIFindsCircles(t *testing.T) {
	tab, m := NewTable(), words{8: 0, 16: 0}
	a, b := newThread(1), newThread(2)
	find := func(tid uint32) *Owner { return map[uint32]*Owner{1: &a.owner, 2: &b.owner}[tid] }
	tab.LockPI(&a.Waiter, m.at(8), find, false)
	tab.LockPI(&b.Waiter, m.at(16), find, false)
	if q, e := tab.LockPI(&a.Waiter, m.at(16), find, false); !q || e != 0 {
		t.Fatal(q, e)
	}
	if _, e := tab.LockPI(&b.Waiter, m.at(8), find, false); e != linux.EDEADLK {
		t.Error(e)
	}
	if tab.CancelPI(&a.Waiter) {
		t.Error("a gave up, and owns it")
	}
	if len(tab.of(&Key{Space: 1, Offset: 16}).pi) != 0 || len(b.owner.held) != 0 {
		t.Error("state without waiters is left")
	}
}

func TestRequeuePI(t *testing.T) {
	tab, m := NewTable(), words{8: 1, 4096: 0}
	target := m.at(4096)
	a, b := newThread(1), newThread(2)
	find := func(tid uint32) *Owner { return map[uint32]*Owner{1: &a.owner, 2: &b.owner}[tid] }
	for _, x := range []*thread{a, b} {
		if e := tab.EnqueueRequeuePI(&x.Waiter, m.at(8), &target, any, 1); e != 0 {
			t.Fatal(e)
		}
	}
	if _, e := tab.Wake(m.at(8).Key, 1, any); e != linux.EINVAL {
		t.Errorf("plain wake: %v", e)
	}
	if n, e := tab.RequeuePI(m.at(8), target, 10, 1, find); n != 2 || e != 0 {
		t.Fatal(n, e)
	}
	if !a.Woken() || b.Woken() || m[4096] != 1|linux.FUTEX_WAITERS {
		t.Errorf("word %#x", m[4096])
	}
	if !tab.CancelPI(&a.Waiter) || !a.Moved() {
		t.Error("a does not own it")
	}
	if e := tab.UnlockPI(target, 1, &a.owner); e != 0 || !b.Woken() || m[4096]&linux.FUTEX_TID_MASK != 2 {
		t.Errorf("%v %#x", e, m[4096])
	}
}
