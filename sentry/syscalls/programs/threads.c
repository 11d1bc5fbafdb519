#define _GNU_SOURCE
#include <pthread.h>
#include "common.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <sys/mman.h>
#define FUTEX_OP(op, oparg, cmp, cmparg) (((op & 0xf) << 28) | ((cmp & 0xf) << 24) | ((oparg & 0xfff) << 12) | (cmparg & 0xfff))
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static int count, ready;
static void *work(void *x) {
	for (int i = 0; i < 2000; i++) { pthread_mutex_lock(&m); count++; pthread_mutex_unlock(&m); }
	pthread_mutex_lock(&m);
	while (!ready) pthread_cond_wait(&cv, &m);
	pthread_mutex_unlock(&m);
	return x;
}
static int fut(int *u, int op, int v, void *t, int *u2, int v3) { return syscall(SYS_futex, u, op, v, t, u2, v3); }
static int word, word2;
static void *waiter(void *x) { return (void *)(long)fut(&word, 128, 0, 0, 0, 0); }
static void *exiter(void *x) { syscall(SYS_exit, 3); return 0; }
static void *execer(void *x) { char **argv = x; execl(argv[0], argv[0], "exec'd", (char *)0); return 0; }
static pthread_mutex_t pi, rob;
static void *piw(void *x) { long r = pthread_mutex_lock(&pi); if (!r) pthread_mutex_unlock(&pi); return (void *)r; }
static void *robw(void *x) { pthread_mutex_lock(&rob); return 0; }
int main(int argc, char **argv) {
	setbuf(stdout, 0);
	if (argc > 1) { printf("%s pid==tid %d\n", argv[1], getpid() == (int)syscall(SYS_gettid)); return 0; }
	pthread_t t[8];
	for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, work, (void *)(long)i);
	usleep(10000);
	pthread_mutex_lock(&m); ready = 1; pthread_cond_broadcast(&cv); pthread_mutex_unlock(&m);
	long sum = 0; void *r;
	for (int i = 0; i < 8; i++) { pthread_join(t[i], &r); sum += (long)r; }
	printf("count %d sum %ld\n", count, sum);
	struct timespec ts = {0, 10000000};
	pe("wait timeout", fut(&word, 0, 0, &ts, 0, 0));
	pe("wait value", fut(&word, 0, 1, &ts, 0, 0));
	pe("misaligned", fut((int *)((char *)&word + 1), 0, 0, &ts, 0, 0));
	pe("bad addr", fut((int *)16, 0, 0, &ts, 0, 0));
	pe("bad op", fut(&word, 77, 0, 0, 0, 0));
	pe("bitset 0", fut(&word, 9, 0, 0, 0, 0));
	for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, waiter, 0);
	usleep(150000);
	printf("requeue %d\n", fut(&word, 128 | 4, 1, (void *)10, &word2, 0));
	usleep(10000);
	printf("wake2 %d\n", fut(&word2, 128 | 1, 10, 0, 0, 0));
	for (int i = 0; i < 3; i++) { pthread_join(t[i], &r); printf("waiter %ld\n", (long)r); }
	word2 = 5;
	printf("wake_op %d", fut(&word, 128 | 5, 1, (void *)1, &word2, FUTEX_OP(1, 3, 0, 5)));
	printf(" word2 %d\n", word2);
	int *sh = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t p = fork();
	if (!p) { while (*(volatile int *)sh == 0) fut(sh, 0, 0, 0, 0, 0); _exit(*sh); }
	usleep(20000); *sh = 9; fut(sh, 1, 1, 0, 0, 0);
	int st; waitpid(p, &st, 0); printf("shared %d\n", WEXITSTATUS(st));
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a); pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	printf("pi init %d\n", pthread_mutex_init(&pi, &a));
	pthread_mutex_lock(&pi);
	for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, piw, 0);
	usleep(20000);
	pthread_mutex_unlock(&pi);
	for (int i = 0; i < 3; i++) { pthread_join(t[i], &r); printf("pi %ld\n", (long)r); }
	int w = 12345678;
	pe("unlock_pi not mine", fut(&w, 7, 0, 0, 0, 0));
	w = syscall(SYS_gettid);
	pe("lock_pi twice", fut(&w, 6, 0, 0, 0, 0));
	w = 30000000;
	pe("lock_pi dead owner", fut(&w, 6, 0, 0, 0, 0));
	pthread_mutexattr_init(&a); pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&rob, &a);
	pthread_create(&t[0], 0, robw, 0); pthread_join(t[0], 0);
	printf("robust %d\n", pthread_mutex_lock(&rob));
	printf("consistent %d %d\n", pthread_mutex_consistent(&rob), pthread_mutex_unlock(&rob));
	p = fork();
	if (!p) { pthread_create(&t[0], 0, execer, argv); for (;;) pause(); }
	waitpid(p, &st, 0);
	printf("exec from thread %x\n", st);
	p = fork();
	if (!p) { pthread_create(&t[0], 0, waiter, 0); pthread_create(&t[1], 0, waiter, 0); usleep(5000); syscall(SYS_exit_group, 6); }
	waitpid(p, &st, 0);
	printf("exit_group %x\n", st);
	p = fork();
	if (!p) { pthread_create(&t[0], 0, exiter, 0); usleep(5000); syscall(SYS_exit, 4); }
	waitpid(p, &st, 0);
	printf("leader last %x\n", st);
	return 0;
}
