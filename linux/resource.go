package linux

// Values of <sys/resource.h>, as amd64 programs see them.
const (
	PRIO_PROCESS      = 0
	PRIO_PGRP         = 1
	PRIO_USER         = 2
	PRIO_MAX          = 0x14
	PRIO_MIN          = -20
	RLIM64_INFINITY   = 1<<64 - 1
	RLIMIT_CPU        = 0
	RLIMIT_FSIZE      = 1
	RLIMIT_DATA       = 2
	RLIMIT_STACK      = 3
	RLIMIT_CORE       = 4
	RLIMIT_RSS        = 5
	RLIMIT_NPROC      = 6
	RLIMIT_NOFILE     = 7
	RLIMIT_OFILE      = 7
	RLIMIT_MEMLOCK    = 8
	RLIMIT_AS         = 9
	RLIMIT_LOCKS      = 0xa
	RLIMIT_SIGPENDING = 0xb
	RLIMIT_MSGQUEUE   = 0xc
	RLIMIT_NICE       = 0xd
	RLIMIT_RTPRIO     = 0xe
	RLIMIT_RTTIME     = 0xf
	RLIMIT_NLIMITS    = 0x10
	RLIM_NLIMITS      = 0x10
	RLIM_INFINITY     = 1<<64 - 1
	RLIM_SAVED_CUR    = 1<<64 - 1
	RLIM_SAVED_MAX    = 1<<64 - 1
	RUSAGE_SELF       = 0
	RUSAGE_LWP        = 1
	RUSAGE_THREAD     = 1
	RUSAGE_CHILDREN   = -1
)
