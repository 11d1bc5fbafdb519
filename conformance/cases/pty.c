#include "case.h"
#include <sys/ioctl.h>
#include <termios.h>

static int m, s; // master and slave
static int got;
static void count(int sig) { got = sig; }

static int slave(int flags)
{
	int n = -1;
	char path[32];
	need(ioctl(m, TIOCGPTN, &n));
	snprintf(path, sizeof path, "/dev/pts/%d", n);
	return open(path, flags);
}
static void setup(void)
{
	int zero = 0;
	need(m = open("/dev/ptmx", O_RDWR | O_NOCTTY));
	need(ioctl(m, TIOCSPTLCK, &zero));
	need(s = slave(O_RDWR | O_NOCTTY));
}
static void set(tcflag_t iflag, tcflag_t oflag, tcflag_t lflag, int min, int time)
{
	struct termios t;
	need(tcgetattr(s, &t));
	t.c_iflag = iflag;
	t.c_oflag = oflag;
	t.c_lflag = lflag;
	t.c_cc[VMIN] = min;
	t.c_cc[VTIME] = time;
	need(tcsetattr(s, TCSANOW, &t));
}
static void put(int fd, const char *t) { need(write(fd, t, strlen(t))); }
// get prints what one read brings, escaped; -1 EAGAIN if there is nothing.
static void get(const char *what, int fd)
{
	char b[512], o[2048];
	int f = fcntl(fd, F_GETFL), k = 0;
	poll(&(struct pollfd){fd, POLLIN}, 1, 150);
	fcntl(fd, F_SETFL, f | O_NONBLOCK);
	int n = read(fd, b, sizeof b), e = errno;
	fcntl(fd, F_SETFL, f);
	if (n < 0) {
		say("%s: %s", what, errno_name(e));
		return;
	}
	for (int i = 0; i < n; i++)
		k += b[i] >= 32 && b[i] < 127 ? sprintf(o + k, "%c", b[i]) : sprintf(o + k, "\\%03o", (unsigned char)b[i]);
	o[k] = 0;
	say("%s: %d \"%s\"", what, n, o);
}
// What is written reaches the other side through a worker: wait for it.
static void arrive(int fd, int n)
{
	int have = 0;
	for (int i = 0; i < 500 && have < n; i++, msleep(2))
		ioctl(fd, FIONREAD, &have);
}

CASE(opening)
{
	int n = -1, zero = 0, one = 1, locked = -1;
	struct stat st;
	need(m = open("/dev/ptmx", O_RDWR | O_NOCTTY));
	see("TIOCGPTLCK", ioctl(m, TIOCGPTLCK, &locked));
	say("locked %d", locked);
	see("slave while locked", slave(O_RDWR | O_NOCTTY));
	see("unlock", ioctl(m, TIOCSPTLCK, &zero));
	need(s = slave(O_RDWR | O_NOCTTY));
	see("TIOCGPTN", ioctl(m, TIOCGPTN, &n));
	int n2 = n;
	see("isatty", isatty(m));
	see("isatty", isatty(s));
	see("TIOCGPTN on the slave", ioctl(s, TIOCGPTN, &n));
	fstat(s, &st);
	say("slave is %o %d:%d", st.st_mode & S_IFMT, (int)(st.st_rdev >> 8 & 0xfff), (int)(st.st_rdev & 0xff) == n2);
	need(fstat(m, &st));
	say("master is %o, device %lx", st.st_mode & S_IFMT, (long)st.st_rdev);
	int p = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	say("peer: %d, a tty %d", p >= 0, isatty(p));
	close(m);
	close(s);
	close(p);
	char path[32];
	snprintf(path, sizeof path, "/dev/pts/%d", n2);
	see("gone", open(path, O_RDWR | O_NOCTTY));
}

