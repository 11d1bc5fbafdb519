#include "case.h"
#include <sys/select.h>
#include <sys/socket.h>

static volatile int got;
static void count(int s) { got++; }

CASE(poll_files_and_devices)
{
	int file = need(open("f", O_CREAT | O_RDWR, 0600)), dir = need(open(".", O_RDONLY)), null = need(open("/dev/null", O_RDWR));
	struct pollfd f[] = {{file, POLLIN | POLLOUT | POLLPRI}, {dir, POLLIN | POLLOUT}, {null, POLLIN | POLLOUT}, {-1, POLLIN}, {-5, POLLIN}, {999, POLLIN}, {open("f", O_PATH), POLLIN}};
	see("poll", poll(f, 7, 0));
	for (int i = 0; i < 7; i++)
		say("%d: %x", i, f[i].revents);
}

CASE(poll_errors)
{
	struct pollfd f = {0, POLLIN};
	see("NULL and none", poll(NULL, 0, 0));
	see("NULL", poll(NULL, 1, 0));
	see("bad", poll((void *)1, 1, 0));
	struct rlimit l = {10, 10};
	need(setrlimit(RLIMIT_NOFILE, &l));
	static struct pollfd many[20];
	for (int i = 0; i < 20; i++)
		many[i].fd = -1;
	see("up to the limit", poll(many, 10, 0));
	see("more than the limit", poll(many, 11, 0));
	see("huge", poll(many, 1u << 31, 0));
	struct timespec bad = {0, 1000000000}, neg = {-1, 0}, z = {0, 0};
	see("ppoll nanoseconds", syscall(SYS_ppoll, &f, 0, &bad, NULL, 8));
	see("ppoll negative", syscall(SYS_ppoll, &f, 0, &neg, NULL, 8));
	see("ppoll timeout", syscall(SYS_ppoll, &f, 0, 1, NULL, 8));
	see("ppoll size", syscall(SYS_ppoll, &f, 0, &z, &z, 4));
	see("ppoll mask", syscall(SYS_ppoll, &f, 0, &z, 1, 8));
	see("ppoll NULL mask, any size", syscall(SYS_ppoll, &f, 0, &z, NULL, 4));
	char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	see("read-only", poll((void *)p, 1, 0));
}

CASE(poll_events_asked_for)
{
	int p[2];
	need(pipe(p));
	write(p[1], "x", 1);
	int ask[] = {0, POLLIN, POLLRDNORM, POLLIN | POLLRDNORM, POLLOUT, POLLWRNORM, POLLRDHUP};
	for (int i = 0; i < 7; i++) {
		struct pollfd f[2] = {{p[0], ask[i]}, {p[1], ask[i]}};
		int n = poll(f, 2, 0);
		say("%x: %d %x %x", ask[i], n, f[0].revents, f[1].revents);
	}
	close(p[0]);
	struct pollfd f = {p[1], 0};
	see("error is always told", poll(&f, 1, 0));
	say("%x", f.revents);
}

CASE(poll_same_descriptor_twice)
{
	int p[2];
	need(pipe(p));
	write(p[1], "x", 1);
	struct pollfd f[3] = {{p[0], POLLIN}, {p[0], POLLIN}, {p[0], POLLOUT}};
	see("poll", poll(f, 3, 0));
	say("%x %x %x", f[0].revents, f[1].revents, f[2].revents);
}

