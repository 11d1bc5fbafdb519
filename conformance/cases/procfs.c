#include "case.h"
#include <pthread.h>
#include <sys/mount.h>
#include <sys/prctl.h>

static char buf[1 << 16];
static char *slurp(const char *n)
{
	long r, k = 0;
	int fd = open(n, O_RDONLY);
	if (fd < 0) {
		say("%s: %s", n, errno_name(errno));
		return strcpy(buf, "");
	}
	while ((r = read(fd, buf + k, sizeof buf - 1 - k)) > 0)
		k += r;
	close(fd);
	buf[k] = 0;
	return buf;
}
// field returns the text behind "Name:" in a status-like file.
static char *field(const char *n, const char *f)
{
	static char v[256];
	char *s = slurp(n);
	int l = strlen(f);
	for (; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (!strncmp(s, f, l) && s[l] == ':') {
			s += l + 1;
			s += strspn(s, " \t");
			snprintf(v, sizeof v, "%.*s", (int)strcspn(s, "\n"), s);
			return v;
		}
	return strcpy(v, "(none)");
}

CASE(stat_fields)
{
	char *s, *t;
	need(prctl(PR_SET_NAME, "a (b) c", 0, 0, 0));
	s = slurp("/proc/self/stat");
	say("pid %d", atoi(s) == getpid());
	t = strrchr(s, ')');
	say("name %.*s", (int)(t + 1 - strchr(s, '(')), strchr(s, '('));
	char st;
	int ppid, pgrp, sid, n = 0;
	sscanf(t + 2, "%c %d %d %d", &st, &ppid, &pgrp, &sid);
	say("state %c parent %d group %d session %d", st, ppid == getppid(), pgrp == getpgrp(), sid == getsid(0));
	for (char *p = t; *p; p++)
		n += *p == ' ';
	say("%d fields behind the name", n);
	long f[60] = {0};
	int k = 3;
	for (char *p = strtok(t + 2, " "); p; p = strtok(NULL, " "))
		f[k++] = atol(p);
	say("exit signal %ld priority %ld nice %ld threads %ld", f[38], f[18], f[19], f[20]);
}

CASE(status_fields)
{
	umask(027);
	const char *f[] = {"Name", "Umask", "State", "TracerPid", "Uid", "Gid", "Threads", "SigQ", "SigPnd", "ShdPnd", "SigBlk", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp"};
	for (int i = 0; i < sizeof f / sizeof *f; i++) {
		char *v = field("/proc/self/status", f[i]);
		if (!strcmp(f[i], "SigQ"))
			say("%s has a slash: %d", f[i], strchr(v, '/') != NULL);
		else if (!strcmp(f[i], "Name"))
			say("%s: %d", f[i], *v != 0);
		else
			say("%s: %s", f[i], v);
	}
	say("Pid %d PPid %d Tgid %d", atoi(field("/proc/self/status", "Pid")) == getpid(), atoi(field("/proc/self/status", "PPid")) == getppid(), atoi(field("/proc/self/status", "Tgid")) == getpid());
	long a = atol(field("/proc/self/status", "VmSize")), b = atol(field("/proc/self/status", "VmRSS"));
	say("VmSize over VmRSS over 0: %d", a > b && b > 0);
}

CASE(status_of_signals)
{
	sigset_t m;
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, case_stat_fields);
	sigemptyset(&m);
	sigaddset(&m, SIGTERM);
	sigaddset(&m, SIGRTMIN + 5);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &m, NULL, 8);
	kill(getpid(), SIGTERM);
	syscall(SYS_tgkill, getpid(), getpid(), SIGTERM);
	say("%s", field("/proc/self/status", "ShdPnd"));
	say("%s", field("/proc/self/status", "SigPnd"));
	say("%s", field("/proc/self/status", "SigBlk"));
	say("%s", field("/proc/self/status", "SigIgn"));
	say("%s", field("/proc/self/status", "SigCgt"));
}

CASE(states_of_children)
{
	char n[64];
	pid_t p = need(fork());
	if (!p) {
		raise(SIGSTOP);
		_exit(0);
	}
	snprintf(n, sizeof n, "/proc/%d/status", p);
	waitpid(p, NULL, WUNTRACED);
	say("stopped: %s", field(n, "State"));
	kill(p, SIGKILL);
	siginfo_t i;
	waitid(P_PID, p, &i, WEXITED | WNOWAIT);
	say("dead: %s", field(n, "State"));
	snprintf(n, sizeof n, "/proc/%d/cmdline", p);
	say("cmdline of a zombie: %zu", strlen(slurp(n)));
	char l[64];
	snprintf(n, sizeof n, "/proc/%d/exe", p);
	see("exe of a zombie", readlink(n, l, sizeof l));
	snprintf(n, sizeof n, "/proc/%d/cwd", p);
	see("cwd of a zombie", readlink(n, l, sizeof l));
	snprintf(n, sizeof n, "/proc/%d/fd", p);
	DIR *d = opendir(n);
	int k = 0;
	while (d && readdir(d))
		k++;
	say("descriptors of a zombie: %d", k);
	reap("child", p);
	snprintf(n, sizeof n, "/proc/%d", p);
	see("gone", access(n, F_OK));
}

