package pipe

import (
	"strings"
	"testing"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func newTest(t *testing.T, flags uint32) (c *vfs.Caller, r, w *vfs.File) {
	t.Helper()
	c = fstest.Caller()
	r, w = New(c, flags)
	return c, r, w
}

const allEvents = wait.Readable | wait.Writable | wait.Pri | wait.RdHup

func TestReadinessAsOnLinux(t *testing.T) {
	tests := []struct {
		name   string
		do     func(c *vfs.Caller, r, w *vfs.File)
		rd, wr wait.Events
	}{
		{"fresh", func(*vfs.Caller, *vfs.File, *vfs.File) {}, 0, wait.Writable},
		{"data", func(c *vfs.Caller, _, w *vfs.File) { fstest.Write(c, w, "x") }, wait.Readable, wait.Writable},
		{"full", func(c *vfs.Caller, _, w *vfs.File) { fstest.Write(c, w, strings.Repeat("x", 65536)) }, wait.Readable, 0},
		{"full less a byte", func(c *vfs.Caller, r, w *vfs.File) {
			fstest.Write(c, w, strings.Repeat("x", 65536))
			fstest.Read(c, r, 1)
		}, wait.Readable, 0},
		{"full less a page", func(c *vfs.Caller, r, w *vfs.File) {
			fstest.Write(c, w, strings.Repeat("x", 65536))
			fstest.Read(c, r, 4096)
		}, wait.Readable, wait.Writable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r, w := newTest(t, linux.O_NONBLOCK)
			tt.do(c, r, w)
			if got := r.Ops.Readiness(allEvents); got != tt.rd {
				t.Errorf("read end: %#x, want %#x", got, tt.rd)
			}
			if got := w.Ops.Readiness(allEvents); got != tt.wr {
				t.Errorf("write end: %#x, want %#x", got, tt.wr)
			}
		})
	}
	c, r, w := newTest(t, 0)
	fstest.Write(c, w, "x")
	w.Put()
	if got, want := r.Ops.Readiness(allEvents), wait.Readable|wait.Hup; got != want {
		t.Errorf("writer gone: %#x, want %#x", got, want)
	}
	_, r, w = newTest(t, 0)
	r.Put()
	if got, want := w.Ops.Readiness(allEvents), wait.Writable|wait.Err; got != want {
		t.Errorf("reader gone: %#x, want %#x", got, want)
	}
}

func TestEndOfFileAndBrokenPipe(t *testing.T) {
	c, r, w := newTest(t, 0)
	fstest.Write(c, w, "last")
	w.Put()
	if s, errno := fstest.Read(c, r, 10); s != "last" || errno != 0 {
		t.Errorf("got %q, %v", s, errno)
	}
	if s, errno := fstest.Read(c, r, 10); s != "" || errno != 0 {
		t.Errorf("at the end: %q, %v", s, errno)
	}
	c, r, w = newTest(t, 0)
	r.Put()
	if n, errno := fstest.Write(c, w, "x"); n != 0 || errno != linux.EPIPE {
		t.Errorf("write without readers: %d, %v", n, errno)
	}
	if n, errno := fstest.Write(c, w, ""); n != 0 || errno != 0 {
		t.Errorf("empty write without readers: %d, %v", n, errno)
	}
}

func TestNonblockingWritesAreAtomicUpToPipeBuf(t *testing.T) {
	c, r, w := newTest(t, linux.O_NONBLOCK)
	fill := strings.Repeat("x", 65536-100)
	if n, errno := fstest.Write(c, w, fill); n != len(fill) || errno != 0 {
		t.Fatalf("fill: %d, %v", n, errno)
	}
	if n, errno := fstest.Write(c, w, strings.Repeat("y", 101)); n != 0 || errno != linux.EAGAIN {
		t.Errorf("101 bytes into 100: %d, %v", n, errno)
	}
	if n, errno := fstest.Write(c, w, strings.Repeat("y", 5000)); n != 100 || errno != 0 {
		t.Errorf("5000 bytes into 100: %d, %v", n, errno)
	}
	if n, errno := fstest.Write(c, w, "z"); n != 0 || errno != linux.EAGAIN {
		t.Errorf("full: %d, %v", n, errno)
	}
	if n, errno := fstest.Ioctl(c, r, linux.FIONREAD, 0); n != 65536 || errno != 0 {
		t.Errorf("FIONREAD: %d, %v", n, errno)
	}
	if s, _ := fstest.Read(c, r, 1<<20); s != fill+strings.Repeat("y", 100) {
		t.Errorf("read back %d bytes, not what was written", len(s))
	}
	if _, errno := fstest.Read(c, r, 1); errno != linux.EAGAIN {
		t.Errorf("empty: %v", errno)
	}
}

func TestBlockingTransferOfMoreThanFits(t *testing.T) {
	c, r, w := newTest(t, 0)
	var sb strings.Builder
	for i := 0; sb.Len() < 1<<20; i++ {
		sb.WriteString("line ")
		sb.WriteByte(byte('a' + i%26))
	}
	want := sb.String()
	go func() {
		fstest.BlockingWrite(fstest.Caller(), w, want)
		w.Put()
	}()
	var got strings.Builder
	for {
		s, errno := fstest.BlockingRead(c, r, 7777)
		if errno != 0 {
			t.Fatal(errno)
		}
		if s == "" {
			break
		}
		got.WriteString(s)
	}
	if got.String() != want {
		t.Errorf("got %d bytes, want %d, or they differ", got.Len(), len(want))
	}
}

