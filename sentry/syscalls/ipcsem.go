package syscalls

import (
	"encoding/binary"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/ipc"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/timer"
)

// Semget implements semget(2).
func Semget(t *task.Task, key, n int32, flags uint32) (uintptr, linux.Errno) {
	id, errno := t.NS().IPC.SemGet(ipcCaller(t), key, n, flags)
	return uintptr(id), errno
}

// Semop implements semop(2).
func Semop(t *task.Task, id int32, ops Addr, n uint64) (uintptr, linux.Errno) {
	return semop(t, id, ops, n, noDeadline)
}

// Semtimedop implements semtimedop(2).
func Semtimedop(t *task.Task, id int32, ops Addr, n uint64, timeout mm.User[linux.Timespec]) (uintptr, linux.Errno) {
	deadline := noDeadline
	if timeout != 0 {
		ts, errno := timeout.Load(t)
		if errno != 0 {
			return 0, errno
		}
		ns, ok := timer.FromTimespec(ts)
		if !ok {
			return 0, linux.EINVAL
		}
		deadline = timer.Deadline(timer.AddSat(timer.Monotonic(), ns))
	}
	return semop(t, id, ops, n, deadline)
}

func semop(t *task.Task, id int32, addr Addr, n uint64, deadline wait.Deadline) (uintptr, linux.Errno) {
	const opSize = 6
	if n < 1 || id < 0 {
		return 0, linux.EINVAL
	}
	if n > linux.SEMOPM {
		return 0, linux.E2BIG
	}
	b := make([]byte, opSize*n)
	if _, errno := t.Memory().CopyIn(b, uint64(addr)); errno != 0 {
		return 0, errno
	}
	ops := make([]ipc.SemOp, n)
	le := binary.LittleEndian
	for i := range ops {
		x := b[opSize*i:]
		ops[i] = ipc.SemOp{Num: le.Uint16(x), Op: int16(le.Uint16(x[2:])), Flags: int16(le.Uint16(x[4:]))}
	}
	return none(t.NS().IPC.SemOps(ipcCaller(t), id, ops, t.SemUndo(), t, deadline))
}

// Semctl implements semctl(2).
func Semctl(t *task.Task, id, num int32, cmd IPCCmd, arg uint64) (uintptr, linux.Errno) {
	const semidDSSize = 104
	if id < 0 {
		return 0, linux.EINVAL
	}
	reg, c := t.NS().IPC, ipcCaller(t)
	switch cmd {
	case linux.IPC_RMID:
		return none(reg.SemRemove(c, id))
	case linux.IPC_SET:
		uid, gid, mode, _, errno := ipcSet(t, Addr(arg), semidDSSize)
		if errno != 0 {
			return 0, errno
		}
		return none(reg.SemSet(c, id, uid, gid, mode))
	case linux.GETVAL, linux.GETPID, linux.GETNCNT, linux.GETZCNT:
		v, errno := reg.SemRead(c, id, num, int32(cmd))
		return uintptr(v), errno
	case linux.SETVAL:
		v := int32(arg)
		if v < 0 || v > linux.SEMVMX {
			return 0, linux.ERANGE
		}
		if num < 0 {
			return 0, linux.EINVAL
		}
		return none(reg.SemWrite(c, id, num, []uint16{uint16(v)}))
	case linux.GETALL:
		return semGetAll(t, c, id, Addr(arg))
	case linux.SETALL:
		return semSetAll(t, c, id, Addr(arg))
	case linux.IPC_INFO, linux.SEM_INFO:
		return semInfo(t, cmd, Addr(arg))
	case linux.IPC_STAT, linux.SEM_STAT, linux.SEM_STAT_ANY:
		s, errno := reg.SemStat(c, id, cmd != linux.IPC_STAT, cmd == linux.SEM_STAT_ANY)
		if errno != 0 {
			return 0, errno
		}
		var b ipcStruct
		b.perm(t, &s.Perm)
		for _, v := range []uint64{uint64(s.OTime), 0, uint64(s.CTime), 0, uint64(s.N), 0, 0} {
			b.u64(v)
		}
		if errno := b.store(t, Addr(arg)); errno != 0 || cmd == linux.IPC_STAT {
			return 0, errno
		}
		return uintptr(s.ID), 0
	}
	return 0, linux.EINVAL
}

func semGetAll(t *task.Task, c *ipc.Caller, id int32, addr Addr) (uintptr, linux.Errno) {
	vals, errno := t.NS().IPC.SemValues(c, id)
	if errno != 0 {
		return 0, errno
	}
	b := make([]byte, 0, 2*len(vals))
	for _, v := range vals {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	_, errno = t.Memory().CopyOut(uint64(addr), b)
	return 0, errno
}

func semSetAll(t *task.Task, c *ipc.Caller, id int32, addr Addr) (uintptr, linux.Errno) {
	n, errno := t.NS().IPC.SemCount(id)
	if errno != 0 {
		return 0, errno
	}
	b := make([]byte, 2*n)
	if _, errno := t.Memory().CopyIn(b, uint64(addr)); errno != 0 {
		return 0, errno
	}
	vals := make([]uint16, n)
	for i := range vals {
		vals[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return none(t.NS().IPC.SemWrite(c, id, -1, vals))
}

func semInfo(t *task.Task, cmd IPCCmd, addr Addr) (uintptr, linux.Errno) {
	highest, sets, sems := t.NS().IPC.SemUsage()
	usz, aem := uint32(linux.SEMUSZ), uint32(linux.SEMAEM)
	if cmd == linux.SEM_INFO {
		usz, aem = uint32(sets), uint32(sems)
	}
	const semmns = linux.SEMMNI * linux.SEMMSL
	var b ipcStruct
	for _, v := range []uint32{semmns, linux.SEMMNI, semmns, semmns, linux.SEMMSL, linux.SEMOPM, linux.SEMUME, usz, linux.SEMVMX, aem} {
		b.u32(v)
	}
	if errno := b.store(t, addr); errno != 0 {
		return 0, errno
	}
	return uintptr(highest), 0
}
