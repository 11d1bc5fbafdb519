package remote_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hornwork/gofer/server"
	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/remote"
	"hornwork/sentry/mm"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// world is a directory of the host, served to a mounted filesystem.
type world struct {
	t    testing.TB
	dir  string
	c    *vfs.Caller
	root vfs.Path
}

func dial(t testing.TB, roots ...server.Root) *remote.Client {
	t.Helper()
	p, errno := sys.Socketpair(syscall.SOCK_SEQPACKET)
	if errno != 0 {
		t.Fatal(errno)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(p[0], roots) }()
	cl, err := remote.Dial(p[1], 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cl.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return cl
}

func openRoot(t testing.TB, dir string) int32 {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return int32(fd)
}

func mount(t testing.TB, dir string, readOnly bool, cache remote.Cache) *world {
	t.Helper()
	return mountClient(t, dial(t, server.Root{FD: openRoot(t, dir), ReadOnly: readOnly}), dir, cache)
}

func mountClient(t testing.TB, cl *remote.Client, dir string, cache remote.Cache) *world {
	t.Helper()
	sb, err := remote.New(cl, remote.Options{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	root := vfs.NewMountNS(sb, 0).Root()
	c := &vfs.Caller{Creds: owner(), Root: root, Cwd: root}
	return &world{t, dir, c, root}
}

// owner is a privileged caller with the test's own IDs, which alone an ordinary user can give to files.
func owner() *cred.Credentials {
	c := cred.Root(&cred.UserNS{})
	c.FSUID, c.FSGID = uint32(os.Getuid()), uint32(os.Getgid())
	return c
}

func (w *world) open(name string, flags uint32, mode uint32) (*vfs.File, linux.Errno) {
	how := vfs.OpenHow(flags, mode)
	return vfs.Open(w.c, w.root, name, &how)
}

func (w *world) must(errno linux.Errno) {
	w.t.Helper()
	if errno != 0 {
		w.t.Fatal(errno.Name())
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	f, errno := w.open(name, linux.O_RDONLY, 0)
	w.must(errno)
	defer f.Put()
	var out []byte
	buf := make([]byte, 1000)
	for {
		s := usermem.Kernel(buf)
		n, errno := f.Read(w.c, &s)
		w.must(errno)
		if n == 0 {
			return string(out)
		}
		out = append(out, buf[:n]...)
	}
}

func (w *world) write(name, text string, flags uint32) {
	w.t.Helper()
	f, errno := w.open(name, linux.O_WRONLY|linux.O_CREAT|flags, 0o644)
	w.must(errno)
	defer f.Put()
	s := usermem.Kernel([]byte(text))
	n, errno := f.Write(w.c, &s)
	w.must(errno)
	if n != len(text) {
		w.t.Fatalf("wrote %d of %d bytes", n, len(text))
	}
}

func (w *world) list(name string) []string {
	w.t.Helper()
	f, errno := w.open(name, linux.O_RDONLY|linux.O_DIRECTORY, 0)
	w.must(errno)
	defer f.Put()
	var names []string
	for {
		n := 0
		w.must(f.ReadDir(w.c, func(e vfs.DirEntry) bool {
			if n++; n > 100 {
				return false
			}
			names = append(names, e.Name)
			return true
		}))
		if n == 0 {
			sort.Strings(names)
			return names
		}
	}
}

func (w *world) stat(name string) (linux.Statx, linux.Errno) {
	var st linux.Statx
	p, errno := vfs.Walk(w.c, w.root, name, 0)
	if errno != 0 {
		return st, errno
	}
	defer p.Put()
	return st, vfs.Stat(w.c, p, &st)
}

func (w *world) host(name string) string { return filepath.Join(w.dir, name) }

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func eachCache(t *testing.T, f func(t *testing.T, c remote.Cache)) {
	t.Run("immutable", func(t *testing.T) { f(t, remote.CacheImmutable) })
	t.Run("shared", func(t *testing.T) { f(t, remote.CacheShared) })
}

func TestReadOnlyTree(t *testing.T) {
	eachCache(t, func(t *testing.T, cache remote.Cache) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "a/b/c/file"), strings.Repeat("0123456789", 500))
		os.Symlink("b/c/file", filepath.Join(dir, "a/link"))
		os.Symlink("/a/b", filepath.Join(dir, "abs"))
		w := mount(t, dir, true, cache)
		for range 2 { // the second time from the caches
			for _, name := range []string{"a/b/c/file", "a/link", "abs/c/file", "/abs/../link"} {
				if got := w.read(name); got != strings.Repeat("0123456789", 500) {
					t.Errorf("%s: %d bytes", name, len(got))
				}
			}
			for name, want := range map[string]linux.Errno{
				"none": linux.ENOENT, "a/none/x": linux.ENOENT, "a/link/x": linux.ENOTDIR, "a/b/c/file/x/y": linux.ENOTDIR,
			} {
				if _, errno := w.stat(name); errno != want {
					t.Errorf("%s: %v, want %v", name, errno.Name(), want.Name())
				}
			}
			if got := w.list("a"); !slices.Equal(got, []string{".", "..", "b", "link"}) {
				t.Error(got)
			}
		}
		var want unix.Stat_t
		unix.Stat(w.host("a/b/c/file"), &want)
		st, errno := w.stat("a/b/c/file")
		w.must(errno)
		if st.Ino != want.Ino || st.Size != 5000 || uint32(st.Mode) != want.Mode || st.Mtime.Sec != want.Mtim.Sec || int64(st.Mtime.Nsec) != want.Mtim.Nsec {
			t.Errorf("%+v, want %+v", st, want)
		}
		for name, errno := range map[string]linux.Errno{
			"open":  second(w.open("a/b/c/file", linux.O_RDWR, 0)),
			"creat": second(w.open("a/new", linux.O_CREAT|linux.O_WRONLY, 0o600)),
			"mkdir": vfs.Mkdir(w.c, w.root, "a/d", 0o755), "unlink": vfs.Unlink(w.c, w.root, "a/link"),
		} {
			if errno != linux.EROFS {
				t.Errorf("%s: %v", name, errno.Name())
			}
		}
	})
}

func second[T any](_ T, e linux.Errno) linux.Errno { return e }

func TestDirectoryOfFiveThousand(t *testing.T) {
	eachCache(t, func(t *testing.T, cache remote.Cache) {
		dir := t.TempDir()
		var want []string
		os.Mkdir(filepath.Join(dir, "d"), 0o755)
		for i := range 5000 {
			name := fmt.Sprintf("a-rather-long-name-%05d", i)
			if err := unix.Mknod(filepath.Join(dir, "d", name), unix.S_IFREG|0o644, 0); err != nil {
				t.Fatal(err)
			}
			want = append(want, name)
		}
		for _, i := range []int{0, 1234, 4999} {
			put(t, filepath.Join(dir, "d", want[i]), want[i])
		}
		w := mount(t, dir, true, cache)
		if got := w.list("d"); !slices.Equal(got[2:], want) {
			t.Fatalf("%d entries", len(got)-2)
		}
		for _, i := range []int{0, 1234, 4999} {
			if got := w.read("d/" + want[i]); got != want[i] {
				t.Error(got)
			}
		}
	})
}

func TestWriting(t *testing.T) {
	eachCache(t, func(t *testing.T, cache remote.Cache) {
		w := mount(t, t.TempDir(), false, cache)
		w.must(vfs.Mkdir(w.c, w.root, "d", 0o750))
		w.write("d/f", "hello", 0)
		w.write("d/f", " world", linux.O_APPEND)
		if b, _ := os.ReadFile(w.host("d/f")); string(b) != "hello world" || w.read("d/f") != "hello world" {
			t.Errorf("host has %q", b)
		}
		w.write("d/f", "new", linux.O_TRUNC)
		if got := w.read("d/f"); got != "new" {
			t.Error(got)
		}
		w.must(vfs.Symlink(w.c, "f", w.root, "d/l"))
		w.must(vfs.Rename(w.c, w.root, "d/f", w.root, "g", 0))
		w.must(vfs.Rename(w.c, w.root, "d", w.root, "e", 0))
		if got := w.list("/"); !slices.Equal(got, []string{".", "..", "e", "g"}) {
			t.Error(got)
		}
		p, errno := vfs.Walk(w.c, w.root, "g", 0)
		w.must(errno)
		w.must(vfs.Link(w.c, p, w.root, "e/h"))
		w.must(vfs.Truncate(w.c, p, 10)) // first: the host takes set-ID bits from what an ordinary user changes
		w.must(vfs.Chmod(w.c, p, 0o4711))
		w.must(vfs.Utimes(w.c, p, [2]linux.Timespec{{Sec: -5, Nsec: 7}, {Sec: 9, Nsec: 11}}))
		p.Put()
		var st unix.Stat_t
		unix.Stat(w.host("e/h"), &st)
		got, errno := w.stat("e/h")
		w.must(errno)
		if st.Size != 10 || st.Mode != linux.S_IFREG|0o4711 || st.Atim.Sec != -5 || st.Nlink != 2 {
			t.Errorf("%+v", st)
		}
		if got.Size != 10 || uint32(got.Mode) != st.Mode || got.Nlink != 2 || got.Atime.Sec != -5 || got.Atime.Nsec != 7 {
			t.Errorf("%+v", got)
		}
		w.must(vfs.Unlink(w.c, w.root, "g"))
		if st, errno := w.stat("e/h"); errno != 0 || st.Nlink != 1 {
			t.Error(errno, st.Nlink)
		}
		if errno := vfs.Rmdir(w.c, w.root, "e"); errno != linux.ENOTEMPTY {
			t.Error(errno)
		}
		w.must(vfs.Unlink(w.c, w.root, "e/h"))
		w.must(vfs.Unlink(w.c, w.root, "e/l"))
		w.must(vfs.Rmdir(w.c, w.root, "e"))
		if left, _ := os.ReadDir(w.dir); len(left) != 0 {
			t.Error(left)
		}
		w.must(vfs.Mknod(w.c, w.root, "fifo", linux.S_IFIFO|0o600, 0))
		if st, errno := w.stat("fifo"); errno != 0 || st.Mode != linux.S_IFIFO|0o600 {
			t.Error(errno, st.Mode)
		}
		if errno := vfs.Mknod(w.c, w.root, "null", linux.S_IFCHR|0o600, 0x103); errno != linux.EPERM {
			t.Errorf("a device node on the host: %v", errno)
		}
	})
}

func TestUnlinkedFileStaysUsable(t *testing.T) {
	eachCache(t, func(t *testing.T, cache remote.Cache) {
		w := mount(t, t.TempDir(), false, cache)
		w.write("f", "content", 0)
		f, errno := w.open("f", linux.O_RDWR, 0)
		w.must(errno)
		defer f.Put()
		w.must(vfs.Unlink(w.c, w.root, "f"))
		s := usermem.Kernel([]byte("CON"))
		if _, errno := f.PWrite(w.c, &s, 0); errno != 0 {
			t.Fatal(errno)
		}
		b := make([]byte, 20)
		s = usermem.Kernel(b)
		if n, errno := f.PRead(w.c, &s, 0); errno != 0 || string(b[:n]) != "CONtent" {
			t.Errorf("%q %v", b[:n], errno)
		}
		var st linux.Statx
		w.must(vfs.Stat(w.c, f.Path, &st))
		if st.Nlink != 0 || st.Size != 7 {
			t.Errorf("%+v", st)
		}
		w.must(vfs.Chmod(w.c, f.Path, 0o600))
		w.must(vfs.Truncate(w.c, f.Path, 3))
	})
}

func TestTemporaryFileGetsAName(t *testing.T) {
	w := mount(t, t.TempDir(), false, remote.CacheShared)
	f, errno := w.open(".", linux.O_TMPFILE|linux.O_RDWR, 0o640)
	w.must(errno)
	defer f.Put()
	s := usermem.Kernel([]byte("temp"))
	if n, errno := f.Write(w.c, &s); n != 4 || errno != 0 {
		t.Fatal(n, errno)
	}
	w.must(vfs.Chmod(w.c, f.Path, 0o604))
	w.must(vfs.Link(w.c, f.Path, w.root, "named"))
	if b, _ := os.ReadFile(w.host("named")); string(b) != "temp" {
		t.Errorf("%q", b)
	}
	if st, errno := w.stat("named"); errno != 0 || st.Mode != linux.S_IFREG|0o604 || st.Nlink != 1 {
		t.Error(errno, st)
	}
}

func TestSharedTreeFollowsTheHost(t *testing.T) {
	w := mount(t, t.TempDir(), false, remote.CacheShared)
	if _, errno := w.stat("d/f"); errno != linux.ENOENT {
		t.Fatal(errno)
	}
	put(t, w.host("d/f"), "one")
	if got := w.read("d/f"); got != "one" {
		t.Error(got)
	}
	put(t, w.host("d/f"), "two and more")
	if got := w.read("d/f"); got != "two and more" {
		t.Error(got)
	}
	os.Remove(w.host("d/f"))
	put(t, w.host("d/other"), "x")
	os.Rename(w.host("d/other"), w.host("d/f"))
	if got := w.read("d/f"); got != "x" {
		t.Error(got)
	}
	if got := w.list("d"); !slices.Equal(got, []string{".", "..", "f"}) {
		t.Error(got)
	}
	os.RemoveAll(w.host("d"))
	if _, errno := w.stat("d/f"); errno != linux.ENOENT {
		t.Error(errno)
	}
}

func TestExtendedAttributes(t *testing.T) {
	eachCache(t, func(t *testing.T, cache remote.Cache) {
		w := mount(t, t.TempDir(), false, cache)
		w.write("f", "x", 0)
		if err := unix.Setxattr(w.host("f"), "user.probe", []byte("1"), 0); err != nil {
			t.Skip("no user attributes here:", err)
		}
		unix.Removexattr(w.host("f"), "user.probe")
		p, errno := vfs.Walk(w.c, w.root, "f", 0)
		w.must(errno)
		defer p.Put()
		if _, errno := vfs.GetXattr(w.c, p, "user.a"); errno != linux.ENODATA {
			t.Error(errno)
		}
		w.must(vfs.SetXattr(w.c, p, "user.a", []byte("value"), linux.XATTR_CREATE))
		if errno := vfs.SetXattr(w.c, p, "user.a", nil, linux.XATTR_CREATE); errno != linux.EEXIST {
			t.Error(errno)
		}
		for range 2 {
			if v, errno := vfs.GetXattr(w.c, p, "user.a"); errno != 0 || string(v) != "value" {
				t.Errorf("%q %v", v, errno)
			}
		}
		if n, errno := vfs.ListXattr(w.c, p); errno != 0 || !slices.Contains(n, "user.a") {
			t.Error(n, errno)
		}
		w.must(vfs.RemoveXattr(w.c, p, "user.a"))
		if _, errno := vfs.GetXattr(w.c, p, "user.a"); errno != linux.ENODATA {
			t.Error(errno)
		}
	})
}

type invalidations []uint64

func (v *invalidations) Invalidate(off, length uint64) { *v = append(*v, off, length) }
func (v *invalidations) Truncated(off uint64)          { *v = append(*v, off) }
func (v *invalidations) SharedWritable() bool          { return true }

func TestMappingsAreTheHostsPages(t *testing.T) {
	w := mount(t, t.TempDir(), false, remote.CacheShared)
	w.write("f", strings.Repeat("x", 3*4096+5), 0)
	f, errno := w.open("f", linux.O_RDWR, 0)
	w.must(errno)
	defer f.Put()
	m := f.Ops.(mm.MappedFile)
	b, errno := m.Backing(4096, 1<<20, true)
	w.must(errno)
	if b.Offset != 4096 || b.Len != 3*4096 || !b.Write || b.Mem {
		t.Fatalf("%+v", b)
	}
	page, err := unix.Mmap(int(b.FD), int64(b.Offset), 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(page)
	copy(page, "mapped")
	got := make([]byte, 6)
	if n, errno := m.ReadAt(got, 4096); n != 6 || errno != 0 || !bytes.Equal(got, []byte("mapped")) {
		t.Error(n, errno, got)
	}
	if _, errno := m.Backing(4*4096, 4096, false); errno != linux.ENXIO {
		t.Error(errno)
	}
	var inv invalidations
	m.AddMapping(&inv, 4096, 3*4096)
	w.must(vfs.Truncate(w.c, f.Path, 5000))
	if len(inv) != 1 || inv[0] != 2*4096 { // the rest of the page is cut by the host
		t.Error(inv)
	}
	m.RemoveMapping(&inv, 4096, 3*4096)
	ro, errno := w.open("f", linux.O_RDONLY, 0)
	w.must(errno)
	defer ro.Put()
	if _, errno := ro.Ops.(mm.MappedFile).Backing(0, 4096, true); errno != linux.EACCES {
		t.Error(errno)
	}
}

func TestRootThatIsAFile(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), "content")
	cl := dial(t, server.Root{FD: openRoot(t, dir), File: "f"})
	sb, err := remote.New(cl, remote.Options{Cache: remote.CacheShared})
	if err != nil {
		t.Fatal(err)
	}
	ops, errno := sb.Root.Ops.Open(&vfs.Caller{Creds: owner()}, sb.Root, vfs.Path{}, linux.O_RDONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	b := make([]byte, 10)
	if n, errno := ops.(mm.MappedFile).ReadAt(b, 0); string(b[:n]) != "content" || errno != 0 {
		t.Errorf("%q %v", b, errno)
	}
	ops.Release(nil)
}

func TestDeepTrees(t *testing.T) {
	eachCache(t, func(t *testing.T, cache remote.Cache) {
		dir := t.TempDir()
		deep := strings.Repeat("directory/", 300) // more components than one request takes
		at := openRoot(t, dir)
		for range 300 {
			if err := unix.Mkdirat(int(at), "directory", 0o755); err != nil {
				t.Fatal(err)
			}
			next, err := unix.Openat(int(at), "directory", unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(int(at))
			at = int32(next)
		}
		unix.Mkdirat(int(at), "end", 0o755)
		unix.Close(int(at))
		w := mount(t, dir, true, cache)
		if n := w.find("/"); n < 300 {
			t.Error(n)
		}
		p, errno := vfs.Walk(w.c, w.root, deep, 0)
		w.must(errno)
		defer p.Put()
		q, errno := vfs.Walk(w.c, p, "end", 0)
		w.must(errno)
		q.Put()
	})
}

func TestSparseFilesAndSeek(t *testing.T) {
	w := mount(t, t.TempDir(), false, remote.CacheImmutable)
	f, errno := w.open("f", linux.O_CREAT|linux.O_RDWR, 0o600)
	w.must(errno)
	defer f.Put()
	s := usermem.Kernel([]byte("end"))
	if _, errno := f.PWrite(w.c, &s, 1<<20); errno != 0 {
		t.Fatal(errno)
	}
	if end, errno := f.Seek(w.c, 0, linux.SEEK_END); end != 1<<20+3 || errno != 0 {
		t.Error(end, errno)
	}
	if off, errno := f.Seek(w.c, 1<<20, linux.SEEK_DATA); off != 1<<20 || errno != 0 {
		t.Error(off, errno)
	}
	if _, errno := f.Seek(w.c, 2<<20, linux.SEEK_HOLE); errno != linux.ENXIO {
		t.Error(errno)
	}
	w.must(f.Fallocate(w.c, 0, 0, 2<<20))
	if st, _ := w.stat("f"); st.Size != 2<<20 {
		t.Error(st.Size)
	}
	w.must(f.Sync(w.c, false))
}
