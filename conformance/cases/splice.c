#include "case.h"
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int make(const char *n, const char *s)
{
	int fd = need(open(n, O_CREAT | O_RDWR | O_TRUNC, 0644));
	need(write(fd, s, strlen(s)));
	return fd;
}
static void show(const char *what, int fd)
{
	char b[64] = "";
	int f = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, f | O_NONBLOCK);
	long n = read(fd, b, sizeof b - 1);
	fcntl(fd, F_SETFL, f);
	say("%s: %ld %s", what, n, n < 0 ? errno_name(errno) : b);
}

CASE(splice_file_to_pipe)
{
	int fd = make("f", "0123456789"), p[2];
	need(pipe(p));
	loff_t o = 3;
	see("with an offset", splice(fd, &o, p[1], NULL, 4, 0));
	say("offset %ld, file offset %ld", (long)o, (long)lseek(fd, 0, SEEK_CUR));
	show("pipe", p[0]);
	lseek(fd, 8, SEEK_SET);
	see("with the file's", splice(fd, NULL, p[1], NULL, 100, 0));
	say("file offset %ld", (long)lseek(fd, 0, SEEK_CUR));
	show("pipe", p[0]);
	see("at the end", splice(fd, NULL, p[1], NULL, 100, 0));
	see("nothing", splice(fd, NULL, p[1], NULL, 0, 0));
}

CASE(splice_pipe_to_file)
{
	int fd = make("f", "----------"), p[2];
	need(pipe(p));
	write(p[1], "abcdef", 6);
	loff_t o = 2;
	see("with an offset", splice(p[0], NULL, fd, &o, 3, 0));
	lseek(fd, 8, SEEK_SET);
	see("the rest", splice(p[0], NULL, fd, NULL, 100, 0));
	lseek(fd, 0, SEEK_SET);
	show("file", fd);
	see("empty, no wait", splice(p[0], NULL, fd, NULL, 10, SPLICE_F_NONBLOCK));
	close(p[1]);
	see("end", splice(p[0], NULL, fd, NULL, 10, 0));
	int a = need(open("f", O_WRONLY | O_APPEND));
	need(pipe(p));
	write(p[1], "x", 1);
	see("append", splice(p[0], NULL, a, NULL, 1, 0));
}

CASE(splice_between_pipes)
{
	int p[2], q[2];
	need(pipe(p));
	need(pipe(q));
	write(p[1], "hello", 5);
	see("some", splice(p[0], NULL, q[1], NULL, 3, 0));
	show("second", q[0]);
	show("first", p[0]);
	see("to itself", (write(p[1], "x", 1), splice(p[0], NULL, p[1], NULL, 1, 0)));
	close(q[0]);
	signal(SIGPIPE, SIG_IGN);
	see("no reader", splice(p[0], NULL, q[1], NULL, 1, 0));
	show("the data stays", p[0]);
}

CASE(splice_errors)
{
	int fd = make("f", "abc"), p[2], q[2];
	loff_t o = 0, neg = -1;
	need(pipe(p));
	need(pipe(q));
	see("no pipe", splice(fd, NULL, need(open("f", O_WRONLY)), NULL, 1, 0));
	see("bad in", splice(-1, NULL, p[1], NULL, 1, 0));
	see("bad out", splice(fd, NULL, -1, NULL, 1, 0));
	see("zero with bad fds", splice(-1, NULL, -1, NULL, 0, 0));
	see("flags", splice(fd, NULL, p[1], NULL, 1, 0x100));
	see("offset of a pipe", splice(p[0], &o, fd, NULL, 1, 0));
	see("offset of the other pipe", splice(fd, NULL, p[1], &o, 1, 0));
	see("negative offset", splice(fd, &neg, p[1], NULL, 1, 0));
	see("bad offset pointer", splice(fd, (void *)1, p[1], NULL, 1, 0));
	see("wrong ends", splice(p[1], NULL, q[0], NULL, 1, 0));
	see("write-only file", splice(need(open("f", O_WRONLY)), NULL, p[1], NULL, 1, 0));
	see("directory", splice(need(open(".", O_RDONLY)), NULL, p[1], NULL, 1, 0));
	see("O_PATH", splice(open("f", O_PATH), NULL, p[1], NULL, 1, 0));
}

CASE(tee_duplicates)
{
	int p[2], q[2];
	need(pipe(p));
	need(pipe(q));
	write(p[1], "hello", 5);
	see("tee", tee(p[0], q[1], 3, 0));
	show("copy", q[0]);
	show("original", p[0]);
	see("empty, no wait", tee(p[0], q[1], 3, SPLICE_F_NONBLOCK));
	see("itself", tee(p[0], p[1], 3, 0));
	see("not a pipe", tee(make("f", "x"), q[1], 1, 0));
	see("flags", tee(p[0], q[1], 1, 0x100));
	see("zero", tee(p[0], q[1], 0, 0));
	see("zero with bad fds", tee(-1, -1, 0, 0));
	see("bad fd", tee(-1, q[1], 1, 0));
	close(p[1]);
	see("end", tee(p[0], q[1], 1, 0));
}

