#include "case.h"
#include <sys/resource.h>

// nice -20..19 as 1..40, what the call itself returns.
static long prio(int which, int who) { return syscall(SYS_getpriority, which, who); }

CASE(priorities)
{
	see("get", prio(PRIO_PROCESS, 0));
	see("set 10", setpriority(PRIO_PROCESS, 0, 10));
	see("get", prio(PRIO_PROCESS, 0));
	see("too low", setpriority(PRIO_PROCESS, 0, 100));
	see("get", prio(PRIO_PROCESS, 0));
	see("too high", setpriority(PRIO_PROCESS, 0, -100));
	see("get", prio(PRIO_PROCESS, 0));
	see("which", prio(9, 0));
	see("set which", setpriority(9, 0, 0));
	see("nobody", prio(PRIO_PROCESS, 999999));
	see("set nobody", setpriority(PRIO_PROCESS, 999999, 0));
	see("no group", prio(PRIO_PGRP, 999999));
	see("own group", prio(PRIO_PGRP, 0));
	see("no user", prio(PRIO_USER, 999999));
	pid_t p = need(fork());
	if (!p) {
		see("inherited", prio(PRIO_PROCESS, 0));
		setpriority(PRIO_PROCESS, 0, 5);
		pause();
	}
	while (prio(PRIO_PROCESS, p) != 15)
		msleep(1);
	see("the highest of the group", prio(PRIO_PGRP, 0));
	see("all of the group", setpriority(PRIO_PGRP, 0, 7));
	see("child", prio(PRIO_PROCESS, p));
	kill(p, SIGKILL);
	reap("child", p);
	need(setresuid(1000, 1000, 1000));
	see("user lowers", setpriority(PRIO_PROCESS, 0, 12));
	see("user raises", setpriority(PRIO_PROCESS, 0, 11));
	see("root's process", setpriority(PRIO_PROCESS, getppid(), 11));
}

CASE(policies)
{
	struct sched_param q = {0};
	int p[] = {SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, 4, 6, 99};
	for (int i = 0; i < 8; i++)
		say("%d: max %ld min %ld", p[i], syscall(SYS_sched_get_priority_max, p[i]), syscall(SYS_sched_get_priority_min, p[i]));
	see("get", syscall(SYS_sched_getscheduler, 0));
	see("batch", syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &q));
	see("get", syscall(SYS_sched_getscheduler, 0));
	see("idle", syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &q));
	see("other", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &q));
	q.sched_priority = 1;
	see("other with priority", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &q));
	see("setparam", syscall(SYS_sched_setparam, 0, &q));
	q.sched_priority = 0;
	see("fifo without", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &q));
	see("unknown", syscall(SYS_sched_setscheduler, 0, 42, &q));
	see("negative policy", syscall(SYS_sched_setscheduler, 0, -1, &q));
	see("negative pid", syscall(SYS_sched_setscheduler, -1, 0, &q));
	see("NULL", syscall(SYS_sched_setscheduler, 0, 0, NULL));
	see("bad pointer", syscall(SYS_sched_setscheduler, 0, 0, 1));
	see("nobody", syscall(SYS_sched_getscheduler, 999999));
	see("negative", syscall(SYS_sched_getscheduler, -1));
	see("getparam", syscall(SYS_sched_getparam, 0, &q));
	see("getparam NULL", syscall(SYS_sched_getparam, 0, NULL));
	see("getparam bad", syscall(SYS_sched_getparam, 0, 1));
}

CASE(realtime_needs_the_right)
{
	struct sched_param q = {1};
	struct rlimit l = {0, 0};
	need(setrlimit(RLIMIT_RTPRIO, &l));
	need(setresuid(1000, 1000, 1000));
	see("fifo as user", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &q));
	see("rr as user", syscall(SYS_sched_setscheduler, 0, SCHED_RR, &q));
	q.sched_priority = 0;
	see("batch as user", syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &q));
	see("root's process", syscall(SYS_sched_setscheduler, getppid(), SCHED_BATCH, &q));
	see("reset on fork", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER | 0x40000000, &q));
	see("get", syscall(SYS_sched_getscheduler, 0) == 0x40000000);
}

