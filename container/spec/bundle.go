package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hornwork/container/launch"
	"hornwork/linux"
	"hornwork/sentry/kernel"
)

// LoadBundle reads an OCI bundle's config.json and returns what to start: the configuration and the gofer's roots.
func LoadBundle(dir string) (*kernel.Config, []launch.GoferRoot, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, nil, fmt.Errorf("read the bundle: %w; give a directory that holds config.json and the root file system", err)
	}
	var s specs.Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "config.json"), err)
	}
	return fromSpec(&s, dir)
}

func fromSpec(s *specs.Spec, dir string) (*kernel.Config, []launch.GoferRoot, error) {
	if s.Process == nil || len(s.Process.Args) == 0 {
		return nil, nil, errors.New("config.json: process.args is empty; it names the program to run")
	}
	if s.Root == nil || s.Root.Path == "" {
		return nil, nil, errors.New("config.json: root.path is missing")
	}
	if !strings.HasPrefix(s.Process.Cwd, "/") {
		return nil, nil, fmt.Errorf("config.json: process.cwd %q is not an absolute path", s.Process.Cwd)
	}
	root := s.Root.Path
	if !filepath.IsAbs(root) {
		root = filepath.Join(dir, root)
	}
	if st, err := os.Stat(root); err != nil {
		return nil, nil, fmt.Errorf("config.json: root.path: %w", err)
	} else if !st.IsDir() {
		return nil, nil, fmt.Errorf("config.json: root.path %s is not a directory", root)
	}
	c := &kernel.Config{
		Hostname:   s.Hostname,
		HostMemory: HostMemory(),
		HostTasks:  HostTasks(),
		Root:       kernel.Root{Overlay: "memory", ReadOnly: s.Root.Readonly},
	}
	roots := []launch.GoferRoot{{Path: root}}
	if err := setProcess(&c.Process, s.Process); err != nil {
		return nil, nil, err
	}
	if s.Linux != nil && s.Linux.Resources != nil && s.Linux.Resources.Memory != nil {
		if limit := s.Linux.Resources.Memory.Limit; limit != nil && *limit > 0 && uint64(*limit) < c.HostMemory {
			c.HostMemory = uint64(*limit)
		}
	}
	for _, m := range s.Mounts {
		roots = addMount(c, roots, m, dir)
	}
	return c, roots, nil
}

func setProcess(p *kernel.Process, s *specs.Process) error {
	p.Args, p.Env, p.Cwd = s.Args, s.Env, s.Cwd
	p.UID, p.GID, p.Groups = s.User.UID, s.User.GID, s.User.AdditionalGids
	p.Umask = 0o022
	if s.User.Umask != nil {
		p.Umask = *s.User.Umask
	}
	p.NoNewPrivs, p.Terminal, p.Init = s.NoNewPrivileges, s.Terminal, true
	if s.ConsoleSize != nil {
		p.Winsize = linux.Winsize{Row: uint16(s.ConsoleSize.Height), Col: uint16(s.ConsoleSize.Width)}
	}
	if err := setCapabilities(&p.Caps, s.Capabilities); err != nil {
		return err
	}
	p.Rlimits = map[int]linux.Rlimit{}
	for _, l := range s.Rlimits {
		n, ok := rlimitNumber[l.Type]
		if !ok {
			return fmt.Errorf("config.json: process.rlimits: %q is not a resource", l.Type)
		}
		if l.Soft > l.Hard {
			return fmt.Errorf("config.json: process.rlimits: %s has a soft limit over its hard limit", l.Type)
		}
		p.Rlimits[n] = linux.Rlimit{Cur: l.Soft, Max: l.Hard}
	}
	return nil
}

// setCapabilities takes the sets over; without any, the process has none.
func setCapabilities(c *kernel.Capabilities, s *specs.LinuxCapabilities) error {
	if s == nil {
		return nil
	}
	for _, set := range []struct {
		names []string
		bits  *uint64
	}{{s.Permitted, &c.Permitted}, {s.Bounding, &c.Bounding}, {s.Inheritable, &c.Inheritable}, {s.Ambient, &c.Ambient}} {
		for _, name := range set.names {
			n, ok := capabilityNumber(name)
			if !ok {
				return fmt.Errorf("config.json: process.capabilities: %q is not a capability", name)
			}
			*set.bits |= 1 << n
		}
	}
	return nil
}

// addMount translates one mount: bind mounts become gofer roots, kernel file systems stay what they are.
func addMount(c *kernel.Config, roots []launch.GoferRoot, m specs.Mount, dir string) []launch.GoferRoot {
	out := kernel.Mount{Destination: filepath.Clean(m.Destination), Type: m.Type, Source: m.Source, Options: m.Options, Overlay: "none"}
	out.ReadOnly = slices.Contains(m.Options, "ro")
	switch {
	case m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind"):
		src := m.Source
		if !filepath.IsAbs(src) {
			src = filepath.Join(dir, src)
		}
		out.Type, out.Source, out.GoferRoot = "gofer", src, len(roots)
		roots = append(roots, launch.GoferRoot{Path: src, Writable: !out.ReadOnly})
	case m.Type == "tmpfs" && out.Destination == "/dev":
		out.Type = "dev" // runtimes fill /dev of a container with the standard nodes
	case m.Type == "cgroup" || m.Type == "cgroup2" || m.Type == "mqueue":
		return roots // these file systems are not there yet, and every container asks for them: the mount point stays as it is
	}
	c.Mounts = append(c.Mounts, out)
	return roots
}

var rlimitNumber = map[string]int{
	"RLIMIT_CPU": linux.RLIMIT_CPU, "RLIMIT_FSIZE": linux.RLIMIT_FSIZE, "RLIMIT_DATA": linux.RLIMIT_DATA,
	"RLIMIT_STACK": linux.RLIMIT_STACK, "RLIMIT_CORE": linux.RLIMIT_CORE, "RLIMIT_RSS": linux.RLIMIT_RSS,
	"RLIMIT_NPROC": linux.RLIMIT_NPROC, "RLIMIT_NOFILE": linux.RLIMIT_NOFILE, "RLIMIT_MEMLOCK": linux.RLIMIT_MEMLOCK,
	"RLIMIT_AS": linux.RLIMIT_AS, "RLIMIT_LOCKS": linux.RLIMIT_LOCKS, "RLIMIT_SIGPENDING": linux.RLIMIT_SIGPENDING,
	"RLIMIT_MSGQUEUE": linux.RLIMIT_MSGQUEUE, "RLIMIT_NICE": linux.RLIMIT_NICE, "RLIMIT_RTPRIO": linux.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME": linux.RLIMIT_RTTIME,
}

// capabilityNames are in the order of their numbers, from capabilities(7).
var capabilityNames = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
	LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
	SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE
	AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

func capabilityNumber(name string) (int, bool) {
	n := slices.Index(capabilityNames, strings.TrimPrefix(name, "CAP_"))
	return n, n >= 0
}
