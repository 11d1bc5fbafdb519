package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// entry reads a name that a directory operation is to make or remove, and the directory it starts from. An
// empty name is ENOENT.
func entry(t *task.Task, dirfd DirFD, name Path) (place, linux.Errno) {
	str, errno := name.Load(t)
	if errno != 0 {
		return place{}, errno
	}
	if str == "" {
		return place{}, linux.ENOENT
	}
	return atName(t, dirfd, str)
}

// Mkdir implements mkdir(2).
func Mkdir(t *task.Task, name Path, mode Mode) (uintptr, linux.Errno) {
	return Mkdirat(t, linux.AT_FDCWD, name, mode)
}

// Mkdirat implements mkdirat(2).
func Mkdirat(t *task.Task, dirfd DirFD, name Path, mode Mode) (uintptr, linux.Errno) {
	p, errno := entry(t, dirfd, name)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Mkdir(t.Caller(), p.at, p.name, uint32(mode)))
}

// Rmdir implements rmdir(2).
func Rmdir(t *task.Task, name Path) (uintptr, linux.Errno) {
	return Unlinkat(t, linux.AT_FDCWD, name, linux.AT_REMOVEDIR)
}

// Unlink implements unlink(2).
func Unlink(t *task.Task, name Path) (uintptr, linux.Errno) {
	return Unlinkat(t, linux.AT_FDCWD, name, 0)
}

// Unlinkat implements unlinkat(2).
func Unlinkat(t *task.Task, dirfd DirFD, name Path, flags UnlinkFlags) (uintptr, linux.Errno) {
	if flags&^linux.AT_REMOVEDIR != 0 {
		return 0, linux.EINVAL
	}
	p, errno := entry(t, dirfd, name)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	if flags&linux.AT_REMOVEDIR != 0 {
		return none(vfs.Rmdir(t.Caller(), p.at, p.name))
	}
	return none(vfs.Unlink(t.Caller(), p.at, p.name))
}

// Link implements link(2).
func Link(t *task.Task, old, new Path) (uintptr, linux.Errno) {
	return Linkat(t, linux.AT_FDCWD, old, linux.AT_FDCWD, new, 0)
}

// Linkat implements linkat(2).
func Linkat(t *task.Task, oldfd DirFD, old Path, newfd DirFD, new Path, flags AtFlags) (uintptr, linux.Errno) {
	if flags&^(linux.AT_SYMLINK_FOLLOW|linux.AT_EMPTY_PATH) != 0 {
		return 0, linux.EINVAL
	}
	var walk vfs.WalkFlags
	if flags&linux.AT_EMPTY_PATH != 0 {
		if !t.Creds().HasCap(linux.CAP_DAC_READ_SEARCH) {
			return 0, linux.ENOENT
		}
		walk |= vfs.Empty
	}
	if flags&linux.AT_SYMLINK_FOLLOW != 0 {
		walk |= vfs.Follow
	}
	target, errno := resolve(t, oldfd, old, walk)
	if errno != 0 {
		return 0, errno
	}
	defer target.Put()
	p, errno := entry(t, newfd, new)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Link(t.Caller(), target, p.at, p.name))
}

// Symlink implements symlink(2).
func Symlink(t *task.Task, target, name Path) (uintptr, linux.Errno) {
	return Symlinkat(t, target, linux.AT_FDCWD, name)
}

// Symlinkat implements symlinkat(2).
func Symlinkat(t *task.Task, target Path, dirfd DirFD, name Path) (uintptr, linux.Errno) {
	text, errno := target.Load(t)
	if errno != 0 {
		return 0, errno
	}
	if text == "" {
		return 0, linux.ENOENT
	}
	p, errno := entry(t, dirfd, name)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Symlink(t.Caller(), text, p.at, p.name))
}

// Readlink implements readlink(2).
func Readlink(t *task.Task, name Path, buf OutBuf, size int32) (uintptr, linux.Errno) {
	return Readlinkat(t, linux.AT_FDCWD, name, buf, size)
}

// Readlinkat implements readlinkat(2). An empty name means the descriptor itself, a link opened with O_PATH.
func Readlinkat(t *task.Task, dirfd DirFD, name Path, buf OutBuf, size int32) (uintptr, linux.Errno) {
	if size <= 0 {
		return 0, linux.EINVAL
	}
	str, errno := name.Load(t)
	if errno != 0 {
		return 0, errno
	}
	if str == "" && dirfd == linux.AT_FDCWD {
		return 0, linux.ENOENT
	}
	at, errno := atName(t, dirfd, str)
	if errno != 0 {
		return 0, errno
	}
	defer at.Put()
	p, errno := vfs.Walk(t.Caller(), at.at, at.name, vfs.Empty)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	if str == "" && p.Dentry.Inode().Type() != linux.S_IFLNK {
		return 0, linux.ENOENT
	}
	text, errno := vfs.Readlink(t.Caller(), p)
	if errno != 0 {
		return 0, errno
	}
	n, errno := t.Memory().CopyOut(uint64(buf), []byte(text[:min(len(text), int(size))]))
	if errno != 0 {
		return 0, errno
	}
	return uintptr(n), 0
}

