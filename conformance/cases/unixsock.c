#include "case.h"
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

// The calls themselves: musl's functions look into the structures first.
#define sendmsg(...) syscall(SYS_sendmsg, __VA_ARGS__)
#define recvmsg(...) syscall(SYS_recvmsg, __VA_ARGS__)
#define sendmmsg(...) syscall(SYS_sendmmsg, __VA_ARGS__)
#define recvmmsg(...) syscall(SYS_recvmmsg, __VA_ARGS__)
#define accept4(...) syscall(SYS_accept4, __VA_ARGS__)

static struct sockaddr_un un;
// name fills un and returns its length; a leading @ stands for an abstract name.
static socklen_t name(const char *n)
{
	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	strcpy(un.sun_path, n);
	if (*n == '@') {
		char unique[64];
		un.sun_path[0] = 0;
		return offsetof(struct sockaddr_un, sun_path) + 1 + sprintf(un.sun_path + 1, "%s-%d", n + 1, getpid());
	}
	return offsetof(struct sockaddr_un, sun_path) + strlen(n) + 1;
}
static int sock(int type) { return need(socket(AF_UNIX, type, 0)); }
static int bound(int type, const char *n)
{
	int s = sock(type);
	socklen_t l = name(n);
	need(bind(s, (void *)&un, l));
	return s;
}
static long conn(int s, const char *n)
{
	socklen_t l = name(n);
	return connect(s, (void *)&un, l);
}

CASE(socket_errors)
{
	int s[2];
	see("family", socket(77, SOCK_STREAM, 0));
	see("type", socket(AF_UNIX, 77, 0));
	see("protocol", socket(AF_UNIX, SOCK_STREAM, 5));
	ok("PF_UNIX as protocol", socket(AF_UNIX, SOCK_STREAM, PF_UNIX));
	ok("raw is a datagram socket", socket(AF_UNIX, SOCK_RAW, 0));
	see("flags", socket(AF_UNIX, SOCK_STREAM | 0x100000, 0));
	see("pair: bad pointer", socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)1));
	see("pair: family", socketpair(77, SOCK_STREAM, 0, s));
	see("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s));
	say("%d %d", fcntl(s[0], F_GETFD), fcntl(s[1], F_GETFL));
}

CASE(bind_errors)
{
	int s = sock(SOCK_STREAM);
	socklen_t l = name("a");
	see("bad fd", bind(999, (void *)&un, l));
	see("not a socket", bind(0, (void *)&un, l));
	see("too short", bind(s, (void *)&un, 1));
	see("bad pointer", bind(s, (void *)1, l));
	see("too long", bind(s, (void *)&un, 300));
	see("longer than sockaddr_un", bind(s, (void *)&un, sizeof un + 1));
	un.sun_family = AF_INET;
	see("family", bind(s, (void *)&un, l));
	l = name("no/such");
	see("directory missing", bind(s, (void *)&un, l));
	close(open("file", O_CREAT, 0600));
	l = name("file");
	see("exists", bind(s, (void *)&un, l));
	l = name("good");
	see("bind", bind(s, (void *)&un, l));
	l = name("again");
	see("twice", bind(s, (void *)&un, l));
	struct stat st;
	need(stat("good", &st));
	say("mode %o", st.st_mode);
	see("open", open("good", O_RDWR));
	see("same name", bind(sock(SOCK_STREAM), (void *)&un, name("good")));
	l = name("@abs");
	int t = sock(SOCK_STREAM);
	see("abstract", bind(t, (void *)&un, l));
	see("taken", bind(sock(SOCK_STREAM), (void *)&un, l));
	see("other type", bind(sock(SOCK_DGRAM), (void *)&un, l));
	close(t);
	see("free after close", bind(sock(SOCK_STREAM), (void *)&un, l));
}

