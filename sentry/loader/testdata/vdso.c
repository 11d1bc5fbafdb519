// Maps a file that has a vvar page and a vDSO image, finds the functions as a C library does, and compares
// their answers with those of the system calls.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char *base;

static void *find(const char *name) {
	Elf64_Ehdr *eh = (void *)base;
	Elf64_Phdr *ph = (void *)(base + eh->e_phoff);
	Elf64_Dyn *dyn = 0;
	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (void *)(base + ph[i].p_vaddr);
	unsigned *hash = 0;
	Elf64_Sym *sym = 0;
	char *str = 0;
	unsigned short *ver = 0;
	for (; dyn && dyn->d_tag; dyn++) {
		char *p = base + dyn->d_un.d_ptr;
		if (dyn->d_tag == DT_HASH) hash = (void *)p;
		if (dyn->d_tag == DT_SYMTAB) sym = (void *)p;
		if (dyn->d_tag == DT_STRTAB) str = p;
		if (dyn->d_tag == DT_VERSYM) ver = (void *)p;
	}
	unsigned h = 0;
	for (const unsigned char *c = (void *)name; *c; c++) {
		h = (h << 4) + *c;
		unsigned g = h & 0xf0000000;
		if (g) h ^= g >> 24;
		h &= ~g;
	}
	for (unsigned i = hash[2 + h % hash[0]]; i; i = hash[2 + hash[0] + i])
		if (!strcmp(str + sym[i].st_name, name) && sym[i].st_shndx && ver[i] == 2)
			return base + sym[i].st_value;
	printf("no %s\n", name);
	exit(1);
}

static long long ns(struct timespec *t) { return t->tv_sec * 1000000000LL + t->tv_nsec; }

int main(int argc, char **argv) {
	int fd = open(argv[1], O_RDONLY);
	struct stat st;
	fstat(fd, &st);
	char *m = mmap(0, st.st_size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED) return perror("mmap"), 1;
	base = m + 4096;
	int live = argc > 4;
	long long monoff = atoll(argv[2]), bootoff = atoll(argv[3]);
	int (*cg)(clockid_t, struct timespec *) = find("__vdso_clock_gettime");
	int (*gtod)(struct timeval *, struct timezone *) = find("__vdso_gettimeofday");
	time_t (*tm)(time_t *) = find("__vdso_time");
	int (*gc)(unsigned *, unsigned *, void *) = find("__vdso_getcpu");
	int (*res)(clockid_t, struct timespec *) = find("__vdso_clock_getres");
	if (find("clock_gettime") != (void *)cg) return printf("alias\n"), 1;
	static const int clocks[] = {0, 1, 4, 5, 6, 7, 11, 2, 3};
	for (int i = 0; i < 9; i++) {
		int id = clocks[i];
		long long worst = 0, last = 0, off = id == 7 ? bootoff : id == 0 || id == 5 || id == 11 || id == 2 || id == 3 ? 0 : monoff;
		for (int j = 0; j < 2000; j++) {
			struct timespec a, b, c;
			int host = live && id == 5 ? 0 : live && (id == 6 || id == 4) ? 1 : id;
			syscall(SYS_clock_gettime, host, &a);
			if (cg(id, &b)) return printf("clock %d fails\n", id), 1;
			syscall(SYS_clock_gettime, host, &c);
			if (b.tv_nsec < 0 || b.tv_nsec >= 1000000000) return printf("clock %d: %ld ns\n", id, b.tv_nsec), 1;
			long long v = ns(&b) - off, d = v < ns(&a) ? ns(&a) - v : v > ns(&c) ? v - ns(&c) : 0;
			if (v < last) return printf("clock %d goes back by %lld\n", id, last - v), 1;
			last = v;
			if (d > worst) worst = d;
		}
		printf("clock %d off by at most %lld ns\n", id, worst);
		if (worst > 50000) return printf("too much\n"), 1;
	}
	struct timespec t;
	if (cg(99, &t) != -EINVAL || cg(-1, &t) == 0 && 0) return printf("clock 99\n"), 1;
	struct timeval tv, tv2;
	struct timezone tz = {1, 2};
	if (gtod(&tv, &tz) || gtod(0, 0)) return printf("gettimeofday\n"), 1;
	gettimeofday(&tv2, 0);
	long long d = (tv2.tv_sec - tv.tv_sec) * 1000000LL + tv2.tv_usec - tv.tv_usec;
	if (d < -100 || d > 1000000 || tz.tz_minuteswest || tz.tz_dsttime) return printf("gettimeofday off by %lld\n", d), 1;
	time_t x, y = time(0), z = tm(&x);
	if (z != x || z < y - 1 || z > y + 1) return printf("time %ld %ld %ld\n", x, y, z), 1;
	unsigned cpu = -1, node = -1;
	if (gc(&cpu, &node, 0) || cpu >= sysconf(_SC_NPROCESSORS_CONF) || node > 64 || gc(0, 0, 0)) return printf("getcpu %u %u\n", cpu, node), 1;
	if (res(1, &t) || t.tv_sec || t.tv_nsec != 1 || res(5, &t) || t.tv_nsec != 4000000 || res(0, 0) || res(99, &t) != -EINVAL)
		return printf("clock_getres %ld\n", t.tv_nsec), 1;
	struct timespec s, e;
	clock_gettime(CLOCK_MONOTONIC, &s);
	for (int i = 0; i < 1000000; i++) cg(1, &t);
	clock_gettime(CLOCK_MONOTONIC, &e);
	printf("%.1f ns a call\n", (ns(&e) - ns(&s)) / 1e6);
	printf("ok\n");
	return 0;
}
