package server

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/linux"
)

// guest is a hostile sentry: it speaks the protocol byte by byte.
type guest struct {
	t    *testing.T
	fd   int32
	done chan error
	buf  []byte
}

func start(t *testing.T, maxOpen int, roots ...Root) *guest {
	t.Helper()
	p, errno := sys.Socketpair(syscall.SOCK_SEQPACKET)
	if errno != 0 {
		t.Fatal(errno)
	}
	g := &guest{t: t, fd: p[1], done: make(chan error, 1), buf: make([]byte, proto.MaxFrame)}
	go func() { g.done <- serve(p[0], roots, maxOpen) }()
	t.Cleanup(func() {
		sys.Close(g.fd)
		<-g.done
	})
	return g
}

func rootAt(t *testing.T, dir string, readOnly bool) Root {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return Root{FD: int32(fd), ReadOnly: readOnly}
}

// ask sends a request; the descriptor that came with the answer is closed at the end of the test.
func (g *guest) ask(req proto.Request, resp proto.Response) (fd int32, errno linux.Errno) {
	g.t.Helper()
	b, err := proto.EncodeRequest(nil, req)
	if err != nil {
		g.t.Fatalf("%T: %v", req, err)
	}
	if _, errno := sys.Sendmsg(g.fd, [][]byte{b}, nil, 0); errno != 0 {
		g.t.Fatal(errno)
	}
	fds := []int32{-1}
	n, nfd, _, errno := sys.Recvmsg(g.fd, g.buf, fds, 0)
	if errno != 0 || n == 0 {
		g.t.Fatalf("%T: no answer: %v", req, errno)
	}
	if nfd == 1 {
		g.t.Cleanup(func() { sys.Close(fds[0]) })
	}
	errno, err = proto.DecodeResponse(g.buf[:n], req.Op(), resp)
	if err != nil {
		g.t.Fatalf("%T: %v", req, err)
	}
	return fds[0], errno
}

func (g *guest) root(n uint32) proto.Ref {
	g.t.Helper()
	var a proto.Attached
	if _, errno := g.ask(&proto.Attach{Root: n}, &a); errno != 0 {
		g.t.Fatal(errno)
	}
	return proto.Ref{Handle: a.Node.Handle}
}

func below(r proto.Ref, names ...string) proto.Ref {
	return proto.Ref{Handle: r.Handle, Path: append(append([]string(nil), r.Path...), names...)}
}

// tree is a root with traps, beside a secret.
func tree(t *testing.T) (root, secret string) {
	base := t.TempDir()
	root, secret = filepath.Join(base, "root"), filepath.Join(base, "secret")
	for _, d := range []string{root, secret, filepath.Join(root, "d")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(secret, "key"), []byte("secret"), 0o644)
	os.WriteFile(filepath.Join(root, "f"), []byte("public"), 0o644)
	os.Symlink(secret, filepath.Join(root, "abs"))
	os.Symlink("../secret", filepath.Join(root, "rel"))
	os.Symlink("/proc/self/root", filepath.Join(root, "magic"))
	os.Symlink("../../secret/key", filepath.Join(root, "d", "key"))
	unix.Mkfifo(filepath.Join(root, "fifo"), 0o666)
	unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o666, 0x103)
	return root, secret
}

