#include "case.h"
#include <pthread.h>
#include <ucontext.h>

static volatile int got;
static void count(int s) { got++; }
static void clobber(int s)
{
	// Uses every register that a handler may.
	__asm__ volatile("xor %%eax, %%eax; vpcmpeqd %%ymm0, %%ymm0, %%ymm0; vmovdqa %%ymm0, %%ymm1; vmovdqa %%ymm0, %%ymm7; vmovdqa %%ymm0, %%ymm15; std; cld" ::: "rax", "xmm0", "xmm1", "xmm7", "xmm15");
	got++;
}
static int avx(void)
{
	return __builtin_cpu_supports("avx2");
}

CASE(syscall_clobbers_and_keeps)
{
	unsigned long r[16] = {0}, flags = 0, rip = 0;
	__asm__ volatile("mov $0x1111, %%rbx; mov $0x2222, %%r8; mov $0x3333, %%r9; mov $0x4444, %%r10; mov $0x5555, %%r12; mov $0x6666, %%r13; mov $0x7777, %%r14; mov $0x8888, %%r15;"
			 "mov $0x9999, %%rdi; mov $0xaaaa, %%rsi; mov $0xbbbb, %%rdx; stc; pushf; pop %%rax; mov %%rax, %1; mov $39, %%eax; syscall\n1:"
			 "mov %%rbx, 0(%0); mov %%r8, 8(%0); mov %%r9, 16(%0); mov %%r10, 24(%0); mov %%r12, 32(%0); mov %%r13, 40(%0); mov %%r14, 48(%0); mov %%r15, 56(%0);"
			 "mov %%rdi, 64(%0); mov %%rsi, 72(%0); mov %%rdx, 80(%0); mov %%rcx, 88(%0); mov %%r11, 96(%0); lea 1b(%%rip), %%rax; mov %%rax, 104(%0); pushf; pop %%rax; mov %%rax, 112(%0)"
			 :: "r"(r), "m"(flags) : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	for (int i = 0; i < 11; i++)
		say("%lx", r[i]);
	say("rcx is the next instruction: %d", r[11] == r[13]);
	say("r11 has the flags: %d, carry %ld", (r[12] & 0xad5) == (r[14] & 0xad5), r[14] & 1);
}

CASE(red_zone_survives_signals)
{
	struct itimerval t = {{0, 1000}, {0, 1000}};
	signal(SIGALRM, clobber);
	setitimer(ITIMER_REAL, &t, NULL);
	unsigned long bad = 0;
	while (got < 20 || !got) {
		unsigned long a, b;
		__asm__ volatile("movq $0x1234567, -8(%%rsp); movq $0x7654321, -120(%%rsp); mov $2000, %%ecx; 1: dec %%ecx; jnz 1b; mov -8(%%rsp), %0; mov -120(%%rsp), %1"
				 : "=&r"(a), "=&r"(b) :: "rcx", "memory", "cc");
		bad += a != 0x1234567 || b != 0x7654321;
		if (!avx())
			break;
	}
	say("bad %lu", bad);
}

CASE(vectors_survive_calls_and_signals)
{
	if (!avx()) {
		say("no AVX2");
		return;
	}
	unsigned char in[32], out[32];
	for (int i = 0; i < 32; i++)
		in[i] = i * 7;
	signal(SIGUSR1, clobber);
	long pid = getpid();
	__asm__ volatile("vmovdqu %2, %%ymm7; vmovdqu %2, %%ymm15; mov $39, %%eax; syscall; mov %0, %%rdi; mov $10, %%esi; mov $62, %%eax; syscall; vpaddb %%ymm7, %%ymm15, %%ymm7; vmovdqu %%ymm7, %1"
			 :: "r"(pid), "m"(out), "m"(in) : "rax", "rcx", "r11", "rdi", "rsi", "xmm7", "xmm15", "memory");
	int bad = 0;
	for (int i = 0; i < 32; i++)
		bad += out[i] != (unsigned char)(in[i] * 2);
	say("handled %d, bad bytes %d", got, bad);
}

CASE(floating_environment)
{
	unsigned mx = 0, old, after;
	unsigned short cw, cw2 = 0x27f;
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(old), "=m"(cw));
	say("mxcsr %x control %x", old & ~0x3f, cw);
	mx = 0x5f80; // round down
	__asm__ volatile("ldmxcsr %0; fldcw %1" :: "m"(mx), "m"(cw2));
	signal(SIGUSR1, clobber);
	raise(SIGUSR1);
	pid_t p = need(fork());
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(after), "=m"(cw));
	if (!p) {
		say("child %x %x", after & ~0x3f, cw);
		_exit(0);
	}
	reap("child", p);
	say("parent %x %x", after & ~0x3f, cw);
}

