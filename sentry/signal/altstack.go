package signal

import "hornwork/linux"

// Flags of sigaltstack(2).
const (
	ssDisable    = linux.SS_DISABLE
	ssOnStack    = linux.SS_ONSTACK
	ssAutodisarm = -1 << 31 // SS_AUTODISARM
	ssFlagBits   = ssAutodisarm
)

// AltStack is a thread's alternate signal stack. The zero value is not set up.
type AltStack struct {
	SP, Size uint64
	Flags    int32 // SS_DISABLE or SS_AUTODISARM or 0
}

// NoAltStack is the state after execve(2).
var NoAltStack = AltStack{Flags: ssDisable}

// within says whether sp is on the stack, autodisarmed ones included.
func (a *AltStack) within(sp uint64) bool { return sp > a.SP && sp-a.SP <= a.Size }

// On says whether a thread whose stack pointer is sp runs on the stack. One that disarms itself does not count.
func (a *AltStack) On(sp uint64) bool {
	return a.Flags&ssAutodisarm == 0 && a.within(sp)
}

// state is sas_ss_flags: SS_DISABLE, SS_ONSTACK or 0.
func (a *AltStack) state(sp uint64) int32 {
	if a.Size == 0 {
		return ssDisable
	}
	if a.On(sp) {
		return ssOnStack
	}
	return 0
}

// Get is the stack as sigaltstack(2) reports it to a thread whose stack pointer is sp.
func (a *AltStack) Get(sp uint64) linux.StackT {
	return linux.StackT{SP: a.SP, Size: a.Size, Flags: a.state(sp) | a.Flags&ssFlagBits}
}

// Set changes the stack for a thread whose stack pointer is sp. minSize is MINSIGSTKSZ.
func (a *AltStack) Set(s *linux.StackT, sp, minSize uint64) linux.Errno {
	if a.On(sp) {
		return linux.EPERM
	}
	switch s.Flags &^ ssFlagBits {
	case ssDisable:
		*a = AltStack{Flags: s.Flags}
		return 0
	case ssOnStack, 0:
	default:
		return linux.EINVAL
	}
	if s.Size < minSize {
		return linux.ENOMEM
	}
	*a = AltStack{SP: s.SP, Size: s.Size, Flags: s.Flags}
	return 0
}
