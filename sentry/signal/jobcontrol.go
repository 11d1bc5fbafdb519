package signal

import "hornwork/linux"

// JobControl is a task as a terminal driver sees it; *task.Task implements it. A terminal gets it from
// vfs.Caller.Task.
type JobControl interface {
	// TerminalOf is the controlling terminal of the caller's session (/dev/tty), nil if none.
	ControllingTerminal() Terminal
	// SetControllingTerminal implements TIOCSCTTY and opening a terminal without O_NOCTTY (quiet: refusals are
	// not errors, and nothing is stolen).
	SetControllingTerminal(tty Terminal, steal, quiet bool) linux.Errno
	// DropControllingTerminal implements TIOCNOTTY.
	DropControllingTerminal(tty Terminal) linux.Errno
	// MayRead and MayWrite stop a background process with SIGTTIN and SIGTTOU: 0 to go on, ERESTARTSYS after the
	// signal was sent, EIO when nobody could handle it. MayWrite is also for ioctls that change the terminal.
	MayRead(tty Terminal) linux.Errno
	MayWrite(tty Terminal) linux.Errno
	// ForegroundGroup and TerminalSession implement TIOCGPGRP and TIOCGSID: ENOTTY if tty does not control the
	// caller's session (any: do not check that; for the master side of a pty).
	ForegroundGroup(tty Terminal, any bool) (int32, linux.Errno)
	TerminalSession(tty Terminal, any bool) (int32, linux.Errno)
	// SetForegroundGroup implements TIOCSPGRP.
	SetForegroundGroup(tty Terminal, pgid int32) linux.Errno
}

// Terminal is a terminal that can control a session. It keeps the session that task gives it.
type Terminal interface {
	// Dev is the terminal's device number (dev_t).
	Dev() uint64
	// ControlledSession returns what SetControlledSession set. task calls both with its tree locked: they only
	// load and store, under a lock of their own or none.
	ControlledSession() TerminalSession
	SetControlledSession(TerminalSession)
	// Hangup is called, without locks, when the session's leader has exited: later reads return 0 and writes EIO.
	Hangup()
}

// TerminalSession is a session as its terminal sees it.
type TerminalSession interface {
	// SignalForeground sends a signal to the foreground process group: SIGINT, SIGQUIT, SIGTSTP, SIGWINCH.
	SignalForeground(sig int32)
	// HungUp tells that the line is gone: SIGHUP and SIGCONT to the leader, and the session has no terminal any
	// more.
	HungUp()
}
