#include "case.h"
#include <sys/prctl.h>

// linux/capability.h, which musl has not.
#define _LINUX_CAPABILITY_VERSION_3 0x20080522
struct __user_cap_header_struct { uint32_t version; int pid; };
struct __user_cap_data_struct { uint32_t effective, permitted, inheritable; };

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#endif

// The calls themselves: the library's functions change all threads.
static void ids(const char *what)
{
	uid_t r, e, s, f = syscall(SYS_setfsuid, -1);
	gid_t gr, ge, gs, gf = syscall(SYS_setfsgid, -1);
	getresuid(&r, &e, &s);
	getresgid(&gr, &ge, &gs);
	say("%s: uid %d %d %d %d gid %d %d %d %d", what, r, e, s, f, gr, ge, gs, gf);
}
static void caps(const char *what)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	need(syscall(SYS_capget, &h, d));
	say("%s: chown p%d e%d i%d, setuid p%d e%d i%d, kill p%d e%d i%d", what, d[0].permitted & 1, d[0].effective & 1, d[0].inheritable & 1,
	    d[0].permitted >> 7 & 1, d[0].effective >> 7 & 1, d[0].inheritable >> 7 & 1, d[0].permitted >> 5 & 1, d[0].effective >> 5 & 1, d[0].inheritable >> 5 & 1);
}

CASE(setuid_of_root)
{
	see("setuid", syscall(SYS_setuid, 1000));
	ids("all ids");
	caps("no capabilities");
	see("back", syscall(SYS_setuid, 0));
	see("setreuid", syscall(SYS_setreuid, 0, 0));
	see("setresuid", syscall(SYS_setresuid, 0, -1, -1));
	see("setgid", syscall(SYS_setgid, 5));
	see("own ones", syscall(SYS_setresuid, 1000, 1000, 1000));
	see("nothing", syscall(SYS_setresuid, -1, -1, -1));
	see("minus one", syscall(SYS_setuid, -1));
}

CASE(seteuid_and_back)
{
	see("effective only", syscall(SYS_setresuid, -1, 1000, -1));
	ids("euid 1000");
	caps("effective ones are gone");
	see("open root's file", open("/etc/shadow", O_RDONLY));
	see("back", syscall(SYS_setresuid, -1, 0, -1));
	ids("root");
	caps("they are back");
	see("setuid as euid 1000", (syscall(SYS_setresuid, -1, 1000, -1), syscall(SYS_setuid, 0)));
	ids("sets the effective one only");
}

CASE(setreuid_rules)
{
	see("setreuid", syscall(SYS_setreuid, 1000, 2000));
	ids("saved follows effective");
	see("swap", syscall(SYS_setreuid, 2000, 1000));
	ids("swapped");
	see("real to saved", syscall(SYS_setreuid, 3000, -1));
	see("effective to other", syscall(SYS_setreuid, -1, 3000));
	see("effective to real", syscall(SYS_setreuid, -1, 2000));
	ids("end");
}

CASE(setresuid_rules)
{
	see("three", syscall(SYS_setresuid, 1, 2, 3));
	ids("three");
	see("permute", syscall(SYS_setresuid, 3, 1, 2));
	ids("permuted");
	see("new one", syscall(SYS_setresuid, 4, -1, -1));
	see("setuid to saved", syscall(SYS_setuid, 2));
	ids("only effective");
	see("bad pointer", syscall(SYS_getresuid, 1, 1, 1));
}

CASE(group_ids)
{
	see("setresgid", syscall(SYS_setresgid, 1, 2, 3));
	ids("three");
	see("setgid of root sets all", syscall(SYS_setgid, 50));
	ids("all");
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	see("as user", syscall(SYS_setgid, 60));
	see("setregid", syscall(SYS_setregid, 60, -1));
	see("setresgid", syscall(SYS_setresgid, -1, 60, -1));
	see("same", syscall(SYS_setgid, 50));
}

CASE(supplementary_groups)
{
	gid_t g[4] = {9, 3, 3, 7}, o[8];
	see("setgroups", syscall(SYS_setgroups, 4, g));
	see("count", syscall(SYS_getgroups, 0, NULL));
	see("too small", syscall(SYS_getgroups, 3, o));
	see("get", syscall(SYS_getgroups, 8, o));
	say("%d %d %d %d", o[0], o[1], o[2], o[3]);
	see("negative", syscall(SYS_getgroups, -1, o));
	see("bad pointer", syscall(SYS_getgroups, 8, 1));
	see("set bad pointer", syscall(SYS_setgroups, 2, 1));
	see("too many", syscall(SYS_setgroups, 65537, g));
	g[0] = -1;
	see("minus one", syscall(SYS_setgroups, 1, g));
	int fd = need(open("f", O_CREAT | O_WRONLY, 0060));
	need(fchown(fd, 0, 7));
	need(fchmod(fd, 0060));
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	ok("open by a supplementary group", open("f", O_RDWR));
	see("as user", syscall(SYS_setgroups, 0, NULL));
	see("none", syscall(SYS_getgroups, 0, NULL));
}

