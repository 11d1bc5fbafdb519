package task

import (
	"fmt"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// pidFD is a pidfd: readable once the process has ended.
type pidFD struct {
	vfs.DefaultFile
	id *PID
	k  *Kernel
}

// Readiness implements wait.Waitable.
func (p *pidFD) Readiness(mask wait.Events) wait.Events {
	switch p.id.state.Load() {
	case pidGone:
		return (wait.Readable | wait.Hup) & (mask | wait.Hup)
	case pidZombie:
		return wait.Readable & mask
	}
	return 0
}

// EventRegister implements wait.Waitable.
func (p *pidFD) EventRegister(e *wait.Entry) { p.id.exits.Add(e) }

// EventUnregister implements wait.Waitable.
func (p *pidFD) EventUnregister(e *wait.Entry) { p.id.exits.Remove(e) }

// FDInfo is the part of /proc/pid/fdinfo that is a pidfd's own.
func (p *pidFD) FDInfo() string {
	nr := int32(-1)
	p.k.tasks.RLock()
	if p.id.group != nil {
		nr = p.id.Number()
	}
	p.k.tasks.RUnlock()
	return fmt.Sprintf("Pid:\t%d\nNSpid:\t%d\n", nr, nr)
}

func (t *Task) newPIDFD(id *PID, flags uint32) *vfs.File {
	return vfs.NewAnonFile(t.Caller(), t.kernel.AnonFS, "anon_inode:[pidfd]", 0o600,
		&pidFD{id: id, k: t.kernel}, linux.O_RDWR|flags)
}

// PIDFDOpen implements pidfd_open(2). flags: PIDFD_NONBLOCK.
func (t *Task) PIDFDOpen(pid int32, flags uint32) (*vfs.File, linux.Errno) {
	id := t.PIDNS().PID(pid)
	if id == nil {
		return nil, linux.ESRCH
	}
	t.kernel.tasks.RLock()
	g, th := id.group, id.task
	t.kernel.tasks.RUnlock()
	if g == nil {
		if th != nil {
			return nil, linux.EINVAL // a thread that leads no process
		}
		return nil, linux.ESRCH
	}
	return t.newPIDFD(id, flags), 0
}

// PIDOfFile is the process that a pidfd names; false: it is none.
func PIDOfFile(f *vfs.File) (*PID, bool) {
	p, ok := f.Ops.(*pidFD)
	if !ok {
		return nil, false
	}
	return p.id, true
}

// Group is the process that the identity names, nil after it has been reaped.
func (p *PID) Group() *ThreadGroup {
	k := p.numbers[0].ns.kernel
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return p.group
}

// Task is the thread that the identity names, nil after it has ended.
func (p *PID) Task() *Task {
	k := p.numbers[0].ns.kernel
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return p.task
}
