package proc

import (
	"bytes"
	"fmt"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

func fileOf(show func(*vfs.Caller) ([]byte, linux.Errno)) kernfs.File { return kernfs.File{Show: show} }

var stateText = map[byte]string{
	'R': "R (running)", 'S': "S (sleeping)", 'D': "D (disk sleep)", 'T': "T (stopped)", 'Z': "Z (zombie)", 'X': "X (dead)",
}

// state is the task's state letter; a process whose threads are all gone is a zombie.
func (d *taskDir) state() byte {
	if d.process && d.g.Zombie() {
		return 'Z'
	}
	return state(d.t)
}

// escape makes a name safe for status and stat, as Linux does.
func escape(name string) string {
	return strings.NewReplacer("\\", "\\\\", "\n", "\\n").Replace(name)
}

func (d *taskDir) status(_ *vfs.Caller, b *bytes.Buffer) linux.Errno {
	n, t, g := d.p.ns, d.t, d.g
	c := t.Creds()
	line := func(name, format string, args ...any) { fmt.Fprintf(b, name+":\t"+format+"\n", args...) }
	line("Name", "%s", escape(t.Name()))
	if root, cwd, umask, ok := t.Paths(); ok {
		root.Put()
		cwd.Put()
		line("Umask", "%04o", umask)
	}
	line("State", "%s", stateText[d.state()])
	line("Tgid", "%d", g.Identity().In(n))
	line("Ngid", "0")
	line("Pid", "%d", d.p.pidOf(d))
	line("PPid", "%d", g.PPID(n))
	line("TracerPid", "0")
	line("Uid", "%d\t%d\t%d\t%d", c.RUID, c.EUID, c.SUID, c.FSUID)
	line("Gid", "%d\t%d\t%d\t%d", c.RGID, c.EGID, c.SGID, c.FSGID)
	size := 64
	if files := t.Files(); files != nil {
		size = files.Size()
	}
	line("FDSize", "%d", size)
	groups := ""
	for _, gid := range c.Groups {
		groups += fmt.Sprintf("%d ", gid)
	}
	line("Groups", "%s", groups)
	line("NStgid", "%s", joinNumbers(g.Identity().Numbers(n), "\t"))
	line("NSpid", "%s", joinNumbers(t.PID().Numbers(n), "\t"))
	line("NSpgid", "%d", g.PGID(n))
	line("NSsid", "%d", g.SID(n))
	d.memoryStatus(b)
	threads := len(g.Threads())
	line("CoreDumping", "0")
	line("THP_enabled", "0")
	line("Threads", "%d", max(threads, 1))
	s := t.SigInfo()
	line("SigQ", "%d/%d", s.Queued, g.Limits().Get(linux.RLIMIT_SIGPENDING).Cur)
	line("SigPnd", "%016x", s.Pending)
	line("ShdPnd", "%016x", s.Shared)
	line("SigBlk", "%016x", s.Blocked)
	line("SigIgn", "%016x", s.Ignored)
	line("SigCgt", "%016x", s.Caught)
	line("CapInh", "%016x", c.Inheritable)
	line("CapPrm", "%016x", c.Permitted)
	line("CapEff", "%016x", c.Effective)
	line("CapBnd", "%016x", c.Bounding)
	line("CapAmb", "%016x", c.Ambient)
	nnp := 0
	if c.NoNewPrivs {
		nnp = 1
	}
	line("NoNewPrivs", "%d", nnp)
	line("Seccomp", "0")
	line("Seccomp_filters", "0")
	line("Speculation_Store_Bypass", "not vulnerable")
	line("SpeculationIndirectBranch", "unknown")
	cpus := len(g.Kernel().CPUs)
	line("Cpus_allowed", "%x", uint64(1)<<min(cpus, 63)-1)
	line("Cpus_allowed_list", "%s", cpuList(cpus))
	line("Mems_allowed", "1")
	line("Mems_allowed_list", "0")
	_, _, vol, inv := t.Faults()
	line("voluntary_ctxt_switches", "%d", vol)
	line("nonvoluntary_ctxt_switches", "%d", inv)
	return 0
}

func cpuList(n int) string {
	if n == 1 {
		return "0"
	}
	return fmt.Sprintf("0-%d", n-1)
}

// memoryStatus prints the Vm* lines; kernel threads and zombies have none.
func (d *taskDir) memoryStatus(b *bytes.Buffer) {
	as := d.t.MM()
	if as == nil {
		return
	}
	s := as.Stats()
	for _, row := range []struct {
		name  string
		bytes uint64
	}{
		{"VmPeak", s.VMPeak}, {"VmSize", s.VMSize}, {"VmLck", s.VMLck}, {"VmPin", 0}, {"VmHWM", s.RSSPeak}, {"VmRSS", s.RSSAnon + s.RSSFile},
		{"RssAnon", s.RSSAnon}, {"RssFile", s.RSSFile}, {"RssShmem", 0}, {"VmData", s.VMData}, {"VmStk", s.VMStk},
		{"VmExe", s.VMExe}, {"VmLib", s.VMLib}, {"VmPTE", 0}, {"VmSwap", 0}, {"HugetlbPages", 0},
	} {
		fmt.Fprintf(b, "%s:\t%8d kB\n", row.name, row.bytes>>10)
	}
}

// stat prints the 52 fields of /proc/PID/stat.
func (d *taskDir) stat(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	n, t, g := d.p.ns, d.t, d.g
	user, children := t.CPUTime(), int64(0)
	minflt, majflt, _, _ := t.Faults()
	if d.process {
		user, children = g.CPUTime(), g.ChildCPUTime()
	}
	tty, tpgid := uint64(0), int32(-1)
	if terminal, foreground := g.TTYOf(n); terminal != nil {
		tty, tpgid = terminal.Dev(), foreground
	}
	var vsize, rss, startCode, endCode, startStack, sp, ip uint64
	var startData, endData, startBrk, argStart, argEnd, envStart, envEnd uint64
	if as := t.MM(); as != nil {
		s := as.Stats()
		vsize, rss = s.VMSize, (s.RSSAnon+s.RSSFile)/linux.PageSize
		if d.mayInspect(c) == 0 {
			l := as.Layout()
			startCode, endCode, startStack = l.StartCode, l.EndCode, l.StartStack
			startData, endData, startBrk = l.StartData, l.EndData, l.StartBrk
			argStart, argEnd, envStart, envEnd = l.ArgStart, l.ArgEnd, l.EnvStart, l.EnvEnd
		}
	}
	s := t.SigInfo()
	exitSignal := int32(-1)
	if d.process {
		exitSignal = g.ExitSignal()
	}
	sched := t.Sched().Attr()
	nice := sched.Nice
	fields := []any{
		d.p.pidOf(d), "(" + escape(t.Name()) + ")", string(d.state()), g.PPID(n), g.PGID(n), g.SID(n), tty, tpgid,
		0x400000, // flags: PF_RANDOMIZE
		minflt, 0, majflt, 0, user / nsPerTick, 0, children / nsPerTick, 0,
		20 + nice, nice, max(len(g.Threads()), 1), 0, (t.StartTime() - d.p.Kernel.StartTime) / nsPerTick, vsize, rss,
		g.Limits().Get(linux.RLIMIT_RSS).Cur, startCode, endCode, startStack, sp, ip,
		uint64(s.Pending) & 0x7fffffff, uint64(s.Blocked) & 0x7fffffff, uint64(s.Ignored) & 0x7fffffff, uint64(s.Caught) & 0x7fffffff,
		0, 0, 0, exitSignal, 0, 0, sched.Policy, 0, 0, 0, startData, endData, startBrk, argStart, argEnd, envStart, envEnd, 0,
	}
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(b, f)
	}
	b.WriteByte('\n')
	return 0
}

