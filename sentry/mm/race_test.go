package mm

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/usermem"
)

// Threads of one guest map, fault, copy and fork at the same time, while a file shrinks and grows under them. What
// each does to its own span must come out as if it were alone.
func TestThreadsDoNotDisturbEachOther(t *testing.T) {
	g := newGuest(t)
	f := newFakeFile(g, bytes.Repeat([]byte{5}, 64*pageSize))
	var mapsMu sync.Mutex
	shared := &lockedFile{fakeFile: f, mu: &mapsMu}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 5))
			base := uint64(fuzzBase + n*1<<28)
			for i := range 150 {
				a, errno := g.as.MMap(&MMapOpts{Addr: base, Len: 64 * pageSize, Prot: rw, Flags: fixed | linux.MAP_ANONYMOUS})
				if errno != 0 {
					t.Error(errno)
					return
				}
				v := byte(i)
				at := a + rng.Uint64N(63*pageSize)
				if _, errno := g.as.CopyOut(at, []byte{v, v}); errno != 0 {
					t.Error(errno)
					return
				}
				if _, ok := g.as.HandleFault(at, platform.Prot(linux.PROT_WRITE)); !ok {
					t.Error("fault")
				}
				if n == 0 && i%8 == 0 {
					c, errno := g.as.Fork()
					if errno != 0 {
						t.Error(errno)
						return
					}
					c.CopyOut(at, []byte{99})
					c.Put()
				}
				var p usermem.Pinned
				if errno := g.as.Pin(&p, at, 2, true); errno != 0 {
					t.Error(errno)
					return
				}
				p.Blocks[0][0] = v + 1
				p.Release()
				var b [1]byte
				if _, errno := g.as.CopyIn(b[:], at); errno != 0 || b[0] != v+1 {
					t.Errorf("thread %d reads %d (%v), want %d", n, b[0], errno, v+1)
					return
				}
				m, errno := g.as.MMap(&MMapOpts{Len: 64 * pageSize, Prot: rw, Flags: priv, File: shared, MaxProt: protMask})
				if errno != 0 {
					t.Error(errno)
					return
				}
				if n == 1 {
					shared.invalidate()
				}
				if _, errno := g.as.CopyOut(m+uint64(n)*pageSize, []byte{v}); errno != 0 {
					t.Error(errno)
				}
				if _, errno := g.as.CopyIn(b[:], m+uint64(n)*pageSize); errno != 0 || b[0] != v {
					t.Errorf("copy of the file: %d %v, want %d", b[0], errno, v)
				}
				g.as.MProtect(m, 8*pageSize, linux.PROT_READ)
				g.as.MUnmap(m, 64*pageSize)
			}
		})
	}
	wg.Wait()
	checkTotals(t, g.as)
	g.end()
	if f.refs != 0 || len(f.maps) != 0 {
		t.Errorf("file keeps %d references, %d mappings", f.refs, len(f.maps))
	}
}

// lockedFile is a fakeFile for several threads.
type lockedFile struct {
	*fakeFile
	mu *sync.Mutex
}

func (f *lockedFile) Mapped() MappedFile { return f }
func (f *lockedFile) GetRef()            { f.mu.Lock(); f.fakeFile.GetRef(); f.mu.Unlock() }
func (f *lockedFile) PutRef()            { f.mu.Lock(); f.fakeFile.PutRef(); f.mu.Unlock() }
func (f *lockedFile) AddMapping(m Mapping, off, n uint64) {
	f.mu.Lock()
	f.fakeFile.AddMapping(m, off, n)
	f.mu.Unlock()
}
func (f *lockedFile) RemoveMapping(m Mapping, off, n uint64) {
	f.mu.Lock()
	f.fakeFile.RemoveMapping(m, off, n)
	f.mu.Unlock()
}

func (f *lockedFile) invalidate() {
	f.mu.Lock()
	var all []Mapping
	for m := range f.maps {
		all = append(all, m)
	}
	f.mu.Unlock()
	for _, m := range all {
		m.Invalidate(0, 64*pageSize)
	}
}
