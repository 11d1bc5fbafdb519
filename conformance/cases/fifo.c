#include "case.h"

static void noop(int s) {}

CASE(fifo_nonblocking_opens)
{
	need(mkfifo("f", 0600));
	see("again", mkfifo("f", 0600));
	see("writer without reader", open("f", O_WRONLY | O_NONBLOCK));
	int r = need(open("f", O_RDONLY | O_NONBLOCK));
	say("reader opens");
	char b[8];
	see("no writer yet", read(r, b, 8));
	struct pollfd p = {r, POLLIN};
	see("poll before any writer", poll(&p, 1, 0));
	say("%x", p.revents);
	int w = need(open("f", O_WRONLY | O_NONBLOCK));
	see("empty", read(r, b, 8));
	see("write", write(w, "abc", 3));
	see("read", read(r, b, 8));
	close(w);
	see("end", read(r, b, 8));
	see("poll after the last writer", poll(&p, 1, 0));
	say("%x", p.revents);
	close(r);
	see("closed again", open("f", O_WRONLY | O_NONBLOCK));
}

CASE(fifo_open_waits)
{
	char b[8] = "";
	need(mkfifo("f", 0600));
	pid_t p = need(fork());
	if (!p) {
		int w = need(open("f", O_WRONLY));
		write(w, "hi", 2);
		_exit(0);
	}
	int r = need(open("f", O_RDONLY));
	see("read", read(r, b, 8));
	say("%s", b);
	see("end", read(r, b, 8));
	reap("writer", p);
	close(r);
	p = need(fork());
	if (!p) {
		int r = need(open("f", O_RDONLY));
		see("child reads", read(r, b, 8));
		_exit(0);
	}
	int w = need(open("f", O_WRONLY));
	write(w, "x", 1);
	close(w);
	reap("reader", p);
}

CASE(fifo_open_interrupted)
{
	need(mkfifo("f", 0600));
	struct sigaction a = {.sa_handler = noop};
	struct itimerval t = {{0, 0}, {0, 30000}};
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	see("open", open("f", O_RDONLY));
	setitimer(ITIMER_REAL, &t, NULL);
	see("open for writing", open("f", O_WRONLY));
	see("the reader is gone", open("f", O_WRONLY | O_NONBLOCK));
}

CASE(fifo_read_write)
{
	char b[8];
	need(mkfifo("f", 0600));
	int fd = need(open("f", O_RDWR));
	say("does not wait");
	see("write", write(fd, "abc", 3));
	see("read", read(fd, b, 8));
	int w = need(open("f", O_WRONLY | O_NONBLOCK));
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	see("no reader", write(w, "x", 1));
}

CASE(fifo_is_no_file)
{
	struct stat st;
	need(mkfifo("f", 0640));
	int fd = need(open("f", O_RDWR));
	fstat(fd, &st);
	say("mode %o size %ld", st.st_mode, (long)st.st_size);
	write(fd, "abc", 3);
	fstat(fd, &st);
	say("size %ld", (long)st.st_size);
	see("seek", lseek(fd, 0, SEEK_SET));
	see("pread", pread(fd, &st, 1, 0));
	see("truncate", ftruncate(fd, 0));
	see("truncate by name", truncate("f", 0));
	see("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	see("fsync", fsync(fd));
	see("O_TRUNC", (close(fd), fd = open("f", O_RDWR | O_TRUNC)) >= 0);
	see("O_DIRECTORY", open("f", O_RDONLY | O_DIRECTORY));
	see("rename", rename("f", "g"));
	see("unlink", unlink("g"));
	char c;
	write(fd, "x", 1);
	see("lives on", read(fd, &c, 1));
}

CASE(fifo_pipe_buf_is_atomic)
{
	char b[8192];
	need(mkfifo("f", 0600));
	int r = need(open("f", O_RDONLY | O_NONBLOCK));
	for (int i = 0; i < 3; i++)
		if (!fork()) {
			int w = need(open("f", O_WRONLY));
			memset(b, 'a' + i, sizeof b);
			for (int k = 0; k < 50; k++)
				write(w, b, 4096);
			_exit(0);
		}
	fcntl(r, F_SETFL, 0);
	struct pollfd p = {r, POLLIN};
	poll(&p, 1, -1);
	long n = 0, got, mixed = 0, fill = 0;
	while (n < 150 * 4096 && (got = read(r, b + fill, 4096 - fill)) >= 0) {
		n += got;
		if ((fill += got) == 4096) {
			for (int i = 1; i < 4096; i++)
				mixed += b[i] != b[0];
			fill = 0;
		}
		if (!got)
			poll(&p, 1, 10);
	}
	say("%ld bytes, mixed %ld", n, mixed);
	while (wait(NULL) > 0)
		;
}

CASE(fifo_permissions_and_nodes)
{
	see("mknod fifo", mknod("a", S_IFIFO | 0600, 0));
	see("mknod socket", mknod("s", S_IFSOCK | 0600, 0));
	see("mknod file", mknod("r", 0600, 0));
	see("mknod directory", mknod("d", S_IFDIR | 0700, 0));
	see("mknod unknown", mknod("u", 0170000, 0));
	see("missing directory", mkfifo("no/f", 0600));
	see("through a file", mkfifo("r/f", 0600));
	see("NULL", mknod(NULL, S_IFIFO, 0));
	struct stat st;
	stat("s", &st);
	say("%o", st.st_mode);
	stat("r", &st);
	say("%o", st.st_mode);
	need(setresuid(1000, 1000, 1000));
	see("closed", open("a", O_RDWR));
}

CASE(fifo_through_proc)
{
	char n[40], b[4];
	int p[2];
	need(pipe(p));
	snprintf(n, sizeof n, "/proc/self/fd/%d", p[0]);
	int w = need(open(n, O_WRONLY));
	see("write end from the read end", write(w, "ab", 2));
	see("read", read(p[0], b, 4));
	close(p[1]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	see("there is still a writer", read(p[0], b, 4));
	close(w);
	see("end", read(p[0], b, 4));
}
