package devpts

import (
	"hornwork/linux"
)

// process moves bytes from pending through the line discipline, as far as there is room.
func (t *TTY) process() {
	k := 0
	t.out.echoing = true
	for ; k < len(t.in.pending) && t.hasRoom(); k++ {
		t.receive(t.in.pending[k])
	}
	if k > 0 {
		t.in.pending = append(t.in.pending[:0], t.in.pending[k:]...)
	}
	t.out.echoing = false
	t.showEchoes()
}

// hasRoom says whether the line discipline takes another character. A line that is too long is cut, not refused, or
// else nobody could end it.
func (t *TTY) hasRoom() bool {
	return len(t.in.buf) < lineMax-1 || t.lflag(linux.ICANON) && len(t.in.lines) == 0
}

// receive is the line discipline for one character from the master: n_tty_receive_char and its special cases.
func (t *TTY) receive(c byte) {
	if t.iflag(linux.ISTRIP) {
		c &= 0x7f
	}
	if t.iflag(linux.IUCLC) && t.lflag(linux.IEXTEN) && c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	if t.lflag(linux.EXTPROC) {
		t.store(c)
		return
	}
	if t.in.lnext {
		t.in.lnext = false
		t.ordinary(c)
		return
	}
	if t.flowChar(c) || t.signalChar(c) {
		return
	}
	if t.stopped && t.iflag(linux.IXON) && t.iflag(linux.IXANY) {
		t.start()
	}
	switch {
	case c == '\r' && t.iflag(linux.IGNCR):
		return
	case c == '\r' && t.iflag(linux.ICRNL):
		c = '\n'
	case c == '\n' && t.iflag(linux.INLCR):
		c = '\r'
	}
	if t.lflag(linux.ICANON) && t.canonical(c) {
		return
	}
	t.ordinary(c)
}

// flowChar handles START and STOP.
func (t *TTY) flowChar(c byte) bool {
	if !t.iflag(linux.IXON) {
		return false
	}
	switch {
	case t.cc(c, linux.VSTART):
		t.start()
	case t.cc(c, linux.VSTOP):
		t.stop()
	default:
		return false
	}
	return true
}

// signalChar handles INTR, QUIT and SUSP.
func (t *TTY) signalChar(c byte) bool {
	if !t.lflag(linux.ISIG) {
		return false
	}
	var sig int32
	switch {
	case t.cc(c, linux.VINTR):
		sig = linux.SIGINT
	case t.cc(c, linux.VQUIT):
		sig = linux.SIGQUIT
	case t.cc(c, linux.VSUSP):
		sig = linux.SIGTSTP
	default:
		return false
	}
	if !t.lflag(linux.NOFLSH) {
		t.flushOutput()
		t.flushInput() // but not what stands behind this character
	}
	t.sigs = append(t.sigs, sig)
	if t.iflag(linux.IXON) {
		t.start()
	}
	if t.lflag(linux.ECHO) {
		t.echo(c)
	}
	return true
}

// canonical handles the characters that edit and end lines; false: c is an ordinary one.
func (t *TTY) canonical(c byte) bool {
	iexten, echo := t.lflag(linux.IEXTEN), t.lflag(linux.ECHO)
	switch {
	case t.cc(c, linux.VERASE), t.cc(c, linux.VKILL), t.cc(c, linux.VWERASE) && iexten:
		t.erase(c)
	case t.cc(c, linux.VLNEXT) && iexten:
		t.in.lnext = true
		if echo {
			t.finishErasing()
			if t.lflag(linux.ECHOCTL) {
				t.echoRaw('^')
				t.echoRaw('\b')
			}
		}
	case t.cc(c, linux.VREPRINT) && echo && iexten:
		t.finishErasing()
		t.echo(c)
		t.echoRaw('\n')
		for _, x := range t.edited() {
			t.echo(x)
		}
	case c == '\n':
		if echo || t.lflag(linux.ECHONL) {
			t.echoRaw('\n')
		}
		t.endLine(c, false)
	case t.cc(c, linux.VEOF):
		t.endLine(0, true)
	case t.cc(c, linux.VEOL), t.cc(c, linux.VEOL2) && iexten:
		if echo {
			t.markColumn()
			t.echo(c)
		}
		t.endLine(c, false)
	default:
		return false
	}
	return true
}

// ordinary echoes and stores a character without a meaning.
func (t *TTY) ordinary(c byte) {
	if t.lflag(linux.ECHO) {
		t.finishErasing()
		t.markColumn()
		t.echo(c)
	}
	if c == 0xff && t.iflag(linux.PARMRK) {
		t.store(c)
	}
	t.store(c)
}

// store appends a character; in a line that is full already it is lost, with a bell if asked for.
func (t *TTY) store(c byte) {
	if len(t.in.buf) >= lineMax-1 {
		if t.iflag(linux.IMAXBEL) {
			t.put('\a')
		}
		return
	}
	t.in.buf = append(t.in.buf, c)
}

