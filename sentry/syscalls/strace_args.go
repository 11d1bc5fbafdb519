package syscalls

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"hornwork/linux"
	"hornwork/sentry/trace"
)

// outArgs has, by name, the mm.User arguments that a call fills in: bit i for argument i. Arguments of the types
// in outTypes need no entry.
var outArgs = map[string]uint8{
	"stat": 1 << 1, "lstat": 1 << 1, "fstat": 1 << 1, "newfstatat": 1 << 2, "statx": 1 << 4,
	"readv": 1 << 1, "preadv": 1 << 1, "preadv2": 1 << 1, "statfs": 1 << 1, "fstatfs": 1 << 1, "pipe": 1, "pipe2": 1, "socketpair": 1 << 3,
	"wait4": 1<<1 | 1<<3, "waitid": 1<<2 | 1<<4, "uname": 1, "sysinfo": 1, "times": 1,
	"getrlimit": 1 << 1, "prlimit64": 1 << 3, "getrusage": 1 << 1, "gettimeofday": 3,
	"clock_gettime": 1 << 1, "clock_getres": 1 << 1, "nanosleep": 1 << 1, "clock_nanosleep": 1 << 3,
	"rt_sigaction": 1 << 2, "rt_sigprocmask": 1 << 2, "rt_sigpending": 1, "rt_sigtimedwait": 1 << 1,
	"sigaltstack": 1 << 1, "getitimer": 1 << 1, "setitimer": 1 << 2, "timer_gettime": 1 << 1,
	"timer_settime": 1 << 3, "timer_create": 1 << 2, "timerfd_gettime": 1 << 1, "timerfd_settime": 1 << 3,
	"getresuid": 7, "getresgid": 7, "getcpu": 3, "capget": 1 << 1, "get_robust_list": 1<<1 | 1<<2,
	"sched_getaffinity": 1 << 2, "sched_getparam": 1 << 1, "sched_getattr": 1 << 1, "sched_rr_get_interval": 1 << 1,
	"get_mempolicy": 1, "recvmsg": 1 << 1, "recvmmsg": 1 << 1, "arch_prctl": 0, "getgroups": 1 << 1, "shmctl": 1 << 2,
}

// outTypes are the parameter types that only calls which fill them in have.
var outTypes = map[reflect.Type]bool{
	reflect.TypeFor[OutBuf]():      true,
	reflect.TypeFor[EpollEvents](): true,
	reflect.TypeFor[SockAddrOut](): true,
}

// pointerTypes print guest memory that other arguments describe.
var pointerTypes = map[reflect.Type]func(c *tracedCall, i int) string{
	reflect.TypeFor[Path]():        (*tracedCall).stringText,
	reflect.TypeFor[Str]():         (*tracedCall).stringText,
	reflect.TypeFor[Addr]():        (*tracedCall).addrText,
	reflect.TypeFor[FDSet]():       (*tracedCall).fdsetText,
	reflect.TypeFor[StrArray]():    (*tracedCall).stringsText,
	reflect.TypeFor[InBuf]():       func(c *tracedCall, i int) string { return c.bytesText(c.args[i], c.next(i)) },
	reflect.TypeFor[OutBuf]():      func(c *tracedCall, i int) string { return c.bytesText(c.args[i], uint64(c.ret)) },
	reflect.TypeFor[IOVecs]():      (*tracedCall).iovecText,
	reflect.TypeFor[SockAddr]():    func(c *tracedCall, i int) string { return c.sockaddrText(c.args[i], c.next(i)) },
	reflect.TypeFor[SockAddrOut](): (*tracedCall).sockaddrOutText,
	reflect.TypeFor[EpollEvents](): (*tracedCall).epollText,
}

// next is the argument after i: the length of what i points to.
func (c *tracedCall) next(i int) uint64 {
	if i+1 < len(c.args) {
		return c.args[i+1]
	}
	return 0
}

