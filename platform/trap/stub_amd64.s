#include "textflag.h"
#include "go_asm.h"

// The stub: what runs in a stub process beside guest code. The bytes from stubBegin to stubEnd become the
// stub's image at textBase. Code reaches only code here, relatively, and fixed addresses. No function
// returns; none uses a stack, except stubRestore, which writes below the frame it restores.
//
// Guest code can jump to any byte of it with any registers: see the package comment.

#define LOAD_ENTRY(P) \
	MOVQ 0(P), AX; \
	MOVQ 8(P), DI; \
	MOVQ 16(P), SI; \
	MOVQ 24(P), DX; \
	MOVQ 32(P), R10; \
	MOVQ 40(P), R8; \
	MOVQ 48(P), R9

TEXT ·stubBegin(SB),NOSPLIT|NOFRAME,$0
	INT $3
	RET

// stubWorker: the zygote, or the creator of an address space. Waits for its orders' number to change, makes
// the calls, stores their results, publishes the number. Changes no memory but the results page.
TEXT ·stubWorker(SB),NOSPLIT|NOFRAME,$0
	XORL R15, R15
	MOVQ $const_ordersBase, R14
	MOVQ $const_resultsBase, R13
wait:
	MOVL const_ordSeq(R14), AX
	CMPL AX, R15
	JNE go
	MOVL $202, AX // futex(FUTEX_WAIT)
	LEAQ const_ordSeq(R14), DI
	XORL SI, SI
	MOVL R15, DX
	XORL R10, R10
	SYSCALL
	JMP wait
go:
	MOVL AX, R15
	XORL R12, R12
	LEAQ const_ordEntries(R14), BX
next:
	CMPL R12, const_ordCount(R14)
	JCC done
again:
	LOAD_ENTRY(BX)
	SYSCALL
	MOVQ 56(BX), CX
	TESTL CX, CX
	JZ store
	CMPL CX, $const_howUntil
	JEQ until
	TESTQ AX, AX
	JNZ store
	CMPL CX, $const_howProcess
	JEQ process
	CMPL CX, $const_howThread
	JEQ thread
	JMP ·stubMapper(SB)
thread:
	JMP ·stubThread(SB)
process:
	JMP ·stubProcess(SB)
until:
	TESTQ AX, AX
	JGE store
	MOVL $24, AX // sched_yield
	SYSCALL
	JMP again
store:
	MOVQ AX, 8(R13)(R12*8)
	TESTL CX, CX
	JZ stored
	TESTQ AX, AX
	JLT done // a clone failed: what follows depends on it
stored:
	ADDQ $const_entrySize, BX
	INCL R12
	JMP next
done:
	MOVL R15, 0(R13)
	MOVL $202, AX // futex(FUTEX_WAKE)
	MOVQ R13, DI
	MOVL $1, SI
	MOVL $1, DX
	SYSCALL
	JMP wait

// stubProcess: a process cloned from the zygote; R9 is the offset of its control pages.
TEXT ·stubProcess(SB),NOSPLIT|NOFRAME,$0
	MOVQ R9, BX
	MOVL $157, AX // prctl(PR_SET_PDEATHSIG, SIGKILL)
	MOVL $1, DI
	MOVL $9, SI
	SYSCALL
	MOVL $110, AX // getppid: has the zygote died before?
	SYSCALL
	CMPL AX, const_ordParent(R14)
	JNE die
	MOVL $9, AX
	MOVQ $const_ordersBase, DI
	MOVL $const_ordersSize, SI
	MOVL $1, DX
	MOVL $0x11, R10
	MOVL $const_fdReadOnly, R8
	MOVQ BX, R9
	SYSCALL
	CMPQ AX, R14
	JNE die
	MOVL $9, AX
	MOVQ R13, DI
	MOVL $const_pageSize, SI
	MOVL $3, DX
	MOVL $0x11, R10
	MOVL $const_fdReadWrite, R8
	MOVQ BX, R9
	SYSCALL
	CMPQ AX, R13
	JNE die
	LEAQ ·stubWorker(SB), AX // indirectly: the linker takes a circle of jumps for calls
	JMP AX
die:
	MOVL $231, AX
	MOVL $1, DI
	SYSCALL
	INT $3

// stubMapper: the thread that makes mapping calls; R9 is its filter. Only registers, no memory written.
TEXT ·stubMapper(SB),NOSPLIT|NOFRAME,$0
	MOVL $317, AX // seccomp(SECCOMP_SET_MODE_FILTER)
	MOVL $1, DI
	MOVL $const_filterFlags, SI
	MOVQ R9, DX
	SYSCALL
	TESTQ AX, AX
	JLT die // never without the filter
	MOVQ $const_ordersBase, R14
	XORL DI, DI
	XORL SI, SI
idle:
	MOVL $const_notifyMapper, AX
	SYSCALL
	MOVL const_ordMapper(R14), R12
	MOVL (const_ordMapper+4)(R14), R13
	SHLQ $6, R13
	LEAQ const_ordMapperOps(R14)(R13*1), R13
	XORL BX, BX
