#include "case.h"
#include <pthread.h>
#include <semaphore.h>
#include <sys/prctl.h>

static pid_t tid(void) { return syscall(SYS_gettid); }
static volatile int flag, counter;

static pthread_t start(void *(*f)(void *), void *a)
{
	pthread_t t;
	int e = pthread_create(&t, NULL, f, a);
	if (e) {
		say("pthread_create: %s", errno_name(e));
		exit(9);
	}
	return t;
}
static void await(volatile int *p, int v)
{
	while (*p != v)
		msleep(1);
}

static void *answer(void *a) { return (char *)a + 1; }
CASE(create_and_join)
{
	void *r;
	pthread_t t[8];
	for (long i = 0; i < 8; i++)
		t[i] = start(answer, (void *)(i * 10));
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &r);
		say("%ld", (long)r);
	}
}

static void *ids(void *a)
{
	say("same process %d, own tid %d, same group %d", getpid() == *(pid_t *)a, tid() != getpid(), getpgrp() == getpid());
	say("own sid %d", getsid(tid()) == getsid(0));
	say("kill by tid reaches the process: %d", kill(tid(), 0));
	return NULL;
}
CASE(thread_ids)
{
	pid_t p = getpid();
	say("leader's tid is the pid: %d", tid() == p);
	pthread_join(start(ids, &p), NULL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *add(void *a)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		counter = counter + 1;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}
CASE(mutex_excludes)
{
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		t[i] = start(add, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	say("%d", counter);
}

static void *trylock(void *a)
{
	struct timespec t = {1, 0};
	say("trylock elsewhere: %s", errno_name(pthread_mutex_trylock(a)));
	say("timedlock: %s", errno_name(pthread_mutex_timedlock(a, &t)));
	return NULL;
}
CASE(mutex_kinds)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&m, &a);
	say("lock %d", pthread_mutex_lock(&m));
	say("again: %s", errno_name(pthread_mutex_lock(&m)));
	pthread_join(start(trylock, &m), NULL);
	say("unlock %d", pthread_mutex_unlock(&m));
	say("unlock again: %s", errno_name(pthread_mutex_unlock(&m)));
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&m, &a);
	say("recursive %d", pthread_mutex_lock(&m));
	say("again %d", pthread_mutex_lock(&m));
	say("unlock %d", pthread_mutex_unlock(&m));
	pthread_join(start(trylock, &m), NULL);
	say("unlock %d", pthread_mutex_unlock(&m));
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&m, &a);
	say("inheriting %d", pthread_mutex_lock(&m));
	pthread_join(start(trylock, &m), NULL);
	say("unlock %d", pthread_mutex_unlock(&m));
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static void *consume(void *a)
{
	pthread_mutex_lock(&mutex);
	for (int want = 1; want <= 1000; want++) {
		while (counter != want)
			pthread_cond_wait(&cond, &mutex);
		flag += want;
		counter = 0;
		pthread_cond_signal(&done);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}
CASE(condition_hands_over)
{
	pthread_t t = start(consume, NULL);
	for (int i = 1; i <= 1000; i++) {
		pthread_mutex_lock(&mutex);
		while (counter)
			pthread_cond_wait(&done, &mutex);
		counter = i;
		pthread_cond_signal(&cond);
		pthread_mutex_unlock(&mutex);
	}
	pthread_join(t, NULL);
	say("sum %d", flag);
	struct timespec past = {1, 0};
	pthread_mutex_lock(&mutex);
	say("timed out: %s", errno_name(pthread_cond_timedwait(&cond, &mutex, &past)));
	say("holds it again: %s", errno_name(pthread_mutex_trylock(&mutex)));
}

static void *waits(void *a)
{
	pthread_mutex_lock(&mutex);
	counter++;
	while (!flag)
		pthread_cond_wait(&cond, &mutex);
	counter--;
	pthread_mutex_unlock(&mutex);
	return NULL;
}
CASE(condition_broadcast)
{
	pthread_t t[6];
	for (int i = 0; i < 6; i++)
		t[i] = start(waits, NULL);
	await(&counter, 6);
	pthread_mutex_lock(&mutex);
	flag = 1;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	say("left %d", counter);
}

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static void *rwtry(void *a)
{
	say("read: %s", errno_name(pthread_rwlock_tryrdlock(&rw)));
	say("write: %s", errno_name(pthread_rwlock_trywrlock(&rw)));
	return NULL;
}
CASE(rwlock_admits)
{
	pthread_rwlock_rdlock(&rw);
	pthread_join(start(rwtry, NULL), NULL);
	pthread_rwlock_unlock(&rw);
	pthread_rwlock_unlock(&rw);
	pthread_rwlock_wrlock(&rw);
	pthread_join(start(rwtry, NULL), NULL);
}

static pthread_barrier_t barrier;
static void *phases(void *a)
{
	long serial = 0;
	for (int i = 0; i < 50; i++) {
		__sync_fetch_and_add(&counter, 1);
		serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
		if (counter != (i + 1) * 3)
			flag = 1;
		serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
	}
	return (void *)serial;
}
CASE(barrier_keeps_step)
{
	pthread_t t[3];
	long sum = 0;
	pthread_barrier_init(&barrier, NULL, 3);
	for (int i = 0; i < 3; i++)
		t[i] = start(phases, NULL);
	for (int i = 0; i < 3; i++) {
		void *r;
		pthread_join(t[i], &r);
		sum += (long)r;
	}
	say("serial threads %ld, out of step %d", sum, flag);
}

static __thread int local = 7;
static pthread_key_t key;
static void destroy(void *a) { say("destructor of %s", (char *)a); }
static void *tls(void *a)
{
	say("starts with %d", local);
	local = 99;
	pthread_setspecific(key, "the thread");
	return &local;
}
CASE(thread_local_storage)
{
	pthread_key_create(&key, destroy);
	local = 8;
	pthread_join(start(tls, NULL), NULL);
	pthread_join(start(tls, NULL), NULL);
	say("mine %d, specific %d", local, pthread_getspecific(key) != NULL);
}

static void cleaned(void *a) { say("cleanup %s", (char *)a); }
static void *cancelled(void *a)
{
	pthread_cleanup_push(cleaned, "outer");
	pthread_cleanup_push(cleaned, "inner");
	flag = 1;
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}
CASE(cancel_runs_cleanup)
{
	void *r;
	pthread_t t = start(cancelled, NULL);
	await(&flag, 1);
	int e = pthread_cancel(t);
	pthread_join(t, &r);
	say("cancel %d", e);
	say("cancelled: %d", r == PTHREAD_CANCELED);
}

static void *late(void *a)
{
	char c;
	read(*(int *)a, &c, 1);
	say("the last thread ends");
	return NULL;
}
CASE(leader_exits_first)
{
	int g[2], st;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		start(late, g);
		syscall(SYS_exit, 3); // the leader only
	}
	char n[64], s = 0, *e;
	snprintf(n, sizeof n, "/proc/%d/stat", p);
	while (s != 'Z') {
		char b[512] = "";
		int fd = need(open(n, O_RDONLY));
		read(fd, b, sizeof b - 1);
		close(fd);
		if ((e = strrchr(b, ')')))
			s = e[2];
		msleep(1);
	}
	see("a zombie that is not dead", waitpid(p, &st, WNOHANG));
	see("kill 0", kill(p, 0));
	write(g[1], "x", 1);
	reap("process", p);
}

