// Package fstest has what tests of the objects behind descriptors need of a task: a caller that can sleep and be
// interrupted, and guest memory with a hole.
package fstest

import (
	"encoding/binary"
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Blocker sleeps on a channel, as a task would.
type Blocker struct {
	Interrupts chan struct{} // a value ends one sleep with ERESTARTSYS
	Sleeping   chan struct{} // gets a value (if there is room) whenever a sleep begins
}

// NewBlocker returns a Blocker that nobody has interrupted.
func NewBlocker() *Blocker {
	return &Blocker{Interrupts: make(chan struct{}, 1), Sleeping: make(chan struct{}, 100)}
}

type waker chan struct{}

func (w waker) Wake(*wait.Entry, wait.Events) {
	select {
	case w <- struct{}{}:
	default:
	}
}

// Block implements wait.Blocker.
func (b *Blocker) Block(q *wait.Queue, mask wait.Events, deadline wait.Deadline, ready func() bool) linux.Errno {
	w := make(waker, 1)
	e := wait.Entry{Waker: w, Mask: mask}
	q.Add(&e)
	defer q.Remove(&e)
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		timeout = time.After(time.Until(deadline))
	}
	for !ready() {
		select {
		case b.Sleeping <- struct{}{}:
		default:
		}
		select {
		case <-w:
		case <-timeout:
			return linux.ETIMEDOUT
		case <-b.Interrupts:
			return linux.ERESTARTSYS
		}
	}
	return 0
}

// Caller is root, with a Blocker.
func Caller() *vfs.Caller {
	return &vfs.Caller{Creds: cred.Root(&cred.UserNS{}), PID: 1, Blocker: NewBlocker()}
}

// User is an ordinary user, with a Blocker.
func User(uid uint32) *vfs.Caller {
	c := Caller()
	c.Creds = &cred.Credentials{RUID: uid, EUID: uid, SUID: uid, FSUID: uid, RGID: uid, EGID: uid, SGID: uid, FSGID: uid,
		UserNS: c.Creds.UserNS}
	return c
}

// Memory is guest memory from address Base on; all else faults.
type Memory []byte

// Base is the address of a Memory's first byte.
const Base = 0x1000

func (m Memory) at(addr uint64, n int) []byte {
	if addr < Base || addr-Base >= uint64(len(m)) {
		return nil
	}
	b := m[addr-Base:]
	return b[:min(n, len(b))]
}

// CopyIn implements usermem.Memory.
func (m Memory) CopyIn(dst []byte, addr uint64) (int, linux.Errno) {
	n := copy(dst, m.at(addr, len(dst)))
	if n < len(dst) {
		return n, linux.EFAULT
	}
	return n, 0
}

// CopyOut implements usermem.Memory.
func (m Memory) CopyOut(addr uint64, src []byte) (int, linux.Errno) {
	n := copy(m.at(addr, len(src)), src)
	if n < len(src) {
		return n, linux.EFAULT
	}
	return n, 0
}

// Pin implements usermem.Memory.
func (m Memory) Pin(p *usermem.Pinned, addr, length uint64, _ bool) linux.Errno {
	b := m.at(addr, int(length))
	if len(b) == 0 {
		return linux.EFAULT
	}
	p.Arr[0] = b
	p.Blocks = p.Arr[:1]
	return 0
}

// Read reads up to n bytes from a file without an offset.
func Read(c *vfs.Caller, f *vfs.File, n int) (string, linux.Errno) {
	b := make([]byte, n)
	seq := usermem.Kernel(b)
	k, errno := f.Ops.Read(c, f, &seq, -1)
	return string(b[:k]), errno
}

// Write writes to a file without an offset.
func Write(c *vfs.Caller, f *vfs.File, s string) (int, linux.Errno) {
	seq := usermem.Kernel([]byte(s))
	n, _, errno := f.Ops.Write(c, f, &seq, -1)
	return n, errno
}

// BlockingRead reads as the syscall layer does for a blocking file.
func BlockingRead(c *vfs.Caller, f *vfs.File, n int) (got string, errno linux.Errno) {
	got, errno = Read(c, f, n)
	if errno != linux.EAGAIN {
		return got, errno
	}
	blocked := WaitFor(c, f.Ops, wait.Readable, func() bool {
		got, errno = Read(c, f, n)
		return errno != linux.EAGAIN
	})
	if blocked != 0 {
		return "", blocked
	}
	return got, errno
}

// BlockingWrite writes all of s as the syscall layer does for a blocking file.
func BlockingWrite(c *vfs.Caller, f *vfs.File, s string) (done int, errno linux.Errno) {
	blocked := WaitFor(c, f.Ops, wait.Writable, func() bool {
		for done < len(s) {
			var n int
			n, errno = Write(c, f, s[done:])
			done += n
			if errno != 0 {
				return errno != linux.EAGAIN
			}
		}
		return true
	})
	if blocked != 0 {
		errno = blocked
	}
	return done, errno
}

// forwarder passes the events of a file on to a queue.
type forwarder struct {
	q wait.Queue
	e wait.Entry
}

func (w *forwarder) Wake(_ *wait.Entry, ev wait.Events) { w.q.Notify(ev) }

// WaitFor sleeps until try returns true, trying again at each event of w.
func WaitFor(c *vfs.Caller, w wait.Waitable, mask wait.Events, try func() bool) linux.Errno {
	fw := &forwarder{}
	fw.e = wait.Entry{Waker: fw, Mask: mask | wait.Err | wait.Hup}
	w.EventRegister(&fw.e)
	defer w.EventUnregister(&fw.e)
	return c.Blocker.Block(&fw.q, wait.All, wait.Deadline{}, try)
}

// Ioctl passes arg by reference as an int and returns what came back in it.
func Ioctl(c *vfs.Caller, f *vfs.File, cmd uint32, arg int32) (int32, linux.Errno) {
	m := make(Memory, 4)
	binary.LittleEndian.PutUint32(m, uint32(arg))
	_, errno := f.Ops.Ioctl(c, f, m, cmd, Base)
	return int32(binary.LittleEndian.Uint32(m)), errno
}

// Events counts the wake-ups of an entry on a file.
type Events struct {
	Entry wait.Entry
	C     chan wait.Events
}

// Watch registers an entry on w.
func Watch(w wait.Waitable, mask wait.Events) *Events {
	e := &Events{C: make(chan wait.Events, 1000)}
	e.Entry = wait.Entry{Waker: e, Mask: mask}
	w.EventRegister(&e.Entry)
	return e
}

// Wake implements wait.Waker.
func (e *Events) Wake(_ *wait.Entry, ev wait.Events) { e.C <- ev }
