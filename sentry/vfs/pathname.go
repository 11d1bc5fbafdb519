package vfs

import "strings"

// PathString returns p as getcwd(2) and /proc/pid/fd show it: relative to c's root, with " (deleted)" behind a
// name that is gone, and "(unreachable)" before what is not below the root. Internal files give their own name.
func PathString(c *Caller, p Path) string {
	if p.Dentry.Nameless() {
		return p.Dentry.Name()
	}
	for try := 0; ; try++ {
		seq := treeSeq.Load()
		s := buildPath(c, p)
		if seq == treeSeq.Load() || try == 16 {
			return s
		}
	}
}

func buildPath(c *Caller, p Path) string {
	var parts []string
	deleted := p.Dentry.Unlinked()
	reached := true
	mnt, d := p.Mount, p.Dentry
	for mnt != c.Root.Mount || d != c.Root.Dentry {
		l := d.loc.Load()
		if d == mnt.root || l.parent == nil {
			up, ok := mnt.mountedOn()
			if !ok || d != mnt.root {
				reached = false
				break
			}
			mnt, d = up.Mount, up.Dentry
			continue
		}
		parts = append(parts, l.name)
		d = l.parent
	}
	var b strings.Builder
	if !reached {
		b.WriteString("(unreachable)")
	}
	if len(parts) == 0 {
		b.WriteByte('/')
	}
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	if deleted {
		b.WriteString(" (deleted)")
	}
	return b.String()
}

// Unlinked says whether the file or directory at p has been deleted.
func Unlinked(p Path) bool { return p.Dentry.Unlinked() }

// pathWithin returns the path of d below root, which are in one filesystem, for mountinfo's root field.
func pathWithin(d, root *Dentry) string {
	var parts []string
	for d != root {
		l := d.loc.Load()
		if l.parent == nil {
			break
		}
		parts = append(parts, l.name)
		d = l.parent
	}
	if len(parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	return b.String()
}
