package inotify

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/vfs"
)

func newTest(t *testing.T) (*vfs.Caller, *vfs.File, *Inotify) {
	t.Helper()
	c := fstest.Caller()
	f, errno := New(c, linux.IN_NONBLOCK)
	if errno != 0 {
		t.Fatal(errno)
	}
	in, _ := FromFile(f)
	return c, f, in
}

// watcher returns the watch wd, to be notified as vfs would.
func (in *Inotify) watcher(wd int32) vfs.Watcher { return in.watches[wd] }

// read returns the queued events as text.
func read(t *testing.T, c *vfs.Caller, f *vfs.File) (out []string) {
	t.Helper()
	s, errno := fstest.Read(c, f, 1<<20)
	if errno != 0 && errno != linux.EAGAIN {
		t.Fatal(errno)
	}
	b := []byte(s)
	for len(b) > 0 {
		le := binary.LittleEndian
		n := le.Uint32(b[12:])
		name := strings.TrimRight(string(b[16:16+n]), "\x00")
		out = append(out, fmt.Sprintf("%d %#x %d %s", int32(le.Uint32(b)), le.Uint32(b[4:]), le.Uint32(b[8:]), name))
		b = b[16+n:]
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMasks(t *testing.T) {
	tests := []struct {
		mask uint32
		want linux.Errno
	}{
		{linux.IN_ALL_EVENTS, 0},
		{0, linux.EINVAL},
		{1 << 16, linux.EINVAL},
		{linux.IN_MODIFY | 1<<17, linux.EINVAL},
		{linux.IN_MODIFY | linux.IN_MASK_ADD | linux.IN_MASK_CREATE, linux.EINVAL},
		{linux.IN_MODIFY | linux.IN_MASK_ADD | linux.IN_ONESHOT | linux.IN_ONLYDIR, 0},
	}
	for _, tt := range tests {
		if got := CheckMask(tt.mask); got != tt.want {
			t.Errorf("%#x: %v, want %v", tt.mask, got, tt.want)
		}
	}
}

func TestWatchesOfOneInode(t *testing.T) {
	c, f, in := newTest(t)
	i := &vfs.Inode{}
	wd, _ := in.AddWatch(i, linux.IN_MODIFY)
	if again, errno := in.AddWatch(i, linux.IN_OPEN|linux.IN_MASK_ADD); again != wd || errno != 0 {
		t.Errorf("add: %d, %v", again, errno)
	}
	if _, errno := in.AddWatch(i, linux.IN_OPEN|linux.IN_MASK_CREATE); errno != linux.EEXIST {
		t.Errorf("create: %v", errno)
	}
	w := in.watcher(wd)
	w.Notify(i, vfs.Event{Mask: linux.IN_MODIFY})
	w.Notify(i, vfs.Event{Mask: linux.IN_OPEN})
	w.Notify(i, vfs.Event{Mask: linux.IN_ATTRIB})
	expect(t, read(t, c, f), "1 0x2 0 ", "1 0x20 0 ")
	in.AddWatch(i, linux.IN_ATTRIB) // replaces
	w.Notify(i, vfs.Event{Mask: linux.IN_MODIFY})
	w.Notify(i, vfs.Event{Mask: linux.IN_ATTRIB})
	expect(t, read(t, c, f), "1 0x4 0 ")
	if wd2, _ := in.AddWatch(&vfs.Inode{}, linux.IN_OPEN); wd2 != wd+1 {
		t.Errorf("second watch is %d", wd2)
	}
	if errno := in.RemoveWatch(wd); errno != 0 {
		t.Errorf("remove: %v", errno)
	}
	w.Notify(i, vfs.Event{Mask: linux.IN_ATTRIB})
	expect(t, read(t, c, f), "1 0x8000 0 ")
	if errno := in.RemoveWatch(wd); errno != linux.EINVAL {
		t.Errorf("remove again: %v", errno)
	}
}

func TestNamesCookiesAndCoalescing(t *testing.T) {
	c, f, in := newTest(t)
	i := &vfs.Inode{}
	wd, _ := in.AddWatch(i, linux.IN_ALL_EVENTS)
	w := in.watcher(wd)
	w.Notify(i, vfs.Event{Mask: linux.IN_MOVED_FROM, Name: "a", Cookie: 7})
	w.Notify(i, vfs.Event{Mask: linux.IN_MOVED_TO | linux.IN_ISDIR, Name: "fifteen-letters", Cookie: 7})
	for range 3 {
		w.Notify(i, vfs.Event{Mask: linux.IN_MODIFY, Name: "sixteen--letters"})
	}
	if n, _ := fstest.Ioctl(c, f, linux.FIONREAD, 0); n != 32+32+48 {
		t.Errorf("FIONREAD %d", n)
	}
	if _, errno := fstest.Read(c, f, 31); errno != linux.EINVAL {
		t.Errorf("too small: %v", errno)
	}
	if s, _ := fstest.Read(c, f, 63); len(s) != 32 {
		t.Errorf("room for one and a half: %d bytes", len(s))
	}
	expect(t, read(t, c, f), "1 0x40000080 7 fifteen-letters", "1 0x2 0 sixteen--letters")
}

func TestEndsOfWatches(t *testing.T) {
	tests := []struct {
		name   string
		mask   uint32
		events []vfs.Event
		want   []string
	}{
		{"one-shot", linux.IN_OPEN | linux.IN_ONESHOT,
			[]vfs.Event{{Mask: linux.IN_MODIFY}, {Mask: linux.IN_OPEN}, {Mask: linux.IN_OPEN}},
			[]string{"1 0x20 0 ", "1 0x8000 0 "}},
		{"deleted, asked for", linux.IN_DELETE_SELF, []vfs.Event{{Mask: linux.IN_DELETE_SELF}},
			[]string{"1 0x400 0 ", "1 0x8000 0 "}},
		{"deleted, not asked for", linux.IN_OPEN, []vfs.Event{{Mask: linux.IN_DELETE_SELF}}, []string{"1 0x8000 0 "}},
		{"unmounted", linux.IN_OPEN, []vfs.Event{{Mask: linux.IN_UNMOUNT}}, []string{"1 0x2000 0 ", "1 0x8000 0 "}},
		{"unlinked children left out", linux.IN_MODIFY | linux.IN_EXCL_UNLINK,
			[]vfs.Event{{Mask: linux.IN_MODIFY, Name: "x", Unlinked: true}, {Mask: linux.IN_MODIFY, Name: "x"}},
			[]string{"1 0x2 0 x"}},
		{"unlinked children", linux.IN_MODIFY, []vfs.Event{{Mask: linux.IN_MODIFY, Name: "x", Unlinked: true}},
			[]string{"1 0x2 0 x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, f, in := newTest(t)
			i := &vfs.Inode{}
			wd, _ := in.AddWatch(i, tt.mask)
			w := in.watcher(wd)
			for _, ev := range tt.events {
				w.Notify(i, ev)
			}
			expect(t, read(t, c, f), tt.want...)
		})
	}
}

func TestOverflow(t *testing.T) {
	c, f, in := newTest(t)
	i := &vfs.Inode{}
	wd, _ := in.AddWatch(i, linux.IN_ALL_EVENTS)
	w := in.watcher(wd)
	for n := range MaxQueuedEvents + 10 {
		w.Notify(i, vfs.Event{Mask: linux.IN_MODIFY, Name: fmt.Sprint(n)})
	}
	got := read(t, c, f)
	if len(got) != MaxQueuedEvents+1 || got[len(got)-1] != "-1 0x4000 0 " {
		t.Errorf("%d events, the last %q", len(got), got[len(got)-1])
	}
	w.Notify(i, vfs.Event{Mask: linux.IN_OPEN})
	expect(t, read(t, c, f), "1 0x20 0 ")
	f.Put()
	w.Notify(i, vfs.Event{Mask: linux.IN_OPEN}) // a late one does no harm
}
