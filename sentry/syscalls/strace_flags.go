package syscalls

import (
	"fmt"
	"reflect"

	"hornwork/linux"
	"hornwork/sentry/trace"
)

// flagTypes print parameters of the named types, in strace's order of names.
var flagTypes = map[reflect.Type]func(uint64) string{
	reflect.TypeFor[DirFD]():      dirfdText,
	reflect.TypeFor[Mode]():       octalText,
	reflect.TypeFor[NodeMode]():   nodeModeText,
	reflect.TypeFor[AccessMode](): accessText,
	reflect.TypeFor[OpenFlags](): flagsText("O_???", []trace.Bit{
		{linux.O_RDONLY, "O_RDONLY", 3}, {linux.O_WRONLY, "O_WRONLY", 3}, {linux.O_RDWR, "O_RDWR", 3},
		{linux.O_CREAT, "O_CREAT", 0}, {linux.O_EXCL, "O_EXCL", 0}, {linux.O_NOCTTY, "O_NOCTTY", 0},
		{linux.O_TRUNC, "O_TRUNC", 0}, {linux.O_APPEND, "O_APPEND", 0}, {linux.O_NONBLOCK, "O_NONBLOCK", 0},
		{linux.O_SYNC, "O_SYNC", 0}, {linux.O_DSYNC, "O_DSYNC", 0}, {linux.O_ASYNC, "O_ASYNC", 0},
		{linux.O_DIRECT, "O_DIRECT", 0}, {linux.O_LARGEFILE, "O_LARGEFILE", 0}, {linux.O_NOFOLLOW, "O_NOFOLLOW", 0},
		{linux.O_NOATIME, "O_NOATIME", 0}, {linux.O_CLOEXEC, "O_CLOEXEC", 0}, {linux.O_PATH, "O_PATH", 0},
		{linux.O_TMPFILE, "O_TMPFILE", 0}, {linux.O_DIRECTORY, "O_DIRECTORY", 0},
	}),
	reflect.TypeFor[PipeFlags](): flagsText("O_???", []trace.Bit{
		{linux.O_NONBLOCK, "O_NONBLOCK", 0}, {linux.O_DIRECT, "O_DIRECT", 0}, {linux.O_CLOEXEC, "O_CLOEXEC", 0},
	}),
	reflect.TypeFor[AtFlags](): flagsText("AT_???", []trace.Bit{
		{linux.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW", 0}, {linux.AT_EACCESS, "AT_EACCESS", 0},
		{linux.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW", 0}, {linux.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT", 0},
		{linux.AT_EMPTY_PATH, "AT_EMPTY_PATH", 0}, {linux.AT_STATX_FORCE_SYNC, "AT_STATX_FORCE_SYNC", 0},
		{linux.AT_STATX_DONT_SYNC, "AT_STATX_DONT_SYNC", 0}, {linux.AT_RECURSIVE, "AT_RECURSIVE", 0},
	}),
	reflect.TypeFor[UnlinkFlags](): flagsText("AT_???", []trace.Bit{
		{linux.AT_REMOVEDIR, "AT_REMOVEDIR", 0},
	}),
	reflect.TypeFor[Whence](): oneText("SEEK_???", []trace.Bit{
		{linux.SEEK_SET, "SEEK_SET", 0}, {linux.SEEK_CUR, "SEEK_CUR", 0}, {linux.SEEK_END, "SEEK_END", 0},
		{linux.SEEK_DATA, "SEEK_DATA", 0}, {linux.SEEK_HOLE, "SEEK_HOLE", 0},
	}),
	reflect.TypeFor[FcntlCmd](): oneText("F_???", []trace.Bit{
		{linux.F_DUPFD, "F_DUPFD", 0}, {linux.F_GETFD, "F_GETFD", 0}, {linux.F_SETFD, "F_SETFD", 0},
		{linux.F_GETFL, "F_GETFL", 0}, {linux.F_SETFL, "F_SETFL", 0}, {linux.F_GETLK, "F_GETLK", 0},
		{linux.F_SETLK, "F_SETLK", 0}, {linux.F_SETLKW, "F_SETLKW", 0}, {linux.F_SETOWN, "F_SETOWN", 0},
		{linux.F_GETOWN, "F_GETOWN", 0}, {linux.F_SETSIG, "F_SETSIG", 0}, {linux.F_GETSIG, "F_GETSIG", 0},
		{linux.F_SETOWN_EX, "F_SETOWN_EX", 0}, {linux.F_GETOWN_EX, "F_GETOWN_EX", 0},
		{linux.F_OFD_GETLK, "F_OFD_GETLK", 0}, {linux.F_OFD_SETLK, "F_OFD_SETLK", 0},
		{linux.F_OFD_SETLKW, "F_OFD_SETLKW", 0}, {linux.F_SETLEASE, "F_SETLEASE", 0},
		{linux.F_GETLEASE, "F_GETLEASE", 0}, {linux.F_NOTIFY, "F_NOTIFY", 0},
		{linux.F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC", 0}, {linux.F_SETPIPE_SZ, "F_SETPIPE_SZ", 0},
		{linux.F_GETPIPE_SZ, "F_GETPIPE_SZ", 0}, {linux.F_ADD_SEALS, "F_ADD_SEALS", 0},
		{linux.F_GET_SEALS, "F_GET_SEALS", 0}, {linux.F_GET_RW_HINT, "F_GET_RW_HINT", 0},
		{linux.F_SET_RW_HINT, "F_SET_RW_HINT", 0}, {linux.F_GET_FILE_RW_HINT, "F_GET_FILE_RW_HINT", 0},
		{linux.F_SET_FILE_RW_HINT, "F_SET_FILE_RW_HINT", 0},
	}),
	reflect.TypeFor[IoctlCmd](): oneText("???", []trace.Bit{
		{linux.TCGETS, "TCGETS", 0}, {linux.TCSETS, "TCSETS", 0}, {linux.TCSETSW, "TCSETSW", 0},
		{linux.TCSETSF, "TCSETSF", 0}, {linux.TCSBRK, "TCSBRK", 0}, {linux.TCXONC, "TCXONC", 0},
		{linux.TCFLSH, "TCFLSH", 0}, {linux.TIOCEXCL, "TIOCEXCL", 0}, {linux.TIOCSCTTY, "TIOCSCTTY", 0},
		{linux.TIOCGPGRP, "TIOCGPGRP", 0}, {linux.TIOCSPGRP, "TIOCSPGRP", 0}, {linux.TIOCOUTQ, "TIOCOUTQ", 0},
		{linux.TIOCSTI, "TIOCSTI", 0}, {linux.TIOCGWINSZ, "TIOCGWINSZ", 0}, {linux.TIOCSWINSZ, "TIOCSWINSZ", 0},
		{linux.FIONREAD, "FIONREAD", 0}, {linux.FIONBIO, "FIONBIO", 0}, {linux.FIOASYNC, "FIOASYNC", 0},
		{linux.FIOCLEX, "FIOCLEX", 0}, {linux.FIONCLEX, "FIONCLEX", 0}, {linux.FIOQSIZE, "FIOQSIZE", 0},
		{linux.TIOCNOTTY, "TIOCNOTTY", 0}, {linux.TIOCGSID, "TIOCGSID", 0}, {linux.TIOCGPTN, "TIOCGPTN", 0},
		{linux.TIOCSPTLCK, "TIOCSPTLCK", 0}, {linux.TIOCGPTPEER, "TIOCGPTPEER", 0},
		{linux.TIOCGPTLCK, "TIOCGPTLCK", 0}, {linux.TIOCPKT, "TIOCPKT", 0}, {linux.TCGETS2, "TCGETS2", 0},
		{linux.TCSETS2, "TCSETS2", 0}, {linux.FICLONE, "FICLONE", 0}, {linux.FICLONERANGE, "FICLONERANGE", 0},
		{linux.FIBMAP, "FIBMAP", 0}, {linux.FIGETBSZ, "FIGETBSZ", 0}, {linux.SIOCGIFCONF, "SIOCGIFCONF", 0},
		{linux.SIOCGIFFLAGS, "SIOCGIFFLAGS", 0}, {linux.SIOCGIFINDEX, "SIOCGIFINDEX", 0},
		{linux.SIOCGIFNAME, "SIOCGIFNAME", 0},
	}),
	reflect.TypeFor[RWFlags](): flagsText("RWF_???", []trace.Bit{
		{linux.RWF_HIPRI, "RWF_HIPRI", 0}, {linux.RWF_DSYNC, "RWF_DSYNC", 0}, {linux.RWF_SYNC, "RWF_SYNC", 0},
		{linux.RWF_NOWAIT, "RWF_NOWAIT", 0}, {linux.RWF_APPEND, "RWF_APPEND", 0},
	}),
	reflect.TypeFor[SpliceFlags](): flagsText("SPLICE_F_???", []trace.Bit{
		{linux.SPLICE_F_MOVE, "SPLICE_F_MOVE", 0}, {linux.SPLICE_F_NONBLOCK, "SPLICE_F_NONBLOCK", 0},
		{linux.SPLICE_F_MORE, "SPLICE_F_MORE", 0}, {linux.SPLICE_F_GIFT, "SPLICE_F_GIFT", 0},
	}),
	reflect.TypeFor[CloseFlags](): flagsText("CLOSE_RANGE_???", []trace.Bit{
		{linux.CLOSE_RANGE_UNSHARE, "CLOSE_RANGE_UNSHARE", 0}, {linux.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC", 0},
	}),
	reflect.TypeFor[StatxMask](): flagsText("STATX_???", []trace.Bit{
		{linux.STATX_ALL, "STATX_ALL", 0}, {linux.STATX_BASIC_STATS, "STATX_BASIC_STATS", 0},
		{linux.STATX_TYPE, "STATX_TYPE", 0}, {linux.STATX_MODE, "STATX_MODE", 0},
		{linux.STATX_NLINK, "STATX_NLINK", 0}, {linux.STATX_UID, "STATX_UID", 0}, {linux.STATX_GID, "STATX_GID", 0},
		{linux.STATX_ATIME, "STATX_ATIME", 0}, {linux.STATX_MTIME, "STATX_MTIME", 0},
		{linux.STATX_CTIME, "STATX_CTIME", 0}, {linux.STATX_INO, "STATX_INO", 0},
		{linux.STATX_SIZE, "STATX_SIZE", 0}, {linux.STATX_BLOCKS, "STATX_BLOCKS", 0},
		{linux.STATX_BTIME, "STATX_BTIME", 0}, {linux.STATX_MNT_ID, "STATX_MNT_ID", 0},
		{linux.STATX_DIOALIGN, "STATX_DIOALIGN", 0},
	}),
	reflect.TypeFor[RenameFlags](): flagsText("RENAME_???", []trace.Bit{
		{linux.RENAME_NOREPLACE, "RENAME_NOREPLACE", 0}, {linux.RENAME_EXCHANGE, "RENAME_EXCHANGE", 0},
		{linux.RENAME_WHITEOUT, "RENAME_WHITEOUT", 0},
	}),
	reflect.TypeFor[FallocMode](): flagsText("FALLOC_FL_???", []trace.Bit{
		{linux.FALLOC_FL_KEEP_SIZE, "FALLOC_FL_KEEP_SIZE", 0},
		{linux.FALLOC_FL_PUNCH_HOLE, "FALLOC_FL_PUNCH_HOLE", 0},
		{linux.FALLOC_FL_COLLAPSE_RANGE, "FALLOC_FL_COLLAPSE_RANGE", 0},
		{linux.FALLOC_FL_ZERO_RANGE, "FALLOC_FL_ZERO_RANGE", 0},
		{linux.FALLOC_FL_INSERT_RANGE, "FALLOC_FL_INSERT_RANGE", 0},
		{linux.FALLOC_FL_UNSHARE_RANGE, "FALLOC_FL_UNSHARE_RANGE", 0},
	}),
	reflect.TypeFor[SyncFlags](): flagsText("SYNC_FILE_RANGE_???", []trace.Bit{
		{linux.SYNC_FILE_RANGE_WAIT_BEFORE, "SYNC_FILE_RANGE_WAIT_BEFORE", 0},
		{linux.SYNC_FILE_RANGE_WRITE, "SYNC_FILE_RANGE_WRITE", 0},
		{linux.SYNC_FILE_RANGE_WAIT_AFTER, "SYNC_FILE_RANGE_WAIT_AFTER", 0},
	}),
	reflect.TypeFor[FlockOp](): flagsText("LOCK_???", []trace.Bit{
		{linux.LOCK_SH, "LOCK_SH", 0}, {linux.LOCK_EX, "LOCK_EX", 0}, {linux.LOCK_UN, "LOCK_UN", 0},
		{linux.LOCK_NB, "LOCK_NB", 0},
	}),
	reflect.TypeFor[MountFlags](): flagsText("MS_???", []trace.Bit{
		{linux.MS_RDONLY, "MS_RDONLY", 0}, {linux.MS_NOSUID, "MS_NOSUID", 0}, {linux.MS_NODEV, "MS_NODEV", 0},
		{linux.MS_NOEXEC, "MS_NOEXEC", 0}, {linux.MS_SYNCHRONOUS, "MS_SYNCHRONOUS", 0},
		{linux.MS_REMOUNT, "MS_REMOUNT", 0}, {linux.MS_MANDLOCK, "MS_MANDLOCK", 0},
		{linux.MS_DIRSYNC, "MS_DIRSYNC", 0}, {linux.MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW", 0},
		{linux.MS_NOATIME, "MS_NOATIME", 0}, {linux.MS_NODIRATIME, "MS_NODIRATIME", 0},
		{linux.MS_BIND, "MS_BIND", 0}, {linux.MS_MOVE, "MS_MOVE", 0}, {linux.MS_REC, "MS_REC", 0},
		{linux.MS_SILENT, "MS_SILENT", 0}, {linux.MS_UNBINDABLE, "MS_UNBINDABLE", 0},
		{linux.MS_PRIVATE, "MS_PRIVATE", 0}, {linux.MS_SLAVE, "MS_SLAVE", 0}, {linux.MS_SHARED, "MS_SHARED", 0},
		{linux.MS_RELATIME, "MS_RELATIME", 0}, {linux.MS_STRICTATIME, "MS_STRICTATIME", 0},
		{linux.MS_LAZYTIME, "MS_LAZYTIME", 0},
	}),
	reflect.TypeFor[UmountFlags](): flagsText("MNT_???", []trace.Bit{
		{linux.MNT_FORCE, "MNT_FORCE", 0}, {linux.MNT_DETACH, "MNT_DETACH", 0}, {linux.MNT_EXPIRE, "MNT_EXPIRE", 0},
		{linux.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW", 0},
	}),
	reflect.TypeFor[XattrFlags](): flagsText("XATTR_???", []trace.Bit{
		{linux.XATTR_CREATE, "XATTR_CREATE", 0}, {linux.XATTR_REPLACE, "XATTR_REPLACE", 0},
	}),
	reflect.TypeFor[EventfdFlags](): flagsText("EFD_???", []trace.Bit{
		{linux.EFD_CLOEXEC, "EFD_CLOEXEC", 0}, {linux.EFD_NONBLOCK, "EFD_NONBLOCK", 0},
		{linux.EFD_SEMAPHORE, "EFD_SEMAPHORE", 0},
	}),
	reflect.TypeFor[SignalfdFlags](): flagsText("SFD_???", []trace.Bit{
		{linux.SFD_CLOEXEC, "SFD_CLOEXEC", 0}, {linux.SFD_NONBLOCK, "SFD_NONBLOCK", 0},
	}),
	reflect.TypeFor[TimerfdFlags](): flagsText("TFD_???", []trace.Bit{
		{linux.TFD_CLOEXEC, "TFD_CLOEXEC", 0}, {linux.TFD_NONBLOCK, "TFD_NONBLOCK", 0},
	}),
	reflect.TypeFor[TimerfdSetFlags](): flagsText("TFD_???", []trace.Bit{
		{linux.TFD_TIMER_ABSTIME, "TFD_TIMER_ABSTIME", 0},
		{linux.TFD_TIMER_CANCEL_ON_SET, "TFD_TIMER_CANCEL_ON_SET", 0},
	}),
	reflect.TypeFor[EpollFlags](): flagsText("EPOLL_???", []trace.Bit{
		{linux.EPOLL_CLOEXEC, "EPOLL_CLOEXEC", 0},
	}),
	reflect.TypeFor[EpollOp](): oneText("EPOLL_CTL_???", []trace.Bit{
		{linux.EPOLL_CTL_ADD, "EPOLL_CTL_ADD", 0}, {linux.EPOLL_CTL_DEL, "EPOLL_CTL_DEL", 0},
		{linux.EPOLL_CTL_MOD, "EPOLL_CTL_MOD", 0},
	}),
	reflect.TypeFor[InotifyFlags](): flagsText("IN_???", []trace.Bit{
		{linux.IN_CLOEXEC, "IN_CLOEXEC", 0}, {linux.IN_NONBLOCK, "IN_NONBLOCK", 0},
	}),
	reflect.TypeFor[InotifyMask](): flagsText("IN_???", []trace.Bit{
		{linux.IN_ALL_EVENTS, "IN_ALL_EVENTS", 0}, {linux.IN_ACCESS, "IN_ACCESS", 0},
		{linux.IN_MODIFY, "IN_MODIFY", 0}, {linux.IN_ATTRIB, "IN_ATTRIB", 0},
		{linux.IN_CLOSE_WRITE, "IN_CLOSE_WRITE", 0}, {linux.IN_CLOSE_NOWRITE, "IN_CLOSE_NOWRITE", 0},
		{linux.IN_OPEN, "IN_OPEN", 0}, {linux.IN_MOVED_FROM, "IN_MOVED_FROM", 0},
		{linux.IN_MOVED_TO, "IN_MOVED_TO", 0}, {linux.IN_CREATE, "IN_CREATE", 0}, {linux.IN_DELETE, "IN_DELETE", 0},
		{linux.IN_DELETE_SELF, "IN_DELETE_SELF", 0}, {linux.IN_MOVE_SELF, "IN_MOVE_SELF", 0},
		{linux.IN_UNMOUNT, "IN_UNMOUNT", 0}, {linux.IN_Q_OVERFLOW, "IN_Q_OVERFLOW", 0},
		{linux.IN_IGNORED, "IN_IGNORED", 0}, {linux.IN_ONLYDIR, "IN_ONLYDIR", 0},
		{linux.IN_DONT_FOLLOW, "IN_DONT_FOLLOW", 0}, {linux.IN_EXCL_UNLINK, "IN_EXCL_UNLINK", 0},
		{linux.IN_MASK_CREATE, "IN_MASK_CREATE", 0}, {linux.IN_MASK_ADD, "IN_MASK_ADD", 0},
		{linux.IN_ISDIR, "IN_ISDIR", 0}, {linux.IN_ONESHOT, "IN_ONESHOT", 0},
	}),
	reflect.TypeFor[MemfdFlags](): flagsText("MFD_???", []trace.Bit{
		{linux.MFD_CLOEXEC, "MFD_CLOEXEC", 0}, {linux.MFD_ALLOW_SEALING, "MFD_ALLOW_SEALING", 0},
		{linux.MFD_HUGETLB, "MFD_HUGETLB", 0},
	}),
	reflect.TypeFor[RandomFlags](): flagsText("GRND_???", []trace.Bit{
		{linux.GRND_NONBLOCK, "GRND_NONBLOCK", 0}, {linux.GRND_RANDOM, "GRND_RANDOM", 0},
		{linux.GRND_INSECURE, "GRND_INSECURE", 0},
	}),
	reflect.TypeFor[Prot](): flagsText("PROT_???", []trace.Bit{
		{linux.PROT_READ, "PROT_READ", 0}, {linux.PROT_WRITE, "PROT_WRITE", 0}, {linux.PROT_EXEC, "PROT_EXEC", 0},
		{linux.PROT_SEM, "PROT_SEM", 0}, {linux.PROT_GROWSDOWN, "PROT_GROWSDOWN", 0},
		{linux.PROT_GROWSUP, "PROT_GROWSUP", 0},
	}),
	reflect.TypeFor[MmapFlags](): flagsText("MAP_???", []trace.Bit{
		{linux.MAP_SHARED, "MAP_SHARED", 15}, {linux.MAP_PRIVATE, "MAP_PRIVATE", 15},
		{linux.MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE", 15}, {linux.MAP_FIXED, "MAP_FIXED", 0},
		{linux.MAP_ANONYMOUS, "MAP_ANONYMOUS", 0}, {linux.MAP_32BIT, "MAP_32BIT", 0},
		{linux.MAP_GROWSDOWN, "MAP_GROWSDOWN", 0}, {linux.MAP_DENYWRITE, "MAP_DENYWRITE", 0},
		{linux.MAP_EXECUTABLE, "MAP_EXECUTABLE", 0}, {linux.MAP_LOCKED, "MAP_LOCKED", 0},
		{linux.MAP_NORESERVE, "MAP_NORESERVE", 0}, {linux.MAP_POPULATE, "MAP_POPULATE", 0},
		{linux.MAP_NONBLOCK, "MAP_NONBLOCK", 0}, {linux.MAP_STACK, "MAP_STACK", 0},
		{linux.MAP_HUGETLB, "MAP_HUGETLB", 0}, {linux.MAP_SYNC, "MAP_SYNC", 0},
		{linux.MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE", 0},
	}),
	reflect.TypeFor[MremapFlags](): flagsText("MREMAP_???", []trace.Bit{
		{linux.MREMAP_MAYMOVE, "MREMAP_MAYMOVE", 0}, {linux.MREMAP_FIXED, "MREMAP_FIXED", 0},
		{linux.MREMAP_DONTUNMAP, "MREMAP_DONTUNMAP", 0},
	}),
	reflect.TypeFor[Advice](): oneText("MADV_???", []trace.Bit{
		{linux.MADV_NORMAL, "MADV_NORMAL", 0}, {linux.MADV_RANDOM, "MADV_RANDOM", 0},
		{linux.MADV_SEQUENTIAL, "MADV_SEQUENTIAL", 0}, {linux.MADV_WILLNEED, "MADV_WILLNEED", 0},
		{linux.MADV_DONTNEED, "MADV_DONTNEED", 0}, {linux.MADV_FREE, "MADV_FREE", 0},
		{linux.MADV_REMOVE, "MADV_REMOVE", 0}, {linux.MADV_DONTFORK, "MADV_DONTFORK", 0},
		{linux.MADV_DOFORK, "MADV_DOFORK", 0}, {linux.MADV_MERGEABLE, "MADV_MERGEABLE", 0},
		{linux.MADV_UNMERGEABLE, "MADV_UNMERGEABLE", 0}, {linux.MADV_HUGEPAGE, "MADV_HUGEPAGE", 0},
		{linux.MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE", 0}, {linux.MADV_DONTDUMP, "MADV_DONTDUMP", 0},
		{linux.MADV_DODUMP, "MADV_DODUMP", 0}, {linux.MADV_WIPEONFORK, "MADV_WIPEONFORK", 0},
		{linux.MADV_KEEPONFORK, "MADV_KEEPONFORK", 0}, {linux.MADV_COLD, "MADV_COLD", 0},
		{linux.MADV_PAGEOUT, "MADV_PAGEOUT", 0}, {linux.MADV_POPULATE_READ, "MADV_POPULATE_READ", 0},
		{linux.MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE", 0},
		{linux.MADV_DONTNEED_LOCKED, "MADV_DONTNEED_LOCKED", 0}, {linux.MADV_COLLAPSE, "MADV_COLLAPSE", 0},
	}),
	reflect.TypeFor[FileAdvice](): oneText("POSIX_FADV_???", []trace.Bit{
		{linux.POSIX_FADV_NORMAL, "POSIX_FADV_NORMAL", 0}, {linux.POSIX_FADV_RANDOM, "POSIX_FADV_RANDOM", 0},
		{linux.POSIX_FADV_SEQUENTIAL, "POSIX_FADV_SEQUENTIAL", 0},
		{linux.POSIX_FADV_WILLNEED, "POSIX_FADV_WILLNEED", 0}, {linux.POSIX_FADV_DONTNEED, "POSIX_FADV_DONTNEED", 0},
		{linux.POSIX_FADV_NOREUSE, "POSIX_FADV_NOREUSE", 0},
	}),
	reflect.TypeFor[MsyncFlags](): flagsText("MS_???", []trace.Bit{
		{linux.MS_ASYNC, "MS_ASYNC", 0}, {linux.MS_INVALIDATE, "MS_INVALIDATE", 0}, {linux.MS_SYNC, "MS_SYNC", 0},
	}),
	reflect.TypeFor[MlockFlags](): flagsText("MCL_???", []trace.Bit{
		{linux.MCL_CURRENT, "MCL_CURRENT", 0}, {linux.MCL_FUTURE, "MCL_FUTURE", 0},
		{linux.MCL_ONFAULT, "MCL_ONFAULT", 0},
	}),
	reflect.TypeFor[AddrFamily](): oneText("AF_???", []trace.Bit{
		{linux.AF_UNSPEC, "AF_UNSPEC", 0}, {linux.AF_UNIX, "AF_UNIX", 0}, {linux.AF_INET, "AF_INET", 0},
		{linux.AF_INET6, "AF_INET6", 0}, {linux.AF_NETLINK, "AF_NETLINK", 0}, {linux.AF_PACKET, "AF_PACKET", 0},
		{linux.AF_VSOCK, "AF_VSOCK", 0}, {linux.AF_ALG, "AF_ALG", 0}, {linux.AF_BLUETOOTH, "AF_BLUETOOTH", 0},
		{linux.AF_CAN, "AF_CAN", 0},
	}),
	reflect.TypeFor[SockType](): flagsText("SOCK_???", []trace.Bit{
		{linux.SOCK_STREAM, "SOCK_STREAM", 15}, {linux.SOCK_DGRAM, "SOCK_DGRAM", 15},
		{linux.SOCK_RAW, "SOCK_RAW", 15}, {linux.SOCK_SEQPACKET, "SOCK_SEQPACKET", 15},
		{linux.SOCK_CLOEXEC, "SOCK_CLOEXEC", 0}, {linux.SOCK_NONBLOCK, "SOCK_NONBLOCK", 0},
	}),
	reflect.TypeFor[MsgFlags](): flagsText("MSG_???", []trace.Bit{
		{linux.MSG_OOB, "MSG_OOB", 0}, {linux.MSG_PEEK, "MSG_PEEK", 0}, {linux.MSG_DONTROUTE, "MSG_DONTROUTE", 0},
		{linux.MSG_CTRUNC, "MSG_CTRUNC", 0}, {linux.MSG_TRUNC, "MSG_TRUNC", 0},
		{linux.MSG_DONTWAIT, "MSG_DONTWAIT", 0}, {linux.MSG_EOR, "MSG_EOR", 0},
		{linux.MSG_WAITALL, "MSG_WAITALL", 0}, {linux.MSG_CONFIRM, "MSG_CONFIRM", 0},
		{linux.MSG_ERRQUEUE, "MSG_ERRQUEUE", 0}, {linux.MSG_NOSIGNAL, "MSG_NOSIGNAL", 0},
		{linux.MSG_MORE, "MSG_MORE", 0}, {linux.MSG_WAITFORONE, "MSG_WAITFORONE", 0},
		{linux.MSG_ZEROCOPY, "MSG_ZEROCOPY", 0}, {linux.MSG_FASTOPEN, "MSG_FASTOPEN", 0},
		{linux.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC", 0},
	}),
	reflect.TypeFor[SockLevel](): oneText("SOL_???", []trace.Bit{
		{linux.SOL_SOCKET, "SOL_SOCKET", 0}, {linux.SOL_NETLINK, "SOL_NETLINK", 0},
		{linux.SOL_PACKET, "SOL_PACKET", 0}, {linux.SOL_RAW, "SOL_RAW", 0},
	}),
	reflect.TypeFor[SockOptName](): oneText("SO_???", []trace.Bit{
		{linux.SO_DEBUG, "SO_DEBUG", 0}, {linux.SO_REUSEADDR, "SO_REUSEADDR", 0}, {linux.SO_TYPE, "SO_TYPE", 0},
		{linux.SO_ERROR, "SO_ERROR", 0}, {linux.SO_DONTROUTE, "SO_DONTROUTE", 0},
		{linux.SO_BROADCAST, "SO_BROADCAST", 0}, {linux.SO_SNDBUF, "SO_SNDBUF", 0},
		{linux.SO_RCVBUF, "SO_RCVBUF", 0}, {linux.SO_KEEPALIVE, "SO_KEEPALIVE", 0},
		{linux.SO_OOBINLINE, "SO_OOBINLINE", 0}, {linux.SO_PRIORITY, "SO_PRIORITY", 0},
		{linux.SO_LINGER, "SO_LINGER", 0}, {linux.SO_REUSEPORT, "SO_REUSEPORT", 0},
		{linux.SO_PASSCRED, "SO_PASSCRED", 0}, {linux.SO_PEERCRED, "SO_PEERCRED", 0},
		{linux.SO_RCVLOWAT, "SO_RCVLOWAT", 0}, {linux.SO_SNDLOWAT, "SO_SNDLOWAT", 0},
		{linux.SO_RCVTIMEO, "SO_RCVTIMEO", 0}, {linux.SO_SNDTIMEO, "SO_SNDTIMEO", 0},
		{linux.SO_TIMESTAMP, "SO_TIMESTAMP", 0}, {linux.SO_ACCEPTCONN, "SO_ACCEPTCONN", 0},
		{linux.SO_PEERSEC, "SO_PEERSEC", 0}, {linux.SO_SNDBUFFORCE, "SO_SNDBUFFORCE", 0},
		{linux.SO_RCVBUFFORCE, "SO_RCVBUFFORCE", 0}, {linux.SO_PASSSEC, "SO_PASSSEC", 0},
		{linux.SO_PROTOCOL, "SO_PROTOCOL", 0}, {linux.SO_DOMAIN, "SO_DOMAIN", 0},
		{linux.SO_PEEK_OFF, "SO_PEEK_OFF", 0}, {linux.SO_PEERGROUPS, "SO_PEERGROUPS", 0},
	}),
	reflect.TypeFor[ShutHow](): oneText("SHUT_???", []trace.Bit{
		{linux.SHUT_RD, "SHUT_RD", 0}, {linux.SHUT_WR, "SHUT_WR", 0}, {linux.SHUT_RDWR, "SHUT_RDWR", 0},
	}),
	reflect.TypeFor[ClockID](): oneText("CLOCK_???", []trace.Bit{
		{linux.CLOCK_REALTIME, "CLOCK_REALTIME", 0}, {linux.CLOCK_MONOTONIC, "CLOCK_MONOTONIC", 0},
		{linux.CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID", 0},
		{linux.CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID", 0},
		{linux.CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW", 0},
		{linux.CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE", 0},
		{linux.CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE", 0}, {linux.CLOCK_BOOTTIME, "CLOCK_BOOTTIME", 0},
		{linux.CLOCK_REALTIME_ALARM, "CLOCK_REALTIME_ALARM", 0},
		{linux.CLOCK_BOOTTIME_ALARM, "CLOCK_BOOTTIME_ALARM", 0}, {linux.CLOCK_TAI, "CLOCK_TAI", 0},
	}),
}

var epollEvents = []trace.Bit{
	{linux.EPOLLIN, "EPOLLIN", 0}, {linux.EPOLLPRI, "EPOLLPRI", 0}, {linux.EPOLLOUT, "EPOLLOUT", 0},
	{linux.EPOLLRDNORM, "EPOLLRDNORM", 0}, {linux.EPOLLRDBAND, "EPOLLRDBAND", 0},
	{linux.EPOLLWRNORM, "EPOLLWRNORM", 0}, {linux.EPOLLWRBAND, "EPOLLWRBAND", 0},
	{linux.EPOLLMSG, "EPOLLMSG", 0}, {linux.EPOLLERR, "EPOLLERR", 0}, {linux.EPOLLHUP, "EPOLLHUP", 0},
	{linux.EPOLLRDHUP, "EPOLLRDHUP", 0}, {linux.EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE", 0},
	{linux.EPOLLWAKEUP, "EPOLLWAKEUP", 0}, {linux.EPOLLONESHOT, "EPOLLONESHOT", 0},
	{linux.EPOLLET, "EPOLLET", 0},
}

var pollEvents = []trace.Bit{
	{linux.POLLIN, "POLLIN", 0}, {linux.POLLPRI, "POLLPRI", 0}, {linux.POLLOUT, "POLLOUT", 0},
	{linux.POLLERR, "POLLERR", 0}, {linux.POLLHUP, "POLLHUP", 0}, {linux.POLLNVAL, "POLLNVAL", 0},
	{linux.POLLRDNORM, "POLLRDNORM", 0}, {linux.POLLRDBAND, "POLLRDBAND", 0},
	{linux.POLLWRNORM, "POLLWRNORM", 0}, {linux.POLLWRBAND, "POLLWRBAND", 0}, {linux.POLLMSG, "POLLMSG", 0},
	{linux.POLLRDHUP, "POLLRDHUP", 0},
}

var sigactionFlags = []trace.Bit{
	{linux.SA_RESTORER, "SA_RESTORER", 0}, {linux.SA_ONSTACK, "SA_ONSTACK", 0},
	{linux.SA_RESTART, "SA_RESTART", 0}, {linux.SA_NODEFER, "SA_NODEFER", 0},
	{linux.SA_RESETHAND, "SA_RESETHAND", 0}, {linux.SA_SIGINFO, "SA_SIGINFO", 0},
	{linux.SA_NOCLDSTOP, "SA_NOCLDSTOP", 0}, {linux.SA_NOCLDWAIT, "SA_NOCLDWAIT", 0},
}

func flagsText(unknown string, bits []trace.Bit) func(uint64) string {
	return func(v uint64) string { return trace.Flags(v, bits, unknown) }
}

func oneText(unknown string, names []trace.Bit) func(uint64) string {
	return func(v uint64) string { return trace.OneOf(v, names, unknown) }
}

func epollBits(v uint64) string { return trace.Flags(v, epollEvents, "EPOLL???") }

func pollText(v uint64) string { return trace.Flags(v, pollEvents, "POLL???") }

func addrFamilyText(v uint64) string { return flagTypes[reflect.TypeFor[AddrFamily]()](v) }

func dirfdText(v uint64) string {
	if int32(v) == linux.AT_FDCWD {
		return "AT_FDCWD"
	}
	return fmt.Sprint(int32(v))
}

// octalText prints permission bits with three digits at least.
func octalText(v uint64) string {
	if v == 0 {
		return "000"
	}
	return fmt.Sprintf("0%03o", v)
}

var fileTypes = []trace.Bit{
	{linux.S_IFSOCK, "S_IFSOCK", 0}, {linux.S_IFLNK, "S_IFLNK", 0}, {linux.S_IFREG, "S_IFREG", 0},
	{linux.S_IFBLK, "S_IFBLK", 0}, {linux.S_IFDIR, "S_IFDIR", 0}, {linux.S_IFCHR, "S_IFCHR", 0},
	{linux.S_IFIFO, "S_IFIFO", 0},
}

func nodeModeText(v uint64) string {
	if v&linux.S_IFMT == 0 {
		return octalText(v)
	}
	text := trace.OneOf(v&linux.S_IFMT, fileTypes, "S_IF???")
	for _, b := range []trace.Bit{{linux.S_ISUID, "S_ISUID", 0}, {linux.S_ISGID, "S_ISGID", 0}, {linux.S_ISVTX, "S_ISVTX", 0}} {
		if v&b.Value != 0 {
			text += "|" + b.Name
		}
	}
	return text + "|" + octalText(v&0o777)
}

func accessText(v uint64) string {
	if v == 0 {
		return "F_OK"
	}
	return trace.Flags(v, []trace.Bit{{4, "R_OK", 0}, {2, "W_OK", 0}, {1, "X_OK", 0}}, "?_OK")
}
