// Package control is the conversation between the launcher (CLI or shim) and its sandbox: length-prefixed JSON
// messages over a stream socket. The launcher trusts nothing in an answer but its shape; lengths are bounded.
package control

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"hornwork/linux"
	"hornwork/sentry/kernel"
)

// maxMessage bounds a message: arguments and environment together may have some MiB.
const maxMessage = 16 << 20

// Request goes from the launcher to the sandbox; one field is set.
type Request struct {
	Start *kernel.Config `json:",omitempty"`
	// MemoryFile goes with Start: the launcher has passed a file that is to hold all memory.
	MemoryFile bool           `json:",omitempty"`
	Signal     int            `json:",omitempty"` // to the first process, or its foreground group
	Winsize    *linux.Winsize `json:",omitempty"`
}

// Event goes from the sandbox to the launcher; one field is set.
type Event struct {
	Started bool   `json:",omitempty"`
	Exit    *Exit  `json:",omitempty"`
	Failure *Error `json:",omitempty"`
}

// Exit is how the first process ended.
type Exit struct {
	Code   int // exit code, if Signal is 0
	Signal int
	// Report is the list of unsupported things asked for, a line each.
	Report []string `json:",omitempty"`
}

// Error is a failure to start, with runc's exit code.
type Error struct {
	Message string
	Code    int // 126: cannot be run; 127: not found; 1: any other
}

func (e *Error) Error() string { return e.Message }

// Conn is one end. Send may be called from several goroutines.
type Conn struct {
	rw io.ReadWriteCloser
	mu sync.Mutex // serialises Send
}

// New makes a Conn over a connected stream.
func New(rw io.ReadWriteCloser) *Conn { return &Conn{rw: rw} }

// Send writes one message.
func (c *Conn) Send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxMessage {
		return fmt.Errorf("control message of %d bytes is over the limit of %d; shorten arguments or environment", len(b), maxMessage)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.rw.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// Recv reads one message into v; io.EOF when the other end has gone.
func (c *Conn) Recv(v any) error {
	var h [4]byte
	if _, err := io.ReadFull(c.rw, h[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(h[:])
	if n > maxMessage {
		return fmt.Errorf("control message of %d bytes is over the limit of %d", n, maxMessage)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.rw, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// Close ends the conversation.
func (c *Conn) Close() error { return c.rw.Close() }
