package linux

// Values of <linux/wait.h>, as amd64 programs see them.
const (
	P_ALL      = 0
	P_PID      = 1
	P_PGID     = 2
	P_PIDFD    = 3
	WCONTINUED = 8
	WEXITED    = 4
	WNOHANG    = 1
	WNOWAIT    = 0x1000000
	WSTOPPED   = 2
	WUNTRACED  = 2
)
