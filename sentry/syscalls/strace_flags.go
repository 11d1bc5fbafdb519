package syscalls

import (
	"fmt"
	"reflect"
	"sync"

	"hornwork/linux"
	"hornwork/sentry/trace"
)

// flagText returns the printer of a named parameter type, nil for other types.
func flagText(typ reflect.Type) func(uint64) string { return flagTypes()[typ] }

// flagTypes print parameters of the named types, in strace's order of names. They are made when somebody traces.
var flagTypes = sync.OnceValue(func() map[reflect.Type]func(uint64) string {
	return map[reflect.Type]func(uint64) string{
		reflect.TypeFor[DirFD]():      dirfdText,
		reflect.TypeFor[Mode]():       octalText,
		reflect.TypeFor[NodeMode]():   nodeModeText,
		reflect.TypeFor[AccessMode](): accessText,
		reflect.TypeFor[Signo]():      signalName,
		reflect.TypeFor[UID]():        idText,
		reflect.TypeFor[GID]():        idText,
		reflect.TypeFor[OpenFlags](): flagsText("O_???", []trace.Bit{
			field(linux.O_RDONLY, "O_RDONLY", 3), field(linux.O_WRONLY, "O_WRONLY", 3), field(linux.O_RDWR, "O_RDWR", 3),
			bit(linux.O_CREAT, "O_CREAT"), bit(linux.O_EXCL, "O_EXCL"), bit(linux.O_NOCTTY, "O_NOCTTY"),
			bit(linux.O_TRUNC, "O_TRUNC"), bit(linux.O_APPEND, "O_APPEND"), bit(linux.O_NONBLOCK, "O_NONBLOCK"),
			bit(linux.O_SYNC, "O_SYNC"), bit(linux.O_DSYNC, "O_DSYNC"), bit(linux.O_ASYNC, "O_ASYNC"),
			bit(linux.O_DIRECT, "O_DIRECT"), bit(linux.O_LARGEFILE, "O_LARGEFILE"), bit(linux.O_NOFOLLOW, "O_NOFOLLOW"),
			bit(linux.O_NOATIME, "O_NOATIME"), bit(linux.O_CLOEXEC, "O_CLOEXEC"), bit(linux.O_PATH, "O_PATH"),
			bit(linux.O_TMPFILE, "O_TMPFILE"), bit(linux.O_DIRECTORY, "O_DIRECTORY"),
		}),
		reflect.TypeFor[PipeFlags](): flagsText("O_???", []trace.Bit{
			bit(linux.O_NONBLOCK, "O_NONBLOCK"), bit(linux.O_DIRECT, "O_DIRECT"), bit(linux.O_CLOEXEC, "O_CLOEXEC"),
		}),
		reflect.TypeFor[AtFlags](): flagsText("AT_???", []trace.Bit{
			bit(linux.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"), bit(linux.AT_EACCESS, "AT_EACCESS"),
			bit(linux.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"), bit(linux.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"),
			bit(linux.AT_EMPTY_PATH, "AT_EMPTY_PATH"), bit(linux.AT_STATX_FORCE_SYNC, "AT_STATX_FORCE_SYNC"),
			bit(linux.AT_STATX_DONT_SYNC, "AT_STATX_DONT_SYNC"), bit(linux.AT_RECURSIVE, "AT_RECURSIVE"),
		}),
		reflect.TypeFor[UnlinkFlags](): flagsText("AT_???", []trace.Bit{
			bit(linux.AT_REMOVEDIR, "AT_REMOVEDIR"),
		}),
		reflect.TypeFor[Whence](): oneText("SEEK_???", []trace.Bit{
			bit(linux.SEEK_SET, "SEEK_SET"), bit(linux.SEEK_CUR, "SEEK_CUR"), bit(linux.SEEK_END, "SEEK_END"),
			bit(linux.SEEK_DATA, "SEEK_DATA"), bit(linux.SEEK_HOLE, "SEEK_HOLE"),
		}),
		reflect.TypeFor[FcntlCmd](): oneText("F_???", []trace.Bit{
			bit(linux.F_DUPFD, "F_DUPFD"), bit(linux.F_GETFD, "F_GETFD"), bit(linux.F_SETFD, "F_SETFD"),
			bit(linux.F_GETFL, "F_GETFL"), bit(linux.F_SETFL, "F_SETFL"), bit(linux.F_GETLK, "F_GETLK"),
			bit(linux.F_SETLK, "F_SETLK"), bit(linux.F_SETLKW, "F_SETLKW"), bit(linux.F_SETOWN, "F_SETOWN"),
			bit(linux.F_GETOWN, "F_GETOWN"), bit(linux.F_SETSIG, "F_SETSIG"), bit(linux.F_GETSIG, "F_GETSIG"),
			bit(linux.F_SETOWN_EX, "F_SETOWN_EX"), bit(linux.F_GETOWN_EX, "F_GETOWN_EX"),
			bit(linux.F_OFD_GETLK, "F_OFD_GETLK"), bit(linux.F_OFD_SETLK, "F_OFD_SETLK"),
			bit(linux.F_OFD_SETLKW, "F_OFD_SETLKW"), bit(linux.F_SETLEASE, "F_SETLEASE"),
			bit(linux.F_GETLEASE, "F_GETLEASE"), bit(linux.F_NOTIFY, "F_NOTIFY"),
			bit(linux.F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"), bit(linux.F_SETPIPE_SZ, "F_SETPIPE_SZ"),
			bit(linux.F_GETPIPE_SZ, "F_GETPIPE_SZ"), bit(linux.F_ADD_SEALS, "F_ADD_SEALS"),
			bit(linux.F_GET_SEALS, "F_GET_SEALS"), bit(linux.F_GET_RW_HINT, "F_GET_RW_HINT"),
			bit(linux.F_SET_RW_HINT, "F_SET_RW_HINT"), bit(linux.F_GET_FILE_RW_HINT, "F_GET_FILE_RW_HINT"),
			bit(linux.F_SET_FILE_RW_HINT, "F_SET_FILE_RW_HINT"),
		}),
		reflect.TypeFor[IoctlCmd](): oneText("???", []trace.Bit{
			bit(linux.TCGETS, "TCGETS"), bit(linux.TCSETS, "TCSETS"), bit(linux.TCSETSW, "TCSETSW"),
			bit(linux.TCSETSF, "TCSETSF"), bit(linux.TCSBRK, "TCSBRK"), bit(linux.TCXONC, "TCXONC"),
			bit(linux.TCFLSH, "TCFLSH"), bit(linux.TIOCEXCL, "TIOCEXCL"), bit(linux.TIOCSCTTY, "TIOCSCTTY"),
			bit(linux.TIOCGPGRP, "TIOCGPGRP"), bit(linux.TIOCSPGRP, "TIOCSPGRP"), bit(linux.TIOCOUTQ, "TIOCOUTQ"),
			bit(linux.TIOCSTI, "TIOCSTI"), bit(linux.TIOCGWINSZ, "TIOCGWINSZ"), bit(linux.TIOCSWINSZ, "TIOCSWINSZ"),
			bit(linux.FIONREAD, "FIONREAD"), bit(linux.FIONBIO, "FIONBIO"), bit(linux.FIOASYNC, "FIOASYNC"),
			bit(linux.FIOCLEX, "FIOCLEX"), bit(linux.FIONCLEX, "FIONCLEX"), bit(linux.FIOQSIZE, "FIOQSIZE"),
			bit(linux.TIOCNOTTY, "TIOCNOTTY"), bit(linux.TIOCGSID, "TIOCGSID"), bit(linux.TIOCGPTN, "TIOCGPTN"),
			bit(linux.TIOCSPTLCK, "TIOCSPTLCK"), bit(linux.TIOCGPTPEER, "TIOCGPTPEER"),
			bit(linux.TIOCGPTLCK, "TIOCGPTLCK"), bit(linux.TIOCPKT, "TIOCPKT"), bit(linux.TCGETS2, "TCGETS2"),
			bit(linux.TCSETS2, "TCSETS2"), bit(linux.FICLONE, "FICLONE"), bit(linux.FICLONERANGE, "FICLONERANGE"),
			bit(linux.FIBMAP, "FIBMAP"), bit(linux.FIGETBSZ, "FIGETBSZ"), bit(linux.SIOCGIFCONF, "SIOCGIFCONF"),
			bit(linux.SIOCGIFFLAGS, "SIOCGIFFLAGS"), bit(linux.SIOCGIFINDEX, "SIOCGIFINDEX"),
			bit(linux.SIOCGIFNAME, "SIOCGIFNAME"), bit(linux.NS_GET_USERNS, "NS_GET_USERNS"),
			bit(linux.NS_GET_PARENT, "NS_GET_PARENT"), bit(linux.NS_GET_NSTYPE, "NS_GET_NSTYPE"),
			bit(linux.NS_GET_OWNER_UID, "NS_GET_OWNER_UID"),
		}),
		reflect.TypeFor[RWFlags](): flagsText("RWF_???", []trace.Bit{
			bit(linux.RWF_HIPRI, "RWF_HIPRI"), bit(linux.RWF_DSYNC, "RWF_DSYNC"), bit(linux.RWF_SYNC, "RWF_SYNC"),
			bit(linux.RWF_NOWAIT, "RWF_NOWAIT"), bit(linux.RWF_APPEND, "RWF_APPEND"),
		}),
		reflect.TypeFor[SpliceFlags](): flagsText("SPLICE_F_???", []trace.Bit{
			bit(linux.SPLICE_F_MOVE, "SPLICE_F_MOVE"), bit(linux.SPLICE_F_NONBLOCK, "SPLICE_F_NONBLOCK"),
			bit(linux.SPLICE_F_MORE, "SPLICE_F_MORE"), bit(linux.SPLICE_F_GIFT, "SPLICE_F_GIFT"),
		}),
		reflect.TypeFor[CloseFlags](): flagsText("CLOSE_RANGE_???", []trace.Bit{
			bit(linux.CLOSE_RANGE_UNSHARE, "CLOSE_RANGE_UNSHARE"), bit(linux.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"),
		}),
		reflect.TypeFor[StatxMask](): flagsText("STATX_???", []trace.Bit{
			bit(linux.STATX_ALL, "STATX_ALL"), bit(linux.STATX_BASIC_STATS, "STATX_BASIC_STATS"),
			bit(linux.STATX_TYPE, "STATX_TYPE"), bit(linux.STATX_MODE, "STATX_MODE"),
			bit(linux.STATX_NLINK, "STATX_NLINK"), bit(linux.STATX_UID, "STATX_UID"), bit(linux.STATX_GID, "STATX_GID"),
			bit(linux.STATX_ATIME, "STATX_ATIME"), bit(linux.STATX_MTIME, "STATX_MTIME"),
			bit(linux.STATX_CTIME, "STATX_CTIME"), bit(linux.STATX_INO, "STATX_INO"),
			bit(linux.STATX_SIZE, "STATX_SIZE"), bit(linux.STATX_BLOCKS, "STATX_BLOCKS"),
			bit(linux.STATX_BTIME, "STATX_BTIME"), bit(linux.STATX_MNT_ID, "STATX_MNT_ID"),
			bit(linux.STATX_DIOALIGN, "STATX_DIOALIGN"),
		}),
		reflect.TypeFor[RenameFlags](): flagsText("RENAME_???", []trace.Bit{
			bit(linux.RENAME_NOREPLACE, "RENAME_NOREPLACE"), bit(linux.RENAME_EXCHANGE, "RENAME_EXCHANGE"),
			bit(linux.RENAME_WHITEOUT, "RENAME_WHITEOUT"),
		}),
		reflect.TypeFor[FallocMode](): flagsText("FALLOC_FL_???", []trace.Bit{
			bit(linux.FALLOC_FL_KEEP_SIZE, "FALLOC_FL_KEEP_SIZE"),
			bit(linux.FALLOC_FL_PUNCH_HOLE, "FALLOC_FL_PUNCH_HOLE"),
			bit(linux.FALLOC_FL_COLLAPSE_RANGE, "FALLOC_FL_COLLAPSE_RANGE"),
			bit(linux.FALLOC_FL_ZERO_RANGE, "FALLOC_FL_ZERO_RANGE"),
			bit(linux.FALLOC_FL_INSERT_RANGE, "FALLOC_FL_INSERT_RANGE"),
			bit(linux.FALLOC_FL_UNSHARE_RANGE, "FALLOC_FL_UNSHARE_RANGE"),
		}),
		reflect.TypeFor[SyncFlags](): flagsText("SYNC_FILE_RANGE_???", []trace.Bit{
			bit(linux.SYNC_FILE_RANGE_WAIT_BEFORE, "SYNC_FILE_RANGE_WAIT_BEFORE"),
			bit(linux.SYNC_FILE_RANGE_WRITE, "SYNC_FILE_RANGE_WRITE"),
			bit(linux.SYNC_FILE_RANGE_WAIT_AFTER, "SYNC_FILE_RANGE_WAIT_AFTER"),
		}),
		reflect.TypeFor[FlockOp](): flagsText("LOCK_???", []trace.Bit{
			bit(linux.LOCK_SH, "LOCK_SH"), bit(linux.LOCK_EX, "LOCK_EX"), bit(linux.LOCK_UN, "LOCK_UN"),
			bit(linux.LOCK_NB, "LOCK_NB"),
		}),
		reflect.TypeFor[MountFlags](): flagsText("MS_???", []trace.Bit{
			bit(linux.MS_RDONLY, "MS_RDONLY"), bit(linux.MS_NOSUID, "MS_NOSUID"), bit(linux.MS_NODEV, "MS_NODEV"),
			bit(linux.MS_NOEXEC, "MS_NOEXEC"), bit(linux.MS_SYNCHRONOUS, "MS_SYNCHRONOUS"),
			bit(linux.MS_REMOUNT, "MS_REMOUNT"), bit(linux.MS_MANDLOCK, "MS_MANDLOCK"),
			bit(linux.MS_DIRSYNC, "MS_DIRSYNC"), bit(linux.MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"),
			bit(linux.MS_NOATIME, "MS_NOATIME"), bit(linux.MS_NODIRATIME, "MS_NODIRATIME"),
			bit(linux.MS_BIND, "MS_BIND"), bit(linux.MS_MOVE, "MS_MOVE"), bit(linux.MS_REC, "MS_REC"),
			bit(linux.MS_SILENT, "MS_SILENT"), bit(linux.MS_UNBINDABLE, "MS_UNBINDABLE"),
			bit(linux.MS_PRIVATE, "MS_PRIVATE"), bit(linux.MS_SLAVE, "MS_SLAVE"), bit(linux.MS_SHARED, "MS_SHARED"),
			bit(linux.MS_RELATIME, "MS_RELATIME"), bit(linux.MS_STRICTATIME, "MS_STRICTATIME"),
			bit(linux.MS_LAZYTIME, "MS_LAZYTIME"),
		}),
		reflect.TypeFor[UmountFlags](): flagsText("MNT_???", []trace.Bit{
			bit(linux.MNT_FORCE, "MNT_FORCE"), bit(linux.MNT_DETACH, "MNT_DETACH"), bit(linux.MNT_EXPIRE, "MNT_EXPIRE"),
			bit(linux.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"),
		}),
		reflect.TypeFor[XattrFlags](): flagsText("XATTR_???", []trace.Bit{
			bit(linux.XATTR_CREATE, "XATTR_CREATE"), bit(linux.XATTR_REPLACE, "XATTR_REPLACE"),
		}),
		reflect.TypeFor[EventfdFlags](): flagsText("EFD_???", []trace.Bit{
			bit(linux.EFD_CLOEXEC, "EFD_CLOEXEC"), bit(linux.EFD_NONBLOCK, "EFD_NONBLOCK"),
			bit(linux.EFD_SEMAPHORE, "EFD_SEMAPHORE"),
		}),
		reflect.TypeFor[SignalfdFlags](): flagsText("SFD_???", []trace.Bit{
			bit(linux.SFD_CLOEXEC, "SFD_CLOEXEC"), bit(linux.SFD_NONBLOCK, "SFD_NONBLOCK"),
		}),
		reflect.TypeFor[TimerfdFlags](): flagsText("TFD_???", []trace.Bit{
			bit(linux.TFD_CLOEXEC, "TFD_CLOEXEC"), bit(linux.TFD_NONBLOCK, "TFD_NONBLOCK"),
		}),
		reflect.TypeFor[TimerfdSetFlags](): flagsText("TFD_???", []trace.Bit{
			bit(linux.TFD_TIMER_ABSTIME, "TFD_TIMER_ABSTIME"),
			bit(linux.TFD_TIMER_CANCEL_ON_SET, "TFD_TIMER_CANCEL_ON_SET"),
		}),
		reflect.TypeFor[EpollFlags](): flagsText("EPOLL_???", []trace.Bit{
			bit(linux.EPOLL_CLOEXEC, "EPOLL_CLOEXEC"),
		}),
		reflect.TypeFor[EpollOp](): oneText("EPOLL_CTL_???", []trace.Bit{
			bit(linux.EPOLL_CTL_ADD, "EPOLL_CTL_ADD"), bit(linux.EPOLL_CTL_DEL, "EPOLL_CTL_DEL"),
			bit(linux.EPOLL_CTL_MOD, "EPOLL_CTL_MOD"),
		}),
		reflect.TypeFor[InotifyFlags](): flagsText("IN_???", []trace.Bit{
			bit(linux.IN_CLOEXEC, "IN_CLOEXEC"), bit(linux.IN_NONBLOCK, "IN_NONBLOCK"),
		}),
		reflect.TypeFor[InotifyMask](): flagsText("IN_???", []trace.Bit{
			bit(linux.IN_ALL_EVENTS, "IN_ALL_EVENTS"), bit(linux.IN_ACCESS, "IN_ACCESS"),
			bit(linux.IN_MODIFY, "IN_MODIFY"), bit(linux.IN_ATTRIB, "IN_ATTRIB"),
			bit(linux.IN_CLOSE_WRITE, "IN_CLOSE_WRITE"), bit(linux.IN_CLOSE_NOWRITE, "IN_CLOSE_NOWRITE"),
			bit(linux.IN_OPEN, "IN_OPEN"), bit(linux.IN_MOVED_FROM, "IN_MOVED_FROM"),
			bit(linux.IN_MOVED_TO, "IN_MOVED_TO"), bit(linux.IN_CREATE, "IN_CREATE"), bit(linux.IN_DELETE, "IN_DELETE"),
			bit(linux.IN_DELETE_SELF, "IN_DELETE_SELF"), bit(linux.IN_MOVE_SELF, "IN_MOVE_SELF"),
			bit(linux.IN_UNMOUNT, "IN_UNMOUNT"), bit(linux.IN_Q_OVERFLOW, "IN_Q_OVERFLOW"),
			bit(linux.IN_IGNORED, "IN_IGNORED"), bit(linux.IN_ONLYDIR, "IN_ONLYDIR"),
			bit(linux.IN_DONT_FOLLOW, "IN_DONT_FOLLOW"), bit(linux.IN_EXCL_UNLINK, "IN_EXCL_UNLINK"),
			bit(linux.IN_MASK_CREATE, "IN_MASK_CREATE"), bit(linux.IN_MASK_ADD, "IN_MASK_ADD"),
			bit(linux.IN_ISDIR, "IN_ISDIR"), bit(linux.IN_ONESHOT, "IN_ONESHOT"),
		}),
		reflect.TypeFor[MemfdFlags](): flagsText("MFD_???", []trace.Bit{
			bit(linux.MFD_CLOEXEC, "MFD_CLOEXEC"), bit(linux.MFD_ALLOW_SEALING, "MFD_ALLOW_SEALING"),
			bit(linux.MFD_HUGETLB, "MFD_HUGETLB"),
		}),
		reflect.TypeFor[RandomFlags](): flagsText("GRND_???", []trace.Bit{
			bit(linux.GRND_NONBLOCK, "GRND_NONBLOCK"), bit(linux.GRND_RANDOM, "GRND_RANDOM"),
			bit(linux.GRND_INSECURE, "GRND_INSECURE"),
		}),
		reflect.TypeFor[Prot](): flagsText("PROT_???", []trace.Bit{
			field(linux.PROT_NONE, "PROT_NONE", 1<<64-1), bit(linux.PROT_READ, "PROT_READ"),
			bit(linux.PROT_WRITE, "PROT_WRITE"), bit(linux.PROT_EXEC, "PROT_EXEC"), bit(linux.PROT_SEM, "PROT_SEM"),
			bit(linux.PROT_GROWSDOWN, "PROT_GROWSDOWN"), bit(linux.PROT_GROWSUP, "PROT_GROWSUP"),
		}),
		reflect.TypeFor[MmapFlags](): flagsText("MAP_???", []trace.Bit{
			field(linux.MAP_SHARED, "MAP_SHARED", 15), field(linux.MAP_PRIVATE, "MAP_PRIVATE", 15),
			field(linux.MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE", 15), bit(linux.MAP_FIXED, "MAP_FIXED"),
			bit(linux.MAP_ANONYMOUS, "MAP_ANONYMOUS"), bit(linux.MAP_32BIT, "MAP_32BIT"),
			bit(linux.MAP_GROWSDOWN, "MAP_GROWSDOWN"), bit(linux.MAP_DENYWRITE, "MAP_DENYWRITE"),
			bit(linux.MAP_EXECUTABLE, "MAP_EXECUTABLE"), bit(linux.MAP_LOCKED, "MAP_LOCKED"),
			bit(linux.MAP_NORESERVE, "MAP_NORESERVE"), bit(linux.MAP_POPULATE, "MAP_POPULATE"),
			bit(linux.MAP_NONBLOCK, "MAP_NONBLOCK"), bit(linux.MAP_STACK, "MAP_STACK"),
			bit(linux.MAP_HUGETLB, "MAP_HUGETLB"), bit(linux.MAP_SYNC, "MAP_SYNC"),
			bit(linux.MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"),
		}),
		reflect.TypeFor[MremapFlags](): flagsText("MREMAP_???", []trace.Bit{
			bit(linux.MREMAP_MAYMOVE, "MREMAP_MAYMOVE"), bit(linux.MREMAP_FIXED, "MREMAP_FIXED"),
			bit(linux.MREMAP_DONTUNMAP, "MREMAP_DONTUNMAP"),
		}),
		reflect.TypeFor[Advice](): oneText("MADV_???", []trace.Bit{
			bit(linux.MADV_NORMAL, "MADV_NORMAL"), bit(linux.MADV_RANDOM, "MADV_RANDOM"),
			bit(linux.MADV_SEQUENTIAL, "MADV_SEQUENTIAL"), bit(linux.MADV_WILLNEED, "MADV_WILLNEED"),
			bit(linux.MADV_DONTNEED, "MADV_DONTNEED"), bit(linux.MADV_FREE, "MADV_FREE"),
			bit(linux.MADV_REMOVE, "MADV_REMOVE"), bit(linux.MADV_DONTFORK, "MADV_DONTFORK"),
			bit(linux.MADV_DOFORK, "MADV_DOFORK"), bit(linux.MADV_MERGEABLE, "MADV_MERGEABLE"),
			bit(linux.MADV_UNMERGEABLE, "MADV_UNMERGEABLE"), bit(linux.MADV_HUGEPAGE, "MADV_HUGEPAGE"),
			bit(linux.MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE"), bit(linux.MADV_DONTDUMP, "MADV_DONTDUMP"),
			bit(linux.MADV_DODUMP, "MADV_DODUMP"), bit(linux.MADV_WIPEONFORK, "MADV_WIPEONFORK"),
			bit(linux.MADV_KEEPONFORK, "MADV_KEEPONFORK"), bit(linux.MADV_COLD, "MADV_COLD"),
			bit(linux.MADV_PAGEOUT, "MADV_PAGEOUT"), bit(linux.MADV_POPULATE_READ, "MADV_POPULATE_READ"),
			bit(linux.MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE"),
			bit(linux.MADV_DONTNEED_LOCKED, "MADV_DONTNEED_LOCKED"), bit(linux.MADV_COLLAPSE, "MADV_COLLAPSE"),
		}),
		reflect.TypeFor[FileAdvice](): oneText("POSIX_FADV_???", []trace.Bit{
			bit(linux.POSIX_FADV_NORMAL, "POSIX_FADV_NORMAL"), bit(linux.POSIX_FADV_RANDOM, "POSIX_FADV_RANDOM"),
			bit(linux.POSIX_FADV_SEQUENTIAL, "POSIX_FADV_SEQUENTIAL"),
			bit(linux.POSIX_FADV_WILLNEED, "POSIX_FADV_WILLNEED"), bit(linux.POSIX_FADV_DONTNEED, "POSIX_FADV_DONTNEED"),
			bit(linux.POSIX_FADV_NOREUSE, "POSIX_FADV_NOREUSE"),
		}),
		reflect.TypeFor[MsyncFlags](): flagsText("MS_???", []trace.Bit{
			bit(linux.MS_ASYNC, "MS_ASYNC"), bit(linux.MS_INVALIDATE, "MS_INVALIDATE"), bit(linux.MS_SYNC, "MS_SYNC"),
		}),
		reflect.TypeFor[MlockFlags](): flagsText("MCL_???", []trace.Bit{
			bit(linux.MCL_CURRENT, "MCL_CURRENT"), bit(linux.MCL_FUTURE, "MCL_FUTURE"),
			bit(linux.MCL_ONFAULT, "MCL_ONFAULT"),
		}),
		reflect.TypeFor[AddrFamily](): oneText("AF_???", []trace.Bit{
			bit(linux.AF_UNSPEC, "AF_UNSPEC"), bit(linux.AF_UNIX, "AF_UNIX"), bit(linux.AF_INET, "AF_INET"),
			bit(linux.AF_INET6, "AF_INET6"), bit(linux.AF_NETLINK, "AF_NETLINK"), bit(linux.AF_PACKET, "AF_PACKET"),
			bit(linux.AF_VSOCK, "AF_VSOCK"), bit(linux.AF_ALG, "AF_ALG"), bit(linux.AF_BLUETOOTH, "AF_BLUETOOTH"),
			bit(linux.AF_CAN, "AF_CAN"),
		}),
		reflect.TypeFor[SockType](): flagsText("SOCK_???", []trace.Bit{
			field(linux.SOCK_STREAM, "SOCK_STREAM", 15), field(linux.SOCK_DGRAM, "SOCK_DGRAM", 15),
			field(linux.SOCK_RAW, "SOCK_RAW", 15), field(linux.SOCK_SEQPACKET, "SOCK_SEQPACKET", 15),
			bit(linux.SOCK_CLOEXEC, "SOCK_CLOEXEC"), bit(linux.SOCK_NONBLOCK, "SOCK_NONBLOCK"),
		}),
		reflect.TypeFor[MsgFlags](): flagsText("MSG_???", []trace.Bit{
			bit(linux.MSG_OOB, "MSG_OOB"), bit(linux.MSG_PEEK, "MSG_PEEK"), bit(linux.MSG_DONTROUTE, "MSG_DONTROUTE"),
			bit(linux.MSG_CTRUNC, "MSG_CTRUNC"), bit(linux.MSG_TRUNC, "MSG_TRUNC"),
			bit(linux.MSG_DONTWAIT, "MSG_DONTWAIT"), bit(linux.MSG_EOR, "MSG_EOR"),
			bit(linux.MSG_WAITALL, "MSG_WAITALL"), bit(linux.MSG_CONFIRM, "MSG_CONFIRM"),
			bit(linux.MSG_ERRQUEUE, "MSG_ERRQUEUE"), bit(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"),
			bit(linux.MSG_MORE, "MSG_MORE"), bit(linux.MSG_WAITFORONE, "MSG_WAITFORONE"),
			bit(linux.MSG_ZEROCOPY, "MSG_ZEROCOPY"), bit(linux.MSG_FASTOPEN, "MSG_FASTOPEN"),
			bit(linux.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"),
		}),
		reflect.TypeFor[SockLevel](): oneText("SOL_???", []trace.Bit{
			bit(linux.SOL_SOCKET, "SOL_SOCKET"), bit(linux.SOL_NETLINK, "SOL_NETLINK"),
			bit(linux.SOL_PACKET, "SOL_PACKET"), bit(linux.SOL_RAW, "SOL_RAW"),
		}),
		reflect.TypeFor[SockOptName](): oneText("SO_???", []trace.Bit{
			bit(linux.SO_DEBUG, "SO_DEBUG"), bit(linux.SO_REUSEADDR, "SO_REUSEADDR"), bit(linux.SO_TYPE, "SO_TYPE"),
			bit(linux.SO_ERROR, "SO_ERROR"), bit(linux.SO_DONTROUTE, "SO_DONTROUTE"),
			bit(linux.SO_BROADCAST, "SO_BROADCAST"), bit(linux.SO_SNDBUF, "SO_SNDBUF"),
			bit(linux.SO_RCVBUF, "SO_RCVBUF"), bit(linux.SO_KEEPALIVE, "SO_KEEPALIVE"),
			bit(linux.SO_OOBINLINE, "SO_OOBINLINE"), bit(linux.SO_PRIORITY, "SO_PRIORITY"),
			bit(linux.SO_LINGER, "SO_LINGER"), bit(linux.SO_REUSEPORT, "SO_REUSEPORT"),
			bit(linux.SO_PASSCRED, "SO_PASSCRED"), bit(linux.SO_PEERCRED, "SO_PEERCRED"),
			bit(linux.SO_RCVLOWAT, "SO_RCVLOWAT"), bit(linux.SO_SNDLOWAT, "SO_SNDLOWAT"),
			bit(linux.SO_RCVTIMEO, "SO_RCVTIMEO"), bit(linux.SO_SNDTIMEO, "SO_SNDTIMEO"),
			bit(linux.SO_TIMESTAMP, "SO_TIMESTAMP"), bit(linux.SO_ACCEPTCONN, "SO_ACCEPTCONN"),
			bit(linux.SO_PEERSEC, "SO_PEERSEC"), bit(linux.SO_SNDBUFFORCE, "SO_SNDBUFFORCE"),
			bit(linux.SO_RCVBUFFORCE, "SO_RCVBUFFORCE"), bit(linux.SO_PASSSEC, "SO_PASSSEC"),
			bit(linux.SO_PROTOCOL, "SO_PROTOCOL"), bit(linux.SO_DOMAIN, "SO_DOMAIN"),
			bit(linux.SO_PEEK_OFF, "SO_PEEK_OFF"), bit(linux.SO_PEERGROUPS, "SO_PEERGROUPS"),
		}),
		reflect.TypeFor[ShutHow](): oneText("SHUT_???", []trace.Bit{
			bit(linux.SHUT_RD, "SHUT_RD"), bit(linux.SHUT_WR, "SHUT_WR"), bit(linux.SHUT_RDWR, "SHUT_RDWR"),
		}),
		reflect.TypeFor[ClockID](): oneText("CLOCK_???", []trace.Bit{
			bit(linux.CLOCK_REALTIME, "CLOCK_REALTIME"), bit(linux.CLOCK_MONOTONIC, "CLOCK_MONOTONIC"),
			bit(linux.CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID"),
			bit(linux.CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID"),
			bit(linux.CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW"),
			bit(linux.CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE"),
			bit(linux.CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE"), bit(linux.CLOCK_BOOTTIME, "CLOCK_BOOTTIME"),
			bit(linux.CLOCK_REALTIME_ALARM, "CLOCK_REALTIME_ALARM"),
			bit(linux.CLOCK_BOOTTIME_ALARM, "CLOCK_BOOTTIME_ALARM"), bit(linux.CLOCK_TAI, "CLOCK_TAI"),
		}),
		reflect.TypeFor[CloneFlags](): flagsText("CLONE_???", []trace.Bit{
			bit(linux.CLONE_NEWTIME, "CLONE_NEWTIME"), bit(linux.CLONE_VM, "CLONE_VM"), bit(linux.CLONE_FS, "CLONE_FS"),
			bit(linux.CLONE_FILES, "CLONE_FILES"), bit(linux.CLONE_SIGHAND, "CLONE_SIGHAND"),
			bit(linux.CLONE_PIDFD, "CLONE_PIDFD"), bit(linux.CLONE_PTRACE, "CLONE_PTRACE"),
			bit(linux.CLONE_VFORK, "CLONE_VFORK"), bit(linux.CLONE_PARENT, "CLONE_PARENT"),
			bit(linux.CLONE_THREAD, "CLONE_THREAD"), bit(linux.CLONE_NEWNS, "CLONE_NEWNS"),
			bit(linux.CLONE_SYSVSEM, "CLONE_SYSVSEM"), bit(linux.CLONE_SETTLS, "CLONE_SETTLS"),
			bit(linux.CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"),
			bit(linux.CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"), bit(linux.CLONE_UNTRACED, "CLONE_UNTRACED"),
			bit(linux.CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"), bit(linux.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
			bit(linux.CLONE_NEWUTS, "CLONE_NEWUTS"), bit(linux.CLONE_NEWIPC, "CLONE_NEWIPC"),
			bit(linux.CLONE_NEWUSER, "CLONE_NEWUSER"), bit(linux.CLONE_NEWPID, "CLONE_NEWPID"),
			bit(linux.CLONE_NEWNET, "CLONE_NEWNET"), bit(linux.CLONE_IO, "CLONE_IO"),
			field(linux.SIGCHLD, "SIGCHLD", 255),
		}),
		reflect.TypeFor[FutexOp](): flagsText("FUTEX_???", []trace.Bit{
			field(linux.FUTEX_WAIT_PRIVATE, "FUTEX_WAIT_PRIVATE", 0xff),
			field(linux.FUTEX_WAKE_PRIVATE, "FUTEX_WAKE_PRIVATE", 0xff),
			field(linux.FUTEX_REQUEUE_PRIVATE, "FUTEX_REQUEUE_PRIVATE", 0xff),
			field(linux.FUTEX_CMP_REQUEUE_PRIVATE, "FUTEX_CMP_REQUEUE_PRIVATE", 0xff),
			field(linux.FUTEX_WAKE_OP_PRIVATE, "FUTEX_WAKE_OP_PRIVATE", 0xff),
			field(linux.FUTEX_LOCK_PI_PRIVATE, "FUTEX_LOCK_PI_PRIVATE", 0xff),
			field(linux.FUTEX_UNLOCK_PI_PRIVATE, "FUTEX_UNLOCK_PI_PRIVATE", 0xff),
			field(linux.FUTEX_TRYLOCK_PI_PRIVATE, "FUTEX_TRYLOCK_PI_PRIVATE", 0xff),
			field(linux.FUTEX_WAIT_BITSET_PRIVATE, "FUTEX_WAIT_BITSET_PRIVATE", 0xff),
			field(linux.FUTEX_WAKE_BITSET_PRIVATE, "FUTEX_WAKE_BITSET_PRIVATE", 0xff),
			field(linux.FUTEX_WAIT_REQUEUE_PI_PRIVATE, "FUTEX_WAIT_REQUEUE_PI_PRIVATE", 0xff),
			field(linux.FUTEX_CMP_REQUEUE_PI_PRIVATE, "FUTEX_CMP_REQUEUE_PI_PRIVATE", 0xff),
			field(linux.FUTEX_LOCK_PI2_PRIVATE, "FUTEX_LOCK_PI2_PRIVATE", 0xff),
			field(linux.FUTEX_WAIT, "FUTEX_WAIT", 0xff), field(linux.FUTEX_WAKE, "FUTEX_WAKE", 0xff),
			field(linux.FUTEX_FD, "FUTEX_FD", 0xff), field(linux.FUTEX_REQUEUE, "FUTEX_REQUEUE", 0xff),
			field(linux.FUTEX_CMP_REQUEUE, "FUTEX_CMP_REQUEUE", 0xff), field(linux.FUTEX_WAKE_OP, "FUTEX_WAKE_OP", 0xff),
			field(linux.FUTEX_LOCK_PI, "FUTEX_LOCK_PI", 0xff), field(linux.FUTEX_UNLOCK_PI, "FUTEX_UNLOCK_PI", 0xff),
			field(linux.FUTEX_TRYLOCK_PI, "FUTEX_TRYLOCK_PI", 0xff),
			field(linux.FUTEX_WAIT_BITSET, "FUTEX_WAIT_BITSET", 0xff),
			field(linux.FUTEX_WAKE_BITSET, "FUTEX_WAKE_BITSET", 0xff),
			field(linux.FUTEX_WAIT_REQUEUE_PI, "FUTEX_WAIT_REQUEUE_PI", 0xff),
			field(linux.FUTEX_CMP_REQUEUE_PI, "FUTEX_CMP_REQUEUE_PI", 0xff),
			field(linux.FUTEX_LOCK_PI2, "FUTEX_LOCK_PI2", 0xff), bit(linux.FUTEX_PRIVATE_FLAG, "FUTEX_PRIVATE_FLAG"),
			bit(linux.FUTEX_CLOCK_REALTIME, "FUTEX_CLOCK_REALTIME"),
		}),
		reflect.TypeFor[PrctlOp](): oneText("PR_???", []trace.Bit{
			bit(linux.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"), bit(linux.PR_GET_PDEATHSIG, "PR_GET_PDEATHSIG"),
			bit(linux.PR_GET_DUMPABLE, "PR_GET_DUMPABLE"), bit(linux.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"),
			bit(linux.PR_GET_KEEPCAPS, "PR_GET_KEEPCAPS"), bit(linux.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"),
			bit(linux.PR_SET_NAME, "PR_SET_NAME"), bit(linux.PR_GET_NAME, "PR_GET_NAME"),
			bit(linux.PR_GET_SECCOMP, "PR_GET_SECCOMP"), bit(linux.PR_SET_SECCOMP, "PR_SET_SECCOMP"),
			bit(linux.PR_CAPBSET_READ, "PR_CAPBSET_READ"), bit(linux.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"),
			bit(linux.PR_GET_SECUREBITS, "PR_GET_SECUREBITS"), bit(linux.PR_SET_SECUREBITS, "PR_SET_SECUREBITS"),
			bit(linux.PR_SET_TIMERSLACK, "PR_SET_TIMERSLACK"), bit(linux.PR_GET_TIMERSLACK, "PR_GET_TIMERSLACK"),
			bit(linux.PR_SET_MM, "PR_SET_MM"), bit(linux.PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER"),
			bit(linux.PR_GET_CHILD_SUBREAPER, "PR_GET_CHILD_SUBREAPER"),
			bit(linux.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), bit(linux.PR_GET_NO_NEW_PRIVS, "PR_GET_NO_NEW_PRIVS"),
			bit(linux.PR_GET_TID_ADDRESS, "PR_GET_TID_ADDRESS"), bit(linux.PR_SET_THP_DISABLE, "PR_SET_THP_DISABLE"),
			bit(linux.PR_GET_THP_DISABLE, "PR_GET_THP_DISABLE"), bit(linux.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"),
			bit(linux.PR_GET_SPECULATION_CTRL, "PR_GET_SPECULATION_CTRL"),
			bit(linux.PR_SET_SPECULATION_CTRL, "PR_SET_SPECULATION_CTRL"), bit(linux.PR_SET_VMA, "PR_SET_VMA"),
			bit(linux.PR_SET_PTRACER, "PR_SET_PTRACER"),
		}),
		reflect.TypeFor[SchedPolicy](): oneText("SCHED_???", []trace.Bit{
			bit(linux.SCHED_OTHER, "SCHED_OTHER"), bit(linux.SCHED_FIFO, "SCHED_FIFO"), bit(linux.SCHED_RR, "SCHED_RR"),
			bit(linux.SCHED_BATCH, "SCHED_BATCH"), bit(linux.SCHED_IDLE, "SCHED_IDLE"),
			bit(linux.SCHED_DEADLINE, "SCHED_DEADLINE"),
		}),
		reflect.TypeFor[WaitFlags](): flagsText("W???", []trace.Bit{
			bit(linux.WNOHANG, "WNOHANG"), bit(linux.WSTOPPED, "WSTOPPED"), bit(linux.WEXITED, "WEXITED"),
			bit(linux.WCONTINUED, "WCONTINUED"), bit(linux.WNOWAIT, "WNOWAIT"),
		}),
	}
})

var epollEvents = []trace.Bit{
	bit(linux.EPOLLIN, "EPOLLIN"), bit(linux.EPOLLPRI, "EPOLLPRI"), bit(linux.EPOLLOUT, "EPOLLOUT"),
	bit(linux.EPOLLRDNORM, "EPOLLRDNORM"), bit(linux.EPOLLRDBAND, "EPOLLRDBAND"),
	bit(linux.EPOLLWRNORM, "EPOLLWRNORM"), bit(linux.EPOLLWRBAND, "EPOLLWRBAND"),
	bit(linux.EPOLLMSG, "EPOLLMSG"), bit(linux.EPOLLERR, "EPOLLERR"), bit(linux.EPOLLHUP, "EPOLLHUP"),
	bit(linux.EPOLLRDHUP, "EPOLLRDHUP"), bit(linux.EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE"),
	bit(linux.EPOLLWAKEUP, "EPOLLWAKEUP"), bit(linux.EPOLLONESHOT, "EPOLLONESHOT"),
	bit(linux.EPOLLET, "EPOLLET"),
}

var pollEvents = []trace.Bit{
	bit(linux.POLLIN, "POLLIN"), bit(linux.POLLPRI, "POLLPRI"), bit(linux.POLLOUT, "POLLOUT"),
	bit(linux.POLLERR, "POLLERR"), bit(linux.POLLHUP, "POLLHUP"), bit(linux.POLLNVAL, "POLLNVAL"),
	bit(linux.POLLRDNORM, "POLLRDNORM"), bit(linux.POLLRDBAND, "POLLRDBAND"),
	bit(linux.POLLWRNORM, "POLLWRNORM"), bit(linux.POLLWRBAND, "POLLWRBAND"), bit(linux.POLLMSG, "POLLMSG"),
	bit(linux.POLLRDHUP, "POLLRDHUP"),
}

var sigactionFlags = []trace.Bit{
	bit(linux.SA_RESTORER, "SA_RESTORER"), bit(linux.SA_ONSTACK, "SA_ONSTACK"),
	bit(linux.SA_RESTART, "SA_RESTART"), bit(linux.SA_NODEFER, "SA_NODEFER"),
	bit(linux.SA_RESETHAND, "SA_RESETHAND"), bit(linux.SA_SIGINFO, "SA_SIGINFO"),
	bit(linux.SA_NOCLDSTOP, "SA_NOCLDSTOP"), bit(linux.SA_NOCLDWAIT, "SA_NOCLDWAIT"),
}

func bit(v uint64, name string) trace.Bit { return trace.Bit{Value: v, Name: name} }

// field is a value of the bits in mask.
func field(v uint64, name string, mask uint64) trace.Bit {
	return trace.Bit{Value: v, Name: name, Mask: mask}
}

func flagsText(unknown string, bits []trace.Bit) func(uint64) string {
	return func(v uint64) string { return trace.Flags(v, bits, unknown) }
}

func oneText(unknown string, names []trace.Bit) func(uint64) string {
	return func(v uint64) string { return trace.OneOf(v, names, unknown) }
}

func epollBits(v uint64) string { return trace.Flags(v, epollEvents, "EPOLL???") }

func pollText(v uint64) string { return trace.Flags(v, pollEvents, "POLL???") }

func addrFamilyText(v uint64) string { return flagText(reflect.TypeFor[AddrFamily]())(v) }

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
	bit(linux.S_IFSOCK, "S_IFSOCK"), bit(linux.S_IFLNK, "S_IFLNK"), bit(linux.S_IFREG, "S_IFREG"),
	bit(linux.S_IFBLK, "S_IFBLK"), bit(linux.S_IFDIR, "S_IFDIR"), bit(linux.S_IFCHR, "S_IFCHR"),
	bit(linux.S_IFIFO, "S_IFIFO"),
}

func nodeModeText(v uint64) string {
	if v&linux.S_IFMT == 0 {
		return octalText(v)
	}
	text := trace.OneOf(v&linux.S_IFMT, fileTypes, "S_IF???")
	for _, b := range []trace.Bit{bit(linux.S_ISUID, "S_ISUID"), bit(linux.S_ISGID, "S_ISGID"), bit(linux.S_ISVTX, "S_ISVTX")} {
		if v&b.Value != 0 {
			text += "|" + b.Name
		}
	}
	return text + "|" + octalText(v&0o777)
}

// idText prints a user or group ID; -1 means none.
func idText(v uint64) string { return fmt.Sprint(int32(v)) }

func accessText(v uint64) string {
	if v == 0 {
		return "F_OK"
	}
	return trace.Flags(v, []trace.Bit{bit(4, "R_OK"), bit(2, "W_OK"), bit(1, "X_OK")}, "?_OK")
}