CASE(cmdline_and_environ)
{
	pid_t p = need(fork());
	if (!p) {
		char *argv[] = {"sh", "-c", "tr '\\0' '|' </proc/$$/cmdline; echo; tr '\\0' '|' </proc/$$/environ; echo", "", "last arg", NULL}, *envp[] = {"A=1", "B=two words", NULL};
		execve("/bin/sh", argv, envp);
		_exit(9);
	}
	reap("sh", p);
}

CASE(links_of_self)
{
	char l[300], c[300];
	long r = need(readlink("/proc/self", l, sizeof l));
	l[r] = 0;
	say("self %d", atoi(l) == getpid());
	r = need(readlink("/proc/thread-self", l, sizeof l));
	l[r] = 0;
	char want[64];
	snprintf(want, sizeof want, "%d/task/%d", getpid(), getpid());
	say("thread-self %d", !strcmp(l, want));
	r = need(readlink("/proc/self/cwd", l, sizeof l));
	l[r] = 0;
	say("cwd %d", !strcmp(l, getcwd(c, sizeof c)));
	r = need(readlink("/proc/self/root", l, sizeof l));
	say("root %.*s", (int)r, l);
	struct stat a, b;
	need(stat("/proc/self/exe", &a));
	say("exe is a file %d", S_ISREG(a.st_mode));
	see("small buffer", readlink("/proc/self/root", l, 0));
	need(mkdir("gone", 0755));
	need(chdir("gone"));
	need(rmdir("../gone"));
	r = need(readlink("/proc/self/cwd", l, sizeof l));
	say("%.*s", 15, l + r - 15);
	see("getcwd", (long)getcwd(l, sizeof l) ? 0 : -1);
	need(stat("/proc/self/cwd", &a));
	say("links %d", (int)a.st_nlink);
	see("create in it", open("x", O_CREAT, 0600));
}

CASE(descriptors)
{
	char n[64], l[300];
	int p[2], fd = need(open("file", O_CREAT | O_RDWR | O_APPEND, 0600));
	need(pipe(p));
	write(fd, "12345", 5);
	const char *what[] = {"file", "pipe", "deleted"};
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			unlink("file");
		snprintf(n, sizeof n, "/proc/self/fd/%d", i == 1 ? p[0] : fd);
		long r = need(readlink(n, l, sizeof l - 1));
		l[r] = 0;
		say("%s: %.*s", what[i], i == 1 ? 6 : 300, i == 1 ? l : strrchr(l, '/'));
	}
	struct stat st;
	snprintf(n, sizeof n, "/proc/self/fd/%d", p[1]);
	lstat(n, &st);
	say("write end %o", st.st_mode);
	snprintf(n, sizeof n, "/proc/self/fd/%d", p[0]);
	lstat(n, &st);
	say("read end %o size %ld", st.st_mode, (long)st.st_size);
	snprintf(n, sizeof n, "/proc/self/fdinfo/%d", fd);
	say("pos %s flags %s", strcpy(l, field(n, "pos")), field(n, "flags"));
	snprintf(n, sizeof n, "/proc/self/fd/%d", fd);
	int again = need(open(n, O_RDONLY));
	see("reopened from the start", read(again, l, 10));
	see("missing", open("/proc/self/fd/999", O_RDONLY));
	see("not a number", open("/proc/self/fd/x", O_RDONLY));
	see("leading zero", open("/proc/self/fd/00", O_RDONLY));
	see("create", open("/proc/self/fd/77", O_CREAT | O_RDWR, 0600));
	see("unlink", unlink(n));
}

