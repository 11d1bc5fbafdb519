package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"hornwork/container/launch"
	"hornwork/container/spec"
	"hornwork/sentry/kernel"
)

const doAbout = `Runs COMMAND in a sandbox. It sees the host's root file system (or --root), below an overlay that takes every
write and is thrown away at the end. Standard streams, exit code, signals and the terminal pass through.
Of the environment only PATH, HOME, USER, LOGNAME, SHELL, TERM, LANG, LC_* and TZ pass; --env adds to them.`

// sandboxFlags are the flags that do and run have in common.
type sandboxFlags struct {
	platform string
	network  string
	strace   string
	log      string
	debug    bool
}

func (f *sandboxFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.platform, "platform", "trap", "how guest code runs: `trap|ptrace`")
	fs.StringVar(&f.network, "network", "none", "network: `none` (the network stack is not there yet)")
	fs.StringVar(&f.strace, "strace", "", "print system calls as strace does, all or those of a comma-separated list `CALLS`")
	fs.Lookup("strace").NoOptDefVal = "all"
	fs.StringVar(&f.log, "log", "", "write the sandbox's log to `FILE`")
	fs.BoolVar(&f.debug, "debug", false, "log to standard error too, and list at exit what was asked for and is unsupported")
}

func (f *sandboxFlags) apply(c *kernel.Config) error {
	switch f.platform {
	case "trap", "ptrace":
		c.Platform = f.platform
	default:
		return fmt.Errorf("--platform %s: there is no such platform; choose trap or ptrace (`hornwork platforms` tells which work here)", f.platform)
	}
	if f.network != "none" {
		return fmt.Errorf("--network %s: only none is supported so far", f.network)
	}
	if f.strace != "" {
		c.Strace = true
		if f.strace != "all" {
			c.StraceCalls = strings.Split(f.strace, ",")
		}
	}
	c.Debug = f.debug
	return nil
}

// openLog returns where the sandbox logs to: FILE, or standard error for --strace and --debug, or nowhere.
func (f *sandboxFlags) openLog() (*os.File, error) {
	if f.log != "" {
		file, err := os.OpenFile(f.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open the log: %w; give --log a file in a directory that you can write", err)
		}
		return file, nil
	}
	if f.strace != "" || f.debug {
		return os.Stderr, nil
	}
	return nil, nil
}

// maxHostname is __NEW_UTS_LEN of linux/utsname.h.
const maxHostname = 64

type doFlags struct {
	sandboxFlags
	root, cwd, user, overlay, hostname string
	env, volumes                       []string
}

func cmdDo(args []string) error {
	var f doFlags
	fs := newFlags("do", "[flags] -- COMMAND [ARG…]", doAbout)
	fs.StringVar(&f.root, "root", "/", "host `DIR` that is the sandbox's root")
	fs.StringVar(&f.cwd, "cwd", "", "working `DIR` inside (default: the present one if it is there, else /)")
	fs.StringArrayVar(&f.env, "env", nil, "environment `K=V`, or K to pass the host's value; may be repeated")
	fs.StringVar(&f.user, "user", "", "run as `UID[:GID]` (default: the caller's)")
	fs.StringArrayVar(&f.volumes, "volume", nil, "show a host directory inside: `HOST:GUEST[:ro|rw]` (default ro); may be repeated")
	fs.StringVar(&f.overlay, "overlay", "memory", "where writes to the root go: memory (thrown away), to a nameless file in DIR that holds all of the sandbox's memory (thrown away too), or to the host's own files: `memory|DIR|none`")
	fs.StringVar(&f.hostname, "hostname", "", "host `NAME` inside (default: hornwork)")
	f.add(fs)
	if err := fs.Parse(args); err != nil {
		return flagError(err)
	}
	if fs.NArg() == 0 {
		return errors.New("do needs a command: hornwork do -- COMMAND [ARG…]")
	}
	o, err := f.options(fs.Args())
	if err != nil {
		return err
	}
	defer closeOptions(o)
	return runSandbox(o, newTerminal(o.Stdio[0]), f.debug)
}

func flagError(err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w; see --help", err)
}

func closeOptions(o *launch.Options) {
	if o.MemoryFile != nil {
		o.MemoryFile.Close()
	}
}

