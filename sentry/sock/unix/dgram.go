package unix

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/sock"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// message is a datagram, or a record of a seqpacket connection.
type message struct {
	data   []byte
	files  *rights
	from   stamp
	addr   []byte  // the sender's name when it sent; nil: it had none
	sender *Socket // whose buffer it counts in
}

func (m *message) size() int64 { return int64(len(m.data)) + skbOverhead }

// done gives the sender its buffer back.
func (m *message) done() {
	s := m.sender
	after := s.inflight.Add(-m.size())
	if limit := int64(s.opts.sndbuf.Load()); (after+m.size())*4 > limit && after*4 <= limit {
		s.queue.Notify(wait.Writable)
	}
}

// drop throws an unread message away. The caller holds no socket's lock.
func (m *message) drop() {
	m.done()
	dropFiles(m.files)
}

// sendDgram puts one message into other's queue, without sleeping. It takes files only if it succeeds.
func (s *Socket) sendDgram(_ *vfs.Caller, other *Socket, src *usermem.Seq, files *rights, from stamp) (int, linux.Errno) {
	n := src.Len()
	sndbuf := int64(s.opts.sndbuf.Load())
	if int64(n) > sndbuf-32 {
		return 0, linux.EMSGSIZE
	}
	s.mu.Lock()
	errno := s.takeErrLocked()
	addr := s.addr
	s.mu.Unlock()
	if errno != 0 {
		return 0, errno
	}
	if s.shut.Load()&shutWrite != 0 {
		return 0, linux.EPIPE
	}
	if s.inflight.Load() >= sndbuf {
		return 0, linux.EAGAIN
	}
	m := &message{data: make([]byte, n), files: files, from: from, sender: s}
	if addr != nil {
		m.addr = addr.raw
	}
	start := *src
	if k, errno := src.CopyIn(m.data); errno != 0 || k < n {
		return 0, linux.EFAULT
	}
	if errno := other.deliver(m); errno != 0 {
		*src = start
		if errno == linux.ECONNREFUSED {
			s.peer.CompareAndSwap(other, nil)
		}
		return 0, errno
	}
	return n, 0
}

// deliver queues m for reading.
func (s *Socket) deliver(m *message) linux.Errno {
	s.mu.Lock()
	switch {
	case s.state == closed:
		s.mu.Unlock()
		return linux.ECONNREFUSED
	case !s.accepts(m.sender):
		s.mu.Unlock()
		return linux.EPERM
	case s.shut.Load()&shutRead != 0:
		s.mu.Unlock()
		return linux.EPIPE
	case s.peer.Load() != m.sender && s.queueFullLocked(m.sender):
		s.mu.Unlock()
		return linux.EAGAIN
	}
	m.sender.inflight.Add(m.size())
	s.msgs = append(s.msgs, m)
	s.mu.Unlock()
	s.queue.Notify(wait.Readable)
	return 0
}

// sendDgramMsg is SendMsg for datagrams and seqpackets.
func (s *Socket) sendDgramMsg(c *vfs.Caller, f *vfs.File, m *sock.Message, flags uint32) (int, linux.Errno) {
	other := s.peer.Load()
	if s.oriented() {
		if other == nil {
			if s.shut.Load()&shutWrite != 0 {
				return 0, linux.EPIPE
			}
			return 0, s.noPeer()
		}
	} else if m.Addr != nil {
		var errno linux.Errno
		if other, errno = s.find(c, m.Addr); errno != 0 {
			return 0, errno
		}
	} else if other == nil {
		return 0, linux.ENOTCONN
	}
	if s.opts.passcred.Load() {
		if errno := s.autobind(); errno != 0 {
			return 0, errno
		}
	}
	from, errno := s.stampOf(c, m.Creds, other)
	if errno != 0 {
		return 0, errno
	}
	files, errno := sendFiles(c, m.Files)
	if errno != 0 {
		return 0, errno
	}
	for {
		n, errno := s.sendDgram(c, other, m.Data, files, from)
		if errno == linux.EAGAIN {
			errno = s.sleep(c, f, &s.queue, flags, s.WriteTimeout(), func() bool { return s.mayDeliver(other) })
			if errno == 0 {
				continue
			}
		}
		if errno != 0 {
			dropFiles(files)
		}
		return n, errno
	}
}

// mayDeliver says whether it is worth while to try again.
func (s *Socket) mayDeliver(other *Socket) bool {
	if s.shut.Load()&shutWrite != 0 {
		return true
	}
	if s.inflight.Load() >= int64(s.opts.sndbuf.Load()) {
		return false
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	return other.state == closed || other.peer.Load() == s || !other.queueFullLocked(s)
}

// recvDgram takes or peeks at the first message, without sleeping.
func (s *Socket) recvDgram(c *vfs.Caller, m *sock.Message, flags uint32) (int, linux.Errno) {
	s.mu.Lock()
	if s.oriented() && s.state != connected {
		s.mu.Unlock()
		return 0, linux.ENOTCONN
	}
	if len(s.msgs) == 0 {
		defer s.mu.Unlock()
		if s.err != 0 {
			return 0, s.takeErrLocked()
		}
		if s.oriented() && s.shut.Load()&shutRead != 0 {
			return 0, 0
		}
		return 0, linux.EAGAIN
	}
	msg := s.msgs[0]
	peek := flags&linux.MSG_PEEK != 0
	var waiting map[*Socket]struct{}
	if peek {
		if msg.files != nil {
			m.Files = msg.files.peek()
		}
	} else {
		s.msgs[0] = nil
		s.msgs = s.msgs[1:]
		if len(s.msgs) <= maxDgramQueue {
			waiting, s.waiting = s.waiting, nil
		}
		if msg.files != nil {
			m.Files = msg.files.land()
		}
	}
	s.mu.Unlock()
	if !peek {
		msg.done()
	}
	for w := range waiting {
		w.queue.Notify(wait.Writable)
	}
	m.Addr = msg.addr
	if s.opts.passcred.Load() {
		m.Creds = seenBy(c.Creds, msg.from.ucred)
	}
	n := min(len(msg.data), m.Data.Len())
	if n < len(msg.data) {
		m.Flags |= linux.MSG_TRUNC
	}
	if _, errno := m.Data.CopyOut(msg.data[:n]); errno != 0 { // the message is lost, as on Linux
		m.PutFiles()
		return 0, errno
	}
	if flags&linux.MSG_TRUNC != 0 {
		n = len(msg.data)
	}
	return n, 0
}

// recvDgramMsg is RecvMsg for datagrams and seqpackets.
func (s *Socket) recvDgramMsg(c *vfs.Caller, f *vfs.File, m *sock.Message, flags uint32) (int, linux.Errno) {
	for {
		n, errno := s.recvDgram(c, m, flags)
		if errno != linux.EAGAIN {
			return n, errno
		}
		errno = s.sleep(c, f, &s.queue, flags, s.ReadTimeout(), func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.msgs) > 0 || s.err != 0 || s.shut.Load()&shutRead != 0 || s.state == closed
		})
		if errno != 0 {
			return 0, errno
		}
		if s.typ == linux.SOCK_DGRAM && s.shut.Load()&shutRead != 0 && !s.hasMessage() {
			return 0, 0 // shut while it slept
		}
	}
}

func (s *Socket) hasMessage() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.msgs) > 0 || s.err != 0
}
