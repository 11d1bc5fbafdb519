package proc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// taskDir is /proc/PID (process is true) or /proc/PID/task/TID.
type taskDir struct {
	p       *fileSystem
	t       *task.Task
	g       *task.ThreadGroup
	process bool
}

// entry is one name of /proc/PID and how its inode is made.
type entry struct {
	name string
	typ  uint8
	only byte // 'p': in /proc/PID only; 0: in both
	make func(d *taskDir) *vfs.Inode
}

// entries are in the order in which Linux lists them, as far as we have them.
var entries []entry

func init() {
	text := func(name string, perm uint32, f func(d *taskDir, c *vfs.Caller, b *bytes.Buffer) linux.Errno) entry {
		return entry{name, linux.DT_REG, 0, func(d *taskDir) *vfs.Inode { return d.text(perm, f) }}
	}
	watched := func(name string, f func(d *taskDir, c *vfs.Caller, b *bytes.Buffer) linux.Errno) entry {
		return entry{name, linux.DT_REG, 0, func(d *taskDir) *vfs.Inode {
			file := d.textFile(f, d.mountChanges)
			file.MayOpen = d.hasMounts
			return d.owned(d.p.File(0o444, file))
		}}
	}
	guarded := func(name string, f func(d *taskDir, c *vfs.Caller, b *bytes.Buffer) linux.Errno) entry {
		return entry{name, linux.DT_REG, 0, func(d *taskDir) *vfs.Inode {
			file := d.textFile(f, nil)
			file.MayOpen = d.mayInspect
			return d.owned(d.p.File(0o444, file))
		}}
	}
	link := func(name string, f func(d *taskDir) *vfs.Inode) entry { return entry{name, linux.DT_LNK, 0, f} }
	dir := func(name string, only byte, f func(d *taskDir) *vfs.Inode) entry {
		return entry{name, linux.DT_DIR, only, f}
	}
	entries = []entry{
		dir("task", 'p', func(d *taskDir) *vfs.Inode { return d.p.Directory(0o555, (*threadsDir)(d)) }),
		dir("fd", 0, func(d *taskDir) *vfs.Inode { return d.p.Directory(0o500, &fdDir{d, false}) }),
		dir("fdinfo", 0, func(d *taskDir) *vfs.Inode { return d.p.Directory(0o555, &fdDir{d, true}) }),
		dir("ns", 0, (*taskDir).nsDir),
		dir("net", 0, (*taskDir).netDir),
		text("environ", 0o400, (*taskDir).environ),
		{"auxv", linux.DT_REG, 0, func(d *taskDir) *vfs.Inode { return d.text(0o400, (*taskDir).auxv) }},
		text("status", 0o444, (*taskDir).status),
		text("personality", 0o400, func(d *taskDir, _ *vfs.Caller, b *bytes.Buffer) linux.Errno {
			fmt.Fprintf(b, "%08x\n", d.g.Personality())
			return 0
		}),
		text("limits", 0o444, (*taskDir).limits),
		{"comm", linux.DT_REG, 0, (*taskDir).comm},
		text("cmdline", 0o444, (*taskDir).cmdline),
		text("stat", 0o444, (*taskDir).stat),
		text("statm", 0o444, (*taskDir).statm),
		guarded("maps", (*taskDir).maps),
		{"mem", linux.DT_REG, 0, (*taskDir).mem},
		link("cwd", (*taskDir).cwd),
		link("root", (*taskDir).rootLink),
		link("exe", (*taskDir).exe),
		watched("mounts", (*taskDir).mounts),
		watched("mountinfo", (*taskDir).mountinfo),
		guarded("smaps", (*taskDir).smaps),
		guarded("smaps_rollup", (*taskDir).smapsRollup),
		text("wchan", 0o444, func(_ *taskDir, _ *vfs.Caller, b *bytes.Buffer) linux.Errno { b.WriteByte('0'); return 0 }),
		text("schedstat", 0o444, func(d *taskDir, _ *vfs.Caller, b *bytes.Buffer) linux.Errno {
			fmt.Fprintf(b, "%d 0 0\n", d.t.CPUTime())
			return 0
		}),
		text("cgroup", 0o444, func(_ *taskDir, _ *vfs.Caller, b *bytes.Buffer) linux.Errno {
			b.WriteString("0::/\n")
			return 0
		}),
		text("io", 0o400, (*taskDir).io),
		text("oom_score", 0o444, func(_ *taskDir, _ *vfs.Caller, b *bytes.Buffer) linux.Errno {
			b.WriteString("0\n")
			return 0
		}),
		{"oom_score_adj", linux.DT_REG, 0, (*taskDir).oomScoreAdj},
		text("loginuid", 0o444, func(_ *taskDir, _ *vfs.Caller, b *bytes.Buffer) linux.Errno {
			b.WriteString("4294967295")
			return 0
		}),
		text("sessionid", 0o444, func(_ *taskDir, _ *vfs.Caller, b *bytes.Buffer) linux.Errno {
			b.WriteString("4294967295")
			return 0
		}),
		idMapEntry("uid_map", false), idMapEntry("gid_map", true),
		{"setgroups", linux.DT_REG, 0, (*taskDir).setgroups},
	}
}

