#include "case.h"
#include <sys/epoll.h>
#include <sys/socket.h>

// Every call as it is made by hand, with the pointer P in the places where one is wanted.
enum { P = -12345678, FD = -12345679 };
struct call { const char *name; long nr, a[6]; };
static struct call pointers[] = {
	{"read", SYS_read, {FD, P, 10}}, {"write", SYS_write, {FD, P, 10}}, {"open", SYS_open, {P, 0}}, {"stat", SYS_stat, {P, 0}},
	{"stat buffer", SYS_stat, {0, P}}, {"fstat", SYS_fstat, {FD, P}}, {"lstat", SYS_lstat, {P, 0}}, {"poll", SYS_poll, {P, 1, 0}},
	{"rt_sigaction", SYS_rt_sigaction, {10, P, 0, 8}}, {"rt_sigaction old", SYS_rt_sigaction, {10, 0, P, 8}},
	{"rt_sigprocmask", SYS_rt_sigprocmask, {0, P, 0, 8}}, {"rt_sigprocmask old", SYS_rt_sigprocmask, {0, 0, P, 8}},
	{"pread64", SYS_pread64, {FD, P, 10, 0}}, {"pwrite64", SYS_pwrite64, {FD, P, 10, 0}}, {"readv", SYS_readv, {FD, P, 1}},
	{"writev", SYS_writev, {FD, P, 1}}, {"access", SYS_access, {P, 0}}, {"pipe", SYS_pipe, {P}}, {"nanosleep", SYS_nanosleep, {P, 0}},
	{"getitimer", SYS_getitimer, {0, P}}, {"execve", SYS_execve, {P, 0, 0}}, {"uname", SYS_uname, {P}}, {"getcwd", SYS_getcwd, {P, 4096}},
	{"chdir", SYS_chdir, {P}}, {"rename", SYS_rename, {P, P}}, {"mkdir", SYS_mkdir, {P, 0}}, {"rmdir", SYS_rmdir, {P}},
	{"creat", SYS_creat, {P, 0}}, {"link", SYS_link, {P, P}}, {"unlink", SYS_unlink, {P}}, {"symlink", SYS_symlink, {P, P}},
	{"readlink", SYS_readlink, {P, P, 10}}, {"chmod", SYS_chmod, {P, 0}}, {"chown", SYS_chown, {P, 0, 0}}, {"truncate", SYS_truncate, {P, 0}},
	{"gettimeofday", SYS_gettimeofday, {P, 0}}, {"getrlimit", SYS_getrlimit, {0, P}}, {"getrusage", SYS_getrusage, {0, P}},
	{"sysinfo", SYS_sysinfo, {P}}, {"times", SYS_times, {P}}, {"getgroups", SYS_getgroups, {100, P}}, {"setgroups", SYS_setgroups, {1, P}},
	{"getresuid", SYS_getresuid, {P, P, P}}, {"rt_sigpending", SYS_rt_sigpending, {P, 8}}, {"rt_sigtimedwait", SYS_rt_sigtimedwait, {P, 0, 0, 8}},
	{"rt_sigsuspend", SYS_rt_sigsuspend, {P, 8}}, {"sigaltstack", SYS_sigaltstack, {P, 0}}, {"sigaltstack old", SYS_sigaltstack, {0, P}},
	{"utime", SYS_utime, {P, 0}}, {"mknod", SYS_mknod, {P, 0, 0}}, {"statfs", SYS_statfs, {P, 0}}, {"fstatfs", SYS_fstatfs, {FD, P}},
	{"chroot", SYS_chroot, {P}}, {"mount", SYS_mount, {0, P, 0, 0, 0}}, {"umount2", SYS_umount2, {P, 0}}, {"sethostname", SYS_sethostname, {P, 3}},
	{"setxattr", SYS_setxattr, {P, P, 0, 0, 0}}, {"getxattr", SYS_getxattr, {P, P, 0, 0}}, {"time", SYS_time, {P}}, {"futex", SYS_futex, {P, 0, 0, 0}},
	{"getdents64", SYS_getdents64, {FD, P, 100}}, {"clock_gettime", SYS_clock_gettime, {0, P}}, {"clock_getres", SYS_clock_getres, {0, P}},
	{"epoll_wait", SYS_epoll_wait, {FD, P, 1, 0}}, {"utimes", SYS_utimes, {P, 0}}, {"waitid", SYS_waitid, {0, 0, P, 5}},
	{"openat", SYS_openat, {-100, P, 0}}, {"newfstatat", SYS_newfstatat, {-100, P, 0, 0}}, {"pselect6", SYS_pselect6, {1, P, 0, 0, 0, 0}},
	{"ppoll", SYS_ppoll, {P, 1, 0, 0, 0}}, {"set_robust_list", SYS_set_robust_list, {P, 24}}, {"utimensat", SYS_utimensat, {-100, P, 0, 0}},
	{"signalfd4", SYS_signalfd4, {-1, P, 8, 0}}, {"timerfd_settime", SYS_timerfd_settime, {FD, 0, P, 0}}, {"pipe2", SYS_pipe2, {P, 0}},
	{"prlimit64", SYS_prlimit64, {0, 0, P, 0}}, {"statx", SYS_statx, {-100, P, 0, 0, 0}}, {"getrandom", SYS_getrandom, {P, 10, 0}},
	{"memfd_create", SYS_memfd_create, {P, 0}}, {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, P}}, {"sched_setaffinity", SYS_sched_setaffinity, {0, 8, P}},
	{"sched_setparam", SYS_sched_setparam, {0, P}}, {"capget", SYS_capget, {P, P}}, {"inotify_add_watch", SYS_inotify_add_watch, {FD, P, 1}},
	{"socketpair", SYS_socketpair, {1, 1, 0, P}}, {"bind", SYS_bind, {FD, P, 10}}, {"connect", SYS_connect, {FD, P, 10}}, {"sendmsg", SYS_sendmsg, {FD, P, 0}},
};

