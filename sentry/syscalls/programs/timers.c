#define _GNU_SOURCE
#include "common.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <pthread.h>
static volatile int n, sig, over, val;
static void h(int s, siginfo_t *i, void *u) { n++; sig = s; over = i->si_overrun; val = i->si_value.sival_int; }
static void spin(int ms) {
	struct timespec a, b;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	do {
		for (volatile int i = 0; i < 300000; i++);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	} while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms);
}
static long now(int c) { struct timespec t; clock_gettime(c, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }
int main(void) {
	setbuf(stdout, 0);
	struct sigaction a = {0};
	a.sa_sigaction = h; a.sa_flags = SA_SIGINFO;
	sigaction(SIGRTMIN, &a, 0); sigaction(SIGALRM, &a, 0); sigaction(SIGVTALRM, &a, 0); sigaction(SIGPROF, &a, 0); sigaction(SIGXCPU, &a, 0);
	timer_t t;
	struct sigevent ev = {0};
	ev.sigev_notify = SIGEV_SIGNAL; ev.sigev_signo = SIGRTMIN; ev.sigev_value.sival_int = 77;
	pe("create", timer_create(CLOCK_MONOTONIC, &ev, &t));
	struct itimerspec it = {{0, 10000000}, {0, 10000000}}, old;
	pe("settime", timer_settime(t, 0, &it, 0));
	struct timespec req = {0, 100000000};
	while (n < 3) nanosleep(&req, 0);
	printf("sig %d val %d\n", sig == SIGRTMIN, val);
	sigset_t m; sigemptyset(&m); sigaddset(&m, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &m, 0);
	usleep(105000);
	n = 0;
	sigprocmask(SIG_UNBLOCK, &m, 0);
	printf("overrun %d\n", over >= 5 && over <= 20);
	printf("getoverrun same %d\n", timer_getoverrun(t) == over);
	memset(&it, 0, sizeof it);
	pe("disarm", timer_settime(t, 0, &it, &old));
	printf("interval %ld left %d\n", old.it_interval.tv_nsec, old.it_value.tv_nsec > 0);
	timer_gettime(t, &old);
	printf("zero %ld %ld\n", old.it_value.tv_sec, old.it_value.tv_nsec);
	pe("delete", timer_delete(t));
	pe("delete again", syscall(SYS_timer_delete, 0));
	ev.sigev_signo = 99;
	pe("bad signo", timer_create(CLOCK_MONOTONIC, &ev, &t));
	pe("bad clock", syscall(SYS_timer_create, 99, 0, &t));
	it.it_value.tv_nsec = 2000000000;
	pe("bad nsec", syscall(SYS_timer_settime, 0, 0, &it, 0));
	/* interval timers */
	struct itimerval iv = {{0, 0}, {0, 30000}}, ov;
	n = 0;
	setitimer(ITIMER_VIRTUAL, &iv, 0);
	spin(60);
	printf("virtual %d %d\n", n, sig == SIGVTALRM);
	n = 0;
	setitimer(ITIMER_PROF, &iv, 0);
	spin(60);
	printf("prof %d %d\n", n, sig == SIGPROF);
	iv.it_value.tv_sec = 100;
	setitimer(ITIMER_REAL, &iv, 0);
	getitimer(ITIMER_REAL, &ov);
	printf("left %d\n", ov.it_value.tv_sec >= 99 && ov.it_value.tv_sec <= 100);
	printf("alarm %d\n", alarm(0) >= 100);
	printf("alarm off %d\n", alarm(0));
	pe("bad which", setitimer(7, &iv, 0));
	iv.it_value.tv_usec = 1000000;
	pe("bad usec", setitimer(ITIMER_REAL, &iv, 0));
	/* CPU timer */
	ev.sigev_signo = SIGRTMIN;
	n = 0;
	pe("cpu create", timer_create(CLOCK_PROCESS_CPUTIME_ID, &ev, &t));
	memset(&it, 0, sizeof it);
	it.it_value.tv_nsec = 30000000;
	pe("cpu set", timer_settime(t, 0, &it, 0));
	spin(80);
	printf("cpu fired %d\n", n);
	/* clocks */
	int clocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, -1, -6, -100000};
	for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
		struct timespec ts = {-1, -1};
		printf("clock %d: ", clocks[i]);
		pe("get", syscall(SYS_clock_gettime, clocks[i], &ts));
	}
	clockid_t c;
	pe("getcpuclockid", clock_getcpuclockid(getpid(), &c));
	struct timespec ts;
	pe("its time", clock_gettime(c, &ts));
	long t0 = now(CLOCK_MONOTONIC);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += 50000000; if (ts.tv_nsec >= 1000000000) { ts.tv_sec++; ts.tv_nsec -= 1000000000; }
	pe("abs sleep", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, 0));
	printf("slept %d\n", now(CLOCK_MONOTONIC) - t0 >= 50);
	pe("past", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, 0));
	pe("raw sleep", -clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &ts, 0));
	struct timespec bad = {0, -1};
	pe("bad sleep", nanosleep(&bad, 0));
	pe("fault", syscall(SYS_nanosleep, 16, 0));
	pe("settime", syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts));
	struct rusage ru;
	pe("rusage", getrusage(RUSAGE_SELF, &ru));
	printf("used %d\n", ru.ru_utime.tv_sec * 1000 + ru.ru_utime.tv_usec / 1000 + ru.ru_stime.tv_sec * 1000 + ru.ru_stime.tv_usec / 1000 >= 150);
	pe("rusage bad", getrusage(5, &ru));
	struct tms tms;
	printf("times %d %d\n", times(&tms) > 0, (times(&tms), tms.tms_utime + tms.tms_stime >= 15));
	pid_t p = fork();
	if (!p) {
		struct rlimit rl = {1, 3};
		setrlimit(RLIMIT_CPU, &rl);
		n = 0;
		while (!n) spin(10);
		_exit(sig == SIGXCPU ? 44 : 45);
	}
	int st; struct rusage cu;
	wait4(p, &st, 0, &cu);
	printf("xcpu %x child used %d\n", st, cu.ru_utime.tv_sec * 1000 + cu.ru_utime.tv_usec / 1000 + cu.ru_stime.tv_sec * 1000 + cu.ru_stime.tv_usec / 1000 >= 500);
	return 0;
}