// taskDir makes the inode of a process's or a thread's directory.
func (p *fileSystem) taskDir(t *task.Task, g *task.ThreadGroup, process bool) *vfs.Inode {
	d := &taskDir{p: p, t: t, g: g, process: process}
	return d.owned(p.Directory(0o555, d))
}

// owned gives an inode to the task's effective user, or to root if the process is not dumpable.
func (d *taskDir) owned(i *vfs.Inode) *vfs.Inode {
	if d.g.Dumpable() != 1 {
		return kernfs.Owned(i, 0, 0)
	}
	c := d.t.Creds()
	return kernfs.Owned(i, c.EUID, c.EGID)
}

// text makes a file of the task; it says ESRCH once the task has gone.
func (d *taskDir) text(perm uint32, f func(d *taskDir, c *vfs.Caller, b *bytes.Buffer) linux.Errno) *vfs.Inode {
	return d.owned(d.p.File(perm, d.textFile(f, nil)))
}

func (d *taskDir) textFile(f func(d *taskDir, c *vfs.Caller, b *bytes.Buffer) linux.Errno, changes func() *vfs.Counter) kernfs.File {
	return kernfs.File{Changes: changes, Show: func(c *vfs.Caller) ([]byte, linux.Errno) {
		if !d.alive() {
			return nil, linux.ESRCH
		}
		var b bytes.Buffer
		errno := f(d, c, &b)
		return b.Bytes(), errno
	}}
}

// alive says whether the directory's task is still the one with its number.
func (d *taskDir) alive() bool {
	if d.process {
		return d.g.Identity().In(d.p.ns) != 0 && d.p.ns.Group(d.g.Identity().In(d.p.ns)) == d.g
	}
	return d.p.ns.Task(d.t.PID().In(d.p.ns)) == d.t
}

func (p *fileSystem) pidOf(d *taskDir) int32 {
	if d.process {
		return d.g.Identity().In(p.ns)
	}
	return d.t.PID().In(p.ns)
}

func (d *taskDir) Lookup(_ *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	if !d.alive() {
		return nil, linux.ENOENT
	}
	for i := range entries {
		if e := &entries[i]; e.name == name && (e.only == 0 || d.process) {
			return d.owned(e.make(d)), 0
		}
	}
	d.p.Unsupported("/proc/PID/" + name)
	return nil, linux.ENOENT
}