CASE(maps_of_memory)
{
	char want[64], *q = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(q + 4096, 4096, PROT_NONE);
	int fd = need(open("mapped", O_CREAT | O_RDWR, 0600));
	ftruncate(fd, 8192);
	char *f = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	char *s = slurp("/proc/self/maps");
	snprintf(want, sizeof want, "%lx-%lx ---p 00000000 00:00 0", (long)q + 4096, (long)q + 8192);
	say("middle %d", strstr(s, want) != NULL);
	snprintf(want, sizeof want, "%lx-%lx r--s 00001000", (long)f, (long)f + 4096);
	char *m = strstr(s, want);
	say("file %d, by name %d", m != NULL, m && strstr(m, "/mapped\n") && strchr(m, '\n') > strstr(m, "/mapped"));
	say("stack %d heap %d vdso %d", strstr(s, "[stack]") != NULL, (malloc(1), strstr(s, "[heap]") != NULL), strstr(s, "[vdso]") != NULL);
	unsigned long last = 0, a, b, bad = 0;
	for (char *l = s; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL)
		if (sscanf(l, "%lx-%lx", &a, &b) == 2) {
			bad += a < last || b <= a;
			last = b;
		}
	say("in order: %d", !bad);
	unlink("mapped");
	s = slurp("/proc/self/maps");
	m = strstr(s, want);
	say("deleted %d", m && strstr(m, "/mapped (deleted)\n") != NULL);
}

CASE(limits_file)
{
	struct rlimit l = {11, 22};
	need(setrlimit(RLIMIT_NOFILE, &l));
	l = (struct rlimit){4096, RLIM_INFINITY};
	setrlimit(RLIMIT_CORE, &l);
	char *s = slurp("/proc/self/limits");
	for (char *p = strtok(s, "\n"); p; p = strtok(NULL, "\n"))
		if (!strncmp(p, "Limit", 5) || !strncmp(p, "Max open files", 14) || !strncmp(p, "Max core", 8))
			say("%s", p);
}

CASE(memory_files)
{
	static long secret = 0x1122334455667788;
	long v = 0;
	int fd = need(open("/proc/self/mem", O_RDWR));
	see("pread", pread(fd, &v, 8, (off_t)(long)&secret));
	say("%lx", v);
	v = 42;
	see("pwrite", pwrite(fd, &v, 8, (off_t)(long)&secret));
	say("%ld", secret);
	see("unmapped", pread(fd, &v, 8, 16));
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	see("write to read-only memory", pwrite(fd, &v, 8, (off_t)(long)ro));
	say("%ld", *(long *)ro);
	fd = need(open("/proc/self/pagemap", O_RDONLY));
	see("pagemap", pread(fd, &v, 8, (long)&secret / 4096 * 8));
	say("present %d", (int)(v >> 63 & 1));
}

static void *thread(void *a)
{
	char n[64], b[64];
	prctl(PR_SET_NAME, "second", 0, 0, 0);
	int tid = syscall(SYS_gettid);
	snprintf(n, sizeof n, "/proc/self/task/%d/comm", tid);
	int r = read(need(open(n, O_RDONLY)), b, sizeof b);
	say("comm %.*s", r - 1, b);
	snprintf(n, sizeof n, "/proc/self/task/%d/status", tid);
	say("Tgid %d Pid %d", atoi(field(n, "Tgid")) == getpid(), atoi(field(n, "Pid")) == tid);
	snprintf(n, sizeof n, "/proc/%d/comm", tid);
	ok("a thread is found by its number", open(n, O_RDONLY));
	DIR *d = opendir("/proc");
	struct dirent *e;
	int seen = 0;
	while ((e = readdir(d)))
		seen += atoi(e->d_name) == tid;
	say("but not listed: %d", seen);
	snprintf(n, sizeof n, "/proc/self/task/%d", getppid());
	see("a stranger's task", access(n, F_OK));
	return NULL;
}
CASE(tasks)
{
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
}

CASE(global_files)
{
	char *s = slurp("/proc/uptime");
	say("uptime has two numbers: %d", sscanf(s, "%*f %*f%n", (int[1]){0}) == 0 && strchr(s, ' ') != NULL);
	s = slurp("/proc/meminfo");
	say("meminfo %d %d", strstr(s, "MemTotal:") == s, strstr(s, "MemAvailable:") != NULL);
	s = slurp("/proc/cpuinfo");
	say("cpuinfo %d %d", !strncmp(s, "processor", 9), strstr(s, "flags") != NULL);
	s = slurp("/proc/stat");
	say("stat %d %d", !strncmp(s, "cpu ", 4), strstr(s, "\nbtime ") != NULL);
	s = slurp("/proc/loadavg");
	say("loadavg %d", strchr(s, '/') != NULL);
	s = slurp("/proc/filesystems");
	say("filesystems %d %d", strstr(s, "nodev\tproc\n") != NULL, strstr(s, "nodev\ttmpfs\n") != NULL);
	s = slurp("/proc/version");
	say("version %d", !strncmp(s, "Linux version ", 14));
	s = slurp("/proc/sys/kernel/ostype");
	say("ostype %s", strtok(s, "\n"));
	s = slurp("/proc/sys/kernel/random/uuid");
	say("uuid %zu", strlen(s));
	s = slurp("/proc/sys/kernel/overflowuid");
	say("overflowuid %s", strtok(s, "\n"));
	s = slurp("/proc/sys/fs/pipe-max-size");
	say("pipe-max-size %s", strtok(s, "\n"));
	say("pid_max %d", atoi(slurp("/proc/sys/kernel/pid_max")) >= 32768);
}

