#include "case.h"

static long get(void *b, size_t n, unsigned f) { return syscall(SYS_getrandom, b, n, f); }

CASE(getrandom_flags)
{
	unsigned char b[300];
	see("plain", get(b, 256, 0));
	see("more", get(b, 300, 0));
	see("nonblock", get(b, 16, 1));
	see("random", get(b, 16, 2));
	see("both", get(b, 16, 3));
	see("insecure", get(b, 16, 4));
	see("random and insecure", get(b, 16, 6));
	see("unknown", get(b, 16, 8));
	see("unknown, bad pointer", get((void *)1, 16, 8));
	see("bad pointer", get((void *)1, 16, 0));
	see("none", get((void *)1, 0, 0));
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + 4096, 4096);
	see("over the end of a page", get(p + 4000, 200, 0));
	see("read-only", (mprotect(p, 4096, PROT_READ), get(p, 10, 0)));
}

CASE(random_bytes_vary)
{
	unsigned char a[64], b[64] = {0};
	see("get", get(a, 64, 0));
	see("get", get(b, 64, 0));
	say("differ: %d", memcmp(a, b, 64) != 0);
	int bits = 0;
	for (int i = 0; i < 64; i++)
		bits += __builtin_popcount(a[i] ^ b[i]);
	say("about half of the bits: %d", bits > 150 && bits < 362);
	pid_t p = need(fork());
	if (!p)
		_exit(0);
	reap("child", p);
	static unsigned char big[1 << 20];
	see("a megabyte", get(big, sizeof big, 0));
	int zero = 0;
	for (int i = 0; i < sizeof big; i++)
		zero += big[i] == 0;
	say("zeros are about 4096: %d", zero > 3000 && zero < 5200);
}

CASE(random_devices)
{
	char b[100];
	const char *n[] = {"/dev/random", "/dev/urandom"};
	for (int i = 0; i < 2; i++) {
		struct stat st;
		int fd = need(open(n[i], O_RDWR));
		fstat(fd, &st);
		say("mode %o device %lx", st.st_mode & (S_IFMT | 0666), (long)st.st_rdev);
		see("read", read(fd, b, sizeof b));
		see("write", write(fd, b, sizeof b));
		see("bad pointer", read(fd, (void *)1, 10));
		see("seek", lseek(fd, 5, SEEK_SET));
		struct pollfd p = {fd, POLLIN | POLLOUT};
		see("poll", poll(&p, 1, 0));
		say("%x", p.revents);
	}
	int fd = need(open("/dev/zero", O_RDWR));
	b[0] = 1;
	see("zero", read(fd, b, 10));
	say("%d", b[0]);
	fd = need(open("/dev/full", O_RDWR));
	see("full: read", read(fd, b, 10));
	see("full: write", write(fd, b, 10));
	fd = need(open("/dev/null", O_RDWR));
	see("null: read", read(fd, b, 10));
	see("null: write", write(fd, b, 10));
	see("null: write of a bad pointer", write(fd, (void *)1, 10));
}
