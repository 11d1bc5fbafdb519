package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// result is how a run of the command line ended.
type result struct {
	out, err string
	code     int
}

// cli runs hornwork with an empty standard input.
func cli(t *testing.T, args ...string) result {
	t.Helper()
	return cliWith(t, nil, args...)
}

func cliWith(t *testing.T, set func(*exec.Cmd), args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, hornwork, args...)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if set != nil {
		set(cmd)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil {
		t.Fatalf("%q did not end; stdout %q, stderr %q", args, out.String(), errs.String())
	}
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v", args, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func do(t *testing.T, args ...string) result {
	t.Helper()
	return cli(t, append([]string{"do"}, args...)...)
}

// sharedDir is a directory that the sandbox's users can reach, with the given files.
func sharedDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestExitCodes(t *testing.T) {
	dir := sharedDir(t, map[string]string{
		"nointerp": "#!/no/such/interpreter\n", "garbage": "neither ELF nor script", "good": "#!/bin/sh\nexit 5\n",
	})
	for _, tc := range []struct {
		args []string
		want int
	}{
		{[]string{"true"}, 0},
		{[]string{"sh", "-c", "exit 42"}, 42},
		{[]string{"sh", "-c", "exit 255"}, 255},
		{[]string{dir + "/good"}, 5},
		{[]string{"sh", "-c", "kill -9 $$"}, 137},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 139},
		{[]string{"no-such-command"}, 127},
		{[]string{"/no/such/file"}, 127},
		{[]string{"/etc"}, 126},
		{[]string{"/etc/passwd"}, 126},
		{[]string{"/etc/passwd/x"}, 127},
		{[]string{dir + "/nointerp"}, 126},
		{[]string{dir + "/garbage"}, 126},
	} {
		r := do(t, append([]string{"--"}, tc.args...)...)
		if r.code != tc.want {
			t.Errorf("%q: exit code %d, want %d; stderr %q", tc.args, r.code, tc.want, r.err)
		}
		if ours := tc.want == 126 || tc.want == 127; ours != (oneLine(r.err)) {
			t.Errorf("%q: stderr is %q", tc.args, r.err)
		}
	}
}

// oneLine says whether s is one line of complaint of ours.
func oneLine(s string) bool {
	return strings.HasPrefix(s, "hornwork: ") && strings.Count(s, "\n") == 1 && strings.HasSuffix(s, "\n")
}

func TestErrorsAreOneClearLine(t *testing.T) {
	dir := sharedDir(t, map[string]string{"config.json": "{", "file": ""})
	empty := sharedDir(t, nil)
	for _, tc := range []struct {
		args string // words; -- true is added to those of do
		code int
		want string // what the line must name
	}{
		{"do --nonsense", 1, "--nonsense"},
		{"do --cwd /no/such/dir", 126, "/no/such/dir"},
		{"do --cwd " + dir + "/file", 126, dir + "/file"},
		{"do --cwd relative", 1, "absolute"},
		{"do --root /no/such/root", 1, "/no/such/root"},
		{"do --root " + dir + "/file", 1, "not a directory"},
		{"do --platform abacus", 1, "abacus"},
		{"do --network host", 1, "host"},
		{"do --overlay /no/such/dir", 1, "/no/such/dir"},
		{"do --overlay /proc", 1, "/proc"},
		{"do --log /no/such/dir/log", 1, "/no/such/dir/log"},
		{"do --volume nonsense", 1, "HOST:GUEST"},
		{"do --volume /no/such/dir:/mnt", 1, "/no/such/dir"},
		{"do --volume " + dir + ":relative", 1, "absolute"},
		{"do --volume " + dir + ":/mnt:rx", 1, "rx"},
		{"do --volume /dev/null:/mnt", 1, "/dev/null"},
		{"do --user root", 1, "root"},
		{"do --user 1:x", 1, "1:x"},
		{"do --user -1", 1, "-1"},
		{"do --user 4294967295", 1, "4294967295"},
		{"do --hostname " + strings.Repeat("x", 65), 1, "--hostname"},
		{"do --strace=no_such_call", 1, "no_such_call"},
		{"run", 1, "BUNDLE"},
		{"run " + dir, 1, "config.json"},
		{"run " + empty, 1, "config.json"},
		{"run /no/such/bundle", 1, "/no/such/bundle"},
		{"nonsense", 1, "nonsense"},
		{"syscalls --nonsense", 1, "--nonsense"},
	} {
		args := strings.Fields(tc.args)
		if args[0] == "do" {
			args = append(args, "--", "true")
		}
		r := cli(t, args...)
		if r.code != tc.code || !oneLine(r.err) || !strings.Contains(r.err, tc.want) || r.out != "" {
			t.Errorf("%s: exit code %d, want %d; stderr %q, want one line that names %s", tc.args, r.code, tc.code, r.err, tc.want)
		}
	}
	if r := cli(t, "do"); r.code != 1 || !oneLine(r.err) {
		t.Errorf("do without a command: exit code %d, stderr %q", r.code, r.err)
	}
}

