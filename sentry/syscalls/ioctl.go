package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/fs/devpts"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
	"hornwork/sentry/vfs"
)

// Ioctl implements ioctl(2): the commands that every file has, then the file's own.
func Ioctl(t *task.Task, fd FD, cmd IoctlCmd, arg uint64) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	switch cmd {
	case linux.FIOCLEX, linux.FIONCLEX:
		t.Files().SetCloexec(int32(fd), cmd == linux.FIOCLEX)
		return 0, 0
	case linux.FIONBIO:
		on, errno := mm.User[int32](arg).Load(t)
		if errno != 0 {
			return 0, errno
		}
		return none(f.SetFlags(t.Caller(), f.Flags()&^linux.O_NONBLOCK|flagIf(on != 0, linux.O_NONBLOCK)))
	case linux.FIOASYNC:
		on, errno := mm.User[int32](arg).Load(t)
		if errno != 0 {
			return 0, errno
		}
		return none(setFlags(t, f, fd, f.Flags()&^linux.O_ASYNC|flagIf(on != 0, linux.O_ASYNC)))
	case linux.FIOQSIZE:
		return ioctlSize(t, f, mm.User[int64](arg))
	case linux.TIOCGPTPEER:
		return ptyPeer(t, f, uint32(arg))
	case linux.NS_GET_USERNS, linux.NS_GET_PARENT, linux.NS_GET_NSTYPE, linux.NS_GET_OWNER_UID:
		if x := namespaceOf(f); x != nil {
			return ioctlNamespace(t, x, cmd, arg)
		}
	case linux.FIGETBSZ:
		return none(mm.User[int32](arg).Store(t, int32(f.Inode().Attr().Blksize)))
	}
	ret, errno := f.Ops.Ioctl(t.Caller(), f, t.Memory(), uint32(cmd), arg)
	if errno != linux.ENOTTY {
		return uintptr(ret), errno
	}
	if f.Inode().Type() == linux.S_IFREG {
		if ret, errno := ioctlRegular(t, f, cmd, arg); errno != linux.ENOTTY {
			return ret, errno
		}
	}
	if !isTTYProbe(cmd) {
		trace.Unsupportedf(trace.Ioctl, t.Name(), "%#x", uint32(cmd))
	}
	return 0, linux.ENOTTY
}

// ptyPeer opens the slave of a terminal's master.
func ptyPeer(t *task.Task, f *vfs.File, flags uint32) (uintptr, linux.Errno) {
	fds, errno := t.Files().Reserve(1)
	if errno != 0 {
		return 0, errno
	}
	defer fds.Cancel()
	peer, errno := devpts.OpenPeer(t.Caller(), f, flags)
	if errno != 0 {
		return 0, errno
	}
	fd := fds.Numbers()[0]
	fds.Install(0, peer, flags&linux.O_CLOEXEC != 0)
	return uintptr(fd), 0
}

func flagIf(on bool, flag uint32) uint32 {
	if on {
		return flag
	}
	return 0
}

// isTTYProbe says whether cmd is how isatty(3) and its like ask; ENOTTY is then the right answer, nothing is missing.
func isTTYProbe(cmd IoctlCmd) bool {
	switch cmd {
	case linux.TCGETS, linux.TIOCGWINSZ, linux.TIOCGPGRP, linux.TCGETS2:
		return true
	}
	return false
}

func ioctlSize(t *task.Task, f *vfs.File, out mm.User[int64]) (uintptr, linux.Errno) {
	switch f.Inode().Type() {
	case linux.S_IFREG, linux.S_IFDIR, linux.S_IFLNK:
		return none(out.Store(t, f.Inode().Attr().Size.Load()))
	}
	return 0, linux.ENOTTY
}

// ioctlRegular has what Linux does for every regular file.
func ioctlRegular(t *task.Task, f *vfs.File, cmd IoctlCmd, arg uint64) (uintptr, linux.Errno) {
	switch cmd {
	case linux.FIONREAD:
		pos, errno := f.Seek(t.Caller(), 0, linux.SEEK_CUR)
		if errno != 0 {
			return 0, errno
		}
		return none(mm.User[int32](arg).Store(t, int32(f.Inode().Attr().Size.Load()-pos)))
	case linux.FICLONE, linux.FICLONERANGE, linux.FIDEDUPERANGE:
		return 0, linux.EOPNOTSUPP
	case linux.FIBMAP:
		if !t.Creds().HasCap(linux.CAP_SYS_RAWIO) {
			return 0, linux.EPERM
		}
		return 0, linux.EINVAL
	}
	return 0, linux.ENOTTY
}