CASE(errors_of_proc)
{
	see("create", open("/proc/new", O_CREAT | O_RDWR, 0600));
	see("mkdir", mkdir("/proc/new", 0700));
	see("unlink", unlink("/proc/version"));
	see("rename", rename("/proc/version", "/proc/v"));
	see("rename out", rename("/proc/version", "v"));
	see("link", link("/proc/version", "/proc/v"));
	see("no such process", open("/proc/999999/stat", O_RDONLY));
	see("zero", open("/proc/0", O_RDONLY));
	see("leading zero", open("/proc/01", O_RDONLY));
	see("negative", open("/proc/-1", O_RDONLY));
	see("write to stat", open("/proc/self/stat", O_WRONLY) >= 0);
	int fd = need(open("/proc/self/stat", O_RDONLY));
	see("seek", lseek(fd, 5, SEEK_SET));
	char b[8];
	see("read", read(fd, b, 3));
	see("end", lseek(fd, 0, SEEK_END));
	see("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	struct stat st;
	fstat(fd, &st);
	say("mode %o size %ld uid %d", st.st_mode, (long)st.st_size, st.st_uid);
}

CASE(files_of_other_users)
{
	char n[64];
	pid_t parent = getppid();
	const char *f[] = {"environ", "mem", "fd/0", "maps", "stat", "cmdline", "auxv", "limits", "status", "comm"};
	need(setresuid(1000, 1000, 1000));
	for (int i = 0; i < 10; i++) {
		snprintf(n, sizeof n, "/proc/%d/%s", parent, f[i]);
		ok(f[i], open(n, O_RDONLY));
	}
	char l[64];
	snprintf(n, sizeof n, "/proc/%d/exe", parent);
	ok("exe", readlink(n, l, sizeof l));
	snprintf(n, sizeof n, "/proc/%d/cwd", parent);
	ok("cwd", readlink(n, l, sizeof l));
	snprintf(n, sizeof n, "/proc/%d/fd", parent);
	ok("listing", open(n, O_RDONLY | O_DIRECTORY));
}

CASE(oom_and_others)
{
	say("%s", strtok(slurp("/proc/self/oom_score_adj"), "\n"));
	int fd = need(open("/proc/self/oom_score_adj", O_WRONLY));
	see("raise", write(fd, "500", 3));
	say("%s", strtok(slurp("/proc/self/oom_score_adj"), "\n"));
	see("too much", write(fd, "1001", 4));
	see("nonsense", write(fd, "abc", 3));
	say("wchan is there %d", access("/proc/self/wchan", F_OK) == 0);
	say("auxv ends with a pair of zeros: %d", ({ int a = open("/proc/self/auxv", O_RDONLY); long v[100] = {0}; int r = read(a, v, sizeof v); r > 16 && v[r / 8 - 2] == 0; }));
	say("statm %d", ({ long a, b; sscanf(slurp("/proc/self/statm"), "%ld %ld", &a, &b) == 2 && a >= b; }));
	say("io %d", strstr(slurp("/proc/self/io"), "rchar: ") != NULL);
}

// An ended process has let go of its root, its directories and its namespaces, though it is still there.
CASE(of_an_ended_process)
{
	char n[64], l[64];
	const char *links[] = {"root", "cwd", "exe", "ns/mnt", "ns/uts", "fd/0"};
	struct stat st;
	siginfo_t i;
	pid_t p = need(fork());
	if (!p) {
		need(unshare(CLONE_NEWNS));
		need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
		need(mount("t", ".", "tmpfs", 0, NULL));
		chdir(getcwd(l, sizeof l));
		need(chroot("."));
		_exit(0);
	}
	need(waitid(P_PID, p, &i, WEXITED | WNOWAIT));
	for (int k = 0; k < 6; k++) {
		snprintf(n, sizeof n, "/proc/%d/%s", p, links[k]);
		see(links[k], readlink(n, l, sizeof l));
		see("stat", stat(n, &st));
	}
	snprintf(n, sizeof n, "/proc/%d/ns/user", p);
	say("ns/user %d", readlink(n, l, sizeof l) > 0);
	snprintf(n, sizeof n, "/proc/%d/status", p);
	say("state %s", field(n, "State"));
	say("umask %s", field(n, "Umask"));
	snprintf(n, sizeof n, "/proc/%d/mountinfo", p);
	see("mountinfo", open(n, O_RDONLY));
	snprintf(n, sizeof n, "/proc/%d/cmdline", p);
	say("cmdline '%s'", slurp(n));
	reap("child", p);
}
