package signalfd

import (
	"encoding/binary"
	"testing"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/vfs"
)

// fakeTask has its pending signals in a slice.
type fakeTask struct {
	pending []linux.Siginfo
	q       wait.Queue
}

func (f *fakeTask) DequeueSignal(set linux.Sigset) (linux.Siginfo, bool) {
	for k, i := range f.pending {
		if set&(1<<(i.Signo-1)) != 0 {
			f.pending = append(f.pending[:k:k], f.pending[k+1:]...)
			return i, true
		}
	}
	return linux.Siginfo{}, false
}

func (f *fakeTask) PendingSignals() (s linux.Sigset) {
	for _, i := range f.pending {
		s |= 1 << (i.Signo - 1)
	}
	return s
}

func (f *fakeTask) SignalQueue() *wait.Queue { return &f.q }

func (f *fakeTask) send(i linux.Siginfo) {
	f.pending = append(f.pending, i)
	f.q.Notify(wait.In)
}

func bit(sig int32) linux.Sigset { return 1 << (sig - 1) }

func newTest() (*vfs.Caller, *fakeTask) {
	c, task := fstest.Caller(), &fakeTask{}
	c.Task = task
	return c, task
}

func TestReadTakesOnlySignalsOfTheSet(t *testing.T) {
	c, task := newTest()
	f := New(c, bit(linux.SIGUSR1)|bit(linux.SIGCHLD)|bit(linux.SIGKILL), linux.SFD_NONBLOCK)
	if s, _ := FromFile(f); s.Mask()&bit(linux.SIGKILL) != 0 {
		t.Error("SIGKILL is in the set")
	}
	w := fstest.Watch(f.Ops, wait.In)
	task.send(linux.Siginfo{Signo: linux.SIGUSR2})
	if _, errno := fstest.Read(c, f, 256); errno != linux.EAGAIN {
		t.Errorf("another signal: %v", errno)
	}
	if f.Ops.Readiness(wait.In) != 0 {
		t.Error("readable for another signal")
	}
	task.send(linux.Siginfo{Signo: linux.SIGUSR1})
	task.send(linux.Siginfo{Signo: linux.SIGCHLD})
	if len(w.C) != 3 || f.Ops.Readiness(wait.In) != wait.In {
		t.Errorf("%d events, readiness %v", len(w.C), f.Ops.Readiness(wait.In))
	}
	if _, errno := fstest.Read(c, f, 127); errno != linux.EINVAL {
		t.Errorf("short buffer: %v", errno)
	}
	b, errno := fstest.Read(c, f, 300)
	if len(b) != 256 || errno != 0 || b[0] != linux.SIGUSR1 || b[128] != linux.SIGCHLD {
		t.Errorf("got %d bytes, %v", len(b), errno)
	}
	if len(task.pending) != 1 {
		t.Errorf("%d signals left", len(task.pending))
	}
}

func TestReadSleepsAndPollingIsPerProcess(t *testing.T) {
	c, task := newTest()
	f := New(c, bit(linux.SIGUSR1), 0)
	s, _ := FromFile(f)
	child, childTask := newTest()
	w := s.PerCaller(child)
	childTask.pending = []linux.Siginfo{{Signo: linux.SIGUSR1}}
	if w.Readiness(wait.In) != wait.In || s.Readiness(wait.In) != 0 {
		t.Error("readiness is not that of the caller")
	}
	b := c.Blocker.(*fstest.Blocker)
	go func() {
		<-b.Sleeping
		task.send(linux.Siginfo{Signo: linux.SIGUSR1})
	}()
	if got, errno := fstest.Read(c, f, 128); len(got) != 128 || errno != 0 {
		t.Errorf("got %d bytes, %v", len(got), errno)
	}
	b.Interrupts <- struct{}{}
	if _, errno := fstest.Read(c, f, 128); errno != linux.ERESTARTSYS {
		t.Errorf("interrupted: %v", errno)
	}
}

func TestEncoding(t *testing.T) {
	le := binary.LittleEndian
	var fields [112]byte
	for i := range fields {
		fields[i] = byte(i + 1)
	}
	word := func(off int) uint32 { return le.Uint32(fields[off:]) }
	tests := []struct {
		name      string
		sig, code int32
		want      map[int]uint32 // offset → value; every other word after the code is 0
	}{
		{"kill", linux.SIGUSR1, linux.SI_USER, map[int]uint32{12: word(0), 16: word(4)}},
		{"kernel", linux.SIGINT, linux.SI_KERNEL, map[int]uint32{12: word(0), 16: word(4)}},
		{"queue", linux.SIGRTMIN, linux.SI_QUEUE, map[int]uint32{12: word(0), 16: word(4), 44: word(8), 48: word(8), 52: word(12)}},
		{"timer", linux.SIGALRM, linux.SI_TIMER, map[int]uint32{24: word(0), 32: word(4), 44: word(8), 48: word(8), 52: word(12)}},
		{"child", linux.SIGCHLD, linux.CLD_EXITED, map[int]uint32{12: word(0), 16: word(4), 40: word(8),
			56: word(16), 60: word(20), 64: word(24), 68: word(28)}},
		{"fault", linux.SIGSEGV, linux.SEGV_MAPERR, map[int]uint32{72: word(0), 76: word(4)}},
		{"poll", linux.SIGIO, linux.POLL_IN, map[int]uint32{28: word(0), 20: word(8)}},
		{"seccomp", linux.SIGSYS, 1, map[int]uint32{88: word(0), 92: word(4), 84: word(8), 96: word(12)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b [InfoSize]byte
			encode(&b, &linux.Siginfo{Signo: tt.sig, Errno: 9, Code: tt.code, Fields: fields})
			if le.Uint32(b[0:]) != uint32(tt.sig) || le.Uint32(b[4:]) != 9 || int32(le.Uint32(b[8:])) != tt.code {
				t.Errorf("head % x", b[:12])
			}
			for off := 12; off < InfoSize; off += 4 {
				if got := le.Uint32(b[off:]); got != tt.want[off] {
					t.Errorf("offset %d: got %#x, want %#x", off, got, tt.want[off])
				}
			}
		})
	}
}
