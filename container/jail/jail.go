// Package jail takes away from the sentry and from the gofer all that they do not need, after they have opened what
// they need: the root file system, capabilities, and host system calls.
//
// The launcher has put the process into fresh namespaces. The order inside is: EmptyRoot, Unprivileged, and at
// the end Filter, after which only the calls of the list can be made, by any thread.
package jail

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// EmptyRoot replaces the root by an empty, read-only directory that nobody else sees. It needs a mount namespace of
// its own and CAP_SYS_ADMIN there.
func EmptyRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	var err error
	for _, dir := range []string{"/tmp", "/var", "/usr", "/etc"} {
		if err = unix.Mount("hornwork", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=4k,nr_inodes=2,mode=555"); err != nil {
			continue
		}
		if err = unix.Chdir(dir); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("mount an empty root: %w", err)
	}
	// pivot_root(".", ".") stacks the old root above the new one; detaching "." then takes it away.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir to the empty root: %w", err)
	}
	flags := uintptr(unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("", "/", "", flags, ""); err != nil {
		return fmt.Errorf("make the empty root read-only: %w", err)
	}
	return nil
}

// Unprivileged sets no_new_privs and leaves only the capabilities in keep, for every thread.
func Unprivileged(keep uint64) error {
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("set no_new_privs: %w", e)
	}
	type header struct {
		version uint32
		pid     int32
	}
	type data struct{ effective, permitted, inheritable uint32 }
	h := header{version: unix.LINUX_CAPABILITY_VERSION_3}
	d := [2]data{
		{effective: uint32(keep), permitted: uint32(keep)},
		{effective: uint32(keep >> 32), permitted: uint32(keep >> 32)},
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&d[0])), 0); e != 0 {
		return fmt.Errorf("drop capabilities: %w", e)
	}
	return nil
}

// RaiseFileLimit lets the process hold as many descriptors as the host allows it.
func RaiseFileLimit() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
}
