package loader

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hornwork/linux"
)

func TestScriptLines(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		head, interp, arg string
		hasArg            bool
		errno             linux.Errno
	}{
		{"#!/bin/sh\n", "/bin/sh", "", false, 0},
		{"#!/bin/sh", "/bin/sh", "", false, 0},
		{"#! \t /bin/sh \t \nx", "/bin/sh", "", false, 0},
		{"#!/bin/sh -e\n", "/bin/sh", "-e", true, 0},
		{"#!/bin/sh  -e  -x \t\n", "/bin/sh", "-e  -x", true, 0},
		{"#!/bin/sh\t-e", "/bin/sh", "-e", true, 0},
		{"#!/bin/sh\x00-e\n", "/bin/sh", "", false, 0},
		{"#!/bin/sh a\x00b\n", "/bin/sh", "a", true, 0},
		{"#!\n", "", "", false, linux.ENOEXEC},
		{"#!  \t \n", "", "", false, linux.ENOEXEC},
		{"#!", "", "", false, linux.ENOEXEC},
		{"#!" + strings.Repeat(" ", 254), "", "", false, linux.ENOEXEC},
		{"#!" + long, "", "", false, linux.ENOEXEC},
		{"#!/" + long[:252] + "\n", "/" + long[:252], "", false, 0},
		{"#!/" + long[:253] + "\n", "", "", false, linux.ENOEXEC},
		{"#!/bin/sh " + long, "/bin/sh", long[:255-10], true, 0},
		{"ELF", "", "", false, linux.ENOEXEC},
	} {
		head := c.head
		if len(head) > bufSize {
			head = head[:bufSize]
		}
		interp, arg, hasArg, errno := parseScript([]byte(head))
		if interp != c.interp || arg != c.arg || hasArg != c.hasArg || errno != c.errno {
			t.Errorf("%q: %q %q %v %v", c.head, interp, arg, hasArg, errno)
		}
	}
}

// The host does what parseScript says, for lines that can be tried there.
func TestScriptLinesOnTheHost(t *testing.T) {
	bin := build(t, "gcc", `#include <stdio.h>
int main(int c, char **v) { for (int i = 1; i < c; i++) printf("[%s]", v[i]); }`)
	short := filepath.Join("/tmp", filepath.Base(t.TempDir())+"hw")
	if err := os.Symlink(bin, short); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(short)
	pad := strings.Repeat("y", bufSize)
	for i, rest := range []string{"\n", "", " a\n", "  a b \t\n", "\x00zzz\n", " a\x00b\n", " " + pad, " a " + pad, "\t", " \n"} {
		file := filepath.Join(t.TempDir(), "s")
		line := "#!" + short + rest
		if err := os.WriteFile(file, []byte(line), 0o755); err != nil {
			t.Fatal(err)
		}
		_, arg, hasArg, errno := parseScript([]byte(line)[:min(len(line), bufSize)])
		want := "[" + file + "]"
		if hasArg {
			want = "[" + arg + "]" + want
		}
		out, err := hostExec(file)
		if errno != 0 || err != nil || out != want {
			t.Errorf("%d: %v; the host says %q %v, want %q", i, errno, out, err, want)
		}
	}
}

type bytesSource []byte

func (b bytesSource) readAt(p []byte, off uint64) (int, linux.Errno) {
	if off >= uint64(len(b)) {
		return 0, 0
	}
	return copy(p, b[off:]), 0
}

// program builds an ELF file of headers.
func program(typ uint16, phs ...[8]uint64) []byte {
	le := binary.LittleEndian
	b := make([]byte, ehdrSize+phdrSize*len(phs))
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], typ)
	le.PutUint16(b[18:], linux.EM_X86_64)
	le.PutUint64(b[32:], ehdrSize)
	le.PutUint16(b[54:], phdrSize)
	le.PutUint16(b[56:], uint16(len(phs)))
	for i, p := range phs { // type, flags, offset, vaddr, paddr, filesz, memsz, align
		h := b[ehdrSize+phdrSize*i:]
		le.PutUint32(h, uint32(p[0]))
		le.PutUint32(h[4:], uint32(p[1]))
		for j, v := range p[2:] {
			le.PutUint64(h[8+8*j:], v)
		}
	}
	return b
}

