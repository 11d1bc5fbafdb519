package trace

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxString is how many bytes of a string or buffer strace shows.
const MaxString = 32

// Bit is one flag, or one value of a field of several bits (Mask then covers the field).
type Bit struct {
	Value uint64
	Name  string
	Mask  uint64 // 0: Value itself
}

// Flags prints a flag word as strace does: names with | between them, what no name covers in hexadecimal.
// unknown is the comment for a word without any name, "O_???".
func Flags(v uint64, bits []Bit, unknown string) string {
	var names []string
	rest := v
	for _, b := range bits {
		mask := b.Mask
		if mask == 0 {
			mask = b.Value
		}
		if v&mask == b.Value && (b.Mask != 0 || rest&b.Value == b.Value && b.Value != 0) {
			names = append(names, b.Name)
			rest &^= mask
		}
	}
	switch {
	case rest == 0 && len(names) > 0:
		return strings.Join(names, "|")
	case rest == 0:
		return "0"
	case len(names) == 0:
		return fmt.Sprintf("%#x /* %s */", rest, unknown)
	}
	return strings.Join(names, "|") + fmt.Sprintf("|%#x", rest)
}

// OneOf prints one of several constants.
func OneOf(v uint64, names []Bit, unknown string) string {
	for _, n := range names {
		if n.Value == v {
			return n.Name
		}
	}
	return fmt.Sprintf("%#x /* %s */", v, unknown)
}

// Quote prints bytes as a C string. more says that the string goes on after b.
func Quote(b []byte, more bool) string {
	var s strings.Builder
	s.WriteByte('"')
	for i, c := range b {
		switch c {
		case '"', '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case '\n':
			s.WriteString(`\n`)
		case '\t':
			s.WriteString(`\t`)
		case '\r':
			s.WriteString(`\r`)
		case '\v':
			s.WriteString(`\v`)
		case '\f':
			s.WriteString(`\f`)
		default:
			if c >= ' ' && c < 0x7f {
				s.WriteByte(c)
				continue
			}
			// Octal, as short as the next character lets it be.
			o := strconv.FormatUint(uint64(c), 8)
			if i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '7' {
				o = strings.Repeat("0", 3-len(o)) + o
			}
			s.WriteString(`\` + o)
		}
	}
	s.WriteByte('"')
	if more {
		s.WriteString("...")
	}
	return s.String()
}

// Printable makes a guest's name safe for a log or a terminal.
func Printable(s string) string {
	q := Quote([]byte(s), false)
	return q[1 : len(q)-1]
}

// Pointer prints an address.
func Pointer(p uint64) string {
	if p == 0 {
		return "NULL"
	}
	return fmt.Sprintf("%#x", p)
}
