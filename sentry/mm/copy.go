package mm

import (
	"bytes"
	"sync"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/sentry/usermem"
)

var _ usermem.Memory = (*AddressSpace)(nil)

// bounce buffers stand between files and callers' memory, so that dst of CopyIn never escapes to the heap.
var bounce = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// CopyIn implements usermem.Memory.
func (as *AddressSpace) CopyIn(dst []byte, addr uint64) (int, linux.Errno) {
	done := 0
	for {
		n, x, m := as.load(dst[done:], addr+uint64(done))
		if done += n; done == len(dst) {
			return done, 0
		}
		var errno linux.Errno
		switch at := addr + uint64(done); {
		case m != nil:
			n, errno = readMapped(dst[done:], m, x)
			done += n
		case as.fault(at, linux.PROT_READ, false).Signo != 0:
			errno = linux.EFAULT
		}
		if errno != 0 {
			return done, errno
		}
	}
}

// fileSpan is a piece of a file behind addresses, found under the lock: n bytes at off.
type fileSpan struct {
	off uint64
	n   uint64
}

// load copies what is in the memory file, up to the first byte that is not; if that is in a host file, the mapping is
// returned with a reference on its file.
func (as *AddressSpace) load(dst []byte, addr uint64) (int, fileSpan, *mapping) {
	done := 0
	as.mu.RLock()
	for it := as.exts.Find(addr); it.Ok() && done < len(dst); it = it.Next() {
		at := addr + uint64(done)
		e := it.Val()
		if it.Start() > at || !allows(e.prot, linux.PROT_READ) {
			break
		}
		n := min(int(it.End()-at), len(dst)-done)
		if !e.mem {
			if done > 0 {
				break
			}
			s, m := as.fileAt(it, at)
			as.mu.RUnlock()
			return 0, s, m
		}
		copy(dst[done:done+n], as.mf.Slice(mem.Range{Off: e.off + at - it.Start(), Len: uint64(n)}))
		if e.patched {
			as.original(dst[done:done+n], at)
		}
		done += n
	}
	as.mu.RUnlock()
	return done, fileSpan{}, nil
}

// fileAt says where in its file an address of a host-file extent is.
func (as *AddressSpace) fileAt(x extIter, addr uint64) (fileSpan, *mapping) {
	it := as.vmas.Find(addr)
	if !it.Ok() || (*it.Val()).m == nil {
		return fileSpan{}, nil
	}
	v := *it.Val()
	v.m.ref.GetRef()
	return fileSpan{v.off + addr - it.Start(), min(x.End(), it.End()) - addr}, v.m
}

// readMapped reads from a mapped host file and drops the reference of fileAt. In the last page of the file, what is
// beyond the end reads as zero; a page wholly beyond it is a bus error, EFAULT to us.
func readMapped(dst []byte, m *mapping, s fileSpan) (int, linux.Errno) {
	defer m.ref.PutRef()
	buf := bounce.Get().(*[64 << 10]byte)
	defer bounce.Put(buf)
	b := buf[:min(uint64(len(dst)), s.n, uint64(len(buf)))]
	n, errno := m.file.ReadAt(b, s.off)
	if errno != 0 || n < 0 || n > len(b) {
		return 0, linux.EFAULT
	}
	if n < len(b) {
		lastPage := pageUp(s.off + uint64(n))
		if n == 0 && s.off&pageMask == 0 {
			return 0, linux.EFAULT
		}
		end := min(uint64(len(b)), lastPage-s.off)
		if n == 0 { // inside a page: it exists only if a byte of it does
			var first [1]byte
			if k, errno := m.file.ReadAt(buf[:1], pageDown(s.off)); k != 1 || errno != 0 {
				return 0, linux.EFAULT
			}
			_ = first
			end = min(uint64(len(b)), pageSize-s.off&pageMask)
		}
		clear(b[n:end])
		b = b[:end]
	}
	return copy(dst, b), 0
}

// CopyOut implements usermem.Memory.
func (as *AddressSpace) CopyOut(addr uint64, src []byte) (int, linux.Errno) {
	done := 0
	for {
		n, x, m := as.store(addr+uint64(done), src[done:])
		if done += n; done == len(src) {
			return done, 0
		}
		var errno linux.Errno
		switch at := addr + uint64(done); {
		case m != nil:
			n, errno = writeMapped(src[done:], m, x)
			done += n
		case as.fault(at, linux.PROT_WRITE, false).Signo != 0:
			errno = linux.EFAULT
		}
		if errno != 0 {
			return done, errno
		}
	}
}

