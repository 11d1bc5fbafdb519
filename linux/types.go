package linux

// Structures as amd64 programs lay them out in memory. None holds a pointer: addresses are uint64.

// Timespec is struct timespec.
type Timespec struct {
	Sec  int64
	Nsec int64
}

// Timeval is struct timeval.
type Timeval struct {
	Sec  int64
	Usec int64
}

// Itimerspec is struct itimerspec.
type Itimerspec struct{ Interval, Value Timespec }

// Itimerval is struct itimerval.
type Itimerval struct{ Interval, Value Timeval }

// Stat is struct stat of newfstatat(2).
type Stat struct {
	Dev, Ino, Nlink   uint64
	Mode, UID, GID, _ uint32
	Rdev              uint64
	Size, Blksize     int64
	Blocks            int64
	Atim, Mtim, Ctim  Timespec
	_                 [3]int64
}

// StatxTimestamp is struct statx_timestamp.
type StatxTimestamp struct {
	Sec  int64
	Nsec uint32
	_    int32
}

// Statx is struct statx.
type Statx struct {
	Mask, Blksize            uint32
	Attributes               uint64
	Nlink, UID, GID          uint32
	Mode, _                  uint16
	Ino, Size, Blocks        uint64
	AttributesMask           uint64
	Atime, Btime             StatxTimestamp
	Ctime, Mtime             StatxTimestamp
	RdevMajor, RdevMinor     uint32
	DevMajor, DevMinor       uint32
	MntID                    uint64
	DioMemAlign, DioOffAlign uint32
	_                        [12]uint64
}

// Statfs is struct statfs.
type Statfs struct {
	Type, Bsize           int64
	Blocks, Bfree, Bavail uint64
	Files, Ffree          uint64
	Fsid                  [2]int32
	Namelen, Frsize       int64
	Flags                 int64
	_                     [4]int64
}

// IOVec is struct iovec.
type IOVec struct{ Base, Len uint64 }

// Rlimit is struct rlimit64.
type Rlimit struct{ Cur, Max uint64 }

// Rusage is struct rusage.
type Rusage struct {
	Utime, Stime                Timeval
	Maxrss, Ixrss, Idrss, Isrss int64
	Minflt, Majflt, Nswap       int64
	Inblock, Oublock            int64
	Msgsnd, Msgrcv, Nsignals    int64
	Nvcsw, Nivcsw               int64
}

// Utsname is struct new_utsname.
type Utsname struct {
	Sysname, Nodename, Release, Version, Machine, Domainname [65]byte
}

// Sysinfo is struct sysinfo.
type Sysinfo struct {
	Uptime                                  int64
	Loads                                   [3]uint64
	Totalram, Freeram, Sharedram, Bufferram uint64
	Totalswap, Freeswap                     uint64
	Procs, _                                uint16
	_                                       uint32
	Totalhigh, Freehigh                     uint64
	Unit                                    uint32
	_                                       uint32
}

// Tms is struct tms, in clock ticks (USER_HZ = 100).
type Tms struct{ Utime, Stime, Cutime, Cstime int64 }

// Sigset is the kernel's 64-bit signal set; signal n is bit n-1.
type Sigset uint64

// Sigaction is the kernel's struct sigaction.
type Sigaction struct {
	Handler  uint64
	Flags    uint64
	Restorer uint64
	Mask     Sigset
}

// StackT is stack_t of sigaltstack(2).
type StackT struct {
	SP    uint64
	Flags int32
	_     int32
	Size  uint64
}

// Siginfo is siginfo_t: the three common words and the union as bytes.
type Siginfo struct {
	Signo, Errno, Code int32
	_                  int32
	Fields             [112]byte
}

// EpollEvent is struct epoll_event, packed to 12 bytes.
type EpollEvent struct {
	Events uint32
	Data   [2]uint32
}

// Pollfd is struct pollfd.
type Pollfd struct {
	FD              int32
	Events, Revents int16
}

// Flock is struct flock of fcntl(2).
type Flock struct {
	Type, Whence int16
	_            int32
	Start, Len   int64
	PID          int32
	_            int32
}

// Msghdr is struct msghdr.
type Msghdr struct {
	Name       uint64
	Namelen    uint32
	_          uint32
	IOV        uint64
	IOVLen     uint64
	Control    uint64
	ControlLen uint64
	Flags      int32
	_          int32
}

// Mmsghdr is struct mmsghdr.
type Mmsghdr struct {
	Hdr Msghdr
	Len uint32
	_   uint32
}

// Cmsghdr is struct cmsghdr; data follows, each header aligned to 8.
type Cmsghdr struct {
	Len         uint64
	Level, Type int32
}

// Ucred is struct ucred of SCM_CREDENTIALS and SO_PEERCRED.
type Ucred struct {
	PID      int32
	UID, GID uint32
}

// CloneArgs is struct clone_args of clone3(2).
type CloneArgs struct {
	Flags, PidFD, ChildTID, ParentTID, ExitSignal uint64
	Stack, StackSize, TLS                         uint64
	SetTID, SetTIDSize, Cgroup                    uint64
}

// OpenHow is struct open_how of openat2(2).
type OpenHow struct{ Flags, Mode, Resolve uint64 }

// Winsize is struct winsize.
type Winsize struct{ Row, Col, Xpixel, Ypixel uint16 }

// Termios is the kernel's struct termios.
type Termios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	CC                         [19]uint8
}

// Termios2 is the kernel's struct termios2.
type Termios2 struct {
	Termios
	Ispeed, Ospeed uint32
}

// RobustListHead is struct robust_list_head.
type RobustListHead struct {
	List          uint64
	FutexOffset   int64
	ListOpPending uint64
}

// Regs is struct user_regs_struct: the registers in ptrace's order.
type Regs struct {
	R15, R14, R13, R12, RBP, RBX  uint64
	R11, R10, R9, R8              uint64
	RAX, RCX, RDX, RSI, RDI       uint64
	OrigRAX, RIP, CS, Eflags, RSP uint64
	SS, FSBase, GSBase            uint64
	DS, ES, FS, GS                uint64
}
