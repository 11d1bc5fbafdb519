package ptrace

import (
	"sync"
	"time"
)

// stopwatch adds up spans of time, which may overlap; those that have not ended count up to now.
type stopwatch struct {
	mu      sync.Mutex // a leaf lock, guards the fields below
	done    int64      // ns of the ended spans, less the starts of the others
	running int64
}

var epoch = time.Now()

func (w *stopwatch) start() { w.add(-int64(time.Since(epoch)), 1) }
func (w *stopwatch) stop()  { w.add(int64(time.Since(epoch)), -1) }

func (w *stopwatch) add(ns, spans int64) {
	w.mu.Lock()
	w.done += ns
	w.running += spans
	w.mu.Unlock()
}

// sum is the length of all spans in nanoseconds.
func (w *stopwatch) sum() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done + w.running*int64(time.Since(epoch))
}