static void *exits(void *a)
{
	_exit(5);
}
CASE(exit_group_from_a_thread)
{
	pid_t p = need(fork());
	if (!p) {
		start(exits, NULL);
		for (;;)
			pause();
	}
	reap("process", p);
}

static void *crash(void *a)
{
	*(volatile int *)0 = 0;
	return NULL;
}
CASE(fault_in_a_thread_kills_all)
{
	pid_t p = need(fork());
	if (!p) {
		start(crash, NULL);
		for (;;)
			pause();
	}
	reap("process", p);
}

static volatile pid_t who;
static void note(int s)
{
	who = tid();
	counter++;
}
static void *target(void *a)
{
	*(volatile pid_t *)a = tid();
	while (!flag)
		pause();
	return NULL;
}
CASE(signals_to_one_thread)
{
	volatile pid_t t = 0;
	signal(SIGUSR1, note);
	signal(SIGUSR2, note);
	pthread_t p = start(target, (void *)&t);
	while (!t)
		msleep(1);
	see("tgkill", syscall(SYS_tgkill, getpid(), t, SIGUSR1));
	await(&counter, 1);
	say("the thread took it: %d", who == t);
	see("tkill", syscall(SYS_tkill, t, SIGUSR1));
	await(&counter, 2);
	say("the thread took it: %d", who == t);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &m, NULL);
	see("to the process", kill(getpid(), SIGUSR2));
	await(&counter, 3);
	say("the only one with it open: %d", who == t);
	see("wrong group", syscall(SYS_tgkill, 1, t, SIGUSR1));
	see("zero", syscall(SYS_tgkill, getpid(), 0, SIGUSR1));
	flag = 1;
	pthread_kill(p, SIGUSR1);
	pthread_join(p, NULL);
}

