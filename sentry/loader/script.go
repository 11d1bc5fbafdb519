package loader

import (
	"bytes"

	"hornwork/linux"
)

// bufSize is Linux's BINPRM_BUF_SIZE: how much of a file decides what it is.
const bufSize = 256

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// parseScript reads the first line of a script: the interpreter's path, and one optional argument, which is all
// that follows, inner blanks included. head is the beginning of the file, up to bufSize bytes.
//
// A line that does not end within the buffer is accepted only if it is certain that the path is whole; the
// argument may be cut off. A NUL byte ends the path as well as the argument.
func parseScript(head []byte) (interp, arg string, hasArg bool, errno linux.Errno) {
	if !bytes.HasPrefix(head, []byte("#!")) {
		return "", "", false, linux.ENOEXEC
	}
	var buf [bufSize]byte
	copy(buf[:], head)
	// Linux looks for the line's end by strnchr, which stops at a NUL.
	line := buf[2:]
	end := bytes.IndexByte(line, '\n')
	if nul := bytes.IndexByte(line, 0); nul >= 0 && nul < end {
		end = -1
	}
	if end < 0 {
		name := bytes.TrimLeft(line, " \t")
		if len(name) == 0 || !bytes.ContainsAny(name, " \t\x00") {
			return "", "", false, linux.ENOEXEC
		}
		end = len(line) - 1 // the last byte never counts
	}
	line = bytes.Trim(line[:end], " \t")
	n := bytes.IndexAny(line, " \t\x00")
	if n < 0 {
		n = len(line)
	}
	if n == 0 {
		return "", "", false, linux.ENOEXEC
	}
	interp = string(line[:n])
	if n < len(line) && isBlank(line[n]) {
		rest := bytes.TrimLeft(line[n:], " \t")
		if nul := bytes.IndexByte(rest, 0); nul >= 0 {
			rest = rest[:nul]
		}
		return interp, string(rest), true, 0
	}
	return interp, "", false, 0
}
