package syscalls

import (
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/sock"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// Recvfrom implements recvfrom(2).
func Recvfrom(t *task.Task, fd FD, buf OutBuf, count uint64, flags MsgFlags, addr SockAddrOut, size mm.User[int32]) (uintptr, linux.Errno) {
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
	n, errno := s.RecvMsg(t.Caller(), f, &msg.m, uint32(flags))
	msg.m.PutFiles() // recvfrom has no room for them
	if errno != 0 {
		return 0, errno
	}
	if addr != 0 {
		if errno := storeAddr(t, msg.m.Addr, addr, size); errno != 0 {
			return 0, errno
		}
	}
	return uintptr(n), 0
}

// Recvmsg implements recvmsg(2).
func Recvmsg(t *task.Task, fd FD, hdr mm.User[linux.Msghdr], flags MsgFlags) (uintptr, linux.Errno) {
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	return recvmsg(t, s, f, hdr, flags)
}

func recvmsg(t *task.Task, s sock.Socket, f *vfs.File, addr mm.User[linux.Msghdr], flags MsgFlags) (uintptr, linux.Errno) {
	hdr, errno := addr.Load(t)
	if errno != 0 {
		return 0, errno
	}
	msg := newMessage()
	defer msg.free()
	if errno := loadHeader(t, &hdr, &msg.x); errno != 0 {
		return 0, errno
	}
	n, errno := s.RecvMsg(t.Caller(), f, &msg.m, uint32(flags))
	defer msg.m.PutFiles() // those that find no descriptor
	if errno != 0 {
		return 0, errno
	}
	if hdr.Name != 0 {
		errno := storeAddr(t, msg.m.Addr, SockAddrOut(hdr.Name), mm.User[int32](uint64(addr)+msghdrNamelen))
		if errno != 0 {
			return 0, errno
		}
	}
	out := uint32(flags)&linux.MSG_CMSG_CLOEXEC | msg.m.Flags
	used, truncated, errno := storeControl(t, &hdr, &msg.m, flags&linux.MSG_CMSG_CLOEXEC != 0)
	if errno != 0 {
		return 0, errno
	}
	if truncated {
		out |= linux.MSG_CTRUNC
	}
	if errno := mm.User[uint32](uint64(addr)+msghdrFlags).Store(t, out); errno != 0 {
		return 0, errno
	}
	if errno := mm.User[uint64](uint64(addr)+msghdrControllen).Store(t, uint64(used)); errno != 0 {
		return 0, errno
	}
	return uintptr(n), 0
}

// storeControl writes credentials and descriptors of a received message; files without room or descriptor stay
// in m.
func storeControl(t *task.Task, hdr *linux.Msghdr, m *sock.Message, cloexec bool) (used int, truncated bool, errno linux.Errno) {
	w := sock.ControlWriter{Room: int(min(hdr.ControlLen, maxControl))}
	if hdr.Control == 0 {
		w.Room = 0
	}
	if m.Creds != nil {
		w.PutCreds(m.Creds)
	}
	if len(m.Files) > 0 {
		var fds []int32
		for range min(len(m.Files), w.RightsRoom()) {
			fd, errno := t.Files().NewFD(m.Files[0], cloexec, 0)
			if errno != 0 {
				break // EMFILE: the others are lost, and MSG_CTRUNC says so
			}
			m.Files = m.Files[1:]
			fds = append(fds, fd)
		}
		if len(fds) > 0 {
			w.PutRights(fds)
		}
		truncated = len(m.Files) > 0
	}
	if _, errno := t.Memory().CopyOut(hdr.Control, w.Buf); errno != 0 {
		return 0, false, errno
	}
	return len(w.Buf), truncated || w.Truncated, 0
}

// Recvmmsg implements recvmmsg(2). The timeout is looked at after each message only, as on Linux.
func Recvmmsg(t *task.Task, fd FD, vec Addr, n uint32, flags MsgFlags, ts mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	noWait, deadline, errno := loadTimeout(t, ts)
	if errno != 0 {
		return 0, errno
	}
	s, f, errno := socket(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	done, errno := recvMany(t, s, f, vec, n, flags, ts != 0, noWait, deadline)
	if done == 0 {
		return 0, errno
	}
	storeTimeLeft(t, ts, noWait, deadline)
	return done, 0
}

func recvMany(t *task.Task, s sock.Socket, f *vfs.File, vec Addr, n uint32, flags MsgFlags, timed, noWait bool, deadline wait.Deadline) (done uintptr, errno linux.Errno) {
	for i := range uint64(min(n, maxIOV)) {
		at := uint64(vec) + i*mmsghdrSize
		got, errno := recvmsg(t, s, f, mm.User[linux.Msghdr](at), flags&^linux.MSG_WAITFORONE)
		if errno == 0 {
			errno = mm.User[uint32](at+mmsghdrLen).Store(t, uint32(got))
		}
		if errno != 0 {
			return done, errno
		}
		done++
		if flags&linux.MSG_WAITFORONE != 0 {
			flags |= linux.MSG_DONTWAIT
		}
		if timed && (noWait || !deadline.IsZero() && time.Now().After(deadline)) || t.Interrupted() {
			break
		}
	}
	return done, 0
}
