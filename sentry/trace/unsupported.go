// Package trace lets a sandbox explain itself: it counts what guests asked for and did not get, and has the
// pieces of strace's output format (quoted strings, flag words, structures).
//
// It stands low, on linux/ alone, so that every part of the sentry can count. Which calls are traced and how
// their arguments are printed is sentry/syscalls' business, which knows the table.
package trace

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Kind is what sort of thing was asked for.
type Kind uint8

// The kinds.
const (
	Syscall Kind = iota
	Flag
	Ioctl
	SockOpt
	Prctl
	ProcPath
	Fcntl
	numKinds
)

var kindNames = [numKinds]string{"syscall", "flag", "ioctl", "sockopt", "prctl", "path", "fcntl"}

// String is the kind's word in listings.
func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Limits keep a guest from growing the table without end: what comes after maxEntries different things is only
// counted as a whole, and names are cut.
const (
	maxEntries = 1024
	maxName    = 96
	maxComm    = 16
)

type missKey struct {
	kind       Kind
	name, comm string
}

// Miss is one thing that a program asked for and this kernel does not have.
type Miss struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Comm  string `json:"comm"` // the program's name
	Count uint64 `json:"count"`
}

var misses struct {
	mu       sync.Mutex // a leaf lock, guards the fields below
	counts   map[missKey]uint64
	heard    map[missKey]bool // without the program's name: what onFirst has been told
	overflow uint64
	onFirst  func(kind Kind, name, comm string)
}

// Unsupported counts that the program comm asked for name and did not get it. It is for paths that fail, not
// for hot ones: one lock and one map access.
func Unsupported(kind Kind, name, comm string) {
	key := missKey{kind, name[:min(len(name), maxName)], comm[:min(len(comm), maxComm)]}
	misses.mu.Lock()
	n, known := misses.counts[key]
	if !known && len(misses.counts) >= maxEntries {
		misses.overflow++
		misses.mu.Unlock()
		return
	}
	if !known {
		// The strings may be slices of larger ones, and stay for good.
		key.name, key.comm = strings.Clone(key.name), strings.Clone(key.comm)
		if misses.counts == nil {
			misses.counts, misses.heard = map[missKey]uint64{}, map[missKey]bool{}
		}
	}
	misses.counts[key] = n + 1
	thing := missKey{kind: kind, name: key.name}
	first := misses.onFirst
	if misses.heard[thing] {
		first = nil
	} else {
		misses.heard[thing] = true // at most one for each entry of counts
	}
	misses.mu.Unlock()
	if first != nil {
		first(kind, key.name, key.comm)
	}
}

// Unsupportedf is Unsupported with a formatted name.
func Unsupportedf(kind Kind, comm, format string, args ...any) {
	Unsupported(kind, fmt.Sprintf(format, args...), comm)
}

// OnFirst makes f hear of each thing when it is asked for the first time, by whichever program, for the log. f takes no locks of
// the sentry.
func OnFirst(f func(kind Kind, name, comm string)) {
	misses.mu.Lock()
	defer misses.mu.Unlock()
	misses.onFirst = f
}

// Misses lists what was counted, the most frequent first; overflow counts what found no place in the table.
func Misses() (list []Miss, overflow uint64) {
	misses.mu.Lock()
	for k, n := range misses.counts {
		list = append(list, Miss{Kind: k.kind.String(), Name: k.name, Comm: k.comm, Count: n})
	}
	overflow = misses.overflow
	misses.mu.Unlock()
	slices.SortFunc(list, func(a, b Miss) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Comm, b.Comm))
	})
	return list, overflow
}

// Report writes the list as `--debug` prints it at exit; it writes nothing when nothing was missed.
func Report(w io.Writer) error {
	list, overflow := Misses()
	if len(list) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "unsupported things that programs asked for:"); err != nil {
		return err
	}
	for _, m := range list {
		if _, err := fmt.Fprintf(w, "%8d  %-8s %-32s %s\n", m.Count, m.Kind, Printable(m.Name), Printable(m.Comm)); err != nil {
			return err
		}
	}
	if overflow > 0 {
		_, err := fmt.Fprintf(w, "%8d  others, after the first %d different ones\n", overflow, maxEntries)
		return err
	}
	return nil
}

// Reset forgets everything, for tests.
func Reset() {
	misses.mu.Lock()
	defer misses.mu.Unlock()
	misses.counts, misses.heard, misses.overflow, misses.onFirst = nil, nil, 0, nil
}
