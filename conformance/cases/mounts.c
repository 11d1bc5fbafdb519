#include "case.h"
#include <sys/mount.h>
#include <sys/statfs.h>

// Each case has a mount namespace of its own, in which nothing reaches the outside.
static void private(void)
{
	need(unshare(CLONE_NEWNS));
	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}
static void make(const char *n) { close(need(open(n, O_CREAT | O_WRONLY, 0644))); }
static int exists(const char *n) { return access(n, F_OK) == 0; }

CASE(mount_tmpfs)
{
	struct statfs s;
	private();
	need(mkdir("m", 0755));
	make("m/under");
	see("mount", mount("src", "m", "tmpfs", 0, "size=1m,mode=0700"));
	struct stat st;
	stat("m", &st);
	say("mode %o, hidden %d", st.st_mode, !exists("m/under"));
	statfs("m", &s);
	say("type %lx size %ld", (long)s.f_type, (long)s.f_blocks * s.f_bsize);
	int fd = need(open("m/f", O_CREAT | O_RDWR, 0600));
	static char b[1 << 20];
	see("fill", write(fd, b, sizeof b));
	see("no space", write(fd, b, 1));
	see("busy", umount("m"));
	close(fd);
	see("umount", umount("m"));
	say("seen again %d", exists("m/under"));
	see("twice", umount("m"));
}

CASE(mount_errors)
{
	private();
	need(mkdir("m", 0755));
	make("f");
	see("unknown type", mount("x", "m", "nosuchfs", 0, NULL));
	see("missing target", mount("x", "no", "tmpfs", 0, NULL));
	see("on a file", mount("x", "f", "tmpfs", 0, NULL));
	see("NULL type", mount("x", "m", NULL, 0, NULL));
	see("NULL target", mount("x", NULL, "tmpfs", 0, NULL));
	see("bad option", mount("x", "m", "tmpfs", 0, "nonsense=1"));
	see("bad value", mount("x", "m", "tmpfs", 0, "size=abc"));
	see("bind of nothing", mount("no", "m", NULL, MS_BIND, NULL));
	see("bind a file on a directory", mount("f", "m", NULL, MS_BIND, NULL));
	see("bind a directory on a file", mount("m", "f", NULL, MS_BIND, NULL));
	see("bind NULL", mount(NULL, "m", NULL, MS_BIND, NULL));
	see("remount of no mount", mount(NULL, "m", NULL, MS_REMOUNT, NULL));
	see("move of no mount", mount("f", "m", NULL, MS_MOVE, NULL));
	see("umount of no mount", umount("m"));
	see("umount missing", umount("no"));
	see("umount flags", umount2("m", 0x100));
	see("expire and force", umount2("m", MNT_EXPIRE | MNT_FORCE));
	see("propagation of two kinds", mount(NULL, "/", NULL, MS_PRIVATE | MS_SHARED, NULL));
	need(setresuid(1000, 1000, 1000));
	see("as user", mount("x", "m", "tmpfs", 0, NULL));
	see("as user, missing target", mount("x", "no", "tmpfs", 0, NULL));
	see("umount as user", umount("m"));
}

CASE(bind_mounts)
{
	private();
	need(mkdir("a", 0755));
	need(mkdir("b", 0755));
	make("a/x");
	make("file");
	make("target");
	see("bind", mount("a", "b", NULL, MS_BIND, NULL));
	say("%d", exists("b/x"));
	make("b/y");
	say("the same directory: %d", exists("a/y"));
	see("bind a file", mount("b/x", "target", NULL, MS_BIND, NULL));
	int fd = need(open("target", O_WRONLY));
	write(fd, "abc", 3);
	close(fd);
	struct stat st;
	stat("a/x", &st);
	say("written through %ld", (long)st.st_size);
	see("unlink a mount point", unlink("target"));
	see("rmdir a mount point", rmdir("b"));
	see("rename over mounts", rename("a/x", "b/x"));
	see("link over mounts", link("a/x", "b/z"));
	see("rename a mount point", rename("b", "c"));
	see("umount", umount("target"));
	see("umount", umount("b"));
	say("empty again %d", !exists("b/x"));
}

