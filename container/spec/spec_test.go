package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/kernel"
)

func bundle(t *testing.T, config string) string {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBundleBecomesConfig(t *testing.T) {
	dir := bundle(t, `{"ociVersion":"1.0.2","hostname":"box","root":{"path":"rootfs","readonly":true},
		"process":{"args":["/bin/sh"],"env":["A=b"],"cwd":"/","user":{"uid":0,"gid":0},
		"capabilities":{"bounding":["CAP_CHOWN","CAP_KILL"],"ambient":["CAP_KILL"]},
		"rlimits":[{"type":"RLIMIT_NOFILE","soft":5,"hard":9}]},
		"mounts":[{"destination":"/proc","type":"proc","source":"proc"},
		{"destination":"/data","type":"bind","source":"rootfs","options":["rbind","ro"]},
		{"destination":"/dev","type":"tmpfs","source":"tmpfs"}]}`)
	c, roots, err := LoadBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "box" || !c.Root.ReadOnly || c.Process.Args[0] != "/bin/sh" {
		t.Errorf("config is %+v", c)
	}
	if want := (kernel.Capabilities{Bounding: 1<<linux.CAP_CHOWN | 1<<linux.CAP_KILL, Ambient: 1 << linux.CAP_KILL}); c.Process.Caps != want {
		t.Errorf("capabilities are %#x, want %#x", c.Process.Caps, want)
	}
	if l := c.Process.Rlimits[linux.RLIMIT_NOFILE]; l.Cur != 5 || l.Max != 9 {
		t.Errorf("RLIMIT_NOFILE is %+v", l)
	}
	if len(roots) != 2 || roots[1].Path != filepath.Join(dir, "rootfs") || roots[1].Writable {
		t.Errorf("roots are %+v", roots)
	}
	if len(c.Mounts) != 3 || c.Mounts[1].Type != "gofer" || c.Mounts[1].GoferRoot != 1 || c.Mounts[2].Type != "dev" {
		t.Errorf("mounts are %+v", c.Mounts)
	}
}

func TestBadBundlesSayWhatIsWrong(t *testing.T) {
	for _, tc := range []struct{ config, want string }{
		{`{`, "config.json"},
		{`{"root":{"path":"rootfs"}}`, "process.args"},
		{`{"process":{"args":["x"],"cwd":"/"}}`, "root.path"},
		{`{"root":{"path":"nowhere"},"process":{"args":["x"],"cwd":"/"}}`, "nowhere"},
		{`{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"y"}}`, "process.cwd"},
		{`{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/","capabilities":{"bounding":["CAP_X"]}}}`, "CAP_X"},
		{`{"root":{"path":"rootfs"},"process":{"args":["x"],"cwd":"/","rlimits":[{"type":"Y"}]}}`, `"Y"`},
	} {
		_, _, err := LoadBundle(bundle(t, tc.config))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error is %v, want it to name %s", tc.config, err, tc.want)
		}
	}
	if _, _, err := LoadBundle(t.TempDir()); err == nil {
		t.Error("a directory without config.json was taken as a bundle")
	}
}
