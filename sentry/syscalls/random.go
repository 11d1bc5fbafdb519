package syscalls

import (
	"crypto/rand"

	"hornwork/linux"
	"hornwork/sentry/task"
)

// Getrandom implements getrandom(2). The pool is always ready, so that it never waits.
func Getrandom(t *task.Task, buf OutBuf, count uint64, flags RandomFlags) (uintptr, linux.Errno) {
	const both = linux.GRND_RANDOM | linux.GRND_INSECURE
	if flags&^(linux.GRND_NONBLOCK|both) != 0 || flags&both == both {
		return 0, linux.EINVAL
	}
	if !accessOK(uint64(buf), count) {
		return 0, linux.EFAULT
	}
	count = min(count, maxRWCount)
	var small [256]byte
	b := small[:min(count, uint64(len(small)))]
	if count > uint64(len(small)) {
		b = make([]byte, min(count, copyChunk))
	}
	var done uint64
	for done < count {
		b = b[:min(uint64(len(b)), count-done)]
		if _, err := rand.Read(b); err != nil {
			return 0, linux.EAGAIN // cannot be: Go ends the program instead
		}
		n, errno := t.Memory().CopyOut(uint64(buf)+done, b)
		done += uint64(n)
		if errno != 0 {
			if done > 0 {
				break
			}
			return 0, errno
		}
		if done < count && t.Interrupted() {
			break
		}
	}
	return uintptr(done), 0
}
