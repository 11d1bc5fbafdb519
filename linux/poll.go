package linux

// Values of <asm/poll.h>, <linux/eventpoll.h>, <sys/eventfd.h>, as amd64 programs see them.
const (
	EFD_SEMAPHORE    = 1
	EFD_NONBLOCK     = 0x800
	EFD_CLOEXEC      = 0x80000
	EPOLLERR         = 8
	EPOLLET          = 0x80000000
	EPOLLEXCLUSIVE   = 0x10000000
	EPOLLHUP         = 0x10
	EPOLLIN          = 1
	EPOLLMSG         = 0x400
	EPOLLNVAL        = 0x20
	EPOLLONESHOT     = 0x40000000
	EPOLLOUT         = 4
	EPOLLPRI         = 2
	EPOLLRDBAND      = 0x80
	EPOLLRDHUP       = 0x2000
	EPOLLRDNORM      = 0x40
	EPOLLWAKEUP      = 0x20000000
	EPOLLWRBAND      = 0x200
	EPOLLWRNORM      = 0x100
	EPOLL_CTL_ADD    = 1
	EPOLL_CTL_DEL    = 2
	EPOLL_CTL_MOD    = 3
	EPOLL_CLOEXEC    = 0x80000
	EPOLL_URING_WAKE = 0x8000000
	POLLERR          = 8
	POLLFREE         = 0x4000
	POLLHUP          = 0x10
	POLLIN           = 1
	POLLMSG          = 0x400
	POLLNVAL         = 0x20
	POLLOUT          = 4
	POLLPRI          = 2
	POLLRDBAND       = 0x80
	POLLRDHUP        = 0x2000
	POLLRDNORM       = 0x40
	POLLREMOVE       = 0x1000
	POLLWRBAND       = 0x200
	POLLWRNORM       = 0x100
	POLL_BUSY_LOOP   = 0x8000
)
