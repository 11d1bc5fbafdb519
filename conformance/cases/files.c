// glibc only: musl has no struct statx
#include "case.h"
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static int make(const char *n, const char *s)
{
	int fd = need(open(n, O_CREAT | O_RDWR | O_TRUNC, 0644));
	need(write(fd, s, strlen(s)));
	return fd;
}

CASE(open_errors)
{
	need(mkdir("d", 0755));
	close(make("f", "x"));
	need(symlink("loop", "loop"));
	need(symlink("f", "l"));
	see("missing", open("no", O_RDONLY));
	see("in missing", open("no/x", O_CREAT | O_WRONLY, 0644));
	see("through file", open("f/x", O_RDONLY));
	see("trailing slash", open("f/", O_RDONLY));
	see("creat slash", open("new/", O_CREAT | O_WRONLY, 0644));
	see("dir for writing", open("d", O_WRONLY));
	see("creat dir", open("d", O_CREAT | O_RDONLY, 0644));
	see("excl", open("f", O_CREAT | O_EXCL, 0644));
	see("excl symlink", open("l", O_CREAT | O_EXCL, 0644));
	see("nofollow", open("l", O_RDONLY | O_NOFOLLOW));
	see("loop", open("loop", O_RDONLY));
	see("directory", open("f", O_RDONLY | O_DIRECTORY));
	see("empty", open("", O_RDONLY));
	see("NULL", open(NULL, O_RDONLY));
	see("long name", open("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", O_RDONLY));
	static char big[5000];
	memset(big, '/', 4999);
	see("long path", open(big, O_RDONLY));
	see("bad dirfd", openat(999, "x", O_RDONLY));
	see("dirfd is a file", openat(open("f", O_RDONLY), "x", O_RDONLY));
	see("tmpfile readonly", open(".", O_TMPFILE | O_RDONLY, 0600));
}

CASE(read_write_seek)
{
	char b[16] = {0};
	int fd = make("f", "hello world");
	see("end", lseek(fd, 0, SEEK_END));
	see("read at end", read(fd, b, 5));
	see("set", lseek(fd, 6, SEEK_SET));
	see("read", read(fd, b, 15));
	say("%s", b);
	see("negative", lseek(fd, -1, SEEK_SET));
	see("whence", lseek(fd, 0, 9));
	see("beyond", lseek(fd, 100, SEEK_SET));
	see("write there", write(fd, "!", 1));
	struct stat st;
	fstat(fd, &st);
	say("size %ld", (long)st.st_size);
	see("pread hole", pread(fd, b, 4, 50));
	say("%d %d", b[0], b[3]);
	see("pread negative", pread(fd, b, 1, -1));
	see("pwrite", pwrite(fd, "HE", 2, 0));
	see("offset kept", lseek(fd, 0, SEEK_CUR));
	see("data", lseek(fd, 0, SEEK_DATA));
	see("hole past end", lseek(fd, 101, SEEK_HOLE));
	see("zero", read(fd, NULL, 0));
	see("bad pointer", read(fd, (void *)8, 4));
	see("closed", (close(fd), read(fd, b, 1)));
}

