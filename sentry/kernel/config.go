package kernel

import "hornwork/linux"

// Config is everything that a sandbox is told before it starts: what to run and what it sees. The launcher
// makes it from flags or from an OCI bundle and sends it over the control socket as JSON.
type Config struct {
	Platform string // "trap", "ptrace"
	Hostname string
	Process  Process
	Root     Root
	Mounts   []Mount // in order; the standard ones (/proc, /dev …) included

	HostMemory uint64 // bytes of RAM that /proc/meminfo shows; 0: the host's
	HostTasks  int    // threads of the host that the sandbox may take, 0 if they do not matter
	HostCPUs   []int  // host CPUs that the sandbox may use, from its affinity

	Strace      bool
	StraceCalls []string // names; empty: all
	Debug       bool
}

// Process is the program that the sandbox runs as its first process.
type Process struct {
	Args       []string
	Env        []string
	Cwd        string
	UID, GID   uint32
	Groups     []uint32
	Caps       Capabilities
	NoNewPrivs bool
	Umask      uint32
	Rlimits    map[int]linux.Rlimit // by linux.RLIMIT_*
	Terminal   bool                 // stdin is a terminal: give the process a controlling pseudo-terminal
	Winsize    linux.Winsize
	OOMScore   int
	// Init makes process 1 ignore signals that it has no handler for, as in a PID namespace.
	Init bool
}

// Capabilities are the sets of capabilities(7), a bit for each. What is permitted is effective too.
type Capabilities struct{ Permitted, Bounding, Inheritable, Ambient uint64 }

// Root is the root file system.
type Root struct {
	GoferRoot int    // index of the gofer's root
	Overlay   string // "memory": a throw-away writable layer; "none": as the gofer gives it
	ReadOnly  bool
}

// Mount is one mount below the root.
type Mount struct {
	Destination string
	Type        string // "gofer", "tmpfs", "proc", "sysfs", "devpts", "dev", "mqueue"
	Source      string
	Options     []string
	GoferRoot   int    // for "gofer"
	Overlay     string // for "gofer": "memory" or "none"
	ReadOnly    bool
}
