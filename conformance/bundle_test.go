package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// object is a piece of JSON.
type object = map[string]any

// bundle makes an OCI bundle whose root is busybox, with process.args sh -c script; change may alter the configuration.
func bundle(t *testing.T, script string, change func(config, process object)) string {
	t.Helper()
	process := object{"args": []string{"sh", "-c", script}, "env": []string{"PATH=/bin"}, "cwd": "/", "user": object{"uid": 0, "gid": 0}}
	config := object{
		"ociVersion": "1.0.2", "hostname": "box", "root": object{"path": "rootfs"}, "process": process,
		"mounts": []object{{"destination": "/proc", "type": "proc", "source": "proc"}},
	}
	if change != nil {
		change(config, process)
	}
	dir := sharedDir(t, map[string]string{"data": "bound\n"})
	if err := os.Symlink(busyboxRoot(t), filepath.Join(dir, "rootfs")); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBundles(t *testing.T) {
	for _, tc := range []struct {
		name, script, want string
		change             func(config, process object)
	}{
		{"environment, directory, name", "echo $A; pwd; hostname", "b\n/etc\nbox\n", func(_, p object) {
			p["env"], p["cwd"] = []string{"PATH=/bin", "A=b"}, "/etc"
		}},
		{"user", "id -u; id -g; id -G; umask", "5\n6\n6 7\n0077\n", func(_, p object) {
			p["user"] = object{"uid": 5, "gid": 6, "additionalGids": []int{7}, "umask": 0o77}
		}},
		{"limits", "ulimit -n; ulimit -Hn", "55\n99\n", func(_, p object) {
			p["rlimits"] = []object{{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 99}}
		}},
		{"no capabilities", "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status; touch /etc/x && echo written",
			"CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nwritten\n", nil},
		{"capabilities of root", "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status",
			"CapPrm:\t0000000000000021\nCapEff:\t0000000000000021\nCapBnd:\t0000000000000021\n", func(_, p object) {
				set := []string{"CAP_CHOWN", "CAP_KILL"}
				p["capabilities"] = object{"bounding": set, "permitted": set, "effective": set}
			}},
		{"capabilities of another", "grep Cap /proc/self/status",
			"CapInh:\t0000000000000020\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\nCapBnd:\t0000000000000021\nCapAmb:\t0000000000000020\n", func(_, p object) {
				set := []string{"CAP_KILL"}
				p["user"] = object{"uid": 5, "gid": 5}
				p["capabilities"] = object{"bounding": []string{"CAP_CHOWN", "CAP_KILL"}, "permitted": set, "effective": set, "inheritable": set, "ambient": set}
			}},
		{"no new privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n", func(_, p object) {
			p["noNewPrivileges"] = true
		}},
		{"read-only root", "touch /x 2>/dev/null || echo refused; echo x >/new/dir/x && cat /new/dir/x /etc/data",
			"refused\nx\nbound\n", func(c, _ object) {
				c["root"] = object{"path": "rootfs", "readonly": true}
				c["mounts"] = []object{
					{"destination": "/new/dir", "type": "tmpfs", "source": "tmpfs"},
					{"destination": "/etc/data", "type": "bind", "source": "data", "options": []string{"bind", "ro"}},
				}
			}},
		{"bind mounts", "cat /mnt/data; touch /mnt/new 2>/dev/null || echo refused", "bound\nrefused\n", func(c, _ object) {
			c["mounts"] = []object{{"destination": "/mnt", "type": "bind", "source": ".", "options": []string{"rbind", "ro"}}}
		}},
		{"what every container asks for", "tty; echo x >/dev/null && ls -d /dev/pts /dev/shm /sys/fs/cgroup 2>&1; cat /proc/1/comm; true",
			"not a tty\n/dev/pts\n/dev/shm\n/sys/fs/cgroup\nsh\n", func(c, _ object) {
				c["mounts"] = []object{
					{"destination": "/proc", "type": "proc", "source": "proc"},
					{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
					{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
					{"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
					{"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": []string{"nosuid", "noexec", "nodev"}},
					{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": []string{"nosuid", "noexec", "nodev", "ro"}},
					{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
				}
			}},
	} {
		if r := cli(t, "run", bundle(t, tc.script, tc.change)); r.out != tc.want {
			t.Errorf("%s: got %q (exit code %d, stderr %q), want %q", tc.name, r.out, r.code, r.err, tc.want)
		}
	}
	if r := cli(t, "run", bundle(t, "exit 9", nil)); r.code != 9 {
		t.Errorf("exit 9: %+v", r)
	}
	if r := cli(t, "run", bundle(t, "", func(_, p object) { p["args"] = []string{"no-such-command"} })); r.code != 127 || !oneLine(r.err) {
		t.Errorf("a command that is not there: %+v", r)
	}
}

// The bundle says whether the process gets a terminal.
func TestTerminalIsTheBundlesChoice(t *testing.T) {
	if r := cli(t, "run", bundle(t, "tty", func(_, p object) { p["terminal"] = true })); r.code != 1 || !oneLine(r.err) || !strings.Contains(r.err, "terminal") {
		t.Errorf("a terminal is asked for and there is none: %+v", r)
	}
}
