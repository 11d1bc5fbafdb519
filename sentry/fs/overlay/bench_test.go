package overlay_test

import (
	"strconv"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/overlay"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func benchRoot(b *testing.B) *vfs.Caller {
	low := newTmpfs()
	populate(b, callerOn(b, low.SB))
	return callerOn(b, overlay.New(overlay.Options{Lower: []*vfs.Superblock{low.SB}, Upper: newTmpfs()}).SB)
}

func BenchmarkWarmStat(b *testing.B) {
	c := benchRoot(b)
	b.ReportAllocs()
	var x linux.Statx
	for b.Loop() {
		p, errno := vfs.Walk(c, c.Cwd, "/a/c/d/g", vfs.Follow)
		if errno != 0 {
			b.Fatal(errno)
		}
		vfs.Stat(c, p, &x)
		p.Put()
	}
}

func BenchmarkOpenClose(b *testing.B) {
	c := benchRoot(b)
	b.ReportAllocs()
	for b.Loop() {
		how := vfs.OpenHow(linux.O_RDONLY, 0)
		f, errno := vfs.Open(c, c.Cwd, "/a/c/d/g", &how)
		if errno != 0 {
			b.Fatal(errno)
		}
		f.Close(c, nil)
		f.Put()
	}
}

func BenchmarkCreate(b *testing.B) {
	c := benchRoot(b)
	data := make([]byte, 1000)
	b.ReportAllocs()
	k := 0
	for b.Loop() {
		how := vfs.OpenHow(linux.O_CREAT|linux.O_WRONLY|linux.O_TRUNC, 0o644)
		f, errno := vfs.Open(c, c.Cwd, "/a/c/d/new"+strconv.Itoa(k), &how)
		if errno != 0 {
			b.Fatal(errno)
		}
		src := usermem.Kernel(data)
		if _, errno := f.Write(c, &src); errno != 0 {
			b.Fatal(errno)
		}
		f.Put()
		k++
	}
}

func BenchmarkPRead4K(b *testing.B) {
	c := benchRoot(b)
	how := vfs.OpenHow(linux.O_CREAT|linux.O_RDWR, 0o644)
	f, _ := vfs.Open(c, c.Cwd, "/big", &how)
	src := usermem.Kernel(make([]byte, 64<<10))
	f.Write(c, &src)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst := usermem.Kernel(buf)
		if n, errno := f.PRead(c, &dst, 8192); n != 4096 || errno != 0 {
			b.Fatal(n, errno)
		}
	}
	f.Put()
}

func BenchmarkUnlinkCreate(b *testing.B) {
	c := benchRoot(b)
	b.ReportAllocs()
	for b.Loop() {
		how := vfs.OpenHow(linux.O_CREAT|linux.O_WRONLY|linux.O_EXCL, 0o644)
		f, errno := vfs.Open(c, c.Cwd, "/a/c/journal", &how)
		if errno != 0 {
			b.Fatal(errno)
		}
		f.Put()
		if errno := vfs.Unlink(c, c.Cwd, "/a/c/journal"); errno != 0 {
			b.Fatal(errno)
		}
	}
}