CASE(filesystem_ids)
{
	close(need(open("private", O_CREAT, 0600)));
	need(chmod(".", 0777));
	see("setfsuid returns the old", syscall(SYS_setfsuid, 1000));
	see("and now", syscall(SYS_setfsuid, -1));
	ids("fsuid");
	see("open root's file", open("private", O_RDONLY));
	struct stat st;
	close(open("mine", O_CREAT | O_WRONLY, 0644));
	stat("mine", &st);
	say("owner %d", st.st_uid);
	see("chown needs the capability", chown("mine", 1, 1));
	see("kill is not file access", kill(getppid(), 0));
	see("back", syscall(SYS_setfsuid, 0));
	ok("open", open("private", O_RDONLY));
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	see("user to another", syscall(SYS_setfsuid, 55));
	see("refused", syscall(SYS_setfsuid, -1));
}

CASE(capget_and_capset)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2], e[2];
	need(syscall(SYS_capget, &h, d));
	memcpy(e, d, sizeof e);
	h.version = 1;
	see("bad version", syscall(SYS_capget, &h, d));
	say("wants %x", h.version);
	h.version = 1;
	see("bad version, NULL data", syscall(SYS_capget, &h, NULL));
	h.version = 1;
	see("capset bad version", syscall(SYS_capset, &h, d));
	h.version = _LINUX_CAPABILITY_VERSION_3;
	h.pid = 999999;
	see("nobody", syscall(SYS_capget, &h, d));
	h.pid = -1;
	see("negative", syscall(SYS_capget, &h, d));
	h.pid = getppid();
	see("parent", syscall(SYS_capget, &h, d));
	see("set of another", syscall(SYS_capset, &h, d));
	h.pid = 0;
	see("bad header", syscall(SYS_capget, 1, d));
	see("bad data", syscall(SYS_capget, &h, 1));
	memcpy(d, e, sizeof d);
	d[0].effective &= ~1;
	see("drop effective chown", syscall(SYS_capset, &h, d));
	caps("dropped");
	close(open("f", O_CREAT, 0644));
	see("chown", chown("f", 5, 5));
	d[0].permitted &= ~1;
	see("drop permitted", syscall(SYS_capset, &h, d));
	d[0].permitted |= 1;
	see("regain", syscall(SYS_capset, &h, d));
	d[0].permitted &= ~1;
	d[0].effective |= 1;
	see("effective without permitted", syscall(SYS_capset, &h, d));
	d[0].effective &= ~1;
	d[0].inheritable = 1;
	see("inheritable beyond permitted, with setpcap", syscall(SYS_capset, &h, d));
	caps("end");
}

