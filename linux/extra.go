package linux

// Values that the C library's headers hide or that have no constant expression.
const (
	SIGRTMIN = 32 // the kernel's; glibc keeps 32 and 33 for itself
	SIGRTMAX = 64
	NSIG     = 64

	SA_RESTORER = 0x04000000

	WNOTHREAD = 0x20000000 // __WNOTHREAD
	WALL      = 0x40000000 // __WALL
	WCLONE    = 0x80000000 // __WCLONE

	DT_UNKNOWN = 0
	DT_FIFO    = 1
	DT_CHR     = 2
	DT_DIR     = 4
	DT_BLK     = 6
	DT_REG     = 8
	DT_LNK     = 10
	DT_SOCK    = 12

	FALLOC_FL_KEEP_SIZE      = 0x01
	FALLOC_FL_PUNCH_HOLE     = 0x02
	FALLOC_FL_COLLAPSE_RANGE = 0x08
	FALLOC_FL_ZERO_RANGE     = 0x10
	FALLOC_FL_INSERT_RANGE   = 0x20
	FALLOC_FL_UNSHARE_RANGE  = 0x40

	PageSize  = 4096
	PageShift = 12
	PageMask  = PageSize - 1
)

// Flags of statfs(2)'s f_flags.
const (
	ST_RDONLY     = 0x0001
	ST_NOSUID     = 0x0002
	ST_NODEV      = 0x0004
	ST_NOEXEC     = 0x0008
	ST_VALID      = 0x0020
	ST_NOATIME    = 0x0400
	ST_NODIRATIME = 0x0800
	ST_RELATIME   = 0x1000
)

// States of sockets in /proc/net/unix, and the flag of one that listens (net.h).
const (
	SS_UNCONNECTED = 1
	SS_CONNECTED   = 3
	SO_ACCEPTCON   = 1 << 16
)

// Commands of ioctl_ns(2), nsfs.h.
const (
	NS_GET_USERNS    = 0xb701
	NS_GET_PARENT    = 0xb702
	NS_GET_NSTYPE    = 0xb703
	NS_GET_OWNER_UID = 0xb704
)
