package devpts

import (
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// TestOpensThroughTheTree does what posix_openpt(3) and its friends do.
func TestOpensThroughTheTree(t *testing.T) {
	Register()
	ns := vfs.NewMountNS(tmpfs.New(tmpfs.Options{}).SB, 0)
	c := fstest.Caller()
	c.Root = ns.Root()
	c.Cwd = c.Root.Get()
	job := &fakeJob{}
	c.Task = job
	must := func(what string, errno linux.Errno) {
		t.Helper()
		if errno != 0 {
			t.Fatalf("%s: %v", what, errno)
		}
	}
	open := func(name string, flags uint64) (*vfs.File, linux.Errno) {
		return vfs.Open(c, c.Cwd, name, &linux.OpenHow{Flags: flags})
	}
	must("mkdir", vfs.Mkdir(c, c.Cwd, "pts", 0o755))
	must("mknod", vfs.Mknod(c, c.Cwd, "ptmx", linux.S_IFCHR|0o666, vfs.MakeDev(5, 2)))
	must("mknod", vfs.Mknod(c, c.Cwd, "tty", linux.S_IFCHR|0o666, vfs.MakeDev(5, 0)))
	at, errno := vfs.Walk(c, c.Cwd, "pts", 0)
	must("walk", errno)
	must("mount", vfs.MountFS(c, "devpts", at, "devpts", 0, "ptmxmode=0666"))
	at.Put()

	if _, errno := open("tty", linux.O_RDWR); errno != linux.ENXIO {
		t.Errorf("/dev/tty without a terminal: %v", errno)
	}
	for n, name := range []string{"pts/ptmx", "ptmx"} {
		m, errno := open(name, linux.O_RDWR|linux.O_NONBLOCK)
		must(name, errno)
		if got, errno := fstest.Ioctl(c, m, linux.TIOCGPTN, 0); got != int32(n) || errno != 0 {
			t.Errorf("%s is number %d, %v", name, got, errno)
		}
	}
	m, errno := open("ptmx", linux.O_RDWR|linux.O_NONBLOCK)
	must("ptmx", errno)
	fstest.Ioctl(c, m, linux.TIOCSPTLCK, 0)
	s, errno := open("pts/2", linux.O_RDWR)
	must("pts/2", errno)
	if job.tty == nil {
		t.Error("opening a terminal did not make it the controlling one")
	}
	if got := vfs.PathString(c, s.Path); got != "/pts/2" {
		t.Errorf("ttyname says %q", got)
	}
	tty, errno := open("tty", linux.O_RDWR)
	must("tty", errno)
	fstest.Write(c, tty, "hello")
	if got, _ := fstest.Read(c, m, 10); got != "hello" {
		t.Errorf("through /dev/tty: %q", got)
	}
	m.Put()
	if _, errno := open("pts/2", linux.O_RDWR); errno != linux.ENOENT {
		t.Errorf("after the master is closed: %v", errno)
	}
}