CASE(default_settings)
{
	struct termios t;
	struct winsize w;
	setup();
	see("tcgetattr", tcgetattr(s, &t));
	say("i %x o %x c %x l %x", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
	for (int i = 0; i < 17; i++)
		printf("%s%d", i ? " " : "  ", t.c_cc[i]);
	printf("\n");
	see("through the master", tcgetattr(m, &t));
	say("l %x", t.c_lflag);
	see("size", ioctl(s, TIOCGWINSZ, &w));
	say("%d %d", w.ws_row, w.ws_col);
	say("speed %d", cfgetospeed(&t) == B38400);
}

CASE(canonical_lines)
{
	setup();
	put(m, "one\ntwo\nthr");
	get("first line", s);
	get("second", s);
	get("an unfinished one", s);
	put(m, "ee\n");
	get("finished", s);
	put(m, "abc\177\177X\n");
	get("erased", s);
	put(m, "wrong\025right\n");
	get("killed", s);
	put(m, "two words\027one\n");
	get("word erased", s);
	put(m, "part\004");
	get("end of file flushes", s);
	put(m, "\004");
	get("end of file", s);
	put(m, "a\026\003b\n");
	get("quoted ^C", s);
	put(m, "x\ry\r");
	get("CR becomes NL", s);
	get("again", s);
	char b[4] = "";
	put(m, "long line\n");
	see("short read", read(s, b, 4));
	get("the rest", s);
}

CASE(echo)
{
	setup();
	put(m, "hi\n");
	arrive(m, 4);
	get("echo", m);
	put(m, "ab\177c\n");
	arrive(m, 8);
	get("echo of erase", m);
	put(m, "\001\n");
	arrive(m, 4);
	get("control", m);
	get("lines", s);
	get("lines", s);
	get("lines", s);
	set(ICRNL, OPOST | ONLCR, ICANON | ECHONL, 1, 0);
	put(m, "q\n");
	arrive(m, 2);
	get("ECHONL only", m);
	set(ICRNL, OPOST | ONLCR, ICANON, 1, 0);
	put(m, "q\n");
	get("none", m);
}

CASE(output_processing)
{
	setup();
	put(s, "a\nb\n");
	arrive(m, 6);
	get("NL becomes CR NL", m);
	set(0, 0, 0, 1, 0);
	put(s, "a\nb\n");
	arrive(m, 4);
	get("raw", m);
	set(0, OPOST | OCRNL, 0, 1, 0);
	put(s, "a\rb");
	arrive(m, 3);
	get("OCRNL", m);
	set(0, OPOST | OLCUC, 0, 1, 0);
	put(s, "abc");
	arrive(m, 3);
	get("OLCUC", m);
	set(0, OPOST | TAB3, 0, 1, 0);
	put(s, "\ta\tb");
	arrive(m, 17);
	get("tabs", m);
}

CASE(input_flags)
{
	setup();
	set(INLCR, 0, 0, 1, 0);
	put(m, "a\nb\rc");
	arrive(s, 5);
	get("INLCR", s);
	set(IGNCR, 0, 0, 1, 0);
	put(m, "a\nb\rc");
	arrive(s, 4);
	get("IGNCR", s);
	set(ISTRIP, 0, 0, 1, 0);
	put(m, "\341b");
	arrive(s, 2);
	get("ISTRIP", s);
	set(IUCLC, 0, IEXTEN, 1, 0);
	put(m, "ABc");
	arrive(s, 3);
	get("IUCLC", s);
	set(0, 0, 0, 1, 0);
	put(m, "\003\004\r\n\021\023\032");
	arrive(s, 7);
	get("raw", s);
}

CASE(raw_min_and_time)
{
	char b[8];
	setup();
	set(0, 0, 0, 0, 0);
	see("MIN 0 TIME 0, nothing", read(s, b, 8));
	put(m, "ab");
	arrive(s, 2);
	see("something", read(s, b, 8));
	set(0, 0, 0, 0, 1);
	see("TIME 1, nothing", read(s, b, 8));
	set(0, 0, 0, 3, 0);
	put(m, "a");
	pid_t p = need(fork());
	if (!p) {
		msleep(20);
		put(m, "b");
		msleep(20);
		put(m, "c");
		_exit(0);
	}
	see("MIN 3", read(s, b, 8));
	reap("writer", p);
	set(0, 0, 0, 5, 1);
	put(m, "xy");
	arrive(s, 2);
	see("MIN 5 TIME 1", read(s, b, 8));
	struct pollfd f = {s, POLLIN};
	set(0, 0, 0, 1, 0);
	see("poll", poll(&f, 1, 0));
	put(m, "1");
	see("poll", poll(&f, 1, 1000));
}

CASE(window_size)
{
	struct winsize w = {25, 81, 100, 200}, r = {0};
	setup();
	see("set on the master", ioctl(m, TIOCSWINSZ, &w));
	see("get on the slave", ioctl(s, TIOCGWINSZ, &r));
	say("%d %d %d %d", r.ws_row, r.ws_col, r.ws_xpixel, r.ws_ypixel);
	see("bad pointer", ioctl(s, TIOCSWINSZ, 1));
	see("bad pointer", ioctl(s, TIOCGWINSZ, 1));
	pid_t p = need(fork());
	if (!p) {
		setsid();
		need(ioctl(s, TIOCSCTTY, 0));
		signal(SIGWINCH, count);
		w.ws_row = 30;
		need(ioctl(m, TIOCSWINSZ, &w));
		say("signal %d", got);
		got = 0;
		need(ioctl(s, TIOCSWINSZ, &w));
		say("the same size: signal %d", got);
		_exit(0);
	}
	reap("child", p);
}

CASE(controlling_terminal)
{
	setup();
	pid_t p = need(fork());
	if (!p) {
		pid_t g = -1;
		see("before setsid", ioctl(s, TIOCSCTTY, 0));
		need(setsid());
		see("no /dev/tty", open("/dev/tty", O_RDWR));
		see("TIOCGPGRP before", ioctl(s, TIOCGPGRP, &g));
		see("tcsetpgrp before", tcsetpgrp(s, getpgrp()));
		see("TIOCSCTTY", ioctl(s, TIOCSCTTY, 0));
		see("again", ioctl(s, TIOCSCTTY, 0));
		say("tcgetpgrp %d", tcgetpgrp(s) == getpid());
		say("sid %d", tcgetsid(s) == getpid());
		int t = open("/dev/tty", O_RDWR);
		say("/dev/tty opens: %d", t >= 0);
		see("master's pgrp", (ioctl(m, TIOCGPGRP, &g), g == getpid()));
		see("a group that is not", tcsetpgrp(s, 999999));
		see("negative", tcsetpgrp(s, -1));
		see("a group of another session", tcsetpgrp(s, getpgid(getppid())));
		pid_t c = need(fork());
		if (!c) {
			setsid();
			see("stealing without force", ioctl(s, TIOCSCTTY, 0));
			see("no tty here", open("/dev/tty", O_RDWR));
			_exit(0);
		}
		reap("grandchild", c);
		signal(SIGHUP, count);
		signal(SIGCONT, count);
		see("TIOCNOTTY", ioctl(t, TIOCNOTTY));
		say("got %s", got == SIGHUP || got == SIGCONT ? "hangup and continue" : "nothing");
		see("gone", open("/dev/tty", O_RDWR));
		_exit(0);
	}
	reap("child", p);
}

CASE(open_makes_it_controlling)
{
	setup();
	pid_t p = need(fork());
	if (!p) {
		need(setsid());
		close(slave(O_RDWR | O_NOCTTY));
		see("with O_NOCTTY", open("/dev/tty", O_RDWR));
		close(slave(O_RDWR));
		ok("without", open("/dev/tty", O_RDWR));
		_exit(0);
	}
	reap("child", p);
}

CASE(interrupt_characters)
{
	char c[] = "\003\034\032";
	for (int i = 0; i < 3; i++) {
		setup();
		pid_t p = need(fork()); // session leader
		if (!p) {
			int g[2], st;
			char x;
			setsid();
			need(ioctl(s, TIOCSCTTY, 0));
			need(pipe(g));
			pid_t k = need(fork());
			if (!k) {
				setpgid(0, 0);
				signal(SIGTTOU, SIG_IGN);
				tcsetpgrp(s, getpid());
				write(g[1], "x", 1);
				for (;;)
					pause();
			}
			read(g[0], &x, 1);
			put(m, "lost");
			arrive(m, 4);
			get("echo of input", m);
			write(m, c + i, 1);
			waitpid(k, &st, WUNTRACED);
			say_status("child", st);
			signal(SIGTTOU, SIG_IGN);
			tcsetpgrp(s, getpgrp());
			arrive(m, 2);
			get("echo of the signal", m);
			put(m, "\n");
			get("input was flushed", s);
			_exit(0);
		}
		reap("leader", p);
	}
}

CASE(noflsh_and_no_isig)
{
	setup();
	set(ICRNL, OPOST | ONLCR, ICANON | ISIG | NOFLSH, 1, 0);
	put(m, "kept\003\n");
	get("NOFLSH", s);
	set(ICRNL, OPOST | ONLCR, ICANON, 1, 0);
	put(m, "a\003b\n");
	get("no ISIG", s);
}

CASE(background_reads_and_writes)
{
	setup();
	pid_t p = need(fork());
	if (!p) {
		int st;
		char b[8];
		setsid();
		need(ioctl(s, TIOCSCTTY, 0));
		put(m, "input\n");
		pid_t k = need(fork());
		if (!k) {
			setpgid(0, 0);
			see("read", read(s, b, 8));
			_exit(1);
		}
		waitpid(k, &st, WUNTRACED);
		say_status("background read", st);
		kill(k, SIGKILL);
		waitpid(k, &st, 0);
		k = need(fork());
		if (!k) {
			setpgid(0, 0);
			signal(SIGTTIN, SIG_IGN);
			see("read with SIGTTIN ignored", read(s, b, 8));
			see("write without TOSTOP", write(s, "x", 1));
			_exit(1);
		}
		reap("ignoring", k);
		struct termios t;
		tcgetattr(s, &t);
		t.c_lflag |= TOSTOP;
		tcsetattr(s, TCSANOW, &t);
		k = need(fork());
		if (!k) {
			setpgid(0, 0);
			write(s, "y", 1);
			_exit(1);
		}
		waitpid(k, &st, WUNTRACED);
		say_status("background write with TOSTOP", st);
		kill(k, SIGKILL);
		waitpid(k, &st, 0);
		k = need(fork());
		if (!k) {
			setpgid(0, 0);
			tcsetattr(s, TCSANOW, &t);
			_exit(1);
		}
		waitpid(k, &st, WUNTRACED);
		say_status("background tcsetattr", st);
		tcsetpgrp(s, k);
		kill(k, SIGCONT);
		reap("brought to the foreground", k);
		_exit(0);
	}
	reap("leader", p);
}

CASE(orphaned_group_gets_eio)
{
	setup();
	int g[2];
	char x;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		setsid();
		need(ioctl(s, TIOCSCTTY, 0));
		pid_t k = need(fork());
		if (!k) {
			setpgid(0, 0);
			pid_t o = need(fork()); // in the group of a parent that is gone
			if (!o) {
				while (kill(getppid(), 0) == 0 && getpgid(getppid()) == getpgrp())
					msleep(2);
				x = read(s, &x, 1) == -1 ? errno : 0;
				write(g[1], &x, 1);
				_exit(0);
			}
			_exit(0);
		}
		reap("middle", k);
		read(g[0], &x, 1);
		say("read: %s", errno_name(x));
		_exit(0);
	}
	reap("leader", p);
}

