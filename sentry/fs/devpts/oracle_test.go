package devpts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/vfs"
)

// hostTTY is a pseudo-terminal of the host: what ours is compared with.
type hostTTY struct{ m, s int }

func openHost(t *testing.T) *hostTTY {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("the host has no pseudo-terminals: ", err)
	}
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(s)
		unix.Close(m)
	})
	return &hostTTY{m, s}
}

func (h *hostTTY) configure(i, o, l change, cc map[int]byte) {
	x, _ := unix.IoctlGetTermios(h.s, unix.TCGETS)
	x.Iflag, x.Oflag, x.Lflag = i.apply(x.Iflag), o.apply(x.Oflag), l.apply(x.Lflag)
	for k, v := range cc {
		x.Cc[k] = v
	}
	unix.IoctlSetTermios(h.s, unix.TCSETS, x)
}

func hostRead(fd int) string {
	var out []byte
	b := make([]byte, 65536)
	for {
		n, err := unix.Read(fd, b)
		if err != nil || n <= 0 {
			return string(out) + note(n, err)
		}
		out = append(out, b[:n]...)
		out = append(out, '|') // where a read ended
	}
}

// await reads the master's side until it is want or does not become it any more: the host's line discipline runs in
// a worker. Where reads ended does not count.
func (h *hostTTY) await(want string) string {
	got := ""
	for range 100 {
		time.Sleep(2 * time.Millisecond)
		s := hostRead(h.m)
		body, end, _ := strings.Cut(s, "<")
		got = strings.ReplaceAll(got, "|", "") + strings.ReplaceAll(body, "|", "")
		if got != "" {
			got += "|"
		}
		if got+"<"+end == want {
			return want
		}
		if len(got)+len(end)+1 > len(want) {
			break
		}
	}
	return got
}

func note(n int, err error) string {
	if err == nil {
		return fmt.Sprint("<", n, ">")
	}
	return fmt.Sprint("<", int(err.(unix.Errno)), ">")
}

// ourTTY is one of ours, with both ends open.
type ourTTY struct {
	c    *vfs.Caller
	m, s *vfs.File
	t    *TTY
}

func openOurs(t *testing.T) *ourTTY {
	t.Helper()
	sb := New(Options{})
	c := fstest.Caller()
	inst := instanceOf(sb)
	ops, errno := inst.openPtmx(c, linux.O_RDWR)
	if errno != 0 {
		t.Fatal(errno)
	}
	tty := ops.(*master).t
	tty.locked = false
	m := vfs.NewInodeFile(c, inst.ptmx, "ptmx", ops, linux.O_RDWR|linux.O_NONBLOCK)
	s, errno := OpenPeer(c, m, linux.O_RDWR|linux.O_NOCTTY|linux.O_NONBLOCK)
	if errno != 0 {
		t.Fatal(errno)
	}
	return &ourTTY{c, m, s, tty}
}

func (o *ourTTY) configure(i, out, l change, cc map[int]byte) {
	o.t.mu.Lock()
	x := o.t.termios
	x.Iflag, x.Oflag, x.Lflag = i.apply(x.Iflag), out.apply(x.Oflag), l.apply(x.Lflag)
	for k, v := range cc {
		x.CC[k] = v
	}
	o.t.setTermios(x)
	o.t.unlock()
}

func ourRead(c *vfs.Caller, f *vfs.File) string {
	var out string
	for {
		s, errno := fstest.Read(c, f, 65536)
		if errno != 0 {
			return fmt.Sprint(out, "<", int(errno), ">")
		}
		if s == "" {
			return out + "<0>"
		}
		out += s + "|"
	}
}

// change sets and clears flags.
type change struct{ set, clear uint32 }

func (c change) apply(f uint32) uint32 { return f&^c.clear | c.set }

func set(f uint32) change     { return change{set: f} }
func clr(f uint32) change     { return change{clear: f} }
func both(s, c uint32) change { return change{s, c} }

