package ptrace

import (
	"fmt"
	"syscall"

	"hornwork/lib/rank"
	"hornwork/linux"
)

// orderBook is a memory file with a page of orders for each address space: the sentry writes it, the stub has its
// own page read-only.
type orderBook struct {
	fd  int
	mem []byte

	mu   rank.Mutex[rank.Platform] // guards the fields below
	free []int
	used int // pages that were ever given out
}

// maxSpaces bounds the address spaces that exist at a time.
const maxSpaces = 1 << 16

func newOrderBook() (*orderBook, error) {
	fd, err := memfdWith("orders", nil)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	if err := syscall.Ftruncate(fd, maxSpaces*pageSize); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("sizing the orders: %w", err)
	}
	mem, err := syscall.Mmap(fd, 0, maxSpaces*pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_NORESERVE)
	if err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("mapping the orders: %w", err)
	}
	return &orderBook{fd: fd, mem: mem}, nil
}

// take gives out a page.
func (b *orderBook) take() (index int, errno linux.Errno) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		index = b.free[n-1]
		b.free = b.free[:n-1]
		return index, 0
	}
	if b.used == maxSpaces {
		return 0, linux.EAGAIN
	}
	b.used++
	return b.used - 1, 0
}

// put takes back a page that no process maps any more.
func (b *orderBook) put(index int) {
	b.mu.Lock()
	b.free = append(b.free, index)
	b.mu.Unlock()
}

// page is the words of a page.
func (b *orderBook) page(index int) []uint64 {
	return words(b.mem[index*pageSize : (index+1)*pageSize])
}

func (b *orderBook) close() {
	syscall.Munmap(b.mem)
	syscall.Close(b.fd)
}
