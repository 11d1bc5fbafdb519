package unix

import (
	"sync/atomic"

	"hornwork/sentry/vfs"
)

// The collector finds sockets that are only referred to by messages that nobody can receive: a socket sent over
// itself and closed, and longer cycles. It does what Linux's unix_gc does.
//
// It holds flying's lock throughout, so that nothing takes off or lands meanwhile. Then a file all of whose
// references are in flight cannot get others. Sockets' locks rank before flying's: the collector only tries them,
// and comes back another time.

// flight is a socket's file in flight, n times.
type flight struct {
	file *vfs.File
	n    int64
}

// took and landed count the sockets among files. flying's lock is held.
func took(files []*vfs.File) {
	for _, f := range files {
		s, ok := f.Ops.(*Socket)
		if !ok {
			continue
		}
		if flying.sockets == nil {
			flying.sockets = map[*Socket]*flight{}
		}
		if flying.sockets[s] == nil {
			flying.sockets[s] = &flight{file: f}
		}
		flying.sockets[s].n++
	}
}

func landed(files []*vfs.File) {
	for _, f := range files {
		s, ok := f.Ops.(*Socket)
		if !ok {
			continue
		}
		if fl := flying.sockets[s]; fl.n > 1 {
			fl.n--
		} else {
			delete(flying.sockets, s)
		}
	}
}

var collecting atomic.Bool

// collectSoon starts the collector if any socket is in flight. It runs on its own, as closing what it finds comes
// back here.
func collectSoon() {
	flying.Lock()
	idle := len(flying.sockets) == 0
	flying.Unlock()
	if idle || collecting.Swap(true) {
		return
	}
	go func() {
		collect()
		collecting.Store(false)
	}()
}

// collect drops what is in the queues of unreachable sockets.
func collect() {
	for _, r := range unreachable() {
		for _, f := range r {
			f.Put()
		}
	}
}

func unreachable() (dropped [][]*vfs.File) {
	flying.Lock()
	defer flying.Unlock()
	// Candidates have no reference but those in flight; outside counts those that do not come from candidates.
	outside := map[*Socket]int64{}
	for s, fl := range flying.sockets {
		if fl.file.Refs() == fl.n {
			outside[s] = fl.n
		}
	}
	children := map[*Socket][]*rights{}
	for s := range outside {
		rs, ok := s.queuedRights()
		if !ok {
			return nil // somebody uses it just now
		}
		children[s] = rs
	}
	each := func(s *Socket, f func(child *Socket)) {
		for _, r := range children[s] {
			for _, file := range r.files {
				if child, ok := file.Ops.(*Socket); ok {
					f(child)
				}
			}
		}
	}
	for s := range children {
		each(s, func(child *Socket) {
			if _, ok := outside[child]; ok {
				outside[child]--
			}
		})
	}
	// What can be received, and what can be received through that, lives.
	var live []*Socket
	for s, n := range outside {
		if n > 0 {
			live = append(live, s)
		}
	}
	for len(live) > 0 {
		s := live[len(live)-1]
		live = live[:len(live)-1]
		if _, ok := outside[s]; !ok {
			continue
		}
		delete(outside, s)
		each(s, func(child *Socket) { live = append(live, child) })
	}
	for s := range outside {
		for _, r := range children[s] {
			dropped = append(dropped, r.landLocked())
		}
	}
	return dropped
}

// queuedRights are the files in the receive queues of s and of the connections that wait in its backlog. ok is false
// if a lock is taken.
func (s *Socket) queuedRights() (out []*rights, ok bool) {
	if !s.mu.TryLock() {
		return nil, false
	}
	defer s.mu.Unlock()
	for i := range s.marks {
		if r := s.marks[i].files; r != nil {
			out = append(out, r)
		}
	}
	for _, m := range s.msgs {
		if m.files != nil {
			out = append(out, m.files)
		}
	}
	for _, b := range s.backlog {
		more, ok := b.queuedRights()
		if !ok {
			return nil, false
		}
		out = append(out, more...)
	}
	return out, true
}
