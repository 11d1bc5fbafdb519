package mm

import (
	"bytes"
	"testing"

	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/usermem"
)

const (
	rw    = linux.PROT_READ | linux.PROT_WRITE
	priv  = linux.MAP_PRIVATE
	fixed = linux.MAP_PRIVATE | linux.MAP_FIXED
)

func TestFirstTouchOf64MiBTakesFewFaults(t *testing.T) {
	g := newGuest(t)
	const size = 64 << 20
	a := g.mmap(0, size, rw, priv)
	for off := uint64(0); off < size; off += pageSize {
		g.set(a+off, 1)
	}
	if g.faults > size/maxBlock+8 {
		t.Errorf("%d faults", g.faults)
	}
	for off := uint64(0); off < size; off += 333 * pageSize {
		g.want(a+off, 1)
	}
	if errno := g.as.MUnmap(a, size); errno != 0 {
		t.Fatal(errno)
	}
	if _, f := g.load(a); f.Signo != linux.SIGSEGV || f.Code != linux.SEGV_MAPERR {
		t.Errorf("after munmap: %+v", f)
	}
	if u := g.as.mf.Usage(); u != 0 {
		t.Errorf("usage %d", u)
	}
	g.end()
}

func TestForkSharesUntilWritten(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 1<<20, rw, priv)
	s := g.mmap(0, 1<<20, rw, linux.MAP_SHARED)
	for off := uint64(0); off < 1<<20; off += pageSize {
		g.set(a+off, 7)
	}
	g.set(s, 7)
	before := g.as.mf.Usage()
	c := g.fork()
	if u := g.as.mf.Usage(); u != before {
		t.Errorf("fork took %d bytes", u-before)
	}
	if c.faults = 0; true {
		c.want(a+5*pageSize, 7)
	}
	if c.faults != 0 {
		t.Error("a child faults on what its parent had mapped")
	}
	c.set(a, 8)
	g.want(a, 7)
	g.set(a+200*pageSize, 9)
	c.want(a+200*pageSize, 7)
	c.want(a+201*pageSize, 7)
	c.set(s, 8)
	g.want(s, 8)
	c.end()
	// The last sharer writes in place, and a fault frees many pages at once.
	g.faults = 0
	before = g.as.mf.Usage()
	for off := uint64(0); off < 1<<20; off += pageSize {
		g.set(a+off, 1)
	}
	if g.faults > 4 || g.as.mf.Usage() != before {
		t.Errorf("after the child: %d faults, usage %d → %d", g.faults, before, g.as.mf.Usage())
	}
	g.end()
}

func TestPrivateFileMapping(t *testing.T) {
	g := newGuest(t)
	f := newFakeFile(g, bytes.Repeat([]byte{5}, 40*pageSize+10))
	a, errno := g.as.MMap(&MMapOpts{Len: 64 * pageSize, Prot: rw, Flags: priv, File: f, MaxProt: protMask})
	if errno != 0 {
		t.Fatal(errno)
	}
	g.want(a, 5)
	if g.faults != 0 {
		t.Error("not mapped ahead")
	}
	if pg := g.host.pages[a]; pg.fd != int32(f.f.Fd()) || pg.prot&linux.PROT_WRITE != 0 {
		t.Errorf("stub has %+v", pg)
	}
	g.set(a+3*pageSize, 6)
	g.want(a+3*pageSize, 6)
	g.want(a+3*pageSize+1, 5)
	if n, errno := g.as.CopyOut(a+30*pageSize, []byte{9}); n != 1 || errno != 0 {
		t.Error(errno)
	}
	g.want(a+30*pageSize, 9)
	g.want(a+40*pageSize+9, 5)
	g.want(a+40*pageSize+10, 0)
	var b [2]byte
	if n, _ := f.f.ReadAt(b[:1], 3*pageSize); n != 1 || b[0] != 5 {
		t.Error("the file was written")
	}
	if _, s := g.load(a + 41*pageSize); s.Signo != linux.SIGBUS || s.Code != linux.BUS_ADRERR {
		t.Errorf("beyond the end: %+v", s)
	}
	if n, errno := g.as.CopyIn(b[:], a+41*pageSize-1); n != 1 || errno != linux.EFAULT {
		t.Errorf("sentry beyond the end: %d %v", n, errno)
	}
	c := g.fork()
	c.set(a+3*pageSize, 1)
	g.want(a+3*pageSize, 6)
	if len(f.maps) != 2 {
		t.Errorf("%d mappings", len(f.maps))
	}
	c.end()
	g.as.MUnmap(a, 64*pageSize)
	if f.refs != 0 || len(f.maps) != 0 {
		t.Errorf("after munmap %d references, %d mappings", f.refs, len(f.maps))
	}
	g.end()
}

func TestInvalidateDropsTheFilesPages(t *testing.T) {
	g := newGuest(t)
	f := newFakeFile(g, bytes.Repeat([]byte{5}, 100*pageSize))
	a, errno := g.as.MMap(&MMapOpts{Len: 100 * pageSize, Prot: linux.PROT_READ, Flags: linux.MAP_SHARED, File: f, MaxProt: protMask})
	if errno != 0 {
		t.Fatal(errno)
	}
	g.want(a+99*pageSize, 5)
	f.f.Truncate(50 * pageSize)
	for m := range f.maps {
		m.Truncated(50 * pageSize)
	}
	g.want(a+49*pageSize, 5)
	if _, s := g.load(a + 50*pageSize); s.Signo != linux.SIGBUS {
		t.Errorf("beyond the end: %+v", s)
	}
	g.end()
}

