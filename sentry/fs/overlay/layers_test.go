package overlay_test

import (
	"slices"
	"strings"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/overlay"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func statOf(t testing.TB, c *vfs.Caller, name string) linux.Statx {
	t.Helper()
	p, errno := vfs.Walk(c, c.Cwd, name, 0)
	if errno != 0 {
		t.Fatalf("%s: %v", name, errno)
	}
	defer p.Put()
	var x linux.Statx
	vfs.Stat(c, p, &x)
	return x
}

func TestInodeNumbersSurviveChanges(t *testing.T) {
	low := newTmpfs()
	lc := callerOn(t, low.SB)
	populate(t, lc)
	before := dumpAll(t, lc)
	c := callerOn(t, overlay.New(overlay.Options{Lower: []*vfs.Superblock{low.SB}, Upper: newTmpfs()}).SB)
	dev := statOf(t, c, ".").DevMinor
	check := func(what, name string, ino uint64) {
		t.Helper()
		vfs.DropCaches()
		x := statOf(t, c, name)
		if x.Ino != ino || x.DevMinor != dev {
			t.Errorf("%s: %s has inode %d of device %d, want %d of %d", what, name, x.Ino, x.DevMinor, ino, dev)
		}
		dir, base := "/", name
		if k := strings.LastIndexByte(name, '/'); k >= 0 {
			dir, base = name[:k], name[k+1:]
		}
		if got := inoInDir(t, c, dir, base); got != ino {
			t.Errorf("%s: %s is listed with inode %d, want %d", what, name, got, ino)
		}
	}
	f, d := statOf(t, c, "a/f").Ino, statOf(t, c, "a/c").Ino
	check("at first", "a/f", f)
	step(c, 10, 7, 0) // chmod a/f
	check("chmod", "a/f", f)
	put(c, "a/f", "+", linux.O_APPEND)
	check("append", "a/f", f)
	vfs.Rename(c, c.Cwd, "a/f", c.Cwd, "b/moved", 0)
	check("rename", "b/moved", f)
	vfs.Rename(c, c.Cwd, "a/c", c.Cwd, "e/dir", 0)
	check("rename of a directory", "e/dir", d)
	if got, _ := get(c, "e/dir/d/g"); got != "lower a/c/d/g" {
		t.Errorf("below the moved directory is %q", got)
	}
	if errno := put(c, "e/dir/d/new", "x", 0); errno != 0 {
		t.Errorf("create below the moved directory: %v", errno)
	}
	if after := dumpAll(t, lc); after != before {
		t.Errorf("the layer was changed:\n%s\nbefore:\n%s", after, before)
	}
}

func inoInDir(t testing.TB, c *vfs.Caller, dir, name string) (ino uint64) {
	how := vfs.OpenHow(linux.O_RDONLY, 0)
	f, errno := vfs.Open(c, c.Cwd, dir, &how)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer f.Put()
	f.ReadDir(c, func(e vfs.DirEntry) bool {
		if e.Name == name {
			ino = e.Ino
		}
		return true
	})
	return ino
}

func TestHardLinksStayTogether(t *testing.T) {
	over, _ := pair(t, 1)
	if errno := put(over, "h1", "+more", linux.O_APPEND); errno != 0 {
		t.Fatal(errno)
	}
	vfs.DropCaches()
	if got, _ := get(over, "a/h2"); got != "linked+more" {
		t.Errorf("the other name has %q", got)
	}
	a, b := statOf(t, over, "h1"), statOf(t, over, "a/h2")
	if a.Ino != b.Ino || a.Nlink != 2 || b.Nlink != 2 {
		t.Errorf("inodes %d and %d, %d and %d links", a.Ino, b.Ino, a.Nlink, b.Nlink)
	}
	vfs.Unlink(over, over.Cwd, "h1")
	if x := statOf(t, over, "a/h2"); x.Nlink != 1 || x.Size != 11 {
		t.Errorf("after an unlink: %d links, size %d", x.Nlink, x.Size)
	}
}

func TestReadersKeepTheLowerFile(t *testing.T) {
	over, _ := pair(t, 1)
	how := vfs.OpenHow(linux.O_RDONLY, 0)
	f, _ := vfs.Open(over, over.Cwd, "a/f", &how)
	defer f.Put()
	put(over, "a/f", "changed", linux.O_TRUNC)
	b := make([]byte, 64)
	dst := usermem.Kernel(b)
	n, _ := f.Read(over, &dst)
	if string(b[:n]) != "lower a/f" {
		t.Errorf("the old reader sees %q", b[:n])
	}
	if got, _ := get(over, "a/f"); got != "changed" {
		t.Errorf("a new reader sees %q", got)
	}
}

