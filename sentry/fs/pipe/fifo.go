package pipe

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/vfs"
)

func init() { vfs.OpenFIFO = open }

func newFIFO() any {
	p := newPipe()
	p.named = true
	return p
}

// open is open(2) of a FIFO's name, or of an anonymous pipe through /proc/self/fd (which never waits). It
// sleeps through c.Blocker until the other end is open too.
func open(c *vfs.Caller, i *vfs.Inode, _ vfs.Path, flags uint32) (vfs.FileOps, linux.Errno) {
	p := i.BoundOrMake(newFIFO).(*Pipe)
	nonblock := flags&linux.O_NONBLOCK != 0
	switch flags & linux.O_ACCMODE {
	case linux.O_RDONLY:
		return p.openRead(c, nonblock)
	case linux.O_WRONLY:
		return p.openWrite(c, nonblock)
	case linux.O_RDWR:
		p.mu.Lock()
		p.readers++
		p.writers++
		p.rOpens++
		p.wOpens++
		p.mu.Unlock()
		p.opens.Notify(wait.All)
		return &end{p: p, read: true, write: true}, 0
	}
	return nil, linux.EINVAL
}

func (p *Pipe) openRead(c *vfs.Caller, nonblock bool) (vfs.FileOps, linux.Errno) {
	e := &end{p: p, read: true}
	p.mu.Lock()
	p.rOpens++
	p.readers++
	alone, seen := p.named && p.writers == 0, p.wOpens
	if alone && nonblock {
		e.wSeen = seen
	}
	p.mu.Unlock()
	p.opens.Notify(wait.All)
	if alone && !nonblock {
		if errno := p.awaitPartner(c, &p.wOpens, seen); errno != 0 {
			p.drop(true, false)
			return nil, errno
		}
	}
	return e, 0
}

func (p *Pipe) openWrite(c *vfs.Caller, nonblock bool) (vfs.FileOps, linux.Errno) {
	p.mu.Lock()
	if p.named && nonblock && p.readers == 0 {
		p.mu.Unlock()
		return nil, linux.ENXIO
	}
	p.wOpens++
	p.writers++
	alone, seen := p.named && p.readers == 0, p.rOpens
	p.mu.Unlock()
	p.opens.Notify(wait.All)
	if alone {
		if errno := p.awaitPartner(c, &p.rOpens, seen); errno != 0 {
			p.drop(false, true)
			return nil, errno
		}
	}
	return &end{p: p, write: true}, 0
}

// awaitPartner sleeps until the other end has been opened once more; that it may be closed again by then does not
// matter.
func (p *Pipe) awaitPartner(c *vfs.Caller, opens *uint32, seen uint32) linux.Errno {
	if c.Blocker == nil {
		return linux.EAGAIN
	}
	return c.Blocker.Block(&p.opens, wait.All, wait.Deadline{}, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return *opens != seen
	})
}
