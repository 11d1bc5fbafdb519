#include "case.h"
#include <elf.h>
#include <sys/auxv.h>

#ifndef SYS_execveat
#define SYS_execveat 322
#endif

static char *none[] = {NULL};
static void put(const char *n, int mode, const char *text, long len)
{
	int fd = need(open(n, O_CREAT | O_WRONLY | O_TRUNC, 0755));
	need(write(fd, text, len < 0 ? strlen(text) : len));
	need(fchmod(fd, mode));
	close(fd);
}
// run executes n in a child and prints how it ended.
static void run(const char *what, const char *n, char *const argv[], char *const envp[])
{
	pid_t p = need(fork());
	if (!p) {
		execve(n, argv, envp);
		say("%s: %s", what, errno_name(errno));
		_exit(99);
	}
	reap(what, p);
}

CASE(exec_passes_arguments_and_environment)
{
	char *argv[] = {"sh", "-c", "echo \"  $# $0 [$1] [$2] $A\"; env | grep -v -E '^(PWD|OLDPWD|SHLVL|_)=' | sed 's/^/  /'", "zero", "", "two words", NULL};
	char *envp[] = {"A=b c", "EMPTY=", NULL};
	run("sh", "/bin/sh", argv, envp);
}

CASE(exec_with_no_arguments)
{
	// Linux gives a program without arguments one empty one.
	char *argv[] = {NULL};
	put("s", 0755, "#!/bin/sh\ntr '\\0' '|' </proc/$$/cmdline | sed 's/^/  /'; echo\n", -1);
	run("script", "./s", argv, none);
	run("NULL", "/bin/true", NULL, NULL);
}

CASE(execveat_variants)
{
	char *argv[] = {"x", NULL};
	int dir = need(open("/bin", O_RDONLY)), file = need(open("/bin/true", O_PATH)), c = need(open("/bin/true", O_RDONLY | O_CLOEXEC));
	struct { const char *what; int fd; const char *n; int flags; } t[] = {
		{"from a directory", dir, "true", 0}, {"absolute", 999, "/bin/true", 0}, {"AT_EMPTY_PATH", file, "", AT_EMPTY_PATH},
		{"cloexec program", c, "", AT_EMPTY_PATH}, {"empty without the flag", file, "", 0}, {"bad fd", 999, "true", 0},
		{"not a directory", file, "true", 0}, {"flags", dir, "true", 0x10}, {"missing", dir, "missing", 0},
		{"NULL", dir, NULL, 0}, {"empty of a directory", dir, "", AT_EMPTY_PATH}, {"cwd", AT_FDCWD, "", AT_EMPTY_PATH},
	};
	for (int i = 0; i < sizeof t / sizeof *t; i++) {
		pid_t p = need(fork());
		if (!p) {
			syscall(SYS_execveat, t[i].fd, t[i].n, argv, none, t[i].flags);
			say("%s: %s", t[i].what, errno_name(errno));
			_exit(99);
		}
		reap(t[i].what, p);
	}
	put("prog", 0755, "#!/bin/sh\necho \"  ran as ${0##*/}\"\n", -1);
	need(symlink("prog", "link"));
	pid_t p = need(fork());
	if (!p) {
		syscall(SYS_execveat, AT_FDCWD, "link", argv, none, AT_SYMLINK_NOFOLLOW);
		say("nofollow: %s", errno_name(errno));
		_exit(99);
	}
	reap("symlink", p);
	int s = need(open("prog", O_RDONLY));
	dup2(s, 77);
	p = need(fork());
	if (!p) {
		syscall(SYS_execveat, 77, "", argv, none, AT_EMPTY_PATH);
		_exit(99);
	}
	reap("script by descriptor", p);
	fcntl(77, F_SETFD, FD_CLOEXEC);
	p = need(fork());
	if (!p) {
		syscall(SYS_execveat, 77, "", argv, none, AT_EMPTY_PATH);
		say("cloexec script: %s", errno_name(errno));
		_exit(99);
	}
	reap("script whose name would vanish", p);
}

