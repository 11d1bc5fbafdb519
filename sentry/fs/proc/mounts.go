package proc

import (
	"bytes"
	"fmt"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/fs/kernfs"
	"hornwork/sentry/sock/unix"
	"hornwork/sentry/vfs"
)

// octal escapes the characters that would break a line of mounts into fields.
var octal = strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`)

// eachMount calls f with the mounts that the task sees from its root.
func (d *taskDir) eachMount(c *vfs.Caller, f func(m *vfs.MountInfo)) linux.Errno {
	if errno := d.mayInspect(c); errno != 0 {
		return errno
	}
	root, cwd, errno := d.paths()
	if errno != 0 {
		return errno
	}
	defer root.Put()
	defer cwd.Put()
	list := vfs.MountInfos(&vfs.Caller{Creds: c.Creds, Root: root, Cwd: cwd})
	for i := range list {
		f(&list[i])
	}
	return 0
}

// mountChanges counts the changes of the task's mount namespace.
func (d *taskDir) mountChanges() *vfs.Counter {
	if n := d.t.NS(); n != nil {
		return &n.Mount.Changes
	}
	return nil
}

// hasMounts refuses to open the mounts of a task that has let go of its namespace.
func (d *taskDir) hasMounts(*vfs.Caller) linux.Errno {
	if d.t.NS() == nil {
		return linux.EINVAL
	}
	return 0
}

// superOptions are the options of the file system as a whole.
func superOptions(m *vfs.MountInfo) string {
	s := vfs.FlagOptions(m.SBFlags & linux.MS_RDONLY)
	if m.Options != "" {
		s += "," + m.Options
	}
	return s
}

func (d *taskDir) mounts(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	return d.eachMount(c, func(m *vfs.MountInfo) {
		opts := vfs.FlagOptions(m.Flags | m.SBFlags&linux.MS_RDONLY)
		if m.Options != "" {
			opts += "," + m.Options
		}
		fmt.Fprintf(b, "%s %s %s %s 0 0\n", octal.Replace(m.Source), octal.Replace(m.Point), m.Type, opts)
	})
}

func (d *taskDir) mountinfo(c *vfs.Caller, b *bytes.Buffer) linux.Errno {
	return d.eachMount(c, func(m *vfs.MountInfo) {
		fmt.Fprintf(b, "%d %d %d:%d %s %s %s", m.ID, m.ParentID, vfs.Major(m.Dev), vfs.Minor(m.Dev),
			octal.Replace(m.Root), octal.Replace(m.Point), vfs.FlagOptions(m.Flags))
		if m.Shared != 0 {
			fmt.Fprintf(b, " shared:%d", m.Shared)
		}
		if m.Master != 0 {
			fmt.Fprintf(b, " master:%d", m.Master)
		}
		if m.Unbindable {
			b.WriteString(" unbindable")
		}
		fmt.Fprintf(b, " - %s %s %s\n", m.Type, octal.Replace(m.Source), superOptions(m))
	})
}

// netDir is /proc/PID/net: the tables of AF_UNIX, and those of the network stack's that programs open without asking.
func (d *taskDir) netDir() *vfs.Inode {
	t := new(kernfs.Table)
	const inet = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for _, name := range []string{"tcp", "udp"} {
		t.Add(name, d.p.Text(inet))
	}
	t.Add("dev", d.p.Text("Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"))
	t.Add("route", d.p.Text("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n"))
	t.Add("unix", d.text(0o444, (*taskDir).unixSockets))
	return d.p.Directory(0o555, t)
}

// unixSockets lists the AF_UNIX sockets of the task's network namespace. Addresses are hidden, as by %pK.
func (d *taskDir) unixSockets(_ *vfs.Caller, b *bytes.Buffer) linux.Errno {
	n := d.t.NS()
	if n == nil {
		return linux.EINVAL
	}
	b.WriteString("Num       RefCount Protocol Flags    Type St Inode Path\n")
	for _, s := range unix.Sockets(n.Net) {
		flags, refs := 0, 2
		if s.Listening {
			flags = linux.SO_ACCEPTCON
		}
		if s.Connected {
			refs++
		}
		fmt.Fprintf(b, "%016x: %08X %08X %08X %04X %02X %5d", 0, refs, 0, flags, s.Type, s.State(), s.Ino)
		if s.Bound {
			b.WriteString(" " + strings.ReplaceAll(s.Name, "\x00", "@"))
		}
		b.WriteByte('\n')
	}
	return 0
}
