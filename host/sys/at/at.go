// Package at has the host system calls that take paths: for the gofer and the programs outside the sandbox.
// The sentry never imports it. All paths are relative to a directory descriptor and free of NUL.
package at

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/host/sys"
	"hornwork/linux"
)

// Beneath is the resolution that the gofer uses: no symbolic link is followed, no magic link, and the walk
// cannot leave the directory that it starts in.
const Beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS

// Open is openat2(2) with Beneath; EAGAIN (a rename raced the walk) and EINTR are retried a few times.
func Open(dir int32, path string, flags uint64, mode uint32) (int32, linux.Errno) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Mode: uint64(mode), Resolve: Beneath}
	for try := 0; ; try++ {
		fd, err := unix.Openat2(int(dir), path, &how)
		if err == nil {
			return int32(fd), 0
		}
		if (err != unix.EAGAIN && err != unix.EINTR) || try == 16 {
			return -1, sys.Errno(err)
		}
	}
}

// Statx is statx(2) without following links or automounts, answering with the basic fields and btime.
// An empty path means dir itself.
func Statx(dir int32, path string, st *linux.Statx) linux.Errno {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return sys.Errno(unix.Statx(int(dir), path, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, (*unix.Statx_t)(unsafe.Pointer(st))))
}

// Getdents reads raw directory entries (struct linux_dirent64).
func Getdents(fd int32, b []byte) (int, linux.Errno) {
	n, err := unix.Getdents(int(fd), b)
	return n, sys.Errno(err)
}

// Readlink reads the target of the link path in dir (of the O_PATH descriptor dir itself if path is empty).
func Readlink(dir int32, path string, b []byte) (int, linux.Errno) {
	n, err := unix.Readlinkat(int(dir), path, b)
	return n, sys.Errno(err)
}

// Mkdir is mkdirat(2).
func Mkdir(dir int32, name string, mode uint32) linux.Errno {
	return sys.Errno(unix.Mkdirat(int(dir), name, mode))
}

// Mknod is mknodat(2).
func Mknod(dir int32, name string, mode uint32, dev uint64) linux.Errno {
	return sys.Errno(unix.Mknodat(int(dir), name, mode, int(dev)))
}

// Symlink is symlinkat(2).
func Symlink(target string, dir int32, name string) linux.Errno {
	return sys.Errno(unix.Symlinkat(target, int(dir), name))
}

// Link is linkat(2); an empty old name means the descriptor oldDir itself.
func Link(oldDir int32, oldName string, dir int32, name string) linux.Errno {
	flags := 0
	if oldName == "" {
		flags = unix.AT_EMPTY_PATH
	}
	return sys.Errno(unix.Linkat(int(oldDir), oldName, int(dir), name, flags))
}

// Unlink is unlinkat(2); directory says rmdir.
func Unlink(dir int32, name string, directory bool) linux.Errno {
	flags := 0
	if directory {
		flags = unix.AT_REMOVEDIR
	}
	return sys.Errno(unix.Unlinkat(int(dir), name, flags))
}

// Rename is renameat2(2).
func Rename(from int32, oldName string, to int32, newName string, flags uint32) linux.Errno {
	return sys.Errno(unix.Renameat2(int(from), oldName, int(to), newName, uint(flags)))
}

// Chmod changes the mode of an O_PATH descriptor; ENOSYS before Linux 6.6.
func Chmod(fd int32, mode uint32) linux.Errno {
	const fchmodat2 = 452
	var empty [1]byte
	_, errno := sys.Call6(fchmodat2, uintptr(fd), uintptr(unsafe.Pointer(&empty)), uintptr(mode), unix.AT_EMPTY_PATH, 0, 0)
	return errno
}

// Fchmod is fchmod(2), for descriptors that are open for data.
func Fchmod(fd int32, mode uint32) linux.Errno { return sys.Errno(unix.Fchmod(int(fd), mode)) }

// Chown changes the owner of what fd is, links included; -1 keeps an ID.
func Chown(fd int32, uid, gid int) linux.Errno {
	return sys.Errno(unix.Fchownat(int(fd), "", uid, gid, unix.AT_EMPTY_PATH))
}

// Utimes sets access and modification time of what fd is; a Nsec of linux.UTIME_OMIT keeps one.
func Utimes(fd int32, times *[2]linux.Timespec) linux.Errno {
	var empty [1]byte
	_, errno := sys.Call6(unix.SYS_UTIMENSAT, uintptr(fd), uintptr(unsafe.Pointer(&empty)), uintptr(unsafe.Pointer(times)),
		unix.AT_EMPTY_PATH, 0, 0)
	return errno
}

// Getxattr is fgetxattr(2).
func Getxattr(fd int32, name string, b []byte) (int, linux.Errno) {
	n, err := unix.Fgetxattr(int(fd), name, b)
	return n, sys.Errno(err)
}

// Setxattr is fsetxattr(2).
func Setxattr(fd int32, name string, value []byte, flags uint32) linux.Errno {
	return sys.Errno(unix.Fsetxattr(int(fd), name, value, int(flags)))
}

// Listxattr is flistxattr(2): names, each ended by NUL.
func Listxattr(fd int32, b []byte) (int, linux.Errno) {
	n, err := unix.Flistxattr(int(fd), b)
	return n, sys.Errno(err)
}

// Removexattr is fremovexattr(2).
func Removexattr(fd int32, name string) linux.Errno {
	return sys.Errno(unix.Fremovexattr(int(fd), name))
}
