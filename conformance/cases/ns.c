#include "case.h"
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

static void put(const char *n, const char *t)
{
	int fd = open(n, O_WRONLY);
	long r = fd < 0 ? -1 : write(fd, t, strlen(t));
	int e = errno;
	say("%s <- %.*s: %s", strrchr(n, '/') + 1, (int)strcspn(t, "\n"), t, r < 0 ? errno_name(e) : "ok");
	close(fd);
}
static void show(const char *n)
{
	char b[256] = "";
	int fd = open(n, O_RDONLY);
	if (fd < 0 || read(fd, b, sizeof b - 1) < 0) {
		say("%s: %s", n, errno_name(errno));
		return;
	}
	for (char *l = strtok(b, "\n"); l; l = strtok(NULL, "\n"))
		say("%s: %s", strrchr(n, '/') + 1, l);
	close(fd);
}
static ino_t ns(const char *n)
{
	char p[64];
	struct stat st;
	snprintf(p, sizeof p, "/proc/self/ns/%s", n);
	need(stat(p, &st));
	return st.st_ino;
}
// in runs f in a child.
static void in(const char *what, void (*f)(void))
{
	pid_t p = need(fork());
	if (!p) {
		f();
		_exit(0);
	}
	reap(what, p);
}

CASE(unshare_errors)
{
	see("nothing", unshare(0));
	see("unknown", unshare(1));
	see("newpid of a thread", unshare(CLONE_THREAD));
	see("files", unshare(CLONE_FILES));
	see("fs", unshare(CLONE_FS));
	see("sysvsem", unshare(CLONE_SYSVSEM));
	see("setns of no namespace", setns(open("/dev/null", O_RDONLY), 0));
	see("setns of nothing", setns(999, 0));
	int u = need(open("/proc/self/ns/uts", O_RDONLY));
	see("setns of the wrong kind", setns(u, CLONE_NEWNET));
	see("setns of own", setns(u, CLONE_NEWUTS));
	need(setresuid(1000, 1000, 1000));
	see("user: uts", unshare(CLONE_NEWUTS));
	see("user: mount", unshare(CLONE_NEWNS));
	see("user: pid", unshare(CLONE_NEWPID));
	see("user: ipc", unshare(CLONE_NEWIPC));
	see("user: own", setns(u, CLONE_NEWUTS));
}

static void rename_host(void)
{
	char h[65];
	ino_t before = ns("uts");
	see("unshare", unshare(CLONE_NEWUTS));
	say("another namespace: %d", ns("uts") != before);
	see("sethostname", sethostname("inside", 6));
	gethostname(h, 65);
	say("%s", h);
	see("setdomainname", setdomainname("dom", 3));
	struct utsname u;
	uname(&u);
	say("%s %s", u.nodename, u.domainname);
	pid_t p = need(fork());
	if (!p) {
		gethostname(h, 65);
		say("child %s", h);
		_exit(0);
	}
	reap("child", p);
}
CASE(uts_namespace)
{
	char a[65], b[65];
	gethostname(a, 65);
	in("child", rename_host);
	gethostname(b, 65);
	say("outside unchanged: %d", !strcmp(a, b));
}

CASE(pid_namespace)
{
	see("unshare", unshare(CLONE_NEWPID));
	say("own pid is kept: %d", getpid() != 1);
	pid_t p = need(fork());
	if (!p) {
		say("pid %d parent %d", getpid(), getppid());
		say("session %d group %d", getsid(0), getpgrp());
		pid_t c = need(fork());
		if (!c) {
			say("child is %d of %d", getpid(), getppid());
			_exit(3);
		}
		reap("child", c);
		see("kill of what is outside", kill(c + 1000, 0));
		see("signals to itself are ignored", kill(1, SIGTERM));
		see("even", kill(1, SIGKILL));
		see("unshare inside", unshare(CLONE_NEWPID));
		_exit(7);
	}
	reap("init", p);
	see("after init's death", p = fork());
	if (!p)
		_exit(0);
}

