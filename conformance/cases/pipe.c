#include "case.h"
#include <sys/uio.h>

CASE(pipe_eof_after_writer_closes)
{
	int p[2];
	char b[8];
	need(pipe(p));
	see("write", write(p[1], "abc", 3));
	close(p[1]);
	see("read", read(p[0], b, sizeof b));
	see("read at end", read(p[0], b, sizeof b));
}

CASE(pipe_epipe)
{
	int p[2];
	need(pipe(p));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	see("write", write(p[1], "x", 1));
	signal(SIGPIPE, SIG_DFL);
	write(p[1], "x", 1);
	say("not reached");
}

CASE(pipe_nonblocking_capacity)
{
	int p[2];
	char b[4096] = {0};
	long n = 0, r;
	need(pipe2(p, O_NONBLOCK));
	see("empty", read(p[0], b, 1));
	while ((r = write(p[1], b, sizeof b)) > 0)
		n += r;
	say("then %ld", r);
	say("capacity %ld", n);
	see("F_GETPIPE_SZ", fcntl(p[0], F_GETPIPE_SZ));
	see("set", fcntl(p[0], F_SETPIPE_SZ, 100000));
	see("one more", write(p[1], b, sizeof b));
}

CASE(pipe_poll_states)
{
	int p[2];
	need(pipe(p));
	struct pollfd f[2] = {{p[0], POLLIN | POLLHUP, 0}, {p[1], POLLOUT, 0}};
	see("poll", poll(f, 2, 0));
	say("%x %x", f[0].revents, f[1].revents);
	write(p[1], "x", 1);
	see("poll", poll(f, 2, 0));
	say("%x %x", f[0].revents, f[1].revents);
	close(p[1]);
	see("poll", poll(f, 1, 0));
	say("%x", f[0].revents);
	char c;
	read(p[0], &c, 1);
	see("poll", poll(f, 1, 0));
	say("%x", f[0].revents);
}

CASE(pipe_bad_arguments)
{
	int p[2];
	see("flags", pipe2(p, 0x12345));
	see("NULL", syscall(SYS_pipe2, NULL, 0));
	see("read of write end", (need(pipe(p)), read(p[1], p, 1)));
	see("write of read end", write(p[0], p, 1));
	see("bad buffer", write(p[1], (void *)1, 5));
	see("seek", lseek(p[0], 0, SEEK_SET));
	see("pread", pread(p[0], p, 1, 0));
}
