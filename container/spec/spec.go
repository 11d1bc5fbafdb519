// Package spec turns what people write (flags, an OCI bundle's config.json) into a kernel.Config.
package spec

import (
	"strings"

	"golang.org/x/sys/unix"

	"hornwork/linux"
	"hornwork/sentry/kernel"
)

// AllCaps has a bit for every capability of Linux 6.6.
const AllCaps = uint64(1)<<(linux.CAP_LAST_CAP+1) - 1

// DefaultMounts are the kernel's own file systems where Linux programs look for them.
func DefaultMounts() []kernel.Mount {
	return []kernel.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "nodev", "noexec"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "nodev", "noexec", "ro"}},
		{Destination: "/dev", Type: "dev", Source: "dev", Options: []string{"nosuid", "mode=755"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "nodev", "mode=1777"}},
	}
}

// SetEnv puts kv into env, in place of an earlier value of the same name.
func SetEnv(env []string, kv string) []string {
	k, _, _ := strings.Cut(kv, "=")
	for i, e := range env {
		if strings.HasPrefix(e, k+"=") {
			env[i] = kv
			return env
		}
	}
	return append(env, kv)
}

// HostUmask reads the caller's file creation mask.
func HostUmask() uint32 {
	m := unix.Umask(0)
	unix.Umask(m)
	return uint32(m)
}

// HostRlimits are the caller's limits, which the sandbox's first process inherits.
func HostRlimits() map[int]linux.Rlimit {
	m := map[int]linux.Rlimit{}
	for r := range int(linux.RLIM_NLIMITS) {
		var l unix.Rlimit
		if err := unix.Getrlimit(r, &l); err == nil {
			m[r] = linux.Rlimit{Cur: l.Cur, Max: l.Max}
		}
	}
	return m
}
