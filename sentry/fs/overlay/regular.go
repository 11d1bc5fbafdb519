package overlay

import (
	"sync/atomic"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// regular is a regular file of a lower layer.
type regular struct {
	node
	vfs.NoDir
	vfs.NoLink

	// upper has the data, and the attributes, once the file has been copied; set under mu.
	upper atomic.Pointer[vfs.Inode]
}

// Open implements vfs.InodeOps. A reader of an unchanged file gets the lower file's own operations.
func (r *regular) Open(c *vfs.Caller, _ *vfs.Inode, p vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	up := r.upper.Load()
	if up == nil {
		if flags&linux.O_ACCMODE == linux.O_RDONLY {
			return r.lower.Ops.Open(c, r.lower, p, linux.O_RDONLY|flags&linux.O_NONBLOCK)
		}
		if errno := r.copyUp(c, r.Attr().Size.Load()); errno != 0 {
			return nil, errno
		}
		up = r.upper.Load()
	}
	return up.Ops.Open(c, up, p, flags)
}

// SetAttr implements vfs.InodeOps. Only a new size needs the data.
func (r *regular) SetAttr(c *vfs.Caller, _ *vfs.Inode, s *vfs.SetAttr) linux.Errno {
	if s.Mask&linux.STATX_SIZE != 0 {
		if errno := r.copyUp(c, min(s.Size, r.Attr().Size.Load())); errno != 0 {
			return errno
		}
	}
	r.mu.Lock()
	up := r.upper.Load()
	if up == nil {
		defer r.mu.Unlock()
		if errno := r.changeLocked(c); errno != 0 {
			return errno
		}
		vfs.StoreAttr(r.Attr(), s)
		return 0
	}
	r.mu.Unlock()
	return up.Ops.SetAttr(c, up, s)
}

// copyUp copies the first size bytes of the lower file, and its attributes, to the upper layer.
func (r *regular) copyUp(c *vfs.Caller, size int64) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upper.Load() != nil {
		return 0
	}
	if errno := r.changeLocked(c); errno != 0 {
		return errno
	}
	if errno := r.ownXattrsLocked(c); errno != 0 {
		return errno
	}
	old := r.Attr()
	o := vfs.MakeOptions{Mode: linux.S_IFREG | old.Mode.Load()&0o7777, UID: old.UID.Load(), GID: old.GID.Load()}
	up, errno := r.fs.upper.NewInodeOn(r.fs.SB, r.Ino, &o, old.Nlink.Load())
	if errno != 0 {
		return errno
	}
	if errno := r.copyData(c, up, size); errno != 0 {
		up.Ops.Forget(up, true)
		return errno
	}
	blocks, now := up.Attr().Blocks.Load(), up.Attr().Size.Load()
	up.Attr().Copy(old)
	up.Attr().Blocks.Store(blocks)
	up.Attr().Size.Store(now)
	r.SetAttrs(up.Attr())
	r.upper.Store(up)
	return 0
}

// copyData fills the new file from the lower one.
func (r *regular) copyData(c *vfs.Caller, up *vfs.Inode, size int64) linux.Errno {
	if size == 0 {
		return 0
	}
	ops, errno := r.lower.Ops.Open(c, r.lower, vfs.Path{}, linux.O_RDONLY)
	if errno != 0 {
		return errno
	}
	f := vfs.NewBareFile(r.lower, ops, linux.O_RDONLY)
	defer ops.Release(f)
	return tmpfs.Fill(up, size, func(b []byte, off int64) (int, linux.Errno) {
		done := 0
		for done < len(b) {
			dst := usermem.Kernel(b[done:])
			n, errno := ops.Read(c, f, &dst, off+int64(done))
			if errno != 0 {
				return done, errno
			}
			if n <= 0 {
				break
			}
			done += n
		}
		return done, 0
	})
}

// Forget implements vfs.InodeOps.
func (r *regular) Forget(i *vfs.Inode, unlinked bool) {
	if up := r.upper.Load(); up != nil && unlinked {
		up.Ops.Forget(up, true)
	}
	r.node.Forget(i, unlinked)
}
