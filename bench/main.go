// Command bench measures the sandbox against native, turn by turn in one run, and prints a table of medians and their
// ratio. Usage: go run ./bench [-rounds N] [-only NAME] HORNWORK
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// measure is one row: a command that prints nanoseconds per operation, or, if timed, whose duration counts.
type measure struct {
	name   string
	target float64 // at most, times native
	unit   string  // ns, us, ms
	argv   []string
	timed  bool
	warm   string // run before, untimed
	rounds int    // fewer than usual for slow ones
}

var scale = map[string]float64{"ns": 1, "us": 1e3, "ms": 1e6}

func measures(micro, dir string) []measure {
	m := func(name string, target float64, unit, what string) measure {
		return measure{name: name, target: target, unit: unit, argv: []string{micro, what}}
	}
	sh := func(name string, target float64, script string) measure {
		return measure{name: name, target: target, unit: "ms", argv: []string{"/bin/sh", "-c", script}, timed: true, rounds: 5}
	}
	return []measure{
		m("getppid through libc", 2.5, "ns", "getppid"),
		m("syscall(SYS_getpid)", 2.5, "ns", "getpid"),
		m("pipe write + read 1 byte", 3.5, "ns", "pipe"),
		m("pipe ping-pong, two processes", 3, "us", "pingpong"),
		m("pread 4 KiB, cached", 3.5, "ns", "pread"),
		m("open + close", 5, "ns", "openclose"),
		m("stat, warm", 5, "ns", "stat"),
		m("fork + wait", 3, "us", "fork"),
		m("vfork + exec /bin/true + wait", 2.5, "us", "exec"),
		m("first touch of 64 MiB, per page", 1, "ns", "touch"),
		m("2,000 small files created, each", 3, "us", "files"),
		m("CPU-bound, 2 threads", 1.02, "ms", "cpu"),
		sh("sh: 500 × /bin/true", 3, "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done"),
		sh("gcc hello world", 1.7, "cd /tmp && printf 'int main(void){return 0;}' > bench-$$.c && gcc -o bench-$$.out bench-$$.c && rm bench-$$.c bench-$$.out"),
		{name: "find /usr -type f, warm", target: 4, unit: "ms", timed: true, rounds: 5, warm: "find /usr -type f >/dev/null",
			argv: []string{"/bin/sh", "-c", "find /usr -type f | wc -l >/dev/null"}},
		sh("2,000 sqlite transactions", 4, "cd /tmp && (echo 'create table t(a);'; i=0; while [ $i -lt 2000 ]; do echo \"insert into t values($i);\"; i=$((i+1)); done) > bench-$$.sql && sqlite3 bench-$$.db 'pragma journal_mode=wal; pragma synchronous=off;' >/dev/null && sqlite3 bench-$$.db < bench-$$.sql && rm -f bench-$$.*"),
	}
}

