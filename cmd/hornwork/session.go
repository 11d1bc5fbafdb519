package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"hornwork/container/control"
	"hornwork/container/launch"
	"hornwork/linux"
)

// runSandbox starts a sandbox, passes signals and window sizes on, and returns how its first process ended. tty is the
// caller's terminal, if the process gets one.
func runSandbox(o *launch.Options, tty *terminal, debug bool) error {
	if tty != nil {
		o.Config.Process.Terminal = true
		o.Config.Process.Winsize = tty.winsize()
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGCONT, unix.SIGALRM)
	s, err := launch.Start(o)
	if err != nil {
		return err
	}
	defer s.Kill()
	if err := tty.raw(); err != nil {
		return err
	}
	defer tty.restore()
	go forward(signals, s.Control, tty)
	go s.Watch()
	exit, err := waitExit(s)
	tty.restore()
	if err != nil {
		return err
	}
	if debug {
		for _, line := range exit.Report {
			fmt.Fprintln(os.Stderr, line)
		}
	}
	if exit.Signal != 0 {
		return exitStatus(128 + exit.Signal)
	}
	if exit.Code != 0 {
		return exitStatus(exit.Code)
	}
	return nil
}

// waitExit reads what the sandbox says until its first process has ended.
func waitExit(s *launch.Sandbox) (*control.Exit, error) {
	for {
		var ev control.Event
		if err := s.Control.Recv(&ev); err != nil {
			return nil, s.Ended(err)
		}
		switch {
		case ev.Failure != nil:
			// A gofer that could not start is the reason why the sandbox cannot reach it.
			if ev.Failure.Code == 1 {
				if err := s.GoferFailure(); err != nil {
					return nil, err
				}
			}
			return nil, ev.Failure
		case ev.Exit != nil:
			return ev.Exit, nil
		}
	}
}

// forward passes signals to the sandbox. It ends with the process.
func forward(signals <-chan os.Signal, c *control.Conn, tty *terminal) {
	for s := range signals {
		r := control.Request{}
		switch s {
		case unix.SIGWINCH:
			if tty == nil {
				continue
			}
			w := tty.winsize()
			r.Winsize = &w
		case unix.SIGCONT:
			if tty == nil {
				continue
			}
			// The shell may have set its own modes while we were stopped. A failure shows at the next read.
			_ = tty.raw()
			continue
		default:
			n, ok := s.(syscall.Signal)
			if !ok {
				continue
			}
			r.Signal = int(n)
		}
		if c.Send(&r) != nil {
			return // the sandbox has gone; Recv tells
		}
	}
}

// terminal is the user's terminal, when standard input is one.
type terminal struct {
	fd    int
	saved *unix.Termios // modes to go back to; nil when not raw
}

func newTerminal(f *os.File) *terminal {
	fd := int(f.Fd())
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return nil
	}
	return &terminal{fd: fd}
}

func (t *terminal) winsize() linux.Winsize {
	w, err := unix.IoctlGetWinsize(t.fd, unix.TIOCGWINSZ)
	if err != nil {
		return linux.Winsize{}
	}
	return linux.Winsize{Row: w.Row, Col: w.Col, Xpixel: w.Xpixel, Ypixel: w.Ypixel}
}

// raw lets every byte through to the sandbox's own terminal, which does echo, editing and signals. In the background of
// the shell's job control it does nothing: SIGCONT comes when that changes.
func (t *terminal) raw() error {
	if t == nil {
		return nil
	}
	if fg, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil && fg != unix.Getpgrp() {
		return nil
	}
	old, err := unix.IoctlGetTermios(t.fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read the terminal's modes: %w", err)
	}
	m := *old
	m.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	m.Oflag &^= unix.OPOST
	m.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	m.Cflag = m.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	m.Cc[unix.VMIN], m.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(t.fd, unix.TCSETSW, &m); err != nil {
		return fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	if t.saved == nil {
		t.saved = old
	}
	return nil
}

func (t *terminal) restore() {
	if t == nil || t.saved == nil {
		return
	}
	// Nothing better can be done if the terminal has gone.
	_ = unix.IoctlSetTermios(t.fd, unix.TCSETSW, t.saved)
	t.saved = nil
}
