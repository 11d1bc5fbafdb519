package spec

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLeastLimitOfControlGroupsCounts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/memory.max": "5000\n", "a/b/memory.max": "max\n", "c/memory.max": "7000\n",
		"memory/d/memory.limit_in_bytes": "900\n", "memory/memory.limit_in_bytes": "9223372036854771712\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for own, want := range map[string]uint64{
		"":                              ^uint64(0),
		"0::/\n":                        ^uint64(0),
		"0::/a/b\n":                     5000,
		"0::/c\n":                       7000,
		"0::/c/gone\n":                  7000,
		"0::/../../c\n":                 7000,
		"4:cpu:/a\n3:memory:/d\n0::/\n": 900,
		"nonsense":                      ^uint64(0),
	} {
		if got := cgroupLimit(dir, own, "memory", "memory.max", "memory.limit_in_bytes"); got != want {
			t.Errorf("%q: %d, want %d", own, got, want)
		}
	}
}

func TestHostsLimitsAreKnown(t *testing.T) {
	if n := HostTasks(); n < 64 {
		t.Errorf("the host lets us have %d threads", n)
	}
	if n := HostMemory(); n < 1<<20 {
		t.Errorf("the host has %d bytes", n)
	}
}
