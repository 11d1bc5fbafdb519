// Package mem is the memory file: the one host file that holds all memory of the guests, and the page caches
// and buffers that the sentry keeps for them. Linux's counterpart is the page allocator.
//
// The file is sparse and never becomes shorter, and only pages that it has are handed out, so that no access to the
// sentry's window on it can fault fatally. It lies on an unlinked tmpfs with huge=within_size where the caller
// may mount one, and grows as it is used: the host then provides memory in large folios, at 0.1 to 0.2 µs a page
// instead of 2.3 µs by faults (measured on the machine of FACTS.md). Otherwise it is a memfd, at 0.6 µs a page.
//
// Pages are handed out as Ranges and counted one by one: Alloc gives one reference to each page, Get and Put
// change them. Pages without a reference stay warm for a while, and are cleared by the sentry when they are used
// again (0.1 µs a page); what is left after a moment of quiet, and all above a bound at once, goes back to the
// host. All methods may be called by any goroutine. Slice takes no lock.
package mem

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/lib/rank"
)

// Sizes of pages and of the chunks in which memory is taken from the host.
const (
	PageSize  = 4096
	ChunkSize = 2 << 20

	pageShift  = 12
	chunkShift = 21
	chunkPages = ChunkSize / PageSize
)

// Range is a span of the memory file, page aligned.
type Range struct{ Off, Len uint64 }

// End is the offset after the range.
func (r Range) End() uint64 { return r.Off + r.Len }

// Kind says what memory is used for, in accounts; NoZero may be added.
type Kind uint8

// Kinds of memory.
const (
	Anon   Kind = iota // private memory of guests
	Shmem              // tmpfs, memfd, shared anonymous memory
	Cache              // copies of file data
	Kernel             // buffers of the sentry itself

	// NoZero tells Alloc that the caller overwrites every byte before a guest can see the pages.
	NoZero Kind = 0x80

	kindMask = 3
)

// File is a memory file.
type File struct {
	fd    int
	grows bool // by blocks, on a tmpfs; else it has its full length from the start
	base  unsafe.Pointer
	size  uint64

	mu         rank.Mutex[rank.MemFile] // guards the fields below and the chunks
	chunks     []*chunk                 // those ever used; the file beyond is cold
	freeRuns   []run                    // runs of wholly free chunks, ordered, never adjacent
	bins       [binCount]*chunk         // partly free chunks, by the class of their longest free run
	limitPages uint64
	used       [4]uint64 // pages with references, by Kind
	warm       uint64    // pages without references that occupy host memory
	allocs     uint64    // counts Alloc, to see quiet moments
	trimArmed  bool

	zeros unsafe.Pointer // a block to write from

	trimTimer *time.Timer
	closed    atomic.Bool
}

// New makes a memory file of the best kind that the host and the caller's rights allow.
func New() (*File, error) {
	fd, err := CreateFD()
	if err != nil {
		return nil, err
	}
	f, err := NewFD(fd)
	if err != nil {
		unix.Close(fd)
	}
	return f, err
}

// CreateFD makes the descriptor for NewFD. A launcher calls it while it still may mount; mounting needs
// CAP_SYS_ADMIN in the user namespace of the mount namespace. Without that it makes a memfd.
func CreateFD() (int, error) {
	if fd, err := createHuge(); err == nil {
		return fd, nil
	}
	return createMemfd()
}

func createMemfd() (int, error) {
	fd, err := unix.MemfdCreate("hornwork-memory", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("memory file: memfd_create: %w", err)
	}
	return fd, nil
}

