package syscalls

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"

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

// argText prints argument i by its type.
func (c *tracedCall) argText(i int) string {
	typ, v := c.types[i], c.args[i]
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

func (c *tracedCall) stringText(i int) string {
	addr := c.args[i]
	if addr == 0 {
		return "NULL"
	}
	s, errno := c.t.MM().CopyInString(addr, linux.PATH_MAX)
	if errno != 0 && errno != linux.ENAMETOOLONG {
		return trace.Pointer(addr)
	}
	return trace.Quote([]byte(s), errno != 0) // paths are shown whole
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
