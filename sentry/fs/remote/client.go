package remote

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/linux"
)

// Client is the sentry's end of a connection to a gofer. Several superblocks can share one.
//
// A channel (a socket) carries one request at a time: the goroutine that asks sends and then sleeps in the
// host's recvmsg(2) itself, so that the answer wakes it without another hop. After a breach of the protocol
// the whole connection is dead and everything fails with EIO.
type Client struct {
	free chan *channel
	dead atomic.Bool
	fds  fdCache

	mu       sync.Mutex // a leaf, guards the fields below
	channels []*channel
	unused   []uint64 // handles to give back with the next request
}

// channel is one socket with its buffers; whoever took it from Client.free owns it.
type channel struct {
	fd      int32
	in, out []byte
}

const (
	wantChannels = 4 // requests in flight
	closeBatch   = 64
)

// Dial makes a client of the SOCK_SEQPACKET socket fd, which it owns from now on. maxFDs bounds how many
// descriptors of files are kept for files that nobody has open; 0 means 1024.
func Dial(fd int32, maxFDs int) (*Client, error) {
	if maxFDs <= 0 {
		maxFDs = 1024
	}
	cl := &Client{free: make(chan *channel, wantChannels)}
	cl.fds.max = maxFDs
	cl.addChannel(fd)
	for len(cl.channels) < wantChannels {
		var more int32
		errno := cl.call(&proto.Channel{}, &proto.Done{}, &more)
		if cl.dead.Load() {
			cl.Close()
			return nil, linux.EIO
		}
		if errno != 0 || more < 0 {
			break // fewer are slower, not wrong
		}
		cl.addChannel(more)
	}
	return cl, nil
}

func (cl *Client) addChannel(fd int32) {
	ch := &channel{fd: fd, in: make([]byte, proto.MaxFrame)}
	cl.mu.Lock()
	cl.channels = append(cl.channels, ch)
	cl.mu.Unlock()
	cl.free <- ch
}

// Close ends the connection. Nothing may be asked afterwards; open descriptors of files stay usable.
func (cl *Client) Close() {
	cl.dead.Store(true)
	cl.mu.Lock()
	all := cl.channels
	cl.channels = nil
	cl.mu.Unlock()
	for _, ch := range all {
		sys.Shutdown(ch.fd, unix.SHUT_RDWR) // whoever waits for an answer wakes with the end of the stream
	}
	for range all {
		sys.Close((<-cl.free).fd) // not before its owner is done: the number may be reused at once
	}
}

// forget gives a handle back some time.
func (cl *Client) forget(handle uint64) {
	if handle == 0 {
		return
	}
	cl.mu.Lock()
	if len(cl.unused) < proto.MaxHandles*64 { // a dead gofer takes none
		cl.unused = append(cl.unused, handle)
	}
	cl.mu.Unlock()
}

// takeUnused returns handles to close if enough have come together.
func (cl *Client) takeUnused() []uint64 {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if len(cl.unused) < closeBatch {
		return nil
	}
	n := min(len(cl.unused), proto.MaxHandles)
	batch := cl.unused[len(cl.unused)-n:]
	cl.unused = cl.unused[:len(cl.unused)-n]
	return append([]uint64(nil), batch...)
}

// call sends req and waits for its answer in resp. A donated descriptor is stored in fd, which is -1 if there
// is none; a nil fd means that none may come.
func (cl *Client) call(req proto.Request, resp proto.Response, fd *int32) linux.Errno {
	if fd != nil {
		*fd = -1
	}
	if cl.dead.Load() {
		return linux.EIO
	}
	ch := <-cl.free
	defer func() { cl.free <- ch }()
	if h := cl.takeUnused(); h != nil {
		if errno := ch.send(&proto.Close{Handles: h}); errno != 0 {
			return cl.broken()
		}
	}
	return cl.callOn(ch, req, resp, fd)
}

// callOn is call on a channel that the caller owns.
func (cl *Client) callOn(ch *channel, req proto.Request, resp proto.Response, fd *int32) linux.Errno {
	if errno := ch.send(req); errno != 0 {
		if errno == linux.ENAMETOOLONG {
			return errno
		}
		return cl.broken()
	}
	var got [1]int32
	n, nfd, flags, errno := sys.Recvmsg(ch.fd, ch.in, got[:], 0)
	if errno != 0 || n == 0 {
		closeFDs(got[:nfd])
		return cl.broken()
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || nfd == 1 && fd == nil {
		closeFDs(got[:nfd])
		return cl.broken()
	}
	answer, err := proto.DecodeResponse(ch.in[:n], req.Op(), resp)
	if err != nil || answer != 0 && nfd != 0 {
		closeFDs(got[:nfd])
		return cl.broken()
	}
	if nfd == 1 {
		*fd = got[0]
	}
	return hostErrno(answer)
}

func closeFDs(fds []int32) {
	for _, fd := range fds {
		sys.Close(fd)
	}
}

// closeFD closes a descriptor if there is one.
func closeFD(fd int32) {
	if fd >= 0 {
		sys.Close(fd)
	}
}

// broken marks the connection as dead.
func (cl *Client) broken() linux.Errno {
	cl.dead.Store(true)
	return linux.EIO
}

func (ch *channel) send(req proto.Request) linux.Errno {
	var err error
	if ch.out, err = proto.EncodeRequest(ch.out[:0], req); err != nil {
		return linux.ENAMETOOLONG // a name or a list that the protocol does not carry
	}
	_, errno := sys.Sendmsg(ch.fd, [][]byte{ch.out}, nil, 0)
	return errno
}

// hostErrno keeps errors that would mean something else to a guest's system call from coming through.
func hostErrno(e linux.Errno) linux.Errno {
	switch e {
	case linux.EBADF, linux.EINTR, linux.EAGAIN, linux.EFAULT, linux.ENOSYS, linux.EMFILE:
		return linux.EIO
	}
	return e
}