// argPrinters print arguments that are plain numbers to their handlers.
var argPrinters = sync.OnceValue(func() map[string]map[int]func(uint64) string {
	one := func(names ...trace.Bit) func(uint64) string { return oneText("???", names) }
	limits := one(bit(0, "RLIMIT_CPU"), bit(1, "RLIMIT_FSIZE"), bit(2, "RLIMIT_DATA"), bit(3, "RLIMIT_STACK"),
		bit(4, "RLIMIT_CORE"), bit(5, "RLIMIT_RSS"), bit(6, "RLIMIT_NPROC"), bit(7, "RLIMIT_NOFILE"),
		bit(8, "RLIMIT_MEMLOCK"), bit(9, "RLIMIT_AS"), bit(10, "RLIMIT_LOCKS"), bit(11, "RLIMIT_SIGPENDING"),
		bit(12, "RLIMIT_MSGQUEUE"), bit(13, "RLIMIT_NICE"), bit(14, "RLIMIT_RTPRIO"), bit(15, "RLIMIT_RTTIME"))
	timers := one(bit(0, "ITIMER_REAL"), bit(1, "ITIMER_VIRTUAL"), bit(2, "ITIMER_PROF"))
	setFD := flagsText("FD_???", []trace.Bit{bit(linux.FD_CLOEXEC, "FD_CLOEXEC")})
	return map[string]map[int]func(uint64) string{
		"mmap":           {5: hexText},
		"ioctl":          {2: hexText},
		"prctl":          {1: hexText, 2: hexText, 3: hexText, 4: hexText},
		"fcntl":          {2: hexText},
		"fcntl F_SETFD":  {2: setFD},
		"fcntl F_SETFL":  {2: flagText(reflect.TypeFor[OpenFlags]())},
		"arch_prctl":     {0: one(bit(0x1001, "ARCH_SET_GS"), bit(0x1002, "ARCH_SET_FS"), bit(0x1003, "ARCH_GET_FS"), bit(0x1004, "ARCH_GET_GS"), bit(0x3001, "ARCH_CET_STATUS")), 1: hexText},
		"prlimit64":      {1: limits},
		"getrlimit":      {0: limits},
		"setrlimit":      {0: limits},
		"rt_sigprocmask": {0: one(bit(0, "SIG_BLOCK"), bit(1, "SIG_UNBLOCK"), bit(2, "SIG_SETMASK"))},
		"setitimer":      {0: timers},
		"getitimer":      {0: timers},
		"waitid":         {0: one(bit(0, "P_ALL"), bit(1, "P_PID"), bit(2, "P_PGID"), bit(3, "P_PIDFD"))},
		"getrusage":      {0: one(bit(0, "RUSAGE_SELF"), bit(1, "RUSAGE_THREAD"), bit(0xffffffff, "RUSAGE_CHILDREN"))},
	}
})

// hexText prints a number as C's %#x.
func hexText(v uint64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", v)
}

// hidden says whether strace leaves argument i out: what open(2) and fcntl(2) do not look at.
func (c *tracedCall) hidden(i int) bool {
	switch c.name {
	case "open", "openat":
		last := len(c.types) - 1
		const creates = linux.O_CREAT | linux.O_TMPFILE&^linux.O_DIRECTORY
		return i == last && c.args[last-1]&creates == 0
	case "fcntl":
		switch c.args[1] {
		case linux.F_GETFD, linux.F_GETFL, linux.F_GETOWN, linux.F_GETSIG, linux.F_GETLEASE, linux.F_GETPIPE_SZ, linux.F_GET_SEALS:
			return i == 2
		}
	case "futex":
		// How many arguments count depends on the operation.
		switch int64(c.args[1]) & linux.FUTEX_CMD_MASK {
		case linux.FUTEX_WAKE:
			return i > 2
		case linux.FUTEX_WAIT:
			return i > 3
		}
	}
	return false
}

// printer finds how argument i is printed if not by its type.
func (c *tracedCall) printer(i int) func(uint64) string {
	if c.name == "fcntl" && i == 2 {
		cmd := flagText(reflect.TypeFor[FcntlCmd]())(c.args[1])
		if p := argPrinters()["fcntl "+cmd][i]; p != nil {
			return p
		}
	}
	return argPrinters()[c.name][i]
}