func TestFlagsOfDo(t *testing.T) {
	t.Setenv("HORNWORK_TEST", "passed")
	t.Setenv("HORNWORK_SECRET", "kept")
	log := filepath.Join(sharedDir(t, nil), "log")
	for _, tc := range []struct {
		flags, script, want string
	}{
		{"--env A=b --env A=c --env EMPTY= --env HORNWORK_TEST --env NOT_SET_AT_ALL",
			"echo $A:${EMPTY-unset}:$HORNWORK_TEST:${NOT_SET_AT_ALL-unset}:${HORNWORK_SECRET-unset}", "c::passed:unset:unset\n"},
		{"--cwd /usr/bin", "pwd", "/usr/bin\n"},
		{"--user 12:34", "id -u; id -g; id -G", "12\n34\n34\n"},
		{"--user 12", "id -u; id -g", "12\n12\n"},
		{"--hostname elsewhere", "uname -n; cat /proc/sys/kernel/hostname", "elsewhere\nelsewhere\n"},
		{"", "uname -sr", "Linux 6.6.0\n"},
		{"--log " + log, "echo quiet", "quiet\n"},
		{"--platform ptrace", "echo other", "other\n"},
		{"", "trap 'echo got it' TERM; kill -TERM $$; echo on", "got it\non\n"},
	} {
		args := append(append([]string{"do"}, strings.Fields(tc.flags)...), "--", "/bin/sh", "-c", tc.script)
		if r := cli(t, args...); r.out != tc.want || r.code != 0 {
			t.Errorf("%s: %s: got %q (exit code %d, stderr %q), want %q", tc.flags, tc.script, r.out, r.code, r.err, tc.want)
		}
	}
	if _, err := os.Stat(log); err != nil {
		t.Error(err)
	}
}

