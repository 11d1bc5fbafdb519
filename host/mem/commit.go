package mem

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hornwork/linux"
)

const (
	// The file grows by blocks, each written at once: the host then takes a few large folios for it, but none of 2 MiB
	// (huge=within_size allows that only where the file is long enough already). That matters in virtual machines
	// whose free huge pages have gone back to their host: taking one costs more than all the faults that it saves.
	blockSize  = 512 << 10
	blockPages = blockSize / PageSize
	blockWords = blockPages / 64

	warmHigh = 64 << 20 >> pageShift // pages: more warm ones go back to the host at once
	warmIdle = 256 << 10 >> pageShift
	trimWait = 500 * time.Millisecond
)

// widen makes the host's work for cold pages that are being taken from c worth while: where a whole block is cold, all
// of it is committed. was is c.cold before, cold what is taken; the pages that nobody asked for are added to
// cold and returned, and count as taken until settle. The lock is held.
func (f *File) widen(c *chunk, was, cold *bitmap) (extra bitmap) {
	if !f.grows || cold.empty() {
		return extra
	}
	for b := 0; b < len(cold); b += blockWords {
		if cold[b]|cold[b+1] == 0 || was[b]&was[b+1] != ^uint64(0) {
			continue
		}
		for i := b; i < b+blockWords; i++ {
			extra[i] = c.cold[i]
			c.cold[i] = 0
			c.free[i] &^= extra[i]
			cold[i] = ^uint64(0)
		}
	}
	c.inUse += extra.count()
	return extra
}

// settle makes what widen added free: warm and zero if it was committed, else cold. The lock is not held.
func (f *File) settle(c *chunk, extra *bitmap, committed bool) {
	n := extra.count()
	if n == 0 {
		return
	}
	f.mu.Lock()
	for i := range extra {
		c.free[i] |= extra[i]
		if !committed {
			c.cold[i] |= extra[i]
		}
	}
	c.inUse -= n
	if committed {
		f.warm += uint64(n)
	}
	f.rebin(c)
	if c.inUse == 0 {
		f.freeChunk(c.off >> chunkShift)
	}
	f.wantTrimLocked() // later, if nobody needs them
	f.mu.Unlock()
}

// commit makes the host provide cold pages of the chunk at off, by writing zeros: a third of the cost of
// a fault on each, even where the host has single pages only.
func (f *File) commit(off uint64, cold *bitmap) linux.Errno {
	for p := 0; ; {
		s, n := cold.next(p)
		if n == 0 {
			return 0
		}
		if errno := f.writeZeros(off+uint64(s)<<pageShift, uint64(n)<<pageShift); errno != 0 {
			return errno
		}
		p = s + n
	}
}

func (f *File) writeZeros(off, length uint64) linux.Errno {
	zeros := unsafe.Slice((*byte)(f.zeros), blockSize)
	for end := off + length; off < end; {
		n := min(end-off, blockSize-off&(blockSize-1))
		k, err := unix.Pwrite(f.fd, zeros[:n], int64(off))
		switch {
		case err == unix.EINTR:
		case err != nil || k <= 0:
			return linux.ENOMEM // ENOSPC and the like: the host has no memory for us
		default:
			off += uint64(k)
		}
	}
	return 0
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
	if f.grows {
		hot[0] &^= 1 // one page stays, so that the chunk does not come back as a huge page: see blockSize
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
