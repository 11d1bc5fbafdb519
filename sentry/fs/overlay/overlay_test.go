package overlay_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/overlay"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

var testMem = sync.OnceValue(func() *mem.File {
	f, err := mem.New()
	if err != nil {
		panic(err)
	}
	return f
})

func newTmpfs() *tmpfs.FS { return tmpfs.New(tmpfs.Options{Mem: testMem(), Mode: 0o755}) }

func callerOn(t testing.TB, sb *vfs.Superblock) *vfs.Caller {
	ns := vfs.NewMountNS(sb, linux.MS_RELATIME)
	c := &vfs.Caller{Creds: cred.Root(nil), Root: ns.Root(), Umask: 0o022, PID: 1}
	c.Cwd = c.Root.Get()
	t.Cleanup(func() {
		c.Root.Put()
		c.Cwd.Put()
		ns.Put()
	})
	return c
}

// populate fills a tree; every second object goes to each of the layers if there are two.
func populate(t testing.TB, layers ...*vfs.Caller) {
	k := 0
	each := func(path string, f func(c *vfs.Caller) linux.Errno) {
		c := layers[k%len(layers)]
		k++
		if errno := f(c); errno != 0 {
			t.Fatalf("%s: %v", path, errno)
		}
	}
	for _, d := range []string{"a", "b", "a/c", "a/c/d", "e"} {
		for _, c := range layers { // directories merge
			if errno := vfs.Mkdir(c, c.Cwd, d, 0o755); errno != 0 {
				t.Fatal(errno)
			}
		}
	}
	for _, f := range []string{"f", "g", "a/f", "a/c/f", "a/c/d/g", "b/f"} {
		each(f, func(c *vfs.Caller) linux.Errno { return put(c, f, "lower "+f, linux.O_TRUNC) })
	}
	each("l", func(c *vfs.Caller) linux.Errno { return vfs.Symlink(c, "a/f", c.Cwd, "l") })
	each("b/l", func(c *vfs.Caller) linux.Errno { return vfs.Symlink(c, "../a/c", c.Cwd, "b/l") })
	each("h", func(c *vfs.Caller) linux.Errno {
		if errno := put(c, "h1", "linked", linux.O_TRUNC); errno != 0 {
			return errno
		}
		p, errno := vfs.Walk(c, c.Cwd, "h1", 0)
		if errno != 0 {
			return errno
		}
		defer p.Put()
		return vfs.Link(c, p, c.Cwd, "a/h2")
	})
}

func put(c *vfs.Caller, name, text string, flags uint32) linux.Errno {
	how := vfs.OpenHow(linux.O_CREAT|linux.O_WRONLY|flags, 0o644)
	f, errno := vfs.Open(c, c.Cwd, name, &how)
	if errno != 0 {
		return errno
	}
	defer f.Put()
	src := usermem.Kernel([]byte(text))
	_, errno = f.Write(c, &src)
	return errno
}

func get(c *vfs.Caller, name string) (string, linux.Errno) {
	how := vfs.OpenHow(linux.O_RDONLY, 0)
	f, errno := vfs.Open(c, c.Cwd, name, &how)
	if errno != 0 {
		return "", errno
	}
	defer f.Put()
	b := make([]byte, 4096)
	dst := usermem.Kernel(b)
	n, errno := f.Read(c, &dst)
	return string(b[:n]), errno
}

func names(t testing.TB, c *vfs.Caller, dir string) []string {
	how := vfs.OpenHow(linux.O_RDONLY|linux.O_DIRECTORY, 0)
	f, errno := vfs.Open(c, c.Cwd, dir, &how)
	if errno != 0 {
		t.Fatalf("opening %s: %v", dir, errno)
	}
	defer f.Put()
	var out []string
	for {
		n := 0
		errno := f.ReadDir(c, func(e vfs.DirEntry) bool { // three at a time, to use positions
			if n == 3 {
				return false
			}
			n++
			out = append(out, e.Name)
			return true
		})
		if errno != 0 {
			t.Fatalf("reading %s: %v", dir, errno)
		}
		if n == 0 {
			slices.Sort(out)
			return out
		}
	}
}

// dump writes down everything that a program could see of the tree below dir.
func dump(t testing.TB, c *vfs.Caller, dir string, b *strings.Builder) {
	list := names(t, c, dir)
	for k, n := range list {
		if k > 0 && n == list[k-1] {
			t.Errorf("%s lists %q twice", dir, n)
		}
		if n == "." || n == ".." {
			continue
		}
		path := dir + "/" + n
		p, errno := vfs.Walk(c, c.Cwd, path, 0)
		if errno != 0 {
			t.Errorf("%s is listed, but cannot be found: %v", path, errno)
			continue
		}
		var x linux.Statx
		vfs.Stat(c, p, &x)
		typ := uint32(x.Mode) & linux.S_IFMT
		fmt.Fprintf(b, "%s %o %d %d", path, x.Mode, x.UID, x.GID)
		switch typ {
		case linux.S_IFREG:
			text, _ := get(c, path)
			fmt.Fprintf(b, " links %d size %d %q\n", x.Nlink, x.Size, text)
		case linux.S_IFLNK:
			text, _ := vfs.Readlink(c, p)
			fmt.Fprintf(b, " -> %s\n", text)
		default:
			b.WriteByte('\n')
		}
		p.Put()
		if typ == linux.S_IFDIR {
			dump(t, c, path, b)
		}
	}
}

