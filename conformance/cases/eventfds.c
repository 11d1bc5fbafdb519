#include "case.h"
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static void state(const char *what, int fd)
{
	struct pollfd f = {fd, POLLIN | POLLOUT};
	int n = poll(&f, 1, 0);
	say("%s: poll %d %x", what, n, f.revents);
}

CASE(eventfd_counts)
{
	uint64_t v = 0;
	int fd = need(eventfd(3, EFD_NONBLOCK));
	state("3", fd);
	see("read", read(fd, &v, 8));
	say("%llu", (unsigned long long)v);
	see("empty", read(fd, &v, 8));
	state("0", fd);
	v = 5;
	see("write", write(fd, &v, 8));
	see("write", write(fd, &v, 8));
	see("read 16", read(fd, (uint64_t[]){0, 0}, 16));
	v = -2;
	see("nearly full", write(fd, &v, 8));
	state("full", fd);
	v = 1;
	see("one more", write(fd, &v, 8));
	v = 0;
	see("zero", write(fd, &v, 8));
	see("read", read(fd, &v, 8));
	say("%llx", (unsigned long long)v);
}

CASE(eventfd_errors)
{
	uint64_t v = -1;
	int fd = need(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	see("flags", eventfd(0, 0x100));
	see("cloexec", fcntl(fd, F_GETFD));
	see("status", fcntl(fd, F_GETFL));
	see("all ones", write(fd, &v, 8));
	see("short write", write(fd, &v, 7));
	see("short read", read(fd, &v, 7));
	see("bad write", write(fd, (void *)1, 8));
	see("seek", lseek(fd, 0, SEEK_SET));
	see("pread", pread(fd, &v, 8, 0));
	see("truncate", ftruncate(fd, 0));
	v = 1;
	write(fd, &v, 8);
	see("bad read", read(fd, (void *)1, 8));
	see("value is lost or kept", read(fd, &v, 8));
}

CASE(eventfd_semaphore)
{
	uint64_t v;
	int fd = need(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
	for (int i = 0; i < 3; i++) {
		see("read", read(fd, &v, 8));
		say("%llu", (unsigned long long)v);
	}
}

CASE(eventfd_blocks)
{
	uint64_t v = 7;
	int fd = need(eventfd(0, 0));
	pid_t p = need(fork());
	if (!p) {
		msleep(20);
		write(fd, &v, 8);
		_exit(0);
	}
	v = 0;
	see("read", read(fd, &v, 8));
	say("%llu", (unsigned long long)v);
	reap("child", p);
	v = -2;
	write(fd, &v, 8);
	p = need(fork());
	if (!p) {
		v = 3;
		_exit(write(fd, &v, 8));
	}
	msleep(20);
	see("read", read(fd, &v, 8));
	reap("child", p);
	see("read", read(fd, &v, 8));
	say("%llu", (unsigned long long)v);
}

CASE(timerfd_expires)
{
	uint64_t v = 0;
	int fd = need(timerfd_create(CLOCK_MONOTONIC, 0));
	struct itimerspec t = {{0, 0}, {0, 10000000}}, o;
	see("set", timerfd_settime(fd, 0, &t, NULL));
	see("read", read(fd, &v, 8));
	say("%llu", (unsigned long long)v);
	see("get", timerfd_gettime(fd, &o));
	say("%ld %ld", (long)o.it_value.tv_sec, o.it_value.tv_nsec);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	see("nothing more", read(fd, &v, 8));
	t.it_value.tv_sec = 1000;
	see("set again", timerfd_settime(fd, 0, &t, NULL));
	t.it_value.tv_sec = 0;
	t.it_value.tv_nsec = 0;
	see("disarm", timerfd_settime(fd, 0, &t, &o));
	say("old about 1000: %d, interval %ld", o.it_value.tv_sec >= 990, (long)o.it_interval.tv_sec);
	state("disarmed", fd);
}

CASE(timerfd_interval_and_absolute)
{
	uint64_t v = 0, sum = 0;
	struct timespec now, end;
	int fd = need(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
	struct itimerspec t = {{0, 5000000}, {0, 5000000}};
	timerfd_settime(fd, 0, &t, NULL);
	msleep(50);
	see("read", read(fd, &v, 8));
	say("several: %d", v >= 9);
	state("may be ready again", need(timerfd_create(CLOCK_REALTIME, 0)));
	t.it_interval.tv_nsec = 0;
	t.it_value = (struct timespec){1, 0};
	see("absolute in the past", timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
	state("ready", fd);
	see("read", read(fd, &v, 8));
	say("%llu", (unsigned long long)v);
	clock_gettime(CLOCK_MONOTONIC, &now);
	t.it_value = (struct timespec){now.tv_sec + (now.tv_nsec + 30000000) / 1000000000, (now.tv_nsec + 30000000) % 1000000000};
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL);
	struct pollfd f = {fd, POLLIN};
	see("poll", poll(&f, 1, -1));
	clock_gettime(CLOCK_MONOTONIC, &end);
	say("not early: %d", (end.tv_sec - now.tv_sec) * 1000000000 + end.tv_nsec - now.tv_nsec >= 30000000);
}

CASE(timerfd_errors)
{
	uint64_t v;
	struct itimerspec t = {{0, 0}, {0, 1000000000}}, z = {{0, 0}, {0, 0}};
	int fd = need(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK)), p[2];
	need(pipe(p));
	see("clock", timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
	see("unknown clock", timerfd_create(99, 0));
	see("flags", timerfd_create(CLOCK_REALTIME, 4));
	ok("boottime", timerfd_create(CLOCK_BOOTTIME, 0));
	see("nanoseconds", timerfd_settime(fd, 0, &t, NULL));
	see("settime flags", timerfd_settime(fd, 8, &z, NULL));
	see("not a timer", timerfd_settime(p[0], 0, &z, NULL));
	see("bad fd", timerfd_settime(-1, 0, &z, NULL));
	see("bad new", timerfd_settime(fd, 0, (void *)1, NULL));
	see("bad new and fd", timerfd_settime(-1, 0, (void *)1, NULL));
	see("bad old", timerfd_settime(fd, 0, &z, (void *)1));
	see("bad get", timerfd_gettime(fd, (void *)1));
	see("short read", read(fd, &v, 4));
	see("write", write(fd, &v, 8));
	t.it_value = (struct timespec){-1, 0};
	see("negative", timerfd_settime(fd, 0, &t, NULL));
	t = (struct itimerspec){{0, -1}, {1, 0}};
	see("bad interval", timerfd_settime(fd, 0, &t, NULL));
}

CASE(signalfd_reads)
{
	struct signalfd_siginfo i[3];
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigaddset(&m, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &m, NULL);
	int fd = need(signalfd(-1, &m, SFD_NONBLOCK));
	see("nothing", read(fd, i, sizeof i));
	state("nothing", fd);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 42});
	state("two", fd);
	see("read", read(fd, i, sizeof i) / sizeof *i);
	say("%d code %d self %d", i[0].ssi_signo == SIGUSR1, i[0].ssi_code, i[0].ssi_pid == getpid());
	say("%d code %d int %d", i[1].ssi_signo == SIGRTMIN + 3, i[1].ssi_code, i[1].ssi_int);
	sigdelset(&m, SIGUSR1);
	see("change the mask", signalfd(fd, &m, 0) == fd);
	raise(SIGUSR1);
	see("not in the mask", read(fd, i, sizeof i));
	sigaddset(&m, SIGUSR1);
	signalfd(fd, &m, 0);
	see("in it again", read(fd, i, sizeof *i));
	say("code %d", i[0].ssi_code);
}

CASE(signalfd_blocks_and_children)
{
	struct signalfd_siginfo i;
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGCHLD);
	sigprocmask(SIG_BLOCK, &m, NULL);
	int fd = need(signalfd(-1, &m, SFD_CLOEXEC));
	pid_t p = need(fork());
	if (!p) {
		msleep(20);
		_exit(9);
	}
	see("read", read(fd, &i, sizeof i));
	say("signal %d code %d status %d child %d", i.ssi_signo, i.ssi_code, i.ssi_status, i.ssi_pid == p);
	reap("child", p);
}

