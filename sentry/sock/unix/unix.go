// Package unix is unix(7): AF_UNIX sockets of types stream, datagram and seqpacket.
//
// A stream socket receives into a ring of bytes, with marks where ancillary data is; the others receive messages. The
// sender puts data straight into the receiver's queue. Names are inodes (vfs.Inode.Bound) or abstract, in one table
// by network namespace.
//
// Departures from Linux: the sender's buffer of a stream counts bytes only, so that many tiny writes fit where
// Linux's overhead for each fills the buffer; what may be in flight is bounded for root too (ETOOMANYREFS). MSG_OOB is
// refused.
//
// Locks: Socket.mu. Nobody holds two, except that connect takes the client's inside the listener's. User memory is
// copied under it. The locks of the table of names and of what is in flight are leaves.
package unix

import (
	"sync/atomic"
	"time"

	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/ring"
	"hornwork/sentry/sock"
	"hornwork/sentry/vfs"
)

const (
	defaultBuf = 212992 // net.core.{w,r}mem_default and _max
	minSndBuf  = 4608
	minRcvBuf  = 2304
	maxBuf     = 2 * defaultBuf
	// maxDgramQueue is net.unix.max_dgram_qlen: more waiting datagrams of strangers than this block the sender.
	maxDgramQueue = 10
	somaxconn     = 4096
	// skbOverhead is what Linux counts for a datagram beside its bytes.
	skbOverhead = 768

	shutRead  = 1
	shutWrite = 2
	shutBoth  = 3
)

type state uint8

const (
	unconnected state = iota
	connecting        // a connect(2) is waiting for the listener
	listening
	connected
	closed
)

// Socket is one end.
type Socket struct {
	vfs.DefaultFile
	typ int32
	net any // network namespace, for abstract names

	mu      rank.Mutex[rank.UnixSocket] // guards the fields down to queue
	state   state
	addr    *name
	creds   *cred.Credentials // of the peer, for SO_PEERGROUPS
	peerUC  linux.Ucred       // SO_PEERCRED, in kernel IDs
	own     identity          // of the one who called listen(2): what clients see
	err     linux.Errno       // SO_ERROR
	backlog []*Socket         // accept(2) takes from the front
	maxLog  int
	ring    ring.Ring // stream: received bytes
	marks   []mark
	msgs    []*message           // others: received datagrams
	waiting map[*Socket]struct{} // datagram senders that found the queue full

	peer     atomic.Pointer[Socket]
	shut     atomic.Uint32 // shutRead, shutWrite
	inflight atomic.Int64  // what this socket has sent as datagrams and nobody has received yet
	opts     options

	queue wait.Queue // poll, and sleepers in the calls of this socket
	room  wait.Queue // connect(2) to this listener
}

// identity is who a process is.
type identity struct {
	creds *cred.Credentials
	ucred linux.Ucred
}

func identify(c *vfs.Caller) identity {
	return identity{c.Creds, linux.Ucred{PID: c.PID, UID: c.Creds.EUID, GID: c.Creds.EGID}}
}

// nobody is what SO_PEERCRED shows without a peer, and SCM_CREDENTIALS of a message that was sent without.
var nobody = linux.Ucred{UID: 0xffffffff, GID: 0xffffffff}

type family struct{}

func init() { sock.Register(linux.AF_UNIX, family{}) }

// New implements sock.Family.
func (family) New(_ *vfs.Caller, net any, typ, protocol int32) (sock.Socket, linux.Errno) {
	if protocol != 0 && protocol != linux.PF_UNIX {
		return nil, linux.EPROTONOSUPPORT
	}
	switch typ {
	case linux.SOCK_STREAM, linux.SOCK_DGRAM, linux.SOCK_SEQPACKET:
	case linux.SOCK_RAW: // as BSD and Linux
		typ = linux.SOCK_DGRAM
	default:
		return nil, linux.ESOCKTNOSUPPORT
	}
	return newSocket(net, typ), 0
}

func newSocket(net any, typ int32) *Socket {
	s := &Socket{typ: typ, net: net, peerUC: nobody}
	s.opts.sndbuf.Store(defaultBuf)
	s.opts.rcvbuf.Store(defaultBuf)
	s.opts.rcvlowat.Store(1)
	return s
}

// Pair implements sock.Family.
func (family) Pair(c *vfs.Caller, x, y sock.Socket) linux.Errno {
	a, b := x.(*Socket), y.(*Socket)
	me := identify(c)
	for _, s := range [2]*Socket{a, b} {
		s.peerUC, s.creds = me.ucred, me.creds
		s.state = connected
	}
	a.peer.Store(b)
	b.peer.Store(a)
	return 0
}

// oriented says whether the socket is connection-oriented (stream or seqpacket).
func (s *Socket) oriented() bool { return s.typ != linux.SOCK_DGRAM }

func (s *Socket) fail(errno linux.Errno) {
	s.mu.Lock()
	s.err = errno
	s.mu.Unlock()
}

// takeErrLocked returns and clears what SO_ERROR shows.
func (s *Socket) takeErrLocked() linux.Errno {
	errno := s.err
	s.err = 0
	return errno
}

