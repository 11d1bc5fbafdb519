package vfs

import (
	"sync/atomic"
	"time"

	"hornwork/linux"
)

// lastNow is the latest result of Now, for decisions that need the time only roughly.
var lastNow atomic.Int64

// Now returns the real time in nanoseconds since the epoch, as timestamps of files have it.
func Now() int64 {
	n := time.Now().UnixNano()
	lastNow.Store(n)
	return n
}

const relatimeNS = int64(24 * time.Hour)

// touchAtime notes an access of i through m, as the mount's atime flags say.
func touchAtime(m *Mount, i *Inode) {
	if i.SB.NoAtime {
		return
	}
	fl := m.flags.Load()
	if fl&(linux.MS_NOATIME|linux.MS_RDONLY) != 0 || i.SB.ReadOnly() {
		return
	}
	a := i.Attr()
	if fl&linux.MS_NODIRATIME != 0 && a.Mode.Load()&linux.S_IFMT == linux.S_IFDIR {
		return
	}
	at := a.Atime.Load()
	if fl&linux.MS_RELATIME != 0 && at > a.Mtime.Load() && at > a.Ctime.Load() && lastNow.Load()-at < relatimeNS {
		return
	}
	a.Atime.Store(Now())
}

// touched is touchAtime after a read of f.
func (f *File) touched() {
	if f.Flags()&linux.O_NOATIME == 0 {
		touchAtime(f.Path.Mount, f.Inode())
	}
}

// Touch sets the modification and change times to now, as writing a file or changing a directory does.
func (a *Attr) Touch() {
	n := Now()
	a.Mtime.Store(n)
	a.Ctime.Store(n)
}

// TouchChange sets the change time to now.
func (a *Attr) TouchChange() { a.Ctime.Store(Now()) }

// Statx timestamps.
func statxTime(ns int64) linux.StatxTimestamp {
	sec, nsec := ns/1e9, ns%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return linux.StatxTimestamp{Sec: sec, Nsec: uint32(nsec)}
}
