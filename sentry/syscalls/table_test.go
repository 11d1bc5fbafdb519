package syscalls

import (
	goflag "flag"
	"os"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/task"
)

var update = goflag.Bool("update", false, "write docs/SYSCALLS.md")

func TestMarkdownMatchesTheTable(t *testing.T) {
	const path = "../../docs/SYSCALLS.md"
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
		t.Errorf("%s is out of date: go test ./sentry/syscalls -run Markdown -update", path)
	}
}

func TestRowsAreConsistent(t *testing.T) {
	seen := map[string]int{}
	for nr := range table {
		row := &table[nr]
		if row.Support.Level == LevelNone {
			if row.Name != "" || nr < 335 || nr > 423 {
				t.Errorf("%d %q has no support level", nr, row.Name)
			}
			continue
		}
		if other, ok := seen[row.Name]; ok {
			t.Errorf("%d and %d are both %s", other, nr, row.Name)
		}
		seen[row.Name] = nr
		h := &row.Handler
		answered := h.call != nil || h.control != nil
		if answered == (row.Support.Level == LevelUnsupported) {
			t.Errorf("%s: support is %v, but it is answered: %v", row.Name, row.Support.Level, answered)
		}
		if (row.Support.Level == LevelPartial) != (row.Support.Missing != "") {
			t.Errorf("%s: partial calls, and only they, say what is missing", row.Name)
		}
		if n := len(h.params()); answered && n > 6 {
			t.Errorf("%s has %d parameters", row.Name, n)
		}
	}
}

func TestNumbersAndNames(t *testing.T) {
	for name, want := range map[string]int{
		"read": 0, "openat": linux.SYS_OPENAT, "statx": linux.SYS_STATX, "pidfd_send_signal": 424,
		"fchmodat2": linux.SYS_FCHMODAT2, "map_shadow_stack": 453,
	} {
		if nr, ok := Number(name); !ok || nr != want {
			t.Errorf("%s is %d", name, nr)
		}
		if Name(uintptr(want)) != name {
			t.Errorf("%d is %s", want, Name(uintptr(want)))
		}
	}
	if _, ok := Number(""); ok {
		t.Error("the empty name is a call")
	}
	for _, nr := range []uintptr{400, 454, 1 << 40} {
		if s := Name(nr); s[:8] != "syscall_" {
			t.Errorf("%d is %s", nr, s)
		}
	}
}

func TestEnoughCallsAnswer(t *testing.T) {
	n := 0
	for _, row := range List() {
		if row.Support != "unsupported" {
			n++
		}
	}
	if n < 230 {
		t.Errorf("only %d calls answer", n)
	}
}

// TestAdaptersTakeArgumentsFromRegisters also pins that registers are cut as Linux cuts them.
func TestAdaptersTakeArgumentsFromRegisters(t *testing.T) {
	regs := &linux.Regs{RDI: 0x1_ffff_ffff, RSI: 2, RDX: 3, R10: 4, R8: 5, R9: 0xffff_ffff_0000_0006}
	h := call6(func(_ *task.Task, a FD, b uint64, c int32, d Path, e uint16, f OpenFlags) (uintptr, linux.Errno) {
		if a != -1 || b != 2 || c != 3 || d != 4 || e != 5 || f != 6 {
			t.Errorf("got %v %v %v %v %v %v", a, b, c, d, e, f)
		}
		return 7, linux.EAGAIN
	})
	if ret, errno := h.call(nil, regs); ret != 7 || errno != linux.EAGAIN {
		t.Errorf("returned %d, %v", ret, errno)
	}
	if n := len(h.params()); n != 6 {
		t.Errorf("%d parameters", n)
	}
}

func TestAdaptersDoNotAllocate(t *testing.T) {
	regs := &linux.Regs{RDI: 1}
	h := call3(func(_ *task.Task, fd FD, buf OutBuf, n uint64) (uintptr, linux.Errno) {
		return uintptr(fd) + uintptr(buf) + uintptr(n), 0
	})
	if n := testing.AllocsPerRun(100, func() { h.call(nil, regs) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdapter(b *testing.B) {
	regs := &linux.Regs{RDI: 1}
	h := call3(func(_ *task.Task, fd FD, buf OutBuf, n uint64) (uintptr, linux.Errno) {
		return uintptr(fd) + uintptr(buf) + uintptr(n), 0
	})
	for b.Loop() {
		h.call(nil, regs)
	}
}
