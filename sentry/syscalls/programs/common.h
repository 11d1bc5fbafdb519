#include <stdio.h>
#include <errno.h>
/* pe prints what a call returned, and errno if it failed. */
static inline long pe(const char *what, long r) {
	int e = errno;
	printf("%s %ld %d\n", what, r, r < 0 ? e : 0);
	return r;
}