static void *pend(void *a)
{
	sigset_t m;
	sigpending(&m);
	say("thread: USR1 %d USR2 %d", sigismember(&m, SIGUSR1), sigismember(&m, SIGUSR2));
	return NULL;
}
CASE(pending_of_process_and_thread)
{
	sigset_t m;
	sigfillset(&m);
	pthread_sigmask(SIG_BLOCK, &m, NULL);
	syscall(SYS_tgkill, getpid(), tid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	sigpending(&m);
	say("leader: USR1 %d USR2 %d", sigismember(&m, SIGUSR1), sigismember(&m, SIGUSR2));
	pthread_join(start(pend, NULL), NULL);
}

static void *execs(void *a)
{
	execl("/bin/sh", "sh", "-c", "test $$ = $PID && echo '  keeps the pid'; set -- /proc/$$/task/*; echo \"  $# thread\"; exit 4", NULL);
	_exit(9);
}
CASE(exec_from_a_thread)
{
	pid_t p = need(fork());
	if (!p) {
		char b[32];
		snprintf(b, sizeof b, "%d", getpid());
		setenv("PID", b, 1);
		start(target, (void *)&who);
		start(execs, NULL);
		for (;;)
			pause();
	}
	reap("process", p);
}

static void *forks(void *a)
{
	pid_t p = need(fork());
	if (!p) {
		DIR *d = opendir("/proc/self/task");
		struct dirent *e;
		int n = 0;
		while ((e = readdir(d)))
			n += e->d_name[0] != '.';
		say("child has %d thread, is its leader: %d", n, tid() == getpid());
		_exit(0);
	}
	reap("child", p);
	return NULL;
}
CASE(fork_from_a_thread)
{
	pthread_join(start(forks, NULL), NULL);
}

CASE(waiting_for_another_threads_child)
{
	int st;
	pid_t p = need(fork());
	if (!p)
		_exit(2);
	pthread_t t = start(late, (int[]){open("/dev/null", O_RDONLY)});
	pthread_join(t, NULL);
	reap("child", p);
	see("with __WNOTHREAD", waitpid(-1, &st, __WNOTHREAD));
}

static int shares(void *a)
{
	counter++;
	chdir("/");
	close(*(int *)a);
	umask(0);
	return 3;
}
CASE(clone_sharing)
{
	static char stack[65536];
	char b[100];
	int g[2], st;
	need(pipe(g));
	pid_t p = need(clone(shares, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, g));
	reap("shares", p);
	say("memory %d, descriptors %d, directory %s, umask %o", counter, fcntl(g[0], F_GETFD), getcwd(b, sizeof b), umask(022));
	p = need(clone(shares, stack + sizeof stack, SIGCHLD, g + 1));
	reap("copies", p);
	say("memory %d, descriptors %d, umask %o", counter, fcntl(g[1], F_GETFD), umask(022));
	signal(SIGUSR2, SIG_IGN);
	p = need(clone(shares, stack + sizeof stack, SIGUSR2, g));
	see("plain wait", waitpid(p, &st, 0));
	see("__WCLONE", waitpid(p, &st, __WCLONE) == p);
	say_status("status", st);
}

CASE(clone_errors)
{
	see("thread without sighand", syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0));
	see("sighand without vm", syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
	see("newns with fs", syscall(SYS_clone, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0));
	see("newpid with thread", syscall(SYS_clone, CLONE_NEWPID | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0));
	see("newuser with fs", syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0));
	see("pidfd with parent_settid", syscall(SYS_clone, 0x1000 | CLONE_PARENT_SETTID, 0, &counter, 0, 0));
	see("pidfd with detached", syscall(SYS_clone, 0x1000 | CLONE_DETACHED, 0, &counter, 0, 0));
	unsigned long a[8] = {0};
	see("clone3 size", syscall(SYS_clone3, a, 8));
	see("clone3 NULL", syscall(SYS_clone3, NULL, 64));
	see("clone3 huge", syscall(SYS_clone3, a, 100000));
	a[0] = 1ul << 40;
	see("clone3 flags", syscall(SYS_clone3, a, 64));
	a[0] = 0;
	a[4] = 65;
	see("clone3 signal", syscall(SYS_clone3, a, 64));
	a[4] = 17;
	a[5] = 4096;
	see("clone3 stack without size", syscall(SYS_clone3, a, 64));
}