CASE(append_and_truncate)
{
	struct stat st;
	int fd = make("f", "0123456789"), a = need(open("f", O_WRONLY | O_APPEND));
	lseek(a, 0, SEEK_SET);
	see("append", write(a, "ab", 2));
	see("offset", lseek(a, 0, SEEK_CUR));
	see("truncate", ftruncate(fd, 4));
	fstat(fd, &st);
	say("size %ld", (long)st.st_size);
	see("extend", ftruncate(fd, 8));
	char b[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	see("read", pread(fd, b, 8, 0));
	say("%d %d", b[3], b[4]);
	see("negative", ftruncate(fd, -1));
	see("readonly", ftruncate(open("f", O_RDONLY), 1));
	see("directory", truncate(".", 0));
	see("missing", truncate("no", 0));
}

CASE(vectors)
{
	char a[3] = {0}, b[6] = {0};
	struct iovec v[2] = {{"one", 3}, {"two-", 4}}, r[2] = {{a, 2}, {b, 5}};
	int fd = make("f", "");
	see("writev", writev(fd, v, 2));
	see("preadv", preadv(fd, r, 2, 0));
	say("%s %s", a, b);
	see("none", writev(fd, v, 0));
	see("too many", writev(fd, v, 1025));
	see("negative", writev(fd, v, -1));
	r[1].iov_len = -1;
	see("overflow", preadv(fd, r, 2, 0));
	r[0].iov_base = (void *)1;
	r[1].iov_len = 1;
	see("bad", preadv(fd, r, 2, 0));
}

CASE(dup_family)
{
	int fd = make("f", "abc");
	see("dup2 same", dup2(fd, fd) == fd);
	see("dup3 same", dup3(fd, fd, 0));
	see("dup2 bad", dup2(999, 5));
	see("dup2 high", dup2(fd, 100000000));
	see("to 40", dup2(fd, 40));
	lseek(fd, 1, SEEK_SET);
	see("shared offset", lseek(40, 0, SEEK_CUR));
	see("F_DUPFD", fcntl(fd, F_DUPFD, 60));
	see("F_DUPFD_CLOEXEC", fcntl(fd, F_DUPFD_CLOEXEC, 60));
	see("flags", fcntl(61, F_GETFD));
	see("set", fcntl(fd, F_SETFD, FD_CLOEXEC));
	see("get", fcntl(fd, F_GETFD));
	see("dup clears", fcntl(dup2(fd, 41), F_GETFD));
	see("F_GETFL", fcntl(fd, F_GETFL));
	see("F_SETFL", fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_CREAT));
	see("F_GETFL", fcntl(fd, F_GETFL));
	see("unknown", fcntl(fd, 9999));
	see("close_range", syscall(SYS_close_range, 40, 61, 0));
	see("closed", fcntl(40, F_GETFD));
	see("close_range backwards", syscall(SYS_close_range, 5, 4, 0));
	see("close_range cloexec", syscall(SYS_close_range, fd, fd, 4));
	see("close", close(999));
}

CASE(stat_of_kinds)
{
	struct stat st;
	need(mkdir("d", 0750));
	need(symlink("target", "l"));
	need(mkfifo("p", 0604));
	close(make("f", "12345"));
	need(link("f", "g"));
	const char *n[] = {"d", "l", "p", "f", "/dev/null"};
	for (int i = 0; i < 5; i++) {
		see(n[i], lstat(n[i], &st));
		say("mode %o nlink %d size %ld rdev %d", st.st_mode, (int)st.st_nlink, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size, (int)st.st_rdev);
	}
	struct statx x;
	see("statx", statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &x));
	say("mask %x size %ld", x.stx_mask & 0x7ff, (long)x.stx_size);
	see("statx flags", statx(AT_FDCWD, "f", 0x10000, 0x7ff, &x));
	see("statx mask", statx(AT_FDCWD, "f", 0, 0x80000000, &x));
	see("fstatat empty", fstatat(open("f", O_RDONLY), "", &st, AT_EMPTY_PATH));
	see("fstatat empty without flag", fstatat(AT_FDCWD, "", &st, 0));
	see("bad flag", fstatat(AT_FDCWD, "f", &st, 0x40000000));
	see("bad pointer", syscall(SYS_stat, "f", 1));
	see("dangling", stat("l", &st));
}

CASE(access_checks)
{
	close(make("f", "x"));
	chmod("f", 0);
	see("F_OK", access("f", F_OK));
	see("R_OK as root", access("f", R_OK));
	see("X_OK as root", access("f", X_OK));
	see("mode", access("f", 8));
	need(setresuid(12345, 12345, 12345));
	see("R_OK as user", access("f", R_OK));
	see("open as user", open("f", O_RDONLY));
	see("chmod as user", chmod("f", 0777));
	see("chown as user", chown("f", 1, 1));
	see("create as user", open("new", O_CREAT | O_WRONLY, 0644));
	see("unlink as user", unlink("f"));
}

CASE(chmod_chown)
{
	struct stat st;
	close(make("f", "x"));
	see("chmod", chmod("f", 06755));
	see("chown", chown("f", 5, 6));
	stat("f", &st);
	say("%o %d %d", st.st_mode, st.st_uid, st.st_gid);
	see("chown nothing", chown("f", -1, -1));
	need(chmod("f", 04711));
	int fd = need(open("f", O_WRONLY));
	need(setresuid(5, 5, 5));
	see("write clears suid", write(fd, "y", 1));
	fstat(fd, &st);
	say("%o", st.st_mode);
	see("fchmod", fchmod(fd, 0600));
	see("lchmod", fchmodat(AT_FDCWD, "f", 0644, AT_SYMLINK_NOFOLLOW));
	see("fchmodat flags", syscall(SYS_fchmodat, AT_FDCWD, "no", 0644));
}

