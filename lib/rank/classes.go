package rank

// Lock classes, one empty type each. Their order is order.txt.
type (
	Rename     struct{} // vfs: one rename across directories at a time, per filesystem
	Dir        struct{} // vfs: a directory's children
	Mounts     struct{} // vfs: the mount tree of a namespace
	FilePos    struct{} // vfs: the offset of an open file description
	Overlay    struct{} // overlay: an inode's layers; held over calls of the layers' filesystems
	Inode      struct{} // vfs: attributes and data of an inode
	Remote     struct{} // fs/remote: what an inode has fetched from the gofer; held over requests
	FileData   struct{} // tmpfs: which pages hold a file's data; taken under MM by faults, so no user copies under it
	Dentry     struct{} // vfs: the map of a directory's cached children; held for a lookup only
	DCache     struct{} // vfs: the ring of all dentries
	TaskSet    struct{} // task: the tree of tasks, thread groups, sessions
	Sighand    struct{} // task: signal state of a thread group
	TaskState  struct{} // task: one task's own state
	FDTable    struct{} // task: a descriptor table
	Namespace  struct{} // ns: the state of a namespace
	IPC        struct{} // ipc: the objects of a namespace
	MM         struct{} // mm: the VMAs of an address space
	PMA        struct{} // mm: the extents behind them
	MemFile    struct{} // host/mem: the allocator of the memory file
	Futex      struct{} // futex: a bucket
	FutexPI    struct{} // futex: who owns and waits for PI futexes
	Pipe       struct{}
	Epoll      struct{}
	UnixSocket struct{}
	TTY        struct{}
	Timer      struct{}
	Platform   struct{} // platform: one address space's stub
	Clock      struct{} // host/clock: the guests' clocks
)