CASE(hangup_of_the_master)
{
	char b[4];
	setup();
	struct pollfd f = {s, POLLIN | POLLOUT};
	put(m, "x\n");
	close(m);
	see("poll", poll(&f, 1, 0));
	say("%x", f.revents);
	see("read", read(s, b, 4));
	see("write", write(s, "x", 1));
	struct termios t;
	see("tcgetattr", tcgetattr(s, &t));
	see("TIOCGWINSZ", ioctl(s, TIOCGWINSZ, b));
}

CASE(hangup_signals_the_session)
{
	setup();
	int g[2];
	char x;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		close(m);
		setsid();
		need(ioctl(s, TIOCSCTTY, 0));
		write(g[1], "x", 1);
		for (;;)
			pause();
	}
	read(g[0], &x, 1);
	close(s);
	close(m);
	reap("leader", p);
}

CASE(closing_all_slaves)
{
	char b[8];
	setup();
	put(s, "last");
	arrive(m, 4);
	close(s);
	struct pollfd f = {m, POLLIN};
	see("poll", poll(&f, 1, 0));
	say("%x", f.revents);
	get("what was there", m);
	get("then", m);
	need(s = slave(O_RDWR | O_NOCTTY));
	get("a new slave", m);
	put(s, "again");
	arrive(m, 5);
	get("works", m);
}

