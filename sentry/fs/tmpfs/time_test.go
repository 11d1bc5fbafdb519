package tmpfs_test

import (
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func TestAccessTimesAreRelative(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	write(t, c, "f", "")
	p := at(t, c, "f")
	defer p.Put()
	set := func(atime, mtime int64) {
		vfs.Utimes(c, p, [2]linux.Timespec{{Sec: atime}, {Sec: mtime}})
		p.Inode().Attr().Ctime.Store(mtime * 1e9)
	}
	now := vfs.Now() / 1e9
	for _, tc := range []struct {
		what         string
		atime, mtime int64
		flags        uint32
		touched      bool
	}{
		{"modified since", now - 100, now - 50, 0, true},
		{"read since", now - 50, now - 100, 0, false},
		{"read a day ago", now - 90000, now - 100000, 0, true},
		{"O_NOATIME", now - 100, now - 50, linux.O_NOATIME, false},
	} {
		set(tc.atime, tc.mtime)
		f, errno := open(c, "f", tc.flags, 0)
		want(t, "open", errno, 0)
		b := make([]byte, 1)
		dst := seq(b)
		f.Read(c, &dst) // at the end of an empty file: an access all the same
		f.Put()
		x, _ := stat(c, "f", 0)
		if got := x.Atime.Sec != tc.atime; got != tc.touched {
			t.Errorf("%s: touched %v", tc.what, got)
		}
	}
}

func seq(b []byte) usermem.Seq { return usermem.Kernel(b) }
