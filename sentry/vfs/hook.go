package vfs

import "slices"

// ReleaseHook is told when the last reference to an open file is gone, before its operations are released: epoll
// drops its watches so.
type ReleaseHook interface {
	FileReleased(f *File)
}

// AddReleaseHook makes h known to f; the caller holds a reference.
func (f *File) AddReleaseHook(h ReleaseHook) {
	for {
		old := f.hooks.Load()
		var next []ReleaseHook
		if old != nil {
			next = slices.Clone(*old)
		}
		next = append(next, h)
		if f.hooks.CompareAndSwap(old, &next) {
			return
		}
	}
}

// RemoveReleaseHook takes h off again. h may be running, or about to, if f is being released meanwhile.
func (f *File) RemoveReleaseHook(h ReleaseHook) {
	for {
		old := f.hooks.Load()
		if old == nil {
			return
		}
		k := slices.Index(*old, h)
		if k < 0 {
			return
		}
		next := slices.Delete(slices.Clone(*old), k, k+1)
		if f.hooks.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (f *File) runReleaseHooks() {
	if f.hooks.Load() == nil {
		return
	}
	for _, h := range *f.hooks.Swap(nil) {
		h.FileReleased(f)
	}
}
