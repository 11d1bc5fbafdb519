package trap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unsafe"
)

func addrBegin() uintptr
func addrWorker() uintptr
func addrThread() uintptr
func addrReset() uintptr
func addrReady() uintptr
func addrFull() uintptr
func addrSignal() uintptr
func addrRestore() uintptr
func addrExit() uintptr
func addrSyscall() uintptr
func addrAnswer() uintptr
func addrWait() uintptr
func addrEnd() uintptr

//go:noescape
func forkRun(flags uintptr, calls *[7]uintptr, n uintptr, entry uintptr) (pid uintptr)

//go:noescape
func spin(p *uint32, n uint32) uint32

func rdtsc() uint64
func rdpid() uint32
func rdfsbase() uintptr
func cpuid(leaf, sub uint32) (a, b, c, d uint32)
func xgetbv() uint64

// image is the stub's text with its filters, and the addresses in it that the sentry knows.
type image struct {
	bytes []byte

	worker, signal, restore, full, reset, exit, syscall, answer uint64

	signalNotified uint64 // the address after the notification in stubSignal
	readyNotified  uint64
	waitNotified   uint64
	published      uint64 // the address after the XCHG that publishes a request
	resumeLo       uint64 // stubFull to the end of stubRestore: resuming
	resumeHi       uint64
	baseInR8       uint64 // in stubRestore: from here to iret r8 is the frame, before it rsp
	iret           uint64
	requestLo      uint64 // stubSyscall to the end of stubWait
	requestHi      uint64

	guestProgram  uint64 // where the guest's filter begins
	guestLen      uint64
	mapperProgram uint64 // struct sock_fprog of the mapper's filter
	baseProgram   uint64 // struct sock_fprog of the zygote's
}

var syscallInsn = []byte{0x0f, 0x05}

// newImage lays out the stub. It fails when the linker did not keep the functions in order.
func newImage() (*image, error) {
	order := []uintptr{addrBegin(), addrWorker(), addrThread(), addrReset(), addrReady(), addrFull(), addrSignal(), addrRestore(), addrExit(),
		addrSyscall(), addrAnswer(), addrWait(), addrEnd()}
	for i := 1; i < len(order); i++ {
		if order[i] <= order[i-1] {
			return nil, errors.New("the linker moved the stub's functions")
		}
	}
	begin := addrBegin()
	code := bytes.Clone(unsafe.Slice(*(**byte)(unsafe.Pointer(&begin)), addrEnd()-begin))
	at := func(a uintptr) uint64 { return textBase + uint64(a-begin) }
	im := &image{
		worker: at(addrWorker()), signal: at(addrSignal()), restore: at(addrRestore()), full: at(addrFull()), reset: at(addrReset()), exit: at(addrExit()),
		syscall: at(addrSyscall()), answer: at(addrAnswer()),
		resumeLo: at(addrFull()), resumeHi: at(addrExit()),
		requestLo: at(addrSyscall()), requestHi: at(addrEnd()),
	}
	after := func(from, to uintptr, pattern []byte) (uint64, error) {
		f := code[from-begin : to-begin]
		i := bytes.Index(f, pattern)
		if i < 0 || bytes.Contains(f[i+1:], pattern) {
			return 0, errors.New("the stub's code is not as expected")
		}
		return at(from) + uint64(i+len(pattern)), nil
	}
	var err [6]error
	im.signalNotified, err[0] = after(addrSignal(), addrRestore(), syscallInsn)
	im.readyNotified, err[1] = after(addrReady(), addrFull(), syscallInsn)
	im.waitNotified, err[2] = after(addrWait(), addrEnd(), syscallInsn)
	im.published, err[3] = after(addrAnswer(), addrWait(), []byte{0x65, 0x87, 0x04, 0x25})
	im.published += 4
	im.baseInR8, err[4] = after(addrRestore(), addrExit(), []byte{0x49, 0x89, 0xe0})
	im.iret, err[5] = after(addrRestore(), addrExit(), []byte{0x48, 0xcf})
	im.iret -= 2
	if e := errors.Join(err[:]...); e != nil {
		return nil, e
	}
	im.appendFilters(code)
	return im, nil
}

func (im *image) appendFilters(code []byte) {
	pad := func() {
		for len(code)%16 != 0 {
			code = append(code, 0xcc)
		}
	}
	put := func(f []sockFilter) uint64 {
		pad()
		a := textBase + uint64(len(code))
		for _, x := range f {
			code = binary.LittleEndian.AppendUint16(code, x.code)
			code = append(code, x.jt, x.jf)
			code = binary.LittleEndian.AppendUint32(code, x.k)
		}
		return a
	}
	g := guestFilter()
	im.guestProgram, im.guestLen = put(g), uint64(len(g))
	program := func(f []sockFilter) uint64 {
		a := put(f)
		pad()
		code = binary.LittleEndian.AppendUint64(code, uint64(len(f)))
		code = binary.LittleEndian.AppendUint64(code, a)
		return textBase + uint64(len(code)) - 16
	}
	im.mapperProgram, im.baseProgram = program(mapperFilter()), program(baseFilter())
	for len(code)%pageSize != 0 {
		code = append(code, 0xcc)
	}
	im.bytes = code
	if len(code) > textSize {
		panic("trap: textSize is too small for the stub")
	}
}
