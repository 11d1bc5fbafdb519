#include "case.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>

static int ep;
static void add(const char *what, int fd, unsigned events, int data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};
	see(what, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
}
static void mod(const char *what, int fd, unsigned events, int data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};
	see(what, epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e));
}
static void ready(const char *what, int timeout)
{
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, timeout);
	say("%s: %d", what, n);
	for (int k = 0; k < 100; k++) // by data: their order is not promised
		for (int i = 0; i < n; i++)
			if (e[i].data.u64 == k)
				say("  %d: %x", k, e[i].events);
}
static void setup(int p[2])
{
	need(ep = epoll_create1(0));
	need(pipe2(p, O_NONBLOCK));
}

CASE(epoll_errors)
{
	int p[2];
	struct epoll_event e = {.events = EPOLLIN};
	setup(p);
	see("create 0", syscall(SYS_epoll_create, 0));
	see("create -1", syscall(SYS_epoll_create, -1));
	ok("create 1", epoll_create(1));
	see("flags", epoll_create1(1));
	see("cloexec", fcntl(epoll_create1(EPOLL_CLOEXEC), F_GETFD));
	see("bad epoll", epoll_ctl(-1, EPOLL_CTL_ADD, p[0], &e));
	see("bad fd", epoll_ctl(ep, EPOLL_CTL_ADD, -1, &e));
	see("not an epoll", epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e));
	see("itself", epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e));
	see("bad event", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], (void *)1));
	see("bad event, bad fd", epoll_ctl(ep, EPOLL_CTL_ADD, -1, (void *)1));
	see("file", epoll_ctl(ep, EPOLL_CTL_ADD, open("f", O_CREAT | O_RDWR, 0600), &e));
	see("directory", epoll_ctl(ep, EPOLL_CTL_ADD, open(".", O_RDONLY), &e));
	see("unknown operation", epoll_ctl(ep, 9, p[0], &e));
	see("mod of none", epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e));
	see("del of none", epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	see("add", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
	see("again", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
	see("del", epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	see("wait: none", epoll_wait(ep, &e, 0, 0));
	see("wait: negative", epoll_wait(ep, &e, -1, 0));
	see("wait: huge", epoll_wait(ep, &e, INT_MAX, 0));
	see("wait: bad fd", epoll_wait(999, &e, 1, 0));
	see("wait: no epoll", epoll_wait(p[0], &e, 1, 0));
	see("wait: kernel pointer", epoll_wait(ep, (void *)0xffffffff80000000, 1, 0));
	see("wait: bad pointer, nothing ready", epoll_wait(ep, (void *)1, 1, 0));
	e.events = EPOLLOUT;
	epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &e);
	see("wait: bad pointer", epoll_wait(ep, (void *)8, 1, 0));
	see("still there", epoll_wait(ep, &e, 1, 0));
}

CASE(epoll_level)
{
	int p[2];
	char b[8];
	setup(p);
	add("read end", p[0], EPOLLIN, 1);
	add("write end", p[1], EPOLLOUT, 2);
	ready("empty", 0);
	write(p[1], "abcd", 4);
	ready("data", 0);
	ready("still", 0);
	read(p[0], b, 2);
	ready("some left", 0);
	read(p[0], b, 2);
	ready("read", 0);
	close(p[1]);
	ready("closed", 0);
}

CASE(epoll_edge)
{
	int p[2];
	char b[8];
	setup(p);
	add("edge", p[0], EPOLLIN | EPOLLET, 1);
	write(p[1], "a", 1);
	ready("written", 0);
	ready("not again", 0);
	write(p[1], "b", 1);
	ready("more", 0);
	read(p[0], b, 1);
	ready("a partial read", 0);
	mod("rearm", p[0], EPOLLIN | EPOLLET, 3);
	ready("modified", 0);
	close(p[1]);
	ready("hangup", 0);
	ready("once", 0);
}

CASE(epoll_oneshot)
{
	int p[2];
	setup(p);
	add("oneshot", p[0], EPOLLIN | EPOLLONESHOT, 1);
	write(p[1], "a", 1);
	ready("once", 0);
	ready("disarmed", 0);
	write(p[1], "a", 1);
	ready("stays so", 0);
	mod("rearm", p[0], EPOLLIN | EPOLLONESHOT, 2);
	ready("again", 0);
	close(p[1]);
	ready("no hangup either", 0);
}

CASE(epoll_always_reports_errors)
{
	int p[2];
	setup(p);
	add("nothing", p[1], 0, 1);
	ready("fine", 0);
	close(p[0]);
	ready("reader gone", 0);
}

CASE(epoll_exclusive)
{
	int p[2];
	struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	setup(p);
	see("add", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
	see("mod", epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e));
	e.events = EPOLLIN;
	see("mod to plain", epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e));
	e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	see("with oneshot", epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &e));
	e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP;
	see("with rdhup", epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &e));
	e.events = EPOLLIN | EPOLLEXCLUSIVE;
	see("of an epoll", epoll_ctl(ep, EPOLL_CTL_ADD, epoll_create1(0), &e));
	write(p[1], "x", 1);
	ready("works", 0);
}

