package unix

import (
	"slices"
	"sync"

	"hornwork/linux"
)

// open has the sockets that have files, for /proc/net/unix.
var open struct {
	sync.Mutex                    // a leaf
	m          map[*Socket]uint64 // to the inode's number
}

// Opened implements sock.Opened.
func (s *Socket) Opened(ino uint64) {
	open.Lock()
	defer open.Unlock()
	if open.m == nil {
		open.m = map[*Socket]uint64{}
	}
	open.m[s] = ino
}

func (s *Socket) forget() {
	open.Lock()
	delete(open.m, s)
	open.Unlock()
}

// Info is a line of /proc/net/unix.
type Info struct {
	Ino       uint64
	Type      int32
	Listening bool
	Connected bool
	Bound     bool
	Name      string // an abstract one begins with NUL
}

// Sockets returns those of a network namespace, the oldest first.
func Sockets(net any) []Info {
	open.Lock()
	list := make([]*Socket, 0, len(open.m))
	var infos []Info
	for s, ino := range open.m {
		if s.net == net {
			list = append(list, s)
			infos = append(infos, Info{Ino: ino, Type: s.typ})
		}
	}
	open.Unlock()
	for i, s := range list {
		s.mu.Lock()
		infos[i].Listening, infos[i].Connected = s.state == listening, s.state == connected
		if n := s.addr; n != nil {
			infos[i].Bound, infos[i].Name = true, string(n.raw[familySize:])
			if n.isPath {
				infos[i].Name = pathOf(n.raw)
			}
		}
		s.mu.Unlock()
	}
	slices.SortFunc(infos, func(a, b Info) int { return int(a.Ino) - int(b.Ino) })
	return infos
}

// State is what the column St shows.
func (i *Info) State() int {
	if i.Connected {
		return linux.SS_CONNECTED
	}
	return linux.SS_UNCONNECTED
}
