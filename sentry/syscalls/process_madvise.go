package syscalls

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/task"
	"hornwork/sentry/usermem"
)

// ProcessMadvise implements process_madvise(2): it returns how many bytes it advised.
func ProcessMadvise(t *task.Task, fd FD, iov IOVecs, n uint64, advice Advice, flags uint32) (uintptr, linux.Errno) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	ranges, errno := adviceRanges(t, iov, n)
	if errno != 0 {
		return 0, errno
	}
	p, errno := pidOfFD(t, fd)
	if errno != 0 {
		return 0, errno
	}
	switch advice {
	case linux.MADV_COLD, linux.MADV_PAGEOUT, linux.MADV_WILLNEED:
	default:
		return 0, linux.EINVAL
	}
	g := p.Group()
	if g == nil || g.Zombie() {
		return 0, linux.ESRCH
	}
	o := g.Leader()
	if !t.MayAccess(o, false) || !t.Creds().HasCap(linux.CAP_SYS_NICE) {
		return 0, linux.EPERM
	}
	as := o.MM()
	if as == nil || !as.TryGet() {
		return 0, linux.ESRCH
	}
	defer as.Put()
	done := uint64(0)
	for _, r := range ranges {
		if errno := as.MAdvise(r.Addr, r.Len, int(advice)); errno != 0 {
			if done > 0 {
				break
			}
			return 0, errno
		}
		done += r.Len
	}
	return uintptr(done), 0
}

// adviceRanges reads the array of struct iovec.
func adviceRanges(t *task.Task, iov IOVecs, n uint64) ([]usermem.Range, linux.Errno) {
	if n > maxIOV {
		return nil, linux.EINVAL
	}
	out := make([]usermem.Range, n)
	for i := range out {
		v, errno := mm.User[linux.IOVec](iov).At(i).Load(t)
		if errno != 0 {
			return nil, errno
		}
		if int64(v.Len) < 0 {
			return nil, linux.EINVAL
		}
		out[i] = usermem.Range{Addr: v.Base, Len: v.Len}
	}
	return out, 0
}
