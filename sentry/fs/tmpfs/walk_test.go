package tmpfs_test

import (
	"sync"
	"testing"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/cred"
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

// newRoot makes a namespace with an empty tmpfs and a privileged caller in it.
func newRoot(t testing.TB, o tmpfs.Options) *vfs.Caller {
	o.Mem = testMem()
	o.Mode = 0o755
	ns := vfs.NewMountNS(tmpfs.New(o).SB, linux.MS_RELATIME)
	c := &vfs.Caller{Creds: cred.Root(nil), Root: ns.Root(), Umask: 0o022, PID: 1}
	c.Cwd = c.Root.Get()
	t.Cleanup(func() {
		c.Root.Put()
		c.Cwd.Put()
		ns.Put()
	})
	return c
}

// as returns the caller as an ordinary user.
func as(c *vfs.Caller, uid uint32) *vfs.Caller {
	n := *c
	n.Creds = &cred.Credentials{RUID: uid, EUID: uid, SUID: uid, FSUID: uid, RGID: uid, EGID: uid, SGID: uid, FSGID: uid}
	return &n
}

func want(t testing.TB, what string, got, errno linux.Errno) {
	t.Helper()
	if got != errno {
		t.Errorf("%s: got %v, want %v", what, got, errno)
	}
}

func open(c *vfs.Caller, name string, flags, mode uint32) (*vfs.File, linux.Errno) {
	how := vfs.OpenHow(flags, mode)
	return vfs.Open(c, c.Cwd, name, &how)
}

func write(t testing.TB, c *vfs.Caller, name, text string) {
	t.Helper()
	f, errno := open(c, name, linux.O_CREAT|linux.O_WRONLY|linux.O_TRUNC, 0o644)
	if errno != 0 {
		t.Fatalf("creating %s: %v", name, errno)
	}
	defer f.Put()
	src := usermem.Kernel([]byte(text))
	if n, errno := f.Write(c, &src); n != len(text) || errno != 0 {
		t.Fatalf("writing %s: %d, %v", name, n, errno)
	}
}

func read(t testing.TB, c *vfs.Caller, name string) string {
	t.Helper()
	f, errno := open(c, name, linux.O_RDONLY, 0)
	if errno != 0 {
		t.Fatalf("opening %s: %v", name, errno)
	}
	defer f.Put()
	b := make([]byte, 1<<16)
	dst := usermem.Kernel(b)
	n, errno := f.Read(c, &dst)
	want(t, "reading "+name, errno, 0)
	return string(b[:n])
}

func stat(c *vfs.Caller, name string, fl vfs.WalkFlags) (linux.Statx, linux.Errno) {
	p, errno := vfs.Walk(c, c.Cwd, name, fl)
	if errno != 0 {
		return linux.Statx{}, errno
	}
	defer p.Put()
	var x linux.Statx
	return x, vfs.Stat(c, p, &x)
}

// tree makes a few objects that the tables below name.
func tree(t testing.TB, c *vfs.Caller) {
	for _, d := range []string{"d", "d/e", "d/e/f", "private"} {
		want(t, "mkdir "+d, vfs.Mkdir(c, c.Cwd, d, 0o755), 0)
	}
	write(t, c, "file", "hello")
	write(t, c, "d/file", "deep")
	for _, l := range [][2]string{
		{"file", "link"}, {"d", "dlink"}, {"dlink/e", "d/elink"}, {"nowhere", "dangling"}, {"loop2", "loop1"}, {"loop1", "loop2"},
		{"/d/../d/e/", "d/abs"}, {"../../../..", "d/up"}, {"self", "self"}, {"file/", "slashlink"},
	} {
		want(t, "symlink "+l[1], vfs.Symlink(c, l[0], c.Cwd, l[1]), 0)
	}
	p, _ := vfs.Walk(c, c.Cwd, "private", 0)
	want(t, "chmod", vfs.Chmod(c, p, 0o700), 0)
	p.Put()
}

func TestWalkFollowsLinux(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	long := string(make([]byte, 0)) + repeat("x", 256)
	for _, tc := range []struct {
		name  string
		flags vfs.WalkFlags
		errno linux.Errno
		mode  uint32
	}{
		{"", 0, linux.ENOENT, 0},
		{"", vfs.Empty, 0, linux.S_IFDIR},
		{".", 0, 0, linux.S_IFDIR},
		{"/", 0, 0, linux.S_IFDIR},
		{"//..//../", 0, 0, linux.S_IFDIR},
		{"file", 0, 0, linux.S_IFREG},
		{"file/", 0, linux.ENOTDIR, 0},
		{"file/.", 0, linux.ENOTDIR, 0},
		{"file/..", 0, linux.ENOTDIR, 0},
		{"file", vfs.Directory, linux.ENOTDIR, 0},
		{"link", 0, 0, linux.S_IFLNK},
		{"link", vfs.Follow, 0, linux.S_IFREG},
		{"link/", 0, linux.ENOTDIR, 0},
		{"slashlink", vfs.Follow, linux.ENOTDIR, 0},
		{"dlink", 0, 0, linux.S_IFLNK},
		{"dlink/", 0, 0, linux.S_IFDIR},
		{"dlink/.", 0, 0, linux.S_IFDIR},
		{"dlink/file", 0, 0, linux.S_IFREG},
		{"d/elink/f", 0, linux.ENOENT, 0}, // relative to d, not to the root
		{"d/abs/f", 0, 0, linux.S_IFDIR},
		{"d/up/d/e", 0, 0, linux.S_IFDIR},
		{"d/e/../../file", 0, 0, linux.S_IFREG},
		{"dangling", 0, 0, linux.S_IFLNK},
		{"dangling", vfs.Follow, linux.ENOENT, 0},
		{"loop1", vfs.Follow, linux.ELOOP, 0},
		{"loop1/x", 0, linux.ELOOP, 0},
		{"self", vfs.Follow, linux.ELOOP, 0},
		{"none/x", 0, linux.ENOENT, 0},
		{long, 0, linux.ENAMETOOLONG, 0},
		{"d/" + long + "/x", 0, linux.ENAMETOOLONG, 0},
		{repeat("d/../", 818) + "d", 0, 0, linux.S_IFDIR},
		{repeat("d/../", 830) + "d", 0, linux.ENAMETOOLONG, 0},
		{"link", vfs.Follow | vfs.NoSymlinks, linux.ELOOP, 0},
		{"../file", vfs.Beneath, linux.EXDEV, 0},
		{"/file", vfs.Beneath, linux.EXDEV, 0},
		{"d/../file", vfs.Beneath, 0, linux.S_IFREG},
		{"d/abs/f", vfs.Beneath, linux.EXDEV, 0},
		{"../../file", vfs.InRoot, 0, linux.S_IFREG},
		{"none", vfs.Cached, 0, 0},
	} {
		x, errno := stat(c, tc.name, tc.flags)
		if tc.flags == vfs.Cached {
			if errno != linux.EAGAIN && errno != linux.ENOENT {
				t.Errorf("walk %.40q cached: %v", tc.name, errno)
			}
			continue
		}
		want(t, "walk "+tc.name[:min(40, len(tc.name))], errno, tc.errno)
		if errno == 0 && uint32(x.Mode)&linux.S_IFMT != tc.mode {
			t.Errorf("walk %.40q: mode %o", tc.name, x.Mode)
		}
	}
	user := as(c, 1000)
	_, errno := stat(user, "private/x", 0)
	want(t, "search without permission", errno, linux.EACCES)
	_, errno = stat(user, "private", 0)
	want(t, "stat of a private directory", errno, 0)
}

func repeat(s string, n int) string {
	var b []byte
	for range n {
		b = append(b, s...)
	}
	return string(b)
}

func TestOpenFollowsLinux(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	const creat, excl, trunc = linux.O_CREAT, linux.O_EXCL, linux.O_TRUNC
	const rd, wr, rw = linux.O_RDONLY, linux.O_WRONLY, linux.O_RDWR
	for _, tc := range []struct {
		name  string
		flags uint32
		errno linux.Errno
	}{
		{"file", rd, 0}, {"file", rw, 0}, {"nofile", rd, linux.ENOENT},
		{"d", rd, 0}, {"d", wr, linux.EISDIR}, {"d", rd | trunc, linux.EISDIR},
		{"d", rd | creat, linux.EISDIR}, {"d", rd | creat | excl, linux.EEXIST}, {"d/", rd | creat, linux.EISDIR},
		{"new/", wr | creat, linux.EISDIR}, {".", rd | creat, linux.EISDIR}, {"/", rd | creat, linux.EISDIR},
		{"d/..", rd | creat, linux.EISDIR},
		{"file", rd | linux.O_DIRECTORY, linux.ENOTDIR}, {"file", wr | creat | linux.O_DIRECTORY, linux.EINVAL},
		{"file/", rd, linux.ENOTDIR},
		{"file", wr | creat | excl, linux.EEXIST}, {"link", wr | creat | excl, linux.EEXIST},
		{"dangling", wr | creat | excl, linux.EEXIST},
		{"dangling", wr | creat, 0}, // makes nowhere
		{"nowhere", rd, 0},
		{"link", rd | linux.O_NOFOLLOW, linux.ELOOP}, {"link", linux.O_PATH | linux.O_NOFOLLOW, 0},
		{"dlink", rd | linux.O_NOFOLLOW | linux.O_DIRECTORY, linux.ENOTDIR},
		{"loop1", wr | creat, linux.ELOOP},
		{"none/x", wr | creat, linux.ENOENT}, {"file/x", wr | creat, linux.ENOTDIR},
		{".", linux.O_TMPFILE | rd, linux.EINVAL}, {".", linux.O_TMPFILE | rw, 0}, {"file", linux.O_TMPFILE | rw, linux.ENOTDIR},
		{"", rd, linux.ENOENT}, {"", wr | creat, linux.ENOENT},
		{"file", 3, 0},
	} {
		f, errno := open(c, tc.name, tc.flags, 0o600)
		if errno == 0 {
			f.Put()
		}
		if errno != tc.errno {
			t.Errorf("open(%q, %#x): got %v, want %v", tc.name, tc.flags, errno, tc.errno)
		}
	}
}

func TestNamesAreMadeAndTakenAsOnLinux(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	at := c.Cwd
	want(t, "mkdir existing", vfs.Mkdir(c, at, "file", 0o755), linux.EEXIST)
	want(t, "mkdir slash", vfs.Mkdir(c, at, "x/", 0o755), 0)
	want(t, "mkdir of /", vfs.Mkdir(c, at, "/", 0o755), linux.EEXIST)
	want(t, "mkdir .", vfs.Mkdir(c, at, "x/.", 0o755), linux.ENOENT+linux.EEXIST-linux.ENOENT)
	want(t, "mkdir over dangling", vfs.Mkdir(c, at, "dangling", 0o755), linux.EEXIST)
	want(t, "mknod slash", vfs.Mknod(c, at, "n/", 0o644, 0), linux.ENOENT)
	want(t, "unlink dir", vfs.Unlink(c, at, "x"), linux.EISDIR)
	want(t, "unlink slash", vfs.Unlink(c, at, "file/"), linux.ENOTDIR)
	want(t, "unlink dot", vfs.Unlink(c, at, "x/."), linux.EISDIR)
	want(t, "rmdir file", vfs.Rmdir(c, at, "file"), linux.ENOTDIR)
	want(t, "rmdir dot", vfs.Rmdir(c, at, "x/."), linux.EINVAL)
	want(t, "rmdir dotdot", vfs.Rmdir(c, at, "x/.."), linux.ENOTEMPTY)
	want(t, "rmdir root", vfs.Rmdir(c, at, "/"), linux.EBUSY)
	want(t, "rmdir full", vfs.Rmdir(c, at, "d"), linux.ENOTEMPTY)
	want(t, "rmdir", vfs.Rmdir(c, at, "x"), 0)
	want(t, "rmdir again", vfs.Rmdir(c, at, "x"), linux.ENOENT)

	for _, tc := range []struct {
		old, new string
		flags    uint32
		errno    linux.Errno
	}{
		{"none", "a", 0, linux.ENOENT},
		{"d", "d/e/f/d", 0, linux.EINVAL},
		{"d/e", "d", 0, linux.ENOTEMPTY},
		{"d", "file", 0, linux.ENOTDIR},
		{"file", "d", 0, linux.EISDIR},
		{"file", "d/", 0, linux.ENOTDIR},
		{"file", "link", linux.RENAME_NOREPLACE, linux.EEXIST},
		{"file", "none", linux.RENAME_EXCHANGE, linux.ENOENT},
		{"d", "d/e", linux.RENAME_EXCHANGE, linux.EINVAL},
		{"file", ".", 0, linux.EBUSY},
		{"..", "z", 0, linux.EBUSY},
		{"file", "z", 8, linux.EINVAL},
		{"file", "z", linux.RENAME_EXCHANGE | linux.RENAME_NOREPLACE, linux.EINVAL},
		{"file", "d/e", linux.RENAME_EXCHANGE, 0},
		{"d/e", "file2", 0, 0},
		{"file", "d/e2", 0, 0},
		{"d/e2/f", "f", 0, 0},
		{"f", "d/e2", 0, 0},
		{"file2", "file2", 0, 0},
	} {
		if errno := vfs.Rename(c, at, tc.old, at, tc.new, tc.flags); errno != tc.errno {
			t.Errorf("rename(%q, %q, %d): got %v, want %v", tc.old, tc.new, tc.flags, errno, tc.errno)
		}
	}
	if got := read(t, c, "file2"); got != "hello" {
		t.Errorf("file2 has %q", got)
	}
	x, errno := stat(c, "d", 0)
	want(t, "stat d", errno, 0)
	if x.Nlink != 3 {
		t.Errorf("d has %d links, want 3", x.Nlink)
	}
}
