package loader

import (
	"sync"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

// hostValues are those of the auxiliary vector that the CPU decides, as the host's kernel tells the sentry. HWCAP2
// is not among them: its one bit for guests says that wrgsbase may be used, and GS is the platform's.
type hostValues struct{ hwcap, minSigStack uint64 }

var hostAux = sync.OnceValue(func() hostValues {
	v := hostValues{minSigStack: 2048} // MINSIGSTKSZ, where the host says nothing
	aux, err := unix.Auxv()
	if err != nil {
		return v
	}
	for _, a := range aux {
		switch a[0] {
		case linux.AT_HWCAP:
			v.hwcap = uint64(a[1])
		case linux.AT_MINSIGSTKSZ:
			v.minSigStack = uint64(a[1])
		}
	}
	return v
})
