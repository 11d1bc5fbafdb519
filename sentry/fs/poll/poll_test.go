package poll

import (
	"testing"
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/fs/pipe"
)

func TestPollReportsEachFilesEvents(t *testing.T) {
	c := fstest.Caller()
	r1, w1 := pipe.New(c, 0)
	r2, w2 := pipe.New(c, 0)
	fstest.Write(c, w1, "x")
	w2.Put()
	fds := []FD{
		{File: r1, Want: wait.In},
		{File: r2}, // hang-up is reported unasked
		{Got: linux.POLLNVAL},
		{},
		{File: w1, Want: wait.In},
		{File: w1, Want: wait.Out | wait.WrNorm},
	}
	n, errno := Poll(c, fds, false, time.Time{})
	if n != 4 || errno != 0 {
		t.Errorf("got %d, %v", n, errno)
	}
	for i, want := range []wait.Events{wait.In, wait.Hup, linux.POLLNVAL, 0, 0, wait.Out | wait.WrNorm} {
		if fds[i].Got != want {
			t.Errorf("%d: got %#x, want %#x", i, fds[i].Got, want)
		}
	}
}

func TestPollSleeps(t *testing.T) {
	c := fstest.Caller()
	b := c.Blocker.(*fstest.Blocker)
	r, w := pipe.New(c, 0)
	fds := []FD{{File: r, Want: wait.In}}
	if n, errno := Poll(c, fds, true, time.Time{}); n != 0 || errno != 0 {
		t.Errorf("nowait: %d, %v", n, errno)
	}
	if n, errno := Poll(c, fds, false, time.Now().Add(time.Millisecond)); n != 0 || errno != 0 {
		t.Errorf("timeout: %d, %v", n, errno)
	}
	b.Interrupts <- struct{}{}
	if n, errno := Poll(c, fds, false, time.Time{}); n != 0 || errno != linux.ERESTARTSYS {
		t.Errorf("interrupt: %d, %v", n, errno)
	}
	for len(b.Sleeping) > 0 {
		<-b.Sleeping
	}
	go func() {
		<-b.Sleeping
		fstest.Write(c, w, "x")
	}()
	if n, errno := Poll(c, fds, false, time.Time{}); n != 1 || errno != 0 || fds[0].Got != wait.In {
		t.Errorf("event: %d, %v, %#x", n, errno, fds[0].Got)
	}
}
