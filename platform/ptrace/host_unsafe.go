package ptrace

import (
	"syscall"
	"unsafe"

	"hornwork/linux"
)

// Requests, options and codes of ptrace(2). They belong to the host, not to the guests' ABI.
const (
	ptPokeUser       = 6
	ptCont           = 7
	ptGetRegs        = 12
	ptDetach         = 17
	ptSysemu         = 31
	ptSetOptions     = 0x4200
	ptGetSiginfo     = 0x4202
	ptGetRegset      = 0x4204
	ptSetRegset      = 0x4205
	ptSeize          = 0x4206
	ptInterrupt      = 0x4207
	ptGetSyscallInfo = 0x420e
	ptGetRseq        = 0x420f

	optSysGood  = 1
	optExitKill = 1 << 20
	traceOpts   = optSysGood | optExitKill

	wNoHang   = 1
	wAll      = 0x40000000
	wNoThread = 0x20000000

	ntPRStatus  = 1
	ntX86XState = 0x202

	auditArchX86_64 = 0xc000003e
)

// forkZygote is clone(2) with flags; see fork_amd64.s. It returns a pid or a negated error number.
func forkZygote(flags uintptr) uintptr

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

// ptrace makes a request that takes numbers.
func ptrace(req, tid int, addr, data uintptr) linux.Errno {
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	return linux.Errno(e)
}

// iovec is the host's struct iovec.
type iovec struct {
	base unsafe.Pointer
	len  uint64
}

func getRegs(tid int, regs *linux.Regs) linux.Errno {
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, ptGetRegs, uintptr(tid), 0, uintptr(unsafe.Pointer(regs)), 0, 0)
	return linux.Errno(e)
}

// generalRegs is the length of struct user_regs_struct up to SS: without the segment bases, which the host
// may refuse to set to what a guest itself could set, and without the data segments.
const generalRegs = unsafe.Offsetof(linux.Regs{}.FSBase)

// setRegs sets the general registers, up to SS.
func setRegs(tid int, regs *linux.Regs) linux.Errno {
	iov := iovec{unsafe.Pointer(regs), uint64(generalRegs)}
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, ptSetRegset, uintptr(tid), ntPRStatus, uintptr(unsafe.Pointer(&iov)), 0, 0)
	return linux.Errno(e)
}

// Offsets of the bases and data segments in struct user, for ptPokeUser.
const (
	offFSBase = unsafe.Offsetof(linux.Regs{}.FSBase)
	offGSBase = unsafe.Offsetof(linux.Regs{}.GSBase)
	offDS     = unsafe.Offsetof(linux.Regs{}.DS)
	offES     = unsafe.Offsetof(linux.Regs{}.ES)
	offFS     = unsafe.Offsetof(linux.Regs{}.FS)
	offGS     = unsafe.Offsetof(linux.Regs{}.GS)
)

// getXState reads the XSAVE image into b and returns its length.
func getXState(tid int, b []byte) (int, linux.Errno) {
	iov := iovec{unsafe.Pointer(&b[0]), uint64(len(b))}
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, ptGetRegset, uintptr(tid), ntX86XState, uintptr(unsafe.Pointer(&iov)), 0, 0)
	return int(iov.len), linux.Errno(e)
}

// setXState replaces the XSAVE image by b, which has its whole length.
func setXState(tid int, b []byte) linux.Errno {
	iov := iovec{unsafe.Pointer(&b[0]), uint64(len(b))}
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, ptSetRegset, uintptr(tid), ntX86XState, uintptr(unsafe.Pointer(&iov)), 0, 0)
	return linux.Errno(e)
}

func getSiginfo(tid int, si *linux.Siginfo) linux.Errno {
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, ptGetSiginfo, uintptr(tid), 0, uintptr(unsafe.Pointer(si)), 0, 0)
	return linux.Errno(e)
}

// syscallInfo is the head of struct ptrace_syscall_info.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	_    [10]uint64
}

// syscallArch returns the AUDIT_ARCH of the system call at which tid is stopped.
func syscallArch(tid int) (uint32, linux.Errno) {
	var si syscallInfo
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, ptGetSyscallInfo, uintptr(tid), unsafe.Sizeof(si), uintptr(unsafe.Pointer(&si)), 0, 0)
	return si.arch, linux.Errno(e)
}

// rseqConfig is struct ptrace_rseq_configuration.
type rseqConfig struct {
	addr                   uint64
	size, signature, flags uint32
	_                      uint32
}

// rseqOf returns what tid has registered by rseq(2); addr is 0 if nothing, or if the host cannot tell.
func rseqOf(tid int) (c rseqConfig) {
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, ptGetRseq, uintptr(tid), unsafe.Sizeof(c), uintptr(unsafe.Pointer(&c)), 0, 0)
	if e != 0 {
		return rseqConfig{}
	}
	return c
}