// try makes all calls in children (some might end the process), P being p and FD fd.
static void try(void *p, int fd)
{
	for (int i = 0; i < sizeof pointers / sizeof *pointers; i++) {
		struct call c = pointers[i];
		pid_t k = need(fork());
		if (!k) {
			for (int j = 0; j < 6; j++)
				c.a[j] = c.a[j] == P ? (long)p : c.a[j] == FD ? fd : c.a[j];
			long r = syscall(c.nr, c.a[0], c.a[1], c.a[2], c.a[3], c.a[4], c.a[5]);
			if (r == -1)
				say("%s: %s", c.name, errno_name(errno));
			else
				say("%s: fine", c.name);
			_exit(0);
		}
		int st;
		waitpid(k, &st, 0);
		if (!WIFEXITED(st))
			say_status(c.name, st);
	}
}
static int file(void)
{
	int fd = need(open("f", O_CREAT | O_RDWR, 0600));
	need(write(fd, "0123456789abcdef", 16));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

CASE(pointer_to_nothing) { try((void *)16, file()); }
CASE(pointer_into_the_kernel) { try((void *)0xffffffff80000000, file()); }
CASE(pointer_that_is_not_canonical) { try((void *)0x8000000000000000, file()); }
CASE(pointer_with_a_bad_descriptor) { try((void *)16, 999); }
CASE(pointer_with_a_path_descriptor)
{
	close(file());
	try((void *)16, need(open("f", O_PATH)));
}
CASE(pointer_without_access)
{
	try(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), file());
}
CASE(pointer_to_the_end_of_a_page)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + 4096, 4096);
	p[4095] = 'x';
	try(p + 4095, file());
}

