package mm

import (
	"sync/atomic"

	"hornwork/linux"
)

// Limits are the resource limits that bind an address space, in bytes; Linux keeps them in the signal_struct.
type Limits struct {
	AS, Data, Stack, MemLock uint64
	// CapIPCLock and CapRawIO say that the process has the capability.
	CapIPCLock, CapRawIO bool
}

// NoLimits are limits that bind nothing, but the stack to Linux's default of 8 MiB.
func NoLimits() Limits {
	return Limits{AS: ^uint64(0), Data: ^uint64(0), Stack: 8 << 20, MemLock: 8 << 20}
}

// SetLimits replaces the limits: after setrlimit(2), changes of credentials, and execve(2).
func (as *AddressSpace) SetLimits(l Limits) {
	as.mu.Lock()
	as.limits = l
	as.mu.Unlock()
}

// Overcommit is /proc/sys/vm: what may be promised, by all address spaces together.
type Overcommit struct {
	Mode        atomic.Int32  // overcommit_memory: 0 heuristic, 1 always, 2 strict
	Ratio       atomic.Uint32 // overcommit_ratio, per cent of memory
	KBytes      atomic.Uint64 // overcommit_kbytes, replaces the ratio if not 0
	MaxMapCount atomic.Int64  // max_map_count
	MinAddr     atomic.Uint64 // mmap_min_addr
	Total       atomic.Uint64 // bytes of memory and swap that the sandbox claims to have
	committed   atomic.Int64  // pages
}

// VM is the one set of such values: a sandbox has one kernel.
var VM = func() *Overcommit {
	o := new(Overcommit)
	o.Ratio.Store(50)
	o.MaxMapCount.Store(65530)
	o.MinAddr.Store(65536)
	o.Total.Store(1 << 46)
	return o
}()

// Committed is Committed_AS of /proc/meminfo, in bytes.
func (o *Overcommit) Committed() uint64 { return uint64(max(o.committed.Load(), 0)) << pageShift }

// CommitLimit is CommitLimit of /proc/meminfo, in bytes.
func (o *Overcommit) CommitLimit() uint64 {
	if kb := o.KBytes.Load(); kb != 0 {
		return kb << 10
	}
	return o.Total.Load() / 100 * uint64(o.Ratio.Load())
}

// permit is Linux's __vm_enough_memory: may so many more bytes be promised?
func (o *Overcommit) permit(length uint64) bool {
	switch o.Mode.Load() {
	case 1:
		return true
	case 2:
		return o.Committed()+length <= o.CommitLimit()
	}
	return length <= o.Total.Load()
}

// mayGrow checks RLIMIT_AS and RLIMIT_DATA for length more bytes of such memory, Linux's may_expand_vm.
func (as *AddressSpace) mayGrow(prot uint8, f vmFlags, length uint64) bool {
	total := uint64(as.stat.total) << pageShift
	if total+length > as.limits.AS || total+length < total {
		return false
	}
	if isData(prot, f) {
		// Linux lets a process with a data limit of 0 start all the same; what counts is the sum.
		if data := uint64(as.stat.data) << pageShift; data+length > as.limits.Data {
			return false
		}
	}
	return true
}

// mayLock checks RLIMIT_MEMLOCK for length more bytes.
func (as *AddressSpace) mayLock(length uint64) linux.Errno {
	if as.limits.CapIPCLock {
		return 0
	}
	if uint64(as.stat.locked)<<pageShift+length > as.limits.MemLock {
		return linux.EAGAIN
	}
	return 0
}
