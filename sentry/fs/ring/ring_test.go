package ring

import (
	"testing"

	"hornwork/linux"
	"hornwork/sentry/usermem"
)

func TestRingKeepsBytesInOrderWhileItGrowsAndShrinks(t *testing.T) {
	var r Ring
	var in, out byte
	write := func(n int) {
		b := make([]byte, n)
		for i := range b {
			b[i] = in
			in++
		}
		s := usermem.Kernel(b)
		if k, errno := r.CopyIn(&s, n); k != n || errno != 0 {
			t.Fatalf("wrote %d of %d: %v", k, n, errno)
		}
	}
	read := func(n int) {
		b := make([]byte, n)
		s := usermem.Kernel(b)
		if k, errno := r.CopyOut(&s, n); k != n || errno != 0 {
			t.Fatalf("read %d of %d: %v", k, n, errno)
		}
		for i := range b {
			if b[i] != out {
				t.Fatalf("byte %d after %d: got %d, want %d", i, r.R, b[i], out)
			}
			out++
		}
	}
	write(4000)
	read(3900)
	write(1000) // astride the end
	read(50)
	write(9000) // grows
	read(100)
	if r.Cap() != 16384 {
		t.Errorf("capacity %d", r.Cap())
	}
	write(100)
	read(8000)
	r.Resize(4096)
	read(r.Len())
	s := usermem.Kernel(make([]byte, 3))
	if n, errno := r.CopyIn(&s, 5); n != 0 || errno != linux.EFAULT || r.Len() != 0 {
		t.Errorf("short source: %d, %v, %d left", n, errno, r.Len())
	}
}
