package spec

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HostMemory is how much memory a sandbox can have: that of the machine, or less where a control group of the caller
// has a limit. Zero means unknown.
func HostMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		own = nil // no control groups, no limits
	}
	return min(info.Totalram*uint64(info.Unit), cgroupMemory("/sys/fs/cgroup", string(own)))
}

// cgroupMemory is the least limit of the group that own (as /proc/self/cgroup) names and of those above it.
func cgroupMemory(mount, own string) uint64 {
	least := ^uint64(0)
	for line := range strings.Lines(own) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		file, dir := "memory.max", mount
		if part[1] == "memory" { // version 1
			file, dir = "memory.limit_in_bytes", filepath.Join(mount, "memory")
		} else if part[1] != "" {
			continue
		}
		for group := filepath.Join("/", part[2]); ; group = filepath.Dir(group) {
			if b, err := os.ReadFile(filepath.Join(dir, group, file)); err == nil {
				if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil { // else "max"
					least = min(least, n)
				}
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}
