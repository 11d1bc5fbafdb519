package mm

import (
	"fmt"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// benchSpace is an address space of as many VMAs and extents as a common program has.
func benchSpace(b *testing.B) (*guest, uint64) {
	g := newGuest(b)
	for i := range 40 {
		a := g.mmap(0, 1<<20, rw, priv)
		g.set(a, 1)
		g.as.MProtect(a+65536, 4096, uint32(i%2))
	}
	a := g.mmap(0, 1<<20, rw, priv)
	for off := uint64(0); off < 1<<20; off += pageSize {
		g.set(a+off, 1)
	}
	return g, a
}

func BenchmarkCopyIn(b *testing.B) {
	for _, n := range []int{8, 64, 4096, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g, a := benchSpace(b)
			buf := make([]byte, n)
			b.ReportAllocs()
			for b.Loop() {
				g.as.CopyIn(buf, a+100)
			}
		})
	}
}

func BenchmarkCopyOut(b *testing.B) {
	for _, n := range []int{8, 64, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g, a := benchSpace(b)
			buf := make([]byte, n)
			b.ReportAllocs()
			for b.Loop() {
				g.as.CopyOut(a+100, buf)
			}
		})
	}
}

func BenchmarkCopyInFile(b *testing.B) {
	g, _ := benchSpace(b)
	f := newFakeFile(g, make([]byte, 1<<20))
	a, _ := g.as.MMap(&MMapOpts{Len: 1 << 20, Prot: linux.PROT_READ, Flags: priv, File: f, MaxProt: protMask})
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		g.as.CopyIn(buf, a+100)
	}
}

func BenchmarkCopyInString(b *testing.B) {
	g, a := benchSpace(b)
	g.as.CopyOut(a, []byte("/usr/share/locale/en_US.UTF-8/LC_MESSAGES\x00"))
	b.ReportAllocs()
	for b.Loop() {
		g.as.CopyInString(a, 4096)
	}
}

type benchTask struct{ as *AddressSpace }

func (t *benchTask) Memory() usermem.Memory { return t.as }

func BenchmarkUserLoad(b *testing.B) {
	g, a := benchSpace(b)
	t := &benchTask{g.as}
	b.ReportAllocs()
	for b.Loop() {
		User[linux.Timespec](a + 16).Load(t)
	}
}

func BenchmarkUserStore(b *testing.B) {
	g, a := benchSpace(b)
	t := &benchTask{g.as}
	b.ReportAllocs()
	for b.Loop() {
		User[linux.Stat](a+16).Store(t, linux.Stat{})
	}
}

func BenchmarkPin(b *testing.B) {
	g, a := benchSpace(b)
	b.ReportAllocs()
	var p usermem.Pinned
	for b.Loop() {
		g.as.Pin(&p, a+100, 4096, true)
		p.Release()
	}
}

func BenchmarkFork(b *testing.B) {
	g, _ := benchSpace(b)
	b.ReportAllocs()
	for b.Loop() {
		c := g.fork()
		c.as.Put()
	}
}

func BenchmarkMMapUnmap(b *testing.B) {
	g, _ := benchSpace(b)
	b.ReportAllocs()
	for b.Loop() {
		a := g.mmap(0, 8*pageSize, rw, priv)
		g.as.MUnmap(a, 8*pageSize)
	}
}