CASE(signalfd_errors)
{
	sigset_t m;
	int p[2];
	sigfillset(&m);
	need(pipe(p));
	see("flags", signalfd(-1, &m, 1));
	see("size", syscall(SYS_signalfd4, -1, &m, 4, 0));
	see("bad mask", syscall(SYS_signalfd4, -1, (void *)1, 8, 0));
	see("bad fd", signalfd(999, &m, 0));
	see("not a signalfd", signalfd(p[0], &m, 0));
	int fd = need(signalfd(-1, &m, SFD_NONBLOCK));
	see("short read", read(fd, p, 100));
	see("write", write(fd, p, 8));
	raise(SIGCONT);
	see("nothing blocked", read(fd, &m, 128));
}

CASE(signalfd_of_the_reader)
{
	// A descriptor that a child inherited reads the child's signals.
	struct signalfd_siginfo i;
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR2);
	sigprocmask(SIG_BLOCK, &m, NULL);
	int fd = need(signalfd(-1, &m, SFD_NONBLOCK));
	raise(SIGUSR2);
	pid_t p = need(fork());
	if (!p) {
		see("child has none", read(fd, &i, sizeof i));
		raise(SIGUSR2);
		see("child's own", read(fd, &i, sizeof i));
		say("its own pid: %d", i.ssi_pid == getpid());
		_exit(0);
	}
	reap("child", p);
	see("parent's", read(fd, &i, sizeof i));
}
