package tmpfs_test

import (
	"bytes"
	"slices"
	"testing"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/mm"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// told is an address space that notes what it is told.
type told struct{ from, to uint64 }

func (m *told) Invalidate(off, length uint64) { m.from, m.to = off, off+length }
func (m *told) Truncated(off uint64)          { m.from, m.to = off, ^uint64(0) }
func (m *told) SharedWritable() bool          { return true }

func TestMappingsShareTheFilesPages(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	before := testMem().Usage()
	f, _ := open(c, "f", linux.O_CREAT|linux.O_RDWR, 0o600)
	m := f.Ops.(mm.MappedFile)
	_, errno := m.Backing(0, 4096, false)
	want(t, "backing of an empty file", errno, linux.ENXIO)
	src := usermem.Kernel(bytes.Repeat([]byte("x"), 5000))
	f.PWrite(c, &src, 0)
	f.Truncate(c, 100<<10)

	b, errno := m.Backing(4096, 64<<10, false)
	want(t, "backing", errno, 0)
	page := testMem().Slice(mem.Range{Off: b.Offset, Len: b.Len})
	if !b.Mem || page[903] != 'x' || page[904] != 0 {
		t.Error("the mapping shows something else")
	}
	page[0] = 'y'
	buf := make([]byte, 1)
	dst := usermem.Kernel(buf)
	f.PRead(c, &dst, 4096)
	if buf[0] != 'y' {
		t.Error("the file does not show a store to the mapping")
	}
	hole, errno := m.Backing(64<<10, 64<<10, true)
	want(t, "backing of a hole", errno, 0)
	if hole.Offset%4096 != 0 || hole.Len == 0 || hole.Len > 36<<10+4096 {
		t.Errorf("backing of a hole: %+v", hole)
	}
	testMem().Slice(mem.Range{Off: hole.Offset, Len: 1})[0] = 'z'
	dst = usermem.Kernel(buf)
	f.PRead(c, &dst, 64<<10)
	if buf[0] != 'z' {
		t.Error("the file does not show a store to a filled hole")
	}
	_, errno = m.Backing(100<<10, 4096, false)
	want(t, "backing behind the end", errno, linux.ENXIO)

	var as told
	m.AddMapping(&as, 4096, 96<<10)
	want(t, "truncate", f.Truncate(c, 5000), 0)
	if as.from != 8192 || as.to != ^uint64(0) {
		t.Errorf("told of [%d, %d)", as.from, as.to)
	}
	as = told{}
	want(t, "punch", f.Fallocate(c, linux.FALLOC_FL_PUNCH_HOLE|linux.FALLOC_FL_KEEP_SIZE, 0, 4096), 0)
	if as != (told{}) {
		t.Error("told of a hole outside of the mapping")
	}
	m.RemoveMapping(&as, 4096, 96<<10)
	f.Truncate(c, 0)
	if as != (told{}) {
		t.Error("told after the mapping was removed")
	}
	// The mapping's own references keep its pages.
	if page[0] != 'y' {
		t.Error("a mapped page was reused")
	}
	testMem().Put(mem.Range{Off: b.Offset, Len: b.Len})
	testMem().Put(mem.Range{Off: hole.Offset, Len: hole.Len})
	f.Put()
	vfs.Unlink(c, c.Cwd, "f")
	if now := testMem().Usage(); now != before {
		t.Errorf("%d bytes are still in use", int64(now-before))
	}
}

// log is a watcher that writes events down.
type log []string

func (l *log) Notify(_ *vfs.Inode, ev vfs.Event) {
	names := map[uint32]string{linux.IN_CREATE: "create", linux.IN_OPEN: "open", linux.IN_MODIFY: "modify",
		linux.IN_CLOSE_WRITE: "close", linux.IN_DELETE: "delete", linux.IN_DELETE_SELF: "gone", linux.IN_ATTRIB: "attrib",
		linux.IN_MOVED_FROM: "from", linux.IN_MOVED_TO: "to", linux.IN_MOVE_SELF: "moved"}
	*l = append(*l, names[ev.Mask&^linux.IN_ISDIR]+" "+ev.Name)
}

func TestWatchersAreTold(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	vfs.Mkdir(c, c.Cwd, "d", 0o755)
	p := at(t, c, "d")
	defer p.Put()
	var dir, file log
	p.Inode().AddWatcher(&dir)
	write(t, c, "d/f", "x")
	i := at(t, c, "d/f")
	i.Inode().AddWatcher(&file)
	i.Put()
	vfs.DropCaches() // what is watched stays
	writeTo(t, c, "d/f")
	vfs.Rename(c, c.Cwd, "d/f", c.Cwd, "d/g", 0)
	vfs.Unlink(c, c.Cwd, "d/g")
	p.Inode().RemoveWatcher(&dir)
	write(t, c, "d/f", "x")
	// As Linux 6.18 tells it.
	wantDir := log{"create f", "open f", "modify f", "close f", "open f", "modify f", "close f", "from f", "to g", "delete g"}
	wantFile := log{"open ", "modify ", "close ", "moved ", "attrib ", "gone "}
	if !slices.Equal(dir, wantDir) {
		t.Errorf("the directory's watcher heard %q, want %q", dir, wantDir)
	}
	if !slices.Equal(file, wantFile) {
		t.Errorf("the file's watcher heard %q, want %q", file, wantFile)
	}
}
