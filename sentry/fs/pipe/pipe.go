// Package pipe is pipe(7): anonymous pipes, FIFOs, and the moves of splice(2), tee(2) and vmsplice(2).
//
// A Pipe is one ring of bytes whose memory grows on demand up to its capacity. Its two ends are vfs.Files
// over one inode; the Pipe hangs at the inode, so that an open of the FIFO's name or of /proc/self/fd/N
// finds it. Nothing here sleeps, except the open of a FIFO (through Caller.Blocker): reads, writes and moves take
// what is there and return EAGAIN when that is nothing; the syscall layer waits on the file and calls again with the
// rest. Write returns EPIPE when nobody reads; SIGPIPE is the syscall layer's.
//
// Departures from Linux: capacity is counted in bytes and not in pages, so that a pipe never looks full
// because of half-filled pages; POLLOUT means PIPE_BUF free bytes.
//
// Locks: Pipe.mu, one per pipe; user memory is copied under it (rank Pipe is before MM).
package pipe

import (
	"hornwork/lib/rank"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/ring"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

const (
	// PIPE_BUF bytes are written at once or not at all.
	PIPE_BUF = linux.PageSize
	// DefaultSize is the capacity of a new pipe.
	DefaultSize = 16 * linux.PageSize
	// MaxSize is /proc/sys/fs/pipe-max-size, the most that a caller without CAP_SYS_RESOURCE may ask for.
	MaxSize = 1 << 20
	// hardMaxSize bounds what a privileged guest can make the sentry's heap hold for one pipe.
	hardMaxSize = 64 << 20
)

// Pipe is the object behind both ends.
type Pipe struct {
	mu       rank.Mutex[rank.Pipe] // guards the fields down to the queues
	ring     ring.Ring
	capacity int      // a power of two, a multiple of the page size
	packets  []packet // those of O_DIRECT writers that are still in the ring, in order
	readers  int      // open descriptions that can read
	writers  int
	rOpens   uint32 // how often an end was opened, ever: what an open of a FIFO waits for
	wOpens   uint32
	filling  bool // a splice is writing to the ring without the lock: no other writer
	draining bool // a splice is reading from the ring without the lock: no other reader
	named    bool // a FIFO: opens wait for the other end

	queue wait.Queue // whoever waits for data, room, or a hang-up
	opens wait.Queue // opens of a FIFO that wait for the other end
}

// packet is the span of one O_DIRECT write in the stream.
type packet struct{ start, end uint64 }

func newPipe() *Pipe { return &Pipe{capacity: DefaultSize} }

func (p *Pipe) used() int { return p.ring.Len() }

// fullLocked says what poll(2) calls full: less than PIPE_BUF free, or no slot for another packet.
func (p *Pipe) fullLocked() bool {
	return p.filling || p.capacity-p.used() < PIPE_BUF || len(p.packets) >= p.capacity/linux.PageSize
}

func (p *Pipe) emptyLocked() bool { return p.draining || p.ring.W == p.ring.R }

// tookUnlock tells writers of new room if there was none for them before. It unlocks.
func (p *Pipe) tookUnlock(wasFull bool) {
	notify := wasFull && !p.fullLocked()
	p.mu.Unlock()
	if notify {
		p.queue.Notify(wait.Writable)
	}
}

// Read moves bytes from the pipe to dst: what is there, or one packet. 0 means that there are no writers.
func (p *Pipe) Read(dst *usermem.Seq) (int, linux.Errno) {
	want := dst.Len()
	if want == 0 {
		return 0, 0
	}
	p.mu.Lock()
	if p.emptyLocked() {
		end := p.writers == 0 && !p.draining
		p.mu.Unlock()
		if end {
			return 0, 0
		}
		return 0, linux.EAGAIN
	}
	wasFull := p.fullLocked()
	done, errno := 0, linux.Errno(0)
	for done < want && p.ring.W != p.ring.R && errno == 0 {
		n, inPacket := p.nextLocked(want - done)
		var k int
		if k, errno = p.ring.CopyOut(dst, n); errno != 0 {
			// Linux takes whole buffers: what stands in the one that the fault was in stays.
			lost := k & linux.PageMask
			p.ring.R -= uint64(lost)
			k -= lost
		}
		done += k
		if inPacket {
			if errno == 0 {
				p.dropPacketLocked() // what the reader had no room for is lost, as Linux does it
			}
			break
		}
	}
	p.tookUnlock(wasFull)
	if done > 0 {
		errno = 0
	}
	return done, errno
}

// nextLocked says how many of at most want bytes a read may take in one piece, and whether they are a packet.
func (p *Pipe) nextLocked(want int) (n int, inPacket bool) {
	n = min(want, p.used())
	if len(p.packets) == 0 {
		return n, false
	}
	first := p.packets[0]
	if p.ring.R < first.start {
		return min(n, int(first.start-p.ring.R)), false
	}
	return min(n, int(first.end-p.ring.R)), true
}

func (p *Pipe) dropPacketLocked() {
	p.ring.R = p.packets[0].end
	p.packets = p.packets[1:]
	if len(p.packets) == 0 {
		p.packets = nil
	}
}

// Write moves src into the pipe: up to PIPE_BUF bytes at once or not at all, of more what there is room for. With
// packets each page of src becomes a packet of its own (O_DIRECT).
func (p *Pipe) Write(src *usermem.Seq, packets bool) (int, linux.Errno) {
	total := src.Len()
	if total == 0 {
		return 0, 0 // before a look at the readers, as Linux
	}
	p.mu.Lock()
	if p.readers == 0 {
		p.mu.Unlock()
		return 0, linux.EPIPE
	}
	done, errno := 0, linux.Errno(0)
	for done < total && errno == 0 {
		n := p.roomLocked(total-done, total, packets)
		if n == 0 {
			errno = linux.EAGAIN
			break
		}
		n, errno = p.ring.CopyIn(src, n)
		if packets && n > 0 {
			p.packets = append(p.packets, packet{p.ring.W - uint64(n), p.ring.W})
		}
		done += n
	}
	p.mu.Unlock()
	if done == 0 {
		return 0, errno
	}
	// Not only after the first byte: edge-triggered watchers hear of every write, as on Linux since 5.14.
	p.queue.Notify(wait.Readable)
	return done, 0
}

func someOr(done int, errno linux.Errno) (int, linux.Errno) {
	if done > 0 {
		return done, 0
	}
	return 0, errno
}

// roomLocked says how many of the left bytes of a write of total bytes may go in now.
func (p *Pipe) roomLocked(left, total int, packets bool) int {
	free := p.capacity - p.used()
	switch {
	case p.filling:
		return 0
	case packets:
		n := min(left, PIPE_BUF)
		if free < n || len(p.packets) >= p.capacity/linux.PageSize {
			return 0
		}
		return n
	case total <= PIPE_BUF:
		if free < left {
			return 0
		}
		return left
	default:
		return min(left, free)
	}
}

// Queued is what FIONREAD reports.
func (p *Pipe) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used()
}

// Size is fcntl(F_GETPIPE_SZ).
func (p *Pipe) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.capacity
}

// SetSize is fcntl(F_SETPIPE_SZ): the size is rounded up to a power of two of pages and returned.
func (p *Pipe) SetSize(c *vfs.Caller, size uint64) (int, linux.Errno) {
	if size > 1<<31 {
		return 0, linux.EINVAL
	}
	n := linux.PageSize
	for uint64(n) < size {
		n *= 2
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > p.capacity && n > MaxSize && !c.Creds.HasCap(linux.CAP_SYS_RESOURCE) {
		return 0, linux.EPERM
	}
	if n > hardMaxSize {
		return 0, linux.ENOMEM
	}
	if p.used() > n || len(p.packets) > n/linux.PageSize || p.filling || p.draining {
		return 0, linux.EBUSY
	}
	wasFull := p.fullLocked()
	if p.ring.Cap() > n {
		p.ring.Resize(n)
	}
	p.capacity = n
	if wasFull && !p.fullLocked() {
		p.queue.Notify(wait.Writable)
	}
	return n, 0
}
