package mem

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// eachKind runs a test on a memfd and on a tmpfs with huge pages, where the machine lets us have one.
func eachKind(t *testing.T, fn func(t *testing.T, f *File)) {
	for name, create := range map[string]func() (int, error){"memfd": createMemfd, "tmpfs": createHuge} {
		t.Run(name, func(t *testing.T) {
			fd, err := create()
			if err != nil {
				t.Skip("cannot mount tmpfs here: ", err)
			}
			f, err := NewFD(fd)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			fn(t, f)
		})
	}
}

// hostBytes is what the host says the file occupies.
func hostBytes(t *testing.T, f *File) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

func TestNewMemoryIsZeroAndItsOwn(t *testing.T) {
	eachKind(t, func(t *testing.T, f *File) {
		rng := rand.New(rand.NewPCG(1, 2))
		type owned struct {
			r    Range
			refs int
			tag  byte
		}
		var live []owned
		pages := uint64(0)
		for i := range 4000 {
			if rng.IntN(100) < 55 && pages < 20000 {
				n := uint64(1 + rng.IntN(40))
				if rng.IntN(50) == 0 {
					n = uint64(1 + rng.IntN(1600))
				}
				kind := Kind(rng.IntN(4))
				noZero := rng.IntN(4) == 0
				near := ^uint64(0)
				if len(live) > 0 {
					near = live[rng.IntN(len(live))].r.End()
				}
				k := kind
				if noZero {
					k |= NoZero
				}
				r, errno := f.AllocNear(n*PageSize, k, near)
				if errno != 0 {
					t.Fatal(errno)
				}
				if r.Len != n*PageSize || n >= chunkPages && r.Off%ChunkSize != 0 {
					t.Fatalf("asked %d pages, got %+v", n, r)
				}
				b := f.Slice(r)
				if !noZero && len(bytes.Trim(b[:], "\x00")) != 0 {
					t.Fatalf("step %d: memory not zero", i)
				}
				tag := byte(1 + i%255)
				for p := 0; p < len(b); p += PageSize {
					b[p], b[p+PageSize-1] = tag, tag
				}
				live = append(live, owned{r, 1, tag})
				pages += n
				continue
			}
			if len(live) == 0 {
				continue
			}
			k := rng.IntN(len(live))
			o := &live[k]
			b := f.Slice(o.r)
			for p := 0; p < len(b); p += PageSize {
				if b[p] != o.tag || b[p+PageSize-1] != o.tag {
					t.Fatalf("step %d: memory of another was written", i)
				}
			}
			if got := f.Refs(o.r.Off + o.r.Len - 1); got != int64(o.refs) {
				t.Fatalf("refs %d, want %d", got, o.refs)
			}
			switch rng.IntN(4) {
			case 0:
				f.Get(o.r)
				o.refs++
			case 1:
				if o.r.Len > PageSize && o.refs == 1 { // give a part back
					cut := uint64(1+rng.IntN(int(o.r.Len/PageSize)-1)) * PageSize
					f.Put(Range{o.r.Off + cut, o.r.Len - cut})
					pages -= (o.r.Len - cut) / PageSize
					o.r.Len = cut
				}
			default:
				f.Put(o.r)
				if o.refs--; o.refs == 0 {
					pages -= o.r.Len / PageSize
					live[k] = live[len(live)-1]
					live = live[:len(live)-1]
				}
			}
			if rng.IntN(200) == 0 {
				f.trim(uint64(rng.IntN(2)) * 1000)
			}
			if f.Usage() != pages*PageSize {
				t.Fatalf("step %d: usage %d, want %d", i, f.Usage(), pages*PageSize)
			}
		}
		for _, o := range live {
			for range o.refs {
				f.Put(o.r)
			}
		}
		if f.Usage() != 0 || len(f.freeRuns) != 1 || f.freeRuns[0].n != uint64(len(f.chunks)) {
			t.Fatalf("after all was put: usage %d, free runs %v of %d chunks", f.Usage(), f.freeRuns, len(f.chunks))
		}
		f.trim(0)
		if got := hostBytes(t, f); got > 4<<20 { // the host could not split every folio
			t.Errorf("host still holds %d bytes", got)
		}
	})
}

func TestLimitIsENOMEM(t *testing.T) {
	eachKind(t, func(t *testing.T, f *File) {
		f.SetLimit(1 << 20)
		r, errno := f.Alloc(1<<20, Anon)
		if errno != 0 {
			t.Fatal(errno)
		}
		if _, errno := f.Alloc(PageSize, Anon); errno != linux.ENOMEM {
			t.Errorf("over the limit: %v", errno)
		}
		f.Put(r)
		if _, errno := f.Alloc(PageSize, Shmem); errno != 0 {
			t.Errorf("below the limit again: %v", errno)
		}
		if got := f.UsageOf(Shmem); got != PageSize {
			t.Errorf("usage of shmem %d", got)
		}
		if _, errno := f.Alloc(1<<62, Anon); errno != linux.ENOMEM {
			t.Errorf("absurd size: %v", errno)
		}
	})
}

