package epoll

import (
	"slices"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/fs/eventfd"
	"hornwork/sentry/fs/pipe"
	"hornwork/sentry/vfs"
)

func newTest(t *testing.T) (*vfs.Caller, *vfs.File, *Epoll) {
	t.Helper()
	c := fstest.Caller()
	f := New(c)
	ep, _ := FromFile(f)
	return c, f, ep
}

func ev(events uint32, data uint32) linux.EpollEvent {
	return linux.EpollEvent{Events: events, Data: [2]uint32{data, 0}}
}

// now returns what a Wait that does not sleep reports.
func now(ep *Epoll, most int) []linux.EpollEvent {
	out := make([]linux.EpollEvent, most)
	n, _ := ep.Wait(nil, out, true, time.Time{})
	return out[:n]
}

func TestTriggers(t *testing.T) {
	const in = linux.EPOLLIN
	tests := []struct {
		name   string
		events uint32
		// what Wait returns: after a write, again, after another write, after a read of all
		want [4]int
	}{
		{"level", in, [4]int{1, 1, 1, 0}},
		{"edge", in | linux.EPOLLET, [4]int{1, 0, 1, 0}},
		{"one-shot", in | linux.EPOLLONESHOT, [4]int{1, 0, 0, 0}},
		{"exclusive", in | linux.EPOLLEXCLUSIVE, [4]int{1, 1, 1, 0}},
		{"not asked for", linux.EPOLLPRI, [4]int{0, 0, 0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, f, ep := newTest(t)
			r, w := pipe.New(c, linux.O_NONBLOCK)
			if errno := ep.Ctl(c, f, linux.EPOLL_CTL_ADD, 5, r, ev(tt.events, 77)); errno != 0 {
				t.Fatal(errno)
			}
			var got [4]int
			fstest.Write(c, w, "x")
			first := now(ep, 4)
			got[0] = len(first)
			got[1] = len(now(ep, 4))
			fstest.Write(c, w, "x")
			got[2] = len(now(ep, 4))
			fstest.Read(c, r, 10)
			got[3] = len(now(ep, 4))
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if len(first) == 1 && first[0] != ev(in, 77) {
				t.Errorf("event %+v", first[0])
			}
		})
	}
}

func TestModRearmsAndReportsAtOnce(t *testing.T) {
	c, f, ep := newTest(t)
	r, w := pipe.New(c, 0)
	ep.Ctl(c, f, linux.EPOLL_CTL_ADD, 5, r, ev(linux.EPOLLIN|linux.EPOLLONESHOT, 1))
	fstest.Write(c, w, "x")
	now(ep, 1)
	ep.Ctl(c, f, linux.EPOLL_CTL_MOD, 5, r, ev(linux.EPOLLIN|linux.EPOLLET, 2))
	if got := now(ep, 1); !slices.Equal(got, []linux.EpollEvent{ev(linux.EPOLLIN, 2)}) {
		t.Errorf("got %+v", got)
	}
	w.Put()
	ep.Ctl(c, f, linux.EPOLL_CTL_MOD, 5, r, ev(0, 3))
	if got := now(ep, 1); !slices.Equal(got, []linux.EpollEvent{ev(linux.EPOLLHUP, 3)}) {
		t.Errorf("hang-up: %+v", got)
	}
}

