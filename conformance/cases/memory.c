#include "case.h"
#include <setjmp.h>

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
enum { PAGE = 4096 };

static sigjmp_buf back;
static volatile int sig, code;
static void *volatile at;
static void fault(int s, siginfo_t *i, void *u)
{
	sig = s;
	code = i->si_code;
	at = i->si_addr;
	siglongjmp(back, 1);
}

// touch reads (w = 0) or writes p and prints what came of it, the address of a fault relative to base.
static void touch(const char *what, volatile char *p, int w, char *base)
{
	struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = fault};
	sigaction(SIGSEGV, &a, NULL);
	sigaction(SIGBUS, &a, NULL);
	if (!sigsetjmp(back, 1)) {
		if (w)
			*p = 'w';
		say("%s: %s %d", what, w ? "wrote" : "read", w ? 0 : *p);
	} else
		say("%s: signal %d code %d at +%ld", what, sig, code, (long)((char *)at - base));
}

static char *map(size_t n, int prot, int flags, int fd)
{
	char *p = mmap(NULL, n, prot, flags, fd, 0);
	if (p == MAP_FAILED) {
		say("mmap: %s", errno_name(errno));
		exit(9);
	}
	return p;
}

static int file(const char *n, long size)
{
	int fd = need(open(n, O_CREAT | O_RDWR | O_TRUNC, 0644));
	need(ftruncate(fd, size));
	return fd;
}

CASE(mmap_errors)
{
	int fd = file("f", PAGE), ro = need(open("f", O_RDONLY)), wo = need(open("f", O_WRONLY)), p[2];
	need(pipe(p));
	see("zero length", mmap(NULL, 0, RW, ANON, -1, 0));
	see("neither shared nor private", mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
	see("odd offset", mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 100));
	see("bad fd", mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0));
	see("bad fd and zero length", mmap(NULL, 0, RW, MAP_PRIVATE, -1, 0));
	see("pipe", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, p[0], 0));
	see("directory", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0));
	see("shared write of read-only", mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0));
	ok("private write of read-only", mmap(NULL, PAGE, RW, MAP_PRIVATE, ro, 0));
	see("write-only", mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0));
	see("write-only, private", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0));
	see("fixed and odd", mmap((void *)0x10000001, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	see("fixed beyond the end", mmap((void *)0x7ffffffff000, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0));
	see("wraps", mmap(NULL, -PAGE, RW, ANON, -1, 0));
	see("all ones", mmap(NULL, -1, RW, ANON, -1, 0));
	see("offset overflow", syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE));
	see("O_PATH", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("f", O_PATH), 0));
	see("unknown flag with validate", mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | 0x200000, fd, 0));
}

CASE(mmap_is_zero_and_writable)
{
	char *p = map(3 * PAGE, RW, ANON, -1);
	long sum = 0;
	for (int i = 0; i < 3 * PAGE; i++)
		sum += p[i];
	say("sum %ld", sum);
	memset(p, 1, 3 * PAGE);
	see("munmap the middle", munmap(p + PAGE, PAGE));
	say("%d %d", p[0], p[2 * PAGE]);
	touch("middle", p + PAGE + 5, 0, p);
	see("munmap all, with the hole", munmap(p, 3 * PAGE));
	touch("first", p, 1, p);
}