// TestLineDisciplineAgreesWithTheHost types the same keys into both terminals, and lets the slaves write the same.
func TestLineDisciplineAgreesWithTheHost(t *testing.T) {
	raw := clr(linux.ICANON)
	tests := []struct {
		name    string
		i, o, l change
		cc      map[int]byte
		keys    []string // each is one write to the master; "<" writes the rest from the slave
	}{
		{name: "line", keys: []string{"hello\n"}},
		{name: "return is a newline", keys: []string{"a\rb\n"}},
		{name: "half a line", keys: []string{"abc"}},
		{name: "two lines", keys: []string{"one\ntwo\n", "thr"}},
		{name: "erase", keys: []string{"abc\x7f\x7fd\n"}},
		{name: "erase of nothing", keys: []string{"\x7f\x7f\x15\x17x\n"}},
		{name: "kill", keys: []string{"abc def\x15ghi\n"}},
		{name: "kill without ECHOKE", l: clr(linux.ECHOKE), keys: []string{"abc def\x15ghi\n"}},
		{name: "kill without ECHOK", l: clr(linux.ECHOK), keys: []string{"abc def\x15ghi\n"}},
		{name: "kill without ECHOE", l: clr(linux.ECHOE), keys: []string{"abc\x15ghi\n"}},
		{name: "word erase", keys: []string{"foo bar-baz  \x17\x17x\n"}},
		{name: "word erase to the start", keys: []string{"foo\x17\x17\n"}},
		{name: "erase without ECHOE", l: clr(linux.ECHOE), keys: []string{"abc\x7f\x7fd\n"}},
		{name: "erase of control characters", keys: []string{"a\x01\x02\x7f\x7f\x7fb\n"}},
		{name: "erase of control characters without ECHOCTL", l: clr(linux.ECHOCTL), keys: []string{"a\x01\x7fb\n"}},
		{name: "erase of tabs", keys: []string{"a\tb\t\t\x7f\x7f\x7f\x7f\x7fz\n"}},
		{name: "erase of a tab behind a prompt", keys: []string{"<prompt> ", "x\ty\x7f\x7fz\n"}},
		{name: "ECHOPRT", l: set(linux.ECHOPRT), keys: []string{"abc\x7f\x7fd\x7f\x7f\n"}},
		{name: "UTF-8", i: set(iutf8), keys: []string{"aäö€\x7f\x7fb\n"}},
		{name: "bytes", i: clr(iutf8), keys: []string{"aä\x7fb\n"}},
		{name: "tab behind UTF-8", i: set(iutf8), keys: []string{"ä\tx\x7f\x7fy\n"}},
		{name: "reprint", keys: []string{"abc\x12def\n"}},
		{name: "literal next", keys: []string{"a\x16\x03\x16\x7f\x16\nb\n"}},
		{name: "literal next without IEXTEN", l: clr(linux.IEXTEN), keys: []string{"a\x16b\x17c\n"}},
		{name: "end of file", keys: []string{"abc\x04", "\x04"}},
		{name: "end of file in front", keys: []string{"\x04abc\n"}},
		{name: "EOL and EOL2", cc: map[int]byte{linux.VEOL: ';', linux.VEOL2: '!'}, keys: []string{"a;b!c\n"}},
		{name: "no echo", l: clr(linux.ECHO), keys: []string{"secret\x7f\n"}},
		{name: "ECHONL", l: both(linux.ECHONL, linux.ECHO), keys: []string{"secret\n"}},
		{name: "interrupt flushes", keys: []string{"abc\x03def\n"}},
		{name: "quit and suspend", keys: []string{"abc\x1cd\x1aef\n"}},
		{name: "NOFLSH", l: set(linux.NOFLSH), keys: []string{"abc\x03def\n"}},
		{name: "no ISIG", l: clr(linux.ISIG), keys: []string{"a\x03b\x1a\n"}},
		{name: "no IXON", i: clr(linux.IXON), keys: []string{"a\x13b\x11\n"}},
		{name: "stop and start", keys: []string{"a\x13b", "\x11c\n"}},
		{name: "stop holds the slave's output", keys: []string{"\x13", "<held", "\x11"}},
		{name: "IXANY", i: set(linux.IXANY), keys: []string{"\x13", "x\n"}},
		{name: "INLCR", i: both(linux.INLCR, linux.ICRNL), keys: []string{"a\nb\r", "\x04"}},
		{name: "IGNCR", i: set(linux.IGNCR), keys: []string{"a\rb\n"}},
		{name: "ISTRIP and IUCLC", i: set(linux.ISTRIP | linux.IUCLC), keys: []string{"\xe1BC\n"}},
		{name: "PARMRK", i: set(linux.PARMRK), l: raw, keys: []string{"a\xffb"}},
		{name: "disabled character", cc: map[int]byte{linux.VERASE: 0}, keys: []string{"a\x00b\x7f\n"}},
		{name: "raw", l: raw, keys: []string{"abc\x7f\x04\n"}},
		{name: "raw without echo", l: clr(linux.ICANON | linux.ECHO | linux.ISIG), keys: []string{"a\x03\r\n"}},
		{name: "EXTPROC", l: set(linux.EXTPROC), keys: []string{"a\x7f\x04\n"}},
		{name: "output", keys: []string{"<one\ntwo\tthree\r\n\x01\b"}},
		{name: "output without OPOST", o: clr(linux.OPOST), keys: []string{"<one\ntwo\t\r\n"}},
		{name: "XTABS", o: set(linux.XTABS), keys: []string{"<a\tbc\t\tdefghijk\tx\n\ty\b\b\tz"}},
		{name: "XTABS with UTF-8", i: set(iutf8), o: set(linux.XTABS), keys: []string{"<äö\tx"}},
		{name: "OCRNL", o: both(linux.OCRNL, linux.ONLCR), keys: []string{"<a\rb\nc"}},
		{name: "ONOCR", o: both(linux.ONOCR, linux.ONLCR), keys: []string{"<\ra\rb\r\r"}},
		{name: "ONLRET", o: both(linux.ONLRET|linux.XTABS, linux.ONLCR), keys: []string{"<abc\nx\ty"}},
		{name: "OLCUC", o: set(linux.OLCUC), keys: []string{"<aBcä\n", "x\n"}},
		{name: "echo of tabs", o: set(linux.XTABS), keys: []string{"ab\tc\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, o := openHost(t), openOurs(t)
			h.configure(tt.i, tt.o, tt.l, tt.cc)
			o.configure(tt.i, tt.o, tt.l, tt.cc)
			for _, k := range tt.keys {
				var wantN, gotN int
				if k[0] == '<' {
					wantN, _ = unix.Write(h.s, []byte(k[1:]))
					gotN, _ = fstest.Write(o.c, o.s, k[1:])
				} else {
					wantN, _ = unix.Write(h.m, []byte(k))
					gotN, _ = fstest.Write(o.c, o.m, k)
				}
				if max(gotN, 0) != max(wantN, 0) {
					t.Errorf("%q: wrote %d, the host %d", k, gotN, wantN)
				}
				got := ourRead(o.c, o.m)
				want := h.await(got)
				if got != want {
					t.Errorf("%q: the master saw %q, the host's %q", k, got, want)
				}
			}
			if got, want := ourRead(o.c, o.s), hostRead(h.s); got != want {
				t.Errorf("the slave read %q, the host's %q", got, want)
			}
		})
	}
}

func TestInitialTermiosIsTheHosts(t *testing.T) {
	h, o := openHost(t), openOurs(t)
	x, err := unix.IoctlGetTermios(h.m, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	y := o.t.termios
	if x.Iflag != y.Iflag || x.Oflag != y.Oflag || x.Cflag != y.Cflag || x.Lflag != y.Lflag || [19]uint8(x.Cc[:]) != y.CC {
		t.Errorf("host %+v\nours %+v", x, y)
	}
}
