package unix

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/anon"
	"hornwork/sentry/sock"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// options are what setsockopt(2) sets.
type options struct {
	sndbuf, rcvbuf, rcvlowat   atomic.Int32
	passcred                   atomic.Bool
	rcvtimeo, sndtimeo, linger atomic.Int64 // nanoseconds; linger: 0 off, else seconds + 1
	flags                      atomic.Uint32
	priority, mark             atomic.Int32
}

// boolOptions are those that are kept and reported, and mean nothing for AF_UNIX.
var boolOptions = map[int32]uint32{
	linux.SO_DEBUG: 1 << 0, linux.SO_REUSEADDR: 1 << 1, linux.SO_DONTROUTE: 1 << 2, linux.SO_BROADCAST: 1 << 3,
	linux.SO_KEEPALIVE: 1 << 4, linux.SO_OOBINLINE: 1 << 5, linux.SO_REUSEPORT: 1 << 6, linux.SO_TIMESTAMP: 1 << 7,
	linux.SO_TIMESTAMPNS: 1 << 8, linux.SO_PASSSEC: 1 << 9, linux.SO_NO_CHECK: 1 << 10, linux.SO_ZEROCOPY: 1 << 11,
	linux.SO_SELECT_ERR_QUEUE: 1 << 12, linux.SO_RXQ_OVFL: 1 << 13, linux.SO_WIFI_STATUS: 1 << 14,
}

// ReadTimeout implements sock.Socket.
func (s *Socket) ReadTimeout() time.Duration { return time.Duration(s.opts.rcvtimeo.Load()) }

// WriteTimeout implements sock.Socket.
func (s *Socket) WriteTimeout() time.Duration { return time.Duration(s.opts.sndtimeo.Load()) }

