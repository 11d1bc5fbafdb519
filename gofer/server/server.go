// Package server is the gofer: it serves directories of the host to a sentry that may be hostile.
//
// The server's process holds descriptors of its root directories and opens nothing else. Every path is
// resolved beneath a root, component by component or by openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS
// and RESOLVE_NO_MAGICLINKS; no component is ever "..". Data is never read here: regular files are opened
// and their descriptors donated. FIFOs, devices and sockets are never opened, directories never donated.
// Kernel filesystems (proc, sysfs, …) mounted below a root are shown as empty directories.
//
// One goroutine serves one channel, request by request. Locks: table.mu alone, never held over a host call.
package server

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/linux"
)

// Limits on what one sentry can make the server hold.
const (
	maxChannels = 16
	maxNodes    = 1 << 20
	maxTemps    = 1024    // O_TMPFILE nodes, whose descriptor cannot be opened again
	maxOpen     = 1 << 14 // descriptors of nodes, and at most half of RLIMIT_NOFILE
)

// Root is one directory tree to serve, or one file.
type Root struct {
	FD       int32 // a descriptor of the directory; O_PATH is enough. The server owns it.
	ReadOnly bool
	// File, if it is set, is a regular file in the directory: then that is served and nothing else of the
	// directory can be reached.
	File string
}

// root is a Root being served.
type root struct {
	node     *node
	top      *node // whose descriptor is the Root's: node, or the directory that it is in
	readOnly bool
}

// Server is one connection's state.
type Server struct {
	roots []root
	table table

	mu       sync.Mutex // guards channels
	channels []int32
	done     bool
	wg       sync.WaitGroup
}

// Serve answers requests on the SOCK_SEQPACKET socket conn until the sentry closes it, then closes all that
// it held. It raises RLIMIT_NOFILE and clears the umask of the process, which should do nothing else.
func Serve(conn int32, roots []Root) error {
	unix.Umask(0)
	return serve(conn, roots, openLimit())
}

// serve is Serve with at most maxOpen descriptors of nodes.
func serve(conn int32, roots []Root, maxOpen int) error {
	s := &Server{}
	s.table.init(maxOpen)
	defer s.close()
	for i, r := range roots {
		if errno := checkRoot(r); errno != 0 {
			return fmt.Errorf("gofer: root %d cannot be served: %w", i, errno)
		}
		s.roots = append(s.roots, root{readOnly: r.ReadOnly})
	}
	for i, r := range roots { // after the slice has its final place
		s.table.addRoot(&s.roots[i], r)
	}
	s.addChannel(conn)
	err := s.channel(conn)
	s.mu.Lock()
	s.done = true
	for _, fd := range s.channels {
		sys.Shutdown(fd, unix.SHUT_RDWR)
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// checkRoot says what is wrong with a root.
func checkRoot(r Root) linux.Errno {
	var st linux.Statx
	if errno := statx(r.FD, "", &st); errno != 0 {
		return errno
	}
	if st.Mode&linux.S_IFMT != linux.S_IFDIR {
		return linux.ENOTDIR
	}
	if r.File == "" {
		return 0
	}
	if !proto.ValidName(r.File) {
		return linux.EINVAL
	}
	if errno := statx(r.FD, r.File, &st); errno != 0 {
		return errno
	}
	if st.Mode&linux.S_IFMT != linux.S_IFREG {
		return linux.EINVAL
	}
	return 0
}

// openLimit raises the soft limit of descriptors and returns how many of them nodes may keep.
func openLimit() int {
	var lim unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &lim) != nil {
		return 256
	}
	soft := lim.Cur
	lim.Cur = lim.Max
	if unix.Prlimit(0, unix.RLIMIT_NOFILE, &lim, nil) == nil {
		soft = lim.Cur
	}
	return int(min(max(soft/2, 64), maxOpen))
}

func (s *Server) close() {
	for _, fd := range s.channels {
		sys.Close(fd)
	}
	s.table.close()
	for _, r := range s.roots {
		if r.top != nil {
			sys.Close(r.top.fd)
		}
	}
}

// addChannel notes a channel's socket, which the server owns from now on.
func (s *Server) addChannel(fd int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done || len(s.channels) == maxChannels {
		return false
	}
	s.channels = append(s.channels, fd)
	return true
}

// newChannel makes another channel and returns the sentry's end.
func (s *Server) newChannel() (int32, linux.Errno) {
	p, errno := sys.Socketpair(unix.SOCK_SEQPACKET)
	if errno != 0 {
		return -1, errno
	}
	if !s.addChannel(p[0]) {
		sys.Close(p[0])
		sys.Close(p[1])
		return -1, linux.ENFILE
	}
	s.wg.Go(func() { s.channel(p[0]) })
	return p[1], 0
}

// session is what one channel's goroutine works with.
type session struct {
	*Server
	buf    []byte
	dents  []byte
	stream stream
}

// errProtocol ends a channel: the sentry does not speak the protocol.
var errProtocol = errors.New("gofer: the sentry broke the protocol")

// channel serves the socket fd until its end.
func (s *Server) channel(fd int32) error {
	c := &session{Server: s, stream: stream{fd: -1}}
	defer c.stream.close()
	in := make([]byte, proto.MaxFrame)
	for {
		n, nfd, flags, errno := sys.Recvmsg(fd, in, nil, 0)
		if errno != 0 {
			return fmt.Errorf("gofer: cannot receive: %w", errno)
		}
		if n == 0 {
			return nil
		}
		if nfd != 0 || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			return errProtocol
		}
		req, err := proto.DecodeRequest(in[:n])
		if err != nil {
			return errProtocol
		}
		if m, ok := req.(*proto.Close); ok {
			s.table.closeHandles(m.Handles)
			continue
		}
		if errno := c.answer(fd, req); errno != 0 {
			return fmt.Errorf("gofer: cannot send: %w", errno)
		}
	}
}

