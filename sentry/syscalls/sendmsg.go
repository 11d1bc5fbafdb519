package syscalls

import (
	"sync"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/sock"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

const (
	// maxControl is Linux's net.core.optmem_max: more ancillary data is ENOBUFS.
	maxControl = 20480
	// Offsets in struct msghdr and struct mmsghdr.
	msghdrNamelen, msghdrControllen, msghdrFlags = 8, 40, 48
	mmsghdrLen, mmsghdrSize                      = 56, 64
)

// message is what one send or receive works with, from a pool as transfer is.
type message struct {
	x transfer
	m sock.Message
}

var messages = sync.Pool{New: func() any { return new(message) }}

func newMessage() *message {
	msg := messages.Get().(*message)
	msg.m.Data = &msg.x.seq
	return msg
}

func (msg *message) free() {
	msg.m = sock.Message{}
	msg.x.seq = usermem.Seq{}
	messages.Put(msg)
}

// Sendto implements sendto(2).
func Sendto(t *task.Task, fd FD, buf InBuf, count uint64, flags MsgFlags, addr SockAddr, addrLen int32) (uintptr, linux.Errno) {
	msg := newMessage()
	defer msg.free()
	if errno := msg.x.one(t, uint64(buf), count); errno != 0 {
		return 0, errno
	}
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	if addr != 0 {
		if msg.m.Addr, errno = loadAddr(t, addr, addrLen); errno != 0 {
			return 0, errno
		}
	}
	return send(t, s, f, &msg.m, flags)
}

// send is the end that all sending calls share.
func send(t *task.Task, s sock.Socket, f *vfs.File, m *sock.Message, flags MsgFlags) (uintptr, linux.Errno) {
	n, errno := s.SendMsg(t.Caller(), f, m, uint32(flags))
	if errno == linux.EPIPE && flags&linux.MSG_NOSIGNAL == 0 {
		raise(t, linux.SIGPIPE)
	}
	if n > 0 {
		return uintptr(n), 0
	}
	return 0, errno
}

// Sendmsg implements sendmsg(2).
func Sendmsg(t *task.Task, fd FD, hdr mm.User[linux.Msghdr], flags MsgFlags) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return sendmsg(t, s, f, hdr, flags)
}

func sendmsg(t *task.Task, s sock.Socket, f *vfs.File, addr mm.User[linux.Msghdr], flags MsgFlags) (uintptr, linux.Errno) {
	hdr, errno := addr.Load(t)
	if errno != 0 {
		return 0, errno
	}
	msg := newMessage()
	defer msg.free()
	if errno := loadHeader(t, &hdr, &msg.x); errno != 0 {
		return 0, errno
	}
	if hdr.Name != 0 && hdr.Namelen > 0 {
		if msg.m.Addr, errno = loadAddr(t, SockAddr(hdr.Name), int32(hdr.Namelen)); errno != 0 {
			return 0, errno
		}
	}
	if errno := loadControl(t, &hdr, &msg.m); errno != 0 {
		return 0, errno
	}
	defer msg.m.PutFiles()
	return send(t, s, f, &msg.m, flags)
}

// loadHeader checks a struct msghdr and reads the iovec that it points to.
func loadHeader(t *task.Task, hdr *linux.Msghdr, x *transfer) linux.Errno {
	if int32(hdr.Namelen) < 0 {
		return linux.EINVAL
	}
	hdr.Namelen = min(hdr.Namelen, maxSockaddr)
	if hdr.IOVLen > maxIOV {
		return linux.EMSGSIZE
	}
	return x.many(t, IOVecs(hdr.IOV), hdr.IOVLen)
}

// loadControl reads ancillary data and takes references on the files that it passes.
func loadControl(t *task.Task, hdr *linux.Msghdr, m *sock.Message) linux.Errno {
	if hdr.ControlLen > maxControl {
		return linux.ENOBUFS
	}
	if hdr.ControlLen == 0 {
		return 0
	}
	raw := make([]byte, hdr.ControlLen)
	if _, errno := t.Memory().CopyIn(raw, hdr.Control); errno != 0 {
		return errno
	}
	ctl, errno := sock.ParseControl(raw)
	if errno != 0 {
		return errno
	}
	if ctl.Creds != nil {
		if errno := mayClaim(t, ctl.Creds); errno != 0 {
			return errno
		}
		m.Creds = ctl.Creds
	}
	for _, fd := range ctl.FDs {
		f, errno := fileRaw(t, FD(fd))
		if errno != 0 {
			m.PutFiles()
			return errno
		}
		m.Files = append(m.Files, f)
	}
	return 0
}

// mayClaim checks SCM_CREDENTIALS: the sender's own IDs, or the capability to claim others.
func mayClaim(t *task.Task, u *linux.Ucred) linux.Errno {
	c := t.Creds()
	in := func(id uint32, kids ...uint32) bool {
		for _, k := range kids {
			if id == k {
				return true
			}
		}
		return false
	}
	uid, okUID := c.UserNS.KUID(u.UID)
	gid, okGID := c.UserNS.KGID(u.GID)
	switch {
	case !okUID || !okGID:
		return linux.EINVAL
	case u.PID != t.Group.PID() && !c.HasCap(linux.CAP_SYS_ADMIN),
		!in(uid, c.RUID, c.EUID, c.SUID) && !c.HasCap(linux.CAP_SETUID),
		!in(gid, c.RGID, c.EGID, c.SGID) && !c.HasCap(linux.CAP_SETGID):
		return linux.EPERM
	}
	if u.PID != t.Group.PID() && t.PIDNS().Group(u.PID) == nil {
		return linux.ESRCH
	}
	return 0
}

// Sendmmsg implements sendmmsg(2).
func Sendmmsg(t *task.Task, fd FD, vec Addr, n uint32, flags MsgFlags) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	done := uintptr(0)
	for i := range uint64(min(n, maxIOV)) {
		at := uint64(vec) + i*mmsghdrSize
		sent, errno := sendmsg(t, s, f, mm.User[linux.Msghdr](at), flags)
		if errno == 0 {
			errno = mm.User[uint32](at+mmsghdrLen).Store(t, uint32(sent))
		}
		if errno != 0 {
			if done > 0 {
				break
			}
			return 0, errno
		}
		done++
		if t.Interrupted() {
			break
		}
	}
	return done, 0
}
