#include "case.h"
#include <sys/times.h>
#include <sys/timex.h>

static long ns(struct timespec t) { return t.tv_sec * 1000000000 + t.tv_nsec; }
static long now(int c)
{
	struct timespec t;
	if (clock_gettime(c, &t) == -1)
		return -1;
	return ns(t);
}
static void burn(long n)
{
	for (long end = now(CLOCK_THREAD_CPUTIME_ID) + n; now(CLOCK_THREAD_CPUTIME_ID) < end;)
		;
}
static volatile int got;
static siginfo_t last;
static void count(int s) { got++; }
static void info(int s, siginfo_t *i, void *u)
{
	last = *i;
	got++;
}

CASE(clocks_exist)
{
	struct timespec t;
	for (int c = -1; c < 14; c++) {
		int r = syscall(SYS_clock_gettime, c, &t), e = errno;
		say("%d: %s, nanoseconds fine %d", c, r ? errno_name(e) : "ok", r || t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	}
}

CASE(clock_resolutions)
{
	int c[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_TAI};
	for (int i = 0; i < 7; i++) {
		struct timespec t = {5, 5};
		see("getres", syscall(SYS_clock_getres, c[i], &t));
		say("%ld %ld", (long)t.tv_sec, t.tv_nsec);
	}
	see("coarse", syscall(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, NULL));
	see("unknown", syscall(SYS_clock_getres, 77, NULL));
	see("bad pointer", syscall(SYS_clock_getres, 0, 1));
	see("bad pointer of gettime", syscall(SYS_clock_gettime, 0, 1));
	see("unknown and bad", syscall(SYS_clock_gettime, 77, 1));
}

CASE(clocks_go_forward)
{
	int c[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	for (int i = 0; i < 6; i++) {
		long bad = 0, last = 0;
		for (int k = 0; k < 20000; k++) {
			long t = now(c[i]);
			bad += t < last;
			last = t;
		}
		say("clock %d went back %ld times", c[i], bad);
	}
}

CASE(clocks_agree)
{
	struct timeval tv;
	long r = now(CLOCK_REALTIME);
	need(gettimeofday(&tv, NULL));
	long g = tv.tv_sec * 1000000000L + tv.tv_usec * 1000L, r2 = now(CLOCK_REALTIME);
	say("gettimeofday in order: %d", r / 1000 <= g / 1000 && g <= r2);
	time_t t = time(NULL);
	say("time close: %d", r2 / 1000000000 - t <= 1);
	say("coarse behind: %d", now(CLOCK_REALTIME_COARSE) <= now(CLOCK_REALTIME));
	long m = now(CLOCK_MONOTONIC);
	say("boot not behind monotonic: %d", now(CLOCK_BOOTTIME) >= m);
	m = now(CLOCK_MONOTONIC);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &(struct timespec){0});
	struct timespec k;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &k);
	long m2 = now(CLOCK_MONOTONIC);
	say("call and library in order: %d", m <= ns(k) && ns(k) <= m2);
	say("tai is %s realtime", now(CLOCK_TAI) >= r ? "not behind" : "behind");
}

CASE(cpu_clocks)
{
	long p = now(CLOCK_PROCESS_CPUTIME_ID), t = now(CLOCK_THREAD_CPUTIME_ID);
	burn(20000000);
	say("process %d, thread %d", now(CLOCK_PROCESS_CPUTIME_ID) - p >= 20000000, now(CLOCK_THREAD_CPUTIME_ID) - t >= 20000000);
	t = now(CLOCK_THREAD_CPUTIME_ID);
	msleep(100);
	say("sleeping costs little: %d", now(CLOCK_THREAD_CPUTIME_ID) - t < 90000000);
	clockid_t c;
	say("own clock: %d", clock_getcpuclockid(0, &c));
	say("reads %d", now(c) > 0);
	say("parent's: %d", now((~(clockid_t)getppid() << 3) | 2) >= 0);
	say("nobody's: %d", clock_getcpuclockid(999999, &c));
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	say("rusage: %d", u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_sec * 1000000 + u.ru_stime.tv_usec >= 10000);
}

