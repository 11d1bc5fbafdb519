package mm

import (
	"hornwork/linux"
	"hornwork/sentry/futex"
)

// FutexKey names the futex at addr. A private key needs no memory to be there. A shared one names the file and the
// offset where the memory is a shared mapping, whoever maps it and wherever; for private memory it is the
// private key, as on Linux.
func (as *AddressSpace) FutexKey(addr uint64, shared bool) (futex.Key, linux.Errno) {
	if addr >= as.hi || as.hi-addr < 4 {
		return futex.Key{}, linux.EFAULT
	}
	if !shared {
		return futex.Key{Space: as.id, Offset: addr}, 0
	}
	as.mu.RLock()
	it := as.vmas.Find(addr)
	if !it.Ok() || !allows((*it.Val()).prot, linux.PROT_READ) {
		as.mu.RUnlock()
		return futex.Key{}, linux.EFAULT
	}
	v := *it.Val()
	if !v.is(vmShared) {
		as.mu.RUnlock()
		return futex.Key{Space: as.id, Offset: addr}, 0
	}
	m, off := v.m, v.off+addr-it.Start()
	m.ref.GetRef()
	as.mu.RUnlock()
	defer m.ref.PutRef()
	dev, ino := m.file.MapIdentity()
	return futex.Key{Dev: dev, Ino: ino, Offset: off}, 0
}