next:
	CMPL BX, R12
	JCC done
	LOAD_ENTRY(R13)
	SYSCALL
	CMPQ AX, $-4095
	JCC failed
	INCL BX
	ADDQ $const_entrySize, R13
	JMP next
done:
	MOVL BX, DI
	XORL SI, SI
	JMP idle
failed:
	MOVL BX, DI
	MOVQ AX, SI
	JMP idle
die:
	MOVL $231, AX
	MOVL $2, DI
	SYSCALL
	INT $3

// stubThread: a new guest thread; R9 is its context.
TEXT ·stubThread(SB),NOSPLIT|NOFRAME,$0
	MOVQ R9, R12
	MOVL $158, AX // arch_prctl(ARCH_SET_GS)
	MOVL $0x1001, DI
	MOVQ R12, SI
	SYSCALL
	MOVL $131, AX // sigaltstack
	LEAQ const_cfgStack(R12), DI
	XORL SI, SI
	SYSCALL
	MOVL $14, AX // rt_sigprocmask(SIG_SETMASK)
	MOVL $2, DI
	LEAQ const_cfgMask(R12), SI
	XORL DX, DX
	MOVL $8, R10
	SYSCALL
	MOVL $317, AX
	MOVL $1, DI
	MOVL $const_filterFlags, SI
	LEAQ const_cfgProgram(R12), DX
	SYSCALL
	TESTQ AX, AX
	JLT die // never without the filter
	JMP ·stubReady(SB)
die:
	MOVL $231, AX
	MOVL $3, DI
	SYSCALL
	INT $3

// stubReset brings a thread to stubReady from anywhere, with SP at its resume frame and the segment registers as they
// were at first.
TEXT ·stubReset(SB),NOSPLIT|NOFRAME,$0
	XORL AX, AX
	BYTE $0x8e; BYTE $0xd8 // mov ds,eax
	BYTE $0x8e; BYTE $0xc0 // mov es,eax
	BYTE $0x8e; BYTE $0xe0 // mov fs,eax
	BYTE $0x8e; BYTE $0xe8 // mov gs,eax
	LEAQ -const_ctxSlot(SP), AX
	WRGSBASEQ AX
	JMP ·stubReady(SB)

TEXT ·stubReady(SB),NOSPLIT|NOFRAME,$0
	MOVL $const_notifyReady, AX
	SYSCALL
	JMP ·stubFull(SB)

// stubFull resumes with the registers of the resume frame.
TEXT ·stubFull(SB),NOSPLIT|NOFRAME,$0
	MOVQ const_cfgSlot(GS), SP
	JMP ·stubRestore(SB)

// stubSignal: every signal handler. DI signo, SI siginfo, DX ucontext, SP the frame. The sentry reads the frame,
// changes it, and answers the notification.
TEXT ·stubSignal(SB),NOSPLIT|NOFRAME,$0
	RDFSBASEQ AX
	MOVQ AX, 16(SP) // uc_link, which is ours, carries the FS base
	MOVL $const_notifySignal, AX
	SYSCALL
	JMP ·stubRestore(SB)

// stubRestore loads all registers from the signal frame at SP and goes there. iretq does not let a single
// step or an interrupt see a mixture.
TEXT ·stubRestore(SB),NOSPLIT|NOFRAME,$0
	MOVQ 16(SP), AX
	WRFSBASEQ AX
	MOVQ 232(SP), DI // fpstate
	TESTQ DI, DI
	JZ nofp
	MOVL $-1, AX
	MOVL $-1, DX
	BYTE $0x48; BYTE $0x0f; BYTE $0xae; BYTE $0x2f // xrstor64 (rdi)
nofp:
	MOVQ SP, R8
	MOVWLZX 198(R8), AX
	PUSHQ AX        // ss
	PUSHQ 168(R8)   // rsp
	PUSHQ 184(R8)   // rflags
	MOVWLZX 192(R8), AX
	PUSHQ AX        // cs
	PUSHQ 176(R8)   // rip
	PUSHQ $2        // iretq faults if the guest has set NT
	POPFQ
	MOVQ 56(R8), R9
	MOVQ 64(R8), R10
	MOVQ 72(R8), R11
	MOVQ 80(R8), R12
	MOVQ 88(R8), R13
	MOVQ 96(R8), R14
	MOVQ 104(R8), R15
	MOVQ 112(R8), DI
	MOVQ 120(R8), SI
	BYTE $0x49; BYTE $0x8b; BYTE $0xa8; LONG $128 // mov 128(r8),rbp, which vet takes for a mistake
	MOVQ 136(R8), BX
	MOVQ 144(R8), DX
	MOVQ 152(R8), AX
	MOVQ 160(R8), CX
	MOVQ 48(R8), R8
	IRETQ

// stubExit ends the thread.
TEXT ·stubExit(SB),NOSPLIT|NOFRAME,$0
	MOVL $60, AX
	MOVQ $const_exitCode, DI
	SYSCALL
	INT $3

