package anon_test

import (
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/anon/fstest"
	"hornwork/sentry/fs/epoll"
	"hornwork/sentry/fs/eventfd"
	"hornwork/sentry/fs/inotify"
	"hornwork/sentry/fs/pipe"
	"hornwork/sentry/fs/signalfd"
	"hornwork/sentry/fs/timerfd"
	"hornwork/sentry/sock"
	_ "hornwork/sentry/sock/unix"
	"hornwork/sentry/vfs"
)

// TestWhatAnonymousFilesShow compares names, modes, seeking and foreign operations with what Linux 6.18 was seen to do.
func TestWhatAnonymousFilesShow(t *testing.T) {
	c := fstest.Caller()
	tfd, _ := timerfd.New(c, linux.CLOCK_MONOTONIC, linux.TFD_NONBLOCK, nil)
	ifd, _ := inotify.New(c, linux.IN_NONBLOCK)
	pr, _ := pipe.New(c, linux.O_NONBLOCK)
	sk, _, _ := sock.NewPair(c, "net", linux.AF_UNIX, linux.SOCK_STREAM, 0)
	tests := []struct {
		name  string
		f     *vfs.File
		mode  uint32
		seek  linux.Errno
		write linux.Errno
	}{
		{"anon_inode:[eventfd]", eventfd.New(c, 0, 0), 0o600, 0, 0},
		{"anon_inode:[eventpoll]", epoll.New(c), 0o600, 0, linux.EINVAL},
		{"anon_inode:[timerfd]", tfd, 0o600, 0, linux.EINVAL},
		{"anon_inode:[signalfd]", signalfd.New(c, 0, linux.SFD_NONBLOCK), 0o600, 0, linux.EINVAL},
		{"anon_inode:inotify", ifd, 0o600, 0, linux.EINVAL},
		{"", pr, 0o10600, linux.ESPIPE, linux.EBADF},
		{"", sk, 0o140777, linux.ESPIPE, 0},
	}
	for _, tt := range tests {
		if tt.name != "" {
			if got := vfs.PathString(c, tt.f.Path); got != tt.name {
				t.Errorf("name %q, want %q", got, tt.name)
			}
		}
		if got := tt.f.Inode().Attr().Mode.Load(); got != tt.mode {
			t.Errorf("%s: mode %#o, want %#o", tt.name, got, tt.mode)
		}
		if n, errno := tt.f.Seek(c, 5, linux.SEEK_SET); n != 0 || errno != tt.seek {
			t.Errorf("%s: lseek %d, %v, want %v", tt.name, n, errno, tt.seek)
		}
		if errno := tt.f.Sync(c, false); errno != linux.EINVAL {
			t.Errorf("%s: fsync %v", tt.name, errno)
		}
		if tt.write != linux.EBADF { // of the wrong access mode, which the syscall layer checks
			if _, errno := fstest.Write(c, tt.f, "12345678"); errno != tt.write && errno != linux.EAGAIN {
				t.Errorf("%s: write %v, want %v", tt.name, errno, tt.write)
			}
		}
	}
}
