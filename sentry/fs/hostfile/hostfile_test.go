package hostfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"hornwork/host/sys"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/hostfile"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func caller() *vfs.Caller { return &vfs.Caller{Creds: cred.Root(&cred.UserNS{})} }

func file(t *testing.T, fd int) *vfs.File {
	t.Helper()
	f, errno := hostfile.New(caller(), int32(fd), "")
	if errno != 0 {
		t.Fatal(errno)
	}
	return f
}

func pipe(t *testing.T) (r, w int) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

func socketpair(t *testing.T) (r, w int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

// fifo is a pipe on which the host refuses RWF_NOWAIT.
func fifo(t *testing.T) (r, w int) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err = unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(r, false); err != nil {
		t.Fatal(err)
	}
	return r, w
}

func read(f *vfs.File, n int) (string, linux.Errno) {
	b := make([]byte, n)
	s := usermem.Kernel(b)
	got, errno := f.Read(caller(), &s)
	return string(b[:got]), errno
}

func write(f *vfs.File, b []byte) (int, linux.Errno) {
	s := usermem.Kernel(b)
	return f.Write(caller(), &s)
}

// await sleeps as a system call would until f is ready.
func await(t *testing.T, f *vfs.File, mask wait.Events, do func()) {
	t.Helper()
	w := make(chanWaker, 1)
	e := wait.Entry{Waker: w, Mask: mask}
	f.Ops.EventRegister(&e)
	defer f.Ops.EventUnregister(&e)
	if f.Ops.Readiness(mask)&mask != 0 {
		t.Fatal("ready too early")
	}
	go do()
	for f.Ops.Readiness(mask) == 0 {
		<-w
	}
}

type chanWaker chan struct{}

func (c chanWaker) Wake(*wait.Entry, wait.Events) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func TestStreamsNeverSleepAndWakeTheReader(t *testing.T) {
	for name, connect := range map[string]func(*testing.T) (int, int){"pipe": pipe, "socket": socketpair, "fifo": fifo} {
		t.Run(name, func(t *testing.T) {
			r, w := connect(t)
			in, out := file(t, r), file(t, w)
			defer in.Put()
			if _, errno := read(in, 10); errno != linux.EAGAIN {
				t.Fatal(errno)
			}
			await(t, in, wait.Readable, func() { unix.Write(w, []byte("hello")) })
			if got, errno := read(in, 3); got != "hel" || errno != 0 {
				t.Error(got, errno)
			}
			if got, errno := read(in, 30); got != "lo" || errno != 0 {
				t.Error(got, errno)
			}
			total := 0
			for {
				n, errno := write(out, bytes.Repeat([]byte("x"), 100000))
				if total += n; errno == linux.EAGAIN {
					break
				}
				if errno != 0 {
					t.Fatal(errno)
				}
			}
			await(t, out, wait.Writable, func() {
				var buf [65536]byte
				for left := total; left > 0; {
					n, err := unix.Read(r, buf[:])
					if err != nil {
						t.Error(err)
						return
					}
					left -= n
				}
			})
			for _, fd := range []int{r, w} {
				if f, _ := sys.Flags(int32(fd)); f&unix.O_NONBLOCK != 0 {
					t.Error("the shared description became non-blocking")
				}
			}
			await(t, in, wait.Readable|wait.Hup, func() { out.Put() })
			if got, errno := read(in, 10); got != "" || errno != 0 {
				t.Error(got, errno)
			}
		})
	}
}

func TestBrokenPipe(t *testing.T) {
	r, w := pipe(t)
	out := file(t, w)
	defer out.Put()
	unix.Close(r)
	if _, errno := write(out, []byte("x")); errno != linux.EPIPE {
		t.Error(errno)
	}
	if ev := out.Ops.Readiness(wait.Out); ev&wait.Err == 0 {
		t.Errorf("%#x", ev)
	}
}

