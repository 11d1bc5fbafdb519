package trap

import (
	"encoding/binary"
	"fmt"
)

// fpLayout describes XSAVE images in the standard form, as signal frames hold them.
type fpLayout struct {
	size     int
	features uint64 // that an image may have
	mxcsr    uint32 // bits that may be set
}

const (
	fpLegacy   = 512 // bytes of FXSAVE's part
	fpHeader   = 64
	fpMinimum  = fpLegacy + fpHeader
	fpMXCSR    = 24
	fpMask     = 28
	fpSoftware = 464 // the kernel's magic numbers, not the CPU's
	fpMaximum  = pageSize - ctxFP

	xtileData = 1 << 18 // needs arch_prctl(ARCH_REQ_XCOMP_PERM), which stubs never make
	xtileCfg  = 1 << 17
)

func newFPLayout() (fpLayout, error) {
	l := fpLayout{features: xgetbv() &^ (xtileData | xtileCfg), size: fpMinimum, mxcsr: 0xffff}
	for i := uint32(2); i < 63; i++ {
		if l.features&(1<<i) != 0 {
			size, off, _, _ := cpuid(0xd, i)
			l.size = max(l.size, int(off+size))
		}
	}
	if l.size > fpMaximum {
		return l, fmt.Errorf("the CPU's XSAVE image has %d bytes, more than the %d that a context holds", l.size, fpMaximum)
	}
	return l, nil
}

// sanitize makes img loadable by XRSTOR, whatever it was.
func (l *fpLayout) sanitize(img []byte) {
	le := binary.LittleEndian
	le.PutUint32(img[fpMXCSR:], le.Uint32(img[fpMXCSR:])&l.mxcsr)
	h := img[fpLegacy:]
	le.PutUint64(h, le.Uint64(h)&l.features)
	clear(h[8:fpHeader])
}

// initial makes img the state after execve(2).
func (l *fpLayout) initial(img []byte) {
	clear(img)
	le := binary.LittleEndian
	le.PutUint16(img, 0x37f)
	le.PutUint32(img[fpMXCSR:], 0x1f80)
	le.PutUint32(img[fpMask:], l.mxcsr)
	// XSTATE_BV is 0: XRSTOR initialises everything, but loads MXCSR from the image.
}