func TestSymlinksAreNeverFollowed(t *testing.T) {
	root, secret := tree(t)
	g := start(t, 100, rootAt(t, root, false))
	r := g.root(0)
	for _, link := range []string{"abs", "rel", "magic"} {
		var w proto.Walked
		fd, errno := g.ask(&proto.Walk{Dir: r, Names: []string{link, "key"}, Handles: proto.AllHandles, Open: true}, &w)
		if errno != 0 || len(w.Nodes) != 1 || w.Nodes[0].Attr.Mode&linux.S_IFMT != linux.S_IFLNK || w.Target == "" || fd >= 0 {
			t.Errorf("%s: %v %+v", link, errno, w)
		}
		var attrs proto.Attrs
		if _, errno := g.ask(&proto.Getattr{Refs: []proto.Ref{below(r, link, "key")}}, &attrs); errno != 0 || attrs.Results[0].Errno == 0 {
			t.Errorf("%s: %v %+v", link, errno, attrs)
		}
		for _, ref := range []proto.Ref{below(r, link), {Handle: w.Nodes[0].Handle}} {
			for _, req := range []proto.Request{
				&proto.Walk{Dir: ref, Names: []string{"key"}},
				&proto.Open{Ref: below(ref, "key")},
				&proto.Open{Ref: ref},
				&proto.Readdir{Ref: ref},
				&proto.Make{Dir: ref, Name: "new", Mode: linux.S_IFREG | 0o644},
				&proto.Unlink{Dir: ref, Name: "key"},
				&proto.Rename{From: ref, OldName: "key", To: r, NewName: "stolen"},
				&proto.Rename{From: r, OldName: "f", To: ref, NewName: "planted"},
				&proto.Link{Target: below(ref, "key"), Dir: r, Name: "stolen"},
				&proto.Setattr{Ref: below(ref, "key"), Mask: linux.STATX_MODE},
				&proto.Setattr{Ref: ref, Mask: linux.STATX_SIZE},
				&proto.SetXattr{Ref: ref, Name: "user.x", Value: []byte("x")},
				&proto.GetXattr{Ref: below(ref, "key"), Name: "user.x"},
			} {
				if fd, errno := g.ask(req, response(req)); errno == 0 || fd >= 0 {
					t.Errorf("%s: %T was granted", link, req)
				}
			}
		}
	}
	if fd, errno := g.ask(&proto.Open{Ref: below(r, "d", "key")}, &proto.Opened{}); errno == 0 || fd >= 0 {
		t.Error("a symlink was opened")
	}
	if b, _ := os.ReadDir(secret); len(b) != 1 {
		t.Error(b)
	}
}

// response is an empty answer to req.
func response(req proto.Request) proto.Response {
	switch req.(type) {
	case *proto.Walk:
		return &proto.Walked{}
	case *proto.Open, *proto.Make:
		return &proto.Opened{}
	case *proto.Readdir:
		return &proto.Entries{}
	case *proto.Setattr, *proto.Link:
		return &proto.OneAttr{}
	case *proto.GetXattr:
		return &proto.Value{}
	}
	return &proto.Done{}
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	root, _ := tree(t)
	g := start(t, 100, rootAt(t, root, false))
	r := g.root(0)
	for name, want := range map[string]linux.Errno{"fifo": linux.EPERM, "null": linux.EPERM, "d": linux.EISDIR, "abs": linux.EPERM} {
		if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
			continue // who is not root cannot make device nodes
		}
		for _, fl := range []uint32{linux.O_RDONLY, linux.O_RDWR} {
			if fd, errno := g.ask(&proto.Open{Ref: below(r, name), Flags: fl}, &proto.Opened{}); errno != want || fd >= 0 {
				t.Errorf("%s: %v, want %v", name, errno, want)
			}
		}
	}
	for _, fl := range []uint32{3, linux.O_CREAT | linux.O_RDWR, linux.O_PATH, linux.O_TRUNC, linux.O_DIRECTORY} {
		if fd, errno := g.ask(&proto.Open{Ref: below(r, "f"), Flags: fl}, &proto.Opened{}); errno != linux.EINVAL || fd >= 0 {
			t.Errorf("flags %#o: %v", fl, errno)
		}
	}
	if _, errno := g.ask(&proto.Make{Dir: r, Name: "mem", Mode: linux.S_IFCHR | 0o666, Rdev: 0x101}, &proto.Opened{}); errno != linux.EPERM {
		t.Error(errno)
	}
}