// Rename implements rename(2).
func Rename(t *task.Task, old, new Path) (uintptr, linux.Errno) {
	return Renameat2(t, linux.AT_FDCWD, old, linux.AT_FDCWD, new, 0)
}

// Renameat implements renameat(2).
func Renameat(t *task.Task, oldfd DirFD, old Path, newfd DirFD, new Path) (uintptr, linux.Errno) {
	return Renameat2(t, oldfd, old, newfd, new, 0)
}

// Renameat2 implements renameat2(2).
func Renameat2(t *task.Task, oldfd DirFD, old Path, newfd DirFD, new Path, flags RenameFlags) (uintptr, linux.Errno) {
	if flags&^(linux.RENAME_NOREPLACE|linux.RENAME_EXCHANGE|linux.RENAME_WHITEOUT) != 0 ||
		flags&linux.RENAME_EXCHANGE != 0 && flags&(linux.RENAME_NOREPLACE|linux.RENAME_WHITEOUT) != 0 {
		return 0, linux.EINVAL
	}
	from, errno := entry(t, oldfd, old)
	if errno != 0 {
		return 0, errno
	}
	defer from.Put()
	to, errno := entry(t, newfd, new)
	if errno != 0 {
		return 0, errno
	}
	defer to.Put()
	return none(vfs.Rename(t.Caller(), from.at, from.name, to.at, to.name, uint32(flags)))
}

// Mknod implements mknod(2).
func Mknod(t *task.Task, name Path, mode NodeMode, dev uint32) (uintptr, linux.Errno) {
	return Mknodat(t, linux.AT_FDCWD, name, mode, dev)
}

// Mknodat implements mknodat(2).
func Mknodat(t *task.Task, dirfd DirFD, name Path, mode NodeMode, dev uint32) (uintptr, linux.Errno) {
	switch mode & linux.S_IFMT {
	case 0:
		mode |= linux.S_IFREG
	case linux.S_IFREG, linux.S_IFCHR, linux.S_IFBLK, linux.S_IFIFO, linux.S_IFSOCK:
	case linux.S_IFDIR:
		return 0, linux.EPERM
	default:
		return 0, linux.EINVAL
	}
	p, errno := entry(t, dirfd, name)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(vfs.Mknod(t.Caller(), p.at, p.name, uint32(mode), uint64(dev)))
}

// Getcwd implements the system call getcwd(2), which returns the length with the NUL.
func Getcwd(t *task.Task, buf OutBuf, size uint64) (uintptr, linux.Errno) {
	c := t.Caller()
	if vfs.Unlinked(c.Cwd) {
		return 0, linux.ENOENT
	}
	text := vfs.PathString(c, c.Cwd)
	if uint64(len(text)) >= size {
		return 0, linux.ERANGE
	}
	if len(text) >= linux.PATH_MAX {
		return 0, linux.ENAMETOOLONG
	}
	n, errno := t.Memory().CopyOut(uint64(buf), append([]byte(text), 0))
	if errno != 0 {
		return 0, errno
	}
	return uintptr(n), 0
}

// Chdir implements chdir(2).
func Chdir(t *task.Task, name Path) (uintptr, linux.Errno) {
	p, errno := resolve(t, linux.AT_FDCWD, name, vfs.Follow|vfs.Directory)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	return none(setCwd(t, p))
}

// Fchdir implements fchdir(2).
func Fchdir(t *task.Task, fd FD) (uintptr, linux.Errno) {
	f, errno := fileRaw(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if f.Inode().Type() != linux.S_IFDIR {
		return 0, linux.ENOTDIR
	}
	return none(setCwd(t, f.Path))
}

func setCwd(t *task.Task, p vfs.Path) linux.Errno {
	if errno := vfs.Access(t.Caller(), p, vfs.MayExec, true); errno != 0 {
		return errno
	}
	t.SetCwd(p)
	return 0
}

// Chroot implements chroot(2).
func Chroot(t *task.Task, name Path) (uintptr, linux.Errno) {
	p, errno := resolve(t, linux.AT_FDCWD, name, vfs.Follow|vfs.Directory)
	if errno != 0 {
		return 0, errno
	}
	defer p.Put()
	if errno := vfs.Access(t.Caller(), p, vfs.MayExec, true); errno != 0 {
		return 0, errno
	}
	if !t.Creds().HasCap(linux.CAP_SYS_CHROOT) {
		return 0, linux.EPERM
	}
	t.SetRoot(p)
	return 0, 0
}

// Umask implements umask(2).
func Umask(t *task.Task, mask Mode) (uintptr, linux.Errno) {
	return uintptr(t.SetUmask(uint32(mask) & 0o777)), 0
}
