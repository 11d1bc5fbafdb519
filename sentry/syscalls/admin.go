package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
)

// Syslog implements syslog(2) on a kernel log that is empty.
func Syslog(t *task.Task, action int32, buf OutBuf, size int32) (uintptr, linux.Errno) {
	const (
		actionClose, actionOpen, actionRead, actionReadAll, actionReadClear = 0, 1, 2, 3, 4
		actionClear, actionConsoleOff, actionConsoleOn, actionConsoleLevel  = 5, 6, 7, 8
		actionSizeUnread, actionSizeBuffer                                  = 9, 10
		bufferSize                                                          = 1 << 17
	)
	if action != actionReadAll && action != actionSizeBuffer && !t.Creds().HasCap(linux.CAP_SYSLOG) &&
		!t.Creds().HasCap(linux.CAP_SYS_ADMIN) {
		return 0, linux.EPERM
	}
	switch action {
	case actionClose, actionOpen, actionClear, actionConsoleOff, actionConsoleOn, actionSizeUnread:
		return 0, 0
	case actionRead, actionReadAll, actionReadClear:
		if buf == 0 || size < 0 {
			return 0, linux.EINVAL
		}
		if size == 0 || action != actionRead {
			return 0, 0
		}
		return none(t.Sleep(noDeadline)) // until a message comes, which none does
	case actionConsoleLevel:
		if size < 1 || size > 8 {
			return 0, linux.EINVAL
		}
		return 0, 0
	case actionSizeBuffer:
		return bufferSize, 0
	}
	return 0, linux.EINVAL
}

// Vhangup implements vhangup(2) for those who may not, and for those without a terminal.
func Vhangup(t *task.Task) (uintptr, linux.Errno) {
	if !t.Creds().HasCap(linux.CAP_SYS_TTY_CONFIG) {
		return 0, linux.EPERM
	}
	return 0, 0
}

// Reboot implements reboot(2) as Linux does inside a PID namespace: the first process dies, and the sandbox ends.
func Reboot(t *task.Task, magic1, magic2 uint32, cmd uint32, _ Addr) (uintptr, linux.Errno) {
	const (
		first                                 = 0xfee1dead
		cadOff, cadOn                         = 0, 0x89abcdef
		halt, powerOff, restart, restart2     = 0xcdef0123, 0x4321fedc, 0x01234567, 0xa1b2c3d4
		second2, second2A, second2B, second2C = 0x28121969, 0x05121996, 0x16041998, 0x20112000
	)
	if !t.Creds().HasCap(linux.CAP_SYS_BOOT) {
		return 0, linux.EPERM
	}
	if magic1 != first || (magic2 != second2 && magic2 != second2A && magic2 != second2B && magic2 != second2C) {
		return 0, linux.EINVAL
	}
	switch cmd {
	case halt, powerOff, restart, restart2:
		t.Kernel().KillAll()
		return 0, 0
	case cadOff, cadOn:
		return 0, linux.EINVAL // not in a PID namespace other than the first
	}
	return 0, linux.EINVAL
}

// NameToHandleAt implements name_to_handle_at(2) for filesystems that cannot make handles, as all of ours.
func NameToHandleAt(t *task.Task, dirfd DirFD, name Path, _ Addr, _ Addr, flags AtFlags) (uintptr, linux.Errno) {
	if flags&^(linux.AT_SYMLINK_FOLLOW|linux.AT_EMPTY_PATH) != 0 {
		return 0, linux.EINVAL
	}
	if flags&linux.AT_SYMLINK_FOLLOW == 0 {
		flags |= linux.AT_SYMLINK_NOFOLLOW
	}
	p, errno := resolve(t, dirfd, name, walkFlags(flags))
	if errno != 0 {
		return 0, errno
	}
	p.Put()
	return 0, linux.EOPNOTSUPP
}

// OpenByHandleAt implements open_by_handle_at(2): there are no handles to open.
func OpenByHandleAt(t *task.Task, _ DirFD, _ Addr, _ OpenFlags) (uintptr, linux.Errno) {
	if !t.Creds().HasCap(linux.CAP_DAC_READ_SEARCH) {
		return 0, linux.EPERM
	}
	return 0, linux.ESTALE
}

// PkeyAlloc implements pkey_alloc(2) on a CPU without protection keys.
func PkeyAlloc(_ *task.Task, flags, rights uint64) (uintptr, linux.Errno) {
	const allRights = 3
	if flags != 0 || rights&^allRights != 0 {
		return 0, linux.EINVAL
	}
	return 0, linux.ENOSPC
}

// PkeyFree implements pkey_free(2): no key was ever given out.
func PkeyFree(_ *task.Task, _ int32) (uintptr, linux.Errno) { return 0, linux.EINVAL }

// PkeyMprotect implements pkey_mprotect(2): key -1 is plain mprotect.
func PkeyMprotect(t *task.Task, addr Addr, length uint64, prot Prot, key int32) (uintptr, linux.Errno) {
	if key != -1 {
		return 0, linux.EINVAL
	}
	return Mprotect(t, addr, length, prot)
}
