package task

import (
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/ns"
	"hornwork/sentry/vfs"
)

// Namespaces are the namespaces of a task, apart from its PID namespace (Task.PIDNS) and its user namespace (in
// its credentials): Linux's nsproxy. It does not change once published; tasks share it.
type Namespaces struct {
	users atomic.Int32

	Mount           *vfs.MountNS // one reference
	UTS             *ns.UTS
	IPC             *ns.IPC
	Net             *ns.Net
	Cgroup          *ns.Cgroup
	Time            *ns.Time
	PIDForChildren  *PIDNamespace
	TimeForChildren *ns.Time
}

const nsFlags = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID |
	linux.CLONE_NEWNET | linux.CLONE_NEWCGROUP | linux.CLONE_NEWTIME

func (n *Namespaces) get() *Namespaces { n.users.Add(1); return n }

func (n *Namespaces) release() {
	if n.users.Add(-1) == 0 {
		n.Mount.Put()
	}
}

// with returns n with new namespaces for flags, owned by user. A new mount namespace moves fs's paths into it.
func (n *Namespaces) with(k *Kernel, flags uint64, user *cred.UserNS, pidns *PIDNamespace, fs *FSContext) (*Namespaces, linux.Errno) {
	m := &Namespaces{Mount: n.Mount, UTS: n.UTS, IPC: n.IPC, Net: n.Net, Cgroup: n.Cgroup, Time: n.Time,
		PIDForChildren: n.PIDForChildren, TimeForChildren: n.TimeForChildren}
	m.users.Store(1)
	if flags&linux.CLONE_NEWPID != 0 {
		if n.PIDForChildren.level >= maxPIDLevels {
			return nil, linux.ENOSPC
		}
		m.PIDForChildren = newPIDNamespace(k, n.PIDForChildren, ns.Info{Ino: ns.NewIno(), UserNS: user})
	}
	if flags&linux.CLONE_NEWUTS != 0 {
		m.UTS = n.UTS.Clone(user)
	}
	if flags&linux.CLONE_NEWIPC != 0 {
		m.IPC = ns.NewIPC(user, 0)
	}
	if flags&linux.CLONE_NEWNET != 0 {
		m.Net = ns.NewNet(user, 0)
	}
	if flags&linux.CLONE_NEWCGROUP != 0 {
		m.Cgroup = ns.NewCgroup(user, 0, n.Cgroup.Root)
	}
	if flags&linux.CLONE_NEWTIME != 0 {
		m.TimeForChildren = ns.NewTime(user, 0, n.TimeForChildren)
	}
	if flags&linux.CLONE_NEWNS != 0 {
		mnt, errno := fs.cloneMounts(n.Mount, user)
		if errno != 0 {
			return nil, errno
		}
		m.Mount = mnt
	} else {
		m.Mount.Get()
	}
	return m, 0
}

// forChild is what a child of a task with namespaces n gets when it makes no new ones.
func (n *Namespaces) forChild() *Namespaces {
	if n.Time == n.TimeForChildren {
		return n.get()
	}
	m := &Namespaces{Mount: n.Mount.Get(), UTS: n.UTS, IPC: n.IPC, Net: n.Net, Cgroup: n.Cgroup,
		Time: n.TimeForChildren, PIDForChildren: n.PIDForChildren, TimeForChildren: n.TimeForChildren}
	m.users.Store(1)
	return m
}

// setNS replaces the task's namespaces, taking the reference.
func (t *Task) setNS(n *Namespaces) {
	old := t.nsp.Swap(n)
	old.release()
}
