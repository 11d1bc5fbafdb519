package syscalls

import (
	"bytes"
	"testing"

	"hornwork/linux"
)

const (
	badFD   = 99
	badAddr = uint64(1 << 46)
)

func TestReadAndWrite(t *testing.T) {
	g := newGuest(t)
	fd := g.ok(linux.SYS_OPENAT, linux.AT_FDCWD, "f", linux.O_CREAT|linux.O_RDWR, 0o644)
	if n := g.ok(linux.SYS_WRITE, fd, "hello", 5); n != 5 {
		t.Errorf("wrote %d", n)
	}
	buf := g.room(16)
	if n := g.ok(linux.SYS_READ, fd, buf, 16); n != 0 {
		t.Errorf("read %d at the end", n)
	}
	if n := g.ok(linux.SYS_PREAD64, fd, buf, 16, 1); n != 4 || !bytes.Equal(g.get(buf, 4), []byte("ello")) {
		t.Errorf("pread %d %q", n, g.get(buf, 4))
	}
	if n := g.ok(linux.SYS_LSEEK, fd, -2, linux.SEEK_END); n != 3 {
		t.Errorf("lseek to %d", n)
	}
	if n := g.ok(linux.SYS_READ, fd, buf, 16); n != 2 {
		t.Errorf("read %d", n)
	}
	g.fails(linux.EBADF, linux.SYS_READ, badFD, buf, 1)
	g.fails(linux.EBADF, linux.SYS_READ, badFD, badAddr, 1)
	g.fails(linux.EFAULT, linux.SYS_PREAD64, fd, badAddr, 1, 0)
	g.fails(linux.EFAULT, linux.SYS_READ, fd, buf, -1)
	g.fails(linux.EINVAL, linux.SYS_PREAD64, badFD, buf, 1, -1)
	g.fails(linux.EINVAL, linux.SYS_LSEEK, fd, 0, 9)
	g.fails(linux.EFAULT, linux.SYS_WRITE, fd, badAddr, 1)
	ro := g.ok(linux.SYS_OPENAT, linux.AT_FDCWD, "f", linux.O_RDONLY, 0)
	g.fails(linux.EBADF, linux.SYS_WRITE, ro, "x", 1)
	g.fails(linux.EBADF, linux.SYS_FTRUNCATE, badFD, 0)
	g.fails(linux.EINVAL, linux.SYS_FTRUNCATE, ro, 0)
	g.ok(linux.SYS_CLOSE, fd)
	g.fails(linux.EBADF, linux.SYS_CLOSE, fd)
}

func iovecs(pairs ...uint64) []byte {
	var b bytes.Buffer
	for _, v := range pairs {
		for i := range 8 {
			b.WriteByte(byte(v >> (8 * i)))
		}
	}
	return b.Bytes()
}

func TestVectors(t *testing.T) {
	g := newGuest(t)
	fd := g.ok(linux.SYS_OPENAT, linux.AT_FDCWD, "f", linux.O_CREAT|linux.O_RDWR, 0o644)
	a, b := g.put([]byte("abc")), g.put([]byte("defg"))
	if n := g.ok(linux.SYS_WRITEV, fd, iovecs(a, 3, b, 4), 2); n != 7 {
		t.Errorf("wrote %d", n)
	}
	out := g.room(16)
	if n := g.ok(linux.SYS_PREADV, fd, iovecs(out, 2, 0, 0, out+8, 8), 3, 0, 0); n != 7 || string(g.get(out+8, 5)) != "cdefg" {
		t.Errorf("read %d, %q", n, g.get(out, 16))
	}
	// The third buffer is bad: what came before it counts.
	if n := g.call(linux.SYS_PREADV, fd, iovecs(out, 2, out+8, 2, badAddr, 8), 3, 0, 0); n != 4 {
		t.Errorf("read %d before the fault", n)
	}
	g.fails(linux.EINVAL, linux.SYS_WRITEV, fd, iovecs(a, 3), 1025)
	g.fails(linux.EINVAL, linux.SYS_WRITEV, fd, iovecs(a, 1<<63), 1)
	g.fails(linux.EFAULT, linux.SYS_WRITEV, fd, badAddr, 1)
	g.fails(linux.EOPNOTSUPP, linux.SYS_PREADV2, fd, iovecs(out, 2), 1, 0, 0, 1<<20)
	if n := g.ok(linux.SYS_WRITEV, fd, iovecs(), 0); n != 0 {
		t.Errorf("wrote %d from nothing", n)
	}
}