CASE(names_of_sockets)
{
	struct sockaddr_un a;
	socklen_t l = sizeof a;
	int s = sock(SOCK_STREAM);
	see("unnamed", getsockname(s, (void *)&a, &l));
	say("length %u family %d", l, a.sun_family);
	s = bound(SOCK_STREAM, "name");
	l = sizeof a;
	getsockname(s, (void *)&a, &l);
	say("length %u %s", l, a.sun_path);
	l = 5;
	memset(&a, 'x', sizeof a);
	getsockname(s, (void *)&a, &l);
	say("cut: length %u %.4s", l, a.sun_path);
	l = -1;
	see("negative length", getsockname(s, (void *)&a, &l));
	l = sizeof a;
	see("not connected", getpeername(s, (void *)&a, &l));
	see("bad length", getsockname(s, (void *)&a, (void *)1));
	see("bad address", getsockname(s, (void *)1, &l));
	s = sock(SOCK_DGRAM);
	un.sun_family = AF_UNIX;
	see("autobind", bind(s, (void *)&un, 2));
	l = sizeof a;
	getsockname(s, (void *)&a, &l);
	say("length %u, abstract %d, hex %d", l, a.sun_path[0] == 0, strspn(a.sun_path + 1, "0123456789abcdef") >= 5);
}

CASE(stream_connection)
{
	char b[16] = "";
	struct sockaddr_un a;
	socklen_t l = sizeof a;
	int s = bound(SOCK_STREAM, "s"), c = sock(SOCK_STREAM);
	see("before listen", conn(c, "s"));
	see("accept before listen", accept(s, NULL, NULL));
	see("listen", listen(s, 5));
	see("connect", conn(c, "s"));
	see("again", conn(c, "s"));
	see("write before accept", write(c, "early", 5));
	int d = need(accept(s, (void *)&a, &l));
	say("peer length %u", l);
	see("read", read(d, b, 16));
	say("%s", b);
	l = sizeof a;
	getpeername(c, (void *)&a, &l);
	say("peer %s", a.sun_path);
	l = sizeof a;
	getsockname(d, (void *)&a, &l);
	say("accepted one is %s", a.sun_path);
	see("write", write(d, "back", 4));
	see("read", read(c, b, 16));
	close(d);
	see("end", read(c, b, 16));
	signal(SIGPIPE, SIG_IGN);
	see("epipe", write(c, "x", 1));
	see("missing", conn(sock(SOCK_STREAM), "none"));
	close(s);
	see("nobody listens", conn(sock(SOCK_STREAM), "s"));
	see("wrong type", conn(sock(SOCK_DGRAM), "s"));
	close(open("file", O_CREAT, 0666));
	see("a file", conn(sock(SOCK_STREAM), "file"));
}

