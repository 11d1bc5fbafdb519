package devpts

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// master is an open master side, made by opening ptmx.
type master struct {
	vfs.DefaultFile
	t *TTY
}

// Release closes the master: the terminal hangs up and leaves the filesystem.
func (m *master) Release(*vfs.File) { m.t.closeMaster() }

func (t *TTY) closeMaster() {
	t.mu.Lock()
	t.masters--
	if t.masters > 0 {
		t.mu.Unlock()
		return
	}
	t.hungUp = true
	t.out.buf, t.in = nil, input{}
	session := t.session
	t.unlock()
	if session != nil {
		session.HungUp()
	}
	t.inst.remove(t)
}

// Read gives the master what the slave wrote; in packet mode after a status byte.
func (m *master) Read(c *vfs.Caller, f *vfs.File, dst *usermem.Seq, _ int64) (int, linux.Errno) {
	t := m.t
	if dst.Len() == 0 {
		return 0, 0
	}
	for {
		t.mu.Lock()
		n, errno := t.readMaster(dst)
		low := len(t.out.buf) < outputLow
		t.mu.Unlock()
		if n > 0 && low {
			t.slaveQ.Notify(wait.Writable)
		}
		if n > 0 || errno != linux.EAGAIN || f.Flags()&linux.O_NONBLOCK != 0 || c.Blocker == nil {
			return n, errno
		}
		errno = c.Blocker.Block(&t.masterQ, wait.All, wait.Deadline{}, func() bool {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.masterReadable() || t.noSlave()
		})
		if errno != 0 {
			return 0, errno
		}
	}
}

func (t *TTY) noSlave() bool { return t.slaveOpened && t.slaves == 0 }

func (t *TTY) masterReadable() bool { return len(t.out.buf) > 0 || t.packet && t.packetBits != 0 }

func (t *TTY) readMaster(dst *usermem.Seq) (int, linux.Errno) {
	if !t.masterReadable() {
		if t.noSlave() {
			return 0, linux.EIO
		}
		return 0, linux.EAGAIN
	}
	done := 0
	if t.packet {
		bits := t.packetBits
		n, errno := dst.CopyOut([]byte{bits})
		if errno != 0 {
			return 0, errno
		}
		if bits != 0 {
			t.packetBits = 0
			return n, 0
		}
		done = n
	}
	n, errno := dst.CopyOut(t.out.buf[:min(len(t.out.buf), dst.Len())])
	t.out.buf = append(t.out.buf[:0], t.out.buf[n:]...)
	if done+n > 0 {
		errno = 0
	}
	return done + n, errno
}

// Write is typing: the bytes go through the line discipline.
func (m *master) Write(c *vfs.Caller, f *vfs.File, src *usermem.Seq, _ int64) (int, int64, linux.Errno) {
	t := m.t
	nonblock := f.Flags()&linux.O_NONBLOCK != 0 || c.Blocker == nil
	var chunk [512]byte
	done := 0
	for src.Len() > 0 {
		t.mu.Lock()
		room := pendingMax - len(t.in.pending)
		t.mu.Unlock()
		if room <= 0 {
			if nonblock {
				return done, 0, orErr(done, linux.EAGAIN)
			}
			if errno := c.Blocker.Block(&t.masterQ, wait.All, wait.Deadline{}, t.inputReady); errno != 0 {
				return done, 0, errno
			}
			continue
		}
		b := chunk[:min(len(chunk), src.Len())]
		if n, errno := src.CopyIn(b); errno != 0 || n < len(b) {
			return done, 0, orFault(done, errno)
		}
		t.feed(b)
		done += len(b)
	}
	return done, 0, 0
}

// feed puts typed bytes into the line discipline.
func (t *TTY) feed(b []byte) {
	t.mu.Lock()
	t.in.pending = append(t.in.pending, b...)
	t.process()
	t.unlock()
}

func (t *TTY) inputReady() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.in.pending) < pendingMax
}

func (m *master) Readiness(mask wait.Events) wait.Events {
	t := m.t
	t.mu.Lock()
	defer t.mu.Unlock()
	var ev wait.Events
	if t.masterReadable() {
		ev |= wait.Readable
	}
	if t.packet && t.packetBits != 0 {
		ev |= wait.Pri
	}
	if len(t.in.pending) < pendingMax {
		ev |= wait.Writable
	}
	if t.noSlave() {
		ev |= wait.Hup
	}
	return ev & (mask | wait.Hup)
}

func (m *master) EventRegister(e *wait.Entry)   { m.t.masterQ.Add(e) }
func (m *master) EventUnregister(e *wait.Entry) { m.t.masterQ.Remove(e) }
