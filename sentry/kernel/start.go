package kernel

import (
	"fmt"
	"strings"

	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/hostfile"
	_ "hornwork/sentry/sock/unix" // registers AF_UNIX
	"hornwork/sentry/syscalls"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
	"hornwork/sentry/vfs"
)

func taskOf(c *vfs.Caller) *task.Task {
	t, _ := c.Task.(*task.Task)
	return t
}

// traceCalls starts --strace, and the log of what is unsupported.
func (k *Kernel) traceCalls() error {
	trace.OnFirst(func(kind trace.Kind, name, comm string) {
		syscalls.Logf(k.deps.Log, "hornwork: unsupported %v: %s (asked for by %s)", kind,
			trace.Printable(name), trace.Printable(comm))
	})
	if !k.cfg.Strace {
		return nil
	}
	tr, err := syscalls.NewTracer(k.deps.Log, strings.Join(k.cfg.StraceCalls, ","))
	if err != nil {
		return err
	}
	syscalls.SetTracer(tr)
	k.Tasks.TraceSignal, k.Tasks.TraceExit = syscalls.TraceSignal, syscalls.TraceExit
	return nil
}

func (k *Kernel) credentials() *cred.Credentials {
	p := &k.cfg.Process
	c := &cred.Credentials{
		RUID: p.UID, EUID: p.UID, SUID: p.UID, FSUID: p.UID, RGID: p.GID, EGID: p.GID, SGID: p.GID, FSGID: p.GID,
		Groups: p.Groups, NoNewPrivs: p.NoNewPrivs, UserNS: k.Tasks.UserNS,
	}
	c.Permitted = cred.CapSet(p.Caps.Permitted) & cred.AllCaps
	c.Effective = c.Permitted
	c.Bounding = cred.CapSet(p.Caps.Bounding) & cred.AllCaps
	c.Inheritable = cred.CapSet(p.Caps.Inheritable) & cred.AllCaps
	c.Ambient = cred.CapSet(p.Caps.Ambient) & c.Permitted & c.Inheritable
	return c
}

// Start runs the first process.
func (k *Kernel) Start() error {
	p := &k.cfg.Process
	creds := k.credentials()
	c := &vfs.Caller{Creds: creds, Root: k.root.Root, Cwd: k.root.Root, Umask: p.Umask, MaxFileSize: 1<<63 - 1}
	cwd, errno := vfs.Walk(c, c.Root, p.Cwd, vfs.Follow|vfs.Directory)
	if errno != 0 {
		return &StartError{fmt.Sprintf("working directory %s: %v; choose another with --cwd", p.Cwd, errno), 126}
	}
	defer cwd.Put()
	c.Cwd = cwd
	file, name, err := k.findProgram(c)
	if err != nil {
		return err
	}
	files, err := k.standardFiles(c)
	if err != nil {
		file.Put()
		return err
	}
	limits := task.DefaultLimits()
	for r, l := range p.Rlimits {
		limits[r] = l
	}
	k.init, errno = task.NewInit(k.Tasks, &task.InitArgs{
		Creds: creds, Root: c.Root, Cwd: cwd, Umask: p.Umask, Namespaces: k.namespaces(), Files: files, Limits: limits,
		Exec:       task.ExecArgs{File: file, Filename: name, Argv: p.Args, Envv: p.Env},
		Unkillable: p.Init,
	})
	if errno != 0 {
		return &StartError{fmt.Sprintf("%s: %s", p.Args[0], whyNot(errno)), 126}
	}
	if k.console != nil {
		if errno := k.console.control(k.init.Leader()); errno != 0 {
			return fmt.Errorf("make the console the controlling terminal: %w", errno)
		}
	}
	k.init.Start()
	return nil
}

// whyNot says what an errno of execve(2) means for a person.
func whyNot(e linux.Errno) string {
	switch e {
	case linux.ENOEXEC:
		return "exec format error: neither an x86-64 ELF program nor a script that begins with #!"
	case linux.ENOENT:
		return "its interpreter (of #! or of the dynamic linker) was not found"
	}
	return e.Error()
}

// findProgram looks the command up as a shell does: a name with a slash is a path, another one is sought in PATH.
func (k *Kernel) findProgram(c *vfs.Caller) (*vfs.File, string, error) {
	name := k.cfg.Process.Args[0]
	try := []string{name}
	if !strings.Contains(name, "/") {
		try = nil
		search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		for _, kv := range k.cfg.Process.Env {
			if v, ok := strings.CutPrefix(kv, "PATH="); ok {
				search = v
			}
		}
		for dir := range strings.SplitSeq(search, ":") {
			if dir == "" {
				dir = "."
			}
			try = append(try, dir+"/"+name)
		}
	}
	denied := linux.Errno(0)
	for _, path := range try {
		f, errno := vfs.OpenExec(c, c.Cwd, path, vfs.Follow)
		switch errno {
		case 0:
			return f, path, nil
		case linux.ENOENT, linux.ENOTDIR:
		default:
			denied = errno
		}
	}
	if denied != 0 {
		return nil, "", &StartError{fmt.Sprintf("%s: %v", name, denied), 126}
	}
	if strings.Contains(name, "/") {
		return nil, "", &StartError{name + ": no such file or directory in the sandbox", 127}
	}
	return nil, "", &StartError{name + ": command not found in the sandbox's PATH", 127}
}

// standardFiles opens the first process's descriptors 0, 1 and 2: the console where the host has a terminal, or the
// host's own descriptor.
func (k *Kernel) standardFiles(c *vfs.Caller) ([]*vfs.File, error) {
	if k.cfg.Process.Terminal {
		if err := k.openConsole(); err != nil {
			return nil, err
		}
	}
	var files []*vfs.File
	for i, fd := range k.deps.Stdio {
		var f *vfs.File
		var errno linux.Errno
		if k.console != nil && isTerminal(fd) {
			f, errno = k.console.open(c)
		} else {
			f, errno = hostfile.New(c, fd, "")
		}
		if errno != 0 {
			for _, f := range files {
				f.Put()
			}
			return nil, fmt.Errorf("standard stream %d: %w", i, errno)
		}
		files = append(files, f)
	}
	return files, nil
}

// isTerminal says whether a host descriptor is a terminal.
func isTerminal(fd int32) bool {
	var m linux.Termios
	return sys.IoctlValue(fd, linux.TCGETS, &m) == 0
}