CASE(leader_exit_signals_the_foreground)
{
	setup();
	int g[2];
	char x;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		setsid();
		need(ioctl(s, TIOCSCTTY, 0));
		if (!fork()) {
			signal(SIGHUP, count);
			write(g[1], "r", 1);
			while (!got)
				pause();
			x = got;
			write(g[1], &x, 1);
			put(s, "still alive");
			_exit(0);
		}
		read(g[0], &x, 1);
		_exit(0);
	}
	reap("leader", p);
	read(g[0], &x, 1);
	say("foreground group got %d", x);
	arrive(m, 11);
	get("master", m);
}

CASE(packet_mode)
{
	int one = 1;
	setup();
	see("TIOCPKT", ioctl(m, TIOCPKT, &one));
	int v = 0;
	see("TIOCGPKT", ioctl(m, 0x80045438, &v));
	say("%d", v);
	set(0, 0, 0, 1, 0);
	get("after tcsetattr", m);
	put(s, "data");
	arrive(m, 4);
	get("data", m);
	see("flush", tcflush(s, TCIFLUSH));
	struct pollfd f = {m, POLLIN | POLLPRI};
	see("poll", poll(&f, 1, 0));
	say("%x", f.revents);
	get("flushed", m);
	see("stop", tcflow(s, TCOOFF));
	get("stopped", m);
	see("start", tcflow(s, TCOON));
	get("started", m);
	see("on the slave", ioctl(s, TIOCPKT, &one));
}

