package unix

import (
	"encoding/binary"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/sock"
	"hornwork/sentry/vfs"
)

// Listen implements sock.Socket.
func (s *Socket) Listen(c *vfs.Caller, _ *vfs.File, backlog int32) linux.Errno {
	if !s.oriented() {
		return linux.EOPNOTSUPP
	}
	if uint32(backlog) > somaxconn {
		backlog = somaxconn
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == nil || s.state != unconnected && s.state != listening {
		return linux.EINVAL
	}
	if int(backlog) > s.maxLog {
		s.room.Notify(wait.All)
	}
	s.maxLog = int(backlog)
	s.state = listening
	s.own = identify(c)
	s.peerUC, s.creds = s.own.ucred, s.own.creds
	return 0
}

// Connect implements sock.Socket.
func (s *Socket) Connect(c *vfs.Caller, f *vfs.File, addr []byte) linux.Errno {
	if s.typ == linux.SOCK_DGRAM {
		return s.connectDgram(c, addr)
	}
	if errno := check(addr); errno != 0 {
		return errno
	}
	if s.opts.passcred.Load() {
		if errno := s.autobind(); errno != 0 {
			return errno
		}
	}
	for {
		l, errno := s.find(c, addr)
		if errno != 0 {
			return errno
		}
		retry, errno := s.connectTo(c, f, l)
		if !retry {
			return errno
		}
	}
}

// connectTo makes one attempt at listener l, sleeping while its backlog is full; then it is to be looked up again.
func (s *Socket) connectTo(c *vfs.Caller, f *vfs.File, l *Socket) (retry bool, errno linux.Errno) {
	// While connecting, s cannot become a listener: so the nested lock below has one order.
	if errno := s.beginConnect(); errno != 0 {
		return false, errno
	}
	me := identify(c)
	server := newSocket(l.net, l.typ)
	l.mu.Lock()
	switch {
	case l.state != listening || l.shut.Load()&shutRead != 0:
		errno = linux.ECONNREFUSED
	case len(l.backlog) > l.maxLog:
		errno = linux.EAGAIN
	default:
		server.state = connected
		server.addr = l.addr
		server.peerUC, server.creds = me.ucred, me.creds
		server.peer.Store(s)
		s.mu.LockNested()
		s.state = connected
		s.peerUC, s.creds = l.own.ucred, l.own.creds
		s.peer.Store(server)
		s.mu.Unlock()
		l.backlog = append(l.backlog, server)
	}
	l.mu.Unlock()
	if errno == 0 {
		l.queue.Notify(wait.Readable)
		s.queue.Notify(wait.Writable)
		return false, 0
	}
	if errno == linux.EAGAIN {
		errno = s.sleep(c, f, &l.room, 0, s.WriteTimeout(), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.state != listening || l.shut.Load()&shutRead != 0 || len(l.backlog) <= l.maxLog
		})
		retry = errno == 0
	}
	s.endConnect()
	return retry, errno
}

func (s *Socket) beginConnect() linux.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case unconnected:
		s.state = connecting
		return 0
	case connecting:
		return linux.EALREADY
	case connected:
		return linux.EISCONN
	}
	return linux.EINVAL
}

func (s *Socket) endConnect() {
	s.mu.Lock()
	if s.state == connecting {
		s.state = unconnected
	}
	s.mu.Unlock()
}

// connectDgram sets or, for AF_UNSPEC, clears the default destination.
func (s *Socket) connectDgram(c *vfs.Caller, addr []byte) linux.Errno {
	if len(addr) < familySize {
		return linux.EINVAL
	}
	var other *Socket
	if binary.LittleEndian.Uint16(addr) != linux.AF_UNSPEC {
		if errno := check(addr); errno != 0 {
			return errno
		}
		if s.opts.passcred.Load() {
			if errno := s.autobind(); errno != 0 {
				return errno
			}
		}
		var errno linux.Errno
		if other, errno = s.find(c, addr); errno != 0 {
			return errno
		}
		if !other.accepts(s) {
			return linux.EPERM
		}
	}
	s.mu.Lock()
	s.state = unconnected
	if other != nil {
		s.state = connected
	}
	old := s.peer.Swap(other)
	var msgs []*message
	if old != nil && old != other {
		msgs, s.msgs = s.msgs, nil
	}
	s.mu.Unlock()
	if old != nil && old != other {
		for _, m := range msgs {
			m.drop()
		}
		if len(msgs) > 0 && old.peer.Load() == s {
			old.fail(linux.ECONNRESET)
			old.queue.Notify(wait.All)
		}
	}
	s.queue.Notify(wait.Writable)
	return 0
}

// accepts says whether a datagram socket takes messages of sender: it is not connected to somebody else.
func (s *Socket) accepts(sender *Socket) bool {
	p := s.peer.Load()
	return p == nil || p == sender
}

// Accept implements sock.Socket.
func (s *Socket) Accept(c *vfs.Caller, f *vfs.File, flags uint32) (*vfs.File, linux.Errno) {
	if !s.oriented() {
		return nil, linux.EOPNOTSUPP
	}
	for {
		s.mu.Lock()
		if s.state != listening {
			s.mu.Unlock()
			return nil, linux.EINVAL
		}
		if len(s.backlog) > 0 {
			n := s.backlog[0]
			s.backlog[0] = nil
			s.backlog = s.backlog[1:]
			s.mu.Unlock()
			s.room.Notify(wait.All)
			return sock.NewFile(c, n, flags), 0
		}
		shut := s.shut.Load()&shutRead != 0
		s.mu.Unlock()
		if shut {
			return nil, linux.EINVAL
		}
		errno := s.sleep(c, f, &s.queue, 0, s.ReadTimeout(), func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.state != listening || len(s.backlog) > 0 || s.shut.Load()&shutRead != 0
		})
		if errno != 0 {
			return nil, errno
		}
	}
}