func TestErrorsOfCtl(t *testing.T) {
	c, f, ep := newTest(t)
	r, _ := pipe.New(c, 0)
	regular := vfs.NewAnonFile(c, vfs.NewAnonFS("test", 0), "", linux.S_IFREG|0o600, &vfs.DefaultFile{}, 0)
	inner := New(c)
	ep.Ctl(c, f, linux.EPOLL_CTL_ADD, 1, r, ev(linux.EPOLLIN, 0))
	ep.Ctl(c, f, linux.EPOLL_CTL_ADD, 2, r, ev(linux.EPOLLIN|linux.EPOLLEXCLUSIVE, 0))
	const in, excl = linux.EPOLLIN, linux.EPOLLEXCLUSIVE
	tests := []struct {
		name   string
		op, fd int32
		target *vfs.File
		events uint32
		want   linux.Errno
	}{
		{"regular file", linux.EPOLL_CTL_ADD, 9, regular, in, linux.EPERM},
		{"itself", linux.EPOLL_CTL_ADD, 9, f, in, linux.EINVAL},
		{"twice", linux.EPOLL_CTL_ADD, 1, r, in, linux.EEXIST},
		{"the same file under another number", linux.EPOLL_CTL_ADD, 3, r, in, 0},
		{"modify what is not there", linux.EPOLL_CTL_MOD, 9, r, in, linux.ENOENT},
		{"delete what is not there", linux.EPOLL_CTL_DEL, 9, r, in, linux.ENOENT},
		{"modify to exclusive", linux.EPOLL_CTL_MOD, 1, r, in | excl, linux.EINVAL},
		{"modify an exclusive one", linux.EPOLL_CTL_MOD, 2, r, in, linux.EINVAL},
		{"exclusive with one-shot", linux.EPOLL_CTL_ADD, 9, r, in | excl | linux.EPOLLONESHOT, linux.EINVAL},
		{"exclusive epoll", linux.EPOLL_CTL_ADD, 9, inner, in | excl, linux.EINVAL},
		{"unknown operation", 4, 1, r, in, linux.EINVAL},
		{"delete", linux.EPOLL_CTL_DEL, 1, r, 0, 0},
		{"delete again", linux.EPOLL_CTL_DEL, 1, r, 0, linux.ENOENT},
	}
	for _, tt := range tests {
		if got := ep.Ctl(c, f, tt.op, tt.fd, tt.target, ev(tt.events, 0)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestReadyListRotates(t *testing.T) {
	c, f, ep := newTest(t)
	for i := range uint32(4) {
		e := eventfd.New(c, 1, 0)
		ep.Ctl(c, f, linux.EPOLL_CTL_ADD, int32(i), e, ev(linux.EPOLLIN, i))
	}
	var got []uint32
	for range 3 {
		for _, e := range now(ep, 2) {
			got = append(got, e.Data[0])
		}
	}
	if want := []uint32{0, 1, 2, 3, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLastCloseRemovesTheItem(t *testing.T) {
	c, f, ep := newTest(t)
	e := eventfd.New(c, 1, 0)
	ep.Ctl(c, f, linux.EPOLL_CTL_ADD, 3, e, ev(linux.EPOLLIN, 0))
	e.Get()
	e.Put() // a duplicate keeps the item
	if n := len(now(ep, 1)); n != 1 {
		t.Errorf("%d events while a reference is left", n)
	}
	e.Put()
	if n := len(now(ep, 1)); n != 0 || len(ep.items) != 0 {
		t.Errorf("%d events, %d items after the last close", n, len(ep.items))
	}
}

func TestNestedEpolls(t *testing.T) {
	c, outer, ep := newTest(t)
	inner := New(c)
	in, _ := FromFile(inner)
	r, w := pipe.New(c, 0)
	in.Ctl(c, inner, linux.EPOLL_CTL_ADD, 1, r, ev(linux.EPOLLIN, 1))
	ep.Ctl(c, outer, linux.EPOLL_CTL_ADD, 2, inner, ev(linux.EPOLLIN, 2))
	if n := len(now(ep, 1)); n != 0 {
		t.Errorf("%d events before any", n)
	}
	fstest.Write(c, w, "x")
	if got := now(ep, 1); !slices.Equal(got, []linux.EpollEvent{ev(linux.EPOLLIN, 2)}) {
		t.Errorf("outer: %+v", got)
	}
	fstest.Read(c, r, 1)
	if n := len(now(ep, 1)); n != 0 {
		t.Errorf("%d events after the read", n)
	}
	if errno := in.Ctl(c, inner, linux.EPOLL_CTL_ADD, 3, outer, ev(linux.EPOLLIN, 0)); errno != linux.ELOOP {
		t.Errorf("cycle: %v", errno)
	}
	chain := []*vfs.File{outer}
	var errno linux.Errno
	for range 6 {
		f := New(c)
		e, _ := FromFile(f)
		if errno = e.Ctl(c, f, linux.EPOLL_CTL_ADD, 1, chain[len(chain)-1], ev(linux.EPOLLIN, 0)); errno != 0 {
			break
		}
		chain = append(chain, f)
	}
	if errno != linux.ELOOP || len(chain) != 4 {
		t.Errorf("chain of %d epolls above one, then %v", len(chain), errno)
	}
}

func TestManyWaysUpwardsAreRefused(t *testing.T) {
	c := fstest.Caller()
	// Layers of epolls, each watching all of the layer below: the number of ways grows with every layer.
	layer := []*vfs.File{New(c)}
	var errno linux.Errno
	for depth := 0; depth < 4 && errno == 0; depth++ {
		var next []*vfs.File
		for range 20 {
			f := New(c)
			e, _ := FromFile(f)
			for i, below := range layer {
				if errno = e.Ctl(c, f, linux.EPOLL_CTL_ADD, int32(i), below, ev(linux.EPOLLIN, 0)); errno != 0 {
					break
				}
			}
			next = append(next, f)
		}
		layer = next
	}
	if errno != linux.EINVAL {
		t.Errorf("got %v", errno)
	}
}

func TestWaitSleeps(t *testing.T) {
	c, f, ep := newTest(t)
	b := c.Blocker.(*fstest.Blocker)
	r, w := pipe.New(c, 0)
	ep.Ctl(c, f, linux.EPOLL_CTL_ADD, 1, r, ev(linux.EPOLLIN, 0))
	events := make([]linux.EpollEvent, 1)
	if n, errno := ep.Wait(b, events, false, time.Now().Add(time.Millisecond)); n != 0 || errno != 0 {
		t.Errorf("timeout: %d, %v", n, errno)
	}
	b.Interrupts <- struct{}{}
	if _, errno := ep.Wait(b, events, false, time.Time{}); errno != linux.ERESTARTSYS {
		t.Errorf("interrupt: %v", errno)
	}
	for len(b.Sleeping) > 0 {
		<-b.Sleeping
	}
	go func() {
		<-b.Sleeping
		fstest.Write(c, w, "x")
	}()
	if n, errno := ep.Wait(b, events, false, time.Time{}); n != 1 || errno != 0 {
		t.Errorf("event: %d, %v", n, errno)
	}
}

func TestReleaseLetsGoOfTheFiles(t *testing.T) {
	c, f, ep := newTest(t)
	e := eventfd.New(c, 0, 0)
	ep.Ctl(c, f, linux.EPOLL_CTL_ADD, 1, e, ev(linux.EPOLLIN, 0))
	f.Put()
	if len(ep.items) != 0 {
		t.Errorf("%d items left", len(ep.items))
	}
	fstest.Write(c, e, "\x01\x00\x00\x00\x00\x00\x00\x00")
	if ep.nready != 0 {
		t.Error("an event reached a closed epoll")
	}
}

func BenchmarkLevelEvent(b *testing.B) {
	c := fstest.Caller()
	f := New(c)
	ep, _ := FromFile(f)
	for i := range int32(1000) {
		r, w := pipe.New(c, 0)
		ep.Ctl(c, f, linux.EPOLL_CTL_ADD, i, r, ev(linux.EPOLLIN, 0))
		if i == 500 {
			fstest.Write(c, w, "x")
		}
	}
	events := make([]linux.EpollEvent, 16)
	b.ReportAllocs()
	for b.Loop() {
		ep.Wait(nil, events, true, time.Time{})
	}
}