CASE(accept_flags_and_errors)
{
	int s = sock(SOCK_STREAM | SOCK_NONBLOCK);
	socklen_t l = name("s");
	need(bind(s, (void *)&un, l));
	need(listen(s, 3));
	see("nobody", accept(s, NULL, NULL));
	int c = sock(SOCK_STREAM);
	need(conn(c, "s"));
	see("flags", accept4(s, NULL, NULL, 1));
	int d = need(accept4(s, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	say("%d %d", fcntl(d, F_GETFD), fcntl(d, F_GETFL));
	need(conn(sock(SOCK_STREAM), "s"));
	d = need(accept(s, NULL, NULL));
	say("not inherited: %d", fcntl(d, F_GETFL));
	see("of a connected one", accept(d, NULL, NULL));
	see("of datagrams", accept(sock(SOCK_DGRAM), NULL, NULL));
	see("listen on datagrams", listen(sock(SOCK_DGRAM), 1));
	see("listen unbound", listen(sock(SOCK_STREAM), 1));
	see("listen when connected", listen(d, 1));
}

CASE(backlog_fills)
{
	int s = bound(SOCK_STREAM, "s"), n = 0, r;
	need(listen(s, 2));
	for (;; n++)
		if ((r = conn(sock(SOCK_STREAM | SOCK_NONBLOCK), "s")) == -1)
			break;
	say("%d connected, then %s", n, errno_name(errno));
	accept(s, NULL, NULL);
	see("room again", conn(sock(SOCK_STREAM | SOCK_NONBLOCK), "s"));
	pid_t p = need(fork());
	if (!p)
		_exit(conn(sock(SOCK_STREAM), "s"));
	msleep(20);
	accept(s, NULL, NULL);
	reap("a blocking one got in", p);
}

CASE(datagrams)
{
	char b[16];
	struct sockaddr_un a;
	socklen_t l;
	int r = bound(SOCK_DGRAM, "r"), s = bound(SOCK_DGRAM, "s"), u = sock(SOCK_DGRAM);
	l = name("r");
	see("sendto", sendto(s, "one", 3, 0, (void *)&un, l));
	see("sendto", sendto(u, "three", 5, 0, (void *)&un, l));
	see("empty", sendto(s, "", 0, 0, (void *)&un, l));
	l = sizeof a;
	memset(b, 0, sizeof b);
	see("recvfrom", recvfrom(r, b, 16, 0, (void *)&a, &l));
	say("%s from %s", b, a.sun_path);
	l = sizeof a;
	see("cut", recvfrom(r, b, 2, 0, (void *)&a, &l));
	say("unnamed sender: length %u", l);
	see("empty one", recv(r, b, 16, 0));
	see("none", recv(r, b, 16, MSG_DONTWAIT));
	see("send unconnected", send(u, "x", 1, 0));
	see("connect", conn(u, "r"));
	see("send", send(u, "x", 1, 0));
	see("with address too", sendto(u, "y", 1, 0, (void *)&un, name("s")));
	see("connect elsewhere", conn(u, "s"));
	close(r);
	see("to a closed one", sendto(s, "x", 1, 0, (void *)&un, name("r")));
	see("to none", sendto(s, "x", 1, 0, (void *)&un, name("none")));
	un.sun_family = AF_UNSPEC;
	see("disconnect", connect(u, (void *)&un, sizeof un));
	see("send", send(u, "x", 1, 0));
}

CASE(datagram_filter_of_peers)
{
	int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b"), c = sock(SOCK_DGRAM);
	see("a to b only", conn(a, "b"));
	see("stranger sends to a", sendto(c, "x", 1, 0, (void *)&un, name("a")));
	see("stranger connects to a", conn(c, "a"));
	see("b sends to a", sendto(b, "x", 1, 0, (void *)&un, name("a")));
}

CASE(datagram_queue_is_bounded)
{
	int s[2], n = 0;
	need(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s));
	while (send(s[0], "x", 1, 0) == 1)
		n++;
	say("stopped with %s, some went: %d", errno_name(errno), n > 5);
	struct pollfd f = {s[0], POLLOUT};
	see("poll", poll(&f, 1, 0));
	char c;
	for (int i = 0; i < n; i++)
		recv(s[1], &c, 1, 0);
	see("poll", poll(&f, 1, 0));
	int big = 300000;
	static char b[300000];
	see("too long", send(s[0], b, sizeof b, 0));
	int v = 20;
	need(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
	socklen_t l = sizeof v;
	getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l);
	say("smallest buffer %d", v);
	see("longer than the buffer", send(s[0], b, 8000, 0));
}

CASE(seqpacket)
{
	char b[16] = "";
	int s[2];
	need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	see("send", send(s[0], "first", 5, 0));
	see("send", send(s[0], "second", 6, 0));
	see("short read loses the rest", read(s[1], b, 3));
	see("next", read(s[1], b, 16));
	say("%.6s", b);
	struct iovec v = {b, 2};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	send(s[0], "third", 5, 0);
	see("recvmsg", recvmsg(s[1], &m, 0));
	say("truncated: %d", !!(m.msg_flags & MSG_TRUNC));
	see("zero bytes", send(s[0], "", 0, 0));
	close(s[0]);
	see("the empty one", read(s[1], b, 16));
	see("end", read(s[1], b, 16));
	int l = bound(SOCK_SEQPACKET, "q");
	see("listen", listen(l, 1));
	see("stream client", conn(sock(SOCK_STREAM), "q"));
	see("client", conn(sock(SOCK_SEQPACKET), "q"));
}

CASE(receive_flags)
{
	char b[16] = "";
	int s[2], d[2], n;
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, d));
	write(s[0], "hello", 5);
	see("peek", recv(s[1], b, 3, MSG_PEEK));
	see("peek again", recv(s[1], b, 16, MSG_PEEK));
	see("FIONREAD", ioctl(s[1], FIONREAD, &n));
	say("%d", n);
	see("read", recv(s[1], b, 16, 0));
	see("dontwait", recv(s[1], b, 16, MSG_DONTWAIT));
	write(d[0], "datagram", 8);
	see("trunc tells the length", recv(d[1], b, 3, MSG_TRUNC | MSG_PEEK));
	see("without", recv(d[1], b, 3, 0));
	pid_t p = need(fork());
	if (!p) {
		write(s[0], "ab", 2);
		msleep(20);
		write(s[0], "cd", 2);
		_exit(0);
	}
	see("waitall", recv(s[1], b, 4, MSG_WAITALL));
	reap("writer", p);
	write(s[0], "xy", 2);
	see("waitall and dontwait", recv(s[1], b, 4, MSG_WAITALL | MSG_DONTWAIT));
	see("out of band on datagrams", send(d[0], "o", 1, MSG_OOB));
	see("zero length", recv(d[1], b, 0, MSG_DONTWAIT));
	see("bad buffer", (write(d[0], "z", 1), recv(d[1], (void *)1, 4, 0)));
	see("nosignal", (close(s[1]), send(s[0], "x", 1, MSG_NOSIGNAL)));
	struct timeval t = {0, 20000};
	need(setsockopt(d[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	recv(d[1], b, 16, MSG_DONTWAIT);
	see("timeout", recv(d[1], b, 16, 0));
}

CASE(shutdown_directions)
{
	char b[4];
	int s[2];
	signal(SIGPIPE, SIG_IGN);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	see("how", shutdown(s[0], 3));
	write(s[1], "abc", 3);
	see("read side", shutdown(s[0], SHUT_RD));
	see("what was there", read(s[0], b, 4));
	see("then", read(s[0], b, 4));
	see("peer's write", write(s[1], "x", 1));
	see("own write", write(s[0], "x", 1));
	see("write side", shutdown(s[0], SHUT_WR));
	see("write", write(s[0], "x", 1));
	see("peer reads", read(s[1], b, 4));
	see("and the end", read(s[1], b, 4));
	see("unconnected", shutdown(sock(SOCK_STREAM), SHUT_RD));
	see("not a socket", shutdown(0, 0));
}

static long send_fds(int s, int *fd, int n, const char *data, int len)
{
	static char c[CMSG_SPACE(300 * sizeof(int))];
	struct iovec v = {(void *)data, len};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(n * sizeof *fd)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof *fd);
	memcpy(CMSG_DATA(h), fd, n * sizeof *fd);
	return sendmsg(s, &m, 0);
}
static int recv_fds(int s, int *fd, int room, int flags)
{
	char c[512], b[16];
	struct iovec v = {b, sizeof b};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_LEN(room * sizeof *fd)};
	long r = recvmsg(s, &m, flags);
	int n = 0;
	struct cmsghdr *h = r < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_type == SCM_RIGHTS) {
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof *fd;
		memcpy(fd, CMSG_DATA(h), n * sizeof *fd);
	}
	say("received %ld bytes, %d descriptors, ctrunc %d cloexec flag %d", r, n, !!(m.msg_flags & MSG_CTRUNC), !!(m.msg_flags & MSG_CMSG_CLOEXEC));
	return n;
}

