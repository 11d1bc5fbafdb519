package vfs

import (
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/lib/ref"
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/usermem"
)

// File is an open file description: what descriptors refer to. It counts references; the last Put
// releases the operations.
type File struct {
	Ops   FileOps
	Path  Path              // where it was opened; for pipes, sockets and the like a dentry of an internal mount
	Creds *cred.Credentials // of the opener
	refs  ref.Count
	flags atomic.Uint32 // status flags and access mode of open(2)

	pos    rank.Mutex[rank.FilePos] // serialises reads and writes that use the offset
	offset int64

	seekable bool // Ops.Seekable
	stream   bool // reads and writes get no offset: not seekable, or OwnOffset
	state    fileState
	hooks    atomic.Pointer[[]ReleaseHook] // replaced as a whole
}

// FileOps is what an open file does. Operations never sleep, except those that take a Caller and say so:
// where data is not there yet they return EAGAIN, and the caller's syscall layer waits on EventRegister.
// Embed DefaultFile for the operations that a kind lacks.
type FileOps interface {
	wait.Waitable
	// Read fills dst from offset off (-1: a stream without offset). Returns 0 bytes at the end.
	Read(c *Caller, f *File, dst *usermem.Seq, off int64) (int, linux.Errno)
	// Write stores src at off (-1: a stream). For O_APPEND the file finds the offset itself and reports the
	// offset after the data as end; else end is off+n.
	Write(c *Caller, f *File, src *usermem.Seq, off int64) (n int, end int64, errno linux.Errno)
	// Seek computes lseek(2) from the present offset; ESPIPE for streams.
	Seek(c *Caller, f *File, cur, off int64, whence int) (int64, linux.Errno)
	// ReadDir emits entries from position pos (0 at first, then what emit got as next) until emit returns false.
	// "." and ".." are among them: EmitDots makes both, at positions 0 and 1.
	ReadDir(c *Caller, f *File, pos int64, emit func(DirEntry) bool) linux.Errno
	Ioctl(c *Caller, f *File, mem usermem.Memory, cmd uint32, arg uint64) (uint64, linux.Errno)
	Sync(c *Caller, f *File, dataOnly bool) linux.Errno
	Fallocate(c *Caller, f *File, mode uint32, off, length int64) linux.Errno
	// Flush runs at each close(2) of a descriptor; Release after the last reference.
	Flush(c *Caller, f *File) linux.Errno
	Release(f *File)
	// Seekable says whether reads and writes have an offset.
	Seekable() bool
}

// OwnOffset is implemented by operations of seekable files whose offset is not ours alone: host files that the
// sandbox shares with other host processes. read(2) and write(2) then get offset -1, as for streams; lseek(2),
// pread(2) and pwrite(2) are as for any file.
type OwnOffset interface{ OwnOffset() bool }

// DirEntry is one entry of a directory as getdents64(2) shows it. Next is the position after it.
type DirEntry struct {
	Name string
	Ino  uint64
	Type uint8 // linux.DT_*
	Next int64
}

// DefaultFile has an errno or a neutral answer for every operation of FileOps: embed it.
type DefaultFile struct{}

func (DefaultFile) Readiness(mask wait.Events) wait.Events {
	return mask & (wait.Readable | wait.Writable)
}
func (DefaultFile) EventRegister(*wait.Entry)   {}
func (DefaultFile) EventUnregister(*wait.Entry) {}
func (DefaultFile) Read(*Caller, *File, *usermem.Seq, int64) (int, linux.Errno) {
	return 0, linux.EINVAL
}
func (DefaultFile) Write(*Caller, *File, *usermem.Seq, int64) (int, int64, linux.Errno) {
	return 0, 0, linux.EINVAL
}
func (DefaultFile) Seek(*Caller, *File, int64, int64, int) (int64, linux.Errno) {
	return 0, linux.ESPIPE
}
func (DefaultFile) ReadDir(*Caller, *File, int64, func(DirEntry) bool) linux.Errno {
	return linux.ENOTDIR
}
func (DefaultFile) Ioctl(*Caller, *File, usermem.Memory, uint32, uint64) (uint64, linux.Errno) {
	return 0, linux.ENOTTY
}
func (DefaultFile) Sync(*Caller, *File, bool) linux.Errno { return linux.EINVAL }
func (DefaultFile) Fallocate(*Caller, *File, uint32, int64, int64) linux.Errno {
	return linux.EOPNOTSUPP
}
func (DefaultFile) Flush(*Caller, *File) linux.Errno { return 0 }
func (DefaultFile) Release(*File)                    {}
func (DefaultFile) Seekable() bool                   { return false }

// Flags returns the status flags and the access mode.
func (f *File) Flags() uint32 { return f.flags.Load() }

// Get takes a reference.
func (f *File) Get() *File { f.refs.Get(); return f }

// TryGet takes a reference unless the file is gone already.
func (f *File) TryGet() bool { return f.refs.TryGet() }

// Readable says whether the access mode lets the holder read.
func (f *File) Readable() bool {
	a := f.Flags() & (linux.O_ACCMODE | linux.O_PATH)
	return a == linux.O_RDONLY || a == linux.O_RDWR
}

// Writable says whether the access mode lets the holder write.
func (f *File) Writable() bool {
	a := f.Flags() & (linux.O_ACCMODE | linux.O_PATH)
	return a == linux.O_WRONLY || a == linux.O_RDWR
}

// Inode returns the file's inode; never nil (pipes and sockets have inodes of internal filesystems).
func (f *File) Inode() *Inode { return f.Path.Dentry.Inode() }
