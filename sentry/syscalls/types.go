package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// FD is a file descriptor.
type FD int32

// DirFD is a directory descriptor of the *at calls, or linux.AT_FDCWD.
type DirFD int32

// Path is the address of a file name in guest memory.
type Path uint64

// Load reads the name. Longer than PATH_MAX with its NUL is ENAMETOOLONG.
func (p Path) Load(t *task.Task) (string, linux.Errno) {
	return t.MM().CopyInString(uint64(p), linux.PATH_MAX)
}

// Str is the address of a string that is not a path: an xattr's name, a filesystem's type.
type Str uint64

// load reads the string; longer than max bytes with its NUL is tooLong.
func (s Str) load(t *task.Task, max int, tooLong linux.Errno) (string, linux.Errno) {
	str, errno := t.MM().CopyInString(uint64(s), max)
	if errno == linux.ENAMETOOLONG {
		return "", tooLong
	}
	return str, errno
}

// InBuf is the address of bytes that the guest hands in; their number is the next argument.
type InBuf uint64

// OutBuf is the address of bytes that the guest gets; their number is the call's result.
type OutBuf uint64

// IOVecs is the address of an array of struct iovec; its length is the next argument.
type IOVecs uint64

// Addr is an address that is only a number to the call (mmap, futex words).
type Addr uint64

// Parameters that the tracer shows in a form of their own. Their values are the constants of linux/ that the
// comment names.
type (
	OpenFlags       uint32 // O_*
	Mode            uint32 // permission bits, in octal
	NodeMode        uint32 // S_IF* and permission bits
	AtFlags         uint32 // AT_*
	UnlinkFlags     uint32 // AT_REMOVEDIR
	AccessMode      uint32 // F_OK, R_OK, W_OK, X_OK
	Whence          uint32 // SEEK_*
	FcntlCmd        uint32 // F_*
	IoctlCmd        uint32
	RWFlags         uint32 // RWF_*
	SpliceFlags     uint32 // SPLICE_F_*
	CloseFlags      uint32 // CLOSE_RANGE_*
	StatxMask       uint32 // STATX_*
	RenameFlags     uint32 // RENAME_*
	FallocMode      uint32 // FALLOC_FL_*
	SyncFlags       uint32 // SYNC_FILE_RANGE_*
	FlockOp         uint32 // LOCK_*
	MountFlags      uint64 // MS_*
	UmountFlags     uint32 // MNT_*
	XattrFlags      uint32 // XATTR_*
	PipeFlags       uint32 // O_CLOEXEC, O_NONBLOCK, O_DIRECT
	EventfdFlags    uint32 // EFD_*
	SignalfdFlags   uint32 // SFD_*
	TimerfdFlags    uint32 // TFD_*
	TimerfdSetFlags uint32 // TFD_TIMER_*
	EpollFlags      uint32 // EPOLL_CLOEXEC
	EpollOp         uint32 // EPOLL_CTL_*
	InotifyFlags    uint32 // IN_CLOEXEC, IN_NONBLOCK
	InotifyMask     uint32 // IN_*
	MemfdFlags      uint32 // MFD_*
	RandomFlags     uint32 // GRND_*
	Prot            uint32 // PROT_*
	MmapFlags       uint32 // MAP_*
	MremapFlags     uint32 // MREMAP_*
	Advice          uint32 // MADV_*
	FileAdvice      uint32 // POSIX_FADV_*
	MsyncFlags      uint32 // MS_ASYNC, MS_SYNC, MS_INVALIDATE
	MlockFlags      uint32 // MCL_*
	AddrFamily      int32  // AF_*
	SockType        uint32 // SOCK_*
	MsgFlags        uint32 // MSG_*
	SockLevel       int32  // SOL_*
	SockOptName     int32  // SO_*
	ShutHow         int32  // SHUT_*
	ClockID         int32  // CLOCK_*
)

// EpollEvents is the address of an array of struct epoll_event that the guest gets.
type EpollEvents uint64

// SockAddr is the address of a struct sockaddr; its length is the next argument.
type SockAddr uint64

// SockAddrOut is the address of room for a struct sockaddr; the next argument points to its length.
type SockAddrOut uint64

// none is the result of a call that only succeeds or fails.
func none(errno linux.Errno) (uintptr, linux.Errno) { return 0, errno }

var _ = mm.User[uint32](0)