CASE(passing_descriptors)
{
	int s[2], p[2], fd[4] = {-1, -1, -1, -1};
	char b[8] = "";
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	need(pipe(p));
	see("send", send_fds(s[0], p, 2, "x", 1));
	close(p[0]);
	recv_fds(s[1], fd, 2, 0);
	see("write", write(p[1], "hi", 2));
	see("read through the passed one", read(fd[0], b, 8));
	say("cloexec %d", fcntl(fd[0], F_GETFD));
	send_fds(s[0], p + 1, 1, "y", 1);
	recv_fds(s[1], fd, 1, MSG_CMSG_CLOEXEC);
	say("cloexec %d", fcntl(fd[0], F_GETFD));
	int three[3] = {p[1], p[1], p[1]};
	send_fds(s[0], three, 3, "z", 1);
	recv_fds(s[1], fd, 2, 0);
	see("bad descriptor", send_fds(s[0], (int[]){999}, 1, "x", 1));
	static int many[300];
	for (int i = 0; i < 300; i++)
		many[i] = p[1];
	see("253 are allowed", send_fds(s[0], many, 253, "x", 1));
	see("254 are not", send_fds(s[0], many, 254, "x", 1));
	read(s[1], b, 8);
	see("read drops them", read(s[1], b, 0));
}

