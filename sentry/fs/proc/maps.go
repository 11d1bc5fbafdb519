package proc

import (
	"bytes"
	"fmt"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/mm"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// memory returns the address space for a reader who may see addresses.
func (d *taskDir) memory(c *vfs.Caller) (*mm.AddressSpace, linux.Errno) {
	if errno := d.mayInspect(c); errno != 0 {
		return nil, errno
	}
	as := d.t.MM()
	if as == nil || !as.TryGet() {
		return nil, 0 // a zombie: the file is empty
	}
	return as, 0
}

// mapsLine prints one VMA; names begin in column 74, as pmap and others expect.
func mapsLine(b *bytes.Buffer, v *mm.VMAInfo) {
	perm := []byte("---p")
	for i, bit := range []uint8{linux.PROT_READ, linux.PROT_WRITE, linux.PROT_EXEC} {
		if v.Prot&bit != 0 {
			perm[i] = "rwx"[i]
		}
	}
	if v.Shared {
		perm[3] = 's'
	}
	at := b.Len()
	fmt.Fprintf(b, "%08x-%08x %s %08x %02x:%02x %d ", v.Start, v.End, perm, v.Offset, vfs.Major(v.Dev), vfs.Minor(v.Dev), v.Ino)
	if v.Name != "" {
		for b.Len()-at < 73 {
			b.WriteByte(' ')
		}
		b.WriteString(octalNewline(v.Name))
	}
	b.WriteByte('\n')
}

func octalNewline(s string) string {
	return string(bytes.ReplaceAll([]byte(s), []byte("\n"), []byte(`\012`)))
}

func (d *taskDir) eachVMA(c *vfs.Caller, f func(v *mm.VMAInfo)) linux.Errno {
	as, errno := d.memory(c)
	if as == nil {
		return errno
	}
	defer as.Put()
	as.VMAs(func(v mm.VMAInfo) bool {
		f(&v)
		return true
	})
	return 0
}

func (d *taskDir) maps(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	return d.eachVMA(c, func(v *mm.VMAInfo) { mapsLine(b, v) })
}

// sizes are the lines of smaps for one VMA or for the sum of all.
func sizes(b *bytes.Buffer, rss, anon, locked uint64) {
	row := func(name string, n uint64) { fmt.Fprintf(b, "%-15s %8d kB\n", name+":", n>>10) }
	row("Rss", rss)
	row("Pss", rss)
	row("Pss_Dirty", anon)
	row("Shared_Clean", rss-min(anon, rss))
	row("Shared_Dirty", 0)
	row("Private_Clean", 0)
	row("Private_Dirty", anon)
	row("Referenced", rss)
	row("Anonymous", anon)
	row("KSM", 0)
	row("LazyFree", 0)
	row("AnonHugePages", 0)
	row("ShmemPmdMapped", 0)
	row("FilePmdMapped", 0)
	row("Shared_Hugetlb", 0)
	row("Private_Hugetlb", 0)
	row("Swap", 0)
	row("SwapPss", 0)
	row("Locked", locked)
}

func (d *taskDir) smaps(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	return d.eachVMA(c, func(v *mm.VMAInfo) {
		mapsLine(b, v)
		fmt.Fprintf(b, "%-15s %8d kB\n%-15s %8d kB\n%-15s %8d kB\n", "Size:", (v.End-v.Start)>>10, "KernelPageSize:", 4, "MMUPageSize:", 4)
		sizes(b, v.RSS, v.Anonymous, v.Locked)
		fmt.Fprintf(b, "THPeligible:           0\nVmFlags: %s\n", v.VmFlags)
	})
}

func (d *taskDir) smapsRollup(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	var start, end, rss, anon, locked uint64
	errno := d.eachVMA(c, func(v *mm.VMAInfo) {
		if start == 0 {
			start = v.Start
		}
		end = v.End
		rss, anon, locked = rss+v.RSS, anon+v.Anonymous, locked+v.Locked
	})
	if errno != 0 {
		return errno
	}
	if end == 0 {
		return linux.ESRCH
	}
	mapsLine(b, &mm.VMAInfo{Start: start, End: end, Name: "[rollup]"})
	sizes(b, rss, anon, locked)
	return 0
}

// maxArea bounds what is copied of a task's arguments or environment, which are guest memory of any size.
const maxArea = 8 << 20

// area copies [start, end) of the task's memory.
func area(as *mm.AddressSpace, start, end uint64) []byte {
	if end <= start {
		return nil
	}
	b := make([]byte, min(end-start, maxArea))
	n, _ := as.CopyIn(b, start) // what cannot be read is not shown
	return b[:n]
}

// cmdline is the argument area. A program that has overwritten its end (setproctitle) runs on into the environment.
func (d *taskDir) cmdline(_ *vfs.Caller, b *bytes.Buffer) linux.Errno {
	as := d.t.MM()
	if as == nil || !as.TryGet() {
		return 0
	}
	defer as.Put()
	l := as.Layout()
	args := area(as, l.ArgStart, l.ArgEnd)
	if n := len(args); n > 0 && args[n-1] != 0 && l.EnvEnd > l.ArgStart && l.EnvStart >= l.ArgEnd {
		args = area(as, l.ArgStart, l.EnvEnd)
		if i := bytes.IndexByte(args, 0); i >= 0 {
			args = args[:i+1]
		}
	}
	b.Write(args)
	return 0
}

func (d *taskDir) environ(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	as, errno := d.memory(c)
	if as == nil {
		return errno
	}
	defer as.Put()
	l := as.Layout()
	b.Write(area(as, l.EnvStart, l.EnvEnd))
	return 0
}

// auxv is the vector that execve put behind the environment pointers on the stack.
func (d *taskDir) auxv(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	if errno := d.mayInspect(c); errno != 0 {
		return errno
	}
	b.Write(d.g.Auxv())
	return 0
}

// memInode is /proc/PID/mem: the task's memory at its own addresses.
func (d *taskDir) mem() *vfs.Inode {
	return d.p.Special(0o600, func(c *vfs.Caller, _ uint32) (vfs.FileOps, linux.Errno) {
		as, errno := d.memory(c)
		if errno != 0 {
			return nil, errno
		}
		return &memFile{as: as}, 0
	})
}

// memFile reads and writes an address space that it holds a reference of; nil: the task had gone already.
type memFile struct {
	vfs.DefaultFile
	as *mm.AddressSpace
}

func (f *memFile) Seekable() bool { return true }

func (f *memFile) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, off int64) (int, linux.Errno) {
	return f.copy(dst.Len(), uint64(off), func(b []byte, addr uint64) (int, linux.Errno) {
		n, errno := f.as.CopyIn(b, addr)
		if n == 0 {
			return 0, errno
		}
		return dst.CopyOut(b[:n])
	})
}

