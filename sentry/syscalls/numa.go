package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// The machine that guests see has one memory node, node 0. Policies are checked as Linux does; all come to the
// same.

const (
	mpolPreferredMany = 5 // MPOL_PREFERRED_MANY, the last mode of Linux 6.6
	mpolModeFlags     = linux.MPOL_F_STATIC_NODES | linux.MPOL_F_RELATIVE_NODES | linux.MPOL_F_NUMA_BALANCING
)

// loadNodes reads a node mask of maxnode-1 bits and says whether it has node 0. Nodes that do not exist are
// EINVAL.
func loadNodes(t *task.Task, mask Addr, maxnode uint64) (node0 bool, errno linux.Errno) {
	if mask == 0 || maxnode <= 1 {
		return false, 0
	}
	bits := maxnode - 1
	if bits > linux.PageSize*8 {
		return false, linux.EINVAL
	}
	raw := make([]byte, (bits+63)/64*8)
	if _, errno := t.Memory().CopyIn(raw, uint64(mask)); errno != 0 {
		return false, errno
	}
	for i := range bits {
		if raw[i/8]&(1<<(i%8)) == 0 {
			continue
		}
		if i != 0 {
			return false, linux.EINVAL
		}
		node0 = true
	}
	return node0, 0
}

// checkPolicy is what mbind(2) and set_mempolicy(2) refuse.
func checkPolicy(t *task.Task, mode uint32, mask Addr, maxnode uint64) linux.Errno {
	flags := mode & mpolModeFlags
	const exclusive = linux.MPOL_F_STATIC_NODES | linux.MPOL_F_RELATIVE_NODES
	if mode&^mpolModeFlags > mpolPreferredMany || flags&exclusive == exclusive {
		return linux.EINVAL
	}
	node0, errno := loadNodes(t, mask, maxnode)
	if errno != 0 {
		return errno
	}
	switch mode &^ mpolModeFlags {
	case linux.MPOL_DEFAULT, linux.MPOL_LOCAL:
		if node0 || flags != 0 {
			return linux.EINVAL
		}
	case linux.MPOL_BIND, linux.MPOL_INTERLEAVE, mpolPreferredMany:
		if !node0 {
			return linux.EINVAL
		}
	}
	return 0
}

// SetMempolicy implements set_mempolicy(2).
func SetMempolicy(t *task.Task, mode int32, mask Addr, maxnode uint64) (uintptr, linux.Errno) {
	return none(checkPolicy(t, uint32(mode), mask, maxnode))
}

// Mbind implements mbind(2).
func Mbind(t *task.Task, addr Addr, length uint64, mode uint64, mask Addr, maxnode uint64, flags uint32) (uintptr, linux.Errno) {
	const known = linux.MPOL_MF_STRICT | linux.MPOL_MF_MOVE | linux.MPOL_MF_MOVE_ALL
	if flags&^known != 0 || addr&linux.PageMask != 0 || mode > 1<<31 {
		return 0, linux.EINVAL
	}
	if flags&linux.MPOL_MF_MOVE_ALL != 0 && !t.Creds().HasCap(linux.CAP_SYS_NICE) {
		return 0, linux.EPERM
	}
	if length > taskSizeMax || uint64(addr)+length < uint64(addr) {
		return 0, linux.EINVAL
	}
	return none(checkPolicy(t, uint32(mode), mask, maxnode))
}

// GetMempolicy implements get_mempolicy(2): the policy is always MPOL_DEFAULT, the allowed node is 0.
func GetMempolicy(t *task.Task, mode mm.User[int32], mask OutBuf, maxnode uint64, addr Addr, flags uint64) (uintptr, linux.Errno) {
	const known = linux.MPOL_F_NODE | linux.MPOL_F_ADDR | linux.MPOL_F_MEMS_ALLOWED
	if flags&^known != 0 || mask != 0 && maxnode < 1 {
		return 0, linux.EINVAL
	}
	allowed := flags&linux.MPOL_F_MEMS_ALLOWED != 0
	withAddr := flags&linux.MPOL_F_ADDR != 0
	switch {
	case allowed && flags != linux.MPOL_F_MEMS_ALLOWED:
		return 0, linux.EINVAL
	case !allowed && !withAddr && (addr != 0 || flags&linux.MPOL_F_NODE != 0):
		return 0, linux.EINVAL
	case withAddr:
		var b [1]byte
		if _, errno := t.Memory().CopyIn(b[:], uint64(addr)); errno != 0 {
			return 0, linux.EFAULT
		}
	}
	if mode != 0 {
		if errno := mode.Store(t, 0); errno != 0 {
			return 0, errno
		}
	}
	if mask == 0 {
		return 0, 0
	}
	size := (maxnode - 1 + 63) / 64 * 8
	if size > linux.PageSize {
		return 0, linux.EINVAL
	}
	raw := make([]byte, size)
	if allowed && size > 0 {
		binary.LittleEndian.PutUint64(raw, 1)
	}
	_, errno := t.Memory().CopyOut(uint64(mask), raw)
	return 0, errno
}