CASE(mmap_hint_and_fixed)
{
	char *p = map(8 * PAGE, PROT_NONE, ANON, -1);
	munmap(p, 8 * PAGE);
	say("hint is taken: %d", mmap(p, PAGE, RW, ANON, -1, 0) == p);
	say("taken hint moves: %d", mmap(p, PAGE, RW, ANON, -1, 0) != p);
	p[0] = 7;
	say("fixed: %d", mmap(p, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p);
	say("and is new: %d", p[0]);
	say("no replace where free: %d", mmap(p + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 4 * PAGE);
	see("no replace where taken", mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	see("no replace over the end", mmap(p + 3 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	char *q = mmap(p + 123, PAGE, RW, ANON, -1, 0);
	say("odd hint gives a page: %d", ((long)q & 4095) == 0);
	q = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	say("below 2 GB: %d", (unsigned long)q < 1ul << 31);
}

CASE(munmap_errors)
{
	char *p = map(PAGE, RW, ANON, -1);
	see("odd", munmap(p + 1, PAGE));
	see("zero", munmap(p, 0));
	see("wraps", munmap(p, -1));
	see("kernel", munmap((void *)0xffffffff80000000, PAGE));
	see("not mapped", (munmap(p, PAGE), munmap(p, PAGE)));
	see("NULL", munmap(NULL, PAGE));
	p = map(2 * PAGE, RW, ANON, -1);
	see("odd length is rounded up", munmap(p, 1));
	touch("first", p + PAGE - 1, 0, p);
	touch("second", p + PAGE, 0, p);
}

CASE(mprotect_changes_access)
{
	char *p = map(4 * PAGE, RW, ANON, -1);
	memset(p, 3, 4 * PAGE);
	see("read", mprotect(p + PAGE, PAGE, PROT_READ));
	touch("read it", p + PAGE, 0, p);
	touch("write it", p + PAGE, 1, p);
	see("none", mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
	touch("read none", p + 2 * PAGE + 8, 0, p);
	touch("write none", p + 2 * PAGE + 8, 1, p);
	see("back", mprotect(p, 4 * PAGE, RW));
	touch("kept", p + 2 * PAGE + 8, 0, p);
	touch("write again", p + PAGE, 1, p);
}

CASE(mprotect_errors)
{
	char *p = map(3 * PAGE, RW, ANON, -1);
	int ro;
	see("odd", mprotect(p + 1, PAGE, RW));
	see("zero length", mprotect(p, 0, RW));
	see("bad prot", mprotect(p, PAGE, 0x40));
	see("wraps", mprotect(p, -PAGE, RW));
	see("grows both", mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
	see("grows down elsewhere", mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN));
	munmap(p + PAGE, PAGE);
	see("hole", mprotect(p, 3 * PAGE, PROT_READ));
	touch("before the hole changed", p, 1, p);
	touch("behind did not", p + 2 * PAGE, 1, p);
	file("f", PAGE);
	need(ro = open("f", O_RDONLY));
	p = map(PAGE, PROT_READ, MAP_SHARED, ro);
	see("write to a read-only file", mprotect(p, PAGE, RW));
	p = map(PAGE, PROT_READ, MAP_PRIVATE, ro);
	see("private", mprotect(p, PAGE, RW));
	touch("write", p, 1, p);
}

CASE(execute_protection)
{
	char *p = map(PAGE, RW, ANON, -1);
	memcpy(p, "\xb8\x2a\0\0\0\xc3", 6); // mov $42, %eax; ret
	struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = fault};
	sigaction(SIGSEGV, &a, NULL);
	if (!sigsetjmp(back, 1))
		say("returned %d", ((int (*)(void))p)());
	else
		say("signal %d code %d at %d", sig, code, at == p);
	see("exec", mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	say("returned %d", ((int (*)(void))p)());
	need(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	p[1] = 43;
	say("changed code returned %d", ((int (*)(void))p)());
}

CASE(mremap_moves_and_resizes)
{
	char *p = map(4 * PAGE, RW, ANON, -1), *q;
	memset(p, 5, 4 * PAGE);
	say("shrink: %d", mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
	touch("cut off", p + 2 * PAGE, 0, p);
	say("grow into the hole: %d", mremap(p, 2 * PAGE, 4 * PAGE, 0) == p);
	touch("new is zero", p + 3 * PAGE, 0, p);
	touch("old is kept", p + PAGE, 0, p);
	map(PAGE, RW, ANON, -1);
	mmap(p + 4 * PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0);
	see("grow where taken", mremap(p, 4 * PAGE, 5 * PAGE, 0));
	q = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	say("moved %d, kept %d, zero %d", q != p, q[PAGE], q[4 * PAGE]);
	touch("old place", p, 0, p);
	char *r = map(8 * PAGE, PROT_NONE, ANON, -1);
	say("fixed: %d", mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r) == r);
	touch("moved here", r + 8, 0, r);
	touch("left", q, 0, q);
	touch("rest stays", q + 2 * PAGE, 0, q);
}

CASE(mremap_errors)
{
	char *p = map(4 * PAGE, RW, ANON, -1);
	see("odd", mremap(p + 1, PAGE, PAGE, 0));
	see("flags", mremap(p, PAGE, PAGE, 64));
	see("fixed alone", mremap(p, PAGE, PAGE, MREMAP_FIXED, p + 2 * PAGE));
	see("new zero", mremap(p, PAGE, 0, 0));
	see("overlap", mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + PAGE));
	see("odd target", mremap(p, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + 2 * PAGE + 1));
	see("old zero of private", mremap(p, 0, PAGE, MREMAP_MAYMOVE));
	munmap(p + PAGE, PAGE);
	see("over a hole", mremap(p, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE));
	munmap(p, PAGE);
	see("nothing there", mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
}

CASE(mremap_of_shared_copies)
{
	char *p = map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1), *q, *r;
	p[0] = 9;
	q = mremap(p, 0, PAGE, MREMAP_MAYMOVE);
	say("second mapping: %d", q != p && q != MAP_FAILED);
	q[1] = 8;
	say("same page: %d %d", q[0], p[1]);
	p = map(2 * PAGE, RW, ANON, -1);
	p[0] = 4;
	r = (char *)syscall(SYS_mremap, p, PAGE, PAGE, MREMAP_MAYMOVE | 4, NULL);
	say("moved %d: %d, left zero %d", r != p, r[0], p[0]);
}

CASE(brk_grows_and_shrinks)
{
	char *start = (char *)syscall(SYS_brk, 0);
	start = (char *)(((long)start + 4095) & -4096);
	say("grow: %d", (char *)syscall(SYS_brk, start + 10 * PAGE) == start + 10 * PAGE);
	touch("zero", start + 9 * PAGE, 0, start);
	start[5 * PAGE] = 1;
	say("shrink: %d", (char *)syscall(SYS_brk, start + 2 * PAGE) == start + 2 * PAGE);
	touch("gone", start + 5 * PAGE, 0, start);
	say("grow: %d", (char *)syscall(SYS_brk, start + 10 * PAGE) == start + 10 * PAGE);
	touch("zero again", start + 5 * PAGE, 0, start);
	say("below the start is refused: %d", (char *)syscall(SYS_brk, 4096) == start + 10 * PAGE);
	say("too high is refused: %d", (char *)syscall(SYS_brk, 0x7fffffffffff) == start + 10 * PAGE);
	say("odd is kept: %d", (char *)syscall(SYS_brk, start + 10 * PAGE + 17) == start + 10 * PAGE + 17);
}

CASE(brk_stops_at_a_mapping_and_limit)
{
	char *start = (char *)(((long)syscall(SYS_brk, 0) + 4095) & -4096);
	need((long)mmap(start + 4 * PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	say("over the mapping: %d", (char *)syscall(SYS_brk, start + 6 * PAGE) == start + 6 * PAGE);
	say("before it: %d", (char *)syscall(SYS_brk, start + 2 * PAGE) == start + 2 * PAGE);
	struct rlimit l = {0, 0};
	need(setrlimit(RLIMIT_DATA, &l));
	say("with RLIMIT_DATA 0: %d", (char *)syscall(SYS_brk, start + 3 * PAGE) == start + 3 * PAGE);
	see("mmap too", mmap(NULL, PAGE, RW, ANON, -1, 0));
	ok("not a read-only one", mmap(NULL, PAGE, PROT_READ, ANON, -1, 0));
	ok("nor a shared one", mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

CASE(madvise_dontneed)
{
	char *p = map(3 * PAGE, RW, ANON, -1);
	memset(p, 1, 3 * PAGE);
	see("dontneed", madvise(p + PAGE, PAGE, MADV_DONTNEED));
	say("%d %d %d", p[0], p[PAGE], p[2 * PAGE]);
	int fd = file("f", 2 * PAGE);
	pwrite(fd, "file", 4, 0);
	p = map(2 * PAGE, RW, MAP_PRIVATE, fd);
	p[0] = 'X';
	see("private file", madvise(p, 2 * PAGE, MADV_DONTNEED));
	say("%.4s", p);
	p = map(PAGE, RW, MAP_SHARED, fd);
	p[0] = 'Y';
	see("shared file", madvise(p, PAGE, MADV_DONTNEED));
	say("%.4s", p);
}

CASE(madvise_errors)
{
	char *p = map(3 * PAGE, RW, ANON, -1);
	see("odd", madvise(p + 1, PAGE, MADV_NORMAL));
	see("zero", madvise(p, 0, MADV_DONTNEED));
	see("unknown", madvise(p, PAGE, 999));
	see("unknown and odd", madvise(p + 1, PAGE, 999));
	see("wraps", madvise(p, -PAGE, MADV_NORMAL));
	int a[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP};
	for (int i = 0; i < sizeof a / sizeof *a; i++)
		see("advice", madvise(p, PAGE, a[i]));
	munmap(p + PAGE, PAGE);
	p[2 * PAGE] = 1;
	see("hole", madvise(p, 3 * PAGE, MADV_DONTNEED));
	say("done behind it: %d", p[2 * PAGE]);
	see("remove of private", madvise(p, PAGE, MADV_REMOVE));
	see("populate", madvise(p, PAGE, 23));
	see("populate hole", madvise(p + PAGE, PAGE, 23));
}

CASE(madvise_fork)
{
	char *p = map(2 * PAGE, RW, ANON, -1);
	memset(p, 1, 2 * PAGE);
	see("dontfork", madvise(p, PAGE, MADV_DONTFORK));
	see("wipeonfork", madvise(p + PAGE, PAGE, 18));
	pid_t c = need(fork());
	if (!c) {
		touch("dontfork in the child", p, 0, p);
		touch("wipeonfork in the child", p + PAGE, 0, p);
		_exit(0);
	}
	reap("child", c);
	say("%d %d", p[0], p[PAGE]);
	see("wipe of shared", madvise(map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1), PAGE, 18));
}

CASE(madvise_remove_punches)
{
	int fd = memfd_create("m", 0);
	need(ftruncate(fd, 3 * PAGE));
	char *p = map(3 * PAGE, RW, MAP_SHARED, fd), b[2];
	memset(p, 'a', 3 * PAGE);
	see("remove", madvise(p + PAGE, PAGE, MADV_REMOVE));
	say("%d %d %d", p[0], p[PAGE], p[2 * PAGE]);
	pread(fd, b, 1, PAGE);
	say("file %d", b[0]);
}

CASE(mincore_of_anonymous)
{
	unsigned char v[4] = {9, 9, 9, 9};
	char *p = map(4 * PAGE, RW, ANON, -1);
	p[0] = 1;
	p[2 * PAGE] = 1;
	see("mincore", mincore(p, 4 * PAGE, v));
	say("touched %d %d", v[0] & 1, v[2] & 1);
	see("odd", mincore(p + 1, PAGE, v));
	see("zero", mincore(p, 0, v));
	see("bad vector", mincore(p, PAGE, (void *)1));
	munmap(p + PAGE, PAGE);
	see("hole", mincore(p, 4 * PAGE, v));
	see("beyond", mincore(p, 1ul << 47, v));
}

CASE(msync_errors)
{
	int fd = file("f", 2 * PAGE);
	char *p = map(2 * PAGE, RW, MAP_SHARED, fd);
	p[0] = 'a';
	see("sync", msync(p, PAGE, MS_SYNC));
	see("async", msync(p, PAGE, MS_ASYNC));
	see("both", msync(p, PAGE, MS_SYNC | MS_ASYNC));
	see("unknown", msync(p, PAGE, 64));
	see("odd", msync(p + 1, PAGE, MS_SYNC));
	see("zero", msync(p, 0, MS_SYNC));
	see("invalidate", msync(p, PAGE, MS_SYNC | MS_INVALIDATE));
	see("nothing", msync(p, PAGE, 0));
	munmap(p + PAGE, PAGE);
	see("hole", msync(p, 2 * PAGE, MS_SYNC));
	see("wraps", msync(p, -PAGE, MS_SYNC));
}

CASE(mlock_family)
{
	char *p = map(2 * PAGE, RW, ANON, -1);
	see("mlock", mlock(p, PAGE));
	see("munlock", munlock(p, PAGE));
	see("mlock2", syscall(SYS_mlock2, p, PAGE, 1));
	see("mlock2 flags", syscall(SYS_mlock2, p, PAGE, 2));
	see("mlock odd", mlock(p + 5, 10));
	see("zero", mlock(p, 0));
	see("wraps", mlock(p, -PAGE));
	munmap(p + PAGE, PAGE);
	see("hole", mlock(p, 2 * PAGE));
	see("unlock hole", munlock(p, 2 * PAGE));
	see("all: none", mlockall(0));
	see("all: unknown", mlockall(64));
	see("all: only on fault", mlockall(4));
	see("munlockall", munlockall());
	see("MAP_LOCKED", mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0) == MAP_FAILED);
}

CASE(shared_file_and_read_write)
{
	char b[8] = {0};
	int fd = file("f", 2 * PAGE);
	char *p = map(2 * PAGE, RW, MAP_SHARED, fd), *q = map(2 * PAGE, PROT_READ, MAP_SHARED, fd);
	strcpy(p + PAGE, "mapped");
	pread(fd, b, 6, PAGE);
	say("read sees %s, other mapping %s", b, q + PAGE);
	pwrite(fd, "writ", 4, PAGE);
	say("mapping sees %s", p + PAGE);
	close(fd);
	p[0] = 'c';
	fd = need(open("f", O_RDONLY));
	pread(fd, b, 1, 0);
	say("after close %c", b[0]);
	need(unlink("f"));
	p[1] = 'd';
	say("after unlink %.2s", q);
	say("offset: %c", *(char *)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
}

CASE(private_file_copies_on_write)
{
	char b[8] = {0};
	int fd = file("f", PAGE);
	pwrite(fd, "hello", 5, 0);
	char *p = map(PAGE, RW, MAP_PRIVATE, fd);
	say("%s", p);
	p[0] = 'J';
	pread(fd, b, 5, 0);
	say("%s, file %s", p, b);
	pid_t c = need(fork());
	if (!c) {
		p[1] = 'u';
		say("child %s", p);
		_exit(0);
	}
	reap("child", c);
	say("parent %s", p);
}

CASE(fork_copies_private_shares_shared)
{
	char *p = map(PAGE, RW, ANON, -1), *s = map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	p[0] = s[0] = 'a';
	pid_t c = need(fork());
	if (!c) {
		say("child sees %c %c", p[0], s[0]);
		p[0] = s[0] = 'b';
		pid_t g = need(fork());
		if (!g) {
			say("grandchild sees %c %c", p[0], s[0]);
			p[0] = s[0] = 'c';
			_exit(0);
		}
		reap("grandchild", g);
		say("child has %c %c", p[0], s[0]);
		_exit(0);
	}
	reap("child", c);
	say("parent has %c %c", p[0], s[0]);
}

CASE(shared_mappings_between_processes)
{
	int fd = file("f", PAGE), g[2], h[2];
	char x;
	need(pipe(g));
	need(pipe(h));
	char *p = map(PAGE, RW, MAP_SHARED, fd);
	pid_t c = need(fork());
	if (!c) {
		munmap(p, PAGE);
		char *q = map(PAGE, RW, MAP_SHARED, need(open("f", O_RDWR)));
		strcpy(q, "from the child");
		write(g[1], "x", 1);
		read(h[0], &x, 1);
		say("child sees %s", q + 100);
		_exit(0);
	}
	read(g[0], &x, 1);
	say("parent sees %s", p);
	strcpy(p + 100, "from the parent");
	write(h[1], "x", 1);
	reap("child", c);
}

CASE(bus_error_beyond_the_end)
{
	int fd = file("f", 100);
	char *p = map(3 * PAGE, RW, MAP_SHARED, fd);
	touch("in the file", p + 50, 0, p);
	touch("rest of the page", p + 200, 0, p);
	touch("write the rest", p + 200, 1, p);
	touch("next page", p + PAGE, 0, p);
	touch("write next page", p + 2 * PAGE + 7, 1, p);
	char b[300] = {0};
	see("file keeps its size", pread(fd, b, 300, 0));
	see("grow", ftruncate(fd, 2 * PAGE));
	touch("next page now", p + PAGE, 0, p);
	touch("third still not", p + 2 * PAGE, 0, p);
	see("kernel reads it", write(fd, p + 2 * PAGE, 1));
}

CASE(truncate_under_a_mapping)
{
	int fd = file("f", 2 * PAGE);
	char *p = map(2 * PAGE, RW, MAP_SHARED, fd), *q = map(2 * PAGE, RW, MAP_PRIVATE, fd);
	memset(p, 'x', 2 * PAGE);
	q[PAGE] = 'q';
	q[10] = 'q';
	see("truncate", ftruncate(fd, 100));
	touch("shared, cut", p + PAGE, 0, p);
	touch("private copy, cut too", q + PAGE, 0, q);
	touch("private copy, kept", q + 10, 0, q);
	say("kept %c, zeroed %d", p[99], p[100]);
	see("extend", ftruncate(fd, 2 * PAGE));
	touch("new page", p + PAGE, 0, p);
	touch("old tail", p + 101, 0, p);
}

CASE(grows_down)
{
	char *area = map(64 * PAGE, PROT_NONE, ANON, -1);
	munmap(area, 64 * PAGE);
	char *p = mmap(area + 60 * PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	say("mapped there: %d", p == area + 60 * PAGE);
	touch("page below", p - 1, 1, p);
	touch("and again", p - PAGE - 10, 1, p);
	touch("zero", p - 2 * PAGE, 0, p);
}

CASE(stack_grows)
{
	char b[8], *sp = (char *)((long)b & -4096);
	touch("32 pages down", sp - 32 * PAGE, 1, sp);
	touch("100 pages down", sp - 100 * PAGE, 1, sp);
	touch("between", sp - 50 * PAGE, 0, sp);
}

CASE(stack_overflow_is_a_fault)
{
	static char alt[65536];
	pid_t c = need(fork());
	if (!c) {
		struct rlimit l = {1 << 20, 1 << 20};
		need(setrlimit(RLIMIT_STACK, &l));
		stack_t s = {.ss_sp = alt, .ss_size = sizeof alt};
		need(sigaltstack(&s, NULL));
		struct sigaction a = {.sa_flags = SA_SIGINFO | SA_ONSTACK, .sa_sigaction = fault};
		sigaction(SIGSEGV, &a, NULL);
		volatile char x, *p = &x;
		if (!sigsetjmp(back, 1))
			for (;;)
				*(p -= PAGE) = 1;
		say("signal %d code %d, about 1 MB down: %d", sig, code, &x - (char *)at > 900 << 10 && &x - (char *)at < 1100 << 10);
		_exit(0);
	}
	reap("child", c);
}

CASE(rlimit_as)
{
	struct rlimit l;
	ok("64 MB", mmap(NULL, 64 << 20, RW, ANON, -1, 0));
	l.rlim_cur = l.rlim_max = 64 << 20;
	need(setrlimit(RLIMIT_AS, &l));
	see("more than the limit", mmap(NULL, 4 << 20, RW, ANON, -1, 0));
	see("PROT_NONE counts", mmap(NULL, 4 << 20, PROT_NONE, ANON, -1, 0));
	void *b = (void *)syscall(SYS_brk, 0);
	say("brk fails: %d", (void *)syscall(SYS_brk, (char *)b + (4 << 20)) == b);
}

CASE(user_pointers_over_a_page_end)
{
	int g[2];
	char *p = map(3 * PAGE, RW, ANON, -1);
	munmap(p + PAGE, PAGE);
	mprotect(p + 2 * PAGE, PAGE, PROT_READ);
	need(pipe(g));
	memset(p, 'z', PAGE);
	need(fcntl(g[0], F_SETFL, O_NONBLOCK));
	see("write partly", write(g[1], p + PAGE - 10, 20));
	see("write none", write(g[1], p + PAGE, 20));
	see("what came through", read(g[0], p, 100));
	write(g[1], "12345678", 8);
	see("read partly", read(g[0], p + PAGE - 4, 8));
	see("what is left", read(g[0], p, 100));
	write(g[1], "abc", 3);
	see("into read-only", read(g[0], p + 2 * PAGE, 3));
	see("still there", read(g[0], p, 100));
	int fd = file("f", 0);
	see("file write partly", write(fd, p + PAGE - 10, 20));
	see("file write none", write(fd, p + PAGE, 20));
	see("size", lseek(fd, 0, SEEK_END));
	memset(p, 'q', PAGE);
	see("file read partly", pread(fd, p + PAGE - 4, 8, 0));
	see("string over the end", (memset(p + PAGE - 4, 'a', 4), open(p + PAGE - 4, O_RDONLY)));
	p[PAGE - 1] = 0;
	see("string up to the end", open(p + PAGE - 4, O_RDONLY));
	see("stat into read-only", syscall(SYS_stat, ".", (void *)(p + 2 * PAGE)));
	see("stat over the end", syscall(SYS_stat, ".", (void *)(p + PAGE - 16)));
}

CASE(memfd_and_seals)
{
	int fd = need(memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
	see("cloexec", fcntl(fd, F_GETFD));
	see("seals", fcntl(fd, F_GET_SEALS));
	see("truncate", ftruncate(fd, 2 * PAGE));
	see("add shrink", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	see("shrink", ftruncate(fd, PAGE));
	see("grow", ftruncate(fd, 3 * PAGE));
	see("add grow", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	see("grow", ftruncate(fd, 4 * PAGE));
	see("write over the end", pwrite(fd, "ab", 2, 3 * PAGE));
	see("write inside", pwrite(fd, "ab", 2, 0));
	char *p = map(PAGE, RW, MAP_SHARED, fd);
	see("write seal while mapped", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	munmap(p, PAGE);
	see("write seal", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	see("write", pwrite(fd, "cd", 2, 0));
	see("map", mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	p = map(PAGE, RW, MAP_PRIVATE, fd);
	touch("private write", p, 1, p);
	see("punch", fallocate(fd, 3, 0, PAGE));
	see("seal seal", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	see("no more", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	see("seals", fcntl(fd, F_GET_SEALS));
}

CASE(memfd_errors)
{
	char n[300];
	memset(n, 'n', sizeof n);
	n[299] = 0;
	see("long name", memfd_create(n, 0));
	n[249] = 0;
	ok("249 bytes", memfd_create(n, 0));
	see("NULL", memfd_create(NULL, 0));
	see("flags", memfd_create("x", 0x1000));
	int fd = need(memfd_create("x", 0));
	see("not sealable", fcntl(fd, F_GET_SEALS));
	see("add", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	see("unknown seal", fcntl(memfd_create("y", MFD_ALLOW_SEALING), F_ADD_SEALS, 0x1000));
	see("of a pipe", (pipe(&fd), fcntl(fd, F_GET_SEALS)));
	see("on a read-only one", fcntl(open("/dev/null", O_RDONLY), F_ADD_SEALS, F_SEAL_WRITE));
}

CASE(memfd_through_proc)
{
	char l[64], path[40];
	int fd = need(memfd_create("thing", 0)), r;
	write(fd, "data", 4);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	see("readlink", r = readlink(path, l, sizeof l));
	say("%.*s", r, l);
	see("reopened", read(need(open(path, O_RDONLY)), l, 10));
	struct stat st;
	fstat(fd, &st);
	say("mode %o size %ld links %ld", st.st_mode, (long)st.st_size, (long)st.st_nlink);
}

CASE(process_vm_access)
{
	char *p = map(2 * PAGE, RW, ANON, -1), b[32] = {0};
	strcpy(p, "parent's");
	pid_t self = getpid(), c = need(fork());
	if (!c) {
		strcpy(p, "child's");
		struct { void *b; size_t n; } l = {b, 8}, r = {p, 8};
		see("readv", syscall(SYS_process_vm_readv, self, &l, 1, &r, 1, 0));
		say("%s", b);
		l.b = "writtn!";
		see("writev", syscall(SYS_process_vm_writev, self, &l, 1, &r, 1, 0));
		r.b = (void *)16;
		see("bad remote", syscall(SYS_process_vm_readv, self, &l, 1, &r, 1, 0));
		see("flags", syscall(SYS_process_vm_readv, self, &l, 1, &r, 1, 1));
		see("nobody", syscall(SYS_process_vm_readv, 999999, &l, 1, &r, 1, 0));
		see("nothing", syscall(SYS_process_vm_readv, self, &l, 0, &r, 0, 0));
		_exit(0);
	}
	reap("child", c);
	say("%s", p);
}

CASE(dev_zero_mapping)
{
	int fd = need(open("/dev/zero", O_RDWR));
	char *p = map(PAGE, RW, MAP_PRIVATE, fd), *s = map(PAGE, RW, MAP_SHARED, fd);
	say("%d %d", p[5], s[5]);
	pid_t c = need(fork());
	if (!c) {
		p[0] = s[0] = 'c';
		_exit(0);
	}
	reap("child", c);
	say("%d %d", p[0], s[0]);
	see("null", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("/dev/null", O_RDONLY), 0));
}

CASE(seals_and_mappings)
{
	int fd = need(memfd_create("m", MFD_ALLOW_SEALING));
	ftruncate(fd, 8192);
	char *priv = need(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	*priv = 'p';
	char *ro = need(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	see("a mapping that could become writable", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	munmap(ro, 4096);
	see("a private one", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	*priv = 'q';
	ok("map shared", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	ok("map private", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	int g = need(memfd_create("f", MFD_ALLOW_SEALING));
	ftruncate(g, 4096);
	char *rw = need(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, g, 0));
	see("future writes", fcntl(g, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	*rw = 'x';
	ro = need(mmap(NULL, 4096, PROT_READ, MAP_SHARED, g, 0));
	say("%c", *ro);
	see("mprotect", mprotect(ro, 4096, PROT_READ | PROT_WRITE));
	see("punch", madvise(rw, 4096, MADV_REMOVE));
	say("%c", *ro);
}

CASE(madvise_remove_of_shared_memory)
{
	char *p = need(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	p[0] = 'a';
	p[4096] = 'b';
	pid_t c = need(fork());
	if (!c) {
		say("child sees %c%c", p[0], p[4096]);
		see("remove", madvise(p, 4096, MADV_REMOVE));
		_exit(0);
	}
	reap("child", c);
	say("parent sees %d %c", p[0], p[4096]);
	p[0] = 'c';
	if (!(c = need(fork()))) {
		say("another child sees %c", p[0]);
		_exit(0);
	}
	reap("child", c);
}
