package proc

import (
	"bytes"
	"fmt"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/timer"
	"hornwork/sentry/vfs"
)

// userHZ is the unit of times in proc: clock ticks a second.
const userHZ = 100

const nsPerTick = 1e9 / userHZ

// show makes a read-only file of a function that prints.
func (p *fileSystem) show(f func(c *vfs.Caller, b *bytes.Buffer)) *vfs.Inode {
	return p.File(0o444, kernfs.File{Show: func(c *vfs.Caller) ([]byte, linux.Errno) {
		var b bytes.Buffer
		f(c, &b)
		return b.Bytes(), 0
	}})
}

// globals makes the entries of /proc that are not processes.
func (p *fileSystem) globals() *kernfs.Table {
	t := new(kernfs.Table)
	t.Add("self", p.Link(func(c *vfs.Caller) (string, linux.Errno) {
		if t := caller(c); t != nil {
			if pid := t.Group.Identity().In(p.ns); pid != 0 {
				return fmt.Sprint(pid), 0
			}
		}
		return "", linux.ENOENT
	}))
	t.Add("thread-self", p.Link(func(c *vfs.Caller) (string, linux.Errno) {
		if t := caller(c); t != nil {
			if tid := t.PID().In(p.ns); tid != 0 {
				return fmt.Sprintf("%d/task/%d", t.Group.Identity().In(p.ns), tid), 0
			}
		}
		return "", linux.ENOENT
	}))
	for name, target := range map[string]string{"mounts": "self/mounts", "net": "self/net"} {
		t.Add(name, p.Link(func(*vfs.Caller) (string, linux.Errno) { return target, 0 }))
	}
	t.Add("cmdline", p.Text(p.Cmdline+"\n"))
	t.Add("version", p.Text(p.Version+"\n"))
	t.Add("cgroups", p.Text("#subsys_name\thierarchy\tnum_cgroups\tenabled\n"))
	t.Add("filesystems", p.Text("nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevpts\nnodev\tdevtmpfs\nnodev\toverlay\nnodev\tpipefs\nnodev\tsockfs\nnodev\tanon_inodefs\n"))
	t.Add("devices", p.Text("Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"))
	t.Add("modules", p.Text(""))
	t.Add("partitions", p.Text("major minor  #blocks  name\n\n"))
	t.Add("diskstats", p.Text(""))
	t.Add("swaps", p.Text("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"))
	t.Add("cpuinfo", p.show(func(_ *vfs.Caller, b *bytes.Buffer) { b.Write(p.CPUInfo()) }))
	t.Add("meminfo", p.show(func(_ *vfs.Caller, b *bytes.Buffer) { p.meminfo(b) }))
	t.Add("stat", p.show(func(_ *vfs.Caller, b *bytes.Buffer) { p.stat(b) }))
	t.Add("uptime", p.show(func(_ *vfs.Caller, b *bytes.Buffer) {
		up := timer.Monotonic() - p.Kernel.StartTime
		idle := int64(p.CPUs)*up - p.cpuTime()
		fmt.Fprintf(b, "%d.%02d %d.%02d\n", up/1e9, up%1e9/1e7, max(idle, 0)/1e9, max(idle, 0)%1e9/1e7)
	}))
	t.Add("loadavg", p.show(func(_ *vfs.Caller, b *bytes.Buffer) {
		threads, last := p.ns.Count()
		run := p.runnable()
		load := float64(run)
		fmt.Fprintf(b, "%.2f %.2f %.2f %d/%d %d\n", load, load, load, run, threads, last)
	}))
	t.Add("vmstat", p.show(func(_ *vfs.Caller, b *bytes.Buffer) {
		free := (p.MemTotal() - p.MemUsed()) / linux.PageSize
		fmt.Fprintf(b, "nr_free_pages %d\nnr_inactive_anon 0\nnr_active_anon %d\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\n", free, p.MemUsed()/linux.PageSize)
	}))
	t.Add("sys", p.sysctl())
	return t
}

// meminfo has free memory as what the sandbox's own memory file leaves; the sandbox has no swap and no buffers.
func (p *fileSystem) meminfo(b *bytes.Buffer) {
	total, used := p.MemTotal()>>10, p.MemUsed()>>10
	free := total - min(used, total)
	for _, row := range []struct {
		name string
		kb   uint64
	}{
		{"MemTotal", total}, {"MemFree", free}, {"MemAvailable", free}, {"Buffers", 0}, {"Cached", 0},
		{"SwapCached", 0}, {"Active", used}, {"Inactive", 0}, {"Active(anon)", used}, {"Inactive(anon)", 0},
		{"Active(file)", 0}, {"Inactive(file)", 0}, {"Unevictable", 0}, {"Mlocked", 0}, {"SwapTotal", 0},
		{"SwapFree", 0}, {"Dirty", 0}, {"Writeback", 0}, {"AnonPages", used}, {"Mapped", 0}, {"Shmem", 0},
		{"Slab", 0}, {"SReclaimable", 0}, {"SUnreclaim", 0}, {"PageTables", 0}, {"CommitLimit", total / 2},
		{"Committed_AS", used}, {"VmallocTotal", 34359738367}, {"VmallocUsed", 0}, {"VmallocChunk", 0},
	} {
		fmt.Fprintf(b, "%-16s%8d kB\n", row.name+":", row.kb)
	}
	b.WriteString("HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n")
}

func (p *fileSystem) stat(b *bytes.Buffer) {
	up := timer.Monotonic() - p.Kernel.StartTime
	user := p.cpuTime()
	idle := max(int64(p.CPUs)*up-user, 0)
	line := func(name string, n int64) {
		fmt.Fprintf(b, "%s %d 0 0 %d 0 0 0 0 0 0\n", name, user/n/nsPerTick, idle/n/nsPerTick)
	}
	line("cpu ", 1)
	for cpu := range p.CPUs {
		// Guest threads move freely between processors; each gets its share.
		line(fmt.Sprintf("cpu%d", cpu), int64(p.CPUs))
	}
	fmt.Fprintf(b, "intr 0\nctxt 0\nbtime %d\nprocesses %d\nprocs_running %d\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		p.BootTime/1e9, p.Kernel.Forks(), max(p.runnable(), 1))
}

// runnable counts the threads that are not asleep.
func (p *fileSystem) runnable() int {
	n := 0
	for _, g := range p.ns.Groups() {
		for _, t := range g.Threads() {
			if state(t) == 'R' {
				n++
			}
		}
	}
	return n
}

// cpuTime adds up the time of the sandbox's processes, those that are gone included as far as their parents have
// waited for them.
func (p *fileSystem) cpuTime() (ns int64) {
	for _, g := range p.ns.Groups() {
		ns += g.CPUTime()
	}
	if init := p.ns.Init(); init != nil {
		ns += init.ChildCPUTime()
	}
	return ns
}

func joinNumbers(v []int32, sep string) string {
	s := make([]string, len(v))
	for i, n := range v {
		s[i] = fmt.Sprint(n)
	}
	return strings.Join(s, sep)
}