func intBytes(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

func boolInt(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

func timeval(ns int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(ns/1e9))
	return binary.LittleEndian.AppendUint64(b, uint64(ns%1e9/1e3))
}

// GetSockOpt implements sock.Socket.
func (s *Socket) GetSockOpt(c *vfs.Caller, _ *vfs.File, level, name int32) ([]byte, linux.Errno) {
	if level != linux.SOL_SOCKET {
		return nil, linux.EOPNOTSUPP
	}
	if bit, ok := boolOptions[name]; ok {
		return intBytes(boolInt(s.opts.flags.Load()&bit != 0)), 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case linux.SO_TYPE:
		return intBytes(s.typ), 0
	case linux.SO_DOMAIN:
		return intBytes(linux.AF_UNIX), 0
	case linux.SO_PROTOCOL:
		return intBytes(0), 0
	case linux.SO_ERROR:
		return intBytes(int32(s.takeErrLocked())), 0
	case linux.SO_ACCEPTCONN:
		return intBytes(boolInt(s.state == listening)), 0
	case linux.SO_SNDBUF:
		return intBytes(s.opts.sndbuf.Load()), 0
	case linux.SO_RCVBUF:
		return intBytes(s.opts.rcvbuf.Load()), 0
	case linux.SO_RCVLOWAT:
		return intBytes(s.opts.rcvlowat.Load()), 0
	case linux.SO_SNDLOWAT:
		return intBytes(1), 0
	case linux.SO_PASSCRED:
		return intBytes(boolInt(s.opts.passcred.Load())), 0
	case linux.SO_PRIORITY:
		return intBytes(s.opts.priority.Load()), 0
	case linux.SO_MARK:
		return intBytes(s.opts.mark.Load()), 0
	case linux.SO_RCVTIMEO:
		return timeval(s.opts.rcvtimeo.Load()), 0
	case linux.SO_SNDTIMEO:
		return timeval(s.opts.sndtimeo.Load()), 0
	case linux.SO_LINGER:
		v := s.opts.linger.Load()
		return append(intBytes(boolInt(v != 0)), intBytes(int32(max(v-1, 0)))...), 0
	case linux.SO_PEEK_OFF:
		return intBytes(-1), 0
	case linux.SO_PEERCRED:
		if s.creds == nil {
			return sock.EncodeUcred(&nobody), 0
		}
		return sock.EncodeUcred(seenBy(c.Creds, s.peerUC)), 0
	case linux.SO_PEERGROUPS:
		return s.peerGroupsLocked(c)
	}
	return nil, linux.ENOPROTOOPT
}

func (s *Socket) peerGroupsLocked(c *vfs.Caller) ([]byte, linux.Errno) {
	if s.creds == nil {
		return nil, linux.ENODATA
	}
	var b []byte
	for _, g := range s.creds.Groups {
		b = binary.LittleEndian.AppendUint32(b, cred.FromKGID(c.Creds.UserNS, g))
	}
	return b, 0
}

// SetSockOpt implements sock.Socket.
func (s *Socket) SetSockOpt(c *vfs.Caller, _ *vfs.File, level, name int32, value []byte) linux.Errno {
	if level != linux.SOL_SOCKET {
		return linux.EOPNOTSUPP
	}
	if len(value) < 4 {
		return linux.EINVAL
	}
	v := int32(binary.LittleEndian.Uint32(value))
	if bit, ok := boolOptions[name]; ok {
		if v != 0 {
			s.opts.flags.Or(bit)
		} else {
			s.opts.flags.And(^bit)
		}
		return 0
	}
	switch name {
	case linux.SO_SNDBUF, linux.SO_SNDBUFFORCE:
		return setBuf(c, &s.opts.sndbuf, v, minSndBuf, name == linux.SO_SNDBUFFORCE)
	case linux.SO_RCVBUF, linux.SO_RCVBUFFORCE:
		return setBuf(c, &s.opts.rcvbuf, v, minRcvBuf, name == linux.SO_RCVBUFFORCE)
	case linux.SO_RCVLOWAT:
		if v < 0 {
			v = math.MaxInt32
		}
		s.opts.rcvlowat.Store(max(v, 1))
	case linux.SO_PASSCRED:
		s.opts.passcred.Store(v != 0)
	case linux.SO_PEEK_OFF: // peeking from an offset is not done; -1 switches it off
		if v >= 0 {
			return linux.EOPNOTSUPP
		}
	case linux.SO_PRIORITY:
		if (v < 0 || v > 6) && !c.Creds.HasCap(linux.CAP_NET_ADMIN) && !c.Creds.HasCap(linux.CAP_NET_RAW) {
			return linux.EPERM
		}
		s.opts.priority.Store(v)
	case linux.SO_MARK:
		if !c.Creds.HasCap(linux.CAP_NET_ADMIN) && !c.Creds.HasCap(linux.CAP_NET_RAW) {
			return linux.EPERM
		}
		s.opts.mark.Store(v)
	case linux.SO_RCVTIMEO:
		return setTimeout(&s.opts.rcvtimeo, value)
	case linux.SO_SNDTIMEO:
		return setTimeout(&s.opts.sndtimeo, value)
	case linux.SO_LINGER:
		if len(value) < 8 {
			return linux.EINVAL
		}
		if v == 0 {
			s.opts.linger.Store(0)
		} else {
			s.opts.linger.Store(int64(binary.LittleEndian.Uint32(value[4:])) + 1)
		}
	case linux.SO_TYPE, linux.SO_DOMAIN, linux.SO_PROTOCOL, linux.SO_ERROR:
		return linux.ENOPROTOOPT
	default:
		return linux.ENOPROTOOPT
	}
	return 0
}

// setBuf doubles what was asked for, as Linux does for its overhead. The force variants of the options lift the
// limit for CAP_NET_ADMIN; here they only need it.
func setBuf(c *vfs.Caller, to *atomic.Int32, v, least int32, force bool) linux.Errno {
	if force && !c.Creds.HasCap(linux.CAP_NET_ADMIN) {
		return linux.EPERM
	}
	if uint32(v) > maxBuf/2 {
		v = maxBuf / 2
	}
	to.Store(max(v*2, least))
	return 0
}

func setTimeout(to *atomic.Int64, value []byte) linux.Errno {
	if len(value) < 16 {
		return linux.EINVAL
	}
	sec := int64(binary.LittleEndian.Uint64(value))
	usec := int64(binary.LittleEndian.Uint64(value[8:]))
	switch {
	case usec < 0 || usec >= 1e6:
		return linux.EDOM
	case sec < 0:
		to.Store(0)
	case sec >= math.MaxInt64/1_000_000_000:
		to.Store(0) // beyond all time: none
	default:
		to.Store(sec*1e9 + usec*1e3)
	}
	return 0
}

// Ioctl implements vfs.FileOps: SIOCINQ (FIONREAD) and SIOCOUTQ.
func (s *Socket) Ioctl(_ *vfs.Caller, _ *vfs.File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno) {
	switch cmd {
	case linux.FIONREAD:
		s.mu.Lock()
		st, n := s.state, s.ring.Len()
		if s.typ == linux.SOCK_SEQPACKET {
			for _, m := range s.msgs {
				n += len(m.data)
			}
		} else if len(s.msgs) > 0 {
			n = len(s.msgs[0].data)
		}
		s.mu.Unlock()
		if st == listening {
			return 0, linux.EINVAL
		}
		return 0, anon.StoreInt(mem, arg, int32(n))
	case linux.TIOCOUTQ: // SIOCOUTQ has the same number
		n := s.inflight.Load()
		if peer := s.peer.Load(); peer != nil && s.typ == linux.SOCK_STREAM {
			n = int64(peer.received())
		}
		return 0, anon.StoreInt(mem, arg, int32(n))
	}
	return 0, linux.ENOTTY
}
