package hostfile

import (
	"sync"

	"hornwork/host/sys"
	"hornwork/lib/wait"
	"hornwork/linux"
)

// poller is the goroutine that waits for all host descriptors. It exists from the first descriptor on and
// sleeps in the host until one is ready that somebody waits for: an idle sandbox costs nothing.
type poller struct {
	ep int32

	mu      sync.Mutex // a leaf, guards the fields below
	watches map[uint64]*watch
	last    uint64
}

var thePoller struct {
	once  sync.Once
	p     *poller
	errno linux.Errno
}

func startPoller() (*poller, linux.Errno) {
	t := &thePoller
	t.once.Do(func() {
		ep, errno := sys.EpollCreate()
		if errno != 0 {
			t.errno = errno
			return
		}
		t.p = &poller{ep: ep, watches: map[uint64]*watch{}}
		go t.p.run()
	})
	return t.p, t.errno
}

func (p *poller) run() {
	var evs [32]linux.EpollEvent
	for {
		n, errno := sys.EpollWait(p.ep, evs[:], -1)
		if errno != 0 {
			panic("hostfile: epoll_wait: " + errno.Name()) // the descriptor is ours alone
		}
		for _, e := range evs[:n] {
			p.mu.Lock()
			w := p.watches[uint64(e.Data[0])|uint64(e.Data[1])<<32]
			p.mu.Unlock()
			if w != nil {
				w.queue.Notify(wait.Events(e.Events) | more(wait.Events(e.Events)))
			}
		}
	}
}

// more adds the events that waiters may have asked for under another name.
func more(ev wait.Events) (m wait.Events) {
	if ev&wait.In != 0 {
		m |= wait.RdNorm
	}
	if ev&wait.Out != 0 {
		m |= wait.WrNorm
	}
	if ev&(wait.Err|wait.Hup) != 0 {
		m |= wait.Readable | wait.Writable // whoever sleeps for data must see the end
	}
	return m
}

// watch is the queue of one descriptor. The descriptor is in the epoll set while somebody waits, and only for
// the events that somebody waits for; edge-triggered, so that data which nobody takes wakes nobody twice.
type watch struct {
	fd    int32
	queue wait.Queue

	mu   sync.Mutex // guards the fields below; taken before poller.mu
	mask wait.Events
	id   uint64 // in poller.watches; 0: not in the epoll set
}

func (w *watch) init(fd int32) { w.fd = fd }

const hostEvents = wait.In | wait.Out | wait.Pri | wait.RdHup

// register starts notifications to e.
func (w *watch) register(e *wait.Entry) {
	w.queue.Add(e)
	w.mu.Lock()
	defer w.mu.Unlock()
	need := e.Mask & hostEvents
	if e.Mask&wait.RdNorm != 0 {
		need |= wait.In
	}
	if e.Mask&wait.WrNorm != 0 {
		need |= wait.Out
	}
	p, errno := startPoller()
	if errno != 0 {
		return // regular files are always ready, and nothing else was let in without a poller
	}
	op := sys.EPOLL_CTL_MOD // also when nothing is added: it reports what is ready already
	if w.id == 0 {
		op = sys.EPOLL_CTL_ADD
		w.mask = 0
		p.mu.Lock()
		p.last++
		w.id = p.last
		p.watches[w.id] = w
		p.mu.Unlock()
	}
	w.mask |= need
	if sys.EpollCtl(p.ep, op, w.fd, uint32(w.mask)|sys.EPOLLET, w.id) != 0 {
		w.dropLocked(p, false) // EPERM: always ready, nobody will sleep
	}
}

// unregister ends notifications to e.
func (w *watch) unregister(e *wait.Entry) {
	w.queue.Remove(e)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.id != 0 && w.queue.Empty() {
		w.dropLocked(thePoller.p, true)
	}
}

func (w *watch) dropLocked(p *poller, added bool) {
	if added {
		sys.EpollCtl(p.ep, sys.EPOLL_CTL_DEL, w.fd, 0, 0)
	}
	p.mu.Lock()
	delete(p.watches, w.id)
	p.mu.Unlock()
	w.id = 0
}

// stop takes the descriptor out of the epoll set before it is closed.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.id != 0 {
		w.dropLocked(thePoller.p, true)
	}
}
