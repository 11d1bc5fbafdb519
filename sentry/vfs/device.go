package vfs

import (
	"sync"

	"hornwork/linux"
)

// DeviceOpener makes the operations of an opened device node.
type DeviceOpener func(c *Caller, p Path, flags uint32) (FileOps, linux.Errno)

type deviceKey struct {
	kind         uint32
	major, minor uint32
}

var devices struct {
	sync.RWMutex // a leaf
	m            map[deviceKey]DeviceOpener
}

// RegisterDevice says who opens the device nodes of a number; kind is linux.S_IFCHR or S_IFBLK. A second
// registration replaces the first.
func RegisterDevice(kind, major, minor uint32, open DeviceOpener) {
	devices.Lock()
	defer devices.Unlock()
	if devices.m == nil {
		devices.m = map[deviceKey]DeviceOpener{}
	}
	devices.m[deviceKey{kind, major, minor}] = open
}

// OpenFIFO opens a named pipe; package fs/pipe sets it. It may wait for the other end (Caller.Blocker).
var OpenFIFO func(c *Caller, i *Inode, p Path, flags uint32) (FileOps, linux.Errno)

func openDevice(c *Caller, i *Inode, p Path, flags uint32) (FileOps, linux.Errno) {
	dev := i.Attr().Rdev.Load()
	devices.RLock()
	open := devices.m[deviceKey{i.Type(), Major(dev), Minor(dev)}]
	devices.RUnlock()
	if open == nil {
		return nil, linux.ENXIO
	}
	return open(c, p, flags)
}

// Major, Minor and MakeDev take a dev_t of system calls apart and make one.
func Major(dev uint64) uint32 { return uint32(dev>>8&0xfff | dev>>32&^0xfff) }

// Minor returns the minor number of a dev_t.
func Minor(dev uint64) uint32 { return uint32(dev&0xff | dev>>12&^0xff) }

// MakeDev returns the dev_t of a device number.
func MakeDev(major, minor uint32) uint64 {
	ma, mi := uint64(major), uint64(minor)
	return ma&0xfff<<8 | ma&^0xfff<<32 | mi&0xff | mi&^0xff<<12
}