func TestKernelFilesystemsAreEmpty(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip(err)
	}
	g := start(t, 100, rootAt(t, "/", true))
	r := g.root(0)
	for _, dir := range []string{"proc", "sys"} {
		for _, ref := range []proto.Ref{below(r, dir), {Handle: handle(g, r, dir)}} {
			var e proto.Entries
			if _, errno := g.ask(&proto.Readdir{Ref: ref}, &e); errno != 0 || len(e.Entries) != 0 || !e.End {
				t.Errorf("%s: %v, %d entries", dir, errno, len(e.Entries))
			}
			var w proto.Walked
			if _, errno := g.ask(&proto.Walk{Dir: ref, Names: []string{"self"}}, &w); errno != 0 || w.Errno != uint16(linux.ENOENT) {
				t.Errorf("%s: %v %+v", dir, errno, w)
			}
		}
	}
	pid := fmt.Sprint(os.Getpid())
	for _, ref := range []proto.Ref{below(r, "proc", pid, "mem"), below(r, "proc", pid, "environ"), below(r, "proc", "version")} {
		if fd, errno := g.ask(&proto.Open{Ref: ref}, &proto.Opened{}); errno == 0 || fd >= 0 {
			t.Errorf("%v was opened", ref.Path)
		}
	}
}

func handle(g *guest, dir proto.Ref, name string) uint64 {
	g.t.Helper()
	var w proto.Walked
	if _, errno := g.ask(&proto.Walk{Dir: dir, Names: []string{name}, Handles: proto.AllHandles}, &w); errno != 0 || len(w.Nodes) != 1 {
		g.t.Fatal(errno, w)
	}
	return w.Nodes[0].Handle
}

func TestReadOnlyRootsRefuseChanges(t *testing.T) {
	root, _ := tree(t)
	other, _ := tree(t)
	g := start(t, 100, rootAt(t, root, true), rootAt(t, other, false))
	ro, rw := g.root(0), g.root(1)
	for _, req := range []proto.Request{
		&proto.Open{Ref: below(ro, "f"), Flags: linux.O_RDWR},
		&proto.Open{Ref: below(ro, "f"), Flags: linux.O_WRONLY | linux.O_TRUNC},
		&proto.Make{Dir: ro, Name: "new", Mode: linux.S_IFREG | 0o644},
		&proto.Make{Dir: ro, Mode: linux.S_IFREG | 0o644, Temp: true},
		&proto.Make{Dir: below(ro, "d"), Name: "new", Mode: linux.S_IFDIR | 0o755},
		&proto.Unlink{Dir: ro, Name: "f"},
		&proto.Unlink{Dir: ro, Name: "d", Directory: true},
		&proto.Rename{From: ro, OldName: "f", To: rw, NewName: "x"},
		&proto.Rename{From: rw, OldName: "f", To: ro, NewName: "x"},
		&proto.Link{Target: below(rw, "f"), Dir: ro, Name: "x"},
		&proto.Setattr{Ref: below(ro, "f"), Mask: linux.STATX_MODE, Mode: 0o777},
		&proto.Setattr{Ref: below(ro, "f"), Mask: linux.STATX_SIZE},
		&proto.SetXattr{Ref: below(ro, "f"), Name: "user.x"},
		&proto.RemoveXattr{Ref: below(ro, "f"), Name: "user.x"},
	} {
		if fd, errno := g.ask(req, response(req)); errno != linux.EROFS || fd >= 0 {
			t.Errorf("%T: %v", req, errno)
		}
	}
	// A name of a read-only file in a writable root would be a way to write it.
	if _, errno := g.ask(&proto.Link{Target: below(ro, "f"), Dir: rw, Name: "x"}, &proto.OneAttr{}); errno != linux.EXDEV {
		t.Error(errno)
	}
}

func TestUnknownHandles(t *testing.T) {
	root, _ := tree(t)
	g := start(t, 100, rootAt(t, root, false))
	r := g.root(0)
	h := handle(g, r, "d")
	b, _ := proto.EncodeRequest(nil, &proto.Close{Handles: []uint64{h, h, 0, 1 << 60, r.Handle}})
	sys.Sendmsg(g.fd, [][]byte{b}, nil, 0)
	for _, bad := range []uint64{h, 0, 1 << 60, ^uint64(0)} {
		if _, errno := g.ask(&proto.Readdir{Ref: proto.Ref{Handle: bad}}, &proto.Entries{}); errno != linux.EBADF {
			t.Errorf("%d: %v", bad, errno)
		}
	}
	if _, errno := g.ask(&proto.Readdir{Ref: r}, &proto.Entries{}); errno != 0 {
		t.Error("the root's handle was closed:", errno)
	}
	if _, errno := g.ask(&proto.Attach{Root: 7}, &proto.Attached{}); errno != linux.ENOENT {
		t.Error(errno)
	}
}

