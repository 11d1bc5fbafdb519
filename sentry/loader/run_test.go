package loader

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"testing"

	"hornwork/host/clock"
	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/platform/ptrace"
	"hornwork/sentry/mm"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// miniKernel runs one single-threaded program with the few system calls that C programs start with.
type miniKernel struct {
	t    *testing.T
	c    *vfs.Caller
	as   *mm.AddressSpace
	th   platform.Thread
	regs linux.Regs
	out  bytes.Buffer
	fds  map[uint64]*vfs.File
	used map[uint64]int // system calls, by number
}

func runProgram(t *testing.T, c *vfs.Caller, path string, argv, envv []string, noRandomize bool) (*miniKernel, uint64, *Image) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
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
	vdso, errno := NewVDSO(mf, 0, 0, 4096)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(vdso.Close)
	p, errno := begin(c, path, argv, envv)
	if errno != 0 {
		t.Fatal("Begin:", errno)
	}
	defer p.Close()
	as, errno := mm.New(plat, mf)
	if errno != 0 {
		t.Fatal("mm.New:", errno)
	}
	img, errno := p.Load(c, as, &LoadArgs{FileRef: fileRef, VDSO: vdso, UID: 11, EUID: 11, GID: 13, EGID: 13, NoRandomize: noRandomize})
	if errno != 0 {
		t.Fatal("Load:", errno)
	}
	k := &miniKernel{t: t, c: c, as: as, fds: map[uint64]*vfs.File{}, used: map[uint64]int{}}
	if k.th, errno = as.Platform().NewThread(); errno != 0 {
		t.Fatal("NewThread:", errno)
	}
	t.Cleanup(func() { k.th.Release(); as.Put() })
	k.regs = linux.Regs{RIP: img.Entry, RSP: img.SP, Eflags: 0x202, CS: 0x33, SS: 0x2b}
	return k, k.loop(), img
}

func (k *miniKernel) loop() (status uint64) {
	for range 1_000_000 {
		switch ev := k.th.Switch(&k.regs, platform.ResumeFull); ev.Kind {
		case platform.EventSyscall:
			if k.regs.OrigRAX == linux.SYS_EXIT_GROUP {
				return k.regs.RDI
			}
			k.used[k.regs.OrigRAX]++
			ret, errno := k.syscall()
			if errno != 0 {
				ret = -uint64(errno)
			}
			k.regs.RAX = ret
		case platform.EventFault:
			if sig, ok := k.as.HandleFault(ev.Addr, ev.Access); !ok {
				k.t.Fatalf("fault %+v: %+v; rip %#x\n%s", ev, sig, k.regs.RIP, k.out.String())
			}
		default:
			k.t.Fatalf("event %+v; %+v\n%s\n%v", ev, k.regs, k.out.String(), k.used)
		}
	}
	k.t.Fatal("the program does not end")
	return 0
}

func (k *miniKernel) syscall() (uint64, linux.Errno) {
	r := &k.regs
	switch r.OrigRAX {
	case linux.SYS_WRITE:
		b := make([]byte, r.RDX)
		n, errno := k.as.CopyIn(b, r.RSI)
		k.out.Write(b[:n])
		return uint64(n), errno
	case linux.SYS_WRITEV:
		var total uint64
		for i := range r.RDX {
			var iov [2]uint64
			for j := range iov {
				v, errno := mm.User[uint64](r.RSI + 16*i + 8*uint64(j)).Load(kernelMemory{k.as})
				if errno != 0 {
					return 0, errno
				}
				iov[j] = v
			}
			b := make([]byte, iov[1])
			k.as.CopyIn(b, iov[0])
			k.out.Write(b)
			total += iov[1]
		}
		return total, 0
	case linux.SYS_BRK:
		return k.as.Brk(r.RDI), 0
	case linux.SYS_ARCH_PRCTL:
		if r.RDI != 0x1002 {
			return 0, linux.EINVAL
		}
		r.FSBase = r.RSI
		return 0, 0
	case linux.SYS_MPROTECT:
		return 0, k.as.MProtect(r.RDI, r.RSI, uint32(r.RDX))
	case linux.SYS_MUNMAP:
		return 0, k.as.MUnmap(r.RDI, r.RSI)
	case linux.SYS_MMAP:
		o := &mm.MMapOpts{Addr: r.RDI, Len: r.RSI, Prot: uint32(r.RDX), Flags: uint32(r.R10), Offset: r.R9, MaxProt: 7}
		if o.Flags&linux.MAP_ANONYMOUS == 0 {
			o.File = hostRef{k.fds[r.R8]}
		}
		return k.as.MMap(o)
	case linux.SYS_OPENAT, linux.SYS_OPEN:
		return k.open()
	case linux.SYS_CLOSE:
		if f := k.fds[r.RDI]; f != nil {
			f.Put()
			delete(k.fds, r.RDI)
		}
		return 0, 0
	case linux.SYS_READ, linux.SYS_PREAD64:
		f := k.fds[r.RDI]
		b := make([]byte, min(r.RDX, 1<<16))
		n, _ := fileSource{k.c, f}.readAt(b, r.R10*(r.OrigRAX-linux.SYS_READ)/17)
		return uint64(n), ignoreCount(k.as.CopyOut(r.RSI, b[:n]))
	case linux.SYS_NEWFSTATAT, linux.SYS_FSTAT:
		var st linux.Stat
		st.Mode = linux.S_IFCHR | 0o600
		if f := k.fds[r.RDI]; f != nil {
			st.Mode, st.Size, st.Ino, st.Dev = linux.S_IFREG|0o755, f.Inode().Attr().Size.Load(), f.Inode().Ino, 1
		} else if r.RDI > 2 {
			return 0, linux.ENOENT
		}
		at := r.RDX
		if r.OrigRAX == linux.SYS_FSTAT {
			at = r.RSI
		}
		return 0, mm.User[linux.Stat](at).Store(kernelMemory{k.as}, st)
	case linux.SYS_SET_TID_ADDRESS:
		return 1, 0
	case linux.SYS_POLL:
		return 0, 0
	case linux.SYS_CLOCK_GETTIME:
		ns := clock.GuestRealtime() // renews the page
		return 0, mm.User[linux.Timespec](r.RSI).Store(kernelMemory{k.as}, linux.Timespec{Sec: ns / 1e9, Nsec: ns % 1e9})
	}
	return 0, linux.ENOSYS
}

