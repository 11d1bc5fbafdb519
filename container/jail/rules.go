package jail

import (
	"slices"

	"golang.org/x/sys/unix"

	"hornwork/gofer/server"
	"hornwork/linux"
)

// runtimeRules is what Go's runtime needs in any process of ours.
func runtimeRules() []Rule {
	return []Rule{
		{Nr: unix.SYS_FUTEX, Why: "Go's locks; waking and waiting for stubs"},
		{Nr: unix.SYS_MMAP, Why: "Go's heap; windows on the memory file; nothing executable", Any: [][]Arg{{{Index: 2, Mask: unix.PROT_EXEC, Value: 0}}}},
		{Nr: unix.SYS_MUNMAP, Why: "Go's heap"},
		{Nr: unix.SYS_MADVISE, Why: "Go gives memory back"},
		{Nr: unix.SYS_RT_SIGACTION, Why: "Go's signals"},
		{Nr: unix.SYS_RT_SIGPROCMASK, Why: "Go's signals, when a thread starts"},
		{Nr: unix.SYS_RT_SIGRETURN, Why: "return from Go's signal handlers"},
		{Nr: unix.SYS_SIGALTSTACK, Why: "Go's signals, when a thread starts"},
		{Nr: unix.SYS_TGKILL, Why: "Go preempts goroutines; interrupting a stub's thread"},
		{Nr: unix.SYS_GETPID, Why: "Go preempts goroutines"},
		{Nr: unix.SYS_GETTID, Why: "Go, when a thread starts"},
		{Nr: unix.SYS_CLONE, Why: "Go's threads", Any: [][]Arg{{{Index: 0, Mask: unix.CLONE_THREAD | unix.CLONE_VM, Value: unix.CLONE_THREAD | unix.CLONE_VM}}}},
		{Nr: unix.SYS_EXIT, Why: "a thread ends"},
		{Nr: unix.SYS_EXIT_GROUP, Why: "the process ends"},
		{Nr: unix.SYS_SCHED_YIELD, Why: "Go's scheduler"},
		{Nr: unix.SYS_SCHED_GETAFFINITY, Why: "Go counts processors"},
		{Nr: unix.SYS_NANOSLEEP, Why: "Go's background thread"},
		{Nr: unix.SYS_CLOCK_GETTIME, Why: "where the host's vDSO cannot answer"},
		{Nr: unix.SYS_RESTART_SYSCALL, Why: "the host restarts a sleep"},
		{Nr: unix.SYS_EPOLL_CREATE1, Why: "Go's poller; readiness of donated descriptors"},
		{Nr: unix.SYS_EPOLL_CTL, Why: "the same"},
		{Nr: unix.SYS_EPOLL_PWAIT, Why: "the same"},
		{Nr: unix.SYS_EVENTFD2, Why: "waking the poller"},
		{Nr: unix.SYS_PRCTL, Why: "Go names its memory", Any: [][]Arg{{Low(0, unix.PR_SET_VMA)}}},
		{Nr: unix.SYS_GETRANDOM, Why: "random bytes for guests and Go"},
		{Nr: unix.SYS_READ, Why: "donated descriptors, the control socket"},
		{Nr: unix.SYS_WRITE, Why: "donated descriptors, the log, the control socket"},
		{Nr: unix.SYS_CLOSE, Why: "descriptors"},
		{Nr: unix.SYS_FSTAT, Why: "checking donated descriptors"},
		{Nr: unix.SYS_SENDMSG, Why: "requests to the gofer"},
		{Nr: unix.SYS_RECVMSG, Why: "answers of the gofer, with descriptors"},
		{Nr: unix.SYS_FCNTL, Why: "status flags of descriptors", Any: [][]Arg{
			{Low(1, unix.F_GETFL)}, {Low(1, unix.F_SETFL)}, {Low(1, unix.F_GETFD)}, {Low(1, unix.F_SETFD)}, {Low(1, unix.F_DUPFD_CLOEXEC)},
		}},
	}
}

// GoferRules are the host calls of the gofer; writable says whether one of its roots is.
func GoferRules(writable bool) []Rule {
	rules := runtimeRules()
	listed := map[uintptr]bool{}
	for _, r := range rules {
		listed[r.Nr] = true
	}
	calls := server.HostCalls
	if writable {
		calls = append(slices.Clone(calls), server.WritingHostCalls...)
	}
	for _, c := range calls {
		r := Rule{Nr: uintptr(linux.SyscallNumber(c.Name)), Why: c.Why}
		if r.Nr == unix.SYS_SOCKETPAIR {
			r.Any = [][]Arg{{Low(0, unix.AF_UNIX)}}
		}
		if !listed[r.Nr] {
			rules = append(rules, r)
		}
	}
	return rules
}