CASE(passing_the_last_reference)
{
	int s[2], p[2], fd[1];
	char b[4];
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	need(pipe(p));
	send_fds(s[0], p + 1, 1, "x", 1);
	close(p[1]);
	struct pollfd f = {p[0], POLLIN};
	see("the writer is in flight", poll(&f, 1, 0));
	close(s[0]);
	see("still", poll(&f, 1, 0));
	close(s[1]);
	see("gone with the sockets", poll(&f, 1, 1000));
	say("%x", f.revents);
	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	see("a socket over itself", send_fds(s[0], s, 2, "x", 1));
	recv_fds(s[1], fd, 0, 0);
}

CASE(descriptors_and_stream_boundaries)
{
	int s[2], fd[4];
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	write(s[0], "ab", 2);
	send_fds(s[0], s, 1, "cd", 2);
	write(s[0], "ef", 2);
	send_fds(s[0], s, 2, "gh", 2);
	recv_fds(s[1], fd, 4, 0);
	recv_fds(s[1], fd, 4, 0);
	recv_fds(s[1], fd, 4, MSG_DONTWAIT);
}

CASE(credentials)
{
	int s[2], on = 1;
	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	struct ucred u, *q;
	socklen_t l = sizeof u;
	see("SO_PEERCRED", getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &l));
	say("pid %d uid %d gid %d", u.pid == getpid(), u.uid, u.gid);
	need(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	char c[CMSG_SPACE(sizeof u)], b[4];
	struct iovec v = {b, 4};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
	write(s[0], "x", 1);
	see("recvmsg", recvmsg(s[1], &m, 0));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	q = (void *)CMSG_DATA(h);
	say("type %d pid %d uid %d", h->cmsg_type, q->pid == getpid(), q->uid);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_CREDENTIALS;
	h->cmsg_len = CMSG_LEN(sizeof u);
	*q = (struct ucred){getpid(), 33, 44};
	m.msg_controllen = sizeof c;
	v.iov_len = 1;
	see("root pretends", sendmsg(s[0], &m, 0));
	m.msg_controllen = sizeof c;
	recvmsg(s[1], &m, 0);
	say("uid %d gid %d", q->uid, q->gid);
	q->pid = 999999;
	see("pid that is not", sendmsg(s[0], &m, 0));
	q->pid = getpid();
	need(setresuid(1000, 1000, 1000));
	m.msg_controllen = sizeof c;
	see("user pretends", sendmsg(s[0], &m, 0));
	q->uid = 1000;
	q->gid = 0;
	see("user is honest", sendmsg(s[0], &m, 0));
}