CASE(scripts)
{
	char *argv[] = {"ignored", "one", "two", NULL}, line[400];
	put("args", 0755, "#!/bin/echo  a b  c \nrest\n", -1);
	run("one argument with blanks", "./args", argv, none);
	put("noarg", 0755, "#! /bin/echo\n", -1);
	run("no argument", "./noarg", argv, none);
	put("nonl", 0755, "#!/bin/echo last", -1);
	run("no newline", "./nonl", argv, none);
	put("empty", 0755, "#!\n", -1);
	run("no interpreter", "./empty", argv, none);
	put("blank", 0755, "#!   \t \n", -1);
	run("only blanks", "./blank", argv, none);
	put("missing", 0755, "#!/nope\n", -1);
	run("missing interpreter", "./missing", argv, none);
	put("dir", 0755, "#!/\n", -1);
	run("a directory", "./dir", argv, none);
	put("notexec", 0755, "#!./plain\n", -1);
	put("plain", 0644, "#!/bin/sh\n", -1);
	run("interpreter without x", "./notexec", argv, none);
	put("zero", 0755, "", 0);
	run("empty file", "./zero", argv, none);
	put("short", 0755, "#", 1);
	run("one character", "./short", argv, none);
}

CASE(script_line_lengths)
{
	char *argv[] = {"x", NULL}, line[600];
	for (int n = 250; n <= 260; n += 5) {
		memset(line, 'a', sizeof line);
		memcpy(line, "#!/bin/echo ", 12);
		line[n] = '\n';
		put("s", 0755, line, n + 1);
		int g[2];
		need(pipe(g));
		pid_t p = need(fork());
		if (!p) {
			dup2(g[1], 1);
			execve("./s", argv, none);
			_exit(errno);
		}
		close(g[1]);
		static char b[1000];
		long r = read(g[0], b, sizeof b);
		close(g[0]);
		reap("line", p);
		say("%d: argument of %ld", n, r > 0 ? (long)(strchr(b, ' ') - b) : -1);
	}
	memset(line, 'p', sizeof line);
	memcpy(line, "#!/", 3);
	line[500] = '\n';
	put("s", 0755, line, 501);
	run("a path longer than the buffer", "./s", argv, none);
}

CASE(scripts_of_scripts)
{
	char *argv[] = {"x", "arg", NULL}, t[64], n[8];
	put("s0", 0755, "#!/bin/echo zero\n", -1);
	for (int i = 1; i <= 6; i++) {
		sprintf(t, "#!./s%d %d\n", i - 1, i);
		sprintf(n, "s%d", i);
		put(n, 0755, t, -1);
	}
	for (int i = 3; i <= 6; i++) {
		sprintf(n, "./s%d", i);
		run(n, n, argv, none);
	}
	put("loop", 0755, "#!./loop\n", -1);
	run("itself", "./loop", argv, none);
}

CASE(exec_closes_and_keeps)
{
	int a = need(open("/dev/null", O_RDONLY)), b = need(open("/dev/null", O_RDONLY | O_CLOEXEC)), g[2];
	need(dup2(a, 20));
	need(dup3(a, 21, O_CLOEXEC));
	need(fcntl(a, F_DUPFD_CLOEXEC, 22));
	need(fcntl(b, F_DUPFD, 23));
	char *argv[] = {"sh", "-c", "for i in 20 21 22 23; do test -e /proc/self/fd/$i && echo \"  $i\"; done; true", NULL};
	run("open ones", "/bin/sh", argv, none);
}

CASE(elf_headers)
{
	static char elf[2 << 20];
	int fd = need(open("/proc/self/exe", O_RDONLY));
	long n = need(read(fd, elf, sizeof elf));
	char *argv[] = {"x", "none", NULL}; // a case that does not exist
	Elf64_Ehdr h, *e = (void *)elf;
	memcpy(&h, e, sizeof h);
#define TRY(what, change)                               \
	do {                                            \
		memcpy(e, &h, sizeof h);                \
		change;                                 \
		put("p", 0755, elf, n);                 \
		run(what, "./p", argv, none);           \
	} while (0)
	TRY("good", );
	TRY("magic", e->e_ident[0] = 'X');
	TRY("class is not looked at", e->e_ident[EI_CLASS] = 9);
	TRY("a relocatable object", e->e_type = ET_REL);
	TRY("core", e->e_type = ET_CORE);
	TRY("machine", e->e_machine = EM_AARCH64);
	TRY("program header size", e->e_phentsize = 55);
	TRY("no program headers", e->e_phnum = 0);
	TRY("too many", e->e_phnum = 2000);
	TRY("headers beyond the end", e->e_phoff = 1ul << 40);
	TRY("headers at minus one", e->e_phoff = -1);
	TRY("version is not looked at", e->e_version = 7);
	memcpy(e, &h, sizeof h);
	put("p", 0755, elf, 40);
	run("cut in the header", "./p", argv, none);
	put("p", 0755, elf, 64);
	run("only the header", "./p", argv, none);
}

