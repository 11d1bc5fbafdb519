package remote_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/gofer/server"
	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/fs/remote"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// liar stands between the client and an honest gofer and changes answers.
type liar struct {
	t      *testing.T
	client int32
	gofer  int32
	// lie changes an answer: the frame and the descriptors that go with it.
	lie func(req proto.Request, frame []byte, fds []int32) ([]byte, []int32)
}

// lying serves dir through a liar.
func lying(t *testing.T, dir string, cache remote.Cache, lie func(proto.Request, []byte, []int32) ([]byte, []int32)) (*world, error) {
	t.Helper()
	up, _ := sys.Socketpair(unix.SOCK_SEQPACKET)
	down, _ := sys.Socketpair(unix.SOCK_SEQPACKET)
	served, lied := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(up[0], []server.Root{{FD: openRoot(t, dir)}})
	}()
	l := &liar{t, down[0], up[1], lie}
	go func() {
		defer close(lied)
		l.run()
	}()
	cl, err := remote.Dial(down[1], 4)
	t.Cleanup(func() {
		if err == nil {
			cl.Close()
		}
		<-lied
		<-served
	})
	if err != nil {
		return nil, err
	}
	sb, err2 := remote.New(cl, remote.Options{Cache: cache})
	if err2 != nil {
		return nil, err2
	}
	root := vfs.NewMountNS(sb, 0).Root()
	c := &vfs.Caller{Creds: owner(), Root: root, Cwd: root}
	return &world{t, dir, c, root}, nil
}

func (l *liar) run() {
	defer sys.Close(l.client)
	defer sys.Close(l.gofer)
	buf := make([]byte, proto.MaxFrame)
	for {
		n, _, _, errno := sys.Recvmsg(l.client, buf, nil, 0)
		if errno != 0 || n == 0 {
			return
		}
		req, err := proto.DecodeRequest(buf[:n])
		if err != nil {
			l.t.Errorf("the client sent %x", buf[:n])
			return
		}
		if _, ok := req.(*proto.Channel); ok { // one channel is enough to lie on
			sys.Sendmsg(l.client, [][]byte{proto.EncodeError(nil, proto.OpChannel, linux.ENFILE)}, nil, 0)
			continue
		}
		sys.Sendmsg(l.gofer, [][]byte{buf[:n]}, nil, 0)
		if _, ok := req.(*proto.Close); ok {
			continue
		}
		var got [1]int32
		n, nfd, _, errno := sys.Recvmsg(l.gofer, buf, got[:], 0)
		if errno != 0 || n == 0 {
			return
		}
		frame, fds := l.lie(req, slices.Clone(buf[:n]), got[:nfd])
		_, errno = sys.Sendmsg(l.client, [][]byte{frame}, fds, 0)
		for _, fd := range got[:nfd] {
			sys.Close(fd)
		}
		if errno != 0 {
			return
		}
	}
}

func plant(t *testing.T) string {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a/b/file"), strings.Repeat("data", 100))
	put(t, filepath.Join(dir, "a/other"), "other")
	os.Symlink("b/file", filepath.Join(dir, "a/link"))
	return dir
}

// exercise does a bit of everything and cares for no result.
func (w *world) exercise() {
	b := make([]byte, 100)
	for _, name := range []string{"a/b/file", "a/link", "a/none", "a/other", "new"} {
		for _, flags := range []uint32{linux.O_RDONLY, linux.O_RDWR | linux.O_CREAT} {
			f, errno := w.open(name, flags, 0o600)
			if errno != 0 {
				continue
			}
			s := usermem.Kernel(b)
			f.PRead(w.c, &s, 0)
			s = usermem.Kernel(b)
			f.Write(w.c, &s)
			f.Seek(w.c, 0, linux.SEEK_END)
			f.Put()
		}
		w.stat(name)
	}
	for _, name := range []string{"/", "a", "a/b"} {
		if f, errno := w.open(name, linux.O_RDONLY|linux.O_DIRECTORY, 0); errno == 0 {
			f.ReadDir(w.c, func(vfs.DirEntry) bool { return true })
			f.Put()
		}
	}
	vfs.Mkdir(w.c, w.root, "d", 0o700)
	vfs.Rename(w.c, w.root, "new", w.root, "d/moved", 0)
	vfs.Unlink(w.c, w.root, "d/moved")
	vfs.Rmdir(w.c, w.root, "d")
	if p, errno := vfs.Walk(w.c, w.root, "a/other", 0); errno == 0 {
		vfs.Chmod(w.c, p, 0o640)
		vfs.Truncate(w.c, p, 3)
		vfs.GetXattr(w.c, p, "user.x")
		vfs.Statfs(w.c, p)
		p.Put()
	}
}

func TestRandomLiesAreSurvived(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		w, err := lying(t, plant(t), remote.Cache(seed%2), func(_ proto.Request, frame []byte, fds []int32) ([]byte, []int32) {
			switch r.IntN(30) {
			case 0:
				frame[r.IntN(len(frame))] = byte(r.Uint32())
			case 1:
				frame[r.IntN(len(frame))] ^= 1 << r.IntN(8)
			case 2:
				frame = frame[:r.IntN(len(frame)+1)]
			case 3:
				frame = append(frame, 0)
			case 4:
				fds = nil
			}
			return frame, fds
		})
		if err == nil {
			w.exercise()
		}
	}
}

