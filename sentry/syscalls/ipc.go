package syscalls

import (
	"encoding/binary"

	"hornwork/linux"
	"hornwork/sentry/ipc"
	"hornwork/sentry/task"
)

// IPCCmd is IPC_* and the commands of each kind.
type IPCCmd int32

func ipcCaller(t *task.Task) *ipc.Caller {
	return &ipc.Caller{Creds: t.Creds(), PID: t.Group.PID()}
}

// ipcStruct builds one of the structures of the control calls: words in order.
type ipcStruct []byte

func (b *ipcStruct) u32(v uint32) { *b = binary.LittleEndian.AppendUint32(*b, v) }
func (b *ipcStruct) u64(v uint64) { *b = binary.LittleEndian.AppendUint64(*b, v) }

// perm appends struct ipc64_perm.
func (b *ipcStruct) perm(t *task.Task, p *ipc.Perm) {
	for _, v := range []uint32{uint32(p.Key), uidOf(t, p.UID), gidOf(t, p.GID), uidOf(t, p.CUID), gidOf(t, p.CGID), p.Mode} {
		b.u32(v)
	}
	b.u32(uint32(p.Seq))
	b.u32(0)
	b.u64(0)
	b.u64(0)
}

func (b ipcStruct) store(t *task.Task, addr Addr) linux.Errno {
	_, errno := t.Memory().CopyOut(uint64(addr), b)
	return errno
}

// ipcSet is what IPC_SET takes from a structure that begins with struct ipc64_perm, of size bytes in all.
func ipcSet(t *task.Task, addr Addr, size int) (uid, gid, mode uint32, raw []byte, errno linux.Errno) {
	raw = make([]byte, size)
	if _, errno = t.Memory().CopyIn(raw, uint64(addr)); errno != 0 {
		return 0, 0, 0, nil, errno
	}
	le := binary.LittleEndian
	uid, gid, mode = le.Uint32(raw[4:]), le.Uint32(raw[8:]), le.Uint32(raw[20:])
	if errno = kuids(t, &uid); errno == 0 {
		errno = kgids(t, &gid)
	}
	if uid == keepID || gid == keepID {
		errno = linux.EINVAL
	}
	return uid, gid, mode, raw, errno
}