func TestTerminal(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	n, _ := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	slave, err := unix.Open("/dev/pts/"+strconv.Itoa(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	f := file(t, slave)
	defer f.Put()
	if _, errno := read(f, 10); errno != linux.EAGAIN {
		t.Fatal(errno)
	}
	await(t, f, wait.Readable, func() { master.WriteString("line\n") })
	if got, errno := read(f, 100); got != "line\n" || errno != 0 {
		t.Errorf("%q %v", got, errno)
	}
	if n, errno := write(f, []byte("out")); n != 3 || errno != 0 {
		t.Error(n, errno)
	}
	mem := flatMemory{make([]byte, 64)}
	if _, errno := f.Ops.Ioctl(caller(), f, mem, linux.TCGETS, 0); errno != 0 {
		t.Error(errno)
	}
	for _, cmd := range []uint32{linux.TIOCSTI, linux.TIOCSCTTY, linux.TIOCSPGRP} {
		if _, errno := f.Ops.Ioctl(caller(), f, mem, cmd, 0); errno != linux.ENOTTY {
			t.Errorf("%#x: %v", cmd, errno)
		}
	}
	if got := f.Path.Dentry.Name(); got != "/dev/tty" {
		t.Error(got)
	}
}

// flatMemory is guest memory at address 0.
type flatMemory struct{ b []byte }

func (m flatMemory) CopyIn(dst []byte, addr uint64) (int, linux.Errno) {
	return copy(dst, m.b[addr:]), 0
}
func (m flatMemory) CopyOut(addr uint64, src []byte) (int, linux.Errno) {
	return copy(m.b[addr:], src), 0
}
func (m flatMemory) Pin(p *usermem.Pinned, addr, length uint64, write bool) linux.Errno {
	return linux.EOPNOTSUPP
}

func TestRegularFileUsesTheHostsOffset(t *testing.T) {
	host, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	host.WriteString("before ")
	fd, _ := unix.Dup(int(host.Fd()))
	f := file(t, fd)
	defer f.Put()
	if n, errno := write(f, []byte("inside ")); n != 7 || errno != 0 {
		t.Fatal(n, errno)
	}
	host.WriteString("after")
	if b, _ := os.ReadFile(host.Name()); string(b) != "before inside after" {
		t.Errorf("%q", b)
	}
	if n, errno := f.Seek(caller(), 7, linux.SEEK_SET); n != 7 || errno != 0 {
		t.Error(n, errno)
	}
	if got, errno := read(f, 6); got != "inside" || errno != 0 {
		t.Error(got, errno)
	}
	b := make([]byte, 6)
	s := usermem.Kernel(b)
	if n, errno := f.PRead(caller(), &s, 0); n != 6 || errno != 0 || string(b) != "before" {
		t.Error(n, errno, string(b))
	}
	mem := usermem.One(flatMemory{make([]byte, 64)}, 0, 5) // memory that cannot be pinned
	if n, errno := f.PRead(caller(), &mem, 14); n != 5 || errno != 0 {
		t.Error(n, errno)
	}
	var st linux.Statx
	if errno := vfs.Stat(caller(), f.Path, &st); errno != 0 || st.Size != 19 || st.Mode&linux.S_IFMT != linux.S_IFREG {
		t.Error(errno, st)
	}
}

func TestDirectoriesAreRefused(t *testing.T) {
	fd, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, errno := hostfile.New(caller(), int32(fd), ""); errno != linux.EINVAL {
		t.Error(errno)
	}
}

func TestDevNullIsAlwaysReady(t *testing.T) {
	fd, err := unix.Open("/dev/null", unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := file(t, fd)
	defer f.Put()
	if got, errno := read(f, 5); got != "" || errno != 0 {
		t.Error(got, errno)
	}
	if n, errno := write(f, make([]byte, 1<<20)); n != 1<<20 || errno != 0 {
		t.Error(n, errno)
	}
	if ev := f.Ops.Readiness(wait.In | wait.Out); ev != wait.In|wait.Out {
		t.Error(ev)
	}
}