func TestVolumes(t *testing.T) {
	dir := sharedDir(t, map[string]string{"f": "one\n"})
	read := func() string {
		b, err := os.ReadFile(dir + "/f")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if r := do(t, "--volume", dir+":/mnt/new/dir", "--", "sh", "-c", "cat /mnt/new/dir/f; echo x >/mnt/new/dir/f"); r.out != "one\n" || r.code == 0 {
		t.Errorf("read-only directory: %+v", r)
	}
	if r := do(t, "--volume", dir+"/f:/mnt/one", "--", "sh", "-c", "cat /mnt/one; echo x >/mnt/one"); r.out != "one\n" || r.code == 0 {
		t.Errorf("read-only file: %+v", r)
	}
	if got := read(); got != "one\n" {
		t.Errorf("after writes to read-only volumes the host's file is %q", got)
	}
	if r := do(t, "--volume", dir+"/f:/etc/passwd:rw", "--", "sh", "-c", "echo two >/etc/passwd; ls /etc/shells"); r.code != 0 {
		t.Errorf("file: %+v", r)
	}
	if got := read(); got != "two\n" {
		t.Errorf("after a write to a file given rw the host's file is %q", got)
	}
	if r := do(t, "--volume", dir+":/mnt:rw", "--", "sh", "-c", "echo three >/mnt/f; mkdir /mnt/d; echo new >/mnt/d/g; mv /mnt/d/g /mnt/h; rmdir /mnt/d"); r.code != 0 {
		t.Errorf("directory: %+v", r)
	}
	if got := read(); got != "three\n" {
		t.Errorf("after a write to a directory given rw the host's file is %q", got)
	}
	if b, err := os.ReadFile(dir + "/h"); err != nil || string(b) != "new\n" {
		t.Errorf("a new file in a directory given rw: %q, %v", b, err)
	}
	if _, err := os.Stat(dir + "/d"); err == nil {
		t.Error("a directory that the guest removed is there")
	}
}

func TestOverlayDecidesWhereWritesGo(t *testing.T) {
	dir := sharedDir(t, map[string]string{"f": "host\n"})
	write := "cd " + dir + " && echo guest >f && echo new >g && cat f g && dd if=/dev/zero of=big bs=1M count=40 2>/dev/null && wc -c <big"
	for _, where := range []string{"memory", dir} {
		if r := do(t, "--overlay", where, "--", "sh", "-c", write); r.code != 0 || r.out != "guest\nnew\n41943040\n" {
			t.Errorf("--overlay %s: %+v", where, r)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("--overlay %s left %v, %v", where, entries, err)
		}
	}
	if b, _ := os.ReadFile(dir + "/f"); string(b) != "host\n" {
		t.Errorf("the host's file is %q", b)
	}
	if r := do(t, "--overlay", "none", "--", "sh", "-c", "cd "+dir+" && echo guest >f && echo new >g"); r.code != 0 {
		t.Errorf("--overlay none: %+v", r)
	}
	for name, want := range map[string]string{"f": "guest\n", "g": "new\n"} {
		if b, err := os.ReadFile(dir + "/" + name); err != nil || string(b) != want {
			t.Errorf("--overlay none: the host's %s is %q, %v", name, b, err)
		}
	}
}

// busyboxRoot makes a root file system of one static program.
func busyboxRoot(t *testing.T) string {
	t.Helper()
	dir := sharedDir(t, nil)
	for _, d := range []string{"bin", "tmp", "etc"} {
		if err := os.Mkdir(dir+"/"+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v (Debian's package busybox-static has it)", err)
	}
	if err := os.WriteFile(dir+"/bin/busybox", b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("sh ls cat id echo pwd env touch kill sleep hostname grep tty true") {
		if err := os.Symlink("busybox", dir+"/bin/"+name); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRootIsAllThatCanBeSeen(t *testing.T) {
	root := busyboxRoot(t)
	r := do(t, "--root", root, "--", "sh", "-c", "pwd; ls /; cd ..; ls -d /work /usr /home 2>/dev/null; cat ../../../etc/passwd")
	if want := "/\nbin\ndev\netc\nproc\nsys\ntmp\n"; r.out != want {
		t.Errorf("got %q, want %q; stderr %q", r.out, want, r.err)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 3 {
		t.Errorf("the root on the host has %v, %v", entries, err)
	}
}

func TestStandardStreams(t *testing.T) {
	with := func(in string) func(*exec.Cmd) {
		return func(c *exec.Cmd) { c.Stdin = strings.NewReader(in) }
	}
	if r := cliWith(t, with("first\nsecond\n"), "do", "--", "sh", "-c", "read x; echo out $x; cat >&2"); r.out != "out first\n" || r.err != "second\n" {
		t.Errorf("%+v", r)
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if r := cliWith(t, with(big), "do", "--", "cat"); r.out != big {
		t.Errorf("1 MiB through a pipe: %d bytes came back", len(r.out))
	}
	script := func(s string) result {
		t.Helper()
		return cliWith(t, func(c *exec.Cmd) {
			c.Path, c.Args = "/bin/bash", []string{"bash", "-c", s, "bash", hornwork}
		})
	}
	if r := script(`"$1" do -- cat <&-; echo $?`); !strings.HasSuffix(r.out, "0\n") && !strings.HasSuffix(r.out, "1\n") {
		t.Errorf("closed standard input: %+v", r)
	}
	if r := script(`"$1" do -- yes | head -1; echo ${PIPESTATUS[0]}`); r.out != "y\n141\n" {
		t.Errorf("a pipe whose reader goes: %+v", r)
	}
	if r := script(`"$1" do -- python3 -c 'while True: print("y")' 2>/dev/null | head -1; echo ${PIPESTATUS[0]}`); r.out != "y\n1\n" && r.out != "y\n120\n" {
		t.Errorf("a pipe whose reader goes, SIGPIPE ignored: %+v", r)
	}
	if r := script(`"$1" do -- cat /etc/passwd >/dev/full; echo $?`); r.out != "1\n" || !strings.Contains(r.err, "No space left on device") {
		t.Errorf("a full device: %+v", r)
	}
	if r := script(`"$1" do -- sh -c 'echo a; echo b' >"$0.$$" 2>&1; cat "$0.$$"; rm "$0.$$"`); r.out != "a\nb\n" {
		t.Errorf("a file: %+v", r)
	}
}

// background starts the command line and waits until it has printed "ready".
func background(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(hornwork, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "ready\n" {
		t.Fatalf("%q: %q, %v; stderr %q", args, line, err, errs.String())
	}
	return cmd, &errs
}

// ended waits for cmd and returns its exit code; it may not take longer than a minute.
func ended(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() {
		t.Errorf("%q did not end", cmd.Args)
		_ = cmd.Process.Kill()
	})
	defer late.Stop()
	_ = cmd.Wait() // the state says it
	return cmd.ProcessState.ExitCode()
}

func TestSignalsReachTheGuest(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1} {
		cmd, _ := background(t, "do", "--", "sh", "-c", "echo ready; exec sleep 100")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := ended(t, cmd); code != 128+int(sig) {
			t.Errorf("%v: exit code %d, want %d", sig, code, 128+int(sig))
		}
		cmd, _ = background(t, "do", "--", "sh", "-c", fmt.Sprintf("trap 'exit 7' %d; echo ready; while :; do sleep 0.02; done", sig))
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := ended(t, cmd); code != 7 {
			t.Errorf("%v with a handler: exit code %d, want 7", sig, code)
		}
	}
}

func TestStraceAndDebug(t *testing.T) {
	if r := do(t, "--strace=getcwd", "--", "/bin/pwd"); !strings.Contains(r.err, "getcwd(") || strings.Contains(r.err, "execve(") {
		t.Errorf("--strace=getcwd printed %q", r.err)
	}
	if r := do(t, "--strace", "--", "true"); !strings.Contains(r.err, "exit_group(0)") {
		t.Errorf("--strace printed %q", r.err)
	}
	r := do(t, "--debug", "--", "python3", "-c", "import ctypes; ctypes.CDLL(None).syscall(425, 0, 0)")
	if !strings.Contains(r.err, "io_uring_setup") {
		t.Errorf("--debug printed %q", r.err)
	}
}

func TestCommandsThatTell(t *testing.T) {
	r := cli(t, "syscalls", "--json")
	var list []struct {
		Number  int
		Name    string
		Support string
	}
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list) < 300 || list[0].Name != "read" {
		t.Errorf("syscalls --json: %v, %d rows", err, len(list))
	}
	for _, tc := range []struct{ args, want string }{
		{"syscalls", "  0 read "},
		{"platforms", "works"},
		{"version", "hornwork "},
		{"--version", "hornwork "},
		{"help", "Usage: hornwork"},
		{"--help", "Usage: hornwork"},
	} {
		if r := cli(t, tc.args); r.code != 0 || !strings.Contains(r.out, tc.want) || r.err != "" {
			t.Errorf("%s: %+v", tc.args, r)
		}
	}
	if r := cli(t, "do", "--help"); r.code != 0 || !strings.Contains(r.out+r.err, "--overlay") {
		t.Errorf("do --help: %+v", r)
	}
	if r := cli(t); r.code != 1 || !strings.Contains(r.err, "Usage: hornwork") {
		t.Errorf("no command: %+v", r)
	}
}
