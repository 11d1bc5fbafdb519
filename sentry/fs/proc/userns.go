package proc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/vfs"
)

// maxMapLines is how many lines a map may have (user_namespaces(7)).
const maxMapLines = 340

// idMapEntry is uid_map or gid_map: written once, by a process of the namespace or of its parent.
func idMapEntry(name string, group bool) entry {
	return entry{name, linux.DT_REG, 0, func(d *taskDir) *vfs.Inode {
		return d.p.File(0o644, kernfs.File{
			Show: func(*vfs.Caller) ([]byte, linux.Errno) {
				ns := d.t.Creds().UserNS
				var b bytes.Buffer
				for _, m := range ns.Map(group) {
					fmt.Fprintf(&b, "%10d %10d %10d\n", m.Inside, m.Outside, m.Count)
				}
				return b.Bytes(), 0
			},
			Store: func(c *vfs.Caller, data []byte) linux.Errno {
				return storeIDMap(c, d.t.Creds().UserNS, group, string(data))
			},
		})
	}}
}

func parseIDMap(text string) ([]cred.IDMap, linux.Errno) {
	var out []cred.IDMap
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || len(out) == maxMapLines {
			return nil, linux.EINVAL
		}
		var n [3]uint64
		for i := range n {
			v, err := strconv.ParseUint(f[i], 10, 32)
			if err != nil {
				return nil, linux.EINVAL
			}
			n[i] = v
		}
		if n[2] == 0 || n[0]+n[2] > 1<<32-1 || n[1]+n[2] > 1<<32-1 {
			return nil, linux.EINVAL
		}
		for _, o := range out {
			if overlap(n[0], n[2], o.Inside, o.Count) || overlap(n[1], n[2], o.Outside, o.Count) {
				return nil, linux.EINVAL
			}
		}
		out = append(out, cred.IDMap{Inside: uint32(n[0]), Outside: uint32(n[1]), Count: uint32(n[2])})
	}
	if len(out) == 0 {
		return nil, linux.EINVAL
	}
	return out, 0
}

func overlap(a, n uint64, b, m uint32) bool { return a < uint64(b)+uint64(m) && uint64(b) < a+n }

// storeIDMap follows user_namespaces(7): the writer has CAP_SETUID or CAP_SETGID in the parent namespace, or maps
// just its own ID (for groups: after setgroups has been denied).
func storeIDMap(c *vfs.Caller, ns *cred.UserNS, group bool, text string) linux.Errno {
	m, errno := parseIDMap(text)
	if errno != 0 {
		return errno
	}
	if ns.Parent == nil {
		return linux.EPERM
	}
	if c.Creds.UserNS != ns && c.Creds.UserNS != ns.Parent {
		return linux.EPERM
	}
	if !c.Creds.HasCapIn(ns, linux.CAP_SYS_ADMIN) {
		return linux.EPERM
	}
	capability, own, number := linux.CAP_SETUID, c.Creds.EUID, ns.Parent.KUID
	if group {
		capability, own, number = linux.CAP_SETGID, c.Creds.EGID, ns.Parent.KGID
	}
	kid, ok := number(m[0].Outside)
	single := len(m) == 1 && m[0].Count == 1 && ok && kid == own && ns.Owner == c.Creds.EUID
	if group && single && !ns.SetgroupsDenied.Load() {
		single = false
	}
	if !single && !(c.Creds.UserNS == ns.Parent && c.Creds.HasCapIn(ns.Parent, capability)) {
		return linux.EPERM
	}
	return ns.SetMap(group, m)
}

func (d *taskDir) setgroups() *vfs.Inode {
	return d.p.File(0o644, kernfs.File{
		Show: func(*vfs.Caller) ([]byte, linux.Errno) {
			if d.t.Creds().UserNS.SetgroupsDenied.Load() {
				return []byte("deny\n"), 0
			}
			return []byte("allow\n"), 0
		},
		Store: func(c *vfs.Caller, data []byte) linux.Errno {
			ns := d.t.Creds().UserNS
			if !c.Creds.HasCapIn(ns, linux.CAP_SYS_ADMIN) {
				return linux.EPERM
			}
			switch strings.TrimSpace(string(data)) {
			case "deny":
				return ns.DenySetgroups()
			case "allow":
				if ns.SetgroupsDenied.Load() {
					return linux.EPERM
				}
				return 0
			}
			return linux.EINVAL
		},
	})
}
