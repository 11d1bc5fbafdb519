package mm

import (
	"os"
	"sync"
	"testing"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
)

// fakePlatform makes address spaces that keep a page table of what was mapped; tests play the guest on it.
type fakePlatform struct {
	files map[int32]*os.File
	last  *fakeSpace
}

type fakePage struct {
	fd   int32
	off  uint64
	prot platform.Prot
}

type fakeSpace struct {
	mu      sync.Mutex
	pages   map[uint64]fakePage
	applies int
	ops     []platform.MapOp // of the last Apply
	fail    linux.Errno      // of the next Apply
	dead    bool
	changed int
}

func (p *fakePlatform) Name() string                 { return "fake" }
func (p *fakePlatform) UserRange() (uint64, uint64)  { return 0x10000, 1<<47 - 4096 }
func (p *fakePlatform) FPSize() int                  { return 512 }
func (p *fakePlatform) Close()                       {}
func (s *fakeSpace) TextChanged(addr, length uint64) { s.changed++ }
func (s *fakeSpace) HostPID() int                    { return 0 }
func (s *fakeSpace) Release()                        { s.mu.Lock(); s.dead = true; s.mu.Unlock() }

func (p *fakePlatform) NewAddressSpace() (platform.AddressSpace, linux.Errno) {
	p.last = &fakeSpace{pages: map[uint64]fakePage{}}
	return p.last, 0
}

func (s *fakeSpace) NewThread() (platform.Thread, linux.Errno) { return nil, linux.ENOSYS }

func (s *fakeSpace) Apply(ops []platform.MapOp) linux.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return linux.ESRCH
	}
	if s.fail != 0 {
		e := s.fail
		s.fail = 0
		return e
	}
	s.applies++
	s.ops = append(s.ops[:0], ops...)
	for _, o := range ops {
		if o.Addr&pageMask|o.Len&pageMask|o.Offset&pageMask != 0 || o.Len == 0 || o.Addr < 0x10000 || o.Addr+o.Len > 1<<47-4096 {
			panic("bad MapOp")
		}
		if o.Kind == platform.OpUnmap && o.Len > 1<<30 {
			for a := range s.pages {
				if a >= o.Addr && a < o.Addr+o.Len {
					delete(s.pages, a)
				}
			}
			continue
		}
		for a := o.Addr; a < o.Addr+o.Len; a += pageSize {
			switch o.Kind {
			case platform.OpMap:
				s.pages[a] = fakePage{o.FD, o.Offset + a - o.Addr, o.Prot}
			case platform.OpUnmap:
				delete(s.pages, a)
			case platform.OpProtect:
				pg, ok := s.pages[a]
				if !ok {
					return linux.ENOMEM // as mprotect(2) on a hole
				}
				pg.prot = o.Prot
				s.pages[a] = pg
			}
		}
	}
	return 0
}

// guest is what a test program does with its memory.
type guest struct {
	t      testing.TB
	as     *AddressSpace
	host   *fakeSpace
	p      *fakePlatform
	faults int
}

func newGuest(t testing.TB) *guest {
	t.Helper()
	mf, err := mem.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &fakePlatform{files: map[int32]*os.File{}}
	as, errno := New(p, mf)
	if errno != 0 {
		t.Fatal(errno)
	}
	g := &guest{t: t, as: as, host: p.last, p: p}
	t.Cleanup(func() {
		if u := mf.Usage(); g.as == nil && u != 0 {
			t.Errorf("%d bytes of memory leaked", u)
		}
		mf.Close()
	})
	return g
}

// end drops the address space; the cleanup then expects all memory back.
func (g *guest) end() {
	g.as.Put()
	g.as = nil
}

func (g *guest) fork() *guest {
	g.t.Helper()
	c, errno := g.as.Fork()
	if errno != 0 {
		g.t.Fatal("fork: ", errno)
	}
	return &guest{t: g.t, as: c, host: g.p.last, p: g.p}
}

// page gives the stub's page for an access, faulting it in; nil and the signal if that fails.
func (g *guest) page(addr uint64, access platform.Prot) (fakePage, Fault) {
	for range 8 {
		g.host.mu.Lock()
		pg, ok := g.host.pages[pageDown(addr)]
		g.host.mu.Unlock()
		if ok && pg.prot&access != 0 {
			return pg, Fault{}
		}
		g.faults++
		if f, ok := g.as.HandleFault(addr, access); !ok {
			return fakePage{}, f
		}
	}
	g.t.Helper()
	g.t.Fatalf("access %d at %#x faults for ever", access, addr)
	return fakePage{}, Fault{}
}

