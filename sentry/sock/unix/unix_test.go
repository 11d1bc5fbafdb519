package unix

import (
	"fmt"
	"strings"
	"testing"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/fs/pipe"
	"hornwork/sentry/sock"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func socket(t testing.TB, c *vfs.Caller, typ int32) (*vfs.File, *Socket) {
	t.Helper()
	f, errno := sock.New(c, "net", linux.AF_UNIX, typ, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return f, f.Ops.(*Socket)
}

func pair(t testing.TB, c *vfs.Caller, typ int32) (a, b *vfs.File) {
	t.Helper()
	a, b, errno := sock.NewPair(c, "net", linux.AF_UNIX, typ|linux.SOCK_NONBLOCK, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return a, b
}

// abs is the sockaddr of an abstract name that is this run's own.
func abs(t testing.TB, s string) []byte { return encode(fmt.Sprintf("\x00%p %s", t, s)) }

func send(c *vfs.Caller, f *vfs.File, data string, m *sock.Message, flags uint32) (int, linux.Errno) {
	seq := usermem.Kernel([]byte(data))
	m.Data = &seq
	return f.Ops.(*Socket).SendMsg(c, f, m, flags)
}

func recv(c *vfs.Caller, f *vfs.File, n int, flags uint32) (string, *sock.Message, linux.Errno) {
	b := make([]byte, n)
	seq := usermem.Kernel(b)
	m := &sock.Message{Data: &seq}
	k, errno := f.Ops.(*Socket).RecvMsg(c, f, m, flags)
	return string(b[:min(k, n)]), m, errno
}

func TestCreationErrors(t *testing.T) {
	tests := []struct {
		family, typ, proto int32
		want               linux.Errno
	}{
		{linux.AF_UNIX, linux.SOCK_STREAM, 0, 0},
		{linux.AF_UNIX, linux.SOCK_RAW, 0, 0},
		{linux.AF_UNIX, linux.SOCK_STREAM | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC, linux.PF_UNIX, 0},
		{linux.AF_UNIX, linux.SOCK_STREAM, 5, linux.EPROTONOSUPPORT},
		{linux.AF_UNIX, linux.SOCK_RDM, 0, linux.ESOCKTNOSUPPORT},
		{linux.AF_UNIX, 12, 0, linux.EINVAL},
		{linux.AF_UNIX, 1 | 0x40, 0, linux.EINVAL},
		{linux.AF_INET, linux.SOCK_STREAM, 0, linux.EAFNOSUPPORT},
		{1000, linux.SOCK_STREAM, 0, linux.EAFNOSUPPORT},
	}
	for _, tt := range tests {
		if _, errno := sock.New(fstest.Caller(), "net", tt.family, tt.typ, tt.proto); errno != tt.want {
			t.Errorf("%+v: got %v", tt, errno)
		}
	}
}

func TestStreamOfBytes(t *testing.T) {
	c := fstest.Caller()
	a, b := pair(t, c, linux.SOCK_STREAM)
	if _, _, errno := recv(c, b, 1, 0); errno != linux.EAGAIN {
		t.Errorf("empty: %v", errno)
	}
	fstest.Write(c, a, "one")
	fstest.Write(c, a, "two")
	if s, _, _ := recv(c, b, 100, linux.MSG_PEEK); s != "onetwo" {
		t.Errorf("peek %q", s)
	}
	if n, _ := fstest.Ioctl(c, b, linux.FIONREAD, 0); n != 6 {
		t.Errorf("FIONREAD %d", n)
	}
	if n, _ := fstest.Ioctl(c, a, linux.TIOCOUTQ, 0); n != 6 {
		t.Errorf("SIOCOUTQ %d", n)
	}
	if s, _ := fstest.Read(c, b, 4); s != "onet" {
		t.Errorf("read %q", s)
	}
	if _, errno := send(c, a, "x", &sock.Message{}, linux.MSG_OOB); errno != linux.EOPNOTSUPP {
		t.Errorf("MSG_OOB: %v", errno)
	}
	if _, errno := send(c, a, "x", &sock.Message{Addr: abs(t, "")}, 0); errno != linux.EISCONN {
		t.Errorf("send with an address: %v", errno)
	}
	big := strings.Repeat("x", 1<<20)
	n, errno := fstest.Write(c, a, big)
	if n != defaultBuf-2 || errno != 0 {
		t.Errorf("filled with %d, %v", n, errno)
	}
	if _, errno := fstest.Write(c, a, "x"); errno != linux.EAGAIN {
		t.Errorf("full: %v", errno)
	}
	if ev := a.Ops.Readiness(wait.Out); ev != 0 {
		t.Errorf("full: %#x", ev)
	}
	w := fstest.Watch(a.Ops, wait.Out)
	fstest.Read(c, b, defaultBuf*3/4)
	if ev := a.Ops.Readiness(wait.Out); ev != wait.Out || len(w.C) != 1 {
		t.Errorf("a quarter full: %#x, %d events", ev, len(w.C))
	}
}

func TestEndsOfConnections(t *testing.T) {
	const all = wait.In | wait.Out | wait.RdHup
	tests := []struct {
		name     string
		typ      int32
		do       func(c *vfs.Caller, a, b *vfs.File)
		read     linux.Errno // of b, after what was sent
		write    linux.Errno
		readable wait.Events
	}{
		{"closed", linux.SOCK_STREAM, func(_ *vfs.Caller, a, _ *vfs.File) { a.Put() }, 0, linux.EPIPE, all | wait.Hup},
		{"closed", linux.SOCK_SEQPACKET, func(_ *vfs.Caller, a, _ *vfs.File) { a.Put() }, 0, linux.EPIPE, all | wait.Hup},
		{"closed with unread data", linux.SOCK_STREAM, func(c *vfs.Caller, a, b *vfs.File) {
			fstest.Write(c, b, "x")
			a.Put()
		}, linux.ECONNRESET, linux.EPIPE, all | wait.Hup | wait.Err},
		{"shut for writing", linux.SOCK_STREAM, func(c *vfs.Caller, a, _ *vfs.File) {
			a.Ops.(*Socket).Shutdown(c, a, linux.SHUT_WR)
		}, 0, 0, all},
		{"shut for reading", linux.SOCK_STREAM, func(c *vfs.Caller, a, _ *vfs.File) {
			a.Ops.(*Socket).Shutdown(c, a, linux.SHUT_RD)
		}, linux.EAGAIN, linux.EPIPE, wait.Out},
		{"datagram peer closed", linux.SOCK_DGRAM, func(_ *vfs.Caller, a, _ *vfs.File) { a.Put() },
			linux.EAGAIN, linux.ECONNREFUSED, wait.Out},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.name, tt.typ), func(t *testing.T) {
			c := fstest.Caller()
			a, b := pair(t, c, tt.typ)
			tt.do(c, a, b)
			if ev := b.Ops.Readiness(all); ev != tt.readable {
				t.Errorf("events %#x, want %#x", ev, tt.readable)
			}
			if s, errno := fstest.Read(c, b, 9); s != "" || errno != tt.read {
				t.Errorf("read %q, %v, want %v", s, errno, tt.read)
			}
			if _, errno := fstest.Write(c, b, "y"); errno != tt.write {
				t.Errorf("write %v, want %v", errno, tt.write)
			}
		})
	}
}

func TestListenConnectAccept(t *testing.T) {
	for _, typ := range []int32{linux.SOCK_STREAM, linux.SOCK_SEQPACKET} {
		c := fstest.Caller()
		c.PID = 42
		lf, l := socket(t, c, typ|linux.SOCK_NONBLOCK)
		addr := abs(t, fmt.Sprint(typ))
		cf, cl := socket(t, c, typ|linux.SOCK_NONBLOCK)
		if errno := cl.Connect(c, cf, addr); errno != linux.ECONNREFUSED {
			t.Errorf("nobody there: %v", errno)
		}
		if errno := l.Listen(c, lf, 0); errno != linux.EINVAL {
			t.Errorf("listen without a name: %v", errno)
		}
		l.Bind(c, lf, addr)
		if errno := cl.Connect(c, cf, addr); errno != linux.ECONNREFUSED {
			t.Errorf("not listening yet: %v", errno)
		}
		if _, errno := l.Accept(c, lf, 0); errno != linux.EINVAL {
			t.Errorf("accept before listen: %v", errno)
		}
		if errno := l.Listen(c, lf, 0); errno != 0 {
			t.Errorf("listen: %v", errno)
		}
		if _, errno := l.Accept(c, lf, 0); errno != linux.EAGAIN {
			t.Errorf("accept of nobody: %v", errno)
		}
		if ev := cl.Readiness(wait.In | wait.Out); ev != wait.Out|wait.Hup {
			t.Errorf("unconnected: %#x", ev)
		}
		if errno := cl.Connect(c, cf, addr); errno != 0 {
			t.Errorf("connect: %v", errno)
		}
		if errno := cl.Connect(c, cf, addr); errno != linux.EISCONN {
			t.Errorf("connect again: %v", errno)
		}
		c2f, c2 := socket(t, c, typ|linux.SOCK_NONBLOCK)
		if errno := c2.Connect(c, c2f, addr); errno != linux.EAGAIN {
			t.Errorf("backlog of 0 takes one, then: %v", errno)
		}
		if ev := l.Readiness(wait.In | wait.Out); ev != wait.In {
			t.Errorf("listener: %#x", ev)
		}
		sf, errno := l.Accept(c, lf, linux.SOCK_NONBLOCK)
		if errno != 0 {
			t.Fatal(errno)
		}
		fstest.Write(c, cf, "hello")
		if s, _ := fstest.Read(c, sf, 10); s != "hello" {
			t.Errorf("got %q", s)
		}
		if name, _ := cl.GetPeerName(c, cf); string(name) != string(addr) {
			t.Errorf("peer name %q", name)
		}
		if name, _ := sf.Ops.(*Socket).GetPeerName(c, sf); string(name) != "\x01\x00" {
			t.Errorf("name of the client %q", name)
		}
		if b, _ := cl.GetSockOpt(c, cf, linux.SOL_SOCKET, linux.SO_PEERCRED); b[0] != 42 {
			t.Errorf("SO_PEERCRED %v", b)
		}
		if errno := c2.Connect(c, c2f, addr); errno != 0 {
			t.Errorf("connect after accept: %v", errno)
		}
		lf.Put()
		if _, errno := fstest.Read(c, c2f, 1); errno != linux.ECONNRESET {
			t.Errorf("listener closed before accept: %v", errno)
		}
		if errno := l.Bind(c, lf, addr); errno != 0 {
			t.Errorf("the name is not free: %v", errno)
		}
	}
}

func TestConnectSleepsWhileTheBacklogIsFull(t *testing.T) {
	c := fstest.Caller()
	lf, l := socket(t, c, linux.SOCK_STREAM)
	l.Bind(c, lf, abs(t, ""))
	l.Listen(c, lf, 0)
	f1, s1 := socket(t, c, linux.SOCK_STREAM)
	s1.Connect(c, f1, abs(t, ""))
	f2, s2 := socket(t, c, linux.SOCK_STREAM)
	client := fstest.Caller()
	done := make(chan linux.Errno)
	go func() { done <- s2.Connect(client, f2, abs(t, "")) }()
	<-client.Blocker.(*fstest.Blocker).Sleeping
	l.Accept(c, lf, 0)
	if errno := <-done; errno != 0 {
		t.Errorf("connect: %v", errno)
	}
}

func TestBindErrors(t *testing.T) {
	c := fstest.Caller()
	f, s := socket(t, c, linux.SOCK_STREAM)
	long := encode(strings.Repeat("x", linux.UNIX_PATH_MAX+1))
	for _, addr := range [][]byte{nil, {1}, {2, 0, 'x'}, long} {
		if errno := s.Bind(c, f, addr); errno != linux.EINVAL {
			t.Errorf("bind %q: %v", addr, errno)
		}
	}
	if errno := s.Bind(c, f, []byte{1, 0}); errno != 0 {
		t.Errorf("autobind: %v", errno)
	}
	name, _ := s.GetSockName(c, f)
	if len(name) != 8 || name[2] != 0 {
		t.Errorf("autobound to %q", name)
	}
	if errno := s.Bind(c, f, abs(t, "")); errno != linux.EINVAL {
		t.Errorf("bind again: %v", errno)
	}
	f2, s2 := socket(t, c, linux.SOCK_STREAM)
	if errno := s2.Bind(c, f2, name); errno != linux.EADDRINUSE {
		t.Errorf("the same name: %v", errno)
	}
	other := newSocket("another net", linux.SOCK_STREAM)
	if errno := other.Bind(c, f2, name); errno != 0 {
		t.Errorf("the same name in another namespace: %v", errno)
	}
	f3, s3 := socket(t, c, linux.SOCK_DGRAM)
	if errno := s3.Connect(c, f3, name); errno != linux.ECONNREFUSED {
		t.Errorf("connect to another type: %v", errno)
	}
	if errno := s3.Bind(c, f3, name); errno != 0 {
		t.Errorf("the same name for another type: %v", errno)
	}
}

func TestDatagrams(t *testing.T) {
	c := fstest.Caller()
	af, a := socket(t, c, linux.SOCK_DGRAM|linux.SOCK_NONBLOCK)
	bf, b := socket(t, c, linux.SOCK_DGRAM|linux.SOCK_NONBLOCK)
	a.Bind(c, af, abs(t, "a"))
	b.Bind(c, bf, abs(t, "b"))
	to := func(s string) *sock.Message { return &sock.Message{Addr: abs(t, s)} }
	if _, errno := send(c, af, "x", &sock.Message{}, 0); errno != linux.ENOTCONN {
		t.Errorf("without an address: %v", errno)
	}
	if _, errno := send(c, af, "x", to("nobody"), 0); errno != linux.ECONNREFUSED {
		t.Errorf("to nobody: %v", errno)
	}
	if _, errno := send(c, af, strings.Repeat("x", defaultBuf), to("b"), 0); errno != linux.EMSGSIZE {
		t.Errorf("too long: %v", errno)
	}
	send(c, af, "first", to("b"), 0)
	send(c, af, "", to("b"), 0)
	if s, m, errno := recv(c, bf, 3, linux.MSG_PEEK|linux.MSG_TRUNC); s != "fir" || errno != 0 || m.Flags != linux.MSG_TRUNC {
		t.Errorf("peek: %q, %v, %#x", s, errno, m.Flags)
	}
	if s, m, _ := recv(c, bf, 9, 0); s != "first" || string(m.Addr) != string(abs(t, "a")) || m.Flags != 0 {
		t.Errorf("got %q from %q", s, m.Addr)
	}
	if s, _, errno := recv(c, bf, 9, 0); s != "" || errno != 0 {
		t.Errorf("empty datagram: %q, %v", s, errno)
	}
	n := 0
	for ; n < 100; n++ {
		if _, errno := send(c, af, "x", to("b"), 0); errno == linux.EAGAIN {
			break
		}
	}
	if n != maxDgramQueue+1 {
		t.Errorf("%d datagrams fit", n)
	}
	a.Connect(c, af, abs(t, "b"))
	if ev := a.Readiness(wait.Out); ev != 0 {
		t.Errorf("writable with a full receiver: %#x", ev)
	}
	w := fstest.Watch(a, wait.Out)
	recv(c, bf, 9, 0)
	if ev := a.Readiness(wait.Out); ev != wait.Out || len(w.C) != 1 {
		t.Errorf("room again: %#x, %d events", ev, len(w.C))
	}
	cf, d := socket(t, c, linux.SOCK_DGRAM)
	b.Connect(c, bf, abs(t, "a"))
	if errno := d.Connect(c, cf, abs(t, "b")); errno != linux.EPERM {
		t.Errorf("connect to one that is connected to another: %v", errno)
	}
	if _, errno := send(c, cf, "x", to("b"), 0); errno != linux.EPERM {
		t.Errorf("send to one that is connected to another: %v", errno)
	}
	bf.Put()
	if _, errno := fstest.Write(c, af, "x"); errno != linux.ECONNREFUSED {
		t.Errorf("peer closed: %v", errno)
	}
	if _, errno := fstest.Write(c, af, "x"); errno != linux.ENOTCONN {
		t.Errorf("peer forgotten: %v", errno)
	}
}

func TestRightsTravelWithTheirBytes(t *testing.T) {
	c := fstest.Caller()
	a, b := pair(t, c, linux.SOCK_STREAM)
	r, w := pipe.New(c, linux.O_NONBLOCK)
	fstest.Write(c, a, "before")
	send(c, a, "with", &sock.Message{Files: []*vfs.File{w}}, 0)
	fstest.Write(c, a, "after")
	w.Put() // in flight it lives on
	s, m, _ := recv(c, b, 100, linux.MSG_PEEK)
	if s != "beforewith" || len(m.Files) != 1 {
		t.Errorf("peek: %q with %d files", s, len(m.Files))
	}
	m.PutFiles()
	s, m, _ = recv(c, b, 100, 0)
	if s != "beforewith" || len(m.Files) != 1 {
		t.Fatalf("got %q with %d files", s, len(m.Files))
	}
	fstest.Write(c, m.Files[0], "through the pipe")
	m.PutFiles()
	if s, _ := fstest.Read(c, r, 100); s != "through the pipe" {
		t.Errorf("pipe: %q", s)
	}
	if _, errno := fstest.Read(c, r, 1); errno != 0 {
		t.Errorf("a reference is left: %v", errno)
	}
	if s, m, _ := recv(c, b, 100, 0); s != "after" || m.Files != nil {
		t.Errorf("got %q with %d files", s, len(m.Files))
	}
}

func TestUnreceivedRightsAreClosed(t *testing.T) {
	for _, typ := range []int32{linux.SOCK_STREAM, linux.SOCK_DGRAM} {
		for _, how := range []string{"read", "close"} {
			c := fstest.Caller()
			a, b := pair(t, c, typ)
			r, w := pipe.New(c, linux.O_NONBLOCK)
			send(c, a, "x", &sock.Message{Files: []*vfs.File{w, w}}, 0)
			w.Put()
			if _, errno := fstest.Read(c, r, 1); errno != linux.EAGAIN {
				t.Errorf("in flight: %v", errno)
			}
			if how == "read" {
				fstest.Read(c, b, 1)
			} else {
				b.Put()
			}
			if _, errno := fstest.Read(c, r, 1); errno != 0 {
				t.Errorf("%d, %s: %v", typ, how, errno)
			}
		}
	}
	if flying.total != 0 {
		t.Errorf("%d files counted in flight", flying.total)
	}
}

func TestTooManyInFlight(t *testing.T) {
	c := fstest.User(77)
	a, b := pair(t, c, linux.SOCK_STREAM)
	many := make([]*vfs.File, 253)
	for i := range many {
		many[i] = a
	}
	var errno linux.Errno
	for range 100 {
		if _, errno = send(c, a, "x", &sock.Message{Files: many}, 0); errno != 0 {
			break
		}
	}
	if errno != linux.ETOOMANYREFS {
		t.Errorf("got %v", errno)
	}
	if _, errno := send(c, a, "x", &sock.Message{Files: append(many, a)}, 0); errno != linux.EINVAL {
		t.Errorf("254 files: %v", errno)
	}
	for {
		_, m, errno := recv(c, b, 10, 0)
		if errno != 0 {
			break
		}
		m.PutFiles()
	}
	if len(flying.byUser) != 0 {
		t.Errorf("still counted: %v", flying.byUser)
	}
}

func TestCredentials(t *testing.T) {
	root, user := fstest.Caller(), fstest.User(1000)
	user.PID = 5
	tests := []struct {
		name  string
		c     *vfs.Caller
		claim *linux.Ucred
		want  linux.Errno
		seen  linux.Ucred
	}{
		{"none", user, nil, 0, linux.Ucred{PID: 5, UID: 1000, GID: 1000}},
		{"the truth", user, &linux.Ucred{PID: 5, UID: 1000, GID: 1000}, 0, linux.Ucred{PID: 5, UID: 1000, GID: 1000}},
		{"another process", user, &linux.Ucred{PID: 6, UID: 1000, GID: 1000}, linux.EPERM, linux.Ucred{}},
		{"another user", user, &linux.Ucred{PID: 5, UID: 0, GID: 1000}, linux.EPERM, linux.Ucred{}},
		{"another group", user, &linux.Ucred{PID: 5, UID: 1000, GID: 0}, linux.EPERM, linux.Ucred{}},
		{"root may claim", root, &linux.Ucred{PID: 9, UID: 8, GID: 7}, 0, linux.Ucred{PID: 9, UID: 8, GID: 7}},
	}
	for _, tt := range tests {
		for _, typ := range []int32{linux.SOCK_STREAM, linux.SOCK_DGRAM} {
			a, b := pair(t, root, typ)
			b.Ops.(*Socket).SetSockOpt(root, b, linux.SOL_SOCKET, linux.SO_PASSCRED, []byte{1, 0, 0, 0})
			if _, errno := send(tt.c, a, "x", &sock.Message{Creds: tt.claim}, 0); errno != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, errno, tt.want)
				continue
			} else if errno != 0 {
				continue
			}
			if _, m, _ := recv(root, b, 1, 0); m.Creds == nil || *m.Creds != tt.seen {
				t.Errorf("%s: saw %+v", tt.name, m.Creds)
			}
		}
	}
	// Bytes of different senders are not glued together when their credentials are shown.
	a, b := pair(t, root, linux.SOCK_STREAM)
	b.Ops.(*Socket).SetSockOpt(root, b, linux.SOL_SOCKET, linux.SO_PASSCRED, []byte{1, 0, 0, 0})
	fstest.Write(root, a, "ro")
	fstest.Write(root, a, "ot")
	fstest.Write(user, a, "user")
	if s, m, _ := recv(root, b, 100, 0); s != "root" || m.Creds.PID != 1 {
		t.Errorf("got %q of %+v", s, m.Creds)
	}
	if s, m, _ := recv(root, b, 100, 0); s != "user" || m.Creds.PID != 5 {
		t.Errorf("got %q of %+v", s, m.Creds)
	}
}

