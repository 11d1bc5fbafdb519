#include "textflag.h"

// func forkRun(flags uintptr, calls *[7]uintptr, n uintptr, entry uintptr) (pid uintptr)
//
// Clones the process with flags (no CLONE_VM). The child makes the calls (number, six arguments), exits at the
// first that fails, and jumps to entry. It runs nothing of Go.
TEXT ·forkRun(SB),NOSPLIT,$0-40
	MOVQ flags+0(FP), DI
	MOVQ calls+8(FP), R12
	MOVQ n+16(FP), R13
	MOVQ entry+24(FP), BX
	XORL SI, SI
	XORL DX, DX
	XORL R10, R10
	XORL R8, R8
	XORL R9, R9
	MOVL $56, AX
	SYSCALL
	TESTQ AX, AX
	JZ child
	MOVQ AX, pid+32(FP)
	RET
child:
	TESTQ R13, R13
	JZ go
	MOVQ 0(R12), AX
	MOVQ 8(R12), DI
	MOVQ 16(R12), SI
	MOVQ 24(R12), DX
	MOVQ 32(R12), R10
	MOVQ 40(R12), R8
	MOVQ 48(R12), R9
	SYSCALL
	CMPQ AX, $-4095
	JCC fail
	ADDQ $56, R12
	DECQ R13
	JMP child
go:
	JMP BX
fail:
	NEGQ AX
	MOVQ AX, DI
	MOVL $231, AX // exit_group: the status is the error
	SYSCALL
	INT $3

// func spin(p *uint32, n uint32) uint32
//
// Waits until the state at p is a request, at most n rounds, and returns the state.
TEXT ·spin(SB),NOSPLIT,$0-20
	MOVQ p+0(FP), DI
	MOVL n+8(FP), CX
loop:
	MOVL (DI), AX
	TESTL $0x10, AX
	JZ done
	DECL CX
	JLE done
	PAUSE
	JMP loop
done:
	MOVL AX, ret+16(FP)
	RET

// func rdtsc() uint64
TEXT ·rdtsc(SB),NOSPLIT,$0-8
	RDTSC
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+0(FP)
	RET

// func rdpid() uint32
TEXT ·rdpid(SB),NOSPLIT,$0-4
	BYTE $0xf3; BYTE $0x0f; BYTE $0xc7; BYTE $0xf8 // rdpid rax
	ANDL $0xfff, AX // Linux keeps the node above
	MOVL AX, ret+0(FP)
	RET

// func rdfsbase() uintptr
TEXT ·rdfsbase(SB),NOSPLIT,$0-8
	RDFSBASEQ AX
	MOVQ AX, ret+0(FP)
	RET

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB),NOSPLIT,$0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() uint64
TEXT ·xgetbv(SB),NOSPLIT,$0-8
	XORL CX, CX
	XGETBV
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+0(FP)
	RET
