package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/task"
)

// CloneFlags are CLONE_* with the exit signal in the low byte.
type CloneFlags uint64

const exitSignalMask = 0xff // CSIGNAL

// Clone implements clone(2), with x86-64's order of arguments.
func Clone(t *task.Task, flags CloneFlags, stack, parentTID, childTID, tls Addr) (uintptr, linux.Errno) {
	f := uint64(uint32(flags))
	a := linux.CloneArgs{
		Flags: f &^ exitSignalMask, ExitSignal: f & exitSignalMask, Stack: uint64(stack),
		PidFD: uint64(parentTID), ParentTID: uint64(parentTID), ChildTID: uint64(childTID), TLS: uint64(tls),
	}
	tid, errno := task.Clone(t, &a, nil)
	return uintptr(tid), errno
}

// Fork implements fork(2).
func Fork(t *task.Task) (uintptr, linux.Errno) {
	tid, errno := task.Clone(t, &linux.CloneArgs{ExitSignal: linux.SIGCHLD}, nil)
	return uintptr(tid), errno
}

// Vfork implements vfork(2).
func Vfork(t *task.Task) (uintptr, linux.Errno) {
	tid, errno := task.Clone(t, &linux.CloneArgs{Flags: linux.CLONE_VFORK | linux.CLONE_VM, ExitSignal: linux.SIGCHLD}, nil)
	return uintptr(tid), errno
}

// Clone3 implements clone3(2).
func Clone3(t *task.Task, args Addr, size uint64) (uintptr, linux.Errno) {
	a, tids, errno := loadCloneArgs(t, args, size)
	if errno != 0 {
		return 0, errno
	}
	if errno := checkClone3(&a); errno != 0 {
		return 0, errno
	}
	tid, errno := task.Clone(t, &a, tids)
	return uintptr(tid), errno
}

// loadCloneArgs reads struct clone_args, of which later versions are longer.
func loadCloneArgs(t *task.Task, addr Addr, size uint64) (a linux.CloneArgs, tids task.SetTID, errno linux.Errno) {
	const maxLevels = 32
	if size > linux.PageSize {
		return a, nil, linux.E2BIG
	}
	if size < linux.CLONE_ARGS_SIZE_VER0 {
		return a, nil, linux.EINVAL
	}
	b := make([]byte, max(size, linux.CLONE_ARGS_SIZE_VER2))
	if _, errno := t.Memory().CopyIn(b[:size], uint64(addr)); errno != 0 {
		return a, nil, errno
	}
	for _, x := range b[linux.CLONE_ARGS_SIZE_VER2:] {
		if x != 0 {
			return a, nil, linux.E2BIG
		}
	}
	for i, p := range []*uint64{&a.Flags, &a.PidFD, &a.ChildTID, &a.ParentTID, &a.ExitSignal, &a.Stack, &a.StackSize,
		&a.TLS, &a.SetTID, &a.SetTIDSize, &a.Cgroup} {
		*p = binary.LittleEndian.Uint64(b[8*i:])
	}
	switch {
	case a.SetTIDSize > maxLevels,
		(a.SetTID == 0) != (a.SetTIDSize == 0),
		a.ExitSignal&^exitSignalMask != 0 || a.ExitSignal > linux.NSIG,
		a.Flags&linux.CLONE_INTO_CGROUP != 0 && (a.Cgroup > 1<<31-1 || size < linux.CLONE_ARGS_SIZE_VER2):
		return a, nil, linux.EINVAL
	}
	if a.SetTIDSize > 0 {
		raw := make([]byte, 4*a.SetTIDSize)
		if _, errno := t.Memory().CopyIn(raw, a.SetTID); errno != 0 {
			return a, nil, linux.EFAULT
		}
		for i := range a.SetTIDSize {
			n := int32(binary.LittleEndian.Uint32(raw[4*i:]))
			if n <= 0 {
				return a, nil, linux.EINVAL
			}
			tids = append(tids, n)
		}
	}
	return a, tids, 0
}

// checkClone3 is clone3_args_valid; it turns the stack's range into a stack pointer.
func checkClone3(a *linux.CloneArgs) linux.Errno {
	const legacy = 0xffffffff
	f := a.Flags
	if f&^uint64(legacy|linux.CLONE_CLEAR_SIGHAND|linux.CLONE_INTO_CGROUP) != 0 ||
		f&(linux.CLONE_DETACHED|exitSignalMask&^linux.CLONE_NEWTIME) != 0 {
		return linux.EINVAL
	}
	const both = linux.CLONE_SIGHAND | linux.CLONE_CLEAR_SIGHAND
	if f&both == both {
		return linux.EINVAL
	}
	if f&(linux.CLONE_THREAD|linux.CLONE_PARENT) != 0 && a.ExitSignal != 0 {
		return linux.EINVAL
	}
	if a.Stack == 0 {
		if a.StackSize != 0 {
			return linux.EINVAL
		}
	} else {
		if a.StackSize == 0 || !accessOK(a.Stack, a.StackSize) {
			return linux.EINVAL
		}
		a.Stack += a.StackSize
	}
	if f&linux.CLONE_INTO_CGROUP != 0 {
		return linux.EOPNOTSUPP // the cgroup file system is not one that processes can be put into
	}
	return 0
}
