package unix

import (
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

func TestPathNames(t *testing.T) {
	ns := vfs.NewMountNS(tmpfs.New(tmpfs.Options{}).SB, 0)
	c := fstest.Caller()
	c.Root = ns.Root()
	c.Cwd = c.Root.Get()
	c.Umask = 0o022
	addr := func(s string) []byte { return encode(s + "\x00") }

	lf, l := socket(t, c, linux.SOCK_STREAM|linux.SOCK_NONBLOCK)
	if errno := l.Bind(c, lf, addr("/s")); errno != 0 {
		t.Fatal(errno)
	}
	p, errno := vfs.Walk(c, c.Cwd, "s", 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	if m := p.Dentry.Inode().Attr().Mode.Load(); m != linux.S_IFSOCK|0o755 {
		t.Errorf("mode %#o", m)
	}
	p.Put()
	if errno := l.Listen(c, lf, 5); errno != 0 {
		t.Error(errno)
	}
	connect := func(c *vfs.Caller, typ int32, to string) linux.Errno {
		f, s := socket(t, c, typ|linux.SOCK_NONBLOCK)
		defer f.Put()
		return s.Connect(c, f, addr(to))
	}
	user := *c
	user.Creds = fstest.User(7).Creds
	vfs.Mknod(c, c.Cwd, "regular", linux.S_IFREG|0o777, 0)
	vfs.Mknod(c, c.Cwd, "unbound", linux.S_IFSOCK|0o777, 0)
	tests := []struct {
		name string
		c    *vfs.Caller
		typ  int32
		to   string
		want linux.Errno
	}{
		{"by its name", c, linux.SOCK_STREAM, "s", 0},
		{"by another path", c, linux.SOCK_STREAM, "/./s", 0},
		{"no such file", c, linux.SOCK_STREAM, "none", linux.ENOENT},
		{"no permission to write", &user, linux.SOCK_STREAM, "s", linux.EACCES},
		{"another type", c, linux.SOCK_DGRAM, "s", linux.EPROTOTYPE},
		{"a regular file", c, linux.SOCK_STREAM, "regular", linux.ECONNREFUSED},
		{"a socket that nobody bound", c, linux.SOCK_STREAM, "unbound", linux.ECONNREFUSED},
	}
	for _, tt := range tests {
		if errno := connect(tt.c, tt.typ, tt.to); errno != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, errno, tt.want)
		}
	}
	f2, s2 := socket(t, c, linux.SOCK_STREAM)
	if errno := s2.Bind(c, f2, addr("s")); errno != linux.EADDRINUSE {
		t.Errorf("bind again: %v", errno)
	}
	if name, _ := l.GetSockName(c, lf); string(name) != string(addr("/s")) {
		t.Errorf("name %q", name)
	}
	lf.Put()
	if errno := connect(c, linux.SOCK_STREAM, "s"); errno != linux.ECONNREFUSED {
		t.Errorf("after the close: %v", errno)
	}
}