CASE(read_only_mounts)
{
	private();
	need(mkdir("m", 0755));
	need(mkdir("v", 0755));
	need(mount("x", "m", "tmpfs", 0, NULL));
	make("m/f");
	int fd = need(open("m/f", O_RDWR));
	see("remount while written to", mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	close(fd);
	see("bind", mount("m", "v", NULL, MS_BIND, NULL));
	see("bind remount", mount(NULL, "v", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	see("write there", open("v/f", O_WRONLY));
	see("create there", open("v/g", O_CREAT | O_WRONLY, 0600));
	ok("write here", open("m/f", O_WRONLY | O_CLOEXEC));
	see("access", access("v/f", W_OK));
	see("mkdir", mkdir("v/d", 0700));
	see("mkdir of what is", mkdir("v", 0700));
	see("unlink", unlink("v/f"));
	see("unlink of nothing", unlink("v/no"));
	see("chmod", chmod("v/f", 0600));
	see("truncate", truncate("v/f", 0));
	see("utimes", utimensat(AT_FDCWD, "v/f", NULL, 0));
	see("read", open("v/f", O_RDONLY) >= 0);
	struct statfs s;
	statfs("v", &s);
	say("flag %d", (int)(s.f_flags & 1));
	see("back", mount(NULL, "v", NULL, MS_REMOUNT | MS_BIND, NULL));
	ok("write", open("v/f", O_WRONLY));
}

CASE(mount_flags)
{
	private();
	need(mkdir("m", 0755));
	see("mount", mount("x", "m", "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOSUID | MS_NOATIME, NULL));
	int fd = need(open("m/s", O_CREAT | O_WRONLY, 0755));
	write(fd, "#!/bin/sh\n", 10);
	close(fd);
	see("noexec", execl("m/s", "s", NULL));
	see("access", access("m/s", X_OK));
	see("mmap", mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE, open("m/s", O_RDONLY), 0));
	see("mknod", mknod("m/null", S_IFCHR | 0666, 0x103));
	see("nodev", open("m/null", O_RDONLY));
	struct statfs s;
	statfs("m", &s);
	say("flags %lx", (long)s.f_flags & 0x40f);
}

CASE(umount_variants)
{
	private();
	need(mkdir("m", 0755));
	need(mount("x", "m", "tmpfs", 0, NULL));
	make("m/f");
	int fd = need(open("m/f", O_RDWR));
	see("detach", umount2("m", MNT_DETACH));
	say("gone by name %d", !exists("m/f"));
	see("open file works", write(fd, "abc", 3));
	need(mount("x", "m", "tmpfs", 0, NULL));
	need(symlink("m", "l"));
	see("nofollow", umount2("l", UMOUNT_NOFOLLOW));
	see("through the link", umount("l"));
	need(mount("x", "m", "tmpfs", 0, NULL));
	see("expire marks", umount2("m", MNT_EXPIRE));
	see("expire", umount2("m", MNT_EXPIRE));
	need(mount("x", "m", "tmpfs", 0, NULL));
	need(mkdir("m/in", 0755));
	need(mount("y", "m/in", "tmpfs", 0, NULL));
	see("with a mount inside", umount("m"));
	need(chdir("m/in"));
	see("with a directory in use", umount("."));
	need(chdir("../.."));
	see("inner", umount("m/in"));
	see("outer", umount("m"));
}

CASE(stacked_mounts)
{
	private();
	need(mkdir("m", 0755));
	need(mount("x", "m", "tmpfs", 0, NULL));
	make("m/first");
	see("on top", mount("x", "m", "tmpfs", 0, NULL));
	make("m/second");
	say("%d %d", exists("m/first"), exists("m/second"));
	see("umount", umount("m"));
	say("%d %d", exists("m/first"), exists("m/second"));
	see("umount", umount("m"));
	see("umount", umount("m"));
}

CASE(move_mounts)
{
	private();
	need(mkdir("a", 0755));
	need(mkdir("b", 0755));
	need(mount("x", "a", "tmpfs", 0, NULL));
	make("a/f");
	need(mkdir("a/sub", 0755));
	see("into itself", mount("a", "a/sub", NULL, MS_MOVE, NULL));
	see("move", mount("a", "b", NULL, MS_MOVE, NULL));
	say("%d %d", exists("a/f"), exists("b/f"));
}

CASE(recursive_binds)
{
	private();
	need(mkdir("a", 0755));
	need(mkdir("b", 0755));
	need(mkdir("c", 0755));
	need(mkdir("a/in", 0755));
	need(mount("x", "a/in", "tmpfs", 0, NULL));
	make("a/in/f");
	see("bind", mount("a", "b", NULL, MS_BIND, NULL));
	say("inner is not there: %d", !exists("b/in/f"));
	see("recursive", mount("a", "c", NULL, MS_BIND | MS_REC, NULL));
	say("inner is there: %d", exists("c/in/f"));
}

CASE(shared_propagation)
{
	private();
	need(mkdir("a", 0755));
	need(mkdir("b", 0755));
	need(mount("x", "a", "tmpfs", 0, NULL));
	need(mkdir("a/d", 0755));
	see("shared", mount(NULL, "a", NULL, MS_SHARED, NULL));
	see("bind", mount("a", "b", NULL, MS_BIND, NULL));
	need(mount("y", "a/d", "tmpfs", 0, NULL));
	make("a/d/f");
	say("came over: %d", exists("b/d/f"));
	see("slave", mount(NULL, "b", NULL, MS_SLAVE, NULL));
	need(umount("a/d"));
	say("went too: %d", !exists("b/d/f"));
	need(mount("y", "b/d", "tmpfs", 0, NULL));
	make("b/d/f");
	say("not back: %d", !exists("a/d/f"));
	see("unbindable", mount(NULL, "b", NULL, MS_UNBINDABLE, NULL));
	need(mkdir("c", 0755));
	see("bind of it", mount("b", "c", NULL, MS_BIND, NULL));
}

CASE(namespaces_are_apart)
{
	private();
	need(mkdir("m", 0755));
	pid_t p = need(fork());
	if (!p) {
		need(unshare(CLONE_NEWNS));
		need(mount("x", "m", "tmpfs", 0, NULL));
		make("m/f");
		say("inside %d", exists("m/f"));
		_exit(0);
	}
	reap("child", p);
	say("outside %d", exists("m/f"));
}

CASE(chroot_and_root)
{
	char b[300];
	private();
	need(mkdir("r", 0755));
	need(mkdir("r/d", 0755));
	make("r/in");
	int out = need(open(".", O_RDONLY));
	see("missing", chroot("no"));
	see("a file", chroot("r/in"));
	see("NULL", chroot(NULL));
	see("chroot", chroot("r"));
	say("inside %d outside %d", exists("/in"), exists("/etc/passwd"));
	see("getcwd from outside", syscall(SYS_getcwd, b, sizeof b) > 0);
	say("unreachable: %d", !strncmp(b, "(unreachable)", 13));
	need(chdir("/d"));
	syscall(SYS_getcwd, b, sizeof b);
	say("%s", b);
	need(chdir("/"));
	need(chdir("../../.."));
	say("dot dot stays: %d", exists("in"));
	need(fchdir(out));
	say("a descriptor leads out: %d", exists("r/in"));
	see("new namespace in a chroot", unshare(CLONE_NEWUSER));
}

CASE(pivot_root)
{
	private();
	need(mkdir("r", 0755));
	see("not a mount point", syscall(SYS_pivot_root, "r", "r"));
	need(mount("x", "r", "tmpfs", 0, NULL));
	need(mkdir("r/old", 0755));
	make("r/f");
	see("old not inside", syscall(SYS_pivot_root, "r", "/"));
	see("missing", syscall(SYS_pivot_root, "r", "r/no"));
	see("pivot", syscall(SYS_pivot_root, "r", "r/old"));
	need(chdir("/"));
	say("new root %d, old %d", exists("/f"), exists("/old/etc"));
	see("detach", umount2("/old", MNT_DETACH));
	say("old is gone %d", !exists("/old/etc"));
}

CASE(mountinfo_shows_mounts)
{
	private();
	need(mkdir("with space", 0755));
	need(mount("some source", "with space", "tmpfs", MS_NODEV | MS_RDONLY, "size=4096"));
	char line[1000];
	FILE *f = fopen("/proc/self/mountinfo", "r");
	while (fgets(line, sizeof line, f))
		if (strstr(line, "with\\040space")) {
			char *s = strstr(line, " - "), *w = strstr(line, "with");
			if (s)
				say("%.*s ... %.31s", (int)(s - w), w, s + 3);
		}
	f = fopen("/proc/self/mounts", "r");
	while (fgets(line, sizeof line, f))
		if (strstr(line, "with\\040space"))
			say("%.12s %.36s", line, strstr(line, "with"));
}
