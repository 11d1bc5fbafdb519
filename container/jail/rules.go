package jail

import (
	"golang.org/x/sys/unix"
)

// runtimeRules is what Go's runtime needs in any process of ours.
func runtimeRules() []Rule {
	return []Rule{
		{Nr: unix.SYS_FUTEX, Why: "Go's locks; waking and waiting for stubs"},
		{Nr: unix.SYS_MMAP, Why: "Go's heap; windows on the memory file"},
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

// GoferRules are the host calls of the gofer.
func GoferRules() []Rule {
	return append(runtimeRules(),
		Rule{Nr: unix.SYS_OPENAT2, Why: "every path, beneath a root"},
		Rule{Nr: unix.SYS_OPENAT, Why: "a node's own descriptor, by O_PATH"},
		Rule{Nr: unix.SYS_STATX, Why: "attributes"},
		Rule{Nr: unix.SYS_NEWFSTATAT, Why: "attributes"},
		Rule{Nr: unix.SYS_GETDENTS64, Why: "directories"},
		Rule{Nr: unix.SYS_READLINKAT, Why: "symbolic links"},
		Rule{Nr: unix.SYS_LSEEK, Why: "directories from the start"},
		Rule{Nr: unix.SYS_FSTATFS, Why: "statfs, and refusing kernel file systems"},
		Rule{Nr: unix.SYS_MKDIRAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_MKNODAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_SYMLINKAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_LINKAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_UNLINKAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_RENAMEAT2, Why: "writable roots"},
		Rule{Nr: unix.SYS_FCHMOD, Why: "writable roots"},
		Rule{Nr: unix.SYS_FCHMODAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_FCHOWNAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_UTIMENSAT, Why: "writable roots"},
		Rule{Nr: unix.SYS_FTRUNCATE, Why: "writable roots"},
		Rule{Nr: unix.SYS_FSYNC, Why: "writable roots"},
		Rule{Nr: unix.SYS_UMASK, Why: "the sentry has applied the guest's"},
		Rule{Nr: unix.SYS_PRLIMIT64, Why: "room for descriptors"},
	)
}
