// The frame of the conformance programs. A program is a family of cases:
//
//	#include "case.h"
//	CASE(pipe_returns_eof) { ...; see("read", read(fd, b, 1)); }
//
// Each case runs in a child of its own, in an empty directory, and prints what it observes with see() and say(). The
// runner compares what host Linux prints with what the sandbox prints, so a case holds no expected values: print all
// that Linux promises, and nothing that differs from run to run (numbers of processes, addresses, times).
#ifndef CASE_H
#define CASE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct case_entry {
	const char *name;
	void (*run)(void);
	struct case_entry *next;
};
static struct case_entry *case_first, **case_last = &case_first;

#define CASE(n)                                                                \
	static void case_##n(void);                                            \
	static struct case_entry entry_##n = {#n, case_##n, NULL};             \
	__attribute__((constructor)) static void add_##n(void)                 \
	{                                                                      \
		*case_last = &entry_##n;                                       \
		case_last = &entry_##n.next;                                   \
	}                                                                      \
	static void case_##n(void)

static inline const char *errno_name(int e)
{
	static char b[16];
	switch (e) {
#define E(x) case x: return #x;
		E(EPERM) E(ENOENT) E(ESRCH) E(EINTR) E(EIO) E(ENXIO) E(E2BIG) E(ENOEXEC) E(EBADF) E(ECHILD) E(EAGAIN)
		E(ENOMEM) E(EACCES) E(EFAULT) E(ENOTBLK) E(EBUSY) E(EEXIST) E(EXDEV) E(ENODEV) E(ENOTDIR) E(EISDIR)
		E(EINVAL) E(ENFILE) E(EMFILE) E(ENOTTY) E(ETXTBSY) E(EFBIG) E(ENOSPC) E(ESPIPE) E(EROFS) E(EMLINK)
		E(EPIPE) E(EDOM) E(ERANGE) E(EDEADLK) E(ENAMETOOLONG) E(ENOLCK) E(ENOSYS) E(ENOTEMPTY) E(ELOOP)
		E(ENODATA) E(EOVERFLOW) E(EILSEQ) E(EUSERS) E(ENOTSOCK) E(EDESTADDRREQ) E(EMSGSIZE) E(EPROTOTYPE)
		E(ENOPROTOOPT) E(EPROTONOSUPPORT) E(ESOCKTNOSUPPORT) E(EOPNOTSUPP) E(EPFNOSUPPORT) E(EAFNOSUPPORT)
		E(EADDRINUSE) E(EADDRNOTAVAIL) E(ENOTCONN) E(EISCONN) E(ECONNREFUSED) E(ECONNRESET) E(ETIMEDOUT)
		E(EALREADY) E(EINPROGRESS) E(EOWNERDEAD) E(ENOTRECOVERABLE) E(ECANCELED) E(ESTALE) E(ETOOMANYREFS)
		E(ENOBUFS) E(EPROTO) E(EBADMSG)
#undef E
	}
	snprintf(b, sizeof b, "errno %d", e);
	return b;
}

// say prints a line of what was observed.
__attribute__((format(printf, 1, 2))) static inline void say(const char *f, ...)
{
	va_list a;
	va_start(a, f);
	printf("  ");
	vprintf(f, a);
	printf("\n");
	fflush(stdout);
	va_end(a);
}

// see prints the result of a call: its value, or the name of its errno if it is -1.
static inline long see_at(const char *what, long r)
{
	int e = errno;
	if (r == -1)
		say("%s: -1 %s", what, errno_name(e));
	else
		say("%s: %ld", what, r);
	errno = e;
	return r;
}
#define see(what, call) (errno = 0, see_at(what, (long)(call)))
// ok prints only whether a call worked: for results that differ from run to run.
#define ok(what, call)                                                         \
	({                                                                     \
		errno = 0;                                                     \
		long r_ = (long)(call);                                        \
		if (r_ == -1)                                                  \
			say("%s: -1 %s", what, errno_name(errno));             \
		else                                                           \
			say("%s: ok", what);                                   \
		r_;                                                            \
	})
// need ends the case if something that it builds on fails.
#define need(call)                                                             \
	({                                                                     \
		errno = 0;                                                     \
		long r_ = (long)(call);                                        \
		if (r_ == -1) {                                                \
			say("needs " #call ": %s", errno_name(errno));         \
			exit(9);                                               \
		}                                                              \
		r_;                                                            \
	})

// say_status prints a wait status.
static inline void say_status(const char *what, int st)
{
	if (WIFEXITED(st))
		say("%s: exited %d", what, WEXITSTATUS(st));
	else if (WIFSIGNALED(st))
		say("%s: killed by signal %d", what, WTERMSIG(st));
	else if (WIFSTOPPED(st))
		say("%s: stopped by signal %d", what, WSTOPSIG(st));
	else if (WIFCONTINUED(st))
		say("%s: continued", what);
}

// reap waits for a child and prints how it ended.
static inline void reap(const char *what, pid_t p)
{
	int st;
	pid_t r;
	do
		r = waitpid(p, &st, 0);
	while (r == -1 && errno == EINTR);
	if (r == -1)
		say("%s: waitpid: %s", what, errno_name(errno));
	else
		say_status(what, st);
}

static inline void msleep(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}

static void case_one(struct case_entry *c)
{
	char dir[64];
	snprintf(dir, sizeof dir, "case.%s", c->name);
	printf("== %s\n", c->name);
	fflush(stdout);
	pid_t p = fork();
	if (p == 0) {
		setpgid(0, 0);
		mkdir(dir, 0755);
		if (chdir(dir) == -1)
			_exit(99);
		alarm(20);
		c->run();
		fflush(stdout);
		_exit(0);
	}
	int st;
	while (waitpid(p, &st, 0) == -1 && errno == EINTR)
		;
	kill(-p, SIGKILL); // whatever the case left
	if (!WIFEXITED(st) || WEXITSTATUS(st))
		say_status("the case", st);
	fflush(stdout);
}

// Whoever runs the tests may have left signals ignored or blocked, those of the C library (32, 33) included.
static void default_signals(void)
{
	unsigned long dfl[4] = {0}, none = 0;
	for (int s = 1; s <= 64; s++)
		syscall(SYS_rt_sigaction, s, dfl, NULL, 8);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
}

int main(int argc, char **argv)
{
	umask(022);
	default_signals();
	for (struct case_entry *c = case_first; c; c = c->next)
		if (argc < 2 || !strcmp(argv[1], c->name))
			case_one(c);
	return 0;
}
#endif
