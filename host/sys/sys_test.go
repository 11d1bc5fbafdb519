package sys

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"hornwork/linux"
)

func pair(t *testing.T, typ int) [2]int32 {
	t.Helper()
	p, errno := Socketpair(typ)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { Close(p[0]); Close(p[1]) })
	return p
}

func tempFile(t *testing.T) int32 {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return int32(f.Fd())
}

func TestVectorsKeepOrderAndOffset(t *testing.T) {
	fd := tempFile(t)
	if n, errno := Pwritev(fd, [][]byte{[]byte("ab"), nil, []byte("cde")}, 3, 0); n != 5 || errno != 0 {
		t.Fatal(n, errno)
	}
	if n, errno := Pwritev(fd, [][]byte{[]byte("z")}, 0, RWF_APPEND); n != 1 || errno != 0 {
		t.Fatal(n, errno)
	}
	a, b := make([]byte, 4), make([]byte, 9)
	n, errno := Preadv(fd, [][]byte{a, b}, 2, 0)
	if got := append(a, b...)[:n]; errno != 0 || !bytes.Equal(got, []byte("\x00abcdez")) {
		t.Fatalf("%q %v", got, errno)
	}
	if n, errno := PreadvNowait(fd, [][]byte{a}, 3); errno != linux.EOPNOTSUPP && (errno != 0 || n != 4 || string(a) != "abcd") {
		t.Fatal(n, errno, a)
	}
	var st linux.Stat
	if errno := Fstat(fd, &st); errno != 0 || st.Size != 9 || st.Mode != linux.S_IFREG|0o600 {
		t.Fatal(errno, st)
	}
}

func TestDescriptorsTravelWithMessages(t *testing.T) {
	p := pair(t, syscall.SOCK_SEQPACKET)
	f := tempFile(t)
	if _, errno := Sendmsg(p[0], [][]byte{[]byte("he"), []byte("llo")}, []int32{f, f}, 0); errno != 0 {
		t.Fatal(errno)
	}
	var fds [2]int32
	b := make([]byte, 16)
	n, nfd, flags, errno := Recvmsg(p[1], b, fds[:], 0)
	if string(b[:n]) != "hello" || nfd != 2 || flags&syscall.MSG_CTRUNC != 0 || errno != 0 {
		t.Fatal(n, nfd, flags, errno)
	}
	for _, g := range fds {
		var a, b linux.Stat
		if Fstat(f, &a) != 0 || Fstat(g, &b) != 0 || a.Ino != b.Ino {
			t.Fatal(a, b)
		}
		Close(g)
	}
}

func TestUnwantedDescriptorsAreClosed(t *testing.T) {
	p := pair(t, syscall.SOCK_SEQPACKET)
	q := pair(t, syscall.SOCK_STREAM)
	if _, errno := Sendmsg(p[0], [][]byte{[]byte("x")}, []int32{q[0]}, 0); errno != 0 {
		t.Fatal(errno)
	}
	_, nfd, flags, errno := Recvmsg(p[1], make([]byte, 4), nil, 0)
	if nfd != 0 || flags&syscall.MSG_CTRUNC == 0 || errno != 0 {
		t.Fatal(nfd, flags, errno)
	}
	Shutdown(q[0], syscall.SHUT_WR)
	if n, errno := Read(q[1], make([]byte, 1)); n != 0 || errno != 0 {
		t.Fatal(n, errno)
	}
}

func TestReadiness(t *testing.T) {
	p := pair(t, syscall.SOCK_STREAM)
	if ev, errno := PollNow(p[1], linux.POLLIN|linux.POLLOUT); ev != linux.POLLOUT || errno != 0 {
		t.Fatal(ev, errno)
	}
	ep, errno := EpollCreate()
	if errno != 0 {
		t.Fatal(errno)
	}
	defer Close(ep)
	if errno := EpollCtl(ep, EPOLL_CTL_ADD, p[1], linux.POLLIN|EPOLLET, 1<<40|7); errno != 0 {
		t.Fatal(errno)
	}
	Write(p[0], []byte("x"))
	var out [4]linux.EpollEvent
	n, errno := EpollWait(ep, out[:], -1)
	if n != 1 || errno != 0 || out[0].Events != linux.POLLIN || out[0].Data != [2]uint32{7, 1 << 8} {
		t.Fatal(n, errno, out)
	}
}

func TestErrnosOfTheHost(t *testing.T) {
	if _, errno := Read(-1, make([]byte, 1)); errno != linux.EBADF {
		t.Error(errno)
	}
	p := pair(t, syscall.SOCK_STREAM)
	if _, errno := Pread(p[0], make([]byte, 1), 0); errno != linux.ESPIPE {
		t.Error(errno)
	}
	Close(p[1])
	p[1] = -1
	if _, errno := Sendmsg(p[0], [][]byte{{1}}, nil, 0); errno != linux.EPIPE {
		t.Error(errno)
	}
}
