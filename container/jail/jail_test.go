package jail

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// attempts are what a subverted sentry would try. Each must end the process by SIGSYS.
var attempts = map[string]func(){
	"open":           func() { _, _ = unix.Open("/", unix.O_RDONLY, 0) },
	"openat2":        func() { _, _ = unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{}) },
	"execve":         func() { _ = unix.Exec("/bin/true", []string{"true"}, nil) },
	"fork":           func() { _, _, _ = unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0) },
	"fork by clone3": func() { _, _, _ = unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0) },
	"socket":         func() { _, _ = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0) },
	"inet pair":      func() { _, _ = unix.Socketpair(unix.AF_INET, unix.SOCK_STREAM, 0) },
	"mount":          func() { _ = unix.Mount("", "/", "tmpfs", 0, "") },
	"unshare":        func() { _ = unix.Unshare(unix.CLONE_NEWUSER) },
	"setuid":         func() { _, _, _ = unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0) },
	"ptrace":         func() { _, _, _ = unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1, 0) },
	"bpf":            func() { _, _, _ = unix.RawSyscall(unix.SYS_BPF, 0, 0, 0) },
	"io_uring":       func() { _, _, _ = unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0) },
	"keyctl":         func() { _, _, _ = unix.RawSyscall(unix.SYS_KEYCTL, 0, 0, 0) },
	"kexec_load":     func() { _, _, _ = unix.RawSyscall(unix.SYS_KEXEC_LOAD, 0, 0, 0) },
	"writable code": func() {
		_, _, _ = unix.RawSyscall6(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	},
	"mprotect": func() { _, _, _ = unix.RawSyscall(unix.SYS_MPROTECT, 0, 4096, unix.PROT_EXEC) },
	"typing into a terminal": func() {
		_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, 0, linux.TIOCSTI, 0)
	},
	"unlink": func() { _ = unix.Unlink("/x") },
	"kill":   func() { _ = unix.Kill(1, 9) },
}

var attempt = flag.String("attempt", "", "what to try in jail (used by the test itself)")

func TestMain(m *testing.M) {
	flag.Parse()
	if *attempt == "" {
		os.Exit(m.Run())
	}
	if err := Unprivileged(0); err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	if err := Filter(append(SentryRules(), TrapRules()...)); err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	if *attempt == "allowed" {
		// Go still works: goroutines, memory, collection, output.
		c := make(chan []byte)
		for range 8 {
			go func() { c <- make([]byte, 1<<20) }()
		}
		for range 8 {
			<-c
		}
		fmt.Println("alive")
		os.Exit(0)
	}
	attempts[*attempt]()
	fmt.Println("still here")
	os.Exit(0)
}

func try(name string) (string, error) {
	out, err := exec.Command(os.Args[0], "-attempt", name).CombinedOutput()
	return string(out), err
}

func TestForbiddenCallsEndTheSentry(t *testing.T) {
	if out, err := try("allowed"); err != nil || !strings.Contains(out, "alive") {
		t.Fatalf("an ordinary Go program does not run in jail: %v\n%s", err, out)
	}
	for name := range attempts {
		out, err := try(name)
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Errorf("%s: the process went on: %v %s", name, err, out)
			continue
		}
		if ws := exit.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGSYS {
			t.Errorf("%s: ended by %v, want SIGSYS; %s", name, exit, out)
		}
	}
}

func TestJailIsSmall(t *testing.T) {
	if n := len(append(SentryRules(), TrapRules()...)); n > 70 {
		t.Errorf("the sentry may make %d host calls; the design allows 70", n)
	}
	for _, rules := range [][]Rule{GoferRules(false), GoferRules(true), append(SentryRules(), TrapRules()...), append(SentryRules(), PtraceRules()...)} {
		if _, err := Program(rules, unix.SECCOMP_RET_KILL_PROCESS); err != nil {
			t.Error(err)
		}
		for _, r := range rules {
			if r.Why == "" {
				t.Errorf("host call %d is allowed without a reason", r.Nr)
			}
		}
	}
}

var update = flag.Bool("update", false, "write docs/HOSTCALLS.md")

func TestHostCallsAreDocumented(t *testing.T) {
	const path = "../../docs/HOSTCALLS.md"
	want := Markdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/HOSTCALLS.md differs from the filter; go test ./container/jail -update writes it")
	}
}
