package task

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/ns"
	"hornwork/sentry/vfs"
)

const unshareFlags = linux.CLONE_THREAD | linux.CLONE_FS | linux.CLONE_SIGHAND | linux.CLONE_VM | linux.CLONE_FILES |
	linux.CLONE_SYSVSEM | linux.CLONE_NEWUSER | nsFlags

// Unshare implements unshare(2).
func (t *Task) Unshare(flags uint64) linux.Errno {
	// Linux adds what a flag implies.
	if flags&linux.CLONE_NEWUSER != 0 {
		flags |= linux.CLONE_THREAD | linux.CLONE_FS
	}
	if flags&linux.CLONE_VM != 0 {
		flags |= linux.CLONE_SIGHAND
	}
	if flags&linux.CLONE_SIGHAND != 0 {
		flags |= linux.CLONE_THREAD
	}
	if flags&linux.CLONE_NEWNS != 0 {
		flags |= linux.CLONE_FS
	}
	if flags&^unshareFlags != 0 {
		return linux.EINVAL
	}
	if flags&(linux.CLONE_THREAD|linux.CLONE_SIGHAND|linux.CLONE_VM) != 0 && !t.alone(flags) {
		return linux.EINVAL
	}
	cr := t.Creds()
	if flags&linux.CLONE_NEWUSER != 0 {
		var errno linux.Errno
		if cr, errno = t.newUserNS(); errno != 0 {
			return errno
		}
	}
	if flags&linux.CLONE_FS != 0 {
		t.UnshareFS()
	}
	if nf := flags & nsFlags; nf != 0 {
		if !cr.HasCapIn(cr.UserNS, linux.CAP_SYS_ADMIN) {
			return linux.EPERM
		}
		n, errno := t.NS().with(t.kernel, nf, cr.UserNS, t.PIDNS(), t.FS())
		if errno != 0 {
			return errno
		}
		t.setNS(n)
	}
	if flags&linux.CLONE_FILES != 0 {
		if errno := t.UnshareFiles(); errno != 0 {
			return errno
		}
	}
	if flags&(linux.CLONE_SYSVSEM|linux.CLONE_NEWIPC) != 0 {
		t.misc.undo.release(t.Group.PID())
		t.misc.undo = newSemUndo()
	}
	if cr != t.Creds() {
		t.SetCreds(cr)
	}
	return 0
}

// alone says whether t shares nothing that cannot be unshared: it is the only thread, and for CLONE_SIGHAND and
// CLONE_VM the only user of its dispositions.
func (t *Task) alone(flags uint64) bool {
	sh := t.Group.lockSig()
	defer sh.mu.Unlock()
	if len(t.Group.tree.threads) > 1 {
		return false
	}
	return flags&linux.CLONE_SIGHAND == 0 || sh.users.Load() == 1
}

// SetNS implements setns(2) for one namespace. User namespaces come as *cred.UserNS.
func (t *Task) SetNS(x any) linux.Errno {
	c := t.Creds()
	if u, ok := x.(*cred.UserNS); ok {
		return t.joinUserNS(u)
	}
	if m, ok := x.(*vfs.MountNS); ok {
		return t.joinMountNS(m)
	}
	owner := x.(ns.Namespace).NSInfo().UserNS
	if !c.HasCapIn(owner, linux.CAP_SYS_ADMIN) || !c.HasCapIn(c.UserNS, linux.CAP_SYS_ADMIN) {
		return linux.EPERM
	}
	old := t.NS()
	m, errno := old.with(t.kernel, 0, c.UserNS, nil, nil)
	if errno != 0 {
		return errno
	}
	switch n := x.(type) {
	case *ns.UTS:
		m.UTS = n
	case *ns.IPC:
		m.IPC = n
	case *ns.Net:
		m.Net = n
	case *ns.Cgroup:
		m.Cgroup = n
	case *ns.Time:
		if len(t.Group.Threads()) > 1 {
			m.release()
			return linux.EUSERS
		}
		m.Time, m.TimeForChildren = n, n
	case *PIDNamespace:
		if !t.PIDNS().Contains(n) {
			m.release()
			return linux.EINVAL
		}
		m.PIDForChildren = n
	default:
		m.release()
		return linux.EINVAL
	}
	t.setNS(m)
	return 0
}

// joinMountNS moves the task to the root of another tree.
func (t *Task) joinMountNS(n *vfs.MountNS) linux.Errno {
	c := t.Creds()
	switch {
	case !c.HasCapIn(n.UserNS, linux.CAP_SYS_ADMIN), !c.HasCap(linux.CAP_SYS_CHROOT), !c.HasCap(linux.CAP_SYS_ADMIN):
		return linux.EPERM
	case t.FS().users.Load() > 1:
		return linux.EINVAL
	}
	m, errno := t.NS().with(t.kernel, 0, c.UserNS, nil, nil)
	if errno != 0 {
		return errno
	}
	m.Mount.Put()
	m.Mount = n.Get()
	root := n.Root()
	defer root.Put()
	t.setNS(m)
	t.SetRoot(root)
	t.SetCwd(root)
	return 0
}

func (t *Task) joinUserNS(u *cred.UserNS) linux.Errno {
	c := t.Creds()
	switch {
	case u == c.UserNS, len(t.Group.Threads()) > 1, t.FS().users.Load() > 1:
		return linux.EINVAL
	case !c.HasCapIn(u, linux.CAP_SYS_ADMIN):
		return linux.EPERM
	}
	n := c.Clone()
	n.UserNS = u
	n.SecureBits = 0
	n.Permitted, n.Effective, n.Bounding = cred.AllCaps, cred.AllCaps, cred.AllCaps
	n.Inheritable, n.Ambient = 0, 0
	t.SetCreds(n)
	return 0
}
