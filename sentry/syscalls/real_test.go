package syscalls

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/platform/ptrace"
	"hornwork/platform/trap"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/hostfile"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/loader"
	"hornwork/sentry/mm"
	"hornwork/sentry/ns"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// realLoader is task.Loader over sentry/loader.
type realLoader struct{}

func (realLoader) Load(a *task.LoadArgs) (task.Image, linux.Errno) {
	p, errno := loader.Begin(a.Caller, &loader.Args{
		File: a.File, Filename: a.Filename, Argv: a.Argv, Envv: a.Envv, StackLimit: a.StackLimit.Cur,
	})
	if errno != 0 {
		return task.Image{}, errno
	}
	defer p.Close()
	c, errno := a.Credentials(p.File)
	if errno != 0 {
		return task.Image{}, errno
	}
	img, errno := p.Load(a.Caller, a.AS, &loader.LoadArgs{
		FileRef: NewFileRef, UID: c.UID, EUID: c.EUID, GID: c.GID, EGID: c.EGID, Secure: c.Secure,
	})
	if errno != 0 {
		return task.Image{}, errno
	}
	return task.Image{Entry: img.Entry, SP: img.SP, Exe: p.File.Get(), Auxv: img.Aux}, 0
}

// sandbox is a kernel over a real platform with one program in its root.
type sandbox struct {
	k   *task.Kernel
	g   *task.ThreadGroup
	out *os.File
}

func newSandbox(tb testing.TB, p platform.Platform, mf *mem.File, program string) *sandbox {
	tb.Helper()
	k := task.NewKernel()
	k.Syscall, k.Loader, k.FPSize, k.AnonFS = Dispatch, realLoader{}, p.FPSize(), AnonInodes
	k.NewMM = func() (*mm.AddressSpace, linux.Errno) { return mm.New(p, mf) }
	k.Fault = func(t *task.Task, why string) { tb.Logf("killed %d (%s): %s", t.TID(), t.Name(), why) }
	k.CPUs = []int{0, 1}
	SetShmem(tmpfs.New(tmpfs.Options{Mem: mf}))
	root := tmpfs.New(tmpfs.Options{Mem: mf, Mode: 0o755})
	mnt := vfs.NewMountNS(root.SB, 0)
	mnt.UserNS = k.UserNS
	at := mnt.Root()
	c := &vfs.Caller{Creds: cred.Root(k.UserNS), Root: at, Cwd: at, MaxFileSize: 1<<63 - 1}
	copyIn(tb, c, program)
	if errno := vfs.Mkdir(c, at, "tmp", 0o777); errno != 0 {
		tb.Fatal(errno)
	}
	file, errno := vfs.OpenExec(c, at, "/prog", vfs.Follow)
	if errno != 0 {
		tb.Fatal(errno)
	}
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	fd, err := unix.Dup(int(w.Fd()))
	if err != nil {
		tb.Fatal(err)
	}
	w.Close()
	stdout, errno := hostfile.New(c, int32(fd), "stdout")
	if errno != 0 {
		tb.Fatal(errno)
	}
	tm := ns.NewTime(k.UserNS, ns.InitTimeIno, nil)
	g, errno := task.NewInit(k, &task.InitArgs{
		Creds: c.Creds, Root: at, Cwd: at, Umask: 0o22, Limits: task.DefaultLimits(),
		Files: []*vfs.File{stdout, stdout.Get(), stdout.Get()},
		Exec:  task.ExecArgs{File: file, Filename: "/prog", Argv: []string{"/prog"}, Envv: []string{"A=b"}},
		Namespaces: &task.Namespaces{
			Mount: mnt, UTS: ns.NewUTS(k.UserNS, "test"), IPC: ns.NewIPC(k.UserNS, ns.InitIPCIno),
			Net: ns.NewNet(k.UserNS, ns.InitNetIno), Cgroup: ns.NewCgroup(k.UserNS, ns.InitCgroupIno, "/"),
			Time: tm, TimeForChildren: tm, PIDForChildren: k.PIDNS,
		},
	})
	if errno != 0 {
		tb.Fatal(errno)
	}
	return &sandbox{k, g, r}
}