CASE(times)
{
	struct stat st;
	struct timespec t[2] = {{1000, 5}, {2000, 999999999}};
	int fd = make("f", "x");
	see("futimens", futimens(fd, t));
	fstat(fd, &st);
	say("%ld.%09ld %ld.%09ld", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_nsec = UTIME_NOW;
	see("omit and now", utimensat(AT_FDCWD, "f", t, 0));
	stat("f", &st);
	say("%ld %d", (long)st.st_atim.tv_sec, st.st_mtim.tv_sec > 1000000000);
	t[0].tv_nsec = 1000000000;
	see("bad nsec", utimensat(AT_FDCWD, "f", t, 0));
	see("flags", utimensat(AT_FDCWD, "f", NULL, 0x1234));
	struct timeval v[2] = {{5, 0}, {6, 0}};
	see("utimes", utimes("f", v));
	stat("f", &st);
	say("%ld %ld", (long)st.st_atime, (long)st.st_mtime);
}

CASE(flock_locks)
{
	int a = make("f", "x"), b = need(open("f", O_RDWR));
	see("exclusive", flock(a, LOCK_EX));
	see("other", flock(b, LOCK_EX | LOCK_NB));
	see("shared", flock(b, LOCK_SH | LOCK_NB));
	see("downgrade", flock(a, LOCK_SH));
	see("shared", flock(b, LOCK_SH | LOCK_NB));
	see("unlock", flock(a, LOCK_UN));
	see("bad", flock(a, 77));
	close(b);
	see("after close", flock(a, LOCK_EX | LOCK_NB));
}

CASE(posix_locks)
{
	int fd = make("f", "0123456789");
	struct flock l = {.l_type = F_WRLCK, .l_start = 2, .l_len = 4};
	see("set", fcntl(fd, F_SETLK, &l));
	pid_t p = need(fork());
	if (!p) {
		struct flock m = {.l_type = F_WRLCK, .l_start = 0, .l_len = 0};
		see("get", fcntl(fd, F_GETLK, &m));
		say("type %d start %ld len %ld pid %d", m.l_type, (long)m.l_start, (long)m.l_len, m.l_pid == getppid());
		m = (struct flock){.l_type = F_RDLCK, .l_start = 5, .l_len = 1};
		see("conflict", fcntl(fd, F_SETLK, &m));
		m = (struct flock){.l_type = F_WRLCK, .l_start = 6, .l_len = 2};
		see("beside", fcntl(fd, F_SETLK, &m));
		m = (struct flock){.l_type = F_WRLCK, .l_start = 2, .l_len = 1};
		alarm(10);
		int r = fcntl(fd, F_SETLKW, &m);
		msleep(300); // the parent prints first
		see("wait", r);
		_exit(0);
	}
	msleep(700); // the child prints first
	l = (struct flock){.l_type = F_UNLCK, .l_start = 2, .l_len = 1};
	see("unlock part", fcntl(fd, F_SETLK, &l));
	reap("child", p);
	l = (struct flock){.l_type = 9};
	see("bad type", fcntl(fd, F_SETLK, &l));
	l = (struct flock){.l_type = F_RDLCK, .l_start = -5};
	see("bad start", fcntl(fd, F_SETLK, &l));
	see("read lock needs reading", fcntl(open("f", O_WRONLY), F_SETLK, &(struct flock){.l_type = F_RDLCK}));
}

CASE(sendfile_and_copy)
{
	int a = make("a", "some data to copy"), b = make("b", "");
	off_t off = 5;
	see("sendfile", sendfile(b, a, &off, 4));
	say("offset %ld", (long)off);
	loff_t in = 0, out = 10;
	see("copy_file_range", copy_file_range(a, &in, b, &out, 100, 0));
	say("in %ld out %ld", (long)in, (long)out);
	struct stat st;
	fstat(b, &st);
	say("size %ld", (long)st.st_size);
	see("flags", copy_file_range(a, NULL, b, NULL, 1, 1));
	int p[2];
	need(pipe(p));
	off = 0;
	see("to a pipe", sendfile(p[1], a, &off, 100));
	see("from a pipe", sendfile(b, p[0], NULL, 4));
	in = 0;
	see("splice", splice(p[0], NULL, b, &in, 4, 0));
	see("splice two files", splice(a, NULL, b, NULL, 4, 0));
	see("tee", tee(p[0], p[1], 1, 0));
}

CASE(fallocate_modes)
{
	struct stat st;
	char b[4];
	int fd = make("f", "abcdefgh");
	see("grow", fallocate(fd, 0, 0, 10000));
	fstat(fd, &st);
	say("size %ld", (long)st.st_size);
	see("keep size", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
	fstat(fd, &st);
	say("size %ld", (long)st.st_size);
	see("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
	pread(fd, b, 4, 1);
	say("%d %d %d %d", b[0], b[1], b[2], b[3]);
	see("punch without keep", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 2, 3));
	see("zero length", fallocate(fd, 0, 0, 0));
	see("negative", fallocate(fd, 0, -1, 5));
	see("pipe", fallocate(0, 0, 0, 1) == -1);
}

CASE(file_size_limit)
{
	struct rlimit r = {10, 10};
	int fd = make("f", "");
	need(setrlimit(RLIMIT_FSIZE, &r));
	signal(SIGXFSZ, SIG_IGN);
	see("up to it", write(fd, "0123456789abc", 13));
	see("at it", write(fd, "x", 1));
	see("truncate", ftruncate(fd, 11));
	signal(SIGXFSZ, SIG_DFL);
	write(fd, "x", 1);
}

CASE(xattrs)
{
	char b[64];
	close(make("f", "x"));
	see("set", setxattr("f", "user.a", "value", 5, 0));
	see("get", getxattr("f", "user.a", b, 64));
	see("size", getxattr("f", "user.a", NULL, 0));
	see("small", getxattr("f", "user.a", b, 2));
	see("create again", setxattr("f", "user.a", "v", 1, XATTR_CREATE));
	see("replace none", setxattr("f", "user.b", "v", 1, XATTR_REPLACE));
	see("list", listxattr("f", b, 64));
	see("remove", removexattr("f", "user.a"));
	see("gone", getxattr("f", "user.a", b, 64));
	see("bad namespace", setxattr("f", "nope.a", "v", 1, 0));
	see("no namespace", setxattr("f", "a", "v", 1, 0));
	symlink("f", "l");
	see("user on symlink", lsetxattr("l", "user.a", "v", 1, 0));
	see("flags", setxattr("f", "user.a", "v", 1, 9));
}

CASE(o_path_and_empty_path)
{
	struct stat st;
	char b[4];
	close(make("f", "abc"));
	int fd = need(open("f", O_PATH));
	see("read", read(fd, b, 1));
	see("fstat", fstat(fd, &st));
	see("fchmod", fchmod(fd, 0600));
	see("ioctl", syscall(SYS_ioctl, fd, 0x5401, b));
	see("reopen", read(open("/proc/self/fd/3", O_RDONLY), b, 3) == -1 && fd == 3);
	see("linkat", linkat(fd, "", AT_FDCWD, "g", AT_EMPTY_PATH));
	stat("g", &st);
	say("nlink %d", (int)st.st_nlink);
	see("flags", fcntl(fd, F_GETFL) & O_PATH ? 1 : 0);
	symlink("f", "l");
	see("path of symlink", fstat(open("l", O_PATH | O_NOFOLLOW), &st));
	say("link %d", S_ISLNK(st.st_mode));
}

CASE(tmpfile_can_be_linked)
{
	char path[64];
	struct stat st;
	int fd = need(open(".", O_TMPFILE | O_RDWR, 0640));
	write(fd, "x", 1);
	fstat(fd, &st);
	say("nlink %d mode %o", (int)st.st_nlink, st.st_mode);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	see("linkat", linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	see("stat", stat("named", &st));
	say("nlink %d size %ld", (int)st.st_nlink, (long)st.st_size);
	fd = need(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	see("exclusive", linkat(AT_FDCWD, path, AT_FDCWD, "other", AT_SYMLINK_FOLLOW));
}