CASE(epoll_nested)
{
	int p[2], in;
	setup(p);
	in = ep;
	add("inner", p[0], EPOLLIN, 1);
	need(ep = epoll_create1(0));
	add("outer", in, EPOLLIN, 2);
	ready("nothing", 0);
	write(p[1], "x", 1);
	ready("outer sees inner", 0);
	struct pollfd f = {in, POLLIN | POLLOUT};
	see("poll of inner", poll(&f, 1, 0));
	say("%x", f.revents);
	struct epoll_event e;
	see("inner", epoll_wait(in, &e, 1, 0));
	char c;
	read(p[0], &c, 1);
	ready("drained", 0);
}

CASE(epoll_loops)
{
	int a = need(epoll_create1(0)), b = need(epoll_create1(0)), chain[8];
	struct epoll_event e = {.events = EPOLLIN};
	see("a in b", epoll_ctl(b, EPOLL_CTL_ADD, a, &e));
	see("b in a", epoll_ctl(a, EPOLL_CTL_ADD, b, &e));
	for (int i = 0; i < 8; i++) {
		need(chain[i] = epoll_create1(0));
		if (i)
			see("chain", epoll_ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], &e));
	}
}

CASE(epoll_keys_are_fd_and_file)
{
	int p[2], d;
	setup(p);
	d = need(dup(p[0]));
	add("fd", p[0], EPOLLIN, 1);
	add("its dup", d, EPOLLIN, 2);
	write(p[1], "x", 1);
	ready("both", 0);
	int first = p[0];
	close(p[0]);
	ready("the file lives on", 0);
	struct epoll_event e = {0};
	see("del by the closed number", epoll_ctl(ep, EPOLL_CTL_DEL, first, &e));
	close(d);
	ready("gone with the last", 0);
	int q[2];
	need(pipe(q));
	say("number is used again: %d", q[0] == first);
	add("the new one", q[0], EPOLLIN, 4);
}

CASE(epoll_in_child)
{
	int p[2];
	setup(p);
	add("add", p[0], EPOLLIN, 1);
	pid_t c = need(fork());
	if (!c) {
		close(p[0]);
		write(p[1], "x", 1);
		ready("child", 0);
		_exit(0);
	}
	reap("child", c);
	ready("parent", 0);
}

