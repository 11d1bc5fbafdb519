package syscalls

import (
	"sync"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/mm"
	"hornwork/sentry/signal"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
	"hornwork/sentry/vfs"
)

// ownerEx is struct f_owner_ex.
type ownerEx struct{ Type, PID int32 }

// fileOwner is who gets SIGIO for an open file description: F_SETOWN, F_SETSIG and O_ASYNC of fcntl(2).
type fileOwner struct {
	mu    sync.Mutex         // a leaf; guards the fields below
	ns    *task.PIDNamespace // of who set it
	kind  int32              // linux.F_OWNER_*
	nr    int32              // 0: nobody
	creds *cred.Credentials  // of who set it
	sig   int32              // 0: SIGIO without details
	fd    int32              // si_fd
	busy  bool               // a delivery is on its way

	arming sync.Mutex // taken before mu and the file's queue; guards the fields below
	armed  bool       // entry is on the file's queue
	entry  wait.Entry
}

// making keeps two callers from giving one file two owners.
var making sync.Mutex

// ownerOf returns f's owner, making one that is nobody. The owner hangs on f as a release hook.
func ownerOf(f *vfs.File) *fileOwner {
	making.Lock()
	defer making.Unlock()
	isOwner := func(h vfs.ReleaseHook) bool { _, ok := h.(*fileOwner); return ok }
	if h := f.FindReleaseHook(isOwner); h != nil {
		return h.(*fileOwner)
	}
	o := &fileOwner{}
	f.AddReleaseHook(o)
	return o
}

// FileReleased implements vfs.ReleaseHook.
func (o *fileOwner) FileReleased(f *vfs.File) {
	o.arming.Lock()
	defer o.arming.Unlock()
	if o.armed {
		o.armed = false
		f.Ops.EventUnregister(&o.entry)
	}
}

// Wake implements wait.Waker. Signals cannot be sent under a queue's lock, so another goroutine does; events
// until then are one.
func (o *fileOwner) Wake(_ *wait.Entry, ev wait.Events) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.busy && o.nr != 0 {
		o.busy = true
		go o.deliver(ev)
	}
}

// deliver sends the signal to whoever is the owner now.
func (o *fileOwner) deliver(ev wait.Events) {
	o.mu.Lock()
	o.busy = false
	ns, kind, nr, creds, sig, fd := o.ns, o.kind, o.nr, o.creds, o.sig, o.fd
	o.mu.Unlock()
	if nr == 0 {
		return
	}
	info := signal.Kernel(linux.SIGIO)
	if sig != 0 {
		code := int32(linux.POLL_IN)
		switch {
		case ev&wait.Hup != 0:
			code = linux.POLL_HUP
		case ev&wait.Err != 0:
			code = linux.POLL_ERR
		case ev&wait.Readable == 0 && ev&wait.Writable != 0:
			code = linux.POLL_OUT
		}
		info = signal.Poll(sig, code, int64(ev), fd)
	}
	switch kind {
	case linux.F_OWNER_TID:
		if t := ns.Task(nr); t != nil && mayTell(creds, t) {
			task.Send(t, &info)
		}
	case linux.F_OWNER_PID:
		if g := ns.Group(nr); g != nil {
			tellGroup(creds, g, &info)
		}
	case linux.F_OWNER_PGRP:
		if p := ns.ProcessGroup(nr); p != nil {
			for _, g := range p.Members() {
				tellGroup(creds, g, &info)
			}
		}
	}
}

func tellGroup(creds *cred.Credentials, g *task.ThreadGroup, info *linux.Siginfo) {
	if t := g.Leader(); t != nil && mayTell(creds, t) {
		task.SendGroup(g, info)
	}
}

// mayTell is Linux's sigio_perm: the owner's setter could have sent a signal.
func mayTell(c *cred.Credentials, t *task.Task) bool {
	o := t.Creds()
	return c.EUID == 0 || c.EUID == o.SUID || c.EUID == o.RUID || c.RUID == o.SUID || c.RUID == o.RUID
}

// setAsync turns signals for f on or off; fd is how the caller knows f.
func setAsync(f *vfs.File, fd FD, on bool) {
	o := ownerOf(f)
	o.arming.Lock()
	defer o.arming.Unlock()
	o.mu.Lock()
	o.fd = int32(fd)
	o.mu.Unlock()
	if o.armed == on {
		return
	}
	o.armed = on
	if on {
		o.entry = wait.Entry{Waker: o, Mask: wait.Readable | wait.Writable | wait.Pri | wait.Err | wait.Hup}
		f.Ops.EventRegister(&o.entry)
	} else {
		f.Ops.EventUnregister(&o.entry)
	}
}

// fcntlOwner has the commands about signals and the rest of fcntl(2).
func fcntlOwner(t *task.Task, f *vfs.File, cmd FcntlCmd, arg uint64) (uintptr, linux.Errno) {
	switch cmd {
	case linux.F_SETOWN:
		who := int32(arg)
		switch {
		case who == -1<<31:
			return 0, linux.EINVAL
		case who < 0:
			return none(setOwner(t, f, linux.F_OWNER_PGRP, -who))
		}
		return none(setOwner(t, f, linux.F_OWNER_PID, who))
	case linux.F_GETOWN:
		kind, nr := getOwner(t, f)
		if kind == linux.F_OWNER_PGRP {
			nr = -nr
		}
		return uintptr(int64(nr)), 0
	case linux.F_SETOWN_EX:
		o, errno := mm.User[ownerEx](arg).Load(t)
		if errno != 0 {
			return 0, errno
		}
		if o.Type < linux.F_OWNER_TID || o.Type > linux.F_OWNER_PGRP {
			return 0, linux.EINVAL
		}
		return none(setOwner(t, f, o.Type, o.PID))
	case linux.F_GETOWN_EX:
		kind, nr := getOwner(t, f)
		return none(mm.User[ownerEx](arg).Store(t, ownerEx{kind, nr}))
	case linux.F_SETSIG:
		if arg > linux.NSIG {
			return 0, linux.EINVAL
		}
		o := ownerOf(f)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.sig = int32(arg)
		return 0, 0
	case linux.F_GETSIG:
		o := ownerOf(f)
		o.mu.Lock()
		defer o.mu.Unlock()
		return uintptr(o.sig), 0
	}
	trace.Unsupportedf(trace.Fcntl, t.Name(), "%#x", uint32(cmd))
	return 0, linux.EINVAL
}

func setOwner(t *task.Task, f *vfs.File, kind, nr int32) linux.Errno {
	ns := t.PIDNS()
	if nr != 0 {
		found := false
		switch kind {
		case linux.F_OWNER_TID:
			found = ns.Task(nr) != nil
		case linux.F_OWNER_PID:
			found = ns.Group(nr) != nil || ns.Task(nr) != nil
		case linux.F_OWNER_PGRP:
			found = ns.ProcessGroup(nr) != nil
		}
		if !found {
			return linux.ESRCH
		}
	}
	o := ownerOf(f)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ns, o.kind, o.nr, o.creds = ns, kind, nr, t.Creds()
	return 0
}

// getOwner returns the owner in the caller's namespace, 0 if that cannot see it.
func getOwner(t *task.Task, f *vfs.File) (kind, nr int32) {
	o := ownerOf(f)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ns != t.PIDNS() {
		return o.kind, 0
	}
	return o.kind, o.nr
}