static void *rounding(void *a)
{
	unsigned m;
	__asm__ volatile("stmxcsr %0" : "=m"(m));
	return (void *)(long)(m & 0x6000);
}
CASE(threads_have_their_own_registers)
{
	pthread_t t;
	void *r;
	unsigned m = 0x3f80, n = 0x1f80; // round up, nearest
	__asm__ volatile("ldmxcsr %0" :: "m"(m));
	pthread_create(&t, NULL, rounding, NULL);
	pthread_join(t, &r);
	say("inherited by a thread: %lx", (long)r);
	__asm__ volatile("ldmxcsr %0" :: "m"(n));
	pthread_create(&t, NULL, rounding, NULL);
	pthread_join(t, &r);
	say("%lx", (long)r);
}

CASE(thread_pointer)
{
	unsigned long fs, gs = 0, v[2] = {0x1234, 0};
	see("get fs", syscall(SYS_arch_prctl, 0x1003, &fs));
	unsigned long self;
	__asm__("mov %%fs:0, %0" : "=r"(self));
	say("points to itself: %d", self == fs);
	see("set gs", syscall(SYS_arch_prctl, 0x1001, v));
	see("get gs", syscall(SYS_arch_prctl, 0x1004, &gs));
	say("%d", gs == (unsigned long)v);
	unsigned long x;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(x));
	say("%lx", x);
	signal(SIGUSR1, count);
	raise(SIGUSR1);
	pid_t p = need(fork());
	__asm__ volatile("mov %%gs:0, %0" : "=r"(x));
	if (!p) {
		say("child %lx", x);
		_exit(0);
	}
	reap("child", p);
	say("parent %lx", x);
	see("kernel address", syscall(SYS_arch_prctl, 0x1001, 0xffffffff80000000));
	see("unknown", syscall(SYS_arch_prctl, 0x9999, 0));
	see("bad pointer", syscall(SYS_arch_prctl, 0x1003, 1));
}

static void trap(int s, siginfo_t *i, void *u)
{
	ucontext_t *c = u;
	say("signal %d code %d trap %d", s, i->si_code, (int)c->uc_mcontext.gregs[REG_TRAPNO]);
	_exit(0);
}
CASE(instructions_that_trap)
{
	for (int k = 0; k < 10; k++) {
		pid_t p = need(fork());
		if (!p) {
			struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = trap};
			for (int s = 1; s < 32; s++)
				if (s != SIGALRM)
					sigaction(s, &a, NULL);
			switch (k) {
			case 0: __asm__ volatile("ud2"); break;
			case 1: __asm__ volatile("int3"); break;
			case 2: __asm__ volatile("hlt"); break;
			case 3: __asm__ volatile("cli"); break;
			case 4: __asm__ volatile("in %%dx, %%al" ::: "eax"); break;
			case 5: __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" ::: "eax", "ecx", "edx"); break;
			case 6: __asm__ volatile("mov %%cr0, %%rax" ::: "rax"); break;
			case 7: __asm__ volatile("rdmsr" ::: "eax", "edx"); break;
			case 8: __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop" ::: "memory"); break;
			case 9: __asm__ volatile("int $1"); break;
			}
			_exit(1);
		}
		reap("child", p);
	}
}

