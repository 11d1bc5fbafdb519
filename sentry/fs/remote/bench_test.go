package remote_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/remote"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func benchWorld(b *testing.B, cache remote.Cache) *world {
	dir := b.TempDir()
	os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/b/c/file"), make([]byte, 1<<20), 0o644)
	return mount(b, dir, true, cache)
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
	w := mount(b, dir, true, remote.CacheShared)
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
