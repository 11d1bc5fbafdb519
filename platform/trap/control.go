package trap

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/lib/rank"
	"hornwork/linux"
)

const (
	unitSize = 8 * pageSize
	maxUnits = 1 << 16
)

// control is the memory that sentry and stubs share beside guest memory: two sparse memfds of units, one unit
// of each for an address space and for a thread. The read-only one is sealed against new writable mappings
// once the sentry has its own.
type control struct {
	roFD, rwFD int
	ro, rw     unsafe.Pointer // the sentry's windows

	mu   rank.Mutex[rank.Platform]
	free []uint32
	next uint32
}

func newControl() (*control, error) {
	c := &control{roFD: -1, rwFD: -1, next: 1} // unit 0 is the zygote's
	var err error
	if c.roFD, c.ro, err = sharedFile("hornwork-orders", maxUnits*unitSize); err != nil {
		return nil, err
	}
	if c.rwFD, c.rw, err = sharedFile("hornwork-context", maxUnits*unitSize); err != nil {
		c.close()
		return nil, err
	}
	const seals = unix.F_SEAL_GROW | unix.F_SEAL_SHRINK
	if _, err := unix.FcntlInt(uintptr(c.roFD), unix.F_ADD_SEALS, seals|unix.F_SEAL_FUTURE_WRITE); err != nil {
		c.close()
		return nil, fmt.Errorf("seal the orders against writing: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(c.rwFD), unix.F_ADD_SEALS, seals); err != nil {
		c.close()
		return nil, fmt.Errorf("seal the contexts: %w", err)
	}
	return c, nil
}

func sharedFile(name string, size int64) (fd int, addr unsafe.Pointer, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, nil, fmt.Errorf("memfd_create: %w", err)
	}
	if err = unix.Ftruncate(fd, size); err != nil {
		unix.Close(fd)
		return -1, nil, fmt.Errorf("ftruncate: %w", err)
	}
	p, err := unix.MmapPtr(fd, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		unix.Close(fd)
		return -1, nil, fmt.Errorf("map %s: %w", name, err)
	}
	return fd, p, nil
}

func (c *control) close() {
	for _, f := range []struct {
		fd   int
		addr unsafe.Pointer
	}{{c.roFD, c.ro}, {c.rwFD, c.rw}} {
		if f.fd >= 0 {
			unix.MunmapPtr(f.addr, maxUnits*unitSize)
			unix.Close(f.fd)
		}
	}
}

// alloc returns a zeroed unit.
func (c *control) alloc() (uint32, linux.Errno) {
	c.mu.LockNested() // inside the lock of an address space
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		u := c.free[n-1]
		c.free = c.free[:n-1]
		return u, 0
	}
	if c.next == maxUnits {
		return 0, linux.EAGAIN
	}
	c.next++
	return c.next - 1, 0
}

// unit is one unit and how much of its read-only part was written.
type unit struct {
	index  uint32
	roUsed uint32
}

// release takes back units that no living process maps. Stubs wrote into them: they must not be seen again.
func (c *control) release(units []unit) {
	for _, u := range units {
		clear(unsafe.Slice((*byte)(c.roAt(u.index, 0)), u.roUsed))
		// The window keeps no pages of the hole. On failure the unit is lost, not leaked to another guest.
		_, errno := raw(unix.SYS_FALLOCATE, uintptr(c.rwFD), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
			uintptr(u.index)*unitSize, unitSize, 0, 0)
		if errno == 0 {
			c.mu.LockNested() // inside the lock of an address space
			c.free = append(c.free, u.index)
			c.mu.Unlock()
		}
	}
}

// roAt and rwAt return the sentry's view of a unit.
//
//go:nosplit
func (c *control) roAt(u uint32, off uintptr) unsafe.Pointer {
	return unsafe.Add(c.ro, uintptr(u)*unitSize+off)
}

//go:nosplit
func (c *control) rwAt(u uint32, off uintptr) unsafe.Pointer {
	return unsafe.Add(c.rw, uintptr(u)*unitSize+off)
}

// orders is the sentry's view of the orders and results of an address space or of the zygote.
type orders struct {
	ro, rw unsafe.Pointer
	seq    uint32
}

func (o *orders) parent() *uint32 { return (*uint32)(unsafe.Add(o.ro, ordParent)) }
func (o *orders) done() *uint32   { return (*uint32)(o.rw) }

// fill writes the next orders without giving them.
func (o *orders) fill(list []entry) {
	for i := range list {
		*(*entry)(unsafe.Add(o.ro, ordEntries+i*entrySize)) = list[i]
	}
	*(*uint32)(unsafe.Add(o.ro, ordCount)) = uint32(len(list))
	o.seq++
}

// result returns what the i-th call returned: a hint once guests run.
func (o *orders) result(i int) int64 { return *(*int64)(unsafe.Add(o.rw, 8+8*i)) }