func TestPackets(t *testing.T) {
	c, r, w := newTest(t, linux.O_DIRECT|linux.O_NONBLOCK)
	fstest.Write(c, w, "one")
	fstest.Write(c, w, "two2")
	fstest.Write(c, w, strings.Repeat("p", 5000))
	for i, want := range []int{2, 4, 4096, 904} {
		n := 8192
		if i == 0 {
			n = 2 // the third byte of the packet is lost
		}
		if s, errno := fstest.Read(c, r, n); len(s) != want || errno != 0 {
			t.Errorf("packet %d: %d bytes, %v, want %d", i, len(s), errno, want)
		}
	}
	for i := range 16 {
		if n, errno := fstest.Write(c, w, "x"); n != 1 || errno != 0 {
			t.Fatalf("packet %d: %d, %v", i, n, errno)
		}
	}
	if _, errno := fstest.Write(c, w, "x"); errno != linux.EAGAIN {
		t.Errorf("17th packet: %v", errno)
	}
}

func TestSetSize(t *testing.T) {
	tests := []struct {
		name string
		c    *vfs.Caller
		size uint64
		got  int
		want linux.Errno
	}{
		{"rounded to a page", fstest.User(5), 1, 4096, 0},
		{"rounded to a power of two", fstest.User(5), 70000, 131072, 0},
		{"the limit", fstest.User(5), 1 << 20, 1 << 20, 0},
		{"above the limit", fstest.User(5), 1<<20 + 1, 0, linux.EPERM},
		{"above the limit as root", fstest.Caller(), 1<<20 + 1, 2 << 20, 0},
		{"too much for anybody", fstest.Caller(), 1<<31 + 1, 0, linux.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := New(tt.c, 0)
			p, _ := FromFile(r)
			if n, errno := p.SetSize(tt.c, tt.size); n != tt.got || errno != tt.want {
				t.Errorf("got %d, %v, want %d, %v", n, errno, tt.got, tt.want)
			}
		})
	}
	c, r, w := newTest(t, linux.O_NONBLOCK)
	p, _ := FromFile(r)
	fstest.Write(c, w, strings.Repeat("x", 20000))
	if _, errno := p.SetSize(c, 16384); errno != linux.EBUSY {
		t.Errorf("smaller than the data: %v", errno)
	}
	fstest.Read(c, r, 10000)
	if n, errno := p.SetSize(c, 16384); n != 16384 || errno != 0 {
		t.Errorf("got %d, %v", n, errno)
	}
	if s, _ := fstest.Read(c, r, 20000); s != strings.Repeat("x", 10000) {
		t.Errorf("%d bytes survived", len(s))
	}
}

func TestFaultWritesNothing(t *testing.T) {
	c, r, w := newTest(t, linux.O_NONBLOCK)
	m := make(fstest.Memory, 10)
	seq := usermem.One(m, fstest.Base, 20)
	if _, _, errno := w.Ops.Write(c, w, &seq, -1); errno != linux.EFAULT {
		t.Errorf("write: %v", errno)
	}
	if _, errno := fstest.Read(c, r, 1); errno != linux.EAGAIN {
		t.Errorf("something was written: %v", errno)
	}
	fstest.Write(c, w, "hello")
	seq = usermem.One(m, 0, 5)
	if _, errno := r.Ops.Read(c, r, &seq, -1); errno != linux.EFAULT {
		t.Errorf("read: %v", errno)
	}
	if s, _ := fstest.Read(c, r, 5); s != "hello" {
		t.Errorf("after the fault: %q", s)
	}
}

func TestWatchersHearEveryWriteAndNewRoom(t *testing.T) {
	c, r, w := newTest(t, linux.O_NONBLOCK)
	e := fstest.Watch(r.Ops, wait.In)
	fstest.Write(c, w, "a")
	fstest.Write(c, w, "b")
	if len(e.C) != 2 {
		t.Errorf("%d events for two writes", len(e.C))
	}
	fstest.Write(c, w, strings.Repeat("x", 65534))
	o := fstest.Watch(w.Ops, wait.Out)
	fstest.Read(c, r, 4000)
	if len(o.C) != 0 {
		t.Error("an event before there is room for PIPE_BUF")
	}
	fstest.Read(c, r, 4000)
	if len(o.C) != 1 {
		t.Errorf("%d events for new room", len(o.C))
	}
}

func BenchmarkWriteRead1(b *testing.B) {
	c := fstest.Caller()
	r, w := New(c, 0)
	var m usermem.Memory = make(fstest.Memory, 8)
	src, dst := new(usermem.Seq), new(usermem.Seq)
	b.ReportAllocs()
	for b.Loop() {
		*src, *dst = usermem.One(m, fstest.Base, 1), usermem.One(m, fstest.Base, 1)
		w.Ops.Write(c, w, src, -1)
		r.Ops.Read(c, r, dst, -1)
	}
}
