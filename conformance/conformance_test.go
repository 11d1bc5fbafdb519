// Package conformance runs C programs and real programs on host Linux first, then in the sandbox on each platform, and
// compares what they print. Host Linux is the oracle: a difference is a defect of the sandbox, or a case that prints
// what differs from run to run.
package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hornwork is the binary under test: $HORNWORK, or built by TestMain.
var hornwork string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if hornwork = os.Getenv("HORNWORK"); hornwork == "" {
		hornwork = filepath.Join(dir, "hornwork")
		build := exec.Command("go", "build", "-o", hornwork, "hornwork/cmd/hornwork")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := build.CombinedOutput()
		if err != nil {
			fmt.Fprintf(os.Stderr, "build hornwork: %v\n%s", err, out)
			return 1
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the sentry's user executes the binary
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// platforms returns those that work on this machine.
func platforms(t *testing.T) []string {
	told, err := exec.Command(hornwork, "platforms").Output()
	if err != nil {
		t.Fatalf("hornwork platforms: %v", err)
	}
	var list []string
	for line := range strings.Lines(string(told)) {
		f := strings.Fields(line)
		if len(f) != 2 || f[1] != "works" {
			t.Logf("left out: %s", line)
			continue
		}
		// A platform that is said to work must: its cases are not left out in silence.
		if out, err := exec.Command(hornwork, "do", "--platform", f[0], "--", "/bin/true").CombinedOutput(); err != nil {
			t.Fatalf("platform %s is said to work, and does not: %v\n%s", f[0], err, out)
		}
		list = append(list, f[0])
	}
	if len(list) == 0 {
		t.Fatal("no platform works on this machine; see `hornwork platforms`")
	}
	return list
}

// output runs a command in an empty directory and returns what it printed and how it ended. It is killed after limit.
func output(t *testing.T, limit time.Duration, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.TempDir()
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(&out, "TIMEOUT after %v\n", limit)
	case errors.As(err, &exit):
		fmt.Fprintf(&out, "%v\n", err)
	case err != nil:
		t.Fatal(err)
	}
	return out.String()
}

// sections splits a conformance program's output into its cases.
func sections(out string) (names []string, text map[string]string) {
	text = map[string]string{}
	name := ""
	for line := range strings.Lines(out) {
		if n, ok := strings.CutPrefix(line, "== "); ok {
			name = strings.TrimSpace(n)
			names = append(names, name)
			continue
		}
		text[name] += line
	}
	return names, text
}

func compile(t *testing.T, cc, source, dir string) string {
	t.Helper()
	bin := filepath.Join(dir, cc+"-"+strings.TrimSuffix(filepath.Base(source), ".c"))
	out, err := exec.Command(cc, "-static", "-O1", "-w", "-pthread", "-I", ".", "-o", bin, source, "-lrt").CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", cc, source, err, out)
	}
	return bin
}

// A source whose first line says "// glibc only" uses what musl's headers lack.
func compilers(t *testing.T, source string) []string {
	b, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(b, []byte("// glibc only")) {
		return []string{"gcc"}
	}
	return []string{"gcc", "musl-gcc"}
}

// knownDifferences reads known.txt: "family/case: reason" on each line. They are gaps that we know and tell of.
func knownDifferences(t *testing.T) map[string]string {
	b, err := os.ReadFile("known.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if name, reason, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			m[name] = reason
		} else if strings.TrimSpace(line) != "" {
			t.Fatalf("known.txt: %q is not \"family/case: reason\"", line)
		}
	}
	return m
}

// compareCase fails where sandbox and host differ, and where a known difference has gone.
func compareCase(t *testing.T, known, want, got string) {
	switch {
	case got == want && known != "":
		t.Errorf("it agrees with the host now; take it out of known.txt (%s)", known)
	case got != want && known != "":
		t.Skipf("known difference: %s\nhost:\n%ssandbox:\n%s", known, want, got)
	case got != want:
		t.Errorf("host:\n%ssandbox:\n%s", want, got)
	}
}

func TestCases(t *testing.T) {
	sources, err := filepath.Glob("cases/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no cases found: %v", err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	list, known := platforms(t), knownDifferences(t)
	for _, source := range sources {
		for _, cc := range compilers(t, source) {
			family := strings.TrimSuffix(filepath.Base(source), ".c")
			t.Run(family+"/"+cc, func(t *testing.T) {
				bin := compile(t, cc, source, dir)
				names, want := sections(output(t, 2*time.Minute, bin))
				if len(names) == 0 {
					t.Fatal("the program ran no case on the host")
				}
				for _, p := range list {
					_, got := sections(output(t, 2*time.Minute, hornwork, "do", "--platform", p, "--", bin))
					for _, n := range names {
						t.Run(p+"/"+n, func(t *testing.T) { compareCase(t, known[family+"/"+n], want[n], got[n]) })
					}
					if got[""] != want[""] {
						t.Errorf("%s: outside of the cases: host %q, sandbox %q", p, want[""], got[""])
					}
				}
			})
		}
	}
}