func (d *taskDir) List(_ *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	if !d.alive() {
		return linux.ENOENT
	}
	for ; pos >= 0 && pos < int64(len(entries)); pos++ {
		e := &entries[pos]
		if e.only != 0 && !d.process {
			continue
		}
		ino := uint64(d.p.pidOf(d))<<16 + uint64(pos) + 1<<40
		if !emit(vfs.DirEntry{Name: e.name, Ino: ino, Type: e.typ, Next: pos + 1}) {
			break
		}
	}
	return 0
}

// Valid keeps what was looked up while the task lives. The task may have changed its user since.
func (d *taskDir) Valid(_ *vfs.Caller, _ string, child *vfs.Inode) bool {
	if child == nil || !d.alive() {
		return false
	}
	d.owned(child)
	return true
}

// threadsDir is /proc/PID/task.
type threadsDir taskDir

func (d *threadsDir) Lookup(_ *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	if tid, ok := number(name); ok {
		if t := d.p.ns.Task(tid); t != nil && t.Group == d.g {
			return d.p.taskDir(t, d.g, false), 0
		}
	}
	return nil, linux.ENOENT
}

func (d *threadsDir) List(_ *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	for _, t := range d.g.Threads() {
		tid := int64(t.PID().In(d.p.ns))
		if tid < pos {
			continue
		}
		if !emit(vfs.DirEntry{Name: strconv.FormatInt(tid, 10), Ino: uint64(tid) + 1<<21, Type: linux.DT_DIR, Next: tid + 1}) {
			break
		}
	}
	return 0
}

// Valid drops threads that have gone.
func (d *threadsDir) Valid(_ *vfs.Caller, name string, child *vfs.Inode) bool {
	if child == nil {
		return false
	}
	c, ok := kernfs.DirOf(child).(*taskDir)
	if !ok || !c.alive() {
		return false
	}
	c.owned(child)
	return true
}

// mayInspect is Linux's PTRACE_MODE_READ check: the same user with no more capabilities, or CAP_SYS_PTRACE.
func (d *taskDir) mayInspect(c *vfs.Caller) linux.Errno {
	if t := caller(c); t == nil || t.Group == d.g {
		return 0
	}
	mine, its := c.Creds, d.t.Creds()
	same := mine.FSUID == its.EUID && mine.FSUID == its.SUID && mine.FSUID == its.RUID &&
		mine.FSGID == its.EGID && mine.FSGID == its.SGID && mine.FSGID == its.RGID
	if mine.HasCapIn(its.UserNS, linux.CAP_SYS_PTRACE) {
		return 0
	}
	if !same || d.g.Dumpable() != 1 || its.Permitted&^mine.Permitted != 0 {
		return linux.EACCES
	}
	return 0
}

func (d *taskDir) comm() *vfs.Inode {
	return d.p.File(0o644, kernfs.File{
		Show: func(*vfs.Caller) ([]byte, linux.Errno) { return []byte(d.t.Name() + "\n"), 0 },
		Store: func(c *vfs.Caller, data []byte) linux.Errno {
			if t := caller(c); t == nil || t.Group != d.g {
				return linux.EINVAL
			}
			name, _, _ := strings.Cut(string(data), "\x00")
			d.t.SetName(strings.TrimSuffix(name, "\n"))
			return 0
		},
	})
}

func (d *taskDir) oomScoreAdj() *vfs.Inode {
	return d.p.File(0o644, kernfs.File{
		Show: func(*vfs.Caller) ([]byte, linux.Errno) { return fmt.Appendf(nil, "%d\n", d.g.OOMScoreAdj()), 0 },
		Store: func(c *vfs.Caller, data []byte) linux.Errno {
			n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 32)
			if err != nil || n < -1000 || n > 1000 {
				return linux.EINVAL
			}
			if int32(n) < d.g.OOMScoreAdj() && !c.Creds.HasCap(linux.CAP_SYS_RESOURCE) {
				return linux.EACCES
			}
			d.g.SetOOMScoreAdj(int32(n))
			return 0
		},
	})
}
