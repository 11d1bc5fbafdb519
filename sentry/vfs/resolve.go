package vfs

import "hornwork/linux"

// WalkFlags say how a name is resolved.
type WalkFlags uint32

// Flags of a walk; those of openat2(2)'s resolve field are named after it.
const (
	Follow     WalkFlags = 1 << iota // a symbolic link at the end is followed
	Directory                        // the end must be a directory
	Empty                            // "" is the start itself (AT_EMPTY_PATH)
	Beneath                          // RESOLVE_BENEATH
	InRoot                           // RESOLVE_IN_ROOT
	NoXdev                           // RESOLVE_NO_XDEV
	NoMagic                          // RESOLVE_NO_MAGICLINKS
	NoSymlinks                       // RESOLVE_NO_SYMLINKS
	Cached                           // RESOLVE_CACHED
)

// ResolveFlags turns openat2(2)'s resolve field into walk flags.
func ResolveFlags(resolve uint64) (WalkFlags, linux.Errno) {
	const all = linux.RESOLVE_NO_XDEV | linux.RESOLVE_NO_MAGICLINKS | linux.RESOLVE_NO_SYMLINKS |
		linux.RESOLVE_BENEATH | linux.RESOLVE_IN_ROOT | linux.RESOLVE_CACHED
	if resolve&^all != 0 {
		return 0, linux.EINVAL
	}
	if resolve&linux.RESOLVE_BENEATH != 0 && resolve&linux.RESOLVE_IN_ROOT != 0 {
		return 0, linux.EINVAL
	}
	var fl WalkFlags
	for _, b := range [...]struct {
		bit uint64
		fl  WalkFlags
	}{
		{linux.RESOLVE_NO_XDEV, NoXdev}, {linux.RESOLVE_NO_MAGICLINKS, NoMagic},
		{linux.RESOLVE_NO_SYMLINKS, NoSymlinks}, {linux.RESOLVE_BENEATH, Beneath},
		{linux.RESOLVE_IN_ROOT, InRoot}, {linux.RESOLVE_CACHED, Cached},
	} {
		if resolve&b.bit != 0 {
			fl |= b.fl
		}
	}
	return fl, 0
}

// later is a stack of rests of paths. Few fit in place: a slice of the walker's own array would make the walker
// escape to the heap.
type later struct {
	few  [4]string
	more []string
	n    int
}

func (l *later) push(s string) {
	if l.n < len(l.few) {
		l.few[l.n] = s
	} else {
		l.more = append(l.more[:l.n-len(l.few)], s)
	}
	l.n++
}

func (l *later) pop() string {
	l.n--
	return l.at(l.n)
}

func (l *later) at(k int) string {
	if k < len(l.few) {
		return l.few[k]
	}
	return l.more[k-len(l.few)]
}
