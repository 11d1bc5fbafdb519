// glibc only: musl-gcc does not see the kernel headers
#include "case.h"
#include <linux/openat2.h>

static void touch(const char *n) { close(need(open(n, O_CREAT | O_WRONLY, 0644))); }
static int cmp(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }
static void list(const char *d)
{
	char *names[100];
	int n = 0;
	DIR *D = opendir(d);
	struct dirent *e;
	if (!D) {
		say("opendir %s: %s", d, errno_name(errno));
		return;
	}
	while ((e = readdir(D)) && n < 100)
		names[n++] = strdup(e->d_name);
	closedir(D);
	qsort(names, n, sizeof *names, cmp);
	for (int i = 0; i < n; i++)
		say("%s", names[i]);
}

CASE(mkdir_rmdir)
{
	struct stat st;
	see("mkdir", mkdir("d", 01777));
	stat("d", &st);
	say("%o nlink %d", st.st_mode, (int)st.st_nlink);
	see("exists", mkdir("d", 0755));
	see("trailing slash", mkdir("e/", 0755));
	see("dot", mkdir(".", 0755));
	see("in missing", mkdir("x/y", 0755));
	mkdir("d/sub", 0755);
	stat("d", &st);
	say("nlink %d", (int)st.st_nlink);
	see("not empty", rmdir("d"));
	see("dot", rmdir("d/."));
	see("dotdot", rmdir("d/sub/.."));
	touch("f");
	see("file", rmdir("f"));
	see("missing", rmdir("no"));
	see("root", rmdir("/"));
	see("rmdir", rmdir("d/sub"));
	see("unlink a directory", unlink("d"));
	see("unlinkat", unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
	see("unlinkat flags", unlinkat(AT_FDCWD, "d", 0x1234));
}

CASE(rename_rules)
{
	mkdir("d", 0755); mkdir("e", 0755); mkdir("e/x", 0755);
	touch("a"); touch("b");
	see("file over file", rename("a", "b"));
	see("gone", access("a", F_OK));
	see("file over dir", rename("b", "d"));
	see("dir over file", rename("d", "b"));
	see("dir over empty dir", rename("e", "d"));
	mkdir("e", 0755);
	see("dir over full dir", rename("e", "d"));
	see("into itself", rename("d", "d/x/y"));
	see("over its parent", rename("d/x", "d"));
	see("same", rename("b", "b"));
	see("missing", rename("no", "b"));
	see("dot", rename("d/.", "z"));
	see("slash on file", rename("b", "c/"));
	link("b", "h");
	see("hard links stay", rename("b", "h"));
	see("both there", access("b", F_OK) + access("h", F_OK));
	list(".");
	touch("n");
	see("noreplace", renameat2(AT_FDCWD, "n", AT_FDCWD, "b", RENAME_NOREPLACE));
	see("exchange", renameat2(AT_FDCWD, "n", AT_FDCWD, "d", RENAME_EXCHANGE));
	struct stat st;
	stat("n", &st);
	say("n is a directory %d", S_ISDIR(st.st_mode));
	see("exchange missing", renameat2(AT_FDCWD, "n", AT_FDCWD, "no", RENAME_EXCHANGE));
	see("both flags", renameat2(AT_FDCWD, "n", AT_FDCWD, "d", RENAME_EXCHANGE | RENAME_NOREPLACE));
	see("unknown flag", renameat2(AT_FDCWD, "n", AT_FDCWD, "d", 64));
}

CASE(links)
{
	char b[16];
	struct stat st;
	touch("f");
	see("link", link("f", "g"));
	see("exists", link("f", "g"));
	see("directory", link(".", "x"));
	see("missing", link("no", "x"));
	see("symlink", symlink("f", "l"));
	see("empty target", symlink("", "x"));
	see("exists", symlink("f", "l"));
	see("readlink", readlink("l", b, 16));
	see("short", readlink("l", b, 0));
	see("of a file", readlink("f", b, 16));
	see("missing", readlink("no", b, 16));
	see("link to symlink", link("l", "m"));
	lstat("m", &st);
	say("m is a link %d", S_ISLNK(st.st_mode));
	see("followed", linkat(AT_FDCWD, "l", AT_FDCWD, "o", AT_SYMLINK_FOLLOW));
	lstat("o", &st);
	say("o is a link %d nlink %d", S_ISLNK(st.st_mode), (int)st.st_nlink);
	see("flags", linkat(AT_FDCWD, "f", AT_FDCWD, "p", 1));
	symlink("l1", "l0");
	for (int i = 1; i < 45; i++) {
		char x[8], y[8];
		sprintf(x, "l%d", i);
		sprintf(y, i == 44 ? "f" : "l%d", i + 1);
		symlink(y, x);
	}
	see("45 links", stat("l0", &st));
	see("40 links", stat("l5", &st));
	see("41 links", stat("l4", &st));
}

CASE(readdir_sees_changes)
{
	mkdir("d", 0755);
	for (int i = 0; i < 20; i++) {
		char n[16];
		sprintf(n, "d/f%02d", i);
		touch(n);
	}
	list("d");
	DIR *D = opendir("d");
	struct dirent *e;
	int n = 0;
	while ((e = readdir(D)))
		if (e->d_name[0] == 'f') {
			char x[32];
			sprintf(x, "d/%s", e->d_name);
			unlink(x);
			n++;
		}
	say("%d removed on the way", n);
	rewinddir(D);
	n = 0;
	while (readdir(D))
		n++;
	say("%d left", n);
	see("rmdir", rmdir("d"));
	rewinddir(D);
	say("%s", readdir(D) ? "entries" : "none");
}

CASE(getdents_errors)
{
	char b[512];
	touch("f");
	int d = need(open(".", O_RDONLY));
	see("small buffer", syscall(SYS_getdents64, d, b, 10));
	see("file", syscall(SYS_getdents64, open("f", O_RDONLY), b, 512));
	see("bad fd", syscall(SYS_getdents64, 999, b, 512));
	see("bad pointer", syscall(SYS_getdents64, d, 1, 512));
	see("read a directory", read(d, b, 1));
	see("works", syscall(SYS_getdents64, d, b, 512) > 0);
	see("end", syscall(SYS_getdents64, d, b, 512));
}

CASE(cwd_and_chroot)
{
	char b[PATH_MAX], *base;
	mkdir("d", 0755); mkdir("d/e", 0755);
	getcwd(b, sizeof b);
	base = strdup(b);
	see("chdir", chdir("d/e"));
	getcwd(b, sizeof b);
	say("%s", b + strlen(base));
	see("small", syscall(SYS_getcwd, b, 3));
	see("chdir to a file", (touch("f"), chdir("f")));
	see("chdir missing", chdir("no"));
	unlink("f");
	rmdir("../e");
	see("cwd is gone", syscall(SYS_getcwd, b, sizeof b));
	see("create there", open("x", O_CREAT | O_WRONLY, 0644));
	see("..", chdir(".."));
	see("fchdir", fchdir(open("/", O_RDONLY | O_DIRECTORY)));
	see("chroot", chroot(base));
	see("escape", chdir("../../../.."));
	getcwd(b, sizeof b);
	say("%s", b);
	see("cwd inside", chdir("/d"));
	getcwd(b, sizeof b);
	say("%s", b);
	see("..", chdir("../../.."));
	list("/");
}

CASE(openat2_resolve)
{
	mkdir("d", 0755);
	touch("d/f");
	symlink("../d/f", "d/up");
	symlink("/etc/passwd", "d/abs");
	symlink("f", "d/l");
	int d = need(open("d", O_RDONLY));
	struct { const char *n; unsigned long long r; } t[] = {
		{"f", RESOLVE_BENEATH}, {"../d/f", RESOLVE_BENEATH}, {"up", RESOLVE_BENEATH}, {"abs", RESOLVE_BENEATH}, {"l", RESOLVE_BENEATH},
		{"l", RESOLVE_NO_SYMLINKS}, {"/f", RESOLVE_IN_ROOT}, {"../../f", RESOLVE_IN_ROOT}, {"abs", RESOLVE_IN_ROOT}, {"up", RESOLVE_IN_ROOT},
		{"f", 0x1000}, {"f", RESOLVE_BENEATH | RESOLVE_IN_ROOT},
	};
	for (int i = 0; i < sizeof t / sizeof *t; i++) {
		struct open_how h = {.flags = O_RDONLY, .resolve = t[i].r};
		long r = syscall(SYS_openat2, d, t[i].n, &h, sizeof h);
		say("%s %llx: %s", t[i].n, t[i].r, r >= 0 ? "ok" : errno_name(errno));
	}
	struct open_how h = {.flags = O_RDONLY, .mode = 0644};
	see("mode without creat", syscall(SYS_openat2, d, "f", &h, sizeof h));
	h = (struct open_how){.flags = 1ull << 40};
	see("unknown flag", syscall(SYS_openat2, d, "f", &h, sizeof h));
	see("small", syscall(SYS_openat2, d, "f", &h, 8));
}

CASE(sticky_and_setgid_directories)
{
	struct stat st;
	mkdir("s", 0777);
	chmod("s", 01777);
	touch("s/rootfile");
	mkdir("g", 0777);
	chown("g", 0, 77);
	chmod("g", 02777);
	need(setresgid(55, 55, 55));
	need(setresuid(55, 55, 55));
	see("unlink other's in sticky", unlink("s/rootfile"));
	touch("s/mine");
	see("unlink own", unlink("s/mine"));
	touch("g/f");
	stat("g/f", &st);
	say("group %d", st.st_gid);
	mkdir("g/d", 0755);
	stat("g/d", &st);
	say("group %d mode %o", st.st_gid, st.st_mode);
}

CASE(mknod_kinds)
{
	struct stat st;
	see("fifo", mknod("p", S_IFIFO | 0644, 0));
	see("socket", mknod("s", S_IFSOCK | 0600, 0));
	see("regular", mknod("r", S_IFREG | 0600, 0));
	see("directory", mknod("d", S_IFDIR | 0600, 0));
	see("bad", mknod("x", 0170000, 0));
	see("open a socket", open("s", O_RDONLY));
	lstat("s", &st);
	say("%o", st.st_mode);
	see("fifo nonblock write", open("p", O_WRONLY | O_NONBLOCK));
	see("fifo rdwr", open("p", O_RDWR) > 0);
	need(setresuid(9, 9, 9));
	see("device as user", mknod("/tmp/dev", S_IFCHR | 0600, 0x103));
}
