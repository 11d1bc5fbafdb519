package proto

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Limits of the protocol. Both sides refuse what exceeds them.
const (
	MaxFrame   = 128 << 10 // bytes of a whole message
	MaxName    = 255
	MaxTarget  = 4095 // a symbolic link's text
	MaxNames   = 256  // components of one path
	MaxRefs    = 64   // objects of one Getattr
	MaxHandles = 4096 // of one Close
	MaxXattr   = 64 << 10
	MaxEntries = MaxFrame / minEntry
	minEntry   = 2 + 1 + 8 + 1 + 8 + 4
)

// ErrFrame says that bytes are not a message of this protocol.
var ErrFrame = errors.New("gofer protocol: malformed message")

// coder walks over a message's fields in their order, either appending them to buf or taking them from it, so
// that one description of a message serves both ways. After the first error it does nothing more.
type coder struct {
	buf    []byte // encoding: what has been written; decoding: what is left
	decode bool
	bad    bool
}

// take returns the next n bytes of a message being decoded; nil if they are not there.
func (c *coder) take(n int) []byte {
	if c.bad || len(c.buf) < n {
		c.bad = true
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

func (c *coder) u8(v *uint8) {
	if !c.decode {
		c.buf = append(c.buf, *v)
	} else if b := c.take(1); b != nil {
		*v = b[0]
	}
}

func (c *coder) u16(v *uint16) {
	if !c.decode {
		c.buf = binary.LittleEndian.AppendUint16(c.buf, *v)
	} else if b := c.take(2); b != nil {
		*v = binary.LittleEndian.Uint16(b)
	}
}

func (c *coder) u32(v *uint32) {
	if !c.decode {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, *v)
	} else if b := c.take(4); b != nil {
		*v = binary.LittleEndian.Uint32(b)
	}
}

func (c *coder) u64(v *uint64) {
	if !c.decode {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.LittleEndian.Uint64(b)
	}
}

func (c *coder) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	*v = int64(u)
}

// flag is a bool as one byte that is 0 or 1.
func (c *coder) flag(v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	c.u8(&b)
	c.bad = c.bad || b > 1
	*v = b == 1
}

// count is the length of a list or string, at most max.
func (c *coder) count(n, max int) int {
	v := uint32(n)
	c.u32(&v)
	if v > uint32(max) {
		c.bad = true
	}
	if c.bad {
		return 0
	}
	return int(v)
}

// text is a string of at most max bytes without NUL.
func (c *coder) text(s *string, max int) {
	n := uint16(len(*s))
	if len(*s) > max {
		c.bad = true
		return
	}
	c.u16(&n)
	if !c.decode {
		c.buf = append(c.buf, *s...)
	} else if int(n) > max {
		c.bad = true
	} else if b := c.take(int(n)); b != nil {
		*s = string(b)
	}
	if strings.IndexByte(*s, 0) >= 0 {
		c.bad = true
	}
}

// name is one component of a path: never empty, ".", "..", never with a slash.
func (c *coder) name(s *string) {
	c.text(s, MaxName)
	if !ValidName(*s) {
		c.bad = true
	}
}

// ValidName says whether s can be the name of a directory entry.
func ValidName(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > MaxName {
		return false
	}
	return strings.IndexByte(s, '/') < 0 && strings.IndexByte(s, 0) < 0
}

// bytes is a byte string of at most max bytes.
func (c *coder) bytes(v *[]byte, max int) {
	n := c.count(len(*v), max)
	if c.bad {
		return
	}
	if !c.decode {
		c.buf = append(c.buf, *v...)
	} else if b := c.take(n); b != nil {
		*v = append([]byte(nil), b...)
	}
}

// list is a sequence of at most max elements, each of at least size bytes: a length that the rest of the
// message cannot hold allocates nothing.
func list[T any](c *coder, v *[]T, max, size int, element func(*coder, *T)) {
	n := c.count(len(*v), max)
	if c.bad || c.decode && n*size > len(c.buf) {
		c.bad = true
		return
	}
	if c.decode {
		*v = nil
		if n > 0 {
			*v = make([]T, n)
		}
	}
	for i := range *v {
		element(c, &(*v)[i])
		if c.bad {
			return
		}
	}
}
