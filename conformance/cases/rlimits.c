#include "case.h"

static void set(int r, rlim_t cur, rlim_t max)
{
	struct rlimit l = {cur, max};
	need(syscall(SYS_setrlimit, r, &l));
}

CASE(rlimit_errors)
{
	struct rlimit l = {10, 5};
	see("soft over hard", syscall(SYS_setrlimit, RLIMIT_NOFILE, &l));
	see("unknown", syscall(SYS_getrlimit, 16, &l));
	see("unknown set", syscall(SYS_setrlimit, 16, &l));
	see("bad get", syscall(SYS_getrlimit, RLIMIT_NOFILE, 1));
	see("bad set", syscall(SYS_setrlimit, RLIMIT_NOFILE, 1));
	l = (struct rlimit){2000000, 2000000};
	see("NOFILE over nr_open", syscall(SYS_setrlimit, RLIMIT_NOFILE, &l));
	see("prlimit nobody", syscall(SYS_prlimit64, 999999, RLIMIT_NOFILE, NULL, &l));
	see("prlimit unknown", syscall(SYS_prlimit64, 0, 99, NULL, &l));
	see("prlimit nothing", syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, NULL));
	see("prlimit bad new", syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 1, NULL));
	see("prlimit bad old", syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, 1));
}

CASE(rlimits_all_settable)
{
	struct rlimit l, o;
	for (int r = 0; r < 16; r++) {
		if (r == RLIMIT_AS || r == RLIMIT_DATA || r == RLIMIT_STACK || r == RLIMIT_CPU)
			continue;
		l = (struct rlimit){100, 200};
		if (r == RLIMIT_NICE || r == RLIMIT_RTPRIO) // raising them needs a capability
			l.rlim_cur = l.rlim_max = 0;
		need(syscall(SYS_setrlimit, r, &l));
		need(syscall(SYS_getrlimit, r, &o));
		say("%d: %ld %ld", r, (long)o.rlim_cur, (long)o.rlim_max);
	}
	l = (struct rlimit){50, 200};
	need(setresuid(1000, 1000, 1000));
	l.rlim_max = 100;
	see("user lowers", syscall(SYS_setrlimit, RLIMIT_CORE, &l));
	l.rlim_max = 101;
	see("user raises", syscall(SYS_setrlimit, RLIMIT_CORE, &l));
	l.rlim_cur = l.rlim_max = 100;
	see("soft up to hard", syscall(SYS_setrlimit, RLIMIT_CORE, &l));
}

CASE(prlimit_of_others)
{
	struct rlimit l = {77, 88}, o;
	int g[2];
	char c;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		close(g[1]);
		read(g[0], &c, 1);
		getrlimit(RLIMIT_CORE, &l);
		say("child has %ld %ld", (long)l.rlim_cur, (long)l.rlim_max);
		_exit(0);
	}
	see("set", syscall(SYS_prlimit64, p, RLIMIT_CORE, &l, NULL));
	see("get", syscall(SYS_prlimit64, p, RLIMIT_CORE, NULL, &o));
	say("%ld %ld", (long)o.rlim_cur, (long)o.rlim_max);
	close(g[1]);
	reap("child", p);
	p = need(fork());
	if (!p) {
		need(setresuid(1000, 1000, 1000));
		see("user to root's", syscall(SYS_prlimit64, getppid(), RLIMIT_CORE, NULL, &o));
		_exit(0);
	}
	reap("child", p);
}

CASE(rlimit_nofile)
{
	int p[2];
	set(RLIMIT_NOFILE, 12, 12);
	int fd, n = 0;
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		n = fd;
	say("highest %d, then %s", n, errno_name(errno));
	see("dup", dup(0));
	see("dup2 over", dup2(0, 12));
	see("dup2 under", dup2(0, 11));
	see("F_DUPFD over", fcntl(0, F_DUPFD, 12));
	see("F_DUPFD none free", fcntl(0, F_DUPFD, 5));
	see("pipe", pipe(p));
	close(11);
	see("pipe with one free", pipe(p));
	see("open takes it", open("/dev/null", O_RDONLY));
	set(RLIMIT_NOFILE, 5, 5);
	see("higher ones still work", fcntl(11, F_GETFD));
	close(4);
	close(8);
	see("lowest free", open("/dev/null", O_RDONLY));
	see("not over the limit", open("/dev/null", O_RDONLY));
}

