package devpts

import (
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/signal"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// slave is an open terminal.
type slave struct {
	vfs.DefaultFile
	t     *TTY
	hangs int // t.hangs at the open
}

// gone says that the line was cut since the open: reads return 0, all else EIO. t.mu is held.
func (s *slave) gone() bool { return s.t.hungUp || s.hangs != s.t.hangs }

// openSlave is open(2) of the terminal: it may become the caller's controlling terminal.
func (t *TTY) openSlave(c *vfs.Caller, flags uint32) (vfs.FileOps, linux.Errno) {
	t.mu.Lock()
	switch {
	case t.masters == 0 || t.hungUp || t.locked:
		t.mu.Unlock()
		return nil, linux.EIO
	case t.exclusive && !c.Creds.HasCap(linux.CAP_SYS_ADMIN):
		t.mu.Unlock()
		return nil, linux.EBUSY
	}
	t.slaves++
	t.slaveOpened = true
	s := &slave{t: t, hangs: t.hangs}
	t.mu.Unlock()
	if job, ok := c.Task.(signal.JobControl); ok && flags&linux.O_NOCTTY == 0 && flags&linux.O_ACCMODE != linux.O_WRONLY {
		job.SetControllingTerminal(t, false, true)
	}
	return s, 0
}

// Release closes the slave; after the last one the master sees the end.
func (s *slave) Release(*vfs.File) {
	t := s.t
	t.mu.Lock()
	t.slaves--
	t.unlock()
}

// readWait is what a read in raw mode waits for.
type readWait struct {
	least   int           // bytes before it returns
	first   time.Duration // longest wait for the first byte; -1: for ever
	between time.Duration // and between bytes; 0: for ever
}

func (t *TTY) readWait(want int) readWait {
	if t.lflag(linux.ICANON) {
		return readWait{least: 1, first: -1}
	}
	vmin, tenths := int(t.termios.CC[linux.VMIN]), time.Duration(t.termios.CC[linux.VTIME])*100*time.Millisecond
	if vmin == 0 {
		return readWait{least: 1, first: tenths}
	}
	return readWait{least: min(vmin, want), first: -1, between: tenths}
}

// Read is n_tty_read.
func (s *slave) Read(c *vfs.Caller, f *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	t := s.t
	if job, ok := c.Task.(signal.JobControl); ok {
		if errno := job.MayRead(t); errno != 0 {
			return 0, errno
		}
	}
	want := dst.Len()
	if want == 0 {
		return 0, 0
	}
	nonblock := f.Flags()&linux.O_NONBLOCK != 0 || c.Blocker == nil
	done := 0
	var timeout time.Duration
	t.mu.Lock()
	w := t.readWait(want)
	timeout = w.first
	for {
		if !s.gone() && t.available(1) {
			n, eol, errno := t.take(dst)
			done += n
			if errno != 0 {
				t.unlock()
				return someOr(done, errno)
			}
			if eol || done >= w.least || done == want {
				t.process()
				t.unlock()
				return done, 0
			}
			if w.between > 0 {
				timeout = w.between
			}
			continue
		}
		var errno linux.Errno
		switch {
		case s.gone(), timeout == 0:
			t.mu.Unlock()
			return done, 0
		case nonblock:
			errno = linux.EAGAIN
			t.mu.Unlock()
		default:
			t.unlock() // the master may write on
			errno = s.await(c, timeout)
			if errno == linux.ETIMEDOUT {
				return done, 0
			}
		}
		if errno != 0 {
			return someOr(done, errno)
		}
		t.mu.Lock()
	}
}

func someOr(done int, errno linux.Errno) (int, linux.Errno) {
	if done > 0 {
		return done, 0
	}
	return 0, errno
}

// await sleeps until there is something for the slave; timeout -1 is for ever.
func (s *slave) await(c *vfs.Caller, timeout time.Duration) linux.Errno {
	t := s.t
	var deadline wait.Deadline
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	return c.Blocker.Block(&t.slaveQ, wait.All, deadline, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.available(1) || s.gone()
	})
}

