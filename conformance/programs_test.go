package conformance

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is one script of programs/. Its leading comments may say "# platforms: trap ptrace user" (user: also under trap as
// an ordinary user) and "# minutes: N" (its time limit, 2 if not said).
type program struct {
	path  string
	where []string
	limit time.Duration
}

func readProgram(t *testing.T, path string) program {
	p := program{path: path, where: []string{"trap"}, limit: 2 * time.Minute}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan() && strings.HasPrefix(s.Text(), "# "); {
		key, value, _ := strings.Cut(strings.TrimPrefix(s.Text(), "# "), ": ")
		switch key {
		case "platforms":
			p.where = strings.Fields(value)
		case "minutes":
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatalf("%s: minutes: %v", path, err)
			}
			p.limit = time.Duration(n) * time.Minute
		}
	}
	return p
}

// sources downloads the Debian source packages that scripts build, once for a machine.
func sources(t *testing.T) string {
	dir := filepath.Join(os.TempDir(), "hornwork-sources")
	out, err := exec.Command("./fetch-sources", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("fetch-sources: %v\n%s", err, out)
	}
	return dir
}

// ordinaryUser is the host user that the "user" runs are made as.
const ordinaryUser = 65533

// script runs a program's script in an empty directory, natively or in a sandbox.
func script(t *testing.T, p program, where, sources string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "program")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file, err := filepath.Abs(p.path)
	if err != nil {
		t.Fatal(err)
	}
	shell := []string{"/bin/sh", file}
	env := []string{"SOURCES=" + sources, "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=" + dir, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin"}
	args := shell
	if where != "host" && where != "hostuser" {
		platform := where
		if where == "user" {
			platform = "trap"
		}
		args = []string{hornwork, "do", "--platform", platform, "--env", "SOURCES"}
		args = append(append(args, "--"), shell...)
	}
	cmd := exec.Command("timeout", append([]string{"-k", "5", fmt.Sprint(int(p.limit.Seconds()))}, args...)...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, 10*time.Second
	if where == "user" || where == "hostuser" {
		if err := os.Chown(dir, ordinaryUser, ordinaryUser); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUser, Gid: ordinaryUser}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return strings.ReplaceAll(string(out), dir, "DIR") + err.Error() + "\n"
	}
	return strings.ReplaceAll(string(out), dir, "DIR")
}

// Real programs print in the sandbox what they print on the host.
func TestPrograms(t *testing.T) {
	paths, err := filepath.Glob("programs/*.sh")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no programs found: %v", err)
	}
	list := platforms(t)
	src := sources(t)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".sh")
		t.Run(name, func(t *testing.T) {
			p := readProgram(t, path)
			want := map[string]string{"host": script(t, p, "host", src)}
			if strings.Contains(want["host"], "exit status") {
				t.Fatalf("the script fails on the host:\n%s", want["host"])
			}
			for _, where := range p.where {
				host := "host"
				if where == "user" {
					if os.Getuid() != 0 {
						continue // the host's user is an ordinary one already
					}
					host = "hostuser"
					want[host] = script(t, p, host, src)
				} else if !slices.Contains(list, where) {
					continue
				}
				t.Run(where, func(t *testing.T) {
					if got := script(t, p, where, src); got != want[host] {
						t.Errorf("host:\n%s\nsandbox:\n%s", want[host], got)
					}
				})
			}
		})
	}
}