CASE(epoll_wakes_waiter)
{
	int p[2];
	setup(p);
	add("add", p[0], EPOLLIN, 1);
	pid_t c = need(fork());
	if (!c) {
		msleep(20);
		write(p[1], "x", 1);
		_exit(0);
	}
	ready("waited", -1);
	reap("child", c);
	char x;
	read(p[0], &x, 1);
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	ready("timeout", 30);
	clock_gettime(CLOCK_MONOTONIC, &b);
	say("not early: %d", (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 29);
}

CASE(epoll_added_while_waiting)
{
	int p[2];
	setup(p);
	write(p[1], "x", 1);
	int g = ep;
	pid_t c = need(fork());
	if (!c) {
		msleep(20);
		struct epoll_event e = {.events = EPOLLIN, .data.u64 = 5};
		_exit(epoll_ctl(g, EPOLL_CTL_ADD, p[0], &e));
	}
	ready("somebody added a ready one", -1);
	reap("child", c);
}

static void noop(int s) {}
CASE(epoll_pwait_masks)
{
	int p[2];
	struct epoll_event e;
	sigset_t m, none;
	setup(p);
	struct sigaction a = {.sa_handler = noop};
	sigaction(SIGUSR1, &a, NULL);
	sigfillset(&m);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &m, NULL);
	raise(SIGUSR1);
	see("blocked", epoll_pwait(ep, &e, 1, 0, NULL));
	see("open", epoll_pwait(ep, &e, 1, 1000, &none));
	sigpending(&m);
	say("pending %d", sigismember(&m, SIGUSR1));
	see("size", syscall(SYS_epoll_pwait, ep, &e, 1, 0, &none, 4));
	see("bad mask", syscall(SYS_epoll_pwait, ep, &e, 1, 0, 1, 8));
	struct timespec t = {0, 1000000}, bad = {0, 1000000000};
	see("pwait2", syscall(441, ep, &e, 1, &t, NULL, 8));
	see("pwait2 nanoseconds", syscall(441, ep, &e, 1, &bad, NULL, 8));
	see("pwait2 bad timeout", syscall(441, ep, &e, 1, 1, NULL, 8));
}

CASE(epoll_max_events)
{
	struct epoll_event e[2];
	int fd[3];
	need(ep = epoll_create1(0));
	for (int i = 0; i < 3; i++) {
		need(fd[i] = eventfd(1, 0));
		add("add", fd[i], EPOLLIN, i);
	}
	int seen = 0;
	for (int i = 0; i < 3; i++) { // level-triggered ones take turns
		see("two at a time", epoll_wait(ep, e, 2, 0));
		seen |= 1 << e[0].data.u64 | 1 << e[1].data.u64;
	}
	say("all seen: %d", seen == 7);
}

CASE(epoll_sockets)
{
	int s[2];
	need(ep = epoll_create1(0));
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	add("add", s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP, 1);
	ready("writable", 0);
	write(s[1], "x", 1);
	ready("both", 0);
	shutdown(s[1], SHUT_WR);
	ready("half closed", 0);
	close(s[1]);
	ready("closed", 0);
}

CASE(devices_that_are_always_ready)
{
	char *name[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
	need(ep = epoll_create1(0));
	for (int i = 0; i < 5; i++)
		add(name[i], open(name[i], O_RDWR), EPOLLIN | EPOLLOUT, i);
	ready("random ones", 0);
}

CASE(mounts_can_be_watched)
{
	need(unshare(CLONE_NEWNS));
	need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	need(ep = epoll_create1(0));
	int f = need(open("/proc/self/mountinfo", O_RDONLY)), g = need(open("/proc/self/mounts", O_RDONLY));
	add("mountinfo", f, EPOLLPRI, 1);
	add("status", open("/proc/self/status", O_RDONLY), EPOLLPRI, 2);
	struct pollfd p = {g, POLLIN | POLLPRI};
	ready("nothing yet", 0);
	see("poll", poll(&p, 1, 0));
	say("%x", p.revents);
	mkdir("m", 0755);
	need(mount("none", "m", "tmpfs", 0, NULL));
	ready("mounted", 0);
	ready("told once", 0);
	see("poll", poll(&p, 1, 0));
	say("%x", p.revents);
	pid_t c = need(fork());
	if (!c) {
		msleep(200);
		umount("m");
		_exit(0);
	}
	ready("unmounted meanwhile", 5000);
	reap("child", c);
}
