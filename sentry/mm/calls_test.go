package mm

import (
	"bytes"
	"strings"
	"testing"

	"hornwork/linux"
	"hornwork/platform"
)

func TestMMapErrorsComeInLinuxOrder(t *testing.T) {
	g := newGuest(t)
	f := newFakeFile(g, make([]byte, 4*pageSize))
	ro := linux.PROT_READ | linux.PROT_EXEC
	g.mmap(fuzzBase, pageSize, rw, fixed)
	for i, c := range []struct {
		o     MMapOpts
		errno linux.Errno
	}{
		{MMapOpts{Len: pageSize, Offset: 1, Flags: priv | linux.MAP_ANONYMOUS}, linux.EINVAL},
		{MMapOpts{Len: 0, Flags: priv | linux.MAP_ANONYMOUS}, linux.EINVAL},
		{MMapOpts{Len: ^uint64(0), Flags: priv | linux.MAP_ANONYMOUS}, linux.ENOMEM},
		{MMapOpts{Len: 1 << 60, Flags: priv | linux.MAP_ANONYMOUS}, linux.ENOMEM},
		{MMapOpts{Len: 1 << 47, Flags: priv | linux.MAP_ANONYMOUS}, linux.ENOMEM},
		{MMapOpts{Len: pageSize, Flags: linux.MAP_ANONYMOUS}, linux.EINVAL},
		{MMapOpts{Len: pageSize, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_ANONYMOUS}, linux.EINVAL},
		{MMapOpts{Len: pageSize, Flags: linux.MAP_SHARED | linux.MAP_GROWSDOWN | linux.MAP_ANONYMOUS}, linux.EINVAL},
		{MMapOpts{Addr: fuzzBase + 1, Len: pageSize, Flags: fixed | linux.MAP_ANONYMOUS}, linux.EINVAL},
		{MMapOpts{Addr: 1<<47 - pageSize, Len: pageSize, Flags: fixed | linux.MAP_ANONYMOUS}, linux.ENOMEM},
		{MMapOpts{Addr: ^uint64(pageMask), Len: pageSize, Flags: fixed | linux.MAP_ANONYMOUS}, linux.ENOMEM},
		{MMapOpts{Addr: 0, Len: pageSize, Flags: fixed | linux.MAP_ANONYMOUS}, linux.EPERM},
		{MMapOpts{Addr: fuzzBase, Len: pageSize, Flags: priv | linux.MAP_FIXED_NOREPLACE | linux.MAP_ANONYMOUS}, linux.EEXIST},
		{MMapOpts{Len: pageSize, Flags: linux.MAP_SHARED, Prot: rw, File: f, MaxProt: uint32(ro)}, linux.EACCES},
		{MMapOpts{Len: pageSize, Flags: priv, Prot: rw, File: f, MaxProt: linux.PROT_WRITE}, linux.EACCES},
		{MMapOpts{Len: pageSize, Flags: priv, Prot: linux.PROT_EXEC, File: f, MaxProt: rw}, linux.EPERM},
		{MMapOpts{Len: pageSize, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_SYNC, Prot: linux.PROT_READ, File: f, MaxProt: rw}, linux.EOPNOTSUPP},
		{MMapOpts{Len: pageSize, Flags: priv | linux.MAP_HUGETLB | linux.MAP_ANONYMOUS}, linux.ENOMEM},
		{MMapOpts{Len: 2 * pageSize, Offset: ^uint64(pageMask), Flags: priv, File: f, MaxProt: rw}, linux.EOVERFLOW},
	} {
		if a, errno := g.as.MMap(&c.o); errno != c.errno {
			t.Errorf("case %d: %#x %v, want %v", i, a, errno, c.errno)
		}
	}
	if f.refs != 0 || len(f.maps) != 0 {
		t.Errorf("failed calls leave %d references, %d mappings", f.refs, len(f.maps))
	}
	g.want(fuzzBase, 0)
	g.end()
}

