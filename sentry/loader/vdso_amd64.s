#include "textflag.h"

// The vDSO's functions. They are never called here: vdso_unsafe.go copies their bytes, up to the marker that
// END leaves, into the image. They use no stack, no other code, and no data but the vvar page, whose address
// VVAR loads; its ten bytes are replaced by a lea relative to rip. The layout of the page is host/clock's.

#define VVAR MOVQ $0x7261767672617676, R8
#define END  BYTE $0x0F; BYTE $0x0B; BYTE $0x45; BYTE $0x4E; BYTE $0x44; BYTE $0x56; BYTE $0x44; BYTE $0x53

#define SEQ   0x00(R8)
#define MODE  0x08(R8)
#define BASE  0x10(R8)
#define VALID 0x18(R8)
#define CPUS  0x20(R8)
#define SLOTS 0x40
#define SEC   0x00(R9)
#define NSEC  0x08(R9)
#define MULT  0x10(R9)

#define CLOCKS     11    // the highest clock number with a slot
#define CLOCK_MASK 0x8F3 // those that have one
#define COARSE     0x60  // the coarse ones among them

// NOW reads the clock of slot R9 into R11 (seconds) and AX (nanoseconds), or goes to slow. It clobbers DX
// and R10. A difference to BASE below zero is a huge unsigned number, so that it goes to slow as well.
#define NOW(retry, norm, done, slow) \
retry: \
	MOVQ	SEQ, R10 \
	TESTL	$1, R10 \
	JNE	slow \
	CMPQ	MODE, $1 \
	JNE	slow \
	LFENCE \
	RDTSC \
	SHLQ	$32, DX \
	ORQ	DX, AX \
	SUBQ	BASE, AX \
	CMPQ	AX, VALID \
	JHI	slow \
	MULQ	MULT \
	SHRQ	$32, DX, AX \
	ADDQ	NSEC, AX \
	MOVQ	SEC, R11 \
	CMPQ	R10, SEQ \
	JNE	retry \
norm: \
	CMPQ	AX, $1000000000 \
	JCS	done \
	SUBQ	$1000000000, AX \
	INCQ	R11 \
	JMP	norm \
done:

// int clock_gettime(clockid_t DI, struct timespec *SI)
TEXT ·vdsoClockGettime(SB), NOSPLIT|NOFRAME, $0
	CMPL	DI, $CLOCKS
	JHI	slow
	MOVL	$CLOCK_MASK, AX
	BTL	DI, AX
	JCC	slow
	VVAR
	MOVL	DI, R9
	SHLL	$5, R9
	LEAQ	SLOTS(R8)(R9*1), R9
	NOW(retry, norm, done, slow)
	MOVQ	R11, 0(SI)
	MOVQ	AX, 8(SI)
	XORL	AX, AX
	RET
slow:
	MOVL	$228, AX
	SYSCALL
	RET
	END

// int gettimeofday(struct timeval *DI, struct timezone *SI)
TEXT ·vdsoGettimeofday(SB), NOSPLIT|NOFRAME, $0
	TESTQ	DI, DI
	JEQ	zone
	VVAR
	LEAQ	SLOTS(R8), R9
	NOW(retry, norm, done, slow)
	XORL	DX, DX
	MOVL	$1000, R10
	DIVQ	R10
	MOVQ	R11, 0(DI)
	MOVQ	AX, 8(DI)
zone:
	XORL	AX, AX
	TESTQ	SI, SI
	JEQ	out
	MOVQ	AX, 0(SI)
out:
	RET
slow:
	MOVL	$96, AX
	SYSCALL
	RET
	END

// time_t time(time_t *DI)
TEXT ·vdsoTime(SB), NOSPLIT|NOFRAME, $0
	VVAR
	LEAQ	SLOTS(R8), R9
	NOW(retry, norm, done, slow)
	MOVQ	R11, AX
	TESTQ	DI, DI
	JEQ	out
	MOVQ	AX, 0(DI)
out:
	RET
slow:
	MOVL	$201, AX
	SYSCALL
	RET
	END

// int getcpu(unsigned *DI, unsigned *SI, void *DX). Linux keeps the CPU in the low 12 bits of TSC_AUX.
TEXT ·vdsoGetcpu(SB), NOSPLIT|NOFRAME, $0
	VVAR
	CMPQ	CPUS, $0
	JEQ	slow
	MOVQ	DX, R9
	RDTSCP
	MOVQ	R9, DX
	MOVL	CX, AX
	ANDL	$0xFFF, AX
	CMPQ	AX, CPUS
	JCC	slow
	TESTQ	DI, DI
	JEQ	node
	MOVL	AX, 0(DI)
node:
	TESTQ	SI, SI
	JEQ	out
	MOVL	$0, 0(SI)	// guests see one node
out:
	XORL	AX, AX
	RET
slow:
	MOVL	$309, AX
	SYSCALL
	RET
	END

// int clock_getres(clockid_t DI, struct timespec *SI)
TEXT ·vdsoClockGetres(SB), NOSPLIT|NOFRAME, $0
	CMPL	DI, $CLOCKS
	JHI	slow
	MOVL	$CLOCK_MASK, AX
	BTL	DI, AX
	JCC	slow
	MOVL	$1, DX
	MOVL	$COARSE, AX
	BTL	DI, AX
	JCC	fine
	MOVL	$4000000, DX
fine:
	TESTQ	SI, SI
	JEQ	out
	MOVQ	$0, 0(SI)
	MOVQ	DX, 8(SI)
out:
	XORL	AX, AX
	RET
slow:
	MOVL	$229, AX
	SYSCALL
	RET
	END

// func vdsoAddrs() [5]unsafe.Pointer
TEXT ·vdsoAddrs(SB), NOSPLIT, $0-40
	LEAQ	·vdsoClockGettime(SB), AX
	MOVQ	AX, ret_0+0(FP)
	LEAQ	·vdsoGettimeofday(SB), AX
	MOVQ	AX, ret_1+8(FP)
	LEAQ	·vdsoTime(SB), AX
	MOVQ	AX, ret_2+16(FP)
	LEAQ	·vdsoGetcpu(SB), AX
	MOVQ	AX, ret_3+24(FP)
	LEAQ	·vdsoClockGetres(SB), AX
	MOVQ	AX, ret_4+32(FP)
	RET
