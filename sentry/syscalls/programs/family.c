#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int got;
static void h(int s) { got = s; }
static int say(const char *s) { return write(1, s, strlen(s)); }
static char stack[65536] __attribute__((aligned(16)));
static int shared, ctid;
static int child(void *x) { shared = 5; ctid = *(int *)x; return 9; }
struct cargs { uint64_t flags, pidfd, ctid, ptid, sig, stack, ssize, tls, set, setn, cg; };
static long clone3(struct cargs *a, long n) { return syscall(SYS_clone3, a, n); }
int main(int argc, char **argv) {
	setbuf(stdout, 0);
	int st, fd, ptid = 0, tid = -1;
	/* subreaper and orphans */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	int p[2]; pipe(p);
	if (!fork()) {
		if (!fork()) { char c; read(p[0], &c, 1); usleep(20000); _exit(getppid() == 0 ? 1 : 21); }
		_exit(0);
	}
	wait(&st);
	write(p[1], "x", 1);
	printf("adopted %d", wait(&st) > 0); printf(" %d\n", WEXITSTATUS(st));
	/* pdeathsig */
	if (!fork()) {
		if (!fork()) {
			signal(SIGUSR2, h);
			prctl(PR_SET_PDEATHSIG, SIGUSR2);
			write(p[1], "r", 1);
			for (int i = 0; i < 200 && !got; i++) usleep(1000);
			_exit(got);
		}
		char c; read(p[0], &c, 1);
		_exit(0);
	}
	wait(&st); wait(&st);
	printf("pdeathsig %d\n", WEXITSTATUS(st) == SIGUSR2);
	/* clone */
	int pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | SIGCHLD, &tid, &ptid, 0, &tid);
	waitpid(pid, &st, 0);
	printf("clone vm %d shared %d tids %d %d cleared %d\n", WEXITSTATUS(st), shared, ptid == pid, ctid == pid, tid);
	pid = clone(child, stack + sizeof stack, CLONE_VM | 0, &tid);
	pe("no SIGCHLD", waitpid(pid, &st, WNOHANG) < 0 ? -1 : 0);
	printf("__WALL %d\n", waitpid(pid, &st, __WALL) == pid);
	int bad[] = {CLONE_THREAD, CLONE_SIGHAND, CLONE_NEWNS | CLONE_FS, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWPID, CLONE_NEWUSER | CLONE_FS};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) { printf("%d: ", i); pe("clone flags", syscall(SYS_clone, bad[i] | SIGCHLD, 0, &ptid, &tid, 0)); }
	struct cargs a = {0};
	a.sig = SIGCHLD;
	pe("clone3 small", clone3(&a, 8)); pe("clone3 big", clone3(&a, 8192));
	a.sig = 100; pe("clone3 sig", clone3(&a, 88));
	a.sig = SIGCHLD; a.stack = 4096; pe("clone3 stack", clone3(&a, 88));
	a.stack = 0; a.set = 1; pe("clone3 settid", clone3(&a, 88));
	a.set = 0; a.flags = CLONE_PIDFD; a.pidfd = (uintptr_t)&fd;
	pid = clone3(&a, 88);
	if (!pid) { usleep(10000); _exit(33); }
	struct pollfd pf = {fd, POLLIN, 0};
	printf("pidfd cloexec %d poll %d", fcntl(fd, F_GETFD), poll(&pf, 1, 5000)); printf(" %d\n", pf.revents);
	siginfo_t si = {0};
	pe("waitid pidfd", waitid(3, fd, &si, WEXITED));
	printf("%d %d\n", si.si_code, si.si_status);
	pe("signal gone", syscall(SYS_pidfd_send_signal, fd, SIGTERM, 0, 0));
	close(fd);
	pid = fork();
	if (!pid) for (;;) pause();
	fd = syscall(SYS_pidfd_open, pid, 0);
	pe("send", syscall(SYS_pidfd_send_signal, fd, SIGTERM, 0, 0));
	waitpid(pid, &st, 0); printf("%x\n", st);
	pe("open none", syscall(SYS_pidfd_open, 1 << 21, 0)); pe("open flags", syscall(SYS_pidfd_open, getpid(), 1)); pe("open 0", syscall(SYS_pidfd_open, 0, 0));
	pe("getfd", fcntl(syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, getpid(), 0), 1, 0), F_GETFD));
	pe("notfd", syscall(SYS_pidfd_send_signal, 1, SIGTERM, 0, 0));
	/* vfork runs before us */
	say("before\n");
	pid = vfork();
	if (!pid) { usleep(10000); say("child\n"); _exit(1); }
	say("after\n");
	waitpid(pid, &st, 0);
	/* wait errors */
	pe("wait none", wait(&st)); pe("wait flags", wait4(-1, &st, 0x100, 0)); pe("waitid type", waitid(9, 0, &si, WEXITED)); pe("waitid none", waitid(P_ALL, 0, &si, 0));
	pe("wait pid", waitpid(1 << 21, &st, 0));
	/* exec errors */
	char *av[] = {argv[0], "x", 0};
	pe("noent", execv("/nonexistent", av)); pe("dir", execv("/tmp", av)); pe("fault", syscall(SYS_execve, argv[0], 16, 0)); pe("path fault", syscall(SYS_execve, 16, av, 0)); pe("empty", execv("", av));
	char path[64]; snprintf(path, sizeof path, "/tmp/x.%d", getpid());
	fd = open(path, O_CREAT | O_WRONLY, 0755); write(fd, "garbage", 7);
	pe("busy", execv(path, av)); close(fd); pe("noexec", execv(path, av));
	chmod(path, 0644); pe("access", execv(path, av)); unlink(path);
	char *big = malloc(200000); memset(big, 'a', 199999); big[199999] = 0;
	char *bv[] = {argv[0], big, 0}; pe("2big", execv(argv[0], bv));
	/* namespaces */
	if (!fork()) {
		pe("unshare", unshare(CLONE_NEWUTS | CLONE_NEWPID));
		sethostname("inner", 5);
		char b[64]; gethostname(b, 64); printf("host %s\n", b);
		pid = fork();
		if (!pid) {
			printf("pid %d ppid %d\n", getpid(), getppid());
			kill(getpid(), SIGTERM);
			if (!fork()) { printf("inner child %d %d\n", getpid(), getppid()); _exit(0); }
			wait(0);
			if (!fork()) for (;;) pause();
			_exit(12);
		}
		waitpid(pid, &st, 0); printf("init of ns %x\n", st);
		pe("dead ns", fork());
		_exit(0);
	}
	wait(&st);
	pe("unshare bad", unshare(1)); pe("unshare vm", unshare(CLONE_VM));
	pe("membarrier", syscall(SYS_membarrier, 8, 0, 0)); pe("register", syscall(SYS_membarrier, 16, 0, 0)); pe("expedited", syscall(SYS_membarrier, 8, 0, 0));
	pe("kcmp", syscall(SYS_kcmp, getpid(), getpid(), 1, 0, 0));
	pe("set_robust", syscall(SYS_set_robust_list, 0, 5));
	return 0;
}