func main() {
	rounds := flag.Int("rounds", 9, "turns of each measurement")
	only := flag.String("only", "", "only measurements whose name contains this")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [-rounds N] [-only NAME] HORNWORK")
		os.Exit(2)
	}
	if err := bench(flag.Arg(0), *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(hornwork string, rounds int, only string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	micro := filepath.Join(dir, "micro")
	if out, err := exec.Command("gcc", "-O1", "-pthread", "-o", micro, "bench/c/micro.c").CombinedOutput(); err != nil {
		return fmt.Errorf("compile bench/c/micro.c: %w\n%s", err, out)
	}
	fmt.Printf("| measure | native | sandbox | × native | at most |\n|---|---|---|---|---|\n")
	for _, m := range measures(micro, dir) {
		if !strings.Contains(m.name, only) {
			continue
		}
		n := rounds
		if m.rounds > 0 {
			n = min(n, m.rounds)
		}
		native, box, err := alternate(hornwork, m, n)
		if err != nil {
			fmt.Printf("| %s | | failed: %v | | %g |\n", m.name, err, m.target)
			continue
		}
		s := scale[m.unit]
		fmt.Printf("| %s | %.2f %s | %.2f %s | %.2f | %g |\n", m.name, native/s, m.unit, box/s, m.unit, box/native, m.target)
	}
	if strings.Contains("contended getppid", only) {
		if err := contended(hornwork, micro); err != nil {
			return err
		}
	}
	if strings.Contains("start and idle", only) {
		return startAndIdle(hornwork, rounds)
	}
	return nil
}

// alternate runs a measurement natively and in the sandbox in turn, and returns the medians in nanoseconds.
func alternate(hornwork string, m measure, rounds int) (native, box float64, err error) {
	var a, b []float64
	for range rounds {
		x, err := once(m, m.argv)
		if err != nil {
			return 0, 0, fmt.Errorf("native: %w", err)
		}
		y, err := once(m, append([]string{hornwork, "do", "--"}, inner(m)...))
		if err != nil {
			return 0, 0, err
		}
		a, b = append(a, x), append(b, y)
	}
	return median(a), median(b), nil
}

// inner is the command inside the sandbox: a timed one is timed there, so that starting the sandbox does not count.
func inner(m measure) []string {
	if !m.timed {
		return m.argv
	}
	script := m.warm + "\na=$(date +%s%N); " + m.argv[2] + "; b=$(date +%s%N); echo $((b-a))"
	return []string{"/bin/sh", "-c", script}
}

func once(m measure, argv []string) (float64, error) {
	if m.timed && argv[0] == m.argv[0] {
		argv = inner(m)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	lines := strings.Fields(out.String())
	if len(lines) == 0 {
		return 0, fmt.Errorf("%v printed nothing", argv)
	}
	return strconv.ParseFloat(lines[len(lines)-1], 64)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// contended measures the CPU time of a call, in all processes of the sandbox together, while both CPUs are busy.
func contended(hornwork, micro string) error {
	stop := make([]*exec.Cmd, 2)
	for i := range stop {
		stop[i] = exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := stop[i].Start(); err != nil {
			return err
		}
	}
	defer func() {
		for _, c := range stop {
			_ = c.Process.Kill() // ours, and it runs until now
			_ = c.Wait()
		}
	}()
	cpu := func(argv ...string) (float64, error) {
		cmd := exec.Command(argv[0], argv[1:]...)
		if err := cmd.Run(); err != nil {
			return 0, err
		}
		r := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		return float64(r.Utime.Nano() + r.Stime.Nano()), nil
	}
	per := func(prefix ...string) (float64, error) {
		var v []float64
		for range 5 {
			few, err := cpu(append(prefix, micro, "contended", "1000")...)
			if err != nil {
				return 0, err
			}
			many, err := cpu(append(prefix, micro, "contended", "201000")...)
			if err != nil {
				return 0, err
			}
			v = append(v, (many-few)/220000)
		}
		return median(v), nil
	}
	native, err := per()
	if err != nil {
		return err
	}
	box, err := per(hornwork, "do", "--")
	if err != nil {
		return err
	}
	fmt.Printf("| getppid, both CPUs busy (CPU time of all) | %.0f ns | %.0f ns | %.2f | 25 |\n", native, box, box/native)
	return nil
}

// startAndIdle measures what the sandbox adds to `true`, and what an idle one holds.
func startAndIdle(hornwork string, rounds int) error {
	var native, box []float64
	for range 2 * rounds {
		t := time.Now()
		if err := exec.Command("/bin/true").Run(); err != nil {
			return err
		}
		native = append(native, float64(time.Since(t)))
		t = time.Now()
		if err := exec.Command(hornwork, "do", "--", "/bin/true").Run(); err != nil {
			return err
		}
		box = append(box, float64(time.Since(t)))
	}
	a, b := median(native), median(box)
	fmt.Printf("\n`hornwork do -- true`: %.1f ms, native %.1f ms: %.1f ms more (at most 40)\n", b/1e6, a/1e6, (b-a)/1e6)

	cmd := exec.Command(hornwork, "do", "--", "sleep", "60")
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	time.Sleep(2 * time.Second)
	c0, pss, n, err := family(cmd.Process.Pid)
	if err != nil {
		return err
	}
	time.Sleep(10 * time.Second)
	c1, _, _, err := family(cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("idle `sleep`: %d ms CPU in 10 s (at most 0), %.1f MiB PSS in %d processes (at most 20)\n", (c1-c0)*10, float64(pss)/1024, n)
	return nil
}

// family adds up the CPU ticks and the PSS in KiB of a process and its descendants.
func family(pid int) (ticks, pss, n int, err error) {
	parent := map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0, 0, err
	}
	stat := map[int][]string{}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue // it has ended
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		stat[p] = f
		parent[p], _ = strconv.Atoi(f[1])
	}
	for p := range parent {
		q := p
		for q != pid && q > 1 {
			q = parent[q]
		}
		if q != pid {
			continue
		}
		n++
		u, _ := strconv.Atoi(stat[p][11])
		s, _ := strconv.Atoi(stat[p][12])
		ticks += u + s
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				k, _ := strconv.Atoi(f[1])
				pss += k
			}
		}
	}
	return ticks, pss, n, nil
}
