#include "case.h"
#include <ucontext.h>

static volatile sig_atomic_t got, order[64];
static siginfo_t last;
static void count(int s) { order[got++ & 63] = s; }
static void info(int s, siginfo_t *i, void *u)
{
	last = *i;
	order[got++ & 63] = s;
}
static void handle(int s, int flags, void *f)
{
	struct sigaction a = {.sa_flags = flags};
	a.sa_sigaction = f;
	need(sigaction(s, &a, NULL));
}

CASE(kill_errors)
{
	see("sig 0", kill(getpid(), 0));
	see("bad signal", kill(getpid(), 65));
	see("negative", kill(getpid(), -1));
	see("nobody", kill(999999, 0));
	see("tgkill", syscall(SYS_tgkill, getpid(), getpid(), 0));
	see("tgkill wrong", syscall(SYS_tgkill, 1, 999999, 0));
	see("tkill 0", syscall(SYS_tkill, 0, 0));
	see("sigaction KILL", sigaction(SIGKILL, &(struct sigaction){0}, NULL));
	see("sigaction 65", syscall(SYS_rt_sigaction, 65, NULL, NULL, 8));
	see("sigaction size", syscall(SYS_rt_sigaction, 1, NULL, NULL, 4));
	see("procmask how", syscall(SYS_rt_sigprocmask, 9, &got, NULL, 8));
	see("procmask pointer", syscall(SYS_rt_sigprocmask, 0, 1, NULL, 8));
}

CASE(default_actions)
{
	int s[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGPIPE,
		   SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS, 34, 64};
	for (int i = 0; i < sizeof s / sizeof *s; i++) {
		pid_t p = need(fork());
		if (!p) {
			raise(s[i]);
			_exit(0);
		}
		int st;
		waitpid(p, &st, 0);
		say("%d: %s %d", s[i], WIFSIGNALED(st) ? "killed" : "exit", WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st));
	}
}

CASE(blocked_signals_wait)
{
	sigset_t m, o;
	handle(SIGUSR1, 0, count);
	handle(SIGUSR2, 0, count);
	sigfillset(&m);
	sigprocmask(SIG_SETMASK, &m, &o);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	say("blocked: %d", got);
	sigpending(&m);
	say("pending %d %d %d", sigismember(&m, SIGUSR1), sigismember(&m, SIGUSR2), sigismember(&m, SIGHUP));
	sigprocmask(SIG_SETMASK, &o, NULL);
	say("delivered %d: %d %d", got, order[0], order[1]);
}

CASE(realtime_signals_queue_in_order)
{
	sigset_t m, o;
	for (int s = 40; s < 43; s++)
		handle(s, SA_SIGINFO, info);
	sigfillset(&m);
	sigprocmask(SIG_SETMASK, &m, &o);
	for (int i = 0; i < 3; i++) {
		sigqueue(getpid(), 42, (union sigval){.sival_int = i});
		sigqueue(getpid(), 40, (union sigval){.sival_int = i});
	}
	sigprocmask(SIG_SETMASK, &o, NULL);
	say("%d signals", got);
	for (int i = 0; i < got; i++)
		say("%d", order[i]);
	say("last value %d code %d", last.si_value.sival_int, last.si_code);
}

CASE(siginfo_of_kill_and_child)
{
	handle(SIGUSR1, SA_SIGINFO, info);
	kill(getpid(), SIGUSR1);
	say("code %d pid %d uid %d", last.si_code, last.si_pid == getpid(), last.si_uid == getuid());
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	say("code %d", last.si_code);
	handle(SIGCHLD, SA_SIGINFO, info);
	pid_t p = need(fork());
	if (!p)
		_exit(33);
	while (got < 3)
		msleep(5);
	say("signo %d code %d status %d pid %d", last.si_signo, last.si_code, last.si_status, last.si_pid == p);
	reap("child", p);
}

static void fault(int s, siginfo_t *i, void *u)
{
	ucontext_t *c = u;
	say("signal %d code %d addr %s trapno %d", s, i->si_code, i->si_addr == (void *)0x1234 ? "0x1234" : i->si_addr ? "other" : "0", (int)c->uc_mcontext.gregs[REG_TRAPNO]);
	_exit(1);
}

