package syscalls

import (
	"encoding/binary"
	"testing"
	"time"

	"hornwork/linux"
	"hornwork/sentry/signal"
	"hornwork/sentry/task"
)

// FuzzDispatch makes sequences of system calls with random and with meaningful arguments. Nothing may panic, and
// whatever sleeps must die of SIGKILL.
func FuzzDispatch(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 3, 4, 5, 6})
	for nr := range table {
		if table[nr].Support.Level > LevelUnsupported {
			f.Add([]byte{byte(nr), byte(nr >> 8), 1, 33, 16, 5, 0, 0, byte(nr), byte(nr >> 8), 9, 40, 41, 17, 18, 19})
			f.Add([]byte{byte(nr), byte(nr >> 8), 32, 32, 34, 0, 21, 22, byte(nr), byte(nr >> 8), 2, 3, 4, 20, 35, 36})
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const maxCalls = 24
		g := newFuzzGuest(t)
		for calls := 0; len(data) >= 8 && calls < maxCalls; calls++ {
			nr := int(data[0]) | int(data[1])<<8
			var args [6]uint64
			for i := range args {
				args[i] = g.value(data[2+i], data)
			}
			data = data[8:]
			if !g.try(nr%(tableSize+8), args) {
				return
			}
		}
	})
}

type fuzzGuest struct {
	*guest
	values []uint64
}

func newFuzzGuest(t *testing.T) *fuzzGuest {
	g := &fuzzGuest{guest: newGuest(t)}
	page := g.room(4096)
	g.store(page, []byte("dir/file\x00"))
	g.ok(linux.SYS_MKDIR, "dir", 0o755)
	file := g.ok(linux.SYS_OPEN, "dir/file", linux.O_CREAT|linux.O_RDWR, 0o644)
	g.ok(linux.SYS_WRITE, file, make([]byte, 5000), 5000)
	dir := g.ok(linux.SYS_OPEN, "dir", linux.O_RDONLY, 0)
	r, w := g.pair(linux.SYS_PIPE)
	a, b := g.pair(linux.SYS_SOCKETPAIR, linux.AF_UNIX, linux.SOCK_STREAM, 0)
	ep := g.ok(linux.SYS_EPOLL_CREATE1, 0)
	ev := g.ok(linux.SYS_EVENTFD2, 0, 0)
	nums := g.put(iovecs(page+64, 16, 3, 1<<40, 0, ^uint64(0), 8, 1))
	iov := g.put(iovecs(page+128, 64, page+512, 3000, page+4000, 200))
	msg := g.put(iovecs(0, 0, iov, 2, nums, 24, 0))
	g.values = []uint64{
		0, 1, 2, 3, 4, 5, 8, 16, 64, 4096, 5000, 65536, 1 << 20, 1 << 31, 1 << 32, 1 << 47, 1<<63 - 1, 1 << 63,
		^uint64(0), ^uint64(0) - 99 /* AT_FDCWD */, 0x7fffffff, 0xffffffff, uint64(file), uint64(dir), uint64(r),
		uint64(w), uint64(a), uint64(b), uint64(ep), uint64(ev), page, page + 4095, page + 64, nums, iov, msg, g.end - 3,
		g.end - 8192, uint64(badAddr), 0x802, 0x80000, 0x22, 0x11, 0x100, 0x1000, 10, 17, 1000,
	}
	return g
}

// value is a meaningful number or, for high selectors, a random one.
func (g *fuzzGuest) value(sel byte, data []byte) uint64 {
	if int(sel) < len(g.values) {
		return g.values[sel]
	}
	if sel < 0xc0 || len(data) < 16 {
		return uint64(sel)
	}
	return binary.LittleEndian.Uint64(data[8:])
}

// try makes a call and says whether the process still lives. A call that sleeps is killed.
func (g *fuzzGuest) try(nr int, args [6]uint64) bool {
	r := linux.Regs{
		OrigRAX: uint64(nr), RAX: ^uint64(linux.ENOSYS) + 1, RIP: 0x401002, CS: 0x33, SS: 0x2b, RSP: g.end - 4096,
		RDI: args[0], RSI: args[1], RDX: args[2], R10: args[3], R8: args[4], R9: args[5],
	}
	select {
	case g.th.req <- r:
	case <-g.k.Done():
		return false
	case <-time.After(5 * time.Second):
		g.tb.Fatal("the task neither runs nor ends")
	}
	select {
	case <-g.th.res:
		return true
	case <-g.k.Done():
		return false
	case <-time.After(20 * time.Millisecond):
	}
	info := signal.Kernel(linux.SIGKILL)
	task.SendGroup(g.t.Group, &info)
	select {
	case <-g.th.res:
	case <-g.k.Done():
	case <-time.After(5 * time.Second):
		g.tb.Fatalf("%s%x does not die of SIGKILL", Name(uintptr(nr)), args)
	}
	return false
}
