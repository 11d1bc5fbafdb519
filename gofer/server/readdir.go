package server

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

// stream is the directory that a channel read last, kept open for the next chunk: positions of some
// filesystems mean little in another open file.
type stream struct {
	fd       int32 // -1: none
	dev, ino uint64
	pos      uint64 // where the last answer ended
}

func (s *stream) close() {
	if s.fd >= 0 {
		sys.Close(s.fd)
		s.fd = -1
	}
}

func (c *session) readdir(m *proto.Readdir) (proto.Response, linux.Errno) {
	o, errno := c.directory(&m.Ref)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	r := &proto.Entries{Attrs: m.Attrs}
	if r.Handle, errno = c.handleOf(&o); errno != 0 {
		return nil, errno
	}
	if o.empty {
		r.End = true
		return r, 0
	}
	if errno := c.seekStream(&o, m.Pos); errno != 0 {
		return nil, errno
	}
	size := proto.EntriesSize
	errno = c.entries(c.stream.fd, o.dev, r.Attrs, func(e *proto.Entry) bool {
		if size+e.Size(r.Attrs) > proto.MaxFrame {
			return false // the client comes back with the position of the last entry that fitted
		}
		size += e.Size(r.Attrs)
		r.Entries = append(r.Entries, *e)
		c.stream.pos = e.Next
		return true
	}, &r.End)
	if errno != 0 {
		c.stream.close()
		return nil, errno
	}
	if r.End {
		c.stream.close()
	}
	return r, 0
}

// handleOf returns the object's handle; what was named by a path gets a new one.
func (c *session) handleOf(o *object) (uint64, linux.Errno) {
	if len(o.path) == 0 {
		c.table.mu.Lock()
		defer c.table.mu.Unlock()
		return o.base.handle, 0
	}
	return c.table.add(o.node())
}

// seekStream makes c.stream stand at position pos of the directory o.
func (c *session) seekStream(o *object, pos uint64) linux.Errno {
	s := &c.stream
	if s.fd < 0 || s.dev != o.dev || s.ino != o.ino || pos == 0 || pos != s.pos {
		s.close()
		fd, errno := c.openData(o, unix.O_RDONLY|unix.O_DIRECTORY)
		if errno != 0 {
			return errno
		}
		*s = stream{fd: fd, dev: o.dev, ino: o.ino}
		if pos == 0 {
			return 0
		}
	}
	_, errno := sys.Lseek(s.fd, int64(pos), 0)
	return errno
}

// entries reads the directory fd, on device dev, and hands its entries to emit until that returns false or the
// directory ends.
func (c *session) entries(fd int32, dev uint64, attrs bool, emit func(*proto.Entry) bool, end *bool) linux.Errno {
	if c.dents == nil {
		c.dents = make([]byte, 32<<10)
	}
	for {
		n, errno := at.Getdents(fd, c.dents)
		if errno != 0 {
			return errno
		}
		if n == 0 {
			*end = true
			return 0
		}
		for b := c.dents[:n]; len(b) > 0; {
			// struct linux_dirent64: ino, off, reclen, type, name.
			reclen := binary.LittleEndian.Uint16(b[16:])
			name, _, _ := bytes.Cut(b[19:reclen], []byte{0})
			e := proto.Entry{Name: string(name), Next: binary.LittleEndian.Uint64(b[8:])}
			e.Attr.Ino = binary.LittleEndian.Uint64(b)
			typ := b[18]
			b = b[reclen:]
			if !proto.ValidName(e.Name) || !describe(fd, dev, &e, typ, attrs) {
				continue
			}
			if !emit(&e) {
				return 0
			}
		}
	}
}

// describe adds what is known of the entry, and says whether it is still there.
func describe(dir int32, dev uint64, e *proto.Entry, typ uint8, attrs bool) bool {
	e.Attr.Mode = linux.S_IFREG
	switch typ {
	case linux.DT_FIFO, linux.DT_CHR, linux.DT_DIR, linux.DT_BLK, linux.DT_LNK, linux.DT_SOCK:
		e.Attr.Mode = uint32(typ) << 12
	}
	// Whoever lists directories mostly goes down into them next: their attributes save a request each.
	attrs = attrs || typ == linux.DT_DIR
	if !attrs && typ != linux.DT_UNKNOWN {
		return true
	}
	var st linux.Statx
	switch errno := statx(dir, e.Name, &st); {
	case errno == linux.ENOENT:
		return false
	case errno != 0:
		// A directory that may be listed but not searched: number and type are all there is.
		e.Attr.Dev = dev
		return true
	case !attrs && st.Mode&linux.S_IFMT != linux.S_IFDIR:
		e.Attr.Mode = uint32(st.Mode) & linux.S_IFMT
		return true
	}
	setAttr(&e.Attr, &st)
	if e.Attr.Mode&linux.S_IFMT == linux.S_IFLNK {
		e.Target, _ = readlinkAt(dir, e.Name) // empty: the sentry asks again when it follows
	}
	return true
}