// endLine makes the edited line readable; the character that ended it is part of it unless it was EOF.
func (t *TTY) endLine(c byte, eof bool) {
	in := &t.in
	in.erasing = false
	if !eof {
		if len(in.buf) >= lineMax { // the last place is kept for this
			in.buf = in.buf[:lineMax-1]
		}
		in.buf = append(in.buf, c)
	}
	n := len(in.buf) - in.ready
	in.lines = append(in.lines, line{n, eof})
	in.ready += n
}

// edited is the line that is not ended yet.
func (t *TTY) edited() []byte { return t.in.buf[t.in.ready:] }

// markColumn remembers where the edited line begins on the screen.
func (t *TTY) markColumn() {
	if len(t.edited()) == 0 {
		t.out.canonCol = t.out.column
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0xc0
}

func isContinuation(c byte) bool { return c&0xc0 == 0x80 }
func isControl(c byte) bool      { return c < 0x20 || c == 0x7f }

// erase handles ERASE, WERASE and KILL, on the line and on the screen.
func (t *TTY) erase(c byte) {
	if len(t.edited()) == 0 {
		return
	}
	kill, word := t.cc(c, linux.VKILL), t.cc(c, linux.VWERASE) && !t.cc(c, linux.VERASE)
	echo := t.lflag(linux.ECHO)
	if kill && !t.cc(c, linux.VERASE) {
		if !echo || !t.lflag(linux.ECHOK) || !t.lflag(linux.ECHOKE) || !t.lflag(linux.ECHOE) {
			t.in.buf = t.in.buf[:t.in.ready]
			if echo {
				t.finishErasing()
				t.echo(c)
				if t.lflag(linux.ECHOK) { // a new line after the KILL character
					t.echoRaw('\n')
				}
			}
			return
		}
	} else {
		kill = false
	}
	seenWord := false
	for len(t.edited()) > 0 {
		ed := t.edited()
		n := len(ed) - 1
		if t.iflag(iutf8) {
			for n > 0 && isContinuation(ed[n]) {
				n--
			}
		}
		x := ed[n]
		if word {
			if isWord(x) {
				seenWord = true
			} else if seenWord {
				break
			}
		}
		gone := append([]byte(nil), ed[n:]...)
		t.in.buf = t.in.buf[:t.in.ready+n]
		if echo {
			t.eraseOnScreen(c, gone)
		}
		if !kill && !word {
			break
		}
	}
	if len(t.edited()) == 0 && echo {
		t.finishErasing()
	}
}

// eraseOnScreen undoes the echo of one character.
func (t *TTY) eraseOnScreen(c byte, gone []byte) {
	x := gone[0]
	switch {
	case t.lflag(linux.ECHOPRT):
		if !t.in.erasing {
			t.echoRaw('\\')
			t.in.erasing = true
		}
		t.echo(x)
		for _, more := range gone[1:] {
			t.put(more)
		}
	case t.cc(c, linux.VERASE) && !t.lflag(linux.ECHOE):
		t.echo(t.termios.CC[linux.VERASE])
	case x == '\t':
		for range t.widthOf('\t') {
			t.backspace()
		}
	default:
		if isControl(x) && t.lflag(linux.ECHOCTL) {
			t.rubOut()
		}
		if !isControl(x) || t.lflag(linux.ECHOCTL) {
			t.rubOut()
		}
	}
}

// widthOf is how many columns a tab at the end of the edited line took.
func (t *TTY) widthOf(byte) int {
	col := t.out.canonCol
	for _, x := range t.edited() {
		switch {
		case x == '\t':
			col |= 7
			col++
		case isControl(x):
			if t.lflag(linux.ECHOCTL) {
				col += 2
			}
		case !t.iflag(iutf8) || !isContinuation(x):
			col++
		}
	}
	return 8 - col&7
}

func (t *TTY) backspace() {
	t.put('\b')
	if t.out.column > 0 {
		t.out.column--
	}
}

func (t *TTY) rubOut() {
	t.put('\b')
	t.put(' ')
	t.backspace()
}

func (t *TTY) finishErasing() {
	if t.in.erasing {
		t.echoRaw('/')
		t.in.erasing = false
	}
}

// echo shows a character; control characters as ^X if ECHOCTL says so.
func (t *TTY) echo(c byte) {
	if t.lflag(linux.ECHOCTL) && isControl(c) && c != '\t' {
		t.put('^')
		t.put(c ^ 0x40)
		t.out.column += 2
		return
	}
	t.echoRaw(c)
}

// echoRaw shows a character through output processing.
func (t *TTY) echoRaw(c byte) {
	if len(t.out.buf)+len(t.out.held) < outputMax+lineMax { // a master that does not read loses echoes, as on Linux
		t.outputChar(c)
	}
}
