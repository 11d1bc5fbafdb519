// Package anon has what files without a name share: the internal filesystem "anon_inodefs" whose files show as
// "anon_inode:[eventfd]" and the like, and the small loads and stores of their ioctls.
package anon

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

var fs = vfs.NewAnonFS("anon_inodefs", linux.ANON_INODE_FS_MAGIC)

// FS returns anon_inodefs, for files that are made elsewhere (pidfds).
func FS() *vfs.AnonFS { return fs }

// File is vfs.DefaultFile for anonymous inodes: lseek(2) on them succeeds and means nothing (noop_llseek).
type File struct{ vfs.DefaultFile }

// Seek implements vfs.FileOps.
func (File) Seek(*vfs.Caller, *vfs.File, int64, int64, int) (int64, linux.Errno) { return 0, 0 }

// NewFile makes a file that shows as "anon_inode:" and name: "[eventfd]", but "inotify" without brackets, as on Linux.
// flags are the access mode and O_NONBLOCK.
func NewFile(c *vfs.Caller, name string, ops vfs.FileOps, flags uint32) *vfs.File {
	return vfs.NewAnonFile(c, fs, "anon_inode:"+name, 0o600, ops, flags)
}

// StoreInt stores an int at a guest's address, as ioctls answer.
func StoreInt(mem usermem.Memory, addr uint64, v int32) linux.Errno {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(v))
	_, errno := mem.CopyOut(addr, b[:])
	return errno
}

// LoadInt loads an int from a guest's address.
func LoadInt(mem usermem.Memory, addr uint64) (int32, linux.Errno) {
	var b [4]byte
	if _, errno := mem.CopyIn(b[:], addr); errno != 0 {
		return 0, errno
	}
	return int32(binary.LittleEndian.Uint32(b[:])), 0
}
