package syscalls

import (
	"testing"

	"hornwork/linux"
)

// dispatch answers a call on the caller's goroutine, without the fake guest's channels.
func (g *guest) dispatch(nr uintptr, args ...uint64) uintptr {
	r := &g.t.Regs
	for i, p := range []*uint64{&r.RDI, &r.RSI, &r.RDX, &r.R10, &r.R8, &r.R9} {
		if i < len(args) {
			*p = args[i]
		}
	}
	ret, errno, _ := Dispatch(g.t, nr)
	if errno != 0 {
		g.tb.Fatalf("%s: %v", Name(nr), errno)
	}
	return ret
}

func BenchmarkHotCalls(b *testing.B) {
	g := newGuest(b)
	fd := uint64(g.ok(linux.SYS_OPEN, "file", linux.O_CREAT|linux.O_RDWR, 0o644))
	g.ok(linux.SYS_WRITE, fd, make([]byte, 8192), 8192)
	g.ok(linux.SYS_MKDIR, "/dir", 0o755)
	g.ok(linux.SYS_SYMLINK, "/file", "/dir/link")
	dir := uint64(g.ok(linux.SYS_OPEN, "/", linux.O_RDONLY, 0))
	r, w := g.pair(linux.SYS_PIPE)
	ep := uint64(g.ok(linux.SYS_EPOLL_CREATE1, 0))
	g.ok(linux.SYS_EPOLL_CTL, ep, linux.EPOLL_CTL_ADD, w, words(linux.EPOLLOUT, 0, 0))
	path, deep, buf := g.put([]byte("/file\x00")), g.put([]byte("/dir/link\x00")), g.room(8192)
	iov := g.put(iovecs(buf, 100, buf+200, 100))
	pfd := g.put(words(uint32(w), linux.POLLOUT))
	for _, bm := range []struct {
		name string
		f    func()
	}{
		{"getpid", func() { g.dispatch(linux.SYS_GETPID) }},
		{"pread64", func() { g.dispatch(linux.SYS_PREAD64, fd, buf, 4096, 0) }},
		{"pwrite64", func() { g.dispatch(linux.SYS_PWRITE64, fd, buf, 4096, 0) }},
		{"preadv", func() { g.dispatch(linux.SYS_PREADV, fd, iov, 2, 0, 0) }},
		{"lseek", func() { g.dispatch(linux.SYS_LSEEK, fd, 0, 0) }},
		{"fstat", func() { g.dispatch(linux.SYS_FSTAT, fd, buf) }},
		{"newfstatat", func() { g.dispatch(linux.SYS_NEWFSTATAT, atCwd, path, buf, 0) }},
		{"newfstatat link", func() { g.dispatch(linux.SYS_NEWFSTATAT, atCwd, deep, buf, 0) }},
		{"openat close", func() {
			n := g.dispatch(linux.SYS_OPENAT, atCwd, path, linux.O_RDWR, 0)
			g.dispatch(linux.SYS_CLOSE, uint64(n))
		}},
		{"getdents64", func() {
			g.dispatch(linux.SYS_GETDENTS64, dir, buf, 8192)
			g.dispatch(linux.SYS_LSEEK, dir, 0, 0)
		}},
		{"pipe", func() {
			g.dispatch(linux.SYS_WRITE, uint64(w), buf, 1)
			g.dispatch(linux.SYS_READ, uint64(r), buf, 1)
		}},
		{"epoll_wait", func() { g.dispatch(linux.SYS_EPOLL_WAIT, ep, buf, 8, 0) }},
		{"poll", func() { g.dispatch(linux.SYS_POLL, pfd, 1, 0) }},
		{"clock_gettime", func() { g.dispatch(linux.SYS_CLOCK_GETTIME, 1, buf) }},
		{"mmap munmap", func() {
			a := g.dispatch(linux.SYS_MMAP, 0, 65536, 3, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS, ^uint64(0), 0)
			g.dispatch(linux.SYS_MUNMAP, uint64(a), 65536)
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.f()
			}
		})
	}
}

const atCwd = ^uint64(0) - 99 // linux.AT_FDCWD
