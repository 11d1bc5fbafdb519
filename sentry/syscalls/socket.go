package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/sock"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
	"hornwork/sentry/vfs"
)

// maxSockaddr is the size of struct sockaddr_storage.
const maxSockaddr = 128

// socket returns the socket behind fd, and its file to be Put.
func socket(t *task.Task, fd FD) (sock.Socket, *vfs.File, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return nil, nil, errno
	}
	s, ok := sock.FromFile(f)
	if !ok {
		f.Put()
		return nil, nil, linux.ENOTSOCK
	}
	return s, f, 0
}

// loadAddr reads a struct sockaddr.
func loadAddr(t *task.Task, addr SockAddr, n int32) ([]byte, linux.Errno) {
	if n < 0 || n > maxSockaddr {
		return nil, linux.EINVAL
	}
	b := make([]byte, n)
	if _, errno := t.Memory().CopyIn(b, uint64(addr)); errno != 0 {
		return nil, errno
	}
	return b, 0
}

// storeAddr writes a struct sockaddr, cut to the guest's room, and its whole length.
func storeAddr(t *task.Task, b []byte, addr SockAddrOut, size mm.User[int32]) linux.Errno {
	room, errno := size.Load(t)
	if errno != 0 {
		return errno
	}
	if room < 0 {
		return linux.EINVAL
	}
	if _, errno := t.Memory().CopyOut(uint64(addr), b[:min(int(room), len(b))]); errno != 0 {
		return errno
	}
	return size.Store(t, int32(len(b)))
}

// countFamily notes a family that somebody wanted and did not get.
func countFamily(t *task.Task, family AddrFamily, errno linux.Errno) {
	if errno == linux.EAFNOSUPPORT {
		trace.Unsupportedf(trace.SockOpt, t.Name(), "AF_%d", int32(family))
	}
}

// Socket implements socket(2).
func Socket(t *task.Task, family AddrFamily, typ SockType, protocol int32) (uintptr, linux.Errno) {
	f, errno := sock.New(t.Caller(), t.NS().Net, int32(family), int32(typ), protocol)
	if errno != 0 {
		countFamily(t, family, errno)
		return 0, errno
	}
	return newFD(t, f, typ&linux.SOCK_CLOEXEC != 0)
}

// Socketpair implements socketpair(2).
func Socketpair(t *task.Task, family AddrFamily, typ SockType, protocol int32, out mm.User[[2]int32]) (uintptr, linux.Errno) {
	const typeMask = 0xf
	if typ&^(typeMask|linux.SOCK_CLOEXEC|linux.SOCK_NONBLOCK) != 0 {
		return 0, linux.EINVAL
	}
	fds, errno := t.Files().Reserve(2)
	if errno != 0 {
		return 0, errno
	}
	defer fds.Cancel()
	n := fds.Numbers()
	if errno := out.Store(t, [2]int32{n[0], n[1]}); errno != 0 {
		return 0, errno
	}
	a, b, errno := sock.NewPair(t.Caller(), t.NS().Net, int32(family), int32(typ), protocol)
	if errno != 0 {
		countFamily(t, family, errno)
		return 0, errno
	}
	fds.Install(0, a, typ&linux.SOCK_CLOEXEC != 0)
	fds.Install(1, b, typ&linux.SOCK_CLOEXEC != 0)
	return 0, 0
}

// Bind implements bind(2).
func Bind(t *task.Task, fd FD, addr SockAddr, n int32) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	b, errno := loadAddr(t, addr, n)
	if errno != 0 {
		return 0, errno
	}
	return none(s.Bind(t.Caller(), f, b))
}

// Connect implements connect(2).
func Connect(t *task.Task, fd FD, addr SockAddr, n int32) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	b, errno := loadAddr(t, addr, n) // before the file is known to be a socket
	if errno != 0 {
		return 0, errno
	}
	s, ok := sock.FromFile(f)
	if !ok {
		return 0, linux.ENOTSOCK
	}
	return none(s.Connect(t.Caller(), f, b))
}

// Listen implements listen(2).
func Listen(t *task.Task, fd FD, backlog int32) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return none(s.Listen(t.Caller(), f, backlog))
}

// Accept implements accept(2).
func Accept(t *task.Task, fd FD, addr SockAddrOut, size mm.User[int32]) (uintptr, linux.Errno) {
	return Accept4(t, fd, addr, size, 0)
}