func TestWhereMappingsGo(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, pageSize, rw, priv)
	if b := g.mmap(0, pageSize, rw, priv); b != a-pageSize {
		t.Errorf("second mapping at %#x, first %#x", b, a)
	}
	if b := g.mmap(fuzzBase+123, pageSize, rw, priv); b != fuzzBase+pageSize {
		t.Errorf("hint: %#x", b)
	}
	if b := g.mmap(fuzzBase+pageSize, pageSize, rw, priv); b != a-2*pageSize {
		t.Errorf("hint that is taken: %#x", b)
	}
	if b := g.mmap(0, pageSize, rw, priv|linux.MAP_32BIT); b < 0x40000000 || b >= 0x80000000 {
		t.Errorf("MAP_32BIT: %#x", b)
	}
	// A stack keeps a mebibyte free below itself.
	s := g.mmap(0x200000000, 4*pageSize, rw, fixed|linux.MAP_GROWSDOWN)
	if b := g.mmap(s-2*pageSize, pageSize, rw, priv); b == s-2*pageSize {
		t.Error("a hint inside the stack's gap was taken")
	}
	g.set(s-20*pageSize, 3)
	g.want(s-20*pageSize, 3)
	if _, f := g.load(s - (8<<20 + pageSize)); f.Signo != linux.SIGSEGV {
		t.Errorf("beyond RLIMIT_STACK: %+v", f)
	}
	g.mmap(s-(1<<20)-64*pageSize, 2*pageSize, rw, fixed)
	if _, f := g.load(s - 100*pageSize); f.Signo != linux.SIGSEGV {
		t.Errorf("into the gap above another mapping: %+v", f)
	}
	g.end()
}

func TestLimits(t *testing.T) {
	g := newGuest(t)
	l := NoLimits()
	l.AS, l.Data, l.MemLock = 100*pageSize, 50*pageSize, 10*pageSize
	g.as.SetLimits(l)
	try := func(n uint64, prot, flags uint32) linux.Errno {
		_, errno := g.as.MMap(&MMapOpts{Len: n * pageSize, Prot: prot, Flags: flags | linux.MAP_ANONYMOUS})
		return errno
	}
	if try(51, rw, priv) != linux.ENOMEM || try(40, rw, priv) != 0 || try(11, rw, priv) != linux.ENOMEM {
		t.Error("RLIMIT_DATA")
	}
	if try(61, linux.PROT_READ, priv) != linux.ENOMEM || try(50, linux.PROT_READ, priv) != 0 {
		t.Error("RLIMIT_AS")
	}
	if try(11, linux.PROT_READ, priv) != linux.ENOMEM {
		t.Error("RLIMIT_AS, the sum")
	}
	g.as.SetLimits(Limits{AS: ^uint64(0), Data: ^uint64(0), MemLock: 10 * pageSize})
	if try(11, rw, priv|linux.MAP_LOCKED) != linux.EAGAIN {
		t.Error("RLIMIT_MEMLOCK for mmap")
	}
	a := g.mmap(0, 20*pageSize, rw, priv)
	if errno := g.as.MLock(a, 11*pageSize, false); errno != linux.ENOMEM {
		t.Error("mlock over the limit: ", errno)
	}
	if errno := g.as.MLock(a, 10*pageSize, false); errno != 0 {
		t.Error(errno)
	}
	if errno := g.as.MLock(a, 10*pageSize, false); errno != 0 {
		t.Error("again: ", errno)
	}
	if s := g.as.Stats(); s.VMLck != 10*pageSize {
		t.Errorf("locked %d", s.VMLck)
	}
	if errno := g.as.MAdvise(a, pageSize, linux.MADV_DONTNEED); errno != linux.EINVAL {
		t.Error("MADV_DONTNEED of locked memory: ", errno)
	}
	g.as.MUnlockAll()
	g.as.MUnmap(a, 20*pageSize)
	if s := g.as.Stats(); s.VMLck != 0 || s.VMSize != 90*pageSize {
		t.Errorf("%+v", s)
	}
	g.end()
	if c := VM.Committed(); c != 0 {
		t.Errorf("%d bytes still committed", c)
	}
}

