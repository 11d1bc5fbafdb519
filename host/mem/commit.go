package mem

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

const (
	scratchSize = 64 << 20 // how much is committed by one call

	warmHigh = 64 << 20 >> pageShift // pages: more warm ones go back to the host at once
	warmIdle = 256 << 10 >> pageShift
	trimWait = 500 * time.Millisecond
)

func madvise(p unsafe.Pointer, length uint64, advice int) error {
	_, _, e := unix.Syscall(unix.SYS_MADVISE, uintptr(p), uintptr(length), uintptr(advice))
	if e != 0 {
		return e
	}
	return nil
}

// probeHuge finds out whether the host gives huge pages: it does if a chunk, mapped with advice, is there as a
// whole after one page of it was touched.
func (f *File) probeHuge() {
	p, err := unix.MmapPtr(-1, 0, nil, scratchSize+ChunkSize, unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return
	}
	f.scratch = p
	s := f.scratchAligned()
	if _, err := unix.MmapPtr(f.fd, 0, s, ChunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return
	}
	var vec [chunkPages]byte
	if madvise(s, ChunkSize, unix.MADV_HUGEPAGE) == nil && madvise(s, PageSize, unix.MADV_POPULATE_WRITE) == nil {
		_, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(s), ChunkSize, uintptr(unsafe.Pointer(&vec[0])))
		f.huge = e == 0 && vec[chunkPages-1]&1 != 0
	}
	f.coverScratch(ChunkSize)
	f.punch(Range{0, ChunkSize})
}

func (f *File) scratchAligned() unsafe.Pointer {
	return unsafe.Add(f.scratch, -uintptr(f.scratch)&(ChunkSize-1))
}

