package syscalls

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"hornwork/linux"
)

func TestTracerFilter(t *testing.T) {
	for _, tc := range []struct {
		calls       string
		read, write bool
	}{
		{"", true, true}, {"all", true, true}, {"read", true, false}, {"!read", false, true},
		{"read, write", true, true}, {"!read,write", false, false},
	} {
		tr, err := NewTracer(&bytes.Buffer{}, tc.calls)
		if err != nil {
			t.Fatal(err)
		}
		if tr.wants[0] != tc.read || tr.wants[1] != tc.write {
			t.Errorf("%q: read %v, write %v", tc.calls, tr.wants[0], tr.wants[1])
		}
	}
	if _, err := NewTracer(&bytes.Buffer{}, "read,frobnicate"); err == nil {
		t.Error("an unknown name is accepted")
	}
}

func TestValuesPrintAsStraceDoes(t *testing.T) {
	for _, tc := range []struct {
		v    any
		want string
	}{
		{linux.Timespec{Sec: 1, Nsec: 500}, "{tv_sec=1, tv_nsec=500}"},
		{[2]int32{3, 4}, "[3, 4]"},
		{int32(7), "[7]"},
		{linux.Rlimit{Cur: 8 << 20, Max: 1<<64 - 1}, "{rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}"},
		{linux.Sigset(1<<1 | 1<<16), "[INT CHLD]"},
		{linux.Sigset(1<<64 - 1), "~[]"},
		{linux.Stat{Mode: linux.S_IFREG | 0o644, Size: 12}, "{st_mode=S_IFREG|0644, st_size=12, ...}"},
		{linux.Stat{Mode: linux.S_IFCHR | 0o666, Rdev: 0x103}, "{st_mode=S_IFCHR|0666, st_rdev=makedev(0x1, 0x3), ...}"},
		{linux.Sigaction{Handler: 1, Flags: linux.SA_RESTORER | linux.SA_RESTART, Restorer: 0x1000},
			"{sa_handler=SIG_IGN, sa_mask=[], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x1000}"},
		{linux.EpollEvent{Events: 0x80000001, Data: [2]uint32{5, 0}}, "{events=EPOLLIN|EPOLLET, data={u32=5, u64=5}}"},
	} {
		if got := valueText(reflect.ValueOf(tc.v), true); got != tc.want {
			t.Errorf("%T prints as %s, want %s", tc.v, got, tc.want)
		}
	}
}

func TestNamedParametersPrintAsStraceDoes(t *testing.T) {
	for _, tc := range []struct {
		typ  reflect.Type
		v    uint64
		want string
	}{
		{reflect.TypeFor[OpenFlags](), linux.O_CLOEXEC, "O_RDONLY|O_CLOEXEC"},
		{reflect.TypeFor[OpenFlags](), linux.O_WRONLY | linux.O_CREAT | linux.O_TRUNC, "O_WRONLY|O_CREAT|O_TRUNC"},
		{reflect.TypeFor[DirFD](), 0xffffff9c, "AT_FDCWD"},
		{reflect.TypeFor[DirFD](), 5, "5"},
		{reflect.TypeFor[Mode](), 0o644, "0644"},
		{reflect.TypeFor[Mode](), 0, "000"},
		{reflect.TypeFor[AccessMode](), 0, "F_OK"},
		{reflect.TypeFor[AccessMode](), 5, "R_OK|X_OK"},
		{reflect.TypeFor[MmapFlags](), linux.MAP_PRIVATE | linux.MAP_ANONYMOUS, "MAP_PRIVATE|MAP_ANONYMOUS"},
		{reflect.TypeFor[Prot](), 0, "PROT_NONE"},
		{reflect.TypeFor[Whence](), 2, "SEEK_END"},
		{reflect.TypeFor[SockType](), linux.SOCK_STREAM | linux.SOCK_CLOEXEC, "SOCK_STREAM|SOCK_CLOEXEC"},
	} {
		if got := flagText(tc.typ)(tc.v); got != tc.want {
			t.Errorf("%v(%#x) prints as %s, want %s", tc.typ, tc.v, got, tc.want)
		}
	}
}

func TestSiginfoPrintsAsStraceDoes(t *testing.T) {
	child := linux.Siginfo{Signo: linux.SIGCHLD, Code: linux.CLD_EXITED}
	child.Fields[0], child.Fields[8] = 3, 1
	segv := linux.Siginfo{Signo: linux.SIGSEGV, Code: linux.SEGV_MAPERR}
	for _, tc := range []struct {
		info linux.Siginfo
		want string
	}{
		{child, "{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=3, si_uid=0, si_status=1, si_utime=0, si_stime=0}"},
		{segv, "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL}"},
		{linux.Siginfo{Signo: linux.SIGUSR1}, "{si_signo=SIGUSR1, si_code=SI_USER, si_pid=0, si_uid=0}"},
	} {
		if got := siginfoText(&tc.info); got != tc.want {
			t.Errorf("prints as %s, want %s", got, tc.want)
		}
	}
}

func TestTracedCalls(t *testing.T) {
	g := newGuest(t)
	var out bytes.Buffer
	tr, err := NewTracer(&out, "")
	if err != nil {
		t.Fatal(err)
	}
	SetTracer(tr)
	defer SetTracer(nil)
	fd := g.ok(linux.SYS_OPENAT, linux.AT_FDCWD, "file", linux.O_CREAT|linux.O_RDWR|linux.O_CLOEXEC, 0o644)
	g.ok(linux.SYS_WRITE, fd, "hello\n", 6)
	buf := g.room(16)
	g.ok(linux.SYS_PREAD64, fd, buf, 16, 0)
	g.call(linux.SYS_STAT, "none", buf)
	at := g.room(8)
	g.ok(linux.SYS_PIPE2, at, linux.O_CLOEXEC)
	g.call(linux.SYS_BPF, 1, 2, 3)
	g.ok(linux.SYS_READV, fd, iovecs(buf, 4), 1)
	SetTracer(nil)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		`[pid     1] openat(AT_FDCWD, "file", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 0`,
		`[pid     1] write(0, "hello\n", 6)      = 6`,
		`[pid     1] pread64(0, "hello\n", 16, 0) = 6`,
		fmt.Sprintf(`[pid     1] stat("none", %#x)`, buf),
		`[pid     1] pipe2([1, 2], O_CLOEXEC)    = 0`,
		`[pid     1] bpf(0x1, 0x2, 0x3, 0, 0, 0) = -1 ENOSYS (Function not implemented)`,
		`[pid     1] readv(0, [{iov_base="", iov_len=4}], 1) = 0`,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of:\n%s\nwant\n%s", i, out.String(), want)
			break
		}
	}
	if !strings.HasSuffix(lines[3], "= -1 ENOENT (No such file or directory)") {
		t.Error(lines[3])
	}
}

func TestTheLineOfASleepingCallIsCut(t *testing.T) {
	var out bytes.Buffer
	tr, err := NewTracer(&out, "")
	if err != nil {
		t.Fatal(err)
	}
	a, b := newGuest(t).t, newGuest(t).t
	tr.begin(a, `read(0, `)
	tr.begin(b, `write(1, "x", 1`)
	tr.end(b, "write", ")", "1")
	tr.end(a, "read", `"x", 1)`, "1")
	want := `[pid     1] read(0,  <unfinished ...>
[pid     1] write(1, "x", 1)            = 1
[pid     1] <... read resumed>"x", 1)   = 1
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
