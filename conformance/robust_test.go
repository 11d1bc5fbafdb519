package conformance

import (
	"fmt"
	"io"
	"math/rand/v2"
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

// ownBinary copies hornwork to a place of its own, so that its processes can be told from those of other tests.
func ownBinary(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(hornwork)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(sharedDir(t, map[string]string{"hornwork": string(b)}), "hornwork")
}

// process is a host process; start tells it from a later one of the same number.
type process struct {
	pid   int
	start string
	comm  string
}

// stat reads the fields of /proc/PID/stat that follow the command's name.
func stat(pid int) (comm string, fields []string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", nil
	}
	open, end := strings.IndexByte(string(b), '('), strings.LastIndexByte(string(b), ')')
	return string(b[open+1 : end]), strings.Fields(string(b[end+1:]))
}

// family returns the processes below pid, parents first.
func family(pid int) []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]process{}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if comm, f := stat(n); len(f) > 19 {
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], process{n, f[19], comm})
		}
	}
	var all []process
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		for _, p := range children[next[0]] {
			all = append(all, p)
			next = append(next, p.pid)
		}
	}
	return all
}

// running lists the processes that execute binary. Zombies that nobody has reaped yet are dead.
func running(binary string) (pids []int) {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil
	}
	for _, l := range links {
		if exe, err := os.Readlink(l); err == nil && strings.TrimSuffix(exe, " (deleted)") == binary {
			pid, _ := strconv.Atoi(strings.Split(l, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// hostTraces are mounts and files on the host that could be left behind.
func hostTraces(t *testing.T, dirs ...string) string {
	t.Helper()
	var found []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "hornwork") {
			found = append(found, line)
		}
	}
	for _, d := range dirs {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			found = append(found, filepath.Join(d, e.Name()))
		}
	}
	return strings.Join(found, "\n")
}

// busyGuests keep the sandbox busy in different ways. Each prints "ready" and goes on for ever.
var busyGuests = map[string]string{
	"forks":  `echo ready; while :; do /bin/true & /bin/true; done`,
	"writes": `echo ready; cd /tmp; while :; do for i in 1 2 3 4 5 6 7 8; do echo $i >f$i; done; cat f*>all; rm f*; done`,
	"python": `exec python3 -c '
import os, subprocess, threading
def work():
    while True:
        subprocess.run(["/bin/true"])
        open("/tmp/p%d" % threading.get_ident(), "w").write("x" * 100000)
for i in range(3):
    threading.Thread(target=work).start()
os.write(1, b"ready\n")
'`,
}

// victims of kill -9: which of the sandbox's processes.
var victims = map[string]func(cli int, all []process) int{
	"cli":    func(cli int, _ []process) int { return cli },
	"gofer":  func(_ int, all []process) int { return all[0].pid },
	"sentry": func(_ int, all []process) int { return all[1].pid },
}

// Whoever of the three processes is killed, and when: nothing is left.
func TestKilledProcessesLeaveNothing(t *testing.T) {
	binary := ownBinary(t)
	for guest, script := range busyGuests {
		for victim, choose := range victims {
			for _, flags := range [][]string{nil, {"--platform", "ptrace"}, {"--overlay", "DIR"}} {
				dir := sharedDir(t, nil)
				args := []string{"do"}
				for _, f := range flags {
					args = append(args, strings.Replace(f, "DIR", dir, 1))
				}
				cmd, errs := startIn(t, binary, dir, append(args, "--", "bash", "-c", script)...)
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
				all := family(cmd.Process.Pid)
				if len(all) < 3 {
					t.Fatalf("%s: the family has only %v", guest, all)
				}
				pid := choose(cmd.Process.Pid, all)
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				code := ended(t, cmd)
				name := fmt.Sprintf("guest %s, flags %v, victim %s", guest, flags, victim)
				if victim != "cli" && (code != 1 || !oneLine(errs())) {
					t.Errorf("%s: exit code %d, stderr %q", name, code, errs())
				}
				left := running(binary)
				for deadline := time.Now().Add(5 * time.Second); len(left) > 0 && time.Now().Before(deadline); left = running(binary) {
					time.Sleep(10 * time.Millisecond)
				}
				if len(left) > 0 {
					t.Errorf("%s: processes %v live", name, left)
				}
				if found := hostTraces(t, dir); found != "" {
					t.Errorf("%s: left behind:\n%s", name, found)
				}
			}
		}
	}
}

// startIn starts binary with dir as its directory for everything, waits for "ready" and lets the rest of its output go. The
// returned function gives what it wrote to standard error, after its end.
func startIn(t *testing.T, binary, dir string, args ...string) (*exec.Cmd, func() string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "XDG_RUNTIME_DIR="+dir, "HOME="+dir)
	errs := &strings.Builder{}
	cmd.Stderr = lastLines{errs}
	cmd.WaitDelay = time.Second
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
	return cmd, errs.String
}

// lastLines keeps our own complaints only: what the guest complains about, whose world ends, is of no interest.
type lastLines struct{ b *strings.Builder }

