// Package ref counts references to what the guest can see being released: open files, mounts,
// address spaces, namespaces, pages of the memory file. All else is the garbage collector's.
package ref

import "sync/atomic"

// Count is a reference count; its zero value holds one reference.
type Count struct{ extra atomic.Int64 }

// Get takes another reference. The caller must already hold one.
func (c *Count) Get() {
	if c.extra.Add(1) <= 0 {
		panic("ref: Get after the last Put")
	}
}

// TryGet takes a reference unless the last one is gone, for caches that hold none of their own.
func (c *Count) TryGet() bool {
	for {
		n := c.extra.Load()
		if n < 0 {
			return false
		}
		if c.extra.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Put drops a reference and says whether it was the last.
func (c *Count) Put() bool {
	n := c.extra.Add(-1)
	if n < -1 {
		panic("ref: Put without a reference")
	}
	return n == -1
}

// Load returns the present number of references, for tests and displays.
func (c *Count) Load() int64 { return c.extra.Load() + 1 }
