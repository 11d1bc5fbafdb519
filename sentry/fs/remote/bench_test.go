package remote_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hornwork/gofer/server"
	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/fs/remote"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// TestMain lets the test program be a gofer of its own, as a sandbox has it.
func TestMain(m *testing.M) {
	if os.Getenv("GOFER_PROCESS") != "" {
		if err := server.Serve(3, []server.Root{{FD: 4, ReadOnly: true}}); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// processWorld serves dir, read-only, from another process.
func processWorld(t testing.TB, dir string, cache remote.Cache) *world {
	p, errno := sys.Socketpair(unix.SOCK_SEQPACKET)
	if errno != 0 {
		t.Fatal(errno)
	}
	conn, root := os.NewFile(uintptr(p[0]), "gofer"), os.NewFile(uintptr(openRoot(t, dir)), dir)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "GOFER_PROCESS=1")
	cmd.ExtraFiles = []*os.File{conn, root}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	root.Close()
	cl, err := remote.Dial(p[1], 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cl.Close()
		cmd.Wait()
	})
	return mountClient(t, cl, dir, cache)
}

func benchWorld(b *testing.B, cache remote.Cache) *world {
	dir := b.TempDir()
	os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/b/c/file"), make([]byte, 1<<20), 0o644)
	return processWorld(b, dir, cache)
}

func BenchmarkStat(b *testing.B) {
	for name, cache := range map[string]remote.Cache{"immutable": remote.CacheImmutable, "shared": remote.CacheShared} {
		b.Run(name, func(b *testing.B) {
			w := benchWorld(b, cache)
			for b.Loop() {
				if _, errno := w.stat("a/b/c/file"); errno != 0 {
					b.Fatal(errno)
				}
			}
		})
	}
}

// BenchmarkMiss is one request and its answer: a name that is not there, in a shared directory.
func BenchmarkMiss(b *testing.B) {
	w := benchWorld(b, remote.CacheShared)
	b.ReportAllocs()
	for b.Loop() {
		if _, errno := w.stat("none"); errno != linux.ENOENT {
			b.Fatal(errno)
		}
	}
}

func BenchmarkOpenClose(b *testing.B) {
	w := benchWorld(b, remote.CacheImmutable)
	b.ReportAllocs()
	for b.Loop() {
		f, errno := w.open("a/b/c/file", linux.O_RDONLY, 0)
		if errno != 0 {
			b.Fatal(errno)
		}
		f.Put()
	}
}

func BenchmarkPread4K(b *testing.B) {
	w := benchWorld(b, remote.CacheImmutable)
	f, errno := w.open("a/b/c/file", linux.O_RDONLY, 0)
	if errno != 0 {
		b.Fatal(errno)
	}
	defer f.Put()
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		s := usermem.Kernel(buf)
		if n, errno := f.PRead(w.c, &s, 8192); n != 4096 || errno != 0 {
			b.Fatal(n, errno)
		}
	}
}

// BenchmarkList reads a directory of 1,000 files that nothing is known of.
func BenchmarkList(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%04d", i)), nil, 0o644)
	}
	w := processWorld(b, dir, remote.CacheShared)
	for b.Loop() {
		f, errno := w.open("/", linux.O_RDONLY|linux.O_DIRECTORY, 0)
		if errno != 0 {
			b.Fatal(errno)
		}
		n := 0
		f.ReadDir(w.c, func(vfs.DirEntry) bool { n++; return true })
		f.Put()
		if n != 1002 {
			b.Fatal(n)
		}
	}
}

// BenchmarkFind goes through /usr as find(1) does: each directory is looked at, opened and read, in a new
// filesystem each time.
func BenchmarkFind(b *testing.B) {
	for b.Loop() {
		w := processWorld(b, "/usr", remote.CacheImmutable)
		if n := w.find("/"); n < 100 {
			b.Fatal(n)
		}
	}
}

func (w *world) find(dir string) (n int) {
	if _, errno := w.stat(dir); errno != 0 {
		w.t.Fatal(dir, errno)
	}
	f, errno := w.open(dir, linux.O_RDONLY|linux.O_DIRECTORY, 0)
	w.must(errno)
	var sub []string
	w.must(f.ReadDir(w.c, func(e vfs.DirEntry) bool {
		n++
		if e.Type == linux.DT_DIR && e.Name != "." && e.Name != ".." {
			sub = append(sub, dir+e.Name+"/")
		}
		return true
	}))
	f.Put()
	for _, s := range sub {
		n += w.find(s)
	}
	return n
}