CASE(pid_namespace_dies_with_init)
{
	int g[2];
	char c;
	need(pipe(g));
	need(unshare(CLONE_NEWPID));
	pid_t p = need(fork());
	if (!p) {
		for (int i = 0; i < 3; i++)
			if (!fork()) {
				write(g[1], "x", 1);
				for (;;)
					pause();
			}
		for (int i = 0; i < 3; i++)
			read(g[0], &c, 1);
		_exit(4);
	}
	close(g[1]);
	reap("init", p);
	see("all are gone", read(g[0], &c, 1));
}

CASE(pid_namespace_reparents_to_init)
{
	need(unshare(CLONE_NEWPID));
	pid_t p = need(fork());
	if (!p) {
		int g[2], st;
		char c;
		need(pipe(g));
		pid_t m = need(fork());
		if (!m) {
			pid_t o = need(fork());
			if (!o) {
				while (getppid() != 1)
					msleep(1);
				_exit(9);
			}
			_exit(o == 3 ? 1 : 2);
		}
		reap("middle", m);
		see("orphan", wait(&st));
		say_status("orphan", st);
		_exit(0);
	}
	reap("init", p);
}

CASE(pid_namespace_from_outside)
{
	int g[2], h[2], st;
	char c;
	need(pipe(g));
	need(pipe(h));
	need(unshare(CLONE_NEWPID));
	pid_t p = need(fork());
	if (!p) {
		signal(SIGUSR1, SIG_DFL);
		write(g[1], "x", 1);
		read(h[0], &c, 1);
		write(g[1], "y", 1);
		for (;;)
			pause();
	}
	read(g[0], &c, 1);
	say("seen with another number: %d", p != 1);
	see("a signal without a handler", kill(p, SIGUSR1));
	write(h[1], "x", 1);
	see("is ignored by init", read(g[0], &c, 1));
	see("SIGKILL is not", kill(p, SIGKILL));
	reap("init", p);
}