func TestWhiteoutsAndOpaqueDirectoriesOfLayers(t *testing.T) {
	top, bottom := newTmpfs(), newTmpfs()
	tc, bc := callerOn(t, top.SB), callerOn(t, bottom.SB)
	for _, d := range []string{"d", "o", "x"} {
		vfs.Mkdir(bc, bc.Cwd, d, 0o755)
		put(bc, d+"/below", "b", 0)
		if d != "x" {
			vfs.Mkdir(tc, tc.Cwd, d, 0o755)
			put(tc, d+"/above", "a", 0)
		}
	}
	put(bc, "gone", "b", 0)
	vfs.Mknod(tc, tc.Cwd, "gone", linux.S_IFCHR, 0)
	vfs.Mknod(tc, tc.Cwd, "x", linux.S_IFCHR, 0)
	o, _ := vfs.Walk(tc, tc.Cwd, "o", 0)
	if errno := vfs.SetXattr(tc, o, "trusted.overlay.opaque", []byte("y"), 0); errno != 0 {
		t.Fatal(errno)
	}
	o.Put()
	c := callerOn(t, overlay.New(overlay.Options{Lower: []*vfs.Superblock{top.SB, bottom.SB}, Upper: newTmpfs()}).SB)
	for dir, want := range map[string][]string{
		".": {".", "..", "d", "o"}, "d": {".", "..", "above", "below"}, "o": {".", "..", "above"},
	} {
		if got := names(t, c, dir); !slices.Equal(got, want) {
			t.Errorf("%s lists %q, want %q", dir, got, want)
		}
	}
	for _, n := range []string{"gone", "x/below", "o/below"} {
		if _, errno := get(c, n); errno != linux.ENOENT {
			t.Errorf("%s: %v", n, errno)
		}
	}
	if errno := vfs.Rmdir(c, c.Cwd, "d"); errno != linux.ENOTEMPTY {
		t.Errorf("rmdir: %v", errno)
	}
	vfs.Unlink(c, c.Cwd, "d/above")
	vfs.Unlink(c, c.Cwd, "d/below")
	if errno := vfs.Rmdir(c, c.Cwd, "d"); errno != 0 {
		t.Errorf("rmdir of the emptied directory: %v", errno)
	}
	if errno := vfs.Mkdir(c, c.Cwd, "d", 0o755); errno != 0 || len(names(t, c, "d")) != 2 {
		t.Errorf("a new directory shows %q, %v", names(t, c, "d"), errno)
	}
	p, _ := vfs.Walk(c, c.Cwd, "o", 0)
	defer p.Put()
	if list, _ := vfs.ListXattr(c, p); len(list) != 0 {
		t.Errorf("overlay's own attributes are seen: %q", list)
	}
}

func TestXattrsAreCopied(t *testing.T) {
	low := newTmpfs()
	lc := callerOn(t, low.SB)
	populate(t, lc)
	l, _ := vfs.Walk(lc, lc.Cwd, "f", 0)
	defer l.Put()
	vfs.SetXattr(lc, l, "user.a", []byte("1"), 0)
	vfs.SetXattr(lc, l, "security.capability", []byte("caps"), 0)
	c := callerOn(t, overlay.New(overlay.Options{Lower: []*vfs.Superblock{low.SB}, Upper: newTmpfs()}).SB)
	p, _ := vfs.Walk(c, c.Cwd, "f", 0)
	defer p.Put()
	put(c, "f", "x", linux.O_APPEND)
	if v, errno := vfs.GetXattr(c, p, "user.a"); string(v) != "1" {
		t.Errorf("user.a is %q, %v", v, errno)
	}
	if _, errno := vfs.GetXattr(c, p, "security.capability"); errno != linux.ENODATA {
		t.Errorf("capabilities after a write: %v", errno)
	}
	vfs.RemoveXattr(c, p, "user.a")
	if v, _ := vfs.GetXattr(lc, l, "user.a"); string(v) != "1" {
		t.Error("the layer lost its attribute")
	}
}

func TestDataIsFreedWithTheOverlay(t *testing.T) {
	low := newTmpfs()
	populate(t, callerOn(t, low.SB))
	before := testMem().Usage()
	ns := vfs.NewMountNS(overlay.New(overlay.Options{Lower: []*vfs.Superblock{low.SB}, Upper: newTmpfs()}).SB, 0)
	c := &vfs.Caller{Creds: cred.Root(nil), Root: ns.Root()}
	c.Cwd = c.Root
	for _, f := range []string{"a/f", "g", "new", "a/c/new"} {
		if errno := put(c, f, "data", linux.O_APPEND); errno != 0 {
			t.Fatal(errno)
		}
	}
	if testMem().Usage() == before {
		t.Fatal("no memory in use")
	}
	c.Root.Put()
	ns.Put()
	if now := testMem().Usage(); now != before {
		t.Errorf("%d bytes are still in use", now-before)
	}
}
