package task

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
)

// Calls that always have the same result are answered by the platform, where it can, without the sentry being
// asked. The answers are set by the task's own goroutine: when it starts, after execve(2), when its credentials
// change, and (misc.staleAnswers, with a work bit) when another makes its parent a different one.
//
// Nobody sees such calls, so there are no answers while somebody traces.

// setAnswers tells the platform all answers.
func (t *Task) setAnswers() {
	t.misc.staleAnswers.Store(false)
	if t.kernel.TraceSignal != nil {
		return
	}
	th := t.run.thread
	th.Answer(linux.SYS_GETPID, int64(t.Group.PID()))
	th.Answer(linux.SYS_GETTID, int64(t.TID()))
	th.Answer(linux.SYS_GETPPID, int64(t.Group.PPID(t.PIDNS())))
	t.answerIDs()
}

// answerIDs tells the platform who the task is.
func (t *Task) answerIDs() {
	if t.kernel.TraceSignal != nil || t.run.thread == nil {
		return
	}
	c, u := t.Creds(), t.Creds().UserNS
	th := t.run.thread
	_, uidOK := u.UID(c.RUID)
	_, gidOK := u.GID(c.RGID)
	if !uidOK || !gidOK {
		// The namespace's maps may still be written, and then the answers change.
		for _, nr := range []uintptr{linux.SYS_GETUID, linux.SYS_GETEUID, linux.SYS_GETGID, linux.SYS_GETEGID} {
			th.Answer(nr, -1)
		}
		return
	}
	th.Answer(linux.SYS_GETUID, int64(cred.FromKUID(u, c.RUID)))
	th.Answer(linux.SYS_GETEUID, int64(cred.FromKUID(u, c.EUID)))
	th.Answer(linux.SYS_GETGID, int64(cred.FromKGID(u, c.RGID)))
	th.Answer(linux.SYS_GETEGID, int64(cred.FromKGID(u, c.EGID)))
}

// parentChanged makes the threads of g tell their new parent's number. Called with Kernel.tasks held.
func (g *ThreadGroup) parentChanged() {
	for _, t := range g.tree.threads {
		t.misc.staleAnswers.Store(true)
		t.run.work.Or(workResume)
		t.kick()
	}
}
