package task

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/vfs"
)

// execCreds works out what execve(2) does to credentials (cap_bprm_creds_from_file; capabilities(7)).
type execCreds struct {
	t      *Task
	new    *cred.Credentials
	secure bool
	setID  bool // the identity changed: not dumpable, no parent death signal
}

// fileCaps are the capabilities that a file gives, from its security.capability attribute.
type fileCaps struct {
	present                bool
	permitted, inheritable cred.CapSet
	effective              bool
}

// compute is LoadArgs.Credentials.
func (e *execCreds) compute(exe *vfs.File) (AuxCreds, linux.Errno) {
	old := e.t.Creds()
	n := old.Clone()
	e.new = n
	e.setIDs(old, exe)
	isSetID := n.EUID != old.RUID || n.EGID != old.RGID
	fc, errno := e.fileCaps(exe)
	if errno != 0 {
		return AuxCreds{}, errno
	}
	n.Permitted = old.Bounding&fc.permitted | old.Inheritable&fc.inheritable
	if fc.present && fc.effective && fc.permitted&^n.Permitted != 0 {
		return AuxCreds{}, linux.EPERM // a program that counts on what it cannot get must not run
	}
	effective := fc.effective
	rootUID, _ := n.UserNS.KUID(0)
	isRoot := func(uid uint32) bool { return n.UserNS.Mapped() && uid == rootUID }
	if n.SecureBits&linux.SECBIT_NOROOT == 0 && !(fc.present && !isRoot(n.RUID) && isRoot(n.EUID)) {
		if isRoot(n.EUID) || isRoot(n.RUID) {
			n.Permitted = old.Bounding | old.Inheritable
		}
		effective = effective || isRoot(n.EUID)
	}
	gained := n.Permitted&^old.Permitted != 0
	if (isSetID || gained) && (n.NoNewPrivs || e.t.sharesFS()) {
		if !old.HasCap(linux.CAP_SETUID) || n.NoNewPrivs {
			n.EUID, n.EGID = n.RUID, n.RGID
		}
		n.Permitted &= old.Permitted
	}
	n.SUID, n.FSUID, n.SGID, n.FSGID = n.EUID, n.EUID, n.EGID, n.EGID
	if fc.present || isSetID {
		n.Ambient = 0
	}
	n.Permitted |= n.Ambient
	n.Effective = n.Ambient
	if effective {
		n.Effective = n.Permitted
	}
	n.SecureBits &^= linux.SECBIT_KEEP_CAPS
	e.setID = n.EUID != old.EUID || n.EGID != old.EGID || n.Permitted&^old.Permitted != 0
	e.secure = isSetID || !isRoot(n.RUID) && (effective || n.Permitted&^n.Ambient != 0)
	u := n.UserNS
	return AuxCreds{UID: cred.FromKUID(u, n.RUID), EUID: cred.FromKUID(u, n.EUID), GID: cred.FromKGID(u, n.RGID),
		EGID: cred.FromKGID(u, n.EGID), Secure: e.secure}, 0
}

// mayGain says whether bits of the file can change the identity at all.
func (e *execCreds) mayGain(exe *vfs.File) bool {
	return exe.Path.Mount.Flags()&linux.MS_NOSUID == 0
}

// setIDs applies set-user-ID and set-group-ID bits (bprm_fill_uid).
func (e *execCreds) setIDs(old *cred.Credentials, exe *vfs.File) {
	if !e.mayGain(exe) || old.NoNewPrivs {
		return
	}
	a := exe.Inode().Attr()
	mode := a.Mode.Load()
	if mode&(linux.S_ISUID|linux.S_ISGID) == 0 {
		return
	}
	uid, gid := a.UID.Load(), a.GID.Load()
	if _, ok := old.UserNS.UID(uid); !ok {
		return
	}
	if _, ok := old.UserNS.GID(gid); !ok {
		return
	}
	if mode&linux.S_ISUID != 0 {
		e.new.EUID = uid
	}
	const setGIDExec = linux.S_ISGID | linux.S_IXGRP // without execution by the group the bit means locking
	if mode&setGIDExec == setGIDExec {
		e.new.EGID = gid
	}
}

// fileCaps reads the file's capabilities.
func (e *execCreds) fileCaps(exe *vfs.File) (fileCaps, linux.Errno) {
	n := e.new
	if !e.mayGain(exe) {
		return fileCaps{}, 0
	}
	if n.EUID == 0 && n.RUID == 0 && n.SecureBits&linux.SECBIT_NOROOT == 0 && n.Ambient == 0 && n.UserNS.Parent == nil {
		return fileCaps{}, 0 // root gets everything anyway: spare the look-up
	}
	i := exe.Inode()
	b, errno := i.Ops.GetXattr(e.t.Caller(), i, "security.capability")
	switch errno {
	case 0:
	case linux.ENODATA, linux.EOPNOTSUPP:
		return fileCaps{}, 0
	default:
		return fileCaps{}, errno
	}
	fc, rootID, errno := parseFileCaps(b)
	if errno != 0 {
		return fileCaps{}, errno
	}
	if k, ok := n.UserNS.KUID(0); !ok || k != rootID && !(rootID == 0 && n.UserNS.Parent == nil) {
		return fileCaps{}, 0 // for the root of another namespace
	}
	return fc, 0
}

// parseFileCaps decodes struct vfs_cap_data; the attribute may be anything.
func parseFileCaps(b []byte) (fc fileCaps, rootID uint32, errno linux.Errno) {
	if len(b) < 4 {
		return fc, 0, linux.EINVAL
	}
	magic := le.Uint32(b)
	n := 2
	switch magic & linux.VFS_CAP_REVISION_MASK {
	case linux.VFS_CAP_REVISION_1:
		if len(b) != 12 {
			return fc, 0, linux.EINVAL
		}
		n = 1
	case linux.VFS_CAP_REVISION_2:
		if len(b) != 20 {
			return fc, 0, linux.EINVAL
		}
	case linux.VFS_CAP_REVISION_3:
		if len(b) != 24 {
			return fc, 0, linux.EINVAL
		}
		rootID = le.Uint32(b[20:])
	default:
		return fc, 0, linux.EINVAL
	}
	fc.present = true
	fc.effective = magic&linux.VFS_CAP_FLAGS_EFFECTIVE != 0
	for i := range n {
		fc.permitted |= cred.CapSet(le.Uint32(b[4+8*i:])) << (32 * i)
		fc.inheritable |= cred.CapSet(le.Uint32(b[8+8*i:])) << (32 * i)
	}
	fc.permitted &= cred.AllCaps
	fc.inheritable &= cred.AllCaps
	return fc, rootID, 0
}

// sharesFS says whether another process could change the root under a set-user-ID program (LSM_UNSAFE_SHARE).
func (t *Task) sharesFS() bool {
	threads := 0
	fs := t.FS()
	for _, x := range t.Group.Threads() {
		if x.FS() == fs {
			threads++
		}
	}
	return int(fs.users.Load()) > threads
}

// commit gives the task its new credentials.
func (e *execCreds) commit() {
	t := e.t
	if e.secure || e.setID {
		const perClearOnSetID = 0x0004_0000 | 0x0010_0000 | 0x0020_0000 // ADDR_NO_RANDOMIZE, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT
		t.Group.mem.personality.And(^uint32(perClearOnSetID))
		t.SetPDeathSig(0)
	}
	dumpable := int32(1)
	if e.secure || e.setID {
		dumpable = 0
	}
	t.Group.SetDumpable(dumpable)
	t.setCreds(e.new)
}
