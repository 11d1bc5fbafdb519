package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/ns"
	"hornwork/sentry/task"
	"hornwork/sentry/timer"
	"hornwork/sentry/vfs"
)

// What uname(2) reports besides the names of the UTS namespace.
const (
	unameRelease = "6.6.0"
	unameVersion = "#1 SMP PREEMPT_DYNAMIC Hornwork"
	maxUTSName   = 64 // __NEW_UTS_LEN
)

// Uname implements uname(2).
func Uname(t *task.Task, out mm.User[linux.Utsname]) (uintptr, linux.Errno) {
	var u linux.Utsname
	host, domain := t.NS().UTS.Names()
	release := unameRelease
	const unameNoLSB = 0x0020000 // UNAME26 of personality(2)
	if t.Group.Personality()&unameNoLSB != 0 {
		release = "2.6.66"
	}
	copy(u.Sysname[:64], "Linux")
	copy(u.Nodename[:64], host)
	copy(u.Release[:64], release)
	copy(u.Version[:64], unameVersion)
	copy(u.Machine[:64], "x86_64")
	copy(u.Domainname[:64], domain)
	return none(out.Store(t, u))
}

// loadUTSName reads a name for the UTS namespace, after the check that the caller may set one.
func loadUTSName(t *task.Task, name InBuf, n int32) (string, linux.Errno) {
	if !t.Creds().HasCapIn(t.NS().UTS.UserNS, linux.CAP_SYS_ADMIN) {
		return "", linux.EPERM
	}
	if n < 0 || n > maxUTSName {
		return "", linux.EINVAL
	}
	b := make([]byte, n)
	if _, errno := t.Memory().CopyIn(b, uint64(name)); errno != 0 {
		return "", errno
	}
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return string(b), 0
}

// Sethostname implements sethostname(2).
func Sethostname(t *task.Task, name InBuf, n int32) (uintptr, linux.Errno) {
	s, errno := loadUTSName(t, name, n)
	if errno == 0 {
		t.NS().UTS.SetHostname(s)
	}
	return 0, errno
}

// Setdomainname implements setdomainname(2).
func Setdomainname(t *task.Task, name InBuf, n int32) (uintptr, linux.Errno) {
	s, errno := loadUTSName(t, name, n)
	if errno == 0 {
		t.NS().UTS.SetDomainname(s)
	}
	return 0, errno
}

// Sysinfo implements sysinfo(2). The load is that of the sandbox, which keeps no average: 0.
func Sysinfo(t *task.Task, out mm.User[linux.Sysinfo]) (uintptr, linux.Errno) {
	k := t.Kernel()
	up, _ := timer.Now(linux.CLOCK_BOOTTIME, &t.NS().Time.Offsets)
	threads, _ := t.PIDNS().Count()
	s := linux.Sysinfo{Uptime: (up + 999_999_999) / 1e9, Procs: uint16(min(threads, 65535)), Unit: 1}
	if k.MemTotal != nil {
		s.Totalram = k.MemTotal()
	}
	if k.MemFree != nil {
		s.Freeram = k.MemFree()
	}
	return none(out.Store(t, s))
}

// Unshare implements unshare(2).
func Unshare(t *task.Task, flags CloneFlags) (uintptr, linux.Errno) {
	return none(t.Unshare(uint64(flags)))
}

// Setns implements setns(2): fd is a file of /proc/pid/ns, or a pidfd with the kinds of namespaces as flags.
func Setns(t *task.Task, fd FD, flags uint32) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if p, ok := task.PIDOfFile(f); ok {
		return none(joinProcess(t, p, uint64(flags)))
	}
	x := namespaceOf(f)
	if x == nil {
		return 0, linux.EINVAL
	}
	if flags != 0 && nsKind(x) != uint64(flags) {
		return 0, linux.EINVAL
	}
	return none(t.SetNS(x))
}

func nsKind(x any) uint64 {
	switch n := x.(type) {
	case ns.Namespace:
		return n.NSType()
	case *vfs.MountNS:
		return linux.CLONE_NEWNS
	}
	return linux.CLONE_NEWUSER
}

// joinProcess enters the namespaces of a process.
func joinProcess(t *task.Task, p *task.PID, flags uint64) linux.Errno {
	const kinds = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET | linux.CLONE_NEWCGROUP |
		linux.CLONE_NEWPID | linux.CLONE_NEWUSER | linux.CLONE_NEWTIME
	if flags == 0 || flags&^kinds != 0 {
		return linux.EINVAL
	}
	g := p.Group()
	if g == nil || g.Zombie() {
		return linux.ESRCH
	}
	o := g.Leader()
	if !t.MayAccess(o, false) {
		return linux.EPERM
	}
	n := o.NS()
	if n == nil || !n.Mount.TryGet() {
		return linux.ESRCH // it has just ended
	}
	defer n.Mount.Put()
	for _, x := range []any{o.Creds().UserNS, n.Mount, n.UTS, n.IPC, n.Net, n.Cgroup, n.Time, o.PIDNS()} {
		if flags&nsKind(x) == 0 {
			continue
		}
		if errno := t.SetNS(x); errno != 0 {
			return errno
		}
	}
	return 0
}
