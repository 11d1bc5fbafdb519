package unix

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/sock"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// mark is ancillary data of a span of a stream. Marks do not overlap and stand in order; what is between them was
// sent without.
type mark struct {
	start, end uint64
	files      *rights
	from       stamp
}

// sendStream puts what fits of src into the peer's ring, once. Files go with its first byte, or not at all.
func (s *Socket) sendStream(src *usermem.Seq, files *rights, from stamp) (int, linux.Errno) {
	if s.shut.Load()&shutWrite != 0 {
		return 0, linux.EPIPE
	}
	peer := s.peer.Load()
	if peer == nil {
		return 0, s.noPeer()
	}
	want := src.Len()
	if want == 0 {
		return 0, 0
	}
	peer.mu.Lock()
	if peer.state == closed || peer.shut.Load()&shutRead != 0 {
		peer.mu.Unlock()
		return 0, linux.EPIPE
	}
	room := int(s.opts.sndbuf.Load()) - peer.ring.Len()
	if room <= 0 {
		peer.mu.Unlock()
		return 0, linux.EAGAIN
	}
	n, errno := peer.ring.CopyIn(src, min(want, room))
	if n > 0 && (files != nil || from.set) {
		peer.markLocked(n, files, from)
	}
	peer.mu.Unlock()
	if n > 0 {
		peer.queue.Notify(wait.Readable)
	}
	return n, errno
}

func (s *Socket) noPeer() linux.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oriented() && (s.state == connected || s.state == closed) { // the peer went just now
		return linux.EPIPE
	}
	return linux.ENOTCONN
}

// markLocked describes the last n bytes of the ring.
func (s *Socket) markLocked(n int, files *rights, from stamp) {
	start, end := s.ring.W-uint64(n), s.ring.W
	if k := len(s.marks) - 1; k >= 0 && files == nil {
		if last := &s.marks[k]; last.end == start && last.files == nil && last.from == from {
			last.end = end
			return
		}
	}
	s.marks = append(s.marks, mark{start, end, files, from})
}

// received is what one piece of a stream came with.
type piece struct {
	n     int
	files []*vfs.File
	from  stamp
	stop  bool // a recvmsg(2) must not go on behind it
}

// recvStream takes what is there into dst, once: up to the end of data with files, or up to where the sender changes
// if that is shown. skip is how many bytes a peek has seen already.
func (s *Socket) recvStream(dst *usermem.Seq, peek bool, skip int) (p piece, errno linux.Errno) {
	want := dst.Len()
	s.mu.Lock()
	if s.state != connected {
		s.mu.Unlock()
		return piece{}, linux.EINVAL
	}
	avail := s.ring.Len() - skip
	if avail <= 0 {
		defer s.mu.Unlock()
		if s.err != 0 {
			return piece{}, s.takeErrLocked()
		}
		if s.shut.Load()&shutRead != 0 {
			return piece{stop: true}, 0
		}
		return piece{}, linux.EAGAIN
	}
	n, mk := s.extentLocked(s.ring.R+uint64(skip), min(want, avail), &p)
	before := s.ring.Len()
	if peek {
		p.n, errno = s.ring.Peek(dst, skip, n)
	} else {
		p.n, errno = s.ring.CopyOut(dst, n)
	}
	var dropped []*rights
	if p.n > 0 {
		if mk != nil && mk.files != nil {
			p.stop = true
			if peek {
				p.files = mk.files.peek()
			} else {
				p.files = mk.files.land()
				mk.files = nil
			}
		}
		dropped = s.passMarksLocked()
		errno = 0
	}
	after := s.ring.Len()
	peer := s.peer.Load()
	s.mu.Unlock()
	for _, r := range dropped {
		dropFiles(r)
	}
	if peer != nil && before != after {
		if limit := int(peer.opts.sndbuf.Load()); before*4 > limit && after*4 <= limit {
			peer.queue.Notify(wait.Writable)
		}
	}
	return p, errno
}

// extentLocked says how many of at most n bytes from pos on belong together, from whom they are, and which mark with
// files they end in.
func (s *Socket) extentLocked(pos uint64, n int, p *piece) (int, *mark) {
	p.from = stamp{ucred: nobody}
	passcred := s.opts.passcred.Load()
	taken := 0
	for k := 0; taken < n; {
		for k < len(s.marks) && s.marks[k].end <= pos {
			k++
		}
		end, from := pos+uint64(n-taken), stamp{ucred: nobody}
		var mk *mark
		if k < len(s.marks) {
			if m := &s.marks[k]; pos < m.start {
				end = min(end, m.start)
			} else {
				mk, from, end = m, m.from, min(end, m.end)
			}
		}
		if taken == 0 {
			p.from = from
		} else if passcred && from != p.from {
			p.stop = true
			break
		}
		taken += int(end - pos)
		pos = end
		if mk != nil && mk.files != nil {
			return taken, mk
		}
	}
	return taken, nil
}

