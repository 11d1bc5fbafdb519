package pipe

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/usermem"
)

// The moves of splice(2), tee(2) and vmsplice(2). Files read into and write from the ring itself: the bytes are
// copied once. The pipe's lock is not held meanwhile (files and sockets have locks that rank before it); the flags
// filling and draining keep other writers and readers out. vmsplice is Read or Write.

// Drain hands up to n bytes of the pipe to sink, piece by piece, and removes those that sink took: splice from a
// pipe to a file. EAGAIN: the pipe is empty, or sink said so; 0: and all writers are gone.
func (p *Pipe) Drain(n int, sink func(*usermem.Seq) (int, linux.Errno)) (int, linux.Errno) {
	done := 0
	for done < n {
		a, errno := p.beginDrain(n - done)
		if errno != 0 || len(a) == 0 {
			return someOr(done, errno)
		}
		seq := usermem.Kernel(a)
		k, errno := sink(&seq)
		p.endDrain(k)
		done += k
		if errno != 0 {
			return someOr(done, errno)
		}
		if k < len(a) {
			break
		}
	}
	return done, 0
}

// beginDrain reserves at most n bytes, in one piece; none without an error is the end.
func (p *Pipe) beginDrain(n int) ([]byte, linux.Errno) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.emptyLocked() {
		if p.writers == 0 && !p.draining {
			return nil, 0
		}
		return nil, linux.EAGAIN
	}
	k, _ := p.nextLocked(n)
	a, _ := p.ring.Data(k)
	p.draining = true
	return a, 0
}

func (p *Pipe) endDrain(k int) {
	p.mu.Lock()
	p.draining = false
	wasFull := p.fullLocked()
	p.ring.R += uint64(k)
	if len(p.packets) > 0 && p.ring.R >= p.packets[0].end {
		p.dropPacketLocked()
	}
	wake := p.ring.W != p.ring.R || p.writers == 0
	p.tookUnlock(wasFull)
	if wake { // readers that found the pipe reserved
		p.queue.Notify(wait.Readable | wait.Hup)
	}
}

// Fill lets source write up to n bytes into the pipe: splice from a file to a pipe. It stops at a source that gives
// less than there was room for. EAGAIN: the pipe is full, or source said so; EPIPE: nobody reads.
func (p *Pipe) Fill(n int, source func(*usermem.Seq) (int, linux.Errno)) (int, linux.Errno) {
	done := 0
	for done < n {
		a, errno := p.beginFill(n - done)
		if errno != 0 {
			return someOr(done, errno)
		}
		seq := usermem.Kernel(a)
		k, errno := source(&seq)
		p.endFill(k)
		done += k
		if errno != 0 {
			return someOr(done, errno)
		}
		if k < len(a) {
			break
		}
	}
	return done, 0
}

func (p *Pipe) beginFill(n int) ([]byte, linux.Errno) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == 0 {
		return nil, linux.EPIPE
	}
	free := p.capacity - p.used()
	if p.filling || free == 0 {
		return nil, linux.EAGAIN
	}
	k := min(n, free)
	p.ring.Grow(k)
	a, _ := p.ring.Room(k)
	p.filling = true
	return a, 0
}

func (p *Pipe) endFill(k int) {
	p.mu.Lock()
	p.filling = false
	p.ring.W += uint64(k)
	var ev wait.Events
	if k > 0 {
		ev |= wait.Readable
	}
	if !p.fullLocked() { // writers that found the pipe reserved
		ev |= wait.Writable
	}
	p.mu.Unlock()
	p.queue.Notify(ev)
}

// Splice moves up to n bytes from one pipe to another: splice(2) between pipes.
func Splice(from, to *Pipe, n int) (int, linux.Errno) {
	if from == to {
		return 0, linux.EINVAL
	}
	return from.Drain(n, to.fillFrom)
}

// Tee copies up to n bytes from one pipe to another and leaves them in the first: tee(2).
func Tee(from, to *Pipe, n int) (int, linux.Errno) {
	if from == to {
		return 0, linux.EINVAL
	}
	if n == 0 {
		return 0, 0
	}
	a, b, errno := from.beginTee(n)
	if errno != 0 || len(a) == 0 {
		return 0, errno
	}
	defer from.endDrain(0)
	done := 0
	for _, part := range [2][]byte{a, b} {
		src := usermem.Kernel(part)
		k, errno := to.fillFrom(&src)
		done += k
		if errno != 0 {
			return someOr(done, errno)
		}
		if k < len(part) {
			break
		}
	}
	return done, 0
}

// beginTee is beginDrain with both pieces of the ring, as tee does not come back for the second.
func (p *Pipe) beginTee(n int) (a, b []byte, errno linux.Errno) {
	first, errno := p.beginDrain(n)
	if errno != 0 || len(first) == 0 {
		return nil, nil, errno
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, inPacket := p.nextLocked(n); !inPacket {
		a, b = p.ring.Data(k)
		return a, b, 0
	}
	return first, nil, 0
}

// fillFrom appends kernel memory, as much as there is room for.
func (p *Pipe) fillFrom(src *usermem.Seq) (int, linux.Errno) {
	return p.Fill(src.Len(), func(dst *usermem.Seq) (int, linux.Errno) { return copySeq(dst, src) })
}

// copySeq copies from src (kernel memory) to dst and moves both cursors.
func copySeq(dst, src *usermem.Seq) (int, linux.Errno) {
	var pin usermem.Pinned
	if errno := src.Pin(&pin, dst.Len(), false); errno != 0 {
		return 0, errno
	}
	defer pin.Release()
	n, errno := dst.CopyOut(pin.Blocks[0])
	src.Drop(n)
	return n, errno
}
