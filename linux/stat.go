package linux

// Values of <sys/stat.h>, <linux/stat.h>, as amd64 programs see them.
const (
	STATX_TYPE            = 1
	STATX_MODE            = 2
	STATX_ATTR_COMPRESSED = 4
	STATX_NLINK           = 4
	STATX_UID             = 8
	STATX_ATTR_IMMUTABLE  = 0x10
	STATX_GID             = 0x10
	STATX_ATIME           = 0x20
	STATX_ATTR_APPEND     = 0x20
	STATX_ATTR_NODUMP     = 0x40
	STATX_MTIME           = 0x40
	STATX_CTIME           = 0x80
	STATX_INO             = 0x100
	STATX_SIZE            = 0x200
	STATX_BLOCKS          = 0x400
	STATX_BASIC_STATS     = 0x7ff
	STATX_ATTR_ENCRYPTED  = 0x800
	STATX_BTIME           = 0x800
	STATX_ALL             = 0xfff
	STATX_ATTR_AUTOMOUNT  = 0x1000
	STATX_MNT_ID          = 0x1000
	STATX_ATTR_MOUNT_ROOT = 0x2000
	STATX_DIOALIGN        = 0x2000
	STATX_ATTR_VERITY     = 0x100000
	STATX_ATTR_DAX        = 0x200000
	STATX__RESERVED       = 0x80000000
	S_IEXEC               = 0x40
	S_IWRITE              = 0x80
	S_IREAD               = 0x100
	UTIME_OMIT            = 0x3ffffffe
	UTIME_NOW             = 0x3fffffff
)
