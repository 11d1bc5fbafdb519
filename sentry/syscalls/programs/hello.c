#include "common.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
#include <errno.h>
int main(int argc, char **argv) {
	printf("hello %d %s %s\n", argc, getenv("A"), argc > 1 ? argv[1] : "-");
	fflush(stdout);
	if (argc > 1) return 7;
	int st;
	pid_t p = fork();
	if (p == 0) {
		execl(argv[0], argv[0], "again", (char *)0);
		_exit(99);
	}
	printf("wait %d", waitpid(p, &st, 0) == p);
	printf(" exited %d code %d\n", WIFEXITED(st), WEXITSTATUS(st));
	p = vfork();
	if (p == 0) _exit(3);
	waitpid(p, &st, 0);
	printf("vfork code %d\n", WEXITSTATUS(st));
	pe("no child", wait(&st));
	return 42;
}