CASE(vmsplice_both_ways)
{
	char b[16] = "";
	struct iovec v[2] = {{"hel", 3}, {"lo", 2}}, r = {b, 16};
	int p[2];
	need(pipe(p));
	see("gift", vmsplice(p[1], v, 2, 0));
	see("take", vmsplice(p[0], &r, 1, 0));
	say("%s", b);
	see("empty, no wait", vmsplice(p[0], &r, 1, SPLICE_F_NONBLOCK));
	see("not a pipe", vmsplice(make("f", ""), v, 2, 0));
	see("flags", vmsplice(p[1], v, 2, 0x100));
	see("too many", vmsplice(p[1], v, 1025, 0));
	see("bad vector", vmsplice(p[1], (void *)1, 1, 0));
	v[0].iov_base = (void *)1;
	see("bad buffer", vmsplice(p[1], v, 1, 0));
	see("none", vmsplice(p[1], v, 0, 0));
	see("bad fd", vmsplice(-1, v, 1, 0));
}

CASE(sendfile_kinds)
{
	int in = make("in", "0123456789"), out = make("out", ""), s[2], p[2];
	off_t o = 4;
	need(pipe(p));
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	see("file to file", sendfile(out, in, &o, 3));
	say("offset %ld, file offset %ld", (long)o, (long)lseek(in, 0, SEEK_CUR));
	lseek(in, 0, SEEK_SET);
	see("to a pipe", sendfile(p[1], in, NULL, 5));
	show("pipe", p[0]);
	see("to a socket", sendfile(s[0], in, NULL, 100));
	show("socket", s[1]);
	see("at the end", sendfile(s[0], in, NULL, 100));
	see("from a pipe", sendfile(out, p[0], NULL, 1));
	see("from a socket", sendfile(out, s[1], NULL, 1));
	o = -1;
	see("negative offset", sendfile(out, in, &o, 1));
	see("bad offset pointer", sendfile(out, in, (void *)1, 1));
	see("bad in", sendfile(out, -1, NULL, 1));
	see("bad out", sendfile(-1, in, NULL, 1));
	see("read-only out", sendfile(open("out", O_RDONLY), in, NULL, 1));
	see("write-only in", sendfile(out, open("in", O_WRONLY), NULL, 1));
	see("append", sendfile(open("out", O_WRONLY | O_APPEND), in, NULL, 1));
	see("from a directory", sendfile(out, open(".", O_RDONLY), NULL, 1));
	o = 0;
	see("huge count", sendfile(out, in, &o, -1));
	see("zero", sendfile(out, in, NULL, 0));
}

CASE(copy_file_range_kinds)
{
	int in = make("in", "0123456789"), out = make("out", "----------"), p[2];
	off_t a = 2, b = 5, z = 0, far = 100;
	need(pipe(p));
	see("copy", copy_file_range(in, &a, out, &b, 3, 0));
	say("%ld %ld", (long)a, (long)b);
	lseek(out, 0, SEEK_SET);
	show("out", out);
	see("beyond the end", copy_file_range(in, &far, out, &z, 3, 0));
	z = 0;
	a = 0;
	see("overlapping", copy_file_range(in, &z, in, &(off_t){2}, 5, 0));
	see("same file, apart", copy_file_range(in, &a, in, &(off_t){20}, 5, 0));
	see("flags", copy_file_range(in, NULL, out, NULL, 1, 2));
	see("pipe", copy_file_range(p[0], NULL, out, NULL, 1, 0));
	see("directory", copy_file_range(open(".", O_RDONLY), NULL, out, NULL, 1, 0));
	see("append", copy_file_range(in, NULL, open("out", O_WRONLY | O_APPEND), NULL, 1, 0));
	see("read-only", copy_file_range(in, NULL, open("out", O_RDONLY), NULL, 1, 0));
	see("bad fd", copy_file_range(-1, NULL, out, NULL, 1, 0));
	off_t neg = -1;
	see("negative", copy_file_range(in, &neg, out, NULL, 1, 0));
}

CASE(splice_waits)
{
	int p[2], q[2];
	need(pipe(p));
	need(pipe(q));
	pid_t c = need(fork());
	if (!c) {
		msleep(20);
		write(p[1], "late", 4);
		_exit(0);
	}
	see("splice", splice(p[0], NULL, q[1], NULL, 100, 0));
	show("came", q[0]);
	reap("child", c);
}
