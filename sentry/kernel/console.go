package kernel

import (
	"fmt"
	"time"

	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/fs/devpts"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// console joins the first process's terminal, which is ours, to the user's, which the launcher has put into raw mode.
type console struct {
	tty     *devpts.Console
	in, out int32         // host descriptors
	shown   chan struct{} // closed when all output has been written
}

// openConsole makes the terminal and starts to copy.
func (k *Kernel) openConsole() error {
	p := &k.cfg.Process
	if k.pts == nil {
		return fmt.Errorf("a terminal was asked for, and no devpts is mounted")
	}
	tty, errno := devpts.NewConsole(k.pts, p.UID, p.GID)
	if errno != 0 {
		return fmt.Errorf("make the console: %w", errno)
	}
	tty.SetWinsize(p.Winsize)
	c := &console{tty: tty, in: k.deps.Stdio[0], out: k.deps.Stdio[0], shown: make(chan struct{})}
	for _, fd := range k.deps.Stdio[1:] {
		if isTerminal(fd) {
			c.out = fd
			break
		}
	}
	k.console = c
	go c.show()
	go c.typed()
	return nil
}

// show copies the guest's output to the host terminal.
func (c *console) show() {
	defer close(c.shown)
	b := make([]byte, 16<<10)
	for {
		n, err := c.tty.Read(b)
		if err != nil {
			return
		}
		for done := 0; done < n; {
			w, errno := sys.Write(c.out, b[done:n])
			if errno != 0 {
				c.tty.Hangup() // the host terminal has gone
				return
			}
			done += w
		}
	}
}

// typed copies what the user types to the guest.
func (c *console) typed() {
	b := make([]byte, 4<<10)
	for {
		n, errno := sys.Read(c.in, b)
		if errno != 0 || n == 0 {
			c.tty.Hangup()
			return
		}
		if _, err := c.tty.Write(b[:n]); err != nil {
			return
		}
	}
}

// open opens the terminal for the first process.
func (c *console) open(caller *vfs.Caller) (*vfs.File, linux.Errno) {
	return c.tty.Open(caller, linux.O_RDWR)
}

// control makes it the controlling terminal of the first process's session.
func (c *console) control(t *task.Task) linux.Errno {
	return t.SetControllingTerminal(c.tty.TTY(), false, false)
}

func (c *console) setWinsize(w linux.Winsize) { c.tty.SetWinsize(w) }

// drain waits until the last output is on the host terminal; a terminal that takes none must not hold us for ever.
func (c *console) drain() {
	select {
	case <-c.shown:
	case <-time.After(2 * time.Second):
	}
}
