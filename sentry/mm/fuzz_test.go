package mm

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/usermem"
)

// modelPage is a page of the reference model: one byte of content stands for all.
type modelPage struct {
	prot   uint32
	shared bool
	val    *byte // nil: a page of the file that nobody has written
	off    int   // page of the file
}

// modelSpace is an address space as simply as it can be said.
type modelSpace struct {
	g     *guest
	pages [fuzzPages]*modelPage
}

const (
	fuzzBase  = 0x100000000
	fuzzPages = 96
	filePages = 40
)

func fileByte(off int) byte { return byte(100 + off) }

func (p *modelPage) get() byte {
	if p.val == nil {
		return fileByte(p.off)
	}
	return *p.val
}

// addrOf is the byte of page i that the model knows.
func addrOf(i int) uint64 { return fuzzBase + uint64(i)*pageSize + uint64(i*37%pageSize) }

func (m *modelSpace) check(i int) {
	t := m.g.t
	t.Helper()
	p := m.pages[i]
	// A hole, no permission, and beyond the end of the file are told apart.
	wantSig, wantCode := int32(0), int32(0)
	switch {
	case p == nil:
		wantSig, wantCode = linux.SIGSEGV, linux.SEGV_MAPERR
	case p.prot == 0:
		wantSig, wantCode = linux.SIGSEGV, linux.SEGV_ACCERR
	case p.val == nil && p.off >= filePages:
		wantSig, wantCode = linux.SIGBUS, linux.BUS_ADRERR
	}
	var b [1]byte
	_, errno := m.g.as.CopyIn(b[:], addrOf(i))
	if (errno != 0) != (wantSig != 0) || errno == 0 && b[0] != p.get() {
		t.Fatalf("page %d: sentry reads %d, %v; want %v, signal %d", i, b[0], errno, p, wantSig)
	}
	v, f := m.g.load(addrOf(i))
	if f.Signo != wantSig || f.Code != wantCode || f.Signo == 0 && v != p.get() {
		t.Fatalf("page %d: guest loads %d, %+v; want signal %d code %d, %+v", i, v, f, wantSig, wantCode, p)
	}
}

func (m *modelSpace) write(i int, v byte, sentry bool) {
	t := m.g.t
	t.Helper()
	p := m.pages[i]
	ok := p != nil && p.prot&linux.PROT_WRITE != 0 && (p.val != nil || p.off < filePages)
	if sentry {
		n, errno := m.g.as.CopyOut(addrOf(i), []byte{v})
		if (errno == 0) != ok || (n == 1) != ok {
			t.Fatalf("page %d: CopyOut %d %v, want %v", i, n, errno, ok)
		}
	} else if f := m.g.store(addrOf(i), v); (f.Signo == 0) != ok {
		t.Fatalf("page %d: store %+v, want %v", i, f, ok)
	}
	if ok {
		if p.val == nil {
			p.val = new(byte)
		}
		*p.val = v
	}
}

func (m *modelSpace) mmap(i, n int, prot, kind uint32, f *fakeFile, off int) {
	o := &MMapOpts{Addr: fuzzBase + uint64(i)*pageSize, Len: uint64(n) * pageSize, Prot: prot, Flags: linux.MAP_FIXED}
	switch kind {
	case 0:
		o.Flags |= linux.MAP_PRIVATE | linux.MAP_ANONYMOUS
	case 1:
		o.Flags |= linux.MAP_SHARED | linux.MAP_ANONYMOUS
	default:
		o.Flags |= linux.MAP_PRIVATE
		o.File, o.Offset, o.MaxProt = f, uint64(off)*pageSize, protMask
	}
	if a, errno := m.g.as.MMap(o); errno != 0 || a != o.Addr {
		m.g.t.Fatal("mmap: ", errno)
	}
	for k := range n {
		p := &modelPage{prot: prot, shared: kind == 1, off: off + k}
		if kind < 2 {
			p.val = new(byte)
		}
		m.pages[i+k] = p
	}
}