// Requests of seccomp's listeners (linux/seccomp.h).
const (
	notifRecv     = 0xc0502100
	notifSend     = 0xc0182101
	notifIDValid  = 0x40082102
	notifAddFD    = 0x40182103
	notifSetFlags = 0x40082104
)

// SentryRules are the host calls of the sentry, whichever platform runs its guests.
func SentryRules() []Rule {
	return append(runtimeRules(),
		Rule{Nr: unix.SYS_PREAD64, Why: "donated files"},
		Rule{Nr: unix.SYS_PWRITE64, Why: "donated files"},
		Rule{Nr: unix.SYS_PREADV2, Why: "donated files, straight into guest memory"},
		Rule{Nr: unix.SYS_PWRITEV2, Why: "donated files, straight from guest memory"},
		Rule{Nr: unix.SYS_LSEEK, Why: "holes of donated files"},
		Rule{Nr: unix.SYS_FTRUNCATE, Why: "the memory file grows; donated files"},
		Rule{Nr: unix.SYS_FALLOCATE, Why: "the memory file gives pages back; donated files"},
		Rule{Nr: unix.SYS_FSYNC, Why: "donated files"},
		Rule{Nr: unix.SYS_FDATASYNC, Why: "donated files"},
		Rule{Nr: unix.SYS_FSTATFS, Why: "donated files"},
		Rule{Nr: unix.SYS_COPY_FILE_RANGE, Why: "copies between donated files"},
		Rule{Nr: unix.SYS_MINCORE, Why: "which pages of the memory file are there"},
		Rule{Nr: unix.SYS_POLL, Why: "readiness of donated descriptors and stubs"},
		Rule{Nr: unix.SYS_PPOLL, Why: "readiness of donated descriptors"},
		Rule{Nr: unix.SYS_SHUTDOWN, Why: "sockets that the user's shell passed as standard streams"},
		Rule{Nr: unix.SYS_SETSOCKOPT, Why: "buffers of the sockets to the gofer"},
	)
}

// TrapRules are what the trap platform adds.
func TrapRules() []Rule {
	var requests [][]Arg
	for _, r := range []uint32{notifRecv, notifSend, notifIDValid, notifAddFD, notifSetFlags, unix.TCGETS, unix.TIOCGWINSZ, linux.FIONREAD} {
		requests = append(requests, []Arg{Low(1, r)})
	}
	return []Rule{
		{Nr: unix.SYS_IOCTL, Why: "listeners of stubs; is a standard stream a terminal", Any: requests},
		{Nr: unix.SYS_PIDFD_OPEN, Why: "one for each stub"},
		{Nr: unix.SYS_PIDFD_GETFD, Why: "a new thread's listener"},
		{Nr: unix.SYS_PIDFD_SEND_SIGNAL, Why: "the end of a stub"},
		{Nr: unix.SYS_SCHED_SETAFFINITY, Why: "a stub's thread on another processor than the sentry's"},
		{Nr: unix.SYS_WAIT4, Why: "the zygote's end"},
		{Nr: unix.SYS_SOCKETPAIR, Why: "donated files on their way into a stub", Any: [][]Arg{{Low(0, unix.AF_UNIX)}}},
	}
}

// PtraceRules are what the ptrace platform adds.
func PtraceRules() []Rule {
	return []Rule{
		{Nr: unix.SYS_IOCTL, Why: "is a standard stream a terminal", Any: [][]Arg{{Low(1, unix.TCGETS)}, {Low(1, unix.TIOCGWINSZ)}, {Low(1, linux.FIONREAD)}}},
		{Nr: unix.SYS_PTRACE, Why: "stubs"},
		{Nr: unix.SYS_WAIT4, Why: "stubs"},
		{Nr: unix.SYS_WAITID, Why: "a stub's thread that ended while its owner does not run", Any: [][]Arg{{Low(0, unix.P_PID)}}},
		{Nr: unix.SYS_KILL, Why: "stubs; the sentry is alone in its PID namespace with them"},
		{Nr: unix.SYS_PROCESS_VM_READV, Why: "the instruction that faulted"},
	}
}