CASE(clone3_child)
{
	int pidfd = -1, tid = 0, ctid = 0, st;
	struct { uint64_t flags, pidfd, ctid, ptid, sig, stack, size, tls; } a = {0x1000 | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, (long)&pidfd, (long)&ctid, (long)&tid, SIGCHLD};
	pid_t p = need(syscall(SYS_clone3, &a, sizeof a));
	if (!p)
		_exit(ctid == getpid() ? 6 : 7);
	say("parent's tid %d, child's untouched here %d, pidfd %d", tid == p, ctid, fcntl(pidfd, F_GETFD));
	reap("child", p);
}

static int cleared(void *a) { return 0; }
CASE(clear_child_tid)
{
	static char stack[65536];
	volatile int t = 77;
	pid_t p = need(clone(cleared, stack + sizeof stack, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &t));
	reap("child", p);
	say("cleared: %d", t);
	see("set_tid_address", syscall(SYS_set_tid_address, &t) == tid());
}

static void *named(void *a)
{
	char b[16];
	prctl(PR_SET_NAME, "worker", 0, 0, 0);
	prctl(PR_GET_NAME, b, 0, 0, 0);
	say("thread %s", b);
	return NULL;
}
CASE(names_of_threads)
{
	char b[16];
	prctl(PR_SET_NAME, "leader", 0, 0, 0);
	pthread_join(start(named, NULL), NULL);
	prctl(PR_GET_NAME, b, 0, 0, 0);
	say("leader %s", b);
}

static void *credentials(void *a)
{
	syscall(SYS_setresuid, 1234, 1234, 1234);
	say("thread %d", (int)syscall(SYS_getuid));
	return NULL;
}
CASE(credentials_belong_to_threads)
{
	pthread_join(start(credentials, NULL), NULL);
	say("leader %d", (int)syscall(SYS_getuid));
}

static sem_t sem;
static void *posts(void *a)
{
	for (int i = 0; i < 100; i++)
		sem_post(&sem);
	return NULL;
}
CASE(semaphores)
{
	int v;
	sem_init(&sem, 0, 0);
	see("trywait", sem_trywait(&sem));
	pthread_t t = start(posts, NULL), u = start(posts, NULL);
	for (int i = 0; i < 200; i++)
		sem_wait(&sem);
	pthread_join(t, NULL);
	pthread_join(u, NULL);
	sem_getvalue(&sem, &v);
	say("left %d", v);
	struct timespec past = {1, 0};
	see("timedwait", sem_timedwait(&sem, &past));
}

static void *many(void *a)
{
	__sync_fetch_and_add(&counter, 1);
	await(&flag, 1);
	return NULL;
}
CASE(hundred_threads)
{
	pthread_t t[100];
	for (int i = 0; i < 100; i++)
		t[i] = start(many, NULL);
	await(&counter, 100);
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");
	int n = 0;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	say("tasks %d", n);
	flag = 1;
	for (int i = 0; i < 100; i++)
		pthread_join(t[i], NULL);
	say("all joined");
}

static void *blocked(void *a)
{
	char c;
	counter = 1;
	long r = read(*(int *)a, &c, 1);
	say("read: %ld", r);
	return NULL;
}
CASE(closing_does_not_wake_a_reader)
{
	int g[2];
	need(pipe(g));
	pthread_t t = start(blocked, g);
	await(&counter, 1);
	msleep(20);
	close(g[0]);
	write(g[1], "x", 1);
	pthread_join(t, NULL);
	signal(SIGPIPE, SIG_IGN);
	see("no reader now", write(g[1], "x", 1));
}