// createHuge makes an unlinked file on a tmpfs that nobody else can reach. size=0 means no limit: a limit would
// make the sentry's own stores fault.
func createHuge() (int, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	for _, kv := range [][2]string{{"huge", "within_size"}, {"size", "0"}, {"mode", "0700"}} {
		if err := unix.FsconfigSetString(fs, kv[0], kv[1]); err != nil {
			return -1, err
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return -1, err
	}
	defer unix.Close(mnt)
	return unix.Openat(mnt, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
}

// NewFD makes a memory file of an empty file on tmpfs or memfd, and owns the descriptor if it succeeds.
func NewFD(fd int) (*File, error) {
	f := &File{fd: fd}
	// A memfd can be sealed. The file on a tmpfs cannot, but nobody else can reach that one.
	f.grows = !sealable(fd)
	most := uint64(8 << 40)
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_FSIZE, &lim) == nil {
		most = min(most, lim.Cur&^(ChunkSize-1))
	}
	// Virtual size only. A resource limit on the address space makes us take less.
	err := error(unix.EFBIG)
	for ; most >= 1<<30; most >>= 1 {
		if f.base, err = mapAligned(fd, most); err == nil {
			f.size = most
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("memory file: mapping it (ulimit -v, ulimit -f?): %w", err)
	}
	f.zeros, err = unix.MmapPtr(-1, 0, nil, blockSize, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err == nil && !f.grows {
		if err = unix.Ftruncate(fd, int64(f.size)); err == nil {
			unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
		}
	}
	if err != nil {
		unix.MunmapPtr(f.base, uintptr(f.size))
		return nil, fmt.Errorf("memory file: %w", err)
	}
	f.limitPages = f.size >> pageShift
	f.trimTimer = time.AfterFunc(time.Hour, f.trimTick)
	f.trimTimer.Stop()
	return f, nil
}

func sealable(fd int) bool {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil && seals&unix.F_SEAL_SEAL == 0
}

// mapAligned maps the whole file for reading and writing at a chunk-aligned address, so that the host can map
// huge pages there.
func mapAligned(fd int, size uint64) (unsafe.Pointer, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(size+ChunkSize), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	lead := -uintptr(p) & (ChunkSize - 1)
	base := unsafe.Add(p, lead)
	if _, err := unix.MmapPtr(fd, 0, base, uintptr(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_FIXED|unix.MAP_NORESERVE); err != nil {
		unix.MunmapPtr(p, uintptr(size+ChunkSize))
		return nil, err
	}
	if lead != 0 {
		unix.MunmapPtr(p, lead)
	}
	if tail := ChunkSize - lead; tail != 0 {
		unix.MunmapPtr(unsafe.Add(base, size), tail)
	}
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(base), uintptr(size), unix.MADV_DONTDUMP)
	return base, nil
}

// FD returns the descriptor, for platforms that map it into stubs.
func (f *File) FD() int32 { return int32(f.fd) }

// Slice is the sentry's window on r. The bytes change under the reader's feet when a guest writes them.
// A range outside of the file panics: ranges come from Alloc only.
func (f *File) Slice(r Range) []byte {
	if r.Off > f.size || r.Len > f.size-r.Off {
		panic("mem: range outside of the memory file")
	}
	return unsafe.Slice((*byte)(unsafe.Add(f.base, r.Off)), r.Len)
}

// Pointer is the address of off in the window, for atomic operations on guest words.
func (f *File) Pointer(off uint64) unsafe.Pointer {
	if off >= f.size {
		panic("mem: offset outside of the memory file")
	}
	return unsafe.Add(f.base, off)
}

// Usage is how many bytes have references.
func (f *File) Usage() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.usedPages() << pageShift
}

// UsageOf is how many bytes of one kind have references.
func (f *File) UsageOf(k Kind) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used[k&kindMask] << pageShift
}

// Warm is how many bytes without references still occupy memory of the host.
func (f *File) Warm() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.warm << pageShift
}

// SetLimit bounds Usage: Alloc beyond it fails with ENOMEM. What is in use already stays.
func (f *File) SetLimit(bytes uint64) {
	f.mu.Lock()
	f.limitPages = min(bytes, f.size) >> pageShift
	f.mu.Unlock()
}

// Limit returns the bound of SetLimit, by default the size of the file.
func (f *File) Limit() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.limitPages << pageShift
}

func (f *File) usedPages() uint64 { return f.used[0] + f.used[1] + f.used[2] + f.used[3] }

// Close gives everything back to the host. Slices must not be used any more.
func (f *File) Close() {
	if f.closed.Swap(true) {
		return
	}
	f.trimTimer.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	unix.MunmapPtr(f.base, uintptr(f.size))
	unix.MunmapPtr(f.zeros, blockSize)
	unix.Close(f.fd)
	runtime.KeepAlive(f)
}
