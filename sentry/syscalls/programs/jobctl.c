#define _GNU_SOURCE
#include "common.h"
#include <stdio.h>
#include <signal.h>
#include <unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
static volatile int chld;
static void h(int s, siginfo_t *i, void *u) { chld = i->si_code * 1000 + i->si_status; }
int main(void) {
	setbuf(stdout, 0);
	struct sigaction a = {0};
	a.sa_sigaction = h; a.sa_flags = SA_SIGINFO | SA_RESTART;
	sigaction(SIGCHLD, &a, 0);
	int st;
	pid_t p = fork();
	if (!p) { for (;;) pause(); }
	kill(p, SIGSTOP);
	pid_t w = waitpid(p, &st, WUNTRACED);
	printf("stop %d %x\n", w == p, st);
	usleep(20000);
	printf("chld %d\n", chld);
	printf("again %d\n", waitpid(p, &st, WUNTRACED | WNOHANG));
	kill(p, SIGCONT);
	w = waitpid(p, &st, WCONTINUED);
	printf("cont %d %x\n", w == p, st);
	usleep(20000);
	printf("chld %d\n", chld);
	siginfo_t si;
	memset(&si, 0, sizeof si);
	kill(p, SIGSTOP);
	printf("waitid %d ", waitid(P_PID, p, &si, WSTOPPED | WNOWAIT));
	printf("%d %d %d %d\n", si.si_signo, si.si_code, si.si_status, si.si_pid == p);
	kill(p, SIGTERM);
	printf("still %d\n", waitpid(p, &st, WNOHANG));
	kill(p, SIGKILL);
	memset(&si, 0, sizeof si);
	printf("waitid %d ", waitid(P_ALL, 0, &si, WEXITED | WNOWAIT));
	printf("%d %d %d\n", si.si_code, si.si_status, si.si_pid == p);
	w = waitpid(p, &st, 0);
	printf("wait %d %x\n", w == p, st);
	pe("setsid leader", setsid());
	p = fork();
	if (!p) {
		printf("child pgrp same %d\n", getpgrp() == getpgid(getppid()));
		printf("setpgid %d own %d\n", setpgid(0, 0), getpgrp() == getpid());
		pe("setsid as pgrp leader", setsid());
		pid_t q = fork();
		if (!q) { printf("setsid %d sid %d\n", setsid() == getpid(), getsid(0) == getpid()); _exit(0); }
		waitpid(q, 0, 0);
		_exit(0);
	}
	waitpid(p, &st, 0);
	pe("setpgid stranger", setpgid(1 << 20, 0));
	pe("getsid none", getsid(1 << 20));
	int fds[2]; pipe(fds);
	p = fork();
	if (!p) {
		setpgid(0, 0);
		for (int i = 0; i < 3; i++) if (!fork()) { for (;;) pause(); }
		signal(SIGTERM, SIG_IGN);
		write(fds[1], "x", 1);
		int n = 0, ws;
		while (wait(&ws) > 0) n += WIFSIGNALED(ws) && WTERMSIG(ws) == SIGTERM;
		_exit(n);
	}
	char c; read(fds[0], &c, 1);
	usleep(20000);
	printf("killpg %d\n", kill(-p, SIGTERM));
	waitpid(p, &st, 0);
	printf("killed %d\n", WEXITSTATUS(st));
	signal(SIGCHLD, SIG_IGN);
	p = fork();
	if (!p) _exit(1);
	pe("ignored wait", waitpid(p, &st, 0));
	pe("WEXITED missing", waitid(P_ALL, 0, &si, WNOHANG));
	return 0;
}
