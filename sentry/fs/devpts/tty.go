// Package devpts is pty(7): pseudo-terminals with Linux's line discipline N_TTY, the devpts filesystem, /dev/ptmx,
// /dev/tty and /dev/console, and Console, a terminal whose master side is the sentry's own.
//
// A TTY is one pair. What the master writes passes the line discipline and is what the slave reads; what the slave
// writes, and echoes, pass output processing and are what the master reads.
//
// Reads and writes sleep inside, through Caller.Blocker, unless the file has O_NONBLOCK (VMIN and VTIME need that):
// to a blocking file they never return EAGAIN. Job control and controlling terminals are the task's, by
// signal.JobControl, which vfs.Caller.Task implements; TTY is its signal.Terminal.
//
// Locks: TTY.mu, one per pair. Signals are sent without it.
package devpts

import (
	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/signal"
)

const (
	// lineMax is N_TTY_BUF_SIZE: what waits for the slave, less one.
	lineMax = 4096
	// pendingMax bounds what the master wrote and the line discipline has no room for yet; outputMax what the slave
	// wrote and the master has not read.
	pendingMax = 65536
	outputMax  = 65536
	// outputLow is below what a sleeping writer goes on.
	outputLow = outputMax - 4096

	iutf8 = 0x4000 // IUTF8
)

// TTY is a pseudo-terminal: both ends.
type TTY struct {
	inst  *instance
	index int

	mu      rank.Mutex[rank.TTY] // guards the fields down to the queues
	termios linux.Termios2
	winsize linux.Winsize
	session signal.TerminalSession // whose controlling terminal this is

	masters, slaves int  // open files
	slaveOpened     bool // ever; until then the master does not see an end
	locked          bool // TIOCSPTLCK: the slave cannot be opened
	exclusive       bool // TIOCEXCL
	hungUp          bool // the master is gone
	hangs           int  // how often vhangup(2) cut off the open slaves
	stopped         bool // ^S or TCOOFF: no output to the master
	tcooff          bool // and only TCOON starts it again
	packet          bool // TIOCPKT
	packetBits      uint8

	in  input
	out output

	sigs []int32 // to the foreground group, once mu is free

	slaveQ, masterQ wait.Queue
}

// input is the line discipline's state on the way to the slave.
type input struct {
	pending []byte // from the master, not processed yet
	buf     []byte // processed: whole lines, then the one that is being edited (canonical), or bytes (raw)
	lines   []line // the whole lines in buf
	ready   int    // their bytes together
	lnext   bool   // the next character is literal
	erasing bool   // between \ and / of ECHOPRT
}

// line is a length, without a newline if an EOF character ended it.
type line struct {
	n   int
	eof bool
}

// output is the state on the way to the master.
type output struct {
	buf      []byte
	held     []byte // echoes that are not shown yet
	echoing  bool   // output comes from the line discipline
	column   int
	canonCol int // the column where the line that is being edited began
}

// Characters of a new terminal, as on Linux.
var initialCC = [19]uint8{
	linux.VINTR: 3, linux.VQUIT: 0x1c, linux.VERASE: 0x7f, linux.VKILL: 0x15, linux.VEOF: 4, linux.VMIN: 1,
	linux.VSTART: 0x11, linux.VSTOP: 0x13, linux.VSUSP: 0x1a, linux.VREPRINT: 0x12, linux.VDISCARD: 0xf,
	linux.VWERASE: 0x17, linux.VLNEXT: 0x16,
}

func newTTY(inst *instance, index int) *TTY {
	t := &TTY{inst: inst, index: index, locked: true}
	t.termios = linux.Termios2{
		Termios: linux.Termios{
			Iflag: linux.ICRNL | linux.IXON, Oflag: linux.OPOST | linux.ONLCR,
			Cflag: linux.B38400 | linux.CS8 | linux.CREAD,
			Lflag: linux.ISIG | linux.ICANON | linux.ECHO | linux.ECHOE | linux.ECHOK | linux.ECHOCTL |
				linux.ECHOKE | linux.IEXTEN,
			CC: initialCC,
		},
		Ispeed: 38400, Ospeed: 38400,
	}
	return t
}

// Index is the number of the terminal: N of /dev/pts/N.
func (t *TTY) Index() int { return t.index }

// Dev is the device number of the slave, for /proc/pid/stat.
func (t *TTY) Dev() uint64 { return ptsDev(t.index) }