func TestOpenErrors(t *testing.T) {
	g := newGuest(t)
	g.ok(linux.SYS_MKDIR, "d", 0o755)
	g.ok(linux.SYS_SYMLINK, "loop", "loop")
	g.ok(linux.SYS_MKNOD, "f", linux.S_IFREG|0o644, 0)
	long := string(bytes.Repeat([]byte("x"), 256))
	for _, tc := range []struct {
		path  any
		flags int
		want  linux.Errno
	}{
		{"none", linux.O_RDONLY, linux.ENOENT},
		{"", linux.O_RDONLY, linux.ENOENT},
		{badAddr, linux.O_RDONLY, linux.EFAULT},
		{"d", linux.O_RDWR, linux.EISDIR},
		{"d", linux.O_RDONLY | linux.O_CREAT, linux.EISDIR},
		{"f/x", linux.O_RDONLY, linux.ENOTDIR},
		{"f/", linux.O_RDONLY, linux.ENOTDIR},
		{"f", linux.O_DIRECTORY, linux.ENOTDIR},
		{"f", linux.O_CREAT | linux.O_EXCL, linux.EEXIST},
		{"loop", linux.O_RDONLY, linux.ELOOP},
		{"loop", linux.O_RDONLY | linux.O_NOFOLLOW, linux.ELOOP},
		{long, linux.O_RDONLY, linux.ENAMETOOLONG},
		{string(bytes.Repeat([]byte("x/"), 2100)), linux.O_RDONLY, linux.ENAMETOOLONG},
		{"d", linux.O_TMPFILE | linux.O_RDONLY, linux.EINVAL},
		{"d", linux.O_DIRECTORY | linux.O_CREAT, linux.EINVAL},
	} {
		g.fails(tc.want, linux.SYS_OPEN, tc.path, tc.flags, 0o644)
	}
	g.fails(linux.EBADF, linux.SYS_OPENAT, badFD, "f", 0, 0)
	g.ok(linux.SYS_OPENAT, badFD, "/f", 0, 0)
	f := g.ok(linux.SYS_OPEN, "f", 0, 0)
	g.fails(linux.ENOTDIR, linux.SYS_OPENAT, f, "x", 0, 0)
	g.fails(linux.E2BIG, linux.SYS_OPENAT2, linux.AT_FDCWD, "f", append(make([]byte, 24), 1, 0, 0, 0, 0, 0, 0, 0), 32)
	g.ok(linux.SYS_OPENAT2, linux.AT_FDCWD, "f", make([]byte, 32), 32)
	g.fails(linux.EINVAL, linux.SYS_OPENAT2, linux.AT_FDCWD, "f", make([]byte, 32), 23)
	how := make([]byte, 24)
	how[4] = 0x80 // an unknown flag
	g.fails(linux.EINVAL, linux.SYS_OPENAT2, linux.AT_FDCWD, "f", how, 24)
}

