package devpts

import (
	"io"
	"slices"
	"strings"
	"testing"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/signal"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// fakeJob is a task in a session of its own.
type fakeJob struct {
	tty        signal.Terminal
	background linux.Errno // what a background process gets; 0: foreground
	sigs       []int32
	hungUp     int
}

func (j *fakeJob) ControllingTerminal() signal.Terminal { return j.tty }
func (j *fakeJob) SetControllingTerminal(t signal.Terminal, _, quiet bool) linux.Errno {
	if j.tty != nil {
		if quiet {
			return 0
		}
		return linux.EPERM
	}
	j.tty = t
	t.SetControlledSession(j)
	return 0
}
func (j *fakeJob) DropControllingTerminal(t signal.Terminal) linux.Errno {
	if j.tty != t {
		return linux.ENOTTY
	}
	j.tty = nil
	t.SetControlledSession(nil)
	return 0
}
func (j *fakeJob) MayRead(signal.Terminal) linux.Errno  { return j.background }
func (j *fakeJob) MayWrite(signal.Terminal) linux.Errno { return j.background }
func (j *fakeJob) ForegroundGroup(t signal.Terminal, any bool) (int32, linux.Errno) {
	if !any && j.tty != t {
		return 0, linux.ENOTTY
	}
	return 42, 0
}
func (j *fakeJob) TerminalSession(t signal.Terminal, any bool) (int32, linux.Errno) {
	return j.ForegroundGroup(t, any)
}
func (j *fakeJob) SetForegroundGroup(signal.Terminal, int32) linux.Errno { return j.background }
func (j *fakeJob) SignalForeground(sig int32)                            { j.sigs = append(j.sigs, sig) }
func (j *fakeJob) HungUp()                                               { j.hungUp++ }

func TestSignalsGoToTheSession(t *testing.T) {
	o := openOurs(t)
	job := &fakeJob{}
	c := fstest.Caller()
	c.Task = job
	if _, errno := fstest.Ioctl(c, o.s, linux.TIOCGPGRP, 0); errno != linux.ENOTTY {
		t.Errorf("TIOCGPGRP of a terminal that is not the caller's: %v", errno)
	}
	if _, errno := o.t.openSlave(c, linux.O_RDWR); errno != 0 || job.tty != signal.Terminal(o.t) {
		t.Errorf("open without O_NOCTTY: %v, %v", errno, job.tty)
	}
	if n, errno := fstest.Ioctl(c, o.s, linux.TIOCGPGRP, 0); n != 42 || errno != 0 {
		t.Errorf("TIOCGPGRP %d, %v", n, errno)
	}
	fstest.Write(c, o.m, "\x03\x1c\x1a")
	o.t.SetWinsize(linux.Winsize{Row: 24, Col: 80})
	o.t.SetWinsize(linux.Winsize{Row: 24, Col: 80}) // no change, no signal
	o.m.Ops.Ioctl(c, o.m, nil, linux.TIOCSIG, linux.SIGQUIT)
	want := []int32{linux.SIGINT, linux.SIGQUIT, linux.SIGTSTP, linux.SIGWINCH, linux.SIGQUIT}
	if !slices.Equal(job.sigs, want) {
		t.Errorf("signals %v, want %v", job.sigs, want)
	}
	o.m.Put()
	if job.hungUp != 1 {
		t.Errorf("hung up %d times", job.hungUp)
	}
}

func TestBackgroundProcesses(t *testing.T) {
	o := openOurs(t)
	c := fstest.Caller()
	c.Task = &fakeJob{background: linux.ERESTARTSYS}
	fstest.Write(o.c, o.m, "line\n")
	if _, errno := fstest.Read(c, o.s, 10); errno != linux.ERESTARTSYS {
		t.Errorf("read: %v", errno)
	}
	if n, errno := fstest.Write(c, o.s, "x"); n != 1 || errno != 0 {
		t.Errorf("write without TOSTOP: %d, %v", n, errno)
	}
	o.configure(change{}, change{}, set(linux.TOSTOP), nil)
	if _, errno := fstest.Write(c, o.s, "x"); errno != linux.ERESTARTSYS {
		t.Errorf("write with TOSTOP: %v", errno)
	}
	if _, errno := fstest.Ioctl(c, o.s, linux.TCFLSH, 0); errno != linux.ERESTARTSYS {
		t.Errorf("TCFLSH: %v", errno)
	}
	if _, errno := fstest.Ioctl(c, o.s, linux.TIOCOUTQ, 0); errno != 0 {
		t.Errorf("TIOCOUTQ: %v", errno)
	}
}

func TestEndsOfALine(t *testing.T) {
	const all = wait.Readable | wait.Writable
	o := openOurs(t)
	fstest.Write(o.c, o.s, "left")
	o.s.Put()
	if s, _ := fstest.Read(o.c, o.m, 9); s != "left" {
		t.Errorf("read %q", s)
	}
	if _, errno := fstest.Read(o.c, o.m, 9); errno != linux.EIO {
		t.Errorf("slave closed: %v", errno)
	}
	if ev := o.m.Ops.Readiness(all); ev != wait.Writable|wait.Hup {
		t.Errorf("slave closed: %#x", ev)
	}
	s, errno := OpenPeer(o.c, o.m, linux.O_RDWR|linux.O_NOCTTY)
	if errno != 0 {
		t.Fatal(errno)
	}
	if _, errno := fstest.Read(o.c, o.m, 9); errno != linux.EAGAIN {
		t.Errorf("slave opened again: %v", errno)
	}
	o.m.Put()
	if b, errno := fstest.Read(o.c, s, 9); b != "" || errno != 0 {
		t.Errorf("read after the hang-up: %q, %v", b, errno)
	}
	if _, errno := fstest.Write(o.c, s, "x"); errno != linux.EIO {
		t.Errorf("write after the hang-up: %v", errno)
	}
	if ev := s.Ops.Readiness(all); ev != all|wait.Err|wait.Hup {
		t.Errorf("after the hang-up: %#x", ev)
	}
	for cmd, want := range map[uint32]linux.Errno{linux.TIOCGWINSZ: linux.EIO, linux.TIOCSPGRP: linux.ENOTTY} {
		if _, errno := fstest.Ioctl(o.c, s, cmd, 0); errno != want {
			t.Errorf("ioctl %#x: %v", cmd, errno)
		}
	}
	if _, errno := OpenPeer(o.c, s, 0); errno != linux.ENOTTY {
		t.Errorf("TIOCGPTPEER of a slave: %v", errno)
	}
}

func TestMinAndTime(t *testing.T) {
	tests := []struct {
		name      string
		min, time byte
		typed     string
		later     []string // typed while the reader sleeps
		buf       int
		want      string
	}{
		{"at once", 0, 0, "", nil, 10, ""},
		{"at once what there is", 0, 0, "ab", nil, 10, "ab"},
		{"time runs out", 0, 1, "", nil, 10, ""},
		{"one byte ends the wait", 0, 100, "", []string{"a"}, 10, "a"},
		{"min", 3, 0, "a", []string{"b", "cd"}, 10, "abcd"},
		{"min beyond the buffer", 9, 0, "a", []string{"bc"}, 3, "abc"},
		{"time between bytes", 5, 1, "a", []string{"b"}, 10, "ab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := openOurs(t)
			o.configure(change{}, change{}, clr(linux.ICANON|linux.ECHO), map[int]byte{linux.VMIN: tt.min, linux.VTIME: tt.time})
			s, errno := OpenPeer(o.c, o.m, linux.O_RDWR|linux.O_NOCTTY)
			if errno != 0 {
				t.Fatal(errno)
			}
			fstest.Write(o.c, o.m, tt.typed)
			reader := fstest.Caller()
			go func() {
				for _, k := range tt.later {
					<-reader.Blocker.(*fstest.Blocker).Sleeping
					fstest.Write(o.c, o.m, k)
				}
			}()
			if got, errno := fstest.Read(reader, s, tt.buf); got != tt.want || errno != 0 {
				t.Errorf("got %q, %v, want %q", got, errno, tt.want)
			}
		})
	}
}

