package loader

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hornwork/host/clock"
)

func TestVDSOIsAValidObject(t *testing.T) {
	img := VDSOImage()
	f, err := elf.NewFile(bytes.NewReader(img))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range syms {
		names = append(names, s.Name)
		if s.Name != vdsoVersion && (s.Version != vdsoVersion || elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Size == 0) {
			t.Errorf("%+v", s)
		}
	}
	for _, n := range vdsoNames {
		if !slices.Contains(names, "__vdso_"+n) || !slices.Contains(names, n) {
			t.Error("no", n)
		}
	}
	if so, err := f.DynString(elf.DT_SONAME); err != nil || len(so) != 1 || so[0] != vdsoSoname {
		t.Error(so, err)
	}
	if bytes.Contains(img, []byte("vvarvvar")) {
		t.Error("a reference to the vvar page was left")
	}
}

func TestVDSOPleasesReadelf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vdso.so")
	if err := os.WriteFile(file, VDSOImage(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("readelf", "-aW", "--debug-dump=frames", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "arning") || strings.Contains(string(out), "rror") {
		t.Errorf("%s", out)
	}
	for _, want := range []string{"__vdso_clock_gettime@@LINUX_2.6", "DW_CFA_def_cfa: r7 (rsp) ofs 8", "Name: linux-vdso.so.1"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A C program maps the image and calls it, with a page that this process keeps up to date.
func TestVDSOTellsTheTime(t *testing.T) {
	dir := t.TempDir()
	prog := filepath.Join(dir, "vdso")
	if out, err := exec.Command("gcc", "-O1", "-o", prog, "testdata/vdso.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const monoOff, bootOff = 3_000_000_123, 5_000_000_321
	for _, c := range []struct {
		name    string
		offsets [2]int64
		live    bool
	}{
		{"from the page", [2]int64{monoOff, bootOff}, true},
		{"by system calls", [2]int64{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, "image")
			img := append(make([]byte, pageSize), VDSOImage()...)
			if err := os.WriteFile(file, img, 0o644); err != nil {
				t.Fatal(err)
			}
			fd, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer fd.Close()
			mem, err := syscall.Mmap(int(fd.Fd()), 0, pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			defer syscall.Munmap(mem)
			if c.live {
				time.Sleep(30 * time.Millisecond)
				clock.GuestMonotonic()
				p := clock.NewPage(mem, c.offsets[0], c.offsets[1], 4096)
				defer p.Close()
				// Each refresh lengthens the time that the page is good for.
				for range 10 {
					time.Sleep(60 * time.Millisecond)
					clock.GuestMonotonic()
				}
			}
			args := []string{file, fmt.Sprint(c.offsets[0]), fmt.Sprint(c.offsets[1])}
			if c.live {
				args = append(args, "live") // RAW is MONOTONIC, and the coarse clocks are fine
			}
			out, err := exec.Command(prog, args...).CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
