// Package sys is the sysfs of a sandbox: what nproc, lscpu, the JVM, Go and libuv look for, and no more of the host
// than the processors that the sandbox may use. They are numbered from 0, each a core of its own in one package,
// because a guest can neither see nor choose which host processor runs it.
package sys

import (
	"fmt"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/vfs"
)

// New makes a sysfs for cpus processors. now tells the time in nanoseconds since the epoch.
func New(dev uint64, cpus int, now func() int64) *vfs.Superblock {
	sb := &vfs.Superblock{Type: "sysfs", Dev: dev, Magic: linux.SYSFS_MAGIC, Source: "sysfs"}
	b := &builder{fs: &kernfs.FS{SB: sb, Now: now}, cpus: cpus}
	root := new(kernfs.Table)
	for _, name := range []string{"block", "bus", "class", "dev", "firmware", "hypervisor", "module", "power"} {
		root.Add(name, b.dir(new(kernfs.Table)))
	}
	root.Add("devices", b.dir(new(kernfs.Table).Add("system", b.dir(new(kernfs.Table).
		Add("cpu", b.dir(b.cpuDir())).
		Add("node", b.dir(b.nodeDir()))))))
	root.Add("fs", b.dir(new(kernfs.Table).Add("cgroup", b.dir(new(kernfs.Table)))))
	root.Add("kernel", b.dir(new(kernfs.Table).
		Add("mm", b.dir(new(kernfs.Table).Add("transparent_hugepage", b.dir(b.hugepages()))))))
	sb.Root = b.dir(root)
	return sb
}

type builder struct {
	fs   *kernfs.FS
	cpus int
}

func (b *builder) dir(t *kernfs.Table) *vfs.Inode { return b.fs.Directory(0o755, t) }

// list is the processors in cpulist form, "0-3".
func (b *builder) list() string {
	if b.cpus == 1 {
		return "0\n"
	}
	return fmt.Sprintf("0-%d\n", b.cpus-1)
}

// cpuMask is a set of processors in cpumask form: 32-bit words in hexadecimal, the highest first.
func cpuMask(cpus int, has func(cpu int) bool) string {
	words := make([]string, (cpus+31)/32)
	for i := range words {
		var w uint32
		for bit := range 32 {
			if cpu := i*32 + bit; cpu < cpus && has(cpu) {
				w |= 1 << bit
			}
		}
		words[len(words)-1-i] = fmt.Sprintf("%08x", w)
	}
	if len(words) == 1 {
		width := (cpus + 3) / 4
		words[0] = words[0][8-width:]
	}
	return strings.Join(words, ",") + "\n"
}

func (b *builder) cpuDir() *kernfs.Table {
	t := new(kernfs.Table)
	for cpu := range b.cpus {
		t.Add(fmt.Sprintf("cpu%d", cpu), b.dir(b.oneCPU(cpu)))
	}
	for _, name := range []string{"online", "possible", "present"} {
		t.Add(name, b.fs.Text(b.list()))
	}
	return t.Add("offline", b.fs.Text("\n")).
		Add("isolated", b.fs.Text("\n")).
		Add("kernel_max", b.fs.Text(fmt.Sprintf("%d\n", b.cpus-1)))
}

func (b *builder) oneCPU(cpu int) *kernfs.Table {
	own := cpuMask(b.cpus, func(c int) bool { return c == cpu })
	all := cpuMask(b.cpus, func(int) bool { return true })
	num := fmt.Sprintf("%d\n", cpu)
	topology := new(kernfs.Table).
		Add("core_id", b.fs.Text(num)).
		Add("die_id", b.fs.Text("0\n")).
		Add("physical_package_id", b.fs.Text("0\n")).
		Add("core_cpus", b.fs.Text(own)).Add("core_cpus_list", b.fs.Text(num)).
		Add("thread_siblings", b.fs.Text(own)).Add("thread_siblings_list", b.fs.Text(num)).
		Add("core_siblings", b.fs.Text(all)).Add("core_siblings_list", b.fs.Text(b.list())).
		Add("die_cpus", b.fs.Text(all)).Add("die_cpus_list", b.fs.Text(b.list())).
		Add("package_cpus", b.fs.Text(all)).Add("package_cpus_list", b.fs.Text(b.list()))
	return new(kernfs.Table).Add("online", b.fs.Text("1\n")).Add("topology", b.dir(topology))
}

func (b *builder) nodeDir() *kernfs.Table {
	node0 := new(kernfs.Table).
		Add("cpulist", b.fs.Text(b.list())).
		Add("cpumap", b.fs.Text(cpuMask(b.cpus, func(int) bool { return true }))).
		Add("distance", b.fs.Text("10\n"))
	t := new(kernfs.Table).Add("node0", b.dir(node0))
	for _, name := range []string{"online", "possible", "has_cpu", "has_memory", "has_normal_memory"} {
		t.Add(name, b.fs.Text("0\n"))
	}
	return t
}

func (b *builder) hugepages() *kernfs.Table {
	return new(kernfs.Table).
		Add("enabled", b.fs.Text("always madvise [never]\n")).
		Add("defrag", b.fs.Text("always defer defer+madvise madvise [never]\n")).
		Add("shmem_enabled", b.fs.Text("always within_size advise [never] deny force\n")).
		Add("use_zero_page", b.fs.Text("1\n")).
		Add("hpage_pmd_size", b.fs.Text("2097152\n"))
}