func TestOvercommitModes(t *testing.T) {
	g := newGuest(t)
	defer VM.Mode.Store(0)
	defer VM.Total.Store(VM.Total.Load())
	VM.Total.Store(1 << 30)
	try := func(n uint64, flags uint32) linux.Errno {
		a, errno := g.as.MMap(&MMapOpts{Len: n, Prot: rw, Flags: flags | linux.MAP_ANONYMOUS})
		if errno == 0 {
			g.as.MUnmap(a, n)
		}
		return errno
	}
	for _, c := range []struct {
		mode  int32
		n     uint64
		flags uint32
		errno linux.Errno
	}{
		{0, 2 << 30, priv, linux.ENOMEM}, {0, 1 << 30, priv, 0}, {0, 2 << 30, priv | linux.MAP_NORESERVE, 0},
		{1, 1 << 40, priv, 0},
		{2, 600 << 20, priv, linux.ENOMEM}, {2, 600 << 20, priv | linux.MAP_NORESERVE, linux.ENOMEM}, {2, 400 << 20, priv, 0},
		{2, 600 << 20, linux.MAP_SHARED, linux.ENOMEM},
	} {
		VM.Mode.Store(c.mode)
		if errno := try(c.n, c.flags); errno != c.errno {
			t.Errorf("mode %d, %d MiB, flags %#x: %v", c.mode, c.n>>20, c.flags, errno)
		}
	}
	g.end()
}

