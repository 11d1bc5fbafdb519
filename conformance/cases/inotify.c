#include "case.h"
#include <sys/inotify.h>

static int in;
// events prints all that is queued, cookies as 0 or their pairs' number.
static void events(const char *what)
{
	char b[8192] __attribute__((aligned(8)));
	uint32_t first = 0;
	int n = read(in, b, sizeof b);
	if (n < 0) {
		say("%s: %s", what, errno_name(errno));
		return;
	}
	say("%s:", what);
	for (int o = 0; o < n;) {
		struct inotify_event *e = (void *)(b + o);
		if (e->cookie && !first)
			first = e->cookie;
		say("  wd %d mask %x cookie %s name %s len %u", e->wd, e->mask, !e->cookie ? "0" : e->cookie == first ? "a" : "b", e->len ? e->name : "-", e->len);
		o += sizeof *e + e->len;
	}
}
static void touch(const char *n) { close(need(open(n, O_CREAT | O_WRONLY, 0644))); }

CASE(inotify_errors)
{
	char b[8];
	need(in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	see("flags", inotify_init1(1));
	see("cloexec", fcntl(in, F_GETFD));
	see("missing", inotify_add_watch(in, "nope", IN_CREATE));
	see("no mask", inotify_add_watch(in, ".", 0));
	see("bad mask", inotify_add_watch(in, ".", 0x10000));
	see("bad fd", inotify_add_watch(999, ".", IN_CREATE));
	see("not inotify", inotify_add_watch(0, ".", IN_CREATE));
	see("NULL", inotify_add_watch(in, NULL, IN_CREATE));
	touch("f");
	see("only a directory", inotify_add_watch(in, "f", IN_MODIFY | IN_ONLYDIR));
	see("add and create", inotify_add_watch(in, ".", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE));
	see("watch", inotify_add_watch(in, "f", IN_MODIFY));
	see("same again", inotify_add_watch(in, "f", IN_OPEN));
	see("must be new", inotify_add_watch(in, "f", IN_OPEN | IN_MASK_CREATE));
	see("rm unknown", inotify_rm_watch(in, 77));
	see("rm bad fd", inotify_rm_watch(999, 1));
	see("rm", inotify_rm_watch(in, 1));
	see("too small", read(in, b, 8));
	events("ignored");
	see("empty", read(in, b, 8));
	see("write", write(in, b, 8));
	see("numbers go up", inotify_add_watch(in, "f", IN_MODIFY));
}

CASE(inotify_directory)
{
	need(in = inotify_init1(IN_NONBLOCK));
	need(mkdir("d", 0755));
	see("watch", inotify_add_watch(in, "d", IN_ALL_EVENTS));
	touch("d/a");
	events("create");
	int fd = open("d/a", O_RDWR);
	write(fd, "x", 1);
	lseek(fd, 0, SEEK_SET);
	char c;
	read(fd, &c, 1);
	close(fd);
	events("write and read");
	chmod("d/a", 0600);
	events("chmod");
	rename("d/a", "d/b");
	events("rename inside");
	rename("d/b", "c");
	events("moved out");
	rename("c", "d/c");
	events("moved in");
	link("d/c", "d/l");
	symlink("x", "d/s");
	mkdir("d/sub", 0755);
	mkfifo("d/p", 0600);
	events("link, symlink, mkdir, fifo");
	truncate("d/c", 0);
	events("truncate");
	unlink("d/l");
	rmdir("d/sub");
	events("unlink and rmdir");
}

CASE(inotify_file)
{
	need(in = inotify_init1(IN_NONBLOCK));
	touch("f");
	see("watch", inotify_add_watch(in, "f", IN_ALL_EVENTS));
	int fd = open("f", O_WRONLY);
	write(fd, "ab", 2);
	write(fd, "ab", 2);
	close(fd);
	events("two writes are one event");
	rename("f", "g");
	events("rename");
	link("g", "h");
	unlink("h");
	events("another name");
	fd = open("g", O_RDONLY);
	unlink("g");
	events("unlink while open");
	close(fd);
	events("last close");
	events("nothing more");
}

CASE(inotify_directory_itself)
{
	need(in = inotify_init1(IN_NONBLOCK));
	need(mkdir("d", 0755));
	see("watch", inotify_add_watch(in, "d", IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB));
	chmod("d", 0700);
	events("chmod");
	rename("d", "e");
	events("moved");
	rmdir("e");
	events("removed");
	see("the watch is gone", inotify_rm_watch(in, 1));
}

CASE(inotify_oneshot_and_masks)
{
	need(in = inotify_init1(IN_NONBLOCK));
	need(mkdir("d", 0755));
	see("oneshot", inotify_add_watch(in, "d", IN_CREATE | IN_ONESHOT));
	touch("d/a");
	touch("d/b");
	events("one, then ignored");
	see("create only", inotify_add_watch(in, "d", IN_CREATE));
	unlink("d/a");
	events("not asked for");
	see("add delete", inotify_add_watch(in, "d", IN_DELETE | IN_MASK_ADD));
	unlink("d/b");
	touch("d/c");
	events("both");
	see("replace", inotify_add_watch(in, "d", IN_DELETE));
	touch("d/e");
	events("replaced");
}

CASE(inotify_links_and_symlinks)
{
	need(in = inotify_init1(IN_NONBLOCK));
	touch("f");
	need(symlink("f", "s"));
	need(link("f", "l"));
	see("symlink followed", inotify_add_watch(in, "s", IN_OPEN));
	see("the same inode", inotify_add_watch(in, "l", IN_OPEN));
	see("symlink itself", inotify_add_watch(in, "s", IN_ALL_EVENTS | IN_DONT_FOLLOW));
	close(open("l", O_RDONLY));
	events("open by another name");
	unlink("s");
	events("symlink removed");
}

CASE(inotify_excludes_unlinked)
{
	need(in = inotify_init1(IN_NONBLOCK));
	need(mkdir("d", 0755));
	touch("d/f");
	see("watch", inotify_add_watch(in, "d", IN_MODIFY | IN_EXCL_UNLINK));
	int fd = need(open("d/f", O_WRONLY));
	write(fd, "a", 1);
	events("linked");
	unlink("d/f");
	write(fd, "a", 1);
	events("unlinked");
}

CASE(inotify_poll_and_block)
{
	struct pollfd f;
	need(in = inotify_init1(0));
	f = (struct pollfd){in, POLLIN | POLLOUT};
	need(inotify_add_watch(in, ".", IN_CREATE));
	see("poll", poll(&f, 1, 0));
	pid_t p = need(fork());
	if (!p) {
		msleep(20);
		touch("new");
		_exit(0);
	}
	see("poll", poll(&f, 1, -1));
	say("%x", f.revents);
	events("by the child");
	reap("child", p);
	int n = -1;
	touch("another");
	see("FIONREAD", ioctl(in, 0x541b, &n));
	say("%d", n);
}

CASE(inotify_unread_is_merged)
{
	need(in = inotify_init1(IN_NONBLOCK));
	touch("f");
	need(inotify_add_watch(in, "f", IN_MODIFY | IN_ATTRIB));
	int fd = open("f", O_WRONLY);
	for (int i = 0; i < 5; i++)
		write(fd, "x", 1);
	chmod("f", 0600);
	chmod("f", 0644);
	write(fd, "x", 1);
	events("equal neighbours are one");
}
