// glibc only: musl has no linux/futex.h
#include "case.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>

static unsigned *word; // in shared memory, zero
static long futex(unsigned *a, int op, unsigned v, const void *t, unsigned *b, unsigned v3)
{
	return syscall(SYS_futex, a, op, v, t, b, v3);
}
static void setup(void)
{
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

// sleeping waits until the process p has nothing to do but wait.
static void sleeping(pid_t p)
{
	char n[64], b[512];
	snprintf(n, sizeof n, "/proc/%d/stat", p);
	for (;; msleep(2)) {
		int fd = open(n, O_RDONLY), r = fd < 0 ? 0 : read(fd, b, sizeof b - 1);
		close(fd);
		if (r <= 0)
			return;
		b[r] = 0;
		char *s = strrchr(b, ')');
		if (s && s[2] == 'S')
			return;
	}
}

static pid_t waiter(unsigned *a, int op, unsigned v, unsigned mask)
{
	pid_t p = need(fork());
	if (!p)
		_exit(futex(a, op, v, NULL, NULL, mask) == 0 ? 0 : 1);
	sleeping(p);
	return p;
}

CASE(futex_errors)
{
	setup();
	struct timespec t = {0, 1000000000}, u = {-1, 0}, z = {0, 0};
	see("value differs", futex(word, FUTEX_WAIT, 1, NULL, NULL, 0));
	see("odd address", futex((unsigned *)((char *)word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
	see("bad address", futex((unsigned *)16, FUTEX_WAIT, 0, NULL, NULL, 0));
	see("kernel address", futex((unsigned *)0xffffffff80000000, FUTEX_WAIT, 0, NULL, NULL, 0));
	see("nanoseconds", futex(word, FUTEX_WAIT, 0, &t, NULL, 0));
	see("nanoseconds first", futex(word, FUTEX_WAIT, 1, &t, NULL, 0));
	see("negative", futex(word, FUTEX_WAIT, 0, &u, NULL, 0));
	see("bad timeout", futex(word, FUTEX_WAIT, 0, (void *)1, NULL, 0));
	see("at once", futex(word, FUTEX_WAIT, 0, &z, NULL, 0));
	see("mask 0", futex(word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
	see("wake mask 0", futex(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
	see("unknown", futex(word, 99, 0, NULL, NULL, 0));
	see("FUTEX_FD", futex(word, FUTEX_FD, 0, NULL, NULL, 0));
	see("realtime flag on wake", futex(word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
	see("wake nobody", futex(word, FUTEX_WAKE, 1, NULL, NULL, 0));
	see("wake at a private bad address", futex((unsigned *)16, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	see("wake at a shared bad address", futex((unsigned *)16, FUTEX_WAKE, 1, NULL, NULL, 0));
	see("wake odd", futex((unsigned *)17, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
}

CASE(futex_timeouts)
{
	setup();
	struct timespec t = {0, 5000000}, a;
	see("relative", futex(word, FUTEX_WAIT, 0, &t, NULL, 0));
	see("relative, private", futex(word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &t, NULL, 0));
	see("absolute, past", futex(word, FUTEX_WAIT_BITSET, 0, &t, NULL, -1));
	clock_gettime(CLOCK_MONOTONIC, &a);
	long before = a.tv_sec * 1000000000 + a.tv_nsec;
	a.tv_nsec += 20000000;
	if (a.tv_nsec >= 1000000000)
		a.tv_sec++, a.tv_nsec -= 1000000000;
	see("absolute", futex(word, FUTEX_WAIT_BITSET, 0, &a, NULL, -1));
	clock_gettime(CLOCK_MONOTONIC, &a);
	say("not early: %d", a.tv_sec * 1000000000 + a.tv_nsec - before >= 20000000);
	clock_gettime(CLOCK_REALTIME, &a);
	see("realtime", futex(word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &a, NULL, -1));
}

CASE(futex_wakes_between_processes)
{
	setup();
	pid_t p = waiter(word, FUTEX_WAIT, 0, 0);
	word[0] = 1;
	see("wake", futex(word, FUTEX_WAKE, 1, NULL, NULL, 0));
	reap("waiter", p);
	pid_t k[3];
	for (int i = 0; i < 3; i++)
		k[i] = waiter(word, FUTEX_WAIT, 1, 0);
	see("wake 2", futex(word, FUTEX_WAKE, 2, NULL, NULL, 0));
	see("wake all", futex(word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
	for (int i = 0; i < 3; i++)
		reap("waiter", k[i]);
	see("nobody left", futex(word, FUTEX_WAKE, 1, NULL, NULL, 0));
}

CASE(futex_private_is_private)
{
	setup();
	pid_t p = waiter(word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, 0);
	see("private wake from outside", futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	see("shared wake", futex(word, FUTEX_WAKE, 1, NULL, NULL, 0));
	kill(p, SIGKILL);
	reap("waiter", p);
	p = waiter(word, FUTEX_WAIT, 0, 0);
	see("private wake of a shared wait", futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	kill(p, SIGKILL);
	reap("waiter", p);
}

CASE(futex_by_file_offset)
{
	int fd = need(open("f", O_CREAT | O_RDWR, 0600));
	need(ftruncate(fd, 8192));
	unsigned *a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned *b = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t p = waiter(a + 1025, FUTEX_WAIT, 0, 0);
	see("other offset", futex(b + 1, FUTEX_WAKE, 1, NULL, NULL, 0));
	see("other mapping", futex(b + 1025, FUTEX_WAKE, 1, NULL, NULL, 0));
	reap("waiter", p);
}

CASE(futex_bitset)
{
	setup();
	pid_t p = waiter(word, FUTEX_WAIT_BITSET, 0, 4), q = waiter(word, FUTEX_WAIT_BITSET, 0, 3), r = waiter(word, FUTEX_WAIT, 0, 0);
	see("mask 8", futex(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 8));
	reap("plain wait matches all", r);
	see("mask 2", futex(word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 2));
	reap("mask 3", q);
	see("plain wake", futex(word, FUTEX_WAKE, 1, NULL, NULL, 0));
	reap("mask 4", p);
}

CASE(futex_requeue)
{
	setup();
	pid_t k[3];
	for (int i = 0; i < 3; i++)
		k[i] = waiter(word, FUTEX_WAIT, 0, 0);
	see("wake 1, requeue 1", futex(word, FUTEX_REQUEUE, 1, (void *)1, word + 1, 0));
	see("on the second", futex(word + 1, FUTEX_WAKE, 9, NULL, NULL, 0));
	see("cmp differs", futex(word, FUTEX_CMP_REQUEUE, 0, (void *)9, word + 1, 5));
	see("cmp equal", futex(word, FUTEX_CMP_REQUEUE, 0, (void *)9, word + 1, 0));
	see("first is empty", futex(word, FUTEX_WAKE, 9, NULL, NULL, 0));
	see("second", futex(word + 1, FUTEX_WAKE, 9, NULL, NULL, 0));
	for (int i = 0; i < 3; i++)
		reap("waiter", k[i]);
	see("negative wake", futex(word, FUTEX_REQUEUE, -1, (void *)1, word + 1, 0));
	see("negative requeue", futex(word, FUTEX_REQUEUE, 1, (void *)-1, word + 1, 0));
	see("bad second", futex(word, FUTEX_REQUEUE, 1, (void *)1, (unsigned *)16, 0));
	see("odd second", futex(word, FUTEX_REQUEUE, 1, (void *)1, (unsigned *)17, 0));
}

CASE(futex_wake_op)
{
	setup();
	word[1] = 5;
	see("set, none match", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 4)));
	say("%u", word[1]);
	see("add", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 4)));
	say("%u", word[1]);
	see("or", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_OR, 3, FUTEX_OP_CMP_NE, 4)));
	say("%u", word[1]);
	see("andn", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_ANDN, 2, FUTEX_OP_CMP_LE, 4)));
	say("%u", word[1]);
	see("xor with shift", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_XOR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GE, 4)));
	say("%u", word[1]);
	see("add negative", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_ADD, 0xfff, FUTEX_OP_CMP_LT, 4)));
	say("%u", word[1]);
	see("unknown operation", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(7, 1, FUTEX_OP_CMP_LT, 4)));
	see("unknown comparison", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_SET, 1, 9, 4)));
	pid_t p = waiter(word, FUTEX_WAIT, 0, 0), q = waiter(word + 2, FUTEX_WAIT, 0, 0);
	see("wakes the first only", futex(word, FUTEX_WAKE_OP, 9, (void *)9, word + 2, FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 1)));
	reap("first", p);
	see("wakes the second", futex(word, FUTEX_WAKE_OP, 9, (void *)9, word + 2, FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 0)));
	reap("second", q);
	say("%u", word[2]);
}

static void noop(int s) {}
CASE(futex_and_signals)
{
	setup();
	struct sigaction a = {.sa_handler = noop};
	struct itimerval it = {{0, 0}, {0, 30000}};
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	see("interrupted", futex(word, FUTEX_WAIT, 0, NULL, NULL, 0));
	a.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &a, NULL);
	struct timespec t = {0, 80000000};
	setitimer(ITIMER_REAL, &it, NULL);
	see("a handler with a timeout", futex(word, FUTEX_WAIT, 0, &t, NULL, 0));
	pid_t p = waiter(word, FUTEX_WAIT, 0, 0);
	kill(p, SIGSTOP);
	waitpid(p, NULL, WUNTRACED);
	kill(p, SIGCONT);
	msleep(5);
	sleeping(p);
	see("stopping does not end it", futex(word, FUTEX_WAKE, 1, NULL, NULL, 0));
	reap("waiter", p);
}

