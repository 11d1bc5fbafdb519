package syscalls

import (
	"encoding/binary"
	"slices"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// UID and GID are user and group numbers as the caller's namespace has them.
type (
	UID uint32
	GID uint32
)

// keepID is -1: leave this one as it is.
const keepID = 0xffffffff

// Getuid implements getuid(2).
func Getuid(t *task.Task) (uintptr, linux.Errno) { return uintptr(uidOf(t, t.Creds().RUID)), 0 }

// Geteuid implements geteuid(2).
func Geteuid(t *task.Task) (uintptr, linux.Errno) { return uintptr(uidOf(t, t.Creds().EUID)), 0 }

// Getgid implements getgid(2).
func Getgid(t *task.Task) (uintptr, linux.Errno) { return uintptr(gidOf(t, t.Creds().RGID)), 0 }

// Getegid implements getegid(2).
func Getegid(t *task.Task) (uintptr, linux.Errno) { return uintptr(gidOf(t, t.Creds().EGID)), 0 }

// Getresuid implements getresuid(2).
func Getresuid(t *task.Task, r, e, s mm.User[uint32]) (uintptr, linux.Errno) {
	c := t.Creds()
	return none(storeThree(t, [3]mm.User[uint32]{r, e, s}, uidOf(t, c.RUID), uidOf(t, c.EUID), uidOf(t, c.SUID)))
}

// Getresgid implements getresgid(2).
func Getresgid(t *task.Task, r, e, s mm.User[uint32]) (uintptr, linux.Errno) {
	c := t.Creds()
	return none(storeThree(t, [3]mm.User[uint32]{r, e, s}, gidOf(t, c.RGID), gidOf(t, c.EGID), gidOf(t, c.SGID)))
}

func storeThree(t *task.Task, to [3]mm.User[uint32], v ...uint32) linux.Errno {
	for i, u := range to {
		if errno := u.Store(t, v[i]); errno != 0 {
			return errno
		}
	}
	return 0
}

// kuids turns user numbers into the root namespace's; EINVAL if one has none. keepID stays.
func kuids(t *task.Task, ids ...*uint32) linux.Errno {
	return mapIDs(t.Creds().UserNS.KUID, ids)
}

func kgids(t *task.Task, ids ...*uint32) linux.Errno {
	return mapIDs(t.Creds().UserNS.KGID, ids)
}

func mapIDs(f func(uint32) (uint32, bool), ids []*uint32) linux.Errno {
	for _, p := range ids {
		if *p == keepID {
			continue
		}
		k, ok := f(*p)
		if !ok {
			return linux.EINVAL
		}
		*p = k
	}
	return 0
}

// fixCaps is cap_emulate_setxuid: what happens to capabilities when user IDs change.
func fixCaps(n, old *cred.Credentials) {
	if n.SecureBits&linux.SECBIT_NO_SETUID_FIXUP != 0 {
		return
	}
	root, ok := n.UserNS.KUID(0)
	isRoot := func(c *cred.Credentials) bool { return ok && (c.RUID == root || c.EUID == root || c.SUID == root) }
	if isRoot(old) && !isRoot(n) {
		if n.SecureBits&linux.SECBIT_KEEP_CAPS == 0 {
			n.Permitted, n.Effective = 0, 0
		}
		n.Ambient = 0
	}
	if ok && old.EUID == root && n.EUID != root {
		n.Effective = 0
	}
	if ok && old.EUID != root && n.EUID == root {
		n.Effective = n.Permitted
	}
}

// fsCaps are the capabilities that follow the file-system user ID (CAP_FS_MASK and CAP_LINUX_IMMUTABLE's kin).
const fsCaps cred.CapSet = 1<<linux.CAP_CHOWN | 1<<linux.CAP_MKNOD | 1<<linux.CAP_DAC_OVERRIDE |
	1<<linux.CAP_DAC_READ_SEARCH | 1<<linux.CAP_FOWNER | 1<<linux.CAP_FSETID | 1<<linux.CAP_LINUX_IMMUTABLE |
	1<<linux.CAP_MAC_OVERRIDE

// becomeUser publishes n after a change of user IDs. A user over its process limit may still change, but its next
// execve fails (PF_NPROC_EXCEEDED).
func becomeUser(t *task.Task, n *cred.Credentials) (uintptr, linux.Errno) {
	fixCaps(n, t.Creds())
	t.SetCreds(n)
	return 0, 0
}

// Setuid implements setuid(2).
func Setuid(t *task.Task, uid UID) (uintptr, linux.Errno) {
	k, ok := t.Creds().UserNS.KUID(uint32(uid))
	if !ok || uid == keepID {
		return 0, linux.EINVAL
	}
	n := t.Creds().Clone()
	switch {
	case n.HasCap(linux.CAP_SETUID):
		n.RUID, n.SUID = k, k
	case k != n.RUID && k != n.SUID:
		return 0, linux.EPERM
	}
	n.EUID, n.FSUID = k, k
	return becomeUser(t, n)
}

// Setgid implements setgid(2).
func Setgid(t *task.Task, gid GID) (uintptr, linux.Errno) {
	k, ok := t.Creds().UserNS.KGID(uint32(gid))
	if !ok || gid == keepID {
		return 0, linux.EINVAL
	}
	n := t.Creds().Clone()
	switch {
	case n.HasCap(linux.CAP_SETGID):
		n.RGID, n.SGID = k, k
	case k != n.RGID && k != n.SGID:
		return 0, linux.EPERM
	}
	n.EGID, n.FSGID = k, k
	t.SetCreds(n)
	return 0, 0
}

// Setreuid implements setreuid(2).
func Setreuid(t *task.Task, ruid, euid UID) (uintptr, linux.Errno) {
	r, e := uint32(ruid), uint32(euid)
	if errno := kuids(t, &r, &e); errno != 0 {
		return 0, errno
	}
	old := t.Creds()
	n := old.Clone()
	able := old.HasCap(linux.CAP_SETUID)
	if ruid != keepID {
		n.RUID = r
		if r != old.RUID && r != old.EUID && !able {
			return 0, linux.EPERM
		}
	}
	if euid != keepID {
		n.EUID = e
		if e != old.RUID && e != old.EUID && e != old.SUID && !able {
			return 0, linux.EPERM
		}
	}
	if ruid != keepID || euid != keepID && e != old.RUID {
		n.SUID = n.EUID
	}
	n.FSUID = n.EUID
	return becomeUser(t, n)
}

// Setregid implements setregid(2).
func Setregid(t *task.Task, rgid, egid GID) (uintptr, linux.Errno) {
	r, e := uint32(rgid), uint32(egid)
	if errno := kgids(t, &r, &e); errno != 0 {
		return 0, errno
	}
	old := t.Creds()
	n := old.Clone()
	able := old.HasCap(linux.CAP_SETGID)
	if rgid != keepID {
		n.RGID = r
		if r != old.RGID && r != old.EGID && !able {
			return 0, linux.EPERM
		}
	}
	if egid != keepID {
		n.EGID = e
		if e != old.RGID && e != old.EGID && e != old.SGID && !able {
			return 0, linux.EPERM
		}
	}
	if rgid != keepID || egid != keepID && e != old.RGID {
		n.SGID = n.EGID
	}
	n.FSGID = n.EGID
	t.SetCreds(n)
	return 0, 0
}

// Setresuid implements setresuid(2).
func Setresuid(t *task.Task, ruid, euid, suid UID) (uintptr, linux.Errno) {
	r, e, s := uint32(ruid), uint32(euid), uint32(suid)
	if errno := kuids(t, &r, &e, &s); errno != 0 {
		return 0, errno
	}
	old := t.Creds()
	mine := []uint32{old.RUID, old.EUID, old.SUID}
	n := old.Clone()
	for _, x := range []struct {
		keep bool
		id   uint32
		to   *uint32
	}{{ruid == keepID, r, &n.RUID}, {euid == keepID, e, &n.EUID}, {suid == keepID, s, &n.SUID}} {
		if x.keep {
			continue
		}
		if !slices.Contains(mine, x.id) && !old.HasCap(linux.CAP_SETUID) {
			return 0, linux.EPERM
		}
		*x.to = x.id
	}
	n.FSUID = n.EUID
	return becomeUser(t, n)
}

// Setresgid implements setresgid(2).
func Setresgid(t *task.Task, rgid, egid, sgid GID) (uintptr, linux.Errno) {
	r, e, s := uint32(rgid), uint32(egid), uint32(sgid)
	if errno := kgids(t, &r, &e, &s); errno != 0 {
		return 0, errno
	}
	old := t.Creds()
	mine := []uint32{old.RGID, old.EGID, old.SGID}
	n := old.Clone()
	for _, x := range []struct {
		keep bool
		id   uint32
		to   *uint32
	}{{rgid == keepID, r, &n.RGID}, {egid == keepID, e, &n.EGID}, {sgid == keepID, s, &n.SGID}} {
		if x.keep {
			continue
		}
		if !slices.Contains(mine, x.id) && !old.HasCap(linux.CAP_SETGID) {
			return 0, linux.EPERM
		}
		*x.to = x.id
	}
	n.FSGID = n.EGID
	t.SetCreds(n)
	return 0, 0
}

// Setfsuid implements setfsuid(2), which returns the old number whether it worked or not.
func Setfsuid(t *task.Task, uid UID) (uintptr, linux.Errno) {
	old := t.Creds()
	was := uintptr(uidOf(t, old.FSUID))
	k, ok := old.UserNS.KUID(uint32(uid))
	if !ok || uid == keepID {
		return was, 0
	}
	if !slices.Contains([]uint32{old.RUID, old.EUID, old.SUID, old.FSUID}, k) && !old.HasCap(linux.CAP_SETUID) {
		return was, 0
	}
	n := old.Clone()
	n.FSUID = k
	if root, ok := n.UserNS.KUID(0); ok && n.SecureBits&linux.SECBIT_NO_SETUID_FIXUP == 0 {
		if old.FSUID == root && k != root {
			n.Effective &^= fsCaps
		}
		if old.FSUID != root && k == root {
			n.Effective |= n.Permitted & fsCaps
		}
	}
	t.SetCreds(n)
	return was, 0
}

// Setfsgid implements setfsgid(2), which returns the old number whether it worked or not.
func Setfsgid(t *task.Task, gid GID) (uintptr, linux.Errno) {
	old := t.Creds()
	was := uintptr(gidOf(t, old.FSGID))
	k, ok := old.UserNS.KGID(uint32(gid))
	if !ok || gid == keepID {
		return was, 0
	}
	if slices.Contains([]uint32{old.RGID, old.EGID, old.SGID, old.FSGID}, k) || old.HasCap(linux.CAP_SETGID) {
		n := old.Clone()
		n.FSGID = k
		t.SetCreds(n)
	}
	return was, 0
}

const maxGroups = 65536 // NGROUPS_MAX

// Getgroups implements getgroups(2).
func Getgroups(t *task.Task, size int32, list Addr) (uintptr, linux.Errno) {
	g := t.Creds().Groups
	if size < 0 {
		return 0, linux.EINVAL
	}
	if size == 0 {
		return uintptr(len(g)), 0
	}
	if len(g) > int(size) {
		return 0, linux.EINVAL
	}
	b := make([]byte, 4*len(g))
	for i, k := range g {
		binary.LittleEndian.PutUint32(b[4*i:], gidOf(t, k))
	}
	if _, errno := t.Memory().CopyOut(uint64(list), b); errno != 0 {
		return 0, errno
	}
	return uintptr(len(g)), 0
}

// Setgroups implements setgroups(2).
func Setgroups(t *task.Task, size int32, list Addr) (uintptr, linux.Errno) {
	c := t.Creds()
	if !c.HasCap(linux.CAP_SETGID) || !c.UserNS.Mapped() || c.UserNS.SetgroupsDenied.Load() {
		return 0, linux.EPERM
	}
	if size < 0 || size > maxGroups {
		return 0, linux.EINVAL
	}
	b := make([]byte, 4*size)
	if _, errno := t.Memory().CopyIn(b, uint64(list)); errno != 0 {
		return 0, errno
	}
	n := c.Clone()
	n.Groups = make([]uint32, size)
	for i := range n.Groups {
		k, ok := c.UserNS.KGID(binary.LittleEndian.Uint32(b[4*i:]))
		if !ok {
			return 0, linux.EINVAL
		}
		n.Groups[i] = k
	}
	slices.Sort(n.Groups)
	t.SetCreds(n)
	return 0, 0
}
