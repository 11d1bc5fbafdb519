// Package sock is what all socket families share: the Socket interface that the system calls use, the table of
// families, and the coding of ancillary data.
//
// The syscall layer copies addresses, options and control data in and out and translates descriptors; a Socket gets
// and gives raw bytes. Read and Write (FileOps) never sleep. Connect, Accept, SendMsg and RecvMsg sleep through
// Caller.Blocker, unless the file has O_NONBLOCK or the flags MSG_DONTWAIT; they observe SO_RCVTIMEO and SO_SNDTIMEO.
// A failed send with EPIPE raises SIGPIPE in the syscall layer, unless MSG_NOSIGNAL.
package sock

import (
	"sync"
	"time"

	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// Socket is the operations of a socket's file.
type Socket interface {
	vfs.FileOps
	// Bind, Connect: addr is a struct sockaddr as the guest gave it, at most 128 bytes.
	Bind(c *vfs.Caller, f *vfs.File, addr []byte) linux.Errno
	Connect(c *vfs.Caller, f *vfs.File, addr []byte) linux.Errno
	Listen(c *vfs.Caller, f *vfs.File, backlog int32) linux.Errno
	// Accept returns a new file; flags: SOCK_NONBLOCK. The peer's address is the new socket's GetPeerName.
	Accept(c *vfs.Caller, f *vfs.File, flags uint32) (*vfs.File, linux.Errno)
	SendMsg(c *vfs.Caller, f *vfs.File, m *Message, flags uint32) (int, linux.Errno)
	RecvMsg(c *vfs.Caller, f *vfs.File, m *Message, flags uint32) (int, linux.Errno)
	Shutdown(c *vfs.Caller, f *vfs.File, how int32) linux.Errno
	// GetSockOpt returns the value, which the syscall layer cuts to the guest's length.
	GetSockOpt(c *vfs.Caller, f *vfs.File, level, name int32) ([]byte, linux.Errno)
	SetSockOpt(c *vfs.Caller, f *vfs.File, level, name int32, value []byte) linux.Errno
	GetSockName(c *vfs.Caller, f *vfs.File) ([]byte, linux.Errno)
	GetPeerName(c *vfs.Caller, f *vfs.File) ([]byte, linux.Errno)
	// ReadTimeout and WriteTimeout are SO_RCVTIMEO and SO_SNDTIMEO for read(2) and write(2); 0 means none.
	ReadTimeout() time.Duration
	WriteTimeout() time.Duration
}

// Message is what one sendmsg(2) or recvmsg(2) is about.
type Message struct {
	Data *usermem.Seq
	// Addr is the destination (nil: none given), or the source that RecvMsg fills in.
	Addr []byte
	// Files are those of SCM_RIGHTS. SendMsg takes references of its own; RecvMsg gives references away.
	Files []*vfs.File
	// Creds are those of SCM_CREDENTIALS, in the caller's user namespace; nil: none.
	Creds *linux.Ucred
	// Flags are what RecvMsg adds to msg_flags: MSG_TRUNC, MSG_EOR.
	Flags uint32
}

// PutFiles drops the references on received files that found no descriptor.
func (m *Message) PutFiles() {
	for _, f := range m.Files {
		f.Put()
	}
	m.Files = nil
}

// FromFile returns the socket behind f; ENOTSOCK is the caller's.
func FromFile(f *vfs.File) (Socket, bool) {
	s, ok := f.Ops.(Socket)
	return s, ok
}

// sockfs is the internal filesystem of sockets: they show as "socket:[ino]".
var sockfs = vfs.NewAnonFS("socket", linux.SOCKFS_MAGIC)

// NewFile makes the file of a socket; flags: SOCK_NONBLOCK.
func NewFile(c *vfs.Caller, s Socket, flags uint32) *vfs.File {
	f := vfs.NewAnonFile(c, sockfs, "", linux.S_IFSOCK|0o777, s, linux.O_RDWR|flags&linux.SOCK_NONBLOCK)
	if o, ok := s.(Opened); ok {
		o.Opened(f.Inode().Ino)
	}
	return f
}

// Opened is a Socket that wants to know the inode number of its file.
type Opened interface{ Opened(ino uint64) }

// Family makes the sockets of one address family. net is the caller's network namespace: any comparable value.
type Family interface {
	New(c *vfs.Caller, net any, typ, protocol int32) (Socket, linux.Errno)
	// Pair connects two sockets that New made: socketpair(2).
	Pair(c *vfs.Caller, a, b Socket) linux.Errno
}

var families struct {
	sync.RWMutex // a leaf
	m            map[int32]Family
}

// Register makes a family known; called by init functions.
func Register(family int32, f Family) {
	families.Lock()
	defer families.Unlock()
	if families.m == nil {
		families.m = map[int32]Family{}
	}
	families.m[family] = f
}

const typeMask = 0xf // SOCK_TYPE_MASK

func family(number, typ int32) (Family, linux.Errno) {
	if typ&^(typeMask|linux.SOCK_NONBLOCK|linux.SOCK_CLOEXEC) != 0 {
		return nil, linux.EINVAL
	}
	if number < 0 || number >= linux.AF_MAX {
		return nil, linux.EAFNOSUPPORT
	}
	if typ&typeMask > linux.SOCK_PACKET {
		return nil, linux.EINVAL
	}
	families.RLock()
	defer families.RUnlock()
	if f := families.m[number]; f != nil {
		return f, 0
	}
	return nil, linux.EAFNOSUPPORT
}

// New is socket(2); typ includes SOCK_NONBLOCK and SOCK_CLOEXEC.
func New(c *vfs.Caller, net any, number, typ, protocol int32) (*vfs.File, linux.Errno) {
	fam, errno := family(number, typ)
	if errno != 0 {
		return nil, errno
	}
	s, errno := fam.New(c, net, typ&typeMask, protocol)
	if errno != 0 {
		return nil, errno
	}
	return NewFile(c, s, uint32(typ)), 0
}

// NewPair is socketpair(2).
func NewPair(c *vfs.Caller, net any, number, typ, protocol int32) (a, b *vfs.File, errno linux.Errno) {
	fam, errno := family(number, typ)
	if errno != 0 {
		return nil, nil, errno
	}
	x, errno := fam.New(c, net, typ&typeMask, protocol)
	if errno != 0 {
		return nil, nil, errno
	}
	y, errno := fam.New(c, net, typ&typeMask, protocol)
	if errno != 0 {
		return nil, nil, errno
	}
	if errno := fam.Pair(c, x, y); errno != 0 {
		return nil, nil, errno
	}
	return NewFile(c, x, uint32(typ)), NewFile(c, y, uint32(typ)), 0
}