CASE(order_of_descriptor_and_others)
{
	struct stat st;
	char b[8];
	int wo = need(open("f", O_CREAT | O_WRONLY, 0600)), ro = need(open("f", O_RDONLY));
	see("read of a write-only one, bad pointer", read(wo, (void *)16, 4));
	see("write to a read-only one, bad pointer", write(ro, (void *)16, 4));
	see("read of nothing, closed", read(999, b, 0));
	see("read of a directory, bad pointer", read(open(".", O_RDONLY), (void *)16, 4));
	see("pread, negative and closed", pread(999, b, 1, -1));
	see("pread, negative and write-only", pread(wo, b, 1, -1));
	see("readv, too many and closed", syscall(SYS_readv, 999, NULL, 5000));
	see("lseek, whence and closed", lseek(999, 0, 77));
	see("ftruncate, negative and closed", ftruncate(999, -1));
	see("ftruncate, negative and read-only", ftruncate(ro, -1));
	see("fallocate, mode and closed", fallocate(999, 0x8000, 0, 1));
	see("fallocate, zero length and read-only", fallocate(ro, 0, 0, 0));
	see("fchmod of O_PATH", fchmod(open("f", O_PATH), 0600));
	see("fsync of O_PATH", fsync(open("f", O_PATH)));
	see("fcntl, unknown and closed", fcntl(999, 9999));
	see("fcntl, unknown", fcntl(ro, 9999));
	see("fcntl, O_PATH", fcntl(open("f", O_PATH), F_SETFL, 0));
	see("ioctl, unknown and closed", syscall(SYS_ioctl, 999, 0xdead, 0));
	see("ioctl, unknown", syscall(SYS_ioctl, ro, 0xdead, 0));
	see("dup3, same and flags", syscall(SYS_dup3, ro, ro, 0x1234));
	see("dup3, flags and closed", syscall(SYS_dup3, 999, 5, 0x1234));
	see("getdents of a file", syscall(SYS_getdents64, ro, b, 8));
	see("getdents, small buffer", syscall(SYS_getdents64, open(".", O_RDONLY), b, 8));
	see("fchdir to a file", fchdir(ro));
	see("mmap, closed and odd", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 999, 5));
	see("flock, operation and closed", syscall(SYS_flock, 999, 99));
	see("flock, operation", syscall(SYS_flock, ro, 99));
	see("close_range, reversed", syscall(436, 10, 5, 0));
	see("close_range, flags", syscall(436, 5, 10, 99));
	see("close twice", (close(ro), close(ro)));
	see("close negative", close(-1));
}

CASE(order_of_path_and_flags)
{
	struct stat st;
	close(file());
	need(symlink("f", "l"));
	see("openat, bad dirfd, absolute", openat(999, "/", O_RDONLY) >= 0);
	see("openat, bad dirfd, empty", openat(999, "", O_RDONLY));
	see("openat, bad dirfd, NULL", openat(999, NULL, O_RDONLY));
	see("fstatat, flags and NULL", fstatat(AT_FDCWD, NULL, &st, 0x8000));
	see("fstatat, flags and missing", fstatat(AT_FDCWD, "no", &st, 0x8000));
	see("fstatat, empty of a closed one", fstatat(999, "", &st, AT_EMPTY_PATH));
	see("unlinkat, flags and missing", unlinkat(AT_FDCWD, "no", 0x8000));
	see("linkat, flags and missing", linkat(AT_FDCWD, "no", AT_FDCWD, "x", 0x8000));
	see("linkat, missing and existing", linkat(AT_FDCWD, "no", AT_FDCWD, "f", 0));
	see("renameat2, flags and missing", syscall(SYS_renameat2, AT_FDCWD, "no", AT_FDCWD, "x", 0x80));
	see("renameat2, both flags", syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "x", 3));
	see("rename, missing over existing", rename("no", "f"));
	see("rename to a bad directory", rename("f", "no/x"));
	see("rename of a file to a slash", rename("f", "g/"));
	see("mkdir of what is", mkdir("f", 0700));
	see("mkdir below a file", mkdir("f/x", 0700));
	see("mkdir of dot", mkdir(".", 0700));
	see("mkdir of the empty name", mkdir("", 0700));
	see("mkdir of root", mkdir("/", 0700));
	see("rmdir of dot", rmdir("."));
	see("rmdir of dot dot", rmdir(".."));
	see("rmdir of a file", rmdir("f"));
	see("rmdir of root", rmdir("/"));
	see("unlink of dot", unlink("."));
	see("unlink of a slash", unlink("f/"));
	see("rename of dot", rename(".", "x"));
	see("symlink over a file", symlink("x", "f"));
	see("symlink to nothing", symlink("", "x"));
	see("readlink of a file", readlink("f", (char *)&st, 10));
	see("readlink, size 0", syscall(SYS_readlink, "l", &st, 0));
	see("readlink, size negative and missing", syscall(SYS_readlink, "no", &st, -1));
	see("truncate, negative and missing", truncate("no", -1));
	see("truncate, directory", truncate(".", 0));
	see("access, mode and missing", access("no", 99));
	see("faccessat2, flags and missing", syscall(439, AT_FDCWD, "no", 0, 0x8000));
	see("utimensat, times and missing", utimensat(AT_FDCWD, "no", (struct timespec[]){{0, -5}, {0, 0}}, 0));
	see("utimensat, both omitted and missing", utimensat(AT_FDCWD, "no", (struct timespec[]){{0, UTIME_OMIT}, {0, UTIME_OMIT}}, 0));
	see("statx, mask", syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000, &st));
	see("openat2, size", syscall(437, AT_FDCWD, "f", (long[3]){0}, 8));
	see("openat2, resolve", syscall(437, AT_FDCWD, "f", (long[3]){0, 0, 0x1000}, 24));
	see("openat2, mode without create", syscall(437, AT_FDCWD, "f", (long[3]){0, 0600, 0}, 24));
	see("openat2, beneath", syscall(437, AT_FDCWD, "..", (long[3]){0, 0, 8}, 24));
	see("openat2, no symlinks", syscall(437, AT_FDCWD, "l", (long[3]){0, 0, 4}, 24));
}