func (f *memFile) Write(_ *vfs.Caller, _ *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	n, errno := f.copy(src.Len(), uint64(off), func(b []byte, addr uint64) (int, linux.Errno) {
		n, errno := src.CopyIn(b)
		if n == 0 {
			return 0, errno
		}
		return f.as.CopyOut(addr, b[:n])
	})
	return n, off + int64(n), errno
}

// copy moves length bytes by way of a buffer. Where the memory is not there, Linux says EIO.
func (f *memFile) copy(length int, addr uint64, move func(b []byte, addr uint64) (int, linux.Errno)) (int, linux.Errno) {
	if f.as == nil {
		return 0, 0
	}
	buf := make([]byte, min(length, 64<<10))
	done := 0
	for done < length {
		b := buf[:min(len(buf), length-done)]
		n, errno := move(b, addr+uint64(done))
		done += n
		if errno != 0 || n < len(b) {
			break
		}
	}
	if done == 0 && length > 0 {
		return 0, linux.EIO
	}
	return done, 0
}

func (f *memFile) Seek(_ *vfs.Caller, _ *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	switch whence {
	case linux.SEEK_CUR:
		return cur + off, 0
	case linux.SEEK_SET:
		return off, 0
	}
	return 0, linux.EINVAL
}

func (f *memFile) Release(*vfs.File) {
	if f.as != nil {
		f.as.Put()
	}
}

var _ kernfs.Dir = (*taskDir)(nil)
