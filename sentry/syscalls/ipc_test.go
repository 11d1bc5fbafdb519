package syscalls

import (
	"bytes"
	"encoding/binary"
	"testing"

	"hornwork/linux"
)

func words(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

// pair makes two descriptors by a call that stores them.
func (g *guest) pair(nr int, args ...any) (int32, int32) {
	g.tb.Helper()
	at := g.room(8)
	g.ok(nr, append(args, at)...)
	return g.int32At(at), g.int32At(at + 4)
}

// ignore sets a signal's action to SIG_IGN.
func (g *guest) ignore(sig int) {
	g.tb.Helper()
	act := make([]byte, 32)
	act[0] = 1
	g.ok(linux.SYS_RT_SIGACTION, sig, act, 0, 8)
}

func TestPipes(t *testing.T) {
	g := newGuest(t)
	at := g.room(8)
	g.ok(linux.SYS_PIPE2, at, linux.O_NONBLOCK|linux.O_CLOEXEC)
	r, w := g.int32At(at), g.int32At(at+4)
	buf := g.room(64)
	g.fails(linux.EAGAIN, linux.SYS_READ, r, buf, 1)
	if n := g.ok(linux.SYS_READ, r, buf, 0); n != 0 {
		t.Errorf("read of nothing gave %d", n)
	}
	g.ok(linux.SYS_WRITE, w, "hello", 5)
	g.ok(linux.SYS_IOCTL, r, linux.FIONREAD, buf)
	if n := g.int32At(buf); n != 5 {
		t.Errorf("FIONREAD says %d", n)
	}
	g.fails(linux.EBADF, linux.SYS_READ, w, buf, 1)
	g.fails(linux.EBADF, linux.SYS_WRITE, r, "x", 1)
	g.fails(linux.ESPIPE, linux.SYS_LSEEK, r, 0, 0)
	g.fails(linux.ESPIPE, linux.SYS_PREAD64, r, buf, 1, 0)
	g.fails(linux.EFAULT, linux.SYS_PIPE, badAddr)
	g.fails(linux.EINVAL, linux.SYS_PIPE2, at, linux.O_APPEND)
	if n := g.ok(linux.SYS_FCNTL, r, linux.F_GETPIPE_SZ, 0); n != 65536 {
		t.Errorf("the pipe has %d bytes", n)
	}
	if n := g.ok(linux.SYS_FCNTL, r, linux.F_SETPIPE_SZ, 5000); n != 8192 {
		t.Errorf("the pipe has %d bytes", n)
	}
	g.fails(linux.EINVAL, linux.SYS_FSYNC, r)
	g.fails(linux.ENOTTY, linux.SYS_IOCTL, r, linux.TCGETS, buf)
	g.ok(linux.SYS_CLOSE, w)
	if n := g.ok(linux.SYS_READ, r, buf, 64); n != 5 {
		t.Errorf("read %d", n)
	}
	if n := g.ok(linux.SYS_READ, r, buf, 64); n != 0 {
		t.Errorf("read %d at the end", n)
	}
}

func TestBrokenPipe(t *testing.T) {
	g := newGuest(t)
	g.ignore(linux.SIGPIPE)
	r, w := g.pair(linux.SYS_PIPE)
	g.ok(linux.SYS_CLOSE, r)
	g.fails(linux.EPIPE, linux.SYS_WRITE, w, "x", 1)
	g.fails(linux.EPIPE, linux.SYS_WRITEV, w, iovecs(g.put([]byte("x")), 1), 1)
}

func TestPoll(t *testing.T) {
	g := newGuest(t)
	r, w := g.pair(linux.SYS_PIPE)
	fds := g.put(words(uint32(r), linux.POLLIN, uint32(w), linux.POLLOUT, 0xffffffff, linux.POLLIN, badFD, linux.POLLIN))
	if n := g.ok(linux.SYS_POLL, fds, 4, 0); n != 2 {
		t.Errorf("%d are ready", n)
	}
	for i, want := range []uint32{0, linux.POLLOUT, 0, linux.POLLNVAL} {
		if got := uint32(g.int32At(fds+uint64(i)*8+4)) >> 16; got != want {
			t.Errorf("descriptor %d has %#x", i, got)
		}
	}
	g.ok(linux.SYS_WRITE, w, "x", 1)
	if n := g.ok(linux.SYS_POLL, fds, 1, -1); n != 1 {
		t.Errorf("%d are ready", n)
	}
	g.fails(linux.EFAULT, linux.SYS_POLL, badAddr, 1, 0)
	g.fails(linux.EINVAL, linux.SYS_POLL, fds, 1<<24, 0)
	ts := g.put(iovecs(0, 1000000))
	empty := g.put(words(uint32(r), linux.POLLPRI))
	if n := g.ok(linux.SYS_PPOLL, empty, 1, ts, 0, 0); n != 0 {
		t.Errorf("%d are ready", n)
	}
	if !bytes.Equal(g.get(ts, 16), make([]byte, 16)) {
		t.Error("ppoll did not store the time that was left")
	}
	g.fails(linux.EINVAL, linux.SYS_PPOLL, empty, 1, iovecs(0, 1000000000), 0, 0)
	g.fails(linux.EINVAL, linux.SYS_PPOLL, empty, 1, ts, iovecs(0), 4)
}

func TestSelect(t *testing.T) {
	g := newGuest(t)
	r, w := g.pair(linux.SYS_PIPE)
	in, out := g.put(make([]byte, 128)), g.put(make([]byte, 128))
	set := func(at uint64, fd int32) { g.store(at, iovecs(1<<fd)) }
	set(in, r)
	set(out, w)
	tv := g.put(iovecs(0, 0))
	if n := g.ok(linux.SYS_SELECT, max(r, w)+1, in, out, 0, tv); n != 1 {
		t.Errorf("%d are ready", n)
	}
	if g.get(in, 1)[0] != 0 || g.get(out, 1)[0] != 1<<w {
		t.Errorf("sets are %x %x", g.get(in, 1), g.get(out, 1))
	}
	g.ok(linux.SYS_WRITE, w, "x", 1)
	set(in, r)
	if n := g.ok(linux.SYS_PSELECT6, max(r, w)+1, in, 0, 0, 0, 0); n != 1 {
		t.Errorf("%d are ready", n)
	}
	set(in, 40)
	g.fails(linux.EBADF, linux.SYS_SELECT, 64, in, 0, 0, tv)
	g.fails(linux.EINVAL, linux.SYS_SELECT, -1, in, 0, 0, tv)
	g.fails(linux.EFAULT, linux.SYS_SELECT, 8, badAddr, 0, 0, tv)
	if n := g.ok(linux.SYS_SELECT, 0, 0, 0, 0, tv); n != 0 {
		t.Errorf("%d are ready", n)
	}
}

func TestEpoll(t *testing.T) {
	g := newGuest(t)
	r, w := g.pair(linux.SYS_PIPE)
	ep := g.ok(linux.SYS_EPOLL_CREATE1, linux.EPOLL_CLOEXEC)
	ev := words(linux.EPOLLIN, 7, 8)
	g.ok(linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_ADD, r, ev)
	g.fails(linux.EEXIST, linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_ADD, r, ev)
	g.fails(linux.ENOENT, linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_MOD, w, ev)
	g.fails(linux.EBADF, linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_ADD, badFD, ev)
	g.fails(linux.EINVAL, linux.SYS_EPOLL_CTL, r, linux.EPOLL_CTL_ADD, w, ev)
	g.fails(linux.EINVAL, linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_ADD, ep, ev)
	g.fails(linux.EFAULT, linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_ADD, w, badAddr)
	file := g.ok(linux.SYS_OPEN, "f", linux.O_CREAT|linux.O_RDWR, 0o644)
	g.fails(linux.EPERM, linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_ADD, file, ev)
	out := g.room(36)
	if n := g.ok(linux.SYS_EPOLL_WAIT, ep, out, 3, 0); n != 0 {
		t.Errorf("%d are ready", n)
	}
	g.ok(linux.SYS_WRITE, w, "x", 1)
	if n := g.ok(linux.SYS_EPOLL_WAIT, ep, out, 3, -1); n != 1 || !bytes.Equal(g.get(out, 12), ev) {
		t.Errorf("%d are ready: %x", n, g.get(out, 12))
	}
	g.fails(linux.EINVAL, linux.SYS_EPOLL_WAIT, ep, out, 0, 0)
	g.fails(linux.EINVAL, linux.SYS_EPOLL_WAIT, r, out, 3, 0)
	g.fails(linux.EBADF, linux.SYS_EPOLL_WAIT, badFD, out, 3, 0)
	g.fails(linux.EFAULT, linux.SYS_EPOLL_WAIT, ep, badAddr, 3, 0)
	g.fails(linux.EINVAL, linux.SYS_EPOLL_CREATE, 0)
	g.fails(linux.EINVAL, linux.SYS_EPOLL_CREATE1, 1)
}

func TestEventfd(t *testing.T) {
	g := newGuest(t)
	fd := g.ok(linux.SYS_EVENTFD2, 3, linux.EFD_NONBLOCK|linux.EFD_SEMAPHORE)
	buf := g.room(8)
	if n := g.ok(linux.SYS_READ, fd, buf, 8); n != 8 || g.int32At(buf) != 1 {
		t.Errorf("read %d: %d", n, g.int32At(buf))
	}
	g.fails(linux.EINVAL, linux.SYS_READ, fd, buf, 4)
	g.fails(linux.EINVAL, linux.SYS_WRITE, fd, iovecs(1<<64-1), 8)
	g.fails(linux.EINVAL, linux.SYS_EVENTFD2, 0, 2)
}

func TestSplice(t *testing.T) {
	g := newGuest(t)
	r, w := g.pair(linux.SYS_PIPE)
	r2, w2 := g.pair(linux.SYS_PIPE)
	file := g.ok(linux.SYS_OPEN, "f", linux.O_CREAT|linux.O_RDWR, 0o644)
	g.ok(linux.SYS_WRITE, file, "hello world", 11)
	off := g.put(iovecs(6))
	if n := g.ok(linux.SYS_SPLICE, file, off, w, 0, 100, 0); n != 5 || g.int32At(off) != 11 {
		t.Errorf("spliced %d, offset %d", n, g.int32At(off))
	}
	if n := g.ok(linux.SYS_TEE, r, w2, 3, 0); n != 3 {
		t.Errorf("teed %d", n)
	}
	buf := g.room(32)
	if n := g.ok(linux.SYS_READ, r2, buf, 32); n != 3 || string(g.get(buf, 3)) != "wor" {
		t.Errorf("tee gave %q", g.get(buf, 3))
	}
	if n := g.ok(linux.SYS_SPLICE, r, 0, w2, 0, 2, 0); n != 2 {
		t.Errorf("spliced %d", n)
	}
	zero := g.put(iovecs(0))
	if n := g.ok(linux.SYS_SPLICE, r, 0, file, zero, 100, 0); n != 3 || g.int32At(zero) != 3 {
		t.Errorf("spliced %d, offset %d", n, g.int32At(zero))
	}
	g.ok(linux.SYS_PREAD64, file, buf, 11, 0)
	if s := string(g.get(buf, 11)); s != "rldlo world" {
		t.Errorf("the file has %q", s)
	}
	g.fails(linux.EAGAIN, linux.SYS_SPLICE, r, 0, file, 0, 1, linux.SPLICE_F_NONBLOCK)
	g.fails(linux.ESPIPE, linux.SYS_SPLICE, r, zero, file, 0, 1, 0)
	g.fails(linux.EINVAL, linux.SYS_SPLICE, file, 0, file, 0, 1, 0)
	g.fails(linux.EINVAL, linux.SYS_SPLICE, r, 0, file, 0, 1, 0x100)
	g.fails(linux.EBADF, linux.SYS_SPLICE, w, 0, r, 0, 1, 0)
	g.fails(linux.EINVAL, linux.SYS_SPLICE, r, 0, w, 0, 1, 0)
	g.fails(linux.EINVAL, linux.SYS_TEE, file, w, 1, 0)
	if n := g.ok(linux.SYS_SPLICE, badFD, 0, badFD, 0, 0, 0x100); n != 0 {
		t.Error("a splice of nothing looked at its arguments")
	}
	if n := g.ok(linux.SYS_VMSPLICE, w, iovecs(g.put([]byte("abc")), 3), 1, 0); n != 3 {
		t.Errorf("vmspliced %d", n)
	}
	g.fails(linux.EBADF, linux.SYS_VMSPLICE, file, iovecs(buf, 3), 1, 0)
}

func TestSendfileAndCopyFileRange(t *testing.T) {
	g := newGuest(t)
	in := g.ok(linux.SYS_OPEN, "in", linux.O_CREAT|linux.O_RDWR, 0o644)
	out := g.ok(linux.SYS_OPEN, "out", linux.O_CREAT|linux.O_RDWR, 0o644)
	g.ok(linux.SYS_WRITE, in, "hello world", 11)
	g.ok(linux.SYS_LSEEK, in, 0, linux.SEEK_SET)
	if n := g.ok(linux.SYS_SENDFILE, out, in, 0, 5); n != 5 {
		t.Errorf("sent %d", n)
	}
	if n := g.ok(linux.SYS_LSEEK, in, 0, linux.SEEK_CUR); n != 5 {
		t.Errorf("the source is at %d", n)
	}
	off := g.put(iovecs(6))
	if n := g.ok(linux.SYS_SENDFILE, out, in, off, 100); n != 5 || g.int32At(off) != 11 {
		t.Errorf("sent %d, offset %d", n, g.int32At(off))
	}
	zero := g.put(iovecs(0))
	if n := g.ok(linux.SYS_COPY_FILE_RANGE, in, zero, out, 0, 3, 0); n != 3 || g.int32At(zero) != 3 {
		t.Errorf("copied %d, offset %d", n, g.int32At(zero))
	}
	buf := g.room(32)
	if n := g.ok(linux.SYS_PREAD64, out, buf, 32, 0); string(g.get(buf, int(n))) != "helloworldhel" {
		t.Errorf("the target has %q", g.get(buf, int(n)))
	}
	r, w := g.pair(linux.SYS_PIPE)
	g.fails(linux.EINVAL, linux.SYS_SENDFILE, out, r, 0, 5)
	g.fails(linux.ESPIPE, linux.SYS_SENDFILE, out, r, off, 5)
	g.fails(linux.EBADF, linux.SYS_SENDFILE, r, in, 0, 5)
	g.fails(linux.EINVAL, linux.SYS_COPY_FILE_RANGE, in, 0, out, 0, 1, 1)
	g.fails(linux.EINVAL, linux.SYS_COPY_FILE_RANGE, in, 0, w, 0, 1, 0)
	g.fails(linux.EINVAL, linux.SYS_COPY_FILE_RANGE, in, iovecs(0), in, iovecs(1), 5, 0)
	dir := g.ok(linux.SYS_OPEN, "/", linux.O_RDONLY, 0)
	g.fails(linux.EISDIR, linux.SYS_COPY_FILE_RANGE, dir, 0, out, 0, 1, 0)
	app := g.ok(linux.SYS_OPEN, "out", linux.O_WRONLY|linux.O_APPEND, 0)
	g.fails(linux.EINVAL, linux.SYS_SENDFILE, app, in, 0, 5)
	g.fails(linux.EBADF, linux.SYS_COPY_FILE_RANGE, in, 0, app, 0, 1, 0)
}
