package task

import "hornwork/sentry/vfs"

// MoveRoots moves the root and working directories that are old to new, as pivot_root(2) does for every process.
func (k *Kernel) MoveRoots(old, new vfs.Path) {
	for _, g := range k.PIDNS.Groups() {
		for _, t := range g.Threads() {
			if f := t.FS(); f != nil && f.tryGet() {
				f.moveFrom(&f.root, old, new)
				f.moveFrom(&f.cwd, old, new)
				f.release()
			}
		}
	}
}

// tryGet adds a user unless the last one is gone.
func (f *FSContext) tryGet() bool {
	for {
		n := f.users.Load()
		if n <= 0 {
			return false
		}
		if f.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// moveFrom is change, if the path is old.
func (f *FSContext) moveFrom(field *vfs.Path, old, new vfs.Path) {
	f.mu.Lock()
	if *field != old {
		f.mu.Unlock()
		return
	}
	*field = new.Get()
	f.version.Add(1)
	f.mu.Unlock()
	old.Put()
}