func (f *File) coverScratch(length uint64) error {
	_, err := unix.MmapPtr(-1, 0, f.scratchAligned(), uintptr(length), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	return err
}

// commit makes the host provide cold pages of the chunk at off, so that neither the sentry nor a guest pays for a
// fault on each. Without huge pages that costs as much as the faults, and it is left to them.
func (f *File) commit(off uint64, cold *bitmap) linux.Errno {
	if !f.huge || cold.empty() {
		return 0
	}
	if *cold == allPages {
		return f.commitChunks(off, 1)
	}
	for p := 0; ; {
		s, n := cold.next(p)
		if n == 0 {
			return 0
		}
		at := unsafe.Add(f.base, off+uint64(s)<<pageShift)
		if err := madvise(at, uint64(n)<<pageShift, unix.MADV_POPULATE_WRITE); err != nil {
			return commitErrno(err)
		}
		p = s + n
	}
}

// commitChunks provides whole chunks, n at most scratchSize/ChunkSize. It does so through a mapping of its own
// that is gone afterwards: the window must not have MADV_HUGEPAGE, or khugepaged would fill the holes
// that trim has made.
func (f *File) commitChunks(off, n uint64) linux.Errno {
	if !f.huge {
		return 0
	}
	f.commitMu.Lock()
	defer f.commitMu.Unlock()
	length := n << chunkShift
	s := f.scratchAligned()
	_, err := unix.MmapPtr(f.fd, int64(off), s, uintptr(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
	if err != nil {
		return errnoOf(err)
	}
	if err = madvise(s, length, unix.MADV_HUGEPAGE); err == nil {
		err = madvise(s, length, unix.MADV_POPULATE_WRITE)
	}
	if e := f.coverScratch(length); e != nil {
		return errnoOf(e)
	}
	return commitErrno(err)
}

// commitErrno: a host that cannot provide memory says EFAULT, EAGAIN or ENOMEM; for the guest all are ENOMEM.
// Hosts before 5.14 lack MADV_POPULATE_WRITE, and pages then come by faults.
func commitErrno(err error) linux.Errno {
	switch err {
	case nil, unix.EINVAL:
		return 0
	}
	return linux.ENOMEM
}

// clear zeroes pages of the chunk at off that hold old bytes.
func (f *File) clear(off uint64, dirty *bitmap) {
	for p := 0; ; {
		s, n := dirty.next(p)
		if n == 0 {
			return
		}
		clear(f.Slice(Range{off + uint64(s)<<pageShift, uint64(n) << pageShift}))
		p = s + n
	}
}

func (f *File) punch(r Range) error {
	return unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(r.Off), int64(r.Len))
}

// wantTrimLocked says whether to trim now, and sees to it that a later moment is looked at.
func (f *File) wantTrimLocked() bool {
	if f.warm > warmIdle && !f.trimArmed {
		f.trimArmed = true
		f.trimTimer.Reset(trimWait)
	}
	return f.warm > warmHigh
}

// trimTick runs a while after memory was freed. While allocations go on it keeps a part warm; when all was quiet
// it gives everything back, and no timer runs any more.
func (f *File) trimTick() {
	f.mu.Lock()
	busy := f.allocs != 0
	f.allocs = 0
	f.mu.Unlock()
	keep := uint64(0)
	if busy {
		keep = warmHigh / 4
	}
	f.trim(keep)
	f.mu.Lock()
	f.trimArmed = busy && f.warm > warmIdle
	if f.trimArmed && !f.closed.Load() {
		f.trimTimer.Reset(trimWait)
	}
	f.mu.Unlock()
}

// trim gives warm pages back to the host until at most keep are left: whole chunks first, which is cheap, then
// parts of chunks. While pages are punched they count as taken, so that nobody is given one.
func (f *File) trim(keep uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.chunks) - 1; i >= 0 && f.warm > keep; i-- {
		if c := f.chunks[i]; c.inUse == 0 && c.cold != allPages && c.free == allPages {
			f.trimChunk(c)
		}
	}
	if keep > 0 {
		return // parts are worth it only when nobody needs them soon
	}
	for i := 0; i < len(f.chunks) && f.warm > warmIdle; i++ {
		if c := f.chunks[i]; c.inUse != 0 && !c.free.empty() {
			f.trimChunk(c)
		}
	}
}

// trimChunk punches the warm free pages of c. The lock is released meanwhile.
func (f *File) trimChunk(c *chunk) {
	var hot bitmap
	for i := range hot {
		hot[i] = c.free[i] &^ c.cold[i]
	}
	n := hot.count()
	if n == 0 {
		return
	}
	whole := c.inUse == 0
	if whole && !f.takeChunk(c.off>>chunkShift) {
		return
	}
	for i := range hot {
		c.free[i] &^= hot[i]
	}
	c.inUse += n
	f.warm -= uint64(n)
	f.rebin(c)
	f.mu.Unlock()
	failed := false
	for p := 0; !failed; {
		s, k := hot.next(p)
		if k == 0 {
			break
		}
		failed = f.closed.Load() || f.punch(Range{c.off + uint64(s)<<pageShift, uint64(k) << pageShift}) != nil
		p = s + k
	}
	f.mu.Lock()
	for i := range hot {
		c.free[i] |= hot[i]
		if failed { // what is not surely gone is dirty
			c.dirty[i] |= hot[i]
		} else {
			c.dirty[i] &^= hot[i]
			c.cold[i] |= hot[i]
		}
	}
	if failed {
		f.warm += uint64(n)
	}
	c.inUse -= n
	f.rebin(c)
	if c.inUse == 0 {
		f.freeChunk(c.off >> chunkShift)
	}
}

// takeChunk takes one chunk out of the free runs.
func (f *File) takeChunk(i uint64) bool {
	for k := range f.freeRuns {
		r := f.freeRuns[k]
		if i < r.first || i >= r.first+r.n {
			continue
		}
		var parts []run
		if i > r.first {
			parts = append(parts, run{r.first, i - r.first})
		}
		if i+1 < r.first+r.n {
			parts = append(parts, run{i + 1, r.first + r.n - i - 1})
		}
		f.freeRuns = append(f.freeRuns[:k:k], append(parts, f.freeRuns[k+1:]...)...)
		return true
	}
	return false
}