func copyIn(tb testing.TB, c *vfs.Caller, program string) {
	tb.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		tb.Fatal(err)
	}
	f, errno := vfs.Open(c, c.Root, "prog", &linux.OpenHow{Flags: linux.O_CREAT | linux.O_RDWR, Mode: 0o755})
	if errno != 0 {
		tb.Fatal(errno)
	}
	defer f.Put()
	seq := usermem.Kernel(data)
	if n, errno := f.PWrite(c, &seq, 0); errno != 0 || n != len(data) {
		tb.Fatal(n, errno)
	}
}

// run runs the program to its end and returns what it printed and its wait status.
func (s *sandbox) run(tb testing.TB) (string, int32) {
	tb.Helper()
	text := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(s.out)
		text <- string(b)
	}()
	s.g.Start()
	select {
	case <-s.k.Done():
	case <-time.After(60 * time.Second):
		s.k.KillAll()
		tb.Error("the program did not end")
		select {
		case <-s.k.Done():
		case <-time.After(20 * time.Second):
			tb.Fatal("nor could it be killed")
		}
	}
	return <-text, s.k.ExitStatus()
}

// platforms are those to run on.
var platforms = map[string]func(mf *mem.File) (platform.Platform, error){
	"ptrace": func(*mem.File) (platform.Platform, error) { return ptrace.New() },
	"trap": func(mf *mem.File) (platform.Platform, error) {
		return trap.New(trap.Options{MemoryFD: int(mf.FD())})
	},
}

// TestProgramsBehaveAsOnTheHost builds each program of programs, runs it on the host and in a sandbox over each
// platform, and compares what they print.
func TestProgramsBehaveAsOnTheHost(t *testing.T) {
	cc, err := exec.LookPath("musl-gcc")
	if err != nil {
		t.Skip("musl-gcc is not installed")
	}
	sources, _ := filepath.Glob("programs/*.c")
	if len(sources) == 0 {
		t.Fatal("no programs")
	}
	for _, src := range sources {
		name := strings.TrimSuffix(filepath.Base(src), ".c")
		t.Run(name, func(t *testing.T) {
			prog := filepath.Join(openDir(t), "prog")
			if b, err := exec.Command(cc, "-static", "-O1", "-pthread", "-o", prog, src).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, prog)
			cmd.Env, cmd.Dir = []string{"A=b"}, "/"
			cmd.SysProcAttr = newSession
			want, err := cmd.Output()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			w := int32(cmd.ProcessState.Sys().(unixStatus))
			for name, make := range platforms {
				t.Run(name, func(t *testing.T) { compare(t, make, prog, string(want), w) })
			}
		})
	}
}

// compare runs prog in a sandbox.
func compare(t *testing.T, platform func(*mem.File) (platform.Platform, error), prog, want string, wantStatus int32) {
	mf, err := mem.New()
	if err != nil {
		t.Fatal(err)
	}
	defer mf.Close()
	p, err := platform(mf)
	if err != nil {
		t.Skip(err)
	}
	defer p.Close()
	got, status := newSandbox(t, p, mf, prog).run(t)
	if got != want {
		t.Error(diff(t, want, got))
	}
	if status != wantStatus {
		t.Errorf("wait status %#x, host %#x", status, wantStatus)
	}
}

// openDir is a temporary directory that other users can execute programs in.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hornwork")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// diff shows the lines that differ, as diff(1) finds them.
func diff(t *testing.T, want, got string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"host": want, "sandbox": got} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("diff", "-U1", "host", "sandbox")
	cmd.Dir = dir
	b, _ := cmd.Output() // exit status 1: they differ
	return string(b)
}
