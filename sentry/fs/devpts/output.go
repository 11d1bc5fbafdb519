package devpts

import "hornwork/linux"

// put gives the master a character as it is. Echoes are held back until the end of the batch, or until output is
// started again: a ^S stops also what the same batch echoed before it, as on Linux.
func (t *TTY) put(c byte) {
	if t.out.echoing {
		t.out.held = append(t.out.held, c)
		return
	}
	t.out.buf = append(t.out.buf, c)
}

// showEchoes gives the master the echoes, unless output is stopped.
func (t *TTY) showEchoes() {
	if !t.stopped {
		t.out.buf = append(t.out.buf, t.out.held...)
		t.out.held = t.out.held[:0]
	}
}

// outputChar is output processing for one character: do_output_char.
func (t *TTY) outputChar(c byte) {
	if !t.oflag(linux.OPOST) {
		t.put(c)
		return
	}
	o := &t.out
	switch c {
	case '\n':
		if t.oflag(linux.ONLRET) {
			o.column = 0
		}
		if t.oflag(linux.ONLCR) {
			t.put('\r')
			o.column, o.canonCol = 0, 0
		} else {
			o.canonCol = o.column
		}
	case '\r':
		if t.oflag(linux.ONOCR) && o.column == 0 {
			return
		}
		if t.oflag(linux.OCRNL) {
			c = '\n'
			if t.oflag(linux.ONLRET) {
				o.column, o.canonCol = 0, 0
			}
		} else {
			o.column, o.canonCol = 0, 0
		}
	case '\t':
		n := 8 - o.column&7
		o.column += n
		if t.termios.Oflag&linux.TABDLY == linux.XTABS {
			for range n {
				t.put(' ')
			}
			return
		}
	case '\b':
		if o.column > 0 {
			o.column--
		}
	default:
		if !isControl(c) {
			if t.oflag(linux.OLCUC) && c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			if !t.iflag(iutf8) || !isContinuation(c) {
				o.column++
			}
		}
	}
	t.put(c)
}

// writeOut processes what fits of b for the master and says how much that was.
func (t *TTY) writeOut(b []byte) int {
	if t.stopped {
		return 0
	}
	for k, c := range b {
		if len(t.out.buf) >= outputMax {
			return k
		}
		t.outputChar(c)
	}
	return len(b)
}
