package task

import "math/bits"

// fdBits is a bitmap over descriptors, with a summary: bit i of full says that word i has no clear bit. So the
// lowest free one of a million descriptors is found by looking at 256 words at most.
type fdBits struct {
	words []uint64
	full  []uint64
}

func (b *fdBits) grow(n int) {
	words := make([]uint64, (n+63)/64)
	copy(words, b.words)
	full := make([]uint64, (len(words)+63)/64)
	copy(full, b.full)
	b.words, b.full = words, full
}

func (b *fdBits) get(i int32) bool {
	w := int(i >> 6)
	return w < len(b.words) && b.words[w]&(1<<(i&63)) != 0
}

// put changes a bit that there is room for; clearing one beyond the room does nothing.
func (b *fdBits) put(i int32, v bool) {
	w := int(i >> 6)
	if w >= len(b.words) && !v {
		return
	}
	if v {
		b.words[w] |= 1 << (i & 63)
	} else {
		b.words[w] &^= 1 << (i & 63)
	}
	if b.words[w] == ^uint64(0) {
		b.full[w>>6] |= 1 << (w & 63)
	} else {
		b.full[w>>6] &^= 1 << (w & 63)
	}
}

// nextClear is the first clear bit from i on, possibly beyond the room.
func (b *fdBits) nextClear(i int32) int32 {
	w := int(i >> 6)
	if w >= len(b.words) {
		return i
	}
	if x := ^b.words[w] &^ (1<<(i&63) - 1); x != 0 {
		return int32(w<<6 + bits.TrailingZeros64(x))
	}
	w++
	for s := w >> 6; s < len(b.full); s++ {
		x := ^b.full[s]
		if s == w>>6 {
			x &^= 1<<(w&63) - 1
		}
		if x == 0 {
			continue
		}
		if w = s<<6 + bits.TrailingZeros64(x); w >= len(b.words) {
			break
		}
		return int32(w<<6 + bits.TrailingZeros64(^b.words[w]))
	}
	return int32(max(len(b.words)<<6, int(i)))
}

// nextSet is the first set bit from i on, -1 if none.
func (b *fdBits) nextSet(i int32) int32 {
	for w := int(i >> 6); w < len(b.words); w++ {
		x := b.words[w]
		if w == int(i>>6) {
			x &^= 1<<(i&63) - 1
		}
		if x != 0 {
			return int32(w<<6 + bits.TrailingZeros64(x))
		}
	}
	return -1
}

// last is the highest set bit, -1 if none.
func (b *fdBits) last() int32 {
	for w := len(b.words) - 1; w >= 0; w-- {
		if b.words[w] != 0 {
			return int32(w<<6 + bits.Len64(b.words[w]) - 1)
		}
	}
	return -1
}