CASE(poll_waits)
{
	int p[2];
	struct timespec a, b;
	need(pipe(p));
	struct pollfd f = {p[0], POLLIN};
	clock_gettime(CLOCK_MONOTONIC, &a);
	see("timeout", poll(&f, 1, 30));
	clock_gettime(CLOCK_MONOTONIC, &b);
	say("not early: %d", (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 29);
	pid_t c = need(fork());
	if (!c) {
		msleep(20);
		write(p[1], "x", 1);
		_exit(0);
	}
	see("no timeout", poll(&f, 1, -1));
	say("%x", f.revents);
	reap("child", c);
	char x;
	read(p[0], &x, 1);
	c = need(fork());
	if (!c) {
		close(p[0]);
		msleep(20);
		_exit(0);
	}
	close(p[1]);
	see("hangup", poll(&f, 1, -1));
	say("%x", f.revents);
	reap("child", c);
}

CASE(poll_interrupted)
{
	int p[2];
	struct itimerval t = {{0, 0}, {0, 30000}};
	struct sigaction a = {.sa_handler = count, .sa_flags = SA_RESTART};
	need(pipe(p));
	struct pollfd f = {p[0], POLLIN, 0x55};
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	see("poll, even with SA_RESTART", poll(&f, 1, -1));
	setitimer(ITIMER_REAL, &t, NULL);
	fd_set s;
	FD_ZERO(&s);
	FD_SET(p[0], &s);
	see("select", select(p[0] + 1, &s, NULL, NULL, NULL));
	say("set is kept: %d", !!FD_ISSET(p[0], &s));
	say("handled %d", got);
}

CASE(ppoll_mask_is_atomic)
{
	sigset_t m, none;
	struct timespec t = {5, 0}, z = {0, 0};
	signal(SIGUSR1, count);
	sigemptyset(&none);
	sigfillset(&m);
	sigprocmask(SIG_SETMASK, &m, NULL);
	raise(SIGUSR1);
	see("blocked", ppoll(NULL, 0, &z, NULL));
	say("handled %d", got);
	see("open", ppoll(NULL, 0, &t, &none));
	say("handled %d", got);
	sigprocmask(SIG_SETMASK, NULL, &m);
	say("mask is back: %d", sigismember(&m, SIGUSR2));
	raise(SIGUSR1);
	int p[2];
	need(pipe(p));
	struct pollfd f = {p[1], POLLOUT};
	see("ready comes first", ppoll(&f, 1, NULL, &none));
	say("handled %d", got);
	struct timespec left = {0, 20000000};
	see("time left", syscall(SYS_ppoll, NULL, 0, &left, NULL, 8));
	say("%ld %ld", (long)left.tv_sec, left.tv_nsec);
}

CASE(select_sets)
{
	int p[2], q[2];
	need(pipe(p));
	need(pipe(q));
	write(p[1], "x", 1);
	fd_set r, w, e;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(p[0], &r);
	FD_SET(q[0], &r);
	FD_SET(p[1], &w);
	FD_SET(p[0], &e);
	struct timeval t = {3, 0};
	see("select", select(q[1] + 1, &r, &w, &e, &t));
	say("%d %d %d %d", !!FD_ISSET(p[0], &r), !!FD_ISSET(q[0], &r), !!FD_ISSET(p[1], &w), !!FD_ISSET(p[0], &e));
	say("time is left: %d", t.tv_sec >= 1);
	close(q[1]);
	FD_ZERO(&r);
	FD_SET(q[0], &r);
	see("hangup is readable", select(q[0] + 1, &r, NULL, NULL, &t));
	close(p[0]);
	FD_ZERO(&w);
	FD_SET(p[1], &w);
	FD_ZERO(&e);
	FD_SET(p[1], &e);
	see("error is writable", select(p[1] + 1, NULL, &w, &e, &t));
	say("%d %d", !!FD_ISSET(p[1], &w), !!FD_ISSET(p[1], &e));
	t = (struct timeval){0, 10000};
	see("nothing", select(0, NULL, NULL, NULL, &t));
	say("%ld %ld", (long)t.tv_sec, (long)t.tv_usec);
}

CASE(select_errors)
{
	fd_set r;
	struct timeval t = {0, 0}, bad = {0, -1}, neg = {-1, 0}, big = {0, 2000000};
	FD_ZERO(&r);
	FD_SET(500, &r);
	see("closed", syscall(SYS_select, 501, &r, NULL, NULL, &t));
	see("beyond n", syscall(SYS_select, 500, &r, NULL, NULL, &t));
	see("negative n", syscall(SYS_select, -1, &r, NULL, NULL, &t));
	see("bad set", syscall(SYS_select, 10, 1, NULL, NULL, &t));
	see("bad timeout", syscall(SYS_select, 0, NULL, NULL, NULL, 1));
	see("negative usec", syscall(SYS_select, 0, NULL, NULL, NULL, &bad));
	see("negative sec", syscall(SYS_select, 0, NULL, NULL, NULL, &neg));
	big.tv_usec = 1000001;
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	see("usec over a million", syscall(SYS_select, 0, NULL, NULL, NULL, &big));
	clock_gettime(CLOCK_MONOTONIC, &b);
	say("waited: %d", b.tv_sec - a.tv_sec >= 1);
	FD_ZERO(&r);
	see("n beyond all descriptors", syscall(SYS_select, 1024, &r, NULL, NULL, &t));
}

CASE(pselect_mask)
{
	sigset_t none, m;
	struct timespec t = {5, 0};
	signal(SIGUSR1, count);
	sigemptyset(&none);
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	raise(SIGUSR1);
	see("pselect", pselect(0, NULL, NULL, NULL, &t, &none));
	say("handled %d", got);
	struct { void *p; size_t n; } arg = {&none, 4}, null = {NULL, 4};
	t = (struct timespec){0, 0};
	see("size", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, &arg));
	see("NULL mask", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, &null));
	see("bad argument", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, 1));
}

CASE(poll_socket_pair)
{
	int s[2];
	char b[4];
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	struct pollfd f = {s[0], POLLIN | POLLOUT | POLLRDHUP};
	see("fresh", poll(&f, 1, 0));
	say("%x", f.revents);
	write(s[1], "ab", 2);
	shutdown(s[1], SHUT_WR);
	see("data and end", poll(&f, 1, 0));
	say("%x", f.revents);
	read(s[0], b, 4);
	see("end", poll(&f, 1, 0));
	say("%x", f.revents);
	shutdown(s[0], SHUT_WR);
	see("both ways", poll(&f, 1, 0));
	say("%x", f.revents);
	close(s[1]);
	see("closed", poll(&f, 1, 0));
	say("%x", f.revents);
	int u = need(socket(AF_UNIX, SOCK_STREAM, 0));
	f.fd = u;
	see("unconnected", poll(&f, 1, 0));
	say("%x", f.revents);
}

CASE(poll_full_pipe)
{
	int p[2];
	char b[4096] = {0};
	need(pipe2(p, O_NONBLOCK));
	while (write(p[1], b, 4096) > 0)
		;
	struct pollfd f = {p[1], POLLOUT};
	see("full", poll(&f, 1, 0));
	read(p[0], b, 100);
	see("a little room", poll(&f, 1, 0));
	read(p[0], b, 4096 - 100);
	see("a page of room", poll(&f, 1, 0));
}