func TestMRemap(t *testing.T) {
	g := newGuest(t)
	const may, fix, dont = linux.MREMAP_MAYMOVE, linux.MREMAP_FIXED, linux.MREMAP_DONTUNMAP
	base := g.mmap(fuzzBase, 100*pageSize, rw, fixed)
	g.as.MUnmap(base+20*pageSize, 80*pageSize)
	for i := range uint64(20) {
		g.set(base+i*pageSize, byte(i+1))
	}
	if a, errno := g.as.MRemap(base, 20*pageSize, 30*pageSize, 0, 0); errno != 0 || a != base {
		t.Fatal("grow in place: ", errno)
	}
	g.want(base+19*pageSize, 20)
	g.want(base+29*pageSize, 0)
	g.mmap(base+30*pageSize, pageSize, linux.PROT_READ, fixed)
	if _, errno := g.as.MRemap(base, 30*pageSize, 40*pageSize, 0, 0); errno != linux.ENOMEM {
		t.Error("no room: ", errno)
	}
	a, errno := g.as.MRemap(base, 30*pageSize, 40*pageSize, may, 0)
	if errno != 0 || a == base {
		t.Fatal("move: ", errno)
	}
	g.want(a+5*pageSize, 6)
	if _, f := g.load(base); f.Signo != linux.SIGSEGV {
		t.Error("the old place is still there")
	}
	if b, errno := g.as.MRemap(a, 40*pageSize, 40*pageSize, may|dont, 0); errno != 0 {
		t.Error("dontunmap: ", errno)
	} else {
		g.want(a+5*pageSize, 0)
		g.want(b+5*pageSize, 6)
	}
	// A shared mapping can be had twice.
	s := g.mmap(0, 4*pageSize, rw, linux.MAP_SHARED)
	g.set(s+pageSize, 7)
	if d, errno := g.as.MRemap(s, 0, 4*pageSize, may, 0); errno != 0 {
		t.Error("duplicate: ", errno)
	} else {
		g.want(d+pageSize, 7)
		g.set(d+2*pageSize, 8)
		g.want(s+2*pageSize, 8)
	}
	f := newFakeFile(g, bytes.Repeat([]byte{5}, 20*pageSize))
	m, _ := g.as.MMap(&MMapOpts{Len: 10 * pageSize, Prot: rw, Flags: priv, File: f, MaxProt: protMask})
	g.set(m+pageSize, 9)
	n, errno := g.as.MRemap(m, 10*pageSize, 20*pageSize, may, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	g.want(n+pageSize, 9)
	g.want(n+19*pageSize, 5)
	for i, c := range []struct {
		addr, old, new uint64
		flags          uint32
		to             uint64
		errno          linux.Errno
	}{
		{a, pageSize, pageSize, 8, 0, linux.EINVAL},
		{a, pageSize, pageSize, fix, a, linux.EINVAL},
		{a, pageSize, 2 * pageSize, may | dont, 0, linux.EINVAL},
		{a + 1, pageSize, pageSize, 0, 0, linux.EINVAL},
		{a, pageSize, 0, 0, 0, linux.EINVAL},
		{0x1000, pageSize, pageSize, 0, 0, linux.EFAULT},
		{a, 0, pageSize, may, 0, linux.EINVAL},
		{a, 4 * pageSize, 4 * pageSize, may | fix, a + pageSize, linux.EINVAL},
		{a, 4 * pageSize, 4 * pageSize, may | fix, 1, linux.EINVAL},
		{a, 400 * pageSize, 500 * pageSize, may, 0, linux.EFAULT},
	} {
		if _, errno := g.as.MRemap(c.addr, c.old, c.new, c.flags, c.to); errno != c.errno {
			t.Errorf("case %d: %v, want %v", i, errno, c.errno)
		}
	}
	checkTotals(t, g.as)
	g.end()
	if f.refs != 0 || len(f.maps) != 0 {
		t.Errorf("file keeps %d references, %d mappings", f.refs, len(f.maps))
	}
}

func TestMAdvise(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 20*pageSize, rw, priv)
	s := g.mmap(0, 20*pageSize, rw, linux.MAP_SHARED)
	set := func() {
		for i := range uint64(20) {
			g.set(a+i*pageSize, 1)
			g.set(s+i*pageSize, 1)
		}
	}
	set()
	for i, c := range []struct {
		addr, n uint64
		advice  int
		errno   linux.Errno
	}{
		{a, pageSize, 77, linux.EINVAL}, {a + 1, pageSize, linux.MADV_NORMAL, linux.EINVAL},
		{a, 0, linux.MADV_DONTNEED, 0}, {0x10000, pageSize, linux.MADV_DONTNEED, linux.ENOMEM},
		{s, pageSize, linux.MADV_FREE, linux.EINVAL}, {s, pageSize, linux.MADV_WIPEONFORK, linux.EINVAL},
		{a, pageSize, linux.MADV_REMOVE, linux.EINVAL}, {s, pageSize, linux.MADV_REMOVE, 0},
		{a, 2 * pageSize, linux.MADV_FREE, 0}, {a, 20 * pageSize, linux.MADV_POPULATE_WRITE, 0},
		{0x10000, pageSize, linux.MADV_POPULATE_READ, linux.ENOMEM},
		{a + 4*pageSize, 2 * pageSize, linux.MADV_DONTFORK, 0}, {a + 8*pageSize, 2 * pageSize, linux.MADV_WIPEONFORK, 0},
	} {
		if errno := g.as.MAdvise(c.addr, c.n, c.advice); errno != c.errno {
			t.Errorf("case %d: %v, want %v", i, errno, c.errno)
		}
	}
	g.want(s, 0)
	g.want(s+pageSize, 1)
	g.want(a, 0)
	g.want(a+2*pageSize, 1)
	c := g.fork()
	c.want(a+2*pageSize, 1)
	c.want(a+9*pageSize, 0)
	g.want(a+9*pageSize, 1)
	if _, f := c.load(a + 4*pageSize); f.Code != linux.SEGV_MAPERR {
		t.Errorf("MADV_DONTFORK: %+v", f)
	}
	c.end()
	g.as.MAdvise(a, 20*pageSize, linux.MADV_DOFORK)
	g.as.MAdvise(a, 20*pageSize, linux.MADV_KEEPONFORK)
	if n := g.as.vmas.Len(); n != 2 {
		t.Errorf("%d VMAs after the flags are gone", n)
	}
	vec := make([]byte, 20)
	g.as.MAdvise(a+pageSize, pageSize, linux.MADV_DONTNEED)
	if errno := g.as.MInCore(a, 20*pageSize, vec); errno != 0 || vec[0] != 1 || vec[1] != 0 || vec[2] != 1 {
		t.Error("mincore: ", errno, vec)
	}
	if errno := g.as.MInCore(a-100*pageSize, 200*pageSize, make([]byte, 200)); errno != linux.ENOMEM {
		t.Error("mincore over a hole: ", errno)
	}
	g.as.SetAnonName(a+3*pageSize, pageSize, "pool")
	names := ""
	g.as.VMAs(func(i VMAInfo) bool { names += i.Name + ";"; return true })
	if !strings.Contains(names, ";[anon:pool];") {
		t.Error("names: ", names)
	}
	g.as.MProtect(a+4*pageSize, pageSize, linux.PROT_NONE)
	if errno := g.as.MLock(a, 8*pageSize, false); errno != linux.ENOMEM {
		t.Error("mlock of what has no permission: ", errno)
	}
	for i, c := range []struct {
		addr  uint64
		flags int
		errno linux.Errno
	}{{a, linux.MS_SYNC, 0}, {a, 8, linux.EINVAL}, {a, linux.MS_SYNC | linux.MS_ASYNC, linux.EINVAL}, {a + 1, 0, linux.EINVAL}, {0x10000, 0, linux.ENOMEM}} {
		if errno := g.as.MSync(c.addr, pageSize, c.flags); errno != c.errno {
			t.Errorf("msync %d: %v", i, errno)
		}
	}
	g.end()
}

