package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hornwork/linux"
)

// hostErrno is what execve(2) says on the host.
func hostErrno(path string) linux.Errno {
	err := exec.Command(path).Run()
	var e syscall.Errno
	if errors.As(err, &e) {
		return linux.Errno(e)
	}
	return 0
}

// Begin fails as the host's execve does.
func TestErrorsAreThoseOfTheHost(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	interp := func(path string, pad string) []byte { // a program whose PT_INTERP is path
		b := program(linux.ET_DYN, [8]uint64{linux.PT_INTERP, 4, 176, 0, 0, uint64(len(path)), uint64(len(path)), 1},
			[8]uint64{linux.PT_LOAD, 5, 0, 0, 0, 64, 64, pageSize})
		return append(append(b, path...), pad...)
	}
	chain := func(n int) string { // the first of n scripts, the last of which runs /bin/true
		next := "/bin/true"
		for i := range n {
			next = write(fmt.Sprintf("c%d-%d", n, i), []byte("#!"+next+"\n"), 0o755)
		}
		return next
	}
	text := write("text", []byte("just text"), 0o755)
	for _, c := range []struct {
		name, path string
	}{
		{"text", text},
		{"empty", write("empty", nil, 0o755)},
		{"not executable", write("plain", []byte("#!/bin/true\n"), 0o644)},
		{"directory", dir},
		{"no interpreter", write("s1", []byte("#!/nonexistent\n"), 0o755)},
		{"interpreter is a directory", write("s2", []byte("#!/tmp\n"), 0o755)},
		{"interpreter is text", write("s3", []byte("#!"+text+"\n"), 0o755)},
		{"interpreter is not executable", write("s4", []byte("#!/etc/passwd\n"), 0o755)},
		{"four scripts", chain(4)},
		{"five scripts", chain(5)},
		{"six scripts", chain(6)},
		{"truncated path", write("s5", []byte("#!/"+strings.Repeat("x", 300)), 0o755)},
		{"PT_INTERP missing", write("i1", interp("/nonexistent\x00", ""), 0o755)},
		{"PT_INTERP without NUL", write("i2", interp("/lib64/ld-linux-x86-64.so.2", ""), 0o755)},
		{"PT_INTERP beyond the end", write("i3", interp("/bin/sh\x00", "")[:180], 0o755)},
		{"PT_INTERP is text", write("i4", interp(text+"\x00", ""), 0o755)},
		{"PT_INTERP is a long text", write("i5", interp(write("long", []byte(strings.Repeat("text", 100)), 0o755)+"\x00", ""), 0o755)},
		{"truncated headers", write("e1", good[:100], 0o755)},
		{"32 bits", write("e2", func() []byte { b := append([]byte(nil), good...); b[18] = linux.EM_386; return b }(), 0o755)},
		{"good", "/bin/true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := hostErrno(c.path)
			p, errno := begin(hostCaller(t, "/"), c.path, []string{c.path}, nil)
			if errno == 0 {
				p.Close()
			}
			if errno != want {
				t.Errorf("%v, the host says %v", errno, want)
			}
		})
	}
}

func TestScriptArguments(t *testing.T) {
	dir := t.TempDir()
	outer, inner := filepath.Join(dir, "outer"), filepath.Join(dir, "inner")
	os.WriteFile(inner, []byte("#!/bin/true  in arg \n"), 0o755)
	os.WriteFile(outer, []byte("#!"+inner+" out\n"), 0o755)
	p, errno := begin(hostCaller(t, "/"), outer, []string{"zero", "one", "two"}, nil)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer p.Close()
	want := []string{"/bin/true", "in arg", inner, "out", outer, "one", "two"}
	if fmt.Sprint(p.Argv) != fmt.Sprint(want) || !p.Interpreted {
		t.Errorf("%q, want %q", p.Argv, want)
	}
	// Without argv[0] there is an empty one.
	p2, errno := begin(hostCaller(t, "/"), "/bin/true", nil, nil)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer p2.Close()
	if len(p2.Argv) != 1 || p2.Argv[0] != "" {
		t.Errorf("%q", p2.Argv)
	}
}

func TestScriptThroughClosedDescriptorIsMissing(t *testing.T) {
	c := hostCaller(t, "/")
	file := filepath.Join(t.TempDir(), "s")
	os.WriteFile(file, []byte("#!/bin/true\n"), 0o755)
	p, errno := begin(c, file, []string{"s"}, nil)
	if errno != 0 {
		t.Fatal(errno)
	}
	p.Close()
	f, errno := openFile(c, file)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer f.Put()
	if _, errno := Begin(c, &Args{File: f, Filename: "/dev/fd/3", Inaccessible: true, StackLimit: 8 << 20}); errno != linux.ENOENT {
		t.Error(errno)
	}
}

func TestInitialStack(t *testing.T) {
	const top = 0x7ffffffde000
	argv, envv := []string{"prog", "", "arg two"}, []string{"A=1", "B="}
	random := [16]byte{1, 2, 3, 15: 16}
	for shift := uint64(0); shift < 8192; shift += 611 {
		s := buildStack(top, argv, envv, "/bin/prog", random, shift, []auxEntry{{linux.AT_RANDOM, 0}, {linux.AT_EXECFN, 0}, {linux.AT_PLATFORM, 0}, {linux.AT_UID, 5}})
		if s.sp%16 != 0 || uint64(len(s.data)) != top-s.sp {
			t.Fatalf("sp %#x, %d bytes", s.sp, len(s.data))
		}
		at := func(addr uint64) []byte { return s.data[addr-s.sp:] }
		word := func(addr uint64) uint64 { return binary.LittleEndian.Uint64(at(addr)) }
		str := func(addr uint64) string { return string(at(addr)[:strings.IndexByte(string(at(addr)), 0)]) }
		p := s.sp
		next := func() uint64 { p += 8; return word(p - 8) }
		if n := next(); n != 3 {
			t.Fatal("argc", n)
		}
		for _, list := range [][]string{argv, envv} {
			for _, want := range list {
				if got := str(next()); got != want {
					t.Fatalf("%q, want %q", got, want)
				}
			}
			if next() != 0 {
				t.Fatal("no end")
			}
		}
		aux := map[uint64]uint64{}
		for {
			k, v := next(), next()
			if k == linux.AT_NULL {
				break
			}
			aux[k] = v
		}
		if str(aux[linux.AT_EXECFN]) != "/bin/prog" || str(aux[linux.AT_PLATFORM]) != "x86_64" || aux[linux.AT_UID] != 5 ||
			string(at(aux[linux.AT_RANDOM])[:16]) != string(random[:]) {
			t.Fatalf("%#v", aux)
		}
		if got := string(s.data[s.argStart-s.sp : s.argEnd-s.sp]); got != "prog\x00\x00arg two\x00" {
			t.Fatalf("%q", got)
		}
		if got := string(s.data[s.envStart-s.sp : s.envEnd-s.sp]); got != "A=1\x00B=\x00" {
			t.Fatalf("%q", got)
		}
		if word(top-8) != 0 {
			t.Fatal("the top word")
		}
	}
}
