package syscalls

import (
	"encoding/binary"
	"sync"

	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// maxDents caps the buffer of one getdents; Linux would fill whatever it is given, callers see a shorter answer.
const maxDents = 64 << 10

// direntWriter packs directory entries as struct linux_dirent64 or struct linux_dirent.
type direntWriter struct {
	buf   []byte
	used  int
	room  int
	old   bool // struct linux_dirent, with the type in the last byte
	full  bool
	t     *task.Task
	addr  uint64
	errno linux.Errno // of deliver

	emitFn    func(vfs.DirEntry) bool // emit, bound once
	deliverFn func(from, to int64) int64
}

var direntWriters = sync.Pool{New: func() any {
	w := &direntWriter{buf: make([]byte, maxDents)}
	w.emitFn, w.deliverFn = w.emit, w.deliver
	return w
}}

func (w *direntWriter) emit(e vfs.DirEntry) bool {
	const header64, header = 19, 18
	size := header64 + len(e.Name) + 1
	if w.old {
		size = header + len(e.Name) + 2
	}
	size = (size + 7) &^ 7
	if size > w.room-w.used {
		w.full = true
		return false
	}
	b := w.buf[w.used : w.used+size]
	clear(b)
	binary.LittleEndian.PutUint64(b, e.Ino)
	binary.LittleEndian.PutUint64(b[8:], uint64(e.Next))
	binary.LittleEndian.PutUint16(b[16:], uint16(size))
	if w.old {
		copy(b[header:], e.Name)
		b[size-1] = e.Type
	} else {
		b[18] = e.Type
		copy(b[header64:], e.Name)
	}
	w.used += size
	return true
}

// deliver stores the entries, and keeps those for the next call that could not be stored whole. As on Linux it is an
// error only if that is all of them.
func (w *direntWriter) deliver(from, to int64) int64 {
	n, errno := w.t.Memory().CopyOut(w.addr, w.buf[:w.used])
	if errno == 0 {
		return to
	}
	whole := 0
	for {
		size := int(binary.LittleEndian.Uint16(w.buf[whole+16:]))
		if whole+size > n {
			break
		}
		from = int64(binary.LittleEndian.Uint64(w.buf[whole+8:]))
		whole += size
	}
	if w.used = whole; whole == 0 {
		w.errno = errno
	}
	return from
}

// Getdents64 implements getdents64(2).
func Getdents64(t *task.Task, fd FD, buf OutBuf, count uint32) (uintptr, linux.Errno) {
	return getdents(t, fd, uint64(buf), count, false)
}

// Getdents implements getdents(2).
func Getdents(t *task.Task, fd FD, buf OutBuf, count uint32) (uintptr, linux.Errno) {
	return getdents(t, fd, uint64(buf), count, true)
}

func getdents(t *task.Task, fd FD, addr uint64, count uint32, old bool) (uintptr, linux.Errno) {
	f, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	w := direntWriters.Get().(*direntWriter)
	defer func() {
		w.t = nil
		direntWriters.Put(w)
	}()
	w.used, w.room, w.old, w.full = 0, int(min(count, maxDents)), old, false
	w.t, w.addr, w.errno = t, addr, 0
	errno = f.ReadDirTo(t.Caller(), w.emitFn, w.deliverFn)
	if w.errno != 0 {
		return 0, w.errno
	}
	if w.used == 0 {
		if errno == 0 && w.full {
			errno = linux.EINVAL // no room for a single entry
		}
		return 0, errno
	}
	return uintptr(w.used), 0
}