// options turns the flags into what launch needs.
func (f *doFlags) options(args []string) (*launch.Options, error) {
	root, err := filepath.Abs(f.root)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("--root: %w", err)
	} else if !st.IsDir() {
		return nil, fmt.Errorf("--root %s: not a directory", root)
	}
	c := &kernel.Config{
		Hostname:   f.hostname,
		HostMemory: spec.HostMemory(),
		HostTasks:  spec.HostTasks(),
		Root:       kernel.Root{Overlay: "memory"},
		Process: kernel.Process{
			Args: args, Env: f.environment(), Cwd: f.cwd,
			UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Umask: spec.HostUmask(), Rlimits: spec.HostRlimits(),
		},
	}
	o := &launch.Options{Config: c, Stdio: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, Roots: []launch.GoferRoot{{Path: root}}}
	if c.Hostname == "" {
		c.Hostname = "hornwork"
	}
	if len(c.Hostname) > maxHostname {
		return nil, fmt.Errorf("--hostname: a name has at most %d bytes", maxHostname)
	}
	if err := f.apply(c); err != nil {
		return nil, err
	}
	if err := f.setUser(&c.Process); err != nil {
		return nil, err
	}
	if c.Process.Cwd == "" {
		c.Process.Cwd = defaultCwd(root)
	}
	if !strings.HasPrefix(c.Process.Cwd, "/") {
		return nil, fmt.Errorf("--cwd %s: give an absolute path", c.Process.Cwd)
	}
	if err := f.setOverlay(o); err != nil {
		return nil, err
	}
	c.Mounts = spec.DefaultMounts()
	if err := f.addVolumes(o); err != nil {
		return nil, err
	}
	if o.Log, err = f.openLog(); err != nil {
		return nil, err
	}
	return o, nil
}

// defaultCwd is the present directory as the sandbox names it, or / if it lies outside root.
func defaultCwd(root string) string {
	cwd, err := os.Getwd()
	if err != nil {
		return "/"
	}
	if root == "/" {
		return cwd
	}
	rel, err := filepath.Rel(root, cwd)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "/"
	}
	return "/" + strings.TrimPrefix(rel, ".")
}

func (f *doFlags) environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		k, _, _ := strings.Cut(kv, "=")
		switch k {
		case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TZ":
		default:
			if !strings.HasPrefix(k, "LC_") {
				continue
			}
		}
		env = append(env, kv)
	}
	for _, kv := range f.env {
		if !strings.Contains(kv, "=") {
			v, ok := os.LookupEnv(kv)
			if !ok {
				continue
			}
			kv += "=" + v
		}
		env = spec.SetEnv(env, kv)
	}
	return env
}

func (f *doFlags) setUser(p *kernel.Process) error {
	if f.user == "" {
		groups, err := os.Getgroups()
		if err != nil {
			return err
		}
		for _, g := range groups {
			p.Groups = append(p.Groups, uint32(g))
		}
	} else {
		u, g, both := strings.Cut(f.user, ":")
		uid, err := strconv.ParseUint(u, 10, 32)
		if err != nil {
			return fmt.Errorf("--user %s: give numbers, UID or UID:GID", f.user)
		}
		gid := uint64(uid)
		if both {
			if gid, err = strconv.ParseUint(g, 10, 32); err != nil {
				return fmt.Errorf("--user %s: give numbers, UID or UID:GID", f.user)
			}
		}
		if uid == math.MaxUint32 || gid == math.MaxUint32 {
			return fmt.Errorf("--user %s: %d is not an identity but means none", f.user, uint32(math.MaxUint32))
		}
		p.UID, p.GID = uint32(uid), uint32(gid)
	}
	p.Caps.Bounding = spec.AllCaps
	if p.UID == 0 {
		p.Caps.Permitted = spec.AllCaps
	}
	return nil
}

func (f *doFlags) setOverlay(o *launch.Options) error {
	switch f.overlay {
	case "memory":
	case "none":
		o.Config.Root.Overlay = "none"
		o.Roots[0].Writable = true
	default:
		fd, err := unix.Open(f.overlay, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return fmt.Errorf("--overlay %s: cannot make a file there: %w; give memory, none or a directory that you can write", f.overlay, err)
		}
		o.MemoryFile = os.NewFile(uintptr(fd), f.overlay)
	}
	return nil
}

func (f *doFlags) addVolumes(o *launch.Options) error {
	for _, v := range f.volumes {
		part := strings.Split(v, ":")
		if len(part) < 2 || len(part) > 3 || part[0] == "" || !strings.HasPrefix(part[1], "/") {
			return fmt.Errorf("--volume %s: give HOST:GUEST or HOST:GUEST:rw, with GUEST an absolute path", v)
		}
		writable := false
		if len(part) == 3 {
			switch part[2] {
			case "ro":
			case "rw":
				writable = true
			default:
				return fmt.Errorf("--volume %s: %q is neither ro nor rw", v, part[2])
			}
		}
		host, err := filepath.Abs(part[0])
		if err != nil {
			return err
		}
		if st, err := os.Stat(host); err != nil {
			return fmt.Errorf("--volume %s: %w", v, err)
		} else if !st.IsDir() && !st.Mode().IsRegular() {
			return fmt.Errorf("--volume %s: %s is neither a directory nor a regular file", v, host)
		}
		o.Config.Mounts = append(o.Config.Mounts, kernel.Mount{
			Destination: filepath.Clean(part[1]), Type: "gofer", Source: host,
			GoferRoot: len(o.Roots), Overlay: "none", ReadOnly: !writable,
		})
		o.Roots = append(o.Roots, launch.GoferRoot{Path: host, Writable: writable})
	}
	return nil
}