// passMarksLocked forgets the marks of bytes that are gone, and returns files that nobody took.
func (s *Socket) passMarksLocked() (dropped []*rights) {
	for len(s.marks) > 0 && s.marks[0].end <= s.ring.R {
		if r := s.marks[0].files; r != nil {
			dropped = append(dropped, r)
		}
		s.marks[0] = mark{}
		s.marks = s.marks[1:]
	}
	if len(s.marks) == 0 {
		s.marks = nil
	}
	return dropped
}

// Read implements vfs.FileOps: recvmsg(2) without anything else. Files that came with the data are closed.
func (s *Socket) Read(c *vfs.Caller, f *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	if s.typ != linux.SOCK_STREAM {
		m := sock.Message{Data: dst}
		n, errno := s.recvDgram(c, &m, 0)
		m.PutFiles()
		return n, errno
	}
	if dst.Len() == 0 {
		return 0, 0
	}
	p, errno := s.recvStream(dst, false, 0)
	for _, f := range p.files {
		f.Put()
	}
	return p.n, errno
}

// Write implements vfs.FileOps: sendmsg(2) without anything else.
func (s *Socket) Write(c *vfs.Caller, _ *vfs.File, src *usermem.Seq, _ int64) (int, int64, linux.Errno) {
	peer := s.peer.Load()
	if peer == nil {
		if s.shut.Load()&shutWrite != 0 {
			return 0, 0, linux.EPIPE
		}
		return 0, 0, s.noPeer()
	}
	from, errno := s.stampOf(c, nil, peer)
	if errno != 0 {
		return 0, 0, errno
	}
	if s.typ == linux.SOCK_STREAM {
		n, errno := s.sendStream(src, nil, from)
		return n, 0, errno
	}
	n, errno := s.sendDgram(c, peer, src, nil, from)
	return n, 0, errno
}

// SendMsg implements sock.Socket.
func (s *Socket) SendMsg(c *vfs.Caller, f *vfs.File, m *sock.Message, flags uint32) (int, linux.Errno) {
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	if s.typ != linux.SOCK_STREAM {
		return s.sendDgramMsg(c, f, m, flags)
	}
	peer := s.peer.Load()
	if m.Addr != nil {
		if peer != nil {
			return 0, linux.EISCONN
		}
		return 0, linux.EOPNOTSUPP
	}
	if peer == nil {
		if s.shut.Load()&shutWrite != 0 {
			return 0, linux.EPIPE
		}
		return 0, s.noPeer()
	}
	from, errno := s.stampOf(c, m.Creds, peer)
	if errno != 0 {
		return 0, errno
	}
	files, errno := sendFiles(c, m.Files)
	if errno != 0 {
		return 0, errno
	}
	done := 0
	for {
		n, errno := s.sendStream(m.Data, files, from)
		done += n
		if n > 0 {
			files = nil
		}
		if errno == 0 && m.Data.Len() == 0 {
			dropFiles(files) // of an empty message
			return done, 0
		}
		if errno == linux.EAGAIN {
			errno = s.sleep(c, f, &s.queue, flags, s.WriteTimeout(), func() bool {
				return s.writable() || s.shut.Load()&shutWrite != 0
			})
		}
		if errno != 0 {
			dropFiles(files)
			if done > 0 && errno != linux.EPIPE {
				return done, 0
			}
			return done, errno // EPIPE raises SIGPIPE even after a part was sent
		}
	}
}

// RecvMsg implements sock.Socket.
func (s *Socket) RecvMsg(c *vfs.Caller, f *vfs.File, m *sock.Message, flags uint32) (int, linux.Errno) {
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	if flags&linux.MSG_ERRQUEUE != 0 {
		return 0, linux.EAGAIN
	}
	if s.typ != linux.SOCK_STREAM {
		return s.recvDgramMsg(c, f, m, flags)
	}
	peek, all := flags&linux.MSG_PEEK != 0, flags&linux.MSG_WAITALL != 0
	if m.Data.Len() == 0 {
		return 0, 0
	}
	done := 0
	for {
		skip := 0
		if peek {
			skip = done
		}
		p, errno := s.recvStream(m.Data, peek, skip)
		if p.n > 0 {
			if done == 0 {
				s.describe(c, m, p.from)
			}
			done += p.n
			m.Files = append(m.Files, p.files...)
		}
		if errno == 0 && (p.stop || !all || m.Data.Len() == 0) {
			return done, 0
		}
		if errno == linux.EAGAIN && (done == 0 || all) {
			errno = s.sleep(c, f, &s.queue, flags, s.ReadTimeout(), func() bool { return s.readable(skip + p.n) })
		}
		if errno != 0 {
			if done > 0 {
				return done, 0
			}
			return 0, errno
		}
	}
}

// readable says whether there is more than skip bytes, or the end.
func (s *Socket) readable(skip int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.Len() > skip || s.err != 0 || s.shut.Load()&shutRead != 0 || s.state != connected
}

// describe fills in what a stream's message shows beside data and files.
func (s *Socket) describe(c *vfs.Caller, m *sock.Message, from stamp) {
	if peer := s.peer.Load(); peer != nil {
		if a := peer.name(); len(a) > familySize {
			m.Addr = a
		}
	}
	if s.opts.passcred.Load() {
		m.Creds = seenBy(c.Creds, from.ucred)
	}
}
