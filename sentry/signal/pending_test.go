package signal

import (
	"testing"

	"hornwork/linux"
)

func TestStandardSignalsCoalesceAndRealTimeOnesQueue(t *testing.T) {
	var p Pending
	var n Account
	for i := range 3 {
		i := User(linux.SIGUSR1, linux.SI_USER, int32(i), 0)
		if ok, errno := p.Enqueue(&i, &n, 100); ok != (PID(&i) == 0) || errno != 0 {
			t.Errorf("SIGUSR1 number %d: %v %v", PID(&i), ok, errno)
		}
	}
	for i := range 3 {
		i := User(linux.SIGRTMIN, linux.SI_QUEUE, int32(i), 0)
		if ok, errno := p.Enqueue(&i, &n, 100); !ok || errno != 0 {
			t.Errorf("SIGRTMIN: %v %v", ok, errno)
		}
	}
	if n.Load() != 4 {
		t.Errorf("%d are accounted, want 4", n.Load())
	}
	for want := range int32(3) {
		if i, ok := p.Dequeue(linux.SIGRTMIN); !ok || PID(&i) != want {
			t.Errorf("dequeued %d, want %d", PID(&i), want)
		}
	}
	if Has(p.Set, linux.SIGRTMIN) || !Has(p.Set, linux.SIGUSR1) {
		t.Errorf("set %#x", p.Set)
	}
	p.Flush(^Set(0))
	if n.Load() != 0 || p.Set != 0 {
		t.Errorf("after flush: %d accounted, set %#x", n.Load(), p.Set)
	}
}

func TestLimitOfPendingSignals(t *testing.T) {
	tests := []struct {
		name  string
		info  linux.Siginfo
		ok    bool
		errno linux.Errno
		keeps bool // its siginfo
	}{
		{"real-time by sigqueue", User(linux.SIGRTMIN, linux.SI_QUEUE, 7, 0), false, linux.EAGAIN, false},
		{"real-time by kill", User(linux.SIGRTMIN+1, linux.SI_USER, 7, 0), true, 0, false},
		{"standard by kill", User(linux.SIGUSR1, linux.SI_USER, 7, 0), true, 0, true},
		{"standard by tkill", User(linux.SIGUSR2, linux.SI_TKILL, 7, 0), true, 0, false},
		{"fault", Fault(linux.SIGSEGV, linux.SEGV_MAPERR, 7), true, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Pending
			var n Account
			ok, errno := p.Enqueue(&tt.info, &n, 0)
			if ok != tt.ok || errno != tt.errno {
				t.Fatalf("%v %v, want %v %v", ok, errno, tt.ok, tt.errno)
			}
			if !ok {
				return
			}
			if i, _ := p.Dequeue(tt.info.Signo); (PID(&i) == 7) != tt.keeps {
				t.Errorf("siginfo %+v", i)
			}
		})
	}
}

func TestOrderOfDelivery(t *testing.T) {
	set := Of(linux.SIGHUP, linux.SIGSEGV, linux.SIGRTMIN, linux.SIGBUS)
	for _, want := range []int32{linux.SIGBUS, linux.SIGSEGV, linux.SIGHUP, linux.SIGRTMIN, 0} {
		got := Next(set)
		if got != want {
			t.Errorf("next %d, want %d", got, want)
		}
		if got != 0 {
			set &^= Bit(got)
		}
	}
}

type fakeTimer struct{ alive bool }

func (f *fakeTimer) Dequeued(i *linux.Siginfo) bool { SetOverrun(i, 4); return f.alive }

func TestTimersQueueOnceAndMayWithdraw(t *testing.T) {
	var p Pending
	f := &fakeTimer{alive: true}
	i := Timer(linux.SIGRTMIN, 1, 0, 9)
	if !p.EnqueueTimed(&i, f) || p.EnqueueTimed(&i, f) {
		t.Error("a timer is queued once")
	}
	if got, ok := p.Dequeue(linux.SIGRTMIN); !ok || UID(&got) != 4 {
		t.Errorf("overrun %d, %v", UID(&got), ok)
	}
	p.EnqueueTimed(&i, f)
	f.alive = false
	if _, ok := p.Dequeue(linux.SIGRTMIN); ok {
		t.Error("a deleted timer's signal was delivered")
	}
}

func TestAltStack(t *testing.T) {
	a := NoAltStack
	if a.Get(0x1000).Flags != ssDisable {
		t.Error("not disabled at first")
	}
	set := func(flags int32, sp, size, at uint64) linux.Errno {
		return a.Set(&linux.StackT{SP: sp, Flags: flags, Size: size}, at, 2048)
	}
	if e := set(0, 0x10000, 100, 0); e != linux.ENOMEM {
		t.Errorf("too small: %v", e)
	}
	if e := set(8, 0x10000, 4096, 0); e != linux.EINVAL {
		t.Errorf("unknown flag: %v", e)
	}
	if e := set(0, 0x10000, 4096, 0); e != 0 || a.Get(0).Flags != 0 {
		t.Errorf("set: %v", e)
	}
	if a.Get(0x10800).Flags != ssOnStack {
		t.Error("not on the stack")
	}
	if e := set(0, 0x20000, 4096, 0x10800); e != linux.EPERM {
		t.Errorf("changed while in use: %v", e)
	}
	if e := set(ssAutodisarm, 0x10000, 4096, 0); e != 0 || a.Get(0x10800).Flags != ssAutodisarm {
		t.Errorf("autodisarm: %v %#x", e, a.Get(0x10800).Flags)
	}
}
