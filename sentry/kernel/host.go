package kernel

import (
	"bytes"
	"fmt"

	"hornwork/host/sys"
)

// Host is what the kernel may know of the machine, gathered before the jail closes.
type Host struct {
	CPUs      []int // host processors that the sandbox may use
	CPUInfoFD int32 // an open /proc/cpuinfo, read when a guest asks; -1 if there is none
	Memory    uint64
}

// cpuInfo returns the host's description of processor 0, once for each of the sandbox's processors and
// numbered as the sandbox sees them.
func (h *Host) cpuInfo() []byte {
	text := make([]byte, 64<<10)
	n, errno := sys.Pread(h.CPUInfoFD, text, 0)
	if h.CPUInfoFD < 0 || errno != 0 {
		n = 0
	}
	block, _, _ := bytes.Cut(text[:n], []byte("\n\n"))
	var out bytes.Buffer
	for cpu := range h.CPUs {
		seen := false
		for line := range bytes.Lines(block) {
			key, _, _ := bytes.Cut(line, []byte("\t"))
			switch string(bytes.TrimSpace(key)) {
			case "processor":
				fmt.Fprintf(&out, "processor\t: %d\n", cpu)
				seen = true
			case "physical id":
				out.WriteString("physical id\t: 0\n")
			case "siblings", "cpu cores":
				fmt.Fprintf(&out, "%s: %d\n", line[:bytes.IndexByte(line, ':')], len(h.CPUs))
			case "core id", "apicid", "initial apicid":
				fmt.Fprintf(&out, "%s: %d\n", line[:bytes.IndexByte(line, ':')], cpu)
			default:
				out.Write(bytes.TrimRight(line, "\n"))
				out.WriteByte('\n')
			}
		}
		if !seen {
			fmt.Fprintf(&out, "processor\t: %d\n", cpu)
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}
