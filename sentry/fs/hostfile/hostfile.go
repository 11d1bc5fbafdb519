// Package hostfile makes open files of host descriptors that were handed to the sentry: the container's
// standard streams, which are pipes, sockets, terminals, files or /dev/null.
//
// Other host processes, the user's shell first of all, share the open file descriptions. So O_NONBLOCK is
// never set on them. Data moves without sleeping by other means: MSG_DONTWAIT on sockets, RWF_NOWAIT on pipes,
// and where the host refuses that (terminals, FIFOs) by poll(2) before a call that then finds data or room.
// Regular files use the host's own offset, which the shell's next command continues at.
//
// One goroutine sleeps in epoll for all descriptors that somebody waits for (poller.go).
package hostfile

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"hornwork/host/sys"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Kinds of descriptors, by how data moves without sleeping.
type kind uint8

const (
	always kind = iota // regular files, /dev/null: never sleeps long
	socket
	stream // pipes, terminals, other devices
)

// File is the operations of one host descriptor.
type File struct {
	vfs.DefaultFile
	fd    int32
	kind  kind
	tty   bool
	reg   bool
	slow  atomic.Bool // RWF_NOWAIT is not known for this descriptor
	ino   uint64
	watch watch
}

// New makes an open file of the host descriptor fd, which it owns from now on. name is what /proc/pid/fd shows;
// "" gives the usual text ("pipe:[123]", "socket:[123]", "/dev/tty" for terminals).
func New(c *vfs.Caller, fd int32, name string) (*vfs.File, linux.Errno) {
	var st linux.Stat
	if errno := sys.Fstat(fd, &st); errno != 0 {
		return nil, errno
	}
	flags, errno := sys.Flags(fd)
	if errno != 0 {
		return nil, errno
	}
	if flags&unix.O_PATH != 0 || st.Mode&linux.S_IFMT == linux.S_IFDIR {
		return nil, linux.EINVAL // a directory would let the guest's calls walk the host
	}
	f := &File{fd: fd}
	f.watch.init(fd)
	switch st.Mode & linux.S_IFMT {
	case linux.S_IFREG:
		f.reg = true
	case linux.S_IFSOCK:
		f.kind = socket
	default:
		var t linux.Termios
		f.tty = sys.IoctlValue(fd, linux.TCGETS, &t) == 0
		if pollable(fd) {
			f.kind = stream
		}
	}
	fs := hostFS()
	i := newInode(fs, f, &st)
	f.ino = i.Ino
	if name == "" {
		name = f.text(&st, i)
	}
	return vfs.NewInodeFile(c, i, name, f, flags&(linux.O_ACCMODE|linux.O_APPEND|linux.O_NONBLOCK)), 0
}

// pollable says whether epoll takes the descriptor; what it refuses is always ready.
func pollable(fd int32) bool {
	p, errno := startPoller()
	if errno != 0 {
		return false
	}
	if sys.EpollCtl(p.ep, sys.EPOLL_CTL_ADD, fd, 0, 0) != 0 {
		return false
	}
	sys.EpollCtl(p.ep, sys.EPOLL_CTL_DEL, fd, 0, 0)
	return true
}

var pins = sync.Pool{New: func() any { return new(usermem.Pinned) }}

const (
	maxPin    = 256 << 10
	maxBounce = 64 << 10
)

// Read moves what is there into the guest's memory; EAGAIN if nothing is.
func (f *File) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, off int64) (int, linux.Errno) {
	if dst.Len() == 0 {
		return 0, 0
	}
	p := pins.Get().(*usermem.Pinned)
	defer pins.Put(p)
	done := 0
	for left := dst.Len(); left > 0; {
		errno := dst.Pin(p, min(left, maxPin), true)
		if errno == linux.EOPNOTSUPP {
			b := make([]byte, min(left, maxBounce))
			n, errno := f.readNow([][]byte{b}, at(off, done))
			if n > 0 {
				n, errno = dst.CopyOut(b[:n])
			}
			return partial(done+n, errno)
		}
		if errno != 0 {
			return partial(done, errno)
		}
		want := p.Len()
		n, errno := f.readNow(p.Blocks, at(off, done))
		p.Release()
		dst.Drop(n)
		done, left = done+n, left-n
		if errno != 0 || n < want || f.kind != always {
			return partial(done, errno) // streams: what there was; asking again could take a second message
		}
	}
	return done, 0
}

// at is the offset behind done bytes; -1 stays -1, the host's own offset.
func at(off int64, done int) int64 {
	if off < 0 {
		return -1
	}
	return off + int64(done)
}

// partial drops the error if bytes were moved before it.
func partial(done int, errno linux.Errno) (int, linux.Errno) {
	if done > 0 {
		return done, 0
	}
	return 0, errno
}

// readNow reads into blocks without waiting for data.
func (f *File) readNow(blocks [][]byte, off int64) (int, linux.Errno) {
	switch f.kind {
	case always:
		return sys.Preadv(f.fd, blocks, off, 0)
	case socket:
		n, nfd, _, errno := sys.Recvmsg(f.fd, blocks[0], nil, unix.MSG_DONTWAIT)
		_ = nfd // descriptors that came along were closed
		return n, errno
	}
	if !f.slow.Load() {
		n, errno := sys.Preadv(f.fd, blocks, -1, sys.RWF_NOWAIT)
		if errno != linux.EOPNOTSUPP {
			return n, errno
		}
		f.slow.Store(true)
	}
	const want = unix.POLLIN | unix.POLLHUP | unix.POLLERR
	if ev, errno := sys.PollNow(f.fd, unix.POLLIN); errno != 0 || ev&want == 0 {
		return 0, linux.EAGAIN
	}
	// Another process may take the data first; then this sleeps like any read of a shared terminal.
	return sys.Read(f.fd, blocks[0])
}

