package unix

import (
	"runtime"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/fs/pipe"
	"hornwork/sentry/sock"
	"hornwork/sentry/vfs"
)

// settle runs the collector, after one that a close started.
func settle() {
	for collecting.Load() {
		runtime.Gosched()
	}
	collect()
}

func TestUnreachableSocketsAreCollected(t *testing.T) {
	tests := []struct {
		name string
		make func(c *vfs.Caller, w *vfs.File) (keep []*vfs.File)
		dead bool // nobody can reach w any more
	}{
		{"a socket in its own queue", func(c *vfs.Caller, w *vfs.File) []*vfs.File {
			a, b := pair(t, c, linux.SOCK_STREAM)
			send(c, a, "x", &sock.Message{Files: []*vfs.File{b, w}}, 0)
			a.Put()
			b.Put()
			return nil
		}, true},
		{"two pairs through each other", func(c *vfs.Caller, w *vfs.File) []*vfs.File {
			a, b := pair(t, c, linux.SOCK_DGRAM)
			x, y := pair(t, c, linux.SOCK_DGRAM)
			send(c, a, "x", &sock.Message{Files: []*vfs.File{y, w}}, 0)
			send(c, x, "x", &sock.Message{Files: []*vfs.File{b}}, 0)
			a.Put()
			b.Put()
			x.Put()
			y.Put()
			return nil
		}, true},
		{"reachable through another", func(c *vfs.Caller, w *vfs.File) []*vfs.File {
			a, b := pair(t, c, linux.SOCK_STREAM)
			x, y := pair(t, c, linux.SOCK_STREAM)
			send(c, a, "x", &sock.Message{Files: []*vfs.File{w}}, 0)
			send(c, x, "x", &sock.Message{Files: []*vfs.File{b}}, 0)
			a.Put()
			b.Put()
			x.Put()
			return []*vfs.File{y}
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := fstest.Caller()
			r, w := pipe.New(c, linux.O_NONBLOCK)
			keep := tt.make(c, w)
			w.Put()
			settle()
			want := linux.EAGAIN
			if tt.dead {
				want = 0
			}
			if _, errno := fstest.Read(c, r, 1); errno != want {
				t.Errorf("the pipe says %v, want %v", errno, want)
			}
			for _, f := range keep {
				f.Put()
			}
			settle()
			if _, errno := fstest.Read(c, r, 1); errno != 0 {
				t.Errorf("in the end the pipe says %v", errno)
			}
			if flying.total != 0 || len(flying.sockets) != 0 {
				t.Errorf("%d files, %d sockets in flight", flying.total, len(flying.sockets))
			}
		})
	}
}
