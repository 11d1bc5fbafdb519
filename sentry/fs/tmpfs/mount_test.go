package tmpfs_test

import (
	"strings"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

func at(t testing.TB, c *vfs.Caller, name string) vfs.Path {
	t.Helper()
	p, errno := vfs.Walk(c, c.Cwd, name, vfs.Follow)
	if errno != 0 {
		t.Fatalf("walking %s: %v", name, errno)
	}
	return p
}

func mountTmp(t testing.TB, c *vfs.Caller, name string) {
	t.Helper()
	p := at(t, c, name)
	defer p.Put()
	want(t, "mount on "+name, vfs.MountAt(tmpfs.New(tmpfs.Options{Mem: testMem()}).SB, p, 0), 0)
}

func bind(t testing.TB, c *vfs.Caller, from, to string, rec bool) linux.Errno {
	f, p := at(t, c, from), at(t, c, to)
	defer f.Put()
	defer p.Put()
	return vfs.Bind(c, f, p, rec)
}

func umount(t testing.TB, c *vfs.Caller, name string, flags uint32) linux.Errno {
	p := at(t, c, name)
	defer p.Put()
	return vfs.Umount(c, p, flags)
}

func propagate(t testing.TB, c *vfs.Caller, name string, flags uint32) {
	t.Helper()
	p := at(t, c, name)
	defer p.Put()
	want(t, "propagation of "+name, vfs.SetPropagation(c, p, flags), 0)
}

func points(c *vfs.Caller) string {
	var s []string
	for _, m := range vfs.MountInfos(c) {
		s = append(s, m.Point)
	}
	return strings.Join(s, " ")
}

func exists(c *vfs.Caller, name string) bool {
	_, errno := stat(c, name, 0)
	return errno == 0
}

func TestMountsCoverAndUncover(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	mountTmp(t, c, "d")
	if exists(c, "d/file") {
		t.Error("the covered file is seen")
	}
	write(t, c, "d/over", "x")
	want(t, "rmdir of a mount point", vfs.Rmdir(c, c.Cwd, "d"), linux.EBUSY)
	want(t, "rename of a mount point", vfs.Rename(c, c.Cwd, "d", c.Cwd, "z", 0), linux.EBUSY)
	want(t, "rename across", vfs.Rename(c, c.Cwd, "file", c.Cwd, "d/file", 0), linux.EXDEV)
	p := at(t, c, "file")
	want(t, "link across", vfs.Link(c, p, c.Cwd, "d/file"), linux.EXDEV)
	want(t, "umount of what is no mount", vfs.Umount(c, p, 0), linux.EINVAL)
	p.Put()
	if _, errno := stat(c, "d/over", vfs.NoXdev); errno != linux.EXDEV {
		t.Errorf("NoXdev: %v", errno)
	}
	if _, errno := stat(c, "d/../file", 0); errno != 0 {
		t.Errorf("up out of a mount: %v", errno)
	}
	f, errno := open(c, "d/over", linux.O_RDONLY, 0)
	want(t, "open", errno, 0)
	want(t, "umount of a busy mount", umount(t, c, "d", 0), linux.EBUSY)
	want(t, "expire of a busy mount", umount(t, c, "d", linux.MNT_EXPIRE), linux.EBUSY)
	if got := vfs.PathString(c, f.Path); got != "/d/over" {
		t.Errorf("path %q", got)
	}
	want(t, "lazy umount", umount(t, c, "d", linux.MNT_DETACH), 0)
	if got := vfs.PathString(c, f.Path); got != "(unreachable)/over" {
		t.Errorf("path after the umount %q", got)
	}
	f.Put()
	if !exists(c, "d/file") {
		t.Error("the file is still covered")
	}
	mountTmp(t, c, "d")
	want(t, "first expire", umount(t, c, "d", linux.MNT_EXPIRE), linux.EAGAIN)
	want(t, "second expire", umount(t, c, "d", linux.MNT_EXPIRE), 0)
	if got := points(c); got != "/" {
		t.Errorf("mounts left: %s", got)
	}
}

func TestBindMounts(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	vfs.Mkdir(c, c.Cwd, "b", 0o755)
	mountTmp(t, c, "d/e/f")
	write(t, c, "d/e/f/deep", "x")
	want(t, "bind", bind(t, c, "d", "b", false), 0)
	if !exists(c, "b/file") || exists(c, "b/e/f/deep") {
		t.Error("a plain bind shows the wrong things")
	}
	want(t, "umount", umount(t, c, "b", 0), 0)
	want(t, "rbind", bind(t, c, "d", "b", true), 0)
	if !exists(c, "b/e/f/deep") {
		t.Error("a recursive bind lacks the mount below")
	}
	want(t, "umount with children", umount(t, c, "b", 0), linux.EBUSY)
	want(t, "lazy umount with children", umount(t, c, "b", linux.MNT_DETACH), 0)
	want(t, "bind of a file", bind(t, c, "file", "d/file", false), 0)
	if got := read(t, c, "d/file"); got != "hello" {
		t.Errorf("the bound file has %q", got)
	}
	want(t, "unlink of a mount point", vfs.Unlink(c, c.Cwd, "d/file"), linux.EBUSY)
	want(t, "file on directory", bind(t, c, "file", "b", false), linux.ENOTDIR)

	want(t, "bind", bind(t, c, "d", "b", false), 0)
	p := at(t, c, "b")
	want(t, "remount", vfs.Remount(c, p, linux.MS_BIND|linux.MS_REMOUNT|linux.MS_RDONLY, ""), 0)
	p.Put()
	_, errno := open(c, "b/x", linux.O_CREAT|linux.O_WRONLY, 0o644)
	want(t, "create below a read-only bind", errno, linux.EROFS)
	_, errno = open(c, "b/file", linux.O_WRONLY, 0)
	want(t, "write below a read-only bind", errno, linux.EROFS)
	write(t, c, "d/x", "the original can be written")
	want(t, "mkdir of what exists on a read-only mount", vfs.Mkdir(c, c.Cwd, "b/e", 0o755), linux.EEXIST)
	want(t, "unlink of nothing on a read-only mount", vfs.Unlink(c, c.Cwd, "b/none"), linux.EROFS)
}

func TestPropagation(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	for _, d := range []string{"a", "peer", "slave", "private"} {
		vfs.Mkdir(c, c.Cwd, d, 0o755)
	}
	mountTmp(t, c, "a")
	propagate(t, c, "a", linux.MS_SHARED)
	vfs.Mkdir(c, c.Cwd, "a/m", 0o755)
	vfs.Mkdir(c, c.Cwd, "a/n", 0o755)
	for _, d := range []string{"peer", "slave", "private"} {
		want(t, "bind", bind(t, c, "a", d, false), 0)
	}
	propagate(t, c, "slave", linux.MS_SLAVE)
	propagate(t, c, "private", linux.MS_PRIVATE)
	mountTmp(t, c, "a/m")
	write(t, c, "a/m/file", "x")
	if !exists(c, "peer/m/file") || !exists(c, "slave/m/file") || exists(c, "private/m/file") {
		t.Errorf("a mount went to: %s", points(c))
	}
	mountTmp(t, c, "slave/n")
	write(t, c, "slave/n/file", "x")
	if exists(c, "a/n/file") || exists(c, "peer/n/file") {
		t.Error("a mount went from slave to master")
	}
	want(t, "umount at a peer", umount(t, c, "peer/m", 0), 0)
	if exists(c, "a/m/file") || exists(c, "slave/m/file") {
		t.Errorf("an umount did not go everywhere: %s", points(c))
	}
	propagate(t, c, "private", linux.MS_UNBINDABLE)
	want(t, "bind of the unbindable", bind(t, c, "private", "a/m", false), linux.EINVAL)
	for _, m := range vfs.MountInfos(c) {
		switch m.Point {
		case "/a", "/peer":
			if m.Shared == 0 || m.Master != 0 {
				t.Errorf("%s: shared %d, master %d", m.Point, m.Shared, m.Master)
			}
		case "/slave":
			if m.Shared != 0 || m.Master == 0 {
				t.Errorf("%s: shared %d, master %d", m.Point, m.Shared, m.Master)
			}
		}
	}
}

func TestMountNamespaces(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	propagate(t, c, "/", linux.MS_SHARED|linux.MS_REC)
	mountTmp(t, c, "d")
	n := *c
	n.Root, n.Cwd = c.Root.Get(), at(t, c, "d")
	ns, errno := c.Root.Mount.NS().Clone(nil, &n.Root, &n.Cwd)
	want(t, "clone", errno, 0)
	defer ns.Put()
	defer func() { n.Root.Put(); n.Cwd.Put() }()
	if got := vfs.PathString(&n, n.Cwd); got != "/d" {
		t.Errorf("the working directory is %q", got)
	}
	if n.Root.Mount.NS() != ns || n.Cwd.Mount.NS() != ns {
		t.Error("the paths are not in the new namespace")
	}
	mountTmp(t, c, "d/../private")
	write(t, c, "private/x", "x")
	if !exists(&n, "/private/x") {
		t.Error("a shared mount did not reach the copy")
	}
	// What unshare -m does: make all private, mount at will.
	propagate(t, &n, "/", linux.MS_PRIVATE|linux.MS_REC)
	write(t, &n, "/d/y", "y")
	want(t, "umount in the copy", umount(t, &n, "/private", 0), 0)
	if !exists(c, "private/x") {
		t.Error("a private umount reached the original")
	}
	user := *c
	user.Creds = cred.Root(&cred.UserNS{Parent: &cred.UserNS{}})
	p := at(t, c, "private")
	defer p.Put()
	want(t, "umount by a user namespace's root", vfs.Umount(&user, p, 0), linux.EPERM)
}

func TestPivotRoot(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	vfs.Mkdir(c, c.Cwd, "new", 0o755)
	pivot := func(c *vfs.Caller, root, old string) linux.Errno {
		r, o := at(t, c, root), at(t, c, old)
		defer r.Put()
		defer o.Put()
		return vfs.PivotRoot(c, r, o)
	}
	want(t, "pivot to a directory", pivot(c, "new", "new"), linux.EBUSY)
	mountTmp(t, c, "new")
	vfs.Mkdir(c, c.Cwd, "new/old", 0o755)
	want(t, "pivot with the old root outside", pivot(c, "new", "d"), linux.EBUSY)
	n := *c
	n.Root = at(t, c, "new")
	n.Cwd = n.Root.Get()
	defer func() { n.Root.Put(); n.Cwd.Put() }()
	want(t, "pivot", pivot(c, "new", "new/old"), 0)
	if got := points(&n); got != "/old /" && got != "/ /old" {
		t.Errorf("mounts after the pivot: %s", got)
	}
	if !exists(&n, "/old/d/file") || !exists(&n, "/../old/../../old/file") {
		t.Error("the old root is not below the new one")
	}
	want(t, "umount of the old root", umount(t, &n, "/old", linux.MNT_DETACH), 0)
	if exists(&n, "/old/d") {
		t.Error("the old root is still there")
	}
}

func TestMoveMount(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	mountTmp(t, c, "d")
	vfs.Mkdir(c, c.Cwd, "d/in", 0o755)
	mountTmp(t, c, "d/in")
	write(t, c, "d/in/x", "x")
	move := func(from, to string) linux.Errno {
		f, p := at(t, c, from), at(t, c, to)
		defer f.Put()
		defer p.Put()
		return vfs.MoveMount(c, f, p)
	}
	want(t, "move below itself", move("d", "d/in"), linux.ELOOP)
	want(t, "move of a directory", move("private", "d"), linux.EINVAL)
	want(t, "move", move("d", "private"), 0)
	if !exists(c, "private/in/x") || exists(c, "d/in/x") {
		t.Errorf("after the move: %s", points(c))
	}
}
