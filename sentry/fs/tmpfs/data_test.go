package tmpfs_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// TestDataAgreesWithAByteSlice does random operations on a file and on a slice.
func TestDataAgreesWithAByteSlice(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	r := rand.New(rand.NewPCG(3, 4))
	before := testMem().Usage()
	f, errno := open(c, "f", linux.O_CREAT|linux.O_RDWR, 0o600)
	want(t, "open", errno, 0)
	const most = 3 << 20 // beyond the first block of the page table
	var model []byte
	grow := func(n int) {
		if n > len(model) {
			model = append(model, make([]byte, n-len(model))...)
		}
	}
	for range 600 {
		off, n := r.IntN(most), r.IntN(20000)
		switch r.IntN(6) {
		case 0, 1:
			b := make([]byte, n)
			for k := range b {
				b[k] = byte(r.Uint32())
			}
			src := usermem.Kernel(b)
			if k, errno := f.PWrite(c, &src, int64(off)); k != n || errno != 0 && n > 0 {
				t.Fatalf("pwrite: %d, %v", k, errno)
			}
			if n > 0 {
				grow(off + n)
				copy(model[off:], b)
			}
		case 2:
			want(t, "truncate", f.Truncate(c, int64(off)), 0)
			grow(off)
			model = model[:off]
		case 3:
			want(t, "punch", f.Fallocate(c, linux.FALLOC_FL_PUNCH_HOLE|linux.FALLOC_FL_KEEP_SIZE, int64(off), int64(n+1)), 0)
			if off < len(model) {
				clear(model[off:min(len(model), off+n+1)])
			}
		case 4:
			want(t, "fallocate", f.Fallocate(c, 0, int64(off), int64(n+1)), 0)
			grow(off + n + 1)
		case 5:
			b := make([]byte, n+1)
			dst := usermem.Kernel(b)
			k, errno := f.PRead(c, &dst, int64(off))
			want(t, "pread", errno, 0)
			if end := min(len(model), off+n+1); k != max(0, end-off) || !bytes.Equal(b[:k], model[min(off, len(model)):][:k]) {
				t.Fatalf("pread of %d at %d gave %d bytes that differ", n+1, off, k)
			}
		}
		x, _ := stat(c, "f", 0)
		if int(x.Size) != len(model) {
			t.Fatalf("size %d, want %d", x.Size, len(model))
		}
	}
	want(t, "unlink", vfs.Unlink(c, c.Cwd, "f"), 0)
	if testMem().Usage() == before {
		t.Error("an open file lost its data")
	}
	f.Put()
	if now := testMem().Usage(); now != before {
		t.Errorf("%d bytes are still in use", now-before)
	}
}

func TestHolesAreFound(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	f, _ := open(c, "f", linux.O_CREAT|linux.O_RDWR, 0o600)
	defer f.Put()
	put := func(off int64) {
		src := usermem.Kernel([]byte("data"))
		f.PWrite(c, &src, off)
	}
	put(8192)
	put(10 << 20)
	for _, tc := range []struct {
		whence   int
		off, got int64
		errno    linux.Errno
	}{
		{linux.SEEK_DATA, 0, 8192, 0}, {linux.SEEK_DATA, 8200, 8200, 0}, {linux.SEEK_HOLE, 0, 0, 0}, {linux.SEEK_HOLE, 8192, 12288, 0},
		{linux.SEEK_DATA, 12288, 10 << 20, 0}, {linux.SEEK_HOLE, 10 << 20, 10<<20 + 4, 0}, {linux.SEEK_DATA, 10<<20 + 4, 0, linux.ENXIO},
		{linux.SEEK_HOLE, 11 << 20, 0, linux.ENXIO}, {linux.SEEK_END, -4, 10 << 20, 0}, {linux.SEEK_SET, -1, 0, linux.EINVAL},
		{linux.SEEK_CUR, math.MaxInt64, 0, linux.EINVAL}, {9, 0, 0, linux.EINVAL},
	} {
		if got, errno := f.Seek(c, tc.off, tc.whence); got != tc.got || errno != tc.errno {
			t.Errorf("seek(%d, %d): %d, %v, want %d, %v", tc.off, tc.whence, got, errno, tc.got, tc.errno)
		}
	}
	x, _ := stat(c, "f", 0)
	if x.Blocks != 16 {
		t.Errorf("%d blocks, want 16", x.Blocks)
	}
}

