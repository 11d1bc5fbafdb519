package syscalls

import (
	"encoding/binary"
	"testing"

	_ "hornwork/sentry/fs/pipe"
	_ "hornwork/sentry/sock/unix"

	"hornwork/host/mem"
	"hornwork/linux"
	"hornwork/platform"
	"hornwork/sentry/cred"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/mm"
	"hornwork/sentry/ns"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// The tests of this package play the guest: a platform whose threads make the system calls that a test asks for,
// over a real task, real memory and a tmpfs.

// fakePlatform has address spaces without a stub.
type fakePlatform struct{ threads chan *fakeThread }

func (*fakePlatform) Name() string                { return "fake" }
func (*fakePlatform) UserRange() (uint64, uint64) { return 0x10000, 1<<47 - 4096 }
func (*fakePlatform) FPSize() int                 { return 512 }
func (*fakePlatform) Close()                      {}
func (p *fakePlatform) NewAddressSpace() (platform.AddressSpace, linux.Errno) {
	return &fakeSpace{p}, 0
}

type fakeSpace struct{ p *fakePlatform }

func (*fakeSpace) Apply([]platform.MapOp) linux.Errno { return 0 }
func (*fakeSpace) TextChanged(addr, length uint64)    {}
func (*fakeSpace) HostPID() int                       { return 0 }
func (*fakeSpace) Release()                           {}
func (s *fakeSpace) NewThread() (platform.Thread, linux.Errno) {
	th := &fakeThread{req: make(chan linux.Regs), res: make(chan linux.Regs), intr: make(chan struct{}, 1), gone: make(chan struct{})}
	s.p.threads <- th
	return th, 0
}

// fakeThread is a guest thread that the test drives.
type fakeThread struct {
	req, res chan linux.Regs
	intr     chan struct{}
	gone     chan struct{}
	answer   bool // the last event was a call whose result is due
}

func (th *fakeThread) Switch(regs *linux.Regs, _ platform.Resume) platform.Event {
	if th.answer {
		th.answer = false
		th.res <- *regs
	}
	select {
	case r := <-th.req:
		*regs, th.answer = r, true
		return platform.Event{Kind: platform.EventSyscall}
	case <-th.intr:
		return platform.Event{Kind: platform.EventInterrupted}
	case <-th.gone:
		return platform.Event{Kind: platform.EventGone}
	}
}

func (*fakeThread) Complete(*linux.Regs) linux.Errno { return 0 }
func (*fakeThread) FPState() ([]byte, linux.Errno)   { return make([]byte, 512), 0 }
func (*fakeThread) SetFPState([]byte) linux.Errno    { return 0 }
func (*fakeThread) Answer(uintptr, int64)            {}
func (*fakeThread) CPUTime() int64                   { return 0 }
func (*fakeThread) Release()                         {}
func (th *fakeThread) Interrupt() {
	select {
	case th.intr <- struct{}{}:
	default:
	}
}

type fakeLoader struct{}

func (fakeLoader) Load(a *task.LoadArgs) (task.Image, linux.Errno) {
	if _, errno := a.Credentials(a.File); errno != 0 {
		return task.Image{}, errno
	}
	return task.Image{Entry: 0x401000, SP: 0x7fff0000, Exe: a.File.Get()}, 0
}

// guest is a process that a test plays.
type guest struct {
	tb   testing.TB
	t    *task.Task
	th   *fakeThread
	k    *task.Kernel
	heap uint64 // next free byte of a mapping
	end  uint64
}

const guestHeap = 1 << 20

// newGuest boots a kernel whose first process belongs to the test.
func newGuest(tb testing.TB) *guest {
	tb.Helper()
	mf, err := mem.New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(mf.Close)
	p := &fakePlatform{threads: make(chan *fakeThread, 16)}
	k := task.NewKernel()
	k.Syscall, k.Loader, k.FPSize, k.AnonFS = Dispatch, fakeLoader{}, 512, AnonInodes
	k.NewMM = func() (*mm.AddressSpace, linux.Errno) { return mm.New(p, mf) }
	k.MemTotal = func() uint64 { return 1 << 30 }
	k.MemFree = k.MemTotal
	SetShmem(tmpfs.New(tmpfs.Options{Mem: mf}))
	root := tmpfs.New(tmpfs.Options{Mem: mf, Mode: 0o755})
	mnt := vfs.NewMountNS(root.SB, 0)
	at := mnt.Root()
	c := &vfs.Caller{Creds: cred.Root(k.UserNS), Root: at, Cwd: at}
	exe, errno := vfs.Open(c, at, "init", &linux.OpenHow{Flags: linux.O_CREAT | linux.O_RDWR, Mode: 0o755})
	if errno != 0 {
		tb.Fatal(errno)
	}
	time := ns.NewTime(k.UserNS, ns.InitTimeIno, nil)
	g, errno := task.NewInit(k, &task.InitArgs{
		Creds: c.Creds, Root: at, Cwd: at, Umask: 0o22, Limits: task.DefaultLimits(), Exec: task.ExecArgs{File: exe},
		Namespaces: &task.Namespaces{
			Mount: mnt, UTS: ns.NewUTS(k.UserNS, "test"), IPC: ns.NewIPC(k.UserNS, ns.InitIPCIno),
			Net: ns.NewNet(k.UserNS, ns.InitNetIno), Cgroup: ns.NewCgroup(k.UserNS, ns.InitCgroupIno, "/"),
			Time: time, TimeForChildren: time, PIDForChildren: k.PIDNS,
		},
	})
	if errno != 0 {
		tb.Fatal(errno)
	}
	x := &guest{tb: tb, t: g.Leader(), th: <-p.threads, k: k}
	g.Start()
	// Threads that the guest makes end at once.
	go func() {
		for {
			select {
			case th := <-p.threads:
				close(th.gone)
			case <-k.Done():
				return
			}
		}
	}()
	tb.Cleanup(func() {
		k.KillAll() // it may be stopped
		close(x.th.gone)
		<-k.Done()
	})
	x.heap = uint64(x.ok(linux.SYS_MMAP, 0, guestHeap, linux.PROT_READ|linux.PROT_WRITE, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS, -1, 0))
	x.end = x.heap + guestHeap
	return x
}

// call makes a system call and returns what rax holds after it. A call that is to be restarted is restarted.
func (g *guest) call(nr int, args ...any) int64 {
	var r linux.Regs
	for i, a := range args {
		*[]*uint64{&r.RDI, &r.RSI, &r.RDX, &r.R10, &r.R8, &r.R9}[i] = g.arg(a)
	}
	const rip = 0x401002
	for {
		r.OrigRAX, r.RAX, r.RIP, r.CS, r.SS, r.RSP = uint64(nr), ^uint64(linux.ENOSYS)+1, rip, 0x33, 0x2b, 0x7fff0000
		select {
		case g.th.req <- r:
		case <-g.k.Done():
			g.tb.Fatal("the process is gone")
		}
		select {
		case out := <-g.th.res:
			if out.RIP != rip-2 {
				return int64(out.RAX)
			}
			nr = int(out.RAX)
		case <-g.k.Done():
			g.tb.Fatal("the process died of the call")
		}
	}
}

// arg turns a Go value into a register: strings and byte slices are copied to guest memory first.
func (g *guest) arg(a any) uint64 {
	switch a := a.(type) {
	case string:
		return g.put([]byte(a + "\x00"))
	case []byte:
		return g.put(a)
	case int:
		return uint64(a)
	case int64:
		return uint64(a)
	case uint64:
		return a
	case int32:
		return uint64(int64(a))
	}
	g.tb.Fatalf("argument of type %T", a)
	return 0
}

// room reserves n zero bytes of guest memory.
func (g *guest) room(n int) uint64 {
	n = (n + 15) &^ 15
	if g.heap+uint64(n) > g.end {
		g.tb.Fatal("the guest's heap is full")
	}
	g.heap += uint64(n)
	return g.heap - uint64(n)
}

func (g *guest) put(b []byte) uint64 {
	addr := g.room(len(b))
	g.store(addr, b)
	return addr
}

func (g *guest) store(addr uint64, b []byte) {
	if _, errno := g.t.Memory().CopyOut(addr, b); errno != 0 {
		g.tb.Fatal(errno)
	}
}

func (g *guest) get(addr uint64, n int) []byte {
	b := make([]byte, n)
	if _, errno := g.t.Memory().CopyIn(b, addr); errno != 0 {
		g.tb.Fatalf("reading guest memory at %#x: %v", addr, errno)
	}
	return b
}

func (g *guest) int32At(addr uint64) int32 { return int32(binary.LittleEndian.Uint32(g.get(addr, 4))) }

// ok is call for calls that must succeed.
func (g *guest) ok(nr int, args ...any) int64 {
	g.tb.Helper()
	ret := g.call(nr, args...)
	if ret < 0 && ret > -4096 {
		g.tb.Fatalf("%s%v: %v", Name(uintptr(nr)), args, linux.Errno(-ret))
	}
	return ret
}

// fails is call for calls that must fail with errno.
func (g *guest) fails(errno linux.Errno, nr int, args ...any) {
	g.tb.Helper()
	if ret := g.call(nr, args...); ret != -int64(errno) {
		g.tb.Errorf("%s%v returned %d, want %s", Name(uintptr(nr)), args, ret, errno.Name())
	}
}
