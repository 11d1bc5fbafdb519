package devpts

import (
	"bytes"
	"encoding/binary"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/signal"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

const (
	termiosSize  = 36
	termios2Size = 44
	termioSize   = 18
	termioNCC    = 8
)

// Ioctl of the slave.
func (s *slave) Ioctl(c *vfs.Caller, _ *vfs.File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	t := s.t
	t.mu.Lock()
	gone := s.gone()
	t.mu.Unlock()
	if gone {
		if cmd == linux.TIOCSPGRP {
			return 0, linux.ENOTTY
		}
		return 0, linux.EIO
	}
	return 0, t.ioctl(c, mem, cmd, arg, false)
}

// Ioctl of the master: what only it knows, and else what it does to the slave.
func (m *master) Ioctl(c *vfs.Caller, _ *vfs.File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	t := m.t
	switch cmd {
	case linux.TIOCGPTN:
		return 0, anon.StoreInt(mem, arg, int32(t.index))
	case linux.TIOCSPTLCK:
		v, errno := anon.LoadInt(mem, arg)
		if errno == 0 {
			t.set(func() { t.locked = v != 0 })
		}
		return 0, errno
	case linux.TIOCGPTLCK:
		return 0, t.storeBool(mem, arg, &t.locked)
	case linux.TIOCPKT:
		v, errno := anon.LoadInt(mem, arg)
		if errno == 0 {
			t.set(func() {
				if v != 0 && !t.packet {
					t.packetBits = 0
				}
				t.packet = v != 0
			})
		}
		return 0, errno
	case linux.TIOCGPKT:
		return 0, t.storeBool(mem, arg, &t.packet)
	case linux.TIOCSIG:
		if arg < 1 || arg > linux.NSIG {
			return 0, linux.EINVAL
		}
		t.mu.Lock()
		t.sigs = append(t.sigs, int32(arg))
		t.unlock()
		return 0, 0
	case linux.FIONREAD:
		t.mu.Lock()
		n := len(t.out.buf)
		t.mu.Unlock()
		return 0, anon.StoreInt(mem, arg, int32(n))
	}
	return 0, t.ioctl(c, mem, cmd, arg, true)
}

// OpenPeer is ioctl(TIOCGPTPEER) of the master f: it opens the slave without a path. The descriptor is the syscall
// layer's to make. ENOTTY if f is no master.
func OpenPeer(c *vfs.Caller, f *vfs.File, flags uint32) (*vfs.File, linux.Errno) {
	m, ok := f.Ops.(*master)
	if !ok {
		return nil, linux.ENOTTY
	}
	return m.t.inst.openPeer(c, m.t, flags)
}

func (t *TTY) set(f func()) {
	t.mu.Lock()
	f()
	t.unlock()
}

func (t *TTY) storeBool(mem usermem.Memory, arg uint64, b *bool) linux.Errno {
	v := int32(0)
	t.mu.Lock()
	if *b {
		v = 1
	}
	t.mu.Unlock()
	return anon.StoreInt(mem, arg, v)
}

// mayChange is tty_check_change: a background process that changes the terminal gets SIGTTOU.
func (t *TTY) mayChange(c *vfs.Caller, fromMaster bool) linux.Errno {
	if job, ok := c.Task.(signal.JobControl); ok && !fromMaster {
		return job.MayWrite(t)
	}
	return 0
}

// ioctl is what both sides know.
func (t *TTY) ioctl(c *vfs.Caller, mem usermem.Memory, cmd uint32, arg uint64, master bool) linux.Errno {
	switch cmd {
	case linux.TCGETS, linux.TCGETS2, linux.TCGETA:
		return t.getTermios(mem, cmd, arg)
	case linux.TCSETS, linux.TCSETSW, linux.TCSETSF, linux.TCSETS2, linux.TCSETSW2, linux.TCSETSF2,
		linux.TCSETA, linux.TCSETAW, linux.TCSETAF:
		return t.changeTermios(c, mem, cmd, arg, master)
	case linux.TCFLSH, linux.TCXONC, linux.TCSBRK, linux.TCSBRKP:
		if errno := t.mayChange(c, master); errno != 0 {
			return errno
		}
		return t.control(c, cmd, arg)
	case linux.TIOCGWINSZ:
		t.mu.Lock()
		w := t.winsize
		t.mu.Unlock()
		return store(mem, arg, &w)
	case linux.TIOCSWINSZ:
		var w linux.Winsize
		if errno := load(mem, arg, &w); errno != 0 {
			return errno
		}
		t.SetWinsize(w)
		return 0
	case linux.FIONREAD:
		t.mu.Lock()
		n := len(t.in.buf)
		if t.lflag(linux.ICANON) {
			n = t.in.ready
		}
		t.mu.Unlock()
		return anon.StoreInt(mem, arg, int32(n))
	case linux.TIOCOUTQ:
		return anon.StoreInt(mem, arg, 0) // what was written is with the other side at once
	case linux.TIOCEXCL, linux.TIOCNXCL:
		t.set(func() { t.exclusive = cmd == linux.TIOCEXCL })
		return 0
	case linux.TIOCGEXCL:
		return t.storeBool(mem, arg, &t.exclusive)
	case linux.TIOCGETD, linux.TIOCGSOFTCAR:
		return anon.StoreInt(mem, arg, 0) // N_TTY; CLOCAL is never set by default
	case linux.TIOCSETD:
		v, errno := anon.LoadInt(mem, arg)
		if errno == 0 && v != 0 {
			errno = linux.EINVAL // no other line discipline
		}
		return errno
	case linux.TIOCGDEV:
		return anon.StoreInt(mem, arg, int32(t.Dev()))
	case linux.TIOCSTI:
		return linux.EIO // dev.tty.legacy_tiocsti = 0
	case linux.TIOCVHANGUP:
		if !c.Creds.HasCap(linux.CAP_SYS_ADMIN) {
			return linux.EPERM
		}
		t.vhangup()
		return 0
	}
	return t.jobIoctl(c, mem, cmd, arg, master)
}

// vhangup makes the open slaves useless and frees the session.
func (t *TTY) vhangup() {
	t.mu.Lock()
	t.hangs++
	session := t.session
	t.unlock()
	if session != nil {
		session.HungUp()
	}
}

// jobIoctl is about sessions and process groups.
func (t *TTY) jobIoctl(c *vfs.Caller, mem usermem.Memory, cmd uint32, arg uint64, master bool) linux.Errno {
	job, ok := c.Task.(signal.JobControl)
	if !ok {
		return linux.ENOTTY
	}
	switch cmd {
	case linux.TIOCSCTTY:
		if master {
			return linux.EPERM
		}
		return job.SetControllingTerminal(t, arg == 1, false)
	case linux.TIOCNOTTY:
		return job.DropControllingTerminal(t)
	case linux.TIOCGPGRP:
		n, errno := job.ForegroundGroup(t, master)
		if errno != 0 {
			return errno
		}
		return anon.StoreInt(mem, arg, n)
	case linux.TIOCSPGRP:
		n, errno := anon.LoadInt(mem, arg)
		if errno != 0 {
			return errno
		}
		return job.SetForegroundGroup(t, n)
	case linux.TIOCGSID:
		n, errno := job.TerminalSession(t, master)
		if errno != 0 {
			return errno
		}
		return anon.StoreInt(mem, arg, n)
	}
	return linux.ENOTTY
}

// SetWinsize changes the window size and tells the foreground process group.
func (t *TTY) SetWinsize(w linux.Winsize) {
	t.mu.Lock()
	if t.winsize != w {
		t.winsize = w
		t.sigs = append(t.sigs, linux.SIGWINCH)
	}
	t.unlock()
}

func store(mem usermem.Memory, addr uint64, v any) linux.Errno {
	var b bytes.Buffer
	if binary.Write(&b, binary.LittleEndian, v) != nil {
		return linux.EFAULT
	}
	_, errno := mem.CopyOut(addr, b.Bytes())
	return errno
}

func load(mem usermem.Memory, addr uint64, v any) linux.Errno {
	b := make([]byte, binary.Size(v))
	if _, errno := mem.CopyIn(b, addr); errno != 0 {
		return errno
	}
	if binary.Read(bytes.NewReader(b), binary.LittleEndian, v) != nil {
		return linux.EFAULT
	}
	return 0
}

// termio is struct termio, the older form.
type termio struct {
	Iflag, Oflag, Cflag, Lflag uint16
	Line                       uint8
	CC                         [termioNCC]uint8
	_                          uint8
}

func (t *TTY) getTermios(mem usermem.Memory, cmd uint32, arg uint64) linux.Errno {
	t.mu.Lock()
	x := t.termios
	t.mu.Unlock()
	switch cmd {
	case linux.TCGETS:
		return store(mem, arg, &x.Termios)
	case linux.TCGETS2:
		return store(mem, arg, &x)
	}
	o := termio{Iflag: uint16(x.Iflag), Oflag: uint16(x.Oflag), Cflag: uint16(x.Cflag), Lflag: uint16(x.Lflag), Line: x.Line}
	copy(o.CC[:], x.CC[:])
	return store(mem, arg, &o)
}

func (t *TTY) changeTermios(c *vfs.Caller, mem usermem.Memory, cmd uint32, arg uint64, master bool) linux.Errno {
	if errno := t.mayChange(c, master); errno != 0 {
		return errno
	}
	t.mu.Lock()
	x := t.termios
	t.mu.Unlock()
	var errno linux.Errno
	flush := false
	switch cmd {
	case linux.TCSETS, linux.TCSETSW, linux.TCSETSF:
		errno = load(mem, arg, &x.Termios)
		if speed, ok := baud[x.Cflag&linux.CBAUD]; ok {
			x.Ispeed, x.Ospeed = speed, speed
		}
		flush = cmd == linux.TCSETSF
	case linux.TCSETS2, linux.TCSETSW2, linux.TCSETSF2:
		errno = load(mem, arg, &x)
		flush = cmd == linux.TCSETSF2
	default:
		var o termio
		errno = load(mem, arg, &o)
		const low = 0xffff
		x.Iflag = x.Iflag&^low | uint32(o.Iflag)
		x.Oflag = x.Oflag&^low | uint32(o.Oflag)
		x.Cflag = x.Cflag&^low | uint32(o.Cflag)
		x.Lflag = x.Lflag&^low | uint32(o.Lflag)
		copy(x.CC[:], o.CC[:])
		flush = cmd == linux.TCSETAF
	}
	if errno != 0 {
		return errno
	}
	// A pty has neither parity nor other sizes than 8 bits.
	x.Cflag = x.Cflag&^(linux.CSIZE|linux.PARENB) | linux.CS8 | linux.CREAD
	t.mu.Lock()
	if flush {
		t.flushInput()
		t.in.pending = nil
	}
	t.setTermios(x)
	t.unlock()
	return 0
}

var baud = map[uint32]uint32{
	linux.B0: 0, linux.B50: 50, linux.B75: 75, linux.B110: 110, linux.B134: 134, linux.B150: 150, linux.B200: 200,
	linux.B300: 300, linux.B600: 600, linux.B1200: 1200, linux.B1800: 1800, linux.B2400: 2400, linux.B4800: 4800,
	linux.B9600: 9600, linux.B19200: 19200, linux.B38400: 38400, linux.B57600: 57600, linux.B115200: 115200,
	linux.B230400: 230400, linux.B460800: 460800, linux.B921600: 921600,
}

// control is TCFLSH, TCXONC and TCSBRK.
func (t *TTY) control(c *vfs.Caller, cmd uint32, arg uint64) linux.Errno {
	switch cmd {
	case linux.TCSBRK, linux.TCSBRKP:
		return t.drain(c) // a pty has no break; what counts is tcdrain(3), TCSBRK with 1
	case linux.TCFLSH:
		if arg > linux.TCIOFLUSH {
			return linux.EINVAL
		}
		t.mu.Lock()
		if arg != linux.TCOFLUSH {
			t.flushInput()
			t.in.pending = nil
		}
		if arg != linux.TCIFLUSH {
			t.flushOutput()
		}
		t.unlock()
		return 0
	}
	t.mu.Lock()
	defer t.unlock()
	switch arg {
	case linux.TCOOFF:
		if !t.tcooff {
			t.tcooff = true
			t.stop()
		}
	case linux.TCOON:
		if t.tcooff {
			t.tcooff = false
			t.start()
		}
	case linux.TCIOFF:
		if x := t.termios.CC[linux.VSTOP]; x != 0 {
			t.put(x)
		}
	case linux.TCION:
		if x := t.termios.CC[linux.VSTART]; x != 0 {
			t.put(x)
		}
	default:
		return linux.EINVAL
	}
	return 0
}

// drain waits until output may flow; a pty keeps nothing back, as on Linux.
func (t *TTY) drain(c *vfs.Caller) linux.Errno {
	if c.Blocker == nil {
		return 0
	}
	return c.Blocker.Block(&t.slaveQ, wait.All, wait.Deadline{}, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return !t.stopped || t.hungUp
	})
}
