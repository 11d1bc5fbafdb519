#include "case.h"
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

CASE(uname_fields)
{
	struct utsname u;
	see("uname", uname(&u));
	say("%s %s", u.sysname, u.machine);
	say("release looks like one: %d", u.release[0] >= '3' && strchr(u.release, '.') != NULL);
	say("has a version %d and a name %d", u.version[0] == '#', u.nodename[0] != 0);
	char h[65] = "";
	see("gethostname", gethostname(h, sizeof h));
	say("the same: %d", !strcmp(h, u.nodename));
	see("bad pointer", syscall(SYS_uname, 1));
	see("NULL", syscall(SYS_uname, NULL));
}

CASE(sysinfo_is_sane)
{
	struct sysinfo i;
	struct timespec b;
	see("sysinfo", sysinfo(&i));
	clock_gettime(CLOCK_BOOTTIME, &b);
	say("uptime is the boot clock: %d", labs(b.tv_sec - i.uptime) <= 1);
	say("unit %d, memory %d, free within %d, processes %d", i.mem_unit > 0, i.totalram > 0, i.freeram <= i.totalram, i.procs > 0);
	see("bad pointer", syscall(SYS_sysinfo, 1));
}

CASE(sysconf_values)
{
	say("%ld %ld %ld", sysconf(_SC_PAGESIZE), sysconf(_SC_CLK_TCK), sysconf(_SC_IOV_MAX));
	say("cpus: configured not less than online: %d", sysconf(_SC_NPROCESSORS_CONF) >= sysconf(_SC_NPROCESSORS_ONLN));
	cpu_set_t s;
	need(sched_getaffinity(0, sizeof s, &s));
	say("affinity within: %d", CPU_COUNT(&s) <= sysconf(_SC_NPROCESSORS_CONF));
	say("physical pages: %d", sysconf(_SC_PHYS_PAGES) > 1000);
}

CASE(statfs_of_kinds)
{
	struct statfs s;
	see("proc", statfs("/proc", &s));
	say("%lx", (long)s.f_type);
	see("sys", statfs("/sys", &s));
	say("%lx", (long)s.f_type);
	see("pts", statfs("/dev/pts", &s));
	say("%lx", (long)s.f_type);
	see("shm", statfs("/dev/shm", &s));
	say("%lx %ld", (long)s.f_type, (long)s.f_namelen);
	int p[2];
	need(pipe(p));
	see("pipe", fstatfs(p[0], &s));
	say("%lx", (long)s.f_type);
	see("missing", statfs("nope", &s));
	see("bad pointer", syscall(SYS_statfs, ".", 1));
	see("bad fd", fstatfs(999, &s));
	see("bad fd, bad pointer", syscall(SYS_fstatfs, 999, 1));
}

CASE(hostname_errors)
{
	see("negative", syscall(SYS_sethostname, "x", -1));
	see("long", syscall(SYS_sethostname, "x", 65));
	see("bad pointer", syscall(SYS_sethostname, 1, 5));
	see("domain long", syscall(SYS_setdomainname, "x", 65));
	need(setresuid(1000, 1000, 1000));
	see("as user", syscall(SYS_sethostname, "x", 1));
	see("as user, long", syscall(SYS_sethostname, "x", 65));
}

CASE(calls_that_are_gone)
{
	long n[] = {SYS__sysctl, SYS_create_module, SYS_get_kernel_syms, SYS_query_module, SYS_nfsservctl, SYS_getpmsg, SYS_putpmsg, SYS_afs_syscall, SYS_tuxcall, SYS_security, SYS_vserver, SYS_uselib, SYS_epoll_ctl_old, SYS_epoll_wait_old, 600, 100000, -1, -100};
	for (int i = 0; i < sizeof n / sizeof *n; i++)
		see("call", syscall(n[i], 0, 0, 0, 0, 0, 0));
}