CASE(control_message_errors)
{
	int s[2];
	char c[64];
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
	struct cmsghdr *h = (void *)c;
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	*h = (struct cmsghdr){.cmsg_len = 8, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	see("short header", sendmsg(s[0], &m, 0));
	h->cmsg_len = 1000;
	see("beyond the end", sendmsg(s[0], &m, 0));
	h->cmsg_len = CMSG_LEN(4);
	h->cmsg_type = 99;
	m.msg_controllen = CMSG_SPACE(4);
	see("unknown type", sendmsg(s[0], &m, 0));
	h->cmsg_level = 99;
	see("other level", sendmsg(s[0], &m, 0));
	m.msg_control = (void *)1;
	see("bad control", sendmsg(s[0], &m, 0));
	m.msg_control = NULL;
	m.msg_controllen = 0;
	m.msg_iovlen = 1025;
	see("too many vectors", sendmsg(s[0], &m, 0));
	m.msg_iovlen = 1;
	v.iov_base = (void *)1;
	see("bad buffer", sendmsg(s[0], &m, 0));
	see("bad header", sendmsg(s[0], (void *)1, 0));
	see("bad header, bad fd", sendmsg(-1, (void *)1, 0));
	m.msg_name = &un;
	m.msg_namelen = -1;
	see("negative name length", sendmsg(s[0], &m, 0));
	v.iov_base = "x";
	m.msg_namelen = name("nobody");
	see("name on a connected stream", sendmsg(s[0], &m, 0));
}

CASE(many_messages)
{
	int s[2];
	char b[4][8] = {0};
	struct iovec v[4] = {{"one", 3}, {"two", 3}, {"three", 5}, {"four", 4}}, r[4];
	struct mmsghdr m[4] = {0};
	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	for (int i = 0; i < 4; i++)
		m[i].msg_hdr = (struct msghdr){.msg_iov = v + i, .msg_iovlen = 1};
	see("sendmmsg", sendmmsg(s[0], m, 4, 0));
	say("%u %u %u %u", m[0].msg_len, m[1].msg_len, m[2].msg_len, m[3].msg_len);
	for (int i = 0; i < 4; i++) {
		r[i] = (struct iovec){b[i], 8};
		m[i].msg_hdr = (struct msghdr){.msg_iov = r + i, .msg_iovlen = 1};
	}
	see("recvmmsg 3", recvmmsg(s[1], m, 3, 0, NULL));
	say("%s %s %s", b[0], b[1], b[2]);
	see("waitforone", recvmmsg(s[1], m, 3, MSG_WAITFORONE, NULL));
	see("dontwait", recvmmsg(s[1], m, 3, MSG_DONTWAIT, NULL));
	struct timespec bad = {0, 1000000000};
	see("bad timeout", recvmmsg(s[1], m, 3, MSG_DONTWAIT, &bad));
	see("bad vector", sendmmsg(s[0], (void *)1, 2, 0));
	m[1].msg_hdr.msg_iov = (void *)1;
	m[0].msg_hdr.msg_iov = v;
	see("second is bad", sendmmsg(s[0], m, 2, 0));
}

CASE(socket_options)
{
	int s = sock(SOCK_STREAM), v = 0, l = bound(SOCK_SEQPACKET, "l");
	socklen_t n = sizeof v;
	need(listen(l, 1));
	int o[] = {SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ERROR, SO_ACCEPTCONN, SO_REUSEADDR, SO_KEEPALIVE, SO_PASSCRED, SO_SNDBUF, SO_RCVBUF, SO_RCVLOWAT, SO_BROADCAST, SO_OOBINLINE, SO_DONTROUTE, SO_PRIORITY, 9999};
	for (int i = 0; i < sizeof o / sizeof *o; i++) {
		n = sizeof v;
		int r = getsockopt(l, SOL_SOCKET, o[i], &v, &n), e = errno;
		say("%d: %s %d", o[i], r ? errno_name(e) : "ok", r ? 0 : v);
	}
	n = 2;
	v = -1;
	see("short", getsockopt(l, SOL_SOCKET, SO_TYPE, &v, &n));
	say("%x %u", v, n);
	n = -1;
	see("negative", getsockopt(l, SOL_SOCKET, SO_TYPE, &v, &n));
	n = 4;
	see("bad pointer", getsockopt(l, SOL_SOCKET, SO_TYPE, (void *)1, &n));
	see("bad length", getsockopt(l, SOL_SOCKET, SO_TYPE, &v, (void *)1));
	see("level", getsockopt(l, 999, SO_TYPE, &v, &n));
	see("not a socket", getsockopt(0, SOL_SOCKET, SO_TYPE, &v, &n));
	see("set short", setsockopt(l, SOL_SOCKET, SO_PASSCRED, &v, 2));
	see("set bad", setsockopt(l, SOL_SOCKET, SO_PASSCRED, (void *)1, 4));
	see("set read-only", setsockopt(l, SOL_SOCKET, SO_TYPE, &v, 4));
	see("set level", setsockopt(l, 999, SO_TYPE, &v, 4));
	struct linger g = {1, 5};
	see("linger", setsockopt(s, SOL_SOCKET, SO_LINGER, &g, sizeof g));
	struct timeval t = {0, 1000000};
	see("timeout usec", setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	v = 1000;
	see("buffer", setsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, 4));
	n = 4;
	getsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, &n);
	say("%d", v);
}

