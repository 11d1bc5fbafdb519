package sys

import "testing"

func TestCPUMask(t *testing.T) {
	all := func(int) bool { return true }
	for _, tc := range []struct {
		cpus int
		want string
	}{{1, "1\n"}, {2, "3\n"}, {5, "1f\n"}, {32, "ffffffff\n"}, {33, "00000001,ffffffff\n"}} {
		if got := cpuMask(tc.cpus, all); got != tc.want {
			t.Errorf("cpuMask(%d) = %q, want %q", tc.cpus, got, tc.want)
		}
	}
}
