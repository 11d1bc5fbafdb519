// A guest that takes all it can get, in one way for each first argument. It prints how it was stopped; whatever it
// prints, the sandbox must go on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void limit(int resource, rlim_t n) {
	struct rlimit l = {n, n};
	if (setrlimit(resource, &l) != 0)
		perror("setrlimit");
}

static int fail(const char *what) {
	printf("%s: %s\n", what, strerrorname_np(errno));
	return 1;
}

// forks makes processes until it may not, and ends them.
static int forks(void) {
	static pid_t pid[100000];
	int n = 0;
	limit(RLIMIT_NPROC, 300);
	if (setuid(1234) != 0)
		return fail("setuid");
	while (n < 100000 && (pid[n] = fork()) >= 0)
		if (pid[n++] == 0)
			for (;;)
				pause();
	fail("fork");
	printf("%s\n", n > 250 && n < 301 ? "about as many as allowed" : "another number than allowed");
	for (int i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}

// bomb forks without end, from every process.
static int bomb(void) {
	signal(SIGCHLD, SIG_IGN);
	printf("ready\n");
	fflush(stdout);
	for (;;)
		if (fork() < 0)
			usleep(1000);
}

static int file(void) { return open("/etc/passwd", O_RDONLY); }
static int device(void) { return open("/dev/null", O_RDONLY); }
static int temporary(void) { return open("/tmp", O_TMPFILE | O_RDWR, 0600); }
static int pipes(void) { int p[2]; return pipe(p); }
static int sockets(void) { int p[2]; return socketpair(AF_UNIX, SOCK_STREAM, 0, p); }
static int event(void) { return eventfd(0, 0); }
static int poller(void) {
	int e = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	static int last = -1;
	if (e >= 0 && last >= 0)
		epoll_ctl(e, EPOLL_CTL_ADD, last, &ev); // fails where chains of epolls get too long
	last = e;
	return e;
}
static int ticker(void) {
	int t = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec every = {{0, 50000000}, {0, 1}};
	if (t >= 0)
		timerfd_settime(t, 0, &every, NULL);
	return t;
}
static int memory(void) { return memfd_create("greedy", 0); }
static int signals(void) { sigset_t s; sigfillset(&s); return signalfd(-1, &s, 0); }
static int watcher(void) {
	int i = inotify_init1(0);
	if (i >= 0)
		inotify_add_watch(i, "/tmp", IN_ALL_EVENTS);
	return i;
}

// opens makes descriptors until it may not.
static int opens(const char *what) {
	static const struct { const char *name; int (*open)(void); } kinds[] = {
		{"file", file}, {"device", device}, {"temporary", temporary}, {"pipes", pipes}, {"sockets", sockets}, {"event", event},
		{"poller", poller}, {"ticker", ticker}, {"memory", memory}, {"signals", signals}, {"watcher", watcher},
	};
	limit(RLIMIT_NOFILE, 20000);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
		if (strcmp(kinds[k].name, what) == 0) {
			for (int n = 0; n < 30000; n++)
				if (kinds[k].open() < 0) {
					fail(what);
					return 0;
				}
			printf("no end of %s\n", what);
			return 1;
		}
	return 2;
}

// maps takes memory until there is none.
static int maps(void) {
	size_t size = 16 << 20;
	for (int n = 0; n < 1 << 20; n++) {
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			fail("mmap");
			return 0;
		}
		memset(p, 1, size);
	}
	return 1;
}

// fills writes a file until there is no room.
static int fills(void) {
	static char b[1 << 20];
	int fd = open("/dev/shm/greedy", O_CREAT | O_RDWR, 0600);
	for (int n = 0; n < 1 << 20; n++)
		if (write(fd, b, sizeof b) < 0) {
			fail("write");
			unlink("/dev/shm/greedy");
			return 0;
		}
	return 1;
}

// regions makes mappings that cannot be joined until it may not.
static int regions(void) {
	char *p = mmap(NULL, 4096L * 200000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return fail("mmap");
	for (long n = 0; n < 200000; n += 2)
		if (mprotect(p + 4096 * n, 4096, PROT_READ) != 0) {
			fail("mprotect");
			return 0;
		}
	return 1;
}

// queue sends itself signals that it blocks until no more may wait.
static int queue(void) {
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	limit(RLIMIT_SIGPENDING, 5000);
	union sigval v = {0};
	for (int n = 0; n < 1000000; n++)
		if (sigqueue(getpid(), SIGRTMIN + n % 8, v) != 0) {
			fail("sigqueue"); // how many fit depends on the user's other processes
			return 0;
		}
	return 1;
}

static volatile sig_atomic_t got;
static void count(int sig) { got++; }

// flood lets processes send signals to one that handles them, as fast as they can.
static int flood(void) {
	signal(SIGUSR1, count);
	signal(SIGRTMIN, count);
	pid_t me = getpid(), child[4];
	for (int i = 0; i < 4; i++)
		if ((child[i] = fork()) == 0) {
			for (int n = 0; n < 20000; n++)
				kill(me, n % 2 ? SIGUSR1 : SIGRTMIN);
			_exit(0);
		}
	int left = 4;
	while (left > 0) {
		pid_t p = wait(NULL);
		if (p > 0)
			left--;
	}
	printf("%s\n", got > 0 ? "some came" : "none came");
	return 0;
}

// deep makes directories in directories.
static int deep(void) {
	char name[201];
	memset(name, 'd', 200);
	name[200] = 0;
	if (chdir("/tmp") != 0)
		return fail("chdir");
	int n = 0;
	for (; n < 2000; n++)
		if (mkdir(name, 0700) != 0 || chdir(name) != 0) {
			fail("mkdir");
			break;
		}
	static char cwd[1 << 20];
	if (getcwd(cwd, sizeof cwd) == NULL)
		fail("getcwd");
	while (n-- > 0)
		if (chdir("..") != 0 || rmdir(name) != 0)
			return fail("rmdir");
	printf("gone again\n");
	return 0;
}

// arguments executes a program with ever more arguments.
static int arguments(void) {
	static char one[140000];
	memset(one, 'a', sizeof one - 1);
	char *few[] = {"true", one, NULL};
	execv("/bin/true", few);
	fail("one long argument");
	static char *many[100001];
	one[100] = 0;
	for (int i = 0; i < 100000; i++)
		many[i] = one;
	execv("/bin/true", many);
	fail("many arguments");
	many[15000] = NULL;
	fflush(stdout);
	execv("/bin/true", many);
	return fail("some arguments");
}

static pthread_barrier_t all;
static void *meet(void *arg) { pthread_barrier_wait(&all); return NULL; }

// threads makes 10,000 of them that all live at once.
static int threads(void) {
	enum { N = 10000 };
	static pthread_t id[N];
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	pthread_barrier_init(&all, NULL, N + 1);
	for (int i = 0; i < N; i++)
		if ((errno = pthread_create(&id[i], &a, meet, NULL)) != 0) {
			fail("pthread_create");
			return 0;
		}
	pthread_barrier_wait(&all);
	for (int i = 0; i < N; i++)
		pthread_join(id[i], NULL);
	printf("all met\n");
	return 0;
}

int main(int argc, char **argv) {
	const char *what = argc > 1 ? argv[1] : "";
	static const struct { const char *name; int (*run)(void); } ways[] = {
		{"forks", forks}, {"bomb", bomb}, {"maps", maps}, {"fills", fills}, {"regions", regions}, {"queue", queue}, {"flood", flood},
		{"deep", deep}, {"arguments", arguments}, {"threads", threads},
	};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (strcmp(ways[i].name, what) == 0)
			return ways[i].run();
	return opens(what);
}
