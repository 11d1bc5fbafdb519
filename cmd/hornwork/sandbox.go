package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"hornwork/container/control"
	"hornwork/container/jail"
	"hornwork/container/launch"
	"hornwork/host/mem"
	"hornwork/platform"
	"hornwork/platform/ptrace"
	"hornwork/platform/trap"
	"hornwork/sentry/fs/remote"
	"hornwork/sentry/kernel"
	"hornwork/sentry/trace"
)

// sandboxMain is the sentry's process. What goes wrong before the guest runs is told to the launcher.
func sandboxMain() {
	// A small heap that is collected late costs less than many collections of a tiny one.
	debug.SetGCPercent(200)
	c := control.New(os.NewFile(launch.FDControl, "control"))
	k, err := bootSandbox(c)
	if err != nil {
		_ = c.Send(&control.Event{Failure: failure(err)}) // without a launcher there is nobody to tell
		os.Exit(1)
	}
	_ = c.Send(&control.Event{Started: true})
	go serveControl(c, k)
	status := k.Wait()
	_ = c.Send(&control.Event{Exit: exitOf(status)})
	os.Exit(0) // and with process 1 of the PID namespace end all stubs
}

func failure(err error) *control.Error {
	var start *kernel.StartError
	if errors.As(err, &start) {
		return &control.Error{Message: start.Message, Code: start.Code}
	}
	return &control.Error{Message: err.Error(), Code: 1}
}

func exitOf(status int32) *control.Exit {
	x := &control.Exit{Code: int(status >> 8 & 0xff), Signal: int(status & 0x7f)}
	var report lines
	_ = trace.Report(&report) // lines never fails
	x.Report = report
	return x
}

// lines collects what is written to it, a string for each line.
type lines []string

func (l *lines) Write(b []byte) (int, error) {
	for start, i := 0, 0; i < len(b); i++ {
		if b[i] == '\n' {
			*l = append(*l, string(b[start:i]))
			start = i + 1
		}
	}
	return len(b), nil
}

// serveControl passes signals and window sizes on. When the launcher is gone, so is the reason to be.
func serveControl(c *control.Conn, k *kernel.Kernel) {
	for {
		var r control.Request
		if err := c.Recv(&r); err != nil {
			os.Exit(1)
		}
		if r.Signal != 0 {
			_ = k.Signal(r.Signal) // the process may have ended meanwhile
		}
		if r.Winsize != nil {
			k.SetWinsize(*r.Winsize)
		}
	}
}

// bootSandbox goes to jail step by step: each step is done as late as it can be, and before what it protects from.
func bootSandbox(c *control.Conn) (*kernel.Kernel, error) {
	var r control.Request
	if err := c.Recv(&r); err != nil {
		return nil, err
	}
	cfg := r.Start
	if cfg == nil || len(cfg.Process.Args) == 0 {
		return nil, errors.New("the launcher sent no configuration")
	}
	host, err := lookAtHost()
	if err != nil {
		return nil, err
	}
	if err := jail.RaiseFileLimit(); err != nil {
		return nil, fmt.Errorf("raise the descriptor limit: %w", err)
	}
	// Go's own limit, 10,000, would end us where threads wait for that many guest threads.
	debug.SetMaxThreads(max(10_000, cfg.HostTasks))
	if cfg.HostMemory != 0 {
		host.Memory = cfg.HostMemory
	}
	memory, err := newMemory(r.MemoryFile, host.Memory)
	if err != nil {
		return nil, err
	}
	if err := jail.EmptyRoot(); err != nil {
		return nil, err
	}
	if err := jail.Unprivileged(0); err != nil {
		return nil, err
	}
	p, rules, err := newPlatform(cfg.Platform, memory)
	if err != nil {
		return nil, err
	}
	files, err := remote.Dial(launch.FDGofer, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to the gofer: %w", err)
	}
	if err := jail.Filter(append(jail.SentryRules(), rules...)); err != nil {
		return nil, err
	}
	k, err := kernel.New(cfg, &kernel.Deps{
		Platform: p, Memory: memory, Files: files, Host: host, Log: os.NewFile(launch.FDLog, "log"),
		Stdio: [3]int32{launch.FDStdin, launch.FDStdout, launch.FDStderr},
	})
	if err != nil {
		return nil, err
	}
	return k, k.Start()
}

// newMemory makes the memory file, of the file that the launcher passed or of the host's memory.
func newMemory(passed bool, hostMemory uint64) (*mem.File, error) {
	if passed {
		return mem.NewFD(launch.FDMemory)
	}
	memory, err := mem.New()
	if err != nil {
		return nil, err
	}
	// A guest that takes all memory meets ENOMEM, and not the host's OOM killer meets the sentry.
	memory.SetLimit(hostMemory - hostMemory/8)
	return memory, nil
}

func newPlatform(name string, memory *mem.File) (platform.Platform, []jail.Rule, error) {
	switch name {
	case "trap":
		p, err := trap.New(trap.Options{MemoryFD: int(memory.FD())})
		return p, jail.TrapRules(), err
	case "ptrace":
		p, err := ptrace.New()
		return p, jail.PtraceRules(), err
	}
	return nil, nil, fmt.Errorf("there is no platform %q", name)
}

// lookAtHost gathers what the guest may know of the machine, while the host's files are still there.
func lookAtHost() (kernel.Host, error) {
	h := kernel.Host{CPUInfoFD: -1}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return h, fmt.Errorf("ask for the processors: %w", err)
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			h.CPUs = append(h.CPUs, cpu)
		}
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return h, fmt.Errorf("ask for the memory: %w", err)
	}
	h.Memory = info.Totalram * uint64(info.Unit)
	if fd, err := unix.Open("/proc/cpuinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		h.CPUInfoFD = int32(fd) // without it, /proc/cpuinfo tells only numbers
	}
	return h, nil
}

var _ io.Writer = (*lines)(nil)
