package timerfd

import (
	"encoding/binary"
	"testing"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/timer"
	"hornwork/sentry/vfs"
)

func newTest(t *testing.T, clock int32) (*vfs.Caller, *vfs.File, *TimerFD) {
	t.Helper()
	c := fstest.Caller()
	f, errno := New(c, clock, 0, nil)
	if errno != 0 {
		t.Fatal(errno)
	}
	tf, _ := FromFile(f)
	t.Cleanup(f.Put)
	return c, f, tf
}

func ts(ns int64) linux.Timespec { return timer.ToTimespec(ns) }

func TestClocks(t *testing.T) {
	tests := []struct {
		clock int32
		c     *vfs.Caller
		flags uint32
		want  linux.Errno
	}{
		{linux.CLOCK_REALTIME, fstest.User(5), 0, 0},
		{linux.CLOCK_BOOTTIME, fstest.User(5), linux.TFD_NONBLOCK, 0},
		{linux.CLOCK_BOOTTIME_ALARM, fstest.User(5), 0, linux.EPERM},
		{linux.CLOCK_REALTIME_ALARM, fstest.Caller(), 0, 0},
		{linux.CLOCK_MONOTONIC_RAW, fstest.Caller(), 0, linux.EINVAL},
		{linux.CLOCK_PROCESS_CPUTIME_ID, fstest.Caller(), 0, linux.EINVAL},
		{linux.CLOCK_MONOTONIC, fstest.Caller(), 1, linux.EINVAL},
	}
	for _, tt := range tests {
		f, errno := New(tt.c, tt.clock, tt.flags, nil)
		if errno != tt.want {
			t.Errorf("clock %d: %v, want %v", tt.clock, errno, tt.want)
		}
		if f != nil {
			f.Put()
		}
	}
}

func TestExpiriesAreCounted(t *testing.T) {
	for _, clock := range []int32{linux.CLOCK_REALTIME, linux.CLOCK_MONOTONIC, linux.CLOCK_BOOTTIME} {
		c, f, tf := newTest(t, clock)
		if _, errno := fstest.Read(c, f, 8); errno != linux.EAGAIN {
			t.Errorf("disarmed: %v", errno)
		}
		// An absolute time in the past expires at once, with all the periods since then.
		now, _ := timer.Now(clock, nil)
		tf.SetTime(linux.TFD_TIMER_ABSTIME, linux.Itimerspec{Value: ts(now - 10e9), Interval: ts(1e9)})
		b, errno := fstest.BlockingRead(c, f, 8)
		if errno != 0 {
			t.Fatal(errno)
		}
		if n := binary.LittleEndian.Uint64([]byte(b)); n < 11 {
			t.Errorf("clock %d: %d expiries in 10 s", clock, n)
		}
		if g := tf.GetTime(); g.Interval != ts(1e9) || g.Value == (linux.Timespec{}) {
			t.Errorf("gettime %+v", g)
		}
	}
}

func TestOneShotAndSettingAnew(t *testing.T) {
	c, f, tf := newTest(t, linux.CLOCK_MONOTONIC)
	w := fstest.Watch(f.Ops, wait.In)
	tf.SetTime(0, linux.Itimerspec{Value: ts(1)})
	<-w.C
	if f.Ops.Readiness(wait.In) != wait.In {
		t.Error("not readable after the expiry")
	}
	if _, errno := fstest.Read(c, f, 7); errno != linux.EINVAL {
		t.Errorf("short read: %v", errno)
	}
	if b, _ := fstest.Read(c, f, 8); b != "\x01\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("got %q", b)
	}
	if g := tf.GetTime(); g != (linux.Itimerspec{}) {
		t.Errorf("after the one expiry: %+v", g)
	}
	tf.SetTime(0, linux.Itimerspec{Value: ts(1)})
	<-w.C
	old, errno := tf.SetTime(0, linux.Itimerspec{Value: ts(3600e9), Interval: ts(5)})
	if errno != 0 || old != (linux.Itimerspec{}) {
		t.Errorf("old %+v, %v", old, errno)
	}
	if _, errno := fstest.Read(c, f, 8); errno != linux.EAGAIN {
		t.Errorf("the expiry of the old setting is still there: %v", errno)
	}
	old, _ = tf.SetTime(0, linux.Itimerspec{})
	if old.Value.Sec != 3599 || old.Interval != ts(5) {
		t.Errorf("old %+v", old)
	}
}

func TestInvalidSettings(t *testing.T) {
	_, _, tf := newTest(t, linux.CLOCK_MONOTONIC)
	tests := []struct {
		flags uint32
		its   linux.Itimerspec
		want  linux.Errno
	}{
		{4, linux.Itimerspec{}, linux.EINVAL},
		{0, linux.Itimerspec{Value: linux.Timespec{Nsec: 1e9}}, linux.EINVAL},
		{0, linux.Itimerspec{Value: linux.Timespec{Sec: -1}}, linux.EINVAL},
		{0, linux.Itimerspec{Interval: linux.Timespec{Nsec: -1}}, linux.EINVAL},
		{linux.TFD_TIMER_ABSTIME | linux.TFD_TIMER_CANCEL_ON_SET, linux.Itimerspec{}, 0},
		{0, linux.Itimerspec{Value: linux.Timespec{Sec: 1 << 62}}, 0},
	}
	for _, tt := range tests {
		if _, errno := tf.SetTime(tt.flags, tt.its); errno != tt.want {
			t.Errorf("%+v: %v, want %v", tt.its, errno, tt.want)
		}
	}
}
