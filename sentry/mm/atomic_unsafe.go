package mm

import (
	"encoding/binary"
	"sync/atomic"

	"hornwork/linux"
)

// word finds a guest word in the sentry's window, and calls fn on it under the lock. It must be aligned: EINVAL.
// False: the word is not there, or not in the memory file.
func (as *AddressSpace) word(addr uint64, write bool, fn func(p *uint32)) bool {
	as.mu.RLock()
	defer as.mu.RUnlock()
	it := as.exts.Find(addr)
	if !it.Ok() {
		return false
	}
	e := it.Val()
	access := uint8(linux.PROT_READ)
	if write {
		access = linux.PROT_WRITE
	}
	if !e.mem || e.patched || write && e.wp || !allows(e.prot, access) {
		return false
	}
	fn((*uint32)(as.mf.Pointer(e.off + addr - it.Start())))
	return true
}

// LoadUint32 loads an aligned word of guest memory atomically.
func (as *AddressSpace) LoadUint32(addr uint64) (v uint32, errno linux.Errno) {
	if addr&3 != 0 {
		return 0, linux.EINVAL
	}
	if as.word(addr, false, func(p *uint32) { v = atomic.LoadUint32(p) }) {
		return v, 0
	}
	// It must be faulted in, or lies in a host file: a word that nobody can compare and swap from here.
	var b [4]byte
	if n, errno := as.CopyIn(b[:], addr); n < len(b) {
		return 0, errno
	}
	if as.word(addr, false, func(p *uint32) { v = atomic.LoadUint32(p) }) {
		return v, 0
	}
	return binary.LittleEndian.Uint32(b[:]), 0
}

// UpdateUint32 calls fn with an aligned word of writable guest memory until fn wants no change, or the change was
// made atomically. It returns the value before. Shared mappings of host files cannot be updated: EFAULT.
func (as *AddressSpace) UpdateUint32(addr uint64, fn func(old uint32) (new uint32, change bool)) (old uint32, errno linux.Errno) {
	if addr&3 != 0 {
		return 0, linux.EINVAL
	}
	for range 16 {
		done := as.word(addr, true, func(p *uint32) {
			for {
				old = atomic.LoadUint32(p)
				n, change := fn(old)
				if !change || atomic.CompareAndSwapUint32(p, old, n) {
					return
				}
			}
		})
		if done {
			return old, 0
		}
		if as.fault(addr, linux.PROT_WRITE, false).Signo != 0 {
			return 0, linux.EFAULT
		}
	}
	return 0, linux.EFAULT
}

// CompareAndSwapUint32 replaces an aligned word of guest memory by new if it is old.
func (as *AddressSpace) CompareAndSwapUint32(addr uint64, old, new uint32) (swapped bool, errno linux.Errno) {
	_, errno = as.UpdateUint32(addr, func(v uint32) (uint32, bool) {
		swapped = v == old
		return new, swapped
	})
	return swapped && errno == 0, errno
}
