package ptrace

// Entry points in the stub's text page. All else in it is int3.
const (
	textInject = 0  // one system call, then int3
	textThread = 16 // clone a thread: the parent reaches int3, the child parks
	textPark   = 32 // sleep for ever
	textBatch  = 64 // orders from rbx up to r12, until one fails; then int3, rbx at the failed one
)

// orderWords is the length of one order: rax, rdi, rsi, rdx, r10, r8, r9.
const orderWords = 7

// maxOrders is how many orders fit in their page.
const maxOrders = pageSize / (8 * orderWords)

// stubText builds the text page.
func stubText() []byte {
	b := make([]byte, pageSize)
	for i := range b {
		b[i] = 0xcc // int3
	}
	copy(b[textInject:], []byte{
		0x0f, 0x05, // syscall
	})
	copy(b[textThread:], []byte{
		0x0f, 0x05, // syscall
		0x85, 0xc0, // test eax, eax
		0x74, textPark - (textThread + 6), // jz park
	})
	copy(b[textPark:], []byte{
		0xb8, 34, 0, 0, 0, // mov eax, SYS_pause
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp park
	})
	copy(b[textBatch:], []byte{
		0x4c, 0x39, 0xe3, // cmp rbx, r12
		0x73, 0x2b, // jae done
		0x48, 0x8b, 0x03, // mov rax, [rbx]
		0x48, 0x8b, 0x7b, 8, // mov rdi, [rbx+8]
		0x48, 0x8b, 0x73, 16, // mov rsi, [rbx+16]
		0x48, 0x8b, 0x53, 24, // mov rdx, [rbx+24]
		0x4c, 0x8b, 0x53, 32, // mov r10, [rbx+32]
		0x4c, 0x8b, 0x43, 40, // mov r8, [rbx+40]
		0x4c, 0x8b, 0x4b, 48, // mov r9, [rbx+48]
		0x0f, 0x05, // syscall
		0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, // cmp rax, -4095
		0x73, 0x06, // jae done
		0x48, 0x83, 0xc3, 8 * orderWords, // add rbx, 56
		0xeb, 0xd0, // jmp the start
		// done: int3
	})
	return b
}
