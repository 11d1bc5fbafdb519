package task

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
)

// SetCreds publishes new credentials of the task (commit_creds): c must not change any more. Only the task's own
// goroutine may call it.
func (t *Task) SetCreds(c *cred.Credentials) {
	old := t.Creds()
	more := c.Permitted&^old.Permitted != 0
	if c.UserNS != old.UserNS { // whoever made a namespace below has all capabilities in it anyway
		more = c.UserNS.Parent != old.UserNS || c.UserNS.Owner != old.EUID
	}
	if c.EUID != old.EUID || c.EGID != old.EGID || c.FSUID != old.FSUID || c.FSGID != old.FSGID || more {
		t.Group.SetDumpable(0)
		t.SetPDeathSig(0)
	}
	t.setCreds(c)
}

func (t *Task) setCreds(c *cred.Credentials) {
	old := t.Creds()
	if c.RUID != old.RUID {
		u := &t.kernel.users
		u.leave(t.user.Swap(u.join(c.RUID)))
	}
	t.creds.Store(c)
	t.answerIDs()
	const lockCaps = 1<<linux.CAP_IPC_LOCK | 1<<linux.CAP_SYS_RAWIO
	if (c.Effective^old.Effective)&lockCaps != 0 {
		t.MM().SetLimits(t.mmLimits())
	}
}

// LimitsChanged makes new resource limits count for memory; after SetLimit of another process too.
func (g *ThreadGroup) LimitsChanged() {
	t := g.mainAny()
	if t == nil {
		return
	}
	if as := t.mm.Load(); as != nil && as.TryGet() {
		as.SetLimits(t.mmLimits())
		as.Put()
	}
}

// MayAccess says whether t may look into or change another task: ptrace_may_access with the file-system IDs
// (fsIDs: what /proc asks) or the real ones (what calls like kcmp(2) and process_vm_readv(2) ask).
func (t *Task) MayAccess(o *Task, fsIDs bool) bool {
	if t.Group == o.Group {
		return true
	}
	c, oc := t.Creds(), o.Creds()
	uid, gid := c.RUID, c.RGID
	if fsIDs {
		uid, gid = c.FSUID, c.FSGID
	}
	capable := c.HasCapIn(oc.UserNS, linux.CAP_SYS_PTRACE)
	same := uid == oc.EUID && uid == oc.SUID && uid == oc.RUID && gid == oc.EGID && gid == oc.SGID && gid == oc.RGID
	if !same && !capable {
		return false
	}
	if o.Group.Dumpable() != 1 && !capable {
		return false
	}
	// cap_ptrace_access_check: no more privileges than the looker has.
	caller := c.Permitted
	if fsIDs {
		caller = c.Effective
	}
	return c.UserNS == oc.UserNS && oc.Permitted&^caller == 0 || capable
}