// answer serves req and sends the response.
func (c *session) answer(conn int32, req proto.Request) linux.Errno {
	fd := int32(-1)
	resp, errno := c.serve(req, &fd)
	var err error
	if errno == 0 {
		if c.buf, err = proto.EncodeResponse(c.buf[:0], req.Op(), resp); err != nil {
			errno = linux.EOVERFLOW // e.g. extended attributes that do not fit a frame
		}
	}
	if errno != 0 {
		c.buf = proto.EncodeError(c.buf[:0], req.Op(), errno)
	}
	var fds []int32
	if fd >= 0 {
		defer sys.Close(fd)
		if errno == 0 {
			fds = []int32{fd}
		}
	}
	_, errno = sys.Sendmsg(conn, [][]byte{c.buf}, fds, 0)
	return errno
}

// serve dispatches a request. A handler that donates a descriptor stores it in fd.
func (c *session) serve(req proto.Request, fd *int32) (proto.Response, linux.Errno) {
	switch m := req.(type) {
	case *proto.Channel:
		var errno linux.Errno
		*fd, errno = c.newChannel()
		return &proto.Done{}, errno
	case *proto.Attach:
		return c.attach(m)
	case *proto.Walk:
		return c.walk(m, fd)
	case *proto.Getattr:
		return c.getattr(m)
	case *proto.Setattr:
		return c.setattr(m)
	case *proto.Open:
		return c.open(m, fd)
	case *proto.Make:
		return c.make(m, fd)
	case *proto.Link:
		return c.link(m)
	case *proto.Unlink:
		return c.unlink(m)
	case *proto.Rename:
		return c.rename(m)
	case *proto.Readlink:
		return c.readlink(m)
	case *proto.Readdir:
		return c.readdir(m)
	case *proto.ReadAhead:
		return c.readAhead(m)
	case *proto.Statfs:
		return c.statfs(m)
	case *proto.GetXattr:
		return c.getXattr(m)
	case *proto.SetXattr:
		return c.setXattr(m)
	case *proto.ListXattr:
		return c.listXattr(m)
	case *proto.RemoveXattr:
		return c.removeXattr(m)
	case *proto.Sync:
		return c.sync(m)
	}
	return nil, linux.ENOSYS
}
