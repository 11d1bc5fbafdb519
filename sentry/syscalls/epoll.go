package syscalls

import (
	"encoding/binary"
	"sync"
	"time"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/epoll"
	"hornwork/sentry/fs/eventfd"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
)

const (
	epollEventSize = 12
	// maxEpollEvents is what epoll_wait checks its count against, as Linux does.
	maxEpollEvents = (1<<31 - 1) / epollEventSize
	// epollBatch is what one call returns at most; Linux has no such bound, a caller cannot tell.
	epollBatch = 256
)

// EpollCreate implements epoll_create(2).
func EpollCreate(t *task.Task, size int32) (uintptr, linux.Errno) {
	if size <= 0 {
		return 0, linux.EINVAL
	}
	return EpollCreate1(t, 0)
}

// EpollCreate1 implements epoll_create1(2).
func EpollCreate1(t *task.Task, flags EpollFlags) (uintptr, linux.Errno) {
	if flags&^linux.EPOLL_CLOEXEC != 0 {
		return 0, linux.EINVAL
	}
	return newFD(t, epoll.New(t.Caller()), flags&linux.EPOLL_CLOEXEC != 0)
}

// EpollCtl implements epoll_ctl(2).
func EpollCtl(t *task.Task, epfd FD, op EpollOp, fd FD, event mm.User[linux.EpollEvent]) (uintptr, linux.Errno) {
	var ev linux.EpollEvent
	if op != linux.EPOLL_CTL_DEL {
		var errno linux.Errno
		if ev, errno = event.Load(t); errno != 0 {
			return 0, errno
		}
	}
	self, errno := file(t, epfd)
	if errno != 0 {
		return 0, errno
	}
	defer self.Put()
	target, errno := file(t, fd)
	if errno != 0 {
		return 0, errno
	}
	defer target.Put()
	ep, ok := epoll.FromFile(self)
	if !ok {
		return 0, linux.EINVAL
	}
	return none(ep.Ctl(t.Caller(), self, int32(op), int32(fd), target, ev))
}

// EpollWait implements epoll_wait(2).
func EpollWait(t *task.Task, epfd FD, out EpollEvents, max int32, timeoutMS int32) (uintptr, linux.Errno) {
	noWait, deadline := timeout(time.Duration(timeoutMS) * time.Millisecond)
	ret, errno := epollWait(t, epfd, out, max, noWait, deadline)
	if errno == linux.ERESTARTSYS {
		errno = linux.EINTR // signal(7): never restarted
	}
	return ret, errno
}

// EpollPwait implements epoll_pwait(2).
func EpollPwait(t *task.Task, epfd FD, out EpollEvents, max int32, timeoutMS int32, mask mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	noWait, deadline := timeout(time.Duration(timeoutMS) * time.Millisecond)
	return epollPwait(t, epfd, out, max, noWait, deadline, mask, size)
}

// EpollPwait2 implements epoll_pwait2(2).
func EpollPwait2(t *task.Task, epfd FD, out EpollEvents, max int32, ts mm.User[linux.Timespec], mask mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	noWait, deadline, errno := loadTimeout(t, ts)
	if errno != 0 {
		return 0, errno
	}
	return epollPwait(t, epfd, out, max, noWait, deadline, mask, size)
}

func epollPwait(t *task.Task, epfd FD, out EpollEvents, max int32, noWait bool, deadline wait.Deadline, mask mm.User[linux.Sigset], size uint64) (uintptr, linux.Errno) {
	if errno := enterSigmask(t, mask, size); errno != 0 {
		return 0, errno
	}
	ret, errno := epollWait(t, epfd, out, max, noWait, deadline)
	if errno == linux.ERESTARTSYS {
		errno = linux.EINTR
	}
	return ret, errno
}

// epollBuffer is room for what one call reports.
type epollBuffer struct {
	events [epollBatch]linux.EpollEvent
	raw    [epollBatch * epollEventSize]byte
}

var epollBuffers = sync.Pool{New: func() any { return new(epollBuffer) }}

func epollWait(t *task.Task, epfd FD, out EpollEvents, max int32, noWait bool, deadline wait.Deadline) (uintptr, linux.Errno) {
	if max <= 0 || max > maxEpollEvents {
		return 0, linux.EINVAL
	}
	if !accessOK(uint64(out), uint64(max)*epollEventSize) {
		return 0, linux.EFAULT
	}
	f, errno := file(t, epfd)
	if errno != 0 {
		return 0, errno
	}
	defer f.Put()
	ep, ok := epoll.FromFile(f)
	if !ok {
		return 0, linux.EINVAL
	}
	b := epollBuffers.Get().(*epollBuffer)
	defer epollBuffers.Put(b)
	n, errno := ep.Wait(t, b.events[:min(max, epollBatch)], noWait, deadline)
	if errno != 0 {
		return 0, errno
	}
	raw := b.raw[:n*epollEventSize]
	for i, ev := range b.events[:n] {
		binary.LittleEndian.PutUint32(raw[i*epollEventSize:], ev.Events)
		binary.LittleEndian.PutUint32(raw[i*epollEventSize+4:], ev.Data[0])
		binary.LittleEndian.PutUint32(raw[i*epollEventSize+8:], ev.Data[1])
	}
	if _, errno := t.Memory().CopyOut(uint64(out), raw); errno != 0 {
		return 0, errno
	}
	return uintptr(n), 0
}

// Eventfd implements eventfd(2) of the system-call table, which has no flags.
func Eventfd(t *task.Task, initial uint32) (uintptr, linux.Errno) { return Eventfd2(t, initial, 0) }

// Eventfd2 implements eventfd2(2).
func Eventfd2(t *task.Task, initial uint32, flags EventfdFlags) (uintptr, linux.Errno) {
	if flags&^(linux.EFD_CLOEXEC|linux.EFD_NONBLOCK|linux.EFD_SEMAPHORE) != 0 {
		return 0, linux.EINVAL
	}
	return newFD(t, eventfd.New(t.Caller(), initial, uint32(flags)), flags&linux.EFD_CLOEXEC != 0)
}