func (m *modelSpace) fork() *modelSpace {
	c := &modelSpace{g: m.g.fork()}
	for i, p := range m.pages {
		if p == nil {
			continue
		}
		q := *p
		if !p.shared && p.val != nil {
			q.val = new(byte)
			*q.val = *p.val
		}
		c.pages[i] = &q
	}
	return c
}

func (m *modelSpace) remap(i, n, to int) {
	if i+n > to && to+n > i || m.pages[i] == nil {
		return
	}
	ret, errno := m.g.as.MRemap(fuzzBase+uint64(i)*pageSize, uint64(n)*pageSize, uint64(n)*pageSize,
		linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, fuzzBase+uint64(to)*pageSize)
	// The target is unmapped even if the source then turns out to be more than one VMA.
	for k := range n {
		m.pages[to+k] = nil
	}
	if errno == linux.EFAULT {
		return
	}
	if errno != 0 || ret != fuzzBase+uint64(to)*pageSize {
		m.g.t.Fatalf("mremap: %#x %v", ret, errno)
	}
	copy(m.pages[to:to+n], m.pages[i:i+n])
	for k := range n {
		m.pages[i+k] = nil
	}
	// The tracked byte lies elsewhere in the page now: bring it there.
	for k := range n {
		if p := m.pages[to+k]; p != nil && p.val != nil {
			if p.prot&linux.PROT_WRITE != 0 {
				m.write(to+k, *p.val, false)
			} else {
				m.g.as.MUnmap(fuzzBase+uint64(to+k)*pageSize, pageSize)
				m.pages[to+k] = nil
			}
		}
	}
}

func (m *modelSpace) dontNeed(i, n int) {
	hole := false
	for k := range n {
		p := m.pages[i+k]
		switch {
		case p == nil:
			hole = true
		case p.shared:
		case p.off >= 1000:
			*p.val = 0
		default:
			p.val = nil
		}
	}
	if errno := m.g.as.MAdvise(fuzzBase+uint64(i)*pageSize, uint64(n)*pageSize, linux.MADV_DONTNEED); (errno == linux.ENOMEM) != hole {
		m.g.t.Fatalf("madvise: %v, hole %v", errno, hole)
	}
}

func (m *modelSpace) protect(i, n int, prot uint32) {
	errno := m.g.as.MProtect(fuzzBase+uint64(i)*pageSize, uint64(n)*pageSize, prot)
	for k := range n {
		if m.pages[i+k] == nil {
			if errno != linux.ENOMEM {
				m.g.t.Fatalf("mprotect over a hole: %v", errno)
			}
			return
		}
		m.pages[i+k].prot = prot
	}
	if errno != 0 {
		m.g.t.Fatal("mprotect: ", errno)
	}
}

// shared anonymous pages move with mremap, so their byte would have to move for all sharers: such remaps are left out.
func (m *modelSpace) anyShared(i, n int) bool {
	for k := range n {
		if p := m.pages[i+k]; p != nil && p.shared {
			return true
		}
	}
	return false
}

