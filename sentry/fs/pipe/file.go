package pipe

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// pipefs is the internal filesystem of anonymous pipes: their inodes show as "pipe:[ino]".
var pipefs = vfs.NewAnonFS("pipe", linux.PIPEFS_MAGIC)

// end is one open description of a pipe: the read end, the write end, or both (a FIFO opened O_RDWR).
type end struct {
	vfs.DefaultFile
	p           *Pipe
	read, write bool
	// wSeen is p.wOpens when a FIFO was opened for reading without a writer: no hang-up until one has come.
	// It is 0 else, which no pipe with a writer ever has.
	wSeen uint32
}

// New makes a pipe and the files of its ends. flags: O_NONBLOCK and O_DIRECT count.
func New(c *vfs.Caller, flags uint32) (r, w *vfs.File) {
	flags &= linux.O_NONBLOCK | linux.O_DIRECT
	p := newPipe()
	p.readers, p.writers, p.rOpens, p.wOpens = 1, 1, 1, 1
	r = vfs.NewAnonFile(c, pipefs, "", linux.S_IFIFO|0o600, &end{p: p, read: true}, linux.O_RDONLY|flags)
	r.Inode().SetBound(p)
	w = vfs.NewFile(c, r.Path.Get(), &end{p: p, write: true}, linux.O_WRONLY|flags)
	return r, w
}

// FromFile returns the pipe behind f, for fcntl(2) and splice(2).
func FromFile(f *vfs.File) (*Pipe, bool) {
	if e, ok := f.Ops.(*end); ok {
		return e.p, true
	}
	return nil, false
}

// Reopen implements vfs.Reopener: open(2) of /proc/self/fd/N.
func (e *end) Reopen(c *vfs.Caller, i *vfs.Inode, p vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	return open(c, i, p, flags)
}

func (e *end) Read(_ *vfs.Caller, _ *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	return e.p.Read(dst)
}

func (e *end) Write(_ *vfs.Caller, f *vfs.File, src *usermem.Seq, _ int64) (int, int64, linux.Errno) {
	n, errno := e.p.Write(src, f.Flags()&linux.O_DIRECT != 0)
	return n, 0, errno
}

// Readiness is poll(2): hang-up is seen by readers only, error by writers only.
func (e *end) Readiness(mask wait.Events) wait.Events {
	p := e.p
	p.mu.Lock()
	defer p.mu.Unlock()
	var ev wait.Events
	if e.read {
		if !p.emptyLocked() {
			ev |= wait.Readable
		}
		if p.writers == 0 && e.wSeen != p.wOpens {
			ev |= wait.Hup
		}
	}
	if e.write {
		if !p.fullLocked() {
			ev |= wait.Writable
		}
		if p.readers == 0 {
			ev |= wait.Err
		}
	}
	return ev & (mask | wait.Err | wait.Hup)
}

func (e *end) EventRegister(w *wait.Entry)   { e.p.queue.Add(w) }
func (e *end) EventUnregister(w *wait.Entry) { e.p.queue.Remove(w) }

func (e *end) Ioctl(_ *vfs.Caller, _ *vfs.File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	if cmd == linux.FIONREAD {
		return 0, anon.StoreInt(mem, arg, int32(e.p.Queued()))
	}
	return 0, linux.ENOTTY
}

// Release closes the end. The last one of all empties the pipe, as a FIFO's next open finds it fresh.
func (e *end) Release(*vfs.File) {
	e.p.drop(e.read, e.write)
}

func (p *Pipe) drop(read, write bool) {
	p.mu.Lock()
	if read {
		p.readers--
	}
	if write {
		p.writers--
	}
	changed := read && p.readers == 0 || write && p.writers == 0
	if p.readers == 0 && p.writers == 0 {
		p.ring.Reset()
		p.packets, p.capacity = nil, DefaultSize
	}
	p.mu.Unlock()
	if changed {
		p.queue.Notify(wait.All)
	}
}
