package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

// Versions of the calls' structures (_LINUX_CAPABILITY_VERSION_n).
const (
	capVersion1 = 0x19980330
	capVersion2 = 0x20071026
	capVersion3 = 0x20080522
)

// capHeader is struct __user_cap_header_struct.
type capHeader struct {
	Version uint32
	PID     int32
}

// capData is struct __user_cap_data_struct.
type capData struct{ Effective, Permitted, Inheritable uint32 }

// capWords checks a header's version and says how many capData follow: 1 or 2. For a version that is unknown it
// writes the one that is wanted.
func capWords(t *task.Task, hdr mm.User[capHeader]) (capHeader, int, linux.Errno) {
	h, errno := hdr.Load(t)
	if errno != 0 {
		return h, 0, errno
	}
	switch h.Version {
	case capVersion1:
		return h, 1, 0
	case capVersion2, capVersion3:
		return h, 2, 0
	}
	if errno := mm.User[uint32](hdr).Store(t, capVersion3); errno != 0 {
		return h, 0, errno
	}
	return h, 0, linux.EINVAL
}

// Capget implements capget(2).
func Capget(t *task.Task, hdr mm.User[capHeader], data mm.User[capData]) (uintptr, linux.Errno) {
	h, words, errno := capWords(t, hdr)
	if errno != 0 {
		if errno == linux.EINVAL && data == 0 {
			return 0, 0 // a probe for the version
		}
		return 0, errno
	}
	if h.PID < 0 {
		return 0, linux.EINVAL
	}
	o := taskAt(t, PID(h.PID))
	if o == nil {
		return 0, linux.ESRCH
	}
	if data == 0 {
		return 0, 0
	}
	c := o.Creds()
	for i := range words {
		word := func(s cred.CapSet) uint32 { return uint32(s >> (32 * i)) }
		d := capData{word(c.Effective), word(c.Permitted), word(c.Inheritable)}
		if errno := data.At(i).Store(t, d); errno != 0 {
			return 0, errno
		}
	}
	return 0, 0
}

// Capset implements capset(2).
func Capset(t *task.Task, hdr mm.User[capHeader], data mm.User[capData]) (uintptr, linux.Errno) {
	h, words, errno := capWords(t, hdr)
	if errno != 0 {
		return 0, errno
	}
	if h.PID != 0 && h.PID != t.TID() {
		return 0, linux.EPERM
	}
	var eff, perm, inh cred.CapSet
	for i := range words {
		d, errno := data.At(i).Load(t)
		if errno != 0 {
			return 0, errno
		}
		eff |= cred.CapSet(d.Effective) << (32 * i)
		perm |= cred.CapSet(d.Permitted) << (32 * i)
		inh |= cred.CapSet(d.Inheritable) << (32 * i)
	}
	eff, perm, inh = eff&cred.AllCaps, perm&cred.AllCaps, inh&cred.AllCaps
	old := t.Creds()
	switch {
	case !old.HasCap(linux.CAP_SETPCAP) && inh&^(old.Inheritable|old.Permitted) != 0,
		inh&^(old.Inheritable|old.Bounding) != 0,
		perm&^old.Permitted != 0,
		eff&^perm != 0:
		return 0, linux.EPERM
	}
	n := old.Clone()
	n.Effective, n.Permitted, n.Inheritable = eff, perm, inh
	n.Ambient &= perm & inh
	t.SetCreds(n)
	return 0, 0
}