// Accept4 implements accept4(2).
func Accept4(t *task.Task, fd FD, addr SockAddrOut, size mm.User[int32], flags SockType) (uintptr, linux.Errno) {
	if flags&^(linux.SOCK_CLOEXEC|linux.SOCK_NONBLOCK) != 0 {
		return 0, linux.EINVAL
	}
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	fds, errno := t.Files().Reserve(1)
	if errno != 0 {
		return 0, errno
	}
	defer fds.Cancel()
	conn, errno := s.Accept(t.Caller(), f, uint32(flags))
	if errno != 0 {
		return 0, errno
	}
	if addr != 0 {
		if errno := storePeer(t, conn, addr, size); errno != 0 {
			conn.Put() // the connection is lost, as on Linux
			return 0, errno
		}
	}
	n := fds.Numbers()[0]
	fds.Install(0, conn, flags&linux.SOCK_CLOEXEC != 0)
	return uintptr(n), 0
}

func storePeer(t *task.Task, f *vfs.File, addr SockAddrOut, size mm.User[int32]) linux.Errno {
	s, ok := sock.FromFile(f)
	if !ok {
		return linux.ENOTSOCK
	}
	peer, errno := s.GetPeerName(t.Caller(), f)
	if errno != 0 {
		return linux.ECONNABORTED
	}
	return storeAddr(t, peer, addr, size)
}

// Getsockname implements getsockname(2).
func Getsockname(t *task.Task, fd FD, addr SockAddrOut, size mm.User[int32]) (uintptr, linux.Errno) {
	return sockName(t, fd, addr, size, sock.Socket.GetSockName)
}

// Getpeername implements getpeername(2).
func Getpeername(t *task.Task, fd FD, addr SockAddrOut, size mm.User[int32]) (uintptr, linux.Errno) {
	return sockName(t, fd, addr, size, sock.Socket.GetPeerName)
}

func sockName(t *task.Task, fd FD, addr SockAddrOut, size mm.User[int32],
	get func(sock.Socket, *vfs.Caller, *vfs.File) ([]byte, linux.Errno)) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	b, errno := get(s, t.Caller(), f)
	if errno != 0 {
		return 0, errno
	}
	return none(storeAddr(t, b, addr, size))
}

// Shutdown implements shutdown(2).
func Shutdown(t *task.Task, fd FD, how ShutHow) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if how < linux.SHUT_RD || how > linux.SHUT_RDWR {
		return 0, linux.EINVAL
	}
	return none(s.Shutdown(t.Caller(), f, int32(how)))
}

// maxSockOpt is how much of an option's value a socket is shown; none needs more.
const maxSockOpt = linux.PageSize

// Setsockopt implements setsockopt(2).
func Setsockopt(t *task.Task, fd FD, level SockLevel, name SockOptName, value InBuf, n int32) (uintptr, linux.Errno) {
	if n < 0 {
		return 0, linux.EINVAL
	}
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	b := make([]byte, min(n, maxSockOpt))
	if _, errno := t.Memory().CopyIn(b, uint64(value)); errno != 0 {
		return 0, errno
	}
	errno = s.SetSockOpt(t.Caller(), f, int32(level), int32(name), b)
	countOption(t, level, name, errno)
	return 0, errno
}

// Getsockopt implements getsockopt(2).
func Getsockopt(t *task.Task, fd FD, level SockLevel, name SockOptName, value Addr, size mm.User[int32]) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	room, errno := size.Load(t)
	if errno != 0 {
		return 0, errno
	}
	if room < 0 {
		return 0, linux.EINVAL
	}
	b, errno := s.GetSockOpt(t.Caller(), f, int32(level), int32(name))
	if errno != 0 {
		countOption(t, level, name, errno)
		return 0, errno
	}
	b = b[:min(int(room), len(b))]
	if _, errno := t.Memory().CopyOut(uint64(value), b); errno != 0 {
		return 0, errno
	}
	return none(size.Store(t, int32(len(b))))
}

func countOption(t *task.Task, level SockLevel, name SockOptName, errno linux.Errno) {
	if errno == linux.ENOPROTOOPT || errno == linux.EOPNOTSUPP {
		trace.Unsupportedf(trace.SockOpt, t.Name(), "level %d option %d", int32(level), int32(name))
	}
}