func TestMalformedRequestEndsTheConnection(t *testing.T) {
	good, _ := proto.EncodeRequest(nil, &proto.Walk{Dir: proto.Ref{Handle: 1}, Names: []string{"qq"}})
	up := append([]byte(nil), good...)
	copy(up[len(up)-4:], "..")
	for name, frame := range map[string][]byte{"dotdot": up, "short": good[:len(good)-1], "text": []byte("GET / HTTP/1.1")} {
		root, _ := tree(t)
		g := start(t, 100, rootAt(t, root, false))
		sys.Sendmsg(g.fd, [][]byte{frame}, nil, 0)
		if n, _, _, errno := sys.Recvmsg(g.fd, g.buf, nil, 0); n != 0 || errno != 0 && errno != linux.ECONNRESET {
			t.Errorf("%s: %d bytes, %v", name, n, errno)
		}
		if err := <-g.done; err == nil {
			t.Errorf("%s: no error", name)
		}
		g.done <- nil
	}
}

func TestDescriptorsAreBounded(t *testing.T) {
	base := t.TempDir()
	g := start(t, 8, rootAt(t, base, false))
	r := g.root(0)
	var handles []uint64
	for i := range 100 {
		name := fmt.Sprint("dir", i)
		os.MkdirAll(filepath.Join(base, name, "sub"), 0o755)
		os.WriteFile(filepath.Join(base, name, "sub", "f"), []byte(name), 0o644)
		handles = append(handles, handle(g, proto.Ref{Handle: handle(g, r, name)}, "sub"))
	}
	if n := openUnder(t, base); n > 30 {
		t.Errorf("%d descriptors are open", n)
	}
	for i, h := range handles {
		fd, errno := g.ask(&proto.Open{Ref: proto.Ref{Handle: h, Path: []string{"f"}}}, &proto.Opened{})
		b := make([]byte, 10)
		n, _ := sys.Pread(fd, b, 0)
		if errno != 0 || string(b[:n]) != fmt.Sprint("dir", i) {
			t.Errorf("%d: %v %q", i, errno, b[:n])
		}
	}
	// What is at the old place now is another directory.
	os.Rename(filepath.Join(base, "dir0"), filepath.Join(base, "gone"))
	os.Rename(filepath.Join(base, "dir1"), filepath.Join(base, "dir0"))
	if _, errno := g.ask(&proto.Readdir{Ref: proto.Ref{Handle: handles[0]}}, &proto.Entries{}); errno != linux.ESTALE {
		t.Error(errno)
	}
}

// openUnder counts this process's O_PATH descriptors of directories below dir.
func openUnder(t *testing.T, dir string) (n int) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, e := range fds {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if len(target) > len(dir) && target[:len(dir)] == dir {
			n++
		}
	}
	return n
}