func TestWordsAndKeys(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 4*pageSize, rw, priv)
	s := g.mmap(0, 4*pageSize, rw, linux.MAP_SHARED)
	for _, addr := range []uint64{a + 8, s + 8} {
		if ok, errno := g.as.CompareAndSwapUint32(addr, 0, 5); !ok || errno != 0 {
			t.Error(ok, errno)
		}
		if ok, _ := g.as.CompareAndSwapUint32(addr, 0, 6); ok {
			t.Error("swapped another value")
		}
		if v, errno := g.as.LoadUint32(addr); v != 5 || errno != 0 {
			t.Error(v, errno)
		}
	}
	if _, errno := g.as.LoadUint32(a + 1); errno != linux.EINVAL {
		t.Error(errno)
	}
	if _, errno := g.as.CompareAndSwapUint32(0x10000, 0, 1); errno != linux.EFAULT {
		t.Error(errno)
	}
	c := g.fork()
	if ok, _ := c.as.CompareAndSwapUint32(a+8, 5, 6); !ok {
		t.Error("in a child")
	}
	g.want(a+8, 5)
	k1, _ := g.as.FutexKey(s+8, true)
	k2, _ := c.as.FutexKey(s+8, true)
	k3, _ := g.as.FutexKey(s+12, true)
	p1, _ := g.as.FutexKey(a+8, true)
	p2, _ := c.as.FutexKey(a+8, true)
	p3, _ := g.as.FutexKey(a+8, false)
	if k1 != k2 || k1 == k3 || p1 == p2 || p1 != p3 {
		t.Error(k1, k2, k3, p1, p2, p3)
	}
	if _, errno := g.as.FutexKey(0x10000, true); errno != linux.EFAULT {
		t.Error(errno)
	}
	c.end()
	g.end()
}

func TestSharedFileMapping(t *testing.T) {
	g := newGuest(t)
	f := newFakeFile(g, bytes.Repeat([]byte{5}, 8*pageSize+100))
	a, errno := g.as.MMap(&MMapOpts{Len: 16 * pageSize, Prot: rw, Flags: linux.MAP_SHARED, File: f, MaxProt: rw})
	if errno != 0 {
		t.Fatal(errno)
	}
	g.set(a+pageSize, 6)
	if n, errno := g.as.CopyOut(a+2*pageSize, []byte{7, 8}); n != 2 || errno != 0 {
		t.Error(n, errno)
	}
	var b [2]byte
	f.f.ReadAt(b[:], 2*pageSize)
	if b != [2]byte{7, 8} {
		t.Error("a store through the mapping did not reach the file: ", b)
	}
	g.want(a+pageSize, 6)
	g.want(a+2*pageSize+1, 8)
	if ok, errno := g.as.CompareAndSwapUint32(a, 0, 1); ok || errno != linux.EFAULT {
		t.Error(ok, errno)
	}
	g.end()
}

