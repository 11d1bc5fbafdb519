// Package proc is the proc file system, proc(5): what ps, top, free, lsof, pmap, the C libraries and the runtimes of Go,
// Java, Node and Python read. Every number in it is the sandbox's own; nothing of the host shows but the processors'
// description.
//
// A superblock belongs to one PID namespace: it shows the processes of that namespace, by their numbers there.
package proc

import (
	"strconv"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// System is what proc shows that is not a task's.
type System struct {
	Kernel *task.Kernel
	CPUs   int
	// CPUInfo returns the host's /proc/cpuinfo blocks of the processors that the sandbox may use.
	CPUInfo func() []byte
	// MemTotal and MemUsed are bytes; MemShmem is the part of MemUsed in tmpfs files and shared memory.
	MemTotal, MemUsed func() uint64
	// BootTime is the sandbox's start, nanoseconds since the epoch; Now is the time.
	BootTime int64
	Now      func() int64
	Version  string // /proc/version
	Cmdline  string // of the kernel
	// Unsupported counts a path that was asked for and is not there.
	Unsupported func(path string)
}

// fileSystem is one mounted proc.
type fileSystem struct {
	kernfs.FS
	*System
	ns   *task.PIDNamespace
	root *kernfs.Table
}

// New makes the proc of a PID namespace.
func New(dev uint64, sys *System, ns *task.PIDNamespace) *vfs.Superblock {
	sb := &vfs.Superblock{Type: "proc", Dev: dev, Magic: linux.PROC_SUPER_MAGIC, Source: "proc", Revalidate: true, NoExecDev: true, NoAtime: true}
	p := &fileSystem{FS: kernfs.FS{SB: sb, Now: sys.Now, NoNames: linux.ENOENT}, System: sys, ns: ns}
	p.root = p.globals()
	sb.Root = p.Directory(0o555, (*rootDir)(p))
	return sb
}

// rootDir is /proc: fixed files, self, thread-self, and a directory for each process.
type rootDir fileSystem

func (r *rootDir) Lookup(c *vfs.Caller, name string) (*vfs.Inode, linux.Errno) {
	p := (*fileSystem)(r)
	if i, errno := p.root.Lookup(c, name); errno == 0 {
		return i, 0
	}
	pid, ok := number(name)
	if !ok {
		p.Unsupported("/proc/" + name)
		return nil, linux.ENOENT
	}
	// A thread's number works for lookup, though only leaders are listed.
	if t := p.ns.Task(pid); t != nil {
		return p.taskDir(t, t.Group, true), 0
	}
	if g := p.ns.Group(pid); g != nil {
		return p.taskDir(g.Leader(), g, true), 0
	}
	return nil, linux.ENOENT
}

// firstPID is where the positions of processes begin in /proc, behind the fixed entries.
const firstPID = 1 << 16

func (r *rootDir) List(c *vfs.Caller, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	p := (*fileSystem)(r)
	if pos < firstPID {
		full := false
		errno := p.root.List(c, pos, func(e vfs.DirEntry) bool {
			full = !emit(e)
			return !full
		})
		if errno != 0 || full {
			return errno
		}
		pos = firstPID
	}
	for _, g := range p.ns.Groups() {
		pid := int64(g.Identity().In(p.ns))
		if firstPID+pid < pos {
			continue
		}
		if !emit(vfs.DirEntry{Name: strconv.FormatInt(pid, 10), Ino: uint64(pid) + 1<<20, Type: linux.DT_DIR, Next: firstPID + pid + 1}) {
			return 0
		}
	}
	return 0
}

// Valid drops directories of processes that have gone, or whose number now belongs to another.
func (r *rootDir) Valid(c *vfs.Caller, name string, child *vfs.Inode) bool {
	pid, ok := number(name)
	if !ok {
		return child != nil
	}
	if child == nil {
		return false // a process may have been born
	}
	d, ok := kernfs.DirOf(child).(*taskDir)
	if !ok || !d.alive() || d.p.pidOf(d) != pid {
		return false
	}
	d.owned(child)
	return true
}

// number reads a PID: decimal, no sign, no leading zero.
func number(name string) (int32, bool) {
	if name == "" || name[0] < '1' || name[0] > '9' || len(name) > 10 {
		return 0, false
	}
	n, err := strconv.ParseInt(name, 10, 32)
	return int32(n), err == nil
}

// caller returns the task that asks; nil inside the kernel.
func caller(c *vfs.Caller) *task.Task {
	t, _ := c.Task.(*task.Task)
	return t
}