func TestLimits(t *testing.T) {
	c := newRoot(t, tmpfs.Options{SizeBytes: 64 << 10, Inodes: 4})
	f, _ := open(c, "f", linux.O_CREAT|linux.O_RDWR|linux.O_APPEND, 0o600)
	defer f.Put()
	src := usermem.Kernel(make([]byte, 100<<10))
	if n, errno := f.Write(c, &src); n != 64<<10 || errno != 0 {
		t.Errorf("write over the quota: %d, %v", n, errno)
	}
	src = usermem.Kernel([]byte("x"))
	_, errno := f.Write(c, &src)
	want(t, "write to a full filesystem", errno, linux.ENOSPC)
	want(t, "fallocate in a full filesystem", f.Fallocate(c, 0, 1<<20, 1<<40), linux.ENOSPC)
	want(t, "truncate", f.Truncate(c, 0), 0)
	for _, n := range []string{"a", "b"} {
		want(t, "mkdir", vfs.Mkdir(c, c.Cwd, n, 0o755), 0)
	}
	want(t, "one inode too many", vfs.Mkdir(c, c.Cwd, "c", 0o755), linux.ENOSPC)
	want(t, "rmdir", vfs.Rmdir(c, c.Cwd, "b"), 0)
	want(t, "mkdir again", vfs.Mkdir(c, c.Cwd, "c", 0o755), 0)

	limited := *c
	signals := 0
	limited.MaxFileSize, limited.XFSZ = 10, func() { signals++ }
	src = usermem.Kernel(make([]byte, 20))
	if n, errno := f.Write(&limited, &src); n != 10 || errno != 0 || signals != 0 {
		t.Errorf("write over RLIMIT_FSIZE: %d, %v, %d signals", n, errno, signals)
	}
	_, errno = f.Write(&limited, &src)
	want(t, "write at RLIMIT_FSIZE", errno, linux.EFBIG)
	want(t, "truncate over RLIMIT_FSIZE", f.Truncate(&limited, 11), linux.EFBIG)
	if signals != 2 {
		t.Errorf("%d signals, want 2", signals)
	}
	src = usermem.Kernel([]byte("x"))
	g, _ := open(c, "f", linux.O_RDWR, 0)
	defer g.Put()
	_, errno = g.PWrite(c, &src, math.MaxInt64)
	want(t, "write at the end of all offsets", errno, linux.EFBIG)
}

func TestSeals(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	fs := tmpfs.New(tmpfs.Options{Mem: testMem()})
	f, errno := tmpfs.NewMemfd(c, fs, "name", tmpfs.MFD_ALLOW_SEALING)
	want(t, "memfd_create", errno, 0)
	defer f.Put()
	if got := vfs.PathString(c, f.Path); got != "/memfd:name (deleted)" {
		t.Errorf("its name is %q", got)
	}
	s := f.Ops.(interface {
		AddSeals(*vfs.File, uint32) linux.Errno
		Seals() uint32
	})
	want(t, "truncate", f.Truncate(c, 4096), 0)
	want(t, "seal", s.AddSeals(f, linux.F_SEAL_SHRINK|linux.F_SEAL_GROW), 0)
	want(t, "shrink", f.Truncate(c, 1), linux.EPERM)
	want(t, "grow", f.Truncate(c, 5000), linux.EPERM)
	src := usermem.Kernel([]byte("data"))
	_, errno = f.PWrite(c, &src, 4094)
	want(t, "write over the end", errno, linux.EPERM)
	src = usermem.Kernel([]byte("data"))
	_, errno = f.PWrite(c, &src, 0)
	want(t, "write", errno, 0)
	want(t, "seal", s.AddSeals(f, linux.F_SEAL_WRITE|linux.F_SEAL_SEAL), 0)
	src = usermem.Kernel([]byte("data"))
	_, errno = f.PWrite(c, &src, 0)
	want(t, "write when sealed", errno, linux.EPERM)
	want(t, "another seal", s.AddSeals(f, linux.F_SEAL_FUTURE_WRITE), linux.EPERM)
	if s.Seals() != 15 {
		t.Errorf("seals %#x", s.Seals())
	}
}

func TestReadDirKeepsPositions(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	for k := range 100 {
		write(t, c, "f"+string(rune('A'+k%26))+string(rune('a'+k/26)), "")
	}
	f, _ := open(c, ".", linux.O_RDONLY, 0)
	defer f.Put()
	seen := map[string]int{}
	for more := true; more; {
		more = false
		f.ReadDir(c, func(e vfs.DirEntry) bool {
			if more {
				return false
			}
			more = true
			seen[e.Name]++
			return true
		})
		for n := range seen { // what was seen is deleted under the reader's feet
			vfs.Unlink(c, c.Cwd, n)
			break
		}
	}
	if len(seen) != 102 {
		t.Errorf("%d names seen, want 102", len(seen))
	}
	for n, k := range seen {
		if k != 1 {
			t.Errorf("%s seen %d times", n, k)
		}
	}
}

func TestTempFilesCanBeNamed(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	f, errno := open(c, ".", linux.O_TMPFILE|linux.O_RDWR, 0o600)
	want(t, "O_TMPFILE", errno, 0)
	src := usermem.Kernel([]byte("temp"))
	f.Write(c, &src)
	want(t, "link", vfs.Link(c, f.Path, c.Cwd, "named"), 0)
	f.Put()
	if got := read(t, c, "named"); got != "temp" {
		t.Errorf("it has %q", got)
	}
	g, _ := open(c, ".", linux.O_TMPFILE|linux.O_RDWR|linux.O_EXCL, 0o600)
	want(t, "link of an exclusive one", vfs.Link(c, g.Path, c.Cwd, "other"), linux.ENOENT)
	g.Put()
	h, _ := open(c, "named", linux.O_RDWR, 0)
	vfs.Unlink(c, c.Cwd, "named")
	want(t, "link of a deleted file", vfs.Link(c, h.Path, c.Cwd, "again"), linux.ENOENT)
	h.Put()
}