func TestDescriptors(t *testing.T) {
	g := newGuest(t)
	fd := g.ok(linux.SYS_OPEN, "f", linux.O_CREAT|linux.O_RDWR, 0o644)
	if n := g.ok(linux.SYS_DUP2, fd, 50); n != 50 {
		t.Errorf("dup2 returned %d", n)
	}
	if n := g.ok(linux.SYS_DUP2, fd, fd); n != fd {
		t.Errorf("dup2 of itself returned %d", n)
	}
	g.fails(linux.EINVAL, linux.SYS_DUP3, fd, fd, 0)
	g.fails(linux.EBADF, linux.SYS_DUP2, badFD, badFD)
	g.fails(linux.EBADF, linux.SYS_DUP2, fd, 1<<30)
	if n := g.ok(linux.SYS_FCNTL, fd, linux.F_DUPFD_CLOEXEC, 60); n != 60 {
		t.Errorf("F_DUPFD from 60 gave %d", n)
	}
	if v := g.ok(linux.SYS_FCNTL, 60, linux.F_GETFD, 0); v != linux.FD_CLOEXEC {
		t.Errorf("F_GETFD is %d", v)
	}
	if v := g.ok(linux.SYS_FCNTL, 50, linux.F_GETFD, 0); v != 0 {
		t.Errorf("F_GETFD is %d", v)
	}
	g.ok(linux.SYS_FCNTL, fd, linux.F_SETFL, linux.O_APPEND|linux.O_NONBLOCK)
	if v := g.ok(linux.SYS_FCNTL, 50, linux.F_GETFL, 0); v&^linux.O_LARGEFILE != linux.O_RDWR|linux.O_APPEND|linux.O_NONBLOCK {
		t.Errorf("F_GETFL is %#x", v)
	}
	g.fails(linux.EINVAL, linux.SYS_FCNTL, fd, 9999, 0)
	g.fails(linux.EINVAL, linux.SYS_CLOSE_RANGE, 10, 5, 0)
	g.ok(linux.SYS_CLOSE_RANGE, 40, 0xffffffff, 0)
	g.fails(linux.EBADF, linux.SYS_CLOSE, 50)
	g.fails(linux.EBADF, linux.SYS_CLOSE, 60)
	path := g.ok(linux.SYS_OPEN, "f", linux.O_PATH, 0)
	g.fails(linux.EBADF, linux.SYS_READ, path, g.room(1), 1)
	g.fails(linux.EBADF, linux.SYS_FCNTL, path, linux.F_SETFL, 0)
	g.ok(linux.SYS_FSTAT, path, g.room(144))
}

func TestStatFamily(t *testing.T) {
	g := newGuest(t)
	fd := g.ok(linux.SYS_OPEN, "f", linux.O_CREAT|linux.O_RDWR, 0o640)
	g.ok(linux.SYS_WRITE, fd, "hello", 5)
	st := g.room(144)
	for _, call := range [][]any{
		{linux.SYS_STAT, "f", st}, {linux.SYS_LSTAT, "f", st}, {linux.SYS_FSTAT, fd, st},
		{linux.SYS_NEWFSTATAT, linux.AT_FDCWD, "f", st, 0}, {linux.SYS_NEWFSTATAT, fd, "", st, linux.AT_EMPTY_PATH},
	} {
		g.ok(call[0].(int), call[1:]...)
		if mode, size := g.int32At(st+24), g.int32At(st+48); mode != linux.S_IFREG|0o640 || size != 5 {
			t.Errorf("%v: mode %o, size %d", call[0], mode, size)
		}
	}
	g.fails(linux.ENOENT, linux.SYS_NEWFSTATAT, fd, "", st, 0)
	g.fails(linux.EINVAL, linux.SYS_NEWFSTATAT, fd, "", st, 1<<30)
	g.fails(linux.EFAULT, linux.SYS_STAT, "f", badAddr)
	g.fails(linux.EINVAL, linux.SYS_ACCESS, "f", 8)
	g.ok(linux.SYS_ACCESS, "f", 6)
	g.fails(linux.EACCES, linux.SYS_ACCESS, "f", 1)
	sx := g.room(256)
	g.ok(linux.SYS_STATX, linux.AT_FDCWD, "f", 0, linux.STATX_ALL, sx)
	if size := g.int32At(sx + 40); size != 5 {
		t.Errorf("stx_size is %d", size)
	}
	g.fails(linux.EINVAL, linux.SYS_STATX, linux.AT_FDCWD, "f", 0, linux.STATX__RESERVED, sx)
}