CASE(wild_accesses_kill)
{
	for (int k = 0; k < 5; k++) {
		pid_t p = need(fork());
		if (!p) {
			char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			switch (k) {
			case 0: *(volatile char *)0x123; break;
			case 1: *(volatile char *)0x123 = 1; break;
			case 2: *(volatile char *)ro = 1; break;
			case 3: *(volatile char *)none; break;
			case 4: ((void (*)(void))0x10)(); break;
			}
			_exit(1);
		}
		reap("child", p);
	}
}

static void fix(int s, siginfo_t *i, void *u)
{
	ucontext_t *c = u;
	say("error code %llx address %d", (unsigned long long)c->uc_mcontext.gregs[REG_ERR] & 0x17, i->si_addr == (void *)0x123);
	c->uc_mcontext.gregs[REG_RAX] = 77;
	c->uc_mcontext.gregs[REG_RIP] += 3; // the length of the load below
}
CASE(handlers_may_fix_and_continue)
{
	struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = fix};
	sigaction(SIGSEGV, &a, NULL);
	unsigned long r;
	__asm__ volatile("mov $0x123, %%rdx; mov (%%rdx), %%rax" : "=a"(r) :: "rdx");
	say("rax %lu", r);
}

CASE(time_stamp_counter)
{
	unsigned a, d, a2, d2;
	__asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
	__asm__ volatile("rdtsc" : "=a"(a2), "=d"(d2));
	say("forward: %d", ((uint64_t)d2 << 32 | a2) > ((uint64_t)d << 32 | a));
	unsigned b = 0, c;
	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
	say("sse2 %d", d >> 26 & 1);
}

static int same(ucontext_t *c, unsigned long v)
{
	return c->uc_mcontext.gregs[REG_RBX] == v && c->uc_mcontext.gregs[REG_R12] == v + 1 && c->uc_mcontext.gregs[REG_R15] == v + 2;
}
static volatile int seen;
static void regs(int s, siginfo_t *i, void *u) { seen = same(u, 0x5151) ? 1 : 2; }
CASE(handlers_see_registers)
{
	struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = regs};
	sigaction(SIGUSR1, &a, NULL);
	long pid = getpid(), bx, r12, r15;
	__asm__ volatile("mov $0x5151, %%rbx; mov $0x5152, %%r12; mov $0x5153, %%r15; mov %3, %%rdi; mov $10, %%esi; mov $62, %%eax; syscall; mov %%rbx, %0; mov %%r12, %1; mov %%r15, %2"
			 : "=m"(bx), "=m"(r12), "=m"(r15) : "m"(pid) : "rax", "rbx", "rcx", "rdi", "rsi", "r11", "r12", "r15", "memory");
	say("seen %d, after %lx %lx %lx", seen, bx, r12, r15);
}

CASE(direction_flag_in_handlers)
{
	// A handler starts with the direction flag clear, and the interrupted code gets its own back.
	long pid = getpid(), fl;
	char b[16] = "abcdef";
	signal(SIGUSR1, clobber);
	__asm__ volatile("std; mov %1, %%rdi; mov $10, %%esi; mov $62, %%eax; syscall; pushf; pop %0; cld" : "=&r"(fl) : "m"(pid) : "rax", "rcx", "rdi", "rsi", "r11", "memory");
	say("direction %ld, handled %d", fl >> 10 & 1, got);
}

CASE(alignment_and_nt_flags)
{
	long fl;
	__asm__ volatile("pushf; orl $0x240cd5 & 0x2408d5, (%%rsp); popf; mov $39, %%eax; syscall; pushf; pop %0; pushf; andl $~0x240c00, (%%rsp); popf" : "=&r"(fl) :: "rax", "rcx", "r11", "memory", "cc");
	say("status flags over a call: %lx", fl & 0x8d5);
}