CASE(affinity)
{
	unsigned long m[128] = {0}, s[128];
	long n = syscall(SYS_sched_getaffinity, 0, sizeof m, m);
	say("a multiple of 8: %d, own cpu is in it: %d", n > 0 && n % 8 == 0, m[0] != 0);
	see("length not of longs", syscall(SYS_sched_getaffinity, 0, 5, m));
	see("length 0", syscall(SYS_sched_getaffinity, 0, 0, m));
	see("nobody", syscall(SYS_sched_getaffinity, 999999, sizeof m, m));
	see("bad pointer", syscall(SYS_sched_getaffinity, 0, sizeof m, 1));
	see("set the same", syscall(SYS_sched_setaffinity, 0, sizeof m, m));
	see("empty", syscall(SYS_sched_setaffinity, 0, 8, s + (memset(s, 0, sizeof s), 0)));
	see("length 0 set", syscall(SYS_sched_setaffinity, 0, 0, m));
	see("set bad", syscall(SYS_sched_setaffinity, 0, 8, 1));
	see("set nobody", syscall(SYS_sched_setaffinity, 999999, 8, m));
	s[0] = m[0] & -m[0];
	see("one cpu", syscall(SYS_sched_setaffinity, 0, 8, s));
	memset(s + 1, 0, 16);
	unsigned long r[128] = {0};
	syscall(SYS_sched_getaffinity, 0, sizeof r, r);
	say("just that: %d", r[0] == s[0]);
	pid_t p = need(fork());
	if (!p) {
		unsigned long c[128] = {0};
		syscall(SYS_sched_getaffinity, 0, sizeof c, c);
		say("inherited: %d", c[0] == s[0]);
		_exit(0);
	}
	reap("child", p);
	unsigned cpu = -1;
	see("getcpu", syscall(SYS_getcpu, &cpu, NULL, NULL));
	say("on that cpu: %d", s[0] == 1ul << cpu);
	need(setresuid(1000, 1000, 1000));
	see("root's process", syscall(SYS_sched_setaffinity, getppid(), 8, s));
}

CASE(getcpu_and_yield)
{
	unsigned c = -1, n = -1;
	see("getcpu", syscall(SYS_getcpu, &c, &n, NULL));
	say("%d %d", c < 4096, n < 64);
	see("NULLs", syscall(SYS_getcpu, NULL, NULL, NULL));
	see("bad cpu", syscall(SYS_getcpu, 1, NULL, NULL));
	see("bad node", syscall(SYS_getcpu, NULL, 1, NULL));
	see("yield", sched_yield());
}

CASE(rr_interval)
{
	struct timespec t = {9, 9};
	see("get", syscall(SYS_sched_rr_get_interval, 0, &t));
	say("%ld %d", (long)t.tv_sec, t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	see("negative", syscall(SYS_sched_rr_get_interval, -1, &t));
	see("nobody", syscall(SYS_sched_rr_get_interval, 999999, &t));
	see("bad", syscall(SYS_sched_rr_get_interval, 0, 1));
}

CASE(sched_attributes)
{
	struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio; uint64_t runtime, deadline, period; uint32_t umin, umax; } a = {0};
	see("get", syscall(SYS_sched_getattr, 0, &a, sizeof a, 0));
	say("policy %u nice %d", a.policy, a.nice);
	see("small", syscall(SYS_sched_getattr, 0, &a, 40, 0));
	see("flags", syscall(SYS_sched_getattr, 0, &a, sizeof a, 1));
	see("negative", syscall(SYS_sched_getattr, -1, &a, sizeof a, 0));
	see("nobody", syscall(SYS_sched_getattr, 999999, &a, sizeof a, 0));
	see("NULL", syscall(SYS_sched_getattr, 0, NULL, sizeof a, 0));
	memset(&a, 0, sizeof a);
	a.size = 48;
	a.nice = 4;
	see("set", syscall(SYS_sched_setattr, 0, &a, 0));
	see("nice", prio(PRIO_PROCESS, 0));
	a.nice = 30;
	see("nice is cut", syscall(SYS_sched_setattr, 0, &a, 0));
	see("nice", prio(PRIO_PROCESS, 0));
	a.size = 20;
	see("short", syscall(SYS_sched_setattr, 0, &a, 0));
	a.size = 48;
	a.flags = 1ull << 40;
	see("flags", syscall(SYS_sched_setattr, 0, &a, 0));
	a.flags = 0;
	a.policy = 77;
	see("policy", syscall(SYS_sched_setattr, 0, &a, 0));
	see("bad", syscall(SYS_sched_setattr, 0, 1, 0));
}

CASE(io_priorities)
{
	see("get", syscall(SYS_ioprio_get, 1, 0));
	see("which", syscall(SYS_ioprio_get, 9, 0));
	see("nobody", syscall(SYS_ioprio_get, 1, 999999));
	see("best effort 5", syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5));
	see("get", syscall(SYS_ioprio_get, 1, 0));
	see("bad class", syscall(SYS_ioprio_set, 1, 0, 7 << 13));
	see("none with data", syscall(SYS_ioprio_set, 1, 0, 3));
	need(setresuid(1000, 1000, 1000));
	see("realtime as user", syscall(SYS_ioprio_set, 1, 0, 1 << 13));
}

CASE(yielding_processes_progress)
{
	volatile int *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t p = need(fork());
	int me = p ? 0 : 1;
	for (int i = 0; i < 500; i++) {
		while (*turn != me)
			sched_yield();
		*turn = !me;
	}
	if (!p)
		_exit(0);
	reap("child", p);
	say("done");
}
