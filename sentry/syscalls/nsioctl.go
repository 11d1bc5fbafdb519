package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/proc"
	"hornwork/sentry/mm"
	"hornwork/sentry/ns"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// namespaceOf is the namespace that an open file stands for, nil if it stands for none.
func namespaceOf(f *vfs.File) any {
	if n, ok := f.Ops.(interface{ Namespace() any }); ok {
		return n.Namespace()
	}
	return nil
}

// ioctlNamespace implements ioctl_ns(2) on the files of /proc/PID/ns.
func ioctlNamespace(t *task.Task, x any, cmd IoctlCmd, arg uint64) (uintptr, linux.Errno) {
	switch cmd {
	case linux.NS_GET_NSTYPE:
		return uintptr(nsKind(x)), 0
	case linux.NS_GET_OWNER_UID:
		u, ok := x.(*cred.UserNS)
		if !ok {
			return 0, linux.EINVAL
		}
		return none(mm.User[uint32](arg).Store(t, uidOf(t, u.Owner)))
	case linux.NS_GET_USERNS:
		owner := nsOwner(x)
		if !seesUserNS(t, owner) {
			return 0, linux.EPERM
		}
		return openNamespace(t, owner)
	case linux.NS_GET_PARENT:
		switch n := x.(type) {
		case *cred.UserNS:
			if !seesUserNS(t, n.Parent) {
				return 0, linux.EPERM
			}
			return openNamespace(t, n.Parent)
		case *task.PIDNamespace:
			if n.Parent == nil || !t.PIDNS().Contains(n.Parent) {
				return 0, linux.EPERM
			}
			return openNamespace(t, n.Parent)
		}
		return 0, linux.EINVAL
	}
	return 0, linux.ENOTTY
}

// nsOwner is the user namespace that owns a namespace; a user namespace belongs to its parent.
func nsOwner(x any) *cred.UserNS {
	switch n := x.(type) {
	case *cred.UserNS:
		return n.Parent
	case *vfs.MountNS:
		return n.UserNS
	}
	return x.(ns.Namespace).NSInfo().UserNS
}

// seesUserNS says whether u is the caller's user namespace or below it.
func seesUserNS(t *task.Task, u *cred.UserNS) bool {
	own := t.Creds().UserNS
	for ; u != nil; u = u.Parent {
		if u == own {
			return true
		}
	}
	return false
}

// openNamespace returns a new descriptor of a namespace.
func openNamespace(t *task.Task, x any) (uintptr, linux.Errno) {
	fds, errno := t.Files().Reserve(1)
	if errno != 0 {
		return 0, errno
	}
	defer fds.Cancel()
	f, errno := proc.OpenNamespace(t.Caller(), x)
	if errno != 0 {
		return 0, errno
	}
	fd := fds.Numbers()[0]
	fds.Install(0, f, true)
	return uintptr(fd), 0
}