CASE(fault_siginfo)
{
	int s[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	for (int k = 0; k < 7; k++) {
		pid_t p = need(fork());
		if (!p) {
			for (int i = 0; i < 5; i++)
				handle(s[i], SA_SIGINFO, fault);
			volatile int zero = 0;
			char *m = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			switch (k) {
			case 0: *(volatile int *)0x1234 = 1; break;
			case 1: *(volatile char *)m = 1; break;
			case 2: __asm__ volatile("ud2"); break;
			case 3: zero = 1 / zero; break;
			case 4: __asm__ volatile("int3"); break;
			case 5: *(volatile long *)0xdead000000000000 = 1; break;
			case 6: __asm__ volatile("hlt"); break;
			}
			_exit(0);
		}
		reap("child", p);
	}
}

CASE(restart_and_eintr)
{
	int p[2];
	char c;
	struct itimerval t = {{0, 0}, {0, 50000}};
	need(pipe(p));
	handle(SIGALRM, 0, count);
	setitimer(ITIMER_REAL, &t, NULL);
	see("read without SA_RESTART", read(p[0], &c, 1));
	handle(SIGALRM, SA_RESTART, count);
	pid_t k = need(fork());
	if (!k) {
		msleep(150);
		write(p[1], "x", 1);
		_exit(0);
	}
	setitimer(ITIMER_REAL, &t, NULL);
	see("read with SA_RESTART", read(p[0], &c, 1));
	setitimer(ITIMER_REAL, &t, NULL);
	see("poll is never restarted", poll(NULL, 0, 5000));
	setitimer(ITIMER_REAL, &t, NULL);
	see("pause", pause());
	struct timespec rem = {0, 0}, want = {5, 0};
	setitimer(ITIMER_REAL, &t, NULL);
	see("nanosleep", nanosleep(&want, &rem));
	say("left %d", rem.tv_sec == 4 && rem.tv_nsec > 0);
	say("%d alarms", got);
	reap("writer", k);
}

CASE(sigsuspend_and_timedwait)
{
	sigset_t m, none;
	struct timespec t = {0, 20000000};
	siginfo_t i;
	handle(SIGUSR1, 0, count);
	sigemptyset(&none);
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	raise(SIGUSR1);
	see("sigsuspend", sigsuspend(&none));
	say("got %d", got);
	see("timedwait nothing", sigtimedwait(&m, &i, &t));
	raise(SIGUSR1);
	see("timedwait", sigtimedwait(&m, &i, &t));
	say("signo %d code %d, handler ran %d times", i.si_signo, i.si_code, got);
	t.tv_nsec = -1;
	see("bad time", sigtimedwait(&m, &i, &t));
}

static char *alt;
static void on_alt(int s, siginfo_t *i, void *u)
{
	char here;
	stack_t o;
	sigaltstack(NULL, &o);
	say("on the alternate stack %d, flags %d", &here >= alt && &here < alt + 65536, o.ss_flags);
	see("change while on it", sigaltstack(&(stack_t){.ss_sp = alt, .ss_size = 65536}, NULL));
}

CASE(alternate_stack)
{
	alt = malloc(65536);
	stack_t s = {.ss_sp = alt, .ss_size = 65536}, o;
	see("too small", sigaltstack(&(stack_t){.ss_sp = alt, .ss_size = 100}, NULL));
	see("bad flags", sigaltstack(&(stack_t){.ss_sp = alt, .ss_size = 65536, .ss_flags = 7}, NULL));
	see("set", sigaltstack(&s, NULL));
	handle(SIGUSR1, SA_SIGINFO | SA_ONSTACK, on_alt);
	raise(SIGUSR1);
	see("get", sigaltstack(NULL, &o));
	say("same %d flags %d", o.ss_sp == alt, o.ss_flags);
}

static void nested(int s) { order[got++] = s; if (got < 3) raise(SIGUSR1); order[got++] = -s; }

CASE(masks_in_handlers)
{
	handle(SIGUSR1, 0, nested);
	raise(SIGUSR1);
	for (int i = 0; i < got; i++)
		say("%d", order[i]);
	got = 0;
	handle(SIGUSR1, SA_NODEFER, nested);
	raise(SIGUSR1);
	for (int i = 0; i < got; i++)
		say("nodefer %d", order[i]);
	handle(SIGUSR1, SA_RESETHAND, count);
	raise(SIGUSR1);
	struct sigaction a;
	sigaction(SIGUSR1, NULL, &a);
	say("reset %d", a.sa_handler == SIG_DFL);
}

static void change(int s, siginfo_t *i, void *u)
{
	ucontext_t *c = u;
	c->uc_mcontext.gregs[REG_RBX] = 0x1122334455667788;
	c->uc_mcontext.gregs[REG_RIP] += 2; // over ud2
	sigaddset(&c->uc_sigmask, SIGHUP);
}

CASE(sigreturn_takes_changed_context)
{
	unsigned long rbx;
	sigset_t m;
	handle(SIGILL, SA_SIGINFO, change);
	__asm__ volatile("xor %%ebx, %%ebx; ud2; mov %%rbx, %0" : "=r"(rbx) : : "rbx", "memory");
	say("rbx %lx", rbx);
	sigprocmask(SIG_SETMASK, NULL, &m);
	say("mask has SIGHUP %d", sigismember(&m, SIGHUP));
}

static void clobber(int s)
{
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; fldz" : : : "xmm0", "xmm7");
	unsigned csr = 0x3f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(csr));
}