CASE(children_times)
{
	struct tms t;
	struct rusage u;
	times(&t);
	say("before %ld", (long)(t.tms_cutime + t.tms_cstime));
	pid_t p = need(fork());
	if (!p) {
		burn(60000000);
		_exit(0);
	}
	reap("child", p);
	times(&t);
	say("after %d", t.tms_cutime + t.tms_cstime >= 3);
	getrusage(RUSAGE_CHILDREN, &u);
	say("rusage %d", u.ru_utime.tv_usec + u.ru_stime.tv_usec + 1000000 * (u.ru_utime.tv_sec + u.ru_stime.tv_sec) >= 50000);
	see("bad who", getrusage(5, &u));
	see("bad pointer", syscall(SYS_getrusage, 0, 1));
	see("times bad", syscall(SYS_times, 1));
	ok("times NULL", syscall(SYS_times, NULL));
}

CASE(clock_settime_errors)
{
	struct timespec t = {0, 1000000000};
	see("monotonic", syscall(SYS_clock_settime, CLOCK_MONOTONIC, &t));
	see("nanoseconds", syscall(SYS_clock_settime, CLOCK_REALTIME, &t));
	see("unknown", syscall(SYS_clock_settime, 55, &t));
	see("bad pointer", syscall(SYS_clock_settime, CLOCK_REALTIME, 1));
	see("settimeofday usec", syscall(SYS_settimeofday, &(struct timeval){0, 1000000}, NULL));
	see("settimeofday bad", syscall(SYS_settimeofday, 1, NULL));
	need(setresuid(1000, 1000, 1000));
	clock_gettime(CLOCK_REALTIME, &t);
	see("as user", syscall(SYS_clock_settime, CLOCK_REALTIME, &t));
	see("as user, settimeofday", syscall(SYS_settimeofday, &(struct timeval){1, 0}, NULL));
	struct timex x = {.modes = ADJ_FREQUENCY};
	see("as user, adjtimex", syscall(SYS_adjtimex, &x));
	x.modes = 0;
	say("adjtimex reads: %d", syscall(SYS_adjtimex, &x) >= 0);
}

CASE(nanosleep_sleeps)
{
	struct timespec t = {0, 20000000}, bad = {0, 1000000000}, neg = {-1, 0}, r;
	long a = now(CLOCK_MONOTONIC);
	see("20 ms", nanosleep(&t, NULL));
	say("not early: %d", now(CLOCK_MONOTONIC) - a >= 20000000);
	see("nanoseconds", syscall(SYS_nanosleep, &bad, NULL));
	see("negative", syscall(SYS_nanosleep, &neg, NULL));
	see("NULL", syscall(SYS_nanosleep, NULL, NULL));
	see("zero, bad remainder", syscall(SYS_nanosleep, &(struct timespec){0, 0}, 1));
	struct itimerval it = {{0, 0}, {0, 20000}};
	struct sigaction s = {.sa_handler = count, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &s, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	t = (struct timespec){100, 0};
	see("interrupted", nanosleep(&t, &r));
	say("remainder: %d", r.tv_sec >= 90 && r.tv_sec < 100);
}

CASE(clock_nanosleep_kinds)
{
	struct timespec t = {1, 0}, r = {7, 7};
	say("past: %d", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	long a = now(CLOCK_MONOTONIC), e = a + 20000000;
	t = (struct timespec){e / 1000000000, e % 1000000000};
	say("absolute: %d", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	say("not early: %d", now(CLOCK_MONOTONIC) >= e);
	t = (struct timespec){0, 1000000};
	say("realtime: %d", clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL));
	say("boottime: %d", clock_nanosleep(CLOCK_BOOTTIME, 0, &t, NULL));
	say("tai: %d", clock_nanosleep(CLOCK_TAI, 0, &t, NULL));
	see("thread cpu", syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
	see("raw", syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &t, NULL));
	see("unknown", syscall(SYS_clock_nanosleep, 99, 0, &t, NULL));
	see("bad pointer", syscall(SYS_clock_nanosleep, 1, 0, 1, NULL));
	struct itimerval it = {{0, 0}, {0, 20000}};
	signal(SIGALRM, count);
	setitimer(ITIMER_REAL, &it, NULL);
	t = (struct timespec){now(CLOCK_MONOTONIC) / 1000000000 + 100, 0};
	struct sigaction s = {.sa_handler = count};
	sigaction(SIGALRM, &s, NULL);
	see("interrupted", syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, &r));
	say("remainder untouched: %ld %ld", (long)r.tv_sec, r.tv_nsec);
}

static long create(int clock, struct sigevent *e, int *id) { return syscall(SYS_timer_create, clock, e, id); }
static long set(int id, int flags, long value, long interval)
{
	struct itimerspec t = {{interval / 1000000000, interval % 1000000000}, {value / 1000000000, value % 1000000000}};
	return syscall(SYS_timer_settime, id, flags, &t, NULL);
}

CASE(posix_timer_signals)
{
	int id;
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 1234};
	struct sigaction s = {.sa_sigaction = info, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &s, NULL);
	see("create", create(CLOCK_MONOTONIC, &e, &id));
	see("set", set(id, 0, 10000000, 0));
	while (!got)
		msleep(2);
	say("code %d value %d overrun %d", last.si_code, last.si_value.sival_int, last.si_overrun);
	struct itimerspec t;
	see("gettime", syscall(SYS_timer_gettime, id, &t));
	say("%ld %ld", (long)t.it_value.tv_sec, t.it_value.tv_nsec);
	see("getoverrun", syscall(SYS_timer_getoverrun, id));
	see("delete", syscall(SYS_timer_delete, id));
	see("again", syscall(SYS_timer_delete, id));
	see("gettime", syscall(SYS_timer_gettime, id, &t));
	see("default event", create(CLOCK_REALTIME, NULL, &id));
	sigaction(SIGALRM, &s, NULL);
	got = 0;
	see("set", set(id, 0, 1000000, 0));
	while (!got)
		msleep(2);
	say("SIGALRM %d, value is its id: %d", last.si_signo, last.si_value.sival_int == id);
}

