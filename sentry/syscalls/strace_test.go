package syscalls

import (
	"bytes"
	"reflect"
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