func TestNames(t *testing.T) {
	g := newGuest(t)
	g.ok(linux.SYS_MKDIR, "d", 0o777)
	g.ok(linux.SYS_OPEN, "d/f", linux.O_CREAT, 0o600)
	g.fails(linux.EEXIST, linux.SYS_MKDIR, "d", 0o777)
	g.fails(linux.ENOTEMPTY, linux.SYS_RMDIR, "d")
	g.fails(linux.EISDIR, linux.SYS_UNLINK, "d")
	g.fails(linux.ENOTDIR, linux.SYS_RMDIR, "d/f")
	g.fails(linux.EINVAL, linux.SYS_UNLINKAT, linux.AT_FDCWD, "d/f", 1)
	g.ok(linux.SYS_LINK, "d/f", "g")
	g.ok(linux.SYS_RENAME, "g", "h")
	g.fails(linux.ENOENT, linux.SYS_RENAME, "g", "h")
	g.fails(linux.EEXIST, linux.SYS_RENAMEAT2, linux.AT_FDCWD, "h", linux.AT_FDCWD, "d", linux.RENAME_NOREPLACE)
	g.fails(linux.EINVAL, linux.SYS_RENAMEAT2, linux.AT_FDCWD, "h", linux.AT_FDCWD, "d", linux.RENAME_NOREPLACE|linux.RENAME_EXCHANGE)
	g.ok(linux.SYS_SYMLINK, "target", "s")
	buf := g.room(64)
	if n := g.ok(linux.SYS_READLINK, "s", buf, 3); n != 3 || string(g.get(buf, 4)) != "tar\x00" {
		t.Errorf("readlink gave %d, %q", n, g.get(buf, 8))
	}
	g.fails(linux.EINVAL, linux.SYS_READLINK, "s", buf, 0)
	g.fails(linux.EINVAL, linux.SYS_READLINK, "h", buf, 10)
	g.ok(linux.SYS_CHDIR, "d")
	if n := g.ok(linux.SYS_GETCWD, buf, 64); n != 3 || string(g.get(buf, 3)) != "/d\x00" {
		t.Errorf("getcwd gave %d, %q", n, g.get(buf, 8))
	}
	g.fails(linux.ERANGE, linux.SYS_GETCWD, buf, 2)
	g.ok(linux.SYS_UNLINK, "f")
	g.ok(linux.SYS_RMDIR, "../d")
	g.fails(linux.ENOENT, linux.SYS_GETCWD, buf, 64)
	if old := g.ok(linux.SYS_UMASK, 0o7027); old != 0o22 {
		t.Errorf("umask was %o", old)
	}
	if old := g.ok(linux.SYS_UMASK, 0); old != 0o27 {
		t.Errorf("umask is %o", old)
	}
}

func TestGetdents(t *testing.T) {
	g := newGuest(t)
	g.ok(linux.SYS_MKDIR, "d", 0o755)
	for _, n := range []string{"d/a", "d/bb", "d/ccc"} {
		g.ok(linux.SYS_MKNOD, n, linux.S_IFREG|0o644, 0)
	}
	fd := g.ok(linux.SYS_OPEN, "d", linux.O_RDONLY|linux.O_DIRECTORY, 0)
	names := map[string]bool{}
	buf := g.room(64)
	g.fails(linux.EINVAL, linux.SYS_GETDENTS64, fd, buf, 10)
	for {
		n := g.ok(linux.SYS_GETDENTS64, fd, buf, 64)
		if n == 0 {
			break
		}
		for b := g.get(buf, int(n)); len(b) > 0; {
			size := int(b[16]) | int(b[17])<<8
			name, _, _ := bytes.Cut(b[19:size], []byte{0})
			names[string(name)] = true
			b = b[size:]
		}
	}
	if len(names) != 5 || !names["."] || !names[".."] || !names["ccc"] {
		t.Errorf("entries are %v", names)
	}
	f := g.ok(linux.SYS_OPEN, "d/a", linux.O_RDONLY, 0)
	g.fails(linux.ENOTDIR, linux.SYS_GETDENTS64, f, buf, 64)
}