// ControlledSession implements signal.Terminal.
func (t *TTY) ControlledSession() signal.TerminalSession {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.session
}

// SetControlledSession implements signal.Terminal.
func (t *TTY) SetControlledSession(s signal.TerminalSession) {
	t.mu.Lock()
	t.session = s
	t.mu.Unlock()
}

// Hangup implements signal.Terminal. A pseudo-terminal does not hang up with its session's leader: what is left of
// the session may go on to use it.
func (t *TTY) Hangup() {}

func (t *TTY) iflag(f uint32) bool { return t.termios.Iflag&f != 0 }
func (t *TTY) oflag(f uint32) bool { return t.termios.Oflag&f != 0 }
func (t *TTY) lflag(f uint32) bool { return t.termios.Lflag&f != 0 }

// cc says whether c is the special character i; a character of 0 is disabled.
func (t *TTY) cc(c byte, i int) bool { return c != 0 && t.termios.CC[i] == c }

// unlock frees mu, sends the signals that came up, and tells both ends to look again.
func (t *TTY) unlock() {
	sigs, session := t.sigs, t.session
	t.sigs = nil
	t.mu.Unlock()
	if session != nil {
		for _, sig := range sigs {
			session.SignalForeground(sig)
		}
	}
	t.slaveQ.Notify(wait.All)
	t.masterQ.Notify(wait.All)
}

// stop and start are flow control: ^S and ^Q, TCOOFF and TCOON.
func (t *TTY) stop() {
	if !t.stopped {
		t.stopped = true
		t.tellMaster(linux.TIOCPKT_STOP, linux.TIOCPKT_START)
	}
}

func (t *TTY) start() {
	if t.stopped && !t.tcooff {
		t.stopped = false
		t.showEchoes()
		t.tellMaster(linux.TIOCPKT_START, linux.TIOCPKT_STOP)
	}
}

// tellMaster sets and clears bits of the status byte of packet mode.
func (t *TTY) tellMaster(set, clear uint8) {
	if t.packet {
		t.packetBits = t.packetBits&^clear | set
	}
}

// flushInput throws away what the line discipline holds for the slave; flushOutput what the master has not read.
func (t *TTY) flushInput() {
	t.in = input{pending: t.in.pending}
	t.tellMaster(linux.TIOCPKT_FLUSHREAD, 0)
}

func (t *TTY) flushOutput() {
	t.out.buf, t.out.held = nil, nil
	t.tellMaster(linux.TIOCPKT_FLUSHWRITE, 0)
}

// setTermios installs new settings: TCSETS and kin.
func (t *TTY) setTermios(n linux.Termios2) {
	old := t.termios
	n.Termios.Line = 0
	t.termios = n
	if (old.Lflag^n.Lflag)&linux.ICANON != 0 {
		t.in.relayout(n.Lflag&linux.ICANON != 0)
	}
	if !t.iflag(linux.IXON) && old.Iflag&linux.IXON != 0 {
		t.start() // else nothing would start it again
	}
	if t.packet {
		t.packetTermios(&old)
	}
	t.process() // what waited for room may have it now
}

// packetTermios reports a change of flow control, and of EXTPROC, to a master in packet mode.
func (t *TTY) packetTermios(old *linux.Termios2) {
	flow := func(x *linux.Termios2) bool {
		return x.Iflag&linux.IXON != 0 && x.CC[linux.VSTOP] == 0x13 && x.CC[linux.VSTART] == 0x11
	}
	if was, is := flow(old), flow(&t.termios); was != is {
		if is {
			t.tellMaster(linux.TIOCPKT_DOSTOP, linux.TIOCPKT_NOSTOP)
		} else {
			t.tellMaster(linux.TIOCPKT_NOSTOP, linux.TIOCPKT_DOSTOP)
		}
	}
	if (old.Lflag|t.termios.Lflag)&linux.EXTPROC != 0 {
		t.tellMaster(linux.TIOCPKT_IOCTL, 0)
	}
}

// relayout makes all bytes readable when canonical mode is switched on or off.
func (in *input) relayout(canonical bool) {
	in.lines, in.ready = nil, 0
	in.lnext, in.erasing = false, false
	if canonical && len(in.buf) > 0 {
		in.lines, in.ready = []line{{n: len(in.buf)}}, len(in.buf)
	}
}
