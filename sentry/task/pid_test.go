package task

import (
	"slices"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/ns"
)

func TestNumbersInNestedNamespaces(t *testing.T) {
	k := NewKernel()
	root := k.PIDNS
	a, _ := root.newPID(nil)
	a.task = &Task{}
	inner := newPIDNamespace(k, root, ns.Info{})
	b, errno := inner.newPID(nil)
	if errno != 0 || b.In(root) != 2 || b.In(inner) != 1 || a.In(inner) != 0 || b.Number() != 1 {
		t.Fatalf("%v: %d %d %d", errno, b.In(root), b.In(inner), a.In(inner))
	}
	if !slices.Equal(b.Numbers(root), []int32{2, 1}) || !slices.Equal(b.Numbers(inner), []int32{1}) {
		t.Error(b.Numbers(root))
	}
	if !root.Contains(inner) || inner.Contains(root) {
		t.Error("contains")
	}
	c, errno := inner.newPID([]int32{50, 700})
	if errno != 0 || c.In(inner) != 50 || c.In(root) != 700 {
		t.Fatal(errno)
	}
	if _, errno := inner.newPID([]int32{50}); errno != linux.EEXIST {
		t.Error(errno)
	}
	if n := len(root.pids); n != 3 {
		t.Errorf("%d numbers are taken in the root after a failure", n)
	}
	c.release()
	if inner.pids[50] != nil || root.pids[700] != nil {
		t.Error("numbers of an unused PID are kept")
	}
	a.release()
	if root.pids[1] != a {
		t.Error("the number of a thread was given back")
	}
	inner.dead = true
	if _, errno := inner.newPID(nil); errno != linux.ENOMEM {
		t.Error(errno)
	}
}

func TestNumbersWrapAround(t *testing.T) {
	k := NewKernel()
	n := k.PIDNS
	n.last = pidMax - 2
	p, _ := n.newPID(nil)
	q, _ := n.newPID(nil)
	if p.Number() != pidMax-1 || q.Number() != reservedPIDs {
		t.Errorf("%d then %d", p.Number(), q.Number())
	}
	for nr := int32(1); nr < pidMax; nr++ {
		n.pids[nr] = p
	}
	if _, errno := n.newPID(nil); errno != linux.EAGAIN {
		t.Error(errno)
	}
}

func TestCPUTimersOnlyLookWhenTheyCanHaveExpired(t *testing.T) {
	g := &groupTimers{virt: cpuTimer{100, 10}, prof: cpuTimer{500, 0}}
	if g.firstCPU() != 100 {
		t.Error(g.firstCPU())
	}
	if due := g.expireCPU(99); len(due) != 0 {
		t.Error("too early")
	}
	if due := g.expireCPU(135); len(due) != 1 || g.virt.expiry != 140 {
		t.Errorf("%d due, next %d", len(due), g.virt.expiry)
	}
	if due := g.expireCPU(500); len(due) != 2 || g.prof.expiry != 0 {
		t.Errorf("%d due", len(due))
	}
}
