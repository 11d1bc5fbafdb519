//go:build lockrank

package rank

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"
)

// held maps a goroutine to the ranks it holds, in order of taking.
var held sync.Map // int64 → *[]int

func goid() int64 {
	var buf [64]byte
	b := buf[:runtime.Stack(buf[:], false)]
	b = b[len("goroutine "):]
	id, _ := strconv.ParseInt(string(b[:bytes.IndexByte(b, ' ')]), 10, 64)
	return id
}

func push[C any](nested bool) {
	r, name := classRank[C]()
	v, _ := held.LoadOrStore(goid(), new([]int))
	s := v.(*[]int)
	for _, h := range *s {
		if h > r || h == r && !nested {
			panic(fmt.Sprintf("rank: %s taken while holding %s", name, Order()[h]))
		}
	}
	*s = append(*s, r)
}

func pop[C any]() {
	r, name := classRank[C]()
	id := goid()
	v, ok := held.Load(id)
	if !ok {
		panic("rank: " + name + " released by a goroutine that does not hold it")
	}
	s := v.(*[]int)
	for i := len(*s) - 1; i >= 0; i-- {
		if (*s)[i] == r {
			*s = append((*s)[:i], (*s)[i+1:]...)
			if len(*s) == 0 {
				held.Delete(id)
			}
			return
		}
	}
	panic("rank: " + name + " released by a goroutine that does not hold it")
}

// Mutex is a mutual exclusion lock of class C.
type Mutex[C any] struct{ mu sync.Mutex }

// Lock takes the lock.
func (m *Mutex[C]) Lock() { push[C](false); m.mu.Lock() }

// LockNested takes a second lock of a class that the goroutine holds.
func (m *Mutex[C]) LockNested() { push[C](true); m.mu.Lock() }

// TryLock takes the lock if nobody has it; it cannot deadlock, so order is not checked.
func (m *Mutex[C]) TryLock() bool {
	if !m.mu.TryLock() {
		return false
	}
	push[C](true)
	return true
}

// Unlock gives the lock back.
func (m *Mutex[C]) Unlock() { m.mu.Unlock(); pop[C]() }

// RWMutex is a reader/writer lock of class C.
type RWMutex[C any] struct{ mu sync.RWMutex }

// Lock takes the lock for writing.
func (m *RWMutex[C]) Lock() { push[C](false); m.mu.Lock() }

// LockNested is Lock for a second lock of a class that the goroutine holds.
func (m *RWMutex[C]) LockNested() { push[C](true); m.mu.Lock() }

// Unlock gives the write lock back.
func (m *RWMutex[C]) Unlock() { m.mu.Unlock(); pop[C]() }

// RLock takes the lock for reading.
func (m *RWMutex[C]) RLock() { push[C](true); m.mu.RLock() }

// RUnlock gives a read lock back.
func (m *RWMutex[C]) RUnlock() { m.mu.RUnlock(); pop[C]() }
