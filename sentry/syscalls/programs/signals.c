#define _GNU_SOURCE
#include "common.h"
#include <stdio.h>
#include <signal.h>
#include <unistd.h>
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <time.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <sys/mman.h>

static volatile int got, code, val;
static void h(int s, siginfo_t *i, void *u) { got = s; code = i->si_code; val = i->si_value.sival_int; }
static void on(int s, int flags) {
	struct sigaction a = {0};
	a.sa_sigaction = h; a.sa_flags = SA_SIGINFO | flags;
	sigaction(s, &a, 0);
}
static sigjmp_buf jb;
static void segv(int s, siginfo_t *i, void *u) {
	printf("segv code %d addr %p\n", i->si_code, i->si_addr);
	siglongjmp(jb, 1);
}
static char order[64];
static void ord(int s) { char b[8]; snprintf(b, sizeof b, "%d,", s); strcat(order, b); }
static void onstack(int s) {
	stack_t st; sigaltstack(0, &st);
	printf("onstack flags %d here %d\n", st.ss_flags, (char*)&st > (char*)st.ss_sp && (char*)&st < (char*)st.ss_sp + st.ss_size);
}
int main(void) {
	setbuf(stdout, 0);
	on(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	printf("usr1 %d %d\n", got, code);
	raise(SIGUSR1);
	printf("raise %d %d\n", got, code);
	sigset_t m, o, p;
	sigemptyset(&m); sigaddset(&m, SIGUSR1); sigaddset(&m, SIGRTMIN); sigaddset(&m, SIGRTMIN + 1); sigaddset(&m, SIGUSR2);
	sigprocmask(SIG_BLOCK, &m, &o);
	on(SIGRTMIN, 0);
	union sigval v;
	for (int i = 0; i < 3; i++) { v.sival_int = 10 + i; printf("q %d\n", sigqueue(getpid(), SIGRTMIN, v)); }
	got = 0;
	kill(getpid(), SIGUSR1); kill(getpid(), SIGUSR1);
	sigpending(&p);
	printf("pending %d %d %d\n", sigismember(&p, SIGUSR1), sigismember(&p, SIGRTMIN), sigismember(&p, SIGUSR2));
	struct timespec ts = {0, 0};
	siginfo_t si;
	int r = sigtimedwait(&m, &si, &ts);
	printf("first %d\n", r);
	for (int i = 0; i < 4; i++) {
		r = sigtimedwait(&m, &si, &ts);
		printf("timedwait %d val %d errno %d\n", r > 0 ? r - SIGRTMIN : r, r > 0 ? si.si_value.sival_int : 0, r < 0 ? errno : 0);
	}
	struct sigaction a = {0};
	a.sa_handler = ord; sigfillset(&a.sa_mask);
	sigaction(SIGUSR1, &a, 0); sigaction(SIGUSR2, &a, 0); sigaction(SIGRTMIN, &a, 0); sigaction(SIGRTMIN + 1, &a, 0);
	raise(SIGRTMIN + 1); raise(SIGUSR2); raise(SIGRTMIN); raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &o, 0);
	printf("order %d %s\n", (int)strlen(order), order);
	a.sa_sigaction = segv; a.sa_flags = SA_SIGINFO; sigemptyset(&a.sa_mask);
	sigaction(SIGSEGV, &a, 0); sigaction(SIGBUS, &a, 0);
	if (!sigsetjmp(jb, 1)) *(volatile int *)0x10 = 1;
	char *ro = mmap((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (!sigsetjmp(jb, 1)) *(volatile char *)ro = 1;
	if (!sigsetjmp(jb, 1)) *(volatile char *)0x8000000000000000 = 1;
	static char stk[65536];
	stack_t st = {.ss_sp = stk, .ss_size = sizeof stk};
	printf("sigaltstack %d\n", sigaltstack(&st, 0));
	a.sa_handler = onstack; a.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &a, 0);
	raise(SIGUSR1);
	st.ss_size = 100;
	pe("too small", sigaltstack(&st, 0));
	on(SIGALRM, 0);
	struct itimerval it = {{0, 0}, {0, 20000}};
	setitimer(ITIMER_REAL, &it, 0);
	int pfd[2]; char c; pipe(pfd);
	pe("read", read(pfd[0], &c, 1));
	on(SIGALRM, SA_RESTART);
	setitimer(ITIMER_REAL, &it, 0);
	pid_t ch = fork();
	if (!ch) { usleep(60000); write(pfd[1], "x", 1); _exit(0); }
	printf("restarted read %d\n", (int)read(pfd[0], &c, 1));
	waitpid(ch, 0, 0);
	on(SIGALRM, 0);
	setitimer(ITIMER_REAL, &it, 0);
	struct timespec req = {1, 0}, rem = {9, 9};
	r = nanosleep(&req, &rem);
	printf("nanosleep %d %d rem %d\n", r, errno, (int)rem.tv_sec);
	sigemptyset(&m); sigaddset(&m, SIGUSR2);
	sigprocmask(SIG_BLOCK, &m, 0);
	on(SIGUSR2, 0); got = 0;
	kill(getpid(), SIGUSR2);
	sigemptyset(&m);
	r = sigsuspend(&m);
	printf("suspend %d %d got %d\n", r, errno, got);
	sigprocmask(0, 0, &m);
	printf("mask back %d\n", sigismember(&m, SIGUSR2));
	int sigs[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGCHLD, SIGRTMIN, SIGPIPE};
	for (unsigned i = 0; i < sizeof sigs / sizeof *sigs; i++) {
		ch = fork();
		if (!ch) { signal(sigs[i], SIG_DFL); kill(getpid(), sigs[i]); _exit(5); }
		int ws;
		waitpid(ch, &ws, 0);
		printf("child %d: signaled %d term %d exit %d\n", i, WIFSIGNALED(ws), WIFSIGNALED(ws) ? WTERMSIG(ws) : 0, WIFEXITED(ws) ? WEXITSTATUS(ws) : 0);
	}
	pe("bad sig", kill(getpid(), 65));
	pe("no such", kill(99999999, 0));
	pe("sigkill act", sigaction(SIGKILL, &a, 0));
	return 0;
}
