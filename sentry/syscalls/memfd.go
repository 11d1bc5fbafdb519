package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
)

// shmem is the tmpfs, mounted nowhere, that memfds are on.
var shmem *tmpfs.FS

// SetShmem gives memfd_create(2) its filesystem; the kernel calls it before the first task runs.
func SetShmem(fs *tmpfs.FS) { shmem = fs }

// MemfdCreate implements memfd_create(2).
func MemfdCreate(t *task.Task, name Str, flags MemfdFlags) (uintptr, linux.Errno) {
	if flags&linux.MFD_HUGETLB != 0 {
		trace.Unsupported(trace.Flag, "MFD_HUGETLB", t.Name())
		return 0, linux.ENOSYS // as without CONFIG_HUGETLBFS
	}
	text, errno := name.load(t, linux.NAME_MAX, linux.EINVAL)
	if errno != 0 {
		return 0, errno
	}
	if shmem == nil {
		return 0, linux.ENOSYS
	}
	f, errno := tmpfs.NewMemfd(t.Caller(), shmem, text, uint32(flags))
	if errno != 0 {
		return 0, errno
	}
	return newFD(t, f, flags&linux.MFD_CLOEXEC != 0)
}