CASE(pi_lock_and_unlock)
{
	setup();
	struct timespec past = {1, 0};
	see("lock", futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	say("holds own tid: %d", word[0] == getpid());
	see("again", futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	see("trylock", futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	see("unlock", futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	say("%u", word[0]);
	see("unlock again", futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	see("trylock", futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	pid_t self = getpid(), p = need(fork());
	if (!p) {
		see("child unlocks", futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
		see("child tries", futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
		see("child times out", futex(word, FUTEX_LOCK_PI, 0, &past, NULL, 0));
		_exit(0);
	}
	reap("child", p);
	p = need(fork());
	if (!p) {
		if (futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) || (word[0] & FUTEX_TID_MASK) != getpid())
			_exit(1);
		_exit(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) ? 2 : 0);
	}
	while (!(*(volatile unsigned *)word & FUTEX_WAITERS))
		msleep(1);
	say("waiters, mine: %d", word[0] == (FUTEX_WAITERS | self));
	see("unlock", futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	reap("child got and released it", p);
	word[0] = 999999;
	see("owner does not exist", futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	see("bad address", futex((unsigned *)16, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
}

CASE(robust_list_errors)
{
	struct robust_list_head h = {{&h.list}, 0, NULL}, *g = NULL;
	size_t n = 0;
	see("size", syscall(SYS_set_robust_list, &h, 23));
	see("set", syscall(SYS_set_robust_list, &h, sizeof h));
	see("get", syscall(SYS_get_robust_list, 0, &g, &n));
	say("%d %zu", g == &h, n);
	see("nobody", syscall(SYS_get_robust_list, 999999, &g, &n));
	see("bad pointer", syscall(SYS_get_robust_list, 0, (void *)1, &n));
	see("unset", syscall(SYS_set_robust_list, NULL, sizeof h));
}

CASE(robust_list_at_death)
{
	setup();
	struct node { struct robust_list l; unsigned f; };
	struct node *n = (void *)(word + 64), *m = n + 1;
	pid_t p = need(fork());
	if (!p) {
		struct robust_list_head *h = (void *)(word + 128);
		h->list.next = &n->l;
		n->l.next = &m->l;
		m->l.next = &h->list;
		h->futex_offset = offsetof(struct node, f);
		h->list_op_pending = NULL;
		need(syscall(SYS_set_robust_list, h, sizeof *h));
		n->f = getpid() | FUTEX_WAITERS;
		m->f = 12345;
		word[0] = 1;
		for (;;)
			pause();
	}
	while (!*(volatile unsigned *)word)
		msleep(1);
	pid_t w = waiter(&n->f, FUTEX_WAIT, p | FUTEX_WAITERS, 0);
	kill(p, SIGKILL);
	reap("owner", p);
	reap("waiter", w);
	say("died %d, waiters %d, tid %d", !!(n->f & FUTEX_OWNER_DIED), !!(n->f & FUTEX_WAITERS), n->f & FUTEX_TID_MASK);
	say("somebody else's: %u", m->f);
}

CASE(robust_mutex_of_pthreads)
{
	pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(m, &a);
	pid_t p = need(fork());
	if (!p) {
		pthread_mutex_lock(m);
		_exit(0);
	}
	reap("child", p);
	say("lock: %s", errno_name(pthread_mutex_lock(m)));
	say("consistent: %d", pthread_mutex_consistent(m));
	say("unlock: %d", pthread_mutex_unlock(m));
	say("lock: %d", pthread_mutex_lock(m));
	say("unlock: %d", pthread_mutex_unlock(m));
}

CASE(requeue_pi_condition)
{
	// What glibc's condition variables with PI mutexes did: wait, to be moved to a PI lock.
	setup();
	pid_t p = need(fork());
	if (!p) {
		long r = futex(word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, word + 1, 0), own = (word[1] & FUTEX_TID_MASK) == getpid();
		_exit(r == 0 && own && futex(word + 1, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	}
	sleeping(p);
	see("lock", futex(word + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	see("value differs", futex(word, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, word + 1, 7));
	see("wake must be 1", futex(word, FUTEX_CMP_REQUEUE_PI, 2, (void *)0, word + 1, 0));
	see("requeue", futex(word, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, word + 1, 0));
	see("unlock", futex(word + 1, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	reap("waiter", p);
	see("same address", futex(word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, word, 0));
}

CASE(futex_waitv)
{
	setup();
	struct { unsigned long val, uaddr; unsigned flags, reserved; } w[2] = {{0, (long)word, 2, 0}, {0, (long)(word + 1), 2, 0}};
	struct timespec past = {0, 1};
	see("timeout", syscall(449, w, 2, 0, &past, CLOCK_MONOTONIC));
	see("none", syscall(449, w, 0, 0, NULL, CLOCK_MONOTONIC));
	see("too many", syscall(449, w, 129, 0, NULL, CLOCK_MONOTONIC));
	see("flags", syscall(449, w, 2, 1, NULL, CLOCK_MONOTONIC));
	see("clock", syscall(449, w, 2, 0, &past, CLOCK_BOOTTIME));
	see("bad pointer", syscall(449, 16, 2, 0, &past, CLOCK_MONOTONIC));
	w[1].val = 3;
	see("second differs", syscall(449, w, 2, 0, NULL, CLOCK_MONOTONIC));
	w[1].val = 0;
	w[1].reserved = 1;
	see("reserved", syscall(449, w, 2, 0, NULL, CLOCK_MONOTONIC));
	w[1].reserved = 0;
	pid_t p = need(fork());
	if (!p)
		_exit(syscall(449, w, 2, 0, NULL, CLOCK_MONOTONIC));
	sleeping(p);
	see("wake the second", futex(word + 1, FUTEX_WAKE, 1, NULL, NULL, 0));
	reap("index", p);
}
