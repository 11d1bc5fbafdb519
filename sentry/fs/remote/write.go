package remote

import (
	"hornwork/host/sys"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Write writes straight from the guest's memory. The host serialises appends, also with its own programs.
func (o *openFile) Write(_ *vfs.Caller, f *vfs.File, src *usermem.Seq, off int64) (int, int64, linux.Errno) {
	flags, fl := 0, f.Flags()
	if fl&linux.O_APPEND != 0 {
		flags |= sys.RWF_APPEND
	}
	switch {
	case fl&linux.O_SYNC == linux.O_SYNC:
		flags |= sys.RWF_SYNC
	case fl&linux.O_DSYNC != 0:
		flags |= sys.RWF_DSYNC
	}
	p := pins.Get().(*pinned)
	defer pins.Put(p)
	done := 0
	var errno linux.Errno
	for left := src.Len(); left > 0 && errno == 0; {
		var n int
		n, errno = o.writeSome(&p.Pinned, src, left, off+int64(done), flags)
		done, left = done+n, left-n
		if n == 0 {
			break
		}
	}
	end := off + int64(done)
	if done > 0 {
		end = o.wrote(end, flags&sys.RWF_APPEND != 0)
	}
	done, errno = partial(done, errno)
	return done, end, errno
}

// writeSome writes up to left bytes with one host call.
func (o *openFile) writeSome(p *usermem.Pinned, src *usermem.Seq, left int, off int64, flags int) (int, linux.Errno) {
	errno := src.Pin(p, min(left, maxPin), false)
	if errno == linux.EOPNOTSUPP {
		b := make([]byte, min(left, maxBounce))
		ahead := *src
		n, errno := ahead.CopyIn(b)
		if n == 0 {
			return 0, errno
		}
		n, errno = sys.Pwritev(o.d.fd, [][]byte{b[:n]}, off, flags)
		src.Drop(n)
		return n, errno
	}
	if errno != 0 {
		return 0, errno
	}
	n, errno := sys.Pwritev(o.d.fd, p.Blocks, off, flags)
	p.Release()
	src.Drop(n)
	return n, errno
}

// wrote brings the size up to date after a write that ended at end, and returns the true end.
func (o *openFile) wrote(end int64, appended bool) int64 {
	n := o.n
	if appended {
		// Where the data went is known to the host only. Another appender may have been faster meanwhile, and
		// the offset then stands behind its data too, which a read would show as an end of file.
		if n.restat(o.d) == 0 {
			end = n.attr.Size.Load()
		}
	}
	for {
		size := n.attr.Size.Load()
		if end <= size || n.attr.Size.CompareAndSwap(size, end) {
			break
		}
	}
	n.attr.Touch()
	n.expire()
	return end
}

// Seek computes an offset; holes are the host's knowledge.
func (o *openFile) Seek(c *vfs.Caller, _ *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	n := o.n
	switch whence {
	case linux.SEEK_DATA, linux.SEEK_HOLE:
		if off < 0 {
			return 0, linux.ENXIO
		}
		// The descriptor's own offset, which this moves, is never used.
		return sys.Lseek(o.d.fd, off, whence)
	case linux.SEEK_END:
		if !n.fs.immutable() {
			if errno := n.restat(o.d); errno != 0 {
				return 0, errno
			}
		}
	}
	return vfs.SeekRegular(&n.Inode, cur, off, whence)
}

// Sync makes data durable.
func (o *openFile) Sync(_ *vfs.Caller, _ *vfs.File, dataOnly bool) linux.Errno {
	if o.n.fs.opts.ReadOnly {
		return 0
	}
	if dataOnly {
		return sys.Fdatasync(o.d.fd)
	}
	return sys.Fsync(o.d.fd)
}

// Fallocate changes the file's allocation on the host.
func (o *openFile) Fallocate(c *vfs.Caller, _ *vfs.File, mode uint32, off, length int64) linux.Errno {
	n := o.n
	if mode&linux.FALLOC_FL_KEEP_SIZE == 0 {
		if errno := c.LimitSize(&n.Inode, off+length); errno != 0 {
			return errno
		}
	}
	if errno := sys.Fallocate(o.d.fd, mode, off, length); errno != 0 {
		return errno
	}
	const moves = linux.FALLOC_FL_COLLAPSE_RANGE | linux.FALLOC_FL_INSERT_RANGE
	if mode&moves != 0 {
		n.maps.invalidate(uint64(off), 1<<62)
	}
	n.expire()
	return n.restat(o.d)
}

// Flush has nothing to do: written data is the host's already.
func (o *openFile) Flush(*vfs.Caller, *vfs.File) linux.Errno { return 0 }

// Seekable says that regular files have an offset.
func (o *openFile) Seekable() bool { return true }