CASE(flow_control)
{
	setup();
	set(IXON, 0, ISIG, 1, 0);
	struct pollfd f = {s, POLLOUT};
	fcntl(s, F_SETFL, O_NONBLOCK);
	put(m, "\023");
	for (int i = 0; i < 500 && poll(&f, 1, 0); i++)
		msleep(2);
	see("write when stopped", write(s, "x", 1));
	put(m, "\021");
	poll(&f, 1, 1000);
	see("write again", write(s, "y", 1));
	arrive(m, 1);
	get("came", m);
	get("the characters are eaten", s);
}

CASE(queues)
{
	int n = -1;
	setup();
	put(m, "abc\nde");
	arrive(s, 4);
	see("FIONREAD", ioctl(s, FIONREAD, &n));
	say("%d", n);
	arrive(m, 7);
	get("echo", m);
	put(s, "xyz");
	arrive(m, 3);
	see("TIOCOUTQ", ioctl(s, TIOCOUTQ, &n));
	say("%d", n);
	see("flush input", tcflush(s, TCIFLUSH));
	see("FIONREAD", ioctl(s, FIONREAD, &n));
	say("%d", n);
	see("flush both", tcflush(s, TCIOFLUSH));
	see("bad queue", tcflush(s, 9));
	see("drain", tcdrain(s));
	put(m, "q\n");
	arrive(s, 2);
	get("new input", s);
}

CASE(ioctl_errors)
{
	struct termios t;
	int n;
	setup();
	see("unknown", ioctl(s, 0x5499, 0));
	see("bad pointer", ioctl(s, TCGETS, 1));
	see("bad pointer", ioctl(s, TCSETS, 1));
	see("not a tty", ioctl(open("/dev/null", O_RDWR), TCGETS, &t));
	see("seek", lseek(s, 0, SEEK_SET));
	see("pread", pread(s, &t, 1, 0));
	see("exclusive", ioctl(s, TIOCEXCL));
	ok("root opens anyway", slave(O_RDWR | O_NOCTTY));
	see("TIOCGSID without a session", ioctl(s, TIOCGSID, &n));
	see("truncate", ftruncate(s, 0));
	see("write of a bad pointer", write(s, (void *)1, 1));
	put(m, "a\n");
	arrive(s, 2);
	see("read of a bad pointer", read(s, (void *)1, 4));
}

CASE(long_lines)
{
	static char b[8192];
	setup();
	set(ICRNL, 0, ICANON, 1, 0);
	memset(b, 'a', sizeof b);
	fcntl(m, F_SETFL, O_NONBLOCK);
	for (long n = 0, r; n < 5000; n += r)
		if ((r = write(m, b, 5000 - n)) <= 0)
			break;
	write(m, "\n", 1);
	arrive(s, 4096);
	fcntl(s, F_SETFL, O_NONBLOCK);
	see("a line is cut at", read(s, b, sizeof b));
	say("ends with NL: %d", b[4095] == '\n');
}
