package loader

import (
	"encoding/binary"
	"slices"

	"hornwork/linux"
)

const (
	maxArgLen    = 128 << 10 // MAX_ARG_STRLEN, with the NUL
	stackDefault = 8 << 20   // _STK_LIM
	argMinimum   = 128 << 10 // ARG_MAX: always allowed
)

// checkArgs says whether the strings and the pointers to them fit: into a quarter of the stack's limit, but
// no more than 6 MiB and no less than 128 KiB.
func checkArgs(argv, envv []string, filename string, stackLimit uint64) linux.Errno {
	limit := max(min(stackDefault/4*3, stackLimit/4), argMinimum)
	size := uint64(max(len(argv), 1)+len(envv)) * 8
	if size >= limit {
		return linux.E2BIG
	}
	add := func(s string) bool {
		size += uint64(len(s)) + 1
		return len(s) < maxArgLen && size <= limit
	}
	for _, list := range [][]string{argv, envv, {filename}} {
		for _, s := range list {
			if !add(s) {
				return linux.E2BIG
			}
		}
	}
	return 0
}

// auxEntry is one pair of the auxiliary vector.
type auxEntry struct{ Type, Value uint64 }

// stackImage is the initial contents of a stack that ends at top.
type stackImage struct {
	data []byte // up to top
	sp   uint64
	// For /proc/pid/cmdline and environ.
	argStart, argEnd, envStart, envEnd uint64
	auxOff, auxLen                     int // of the auxiliary vector in data
}

// setAux changes the value of an entry that is there.
func (s *stackImage) setAux(a auxEntry) {
	for b := s.auxBytes(); len(b) > 0; b = b[16:] {
		if binary.LittleEndian.Uint64(b) == a.Type {
			binary.LittleEndian.PutUint64(b[8:], a.Value)
			return
		}
	}
}

// auxBytes is the auxiliary vector.
func (s *stackImage) auxBytes() []byte { return s.data[s.auxOff : s.auxOff+s.auxLen] }

// buildStack lays out what a program finds on its stack, as Linux does: from the top down an empty word, the
// filename, the environment's and the arguments' strings, a random gap, the platform's name and 16
// random bytes; then, 16-byte aligned, argc, argv, envp and the auxiliary vector. shift is the size of the gap.
func buildStack(top uint64, argv, envv []string, filename string, random [16]byte, shift uint64, aux []auxEntry) *stackImage {
	var strs int
	for _, list := range [][]string{argv, envv} {
		for _, s := range list {
			strs += len(s) + 1
		}
	}
	img := &stackImage{}
	block := make([]byte, 0, strs+len(filename)+1+8)
	blockStart := top - uint64(cap(block))
	var ptrs []uint64
	put := func(s string) {
		ptrs = append(ptrs, blockStart+uint64(len(block)))
		block = append(append(block, s...), 0)
	}
	img.argStart = blockStart
	for _, s := range argv {
		put(s)
	}
	img.argEnd = blockStart + uint64(len(block))
	img.envStart = img.argEnd
	for _, s := range envv {
		put(s)
	}
	img.envEnd = blockStart + uint64(len(block))
	put(filename)
	block = append(block, make([]byte, 8)...)
	execfn := ptrs[len(ptrs)-1]

	p := (blockStart - shift) &^ 15
	p -= uint64(len(platformName))
	platformAddr := p
	p -= uint64(len(random))
	randomAddr := p
	aux = append(slices.Clip(aux), auxEntry{linux.AT_NULL, 0})

	words := 1 + len(argv) + 1 + len(envv) + 1 + 2*len(aux)
	img.sp = (p - uint64(words)*8) &^ 15
	img.data = make([]byte, top-img.sp)
	out := img.data[:0]
	word := func(v uint64) { out = binary.LittleEndian.AppendUint64(out, v) }
	word(uint64(len(argv)))
	for _, a := range ptrs[:len(argv)] {
		word(a)
	}
	word(0)
	for _, a := range ptrs[len(argv) : len(argv)+len(envv)] {
		word(a)
	}
	word(0)
	img.auxOff, img.auxLen = len(out), 16*len(aux)
	for _, a := range aux {
		word(a.Type)
		word(a.Value)
	}
	img.setAux(auxEntry{linux.AT_RANDOM, randomAddr})
	img.setAux(auxEntry{linux.AT_PLATFORM, platformAddr})
	img.setAux(auxEntry{linux.AT_EXECFN, execfn})
	copy(img.data[randomAddr-img.sp:], random[:])
	copy(img.data[platformAddr-img.sp:], platformName)
	copy(img.data[blockStart-img.sp:], block)
	return img
}

// platformName is what AT_PLATFORM points to.
const platformName = "x86_64\x00"
