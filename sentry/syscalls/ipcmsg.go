package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// Msgget implements msgget(2).
func Msgget(t *task.Task, key int32, flags uint32) (uintptr, linux.Errno) {
	id, errno := t.NS().IPC.MsgGet(ipcCaller(t), key, flags)
	return uintptr(id), errno
}

// Msgsnd implements msgsnd(2): the message is its type, then size bytes.
func Msgsnd(t *task.Task, id int32, msg Addr, size uint64, flags uint32) (uintptr, linux.Errno) {
	kind, errno := mm.User[int64](msg).Load(t)
	if errno != 0 {
		return 0, errno
	}
	if size > linux.MSGMAX || id < 0 || kind < 1 {
		return 0, linux.EINVAL
	}
	text := make([]byte, size)
	if _, errno := t.Memory().CopyIn(text, uint64(msg)+8); errno != 0 {
		return 0, errno
	}
	return none(t.NS().IPC.MsgSend(ipcCaller(t), id, kind, text, flags, t))
}

// Msgrcv implements msgrcv(2).
func Msgrcv(t *task.Task, id int32, msg Addr, size uint64, kind int64, flags uint32) (uintptr, linux.Errno) {
	if id < 0 || int64(size) < 0 {
		return 0, linux.EINVAL
	}
	if flags&linux.MSG_COPY != 0 {
		return 0, linux.ENOSYS // as without CONFIG_CHECKPOINT_RESTORE
	}
	k, text, errno := t.NS().IPC.MsgReceive(ipcCaller(t), id, size, kind, flags, t)
	if errno != 0 {
		return 0, errno
	}
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(text)), uint64(k))
	if _, errno := t.Memory().CopyOut(uint64(msg), append(b, text...)); errno != 0 {
		return 0, errno
	}
	return uintptr(len(text)), 0
}

// Msgctl implements msgctl(2).
func Msgctl(t *task.Task, id int32, cmd IPCCmd, buf Addr) (uintptr, linux.Errno) {
	const msqidDSSize, qbytesOffset = 120, 48 + 5*8
	if cmd < 0 || id < 0 {
		return 0, linux.EINVAL
	}
	reg, c := t.NS().IPC, ipcCaller(t)
	switch cmd {
	case linux.IPC_RMID:
		return none(reg.MsgRemove(c, id))
	case linux.IPC_SET:
		uid, gid, mode, raw, errno := ipcSet(t, buf, msqidDSSize)
		if errno != 0 {
			return 0, errno
		}
		return none(reg.MsgSet(c, id, uid, gid, mode, binary.LittleEndian.Uint64(raw[qbytesOffset:])))
	case linux.IPC_INFO, linux.MSG_INFO:
		highest, queues, messages, bytes := reg.MsgUsage()
		pool, mapped, tql := uint32(linux.MSGPOOL), uint32(linux.MSGMAP), uint32(linux.MSGTQL)
		if cmd == linux.MSG_INFO {
			pool, mapped, tql = uint32(queues), uint32(messages), uint32(bytes)
		}
		var b ipcStruct
		for _, v := range []uint32{pool, mapped, linux.MSGMAX, linux.MSGMNB, linux.MSGMNI, linux.MSGSSZ, tql, linux.MSGSEG} {
			b.u32(v)
		}
		if errno := b.store(t, buf); errno != 0 {
			return 0, errno
		}
		return uintptr(highest), 0
	case linux.IPC_STAT, linux.MSG_STAT, linux.MSG_STAT_ANY:
		q, errno := reg.MsgStat(c, id, cmd != linux.IPC_STAT, cmd == linux.MSG_STAT_ANY)
		if errno != 0 {
			return 0, errno
		}
		var b ipcStruct
		b.perm(t, &q.Perm)
		for _, v := range []uint64{uint64(q.STime), uint64(q.RTime), uint64(q.CTime), q.Bytes, uint64(q.Count), q.MaxBytes} {
			b.u64(v)
		}
		b.u32(uint32(q.LSPID))
		b.u32(uint32(q.LRPID))
		b.u64(0)
		b.u64(0)
		if errno := b.store(t, buf); errno != 0 || cmd == linux.IPC_STAT {
			return 0, errno
		}
		return uintptr(q.ID), 0
	}
	return 0, linux.EINVAL
}
