package sock

import (
	"encoding/binary"

	"hornwork/linux"
)

const (
	cmsgHeader = 16
	// MaxRights is SCM_MAX_FD: more descriptors in one message are EINVAL.
	MaxRights = 253
	ucredSize = 12
)

// Control is ancillary data as the guest gives it, decoded.
type Control struct {
	FDs   []int32
	Creds *linux.Ucred
}

// ParseControl decodes msg_control of sendmsg(2). EINVAL for malformed headers, and for kinds of SOL_SOCKET that do
// not exist; other levels are for the family, and ignored.
func ParseControl(b []byte) (Control, linux.Errno) {
	var ctl Control
	le := binary.LittleEndian
	for len(b) >= cmsgHeader {
		length := le.Uint64(b)
		if length < cmsgHeader || length > uint64(len(b)) {
			return Control{}, linux.EINVAL
		}
		level, typ := int32(le.Uint32(b[8:])), int32(le.Uint32(b[12:]))
		data := b[cmsgHeader:length]
		if level == linux.SOL_SOCKET {
			if errno := ctl.add(typ, data); errno != 0 {
				return Control{}, errno
			}
		}
		b = b[min(align(length), uint64(len(b))):]
	}
	return ctl, 0
}

func (ctl *Control) add(typ int32, data []byte) linux.Errno {
	le := binary.LittleEndian
	switch typ {
	case linux.SCM_RIGHTS:
		if len(ctl.FDs)+len(data)/4 > MaxRights {
			return linux.EINVAL
		}
		for ; len(data) >= 4; data = data[4:] {
			ctl.FDs = append(ctl.FDs, int32(le.Uint32(data)))
		}
	case linux.SCM_CREDENTIALS:
		if len(data) != ucredSize {
			return linux.EINVAL
		}
		ctl.Creds = &linux.Ucred{PID: int32(le.Uint32(data)), UID: le.Uint32(data[4:]), GID: le.Uint32(data[8:])}
	default:
		return linux.EINVAL
	}
	return 0
}

func align(n uint64) uint64 { return (n + 7) &^ 7 }

// ControlWriter builds msg_control of recvmsg(2) within what the guest has room for.
type ControlWriter struct {
	Buf       []byte // what has been written, padding included as far as there is room
	Room      int
	Truncated bool // MSG_CTRUNC
}

// Put appends one message, cut to the room that is left, as put_cmsg does it.
func (w *ControlWriter) Put(level, typ int32, data []byte) {
	left := w.Room - len(w.Buf)
	if left < cmsgHeader {
		w.Truncated = true
		return
	}
	length := cmsgHeader + len(data)
	if length > left {
		w.Truncated = true
		length = left
	}
	var h [cmsgHeader]byte
	le := binary.LittleEndian
	le.PutUint64(h[:], uint64(length))
	le.PutUint32(h[8:], uint32(level))
	le.PutUint32(h[12:], uint32(typ))
	w.Buf = append(w.Buf, h[:]...)
	w.Buf = append(w.Buf, data[:length-cmsgHeader]...)
	pad := min(int(align(uint64(length)))-length, w.Room-len(w.Buf))
	w.Buf = append(w.Buf, make([]byte, pad)...)
}

// PutCreds appends SCM_CREDENTIALS.
func (w *ControlWriter) PutCreds(c *linux.Ucred) {
	w.Put(linux.SOL_SOCKET, linux.SCM_CREDENTIALS, EncodeUcred(c))
}

// RightsRoom is how many descriptors of SCM_RIGHTS still fit; the rest of the files is dropped with MSG_CTRUNC.
func (w *ControlWriter) RightsRoom() int { return max(w.Room-len(w.Buf)-cmsgHeader, 0) / 4 }

// PutRights appends SCM_RIGHTS.
func (w *ControlWriter) PutRights(fds []int32) {
	b := make([]byte, 0, 4*len(fds))
	for _, fd := range fds {
		b = binary.LittleEndian.AppendUint32(b, uint32(fd))
	}
	w.Put(linux.SOL_SOCKET, linux.SCM_RIGHTS, b)
}

// EncodeUcred is struct ucred as bytes.
func EncodeUcred(c *linux.Ucred) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(c.PID))
	b = binary.LittleEndian.AppendUint32(b, c.UID)
	return binary.LittleEndian.AppendUint32(b, c.GID)
}