func TestQuietFileGivesMemoryBack(t *testing.T) {
	eachKind(t, func(t *testing.T, f *File) {
		var rs []Range
		for range 64 {
			r, errno := f.Alloc(64<<10, Anon)
			if errno != 0 {
				t.Fatal(errno)
			}
			f.Slice(r)[0] = 1
			rs = append(rs, r)
		}
		for i, r := range rs {
			if i%2 == 0 {
				f.Put(r)
			}
		}
		deadline := time.Now().Add(20 * time.Second)
		for f.Warm() > warmIdle*PageSize && time.Now().Before(deadline) {
			time.Sleep(50 * time.Millisecond)
		}
		if w := f.Warm(); w > warmIdle*PageSize {
			t.Fatalf("%d bytes still warm", w)
		}
		for i, r := range rs {
			if i%2 == 1 && f.Slice(r)[0] != 1 {
				t.Fatal("memory in use was lost")
			}
		}
		if got, most := hostBytes(t, f), int64(f.Usage()+2*warmIdle*PageSize); got > most {
			t.Errorf("host holds %d bytes, want at most %d", got, most)
		}
	})
}

func TestConcurrentAllocations(t *testing.T) {
	eachKind(t, func(t *testing.T, f *File) {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(g), 1))
				for range 300 {
					r, errno := f.Alloc(uint64(1+rng.IntN(600))*PageSize, Anon)
					if errno != 0 {
						t.Error(errno)
						return
					}
					b := f.Slice(r)
					for p := 0; p < len(b); p += PageSize {
						if b[p] != 0 {
							t.Error("not zero")
							return
						}
						b[p] = byte(g + 1)
					}
					for p := 0; p < len(b); p += PageSize {
						if b[p] != byte(g+1) {
							t.Error("shared with another")
							return
						}
					}
					f.Put(r)
				}
			})
		}
		wg.Wait()
		if f.Usage() != 0 {
			t.Errorf("usage %d", f.Usage())
		}
	})
}

func TestSoleRun(t *testing.T) {
	eachKind(t, func(t *testing.T, f *File) {
		r, _ := f.Alloc(ChunkSize+8*PageSize, Anon)
		f.Get(Range{r.Off + 4*PageSize, 4 * PageSize})
		for _, c := range []struct {
			off, want uint64
			sole      bool
		}{{0, 4, true}, {4, 4, false}, {5, 3, false}, {8, chunkPages, true}} {
			n, sole := f.SoleRun(Range{r.Off + c.off*PageSize, r.Len - c.off*PageSize})
			if n != c.want*PageSize || sole != c.sole {
				t.Errorf("from %d: %d %v, want %d %v", c.off, n/PageSize, sole, c.want, c.sole)
			}
		}
	})
}

func BenchmarkAlloc(b *testing.B) {
	for _, size := range []uint64{PageSize, 64 << 10, 2 << 20, 64 << 20} {
		b.Run(fmt.Sprint(size>>10, "K"), func(b *testing.B) {
			f, err := New()
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.ReportAllocs()
			for b.Loop() {
				r, errno := f.Alloc(size, Anon)
				if errno != 0 {
					b.Fatal(errno)
				}
				f.Put(r)
			}
		})
	}
}

// A host that has no memory for us is ENOMEM, and what could not be had is never touched.
func TestHostWithoutMemoryIsENOMEM(t *testing.T) {
	eachKind(t, func(t *testing.T, f *File) {
		good := f.fd
		bad, err := unix.Open("/dev/full", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Skip(err)
		}
		f.fd = bad
		for _, n := range []uint64{PageSize, 64 << 10, 5 << 20} {
			if _, errno := f.Alloc(n, Anon); errno != linux.ENOMEM {
				t.Errorf("%d bytes: %v", n, errno)
			}
		}
		f.fd = good
		unix.Close(bad)
		if f.Usage() != 0 || f.Warm() != 0 {
			t.Errorf("usage %d, warm %d", f.Usage(), f.Warm())
		}
		for range 5 {
			r, errno := f.Alloc(5<<20, Anon)
			if errno != 0 {
				t.Fatal(errno)
			}
			for i := range f.Slice(r) {
				if f.Slice(r)[i] != 0 {
					t.Fatal("not zero")
				}
			}
		}
	})
}

func BenchmarkNewMemory(b *testing.B) {
	for name, create := range map[string]func() (int, error){"memfd": createMemfd, "tmpfs": createHuge} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(64 << 20)
			for b.Loop() {
				b.StopTimer()
				fd, err := create()
				if err != nil {
					b.Skip(err)
				}
				f, err := NewFD(fd)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				for range 32 {
					f.Alloc(2<<20, Anon)
				}
				b.StopTimer()
				f.Close()
				b.StartTimer()
			}
		})
	}
}
