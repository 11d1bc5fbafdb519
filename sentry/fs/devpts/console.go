package devpts

import (
	"io"
	"sync/atomic"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Console is a terminal whose master side is the sentry's: the bridge to the user's host terminal, which the command
// line has put into raw mode. Read gives what the guest shows, Write is what the user types; two goroutines copy.
// The guest opens its slave as /dev/pts/N (Index) or /dev/console.
type Console struct {
	t      *TTY
	output chan struct{} // a token for Read
	room   chan struct{} // a token for Write
	entry  wait.Entry
	closed atomic.Bool
}

// console is what /dev/console opens.
var console atomic.Pointer[TTY]

// NewConsole makes a terminal in the devpts sb, owned by uid and gid. The first one is /dev/console.
func NewConsole(sb *vfs.Superblock, uid, gid uint32) (*Console, linux.Errno) {
	inst := instanceOf(sb)
	if inst == nil {
		return nil, linux.EINVAL
	}
	t, errno := inst.add(uid, gid)
	if errno != 0 {
		return nil, errno
	}
	t.masters, t.locked = 1, false
	c := &Console{t: t, output: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	c.entry = wait.Entry{Waker: c, Mask: wait.All}
	t.masterQ.Add(&c.entry)
	console.CompareAndSwap(nil, t)
	return c, 0
}

// Wake implements wait.Waker.
func (c *Console) Wake(*wait.Entry, wait.Events) {
	for _, ch := range [2]chan struct{}{c.output, c.room} {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// TTY is the terminal.
func (c *Console) TTY() *TTY { return c.t }

// Index is N of /dev/pts/N.
func (c *Console) Index() int { return c.t.index }

// Open opens the slave for a guest process, without a walk through its file system.
func (c *Console) Open(caller *vfs.Caller, flags uint32) (*vfs.File, linux.Errno) {
	return c.t.inst.openPeer(caller, c.t, flags)
}

// Read waits for output and returns some of it. io.EOF after Hangup, and when the guest has opened and closed the
// terminal and all its output has been read.
func (c *Console) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		seq := usermem.Kernel(b)
		c.t.mu.Lock()
		n, errno := c.t.readMaster(&seq)
		c.t.mu.Unlock()
		if n > 0 {
			c.t.slaveQ.Notify(wait.Writable)
			return n, nil
		}
		if errno != linux.EAGAIN || c.closed.Load() {
			return 0, io.EOF
		}
		<-c.output
	}
}

// Write types b. It waits while the guest has much unread input; io.ErrClosedPipe after Hangup.
func (c *Console) Write(b []byte) (int, error) {
	done := 0
	for len(b) > 0 {
		if c.closed.Load() {
			return done, io.ErrClosedPipe
		}
		n := c.Feed(b)
		done += n
		if b = b[n:]; len(b) > 0 {
			<-c.room
		}
	}
	return done, nil
}

// Feed types as much of b as there is room for, at once.
func (c *Console) Feed(b []byte) int {
	c.t.mu.Lock()
	room := pendingMax - len(c.t.in.pending)
	c.t.mu.Unlock()
	b = b[:max(min(len(b), room), 0)]
	c.t.feed(b)
	return len(b)
}

// SetWinsize follows the host terminal's size: SIGWINCH for the foreground process group.
func (c *Console) SetWinsize(w linux.Winsize) { c.t.SetWinsize(w) }

// Hangup tells the guest that the host terminal is gone: SIGHUP, end of file.
func (c *Console) Hangup() {
	if c.closed.Swap(true) {
		return
	}
	console.CompareAndSwap(c.t, nil)
	c.t.closeMaster()
	c.Wake(nil, 0)
}

// openConsole opens /dev/console: never the controlling terminal by that alone.
func openConsole(c *vfs.Caller, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	t := console.Load()
	if t == nil {
		return nil, linux.ENODEV
	}
	return t.openSlave(c, flags|linux.O_NOCTTY)
}