CASE(elf_segments)
{
	static char elf[2 << 20];
	int fd = need(open("/proc/self/exe", O_RDONLY)), load = -1;
	long n = need(read(fd, elf, sizeof elf));
	char *argv[] = {"x", "none", NULL};
	Elf64_Ehdr *e = (void *)elf;
	Elf64_Phdr *ph = (void *)(elf + e->e_phoff), keep;
	for (int i = e->e_phnum - 1; i >= 0; i--)
		if (ph[i].p_type == PT_LOAD)
			load = i;
	memcpy(&keep, ph + load, sizeof keep);
#undef TRY
#define TRY(what, change)                               \
	do {                                            \
		memcpy(ph + load, &keep, sizeof keep);  \
		change;                                 \
		put("p", 0755, elf, n);                 \
		run(what, "./p", argv, none);           \
	} while (0)
	TRY("file size over memory size", ph[load].p_filesz = ph[load].p_memsz + 1);
	TRY("address of the kernel", ph[load].p_vaddr = 1ul << 47);
	TRY("huge", ph[load].p_memsz = 1ul << 47);
	TRY("interpreter name of no length", (ph[load].p_type = PT_INTERP, ph[load].p_filesz = 0));
	TRY("interpreter name too long", (ph[load].p_type = PT_INTERP, ph[load].p_filesz = 5000));
	TRY("interpreter name without an end", (ph[load].p_type = PT_INTERP, ph[load].p_filesz = 4));
	TRY("interpreter name beyond the end", (ph[load].p_type = PT_INTERP, ph[load].p_offset = n + 100, ph[load].p_filesz = 10));
}

CASE(elf_interpreter)
{
	char *argv[] = {"true", NULL}, *p;
	static char elf[2 << 20];
	long n = need(read(need(open("/bin/true", O_RDONLY)), elf, sizeof elf));
	run("dynamic PIE", "/bin/true", argv, none);
	put("t", 0755, elf, n);
	run("its copy", "./t", argv, none);
	Elf64_Ehdr *e = (void *)elf;
	Elf64_Phdr *ph = (void *)(elf + e->e_phoff);
	for (int i = 0; i < e->e_phnum; i++)
		if (ph[i].p_type == PT_INTERP)
			p = elf + ph[i].p_offset;
	p[1] = 'X';
	put("t", 0755, elf, n);
	run("missing interpreter", "./t", argv, none);
	strcpy(p, "/etc/passwd");
	put("t", 0755, elf, n);
	run("not executable", "./t", argv, none);
	strcpy(p, "./script");
	put("script", 0755, "#!/bin/sh\nexit 0\n# long enough to have a header of some kind, surely over 64 bytes\n", -1);
	put("t", 0755, elf, n);
	run("a script", "./t", argv, none);
	strcpy(p, "/");
	put("t", 0755, elf, n);
	run("a directory", "./t", argv, none);
}

CASE(text_busy)
{
	char *argv[] = {"x", NULL};
	int g[2];
	char c;
	static char elf[2 << 20];
	long n = need(read(need(open("/bin/sleep", O_RDONLY)), elf, sizeof elf));
	put("p", 0755, elf, n);
	int w = need(open("p", O_WRONLY));
	run("open for writing", "./p", argv, none);
	close(w);
	char *sl[] = {"sleep", "30", NULL};
	need(pipe2(g, O_CLOEXEC));
	pid_t p = need(fork());
	if (!p) {
		execve("./p", sl, none);
		_exit(9);
	}
	close(g[1]);
	read(g[0], &c, 1); // until it executes
	see("write to a running program", open("p", O_WRONLY));
	see("truncate", truncate("p", 0));
	ok("read", open("p", O_RDONLY));
	see("unlink", unlink("p"));
	kill(p, SIGKILL);
	reap("sleep", p);
}

