package kernel

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/dev"
	"hornwork/sentry/fs/devpts"
	"hornwork/sentry/fs/overlay"
	"hornwork/sentry/fs/proc"
	"hornwork/sentry/fs/remote"
	"hornwork/sentry/fs/sys"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// mountAll makes the mount namespace: the root, then the mounts in their order.
func (k *Kernel) mountAll() error {
	k.registerTypes()
	sb, err := k.goferFS(k.cfg.Root.GoferRoot, k.cfg.Root.Overlay, k.cfg.Root.ReadOnly, "/")
	if err != nil {
		return err
	}
	k.mounts = vfs.NewMountNS(sb, 0)
	k.mounts.UserNS = k.Tasks.UserNS
	root := k.mounts.Root()
	k.root = &vfs.Caller{Creds: cred.Root(k.Tasks.UserNS), Root: root, Cwd: root, MaxFileSize: 1<<63 - 1}
	for i := range k.cfg.Mounts {
		if err := k.mount(&k.cfg.Mounts[i]); err != nil {
			return fmt.Errorf("mount %s (%s): %w", k.cfg.Mounts[i].Destination, k.cfg.Mounts[i].Type, err)
		}
	}
	if k.cfg.Root.ReadOnly { // now that the mount points are made
		return errnoError(vfs.Remount(k.root, root, linux.MS_REMOUNT|linux.MS_BIND|linux.MS_RDONLY, ""))
	}
	return nil
}

// goferFS is a gofer's root, below an overlay in memory if that is asked for.
func (k *Kernel) goferFS(root int, layer string, readOnly bool, source string) (*vfs.Superblock, error) {
	o := remote.Options{Root: uint32(root), Cache: remote.CacheImmutable, ReadOnly: true, Source: source}
	if layer != "memory" {
		// Others on the host see and make changes too.
		o.Cache, o.ReadOnly = remote.CacheShared, readOnly
		return remote.New(k.deps.Files, o)
	}
	lower, err := remote.New(k.deps.Files, o)
	if err != nil {
		return nil, err
	}
	upper := tmpfs.New(tmpfs.Options{Mem: k.deps.Memory, Mode: 0o755})
	return overlay.New(overlay.Options{Lower: []*vfs.Superblock{lower}, Upper: upper, Source: "overlay"}).SB, nil
}

// registerTypes makes the file systems known to mount(2).
func (k *Kernel) registerTypes() {
	dev.Register()
	vfs.RegisterFilesystem(tmpfs.Type(tmpfs.Options{Mem: k.deps.Memory, TotalRAM: int64(k.memTotal())}))
	vfs.RegisterFilesystem(vfs.FSType{Name: "proc", NoDev: true, UserMount: true,
		Mount: func(c *vfs.Caller, _ string, flags uint32, _ string) (*vfs.Superblock, linux.Errno) {
			return k.procFor(c, flags), 0
		}})
	vfs.RegisterFilesystem(vfs.FSType{Name: "sysfs", NoDev: true, UserMount: true,
		Mount: func(_ *vfs.Caller, _ string, flags uint32, _ string) (*vfs.Superblock, linux.Errno) {
			sb := sys.New(vfs.NewDev(), len(k.deps.Host.CPUs), vfs.Now)
			sb.SetFlags(flags)
			return sb, 0
		}})
	devpts.Register()
}

// procFor makes the proc of the caller's PID namespace.
func (k *Kernel) procFor(c *vfs.Caller, flags uint32) *vfs.Superblock {
	n := k.Tasks.PIDNS
	if t := taskOf(c); t != nil {
		n = t.PIDNS()
	}
	sb := proc.New(vfs.NewDev(), k.sys, n)
	sb.SetFlags(flags)
	return sb
}

