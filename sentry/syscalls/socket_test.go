package syscalls

import (
	"bytes"
	"encoding/binary"
	"testing"

	"hornwork/linux"
)

// unixAddr is a struct sockaddr_un.
func unixAddr(path string) []byte { return append([]byte{linux.AF_UNIX, 0}, path...) }

// msghdr is a struct msghdr with one buffer.
func (g *guest) msghdr(buf uint64, n int, control uint64, controlLen int) uint64 {
	return g.put(iovecs(0, 0, g.put(iovecs(buf, uint64(n))), 1, control, uint64(controlLen), 0))
}

func TestSocketpairs(t *testing.T) {
	g := newGuest(t)
	a, b := g.pair(linux.SYS_SOCKETPAIR, linux.AF_UNIX, linux.SOCK_STREAM|linux.SOCK_CLOEXEC, 0)
	if v := g.ok(linux.SYS_FCNTL, a, linux.F_GETFD, 0); v != linux.FD_CLOEXEC {
		t.Errorf("F_GETFD is %d", v)
	}
	buf := g.room(64)
	g.ok(linux.SYS_WRITE, a, "hello", 5)
	if n := g.ok(linux.SYS_RECVFROM, b, buf, 64, linux.MSG_PEEK, 0, 0); n != 5 {
		t.Errorf("peeked %d", n)
	}
	if n := g.ok(linux.SYS_READ, b, buf, 64); n != 5 || string(g.get(buf, 5)) != "hello" {
		t.Errorf("read %d", n)
	}
	g.fails(linux.EAGAIN, linux.SYS_RECVFROM, b, buf, 64, linux.MSG_DONTWAIT, 0, 0)
	g.fails(linux.EINVAL, linux.SYS_SHUTDOWN, a, 3)
	g.ok(linux.SYS_SHUTDOWN, a, linux.SHUT_WR)
	if n := g.ok(linux.SYS_READ, b, buf, 64); n != 0 {
		t.Errorf("read %d at the end", n)
	}
	g.fails(linux.EPIPE, linux.SYS_SENDTO, a, "x", 1, linux.MSG_NOSIGNAL, 0, 0)
	g.fails(linux.ESPIPE, linux.SYS_LSEEK, a, 0, 0)
	g.fails(linux.EFAULT, linux.SYS_SOCKETPAIR, linux.AF_UNIX, linux.SOCK_STREAM, 0, badAddr)
	g.fails(linux.EINVAL, linux.SYS_SOCKET, linux.AF_UNIX, linux.SOCK_STREAM|0x100, 0)
	g.fails(linux.EPROTONOSUPPORT, linux.SYS_SOCKET, linux.AF_UNIX, linux.SOCK_STREAM, 7)
	g.fails(linux.EAFNOSUPPORT, linux.SYS_SOCKET, 99, linux.SOCK_STREAM, 0)
	file := g.ok(linux.SYS_OPEN, "f", linux.O_CREAT|linux.O_RDWR, 0o644)
	g.fails(linux.ENOTSOCK, linux.SYS_LISTEN, file, 1)
	g.fails(linux.EBADF, linux.SYS_LISTEN, badFD, 1)
}

func TestConnections(t *testing.T) {
	g := newGuest(t)
	srv := g.ok(linux.SYS_SOCKET, linux.AF_UNIX, linux.SOCK_STREAM, 0)
	addr := unixAddr("sock\x00")
	g.ok(linux.SYS_BIND, srv, addr, len(addr))
	other := unixAddr("other\x00")
	g.fails(linux.EINVAL, linux.SYS_BIND, srv, other, len(other))
	cl := g.ok(linux.SYS_SOCKET, linux.AF_UNIX, linux.SOCK_STREAM|linux.SOCK_NONBLOCK, 0)
	g.fails(linux.EADDRINUSE, linux.SYS_BIND, cl, addr, len(addr))
	g.fails(linux.ECONNREFUSED, linux.SYS_CONNECT, cl, addr, len(addr))
	g.fails(linux.EINVAL, linux.SYS_ACCEPT, srv, 0, 0)
	g.ok(linux.SYS_LISTEN, srv, 5)
	g.fails(linux.EINVAL, linux.SYS_CONNECT, cl, addr, 200)
	g.fails(linux.EFAULT, linux.SYS_CONNECT, cl, badAddr, 10)
	g.ok(linux.SYS_CONNECT, cl, addr, len(addr))
	g.fails(linux.EISCONN, linux.SYS_CONNECT, cl, addr, len(addr))
	size, name := g.put(words(110)), g.room(112)
	conn := g.ok(linux.SYS_ACCEPT4, srv, name, size, linux.SOCK_CLOEXEC)
	if n := g.int32At(size); n != 2 {
		t.Errorf("the peer's name has %d bytes", n)
	}
	g.store(size, words(6))
	g.ok(linux.SYS_GETPEERNAME, cl, name, size)
	if n := g.int32At(size); n != 7 || !bytes.Equal(g.get(name, 7), append(addr[:6], 0)) {
		t.Errorf("the name has %d bytes: %q", n, g.get(name, 8))
	}
	g.fails(linux.EINVAL, linux.SYS_GETSOCKNAME, srv, name, words(0xffffffff))
	g.fails(linux.EFAULT, linux.SYS_GETSOCKNAME, srv, badAddr, words(10))
	g.ok(linux.SYS_GETSOCKNAME, srv, badAddr, words(0))
	val := g.room(16)
	g.store(size, words(12))
	g.ok(linux.SYS_GETSOCKOPT, conn, linux.SOL_SOCKET, linux.SO_TYPE, val, size)
	if n := g.int32At(size); n != 4 || g.int32At(val) != linux.SOCK_STREAM {
		t.Errorf("SO_TYPE is %d of %d bytes", g.int32At(val), n)
	}
	g.ok(linux.SYS_SETSOCKOPT, conn, linux.SOL_SOCKET, linux.SO_PASSCRED, words(1), 4)
	g.fails(linux.EINVAL, linux.SYS_SETSOCKOPT, conn, linux.SOL_SOCKET, linux.SO_PASSCRED, words(1), -1)
	g.fails(linux.EINVAL, linux.SYS_SETSOCKOPT, conn, linux.SOL_SOCKET, linux.SO_PASSCRED, words(1), 2)
	g.fails(linux.EFAULT, linux.SYS_SETSOCKOPT, conn, linux.SOL_SOCKET, linux.SO_PASSCRED, badAddr, 4)
	g.fails(linux.EINVAL, linux.SYS_ACCEPT4, srv, 0, 0, 1)
}