CASE(exec_by_proc_and_deleted)
{
	char *argv[] = {"cat", NULL}, l[300], path[40];
	static char elf[2 << 20];
	long n = need(read(need(open("/bin/readlink", O_RDONLY)), elf, sizeof elf));
	put("p", 0755, elf, n);
	int fd = need(open("p", O_RDONLY));
	need(unlink("p"));
	int g[2];
	need(pipe(g));
	pid_t p = need(fork());
	if (!p) {
		char *a[] = {"readlink", "/proc/self/exe", NULL};
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		dup2(g[1], 1);
		execve(path, a, none);
		_exit(9);
	}
	close(g[1]);
	long r = read(g[0], l, sizeof l - 1);
	l[r > 0 ? r : 0] = 0;
	say("exe: %s", strrchr(l, '/') ? strtok(strrchr(l, '/'), "\n") : "?");
	reap("by descriptor", p);
	int m = need(memfd_create("prog", MFD_CLOEXEC));
	need(write(m, elf, n));
	p = need(fork());
	if (!p) {
		char *a[] = {"readlink", "-n", "/nonexistent", NULL};
		syscall(SYS_execveat, m, "", a, none, AT_EMPTY_PATH);
		say("%s", errno_name(errno));
		_exit(9);
	}
	reap("memfd", p);
}

CASE(exec_permissions)
{
	char *argv[] = {"x", NULL};
	put("nox", 0644, "#!/bin/sh\nexit 0\n", -1);
	put("xonly", 0711, "#!/bin/sh\nexit 0\n", -1);
	put("others", 0770, "#!/bin/sh\nexit 0\n", -1);
	need(mkdir("closed", 0700));
	put("closed/p", 0755, "#!/bin/sh\nexit 0\n", -1);
	run("root, no x at all", "./nox", argv, none);
	static char elf[2 << 20];
	long n = need(read(need(open("/bin/true", O_RDONLY)), elf, sizeof elf));
	put("true-xonly", 0711, elf, n);
	need(setresuid(1000, 1000, 1000));
	run("others' bits", "./others", argv, none);
	run("closed directory", "./closed/p", argv, none);
	run("script that cannot be read", "./xonly", argv, none);
	run("program that cannot be read", "./true-xonly", argv, none);
}

CASE(exec_errors_of_pointers)
{
	char *bad[] = {(char *)1, NULL}, *argv[] = {"x", NULL};
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + 4096, 4096);
	see("bad string", execve("/bin/true", bad, none));
	see("bad argv", execve("/bin/true", (char **)1, none));
	see("bad envp", execve("/bin/true", argv, (char **)1));
	see("bad string in envp", execve("/bin/true", argv, bad));
	see("bad argv, missing program", execve("/missing", (char **)1, none));
	((char **)(p + 4096))[-1] = "x";
	see("array without an end", execve("/bin/true", (char **)(p + 4088), none));
	memset(p + 4000, 'a', 96);
	argv[0] = p + 4000;
	see("string without an end", execve("/bin/true", argv, none));
	memset(p, 'a', 4096);
	see("path without an end", execve(p, argv, none));
}

CASE(auxiliary_vector)
{
	say("page size %lu, clock ticks %lu, uid %lu %lu gid %lu %lu, secure %lu", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK), getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID), getauxval(AT_EGID), getauxval(AT_SECURE));
	say("random %d, vdso %d, phent %lu, base %lu", getauxval(AT_RANDOM) != 0, getauxval(AT_SYSINFO_EHDR) != 0, getauxval(AT_PHENT), getauxval(AT_BASE));
	say("platform %s, execfn is a path %d", (char *)getauxval(AT_PLATFORM), strchr((char *)getauxval(AT_EXECFN), '/') != NULL);
	Elf64_Phdr *p = (void *)getauxval(AT_PHDR);
	int loads = 0;
	for (int i = 0; i < getauxval(AT_PHNUM); i++)
		loads += p[i].p_type == PT_LOAD;
	say("headers are readable: %d", loads > 0);
}

CASE(exec_keeps_identity)
{
	char b[32];
	need(nice(3));
	umask(0137);
	need(chdir("/usr"));
	alarm(15);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	raise(SIGUSR1);
	char *grep[] = {"grep", "-E", "^(SigPnd|ShdPnd|SigBlk)", "/proc/self/status", NULL};
	pid_t p = need(fork());
	if (!p) {
		raise(SIGUSR1); // a child starts with none pending
		execve("/bin/grep", grep, none);
		_exit(9);
	}
	reap("pending signals stay", p);
	signal(SIGUSR1, SIG_IGN);
	sprintf(b, "PID=%d", getpid());
	char *argv[] = {"sh", "-c", "test $$ = $PID && echo '  pid'; pwd; umask; nice", NULL}, *envp[] = {b, NULL};
	execve("/bin/sh", argv, envp);
}
