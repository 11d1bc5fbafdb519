package task

import (
	"sync/atomic"

	"hornwork/sentry/ipc"
)

// semUndo is the SEM_UNDO adjustments of a task; tasks made with CLONE_SYSVSEM share them.
type semUndo struct {
	users atomic.Int32
	ipc.Undo
}

func newSemUndo() *semUndo {
	u := &semUndo{}
	u.users.Store(1)
	return u
}

func (u *semUndo) get() *semUndo { u.users.Add(1); return u }

// release drops a use; the last one does the adjustments.
func (u *semUndo) release(pid int32) {
	if u.users.Add(-1) == 0 {
		u.Apply(pid)
	}
}

// SemUndo is where semop(2) records SEM_UNDO.
func (t *Task) SemUndo() *ipc.Undo { return &t.misc.undo.Undo }
