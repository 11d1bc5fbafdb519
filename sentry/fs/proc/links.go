package proc

import (
	"fmt"
	"strconv"

	"hornwork/linux"
	"hornwork/sentry/ns"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// pathLink is a magic link to a path of the task; find returns it with a reference.
func (d *taskDir) pathLink(mode uint32, find func() (vfs.Path, linux.Errno)) *vfs.Inode {
	get := func(c *vfs.Caller) (vfs.Path, linux.Errno) {
		if errno := d.mayInspect(c); errno != 0 {
			return vfs.Path{}, errno
		}
		return find()
	}
	return d.p.MagicLink(mode, func(c *vfs.Caller) (string, linux.Errno) {
		p, errno := get(c)
		if errno != 0 {
			return "", errno
		}
		defer p.Put()
		return vfs.PathString(c, p), 0
	}, get)
}

func (d *taskDir) cwd() *vfs.Inode {
	return d.pathLink(0o777, func() (vfs.Path, linux.Errno) {
		root, cwd, errno := d.paths()
		if errno == 0 {
			root.Put()
		}
		return cwd, errno
	})
}

func (d *taskDir) rootLink() *vfs.Inode {
	return d.pathLink(0o777, func() (vfs.Path, linux.Errno) {
		root, cwd, errno := d.paths()
		if errno == 0 {
			cwd.Put()
		}
		return root, errno
	})
}

func (d *taskDir) paths() (root, cwd vfs.Path, errno linux.Errno) {
	root, cwd, _, ok := d.t.Paths()
	if !ok {
		return root, cwd, linux.ENOENT
	}
	return root, cwd, 0
}

func (d *taskDir) exe() *vfs.Inode {
	return d.pathLink(0o777, func() (vfs.Path, linux.Errno) {
		f := d.g.Exe()
		if f == nil {
			return vfs.Path{}, linux.ENOENT
		}
		defer f.Put()
		return f.Path.Get(), 0
	})
}

// fdDir is /proc/PID/fd (links) or /proc/PID/fdinfo (texts).
type fdDir struct {
	d    *taskDir
	info bool
}

// file returns the descriptor's file with a reference.
func (f *fdDir) file(fd int32) *vfs.File {
	files := f.d.t.Files()
	if files == nil {
		return nil
	}
	return files.GetRaw(fd)
}

// Permits implements vfs.Permitter: the thread group sees its own descriptors whatever its IDs have become, as in
// Linux's proc_fd_permission.
func (f *fdDir) Permits(c *vfs.Caller, _ uint32) bool {
	t := caller(c)
	return t != nil && t.Group == f.d.g
}

func fdNumber(name string) (int32, bool) {
	if name == "0" {
		return 0, true
	}
	return number(name)
}

func (f *fdDir) Lookup(c *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	fd, ok := fdNumber(name)
	if !ok {
		return nil, linux.ENOENT
	}
	if errno := f.d.mayInspect(c); errno != 0 {
		return nil, errno
	}
	file := f.file(fd)
	if file == nil {
		return nil, linux.ENOENT
	}
	defer file.Put()
	if f.info {
		return f.d.owned(f.infoFile(fd)), 0
	}
	mode := uint32(0o100)
	if file.Readable() {
		mode |= 0o400
	}
	if file.Writable() {
		mode |= 0o200
	}
	i := f.d.owned(f.d.pathLink(mode, func() (vfs.Path, linux.Errno) {
		file := f.file(fd)
		if file == nil {
			return vfs.Path{}, linux.ENOENT
		}
		defer file.Put()
		return file.Path.Get(), 0
	}))
	i.Attr().Size.Store(64) // as Linux has it, whatever the text
	return i, 0
}

func (f *fdDir) List(c *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	if errno := f.d.mayInspect(c); errno != 0 {
		return errno
	}
	files := f.d.t.Files()
	if files == nil || pos < 0 || pos > 1<<30 {
		return 0
	}
	typ := uint8(linux.DT_LNK)
	if f.info {
		typ = linux.DT_REG
	}
	files.Each(int32(pos), func(fd int32, _ *vfs.File, _ bool) bool {
		return emit(vfs.DirEntry{Name: strconv.Itoa(int(fd)), Ino: uint64(fd) + 1<<41, Type: typ, Next: int64(fd) + 1})
	})
	return 0
}

// Valid: a descriptor may have been closed, or opened anew with another mode.
func (f *fdDir) Valid(*vfs.Caller, string, *vfs.Inode) bool { return false }

// fdInfoer adds lines to an open file's fdinfo (eventfd-count, tfd, inotify …).
type fdInfoer interface{ FDInfo() string }

func (f *fdDir) infoFile(fd int32) *vfs.Inode {
	return f.d.p.File(0o444, fileOf(func(*vfs.Caller) ([]byte, linux.Errno) {
		file := f.file(fd)
		if file == nil {
			return nil, linux.ENOENT
		}
		defer file.Put()
		flags := file.Flags()
		if files := f.d.t.Files(); files != nil {
			if cloexec, ok := files.Cloexec(fd); ok && cloexec {
				flags |= linux.O_CLOEXEC
			}
		}
		b := fmt.Appendf(nil, "pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n", file.Offset(), flags, file.Path.Mount.ID, file.Inode().Ino)
		if i, ok := file.Ops.(fdInfoer); ok {
			b = append(b, i.FDInfo()...)
		}
		return b, 0
	}))
}

// nsDir is /proc/PID/ns: names that tell whether two tasks share a namespace.
func (d *taskDir) nsDir() *vfs.Inode { return d.p.Directory(0o511, (*nsLinks)(d)) }

type nsLinks taskDir

var nsNames = []namespaceLink{
	{"cgroup", "cgroup", func(_ *task.Task, n *task.Namespaces) any { return n.Cgroup }, false},
	{"ipc", "ipc", func(_ *task.Task, n *task.Namespaces) any { return n.IPC }, false},
	{"mnt", "mnt", func(_ *task.Task, n *task.Namespaces) any { return n.Mount }, false},
	{"net", "net", func(_ *task.Task, n *task.Namespaces) any { return n.Net }, false},
	{"pid", "pid", func(t *task.Task, _ *task.Namespaces) any { return t.PIDNS() }, true},
	{"pid_for_children", "pid", func(_ *task.Task, n *task.Namespaces) any {
		if !n.PIDForChildren.Begun() {
			return nil
		}
		return n.PIDForChildren
	}, false},
	{"time", "time", func(_ *task.Task, n *task.Namespaces) any { return n.Time }, false},
	{"time_for_children", "time", func(_ *task.Task, n *task.Namespaces) any { return n.TimeForChildren }, false},
	{"user", "user", func(t *task.Task, _ *task.Namespaces) any { return t.Creds().UserNS }, true},
	{"uts", "uts", func(_ *task.Task, n *task.Namespaces) any { return n.UTS }, false},
}

var _ ns.Namespace = (*task.PIDNamespace)(nil)

func (l *nsLinks) Lookup(c *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	d := (*taskDir)(l)
	for _, e := range nsNames {
		if e.name != name {
			continue
		}
		get := func(c *vfs.Caller) (any, linux.Errno) {
			if errno := d.mayInspect(c); errno != 0 {
				return nil, errno
			}
			n := d.t.NS()
			if n == nil && !e.afterEnd {
				return nil, linux.ENOENT
			}
			x := e.get(d.t, n)
			if x == nil {
				return nil, linux.ENOENT
			}
			return x, 0
		}
		return d.owned(d.p.MagicLink(0o777, func(c *vfs.Caller) (string, linux.Errno) {
			x, errno := get(c)
			if errno != 0 {
				return "", errno
			}
			return nsText(e.typ, x), 0
		}, func(c *vfs.Caller) (vfs.Path, linux.Errno) {
			x, errno := get(c)
			if errno != 0 {
				return vfs.Path{}, errno
			}
			return nsPath(e.typ, x)
		})), 0
	}
	return nil, linux.ENOENT
}

func (l *nsLinks) List(_ *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	for ; pos >= 0 && pos < int64(len(nsNames)); pos++ {
		if !emit(vfs.DirEntry{Name: nsNames[pos].name, Ino: uint64(pos) + 1<<42, Type: linux.DT_LNK, Next: pos + 1}) {
			break
		}
	}
	return 0
}