// available says whether a read has something to give; in raw mode, least bytes.
func (t *TTY) available(least int) bool {
	if t.lflag(linux.ICANON) && !t.lflag(linux.EXTPROC) {
		return len(t.in.lines) > 0
	}
	return len(t.in.buf) >= max(least, 1)
}

// take gives the reader a line, or a part of one, or raw bytes. eol says that a line has ended.
func (t *TTY) take(dst *usermem.Seq) (n int, eol bool, errno linux.Errno) {
	in := &t.in
	if !t.lflag(linux.ICANON) || t.lflag(linux.EXTPROC) {
		n, errno = dst.CopyOut(in.buf[:min(len(in.buf), dst.Len())])
		in.drop(n)
		in.lines, in.ready = nil, 0
		return n, false, errno
	}
	first := &in.lines[0]
	n, errno = dst.CopyOut(in.buf[:min(first.n, dst.Len())])
	in.drop(n)
	in.ready -= n
	first.n -= n
	if first.n == 0 {
		in.lines = in.lines[1:]
	}
	return n, true, errno // a read ends with the line, or with its buffer
}

func (in *input) drop(n int) { in.buf = append(in.buf[:0], in.buf[n:]...) }

// Write is tty_write: everything, unless a signal comes or the file does not block.
func (s *slave) Write(c *vfs.Caller, f *vfs.File, src *usermem.Seq, _ int64) (int, int64, linux.Errno) {
	t := s.t
	if job, ok := c.Task.(signal.JobControl); ok && t.tostop() {
		if errno := job.MayWrite(t); errno != 0 {
			return 0, 0, errno
		}
	}
	nonblock := f.Flags()&linux.O_NONBLOCK != 0 || c.Blocker == nil
	var chunk [512]byte
	done := 0
	for src.Len() > 0 {
		b := chunk[:min(len(chunk), src.Len())]
		if n, errno := src.CopyIn(b); errno != 0 || n < len(b) {
			return done, 0, orFault(done, errno)
		}
		for len(b) > 0 {
			t.mu.Lock()
			if s.gone() {
				t.mu.Unlock()
				return done, 0, orErr(done, linux.EIO)
			}
			n := t.writeOut(b)
			t.mu.Unlock()
			if n > 0 {
				t.masterQ.Notify(wait.All)
			}
			done += n
			if b = b[n:]; len(b) == 0 {
				break
			}
			if nonblock {
				return done, 0, orErr(done, linux.EAGAIN)
			}
			if errno := c.Blocker.Block(&t.slaveQ, wait.All, wait.Deadline{}, s.outputReady); errno != 0 {
				return done, 0, errno
			}
		}
	}
	return done, 0, 0
}

func orErr(done int, errno linux.Errno) linux.Errno {
	if done > 0 {
		return 0
	}
	return errno
}

func orFault(done int, errno linux.Errno) linux.Errno {
	if errno == 0 {
		errno = linux.EFAULT
	}
	return orErr(done, errno)
}

func (t *TTY) tostop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lflag(linux.TOSTOP)
}

// outputReady says whether the slave may write.
func (s *slave) outputReady() bool {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return s.gone() || s.t.outputRoom()
}

func (t *TTY) outputRoom() bool { return !t.stopped && len(t.out.buf) < outputLow }

func (s *slave) Readiness(mask wait.Events) wait.Events {
	t := s.t
	t.mu.Lock()
	defer t.mu.Unlock()
	var ev wait.Events
	if s.gone() {
		ev = wait.Readable | wait.Writable | wait.Err | wait.Hup
		return ev & (mask | wait.Err | wait.Hup)
	}
	least := 1
	if t.termios.CC[linux.VTIME] == 0 {
		least = int(t.termios.CC[linux.VMIN])
	}
	if t.available(least) {
		ev |= wait.Readable
	}
	if t.outputRoom() {
		ev |= wait.Writable
	}
	return ev & mask
}

func (s *slave) EventRegister(e *wait.Entry)   { s.t.slaveQ.Add(e) }
func (s *slave) EventUnregister(e *wait.Entry) { s.t.slaveQ.Remove(e) }
