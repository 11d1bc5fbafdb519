package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/cred"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
)

// ProcessVMReadv implements process_vm_readv(2).
func ProcessVMReadv(t *task.Task, pid int32, local IOVecs, nLocal uint64, remote IOVecs, nRemote uint64, flags uint64) (uintptr, linux.Errno) {
	return processVM(t, pid, local, nLocal, remote, nRemote, flags, false)
}

// ProcessVMWritev implements process_vm_writev(2).
func ProcessVMWritev(t *task.Task, pid int32, local IOVecs, nLocal uint64, remote IOVecs, nRemote uint64, flags uint64) (uintptr, linux.Errno) {
	return processVM(t, pid, local, nLocal, remote, nRemote, flags, true)
}

func processVM(t *task.Task, pid int32, local IOVecs, nLocal uint64, remote IOVecs, nRemote uint64, flags uint64, write bool) (uintptr, linux.Errno) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	mine := newTransfer()
	defer mine.free()
	if errno := mine.many(t, local, nLocal); errno != 0 {
		return 0, errno
	}
	if mine.seq.Len() == 0 {
		return 0, 0
	}
	as, errno := memoryOf(t, pid)
	if errno != 0 {
		return 0, errno
	}
	defer as.Put()
	theirs := newTransfer()
	defer theirs.free()
	if errno := theirs.manyOf(t, remote, nRemote, as); errno != 0 {
		return 0, errno
	}
	buf := copyBuffers.Get().(*copyBuffer)
	defer copyBuffers.Put(buf)
	from, to := &theirs.seq, &mine.seq
	if write {
		from, to = to, from
	}
	return copyMemory(from, to, buf.data[:])
}

// copyMemory moves bytes between two address spaces until either sequence ends or faults.
func copyMemory(from, to *usermem.Seq, buf []byte) (uintptr, linux.Errno) {
	done := 0
	for {
		n := min(from.Len(), to.Len(), len(buf))
		if n == 0 {
			return uintptr(done), 0
		}
		got, errno := from.CopyIn(buf[:n])
		put, errno2 := to.CopyOut(buf[:got])
		done += put
		if errno == 0 {
			errno = errno2
		}
		if errno != 0 && done > 0 {
			return uintptr(done), 0
		}
		if errno != 0 {
			return 0, errno
		}
	}
}

// memoryOf returns the address space of another process, with a reference, if t may attach to it.
func memoryOf(t *task.Task, pid int32) (*mm.AddressSpace, linux.Errno) {
	o := t.PIDNS().Task(pid)
	if o == nil {
		return nil, linux.ESRCH
	}
	if o.Group != t.Group && !mayAttach(t.Creds(), o) {
		return nil, linux.EPERM
	}
	as := o.MM()
	if as == nil || !as.TryGet() {
		return nil, linux.ESRCH
	}
	return as, 0
}

// mayAttach is ptrace(2)'s access check with PTRACE_MODE_ATTACH_REALCREDS.
func mayAttach(c *cred.Credentials, o *task.Task) bool {
	oc := o.Creds()
	if c.HasCapIn(oc.UserNS, linux.CAP_SYS_PTRACE) {
		return true
	}
	same := c.RUID == oc.RUID && c.RUID == oc.EUID && c.RUID == oc.SUID &&
		c.RGID == oc.RGID && c.RGID == oc.EGID && c.RGID == oc.SGID
	return same && o.Group.Dumpable() == 1 && oc.Permitted&^c.Permitted == 0
}
