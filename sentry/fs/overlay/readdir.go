package overlay

import (
	"math"
	"slices"

	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Positions of a directory: "." and ".." at 0 and 1, then the layer's own positions, then from upperPos on those of
// the names that differ.
const upperPos = 1 << 62

// mergedEntry is a name of several merged layers; its position is its index and 2.
type mergedEntry struct {
	name string
	ino  uint64
	typ  uint8
}

// dirFile is an open directory.
type dirFile struct {
	vfs.DefaultFile
	d     *dir
	lower vfs.FileOps // of the only layer, opened when it is first read; guarded by the File's offset lock
}

// Open implements vfs.InodeOps.
func (d *dir) Open(*vfs.Caller, *vfs.Inode, vfs.Path, uint32) (vfs.FileOps, linux.Errno) {
	return &dirFile{d: d}, 0
}

// Seekable implements vfs.FileOps.
func (f *dirFile) Seekable() bool { return true }

// Read implements vfs.FileOps.
func (f *dirFile) Read(*vfs.Caller, *vfs.File, *usermem.Seq, int64) (int, linux.Errno) {
	return 0, linux.EISDIR
}

// Seek implements vfs.FileOps.
func (f *dirFile) Seek(_ *vfs.Caller, _ *vfs.File, cur, off int64, whence int) (int64, linux.Errno) {
	return vfs.SeekDir(cur, off, whence)
}

// Sync implements vfs.FileOps.
func (f *dirFile) Sync(*vfs.Caller, *vfs.File, bool) linux.Errno { return 0 }

// Release implements vfs.FileOps.
func (f *dirFile) Release(file *vfs.File) {
	if f.lower != nil {
		f.lower.Release(file)
	}
}

// ReadDir implements vfs.FileOps.
func (f *dirFile) ReadDir(c *vfs.Caller, file *vfs.File, pos int64, emit func(vfs.DirEntry) bool) linux.Errno {
	if pos < upperPos {
		more, errno := f.readLower(c, file, pos, emit)
		if errno != 0 || !more {
			return errno
		}
		pos = upperPos
	}
	for {
		batch := f.d.batch(pos - upperPos)
		for _, e := range batch {
			if !emit(e) {
				return 0
			}
			pos = e.Next
		}
		if len(batch) < batchLen {
			return 0
		}
	}
}

const batchLen = 64

// batch returns the next of the names that differ, so that none is emitted under the lock.
func (d *dir) batch(pos int64) (out []vfs.DirEntry) {
	d.tab.RLock()
	defer d.tab.RUnlock()
	d.names.From(pos, func(name string, e entry, at int64) bool {
		if e.inode != nil {
			out = append(out, vfs.DirEntry{Name: name, Ino: e.inode.Ino,
				Type: vfs.DirType(e.inode.Attr().Mode.Load()), Next: upperPos + at + 1})
		}
		return len(out) < batchLen
	})
	return out
}

// readLower emits what the layers have; more=false: the consumer is full.
func (f *dirFile) readLower(c *vfs.Caller, file *vfs.File, pos int64, emit func(vfs.DirEntry) bool) (more bool, errno linux.Errno) {
	d := f.d
	switch len(d.lowers) {
	case 0:
		_, more = vfs.EmitDots(file, pos, emit)
		return more, 0
	case 1:
		return f.readOneLower(c, file, pos, emit)
	}
	pos, more = vfs.EmitDots(file, pos, emit)
	if !more {
		return false, 0
	}
	list, errno := d.listMerged(c)
	if errno != 0 {
		return false, errno
	}
	for k := pos - 2; k < int64(len(list)); k++ {
		e := list[k]
		if d.differs(e.name) {
			continue
		}
		if !emit(vfs.DirEntry{Name: e.name, Ino: e.ino, Type: e.typ, Next: k + 3}) {
			return false, 0
		}
	}
	return true, 0
}

func (d *dir) differs(name string) bool {
	_, ok := d.own(name)
	return ok
}

// readOneLower passes on the entries of the only layer, with the positions that the layer gave them.
func (f *dirFile) readOneLower(c *vfs.Caller, file *vfs.File, pos int64, emit func(vfs.DirEntry) bool) (more bool, errno linux.Errno) {
	d, low := f.d, f.d.lowers[0]
	if f.lower == nil {
		if f.lower, errno = low.Ops.Open(c, low, file.Path, linux.O_RDONLY|linux.O_DIRECTORY); errno != 0 {
			return false, errno
		}
	}
	more = true
	errno = f.lower.ReadDir(c, file, pos, func(e vfs.DirEntry) bool {
		if e.Name != "." && e.Name != ".." {
			if d.differs(e.Name) {
				return true
			}
			e.Ino ^= d.fs.layers[low.SB] << 56
		}
		if e.Next >= upperPos || e.Next < 0 {
			e.Next = upperPos - 1 // a layer that counts so far cannot be continued in
		}
		more = emit(e)
		return more
	})
	return more, errno
}

// listMerged returns the names of the merged layers, without those that upper layers delete or hide.
func (d *dir) listMerged(c *vfs.Caller) ([]mergedEntry, linux.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.merged != nil {
		return d.merged, 0
	}
	list := []mergedEntry{}
	seen := map[string]struct{}{}
	for _, low := range d.lowers {
		first := len(list)
		errno := eachName(c, low, func(e vfs.DirEntry) bool {
			if _, ok := seen[e.Name]; !ok {
				seen[e.Name] = struct{}{}
				list = append(list, mergedEntry{e.Name, e.Ino ^ d.fs.layers[low.SB]<<56, e.Type})
			}
			return len(list) < math.MaxInt32
		})
		if errno != 0 {
			return nil, errno
		}
		new := slices.DeleteFunc(list[first:], func(e mergedEntry) bool {
			if e.typ != linux.DT_CHR {
				return false
			}
			i, errno := low.Ops.Lookup(c, low, e.name)
			return errno == 0 && d.fs.isWhiteout(i)
		})
		list = list[:first+len(new)]
	}
	d.merged = list
	return list, 0
}

// eachName calls f for the names of a layer's directory.
func eachName(c *vfs.Caller, low *vfs.Inode, f func(vfs.DirEntry) bool) linux.Errno {
	ops, errno := low.Ops.Open(c, low, vfs.Path{}, linux.O_RDONLY|linux.O_DIRECTORY)
	if errno != 0 {
		return errno
	}
	file := vfs.NewBareFile(low, ops, linux.O_RDONLY|linux.O_DIRECTORY)
	defer ops.Release(file)
	return ops.ReadDir(c, file, 0, func(e vfs.DirEntry) bool {
		if e.Name == "." || e.Name == ".." {
			return true
		}
		return f(e)
	})
}

// isEmpty says whether the merged directory has no names.
func (d *dir) isEmpty(c *vfs.Caller) (bool, linux.Errno) {
	d.tab.RLock()
	live := d.live
	d.tab.RUnlock()
	if live != 0 {
		return false, 0
	}
	if len(d.lowers) > 1 {
		list, errno := d.listMerged(c)
		if errno != 0 {
			return false, errno
		}
		for _, e := range list {
			if !d.differs(e.name) {
				return false, 0
			}
		}
		return true, 0
	}
	empty := true
	for _, low := range d.lowers {
		if errno := eachName(c, low, func(e vfs.DirEntry) bool {
			empty = d.differs(e.Name)
			return empty
		}); errno != 0 {
			return false, errno
		}
	}
	return empty, 0
}
