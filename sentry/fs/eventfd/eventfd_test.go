package eventfd

import (
	"encoding/binary"
	"math"
	"testing"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
)

func u64(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }

func TestCounter(t *testing.T) {
	const most = math.MaxUint64 - 1
	type step struct {
		write any // uint64, or nil for a read
		want  any // uint64 read, or an Errno
	}
	tests := []struct {
		name    string
		initial uint32
		flags   uint32
		steps   []step
	}{
		{"starts at its initial value", 7, 0, []step{{nil, uint64(7)}, {nil, linux.EAGAIN}}},
		{"adds up", 1, 0, []step{{uint64(2), nil}, {uint64(3), nil}, {nil, uint64(6)}, {nil, linux.EAGAIN}}},
		{"semaphore counts down", 2, linux.EFD_SEMAPHORE, []step{{nil, uint64(1)}, {nil, uint64(1)}, {nil, linux.EAGAIN}}},
		{"overflow", 0, 0, []step{{uint64(most), nil}, {uint64(0), nil}, {uint64(1), linux.EAGAIN}, {nil, uint64(most)}}},
		{"all ones", 0, 0, []step{{uint64(math.MaxUint64), linux.EINVAL}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := fstest.Caller()
			f := New(c, tt.initial, tt.flags)
			for i, s := range tt.steps {
				var got any
				if s.write != nil {
					if _, errno := fstest.Write(c, f, u64(s.write.(uint64))); errno != 0 {
						got = errno
					}
				} else if b, errno := fstest.Read(c, f, 8); errno != 0 {
					got = errno
				} else {
					got = binary.LittleEndian.Uint64([]byte(b))
				}
				if got != s.want {
					t.Errorf("step %d: got %v, want %v", i, got, s.want)
				}
			}
		})
	}
}

func TestShortBuffers(t *testing.T) {
	c := fstest.Caller()
	f := New(c, 1, 0)
	if _, errno := fstest.Read(c, f, 7); errno != linux.EINVAL {
		t.Errorf("read: %v", errno)
	}
	if _, errno := fstest.Write(c, f, "1234567"); errno != linux.EINVAL {
		t.Errorf("write: %v", errno)
	}
}

func TestReadinessAtTheEdges(t *testing.T) {
	c := fstest.Caller()
	f := New(c, 0, 0)
	e, _ := FromFile(f)
	w := fstest.Watch(f.Ops, wait.In|wait.Out)
	all := wait.Readable | wait.Writable
	if ev := e.Readiness(all); ev != wait.Out {
		t.Errorf("zero: %#x", ev)
	}
	fstest.Write(c, f, u64(1))
	if ev := e.Readiness(all); ev != wait.In|wait.Out || len(w.C) != 1 {
		t.Errorf("one: %#x, %d events", ev, len(w.C))
	}
	fstest.Write(c, f, u64(math.MaxUint64-2))
	if ev := e.Readiness(all); ev != wait.In {
		t.Errorf("full: %#x", ev)
	}
	e.Signal(5)
	if ev := e.Readiness(all); ev != wait.In|wait.Err {
		t.Errorf("overflow: %#x", ev)
	}
	if _, errno := fstest.Write(c, f, u64(0)); errno != linux.EAGAIN {
		t.Errorf("write after the overflow: %v", errno)
	}
}