func ignoreCount(n int, errno linux.Errno) linux.Errno { return errno }

func (k *miniKernel) open() (uint64, linux.Errno) {
	name, errno := k.as.CopyInString(k.regs.RSI, 4096)
	if k.regs.OrigRAX == linux.SYS_OPEN {
		name, errno = k.as.CopyInString(k.regs.RDI, 4096)
	}
	if errno != 0 {
		return 0, errno
	}
	f, errno := vfs.Open(k.c, k.c.Cwd, name, &linux.OpenHow{})
	if errno != 0 {
		return 0, errno
	}
	fd := uint64(10 + len(k.fds))
	k.fds[fd] = f
	return fd, 0
}

const helloC = `
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <stdlib.h>
static char big[300000];
static int initialised[1000] = {1, 2, 3};
int main(int argc, char **argv, char **envp) {
	struct timespec t;
	int bad = 0;
	for (int i = 0; i < sizeof big; i++) bad |= big[i];
	for (int i = 0; i < 10; i++) clock_gettime(CLOCK_REALTIME, &t);
	char *p = malloc(1 << 20);
	memset(p, 1, 1 << 20);
	printf("argc %d argv %s %s env %s bss %d data %d\n", argc, argv[0], argv[argc - 1], getenv("A") ? getenv("A") : "none", bad, initialised[2]);
	printf("uid %lu %lu %lu %lu secure %lu page %lu tick %lu platform %s execfn %s\n", getauxval(AT_UID), getauxval(AT_EUID),
		getauxval(AT_GID), getauxval(AT_EGID), getauxval(AT_SECURE), getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
		(char *)getauxval(AT_PLATFORM), (char *)getauxval(AT_EXECFN));
	printf("random %d aligned %d time %ld\n", getauxval(AT_RANDOM) != 0, (int)((unsigned long)argv % 16), (long)t.tv_sec);
	printf("float %.3f\n", argc * 1.5);
	return 42;
}
`

// build compiles src, and skips the test if the compiler is not there.
func build(t *testing.T, cc string, src string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(cc); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	c := filepath.Join(dir, "p.c")
	if err := os.WriteFile(c, []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "p")
	if out, err := exec.Command(cc, append([]string{"-O1", "-o", bin, c}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func TestProgramsStart(t *testing.T) {
	for _, v := range []struct {
		name, cc string
		flags    []string
	}{
		{"glibc dynamic PIE", "gcc", nil},
		{"glibc dynamic", "gcc", []string{"-no-pie"}},
		{"glibc static", "gcc", []string{"-static"}},
		{"glibc static PIE", "gcc", []string{"-static-pie"}},
		{"musl static", "musl-gcc", []string{"-static"}},
		{"musl dynamic", "musl-gcc", nil},
		{"aligned PIE", "gcc", []string{"-Wl,-z,max-page-size=0x200000"}},
		{"executable stack", "gcc", []string{"-z", "execstack"}},
	} {
		for _, fixed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, fixed %v", v.name, fixed), func(t *testing.T) {
				bin := build(t, v.cc, helloC, v.flags...)
				c := hostCaller(t, "/")
				k, status, img := runProgram(t, c, bin, []string{"zero", "last"}, []string{"A=b c"}, fixed)
				if status != 42 {
					t.Errorf("status %d", status)
				}
				out := k.out.String()
				for _, want := range []string{
					"argc 2 argv zero last env b c bss 0 data 3\n",
					"uid 11 11 13 13 secure 0 page 4096 tick 100 platform x86_64 execfn " + bin + "\n",
					"float 3.000\n", "random 1 aligned 8 ",
				} {
					if !strings.Contains(out, want) {
						t.Errorf("no %q in\n%s", want, out)
					}
				}
				if n := k.used[linux.SYS_CLOCK_GETTIME]; n > 2 { // static glibc makes two before it has looked for the vDSO
					t.Errorf("%d system calls for the time: the vDSO is not used", n)
				}
				if img.SP%16 != 0 {
					t.Errorf("the stack pointer is %#x", img.SP)
				}
			})
		}
	}
}

func TestScriptRunsItsInterpreter(t *testing.T) {
	bin := build(t, "gcc", helloC)
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#! "+bin+" one two \nrest"), 0o755); err != nil {
		t.Fatal(err)
	}
	k, status, _ := runProgram(t, hostCaller(t, "/"), script, []string{"dropped", "x"}, nil, false)
	if status != 42 || !strings.Contains(k.out.String(), "argc 4 argv "+bin+" x env none") || !strings.Contains(k.out.String(), "execfn "+script) {
		t.Errorf("%d\n%s", status, k.out.String())
	}
}

type kernelMemory struct{ as *mm.AddressSpace }

func (m kernelMemory) Memory() usermem.Memory { return m.as }
