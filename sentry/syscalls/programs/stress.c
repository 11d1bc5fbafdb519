#define _GNU_SOURCE
#include "common.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <unistd.h>
/* Everything at once: forks, execs, threads that exit in the middle, signals from all sides, stops. What it prints
   is the same however the races end. */
static char **args;
static volatile sig_atomic_t hits;
static void h(int s) { hits++; }
static void *forker(void *x) {
	for (int i = 0; i < 40; i++) {
		int st;
		pid_t p = fork();
		if (!p) {
			if (i % 3 == 0) { execl(args[0], args[0], "leaf", (char *)0); _exit(98); }
			if (i % 3 == 1) _exit(7);
			raise(SIGKILL);
		}
		if (waitpid(p, &st, 0) != p) return (void *)1;
		if (i % 3 != 2 ? !(WIFEXITED(st) && WEXITSTATUS(st) == 7) : !(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL)) { printf("bad status %x at %d\n", st, i); return (void *)2; }
	}
	return 0;
}
static void *spin(void *x) { for (;;) { syscall(SYS_getppid); } return 0; }
static void *nap(void *x) { for (;;) usleep(1000); return 0; }
static void *leave(void *x) { return 0; }
int main(int argc, char **argv) {
	setbuf(stdout, 0);
	args = argv;
	if (argc > 1) return 7;
	struct sigaction a = {0};
	a.sa_handler = h; a.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &a, 0); sigaction(SIGALRM, &a, 0);
	struct itimerval it = {{0, 1000}, {0, 1000}};
	pid_t me = getpid();
	pid_t flood = fork();
	if (!flood) for (;;) { kill(me, SIGUSR1); usleep(200); }
	setitimer(ITIMER_REAL, &it, 0);
	pthread_t t[4];
	void *r;
	for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, forker, 0);
	for (int i = 0; i < 4; i++) { pthread_join(t[i], &r); printf("forker %ld\n", (long)r); }
	memset(&it, 0, sizeof it);
	setitimer(ITIMER_REAL, &it, 0);
	kill(flood, SIGKILL);
	waitpid(flood, 0, 0);
	printf("hit %d\n", hits > 0);
	/* processes full of threads that die at once */
	for (int i = 0; i < 30; i++) {
		int st;
		pid_t p = fork();
		if (!p) {
			pthread_t x;
			pthread_create(&x, 0, spin, 0); pthread_create(&x, 0, nap, 0);
			for (int k = 0; k < 5; k++) pthread_create(&x, 0, leave, 0);
			pthread_create(&x, 0, spin, 0);
			if (i % 3 == 0) _exit(7);
			if (i % 3 == 1) { execl(args[0], args[0], "leaf", (char *)0); _exit(98); }
			for (;;) pause();
		}
		if (i % 3 == 2) {
			kill(p, SIGSTOP);
			waitpid(p, &st, WUNTRACED);
			if (!WIFSTOPPED(st)) printf("not stopped %x\n", st);
			kill(p, i % 2 ? SIGCONT : SIGKILL);
			kill(p, SIGTERM);
		}
		if (waitpid(p, &st, 0) != p) printf("lost %d\n", i);
		if (i % 3 != 2 ? st != 0x700 : st != SIGKILL && st != SIGTERM) printf("bad end %x at %d\n", st, i);
	}
	pe("nobody left", wait(0));
	return 0;
}
