#include "case.h"
#include <sys/prctl.h>

CASE(fork_exit_status)
{
	for (int i = 0; i < 3; i++) {
		pid_t p = need(fork());
		if (!p)
			_exit(i * 100);
		reap("child", p);
	}
}

CASE(wait_no_children)
{
	see("wait", wait(NULL));
	see("waitpid 1", waitpid(1, NULL, 0));
	see("waitpid bad options", waitpid(-1, NULL, 0x1234));
	see("waitid bad type", waitid(99, 0, NULL, WEXITED));
	see("waitid no states", waitid(P_ALL, 0, NULL, 0));
}

CASE(wait_nohang)
{
	int g[2];
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		char c;
		close(g[1]);
		read(g[0], &c, 1);
		_exit(5);
	}
	see("running", waitpid(p, NULL, WNOHANG));
	close(g[1]);
	reap("child", p);
	see("again", waitpid(p, NULL, WNOHANG));
}

CASE(waitid_siginfo)
{
	siginfo_t i;
	pid_t p = need(fork());
	if (!p)
		_exit(7);
	memset(&i, 0x55, sizeof i);
	see("waitid", waitid(P_PID, p, &i, WEXITED | WNOWAIT));
	say("signo %d code %d status %d pid %d", i.si_signo, i.si_code, i.si_status, i.si_pid == p);
	see("still there", waitid(P_PID, p, &i, WEXITED));
	see("gone", waitid(P_PID, p, &i, WEXITED));
	p = need(fork());
	if (!p)
		raise(SIGKILL);
	see("waitid", waitid(P_ALL, 0, &i, WEXITED));
	say("code %d status %d", i.si_code, i.si_status);
}

CASE(stop_and_continue)
{
	int st, go[2];
	char c;
	need(pipe(go));
	pid_t p = need(fork());
	if (!p) {
		close(go[1]);
		raise(SIGSTOP);
		read(go[0], &c, 1); // it must not be gone before it was seen to continue
		_exit(3);
	}
	see("stopped", waitpid(p, &st, WUNTRACED) == p);
	say_status("status", st);
	see("kill", kill(p, SIGCONT));
	see("continued", waitpid(p, &st, WCONTINUED) == p);
	say_status("status", st);
	close(go[1]);
	reap("end", p);
}

