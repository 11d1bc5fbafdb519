package launch

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// process is the gofer or the sentry, seen from the launcher.
type process struct {
	p      *os.Process
	stderr firstWords
	copied chan struct{} // closed when nobody can write to stderr any more
	done   chan struct{} // closed when the process is gone, and state set
	state  *os.ProcessState
}

// start starts this program in one of its roles. Standard error (files[2]) goes to log by way of us, who keep its first words.
func start(role string, files []*os.File, log io.Writer, attr *syscall.SysProcAttr) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	files[2] = w
	p, err := os.StartProcess("/proc/self/exe", []string{"hornwork-" + role, role}, &os.ProcAttr{
		Files: files,
		Env:   []string{"GOTRACEBACK=all"},
		Sys:   attr,
	})
	if err != nil {
		r.Close()
		return nil, err
	}
	c := &process{p: p, copied: make(chan struct{}), done: make(chan struct{})}
	go func() {
		_, _ = io.Copy(io.MultiWriter(&c.stderr, log), r) // without a log there is nothing better to do
		r.Close()
		close(c.copied)
	}()
	go func() {
		c.state, _ = p.Wait() // it is our child, and nobody else waits for it
		close(c.done)
	}()
	return c, nil
}

func (c *process) kill() {
	if c != nil {
		_ = c.p.Kill() // it may be gone already
	}
}

// signal is what killed the process, or 0.
func (c *process) signal() syscall.Signal {
	select {
	case <-c.done:
	default:
		return 0
	}
	if ws, ok := c.state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal()
	}
	return 0
}

// failure says why the process has ended, if it has and not well. One that is about to end gets a moment.
func (c *process) failure(name string) error {
	if c == nil {
		return nil
	}
	select {
	case <-c.done:
	case <-time.After(500 * time.Millisecond):
		return nil
	}
	if c.state == nil || c.state.Success() {
		return nil
	}
	select {
	case <-c.copied:
	case <-time.After(500 * time.Millisecond):
	}
	words := c.stderr.line()
	switch sig := c.signal(); {
	case sig == syscall.SIGSYS:
		return fmt.Errorf("the %s made a host call that it may not make and was killed; the host's audit log (dmesg) tells which", name)
	case sig != 0:
		return fmt.Errorf("the %s was killed by signal %d (%v)%s", name, sig, sig, words)
	case words != "":
		return fmt.Errorf("the %s failed%s", name, words)
	}
	return fmt.Errorf("the %s ended with %v; look with --debug or --log FILE", name, c.state)
}

// firstWords keeps the beginning of what is written to it.
type firstWords struct{ b []byte }

func (w *firstWords) Write(b []byte) (int, error) {
	const most = 2048
	w.b = append(w.b, b[:min(len(b), most-len(w.b))]...)
	return len(b), nil
}

// line is the first line, behind a colon, without what a terminal would take as a command; empty if there is none.
func (w *firstWords) line() string {
	first, _, _ := bytes.Cut(w.b, []byte("\n"))
	if len(first) == 0 {
		return ""
	}
	return ": " + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, string(first))
}