func TestELFHeaders(t *testing.T) {
	load := [8]uint64{linux.PT_LOAD, 5, 0, 0x400000, 0, 64, 64, pageSize}
	good := program(linux.ET_EXEC, load)
	change := func(f func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		f(b)
		return b
	}
	le := binary.LittleEndian
	for _, c := range []struct {
		name string
		file []byte
		want linux.Errno
	}{
		{"good", good, 0},
		{"empty", nil, linux.ENOEXEC},
		{"short", good[:40], linux.ENOEXEC},
		{"magic", change(func(b []byte) { b[0] = 'x' }), linux.ENOEXEC},
		{"class is not looked at", change(func(b []byte) { b[4] = 1 }), 0},
		{"type", change(func(b []byte) { b[16] = linux.ET_REL }), linux.ENOEXEC},
		{"machine", change(func(b []byte) { b[18] = linux.EM_386 }), linux.ENOEXEC},
		{"phentsize", change(func(b []byte) { b[54] = 32 }), linux.ENOEXEC},
		{"no headers", change(func(b []byte) { le.PutUint16(b[56:], 0) }), linux.ENOEXEC},
		{"too many headers", change(func(b []byte) { le.PutUint16(b[56:], 74) }), linux.ENOEXEC},
		{"headers beyond the end", change(func(b []byte) { le.PutUint64(b[32:], 1000) }), linux.ENOEXEC},
		{"header offset overflows", change(func(b []byte) { le.PutUint64(b[32:], ^uint64(0)-10) }), linux.ENOEXEC},
		{"interp too short", program(linux.ET_EXEC, [8]uint64{linux.PT_INTERP, 4, 0, 0, 0, 1, 1, 1}), linux.ENOEXEC},
		{"interp too long", program(linux.ET_EXEC, [8]uint64{linux.PT_INTERP, 4, 0, 0, 0, 4097, 1, 1}), linux.ENOEXEC},
	} {
		if _, errno := parseELF(bytesSource(c.file), c.file[:min(len(c.file), bufSize)]); errno != c.want {
			t.Errorf("%s: %v, want %v", c.name, errno, c.want)
		}
	}
	const top = 0x7fffffff0000
	for _, c := range []struct {
		name string
		segs [][8]uint64
		want linux.Errno
	}{
		{"good", [][8]uint64{load}, 0},
		{"none", [][8]uint64{{linux.PT_NOTE}}, linux.EINVAL},
		{"more file than memory", [][8]uint64{{1, 5, 0, 0x400000, 0, 65, 64, 1}}, linux.EINVAL},
		{"huge memory", [][8]uint64{{1, 5, 0, 0x400000, 0, 64, 1 << 60, 1}}, linux.EINVAL},
		{"wraps", [][8]uint64{{1, 5, 0, ^uint64(0) - 100, 0, 64, 200, 1}}, linux.EINVAL},
		{"kernel", [][8]uint64{{1, 5, 0, 0xffffffff81000000, 0, 64, 64, 1}}, linux.EINVAL},
		{"offset and address differ", [][8]uint64{{1, 5, 1, 0x400000, 0, 64, 64, 1}}, linux.EINVAL},
		{"offset wraps", [][8]uint64{{1, 5, ^uint64(4095), 0x400000, 0, 64, 64, 1}}, linux.EINVAL},
	} {
		e, errno := parseELF(bytesSource(program(linux.ET_DYN, c.segs...)), program(linux.ET_DYN, c.segs...)[:ehdrSize])
		if errno != 0 {
			t.Fatal(c.name, errno)
		}
		if _, _, errno := e.span(top); errno != c.want {
			t.Errorf("%s: %v, want %v", c.name, errno, c.want)
		}
	}
}

// Whatever a file says, its segments lie where a program can be, and the memory that reading takes is bounded.
func FuzzELF(f *testing.F) {
	f.Add(program(linux.ET_EXEC, [8]uint64{linux.PT_LOAD, 5, 0, 0x400000, 0, 64, 64, pageSize}))
	f.Add(program(linux.ET_DYN, [8]uint64{linux.PT_INTERP, 4, 64, 0, 0, 10, 10, 1}, [8]uint64{linux.PT_LOAD, 6, 0, 0, 0, 64, 1 << 30, 1 << 21}))
	f.Add([]byte("#!/bin/sh -x\n"))
	if b, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(b[:min(len(b), 4096)])
	}
	const top = 0x7fffffff0000
	f.Fuzz(func(t *testing.T, b []byte) {
		head := b[:min(len(b), bufSize)]
		if interp, _, _, errno := parseScript(head); errno == 0 && (interp == "" || strings.ContainsAny(interp, " \t\n\x00")) {
			t.Fatalf("interpreter %q", interp)
		}
		for _, parse := range []func(source, []byte) (*elfFile, linux.Errno){parseELF, parseInterp} {
			e, errno := parse(bytesSource(b), head)
			if errno != 0 {
				continue
			}
			if e.interpLen != 0 {
				if p, errno := e.interpPath(bytesSource(b)); errno == 0 && (len(p) > maxInterp || strings.Contains(p, "\x00")) {
					t.Fatalf("path %q", p)
				}
			}
			if a := e.maxAlign(); a&(a-1) != 0 || a < pageSize {
				t.Fatalf("alignment %#x", a)
			}
			e.phdrAddr()
			first, size, errno := e.span(top)
			if errno != 0 {
				continue
			}
			if first > top || size > top+pageSize-first {
				t.Fatalf("span %#x+%#x", first, size)
			}
			for _, s := range e.segments {
				if s.vaddr < first || s.vaddr+s.memsz > first+size || s.filesz > s.memsz || len(e.segments) > maxPhdrs {
					t.Fatalf("segment %+v outside %#x+%#x", s, first, size)
				}
			}
		}
	})
}

func TestArgumentLimits(t *testing.T) {
	big := strings.Repeat("a", maxArgLen-1)
	many := make([]string, 20000)
	for _, c := range []struct {
		name  string
		argv  []string
		stack uint64
		want  linux.Errno
	}{
		{"a string of the longest kind", []string{big}, 8 << 20, 0},
		{"a longer one", []string{big + "a"}, 8 << 20, linux.E2BIG},
		{"a quarter of the stack", []string{big, big, big, big, big, big, big, big, big, big, big, big, big, big, big}, 8 << 20, 0},
		{"more", []string{big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big}, 8 << 20, linux.E2BIG},
		{"128 KiB with a small stack", []string{big[:100_000]}, 4096, 0},
		{"more with a small stack", []string{big[:100_000], big[:40_000]}, 4096, linux.E2BIG},
		{"pointers count", many, 4096, linux.E2BIG},
		{"never more than 6 MiB", slicesRepeat(big, 49), 1 << 40, linux.E2BIG},
	} {
		if errno := checkArgs(c.argv, nil, "/x", c.stack); errno != c.want {
			t.Errorf("%s: %v, want %v", c.name, errno, c.want)
		}
	}
}

func slicesRepeat(s string, n int) (out []string) {
	for range n {
		out = append(out, s)
	}
	return out
}