func (l lastLines) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "hornwork: ") {
			l.b.WriteString(line)
		}
	}
	return len(b), nil
}

// A stub that dies takes only the guest process in it along: as if that had been killed.
func TestKilledStubIsAKilledProcess(t *testing.T) {
	binary := ownBinary(t)
	const script = `sh -c 'echo ready; while :; do read x </proc/uptime; done' &
wait $! 2>/dev/null
echo $?
/bin/echo still here
`
	cmd := exec.Command(binary, "do", "--", "bash", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop()
	line := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, line); err != nil {
		t.Fatal(err)
	}
	stub := stubOf(t, cmd.Process.Pid, "/dash\n")
	if err := syscall.Kill(stub, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	code := ended(t, cmd)
	if got, want := string(rest), "137\nstill here\n"; got != want || code != 0 {
		t.Errorf("got %q and exit code %d, want %q", got, code, want)
	}
}

// stubOf waits for the stub below cli that has mapped the program, which the host's /proc tells.
func stubOf(t *testing.T, cli int, program string) int {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, p := range family(cli) {
			if maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.pid)); err == nil && strings.Contains(string(maps), program) {
				return p.pid
			}
		}
	}
	t.Fatal("no stub has mapped the program")
	return 0
}

// greedy compiles greedy/greedy.c into dir.
func greedy(t *testing.T, dir string) string {
	t.Helper()
	bin := filepath.Join(dir, "greedy")
	if out, err := exec.Command("gcc", "-static", "-O1", "-w", "-pthread", "-o", bin, "greedy/greedy.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

// Guests that take all they can get meet Linux's limits, and the same sandbox runs the next program.
func TestGreedyGuestsMeetLimits(t *testing.T) {
	bin := greedy(t, sharedDir(t, nil))
	for way, want := range map[string]string{
		"forks":     "fork: EAGAIN\nabout as many as allowed\n",
		"file":      "file: EMFILE\n",
		"device":    "device: EMFILE\n",
		"temporary": "temporary: EMFILE\n",
		"pipes":     "pipes: EMFILE\n",
		"sockets":   "sockets: EMFILE\n",
		"event":     "event: EMFILE\n",
		"poller":    "poller: EMFILE\n",
		"ticker":    "ticker: EMFILE\n",
		"memory":    "memory: EMFILE\n",
		"signals":   "signals: EMFILE\n",
		"watcher":   "watcher: EMFILE\n",
		"regions":   "mprotect: ENOMEM\n",
		"queue":     "sigqueue: EAGAIN\n",
		"flood":     "some came\n",
		"deep":      "gone again\n",
		"arguments": "one long argument: E2BIG\nmany arguments: E2BIG\n",
		"threads":   "all met\n",
	} {
		r := do(t, "--", "bash", "-c", bin+" "+way+"; echo $?; /bin/echo still here")
		if want += "0\nstill here\n"; r.out != want || r.code != 0 {
			t.Errorf("%s: got %q (exit code %d, stderr %q), want %q", way, r.out, r.code, r.err, want)
		}
	}
}

// A guest that takes all memory is refused or killed, and not the sentry.
func TestMemoryEndsForTheGuestOnly(t *testing.T) {
	// The writer meets ENOSPC, or needs a page for itself when there is none any more.
	for way, wants := range map[string][]string{"maps": {"137\n"}, "fills": {"write: ENOSPC\n0\n", "137\n"}} {
		dir := bundle(t, "/mnt/greedy "+way+"; echo $?; /bin/echo still here", func(c, _ object) {
			c["linux"] = object{"resources": object{"memory": object{"limit": 300 << 20}}}
			c["mounts"] = []object{
				{"destination": "/mnt", "type": "bind", "source": ".", "options": []string{"bind", "ro"}},
				{"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": []string{"size=1g"}},
			}
		})
		greedy(t, dir)
		r := cli(t, "run", dir)
		if got, lives := strings.CutSuffix(r.out, "still here\n"); !lives || !slices.Contains(wants, got) || r.code != 0 {
			t.Errorf("%s: got %q (exit code %d, stderr %q), want one of %q and that it is still here", way, r.out, r.code, r.err, wants)
		}
	}
}

// A fork bomb neither harms the host nor outlives its sandbox.
func TestForkBombEndsWithItsSandbox(t *testing.T) {
	bin := greedy(t, sharedDir(t, nil))
	binary := ownBinary(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		cmd, errs := startIn(t, binary, t.TempDir(), "do", "--", bin, "bomb")
		time.Sleep(500 * time.Millisecond)
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Errorf("the host cannot start a process: %v", err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := ended(t, cmd); sig == syscall.SIGTERM && (code != 143 || errs() != "") {
			t.Errorf("exit code %d, want 143; stderr %q", code, errs())
		}
		left := running(binary)
		for deadline := time.Now().Add(time.Minute); len(left) > 0 && time.Now().Before(deadline); left = running(binary) {
			time.Sleep(50 * time.Millisecond)
		}
		if len(left) > 0 {
			t.Errorf("%v: processes %v live", sig, left)
		}
	}
}
