package loader

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform/ptrace"
	"hornwork/sentry/mm"
)

// loadFile loads the program at path into a new address space, which must stay usable whatever happens.
func loadFile(t *testing.T, plat *ptrace.Platform, mf *mem.File, path string) (begun, loaded linux.Errno) {
	t.Helper()
	c := hostCaller(t, "/")
	p, errno := begin(c, path, []string{"x"}, nil)
	if errno != 0 {
		return errno, 0
	}
	defer p.Close()
	as, errno := mm.New(plat, mf)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer as.Put()
	img, errno := p.Load(c, as, &LoadArgs{FileRef: fileRef})
	if errno == 0 {
		lo, hi := as.Range()
		if img.SP < lo || img.SP >= hi || img.Entry >= hi || img.Brk >= hi {
			t.Errorf("%+v", img)
		}
	}
	if _, errno := as.MMap(&mm.MMapOpts{Len: pageSize, Prot: linux.PROT_READ, Flags: linux.MAP_PRIVATE | linux.MAP_ANONYMOUS}); errno != 0 {
		t.Error("the address space is broken:", errno)
	}
	return 0, errno
}

func newTestSpace(t *testing.T) (*ptrace.Platform, *mem.File) {
	t.Helper()
	plat, err := ptrace.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plat.Close)
	mf, err := mem.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mf.Close)
	return plat, mf
}

func TestHostileSegments(t *testing.T) {
	plat, mf := newTestSpace(t)
	const rw = linux.PF_R | linux.PF_W
	for _, c := range []struct {
		name string
		typ  uint16
		segs [][8]uint64
		want linux.Errno // where the host kills the process with SIGSEGV
	}{
		{"none", linux.ET_EXEC, [][8]uint64{{linux.PT_NOTE}}, linux.EINVAL},
		{"address 0", linux.ET_EXEC, [][8]uint64{{1, rw, 0, 0, 0, 64, 64, 1}}, linux.EPERM},
		{"at the top", linux.ET_EXEC, [][8]uint64{{1, rw, 0, 0x7fffffff0000 - pageSize, 0, 64, 2 * pageSize, 1}}, linux.EINVAL},
		{"clearing beyond the end of the file", linux.ET_EXEC, [][8]uint64{{1, rw, 0x10000, 0x400000, 0, 64, 128, 1}}, linux.EFAULT},
		{"all of memory", linux.ET_DYN, [][8]uint64{{1, rw, 0, 0, 0, 64, 0x7ffffffe0000, 1}}, linux.ENOMEM},
		{"entry outside", linux.ET_EXEC, [][8]uint64{{1, rw, 0, 0x400000, 0, 64, 64, 1}}, 0},
		{"only bss", linux.ET_EXEC, [][8]uint64{{1, rw, 0, 0x400123, 0, 0, 64, 1}}, 0},
		{"overlapping", linux.ET_EXEC, [][8]uint64{{1, rw, 0, 0x400000, 0, 64, 1 << 20, 1}, {1, 5, 0, 0x400000, 0, 64, 64, 1}}, 0},
		{"huge alignment", linux.ET_DYN, [][8]uint64{{1, rw, 0, 0, 0, 64, 64, 1 << 63}}, linux.ENOMEM},
		{"odd alignment", linux.ET_DYN, [][8]uint64{{1, rw, 0, 0, 0, 64, 64, 12345}}, 0},
		{"descending", linux.ET_DYN, [][8]uint64{{1, rw, 0, 0x10000, 0, 64, 64, 1}, {1, 5, 0, 0, 0, 64, 64, 1}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "p")
			if err := os.WriteFile(path, program(c.typ, c.segs...), 0o755); err != nil {
				t.Fatal(err)
			}
			begun, loaded := loadFile(t, plat, mf, path)
			if begun != 0 || loaded != c.want {
				t.Errorf("%v %v, want %v", begun, loaded, c.want)
			}
		})
	}
}

// Programs whose headers were damaged at random load or fail, and leave the sentry whole.
func TestDamagedPrograms(t *testing.T) {
	bin := build(t, "gcc", "int main(void) { return 0; }", "-static")
	good, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	plat, mf := newTestSpace(t)
	before := mf.Usage()
	r := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "p")
	count := map[linux.Errno]int{}
	for range 300 {
		b := append([]byte(nil), good...)
		for range 1 + r.IntN(3) {
			at := 16 + r.IntN(ehdrSize+10*phdrSize-24)
			switch r.IntN(3) {
			case 0:
				b[at] ^= 1 << r.IntN(8)
			case 1:
				binary.LittleEndian.PutUint64(b[at&^7:], r.Uint64()>>r.IntN(64))
			case 2:
				binary.LittleEndian.PutUint64(b[at&^7:], -r.Uint64()>>r.IntN(64))
			}
		}
		os.Remove(path)
		if err := os.WriteFile(path, b, 0o755); err != nil {
			t.Fatal(err)
		}
		begun, loaded := loadFile(t, plat, mf, path)
		count[begun|loaded]++
	}
	t.Log(count)
	if count[0] == 0 || len(count) < 4 {
		t.Errorf("no variety: %v", count)
	}
	if got := mf.Usage(); got != before {
		t.Errorf("%d bytes of memory were lost", got-before)
	}
}