CASE(order_of_process_calls)
{
	siginfo_t i;
	see("wait4, options and no child", syscall(SYS_wait4, -1, NULL, 0x100, NULL));
	see("wait4, lowest pid", syscall(SYS_wait4, INT_MIN, NULL, 0, NULL));
	see("waitid, options first", waitid(P_PID, 0, &i, 0x100));
	see("waitid, pid 0", waitid(P_PID, 0, &i, WEXITED));
	see("waitid, group negative", waitid(P_PGID, -5, &i, WEXITED));
	see("kill, signal and nobody", kill(999999, 99));
	see("tgkill, signal and zero", syscall(SYS_tgkill, 0, 0, 99));
	see("kill of the lowest", kill(INT_MIN, 0));
	see("setpgid, negative group and nobody", setpgid(999999, -1));
	see("getpriority, which and nobody", syscall(SYS_getpriority, 7, 999999));
	see("prlimit, resource and nobody", syscall(SYS_prlimit64, 999999, 77, NULL, NULL));
	see("sched_setscheduler, policy and nobody", syscall(SYS_sched_setscheduler, 999999, 77, (int[1]){0}));
	see("rt_sigaction, signal and size", syscall(SYS_rt_sigaction, 99, NULL, NULL, 4));
	see("rt_sigprocmask, how without a set", syscall(SYS_rt_sigprocmask, 99, NULL, NULL, 8));
	see("rt_sigqueueinfo, to itself with a pretended code", syscall(SYS_rt_sigqueueinfo, getpid(), 0, &(siginfo_t){.si_code = SI_USER}));
	see("rt_sigqueueinfo, to the parent", syscall(SYS_rt_sigqueueinfo, getppid(), 0, &(siginfo_t){.si_code = SI_USER}));
	see("sigaltstack, flags", sigaltstack(&(stack_t){.ss_flags = 99, .ss_size = 65536}, NULL));
	see("sigaltstack, small", sigaltstack(&(stack_t){.ss_size = 100}, NULL));
	see("setns, kind", syscall(SYS_setns, 999, 12345));
	see("ptrace, unknown and nobody", syscall(SYS_ptrace, 0x7777, 999999, 0, 0));
	see("membarrier, unknown", syscall(SYS_membarrier, 0x4000, 0, 0));
	see("membarrier, flags", syscall(SYS_membarrier, 0, 5, 0));
	see("kcmp, kind", syscall(SYS_kcmp, getpid(), getpid(), 99, 0, 0));
	see("kcmp of files", syscall(SYS_kcmp, getpid(), getpid(), 0, 1, 1));
	see("personality, query", syscall(SYS_personality, 0xffffffff));
}
