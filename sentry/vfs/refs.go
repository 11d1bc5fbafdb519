package vfs

// Refs is the present number of references, for the collector of AF_UNIX sockets in flight.
func (f *File) Refs() int64 { return f.refs.Load() }
