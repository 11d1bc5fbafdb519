package server

import (
	"golang.org/x/sys/unix"

	"hornwork/gofer/proto"
	"hornwork/host/sys"
	"hornwork/host/sys/at"
	"hornwork/linux"
)

// maxAheadDepth keeps the sentry, which gets no handles here, from having to name objects by endless paths.
const maxAheadDepth = 16

// ahead collects the listings of a tree, depth first.
type ahead struct {
	*session
	o    *object // the directory that paths start at
	r    proto.Lists
	size int // of the answer so far
	max  int // lists
}

func (c *session) readAhead(m *proto.ReadAhead) (proto.Response, linux.Errno) {
	o, errno := c.directory(&m.Ref)
	if errno != 0 {
		return nil, errno
	}
	defer c.put(&o)
	a := &ahead{session: c, o: &o, size: proto.ListsSize, max: int(min(m.Max, proto.MaxAhead))}
	a.r.Attrs = m.Attrs
	if o.empty {
		return &a.r, 0
	}
	for _, name := range m.Names {
		e := proto.Entry{Name: name}
		if describe(o.fd, o.dev, &e, linux.DT_DIR, false) && !a.visit(0, "", &e, 0) {
			break
		}
	}
	return &a.r, 0
}

// visit adds the directory e of list number parent, whose path is prefix, and those below it. It does not go
// onto other mounts. false: the answer is full.
func (a *ahead) visit(parent uint32, prefix string, e *proto.Entry, depth int) bool {
	if !e.Full() || e.Attr.Dev != a.o.dev || e.Attr.Nlink == 0 || depth == maxAheadDepth {
		return true
	}
	if len(a.r.Lists) == a.max {
		return false
	}
	s := proto.Sublist{Parent: parent, Name: e.Name}
	path := prefix + e.Name
	size, errno := a.read(path, e, &s)
	if errno == linux.E2BIG {
		return false
	}
	if errno != 0 {
		return true
	}
	a.size += size
	a.r.Lists = append(a.r.Lists, s)
	number := uint32(len(a.r.Lists))
	for i := range s.Entries {
		if !a.visit(number, path+"/", &s.Entries[i], depth+1) {
			return false
		}
	}
	return true
}

// read reads the directory at path, which e describes, into s and returns the bytes that s takes; E2BIG if
// there is no room for them.
func (a *ahead) read(path string, e *proto.Entry, s *proto.Sublist) (int, linux.Errno) {
	if len(path) >= linux.PATH_MAX {
		return 0, linux.ENAMETOOLONG
	}
	fd, errno := at.Open(a.o.fd, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errno != 0 {
		return 0, errno
	}
	defer sys.Close(fd)
	var st linux.Statx
	if errno := statx(fd, "", &st); errno != 0 || st.Ino != e.Attr.Ino || devOf(&st) != e.Attr.Dev {
		return 0, linux.ESTALE
	}
	size, end := s.Size(), false
	errno = a.entries(fd, a.o.dev, a.r.Attrs, func(e *proto.Entry) bool {
		if size += e.Size(a.r.Attrs); a.size+size > proto.MaxFrame {
			return false
		}
		s.Entries = append(s.Entries, *e)
		return true
	}, &end)
	if errno == 0 && (!end || a.size+size > proto.MaxFrame) {
		errno = linux.E2BIG
	}
	return size, errno
}
