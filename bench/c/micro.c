// micro NAME [ARG]: one measurement; prints nanoseconds per operation.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

#define LOOP(n, body)                                                          \
	do {                                                                   \
		for (long i = 0; i < (n) / 10 + 1; i++) {                      \
			body;                                                  \
		}                                                              \
		double t0 = now();                                             \
		for (long i = 0; i < (n); i++) {                               \
			body;                                                  \
		}                                                              \
		printf("%.1f\n", (now() - t0) / (n));                          \
	} while (0)

static void pingpong(long n)
{
	int a[2], b[2];
	char c = 0;
	if (pipe(a) || pipe(b))
		die("pipe");
	pid_t p = fork();
	if (p == 0) {
		close(a[1]);
		while (read(a[0], &c, 1) == 1)
			if (write(b[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	LOOP(n, if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1) die("pingpong"));
	close(a[1]);
	wait(NULL);
}

static void forkwait(void)
{
	pid_t p = fork();
	if (p == 0)
		_exit(0);
	if (p < 0 || waitpid(p, NULL, 0) != p)
		die("fork");
}

static void vforkexec(void)
{
	static char *argv[] = {"/bin/true", NULL}, *envp[] = {NULL};
	pid_t p = vfork();
	if (p == 0) {
		execve("/bin/true", argv, envp);
		_exit(127);
	}
	if (p < 0 || waitpid(p, NULL, 0) != p)
		die("vfork");
}

static void *spin(void *arg)
{
	volatile unsigned long x = 0;
	for (long i = 0; i < 600000000L; i++)
		x += i;
	return arg;
}

int main(int argc, char **argv)
{
	const char *w = argc > 1 ? argv[1] : "";
	char b[4096];
	if (!strcmp(w, "getppid"))
		LOOP(1000000, getppid());
	else if (!strcmp(w, "getpid"))
		LOOP(1000000, syscall(SYS_getpid));
	else if (!strcmp(w, "contended"))
		LOOP(atol(argv[2]), getppid());
	else if (!strcmp(w, "pipe")) {
		int p[2];
		if (pipe(p))
			die("pipe");
		LOOP(200000, if (write(p[1], b, 1) != 1 || read(p[0], b, 1) != 1) die("pipe"));
	} else if (!strcmp(w, "pingpong"))
		pingpong(20000);
	else if (!strcmp(w, "pread")) {
		int fd = open("/usr/bin/perl", O_RDONLY);
		if (fd < 0)
			die("open");
		LOOP(200000, if (pread(fd, b, 4096, 8192) != 4096) die("pread"));
	} else if (!strcmp(w, "openclose"))
		LOOP(100000, int fd = open("/usr/bin/perl", O_RDONLY); if (fd < 0 || close(fd)) die("open"));
	else if (!strcmp(w, "stat")) {
		struct stat st;
		LOOP(200000, if (stat("/usr/bin/perl", &st)) die("stat"));
	} else if (!strcmp(w, "fork"))
		LOOP(500, forkwait());
	else if (!strcmp(w, "exec"))
		LOOP(200, vforkexec());
	else if (!strcmp(w, "touch")) {
		size_t n = 64 << 20;
		double t0 = now();
		char *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED)
			die("mmap");
		for (size_t i = 0; i < n; i += 4096)
			m[i] = 1;
		printf("%.1f\n", (now() - t0) / (n / 4096));
	} else if (!strcmp(w, "files")) {
		char name[64], dir[] = "/tmp/bench.XXXXXX";
		if (!mkdtemp(dir) || chdir(dir))
			die("mkdtemp");
		double t0 = now();
		for (int i = 0; i < 2000; i++) {
			snprintf(name, sizeof name, "f%d", i);
			int fd = open(name, O_CREAT | O_WRONLY, 0644);
			if (fd < 0 || write(fd, b, 100) != 100 || close(fd))
				die("create");
		}
		printf("%.1f\n", (now() - t0) / 2000);
		for (int i = 0; i < 2000; i++) {
			snprintf(name, sizeof name, "f%d", i);
			unlink(name);
		}
		rmdir(dir);
	} else if (!strcmp(w, "cpu")) {
		pthread_t t;
		double t0 = now();
		pthread_create(&t, NULL, spin, NULL);
		spin(NULL);
		pthread_join(t, NULL);
		printf("%.1f\n", now() - t0);
	} else {
		fprintf(stderr, "micro: no measurement %s\n", w);
		return 1;
	}
	return 0;
}