func TestPatchedTextReadsTruthfully(t *testing.T) {
	g := newGuest(t)
	text := bytes.Repeat([]byte{0x90}, 4*pageSize)
	f := newFakeFile(g, text)
	rx := uint32(linux.PROT_READ | linux.PROT_EXEC)
	a, errno := g.as.MMap(&MMapOpts{Len: 4 * pageSize, Prot: rx, Flags: priv, File: f, MaxProt: protMask})
	if errno != 0 {
		t.Fatal(errno)
	}
	old, jmp := []byte{0x90, 0x90, 0x90, 0x90, 0x90}, []byte{0xe9, 1, 2, 3, 4}
	at := a + pageSize + 100
	if errno := g.as.PatchText(at, []byte{1, 2, 3, 4, 5}, jmp); errno != linux.EAGAIN {
		t.Error("other bytes than expected: ", errno)
	}
	if errno := g.as.PatchText(at, old, jmp); errno != 0 {
		t.Fatal(errno)
	}
	if errno := g.as.PatchText(at+50, old, jmp); errno != 0 {
		t.Fatal(errno)
	}
	if v, _ := g.load(at); v != 0xe9 {
		t.Errorf("guest executes %#x", v)
	}
	var b [16]byte
	if n, errno := g.as.CopyIn(b[:], at-3); n != 16 || errno != 0 || !bytes.Equal(b[:], text[:16]) {
		t.Errorf("sentry reads %x", b)
	}
	c := g.fork()
	if v, _ := c.load(at); v != 0x90 {
		t.Error("a child runs its parent's patches")
	}
	c.end()
	gap, errno := g.as.FindGap(at, 8192)
	if errno != 0 || gap > at || at-gap > 1<<31 {
		t.Fatalf("%#x %v", gap, errno)
	}
	n := 0
	g.as.VMAs(func(i VMAInfo) bool {
		if i.Start <= gap && i.End > gap {
			t.Error("the gap is shown")
		}
		n++
		return true
	})
	if n != 1 {
		t.Errorf("%d VMAs shown", n)
	}
	// Writing ends the patches of a page, and so does a mapping over the platform's gap.
	if errno := g.as.MProtect(a+pageSize, pageSize, rw); errno != 0 {
		t.Fatal(errno)
	}
	g.want(at, 0x90)
	g.set(at, 1)
	g.want(at+50, 0x90)
	if errno := g.as.PatchText(a+5, old, jmp); errno != 0 {
		t.Fatal(errno)
	}
	was := g.host.changed
	g.mmap(gap, pageSize, rw, fixed)
	if v, _ := g.load(a + 5); v != 0x90 || g.host.changed == was {
		t.Error("patches outlive their trampolines")
	}
	if errno := g.as.PatchText(at, []byte{0x90}, []byte{0xcc}); errno != linux.EACCES {
		t.Error("writable text was patched: ", errno)
	}
	checkTotals(t, g.as)
	g.end()
}

func TestMapsShowsWhatLinuxWould(t *testing.T) {
	g := newGuest(t)
	f := newFakeFile(g, make([]byte, 20*pageSize))
	o := MMapOpts{Addr: fuzzBase, Len: 4 * pageSize, Prot: linux.PROT_READ, Flags: fixed, File: f, MaxProt: protMask}
	g.as.MMap(&o)
	o.Addr, o.Offset = o.Addr+o.Len, o.Len
	g.as.MMap(&o)
	o.Addr, o.Offset, o.Prot = o.Addr+o.Len, 2*o.Len, linux.PROT_READ|linux.PROT_EXEC
	g.as.MMap(&o)
	g.as.SetBrkStart(0x555555000000)
	g.as.Brk(0x555555000000 + 10)
	var got []string
	g.as.VMAs(func(i VMAInfo) bool {
		p := []byte("---p")
		for k, x := range []byte{linux.PROT_READ, linux.PROT_WRITE, linux.PROT_EXEC} {
			if i.Prot&x != 0 {
				p[k] = "rwx"[k]
			}
		}
		got = append(got, string(p)+" "+i.Name)
		return true
	})
	want := "r--p /lib/fake.so|r-xp /lib/fake.so|rw-p [heap]"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	g.end()
}

func TestUnknownAccessIsTakenForAWriteAfterARead(t *testing.T) {
	g := newGuest(t)
	a := g.mmap(0, 32*pageSize, rw, priv)
	g.set(a, 1)
	c := g.fork()
	for range 3 {
		if f, ok := c.as.HandleFault(a, 0); !ok {
			t.Fatal(f)
		}
	}
	if pg := c.host.pages[a]; pg.prot&linux.PROT_WRITE == 0 {
		t.Error("never became writable")
	}
	g.as.MProtect(a, pageSize, linux.PROT_READ)
	if f, ok := g.as.HandleFault(a, 0); ok || f.Code != linux.SEGV_ACCERR {
		t.Errorf("write to what is read-only: %+v", f)
	}
	if _, ok := g.as.HandleFault(1<<63, platform.Prot(linux.PROT_READ)); ok {
		t.Error("an address of the kernel")
	}
	c.end()
	g.end()
}