// runModel plays the operations that data says on the real thing and on the model.
func runModel(t *testing.T, data []byte) {
	g := newGuest(t)
	content := bytes.Repeat([]byte{0}, filePages*pageSize)
	for i := range content {
		content[i] = fileByte(i / pageSize)
	}
	f := newFakeFile(g, content)
	spaces := []*modelSpace{{g: g}}
	type pinned struct {
		p   usermem.Pinned
		sum byte
	}
	var pins []*pinned
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	prots := []uint32{rw, rw, rw, linux.PROT_READ, linux.PROT_NONE, linux.PROT_READ | linux.PROT_EXEC}
	for len(data) > 0 {
		m := spaces[next()%len(spaces)]
		op, i := next()%20, next()%fuzzPages
		n := min(1+next()%24, fuzzPages-i)
		x := next()
		switch op {
		case 0, 1:
			m.mmap(i, n, prots[x%len(prots)], uint32(x/8%2), nil, 1000)
		case 2:
			m.mmap(i, n, prots[x%len(prots)], 2, f, x%filePages)
		case 3:
			if errno := m.g.as.MUnmap(fuzzBase+uint64(i)*pageSize, uint64(n)*pageSize); errno != 0 {
				t.Fatal(errno)
			}
			for k := range n {
				m.pages[i+k] = nil
			}
		case 4, 5:
			m.protect(i, n, prots[x%len(prots)])
		case 6:
			if len(spaces) < 4 {
				spaces = append(spaces, m.fork())
			}
		case 7:
			if len(spaces) > 1 {
				k := x % len(spaces)
				spaces[k].g.as.Put()
				spaces = append(spaces[:k], spaces[k+1:]...)
			}
		case 8:
			if to := x % (fuzzPages - n + 1); !m.anyShared(i, n) {
				m.remap(i, n, to)
			}
		case 9:
			m.dontNeed(i, n)
		case 10:
			p := &pinned{}
			if m.g.as.Pin(&p.p, addrOf(i), 1, x&1 == 0) == 0 {
				p.sum = p.p.Blocks[0][0]
				if q := m.pages[i]; q == nil || q.get() != p.sum {
					t.Fatal("pinned page holds something else")
				}
				pins = append(pins, p)
			}
		case 11:
			if len(pins) > 0 {
				pins[0].p.Release()
				pins = pins[1:]
			}
		case 12:
			m.g.as.MLock(fuzzBase+uint64(i)*pageSize, uint64(n)*pageSize, x&1 != 0)
			m.g.as.MUnlockAll()
		case 13:
			if x%8 == 0 && !m.g.as.refused {
				m.g.host.fail = linux.ENOMEM
			}
		default:
			for k := range n {
				if op&1 != 0 {
					m.write(i+k, byte(x+k), op&2 != 0)
				}
				m.check(i + k)
			}
		}
	}
	for _, m := range spaces {
		m.g.host.fail = 0
		for i := range fuzzPages {
			m.check(i)
		}
		checkTotals(t, m.g.as)
	}
	for _, p := range pins {
		p.p.Release()
	}
	mf := g.as.mf
	for _, m := range spaces {
		m.g.as.Put()
	}
	g.as = nil
	if mf.Usage() != 0 || f.refs != 0 || len(f.maps) != 0 {
		t.Fatalf("at the end: usage %d, file references %d, mappings %d", mf.Usage(), f.refs, len(f.maps))
	}
}

// checkTotals compares the running counts with the maps themselves, and the extents with the stub.
func checkTotals(t *testing.T, as *AddressSpace) {
	t.Helper()
	var pages, rss int64
	for it := as.vmas.First(); it.Ok(); it = it.Next() {
		if !(*it.Val()).is(vmHidden) {
			pages += int64(it.End()-it.Start()) >> pageShift
		}
	}
	host := as.host.(*fakeSpace)
	mapped := 0
	for it := as.exts.First(); it.Ok(); it = it.Next() {
		rss += int64(it.End()-it.Start()) >> pageShift
		e := it.Val()
		v := as.vmas.Find(it.Start())
		if !v.Ok() || v.End() < it.End() || (*v.Val()).prot != e.prot {
			t.Fatalf("extent [%#x,%#x) does not fit its VMA", it.Start(), it.End())
		}
		for a := it.Start(); a < it.End(); a += pageSize {
			pg, ok := host.pages[a]
			if ok != (e.stub != unmapped) || ok && (pg.prot != platform.Prot(e.stub) || pg.off != e.off+a-it.Start()) {
				t.Fatalf("stub has %+v %v at %#x, extent %+v", pg, ok, a, *e)
			}
			if ok {
				mapped++
			}
		}
	}
	if len(host.pages) != mapped {
		t.Fatalf("stub has %d pages, extents %d", len(host.pages), mapped)
	}
	if as.stat.total != pages || as.stat.rssAnon+as.stat.rssFile != rss {
		t.Fatalf("stats %+v, want %d pages and %d resident", as.stat, pages, rss)
	}
}

func FuzzMM(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4000 {
			return
		}
		runModel(t, data)
	})
}

func TestRandomOperationsMatchTheModel(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 9))
		b := make([]byte, 5000)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		if !t.Run("", func(t *testing.T) { runModel(t, b) }) {
			t.Fatal("seed ", seed)
		}
	}
}
