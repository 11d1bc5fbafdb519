// Package signal has what signals are, apart from who gets them: sets, default actions, siginfo, pending
// queues, alternate stacks and the frames that handlers run on (signal(7), sigaltstack(2)).
//
// Nothing here knows a task; sentry/task holds the locks under which a Pending is used.
package signal

import "hornwork/linux"

// Set is a set of signals; signal n is bit n-1.
type Set = linux.Sigset

// Bit is the set of one signal.
func Bit(sig int32) Set { return 1 << (sig - 1) }

// Of is the set of the signals given.
func Of(sigs ...int32) (s Set) {
	for _, n := range sigs {
		s |= Bit(n)
	}
	return s
}

// Has says whether sig is in s.
func Has(s Set, sig int32) bool { return s&Bit(sig) != 0 }

// Valid says whether sig is a signal number, 0 excluded.
func Valid(sig int32) bool { return sig >= 1 && sig <= linux.NSIG }

// IsRT says whether sig is a real-time signal, which queues.
func IsRT(sig int32) bool { return sig >= linux.SIGRTMIN }

// Dispositions in Sigaction.Handler.
const (
	Default uint64 = 0 // SIG_DFL
	Ignored uint64 = 1 // SIG_IGN
)

// Sets with special treatment.
var (
	Unblockable = Of(linux.SIGKILL, linux.SIGSTOP)
	StopSet     = Of(linux.SIGSTOP, linux.SIGTSTP, linux.SIGTTIN, linux.SIGTTOU)
	Synchronous = Of(linux.SIGSEGV, linux.SIGBUS, linux.SIGILL, linux.SIGTRAP, linux.SIGFPE, linux.SIGSYS)

	coreSet = Of(linux.SIGQUIT, linux.SIGILL, linux.SIGTRAP, linux.SIGABRT, linux.SIGFPE, linux.SIGSEGV,
		linux.SIGBUS, linux.SIGSYS, linux.SIGXCPU, linux.SIGXFSZ)
	ignoreSet = Of(linux.SIGCONT, linux.SIGCHLD, linux.SIGWINCH, linux.SIGURG)
)

// Action is what happens by default.
type Action uint8

// Default actions of signal(7).
const (
	Terminate Action = iota
	Core
	Ignore
	Stop
)

// DefaultAction is the action of a signal whose handler is SIG_DFL. SIGCONT's continuing happens when it is
// sent; its default action at delivery is to be ignored.
func DefaultAction(sig int32) Action {
	switch b := Bit(sig); {
	case b&ignoreSet != 0:
		return Ignore
	case b&StopSet != 0:
		return Stop
	case b&coreSet != 0:
		return Core
	}
	return Terminate
}