CASE(keepcaps)
{
	see("get", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
	see("set", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	see("bad", prctl(PR_SET_KEEPCAPS, 2, 0, 0, 0));
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	caps("permitted kept, effective not");
	see("get", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
}

CASE(securebits)
{
	see("get", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	see("no setuid fixup", prctl(PR_SET_SECUREBITS, 4, 0, 0, 0));
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	caps("all kept");
	see("lock", prctl(PR_SET_SECUREBITS, 4 | 8, 0, 0, 0));
	see("unset a locked one", prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
	see("unknown bits", prctl(PR_SET_SECUREBITS, 1 << 20, 0, 0, 0));
}

CASE(bounding_set)
{
	see("read", prctl(PR_CAPBSET_READ, 0, 0, 0, 0));
	see("read of none", prctl(PR_CAPBSET_READ, 63, 0, 0, 0));
	see("drop", prctl(PR_CAPBSET_DROP, 0, 0, 0, 0));
	see("read", prctl(PR_CAPBSET_READ, 0, 0, 0, 0));
	see("drop of none", prctl(PR_CAPBSET_DROP, 63, 0, 0, 0));
	caps("held ones stay");
	pid_t p = need(fork());
	if (!p) {
		execl("/bin/sh", "sh", "-c", "grep CapBnd /proc/self/status | cut -c24; grep CapEff /proc/self/status | cut -c24", NULL);
		_exit(9);
	}
	reap("exec loses it", p);
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	see("drop as user", prctl(PR_CAPBSET_DROP, 1, 0, 0, 0));
}

CASE(ambient_capabilities)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	see("raise without inheritable", prctl(PR_CAP_AMBIENT, 2, 5, 0, 0));
	need(syscall(SYS_capget, &h, d));
	d[0].inheritable = 1 << 5;
	need(syscall(SYS_capset, &h, d));
	see("raise", prctl(PR_CAP_AMBIENT, 2, 5, 0, 0));
	see("is set", prctl(PR_CAP_AMBIENT, 1, 5, 0, 0));
	see("other", prctl(PR_CAP_AMBIENT, 1, 6, 0, 0));
	see("unknown capability", prctl(PR_CAP_AMBIENT, 1, 99, 0, 0));
	see("unknown operation", prctl(PR_CAP_AMBIENT, 9, 5, 0, 0));
	see("keep", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	see("a change of user clears it", prctl(PR_CAP_AMBIENT, 1, 5, 0, 0));
	see("raise again", prctl(PR_CAP_AMBIENT, 2, 5, 0, 0));
	pid_t p = need(fork());
	if (!p) {
		execl("/bin/sh", "sh", "-c", "grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | sed 's/^/  /'", NULL);
		_exit(9);
	}
	reap("a user's program keeps it", p);
	d[0].inheritable = 0;
	d[0].effective = 0;
	d[0].permitted = 1 << 5;
	d[1].effective = d[1].permitted = d[1].inheritable = 0;
	need(syscall(SYS_capset, &h, d));
	see("lowered with inheritable", prctl(PR_CAP_AMBIENT, 1, 5, 0, 0));
	see("clear all", prctl(PR_CAP_AMBIENT, 4, 0, 0, 0));
}

// copies /bin/cat to be run as another user's program.
static void copy(const char *to, int mode, int uid, int gid)
{
	static char b[65536];
	long n;
	int in = need(open("/bin/cat", O_RDONLY)), out = need(open(to, O_CREAT | O_WRONLY, 0755));
	while ((n = read(in, b, sizeof b)) > 0)
		need(write(out, b, n));
	close(in);
	need(fchown(out, uid, gid));
	need(fchmod(out, mode));
	close(out);
}
static void status_of(const char *what, char *prog, int flags)
{
	int g[2];
	static char b[8192];
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		if (flags & 1)
			need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		need(syscall(SYS_setresgid, 1000, 1000, 1000));
		need(syscall(SYS_setresuid, 1000, 1000, 1000));
		dup2(g[1], 1);
		execl(prog, prog, "/proc/self/status", NULL);
		say("exec: %s", errno_name(errno));
		_exit(1);
	}
	close(g[1]);
	long n = 0, r;
	while ((r = read(g[0], b + n, sizeof b - 1 - n)) > 0)
		n += r;
	b[n] = 0;
	say("%s:", what);
	for (char *l = strtok(b, "\n"); l; l = strtok(NULL, "\n"))
		if (!strncmp(l, "Uid", 3) || !strncmp(l, "Gid", 3))
			say("  %s", l);
	reap("program", p);
	close(g[0]);
}

CASE(setuid_programs)
{
	copy("plain", 0755, 0, 0);
	copy("suid", 04755, 2000, 0);
	copy("sgid", 02755, 0, 3000);
	copy("sgid-without-x", 02745, 0, 3000);
	copy("both", 06755, 2000, 3000);
	status_of("plain", "./plain", 0);
	status_of("suid", "./suid", 0);
	status_of("sgid", "./sgid", 0);
	status_of("sgid without group execute", "./sgid-without-x", 0);
	status_of("both", "./both", 0);
	status_of("with no_new_privs", "./both", 1);
}

CASE(setuid_bits_are_lost)
{
	struct stat st;
	copy("a", 06755, 0, 0);
	int fd = need(open("a", O_WRONLY));
	fstat(fd, &st);
	say("%o", st.st_mode);
	need(chown("a", 1000, 1000));
	fstat(fd, &st);
	say("after chown by root %o", st.st_mode);
	need(chmod("a", 06777));
	pid_t p = need(fork());
	if (!p) {
		need(syscall(SYS_setresgid, 1001, 1001, 1001));
		need(syscall(SYS_setresuid, 1001, 1001, 1001));
		int f = need(open("a", O_WRONLY));
		write(f, "x", 1);
		_exit(0);
	}
	reap("write by a user", p);
	fstat(fd, &st);
	say("%o", st.st_mode);
	need(chmod("a", 06777));
	write(fd, "x", 1);
	fstat(fd, &st);
	say("after a write by root %o", st.st_mode);
	need(mkdir("d", 0777));
	need(chown("d", 0, 3000));
	need(chmod("d", 02777));
	close(need(open("d/f", O_CREAT, 0644)));
	need(mkdir("d/sub", 0755));
	stat("d/f", &st);
	say("group from the directory %d", st.st_gid);
	stat("d/sub", &st);
	say("%d %o", st.st_gid, st.st_mode);
	need(chown("a", 1001, 1001));
	need(syscall(SYS_setresgid, 1000, 1000, 1000));
	need(syscall(SYS_setgroups, 0, NULL));
	need(syscall(SYS_setresuid, 1001, 1001, 1001));
	see("chmod to setgid of a foreign group", chmod("a", 02755));
	stat("a", &st);
	say("%o", st.st_mode);
}

CASE(permission_checks)
{
	need(mkdir("d", 0700));
	close(need(open("d/f", O_CREAT, 0644)));
	close(need(open("none", O_CREAT, 0)));
	close(need(open("other", O_CREAT, 0704)));
	need(chown("other", 0, 1000));
	close(need(open("mine", O_CREAT, 0077)));
	need(chown("mine", 1000, 1000));
	see("root executes what nobody may", access("none", X_OK));
	see("root reads", access("none", R_OK | W_OK));
	need(syscall(SYS_setgroups, 0, NULL));
	need(syscall(SYS_setresgid, 1000, 1000, 1000));
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	see("closed directory", open("d/f", O_RDONLY));
	see("stat in it", access("d/f", F_OK));
	see("none", open("none", O_RDONLY));
	see("the group's bits win", open("other", O_RDONLY));
	see("the owner's bits win", open("mine", O_RDONLY));
	see("chmod of foreign", chmod("other", 0777));
	see("chown to another", chown("mine", 1001, -1));
	see("chown to the same", chown("mine", 1000, 1000));
	see("create", open("new", O_CREAT | O_WRONLY, 0644));
	see("unlink", unlink("none"));
	see("utimes now", utimensat(AT_FDCWD, "other", NULL, 0));
	see("utimes set", utimensat(AT_FDCWD, "other", (struct timespec[]){{1, 0}, {1, 0}}, 0));
	see("mknod", mknod("/tmp/never", S_IFCHR | 0600, 0x103));
	see("chroot", chroot("."));
	see("mount", syscall(SYS_mount, "x", ".", "tmpfs", 0, NULL));
	see("sethostname", sethostname("x", 1));
	see("nice up", setpriority(PRIO_PROCESS, 0, -5));
	see("kill of root's", kill(getppid(), 0));
}

CASE(sticky_directory)
{
	need(mkdir("d", 01777));
	need(chmod("d", 01777));
	close(need(open("d/roots", O_CREAT, 0666)));
	close(need(open("d/mine", O_CREAT, 0666)));
	need(chown("d/mine", 1000, 1000));
	need(syscall(SYS_setresuid, 1000, 1000, 1000));
	see("unlink of root's", unlink("d/roots"));
	see("rename of root's", rename("d/roots", "d/x"));
	see("rename over root's", rename("d/mine", "d/roots"));
	see("unlink of mine", unlink("d/mine"));
}

CASE(signals_and_credentials)
{
	int g[2];
	char c;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		need(syscall(SYS_setresuid, 1000, 1000, 1000));
		write(g[1], "x", 1);
		for (;;)
			pause();
	}
	read(g[0], &c, 1);
	pid_t q = need(fork());
	if (!q) {
		need(syscall(SYS_setresuid, 1001, 1001, 1001));
		see("another user", kill(p, SIGTERM));
		see("signal 0 too", kill(p, 0));
		see("sigqueue", sigqueue(p, SIGTERM, (union sigval){.sival_int = 0}));
		see("priority", setpriority(PRIO_PROCESS, p, 5));
		_exit(0);
	}
	reap("other", q);
	q = need(fork());
	if (!q) {
		need(syscall(SYS_setresuid, 1000, 1002, 1002));
		see("the real uid counts", kill(p, SIGTERM));
		_exit(0);
	}
	reap("same", q);
	reap("target", p);
}

CASE(dumpable_and_ids)
{
	see("at first", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	need(syscall(SYS_setresuid, -1, 1000, -1));
	say("after a change: %d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
	see("set", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	see("get", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}
