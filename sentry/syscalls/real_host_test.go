package syscalls

import "syscall"

type unixStatus = syscall.WaitStatus

var newSession = &syscall.SysProcAttr{Setsid: true}
