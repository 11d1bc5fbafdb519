package proc

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/vfs"
)

// sysctl makes /proc/sys: values that programs read, and those few that they write inside a sandbox.
func (p *fileSystem) sysctl() *vfs.Inode {
	dir := func(t *kernfs.Table) *vfs.Inode { return p.Directory(0o555, t) }
	text := func(t *kernfs.Table, pairs ...string) *kernfs.Table {
		for i := 0; i < len(pairs); i += 2 {
			t.Add(pairs[i], p.Text(pairs[i+1]+"\n"))
		}
		return t
	}
	kernel := text(new(kernfs.Table),
		"ostype", "Linux", "osrelease", "6.6.0", "version", "#1 SMP Hornwork",
		"cap_last_cap", fmt.Sprint(linux.CAP_LAST_CAP), "ngroups_max", "65536", "pid_max", "32768",
		"threads-max", "32000", "sched_rt_runtime_us", "950000", "sched_rt_period_us", "1000000",
		"overflowuid", "65534", "overflowgid", "65534", "randomize_va_space", "2",
		"shmmax", "18446744073692774399", "shmall", "18446744073692774399", "shmmni", "4096",
		"sem", "32000\t1024000000\t500\t32000", "msgmax", "8192", "msgmnb", "16384", "msgmni", "32000",
		"core_pattern", "core", "core_uses_pid", "0", "dmesg_restrict", "1", "kptr_restrict", "1", "perf_event_paranoid", "4",
		"tainted", "0", "panic", "0", "printk", "7\t4\t1\t7", "io_uring_disabled", "2", "unprivileged_bpf_disabled", "2")
	kernel.Add("hostname", p.utsName(func(h, _ string) string { return h }, true))
	kernel.Add("domainname", p.utsName(func(_, d string) string { return d }, false))
	uuid := newUUID()
	kernel.Add("random", dir(text(new(kernfs.Table), "boot_id", uuid, "entropy_avail", "256", "poolsize", "256", "urandom_min_reseed_secs", "60").
		Add("uuid", p.show(func(_ *vfs.Caller, b *bytes.Buffer) { b.WriteString(newUUID() + "\n") }))))
	vm := text(new(kernfs.Table), "overcommit_memory", "0", "overcommit_ratio", "50", "max_map_count", "65530",
		"mmap_min_addr", "65536", "swappiness", "60", "nr_hugepages", "0", "min_free_kbytes", "67584", "vfs_cache_pressure", "100",
		"dirty_ratio", "20", "dirty_background_ratio", "10", "legacy_va_layout", "0", "zone_reclaim_mode", "0")
	fs := text(new(kernfs.Table), "file-max", "9223372036854775807", "nr_open", "1048576", "file-nr", "0\t0\t9223372036854775807",
		"pipe-max-size", "1048576", "pipe-user-pages-soft", "16384", "pipe-user-pages-hard", "0", "aio-max-nr", "65536", "aio-nr", "0",
		"lease-break-time", "45", "leases-enable", "1", "protected_hardlinks", "0", "protected_symlinks", "0", "protected_fifos", "0",
		"protected_regular", "0", "suid_dumpable", "0", "mount-max", "100000", "overflowuid", "65534", "overflowgid", "65534")
	fs.Add("inotify", dir(text(new(kernfs.Table), "max_user_watches", "65536", "max_user_instances", "128", "max_queued_events", "16384")))
	fs.Add("epoll", dir(text(new(kernfs.Table), "max_user_watches", "5000000")))
	fs.Add("mqueue", dir(text(new(kernfs.Table), "msg_max", "10", "msgsize_max", "8192", "queues_max", "256")))
	net := new(kernfs.Table)
	net.Add("core", dir(text(new(kernfs.Table), "somaxconn", "4096", "rmem_default", "212992", "wmem_default", "212992", "rmem_max", "212992", "wmem_max", "212992")))
	net.Add("unix", dir(text(new(kernfs.Table), "max_dgram_qlen", "512")))
	return dir(new(kernfs.Table).Add("fs", dir(fs)).Add("kernel", dir(kernel)).Add("net", dir(net)).Add("vm", dir(vm)))
}

// utsName shows a name of the reader's UTS namespace; the host's can be changed by whoever may call sethostname(2).
func (p *fileSystem) utsName(pick func(host, domain string) string, host bool) *vfs.Inode {
	return p.File(0o644, kernfs.File{
		Show: func(c *vfs.Caller) ([]byte, linux.Errno) {
			t := caller(c)
			if t == nil {
				return nil, linux.EIO
			}
			return []byte(pick(t.NS().UTS.Names()) + "\n"), 0
		},
		Store: func(c *vfs.Caller, data []byte) linux.Errno {
			t := caller(c)
			if t == nil || !c.Creds.HasCapIn(t.NS().UTS.UserNS, linux.CAP_SYS_ADMIN) {
				return linux.EPERM
			}
			name, _, _ := strings.Cut(string(data), "\n")
			if len(name) > 64 {
				return linux.EINVAL
			}
			if host {
				t.NS().UTS.SetHostname(name)
			} else {
				t.NS().UTS.SetDomainname(name)
			}
			return 0
		},
	})
}

// newUUID makes a random UUID, RFC 9562 version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
