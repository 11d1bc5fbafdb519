package trap

import "hornwork/linux"

// sockFilter is struct sock_filter.
type sockFilter struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

const (
	bpfLoad   = 0x20 // BPF_LD|BPF_W|BPF_ABS
	bpfAnd    = 0x54 // BPF_ALU|BPF_AND|BPF_K
	bpfJEQ    = 0x15
	bpfJGT    = 0x25
	bpfReturn = 0x06

	dataNR   = 0 // offsets in struct seccomp_data
	dataArch = 4
	dataArgs = 16

	// The listener's flags: SPEC_ALLOW, as guests get no more than they would natively; NEW_LISTENER;
	// WAIT_KILLABLE_RECV, so that a signal for a thread whose request the sentry has taken waits for the answer.
	//lint:ignore U1000 stub_amd64.s uses it
	filterFlags = linux.SECCOMP_FILTER_FLAG_SPEC_ALLOW | linux.SECCOMP_FILTER_FLAG_NEW_LISTENER | waitKillableRecv

	//lint:ignore U1000 filterFlags uses it
	waitKillableRecv = 1 << 5 // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

	retKillProcess = 0x80000000
	retTrap        = 0x00030000
	retNotify      = 0x7fc00000
	retAllow       = 0x7fff0000
)

// trapped are the calls of guests that need all registers, so that they come as SIGSYS with a frame.
var trapped = []uint32{
	linux.SYS_CLONE, linux.SYS_CLONE3, linux.SYS_FORK, linux.SYS_VFORK, linux.SYS_EXECVE, linux.SYS_EXECVEAT,
	linux.SYS_RT_SIGRETURN,
	0xffffffff, // the kernel does not restart it when a signal interrupts the notification
}

// exitLow and exitHigh are the status with which the stub ends a thread; no program exits with it.
const (
	exitLow  = 0x70617274
	exitHigh = 0x746c6168
	exitCode = exitHigh<<32 | exitLow
)

// guestFilter is the filter of a guest thread. It allows exit(2) with exitCode, which ends the thread and nothing else.
// Whether the call comes from guest code or from the stub makes no difference.
func guestFilter() []sockFilter {
	f := []sockFilter{
		{bpfLoad, 0, 0, dataArch},
		{bpfJEQ, 1, 0, linux.AUDIT_ARCH_X86_64},
		{bpfReturn, 0, 0, retTrap},
		{bpfLoad, 0, 0, dataNR},
		{bpfJEQ, 0, 6, linux.SYS_EXIT},
		{bpfLoad, 0, 0, dataArgs},
		{bpfJEQ, 0, 3, exitLow},
		{bpfLoad, 0, 0, dataArgs + 4},
		{bpfJEQ, 0, 1, exitHigh},
		{bpfReturn, 0, 0, retAllow},
		{bpfReturn, 0, 0, retNotify},
	}
	for _, nr := range trapped {
		f = append(f, sockFilter{bpfJEQ, 0, 1, nr}, sockFilter{bpfReturn, 0, 0, retTrap})
	}
	return append(f, sockFilter{bpfReturn, 0, 0, retNotify})
}

// mapperFilter is the mapper's: mapping calls, with the flags of mmap pinned, and closing.
func mapperFilter() []sockFilter {
	allow := sockFilter{bpfReturn, 0, 0, retAllow}
	f := []sockFilter{
		{bpfLoad, 0, 0, dataArch},
		{bpfJEQ, 1, 0, linux.AUDIT_ARCH_X86_64},
		{bpfReturn, 0, 0, retKillProcess},
		{bpfLoad, 0, 0, dataNR},
		{bpfJEQ, 0, 1, notifyMapper},
		{bpfReturn, 0, 0, retNotify},
	}
	for _, nr := range []uint32{linux.SYS_MUNMAP, linux.SYS_MPROTECT, linux.SYS_CLOSE_RANGE, linux.SYS_CLOCK_GETTIME} {
		f = append(f, sockFilter{bpfJEQ, 0, 1, nr}, allow)
	}
	f = append(f,
		sockFilter{bpfJEQ, 0, 4, linux.SYS_RECVMSG},
		sockFilter{bpfLoad, 0, 0, dataArgs},
		sockFilter{bpfJEQ, 0, 1, fdSocket},
		allow,
		sockFilter{bpfReturn, 0, 0, retKillProcess})
	return append(f,
		sockFilter{bpfJEQ, 0, 4, linux.SYS_MMAP},
		sockFilter{bpfLoad, 0, 0, dataArgs + 3*8},
		sockFilter{bpfAnd, 0, 0, ^uint32(linux.MAP_POPULATE)},
		sockFilter{bpfJEQ, 0, 1, linux.MAP_SHARED | linux.MAP_FIXED},
		allow,
		sockFilter{bpfReturn, 0, 0, retKillProcess},
	)
}

// baseFilter allows everything.
func baseFilter() []sockFilter {
	return []sockFilter{{bpfLoad, 0, 0, dataArgs}, {bpfReturn, 0, 0, retAllow}}
}
