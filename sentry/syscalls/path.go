package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// place is a name and the directory that it starts from. Put it after use.
type place struct {
	at   vfs.Path
	name string
	dir  *vfs.File // keeps at alive, if it came from a descriptor
}

func (p *place) Put() {
	if p.dir != nil {
		p.dir.Put()
	}
}

func atName(t *task.Task, dirfd DirFD, name string) (place, linux.Errno) {
	if dirfd == linux.AT_FDCWD || (len(name) > 0 && name[0] == '/') {
		return place{at: t.Caller().Cwd, name: name}, 0
	}
	return atDir(t, dirfd, name)
}

// atDir is atName for names that start at the descriptor even if they are absolute.
func atDir(t *task.Task, dirfd DirFD, name string) (place, linux.Errno) {
	if dirfd == linux.AT_FDCWD {
		return place{at: t.Caller().Cwd, name: name}, 0
	}
	if name == "" {
		// What an empty name means depends on AT_EMPTY_PATH; the descriptor may then be any file.
		f, errno := fileRaw(t, FD(dirfd))
		if errno != 0 {
			return place{}, errno
		}
		return place{at: f.Path, dir: f}, 0
	}
	f, errno := fileRaw(t, FD(dirfd))
	if errno != 0 {
		return place{}, errno
	}
	if f.Inode().Type() != linux.S_IFDIR {
		f.Put()
		return place{}, linux.ENOTDIR
	}
	return place{at: f.Path, name: name, dir: f}, 0
}

// resolve walks to an existing file. Without vfs.Empty an empty name is ENOENT. Put the result.
func resolve(t *task.Task, dirfd DirFD, name Path, flags vfs.WalkFlags) (vfs.Path, linux.Errno) {
	str, errno := name.Load(t)
	if errno != 0 {
		return vfs.Path{}, errno
	}
	if str == "" && flags&vfs.Empty == 0 {
		return vfs.Path{}, linux.ENOENT
	}
	p, errno := atName(t, dirfd, str)
	if errno != 0 {
		return vfs.Path{}, errno
	}
	defer p.Put()
	return vfs.Walk(t.Caller(), p.at, p.name, flags)
}

// walkFlags turns AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH into flags of Walk.
func walkFlags(flags AtFlags) vfs.WalkFlags {
	w := vfs.Follow
	if flags&linux.AT_SYMLINK_NOFOLLOW != 0 {
		w = 0
	}
	if flags&linux.AT_EMPTY_PATH != 0 {
		w |= vfs.Empty
	}
	return w
}
