package syscalls

import (
	"fmt"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/ipc"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// shmMemory is the bytes of a segment: a file of the internal tmpfs.
type shmMemory struct {
	f   *vfs.File
	ino uint64
	key int32
}

// Release implements ipc.Memory.
func (m *shmMemory) Release() { m.f.Put() }

// shmRef is a segment as mm maps it; it counts mappings.
type shmRef struct {
	mm.MappedFile
	seg *ipc.Shm
	m   *shmMemory
}

func (r *shmRef) GetRef()               { r.m.f.Get() }
func (r *shmRef) PutRef()               { r.m.f.Put() }
func (r *shmRef) Mapped() mm.MappedFile { return r }
func (r *shmRef) PathName() string      { return fmt.Sprintf("/SYSV%08x (deleted)", uint32(r.m.key)) }

// PunchHole implements mm.HolePuncher.
func (r *shmRef) PunchHole(off, length uint64) linux.Errno { return punchHole(r.m.f, off, length) }

// AddMapping implements mm.MappedFile.
func (r *shmRef) AddMapping(m mm.Mapping, off, length uint64) {
	r.seg.Attach()
	r.MappedFile.AddMapping(m, off, length)
}

// RemoveMapping implements mm.MappedFile.
func (r *shmRef) RemoveMapping(m mm.Mapping, off, length uint64) {
	r.MappedFile.RemoveMapping(m, off, length)
	r.seg.Detach()
}

// Shmget implements shmget(2).
func Shmget(t *task.Task, key int32, size uint64, flags uint32) (uintptr, linux.Errno) {
	if flags&linux.SHM_HUGETLB != 0 {
		return 0, linux.ENOMEM // as with an empty pool of huge pages
	}
	id, errno := t.NS().IPC.ShmGet(ipcCaller(t), key, size, flags, func(key int32) (ipc.Memory, linux.Errno) {
		return newShmMemory(t, key, size)
	})
	return uintptr(id), errno
}

func newShmMemory(t *task.Task, key int32, size uint64) (ipc.Memory, linux.Errno) {
	c := *t.Caller()
	c.MaxFileSize = 1<<63 - 1 // RLIMIT_FSIZE is not about memory
	f, errno := tmpfs.NewMemfd(&c, shmem, "SYSV", 0)
	if errno != 0 {
		return nil, errno
	}
	if errno := f.Truncate(&c, int64((size+linux.PageMask)&^linux.PageMask)); errno != 0 {
		f.Put()
		return nil, errno
	}
	m := &shmMemory{f: f, key: key}
	_, m.ino = f.Ops.(mm.MappedFile).MapIdentity()
	return m, 0
}

// Shmat implements shmat(2).
func Shmat(t *task.Task, id int32, addr uint64, flags uint32) (uintptr, linux.Errno) {
	if id < 0 {
		return 0, linux.EINVAL
	}
	o := mm.MMapOpts{Addr: addr, Flags: linux.MAP_SHARED, Prot: linux.PROT_READ | linux.PROT_WRITE,
		MaxProt: linux.PROT_READ | linux.PROT_WRITE | linux.PROT_EXEC}
	if addr != 0 {
		if addr&linux.PageMask != 0 {
			if flags&linux.SHM_RND == 0 {
				return 0, linux.EINVAL
			}
			o.Addr &^= linux.PageMask
			if o.Addr == 0 && flags&linux.SHM_REMAP != 0 {
				return 0, linux.EINVAL
			}
		}
		o.Flags |= linux.MAP_FIXED
		if flags&linux.SHM_REMAP == 0 {
			o.Flags |= linux.MAP_FIXED_NOREPLACE
		}
	} else if flags&linux.SHM_REMAP != 0 {
		return 0, linux.EINVAL
	}
	want := uint32(0o666)
	if flags&linux.SHM_RDONLY != 0 {
		o.Prot, want = linux.PROT_READ, 0o444
	}
	if flags&linux.SHM_EXEC != 0 {
		o.Prot |= linux.PROT_EXEC
		want |= 0o111
	}
	seg, errno := t.NS().IPC.ShmAttach(ipcCaller(t), id, want)
	if errno != 0 {
		return 0, errno
	}
	defer seg.Detach() // the mapping counts itself
	m := seg.Memory.(*shmMemory)
	o.Len, o.File = seg.Size, &shmRef{m.f.Ops.(mm.MappedFile), seg, m}
	at, errno := t.MM().MMap(&o)
	if errno == linux.EEXIST {
		errno = linux.EINVAL
	}
	if errno == 0 {
		seg.Used(t.Group.PID())
	}
	return uintptr(at), errno
}

// Shmdt implements shmdt(2): it unmaps what is left of the segment that was attached at addr.
func Shmdt(t *task.Task, addr uint64) (uintptr, linux.Errno) {
	if addr&linux.PageMask != 0 {
		return 0, linux.EINVAL
	}
	as := t.MM()
	var ino, size uint64
	id := int32(-1)
	type span struct{ start, len uint64 }
	var spans []span
	as.VMAs(func(v mm.VMAInfo) bool {
		if v.Start < addr || len(v.Name) < 5 || v.Name[:5] != "/SYSV" || v.Start-addr != v.Offset {
			return size == 0 || v.Start < addr+size
		}
		if ino == 0 {
			ino = v.Ino
			for _, s := range t.NS().IPC.Shms() {
				if m := s.Memory.(*shmMemory); m.ino == ino {
					id, size = s.ID, s.Size
				}
			}
		}
		if v.Ino == ino {
			spans = append(spans, span{v.Start, v.End - v.Start})
		}
		return size == 0 || v.End < addr+size
	})
	if len(spans) == 0 {
		return 0, linux.EINVAL
	}
	for _, s := range spans {
		if errno := as.MUnmap(s.start, s.len); errno != 0 {
			return 0, errno
		}
	}
	t.NS().IPC.ShmUsed(id, t.Group.PID())
	return 0, 0
}

// Shmctl implements shmctl(2).
func Shmctl(t *task.Task, id int32, cmd IPCCmd, buf Addr) (uintptr, linux.Errno) {
	const shmidDSSize = 112
	if cmd < 0 || id < 0 {
		return 0, linux.EINVAL
	}
	reg, c := t.NS().IPC, ipcCaller(t)
	switch cmd {
	case linux.IPC_RMID:
		return none(reg.ShmRemove(c, id))
	case linux.IPC_SET:
		uid, gid, mode, _, errno := ipcSet(t, buf, shmidDSSize)
		if errno != 0 {
			return 0, errno
		}
		return none(reg.ShmSet(c, id, uid, gid, mode))
	case linux.SHM_LOCK, linux.SHM_UNLOCK:
		return none(reg.ShmLock(c, id, cmd == linux.SHM_LOCK))
	case linux.IPC_INFO, linux.SHM_INFO:
		return shmInfo(t, cmd, buf)
	case linux.IPC_STAT, linux.SHM_STAT, linux.SHM_STAT_ANY:
		s, errno := reg.ShmStat(c, id, cmd != linux.IPC_STAT, cmd == linux.SHM_STAT_ANY)
		if errno != 0 {
			return 0, errno
		}
		var b ipcStruct
		b.perm(t, &s.Perm)
		for _, v := range []uint64{s.Size, uint64(s.ATime), uint64(s.DTime), uint64(s.CTime)} {
			b.u64(v)
		}
		b.u32(uint32(s.CPID))
		b.u32(uint32(s.LPID))
		// A segment counts as attached while shmat works on it; nobody sees that here.
		for _, v := range []uint64{uint64(s.Attached), 0, 0} {
			b.u64(v)
		}
		if errno := b.store(t, buf); errno != 0 || cmd == linux.IPC_STAT {
			return 0, errno
		}
		return uintptr(s.ID), 0
	}
	return 0, linux.EINVAL
}

func shmInfo(t *task.Task, cmd IPCCmd, buf Addr) (uintptr, linux.Errno) {
	highest, n, pages := t.NS().IPC.ShmUsage()
	var b ipcStruct
	if cmd == linux.IPC_INFO {
		const unlimited = 1<<64 - 1 - 1<<24
		for _, v := range []uint64{unlimited, linux.SHMMIN, linux.SHMMNI, linux.SHMMNI, unlimited, 0, 0, 0, 0} {
			b.u64(v)
		}
	} else {
		for _, v := range []uint64{uint64(n), pages, pages, 0, 0, 0} {
			b.u64(v)
		}
	}
	if errno := b.store(t, buf); errno != 0 {
		return 0, errno
	}
	return uintptr(highest), 0
}
