package server

// HostCall is a system call that the gofer makes after it has started, with the reason.
type HostCall struct {
	Name string
	Why  string
}

// HostCalls lists what the jail has to let through for Serve, the calls of Go's runtime left out. The gofer
// opens no sockets, executes nothing, and opens files by openat2 only, whose arguments a filter cannot see but
// which resolves beneath the descriptors that the gofer holds.
var HostCalls = []HostCall{
	{"recvmsg", "receives requests"},
	{"sendmsg", "sends answers and donates descriptors"},
	{"socketpair", "makes more channels; AF_UNIX, SOCK_SEQPACKET only"},
	{"shutdown", "ends the other channels when the sentry has gone"},
	{"openat2", "opens files and directories beneath a root, with RESOLVE_BENEATH, _NO_SYMLINKS and _NO_MAGICLINKS"},
	{"close", "gives descriptors back"},
	{"fcntl", "F_DUPFD_CLOEXEC of a file made by O_TMPFILE"},
	{"statx", "reads attributes"},
	{"fstatfs", "statfs, and to keep kernel filesystems from being served"},
	{"getdents64", "reads directories"},
	{"lseek", "goes on in a large directory"},
	{"readlinkat", "reads symbolic links"},
	{"fgetxattr", "reads an extended attribute"},
	{"flistxattr", "lists extended attributes"},
	{"fsync", "makes directories and files durable"},
	{"fdatasync", "makes data durable"},
	{"umask", "once at the start: modes come from the guest"},
	{"prlimit64", "once at the start: raises RLIMIT_NOFILE"},
}

// WritingHostCalls lists what a gofer with a writable root needs beyond HostCalls.
var WritingHostCalls = []HostCall{
	{"ftruncate", "truncates a file"},
	{"fchmodat2", "changes modes (Linux 6.6)"},
	{"fchmod", "changes modes before Linux 6.6"},
	{"fchownat", "changes owners"},
	{"utimensat", "changes times"},
	{"mkdirat", "makes directories"},
	{"mknodat", "makes FIFOs and sockets; device nodes are refused"},
	{"symlinkat", "makes symbolic links"},
	{"linkat", "makes links within a root"},
	{"unlinkat", "removes names"},
	{"renameat2", "moves names within a root"},
	{"fsetxattr", "sets an extended attribute"},
	{"fremovexattr", "removes an extended attribute"},
}