// argText prints argument i, by its type as a rule.
func (c *tracedCall) argText(i int) string {
	typ, v := c.types[i], c.args[i]
	if p := c.printer(i); p != nil {
		if typ.Size() < 8 {
			v &= 1<<(8*typ.Size()) - 1
		}
		return p(v)
	}
	if f := pointerTypes[typ]; f != nil {
		return f(c, i)
	}
	// mm.User[T] is known by its method Load, which returns the T.
	if load, ok := typ.MethodByName("Load"); ok && typ.Kind() == reflect.Uint64 && load.Type.NumOut() == 2 {
		return c.structText(typ, load, v, i)
	}
	if typ.Size() < 8 { // as the handler sees it
		v &= 1<<(8*typ.Size()) - 1
	}
	if print := flagText(typ); print != nil {
		return print(v)
	}
	x := reflect.New(typ).Elem()
	if x.CanInt() {
		shift := 64 - 8*typ.Size()
		return strconv.FormatInt(int64(v<<shift)>>shift, 10)
	}
	return strconv.FormatUint(v, 10)
}

func (c *tracedCall) addrText(i int) string { return trace.Pointer(c.args[i]) }

func (c *tracedCall) stringText(i int) string { return c.stringAt(c.args[i]) }

func (c *tracedCall) stringAt(addr uint64) string {
	if addr == 0 {
		return "NULL"
	}
	s, errno := c.t.MM().CopyInString(addr, linux.PATH_MAX)
	if errno != 0 && errno != linux.ENAMETOOLONG {
		return trace.Pointer(addr)
	}
	return trace.Quote([]byte(s), errno != 0) // paths are shown whole
}

