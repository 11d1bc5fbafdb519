// Package proto is the protocol between the sentry (client) and the gofer (server): a pure codec, no I/O.
//
// Messages are frames over SOCK_SEQPACKET sockets, one frame a packet, little-endian:
//
//	size   uint32  of the whole frame
//	op     uint8   which message
//	dir    uint8   0 request, 1 response
//	errno  uint16  of a response; its body is empty then
//	body
//
// A socket is a channel: one request, one response, in turn. Channels of one connection share handles and
// work in parallel; the Channel request makes another. Close has no response. Opened files travel as
// SCM_RIGHTS with the response that announces one.
//
// An object is named by a Ref: a handle that the gofer gave out, and components of a path below it. No
// component is ever "." or ".."; none on the way may be a symbolic link.
package proto

import (
	"encoding/binary"

	"hornwork/linux"
)

// Op is the kind of a message.
type Op uint8

// The messages. 0 is none.
const (
	OpChannel Op = iota + 1
	OpAttach
	OpWalk
	OpGetattr
	OpSetattr
	OpOpen
	OpMake
	OpLink
	OpUnlink
	OpRename
	OpReadlink
	OpReaddir
	OpReadAhead
	OpStatfs
	OpGetXattr
	OpSetXattr
	OpListXattr
	OpRemoveXattr
	OpSync
	OpClose
	opEnd
)

// headerSize is the size of a frame's header.
const headerSize = 8

// message is what both requests and responses can do.
type message interface{ fields(c *coder) }

// Request is a message of the sentry.
type Request interface {
	message
	Op() Op
}

// Response is a message of the gofer.
type Response interface{ message }

// newRequest and newResponse make an empty message; nil for an unknown op.
func newRequest(op Op) Request {
	if op == 0 || op >= opEnd {
		return nil
	}
	return kinds[op].request()
}

func newResponse(op Op) Response {
	if op == 0 || op >= opEnd || kinds[op].response == nil {
		return nil
	}
	return kinds[op].response()
}

func encode(dst []byte, op Op, dir byte, errno linux.Errno, m message) ([]byte, error) {
	c := coder{buf: append(dst, 0, 0, 0, 0, byte(op), dir, byte(errno), byte(errno>>8))}
	if m != nil {
		m.fields(&c)
	}
	size := len(c.buf) - len(dst)
	if c.bad || size > MaxFrame {
		return dst, ErrFrame
	}
	binary.LittleEndian.PutUint32(c.buf[len(dst):], uint32(size))
	return c.buf, nil
}

// header checks a frame's header and returns its parts.
func header(b []byte, dir byte) (op Op, errno linux.Errno, body []byte, err error) {
	if len(b) < headerSize || len(b) > MaxFrame || int(binary.LittleEndian.Uint32(b)) != len(b) || b[5] != dir {
		return 0, 0, nil, ErrFrame
	}
	return Op(b[4]), linux.Errno(binary.LittleEndian.Uint16(b[6:])), b[headerSize:], nil
}

func decode(body []byte, m message) error {
	c := coder{buf: body, decode: true}
	m.fields(&c)
	if c.bad || len(c.buf) != 0 {
		return ErrFrame
	}
	return nil
}

// EncodeRequest appends the frame of r to dst.
func EncodeRequest(dst []byte, r Request) ([]byte, error) { return encode(dst, r.Op(), 0, 0, r) }

// DecodeRequest reads the frame b.
func DecodeRequest(b []byte) (Request, error) {
	op, errno, body, err := header(b, 0)
	if err != nil {
		return nil, err
	}
	r := newRequest(op)
	if r == nil || errno != 0 {
		return nil, ErrFrame
	}
	return r, decode(body, r)
}

// EncodeResponse appends the frame of the answer r to a request of kind op.
func EncodeResponse(dst []byte, op Op, r Response) ([]byte, error) { return encode(dst, op, 1, 0, r) }

// EncodeError appends the frame of a failed request of kind op.
func EncodeError(dst []byte, op Op, errno linux.Errno) []byte {
	b, _ := encode(dst, op, 1, errno, nil)
	return b
}

// maxErrno is the largest error number that Linux returns from a system call.
const maxErrno = 133 // EHWPOISON

// DecodeResponse reads the frame b, the answer to a request of kind op, into r. An errno other than zero is
// the gofer's answer; r is untouched then.
func DecodeResponse(b []byte, op Op, r Response) (linux.Errno, error) {
	got, errno, body, err := header(b, 1)
	if err != nil {
		return 0, err
	}
	if got != op || errno > maxErrno || errno != 0 && len(body) != 0 {
		return 0, ErrFrame
	}
	if errno != 0 {
		return errno, nil
	}
	return 0, decode(body, r)
}
