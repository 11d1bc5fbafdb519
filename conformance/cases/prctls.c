#include "case.h"
#include <sys/prctl.h>

#define SEE(what, ...) see(what, syscall(SYS_prctl, __VA_ARGS__))

CASE(prctl_argument_checks)
{
	SEE("unknown", 9999, 0, 0, 0, 0);
	SEE("negative", -1, 0, 0, 0, 0);
	SEE("PDEATHSIG too big", PR_SET_PDEATHSIG, 65, 0, 0, 0);
	SEE("PDEATHSIG", PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	int v = 0;
	SEE("get", PR_GET_PDEATHSIG, &v, 0, 0, 0);
	say("%d", v);
	SEE("get bad", PR_GET_PDEATHSIG, 1, 0, 0, 0);
	SEE("dumpable 3", PR_SET_DUMPABLE, 3, 0, 0, 0);
	SEE("dumpable 0", PR_SET_DUMPABLE, 0, 0, 0, 0);
	SEE("get", PR_GET_DUMPABLE, 0, 0, 0, 0);
	SEE("no_new_privs 0", PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
	SEE("no_new_privs extra", PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0);
	SEE("get extra", PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0);
	SEE("name bad", PR_SET_NAME, 1, 0, 0, 0);
	SEE("get name bad", PR_GET_NAME, 1, 0, 0, 0);
	SEE("subreaper", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	SEE("get", PR_GET_CHILD_SUBREAPER, &v, 0, 0, 0);
	say("%d", v);
	SEE("tsc get", PR_GET_TSC, &v, 0, 0, 0);
	say("%d", v);
	SEE("tsc bad", PR_SET_TSC, 9, 0, 0, 0);
	SEE("timing", PR_GET_TIMING, 0, 0, 0, 0);
	SEE("set timing", PR_SET_TIMING, 1, 0, 0, 0);
	SEE("unalign", PR_GET_UNALIGN, &v, 0, 0, 0);
	SEE("fpemu", PR_GET_FPEMU, &v, 0, 0, 0);
	SEE("endian", PR_GET_ENDIAN, &v, 0, 0, 0);
	SEE("seccomp", PR_GET_SECCOMP, 0, 0, 0, 0);
	SEE("task perf", PR_TASK_PERF_EVENTS_DISABLE, 0, 0, 0, 0);
}

CASE(timer_slack)
{
	SEE("get", PR_GET_TIMERSLACK, 0, 0, 0, 0);
	SEE("set", PR_SET_TIMERSLACK, 7, 0, 0, 0);
	SEE("get", PR_GET_TIMERSLACK, 0, 0, 0, 0);
	pid_t p = need(fork());
	if (!p) {
		SEE("child", PR_GET_TIMERSLACK, 0, 0, 0, 0);
		SEE("set", PR_SET_TIMERSLACK, 9, 0, 0, 0);
		SEE("zero goes back to the inherited", PR_SET_TIMERSLACK, 0, 0, 0, 0);
		SEE("get", PR_GET_TIMERSLACK, 0, 0, 0, 0);
		_exit(0);
	}
	reap("child", p);
}

CASE(subreaper_chain)
{
	int g[2], st;
	need(pipe(g));
	SEE("set", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid_t p = need(fork());
	if (!p) {
		int v = -1;
		prctl(PR_GET_CHILD_SUBREAPER, &v, 0, 0, 0);
		say("not inherited: %d", v);
		if (!fork()) {
			char c;
			close(g[1]);
			read(g[0], &c, 1);
			_exit(21);
		}
		_exit(0);
	}
	reap("middle", p);
	close(g[1]);
	see("adopted", wait(&st) > 0);
	say_status("orphan", st);
}

static volatile pid_t sender;
static void info(int s, siginfo_t *i, void *u)
{
	sender = i->si_pid;
}
CASE(parent_death_signal)
{
	int g[2], h[2];
	char c = 0;
	need(pipe(g));
	need(pipe(h));
	pid_t p = need(fork());
	if (!p) {
		if (!fork()) {
			struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = info};
			sigset_t m, none;
			sigemptyset(&none);
			sigemptyset(&m);
			sigaddset(&m, SIGUSR1);
			sigprocmask(SIG_BLOCK, &m, NULL);
			sigaction(SIGUSR1, &a, NULL);
			prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
			pid_t parent = getppid();
			write(g[1], "r", 1);
			while (!sender)
				sigsuspend(&none);
			c = sender == parent ? 'y' : 'n';
			write(h[1], &c, 1);
			_exit(0);
		}
		read(g[0], &c, 1);
		_exit(0);
	}
	reap("parent", p);
	read(h[0], &c, 1);
	say("sent by the parent: %c", c);
}

CASE(names)
{
	char n[17] = "xxxxxxxxxxxxxxxx", b[64];
	SEE("set", PR_SET_NAME, "sixteen characters or more", 0, 0, 0);
	SEE("get", PR_GET_NAME, n, 0, 0, 0);
	say("%s", n);
	int fd = need(open("/proc/self/comm", O_RDWR)), r = read(fd, b, sizeof b);
	say("%.*s", r - 1, b);
	see("write comm", write(fd, "written", 7));
	SEE("get", PR_GET_NAME, n, 0, 0, 0);
	say("%s", n);
	pid_t p = need(fork());
	if (!p) {
		prctl(PR_GET_NAME, n, 0, 0, 0);
		say("child %s", n);
		execl("/bin/sh", "renamed", "-c", "read n </proc/$$/comm; echo \"  $n\"", NULL);
		_exit(9);
	}
	reap("exec takes the file's", p);
	SEE("empty", PR_SET_NAME, "", 0, 0, 0);
	n[0] = 'x';
	prctl(PR_GET_NAME, n, 0, 0, 0);
	say("[%s]", n);
}

static volatile int sig, code;
static void segv(int s, siginfo_t *i, void *u)
{
	sig = s;
	code = i->si_code;
	_exit(s == SIGSEGV ? 10 + i->si_code : 1);
}
CASE(time_stamp_counter_off)
{
	pid_t p = need(fork());
	if (!p) {
		struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = segv};
		sigaction(SIGSEGV, &a, NULL);
		need(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0));
		__asm__ volatile("rdtsc" ::: "eax", "edx");
		_exit(0);
	}
	reap("child", p);
}

CASE(seccomp_strict)
{
	pid_t p = need(fork());
	if (!p) {
		if (prctl(PR_SET_SECCOMP, 1, 0, 0, 0) == -1)
			_exit(50);
		write(1, "  still writes\n", 15);
		syscall(SYS_exit, 4);
	}
	reap("exits", p);
	p = need(fork());
	if (!p) {
		prctl(PR_SET_SECCOMP, 1, 0, 0, 0);
		syscall(SYS_getpid);
		syscall(SYS_exit, 4);
	}
	reap("another call", p);
}

struct filter { unsigned short code; unsigned char jt, jf; unsigned k; };
static long install(struct filter *f, int n, unsigned flags)
{
	struct { unsigned short len; struct filter *f; } p = {n, f};
	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return syscall(SYS_seccomp, 1, flags, &p);
}
static void sys(int s, siginfo_t *i, void *u)
{
	say("SIGSYS code %d errno %d call %d", i->si_code, i->si_errno, *(int *)((char *)i + 24));
}
CASE(seccomp_filters)
{
	struct filter f[] = {
		{0x20, 0, 0, 0},			     // load nr
		{0x15, 0, 1, SYS_getppid}, {6, 0, 0, 0x50000 | 42},  // getppid: errno 42
		{0x15, 0, 1, SYS_sethostname}, {6, 0, 0, 0x30000 | 7}, // trap with data 7
		{0x15, 0, 1, SYS_chroot}, {6, 0, 0, 0x80000000},     // kill
		{6, 0, 0, 0x7fff0000},
	};
	struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = sys};
	sigaction(SIGSYS, &a, NULL);
	see("install", install(f, 8, 0));
	see("mode", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	see("errno", syscall(SYS_getppid));
	see("trap", syscall(SYS_sethostname, "x", 1) != 12345);
	pid_t p = need(fork());
	if (!p) {
		chroot("/");
		_exit(0);
	}
	reap("inherited, kills", p);
	f[2].k = 0x50000 | 11;
	see("a second one", install(f, 8, 0));
	see("the newest wins among equals", syscall(SYS_getppid));
	f[7].code = 0x99;
	see("bad instruction", install(f, 8, 0));
	see("no instructions", install(f, 0, 0));
	see("too many", install(f, 5000, 0));
	f[7] = (struct filter){0x15, 200, 0, 0};
	see("jumps out", install(f, 8, 0));
	see("flags", install(f, 1, 0x1000));
	see("bad pointer", syscall(SYS_seccomp, 1, 0, 1));
	see("operation", syscall(SYS_seccomp, 9, 0, NULL));
	unsigned act = 0x7fff0000, none = 0x12340000;
	see("action", syscall(SYS_seccomp, 2, 0, &act));
	see("no such action", syscall(SYS_seccomp, 2, 0, &none));
}

CASE(seccomp_needs_no_new_privs)
{
	struct filter f = {6, 0, 0, 0x7fff0000};
	struct { unsigned short len; struct filter *f; } p = {1, &f};
	need(setresuid(1000, 1000, 1000));
	see("as user", syscall(SYS_seccomp, 1, 0, &p));
	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	see("now", syscall(SYS_seccomp, 1, 0, &p));
}
