package task

import (
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/vfs"
)

// FSContext is the root, the working directory and the umask, like Linux's fs_struct. Threads that were made
// with CLONE_FS share one.
type FSContext struct {
	users   atomic.Int32
	version atomic.Uint64 // changes with every field, so that cached Callers notice

	mu        rank.Mutex[rank.TaskState] // guards the fields below
	root, cwd vfs.Path                   // one reference each
	umask     uint32
}

// NewFSContext returns a context with one user; it takes references of its own.
func NewFSContext(root, cwd vfs.Path, umask uint32) *FSContext {
	f := &FSContext{root: root.Get(), cwd: cwd.Get(), umask: umask}
	f.users.Store(1)
	f.version.Store(1)
	return f
}

// Paths returns root and working directory with references, and the umask.
func (f *FSContext) Paths() (root, cwd vfs.Path, umask uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.root.Get(), f.cwd.Get(), f.umask
}

func (f *FSContext) fork() *FSContext {
	f.mu.Lock()
	defer f.mu.Unlock()
	return NewFSContext(f.root, f.cwd, f.umask)
}

// release drops a task's use.
func (f *FSContext) release() {
	if f.users.Add(-1) == 0 {
		f.root.Put()
		f.cwd.Put()
	}
}

// change replaces a path, of which it takes a reference.
func (f *FSContext) change(field *vfs.Path, p vfs.Path) {
	p = p.Get()
	f.mu.Lock()
	old := *field
	*field = p
	f.version.Add(1)
	f.mu.Unlock()
	old.Put()
}

// FS returns the task's file-system context.
func (t *Task) FS() *FSContext { return t.fs.Load() }

// SetCwd changes the working directory; it takes a reference of its own.
func (t *Task) SetCwd(p vfs.Path) { f := t.FS(); f.change(&f.cwd, p) }

// SetRoot changes the root directory; it takes a reference of its own.
func (t *Task) SetRoot(p vfs.Path) { f := t.FS(); f.change(&f.root, p) }

// SetUmask changes the umask and returns the old one.
func (t *Task) SetUmask(mask uint32) uint32 {
	f := t.FS()
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.umask
	f.umask = mask & 0o777
	f.version.Add(1)
	return old
}

// Paths returns the root and the working directory of any task, with references, and its umask. ok is false once the
// task has ended and let go of them.
func (t *Task) Paths() (root, cwd vfs.Path, umask uint32, ok bool) {
	for {
		f := t.FS()
		if f == nil {
			return root, cwd, 0, false
		}
		if f.tryGet() {
			defer f.release()
			root, cwd, umask = f.Paths()
			return root, cwd, umask, true
		}
		if t.FS() == f {
			return root, cwd, 0, false
		}
	}
}

// UnshareFS gives the task a context of its own.
func (t *Task) UnshareFS() {
	if old := t.FS(); old.users.Load() > 1 {
		t.fs.Store(old.fork())
		old.release()
	}
}

// callerCache is the task's vfs.Caller and what it was made from. Only the task's goroutine uses it.
type callerCache struct {
	vfs.Caller
	fs      *FSContext
	version uint64
}

// Caller returns the task as vfs sees it. Only the task's own goroutine may call it; the result is good until
// the task's next system call.
func (t *Task) Caller() *vfs.Caller {
	c := &t.caller
	fs := t.fs.Load()
	if c.fs != fs || c.version != fs.version.Load() {
		t.refreshCaller(fs)
	}
	c.Creds = t.creds.Load()
	c.PID, c.Files = t.Group.PID(), t.files.Load()
	c.MaxFileSize = t.Group.limits.Get(fsize).Cur
	return &c.Caller
}

func (t *Task) refreshCaller(fs *FSContext) {
	c := &t.caller
	if c.fs != nil {
		c.Root.Put()
		c.Cwd.Put()
	}
	c.fs, c.version = fs, fs.version.Load()
	c.Root, c.Cwd, c.Umask = fs.Paths()
	c.Blocker, c.Task = t, t
	if c.XFSZ == nil {
		c.XFSZ = t.fileTooLarge
	}
}

func (t *Task) releaseCaller() {
	if c := &t.caller; c.fs != nil {
		c.fs = nil
		c.Root.Put()
		c.Cwd.Put()
		c.Root, c.Cwd = vfs.Path{}, vfs.Path{}
	}
}

// cloneMounts copies a mount namespace for user and moves the context's paths into the copy.
func (f *FSContext) cloneMounts(old *vfs.MountNS, user *cred.UserNS) (*vfs.MountNS, linux.Errno) {
	root, cwd, _ := f.Paths()
	n, errno := old.Clone(user, &root, &cwd)
	if errno == 0 {
		f.change(&f.root, root)
		f.change(&f.cwd, cwd)
	}
	root.Put()
	cwd.Put()
	return n, errno
}

// rootIsNamespaceRoot says whether the task's root is that of its mount namespace: not chrooted.
func (t *Task) rootIsNamespaceRoot() bool {
	nsRoot := t.NS().Mount.Root()
	defer nsRoot.Put()
	root, cwd, _ := t.FS().Paths()
	cwd.Put()
	root.Put()
	return root == nsRoot
}