func TestRenamesRacingTheWalk(t *testing.T) {
	root, secret := tree(t)
	g := start(t, 100, rootAt(t, root, false))
	r := g.root(0)
	sub := filepath.Join(root, "swap")
	os.MkdirAll(filepath.Join(root, "real"), 0o755)
	os.WriteFile(filepath.Join(root, "real", "key"), []byte("public"), 0o644)
	os.Symlink(secret, filepath.Join(root, "bait"))
	unix.Renameat2(unix.AT_FDCWD, filepath.Join(root, "real"), unix.AT_FDCWD, sub, 0)
	var stop atomic.Bool
	swapped := make(chan int)
	go func() { // "swap" is a directory and a symlink to the secret in turn
		n := 0
		for ; !stop.Load(); n++ {
			unix.Renameat2(unix.AT_FDCWD, sub, unix.AT_FDCWD, filepath.Join(root, "bait"), unix.RENAME_EXCHANGE)
		}
		swapped <- n
	}()
	opened := 0
	for i := range 3000 {
		var fd int32
		if i%2 == 0 {
			fd, _ = g.ask(&proto.Walk{Dir: r, Names: []string{"swap", "key"}, Open: true}, &proto.Walked{})
		} else {
			fd, _ = g.ask(&proto.Open{Ref: below(r, "swap", "key")}, &proto.Opened{})
		}
		if fd >= 0 {
			opened++
			b := make([]byte, 10)
			n, _ := sys.Pread(fd, b, 0)
			if string(b[:n]) != "public" {
				t.Fatalf("read %q", b[:n])
			}
		}
		g.ask(&proto.Make{Dir: below(r, "swap"), Name: fmt.Sprint("new", i), Mode: linux.S_IFREG | 0o644}, &proto.Opened{})
		g.ask(&proto.Unlink{Dir: below(r, "swap"), Name: "key2"}, &proto.Done{})
	}
	stop.Store(true)
	if n := <-swapped; n == 0 || opened == 0 {
		t.Errorf("%d swaps, %d opens: nothing was raced", n, opened)
	}
	if left, _ := os.ReadDir(secret); len(left) != 1 {
		t.Error("made outside the root:", left)
	}
}

func TestChannelsAreBounded(t *testing.T) {
	root, _ := tree(t)
	g := start(t, 100, rootAt(t, root, false))
	g.root(0)
	n := 1
	for ; n < 100; n++ {
		if fd, errno := g.ask(&proto.Channel{}, &proto.Done{}); errno != 0 || fd < 0 {
			break
		}
	}
	if n != maxChannels {
		t.Error(n)
	}
}

func TestRootThatIsAFile(t *testing.T) {
	root, _ := tree(t)
	only := rootAt(t, root, false)
	only.File = "f"
	g := start(t, 100, only)
	f := g.root(0)
	fd, errno := g.ask(&proto.Open{Ref: f, Flags: linux.O_RDWR}, &proto.Opened{})
	b := make([]byte, 10)
	if n, _ := sys.Pread(fd, b, 0); errno != 0 || string(b[:n]) != "public" {
		t.Errorf("%v %q", errno, b)
	}
	for _, req := range []proto.Request{
		&proto.Walk{Dir: f, Names: []string{"d"}}, &proto.Readdir{Ref: f}, &proto.Make{Dir: f, Name: "x", Mode: linux.S_IFREG},
		&proto.Unlink{Dir: f, Name: "f"}, &proto.Open{Ref: below(f, "d")}, &proto.Link{Target: f, Dir: f, Name: "x"},
	} {
		if fd, errno := g.ask(req, response(req)); errno != linux.ENOTDIR || fd >= 0 {
			t.Errorf("%T: %v", req, errno)
		}
	}
	for h := range uint64(10) {
		if _, errno := g.ask(&proto.Readdir{Ref: proto.Ref{Handle: h}}, &proto.Entries{}); errno == 0 {
			t.Errorf("handle %d is a directory", h)
		}
	}
	os.Rename(filepath.Join(root, "null"), filepath.Join(root, "f"))
	if fd, errno := g.ask(&proto.Open{Ref: f}, &proto.Opened{}); errno == 0 || fd >= 0 {
		t.Error("another file took the place and was opened")
	}
}

func TestNothingStaysOpen(t *testing.T) {
	root, _ := tree(t)
	p, _ := sys.Socketpair(syscall.SOCK_SEQPACKET)
	done := make(chan error)
	file := rootAt(t, root, false)
	file.File = "f"
	go func() { done <- serve(p[0], []Root{rootAt(t, root, false), file}, 10) }()
	g := &guest{t: t, fd: p[1], buf: make([]byte, proto.MaxFrame)}
	r := g.root(0)
	g.root(1)
	handle(g, r, "d")
	var e proto.Entries
	g.ask(&proto.Readdir{Ref: r}, &e)
	g.ask(&proto.Make{Dir: r, Mode: linux.S_IFREG | 0o600, Temp: true}, &proto.Opened{})
	sys.Close(p[1])
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := openUnder(t, filepath.Dir(root)); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
}