func (d *taskDir) statm(_ *vfs.Caller, b *bytes.Buffer) linux.Errno {
	as := d.t.MM()
	if as == nil {
		b.WriteString("0 0 0 0 0 0 0\n")
		return 0
	}
	s := as.Stats()
	const p = linux.PageSize
	fmt.Fprintf(b, "%d %d %d %d 0 %d 0\n", s.VMSize/p, (s.RSSAnon+s.RSSFile)/p, s.RSSFile/p, s.VMExe/p, (s.VMData+s.VMStk)/p)
	return 0
}

var limitRows = []struct {
	name, unit string
	res        int
}{
	{"Max cpu time", "seconds", linux.RLIMIT_CPU}, {"Max file size", "bytes", linux.RLIMIT_FSIZE},
	{"Max data size", "bytes", linux.RLIMIT_DATA}, {"Max stack size", "bytes", linux.RLIMIT_STACK},
	{"Max core file size", "bytes", linux.RLIMIT_CORE}, {"Max resident set", "bytes", linux.RLIMIT_RSS},
	{"Max processes", "processes", linux.RLIMIT_NPROC}, {"Max open files", "files", linux.RLIMIT_NOFILE},
	{"Max locked memory", "bytes", linux.RLIMIT_MEMLOCK}, {"Max address space", "bytes", linux.RLIMIT_AS},
	{"Max file locks", "locks", linux.RLIMIT_LOCKS}, {"Max pending signals", "signals", linux.RLIMIT_SIGPENDING},
	{"Max msgqueue size", "bytes", linux.RLIMIT_MSGQUEUE}, {"Max nice priority", "", linux.RLIMIT_NICE},
	{"Max realtime priority", "", linux.RLIMIT_RTPRIO}, {"Max realtime timeout", "us", linux.RLIMIT_RTTIME},
}

func (d *taskDir) limits(_ *vfs.Caller, b *bytes.Buffer) linux.Errno {
	value := func(v uint64) string {
		if v == linux.RLIM_INFINITY {
			return "unlimited"
		}
		return fmt.Sprint(v)
	}
	fmt.Fprintf(b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units")
	for _, r := range limitRows {
		l := d.g.Limits().Get(r.res)
		fmt.Fprintf(b, "%-25s %-20s %-20s %-10s\n", r.name, value(l.Cur), value(l.Max), r.unit)
	}
	return 0
}

// state is a thread's state letter.
func state(t *task.Task) byte { return t.State() }

// io is what the thread, or all of the process's, has read and written by system calls. Bytes that reached a device are
// the host's business.
func (d *taskDir) io(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	if errno := d.mayInspect(c); errno != 0 {
		return errno
	}
	x := d.t.IO()
	if d.process {
		x = d.g.IO()
	}
	fmt.Fprintf(b, "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
		x.ReadBytes, x.WrittenBytes, x.Reads, x.Writes)
	return 0
}