CASE(posix_timer_overrun)
{
	int id;
	sigset_t m;
	siginfo_t i;
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	need(create(CLOCK_MONOTONIC, &e, &id));
	set(id, 0, 5000000, 5000000);
	msleep(60);
	see("wait", sigwaitinfo(&m, &i) == SIGUSR1);
	say("several missed: %d, the same by call: %d", i.si_overrun >= 9, syscall(SYS_timer_getoverrun, id) == i.si_overrun);
	see("disarm", set(id, 0, 0, 0));
	struct timespec z = {0, 0};
	while (sigtimedwait(&m, &i, &z) > 0)
		;
	see("silent", sigtimedwait(&m, &i, &(struct timespec){0, 20000000}));
}

CASE(posix_timer_to_thread_and_none)
{
	int id;
	struct itimerspec t;
	struct sigevent e = {.sigev_notify = SIGEV_NONE};
	see("none", create(CLOCK_MONOTONIC, &e, &id));
	see("set", set(id, 0, 100000000000, 3000000000));
	see("get", syscall(SYS_timer_gettime, id, &t));
	say("about 100 s: %d, interval %ld", t.it_value.tv_sec >= 90, (long)t.it_interval.tv_sec);
	struct itimerspec n = {{0, 0}, {0, 0}};
	see("old", syscall(SYS_timer_settime, id, 0, &n, &t));
	say("about 100 s: %d, interval %ld", t.it_value.tv_sec >= 90, (long)t.it_interval.tv_sec);
	e = (struct sigevent){.sigev_notify = 4, .sigev_signo = SIGUSR2};
	*((int *)&e + 4) = syscall(SYS_gettid);
	struct sigaction s = {.sa_sigaction = info, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR2, &s, NULL);
	see("this thread", create(CLOCK_MONOTONIC, &e, &id));
	set(id, 0, 1000000, 0);
	while (!got)
		msleep(2);
	say("code %d", last.si_code);
	*((int *)&e + 4) = 999999;
	see("no such thread", create(CLOCK_MONOTONIC, &e, &id));
}