func TestWaitallAndTimeouts(t *testing.T) {
	c := fstest.Caller()
	a, b, _ := sock.NewPair(c, "net", linux.AF_UNIX, linux.SOCK_STREAM, 0)
	blk := c.Blocker.(*fstest.Blocker)
	go func() {
		<-blk.Sleeping
		fstest.Write(fstest.Caller(), a, "123")
		<-blk.Sleeping
		fstest.Write(fstest.Caller(), a, "456")
	}()
	if s, _, errno := recv(c, b, 6, linux.MSG_WAITALL); s != "123456" || errno != 0 {
		t.Errorf("got %q, %v", s, errno)
	}
	tv := make([]byte, 16)
	tv[8], tv[9] = 0xe8, 3 // 1 ms
	b.Ops.(*Socket).SetSockOpt(c, b, linux.SOL_SOCKET, linux.SO_RCVTIMEO, tv)
	if _, _, errno := recv(c, b, 1, 0); errno != linux.EAGAIN {
		t.Errorf("timeout: %v", errno)
	}
	if got, _ := b.Ops.(*Socket).GetSockOpt(c, b, linux.SOL_SOCKET, linux.SO_RCVTIMEO); string(got) != string(tv) {
		t.Errorf("SO_RCVTIMEO %v", got)
	}
}

