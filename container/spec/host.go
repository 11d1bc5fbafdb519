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
	return min(info.Totalram*uint64(info.Unit), cgroupLimit(cgroups, ownCgroups(), "memory", "memory.max", "memory.limit_in_bytes"))
}

// HostTasks is how many threads of the host a sandbox may take: three quarters of what the caller can have, so that
// no guest keeps others from making any.
func HostTasks() int {
	most := cgroupLimit(cgroups, ownCgroups(), "pids", "pids.max", "pids.max")
	for _, name := range []string{"pid_max", "threads-max"} {
		if n, ok := readNumber("/proc/sys/kernel/" + name); ok {
			most = min(most, n)
		}
	}
	var l unix.Rlimit
	if os.Geteuid() != 0 && unix.Getrlimit(unix.RLIMIT_NPROC, &l) == nil {
		most = min(most, l.Cur)
	}
	return int(max(min(most, 1<<22)/4*3, 64))
}

const cgroups = "/sys/fs/cgroup"

func ownCgroups() string {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "" // no control groups, no limits
	}
	return string(b)
}

// readNumber reads a file of one number; "max" is none.
func readNumber(name string) (uint64, bool) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// cgroupLimit is the least limit of the group that own (as /proc/self/cgroup) names and of those above it: of the file
// v2, or of v1 in the hierarchy of a controller of version 1.
func cgroupLimit(mount, own, controller, v2, v1 string) uint64 {
	least := ^uint64(0)
	for line := range strings.Lines(own) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		file, dir := v2, mount
		if part[1] == controller {
			file, dir = v1, filepath.Join(mount, controller)
		} else if part[1] != "" {
			continue
		}
		for group := filepath.Join("/", part[2]); ; group = filepath.Dir(group) {
			if n, ok := readNumber(filepath.Join(dir, group, file)); ok {
				least = min(least, n)
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}
