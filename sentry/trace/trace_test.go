package trace

import (
	"fmt"
	"strings"
	"testing"
)

func TestFlagsPrintAsStraceDoes(t *testing.T) {
	access := []Bit{{0, "O_RDONLY", 3}, {1, "O_WRONLY", 3}, {2, "O_RDWR", 3}, {0x101000, "O_SYNC", 0}, {0x1000, "O_DSYNC", 0}, {0x80000, "O_CLOEXEC", 0}}
	plain := []Bit{{1, "A", 0}, {2, "B", 0}}
	for _, tc := range []struct {
		v    uint64
		bits []Bit
		want string
	}{
		{0x80000, access, "O_RDONLY|O_CLOEXEC"},
		{2, access, "O_RDWR"},
		{0x101001, access, "O_WRONLY|O_SYNC"},
		{0x1001, access, "O_WRONLY|O_DSYNC"},
		{0, plain, "0"},
		{3, plain, "A|B"},
		{9, plain, "A|0x8"},
		{8, plain, "0x8 /* X_??? */"},
	} {
		if got := Flags(tc.v, tc.bits, "X_???"); got != tc.want {
			t.Errorf("Flags(%#x) = %s, want %s", tc.v, got, tc.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"abc":        `"abc"`,
		"a\n\"\\\t":  `"a\n\"\\\t"`,
		"\x00\x001":  `"\0\0001"`,
		"\x7fELF":    `"\177ELF"`,
		"\x1b[31mhi": `"\33[31mhi"`,
	} {
		if got := Quote([]byte(in), false); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
	if got := Quote([]byte("ab"), true); got != `"ab"...` {
		t.Error(got)
	}
}

func TestGuestsCannotGrowTheTableWithoutEnd(t *testing.T) {
	Reset()
	defer Reset()
	for i := range 2 * maxEntries {
		Unsupported(Ioctl, fmt.Sprint(i), strings.Repeat("x", 1000))
	}
	Unsupported(Ioctl, "0", strings.Repeat("x", 1000))
	list, overflow := Misses()
	if len(list) != maxEntries || overflow != maxEntries {
		t.Errorf("%d entries, %d others", len(list), overflow)
	}
	if list[0].Name != "0" || list[0].Count != 2 || len(list[0].Comm) != maxComm {
		t.Errorf("first is %+v", list[0])
	}
}

func TestReportShowsNoControlCharacters(t *testing.T) {
	Reset()
	defer Reset()
	first := 0
	OnFirst(func(Kind, string, string) { first++ })
	Unsupported(Syscall, "bpf", "evil\x1b[2J")
	Unsupported(Syscall, "bpf", "evil\x1b[2J")
	Unsupported(Syscall, "bpf", "other")
	var b strings.Builder
	if err := Report(&b); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); strings.Contains(out, "\x1b") || !strings.Contains(out, "       2  syscall  bpf") {
		t.Errorf("report:\n%s", out)
	}
	if first != 1 {
		t.Errorf("the log heard %d times", first)
	}
}