func (g *guest) load(addr uint64) (byte, Fault) {
	pg, f := g.page(addr, linux.PROT_READ)
	if f.Signo != 0 {
		return 0, f
	}
	off := pg.off + addr&pageMask
	if pg.fd == g.as.mf.FD() {
		return g.as.mf.Slice(mem.Range{Off: off, Len: 1})[0], f
	}
	var b [1]byte
	g.p.files[pg.fd].ReadAt(b[:], int64(off))
	return b[0], f
}

func (g *guest) store(addr uint64, v byte) Fault {
	pg, f := g.page(addr, linux.PROT_WRITE)
	if f.Signo != 0 {
		return f
	}
	off := pg.off + addr&pageMask
	if pg.fd == g.as.mf.FD() {
		g.as.mf.Slice(mem.Range{Off: off, Len: 1})[0] = v
	} else if _, err := g.p.files[pg.fd].WriteAt([]byte{v}, int64(off)); err != nil {
		g.t.Fatal(err)
	}
	return f
}

func (g *guest) mmap(addr, length uint64, prot, flags uint32) uint64 {
	g.t.Helper()
	a, errno := g.as.MMap(&MMapOpts{Addr: addr, Len: length, Prot: prot, Flags: flags | linux.MAP_ANONYMOUS})
	if errno != 0 {
		g.t.Fatal("mmap: ", errno)
	}
	return a
}

func (g *guest) want(addr uint64, v byte) {
	g.t.Helper()
	if b, f := g.load(addr); f.Signo != 0 || b != v {
		g.t.Fatalf("guest loads %d (%+v) at %#x, want %d", b, f, addr, v)
	}
	var b [1]byte
	if n, errno := g.as.CopyIn(b[:], addr); n != 1 || errno != 0 || b[0] != v {
		g.t.Fatalf("sentry reads %d (%v) at %#x, want %d", b[0], errno, addr, v)
	}
}

func (g *guest) set(addr uint64, v byte) {
	g.t.Helper()
	if f := g.store(addr, v); f.Signo != 0 {
		g.t.Fatalf("store at %#x: %+v", addr, f)
	}
}

// fakeFile is a host file, mapped by its descriptor.
type fakeFile struct {
	f    *os.File
	refs int
	maps map[Mapping]int
}

func newFakeFile(g *guest, content []byte) *fakeFile {
	f, err := os.CreateTemp(g.t.TempDir(), "")
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { f.Close() })
	g.p.files[int32(f.Fd())] = f
	return &fakeFile{f: f, maps: map[Mapping]int{}}
}

func (f *fakeFile) GetRef()            { f.refs++ }
func (f *fakeFile) PutRef()            { f.refs-- }
func (f *fakeFile) Mapped() MappedFile { return f }
func (f *fakeFile) PathName() string   { return "/lib/fake.so" }
func (f *fakeFile) size() uint64       { st, _ := f.f.Stat(); return uint64(st.Size()) }

func (f *fakeFile) Backing(off, length uint64, write bool) (Backing, linux.Errno) {
	end := pageUp(f.size())
	if off >= end {
		return Backing{}, linux.ENXIO
	}
	return Backing{FD: int32(f.f.Fd()), Offset: off, Len: min(length, end-off), Write: write}, 0
}

func (f *fakeFile) AddMapping(m Mapping, off, length uint64) { f.maps[m]++ }
func (f *fakeFile) RemoveMapping(m Mapping, off, length uint64) {
	if f.maps[m]--; f.maps[m] == 0 {
		delete(f.maps, m)
	}
}
func (f *fakeFile) MapIdentity() (uint64, uint64) { return 8, 77 }
func (f *fakeFile) ReadAt(b []byte, off uint64) (int, linux.Errno) {
	n, _ := f.f.ReadAt(b, int64(off))
	return n, 0
}
func (f *fakeFile) WriteAt(b []byte, off uint64) (int, linux.Errno) {
	n, _ := f.f.WriteAt(b, int64(off))
	return n, 0
}