static void enter_user(void)
{
	char m[64];
	uid_t u = getuid();
	see("unshare", unshare(CLONE_NEWUSER));
	say("before mapping: %d %d", getuid(), getgid());
	show("/proc/self/setgroups");
	put("/proc/self/gid_map", "0 1000 1\n");
	put("/proc/self/setgroups", "deny");
	put("/proc/self/setgroups", "allow");
	put("/proc/self/gid_map", "0 1000 1\n");
	put("/proc/self/uid_map", "0 2000 1\n");
	put("/proc/self/uid_map", "bad\n");
	put("/proc/self/uid_map", "0 1000 1\n");
	put("/proc/self/uid_map", "0 1000 1\n");
	show("/proc/self/uid_map");
	show("/proc/self/gid_map");
	say("after: %d %d", getuid(), getgid());
	struct stat st;
	need(stat("/", &st));
	say("root's files belong to %d", st.st_uid);
	see("setuid of an unmapped one", setuid(5));
	see("setgroups", syscall(SYS_setgroups, 0, NULL));
	see("hostname", (unshare(CLONE_NEWUTS), sethostname("mine", 4)));
	see("chown", chown("/", 0, 0));
	see("mount namespace", unshare(CLONE_NEWNS));
	see("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	see("open root's file", open("/etc/shadow", O_RDONLY));
}
CASE(user_namespace)
{
	need(setresgid(1000, 1000, 1000));
	need(syscall(SYS_setgroups, 0, NULL));
	need(setresuid(1000, 1000, 1000));
	need(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	in("child", enter_user);
}

static void clone_all(void)
{
	char h[65];
	pid_t p = need(syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0));
	if (!p) {
		say("pid %d uid %d", (int)syscall(SYS_getpid), getuid());
		put("/proc/self/uid_map", "0 1000 1\n");
		_exit(0);
	}
	reap("all at once", p);
}
CASE(clone_with_namespaces)
{
	need(setresuid(1000, 1000, 1000));
	need(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	in("child", clone_all);
}

static void map_from_outside(void)
{
	int g[2], h[2];
	char c, n[64];
	need(pipe(g));
	need(pipe(h));
	pid_t p = need(fork());
	if (!p) {
		need(unshare(CLONE_NEWUSER));
		write(g[1], "x", 1);
		read(h[0], &c, 1);
		say("uid %d gid %d", getuid(), getgid());
		see("setresuid", setresuid(5, 5, 5));
		see("setresgid", setresgid(7, 7, 7));
		see("outside the map", setresuid(50, 50, 50));
		see("nested", unshare(CLONE_NEWUSER));
		_exit(0);
	}
	read(g[0], &c, 1);
	snprintf(n, sizeof n, "/proc/%d/uid_map", p);
	put(n, "0 0 10\n100 1000 5\n");
	snprintf(n, sizeof n, "/proc/%d/gid_map", p);
	put(n, "0 0 5\n3 100 9\n");
	put(n, "0 0 10\n");
	write(h[1], "x", 1);
	reap("child", p);
}
CASE(user_namespace_mapped_by_the_parent) { in("child", map_from_outside); }

static void ipc(void)
{
	need(unshare(CLONE_NEWIPC));
	see("old key inside", syscall(SYS_shmget, 0x4321, 100, 0));
	long id = syscall(SYS_shmget, 0x4321, 100, 0600 | 01000);
	say("made inside: %d", id >= 0);
}
CASE(ipc_namespace)
{
	need(unshare(CLONE_NEWIPC));
	long id = need(syscall(SYS_shmget, 0x4321, 100, 0600 | 01000));
	in("child", ipc);
	see("removed outside", syscall(SYS_shmctl, id, 0, NULL));
	see("gone outside", syscall(SYS_shmget, 0x4321, 100, 0));
}

static void setns_back(void)
{
	char h[65];
	int old = need(open("/proc/self/ns/uts", O_RDONLY));
	ino_t i = ns("uts");
	need(unshare(CLONE_NEWUTS));
	need(sethostname("new", 3));
	see("setns", setns(old, CLONE_NEWUTS));
	say("back: %d", ns("uts") == i);
	gethostname(h, 65);
	say("old name: %d", strcmp(h, "new") != 0);
	pid_t p = need(fork());
	if (!p) {
		need(unshare(CLONE_NEWUTS));
		need(sethostname("other", 5));
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(p, NULL, WUNTRACED);
	char n[64];
	snprintf(n, sizeof n, "/proc/%d/ns/uts", p);
	see("join the child's", setns(need(open(n, O_RDONLY)), 0));
	gethostname(h, 65);
	say("%s", h);
	kill(p, SIGKILL);
	reap("child", p);
	gethostname(h, 65);
	say("lives on: %s", h);
}
CASE(setns_joins) { in("child", setns_back); }

CASE(namespace_links)
{
	char l[64];
	const char *n[] = {"uts", "pid", "mnt", "ipc", "user", "pid_for_children"};
	for (int i = 0; i < 6; i++) {
		char p[64];
		snprintf(p, sizeof p, "/proc/self/ns/%s", n[i]);
		long r = readlink(p, l, sizeof l - 1);
		l[r > 0 ? r : 0] = 0;
		char *c = strchr(l, ':');
		say("%s: %.*s", n[i], c ? (int)(c - l) : 0, l);
	}
	ino_t u = ns("uts");
	pid_t p = need(fork());
	if (!p) {
		say("inherited: %d", ns("uts") == u);
		_exit(0);
	}
	reap("child", p);
}

CASE(setns_of_mounts)
{
	int here = need(open("/proc/self/ns/mnt", O_RDONLY)), go[2], up[2];
	char c;
	need(mkdir("m", 0755));
	need(pipe(go));
	need(pipe(up));
	pid_t p = need(fork());
	if (!p) {
		need(unshare(CLONE_NEWNS));
		need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
		need(mount("none", "m", "tmpfs", 0, NULL));
		close(open("m/inside", O_CREAT | O_WRONLY, 0600));
		write(up[1], "x", 1);
		close(go[1]);
		read(go[0], &c, 1);
		_exit(0);
	}
	read(up[0], &c, 1);
	char n[64], base[300], in[400];
	getcwd(base, sizeof base);
	sprintf(in, "%s/m/inside", base);
	sprintf(n, "/proc/%d/ns/mnt", p);
	int there = need(open(n, O_RDONLY));
	see("other kind", setns(there, CLONE_NEWUTS));
	see("enter", setns(there, CLONE_NEWNS));
	getcwd(base, sizeof base);
	say("cwd %s", base);
	see("seen", access(in, F_OK));
	see("back", setns(here, 0));
	see("not seen", access(in, F_OK));
	struct stat a, b;
	need(fstat(here, &a));
	need(stat("/proc/self/ns/mnt", &b));
	say("the same: %d, type %o", a.st_ino == b.st_ino && a.st_dev == b.st_dev, a.st_mode & S_IFMT);
	see("write", open("/proc/self/ns/mnt", O_RDWR));
	close(go[1]);
	reap("child", p);
	see("the last user is gone", setns(there, 0));
	see("still seen", access(in, F_OK));
}

static void related_inside(void)
{
	int r;
	need(unshare(CLONE_NEWUSER));
	int u = need(open("/proc/self/ns/user", O_RDONLY)), t = need(open("/proc/self/ns/uts", O_RDONLY));
	see("owner is outside", ioctl(t, 0xb701));
	see("parent is outside", ioctl(u, 0xb702));
	see("its creator", ioctl(u, 0xb704, &r));
	need(unshare(CLONE_NEWUTS));
	t = need(open("/proc/self/ns/uts", O_RDONLY));
	struct stat a, b;
	need(fstat(need(ioctl(t, 0xb701)), &a));
	need(fstat(u, &b));
	say("owned by this one: %d", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
}
CASE(related_namespaces)
{
	int r, t = need(open("/proc/self/ns/uts", O_RDONLY)), u = need(open("/proc/self/ns/user", O_RDONLY));
	say("types %x %x", ioctl(t, 0xb703), ioctl(u, 0xb703));
	say("owner %d", ioctl(t, 0xb701) > u);
	see("no hierarchy", ioctl(t, 0xb702));
	see("not a user namespace", ioctl(t, 0xb704, &r));
	see("bad pointer", ioctl(u, 0xb704, 8));
	see("not a namespace", ioctl(open("/dev/null", O_RDONLY), 0xb703));
	see("write", open("/proc/self/ns/uts", O_RDWR));
	see("read", read(t, &r, 1));
	see("chmod", fchmod(t, 0600));
	struct stat a, b;
	need(fstat(t, &a));
	say("%o size %d owner %d", a.st_mode, (int)a.st_size, a.st_uid);
	in("inside", related_inside);
	need(unshare(CLONE_NEWPID));
	see("before the first process", open("/proc/self/ns/pid_for_children", O_RDONLY));
	pid_t p = need(fork());
	if (!p) {
		pause();
		_exit(0);
	}
	int c = need(open("/proc/self/ns/pid_for_children", O_RDONLY));
	need(fstat(need(ioctl(c, 0xb702)), &a));
	need(stat("/proc/self/ns/pid", &b));
	say("the parent: %d", a.st_ino == b.st_ino);
	kill(p, SIGKILL);
	reap("init", p);
}

CASE(mount_namespaces_are_joined)
{
	int own = need(open("/proc/self/ns/mnt", O_RDONLY)), g[2];
	char l[PATH_MAX], c;
	need(mkdir("d", 0755));
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		need(unshare(CLONE_NEWNS));
		need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
		need(mount("t", "d", "tmpfs", 0, NULL));
		close(need(open("d/f", O_CREAT | O_WRONLY, 0644)));
		write(g[1], "x", 1);
		pause();
		_exit(0);
	}
	read(g[0], &c, 1);
	see("not there", access("d/f", F_OK));
	if (!getcwd(l, sizeof l))
		exit(9);
	char n[64];
	snprintf(n, sizeof n, "/proc/%d/ns/mnt", p);
	int other = need(open(n, O_RDONLY));
	see("join", setns(other, CLONE_NEWNS));
	see("the directory is the root", access("d/f", F_OK));
	see("back to where it was", chdir(l));
	see("there", access("d/f", F_OK));
	see("return", setns(own, 0));
	chdir(l);
	see("gone again", access("d/f", F_OK));
	int fd = syscall(434, p, 0);
	see("by the process", setns(fd, CLONE_NEWNS));
	chdir(l);
	see("there", access("d/f", F_OK));
	kill(p, SIGKILL);
	reap("child", p);
	see("ended", setns(fd, CLONE_NEWNS));
	setns(own, 0);
	chdir(l);
	see("outlives its process", setns(other, 0));
	chdir(l);
	see("there", access("d/f", F_OK));
}
