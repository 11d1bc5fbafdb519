package unix

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"

	"hornwork/linux"
	"hornwork/sentry/vfs"
)

const (
	familySize  = 2
	sockaddrMax = familySize + linux.UNIX_PATH_MAX
)

// name is what a socket is bound to.
type name struct {
	owner    *Socket  // who unbinds; accepted sockets share their listener's name
	raw      []byte   // struct sockaddr_un as getsockname(2) shows it
	path     vfs.Path // holds a reference, if the name is a path
	abstract key
	isPath   bool
}

// key finds an abstract name. Types of sockets do not share names, as on Linux, where the type is part of the hash.
type key struct {
	net  any
	typ  int32
	name string
}

var abstract struct {
	sync.Mutex // a leaf
	m          map[key]*Socket
}

func (n *name) unbind(s *Socket) {
	if n.owner != s {
		return
	}
	if n.isPath {
		if n.path.Dentry.Inode().Bound() == any(s) {
			n.path.Dentry.Inode().SetBound(nil)
		}
		n.path.Put()
		return
	}
	abstract.Lock()
	defer abstract.Unlock()
	if abstract.m[n.abstract] == s {
		delete(abstract.m, n.abstract)
	}
}

// bindAbstract enters s in the table; false if the name is taken.
func bindAbstract(k key, s *Socket) bool {
	abstract.Lock()
	defer abstract.Unlock()
	if abstract.m == nil {
		abstract.m = map[key]*Socket{}
	}
	if abstract.m[k] != nil {
		return false
	}
	abstract.m[k] = s
	return true
}

// Names calls f for each abstract name of a network namespace, for /proc/net/unix.
func Names(net any, f func(name string, s *Socket)) {
	abstract.Lock()
	defer abstract.Unlock()
	for k, s := range abstract.m {
		if k.net == net {
			f(k.name, s)
		}
	}
}

// check is the common part of bind and connect: EINVAL for what is no sockaddr_un with a name.
func check(addr []byte) linux.Errno {
	if len(addr) <= familySize || len(addr) > sockaddrMax || binary.LittleEndian.Uint16(addr) != linux.AF_UNIX {
		return linux.EINVAL
	}
	return 0
}

// pathOf is the path in addr, which ends at a NUL or at the end.
func pathOf(addr []byte) string {
	p, _, _ := bytes.Cut(addr[familySize:], []byte{0})
	return string(p)
}

func encode(rest string) []byte {
	return append(binary.LittleEndian.AppendUint16(nil, linux.AF_UNIX), rest...)
}

// Bind implements sock.Socket.
func (s *Socket) Bind(c *vfs.Caller, _ *vfs.File, addr []byte) linux.Errno {
	if len(addr) == familySize && binary.LittleEndian.Uint16(addr) == linux.AF_UNIX {
		return s.autobind()
	}
	if errno := check(addr); errno != 0 {
		return errno
	}
	if addr[familySize] == 0 {
		n := &name{owner: s, raw: bytes.Clone(addr), abstract: key{s.net, s.typ, string(addr[familySize:])}}
		return s.bindName(n, func() bool { return bindAbstract(n.abstract, s) })
	}
	s.mu.Lock()
	bound := s.addr != nil
	s.mu.Unlock()
	if bound {
		return linux.EINVAL
	}
	path := pathOf(addr)
	p, errno := vfs.MknodPath(c, c.Cwd, path, linux.S_IFSOCK|0o777, 0)
	if errno == linux.EEXIST {
		return linux.EADDRINUSE
	}
	if errno != 0 {
		return errno
	}
	n := &name{owner: s, raw: encode(path + "\x00"), path: p, isPath: true}
	errno = s.bindName(n, func() bool {
		p.Dentry.Inode().SetBound(s)
		return true
	})
	if errno != 0 {
		p.Put()
	}
	return errno
}

// bindName gives the unbound socket the name that enter makes known.
func (s *Socket) bindName(n *name, enter func() bool) linux.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr != nil {
		return linux.EINVAL
	}
	if !enter() {
		return linux.EADDRINUSE
	}
	s.addr = n
	return 0
}

// autobind gives an unbound socket an abstract name of five hexadecimal digits.
func (s *Socket) autobind() linux.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr != nil {
		return 0
	}
	first := rand.Uint32()
	for i := range uint32(1 << 20) {
		text := fmt.Sprintf("\x00%05x", (first+i)&0xfffff)
		k := key{s.net, s.typ, text}
		if bindAbstract(k, s) {
			s.addr = &name{owner: s, raw: encode(text), abstract: k}
			return 0
		}
	}
	return linux.ENOSPC
}

// find looks up whom addr names, for a socket of type typ.
func (s *Socket) find(c *vfs.Caller, addr []byte) (*Socket, linux.Errno) {
	if errno := check(addr); errno != 0 {
		return nil, errno
	}
	var other *Socket
	if addr[familySize] == 0 {
		abstract.Lock()
		other = abstract.m[key{s.net, s.typ, string(addr[familySize:])}]
		abstract.Unlock()
	} else {
		p, errno := vfs.Walk(c, c.Cwd, pathOf(addr), vfs.Follow)
		if errno != 0 {
			return nil, errno
		}
		defer p.Put()
		i := p.Dentry.Inode()
		if errno := c.Permission(i, vfs.MayWrite); errno != 0 {
			return nil, errno
		}
		if i.Type() == linux.S_IFSOCK {
			other, _ = i.Bound().(*Socket)
		}
	}
	if other == nil {
		return nil, linux.ECONNREFUSED
	}
	if other.typ != s.typ {
		return nil, linux.EPROTOTYPE
	}
	return other, 0
}

// name is the socket's address as a struct; only the family if it has none.
func (s *Socket) name() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == nil {
		return encode("")
	}
	return s.addr.raw
}

// GetSockName implements sock.Socket.
func (s *Socket) GetSockName(*vfs.Caller, *vfs.File) ([]byte, linux.Errno) { return s.name(), 0 }

// GetPeerName implements sock.Socket.
func (s *Socket) GetPeerName(*vfs.Caller, *vfs.File) ([]byte, linux.Errno) {
	peer := s.peer.Load()
	if peer == nil {
		return nil, linux.ENOTCONN
	}
	return peer.name(), 0
}
