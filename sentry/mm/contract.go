package mm

import (
	"hornwork/lib/wait"
	"hornwork/linux"
)

// Backing is where the bytes of a mapped file are.
type Backing struct {
	FD     int32  // host descriptor, or the memory file's
	Mem    bool   // the memory file: Offset is an extent that Backing holds a reference on, to be Put by the taker
	Offset uint64 // in that descriptor
	Len    uint64 // may be shorter or longer than asked, page aligned, at least a page
	// Prot is what the descriptor allows (PROT_WRITE only if writes through a shared mapping may reach it).
	Write bool
}

// Mapping is told when the bytes behind a mapped file move or go away (truncate, hole punch, copy-up).
type Mapping interface {
	// Invalidate drops what the stubs have mapped of file range [off, off+length); later accesses fault again.
	Invalidate(off, length uint64)
	// Truncated does so for all from off on, a page boundary; private copies of those pages go too.
	Truncated(off uint64)
	// SharedWritable says whether writes may reach the file now or after mprotect(2): F_SEAL_WRITE waits for that.
	SharedWritable() bool
}

// AnonymousFile is an open file whose mappings are new anonymous memory: /dev/zero.
type AnonymousFile interface {
	MapsAnonymous() bool
}

// MappedFile is an open file that can be mapped; FileOps implement it where mmap(2) works.
//
// All methods are called without mm's locks, but from inside CopyIn, CopyOut, Pin and the like: they must not take a
// lock that their owner holds while it copies to or from guest memory, or a file that is read into its own mapping
// deadlocks.
type MappedFile interface {
	// Backing finds the bytes at off (page aligned) for up to length bytes; write says that a shared mapping is
	// to be written. A page wholly beyond the end of the file is linux.ENXIO (the guest gets SIGBUS).
	Backing(off, length uint64, write bool) (Backing, linux.Errno)
	// RemoveMapping is called once for each AddMapping, with the same arguments.
	AddMapping(m Mapping, off, length uint64)
	RemoveMapping(m Mapping, off, length uint64)
	// Identity for futexes and /proc/pid/maps: the same for every open of one inode.
	MapIdentity() (dev, ino uint64)
	// ReadAt reads bytes of the file for the sentry where Backing is not the memory file.
	ReadAt(b []byte, off uint64) (int, linux.Errno)
}

// MappedWriter is a MappedFile that may be written through shared mappings without being in the memory file.
type MappedWriter interface {
	// WriteAt stores bytes inside the present size of the file; it never makes it longer.
	WriteAt(b []byte, off uint64) (int, linux.Errno)
}

// Syncer is a FileRef or MappedFile that can do what msync(MS_SYNC) asks for.
type Syncer interface {
	SyncRange(off, length uint64) linux.Errno
}

// FileRef keeps a mapped file alive: *vfs.File through an adapter in sentry/syscalls.
type FileRef interface {
	GetRef()
	PutRef()
	Mapped() MappedFile
	// PathName is the text in /proc/pid/maps.
	PathName() string
}

// Blocker is the caller of operations that may wait.
type Blocker = wait.Blocker