// stringsText prints argv whole, and of an environment how many variables it has.
func (c *tracedCall) stringsText(i int) string {
	const most, shown = 10000, 32
	addr := c.args[i]
	var parts []string
	n := 0
	for ; n < most; n++ {
		var raw [8]byte
		if _, errno := c.t.Memory().CopyIn(raw[:], addr+uint64(n)*8); errno != 0 {
			return trace.Pointer(addr)
		}
		p := binary.LittleEndian.Uint64(raw[:])
		if p == 0 {
			break
		}
		if n < shown {
			parts = append(parts, c.stringAt(p))
		}
	}
	if i > 0 && c.types[i-1] == reflect.TypeFor[StrArray]() {
		return fmt.Sprintf("%s /* %d vars */", trace.Pointer(addr), n)
	}
	if n > shown {
		parts = append(parts, "...")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// bytesText prints n bytes at addr, the first MaxString of them.
func (c *tracedCall) bytesText(addr, n uint64) string {
	if addr == 0 {
		return "NULL"
	}
	if strings.HasPrefix(c.name, "getdents") {
		return fmt.Sprintf("%#x /* %d bytes of entries */", addr, n)
	}
	b := make([]byte, min(n, trace.MaxString))
	if k, errno := c.t.Memory().CopyIn(b, addr); errno != 0 && k == 0 {
		return trace.Pointer(addr)
	}
	return trace.Quote(b, n > uint64(len(b)))
}

func (c *tracedCall) iovecText(i int) string {
	const shown = 4
	addr, n := c.args[i], c.next(i)
	if addr == 0 {
		return "NULL"
	}
	// Buffers of a read hold as much as was read.
	left := uint64(maxRWCount)
	if strings.HasPrefix(c.name, "read") || strings.HasPrefix(c.name, "pread") {
		left = uint64(c.ret)
	}
	var parts []string
	for k := range min(n, shown) {
		var raw [iovecSize]byte
		if _, errno := c.t.Memory().CopyIn(raw[:], addr+k*iovecSize); errno != 0 {
			return trace.Pointer(addr)
		}
		base, length := binary.LittleEndian.Uint64(raw[:]), binary.LittleEndian.Uint64(raw[8:])
		filled := min(length, left)
		left -= filled
		parts = append(parts, fmt.Sprintf("{iov_base=%s, iov_len=%d}", c.bytesText(base, filled), length))
	}
	if n > shown {
		parts = append(parts, "...")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (c *tracedCall) fdsetText(i int) string {
	addr := c.args[i]
	if addr == 0 {
		return "NULL"
	}
	raw := make([]byte, (min(c.args[0], 1024)+7)/8)
	if _, errno := c.t.Memory().CopyIn(raw, addr); errno != 0 {
		return trace.Pointer(addr)
	}
	var fds []string
	for fd := range len(raw) * 8 {
		if raw[fd/8]&(1<<(fd%8)) != 0 {
			fds = append(fds, strconv.Itoa(fd))
		}
	}
	return "[" + strings.Join(fds, " ") + "]"
}

func (c *tracedCall) epollText(i int) string {
	const shown = 4
	var parts []string
	for k := range min(uint64(c.ret), shown) {
		var raw [epollEventSize]byte
		if _, errno := c.t.Memory().CopyIn(raw[:], c.args[i]+k*epollEventSize); errno != 0 {
			return trace.Pointer(c.args[i])
		}
		parts = append(parts, epollEventText(linux.EpollEvent{
			Events: binary.LittleEndian.Uint32(raw[:]),
			Data:   [2]uint32{binary.LittleEndian.Uint32(raw[4:]), binary.LittleEndian.Uint32(raw[8:])},
		}))
	}
	if uint64(c.ret) > shown {
		parts = append(parts, "...")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (c *tracedCall) sockaddrOutText(i int) string {
	if c.args[i] == 0 {
		return "NULL"
	}
	var raw [4]byte
	if _, errno := c.t.Memory().CopyIn(raw[:], c.next(i)); errno != 0 {
		return trace.Pointer(c.args[i])
	}
	return c.sockaddrText(c.args[i], uint64(binary.LittleEndian.Uint32(raw[:])))
}

func (c *tracedCall) sockaddrText(addr, n uint64) string {
	if addr == 0 {
		return "NULL"
	}
	b := make([]byte, min(n, 128))
	if _, errno := c.t.Memory().CopyIn(b, addr); errno != 0 || len(b) < 2 {
		return trace.Pointer(addr)
	}
	family := binary.LittleEndian.Uint16(b)
	head := "{sa_family=" + addrFamilyText(uint64(family))
	switch {
	case family == linux.AF_UNIX && len(b) == 2:
		return head + "}"
	case family == linux.AF_UNIX && b[2] == 0:
		return head + ", sun_path=@" + trace.Quote(b[3:], false) + "}"
	case family == linux.AF_UNIX:
		path, _, _ := strings.Cut(string(b[2:]), "\x00")
		return head + ", sun_path=" + trace.Quote([]byte(path), false) + "}"
	case family == linux.AF_INET && len(b) >= 8:
		return fmt.Sprintf(`%s, sin_port=htons(%d), sin_addr=inet_addr("%d.%d.%d.%d")}`, head,
			binary.BigEndian.Uint16(b[2:]), b[4], b[5], b[6], b[7])
	}
	return head + ", sa_data=" + trace.Quote(b[2:], false) + "}"
}

// structText prints what a mm.User[T] points to, or the address where it points to nothing.
func (c *tracedCall) structText(typ reflect.Type, load reflect.Method, addr uint64, i int) string {
	if addr == 0 {
		return "NULL"
	}
	if typ == pollfdsType {
		return c.pollfdsText(addr, c.next(i))
	}
	u := reflect.New(typ).Elem()
	u.SetUint(addr)
	out := load.Func.Call([]reflect.Value{u, reflect.ValueOf(c.t)})
	if out[1].Uint() != 0 {
		return trace.Pointer(addr)
	}
	if c.name == "wait4" && out[0].CanInt() {
		return "[" + waitStatusText(int32(out[0].Int())) + "]"
	}
	return valueText(out[0], true)
}

func (c *tracedCall) pollfdsText(addr, n uint64) string {
	const shown = 8
	var parts []string
	for k := range min(n, shown) {
		var raw [pollfdSize]byte
		if _, errno := c.t.Memory().CopyIn(raw[:], addr+k*pollfdSize); errno != 0 {
			return trace.Pointer(addr)
		}
		fd := int32(binary.LittleEndian.Uint32(raw[:]))
		events := pollText(uint64(binary.LittleEndian.Uint16(raw[4:])))
		parts = append(parts, fmt.Sprintf("{fd=%d, events=%s}", fd, events))
	}
	if n > shown {
		parts = append(parts, "...")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
