package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// withPath runs op on the file of that name, withFile on the one behind a descriptor.
func withPath(t *task.Task, name Path, follow vfs.WalkFlags, op func(vfs.Path) (uintptr, linux.Errno)) (uintptr, linux.Errno) {
	p, errno := resolve(t, linux.AT_FDCWD, name, follow)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return op(p)
}

func withFile(t *task.Task, fd FD, op func(vfs.Path) (uintptr, linux.Errno)) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return op(f.Path)
}

// loadXattrName reads an attribute's name: 1 to 255 bytes, else ERANGE.
func loadXattrName(t *task.Task, name Str) (string, linux.Errno) {
	str, errno := name.load(t, linux.XATTR_NAME_MAX+1, linux.ERANGE)
	if errno == 0 && str == "" {
		return "", linux.ERANGE
	}
	return str, errno
}

// Setxattr implements setxattr(2).
func Setxattr(t *task.Task, path Path, name Str, value InBuf, size uint64, flags XattrFlags) (uintptr, linux.Errno) {
	return withPath(t, path, vfs.Follow, setxattr(t, name, value, size, flags))
}

// Lsetxattr implements lsetxattr(2).
func Lsetxattr(t *task.Task, path Path, name Str, value InBuf, size uint64, flags XattrFlags) (uintptr, linux.Errno) {
	return withPath(t, path, 0, setxattr(t, name, value, size, flags))
}

// Fsetxattr implements fsetxattr(2).
func Fsetxattr(t *task.Task, fd FD, name Str, value InBuf, size uint64, flags XattrFlags) (uintptr, linux.Errno) {
	return withFile(t, fd, setxattr(t, name, value, size, flags))
}

func setxattr(t *task.Task, name Str, value InBuf, size uint64, flags XattrFlags) func(vfs.Path) (uintptr, linux.Errno) {
	return func(p vfs.Path) (uintptr, linux.Errno) {
		if flags&^(linux.XATTR_CREATE|linux.XATTR_REPLACE) != 0 {
			return 0, linux.EINVAL
		}
		str, errno := loadXattrName(t, name)
		if errno != 0 {
			return 0, errno
		}
		if size > linux.XATTR_SIZE_MAX {
			return 0, linux.E2BIG
		}
		b := make([]byte, size)
		if _, errno := t.Memory().CopyIn(b, uint64(value)); errno != 0 {
			return 0, errno
		}
		return none(vfs.SetXattr(t.Caller(), p, str, b, uint32(flags)))
	}
}

// Getxattr implements getxattr(2).
func Getxattr(t *task.Task, path Path, name Str, value OutBuf, size uint64) (uintptr, linux.Errno) {
	return withPath(t, path, vfs.Follow, getxattr(t, name, value, size))
}

// Lgetxattr implements lgetxattr(2).
func Lgetxattr(t *task.Task, path Path, name Str, value OutBuf, size uint64) (uintptr, linux.Errno) {
	return withPath(t, path, 0, getxattr(t, name, value, size))
}

// Fgetxattr implements fgetxattr(2).
func Fgetxattr(t *task.Task, fd FD, name Str, value OutBuf, size uint64) (uintptr, linux.Errno) {
	return withFile(t, fd, getxattr(t, name, value, size))
}

func getxattr(t *task.Task, name Str, value OutBuf, size uint64) func(vfs.Path) (uintptr, linux.Errno) {
	return func(p vfs.Path) (uintptr, linux.Errno) {
		str, errno := loadXattrName(t, name)
		if errno != 0 {
			return 0, errno
		}
		b, errno := vfs.GetXattr(t.Caller(), p, str)
		if errno != 0 {
			return 0, errno
		}
		return storeSized(t, value, size, b)
	}
}

// storeSized answers with b: its length alone for size 0, ERANGE if it does not fit.
func storeSized(t *task.Task, out OutBuf, size uint64, b []byte) (uintptr, linux.Errno) {
	if size == 0 {
		return uintptr(len(b)), 0
	}
	if uint64(len(b)) > size {
		return 0, linux.ERANGE
	}
	n, errno := t.Memory().CopyOut(uint64(out), b)
	if errno != 0 {
		return 0, errno
	}
	return uintptr(n), 0
}

// Listxattr implements listxattr(2).
func Listxattr(t *task.Task, path Path, list OutBuf, size uint64) (uintptr, linux.Errno) {
	return withPath(t, path, vfs.Follow, listxattr(t, list, size))
}

// Llistxattr implements llistxattr(2).
func Llistxattr(t *task.Task, path Path, list OutBuf, size uint64) (uintptr, linux.Errno) {
	return withPath(t, path, 0, listxattr(t, list, size))
}

// Flistxattr implements flistxattr(2).
func Flistxattr(t *task.Task, fd FD, list OutBuf, size uint64) (uintptr, linux.Errno) {
	return withFile(t, fd, listxattr(t, list, size))
}

func listxattr(t *task.Task, list OutBuf, size uint64) func(vfs.Path) (uintptr, linux.Errno) {
	return func(p vfs.Path) (uintptr, linux.Errno) {
		names, errno := vfs.ListXattr(t.Caller(), p)
		if errno != 0 {
			return 0, errno
		}
		var b []byte
		for _, n := range names {
			b = append(append(b, n...), 0)
		}
		if len(b) > linux.XATTR_LIST_MAX {
			return 0, linux.E2BIG
		}
		return storeSized(t, list, size, b)
	}
}

// Removexattr implements removexattr(2).
func Removexattr(t *task.Task, path Path, name Str) (uintptr, linux.Errno) {
	return withPath(t, path, vfs.Follow, removexattr(t, name))
}

// Lremovexattr implements lremovexattr(2).
func Lremovexattr(t *task.Task, path Path, name Str) (uintptr, linux.Errno) {
	return withPath(t, path, 0, removexattr(t, name))
}

// Fremovexattr implements fremovexattr(2).
func Fremovexattr(t *task.Task, fd FD, name Str) (uintptr, linux.Errno) {
	return withFile(t, fd, removexattr(t, name))
}

func removexattr(t *task.Task, name Str) func(vfs.Path) (uintptr, linux.Errno) {
	return func(p vfs.Path) (uintptr, linux.Errno) {
		str, errno := loadXattrName(t, name)
		if errno != 0 {
			return 0, errno
		}
		return none(vfs.RemoveXattr(t.Caller(), p, str))
	}
}
