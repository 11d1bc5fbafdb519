package remote

import (
	"slices"

	"hornwork/host/sys"
	"hornwork/lib/rank"
	"hornwork/linux"
	"hornwork/sentry/mm"
)

// mappings is who has mapped parts of a file.
type mappings struct {
	mu   rank.Mutex[rank.FileData] // guards list
	list []mapping
}

type mapping struct {
	m           mm.Mapping
	off, length uint64
}

// invalidate tells everybody who maps some of [from, to) that it has gone.
func (s *mappings) invalidate(from, to uint64) {
	from &^= linux.PageMask
	s.mu.Lock()
	hit := slices.Clone(s.list)
	s.mu.Unlock()
	for _, x := range hit {
		if a, b := max(from, x.off), min(to, x.off+x.length); a < b {
			x.m.Invalidate(a, b-a)
		}
	}
}

// truncated tells everybody who maps what is beyond the file's new size. The rest of the last page is the host's to
// clear.
func (s *mappings) truncated(size uint64) {
	off := (size + linux.PageMask) &^ linux.PageMask
	s.mu.Lock()
	hit := slices.Clone(s.list)
	s.mu.Unlock()
	for _, x := range hit {
		if off < x.off+x.length {
			x.m.Truncated(off)
		}
	}
}

// Backing says that the bytes are in the donated descriptor itself.
func (o *openFile) Backing(off, length uint64, write bool) (mm.Backing, linux.Errno) {
	n := o.n
	if !n.fs.immutable() {
		var st linux.Stat
		if errno := sys.FstatRaw(o.d.fd, &st); errno != 0 {
			return mm.Backing{}, errno
		}
		n.attr.Size.Store(st.Size)
	}
	writable := o.d.write
	if write && !writable {
		return mm.Backing{}, linux.EACCES
	}
	end := (uint64(n.attr.Size.Load()) + linux.PageMask) &^ linux.PageMask
	if off >= end {
		return mm.Backing{}, linux.ENXIO
	}
	return mm.Backing{FD: o.d.fd, Offset: off, Len: min(max(length, linux.PageSize), end-off), Write: writable}, 0
}

// AddMapping notes who has to be told when the file shrinks.
func (o *openFile) AddMapping(m mm.Mapping, off, length uint64) {
	s := &o.n.maps
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, mapping{m, off, length})
}

// RemoveMapping undoes one AddMapping.
func (o *openFile) RemoveMapping(m mm.Mapping, off, length uint64) {
	s := &o.n.maps
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.list, mapping{m, off, length}); i >= 0 {
		s.list = slices.Delete(s.list, i, i+1)
	}
}

// MapIdentity is the same for every open of one inode.
func (o *openFile) MapIdentity() (dev, ino uint64) { return o.n.SB.Dev, o.n.Ino }

// ReadAt reads bytes of the file for the sentry.
func (o *openFile) ReadAt(b []byte, off uint64) (int, linux.Errno) {
	if off > 1<<62 {
		return 0, 0
	}
	return sys.Pread(o.d.fd, b, int64(off))
}

var _ mm.MappedFile = (*openFile)(nil)