func dumpAll(t testing.TB, c *vfs.Caller) string {
	var b strings.Builder
	dump(t, c, ".", &b)
	return b.String()
}

// pair makes an overlay and a plain tmpfs that show the same tree.
func pair(t testing.TB, layers int) (over, plain *vfs.Caller) {
	var lowers []*vfs.Superblock
	var on []*vfs.Caller
	for range layers {
		fs := newTmpfs()
		lowers = append(lowers, fs.SB)
		on = append(on, callerOn(t, fs.SB))
	}
	populate(t, on...)
	over = callerOn(t, overlay.New(overlay.Options{Lower: lowers, Upper: newTmpfs()}).SB)
	plain = callerOn(t, newTmpfs().SB)
	populate(t, plain)
	return over, plain
}

var fuzzPaths = []string{"a", "b", "a/c", "a/c/d", "e", "f", "g", "a/f", "a/c/f", "a/c/d/g", "b/f", "l", "b/l", "b/l/f", "h1",
	"a/h2", "n", "a/n", "b/n/m", "e/x", "b/n", "l/x", "a/c/d/e"}

// step carries out one operation; op, x and y choose what.
func step(c *vfs.Caller, op, x, y byte) (string, linux.Errno) {
	p, q := fuzzPaths[int(x)%len(fuzzPaths)], fuzzPaths[int(y)%len(fuzzPaths)]
	at := c.Cwd
	onPath := func(fl vfs.WalkFlags, f func(vfs.Path) linux.Errno) linux.Errno {
		w, errno := vfs.Walk(c, at, p, fl)
		if errno != 0 {
			return errno
		}
		defer w.Put()
		return f(w)
	}
	switch op % 14 {
	case 0:
		return "write " + p, put(c, p, "new "+q, linux.O_TRUNC)
	case 1:
		return "append " + p, put(c, p, "+"+q, linux.O_APPEND)
	case 2:
		return "mkdir " + p, vfs.Mkdir(c, at, p, 0o700)
	case 3:
		return "unlink " + p, vfs.Unlink(c, at, p)
	case 4:
		return "rmdir " + p, vfs.Rmdir(c, at, p)
	case 5, 6:
		return "rename " + p + " " + q, vfs.Rename(c, at, p, at, q, 0)
	case 7:
		return "exchange " + p + " " + q, vfs.Rename(c, at, p, at, q, linux.RENAME_EXCHANGE)
	case 8:
		return "link " + p + " " + q, onPath(0, func(w vfs.Path) linux.Errno { return vfs.Link(c, w, at, q) })
	case 9:
		return "symlink " + q + " " + p, vfs.Symlink(c, q, at, p)
	case 10:
		return "chmod " + p, onPath(vfs.Follow, func(w vfs.Path) linux.Errno { return vfs.Chmod(c, w, 0o700|uint32(y)&0o77) })
	case 11:
		return "chown " + p, onPath(0, func(w vfs.Path) linux.Errno { return vfs.Chown(c, w, uint32(y), vfs.NoID) })
	case 12:
		return "truncate " + p, onPath(vfs.Follow, func(w vfs.Path) linux.Errno { return vfs.Truncate(c, w, int64(y%16)) })
	}
	text, errno := get(c, p)
	return "read " + p + ": " + text, errno
}

func FuzzOverlay(f *testing.F) {
	f.Add([]byte{0, 5, 1, 3, 6, 0, 5, 0, 1, 4, 2, 0, 7, 0, 1})
	f.Add([]byte{5, 0, 16, 0, 5, 5, 2, 0, 0, 3, 7, 7, 4, 1, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 300 {
			ops = ops[:300]
		}
		runModel(t, ops)
	})
}

func runModel(t *testing.T, ops []byte) {
	for layers := 1; layers <= 2; layers++ {
		over, plain := pair(t, layers)
		for k := 0; k+2 < len(ops); k += 3 {
			if ops[k]&0x80 != 0 {
				vfs.DropCaches()
			}
			what, got := step(over, ops[k], ops[k+1], ops[k+2])
			model, want := step(plain, ops[k], ops[k+1], ops[k+2])
			if got != want || what != model {
				t.Fatalf("%d layers, step %d: %s: %v, the model says %s: %v", layers, k/3, what, got, model, want)
			}
		}
		if got, want := dumpAll(t, over), dumpAll(t, plain); got != want {
			t.Fatalf("%d layers: the overlay shows\n%s\nthe model\n%s", layers, got, want)
		}
	}
}

func TestOverlayAgreesWithAPlainTree(t *testing.T) {
	seed := uint32(1)
	for range 400 {
		ops := make([]byte, 120)
		for k := range ops {
			seed = seed*1664525 + 1013904223
			ops[k] = byte(seed >> 24)
		}
		runModel(t, ops)
		if t.Failed() {
			return
		}
	}
}