// Write moves what fits from the guest's memory; EAGAIN if nothing does.
func (f *File) Write(_ *vfs.Caller, _ *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	p := pins.Get().(*usermem.Pinned)
	defer pins.Put(p)
	done := 0
	var errno linux.Errno
	for left := src.Len(); left > 0 && errno == 0; {
		var n int
		n, errno = f.writeSome(p, src, left, at(off, done))
		done, left = done+n, left-n
		if n == 0 {
			break
		}
	}
	done, errno = partial(done, errno)
	return done, at(off, done), errno
}

func (f *File) writeSome(p *usermem.Pinned, src *usermem.Seq, left int, off int64) (int, linux.Errno) {
	errno := src.Pin(p, min(left, maxPin), false)
	if errno == linux.EOPNOTSUPP {
		b := make([]byte, min(left, maxBounce))
		ahead := *src
		n, errno := ahead.CopyIn(b)
		if n == 0 {
			return 0, errno
		}
		n, errno = f.writeNow([][]byte{b[:n]}, off)
		src.Drop(n)
		return n, errno
	}
	if errno != 0 {
		return 0, errno
	}
	n, errno := f.writeNow(p.Blocks, off)
	p.Release()
	src.Drop(n)
	return n, errno
}

// writeNow writes blocks without waiting for room.
func (f *File) writeNow(blocks [][]byte, off int64) (int, linux.Errno) {
	switch f.kind {
	case always:
		return sys.Pwritev(f.fd, blocks, off, 0)
	case socket:
		return sys.Sendmsg(f.fd, blocks, nil, unix.MSG_DONTWAIT)
	}
	if !f.slow.Load() {
		n, errno := sys.Pwritev(f.fd, blocks, -1, sys.RWF_NOWAIT)
		if errno != linux.EOPNOTSUPP {
			return n, errno
		}
		f.slow.Store(true)
	}
	const want = unix.POLLOUT | unix.POLLHUP | unix.POLLERR
	if ev, errno := sys.PollNow(f.fd, unix.POLLOUT); errno != 0 || ev&want == 0 {
		return 0, linux.EAGAIN
	}
	b := blocks[0]
	return sys.Write(f.fd, b[:min(len(b), pipeBuf)]) // poll(2) promises room for PIPE_BUF bytes, no more
}

const pipeBuf = 4096

// Seek moves the offset that is shared with the host.
func (f *File) Seek(_ *vfs.Caller, _ *vfs.File, _, off int64, whence int) (int64, linux.Errno) {
	if !f.reg {
		return 0, linux.ESPIPE
	}
	return sys.Lseek(f.fd, off, whence)
}

// Seekable says whether the file has an offset.
func (f *File) Seekable() bool { return f.reg }

// OwnOffset says that the offset is the host's.
func (f *File) OwnOffset() bool { return f.reg }

// Ioctl passes the few commands on that are harmless for the user's terminal. TIOCSTI, which types into the
// user's shell, and all of job control, whose process groups are not the guest's, are not among them.
func (f *File) Ioctl(_ *vfs.Caller, _ *vfs.File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	switch cmd {
	case linux.FIONREAD:
		return ioctlOut[int32](f, mem, cmd, arg)
	case linux.TCGETS:
		return ioctlOut[linux.Termios](f, mem, cmd, arg)
	case linux.TIOCGWINSZ:
		return ioctlOut[linux.Winsize](f, mem, cmd, arg)
	case linux.TIOCOUTQ:
		if f.tty {
			return ioctlOut[int32](f, mem, cmd, arg)
		}
	case linux.TCSETS, linux.TCSETSW, linux.TCSETSF:
		if f.tty {
			return ioctlIn[linux.Termios](f, mem, cmd, arg)
		}
	case linux.TIOCSWINSZ:
		if f.tty {
			return ioctlIn[linux.Winsize](f, mem, cmd, arg)
		}
	}
	return 0, linux.ENOTTY
}

// Sync is fsync(2) of a regular file.
func (f *File) Sync(_ *vfs.Caller, _ *vfs.File, dataOnly bool) linux.Errno {
	if dataOnly {
		return sys.Fdatasync(f.fd)
	}
	return sys.Fsync(f.fd)
}

// Fallocate changes the allocation of a regular file.
func (f *File) Fallocate(_ *vfs.Caller, _ *vfs.File, mode uint32, off, length int64) linux.Errno {
	return sys.Fallocate(f.fd, mode, off, length)
}

// Release closes the descriptor.
func (f *File) Release(*vfs.File) {
	f.watch.stop()
	sys.Close(f.fd)
}

// HostFD returns the descriptor, for those who pass window sizes or pump a terminal. It stays the File's.
func (f *File) HostFD() int32 { return f.fd }

// IsTerminal says whether the descriptor is a terminal.
func (f *File) IsTerminal() bool { return f.tty }

// Readiness asks poll(2).
func (f *File) Readiness(mask wait.Events) wait.Events {
	if f.kind == always {
		return mask & (wait.Readable | wait.Writable)
	}
	ev, errno := sys.PollNow(f.fd, int16(mask))
	if errno != 0 {
		return wait.Err
	}
	return wait.Events(uint16(ev)) & (mask | wait.Err | wait.Hup)
}

// EventRegister starts notifications to e.
func (f *File) EventRegister(e *wait.Entry) { f.watch.register(e) }

// EventUnregister ends them.
func (f *File) EventUnregister(e *wait.Entry) { f.watch.unregister(e) }