// wait waits for a change of the tracee tid. Go's other goroutines run meanwhile.
func wait(tid, flags int) (got int, status uint32, errno linux.Errno) {
	for {
		var st uint32
		r, _, e := syscall.Syscall6(syscall.SYS_WAIT4, uintptr(tid), uintptr(unsafe.Pointer(&st)), uintptr(flags), 0, 0, 0)
		if e != syscall.EINTR {
			return int(r), st, linux.Errno(e)
		}
	}
}

func gettid() int {
	r, _, _ := syscall.RawSyscall(syscall.SYS_GETTID, 0, 0, 0)
	return int(r)
}

// tgkill fails only for a thread that is gone, which its tracer learns anyway.
func tgkill(pid, tid int, sig uintptr) {
	syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(pid), uintptr(tid), sig)
}

// kill ends a stub. Numbers that mean process groups never reach the host.
func kill(pid int) {
	if pid > 1 {
		syscall.RawSyscall(syscall.SYS_KILL, uintptr(pid), uintptr(linux.SIGKILL), 0)
	}
}

// readRemote reads the memory of pid, across at most one page border, and returns how much was there.
func readRemote(pid int, addr uint64, b []byte) int {
	local := iovec{unsafe.Pointer(&b[0]), uint64(len(b))}
	remote := [2]linux.IOVec{{Base: addr, Len: uint64(len(b))}}
	n := uintptr(1)
	if in := pageSize - addr%pageSize; in < uint64(len(b)) {
		remote = [2]linux.IOVec{{Base: addr, Len: in}, {Base: addr + in, Len: uint64(len(b)) - in}}
		n = 2
	}
	r, _, e := syscall.RawSyscall6(linux.SYS_PROCESS_VM_READV, uintptr(pid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(&remote)), n, 0)
	if e != 0 {
		return 0
	}
	return int(r)
}

// processTime is the CPU time of the host process pid in nanoseconds, 0 if it is gone.
func processTime(pid int) int64 {
	var ts linux.Timespec
	clock := uintptr(^pid<<3 | 2) // CPUCLOCK_SCHED of a process
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0)
	if e != 0 {
		return 0
	}
	return ts.Sec*1e9 + ts.Nsec
}

// sigaction is the host's struct sigaction.
type sigaction struct {
	handler, flags, restorer, mask uint64
}

// ignoreChildStops adds SA_NOCLDSTOP to the action that the Go runtime set for SIGCHLD. Without it each stop
// of a tracee would run the runtime's signal handler on some thread of the sentry.
func ignoreChildStops() error {
	var sa sigaction
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, linux.SIGCHLD, 0, uintptr(unsafe.Pointer(&sa)), 8, 0, 0)
	if e != 0 {
		return e
	}
	sa.flags |= linux.SA_NOCLDSTOP
	_, _, e = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, linux.SIGCHLD, uintptr(unsafe.Pointer(&sa)), 0, 8, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// memfdWith returns a descriptor of a memory file that holds b.
func memfdWith(name string, b []byte) (int, error) {
	n := append([]byte(name), 0)
	fd, _, e := syscall.RawSyscall(linux.SYS_MEMFD_CREATE, uintptr(unsafe.Pointer(&n[0])), 1, 0) // MFD_CLOEXEC
	if e != 0 {
		return -1, e
	}
	if len(b) == 0 {
		return int(fd), nil
	}
	if _, err := syscall.Pwrite(int(fd), b, 0); err != nil {
		syscall.Close(int(fd))
		return -1, err
	}
	return int(fd), nil
}

// zygoteData is what the zygote's first calls point to. The fork copies it at its address; it is a package
// variable so that it is no part of a stack, which the stub's pages may replace.
var zygoteData struct {
	name   [16]byte
	zero   [64]byte // struct sigaction, sigset_t and struct rlimit with nothing set
	filter [64]bpfInsn
	prog   struct {
		len  uint16
		_    [6]byte
		insn unsafe.Pointer
	}
}

func zygoteAddrs() (name, zero, prog uint64) {
	d := &zygoteData
	return uint64(uintptr(unsafe.Pointer(&d.name))), uint64(uintptr(unsafe.Pointer(&d.zero))), uint64(uintptr(unsafe.Pointer(&d.prog)))
}

func setZygoteFilter(f []bpfInsn) {
	d := &zygoteData
	copy(d.name[:15], "hornwork-stub")
	d.prog.len = uint16(copy(d.filter[:], f))
	d.prog.insn = unsafe.Pointer(&d.filter)
}

// reapDead takes the exit status of the traced thread tid if it is dead. Any thread of the sentry may ask,
// and stops are left for the tracer.
func reapDead(tid int) {
	const pPID, wExited = 1, 4
	syscall.RawSyscall6(syscall.SYS_WAITID, pPID, uintptr(tid), 0, wExited|wNoHang|wAll, 0, 0)
}

// words is b, which is aligned, as words.
func words(b []byte) []uint64 { return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), len(b)/8) }

func addrOf(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
