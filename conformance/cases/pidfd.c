#include "case.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
static long pidfd_open(pid_t p, unsigned f) { return syscall(434, p, f); }
static long pidfd_send(int fd, int s, void *i, unsigned f) { return syscall(424, fd, s, i, f); }
static long pidfd_getfd(int fd, int n, unsigned f) { return syscall(438, fd, n, f); }
static void sleeper(void)
{
	for (;;)
		pause();
}

CASE(pidfd_open_errors)
{
	see("nobody", pidfd_open(999999, 0));
	see("zero", pidfd_open(0, 0));
	see("negative", pidfd_open(-1, 0));
	see("flags", pidfd_open(getpid(), 1));
	int fd = need(pidfd_open(getpid(), 0));
	see("cloexec", fcntl(fd, F_GETFD));
	see("status", fcntl(fd, F_GETFL) & O_NONBLOCK);
	see("nonblock", fcntl(pidfd_open(getpid(), O_NONBLOCK), F_GETFL) & O_NONBLOCK);
	see("read", read(fd, &fd, 4));
	see("write", write(fd, &fd, 4));
	pid_t p = need(fork());
	if (!p)
		_exit(0);
	siginfo_t i;
	waitid(P_PID, p, &i, WEXITED | WNOWAIT);
	ok("a zombie", pidfd_open(p, 0));
	reap("child", p);
	see("reaped", pidfd_open(p, 0));
}

CASE(pidfd_signals)
{
	pid_t p = need(fork());
	if (!p)
		sleeper();
	int fd = need(pidfd_open(p, 0));
	see("signal 0", pidfd_send(fd, 0, NULL, 0));
	see("bad signal", pidfd_send(fd, 65, NULL, 0));
	see("flags", pidfd_send(fd, 0, NULL, 0x100));
	see("not a pidfd", pidfd_send(0, 0, NULL, 0));
	see("bad fd", pidfd_send(999, 0, NULL, 0));
	see("bad info", pidfd_send(fd, 10, (void *)1, 0));
	siginfo_t i = {.si_signo = 12};
	see("info of another signal", pidfd_send(fd, 10, &i, 0));
	i.si_signo = SIGUSR1;
	i.si_code = SI_USER;
	see("info that pretends", pidfd_send(fd, SIGUSR1, &i, 0));
	see("kill", pidfd_send(fd, SIGTERM, NULL, 0));
	reap("child", p);
	see("after", pidfd_send(fd, 0, NULL, 0));
}

CASE(pidfd_polls)
{
	pid_t p = need(fork());
	if (!p)
		sleeper();
	int fd = need(pidfd_open(p, 0));
	struct pollfd f = {fd, POLLIN | POLLOUT};
	see("alive", poll(&f, 1, 0));
	kill(p, SIGKILL);
	see("dead", poll(&f, 1, -1));
	say("%x", f.revents & POLLIN);
	reap("child", p);
	see("reaped", poll(&f, 1, 0));
	say("%d", !!(f.revents & POLLIN));
}

CASE(waitid_by_pidfd)
{
	siginfo_t i = {0};
	int g[2];
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		char c;
		close(g[1]);
		read(g[0], &c, 1);
		_exit(33);
	}
	int fd = need(pidfd_open(p, 0)), nb = need(pidfd_open(p, O_NONBLOCK));
	see("nohang", waitid(P_PIDFD, fd, &i, WEXITED | WNOHANG));
	say("pid %d", i.si_pid);
	see("nonblocking", waitid(P_PIDFD, nb, &i, WEXITED));
	close(g[1]);
	see("wait", waitid(P_PIDFD, fd, &i, WEXITED));
	say("status %d code %d pid %d", i.si_status, i.si_code, i.si_pid == p);
	see("again", waitid(P_PIDFD, fd, &i, WEXITED));
	see("not a pidfd", waitid(P_PIDFD, 0, &i, WEXITED));
	see("bad fd", waitid(P_PIDFD, 999, &i, WEXITED));
	see("negative", waitid(P_PIDFD, -1, &i, WEXITED));
	int self = need(pidfd_open(getpid(), 0));
	see("no child", waitid(P_PIDFD, self, &i, WEXITED));
}

CASE(pidfd_getfd_copies)
{
	int g[2], h[2];
	char b[8] = "";
	need(pipe(g));
	need(pipe(h));
	pid_t p = need(fork());
	if (!p) {
		int q[2];
		pipe(q);
		dup2(q[0], 60);
		write(q[1], "inside", 6);
		write(g[1], "x", 1);
		sleeper();
	}
	read(g[0], b, 1);
	int fd = need(pidfd_open(p, 0));
	int c = need(pidfd_getfd(fd, 60, 0));
	see("read", read(c, b, 8));
	say("%.6s cloexec %d", b, fcntl(c, F_GETFD));
	see("no such descriptor", pidfd_getfd(fd, 999, 0));
	see("flags", pidfd_getfd(fd, 60, 1));
	see("not a pidfd", pidfd_getfd(0, 60, 0));
	see("bad fd", pidfd_getfd(-1, 60, 0));
	pid_t u = need(fork());
	if (!u) {
		need(setresuid(1000, 1000, 1000));
		see("as another user", pidfd_getfd(fd, 60, 0));
		_exit(0);
	}
	reap("user", u);
	kill(p, SIGKILL);
	reap("child", p);
	see("of the dead", pidfd_getfd(fd, 60, 0));
}

CASE(clone_gives_a_pidfd)
{
	int fd = -1;
	siginfo_t i = {0};
	pid_t p = need(syscall(SYS_clone, 0x1000 | SIGCHLD, 0, &fd, 0, 0));
	if (!p)
		_exit(6);
	say("a descriptor %d, cloexec %d", fd > 2, fcntl(fd, F_GETFD));
	see("wait", waitid(P_PIDFD, fd, &i, WEXITED));
	say("status %d", i.si_status);
}

CASE(pidfd_in_proc)
{
	char n[64], b[512] = "", l[64];
	pid_t p = need(fork());
	if (!p)
		sleeper();
	int fd = need(pidfd_open(p, 0));
	snprintf(n, sizeof n, "/proc/self/fdinfo/%d", fd);
	read(need(open(n, O_RDONLY)), b, sizeof b - 1);
	char *s = strstr(b, "\nPid:");
	say("Pid is the child's: %d", s && atoi(s + 5) == p);
	kill(p, SIGKILL);
	reap("child", p);
	memset(b, 0, sizeof b);
	read(need(open(n, O_RDONLY)), b, sizeof b - 1);
	s = strstr(b, "\nPid:");
	say("Pid of the dead: %d", s ? atoi(s + 5) : 0);
}