func TestPacketMode(t *testing.T) {
	o := openOurs(t)
	fstest.Ioctl(o.c, o.m, linux.TIOCPKT, 1)
	fstest.Write(o.c, o.s, "data")
	if s, _ := fstest.Read(o.c, o.m, 10); s != "\x00data" {
		t.Errorf("got %q", s)
	}
	fstest.Write(o.c, o.m, "\x13")
	if ev := o.m.Ops.Readiness(wait.Pri | wait.In); ev != wait.Pri|wait.In {
		t.Errorf("events %#x", ev)
	}
	if s, _ := fstest.Read(o.c, o.m, 10); s != string(rune(linux.TIOCPKT_STOP)) {
		t.Errorf("stop: %q", s)
	}
	fstest.Write(o.c, o.m, "\x11")
	if s, _ := fstest.Read(o.c, o.m, 10); s != string(rune(linux.TIOCPKT_START)) {
		t.Errorf("start: %q", s)
	}
	o.s.Ops.Ioctl(o.c, o.s, nil, linux.TCFLSH, linux.TCIOFLUSH)
	if s, _ := fstest.Read(o.c, o.m, 10); s != string(rune(linux.TIOCPKT_FLUSHREAD|linux.TIOCPKT_FLUSHWRITE)) {
		t.Errorf("flush: %q", s)
	}
}

