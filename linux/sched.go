package linux

// Values of <sched.h>, <linux/sched.h>, as amd64 programs see them.
const (
	CLONE_ARGS_SIZE_VER0      = 0x40
	CLONE_ARGS_SIZE_VER1      = 0x50
	CLONE_ARGS_SIZE_VER2      = 0x58
	CLONE_NEWTIME             = 0x80
	CLONE_VM                  = 0x100
	CLONE_FS                  = 0x200
	CLONE_FILES               = 0x400
	CLONE_SIGHAND             = 0x800
	CLONE_PIDFD               = 0x1000
	CLONE_PTRACE              = 0x2000
	CLONE_VFORK               = 0x4000
	CLONE_PARENT              = 0x8000
	CLONE_THREAD              = 0x10000
	CLONE_NEWNS               = 0x20000
	CLONE_SYSVSEM             = 0x40000
	CLONE_SETTLS              = 0x80000
	CLONE_PARENT_SETTID       = 0x100000
	CLONE_CHILD_CLEARTID      = 0x200000
	CLONE_DETACHED            = 0x400000
	CLONE_UNTRACED            = 0x800000
	CLONE_CHILD_SETTID        = 0x1000000
	CLONE_NEWCGROUP           = 0x2000000
	CLONE_NEWUTS              = 0x4000000
	CLONE_NEWIPC              = 0x8000000
	CLONE_NEWUSER             = 0x10000000
	CLONE_NEWPID              = 0x20000000
	CLONE_NEWNET              = 0x40000000
	CLONE_IO                  = 0x80000000
	CLONE_CLEAR_SIGHAND       = 0x100000000
	CLONE_INTO_CGROUP         = 0x200000000
	SCHED_NORMAL              = 0
	SCHED_OTHER               = 0
	SCHED_FIFO                = 1
	SCHED_FLAG_RESET_ON_FORK  = 1
	SCHED_FLAG_RECLAIM        = 2
	SCHED_RR                  = 2
	SCHED_BATCH               = 3
	SCHED_FLAG_DL_OVERRUN     = 4
	SCHED_ISO                 = 4
	SCHED_IDLE                = 5
	SCHED_DEADLINE            = 6
	SCHED_FLAG_KEEP_POLICY    = 8
	SCHED_FLAG_KEEP_PARAMS    = 0x10
	SCHED_FLAG_KEEP_ALL       = 0x18
	SCHED_FLAG_UTIL_CLAMP_MIN = 0x20
	SCHED_FLAG_UTIL_CLAMP_MAX = 0x40
	SCHED_FLAG_UTIL_CLAMP     = 0x60
	SCHED_FLAG_ALL            = 0x7f
	SCHED_RESET_ON_FORK       = 0x40000000
)
