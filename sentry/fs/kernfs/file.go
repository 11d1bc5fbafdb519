package kernfs

import (
	"sync"
	"sync/atomic"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// maxStore bounds what one write(2) to a made-up file may carry.
const maxStore = 64 << 10

// File is a made-up regular file.
type File struct {
	// Show makes the text. Nil: the file cannot be read.
	Show func(c *vfs.Caller) ([]byte, linux.Errno)
	// Store takes what one write(2) wrote. Nil: the file cannot be written.
	Store func(c *vfs.Caller, data []byte) linux.Errno
	// Changes finds what counts the changes of the text, for poll(2). Nil: nobody can watch the file.
	Changes func() *vfs.Counter
	// MayOpen refuses an open that the mode lets through; nil refuses none.
	MayOpen func(c *vfs.Caller) linux.Errno
}

type fileInode struct {
	common
	vfs.NoDir
	vfs.NoLink
	f File
}

// File makes a regular file with permission bits perm.
func (fs *FS) File(perm uint32, f File) *vfs.Inode {
	return fs.inode(linux.S_IFREG|perm, &fileInode{f: f})
}

// Text makes a read-only file that always says the same.
func (fs *FS) Text(s string) *vfs.Inode {
	b := []byte(s)
	return fs.File(0o444, File{Show: func(*vfs.Caller) ([]byte, linux.Errno) { return b, 0 }})
}

func (i *fileInode) Open(c *vfs.Caller, _ *vfs.Inode, _ vfs.Path, _ uint32) (vfs.FileOps, linux.Errno) {
	if i.f.MayOpen != nil {
		if errno := i.f.MayOpen(c); errno != 0 {
			return nil, errno
		}
	}
	if i.f.Changes != nil {
		if n := i.f.Changes(); n != nil {
			w := &watchedFile{openFile: openFile{f: &i.f}, n: n}
			w.seen.Store(n.N.Load())
			return w, 0
		}
	}
	return &openFile{f: &i.f}, 0
}

// watchedFile is an open file whose changes can be polled for, even with epoll.
type watchedFile struct {
	openFile
	n    *vfs.Counter
	seen atomic.Uint64
}

// CanPoll tells epoll.
func (w *watchedFile) CanPoll() bool { return true }

// Readiness has POLLERR and POLLPRI once after each change, as Linux's mounts_poll.
func (w *watchedFile) Readiness(mask wait.Events) wait.Events {
	ev := mask & wait.Readable
	if n := w.n.N.Load(); w.seen.Swap(n) != n {
		ev |= wait.Err | mask&wait.Pri
	}
	return ev
}

func (w *watchedFile) EventRegister(e *wait.Entry)   { w.n.Queue.Add(e) }
func (w *watchedFile) EventUnregister(e *wait.Entry) { w.n.Queue.Remove(e) }

// openFile keeps the text that a reader has begun.
type openFile struct {
	vfs.DefaultFile
	f    *File
	mu   sync.Mutex // a leaf lock, guards text
	text []byte
}

// Seekable lets readers start anew from offset 0.
func (o *openFile) Seekable() bool { return true }

// Readiness: a made-up file never blocks; Linux adds POLLERR and POLLPRI only for files that can be watched.
func (o *openFile) Readiness(mask wait.Events) wait.Events {
	return mask & (wait.Readable | wait.Writable)
}

func (o *openFile) Read(c *vfs.Caller, _ *vfs.File, dst *usermem.Seq, off int64) (int, linux.Errno) {
	if o.f.Show == nil {
		return 0, linux.EINVAL
	}
	o.mu.Lock()
	text := o.text
	o.mu.Unlock()
	if off == 0 || text == nil {
		t, errno := o.f.Show(c)
		if errno != 0 {
			return 0, errno
		}
		if t == nil {
			t = []byte{}
		}
		text = t
		o.mu.Lock()
		o.text = text
		o.mu.Unlock()
	}
	if off < 0 || off >= int64(len(text)) {
		return 0, 0
	}
	return dst.CopyOut(text[off:min(int64(len(text)), off+int64(dst.Len()))])
}

func (o *openFile) Write(c *vfs.Caller, _ *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	if o.f.Store == nil {
		return 0, off, linux.EINVAL
	}
	b := make([]byte, min(src.Len(), maxStore))
	n, errno := src.CopyIn(b)
	if errno == 0 {
		errno = o.f.Store(c, b[:n])
	}
	if errno != 0 {
		return 0, off, errno
	}
	return n, off + int64(n), 0
}

func (o *openFile) Seek(_ *vfs.Caller, _ *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	switch whence {
	case linux.SEEK_CUR:
		off += cur
	case linux.SEEK_SET:
	default:
		return 0, linux.EINVAL
	}
	if off < 0 {
		return 0, linux.EINVAL
	}
	return off, 0
}

func (o *openFile) Sync(*vfs.Caller, *vfs.File, bool) linux.Errno { return linux.EINVAL }

// specialInode is a regular file with operations of its own.
type specialInode struct {
	common
	vfs.NoDir
	vfs.NoLink
	open func(c *vfs.Caller, flags uint32) (vfs.FileOps, linux.Errno)
}

// Special makes a regular file whose operations open makes.
func (fs *FS) Special(perm uint32, open func(c *vfs.Caller, flags uint32) (vfs.FileOps, linux.Errno)) *vfs.Inode {
	return fs.inode(linux.S_IFREG|perm, &specialInode{open: open})
}

func (i *specialInode) Open(c *vfs.Caller, _ *vfs.Inode, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	return i.open(c, flags)
}
