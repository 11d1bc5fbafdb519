package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
)

// Exit implements exit(2): the end of one thread.
func Exit(t *task.Task, code int32) (uintptr, linux.Errno, task.Control) {
	return 0, 0, t.ExitThread(code)
}

// ExitGroup implements exit_group(2).
func ExitGroup(t *task.Task, code int32) (uintptr, linux.Errno, task.Control) {
	return 0, 0, t.ExitGroup(code)
}