func TestTermiosForms(t *testing.T) {
	o := openOurs(t)
	mem := make(fstest.Memory, 64)
	ioctl := func(cmd uint32) {
		t.Helper()
		if _, errno := o.s.Ops.Ioctl(o.c, o.s, mem, cmd, fstest.Base); errno != 0 {
			t.Errorf("%#x: %v", cmd, errno)
		}
	}
	ioctl(linux.TCGETS2)
	before := string(mem[:44])
	clear(mem)
	ioctl(linux.TCGETS)
	if string(mem[:36]) != before[:36] || mem[36] != 0 {
		t.Errorf("TCGETS and TCGETS2 differ: % x", mem)
	}
	fstest.Write(o.c, o.m, "unread\n")
	ioctl(linux.TCSETSF)
	if s, errno := fstest.Read(o.c, o.s, 10); errno != linux.EAGAIN {
		t.Errorf("TCSETSF left %q", s)
	}
	mem[8] = 0x30 // c_cflag: B0, 8 bits: no CREAD
	mem[8+1] = 1  // and parity
	ioctl(linux.TCSETS)
	if f := o.t.termios.Cflag; f&linux.PARENB != 0 || f&linux.CREAD == 0 || f&linux.CSIZE != linux.CS8 {
		t.Errorf("c_cflag %#x", f)
	}
	ioctl(linux.TCGETA)
	ioctl(linux.TCSETA)
	if _, errno := o.s.Ops.Ioctl(o.c, o.s, mem, linux.TCSETS, 1); errno != linux.EFAULT {
		t.Errorf("bad pointer: %v", errno)
	}
	if _, errno := fstest.Ioctl(o.c, o.s, linux.TIOCSTI, 65); errno != linux.EIO {
		t.Errorf("TIOCSTI: %v", errno)
	}
	if _, errno := fstest.Ioctl(o.c, o.s, 0x5499, 0); errno != linux.ENOTTY {
		t.Errorf("unknown: %v", errno)
	}
}

func TestLongLinesAndFloods(t *testing.T) {
	o := openOurs(t)
	o.configure(change{}, change{}, clr(linux.ECHO), nil)
	fstest.Write(o.c, o.m, strings.Repeat("x", 10000)+"\n")
	if s, _ := fstest.Read(o.c, o.s, 20000); len(s) != lineMax || s[len(s)-1] != '\n' {
		t.Errorf("a line of %d bytes", len(s))
	}
	n, errno := fstest.Write(o.c, o.m, strings.Repeat("y\n", 100000))
	if errno != 0 || n < pendingMax || n > pendingMax+2*lineMax {
		t.Errorf("the master could write %d, %v", n, errno)
	}
	if ev := o.m.Ops.Readiness(wait.Out); ev != 0 {
		t.Errorf("still writable: %#x", ev)
	}
	got := 0
	for {
		s, errno := fstest.Read(o.c, o.s, 100)
		if errno != 0 {
			break
		}
		got += len(s)
	}
	if got != n/2*2 {
		t.Errorf("the slave read %d of %d", got, n)
	}
	n, _ = fstest.Write(o.c, o.s, strings.Repeat("z", 100000))
	if n != outputMax {
		t.Errorf("the slave could write %d", n)
	}
}