// store is load for writing.
func (as *AddressSpace) store(addr uint64, src []byte) (int, fileSpan, *mapping) {
	done := 0
	as.mu.RLock()
	for it := as.exts.Find(addr); it.Ok() && done < len(src); it = it.Next() {
		at := addr + uint64(done)
		e := it.Val()
		if it.Start() > at || e.wp || e.patched || !allows(e.prot, linux.PROT_WRITE) {
			break
		}
		n := min(int(it.End()-at), len(src)-done)
		if !e.mem {
			if done > 0 {
				break
			}
			s, m := as.fileAt(it, at)
			as.mu.RUnlock()
			return 0, s, m
		}
		copy(as.mf.Slice(mem.Range{Off: e.off + at - it.Start(), Len: uint64(n)}), src[done:done+n])
		done += n
	}
	as.mu.RUnlock()
	return done, fileSpan{}, nil
}

// writeMapped stores into a shared mapping of a host file.
func writeMapped(src []byte, m *mapping, s fileSpan) (int, linux.Errno) {
	defer m.ref.PutRef()
	w, ok := m.file.(MappedWriter)
	if !ok {
		return 0, linux.EFAULT
	}
	buf := bounce.Get().(*[64 << 10]byte)
	defer bounce.Put(buf)
	n := copy(buf[:min(s.n, uint64(len(buf)))], src)
	k, errno := w.WriteAt(buf[:n], s.off)
	if errno != 0 || k <= 0 || k > n {
		return 0, linux.EFAULT
	}
	return k, 0
}

// CopyInString reads a string that ends with NUL. When there is none within max bytes it returns those and
// ENAMETOOLONG.
func (as *AddressSpace) CopyInString(addr uint64, max int) (string, linux.Errno) {
	var buf [256]byte
	var long []byte
	for n := 0; n < max; {
		// Never beyond the page: the next may not be there, and need not.
		k := min(len(buf), max-n, int(pageSize-(addr+uint64(n))&pageMask))
		k, errno := as.CopyIn(buf[:k], addr+uint64(n))
		if i := bytes.IndexByte(buf[:k], 0); i >= 0 {
			if long == nil {
				return string(buf[:i]), 0
			}
			return string(append(long, buf[:i]...)), 0
		}
		if errno != 0 {
			return "", errno
		}
		long = append(long, buf[:k]...)
		n += k
	}
	return string(long), linux.ENAMETOOLONG
}

const (
	pinWrite    = 1 << 63
	pinMaxBlock = 8 << 20
)

// Pin implements usermem.Memory. The pages stay what they are until Release, whatever becomes of their addresses.
func (as *AddressSpace) Pin(p *usermem.Pinned, addr, length uint64, write bool) linux.Errno {
	access := uint8(linux.PROT_READ)
	if write {
		access = linux.PROT_WRITE
	}
	for {
		n, errno := as.pin(p, addr, length, write)
		if n > 0 || errno != 0 || length == 0 {
			return errno
		}
		if as.fault(addr, access, false).Signo != 0 {
			return linux.EFAULT
		}
	}
}

func (as *AddressSpace) pin(p *usermem.Pinned, addr, length uint64, write bool) (int, linux.Errno) {
	n := 0
	at := addr
	left := length
	as.mu.RLock()
	defer as.mu.RUnlock()
	for it := as.exts.Find(at); it.Ok() && left > 0 && n < len(p.Arr); {
		e := it.Val()
		if it.Start() > at || write && (e.wp || e.patched) {
			break
		}
		access := uint8(linux.PROT_READ)
		if write {
			access = linux.PROT_WRITE
		}
		if !allows(e.prot, access) {
			break
		}
		if !e.mem || e.patched {
			if n == 0 {
				return 0, linux.EOPNOTSUPP
			}
			break
		}
		k := min(it.End()-at, left, pinMaxBlock-at&pageMask)
		off := e.off + at - it.Start()
		r := mem.Range{Off: pageDown(off), Len: pageUp(off+k) - pageDown(off)}
		as.mf.Get(r)
		p.Arr[n] = as.mf.Slice(mem.Range{Off: off, Len: k})
		p.Priv[n] = r.Off | r.Len>>pageShift
		if write {
			p.Priv[n] |= pinWrite
		}
		n++
		at += k
		left -= k
		if at == it.End() {
			it = it.Next()
		}
	}
	if n > 0 {
		clear(p.Priv[n:])
		p.Blocks = p.Arr[:n]
		p.Unpin = as.unpin
		if write {
			as.writePins.Add(1)
		}
	}
	return n, 0
}

// release is Pinned.Unpin. Callers may have changed the blocks; what is to be given back is in Priv.
func (as *AddressSpace) release(p *usermem.Pinned) {
	if p.Priv[0]&pinWrite != 0 {
		as.writePins.Add(-1)
	}
	for i, x := range p.Priv {
		if x == 0 {
			break
		}
		x &^= pinWrite
		as.mf.Put(mem.Range{Off: pageDown(x), Len: x & pageMask << pageShift})
		p.Priv[i] = 0
	}
}
