package syscalls

import (
	"time"

	"hornwork/lib/wait"
	"hornwork/sentry/vfs"
)

// timedFile is a file whose reads and writes give up after a time: a socket with SO_RCVTIMEO or SO_SNDTIMEO.
// Zero is for ever.
type timedFile interface {
	ReadTimeout() time.Duration
	WriteTimeout() time.Duration
}

func readDeadline(f *vfs.File) wait.Deadline {
	if s, ok := f.Ops.(timedFile); ok {
		return deadlineAfter(s.ReadTimeout())
	}
	return noDeadline
}

func writeDeadline(f *vfs.File) wait.Deadline {
	if s, ok := f.Ops.(timedFile); ok {
		return deadlineAfter(s.WriteTimeout())
	}
	return noDeadline
}

func deadlineAfter(d time.Duration) wait.Deadline {
	if d == 0 {
		return noDeadline
	}
	return time.Now().Add(d)
}
