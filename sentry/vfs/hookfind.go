package vfs

// FindReleaseHook returns the first hook that match accepts, nil if there is none.
func (f *File) FindReleaseHook(match func(ReleaseHook) bool) ReleaseHook {
	if p := f.hooks.Load(); p != nil {
		for _, h := range *p {
			if match(h) {
				return h
			}
		}
	}
	return nil
}
