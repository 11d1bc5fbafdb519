package task

import (
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

// FlushFile does what every close(2) of a descriptor does to its file: it releases the POSIX locks that the
// descriptor table owns and flushes. The caller drops the reference.
func (t *Task) FlushFile(f *vfs.File) linux.Errno {
	return f.Close(t.Caller(), t.files.Load())
}

// closeFile closes a file that was taken from a table; errors have nobody to go to.
func (t *Task) closeFile(f *vfs.File, table *FDTable) {
	_ = f.Close(t.Caller(), table)
	f.Put()
}

// CloseRange closes the descriptors first to last.
func (t *Task) CloseRange(first, last uint32) {
	if first >= fdMax {
		return
	}
	last = min(last, fdMax)
	files := t.Files()
	for fd := int32(first); ; fd++ {
		files.mu.Lock()
		fd = files.used.nextSet(fd)
		var f *vfs.File
		if fd >= 0 && uint32(fd) <= last {
			f = files.take(fd)
		}
		files.mu.Unlock()
		if fd < 0 || uint32(fd) > last {
			return
		}
		if f != nil {
			t.closeFile(f, files)
		}
	}
}

// closeOnExec closes the descriptors that execve(2) closes.
func (t *Task) closeOnExec() {
	files := t.Files()
	for fd := int32(0); ; fd++ {
		files.mu.Lock()
		fd = files.cloexec.nextSet(fd)
		var f *vfs.File
		if fd >= 0 {
			f = files.take(fd)
			files.cloexec.put(fd, false)
		}
		files.mu.Unlock()
		if fd < 0 {
			return
		}
		if f != nil {
			t.closeFile(f, files)
		}
	}
}

// UnshareFiles gives the task a descriptor table of its own (unshare(2), execve(2)).
func (t *Task) UnshareFiles() linux.Errno {
	old := t.files.Load()
	if old.users.Load() == 1 {
		return 0
	}
	own := old.Fork(&t.Group.limits)
	if own == nil {
		return linux.ENOMEM
	}
	t.files.Store(own)
	t.releaseFiles(old)
	return 0
}

// releaseFiles drops the task's use of a table; the last user closes everything.
func (t *Task) releaseFiles(old *FDTable) {
	if old.users.Add(-1) != 0 {
		return
	}
	old.Each(0, func(fd int32, f *vfs.File, _ bool) bool {
		if taken := old.Close(fd); taken != nil {
			t.closeFile(taken, old)
		}
		return true
	})
	old.discard()
}
