#include "textflag.h"

// func forkZygote(flags uintptr) uintptr
//
// clone(2) without a new stack. The child, a copy of this process with one thread, runs none of Go: it asks
// to be traced and stops at a breakpoint, from where the controller takes it to the stub's text.
TEXT ·forkZygote(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ	flags+0(FP), DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$56, AX		// clone
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, ret+8(FP)
	RET
child:
	XORL	DI, DI		// PTRACE_TRACEME
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	MOVL	$101, AX	// ptrace
	SYSCALL
	TESTQ	AX, AX
	JNZ	fail
	BYTE	$0xCC
fail:
	MOVL	$1, DI
	MOVL	$231, AX	// exit_group
	SYSCALL
	JMP	fail

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL	leaf+0(FP), AX
	MOVL	sub+4(FP), CX
	CPUID
	MOVL	AX, a+8(FP)
	MOVL	BX, b+12(FP)
	MOVL	CX, c+16(FP)
	MOVL	DX, d+20(FP)
	RET
