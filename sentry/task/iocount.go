package task

import "sync/atomic"

// IOCount is what a thread has moved by read(2), write(2) and their kin.
type IOCount struct{ ReadBytes, WrittenBytes, Reads, Writes uint64 }

// ioCounters are written by the task's own goroutine alone; others may read them.
type ioCounters struct{ readBytes, writtenBytes, reads, writes atomic.Uint64 }

// bump adds without a locked instruction: there is one writer.
func bump(c *atomic.Uint64, n uint64) { c.Store(c.Load() + n) }

// CountRead counts a read of n bytes.
func (t *Task) CountRead(n int) {
	bump(&t.misc.io.reads, 1)
	bump(&t.misc.io.readBytes, uint64(max(n, 0)))
}

// CountWrite counts a write of n bytes.
func (t *Task) CountWrite(n int) {
	bump(&t.misc.io.writes, 1)
	bump(&t.misc.io.writtenBytes, uint64(max(n, 0)))
}

// IO is the thread's count.
func (t *Task) IO() IOCount {
	c := &t.misc.io
	return IOCount{c.readBytes.Load(), c.writtenBytes.Load(), c.reads.Load(), c.writes.Load()}
}

// IO is the sum over the process's threads that are there.
func (g *ThreadGroup) IO() (sum IOCount) {
	for _, t := range g.Threads() {
		x := t.IO()
		sum.ReadBytes += x.ReadBytes
		sum.WrittenBytes += x.WrittenBytes
		sum.Reads += x.Reads
		sum.Writes += x.Writes
	}
	return sum
}