func (k *Kernel) mount(m *Mount) error {
	var sb *vfs.Superblock
	if m.Type == "gofer" {
		var err error
		if sb, err = k.goferFS(m.GoferRoot, m.Overlay, m.ReadOnly, m.Source); err != nil {
			return err
		}
	}
	target, err := k.mountPoint(m.Destination, sb == nil || sb.Root.Type() == linux.S_IFDIR)
	if err != nil {
		return err
	}
	defer target.Put()
	flags, data := mountOptions(m.Options)
	if m.ReadOnly {
		flags |= linux.MS_RDONLY
	}
	switch m.Type {
	case "gofer":
		return errnoError(vfs.MountAt(sb, target, flags))
	case "dev":
		return k.mountDev(target, flags)
	case "devpts":
		o, errno := devpts.ParseOptions(data)
		if errno != 0 {
			return errno
		}
		k.pts = devpts.New(o)
		return errnoError(vfs.MountAt(k.pts, target, flags))
	}
	return errnoError(vfs.MountFS(k.root, m.Source, target, m.Type, flags, data))
}

// mountPoint finds the directory or file to mount on, making it where it is missing.
func (k *Kernel) mountPoint(name string, dir bool) (vfs.Path, error) {
	name = path.Clean("/" + name)
	p, errno := vfs.Walk(k.root, k.root.Root, name, vfs.Follow)
	if errno != linux.ENOENT {
		return p, errnoError(errno)
	}
	for at := 0; at < len(name); {
		if next := strings.IndexByte(name[at+1:], '/'); next >= 0 {
			at += 1 + next
		} else {
			at = len(name)
		}
		if at == len(name) && !dir {
			errno = vfs.Mknod(k.root, k.root.Root, name, linux.S_IFREG|0o644, 0)
		} else {
			errno = vfs.Mkdir(k.root, k.root.Root, name[:at], 0o755)
		}
		if errno != 0 && errno != linux.EEXIST {
			return p, fmt.Errorf("make the mount point %s: %w", name[:at], errno)
		}
	}
	p, errno = vfs.Walk(k.root, k.root.Root, name, vfs.Follow)
	return p, errnoError(errno)
}

// mountDev makes a /dev with the nodes that every Linux program may expect.
func (k *Kernel) mountDev(target vfs.Path, flags uint32) error {
	fs := tmpfs.New(tmpfs.Options{Mem: k.deps.Memory, Mode: 0o755, Source: "devtmpfs"})
	if errno := vfs.MountAt(fs.SB, target, flags); errno != 0 {
		return errno
	}
	dir, errno := vfs.Walk(k.root, k.root.Root, vfs.PathString(k.root, target), vfs.Follow)
	if errno != 0 {
		return errno
	}
	defer dir.Put()
	for _, n := range []struct {
		name         string
		major, minor uint32
	}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}, {"console", 5, 1}} {
		if errno := vfs.Mknod(k.root, dir, n.name, linux.S_IFCHR|0o666, vfs.MakeDev(n.major, n.minor)); errno != 0 {
			return fmt.Errorf("make /dev/%s: %w", n.name, errno)
		}
	}
	for _, l := range [][2]string{
		{"ptmx", "pts/ptmx"}, {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},
	} {
		if errno := vfs.Symlink(k.root, l[1], dir, l[0]); errno != 0 {
			return fmt.Errorf("make /dev/%s: %w", l[0], errno)
		}
	}
	for _, d := range []string{"pts", "shm", "mqueue"} {
		if errno := vfs.Mkdir(k.root, dir, d, 0o755); errno != 0 {
			return fmt.Errorf("make /dev/%s: %w", d, errno)
		}
	}
	return nil
}

var mountFlag = map[string]uint32{
	"ro": linux.MS_RDONLY, "nosuid": linux.MS_NOSUID, "nodev": linux.MS_NODEV, "noexec": linux.MS_NOEXEC,
	"noatime": linux.MS_NOATIME, "nodiratime": linux.MS_NODIRATIME, "relatime": linux.MS_RELATIME, "strictatime": linux.MS_STRICTATIME,
}

// mountOptions splits fstab-like options into mount(2)'s flags and the file system's own.
func mountOptions(options []string) (flags uint32, data string) {
	var own []string
	for _, o := range options {
		if f, ok := mountFlag[o]; ok {
			flags |= f
		} else if !slices.Contains([]string{"rw", "suid", "dev", "exec", "bind", "rbind", "private", "rprivate", "slave", "rslave"}, o) {
			own = append(own, o)
		}
	}
	return flags, strings.Join(own, ",")
}

// errnoError keeps success a nil error.
func errnoError(e linux.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
