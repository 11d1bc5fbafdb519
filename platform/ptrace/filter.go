package ptrace

import "hornwork/linux"

// bpfInsn is struct sock_filter.
type bpfInsn struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

const (
	bpfLoad   = 0x20 // A = the 32-bit word at k of struct seccomp_data
	bpfJEQ    = 0x15
	bpfJGT    = 0x25
	bpfJGE    = 0x35
	bpfReturn = 0x06

	retKill  = 0x80000000
	retTrap  = 0x00030000
	retAllow = 0x7fff0000
)

// Flags of the two kinds of clone that a stub makes. CLONE_PARENT keeps the sentry the parent, which reaps;
// the exit signal is then the zygote's: none. A thread must not be traced by the controller: CLONE_UNTRACED.
const (
	spaceFlags  = linux.CLONE_FILES | linux.CLONE_PARENT | linux.CLONE_PTRACE
	threadFlags = linux.CLONE_VM | linux.CLONE_FS | linux.CLONE_FILES | linux.CLONE_SIGHAND | linux.CLONE_THREAD |
		linux.CLONE_SYSVSEM | linux.CLONE_UNTRACED
)

// Offsets in struct seccomp_data of the low halves of the arguments.
const (
	dataNR   = 0
	dataArch = 4
	dataArg  = 16
)

// stubFilter allows what the helper and parked threads do, with arguments pinned as far as a filter can. The
// system calls of guest threads end at PTRACE_SYSEMU before any filter; save those that the host's
// vsyscall page makes for them, which are refused by a signal.
func stubFilter() []bpfInsn {
	f := []bpfInsn{
		{bpfLoad, 0, 0, dataArch},
		{bpfJEQ, 1, 0, auditArchX86_64},
		{bpfReturn, 0, 0, retKill},
		{bpfLoad, 0, 0, dataNR},
	}
	// rule runs body, which ends in a return on every way, if the number is nr.
	rule := func(nr uint32, body ...bpfInsn) {
		f = append(f, bpfInsn{bpfJEQ, 0, uint8(len(body)), nr})
		f = append(f, body...)
	}
	allow, refuse := bpfInsn{bpfReturn, 0, 0, retAllow}, bpfInsn{bpfReturn, 0, 0, retKill}
	// below returns instructions that go on if the address in argument 0 is below the stub's text.
	below := func() []bpfInsn {
		return []bpfInsn{
			{bpfLoad, 0, 0, dataArg + 4},
			{bpfJGE, 0, 4, textAddr >> 32}, // less: on
			{bpfJGT, 2, 0, textAddr >> 32}, // more: refuse
			{bpfLoad, 0, 0, dataArg},
			{bpfJGE, 0, 1, textAddr & 0xffffffff},
			refuse,
		}
	}
	rule(linux.SYS_MMAP, append(below(),
		bpfInsn{bpfLoad, 0, 0, dataArg + 3*8},
		bpfInsn{bpfJEQ, 1, 0, linux.MAP_SHARED | linux.MAP_FIXED},
		bpfInsn{bpfJEQ, 0, 1, linux.MAP_SHARED | linux.MAP_FIXED | linux.MAP_POPULATE},
		allow, refuse)...)
	rule(linux.SYS_MUNMAP, append(below(), allow)...)
	rule(linux.SYS_MPROTECT, append(below(), allow)...)
	rule(linux.SYS_CLONE,
		bpfInsn{bpfLoad, 0, 0, dataArg},
		bpfInsn{bpfJEQ, 1, 0, spaceFlags},
		bpfInsn{bpfJEQ, 0, 1, threadFlags},
		allow, refuse)
	rule(linux.SYS_PAUSE, allow)
	rule(linux.SYS_RESTART_SYSCALL, allow)
	for _, nr := range []uint32{linux.SYS_GETTIMEOFDAY, linux.SYS_TIME, linux.SYS_GETCPU} {
		rule(nr, bpfInsn{bpfReturn, 0, 0, retTrap})
	}
	return append(f, refuse)
}
