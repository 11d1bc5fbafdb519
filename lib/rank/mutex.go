//go:build !lockrank

package rank

import "sync"

// Mutex is a mutual exclusion lock of class C.
type Mutex[C any] struct{ mu sync.Mutex }

// Lock takes the lock.
func (m *Mutex[C]) Lock() { m.mu.Lock() }

// LockNested takes a second lock of a class that the goroutine holds; the caller states the inner order.
func (m *Mutex[C]) LockNested() { m.mu.Lock() }

// TryLock takes the lock if nobody has it.
func (m *Mutex[C]) TryLock() bool { return m.mu.TryLock() }

// Unlock gives the lock back.
func (m *Mutex[C]) Unlock() { m.mu.Unlock() }

// RWMutex is a reader/writer lock of class C.
type RWMutex[C any] struct{ mu sync.RWMutex }

// Lock takes the lock for writing.
func (m *RWMutex[C]) Lock() { m.mu.Lock() }

// LockNested is Lock for a second lock of a class that the goroutine holds.
func (m *RWMutex[C]) LockNested() { m.mu.Lock() }

// Unlock gives the write lock back.
func (m *RWMutex[C]) Unlock() { m.mu.Unlock() }

// RLock takes the lock for reading.
func (m *RWMutex[C]) RLock() { m.mu.RLock() }

// RUnlock gives a read lock back.
func (m *RWMutex[C]) RUnlock() { m.mu.RUnlock() }