CASE(orphan_gets_new_parent)
{
	int g[2], go[2];
	pid_t ppid = 0;
	need(pipe(g));
	need(pipe(go));
	need(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t self = getpid(), p = need(fork());
	if (!p) {
		if (!fork()) {
			char c;
			close(go[1]);
			read(go[0], &c, 1);
			ppid = getppid();
			write(g[1], &ppid, sizeof ppid);
			_exit(9);
		}
		_exit(0);
	}
	reap("middle", p);
	close(go[1]);
	read(g[0], &ppid, sizeof ppid);
	say("adopted by the subreaper: %d", ppid == self);
	int st;
	see("reaped", wait(&st) > 0);
	say_status("orphan", st);
}

CASE(process_groups_and_sessions)
{
	pid_t p = need(fork());
	if (!p) {
		see("setsid", setsid() == getpid());
		say("sid %d pgid %d", getsid(0) == getpid(), getpgid(0) == getpid());
		see("setsid again", setsid());
		see("setpgid of a leader", setpgid(0, 0));
		pid_t c = need(fork());
		if (!c) {
			see("child setpgid", setpgid(0, 0));
			say("own group %d", getpgrp() == getpid());
			see("to parent's", setpgid(0, getppid()));
			see("no such group", setpgid(0, 999999));
			_exit(0);
		}
		reap("grandchild", c);
		_exit(0);
	}
	reap("child", p);
	see("setpgid of none", setpgid(999999, 0));
	see("negative", setpgid(0, -1));
	see("getpgid of none", getpgid(999999));
	see("getsid of none", getsid(999999));
}

CASE(vfork_shares_memory)
{
	static volatile int x;
	pid_t p = vfork();
	if (!p) {
		x = 42;
		_exit(1);
	}
	say("x is %d", x);
	reap("child", p);
}

CASE(exec_errors)
{
	char *argv[] = {"x", NULL}, *envp[] = {NULL};
	int fd;
	see("missing", execve("nope", argv, envp));
	see("directory", execve("/", argv, envp));
	see("empty name", execve("", argv, envp));
	need(fd = open("plain", O_CREAT | O_WRONLY, 0644));
	write(fd, "data", 4);
	close(fd);
	see("no x bit", execve("plain", argv, envp));
	chmod("plain", 0755);
	see("not a program", execve("plain", argv, envp));
	see("through a file", execve("plain/x", argv, envp));
	see("NULL name", execve(NULL, argv, envp));
	see("bad argv", execve("/bin/true", (char **)1, envp));
	need(fd = open("script", O_CREAT | O_WRONLY, 0755));
	write(fd, "#!/no/such/interpreter\n", 23);
	see("busy", execve("script", argv, envp));
	close(fd);
	see("bad interpreter", execve("script", argv, envp));
}

CASE(exec_script)
{
	int fd = need(open("s", O_CREAT | O_WRONLY, 0755));
	const char t[] = "#!/bin/sh -e\necho \"$0 $1 $-\" | sed 's/.*s a/s a/'\nexit 6\n";
	write(fd, t, sizeof t - 1);
	close(fd);
	pid_t p = need(fork());
	if (!p) {
		execl("./s", "ignored", "a", NULL);
		_exit(99);
	}
	reap("script", p);
}

CASE(exec_keeps_and_resets)
{
	pid_t p = need(fork());
	if (!p) {
		int fd = need(open("/dev/null", O_RDONLY));
		int c = need(open("/dev/null", O_RDONLY | O_CLOEXEC));
		dup2(fd, 50);
		dup3(c, 51, O_CLOEXEC);
		signal(SIGUSR1, SIG_IGN);
		signal(SIGUSR2, case_exec_errors);
		sigset_t m;
		sigemptyset(&m);
		sigaddset(&m, SIGHUP);
		sigprocmask(SIG_BLOCK, &m, NULL);
		execl("/bin/sh", "sh", "-c", "test -e /proc/self/fd/50 && echo '  kept 50'; test -e /proc/self/fd/51 || echo '  closed 51'; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status | sed 's/^/  /' | head -2", NULL);
	}
	reap("sh", p);
}

CASE(exec_argument_limits)
{
	static char big[200000];
	memset(big, 'a', sizeof big - 1);
	char *argv[] = {"true", big, NULL}, *envp[] = {NULL};
	see("one long string", execve("/bin/true", argv, envp));
	big[131071] = 0;
	pid_t p = need(fork());
	if (!p) {
		execve("/bin/true", argv, envp);
		say("%s", errno_name(errno));
		_exit(1);
	}
	reap("131071 bytes", p);
}

CASE(prctl_names)
{
	char n[16] = "";
	need(prctl(PR_SET_NAME, "a name that is much too long", 0, 0, 0));
	need(prctl(PR_GET_NAME, n, 0, 0, 0));
	say("%s", n);
	see("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	see("set dumpable 2", prctl(PR_SET_DUMPABLE, 2, 0, 0, 0));
	see("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	see("set", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	see("get", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	see("unset", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	see("unknown", prctl(12345, 0, 0, 0, 0));
	see("timerslack", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
}

CASE(pdeathsig)
{
	int g[2];
	char c;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
			write(g[1], "r", 1);
			pause();
		}
		read(g[0], &c, 1);
		_exit(0);
	}
	close(g[1]);
	reap("parent", p);
	see("everybody gone", read(g[0], &c, 1));
}

CASE(exit_group_ends_children_not)
{
	int g[2];
	char c;
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		if (!fork()) {
			msleep(50);
			write(g[1], "a", 1);
			_exit(0);
		}
		syscall(SYS_exit_group, 300);
	}
	reap("parent", p);
	see("grandchild lives", read(g[0], &c, 1));
}