CASE(floating_point_survives_handlers)
{
	double a = 1.5, b = 0, c = 0;
	unsigned csr;
	handle(SIGUSR1, 0, clobber);
	register long pid __asm__("rdi") = getpid();
	__asm__ volatile("movsd %2, %%xmm0; movsd %%xmm0, %%xmm7; mov $62, %%eax; mov $10, %%esi; syscall; movsd %%xmm0, %0; movsd %%xmm7, %1"
			 : "=m"(b), "=m"(c) : "m"(a), "r"(pid) : "rax", "rcx", "r11", "rsi", "xmm0", "xmm7", "memory");
	__asm__ volatile("stmxcsr %0" : "=m"(csr));
	say("%.2f %.2f mxcsr %x", b, c, csr & 0xffc0);
}

CASE(sigchld_ignored_means_no_zombie)
{
	signal(SIGCHLD, SIG_IGN);
	pid_t p = need(fork());
	if (!p)
		_exit(1);
	see("wait", waitpid(p, NULL, 0));
}

CASE(signal_to_group)
{
	int g[2];
	char c;
	need(pipe(g));
	pid_t leader = need(fork());
	if (!leader) {
		setpgid(0, 0);
		for (int i = 0; i < 3; i++)
			if (!fork()) {
				write(g[1], "r", 1);
				pause();
			}
		for (int i = 0; i < 3; i++)
			read(g[0], &c, 1);
		signal(SIGTERM, SIG_IGN);
		see("kill group", kill(0, SIGTERM));
		int st;
		for (int i = 0; i < 3; i++) {
			wait(&st);
			say_status("member", st);
		}
		_exit(0);
	}
	reap("leader", leader);
}

CASE(itimer_and_alarm)
{
	struct itimerval t = {{0, 10000}, {0, 10000}}, o;
	handle(SIGALRM, 0, count);
	see("set", setitimer(ITIMER_REAL, &t, NULL));
	while (got < 3)
		pause();
	memset(&t, 0, sizeof t);
	see("stop", setitimer(ITIMER_REAL, &t, &o));
	say("interval %ld", (long)o.it_interval.tv_usec);
	see("alarm", alarm(100));
	see("alarm again", alarm(0));
	see("bad which", setitimer(9, &t, NULL));
	t.it_value.tv_usec = 1000000;
	see("bad usec", setitimer(ITIMER_REAL, &t, NULL));
}
