package mm

import (
	"sync"
	"sync/atomic"

	"hornwork/host/mem"
	"hornwork/lib/interval"
	"hornwork/lib/ref"
	"hornwork/linux"
)

// sharedAnon is the memory of MAP_SHARED|MAP_ANONYMOUS: a nameless file of fixed size, as Linux's shmem_zero_setup
// makes one. It is its own FileRef.
type sharedAnon struct {
	refs  ref.Count
	mf    *mem.File
	ino   uint64
	mu    sync.Mutex // a leaf but for the memory file's; guards pages and maps
	size  uint64
	pages interval.Map[uint64] // offset → offset in the memory file
	maps  map[Mapping]struct{} // to be told of holes
}

var lastShared atomic.Uint64

func newSharedAnon(mf *mem.File, size uint64) *sharedAnon {
	return &sharedAnon{mf: mf, size: size, ino: lastShared.Add(1)}
}

func (s *sharedAnon) GetRef()            { s.refs.Get() }
func (s *sharedAnon) Mapped() MappedFile { return s }
func (s *sharedAnon) PathName() string   { return "/dev/zero (deleted)" }

func (s *sharedAnon) PutRef() {
	if !s.refs.Put() {
		return
	}
	for it := s.pages.First(); it.Ok(); it = it.Next() {
		s.mf.Put(s.span(it))
	}
	s.pages.Clear()
}

func (s *sharedAnon) span(it interval.Iter[uint64]) mem.Range {
	return mem.Range{Off: *it.Val(), Len: it.End() - it.Start()}
}

// cut makes off a boundary between pieces.
func (s *sharedAnon) cut(off uint64) {
	if it := s.pages.Find(off); it.Ok() && it.Start() < off {
		start, end, at := it.Start(), it.End(), *it.Val()
		s.pages.Resize(it, start, off)
		s.pages.Insert(off, end, at+off-start)
	}
}

// Backing implements MappedFile; memory comes as it is first touched.
func (s *sharedAnon) Backing(off, length uint64, write bool) (Backing, linux.Errno) {
	if off >= s.size {
		return Backing{}, linux.ENXIO
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.pages.Seek(off)
	if !it.Ok() || it.Start() > off {
		n := min(length, s.size-off)
		if it.Ok() {
			n = min(n, it.Start()-off)
		}
		n = min(n, blockFor(off, n))
		r, errno := s.mf.Alloc(n, mem.Shmem)
		if errno != 0 {
			return Backing{}, errno
		}
		it = s.pages.Insert(off, off+n, r.Off)
	}
	b := Backing{FD: s.mf.FD(), Mem: true, Write: true, Offset: *it.Val() + off - it.Start(), Len: min(length, it.End()-off)}
	s.mf.Get(mem.Range{Off: b.Offset, Len: b.Len})
	return b, 0
}

// blockFor is how much to allocate at once for a file at off: up to 2 MiB where the file is large.
func blockFor(off, length uint64) uint64 {
	n := uint64(64 << 10)
	for n < maxBlock && off&(4*n-1) == 0 && length >= 4*n && off > 0 {
		n *= 4
	}
	if off == 0 && length <= 256<<10 {
		return length
	}
	if off&(n-1) != 0 {
		n -= off & (n - 1)
	}
	return n
}

// AddMapping implements MappedFile.
func (s *sharedAnon) AddMapping(m Mapping, _, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maps == nil {
		s.maps = map[Mapping]struct{}{}
	}
	s.maps[m] = struct{}{}
}

// RemoveMapping implements MappedFile.
func (s *sharedAnon) RemoveMapping(m Mapping, _, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.maps, m)
}

// MapIdentity implements MappedFile: Linux has these on an internal tmpfs, device 0:1.
func (s *sharedAnon) MapIdentity() (dev, ino uint64) { return 1, s.ino }

func (s *sharedAnon) ReadAt(b []byte, off uint64) (int, linux.Errno) {
	return 0, linux.EOPNOTSUPP // all is in the memory file
}
