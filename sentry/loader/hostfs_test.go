package loader

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/mm"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// hostInode is a file of the host, read-only, for tests.
type hostInode struct {
	vfs.NoXattr
	vfs.NoDir
	vfs.NoLink
	sb   *vfs.Superblock
	path string
}

func (h *hostInode) Lookup(c *vfs.Caller, dir *vfs.Inode, name string) (*vfs.Inode, linux.Errno) {
	return newHostInode(h.sb, filepath.Join(h.path, name))
}

func (h *hostInode) Readlink(*vfs.Caller, *vfs.Inode) (string, linux.Errno) {
	s, err := os.Readlink(h.path)
	if err != nil {
		return "", linux.EINVAL
	}
	return s, 0
}

func (h *hostInode) GetAttr(*vfs.Caller, *vfs.Inode) linux.Errno { return 0 }
func (h *hostInode) Forget(*vfs.Inode, bool)                     {}
func (h *hostInode) SetAttr(*vfs.Caller, *vfs.Inode, *vfs.SetAttr) linux.Errno {
	return linux.EROFS
}

func (h *hostInode) Open(c *vfs.Caller, i *vfs.Inode, p vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	f, err := os.Open(h.path)
	if err != nil {
		return nil, linux.EIO
	}
	return &hostFile{f: f, ino: i.Ino}, 0
}

func newHostInode(sb *vfs.Superblock, path string) (*vfs.Inode, linux.Errno) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return nil, linux.Errno(err.(syscall.Errno))
	}
	a := &vfs.Attr{Blksize: pageSize}
	a.Mode.Store(st.Mode)
	a.UID.Store(st.Uid)
	a.GID.Store(st.Gid)
	a.Nlink.Store(uint32(st.Nlink))
	a.Size.Store(st.Size)
	return vfs.NewInode(sb, st.Ino, &hostInode{sb: sb, path: path}, a), 0
}

type hostFile struct {
	vfs.DefaultFile
	f   *os.File
	ino uint64
}

func (h *hostFile) Seekable() bool    { return true }
func (h *hostFile) Release(*vfs.File) { h.f.Close() }

func (h *hostFile) Read(c *vfs.Caller, f *vfs.File, dst *usermem.Seq, off int64) (int, linux.Errno) {
	b := make([]byte, min(dst.Len(), 1<<16))
	n, _ := h.f.ReadAt(b, off)
	return dst.CopyOut(b[:n])
}

func (h *hostFile) Backing(off, length uint64, write bool) (mm.Backing, linux.Errno) {
	st, err := h.f.Stat()
	if err != nil || off >= uint64(st.Size()) {
		return mm.Backing{}, linux.ENXIO
	}
	return mm.Backing{FD: int32(h.f.Fd()), Offset: off, Len: min(length, pageUp(uint64(st.Size())-off))}, 0
}

func (h *hostFile) AddMapping(mm.Mapping, uint64, uint64)    {}
func (h *hostFile) RemoveMapping(mm.Mapping, uint64, uint64) {}
func (h *hostFile) MapIdentity() (dev, ino uint64)           { return 1, h.ino }
func (h *hostFile) ReadAt(b []byte, off uint64) (int, linux.Errno) {
	n, _ := h.f.ReadAt(b, int64(off))
	return n, 0
}

type hostRef struct{ f *vfs.File }

func (r hostRef) GetRef()               { r.f.Get() }
func (r hostRef) PutRef()               { r.f.Put() }
func (r hostRef) Mapped() mm.MappedFile { return r.f.Ops.(mm.MappedFile) }
func (r hostRef) PathName() string      { return "/host" }

func fileRef(c *vfs.Caller, f *vfs.File) mm.FileRef { return hostRef{f} }

// hostCaller is a caller whose root directory is dir.
func hostCaller(t *testing.T, dir string) *vfs.Caller {
	t.Helper()
	sb := &vfs.Superblock{Type: "host", Dev: vfs.NewDev(), NoAtime: true}
	root, errno := newHostInode(sb, dir)
	if errno != 0 {
		t.Fatal(errno)
	}
	sb.Root = root
	ns := vfs.NewMountNS(sb, 0)
	p := ns.Root()
	return &vfs.Caller{Creds: cred.Root(&cred.UserNS{}), Root: p, Cwd: p}
}

// begin opens path and begins to execute it.
func begin(c *vfs.Caller, path string, argv, envv []string) (*Program, linux.Errno) {
	f, errno := vfs.OpenExec(c, c.Cwd, path, vfs.Follow)
	if errno != 0 {
		return nil, errno
	}
	defer f.Put()
	return Begin(c, &Args{File: f, Filename: path, Argv: argv, Envv: envv, StackLimit: 8 << 20})
}

// hostExec runs a program of the host and returns what it printed.
func hostExec(path string) (string, error) {
	out, err := exec.Command(path).Output()
	return string(out), err
}

func openFile(c *vfs.Caller, path string) (*vfs.File, linux.Errno) {
	return vfs.OpenExec(c, c.Cwd, path, vfs.Follow)
}
