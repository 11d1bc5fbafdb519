package tmpfs_test

import (
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// The results are those of Linux 6.18 on tmpfs, for a file of user and group 1000.
func TestSetIDBitsAreDropped(t *testing.T) {
	root := newRoot(t, tmpfs.Options{})
	owner := as(root, 1000)
	for _, tc := range []struct {
		mode, chown, ownWrite, rootWrite, chgrp, trunc uint16
	}{
		{0o6755, 0o755, 0o755, 0o6755, 0o755, 0o755},
		{0o2745, 0o2745, 0o2745, 0o2745, 0o2745, 0o2745},
		{0o2755, 0o755, 0o755, 0o2755, 0o755, 0o755},
		{0o4755, 0o755, 0o755, 0o4755, 0o755, 0o755},
	} {
		for what, step := range map[string]struct {
			want uint16
			do   func(p vfs.Path)
		}{
			"chown":       {tc.chown, func(p vfs.Path) { vfs.Chown(root, p, 1000, vfs.NoID) }},
			"owner write": {tc.ownWrite, func(p vfs.Path) { writeTo(t, owner, "f") }},
			"root write":  {tc.rootWrite, func(p vfs.Path) { writeTo(t, root, "f") }},
			"chgrp":       {tc.chgrp, func(p vfs.Path) { vfs.Chown(owner, p, vfs.NoID, 1000) }},
			"truncate":    {tc.trunc, func(p vfs.Path) { vfs.Truncate(owner, p, 1) }},
		} {
			write(t, root, "f", "x")
			p := at(t, root, "f")
			vfs.Chown(root, p, 1000, 1000)
			vfs.Chmod(root, p, uint32(tc.mode))
			step.do(p)
			x, _ := stat(root, "f", 0)
			if x.Mode&0o7777 != step.want {
				t.Errorf("%s of mode %o: %o, want %o", what, tc.mode, x.Mode&0o7777, step.want)
			}
			p.Put()
			vfs.Unlink(root, root.Cwd, "f")
		}
	}
}

func writeTo(t testing.TB, c *vfs.Caller, name string) {
	f, errno := open(c, name, linux.O_WRONLY|linux.O_APPEND, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer f.Put()
	src := usermem.Kernel([]byte("y"))
	if _, errno := f.Write(c, &src); errno != 0 {
		t.Fatal(errno)
	}
}

func TestPermissions(t *testing.T) {
	root := newRoot(t, tmpfs.Options{})
	user, other := as(root, 1000), as(root, 2000)
	p := at(t, root, "/")
	vfs.Chmod(root, p, 0o1777)
	p.Put()
	write(t, user, "mine", "x")
	_, errno := open(other, "mine", linux.O_WRONLY, 0)
	want(t, "write of another's file", errno, linux.EACCES)
	want(t, "unlink in a sticky directory", vfs.Unlink(other, root.Cwd, "mine"), linux.EPERM)
	want(t, "rename in a sticky directory", vfs.Rename(other, root.Cwd, "mine", root.Cwd, "x", 0), linux.EPERM)
	p = at(t, root, "mine")
	defer p.Put()
	want(t, "chmod of another's file", vfs.Chmod(other, p, 0o777), linux.EPERM)
	want(t, "chown to somebody", vfs.Chown(user, p, 2000, vfs.NoID), linux.EPERM)
	want(t, "chgrp to a strange group", vfs.Chown(user, p, vfs.NoID, 2000), linux.EPERM)
	want(t, "chown to oneself", vfs.Chown(user, p, 1000, vfs.NoID), 0)
	now := linux.Timespec{Nsec: linux.UTIME_NOW}
	want(t, "touch of another's file", vfs.Utimes(other, p, [2]linux.Timespec{now, now}), linux.EACCES)
	want(t, "utimes of another's file", vfs.Utimes(other, p, [2]linux.Timespec{{Sec: 1}, {Sec: 1}}), linux.EPERM)
	want(t, "utimes", vfs.Utimes(user, p, [2]linux.Timespec{{Sec: -5, Nsec: 7}, {Nsec: linux.UTIME_OMIT}}), 0)
	x, _ := stat(root, "mine", 0)
	if x.Atime.Sec != -5 || x.Atime.Nsec != 7 {
		t.Errorf("atime is %+v", x.Atime)
	}
	_, errno = open(other, "mine", linux.O_RDONLY|linux.O_NOATIME, 0)
	want(t, "O_NOATIME of another's file", errno, linux.EPERM)
	want(t, "access", vfs.Access(other, p, vfs.MayRead, true), 0)
	want(t, "access", vfs.Access(other, p, vfs.MayWrite, true), linux.EACCES)
	want(t, "execute without x, even for root", vfs.Access(root, p, vfs.MayExec, true), linux.EACCES)
	_, errno = vfs.OpenExec(root, root.Cwd, "mine", vfs.Follow)
	want(t, "exec without x", errno, linux.EACCES)
	want(t, "mknod by a user", vfs.Mknod(user, root.Cwd, "dev", linux.S_IFCHR|0o666, vfs.MakeDev(1, 3)), linux.EPERM)
}

func TestNobodyWritesWhatIsExecuted(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	write(t, c, "prog", "x")
	p := at(t, c, "prog")
	defer p.Put()
	vfs.Chmod(c, p, 0o755)
	w, errno := open(c, "prog", linux.O_RDWR, 0)
	want(t, "open", errno, 0)
	_, errno = vfs.OpenExec(c, c.Cwd, "prog", vfs.Follow)
	want(t, "exec of a file open for writing", errno, linux.ETXTBSY)
	w.Put()
	x, errno := vfs.OpenExec(c, c.Cwd, "prog", vfs.Follow)
	want(t, "exec", errno, 0)
	_, errno = open(c, "prog", linux.O_WRONLY, 0)
	want(t, "write of a running program", errno, linux.ETXTBSY)
	want(t, "truncate of a running program", vfs.Truncate(c, p, 0), linux.ETXTBSY)
	x.Put()
	w, errno = open(c, "prog", linux.O_WRONLY, 0)
	want(t, "write afterwards", errno, 0)
	w.Put()
}

func TestSetGIDDirectories(t *testing.T) {
	root := newRoot(t, tmpfs.Options{})
	vfs.Mkdir(root, root.Cwd, "sg", 0o777)
	p := at(t, root, "sg")
	defer p.Put()
	vfs.Chown(root, p, vfs.NoID, 50)
	vfs.Chmod(root, p, 0o2777)
	user := as(root, 1000)
	vfs.Mkdir(user, root.Cwd, "sg/d", 0o755)
	write(t, user, "sg/f", "x")
	d, _ := stat(root, "sg/d", 0)
	f, _ := stat(root, "sg/f", 0)
	if d.Mode&0o7777 != 0o2755 || d.GID != 50 || f.Mode&0o7777 != 0o644 || f.GID != 50 {
		t.Errorf("made %o of group %d and %o of group %d", d.Mode, d.GID, f.Mode, f.GID)
	}
}

func TestXattrs(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	file := at(t, c, "file")
	defer file.Put()
	link, _ := vfs.Walk(c, c.Cwd, "link", 0)
	defer link.Put()
	get := func(p vfs.Path, n string) linux.Errno { _, e := vfs.GetXattr(c, p, n); return e }
	set := func(p vfs.Path, n string, fl uint32) linux.Errno { return vfs.SetXattr(c, p, n, []byte("v"), fl) }
	want(t, "get missing", get(file, "user.x"), linux.ENODATA)
	want(t, "no namespace", set(file, "foo", 0), linux.EOPNOTSUPP)
	want(t, "empty suffix", set(file, "user.", 0), linux.EINVAL)
	want(t, "user on a symlink", set(link, "user.a", 0), linux.EPERM)
	want(t, "get user on a symlink", get(link, "user.a"), linux.ENODATA)
	want(t, "security", set(file, "security.foo", 0), 0)
	want(t, "trusted", set(file, "trusted.foo", 0), 0)
	want(t, "replace missing", set(file, "user.x", linux.XATTR_REPLACE), linux.ENODATA)
	want(t, "create", set(file, "user.x", linux.XATTR_CREATE), 0)
	want(t, "create again", set(file, "user.x", linux.XATTR_CREATE), linux.EEXIST)
	want(t, "get system", get(file, "system.foo"), linux.EOPNOTSUPP)
	want(t, "too long", get(file, repeat("a", 256)), linux.ERANGE)
	want(t, "empty name", get(file, ""), linux.ERANGE)
	_, errno := vfs.GetXattr(as(c, 1000), file, "trusted.foo")
	want(t, "trusted for a user", errno, linux.ENODATA)
	want(t, "capability", set(file, "security.capability", 0), 0)
	writeTo(t, c, "file")
	want(t, "capability after a write", get(file, "security.capability"), linux.ENODATA)
	names, _ := vfs.ListXattr(as(c, 1000), file)
	if len(names) != 2 {
		t.Errorf("a user sees %q", names)
	}
}

func TestDeletedDirectory(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	tree(t, c)
	want(t, "mkdir", vfs.Mkdir(c, c.Cwd, "gone", 0o755), 0)
	n := *c
	n.Cwd = at(t, c, "gone")
	defer n.Cwd.Put()
	want(t, "rmdir", vfs.Rmdir(c, c.Cwd, "gone"), 0)
	want(t, "mkdir in it", vfs.Mkdir(&n, n.Cwd, "z", 0o755), linux.ENOENT)
	_, errno := open(&n, "z", linux.O_CREAT|linux.O_WRONLY, 0o644)
	want(t, "create in it", errno, linux.ENOENT)
	_, errno = stat(&n, "..", 0)
	want(t, "..", errno, 0)
	want(t, "rename into it", vfs.Rename(c, c.Cwd, "file", n.Cwd, "z", 0), linux.ENOENT)
	x, errno := stat(&n, ".", 0)
	if errno != 0 || x.Nlink != 0 {
		t.Errorf("stat of it: %v, %d links", errno, x.Nlink)
	}
	if got := vfs.PathString(c, n.Cwd); got != "/gone (deleted)" {
		t.Errorf("its path is %q", got)
	}
}