func TestFalseDescriptorsAreRefused(t *testing.T) {
	other, err := os.Create(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	null, _ := os.OpenFile("/dev/null", os.O_RDWR, 0)
	defer null.Close()
	dir, _ := os.Open("/")
	defer dir.Close()
	r, w, _ := os.Pipe()
	defer r.Close()
	defer w.Close()
	for name, f := range map[string]*os.File{"another file": other, "a device": null, "a directory": dir, "a pipe": r} {
		t.Run(name, func(t *testing.T) {
			w, err := lying(t, plant(t), remote.CacheImmutable, func(_ proto.Request, frame []byte, fds []int32) ([]byte, []int32) {
				if len(fds) == 1 {
					fds = []int32{int32(f.Fd())}
				}
				return frame, fds
			})
			if err != nil {
				t.Fatal(err)
			}
			if f, errno := w.open("a/b/file", linux.O_RDONLY, 0); errno != linux.EIO {
				t.Errorf("%v, %v", f, errno)
			}
		})
	}
	t.Run("O_PATH", func(t *testing.T) {
		root := plant(t)
		path, err := unix.Open(filepath.Join(root, "a/b/file"), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(path)
		w, err := lying(t, root, remote.CacheShared, func(_ proto.Request, frame []byte, fds []int32) ([]byte, []int32) {
			if len(fds) == 1 {
				fds = []int32{int32(path)}
			}
			return frame, fds
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, errno := w.open("a/b/file", linux.O_RDONLY, 0); errno != linux.EIO {
			t.Error(errno)
		}
	})
}

func TestUnaskedDescriptorsAreClosed(t *testing.T) {
	r, wr, _ := os.Pipe()
	defer r.Close()
	unasked := int32(wr.Fd())
	w, err := lying(t, plant(t), remote.CacheImmutable, func(req proto.Request, frame []byte, fds []int32) ([]byte, []int32) {
		if _, ok := req.(*proto.Statfs); ok {
			fds = []int32{unasked, unasked, unasked}
		}
		return frame, fds
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, errno := vfs.Statfs(w.c, w.root); errno != linux.EIO {
		t.Error(errno)
	}
	wr.Close()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("somebody still holds the descriptor")
	}
}

func TestGoferDies(t *testing.T) {
	var dead atomic.Bool
	w, err := lying(t, plant(t), remote.CacheImmutable, func(_ proto.Request, frame []byte, fds []int32) ([]byte, []int32) {
		if dead.Load() {
			return nil, nil // an empty packet is the end of the stream
		}
		return frame, fds
	})
	if err != nil {
		t.Fatal(err)
	}
	f, errno := w.open("a/b/file", linux.O_RDONLY, 0)
	w.must(errno)
	defer f.Put()
	dead.Store(true)
	if _, errno := w.stat("a/other"); errno != linux.EIO {
		t.Error(errno)
	}
	b := make([]byte, 4)
	s := usermem.Kernel(b)
	if n, errno := f.PRead(w.c, &s, 0); n != 4 || errno != 0 {
		t.Error("an open file needs no gofer:", n, errno)
	}
}

func TestRoundTrips(t *testing.T) {
	for _, c := range []struct {
		what       string
		cache      remote.Cache
		cold, warm int32 // requests of the first and the second time
		do         func(w *world) linux.Errno
	}{
		{"stat", remote.CacheImmutable, 2, 0, func(w *world) linux.Errno { return second(w.stat("a/b/file")) }},
		{"stat shared", remote.CacheShared, 1, 1, func(w *world) linux.Errno { return second(w.stat("a/b/file")) }},
		{"missing", remote.CacheImmutable, 1, 0, func(w *world) linux.Errno { return second(w.stat("a/b/none")) - linux.ENOENT }},
		{"missing shared", remote.CacheShared, 1, 1, func(w *world) linux.Errno { return second(w.stat("a/b/none")) - linux.ENOENT }},
		{"open", remote.CacheImmutable, 1, 0, func(w *world) linux.Errno { w.read("a/b/file"); return 0 }},
		{"open shared", remote.CacheShared, 2, 1, func(w *world) linux.Errno { w.read("a/b/file"); return 0 }},
		{"link", remote.CacheImmutable, 2, 0, func(w *world) linux.Errno { w.read("a/link"); return 0 }},
		{"list", remote.CacheImmutable, 2, 0, func(w *world) linux.Errno { w.list("a"); return 0 }},
	} {
		var n atomic.Int32
		w, err := lying(t, plant(t), c.cache, func(req proto.Request, frame []byte, fds []int32) ([]byte, []int32) {
			n.Add(1)
			t.Logf("%s: %T", c.what, req)
			return frame, fds
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []int32{c.cold, c.warm} {
			n.Store(0)
			if errno := c.do(w); errno != 0 {
				t.Errorf("%s: %v", c.what, errno)
			}
			if got := n.Load(); got > want {
				t.Errorf("%s, time %d: %d requests, want %d", c.what, i+1, got, want)
			}
		}
	}
}
