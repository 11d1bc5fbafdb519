package tmpfs_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// sleeper is a task that only sleeps.
type sleeper struct{ ch chan struct{} }

func (s *sleeper) Wake(*wait.Entry, wait.Events) {
	select {
	case s.ch <- struct{}{}:
	default:
	}
}

func (s *sleeper) Block(q *wait.Queue, mask wait.Events, _ wait.Deadline, ready func() bool) linux.Errno {
	e := wait.Entry{Waker: s, Mask: mask}
	q.Add(&e)
	defer q.Remove(&e)
	for !ready() {
		<-s.ch
	}
	return 0
}

// process is a caller with locks of its own, and the file opened for itself.
func process(t testing.TB, c *vfs.Caller, pid int32) (*vfs.Caller, *vfs.File) {
	n := *c
	n.PID, n.Files, n.Blocker = pid, pid, &sleeper{make(chan struct{}, 1)}
	f, errno := open(&n, "f", linux.O_CREAT|linux.O_RDWR, 0o600)
	if errno != 0 {
		t.Fatal(errno)
	}
	return &n, f
}

func lock(c *vfs.Caller, f *vfs.File, typ int16, start, length int64, block bool) linux.Errno {
	return f.SetLock(c, &linux.Flock{Type: typ, Start: start, Len: length}, false, block)
}

func lockText() string {
	var s []string
	for _, l := range vfs.Locks() {
		k := "r"
		if l.Write {
			k = "w"
		}
		s = append(s, fmt.Sprintf("%d%s%d-%d", l.PID, k, l.Start, l.End))
	}
	return strings.Join(s, " ")
}

func TestPosixLocksSplitAndMerge(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	a, fa := process(t, c, 1)
	b, fb := process(t, c, 2)
	for _, tc := range []struct {
		who        int
		typ        int16
		start, len int64
		errno      linux.Errno
		locks      string
	}{
		{1, linux.F_WRLCK, 0, 100, 0, "1w0-99"},
		{1, linux.F_UNLCK, 40, 20, 0, "1w0-39 1w60-99"},
		{1, linux.F_RDLCK, 30, 40, 0, "1w0-29 1r30-69 1w70-99"},
		{2, linux.F_RDLCK, 40, 10, 0, "1w0-29 1r30-69 2r40-49 1w70-99"},
		{2, linux.F_WRLCK, 40, 10, linux.EAGAIN, "1w0-29 1r30-69 2r40-49 1w70-99"},
		{1, linux.F_WRLCK, 30, 10, 0, "1w0-39 2r40-49 1r40-69 1w70-99"},
		{1, linux.F_WRLCK, 50, 0, 0, "1w0-39 2r40-49 1r40-49 1w50-9223372036854775807"},
		{2, linux.F_UNLCK, 0, 0, 0, "1w0-39 1r40-49 1w50-9223372036854775807"},
		{1, linux.F_WRLCK, 49, -9, 0, "1w0-48 1r49-49 1w50-9223372036854775807"},
		{1, linux.F_WRLCK, 10, -20, linux.EINVAL, "1w0-48 1r49-49 1w50-9223372036854775807"},
		{1, linux.F_UNLCK, 0, 0, 0, ""},
	} {
		who, f := a, fa
		if tc.who == 2 {
			who, f = b, fb
		}
		errno := lock(who, f, tc.typ, tc.start, tc.len, false)
		if got := lockText(); errno != tc.errno || len(got) != len(tc.locks) {
			t.Errorf("%+v: %v, locks %s", tc, errno, got)
		}
	}
	want(t, "lock", lock(a, fa, linux.F_WRLCK, 5, 5, false), 0)
	fl := linux.Flock{Type: linux.F_RDLCK, Start: 0, Len: 7}
	want(t, "getlk", fb.GetLock(b, &fl, false), 0)
	if fl.Type != linux.F_WRLCK || fl.Start != 5 || fl.Len != 5 || fl.PID != 1 {
		t.Errorf("getlk says %+v", fl)
	}
	// Closing any descriptor of the file releases the process's locks.
	_, again := process(t, c, 1)
	again.Close(a, a.Files)
	again.Put()
	if got := lockText(); got != "" {
		t.Errorf("locks after a close: %s", got)
	}
	fa.Put()
	fb.Put()
}

func TestLocksWaitAndFindDeadlocks(t *testing.T) {
	c := newRoot(t, tmpfs.Options{})
	a, fa := process(t, c, 1)
	b, fb := process(t, c, 2)
	defer fa.Put()
	defer fb.Put()
	synctest.Test(t, func(t *testing.T) {
		a.Blocker, b.Blocker = &sleeper{make(chan struct{}, 1)}, &sleeper{make(chan struct{}, 1)}
		want(t, "a locks 0", lock(a, fa, linux.F_WRLCK, 0, 1, true), 0)
		want(t, "b locks 1", lock(b, fb, linux.F_WRLCK, 1, 1, true), 0)
		got := make(chan linux.Errno, 1)
		go func() { got <- lock(a, fa, linux.F_WRLCK, 1, 1, true) }()
		synctest.Wait()
		want(t, "b locks 0 too", lock(b, fb, linux.F_WRLCK, 0, 1, true), linux.EDEADLK)
		select {
		case e := <-got:
			t.Fatalf("a did not wait: %v", e)
		default:
		}
		want(t, "b unlocks", lock(b, fb, linux.F_UNLCK, 1, 1, true), 0)
		want(t, "a gets it", <-got, 0)

		want(t, "flock a", fa.Flock(a, linux.LOCK_SH), 0)
		want(t, "flock b", fb.Flock(b, linux.LOCK_SH), 0)
		want(t, "upgrade", fb.Flock(b, linux.LOCK_EX|linux.LOCK_NB), linux.EAGAIN)
		want(t, "flock b again", fb.Flock(b, linux.LOCK_SH|linux.LOCK_NB), 0)
		go func() { got <- fb.Flock(b, linux.LOCK_EX) }()
		synctest.Wait()
		want(t, "unlock a", fa.Flock(a, linux.LOCK_UN), 0)
		want(t, "b is alone", <-got, 0)
	})
	want(t, "ofd against posix", fb.SetLock(b, &linux.Flock{Type: linux.F_WRLCK, Len: 1}, true, false), linux.EAGAIN)
	want(t, "ofd", fb.SetLock(b, &linux.Flock{Type: linux.F_WRLCK, Start: 50, Len: 1}, true, false), 0)
	want(t, "posix of the same process against ofd", lock(b, fb, linux.F_WRLCK, 50, 1, false), linux.EAGAIN)
	want(t, "ofd with a pid", fb.SetLock(b, &linux.Flock{Type: linux.F_WRLCK, PID: 5}, true, false), linux.EINVAL)
	ro, _ := open(b, "f", linux.O_RDONLY, 0)
	want(t, "write lock of a reader", lock(b, ro, linux.F_WRLCK, 90, 1, false), linux.EBADF)
	ro.Put()
}