// sleep waits on the socket's queue for ready, or for timeout (0: none); EAGAIN when it must not or may no longer.
func (s *Socket) sleep(c *vfs.Caller, f *vfs.File, q *wait.Queue, flags uint32, timeout time.Duration, ready func() bool) linux.Errno {
	if c.Blocker == nil || flags&linux.MSG_DONTWAIT != 0 || f.Flags()&linux.O_NONBLOCK != 0 {
		return linux.EAGAIN
	}
	var deadline wait.Deadline
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	errno := c.Blocker.Block(q, wait.All, deadline, ready)
	if errno == linux.ETIMEDOUT {
		return linux.EAGAIN
	}
	if errno == linux.ERESTARTSYS && timeout > 0 {
		return linux.EINTR // a call with a timeout is not restarted, as on Linux
	}
	return errno
}

// Readiness is unix_poll and unix_dgram_poll.
func (s *Socket) Readiness(mask wait.Events) wait.Events {
	var ev wait.Events
	shut := s.shut.Load()
	s.mu.Lock()
	if s.err != 0 {
		ev |= wait.Err
	}
	if s.ring.Len() > 0 || len(s.msgs) > 0 || len(s.backlog) > 0 {
		ev |= wait.Readable
	}
	st := s.state
	s.mu.Unlock()
	if shut == shutBoth {
		ev |= wait.Hup
	}
	if shut&shutRead != 0 {
		ev |= wait.RdHup | wait.Readable
	}
	if s.oriented() && (st == unconnected || st == connecting) {
		ev |= wait.Hup
	}
	if mask&(wait.Writable|linux.POLLWRBAND) != 0 && st != listening && s.writable() {
		ev |= wait.Writable | linux.POLLWRBAND
	}
	return ev & (mask | wait.Err | wait.Hup)
}

func (s *Socket) EventRegister(e *wait.Entry)   { s.queue.Add(e) }
func (s *Socket) EventUnregister(e *wait.Entry) { s.queue.Remove(e) }

// writable says whether poll(2) shows room: at most a quarter of the buffer is used, and a datagram's receiver has
// room in its queue.
func (s *Socket) writable() bool {
	peer := s.peer.Load()
	if s.typ == linux.SOCK_STREAM {
		return peer == nil || peer.received()*4 <= int(s.opts.sndbuf.Load())
	}
	if s.inflight.Load()*4 > int64(s.opts.sndbuf.Load()) {
		return false
	}
	return peer == nil || peer.peer.Load() == s || !peer.queueFull(s)
}

// received is how many bytes of a stream wait in the socket.
func (s *Socket) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.Len()
}

// queueFull says whether a datagram of sender must wait; then sender will hear of room.
func (s *Socket) queueFull(sender *Socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queueFullLocked(sender)
}

func (s *Socket) queueFullLocked(sender *Socket) bool {
	if len(s.msgs) <= maxDgramQueue {
		return false
	}
	if s.waiting == nil {
		s.waiting = map[*Socket]struct{}{}
	}
	s.waiting[sender] = struct{}{}
	return true
}

// Shutdown is shutdown(2). The other end of a connection is shut the other way round.
func (s *Socket) Shutdown(_ *vfs.Caller, _ *vfs.File, how int32) linux.Errno {
	if how < linux.SHUT_RD || how > linux.SHUT_RDWR {
		return linux.EINVAL
	}
	mode := uint32(how) + 1
	s.shut.Or(mode)
	s.queue.Notify(wait.All)
	s.room.Notify(wait.All)
	if peer := s.peer.Load(); peer != nil && s.oriented() {
		peer.shut.Or(mode&shutRead<<1 | mode&shutWrite>>1)
		peer.queue.Notify(wait.All)
	}
	return 0
}

// Release closes the socket: its name goes, its peer sees the end, and ECONNRESET if data was left unread.
func (s *Socket) Release(*vfs.File) {
	s.forget()
	s.close(false)
	collectSoon()
}

// close ends s; embryo says that it was in a listener's backlog.
func (s *Socket) close(embryo bool) {
	s.mu.Lock()
	wasOriented := s.oriented() && s.state == connected
	unread := embryo || s.ring.Len() > 0 || len(s.msgs) > 0
	backlog, msgs, marks, waiting, addr := s.backlog, s.msgs, s.marks, s.waiting, s.addr
	s.backlog, s.msgs, s.marks, s.waiting, s.addr = nil, nil, nil, nil, nil
	s.state = closed
	s.ring.Reset()
	s.mu.Unlock()

	s.shut.Store(shutBoth)
	if addr != nil {
		addr.unbind(s)
	}
	if peer := s.peer.Swap(nil); peer != nil && wasOriented {
		peer.shut.Store(shutBoth)
		if unread {
			peer.fail(linux.ECONNRESET)
		}
		peer.queue.Notify(wait.All)
	}
	for _, b := range backlog {
		b.close(true)
	}
	for i := range marks {
		dropFiles(marks[i].files)
	}
	for _, m := range msgs {
		m.drop()
	}
	for w := range waiting {
		w.queue.Notify(wait.All)
	}
	s.queue.Notify(wait.All)
	s.room.Notify(wait.All)
}
