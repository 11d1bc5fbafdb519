package ptrace

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// Places in the standard form of an XSAVE image.
const (
	xsFCW       = 0
	xsMXCSR     = 24
	xsMXCSRMask = 28
	xsSoftware  = 464 // the host puts the supported features here
	xsHeader    = 512
	xsHeaderEnd = 576

	featurePKRU = 9
)

// initialXState builds the image that a program starts with: all components in their initial state, save
// PKRU, which the host sets to its own default.
func initialXState(pid int) ([]byte, error) {
	buf := make([]byte, 16<<10)
	n, errno := getXState(pid, buf)
	if errno != 0 {
		return nil, fmt.Errorf("PTRACE_GETREGSET of NT_X86_XSTATE: %w", syscall.Errno(errno))
	}
	if n < xsHeaderEnd || n > len(buf) {
		return nil, fmt.Errorf("the XSAVE image has %d bytes", n)
	}
	host := buf[:n]
	img := make([]byte, n)
	binary.LittleEndian.PutUint16(img[xsFCW:], 0x37f)
	binary.LittleEndian.PutUint32(img[xsMXCSR:], 0x1f80)
	copy(img[xsMXCSRMask:xsMXCSRMask+4], host[xsMXCSRMask:])
	copy(img[xsSoftware:xsSoftware+8], host[xsSoftware:])
	features := uint64(3)
	if binary.LittleEndian.Uint64(host[xsSoftware:])&(1<<featurePKRU) != 0 {
		size, off, _, _ := cpuid(0xd, featurePKRU)
		if uint64(off)+uint64(size) <= uint64(n) {
			copy(img[off:off+size], host[off:off+size])
			features |= 1 << featurePKRU
		}
	}
	binary.LittleEndian.PutUint64(img[xsHeader:], features)
	return img, nil
}

// cleanXState makes of a hostile image in img one that the host accepts, as Linux does for signal frames:
// features and MXCSR bits that do not exist are dropped, reserved fields are cleared.
func cleanXState(img, init []byte) {
	have := binary.LittleEndian.Uint64(init[xsSoftware:])
	features := binary.LittleEndian.Uint64(img[xsHeader:]) & have
	clear(img[xsHeader:xsHeaderEnd])
	binary.LittleEndian.PutUint64(img[xsHeader:], features)
	mask := binary.LittleEndian.Uint32(init[xsMXCSRMask:])
	if mask == 0 {
		mask = 0xffbf // what a zero mask means
	}
	mxcsr := binary.LittleEndian.Uint32(img[xsMXCSR:]) & mask
	binary.LittleEndian.PutUint32(img[xsMXCSR:], mxcsr)
	copy(img[xsMXCSRMask:xsMXCSRMask+4], init[xsMXCSRMask:])
	copy(img[xsSoftware:xsHeader], init[xsSoftware:xsHeader])
}