// stubSyscall: trampolines of patched sites come here with the number in rax and the return address in rcx.
// The flags are saved first, before anything changes them.
TEXT ·stubSyscall(SB),NOSPLIT|NOFRAME,$0
	MOVQ AX, const_ctxRAX(GS)
	MOVQ SP, const_ctxRSP(GS)
	MOVQ const_cfgFlagsTop(GS), SP
	PUSHFQ
	MOVQ const_ctxRSP(GS), SP
	JMP ·stubAnswer(SB)

// stubAnswer: calls that the sentry answered beforehand.
TEXT ·stubAnswer(SB),NOSPLIT|NOFRAME,$0
	CMPQ AX, $const_maxAnswer
	JCC ask
	BYTE $0x65; BYTE $0x4c; BYTE $0x8b; BYTE $0x1c; BYTE $0xc5; LONG $const_cfgAnswers // mov gs:cfgAnswers(,rax,8),r11
	TESTQ R11, R11
	JLT ask
	MOVB (const_ctxFlags+1)(GS), AX // overflow flag
	SHRB $3, AX
	ANDB $1, AX
	MOVB const_ctxFlags(GS), AH
	ADDB $0x7f, AX
	SAHF
	MOVQ R11, AX
	JMP CX
ask:
	MOVQ DI, const_ctxRDI(GS)
	MOVQ SI, const_ctxRSI(GS)
	MOVQ DX, const_ctxRDX(GS)
	MOVQ R10, const_ctxR10(GS)
	MOVQ R8, const_ctxR8(GS)
	MOVQ R9, const_ctxR9(GS)
	MOVQ CX, const_ctxRIP(GS)
	MOVQ BX, const_ctxRBX(GS)
	MOVQ BP, const_ctxRBP(GS)
	MOVQ R12, const_ctxR12(GS)
	MOVQ R13, const_ctxR13(GS)
	MOVQ R14, const_ctxR14(GS)
	MOVQ R15, const_ctxR15(GS)
	RDFSBASEQ R11
	MOVQ R11, const_ctxFS(GS)
	BYTE $0xf3; BYTE $0x41; BYTE $0x0f; BYTE $0xc7; BYTE $0xfb // rdpid r11
	MOVL R11, const_ctxCPU(GS)
	MOVL $const_stateRequest, AX
	BYTE $0x65; BYTE $0x87; BYTE $0x04; BYTE $0x25; LONG $const_ctxState // xchg eax,gs:ctxState
	JMP ·stubWait(SB)

// stubWait: the request is published, AX is the state before. All registers but rax, rcx, r11 are the guest's.
TEXT ·stubWait(SB),NOSPLIT|NOFRAME,$0
	TESTL $const_stateSentry, AX
	JNZ sleep
	MOVL const_cfgSpin(GS), R11
	TESTL R11, R11
	JZ block
spin:
	MOVL const_ctxState(GS), AX
	TESTL $const_stateReply, AX
	JNZ got
	PAUSE
	DECL R11
	JNZ spin
block:
	MOVL $const_stateRequest, AX
	MOVL $(const_stateRequest+const_stateStub), R11
	BYTE $0x65; BYTE $0xf0; BYTE $0x44; BYTE $0x0f; BYTE $0xb1; BYTE $0x1c; BYTE $0x25; LONG $const_ctxState // lock cmpxchg r11d,gs:ctxState
	JEQ sleep
	TESTL $const_stateReply, AX
	JNZ got
sleep:
	MOVL $const_notifySyscall, AX
	SYSCALL
	MOVL const_ctxState(GS), AX
	TESTL $const_stateReply, AX
	JZ sleep
got:
	CMPB AX, $const_stateReply
	JNE full
	MOVB (const_ctxFlags+1)(GS), AX
	SHRB $3, AX
	ANDB $1, AX
	MOVB const_ctxFlags(GS), AH
	ADDB $0x7f, AX
	SAHF
	MOVQ const_ctxRIP(GS), CX
	MOVQ const_ctxRAX(GS), AX
	JMP CX
full:
	JMP ·stubFull(SB)

TEXT ·stubEnd(SB),NOSPLIT|NOFRAME,$0
	RET

// Addresses of the above. A Go func value would be the address of a wrapper.
#define ADDR(fn, sym) TEXT fn(SB),NOSPLIT,$0-8; LEAQ sym(SB), AX; MOVQ AX, ret+0(FP); RET
ADDR(·addrBegin, ·stubBegin)
ADDR(·addrWorker, ·stubWorker)
ADDR(·addrThread, ·stubThread)
ADDR(·addrReset, ·stubReset)
ADDR(·addrReady, ·stubReady)
ADDR(·addrFull, ·stubFull)
ADDR(·addrSignal, ·stubSignal)
ADDR(·addrRestore, ·stubRestore)
ADDR(·addrExit, ·stubExit)
ADDR(·addrSyscall, ·stubSyscall)
ADDR(·addrAnswer, ·stubAnswer)
ADDR(·addrWait, ·stubWait)
ADDR(·addrEnd, ·stubEnd)
