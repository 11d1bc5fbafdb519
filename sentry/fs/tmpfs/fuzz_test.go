package tmpfs_test

import (
	"strings"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// FuzzWalk walks arbitrary names in a chroot whose tree is full of symlinks, and looks that no walk gets out.
func FuzzWalk(f *testing.F) {
	f.Add("a/../../outside", uint32(0), "../..")
	f.Add("l/l/l/../secret", uint32(vfs.Follow), "/..")
	f.Add("m/../..", uint32(vfs.InRoot), "m/..")
	f.Fuzz(func(t *testing.T, name string, flags uint32, link string) {
		c := newRoot(t, tmpfs.Options{})
		for _, d := range []string{"jail", "jail/a", "jail/a/b", "jail/m", "outside"} {
			vfs.Mkdir(c, c.Cwd, d, 0o755)
		}
		write(t, c, "secret", "x")
		write(t, c, "jail/file", "x")
		mountTmp(t, c, "jail/m")
		want(t, "bind", bind(t, c, "jail/a", "jail/a/b", false), 0)
		vfs.Symlink(c, link, c.Cwd, "jail/l")
		vfs.Symlink(c, link, c.Cwd, "jail/a/l")
		vfs.Symlink(c, link, c.Cwd, "jail/m/l")
		n := *c
		n.Root = at(t, c, "jail")
		defer n.Root.Put()
		n.Cwd = at(t, c, "jail/a")
		defer n.Cwd.Put()
		fl := vfs.WalkFlags(flags) & (vfs.Cached<<1 - 1)
		p, errno := vfs.Walk(&n, n.Cwd, name, fl)
		if errno >= 0xff0 {
			t.Fatalf("errno %d leaks", errno)
		}
		if errno != 0 {
			return
		}
		defer p.Put()
		text := vfs.PathString(&n, p)
		if strings.HasPrefix(text, "(unreachable)") {
			t.Fatalf("%q with %q got out to %s", name, link, vfs.PathString(c, p))
		}
		if fl&(vfs.Beneath|vfs.InRoot) != 0 && !strings.HasPrefix(text, "/a") {
			t.Fatalf("%q with %q got above its start, to %s", name, link, text)
		}
		if fl&vfs.Follow != 0 && p.Inode().Type() == linux.S_IFLNK {
			t.Fatalf("%q ends at a symlink", name)
		}
	})
}
