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

func openTest(t *testing.T, i *vfs.Inode, flags uint32) *vfs.File {
	t.Helper()
	c := fstest.Caller()
	ops, errno := open(c, i, vfs.Path{}, flags)
	if errno != 0 {
		t.Fatalf("open: %v", errno)
	}
	f := vfs.NewAnonFile(c, pipefs, "", linux.S_IFIFO|0o600, ops, flags)
	return f
}

func TestNonblockingOpensOfAFIFO(t *testing.T) {
	i := &vfs.Inode{}
	c := fstest.Caller()
	if _, errno := open(c, i, vfs.Path{}, linux.O_WRONLY|linux.O_NONBLOCK); errno != linux.ENXIO {
		t.Errorf("write without a reader: %v", errno)
	}
	r := openTest(t, i, linux.O_RDONLY|linux.O_NONBLOCK)
	if ev := r.Ops.Readiness(allEvents); ev != 0 {
		t.Errorf("no writer has come yet: %#x", ev)
	}
	if s, errno := fstest.Read(c, r, 1); s != "" || errno != 0 {
		t.Errorf("read without a writer: %q, %v", s, errno)
	}
	w := openTest(t, i, linux.O_WRONLY|linux.O_NONBLOCK)
	fstest.Write(c, w, "x")
	if ev := r.Ops.Readiness(allEvents); ev != wait.Readable {
		t.Errorf("with data: %#x", ev)
	}
	w.Put()
	if ev := r.Ops.Readiness(allEvents); ev != wait.Readable|wait.Hup {
		t.Errorf("after the writer: %#x", ev)
	}
	r.Put()
	both := openTest(t, i, linux.O_RDWR|linux.O_NONBLOCK)
	if _, errno := fstest.Read(c, both, 1); errno != linux.EAGAIN {
		t.Errorf("the data of earlier opens is still there: %v", errno)
	}
}

func TestOpenWaitsForTheOtherEnd(t *testing.T) {
	i := &vfs.Inode{}
	i.BoundOrMake(newFIFO)
	c := fstest.Caller()
	b := c.Blocker.(*fstest.Blocker)
	done := make(chan linux.Errno)
	go func() {
		_, errno := open(c, i, vfs.Path{}, linux.O_RDONLY)
		done <- errno
	}()
	<-b.Sleeping
	openTest(t, i, linux.O_WRONLY).Put() // does not wait: there is a reader
	if errno := <-done; errno != 0 {
		t.Errorf("reader: %v", errno)
	}

	i = &vfs.Inode{}
	b.Interrupts <- struct{}{}
	if _, errno := open(c, i, vfs.Path{}, linux.O_WRONLY); errno != linux.ERESTARTSYS {
		t.Errorf("interrupted open: %v", errno)
	}
	r := openTest(t, i, linux.O_RDONLY|linux.O_NONBLOCK)
	if p, _ := FromFile(r); p.writers != 0 {
		t.Errorf("the interrupted open left %d writers", p.writers)
	}
}

func TestReopenOfAnAnonymousPipeNeverWaits(t *testing.T) {
	c, r, w := newTest(t, 0)
	w.Put()
	ops, errno := open(c, r.Inode(), r.Path, linux.O_WRONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	f := vfs.NewFile(c, r.Path.Get(), ops, linux.O_WRONLY)
	fstest.Write(c, f, "again")
	if s, _ := fstest.Read(c, r, 9); s != "again" {
		t.Errorf("got %q", s)
	}
}

func TestSpliceTeeMoveAndCopy(t *testing.T) {
	c, r1, w1 := newTest(t, linux.O_NONBLOCK)
	_, r2, w2 := newTest(t, linux.O_NONBLOCK)
	p1, _ := FromFile(r1)
	p2, _ := FromFile(w2)
	// Put the data astride the end of the ring's memory.
	fstest.Write(c, w1, strings.Repeat("x", 4000))
	fstest.Read(c, r1, 4000)
	want := strings.Repeat("abcdefg", 100)
	fstest.Write(c, w1, want)
	if n, errno := Tee(p1, p2, 500); n != 500 || errno != 0 {
		t.Errorf("tee: %d, %v", n, errno)
	}
	if n, errno := Splice(p1, p2, 1000); n != 700 || errno != 0 {
		t.Errorf("splice: %d, %v", n, errno)
	}
	if s, _ := fstest.Read(c, r2, 5000); s != want[:500]+want {
		t.Errorf("got %d bytes: %q", len(s), s)
	}
	if _, errno := Splice(p1, p2, 10); errno != linux.EAGAIN {
		t.Errorf("splice from an empty pipe: %v", errno)
	}
	if _, errno := Splice(p1, p1, 10); errno != linux.EINVAL {
		t.Errorf("splice to itself: %v", errno)
	}
	w1.Put()
	if n, errno := Splice(p1, p2, 10); n != 0 || errno != 0 {
		t.Errorf("splice at the end: %d, %v", n, errno)
	}
	r2.Put()
	if _, errno := p2.Fill(10, nil); errno != linux.EPIPE {
		t.Errorf("fill without readers: %v", errno)
	}
}

func TestDrainKeepsWhatTheSinkRefuses(t *testing.T) {
	c, r, w := newTest(t, linux.O_NONBLOCK)
	p, _ := FromFile(r)
	fstest.Write(c, w, "0123456789")
	n, errno := p.Drain(10, func(s *usermem.Seq) (int, linux.Errno) {
		if ev := r.Ops.Readiness(allEvents); ev&wait.In != 0 {
			t.Error("readable while a splice has the data")
		}
		if n, errno := fstest.Write(c, w, "more"); n != 4 || errno != 0 {
			t.Errorf("write during a splice: %d, %v", n, errno)
		}
		return 4, 0
	})
	if n != 4 || errno != 0 {
		t.Errorf("got %d, %v", n, errno)
	}
	if s, _ := fstest.Read(c, r, 100); s != "456789more" {
		t.Errorf("left %q", s)
	}
}