CASE(rlimit_fsize)
{
	char b[200] = {0};
	int fd = need(open("f", O_CREAT | O_RDWR, 0600));
	set(RLIMIT_FSIZE, 100, 1000);
	signal(SIGXFSZ, SIG_IGN);
	see("up to the limit", write(fd, b, 60));
	see("partly", write(fd, b, 60));
	see("none", write(fd, b, 1));
	see("truncate up to", ftruncate(fd, 100));
	see("truncate over", ftruncate(fd, 101));
	see("fallocate over", fallocate(fd, 0, 0, 200));
	see("pwrite beyond", pwrite(fd, b, 1, 500));
	see("pipes are free", ({ int p[2]; pipe(p); write(p[1], b, 200); }));
	signal(SIGXFSZ, SIG_DFL);
	pid_t p = need(fork());
	if (!p) {
		write(fd, b, 1);
		_exit(0);
	}
	reap("default action", p);
	p = need(fork());
	if (!p) {
		ftruncate(fd, 5000);
		_exit(0);
	}
	reap("truncate", p);
}

CASE(rlimit_nproc)
{
	set(RLIMIT_NPROC, 3, 3);
	pid_t p = fork();
	if (!p)
		_exit(0);
	reap("root is not bound", p);
	uid_t u = 100000 + getpid(); // nobody else's, or they would count
	need(setresuid(u, u, u));
	int n = 0, r;
	while (n < 10 && (r = fork()) > 0)
		n++;
	if (!r) {
		pause();
		_exit(0);
	}
	int e = errno;
	kill(0, 0);
	say("%d children, then %s", n, errno_name(e));
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(NULL) > 0)
		;
	p = fork();
	if (!p)
		_exit(0);
	reap("one more", p);
}

CASE(rlimit_cpu)
{
	pid_t p = need(fork());
	if (!p) {
		set(RLIMIT_CPU, 1, 2);
		for (;;)
			;
	}
	reap("soft", p);
	p = need(fork());
	if (!p) {
		signal(SIGXCPU, SIG_IGN);
		set(RLIMIT_CPU, 1, 1);
		for (;;)
			;
	}
	reap("hard", p);
}

CASE(rlimit_stack_and_arguments)
{
	static char big[130000];
	char *argv[20] = {"true"}, *envp[] = {NULL};
	memset(big, 'a', sizeof big - 1);
	for (int i = 1; i < 9; i++)
		argv[i] = big;
	for (int k = 0; k < 2; k++) {
		pid_t p = need(fork());
		if (!p) {
			set(RLIMIT_STACK, k ? 8 << 20 : 1 << 20, RLIM_INFINITY);
			execve("/bin/true", argv, envp);
			say("%s", errno_name(errno));
			_exit(1);
		}
		reap(k ? "8 MB" : "1 MB", p);
	}
}

CASE(rlimit_memlock)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	set(RLIMIT_MEMLOCK, 65536, 65536);
	see("root", mlock(p, 1 << 20));
	munlock(p, 1 << 20);
	need(setresuid(1000, 1000, 1000));
	see("user over", mlock(p, 65537));
	see("user", mlock(p, 65536));
	see("one more page", mlock(p + 65536, 4096));
	see("the same again", mlock(p, 4096));
	munlockall();
	set(RLIMIT_MEMLOCK, 0, 0);
	see("none", mlock(p, 4096));
	see("mlockall", mlockall(MCL_CURRENT));
	see("munlock", munlock(p, 4096));
}

CASE(rlimit_sigpending)
{
	sigset_t m;
	int n = 0;
	sigfillset(&m);
	sigprocmask(SIG_SETMASK, &m, NULL);
	uid_t u = 100000 + getpid();
	need(setresuid(u, u, u));
	set(RLIMIT_SIGPENDING, 4, 4);
	while (n < 20 && sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = n}) == 0)
		n++;
	say("%d, then %s", n, errno_name(errno));
	see("kill works without room", kill(getpid(), SIGUSR1));
	see("so does kill of a realtime one", kill(getpid(), SIGRTMIN + 2));
}

CASE(limits_over_fork_and_exec)
{
	set(RLIMIT_CORE, 3 * 1024, 7 * 1024);
	set(RLIMIT_NOFILE, 30, 40);
	pid_t p = need(fork());
	if (!p) {
		execl("/bin/sh", "sh", "-c", "echo \"  $(ulimit -Sn) $(ulimit -Hn) $(ulimit -Sc) $(ulimit -Hc)\"", NULL);
		_exit(9);
	}
	reap("sh", p);
}
