package dev

import (
	"bytes"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

func TestDevicesReadAndWrite(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ops   vfs.FileOps
		read  int
		write linux.Errno
	}{
		{"null", &null{}, 0, 0}, {"zero", &zero{}, 10000, 0}, {"full", &zero{full: true}, 10000, linux.ENOSPC}, {"random", &random{}, 10000, 0},
	} {
		b := bytes.Repeat([]byte{7}, 10000)
		dst := usermem.Kernel(b)
		n, errno := tc.ops.Read(nil, nil, &dst, 0)
		if n != tc.read || errno != 0 {
			t.Errorf("%s: read %d bytes, %v", tc.name, n, errno)
		}
		isZero := bytes.Equal(b, make([]byte, len(b)))
		if want := tc.name == "zero" || tc.name == "full"; isZero != want {
			t.Errorf("%s: zeros read: %v", tc.name, isZero)
		}
		if tc.name == "random" && bytes.Count(b[5000:], []byte{7}) > 200 {
			t.Errorf("%s: the end was not filled", tc.name)
		}
		src := usermem.Kernel(b)
		n, end, errno := tc.ops.Write(nil, nil, &src, 5)
		if errno != tc.write || errno == 0 && (n != 10000 || end != 10005 || src.Len() != 0) {
			t.Errorf("%s: wrote %d to %d, %v", tc.name, n, end, errno)
		}
	}
}