CASE(stream_blocks_when_full)
{
	int s[2];
	static char b[65536];
	long n = 0, r;
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	while ((r = write(s[0], b, sizeof b)) > 0)
		n += r;
	say("then %s, at least 64 KB: %d", errno_name(errno), n >= 65536);
	fcntl(s[0], F_SETFL, 0);
	pid_t p = need(fork());
	if (!p) {
		close(s[1]);
		_exit(write(s[0], b, 50000) == 50000 ? 0 : 1);
	}
	close(s[0]);
	long got = 0;
	while ((r = read(s[1], b, sizeof b)) > 0)
		got += r;
	say("all came: %d", got == n + 50000);
	reap("writer", p);
}

CASE(connection_reset)
{
	int s[2];
	char b[4];
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	write(s[0], "unread", 6);
	close(s[1]);
	see("closed with unread data", read(s[0], b, 4));
	see("then", read(s[0], b, 4));
	int l = bound(SOCK_STREAM, "l"), c = sock(SOCK_STREAM);
	need(listen(l, 1));
	need(conn(c, "l"));
	close(l);
	see("listener closed before accept", read(c, b, 4));
}

CASE(symlinked_and_relative_names)
{
	int s = bound(SOCK_STREAM, "real");
	need(listen(s, 5));
	need(symlink("real", "link"));
	need(mkdir("d", 0755));
	see("by symlink", conn(sock(SOCK_STREAM), "link"));
	see("bind over a symlink", bind(sock(SOCK_STREAM), (void *)&un, name("link")));
	need(rename("real", "d/moved"));
	see("moved", conn(sock(SOCK_STREAM), "d/moved"));
	see("dangling", conn(sock(SOCK_STREAM), "link"));
	need(chmod("d/moved", 0600));
	need(unlink("d/moved"));
	see("unlinked", conn(sock(SOCK_STREAM), "d/moved"));
	need(chmod(".", 0755));
	int t = bound(SOCK_STREAM, "private");
	listen(t, 1);
	chmod("private", 0600);
	need(setresuid(1000, 1000, 1000));
	see("without write permission", conn(sock(SOCK_STREAM), "private"));
}

static void listed(const char *what, const char *name, int fd)
{
	char line[400], want[100];
	struct stat st;
	need(fstat(fd, &st));
	sprintf(want, " %lu", (long)st.st_ino);
	FILE *f = fopen("/proc/net/unix", "r");
	fgets(line, sizeof line, f);
	while (fgets(line, sizeof line, f)) {
		unsigned refs, proto, flags, type, state;
		unsigned long ino;
		char path[200] = "";
		sscanf(line, "%*s %x %x %x %x %x %lu %199s", &refs, &proto, &flags, &type, &state, &ino, path);
		if (ino == st.st_ino)
			say("%s: %x %x %x %x %s", what, proto, flags, type, state, strcmp(path, name) ? path : "as bound");
	}
	fclose(f);
}
CASE(table_of_sockets)
{
	int a = sock(SOCK_STREAM), b = sock(SOCK_STREAM), c = sock(SOCK_DGRAM), s[2];
	listed("new", "", a);
	see("bind", bind(a, (void *)&un, name("path")));
	listed("bound", "path", a);
	see("listen", listen(a, 1));
	listed("listening", "path", a);
	see("connect", connect(b, (void *)&un, name("path")));
	listed("connected", "", b);
	listed("accepted", "path", need(accept(a, NULL, NULL)));
	see("bind", bind(c, (void *)&un, name("@abstract of this case")));
	listed("abstract", "@abstract", c);
	need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	listed("pair", "", s[0]);
	close(s[1]);
	listed("after its peer", "", s[0]);
}