func TestOptions(t *testing.T) {
	c := fstest.User(9)
	f, s := socket(t, c, linux.SOCK_SEQPACKET)
	get := func(name int32) int32 {
		b, errno := s.GetSockOpt(c, f, linux.SOL_SOCKET, name)
		if errno != 0 {
			return -int32(errno)
		}
		return int32(b[0]) | int32(b[1])<<8 | int32(b[2])<<16 | int32(b[3])<<24
	}
	for name, want := range map[int32]int32{linux.SO_TYPE: linux.SOCK_SEQPACKET, linux.SO_DOMAIN: 1, linux.SO_PROTOCOL: 0,
		linux.SO_ERROR: 0, linux.SO_ACCEPTCONN: 0, linux.SO_SNDBUF: 212992, linux.SO_RCVBUF: 212992, linux.SO_RCVLOWAT: 1,
		9999: -int32(linux.ENOPROTOOPT), linux.SO_PEERGROUPS: -int32(linux.ENODATA)} {
		if got := get(name); got != want {
			t.Errorf("option %d: %d, want %d", name, got, want)
		}
	}
	set := func(name, v int32) linux.Errno { return s.SetSockOpt(c, f, linux.SOL_SOCKET, name, intBytes(v)) }
	for _, tt := range []struct{ name, v, want int32 }{{linux.SO_SNDBUF, 10000, 20000}, {linux.SO_SNDBUF, 1, minSndBuf},
		{linux.SO_SNDBUF, 1 << 30, maxBuf}, {linux.SO_RCVBUF, 0, minRcvBuf}, {linux.SO_KEEPALIVE, 5, 1},
		{linux.SO_REUSEADDR, 1, 1}, {linux.SO_PASSCRED, 1, 1}} {
		if errno := set(tt.name, tt.v); errno != 0 || get(tt.name) != tt.want {
			t.Errorf("set %d to %d: %v, then %d", tt.name, tt.v, errno, get(tt.name))
		}
	}
	if errno := set(linux.SO_SNDBUFFORCE, 1); errno != linux.EPERM {
		t.Errorf("SO_SNDBUFFORCE: %v", errno)
	}
	if errno := set(linux.SO_TYPE, 1); errno != linux.ENOPROTOOPT {
		t.Errorf("SO_TYPE: %v", errno)
	}
	if errno := s.SetSockOpt(c, f, linux.SOL_SOCKET, linux.SO_KEEPALIVE, []byte{1}); errno != linux.EINVAL {
		t.Errorf("short value: %v", errno)
	}
}

func BenchmarkStreamWriteRead64(b *testing.B) {
	c := fstest.Caller()
	x, y := pair(b, c, linux.SOCK_STREAM)
	var m usermem.Memory = make(fstest.Memory, 64)
	src, dst := new(usermem.Seq), new(usermem.Seq)
	b.ReportAllocs()
	for b.Loop() {
		*src, *dst = usermem.One(m, fstest.Base, 64), usermem.One(m, fstest.Base, 64)
		x.Ops.Write(c, x, src, -1)
		y.Ops.Read(c, y, dst, -1)
	}
}