func TestFilesystem(t *testing.T) {
	gid := uint32(5)
	inst := instanceOf(New(Options{Mode: 0o620, GID: &gid, Max: 2}))
	c := fstest.User(1000)
	a, errno := inst.openPtmx(c, 0)
	b, errno2 := inst.openPtmx(c, 0)
	if errno != 0 || errno2 != 0 {
		t.Fatal(errno, errno2)
	}
	if _, errno := inst.openPtmx(c, 0); errno != linux.ENOSPC {
		t.Errorf("a third terminal: %v", errno)
	}
	i, errno := inst.Lookup(c, "1")
	if errno != 0 {
		t.Fatal(errno)
	}
	if x := i.Attr(); x.Mode.Load() != linux.S_IFCHR|0o620 || x.UID.Load() != 1000 || x.GID.Load() != 5 || x.Rdev.Load() != 0x8801 {
		t.Errorf("attributes %#o %d %d %#x", x.Mode.Load(), x.UID.Load(), x.GID.Load(), x.Rdev.Load())
	}
	if _, errno := i.Ops.Open(c, i, vfs.Path{}, linux.O_RDWR); errno != linux.EIO {
		t.Errorf("open while locked: %v", errno)
	}
	list := func() (names []string) {
		inst.List(c, 0, func(e vfs.DirEntry) bool { names = append(names, e.Name); return true })
		return names
	}
	if got := list(); !slices.Equal(got, []string{"ptmx", "0", "1"}) {
		t.Errorf("list %v", got)
	}
	a.Release(nil)
	if got := list(); !slices.Equal(got, []string{"ptmx", "1"}) {
		t.Errorf("after a close: %v", got)
	}
	if inst.Valid(c, "01", i) || !inst.Valid(c, "1", i) {
		t.Error("names are not compared exactly")
	}
	b.Release(nil)
	if inst.Valid(c, "1", i) {
		t.Error("a closed terminal is still valid")
	}
	for data, want := range map[string]linux.Errno{"": 0, "newinstance,ptmxmode=0666,mode=620,gid=5,uid=1,max=10": 0,
		"mode=8": linux.EINVAL, "max=99999": linux.EINVAL, "what": linux.EINVAL, "gid=-1": linux.EINVAL} {
		if _, errno := ParseOptions(data); errno != want {
			t.Errorf("%q: %v", data, errno)
		}
	}
}

func TestConsoleBridgesTheHostTerminal(t *testing.T) {
	con, errno := NewConsole(New(Options{}), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	c := fstest.Caller()
	f, errno := con.Open(c, linux.O_RDWR)
	if errno != 0 {
		t.Fatal(errno)
	}
	go func() {
		con.Write([]byte("typed\r"))
	}()
	if s, errno := fstest.Read(c, f, 100); s != "typed\n" || errno != 0 {
		t.Errorf("the guest read %q, %v", s, errno)
	}
	b := make([]byte, 100)
	if n, err := con.Read(b); string(b[:n]) != "typed\r\n" || err != nil {
		t.Errorf("echo %q, %v", b[:n], err)
	}
	go fstest.Write(fstest.Caller(), f, strings.Repeat("out\n", 50000))
	total := 0
	for total < 250000 {
		n, err := con.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	con.Hangup()
	if _, err := con.Read(b); err != io.EOF {
		t.Errorf("after the hang-up: %v", err)
	}
	if _, err := con.Write(b); err != io.ErrClosedPipe {
		t.Errorf("after the hang-up: %v", err)
	}
	var seq usermem.Seq = usermem.Kernel(b)
	if n, errno := f.Ops.Read(c, f, &seq, -1); n != 0 || errno != 0 {
		t.Errorf("the guest after the hang-up: %d, %v", n, errno)
	}
}
