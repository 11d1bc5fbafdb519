#define _GNU_SOURCE
#include "common.h"
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/auxv.h>
#include <sched.h>
#include <fcntl.h>
#include <unistd.h>
static void ids(const char *w) {
	uid_t r, e, s; gid_t gr, ge, gs;
	syscall(SYS_getresuid, &r, &e, &s); syscall(SYS_getresgid, &gr, &ge, &gs);
	printf("%s: uid %d %d %d gid %d %d %d\n", w, r, e, s, gr, ge, gs);
}
struct hdr { uint32_t v; int pid; };
struct data { uint32_t e, p, i; };
static void caps(const char *w) {
	struct hdr h = {0x20080522, 0}; struct data d[2];
	syscall(SYS_capget, &h, d);
	printf("%s: eff %d perm %d inh %d\n", w, d[0].e != 0, d[0].p != 0, d[0].i != 0);
}
/* raw calls: the library would change all threads */
#define SETRESUID(a, b, c) syscall(SYS_setresuid, a, b, c)
int main(int argc, char **argv) {
	setbuf(stdout, 0);
	if (argc > 1) {
		ids(argv[1]); caps(argv[1]);
		printf("secure %d nnp %d dumpable %d keep %d\n", (int)getauxval(AT_SECURE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS));
		return 0;
	}
	int st;
	ids("start");
	if (!fork()) {
		pe("setgroups", syscall(SYS_setgroups, 2, (gid_t[]){7, 5}));
		gid_t g[8]; printf("getgroups %d", getgroups(8, g)); printf(" %d %d\n", g[0], g[1]);
		pe("getgroups small", getgroups(1, g));
		pe("setgid", syscall(SYS_setgid, 100));
		pe("seteuid", SETRESUID(-1, 1000, -1)); ids("euid"); caps("euid");
		pe("back", SETRESUID(-1, 0, -1)); caps("back");
		pe("setuid", syscall(SYS_setuid, 1000)); ids("setuid"); caps("setuid");
		pe("setuid 0", syscall(SYS_setuid, 0));
		pe("setreuid", syscall(SYS_setreuid, 5, -1));
		pe("setgroups", syscall(SYS_setgroups, 0, 0));
		printf("setfsuid %ld", syscall(SYS_setfsuid, 5)); printf(" %ld\n", syscall(SYS_setfsuid, -1));
		pe("kill init", kill(getppid(), 0));
		pe("setpriority", setpriority(PRIO_PROCESS, 0, -5));
		pe("nice up", setpriority(PRIO_PROCESS, 0, 5));
		printf("prio %d\n", getpriority(PRIO_PROCESS, 0));
		struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_max = rl.rlim_cur = 100;
		pe("lower", setrlimit(RLIMIT_NOFILE, &rl));
		rl.rlim_max = 200;
		pe("raise", setrlimit(RLIMIT_NOFILE, &rl));
		pe("dup2 beyond", dup2(1, 150));
		_exit(0);
	}
	wait(&st);
	if (!fork()) {
		prctl(PR_SET_KEEPCAPS, 1);
		SETRESUID(1000, 1000, 1000); caps("keepcaps");
		prctl(PR_SET_KEEPCAPS, 0);
		execl(argv[0], argv[0], "exec as user", (char *)0);
		_exit(1);
	}
	wait(&st);
	if (!fork()) { execl(argv[0], argv[0], "exec as root", (char *)0); _exit(1); }
	wait(&st);
	char path[64];
	snprintf(path, sizeof path, "/tmp/suid.%d", getpid());
	int in = open(argv[0], O_RDONLY), out = open(path, O_CREAT | O_WRONLY, 0755), k; char buf[4096];
	while ((k = read(in, buf, sizeof buf)) > 0) write(out, buf, k);
	close(in); close(out);
	chown(path, 1234, 4321); chmod(path, 06755);
	if (!fork()) { syscall(SYS_setgid, 1000); SETRESUID(1000, 1000, 1000); execl(path, path, "suid", (char *)0); _exit(1); }
	wait(&st);
	if (!fork()) { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); SETRESUID(1000, 1000, 1000); execl(path, path, "suid nnp", (char *)0); _exit(1); }
	wait(&st);
	unlink(path);
	/* ambient and securebits */
	if (!fork()) {
		struct hdr h = {0x20080522, 0}; struct data d[2];
		pe("amb no inh", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 7, 0, 0));
		syscall(SYS_capget, &h, d); d[0].i = 1 << 7; pe("capset", syscall(SYS_capset, &h, d));
		pe("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 7, 0, 0));
		prctl(PR_SET_SECUREBITS, 0x10 | 0x4);
		pe("securebits", prctl(PR_GET_SECUREBITS));
		SETRESUID(1000, 1000, 1000);
		pe("amb set", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 7, 0, 0));
		execl(argv[0], argv[0], "ambient", (char *)0);
		_exit(1);
	}
	wait(&st);
	/* prctl */
	char name[16];
	pe("set name", prctl(PR_SET_NAME, "a very long name indeed"));
	prctl(PR_GET_NAME, name); printf("name %s\n", name);
	pe("pdeathsig", prctl(PR_SET_PDEATHSIG, SIGUSR1)); prctl(PR_GET_PDEATHSIG, &st); printf("%d\n", st);
	pe("pdeathsig bad", prctl(PR_SET_PDEATHSIG, 65));
	prctl(PR_SET_PDEATHSIG, 0);
	pe("dumpable 2", prctl(PR_SET_DUMPABLE, 2));
	pe("unknown", prctl(9999, 0, 0, 0, 0));
	pe("nnp bad", prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
	pe("capbset", prctl(PR_CAPBSET_READ, 0)); pe("capbset bad", prctl(PR_CAPBSET_READ, 64));
	pe("slack", prctl(PR_GET_TIMERSLACK));
	pe("prlimit res", syscall(SYS_prlimit64, 0, 99, 0, 0));
	pe("prlimit pid", syscall(SYS_prlimit64, 1 << 21, 0, 0, 0));
	struct hdr h = {1, 0}; pe("capget ver", syscall(SYS_capget, &h, 0)); printf("%x\n", h.v);
	/* scheduling */
	struct sched_param sp = {0};
	pe("getscheduler", syscall(SYS_sched_getscheduler, 0)); pe("setscheduler", syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &sp));
	pe("policy", syscall(SYS_sched_getscheduler, 0));
	sp.sched_priority = 5; pe("prio of other", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &sp));
	pe("max fifo", sched_get_priority_max(SCHED_FIFO)); pe("min fifo", sched_get_priority_min(SCHED_FIFO)); pe("max bad", sched_get_priority_max(99));
	unsigned long mask = 0; pe("affinity", syscall(SYS_sched_getaffinity, 0, sizeof mask, &mask)); printf("cpu0 %d\n", (int)(mask & 1));
	mask = 0; pe("affinity none", syscall(SYS_sched_setaffinity, 0, sizeof mask, &mask));
	pe("yield", sched_yield());
	return 0;
}