func TestPinOutlivesMunmapAndFork(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 16*pageSize, rw, priv)
	var p usermem.Pinned
	if errno := g.as.Pin(&p, a+100, 2*pageSize, true); errno != 0 || p.Len() != 2*pageSize {
		t.Fatal(errno, p.Len())
	}
	c := g.fork()
	g.set(a+50, 3) // the page must stay the one that is pinned
	p.Blocks[0][0] = 4
	g.want(a+100, 4)
	g.want(a+50, 3)
	c.want(a+100, 0)
	c.end()
	g.as.MUnmap(a, 16*pageSize)
	b := g.mmap(a, 16*pageSize, rw, fixed)
	p.Blocks[0][0] = 9
	g.want(b+100, 0)
	p.Release()
	g.end()
}

func TestProtectionIsChecked(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 8*pageSize, rw, priv)
	g.set(a+pageSize, 1)
	for _, c := range []struct {
		prot   uint32
		access int
		code   int32
	}{
		{linux.PROT_READ, linux.PROT_WRITE, linux.SEGV_ACCERR},
		{linux.PROT_NONE, linux.PROT_READ, linux.SEGV_ACCERR},
		{linux.PROT_READ | linux.PROT_EXEC, linux.PROT_WRITE, linux.SEGV_ACCERR},
		{rw, linux.PROT_EXEC, linux.SEGV_ACCERR},
		{linux.PROT_WRITE, linux.PROT_READ, 0},
		{linux.PROT_EXEC, linux.PROT_READ, 0},
		{rw, linux.PROT_WRITE, 0},
	} {
		if errno := g.as.MProtect(a, 4*pageSize, c.prot); errno != 0 {
			t.Fatal(errno)
		}
		f, ok := g.as.HandleFault(a+pageSize, platform.Prot(c.access))
		if f.Code != c.code || ok != (c.code == 0) {
			t.Errorf("prot %d access %d: %+v %v", c.prot, c.access, f, ok)
		}
		var b [1]byte
		_, errno := g.as.CopyOut(a+pageSize, b[:0])
		if errno != 0 {
			t.Error("an empty copy failed")
		}
		_, errno = g.as.CopyOut(a+pageSize, []byte{1})
		if want := c.prot&linux.PROT_WRITE != 0; (errno == 0) != want || errno != 0 && errno != linux.EFAULT {
			t.Errorf("prot %d: CopyOut %v", c.prot, errno)
		}
	}
	g.want(a+pageSize, 1)
	g.end()
}

func TestStrings(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 2*pageSize, rw, priv)
	g.as.MUnmap(a+pageSize, pageSize)
	long := bytes.Repeat([]byte("x"), 1000)
	for _, c := range []struct {
		off   uint64
		data  []byte
		max   int
		want  string
		errno linux.Errno
	}{
		{0, []byte("abc\x00def"), 4096, "abc", 0},
		{pageSize - 4, []byte("abc\x00"), 4096, "abc", 0},
		{pageSize - 4, []byte("abcd"), 4096, "", linux.EFAULT},
		{pageSize - 4, []byte("abcd"), 4, "abcd", linux.ENAMETOOLONG},
		{100, append(long, 0), 4096, string(long), 0},
		{100, append(long, 0), 1000, string(long), linux.ENAMETOOLONG},
	} {
		g.as.CopyOut(a+c.off, c.data)
		if s, errno := g.as.CopyInString(a+c.off, c.max); s != c.want || errno != c.errno {
			t.Errorf("%q at %d: %q %v", c.data, c.off, s, errno)
		}
	}
	if _, errno := g.as.CopyInString(0, 10); errno != linux.EFAULT {
		t.Error("NULL: ", errno)
	}
	if _, errno := g.as.CopyInString(^uint64(0), 10); errno != linux.EFAULT {
		t.Error("-1: ", errno)
	}
	g.end()
}

func TestBrk(t *testing.T) {
	g := newGuest(t)
	const base = 0x555555560123
	g.as.SetBrkStart(base)
	if b := g.as.Brk(0); b != base {
		t.Fatalf("%#x", b)
	}
	if b := g.as.Brk(base + 135168); b != base+135168 {
		t.Fatalf("%#x", b)
	}
	g.set(base+135000, 1)
	if b := g.as.Brk(base - 1); b != base+135168 {
		t.Errorf("below the start: %#x", b)
	}
	g.as.Brk(base + 10)
	g.as.Brk(base + 135168)
	g.want(base+135000, 0)
	g.mmap(pageUp(base+200000), pageSize, rw, fixed)
	if b := g.as.Brk(base + 300000); b != base+135168 {
		t.Errorf("into another mapping: %#x", b)
	}
	g.end()
}

func TestHostThatRefusesMappingsIsEmptiedOnce(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 1<<20, rw, priv)
	g.set(a, 1)
	g.host.fail = linux.ENOMEM
	g.set(a+(512<<10), 2)
	g.want(a, 1)
	g.want(a+(512<<10), 2)
	// What can never be mapped is a signal, not a fault for ever.
	g.host.fail = linux.EPERM
	if f, ok := g.as.HandleFault(a+(800<<10), linux.PROT_WRITE); ok || f.Signo != linux.SIGBUS {
		t.Errorf("%+v", f)
	}
	g.set(a+(800<<10), 3)
	g.want(a, 1)
	g.end()
}
