package ipc

import (
	"hornwork/lib/wait"
	"hornwork/linux"
)

// maxMsgBytes bounds what the messages of a namespace take of the sentry's memory, however many queues there are.
const maxMsgBytes = 64 << 20

type message struct {
	kind int64
	text []byte
}

// Msg is a message queue. The registry's lock guards it.
type Msg struct {
	Perm
	list                []message
	STime, RTime, CTime int64
	Bytes, MaxBytes     uint64
	LSPID, LRPID        int32
	Count               int

	readers, writers wait.Queue
}

// MsgGet implements msgget(2).
func (r *Registry) MsgGet(c *Caller, key int32, flags uint32) (int32, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.msg.get(c, r.user, key, flags, func(*Msg) linux.Errno { return 0 }, func(p Perm) (*Msg, linux.Errno) {
		return &Msg{Perm: p, CTime: now(), MaxBytes: linux.MSGMNB}, 0
	})
}

// lookup finds a queue that c may use.
func (r *Registry) lookupMsg(c *Caller, id int32, want uint32) (*Msg, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, errno := r.msg.find(id)
	if errno == 0 && !q.allows(c, r.user, want) {
		errno = linux.EACCES
	}
	return q, errno
}

// MsgSend implements msgsnd(2).
func (r *Registry) MsgSend(c *Caller, id int32, kind int64, text []byte, flags uint32, b wait.Blocker) linux.Errno {
	q, errno := r.lookupMsg(c, id, mayWrite)
	if errno != 0 {
		return errno
	}
	try := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if q.removed {
			errno = linux.EIDRM
			return true
		}
		if r.msgBytes+len(text) > maxMsgBytes {
			errno = linux.ENOMEM
			return true
		}
		if q.Bytes+uint64(len(text)) > q.MaxBytes || uint64(len(q.list)) >= q.MaxBytes {
			return false
		}
		q.list = append(q.list, message{kind, text})
		q.Bytes += uint64(len(text))
		r.msgBytes += len(text)
		q.Count = len(q.list)
		q.LSPID, q.STime = c.PID, now()
		q.readers.Notify(wait.All)
		return true
	}
	if try() {
		return errno
	}
	if flags&linux.IPC_NOWAIT != 0 {
		return linux.EAGAIN
	}
	if e := b.Block(&q.writers, wait.All, wait.Deadline{}, try); e != 0 {
		return linux.ERESTARTNOHAND
	}
	return errno
}

// matches says whether msgrcv(2) with kind takes m; for a negative kind, best is the lowest kind so far.
func matches(m *message, kind int64, flags uint32, best int64) bool {
	switch {
	case kind == 0:
		return true
	case kind < 0:
		return m.kind <= -kind && m.kind < best
	case flags&linux.MSG_EXCEPT != 0:
		return m.kind != kind
	}
	return m.kind == kind
}

// pick is the index of the message that is to be received, -1 if none. Called with the lock held.
func (q *Msg) pick(kind int64, flags uint32) int {
	found, best := -1, int64(1<<63-1)
	for i := range q.list {
		if matches(&q.list[i], kind, flags, best) {
			found, best = i, q.list[i].kind
			if kind >= 0 {
				break
			}
		}
	}
	return found
}

// MsgReceive implements msgrcv(2): a message of at most size bytes.
func (r *Registry) MsgReceive(c *Caller, id int32, size uint64, kind int64, flags uint32, b wait.Blocker) (int64, []byte, linux.Errno) {
	q, errno := r.lookupMsg(c, id, mayRead)
	if errno != 0 {
		return 0, nil, errno
	}
	var m message
	try := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if q.removed {
			errno = linux.EIDRM
			return true
		}
		i := q.pick(kind, flags)
		if i < 0 {
			return false
		}
		if uint64(len(q.list[i].text)) > size && flags&linux.MSG_NOERROR == 0 {
			errno = linux.E2BIG
			return true
		}
		m = q.list[i]
		q.list = append(q.list[:i], q.list[i+1:]...)
		q.Bytes -= uint64(len(m.text))
		r.msgBytes -= len(m.text)
		q.Count = len(q.list)
		q.LRPID, q.RTime = c.PID, now()
		m.text = m.text[:min(uint64(len(m.text)), size)]
		q.writers.Notify(wait.All)
		return true
	}
	if try() {
		return m.kind, m.text, errno
	}
	if flags&linux.IPC_NOWAIT != 0 {
		return 0, nil, linux.ENOMSG
	}
	if e := b.Block(&q.readers, wait.All, wait.Deadline{}, try); e != 0 {
		return 0, nil, linux.ERESTARTNOHAND
	}
	return m.kind, m.text, errno
}

// MsgInfo is a queue as msgctl(2) shows it.
type MsgInfo struct {
	Perm
	STime, RTime, CTime int64
	Bytes, MaxBytes     uint64
	LSPID, LRPID        int32
	Count               int
}

// MsgStat describes a queue: by ID, or by index for MSG_STAT, unchecked for MSG_STAT_ANY.
func (r *Registry) MsgStat(c *Caller, id int32, byIndex, any bool) (MsgInfo, linux.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, errno := r.msg.find(id)
	if byIndex {
		q, errno = r.msg.index(id)
	}
	if errno != 0 {
		return MsgInfo{}, errno
	}
	if !any && !q.allows(c, r.user, mayRead) {
		return MsgInfo{}, linux.EACCES
	}
	return MsgInfo{q.Perm, q.STime, q.RTime, q.CTime, q.Bytes, q.MaxBytes, q.LSPID, q.LRPID, q.Count}, 0
}

// MsgSet implements IPC_SET.
func (r *Registry) MsgSet(c *Caller, id int32, uid, gid, mode uint32, maxBytes uint64) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, errno := r.msg.find(id)
	switch {
	case errno != 0:
		return errno
	case !q.owns(c, r.user):
		return linux.EPERM
	case maxBytes > linux.MSGMNB && !c.Creds.HasCapIn(r.user, linux.CAP_SYS_RESOURCE):
		return linux.EPERM
	}
	q.set(uid, gid, mode)
	q.MaxBytes, q.CTime = maxBytes, now()
	q.readers.Notify(wait.All)
	q.writers.Notify(wait.All)
	return 0
}

// MsgRemove implements IPC_RMID: who waits gets EIDRM.
func (r *Registry) MsgRemove(c *Caller, id int32) linux.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, errno := r.msg.find(id)
	switch {
	case errno != 0:
		return errno
	case !q.owns(c, r.user):
		return linux.EPERM
	}
	r.msg.remove(q)
	r.msgBytes -= int(q.Bytes)
	q.list, q.Bytes = nil, 0
	q.readers.Notify(wait.All)
	q.writers.Notify(wait.All)
	return 0
}

// MsgUsage is what MSG_INFO tells.
func (r *Registry) MsgUsage() (highest int32, queues, messages int, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.msg.byID {
		messages += len(q.list)
		bytes += q.Bytes
	}
	return r.msg.highest(), len(r.msg.byID), messages, bytes
}
