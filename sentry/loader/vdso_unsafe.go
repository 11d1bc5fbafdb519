package loader

import (
	"bytes"
	"unsafe"
)

// The functions of vdso_amd64.s, whose bytes are copied.
//
//lint:ignore U1000 vdsoAddrs takes its address
func vdsoClockGettime()

//lint:ignore U1000 vdsoAddrs takes its address
func vdsoGettimeofday()

//lint:ignore U1000 vdsoAddrs takes its address
func vdsoTime()

//lint:ignore U1000 vdsoAddrs takes its address
func vdsoGetcpu()

//lint:ignore U1000 vdsoAddrs takes its address
func vdsoClockGetres()

// vdsoAddrs returns where their code is.
func vdsoAddrs() [5]unsafe.Pointer

// vdsoFuncMax bounds the search for the end marker.
const vdsoFuncMax = 512

var (
	vdsoEnd = []byte{0x0f, 0x0b, 0x45, 0x4e, 0x44, 0x56, 0x44, 0x53}
	// vvarLoad is "mov r8, imm64" of the macro VVAR.
	vvarLoad = append([]byte{0x49, 0xb8}, "vvarvvar"...)
)

// vdsoCode returns copies of the functions' code.
func vdsoCode() (code [5][]byte) {
	for i, pc := range vdsoAddrs() {
		// Any text of this binary: the rodata behind it is longer than vdsoFuncMax.
		text := unsafe.Slice((*byte)(pc), vdsoFuncMax)
		n := bytes.Index(text, vdsoEnd)
		if n < 0 {
			panic("loader: a function of the vDSO has no end") // a fault of the build, not of a guest
		}
		code[i] = bytes.Clone(text[:n])
	}
	return code
}