CASE(posix_timer_errors)
{
	int id = 0;
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	see("signal", create(CLOCK_MONOTONIC, &e, &id));
	e.sigev_signo = SIGUSR1;
	e.sigev_notify = 99;
	see("notify", create(CLOCK_MONOTONIC, &e, &id));
	see("clock", create(99, NULL, &id));
	see("raw clock", create(CLOCK_MONOTONIC_RAW, NULL, &id));
	see("coarse clock", create(CLOCK_MONOTONIC_COARSE, NULL, &id));
	see("bad event", create(CLOCK_MONOTONIC, (void *)1, &id));
	see("bad id pointer", create(CLOCK_MONOTONIC, NULL, (void *)1));
	see("set unknown", set(777, 0, 1, 0));
	need(create(CLOCK_MONOTONIC, NULL, &id));
	struct itimerspec bad = {{0, 0}, {0, 1000000000}};
	see("nanoseconds", syscall(SYS_timer_settime, id, 0, &bad, NULL));
	see("nanoseconds, unknown timer", syscall(SYS_timer_settime, 777, 0, &bad, NULL));
	see("NULL", syscall(SYS_timer_settime, id, 0, NULL, NULL));
	see("bad new", syscall(SYS_timer_settime, id, 0, 1, NULL));
	see("overrun of unknown", syscall(SYS_timer_getoverrun, 777));
	pid_t p = need(fork());
	if (!p) {
		see("not inherited", syscall(SYS_timer_delete, id));
		_exit(0);
	}
	reap("child", p);
}

CASE(posix_timer_cpu)
{
	int id;
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	signal(SIGUSR1, count);
	see("create", create(CLOCK_PROCESS_CPUTIME_ID, &e, &id));
	long a = now(CLOCK_PROCESS_CPUTIME_ID);
	see("set", set(id, 0, 30000000, 0));
	while (!got)
		;
	say("after enough work: %d", now(CLOCK_PROCESS_CPUTIME_ID) - a >= 30000000);
}

CASE(interval_timers)
{
	struct itimerval t = {{1, 0}, {1000, 0}}, o;
	see("set", setitimer(ITIMER_REAL, &t, &o));
	say("the alarm of the frame was about 20 s: %d", o.it_value.tv_sec >= 10 && o.it_value.tv_sec <= 20);
	see("get", getitimer(ITIMER_REAL, &o));
	say("%d %ld", o.it_value.tv_sec >= 990, (long)o.it_interval.tv_sec);
	see("alarm tells", alarm(50) >= 990);
	see("alarm again", alarm(20) >= 40);
	t = (struct itimerval){{0, 0}, {0, 1000000}};
	see("usec", syscall(SYS_setitimer, ITIMER_REAL, &t, NULL));
	t = (struct itimerval){{0, 0}, {-1, 0}};
	see("negative", syscall(SYS_setitimer, ITIMER_REAL, &t, NULL));
	see("which", syscall(SYS_setitimer, 3, &t, NULL));
	see("get which", syscall(SYS_getitimer, 3, &o));
	see("bad new", syscall(SYS_setitimer, ITIMER_REAL, 1, NULL));
	see("bad old", syscall(SYS_getitimer, ITIMER_REAL, 1));
	see("NULL disarms", syscall(SYS_setitimer, ITIMER_REAL, NULL, &o));
	getitimer(ITIMER_REAL, &o);
	say("%ld %ld", (long)o.it_value.tv_sec, (long)o.it_value.tv_usec);
}

CASE(cpu_interval_timers)
{
	struct itimerval t = {{0, 0}, {0, 20000}};
	signal(SIGVTALRM, count);
	signal(SIGPROF, count);
	see("virtual", setitimer(ITIMER_VIRTUAL, &t, NULL));
	while (!got)
		;
	say("SIGVTALRM came");
	see("prof", setitimer(ITIMER_PROF, &t, NULL));
	while (got < 2)
		;
	say("SIGPROF came");
}

CASE(timers_over_fork_and_exec)
{
	struct itimerval t = {{0, 0}, {1000, 0}}, o;
	setitimer(ITIMER_REAL, &t, NULL);
	pid_t p = need(fork());
	if (!p) {
		getitimer(ITIMER_REAL, &o);
		say("child has none: %ld", (long)o.it_value.tv_sec);
		t.it_value = (struct timeval){0, 200000};
		setitimer(ITIMER_REAL, &t, NULL);
		execl("/bin/sh", "sh", "-c", "sleep 10 & wait", NULL);
		_exit(9);
	}
	reap("exec keeps it", p);
}