func TestPassedDescriptors(t *testing.T) {
	g := newGuest(t)
	a, b := g.pair(linux.SYS_SOCKETPAIR, linux.AF_UNIX, linux.SOCK_STREAM, 0)
	file := g.ok(linux.SYS_OPEN, "f", linux.O_CREAT|linux.O_RDWR, 0o644)
	data := g.put([]byte("x"))
	rights := g.put(append(iovecs(20), words(linux.SOL_SOCKET, linux.SCM_RIGHTS, uint32(file))...))
	g.ok(linux.SYS_SENDMSG, a, g.msghdr(data, 1, rights, 20), 0)
	control := g.room(64)
	hdr := g.msghdr(data, 1, control, 64)
	if n := g.ok(linux.SYS_RECVMSG, b, hdr, linux.MSG_CMSG_CLOEXEC); n != 1 {
		t.Errorf("received %d", n)
	}
	if n := binary.LittleEndian.Uint64(g.get(hdr+40, 8)); n != 24 {
		t.Errorf("msg_controllen is %d", n)
	}
	if f := g.int32At(hdr + 48); f != linux.MSG_CMSG_CLOEXEC {
		t.Errorf("msg_flags is %#x", f)
	}
	fd := g.int32At(control + 16)
	if v := g.ok(linux.SYS_FCNTL, fd, linux.F_GETFD, 0); v != linux.FD_CLOEXEC {
		t.Errorf("F_GETFD is %d", v)
	}
	// Without room for them they are lost, and the flags say so.
	g.ok(linux.SYS_SENDMSG, a, g.msghdr(data, 1, rights, 20), 0)
	hdr = g.msghdr(data, 1, 0, 0)
	g.ok(linux.SYS_RECVMSG, b, hdr, 0)
	if f := g.int32At(hdr + 48); f != linux.MSG_CTRUNC {
		t.Errorf("msg_flags is %#x", f)
	}
	bad := g.put(append(iovecs(20), words(linux.SOL_SOCKET, linux.SCM_RIGHTS, badFD)...))
	g.fails(linux.EBADF, linux.SYS_SENDMSG, a, g.msghdr(data, 1, bad, 20), 0)
	short := g.put(append(iovecs(8), words(linux.SOL_SOCKET, linux.SCM_RIGHTS)...))
	g.fails(linux.EINVAL, linux.SYS_SENDMSG, a, g.msghdr(data, 1, short, 16), 0)
	g.fails(linux.ENOBUFS, linux.SYS_SENDMSG, a, g.msghdr(data, 1, rights, 1<<20*64), 0)
	g.fails(linux.EFAULT, linux.SYS_SENDMSG, a, badAddr, 0)
	many := g.put(iovecs(0, 0, data, 1025, 0, 0, 0))
	g.fails(linux.EMSGSIZE, linux.SYS_SENDMSG, a, many, 0)
}

func TestManyMessages(t *testing.T) {
	g := newGuest(t)
	a, b := g.pair(linux.SYS_SOCKETPAIR, linux.AF_UNIX, linux.SOCK_DGRAM, 0)
	x, y := g.put([]byte("abc")), g.put([]byte("de"))
	vec := func(bufs ...uint64) uint64 {
		var v []byte
		for _, buf := range bufs {
			v = append(v, iovecs(0, 0, g.put(iovecs(buf, 3)), 1, 0, 0, 0, 0)...)
		}
		return g.put(v)
	}
	out := vec(x, y)
	if n := g.ok(linux.SYS_SENDMMSG, a, out, 2, 0); n != 2 || g.int32At(out+56) != 3 {
		t.Errorf("sent %d, %d bytes first", n, g.int32At(out+56))
	}
	in := vec(g.room(3), g.room(3), g.room(3))
	if n := g.ok(linux.SYS_RECVMMSG, b, in, 3, linux.MSG_WAITFORONE, 0); n != 2 {
		t.Errorf("received %d", n)
	}
	g.fails(linux.EAGAIN, linux.SYS_RECVMMSG, b, in, 3, linux.MSG_DONTWAIT, 0)
	g.fails(linux.EINVAL, linux.SYS_RECVMMSG, b, in, 3, 0, iovecs(0, 1<<40))
}
