package syscalls

import (
	"bytes"
	"math"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// PrctlOp is PR_*.
type PrctlOp int32

// prctlArgs are the other arguments of prctl(2).
type prctlArgs struct{ a2, a3, a4, a5 uint64 }

// rest says whether the arguments after the second are 0, which most options insist on.
func (a prctlArgs) rest() bool { return a.a3|a.a4|a.a5 == 0 }

type prctlFunc func(t *task.Task, a prctlArgs) (uintptr, linux.Errno)

// prctlOps are the options of prctl(2).
var prctlOps = map[PrctlOp]prctlFunc{
	linux.PR_SET_PDEATHSIG: prSetPdeathsig,
	linux.PR_GET_PDEATHSIG: prGetPdeathsig,
	linux.PR_GET_DUMPABLE:  prGetDumpable,
	linux.PR_SET_DUMPABLE:  prSetDumpable,
	linux.PR_GET_KEEPCAPS:  prGetKeepcaps,
	linux.PR_SET_KEEPCAPS:  prSetKeepcaps,
	linux.PR_GET_TIMING:    func(*task.Task, prctlArgs) (uintptr, linux.Errno) { return linux.PR_TIMING_STATISTICAL, 0 },
	linux.PR_SET_TIMING:    prSetTiming,
	linux.PR_SET_NAME:      prSetName,
	linux.PR_GET_NAME:      prGetName,
	linux.PR_GET_SECCOMP:   func(*task.Task, prctlArgs) (uintptr, linux.Errno) { return 0, 0 },
	linux.PR_CAPBSET_READ:  prCapbsetRead,
	// There are no events whose counting could stop or go on.
	linux.PR_TASK_PERF_EVENTS_DISABLE: func(*task.Task, prctlArgs) (uintptr, linux.Errno) { return 0, 0 },
	linux.PR_TASK_PERF_EVENTS_ENABLE:  func(*task.Task, prctlArgs) (uintptr, linux.Errno) { return 0, 0 },
	linux.PR_CAPBSET_DROP:             prCapbsetDrop,
	linux.PR_GET_TSC:                  prGetTSC,
	linux.PR_SET_TSC:                  prSetTSC,
	linux.PR_GET_SECUREBITS:           prGetSecurebits,
	linux.PR_SET_SECUREBITS:           prSetSecurebits,
	linux.PR_SET_TIMERSLACK:           prSetTimerslack,
	linux.PR_GET_TIMERSLACK:           prGetTimerslack,
	linux.PR_SET_CHILD_SUBREAPER:      prSetSubreaper,
	linux.PR_GET_CHILD_SUBREAPER:      prGetSubreaper,
	linux.PR_SET_NO_NEW_PRIVS:         prSetNoNewPrivs,
	linux.PR_GET_NO_NEW_PRIVS:         prGetNoNewPrivs,
	linux.PR_GET_TID_ADDRESS:          prGetTIDAddress,
	linux.PR_SET_THP_DISABLE:          prSetTHPDisable,
	linux.PR_GET_THP_DISABLE:          prGetTHPDisable,
	linux.PR_CAP_AMBIENT:              prCapAmbient,
	linux.PR_SET_IO_FLUSHER:           prSetIOFlusher,
	linux.PR_GET_IO_FLUSHER:           prGetIOFlusher,
	linux.PR_SET_MM:                   prSetMM,
	linux.PR_SET_VMA:                  prSetVMA,
	linux.PR_MCE_KILL:                 prMCEKill,
	linux.PR_MCE_KILL_GET:             prMCEKillGet,
	linux.PR_SET_PTRACER:              prSetPtracer,
}

// Prctl implements prctl(2).
func Prctl(t *task.Task, op PrctlOp, a2, a3, a4, a5 uint64) (uintptr, linux.Errno) {
	if f := prctlOps[op]; f != nil {
		return f(t, prctlArgs{a2, a3, a4, a5})
	}
	return 0, linux.EINVAL
}

func prSetPdeathsig(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 > linux.NSIG {
		return 0, linux.EINVAL
	}
	t.SetPDeathSig(int32(a.a2))
	return 0, 0
}

func prGetPdeathsig(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	return none(mm.User[int32](a.a2).Store(t, t.PDeathSig()))
}

func prGetDumpable(t *task.Task, _ prctlArgs) (uintptr, linux.Errno) {
	return uintptr(t.Group.Dumpable()), 0
}

func prSetDumpable(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 > 1 {
		return 0, linux.EINVAL
	}
	t.Group.SetDumpable(int32(a.a2))
	return 0, 0
}

func prGetKeepcaps(t *task.Task, _ prctlArgs) (uintptr, linux.Errno) {
	return oneIf(t.Creds().SecureBits&linux.SECBIT_KEEP_CAPS != 0), 0
}

func prSetKeepcaps(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 > 1 {
		return 0, linux.EINVAL
	}
	if t.Creds().SecureBits&linux.SECBIT_KEEP_CAPS_LOCKED != 0 {
		return 0, linux.EPERM
	}
	n := t.Creds().Clone()
	n.SecureBits &^= linux.SECBIT_KEEP_CAPS
	if a.a2 != 0 {
		n.SecureBits |= linux.SECBIT_KEEP_CAPS
	}
	t.SetCreds(n)
	return 0, 0
}

func prSetTiming(_ *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 != linux.PR_TIMING_STATISTICAL {
		return 0, linux.EINVAL
	}
	return 0, 0
}

func prSetName(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	s, errno := t.MM().CopyInString(a.a2, 15)
	if errno != 0 && errno != linux.ENAMETOOLONG {
		return 0, errno
	}
	t.SetName(s)
	return 0, 0
}

func prGetName(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	var b [16]byte
	copy(b[:15], t.Name())
	return none(mm.User[[16]byte](a.a2).Store(t, b))
}

func prCapbsetRead(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 > linux.CAP_LAST_CAP {
		return 0, linux.EINVAL
	}
	return oneIf(t.Creds().Bounding.Has(int(a.a2))), 0
}

func prCapbsetDrop(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if !t.Creds().HasCap(linux.CAP_SETPCAP) {
		return 0, linux.EPERM
	}
	if a.a2 > linux.CAP_LAST_CAP {
		return 0, linux.EINVAL
	}
	n := t.Creds().Clone()
	n.Bounding &^= 1 << a.a2
	t.SetCreds(n)
	return 0, 0
}

func prGetTSC(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	return none(mm.User[int32](a.a2).Store(t, linux.PR_TSC_ENABLE))
}

// prSetTSC: the time-stamp counter cannot be taken away from a guest.
func prSetTSC(_ *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 != linux.PR_TSC_ENABLE {
		return 0, linux.EINVAL
	}
	return 0, 0
}

func prGetSecurebits(t *task.Task, _ prctlArgs) (uintptr, linux.Errno) {
	return uintptr(t.Creds().SecureBits), 0
}

func prSetSecurebits(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	old := t.Creds()
	locks := old.SecureBits & linux.SECURE_ALL_LOCKS
	switch bits := a.a2; {
	case uint64(old.SecureBits&linux.SECURE_ALL_LOCKS)>>1&(uint64(old.SecureBits)^bits) != 0,
		uint64(locks)&^bits != 0,
		bits&^uint64(linux.SECURE_ALL_BITS|linux.SECURE_ALL_LOCKS) != 0,
		!old.HasCap(linux.CAP_SETPCAP):
		return 0, linux.EPERM
	}
	n := old.Clone()
	n.SecureBits = uint32(a.a2)
	t.SetCreds(n)
	return 0, 0
}

func prSetTimerslack(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	t.SetTimerSlack(max(int64(a.a2), 0))
	return 0, 0
}

func prGetTimerslack(t *task.Task, _ prctlArgs) (uintptr, linux.Errno) {
	return uintptr(min(t.TimerSlack(), math.MaxInt64)), 0
}

func prSetSubreaper(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	t.Group.SetSubreaper(a.a2 != 0)
	return 0, 0
}

func prGetSubreaper(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	return none(mm.User[int32](a.a2).Store(t, int32(oneIf(t.Group.Subreaper()))))
}

func prSetNoNewPrivs(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 != 1 || !a.rest() {
		return 0, linux.EINVAL
	}
	n := t.Creds().Clone()
	n.NoNewPrivs = true
	t.SetCreds(n)
	return 0, 0
}

func prGetNoNewPrivs(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 != 0 || !a.rest() {
		return 0, linux.EINVAL
	}
	return oneIf(t.Creds().NoNewPrivs), 0
}

func prGetTIDAddress(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	return none(mm.User[uint64](a.a2).Store(t, t.TIDAddress()))
}

func prSetTHPDisable(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if !a.rest() {
		return 0, linux.EINVAL
	}
	t.Group.THPDisable().Store(a.a2 != 0)
	return 0, 0
}

func prGetTHPDisable(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 != 0 || !a.rest() {
		return 0, linux.EINVAL
	}
	return oneIf(t.Group.THPDisable().Load()), 0
}

func prCapAmbient(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	old := t.Creds()
	if a.a2 == linux.PR_CAP_AMBIENT_CLEAR_ALL {
		if !a.rest() {
			return 0, linux.EINVAL
		}
		n := old.Clone()
		n.Ambient = 0
		t.SetCreds(n)
		return 0, 0
	}
	if a.a3 > linux.CAP_LAST_CAP || a.a4|a.a5 != 0 {
		return 0, linux.EINVAL
	}
	c := int(a.a3)
	switch a.a2 {
	case linux.PR_CAP_AMBIENT_IS_SET:
		return oneIf(old.Ambient.Has(c)), 0
	case linux.PR_CAP_AMBIENT_RAISE:
		if !old.Permitted.Has(c) || !old.Inheritable.Has(c) || old.SecureBits&linux.SECBIT_NO_CAP_AMBIENT_RAISE != 0 {
			return 0, linux.EPERM
		}
	case linux.PR_CAP_AMBIENT_LOWER:
	default:
		return 0, linux.EINVAL
	}
	n := old.Clone()
	n.Ambient &^= 1 << c
	if a.a2 == linux.PR_CAP_AMBIENT_RAISE {
		n.Ambient |= 1 << c
	}
	t.SetCreds(n)
	return 0, 0
}

func prSetIOFlusher(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if !t.Creds().HasCap(linux.CAP_SYS_RESOURCE) {
		return 0, linux.EPERM
	}
	if a.a2 > 1 || !a.rest() {
		return 0, linux.EINVAL
	}
	t.Group.IOFlusher().Store(a.a2 == 1)
	return 0, 0
}

func prGetIOFlusher(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if !t.Creds().HasCap(linux.CAP_SYS_RESOURCE) {
		return 0, linux.EPERM
	}
	if a.a2 != 0 || !a.rest() {
		return 0, linux.EINVAL
	}
	return oneIf(t.Group.IOFlusher().Load()), 0
}

// prSetMM changes what /proc/pid/stat and cmdline show.
func prSetMM(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a5 != 0 || a.a4 != 0 && a.a2 != linux.PR_SET_MM_AUXV && a.a2 != linux.PR_SET_MM_MAP && a.a2 != linux.PR_SET_MM_MAP_SIZE {
		return 0, linux.EINVAL
	}
	if !t.Creds().HasCap(linux.CAP_SYS_RESOURCE) {
		return 0, linux.EPERM
	}
	field := setMMField(a.a2)
	if field == nil || a.a3 >= taskSizeMax {
		return 0, linux.EINVAL
	}
	t.MM().SetLayout(func(l *mm.Layout) { *field(l) = a.a3 })
	return 0, 0
}

func setMMField(op uint64) func(l *mm.Layout) *uint64 {
	switch op {
	case linux.PR_SET_MM_START_CODE:
		return func(l *mm.Layout) *uint64 { return &l.StartCode }
	case linux.PR_SET_MM_END_CODE:
		return func(l *mm.Layout) *uint64 { return &l.EndCode }
	case linux.PR_SET_MM_START_DATA:
		return func(l *mm.Layout) *uint64 { return &l.StartData }
	case linux.PR_SET_MM_END_DATA:
		return func(l *mm.Layout) *uint64 { return &l.EndData }
	case linux.PR_SET_MM_START_STACK:
		return func(l *mm.Layout) *uint64 { return &l.StartStack }
	case linux.PR_SET_MM_ARG_START:
		return func(l *mm.Layout) *uint64 { return &l.ArgStart }
	case linux.PR_SET_MM_ARG_END:
		return func(l *mm.Layout) *uint64 { return &l.ArgEnd }
	case linux.PR_SET_MM_ENV_START:
		return func(l *mm.Layout) *uint64 { return &l.EnvStart }
	case linux.PR_SET_MM_ENV_END:
		return func(l *mm.Layout) *uint64 { return &l.EnvEnd }
	}
	return nil
}

// prSetVMA names anonymous memory.
func prSetVMA(t *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	const maxName = 80 // with its NUL
	if a.a2 != linux.PR_SET_VMA_ANON_NAME {
		return 0, linux.EINVAL
	}
	name := ""
	if a.a5 != 0 {
		s, errno := t.MM().CopyInString(a.a5, maxName)
		if errno == linux.ENAMETOOLONG {
			return 0, linux.EINVAL
		}
		if errno != 0 {
			return 0, errno
		}
		for _, c := range []byte(s) {
			if c < 0x20 || c > 0x7e || bytes.IndexByte([]byte("\\`$[]"), c) >= 0 {
				return 0, linux.EINVAL
			}
		}
		name = s
	}
	return none(t.MM().SetAnonName(a.a3, a.a4, name))
}

// prMCEKill: there are no machine checks that a guest is told of; the policy is what it always is.
func prMCEKill(_ *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a4|a.a5 != 0 {
		return 0, linux.EINVAL
	}
	switch {
	case a.a2 == linux.PR_MCE_KILL_CLEAR && a.a3 == 0,
		a.a2 == linux.PR_MCE_KILL_SET && a.a3 == linux.PR_MCE_KILL_DEFAULT:
		return 0, 0
	}
	return 0, linux.EINVAL
}

func prMCEKillGet(_ *task.Task, a prctlArgs) (uintptr, linux.Errno) {
	if a.a2 != 0 || !a.rest() {
		return 0, linux.EINVAL
	}
	return linux.PR_MCE_KILL_DEFAULT, 0
}

// prSetPtracer belongs to Yama, which is not configured.
func prSetPtracer(*task.Task, prctlArgs) (uintptr, linux.Errno) { return 0, linux.EINVAL }

func oneIf(b bool) uintptr {
	if b {
		return 1
	}
	return 0
}

// ArchPrctl implements arch_prctl(2). GS belongs to the platform: Linux's error for an address that cannot be.
func ArchPrctl(t *task.Task, op int32, arg uint64) (uintptr, linux.Errno) {
	switch op {
	case linux.ARCH_SET_FS:
		if arg >= taskSizeMax {
			return 0, linux.EPERM
		}
		t.FullRegs().FSBase = arg
		return 0, 0
	case linux.ARCH_GET_FS:
		return none(mm.User[uint64](arg).Store(t, t.FullRegs().FSBase))
	case linux.ARCH_SET_GS:
		return 0, linux.EPERM
	case linux.ARCH_GET_GS:
		return none(mm.User[uint64](arg).Store(t, 0))
	case linux.ARCH_GET_CPUID:
		return 1, 0
	case linux.ARCH_SET_CPUID:
		return 0, linux.ENODEV
	}
	return 0, linux.EINVAL
}
