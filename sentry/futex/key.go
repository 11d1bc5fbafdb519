// Package futex has the queues behind futex(2): plain and bitset waits, requeue, priority inheritance.
// It is Linux's kernel/futex without the tasks: a waiter is a Waiter with a Waker, an owner of a PI futex
// is an Owner, and guest words are reached through Memory.
//
// Locks: a bucket's lock (rank.Futex) is taken before the address space's, because values are compared with
// the bucket locked. Two buckets are locked in the order of their indexes.
package futex

// Key names a futex independently of the address that it is reached by.
//
// Private futexes: Space is the address space's number (never 0), Offset the address. Shared ones: Space is
// 0; Dev and Ino name the file (or, for anonymous shared memory and tmpfs, Dev is 0 and Ino is 0 and Offset
// is the offset in the memory file), Offset is the byte's offset there.
type Key struct {
	Space    uint64
	Dev, Ino uint64
	Offset   uint64
}

func (k Key) hash() uint64 {
	h := k.Offset>>2*0x9e3779b97f4a7c15 ^ k.Space*0xbf58476d1ce4e5b9 ^ k.Ino*0x94d049bb133111eb ^ k.Dev
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
