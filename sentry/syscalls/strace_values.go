package syscalls

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/trace"
)

var pollfdsType = reflect.TypeFor[mm.User[linux.Pollfd]]()

// fieldPrefix is what C puts before the names of a structure's fields.
var fieldPrefix = map[reflect.Type]string{
	reflect.TypeFor[linux.Timespec]():   "tv_",
	reflect.TypeFor[linux.Timeval]():    "tv_",
	reflect.TypeFor[linux.Itimerspec](): "it_",
	reflect.TypeFor[linux.Itimerval]():  "it_",
	reflect.TypeFor[linux.Statfs]():     "f_",
	reflect.TypeFor[linux.Rusage]():     "ru_",
	reflect.TypeFor[linux.Tms]():        "tms_",
	reflect.TypeFor[linux.StackT]():     "ss_",
	reflect.TypeFor[linux.Flock]():      "l_",
	reflect.TypeFor[linux.Winsize]():    "ws_",
	reflect.TypeFor[linux.Msghdr]():     "msg_",
	reflect.TypeFor[linux.Sigaction]():  "sa_",
}

// structPrinters print the structures that strace shows in a form of their own.
var structPrinters = map[reflect.Type]func(any) string{
	reflect.TypeFor[linux.Stat]():       func(v any) string { s := v.(linux.Stat); return statText(&s) },
	reflect.TypeFor[linux.Statx]():      func(v any) string { s := v.(linux.Statx); return statxText(&s) },
	reflect.TypeFor[linux.Sigset]():     func(v any) string { return sigsetText(v.(linux.Sigset)) },
	reflect.TypeFor[linux.Rlimit]():     func(v any) string { return rlimitText(v.(linux.Rlimit)) },
	reflect.TypeFor[linux.Siginfo]():    func(v any) string { s := v.(linux.Siginfo); return siginfoText(&s) },
	reflect.TypeFor[linux.EpollEvent](): func(v any) string { return epollEventText(v.(linux.EpollEvent)) },
	reflect.TypeFor[linux.Sigaction]():  func(v any) string { return sigactionText(v.(linux.Sigaction)) },
}

// valueText prints a value that was loaded from guest memory. A scalar behind a pointer is in brackets.
func valueText(v reflect.Value, pointed bool) string {
	if print := structPrinters[v.Type()]; print != nil {
		return print(v.Interface())
	}
	switch {
	case v.Kind() == reflect.Struct:
		return fieldsText(v)
	case v.Kind() == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8:
		text, _, _ := strings.Cut(string(bytesOf(v)), "\x00")
		return trace.Quote([]byte(text[:min(len(text), trace.MaxString)]), len(text) > trace.MaxString)
	case v.Kind() == reflect.Array:
		const shown = 32
		var parts []string
		for i := range min(v.Len(), shown) {
			parts = append(parts, valueText(v.Index(i), false))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	text := "?"
	switch {
	case v.CanInt():
		text = strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		text = strconv.FormatUint(v.Uint(), 10)
	}
	if pointed {
		return "[" + text + "]"
	}
	return text
}

func bytesOf(v reflect.Value) []byte {
	b := make([]byte, v.Len())
	for i := range b {
		b[i] = byte(v.Index(i).Uint())
	}
	return b
}

func fieldsText(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Name == "_" {
			continue
		}
		name := fieldPrefix[v.Type()] + strings.ToLower(f.Name)
		parts = append(parts, name+"="+valueText(v.Field(i), false))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func statText(s *linux.Stat) string {
	head := "{st_mode=" + nodeModeText(uint64(s.Mode))
	if t := s.Mode & linux.S_IFMT; t == linux.S_IFCHR || t == linux.S_IFBLK {
		return head + ", st_rdev=" + devText(s.Rdev) + ", ...}"
	}
	return head + ", st_size=" + strconv.FormatInt(s.Size, 10) + ", ...}"
}

func statxText(s *linux.Statx) string {
	return fmt.Sprintf("{stx_mask=%s, stx_attributes=%#x, stx_mode=%s, stx_size=%d, ...}",
		flagText(reflect.TypeFor[StatxMask]())(uint64(s.Mask)), s.Attributes, nodeModeText(uint64(s.Mode)), s.Size)
}

func devText(dev uint64) string {
	major := dev>>8&0xfff | dev>>32&^0xfff
	minor := dev&0xff | dev>>12&^0xff
	return fmt.Sprintf("makedev(%#x, %#x)", major, minor)
}

func rlimitText(r linux.Rlimit) string {
	return "{rlim_cur=" + limitText(r.Cur) + ", rlim_max=" + limitText(r.Max) + "}"
}

func limitText(v uint64) string {
	switch {
	case v == 1<<64-1:
		return "RLIM64_INFINITY"
	case v > 1024 && v%1024 == 0:
		return fmt.Sprintf("%d*1024", v/1024)
	}
	return strconv.FormatUint(v, 10)
}

func epollEventText(e linux.EpollEvent) string {
	return fmt.Sprintf("{events=%s, data={u32=%d, u64=%d}}", epollBits(uint64(e.Events)), e.Data[0],
		uint64(e.Data[0])|uint64(e.Data[1])<<32)
}

// signalNames are SIGHUP (1) to SIGSYS (31).
var signalNames = strings.Fields(`0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD
	CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS`)

func signalName(n uint64) string {
	switch {
	case n == 0:
		return "0"
	case n < uint64(len(signalNames)):
		return "SIG" + signalNames[n]
	case n >= linux.SIGRTMIN && n <= linux.SIGRTMAX:
		return "SIGRT_" + strconv.FormatUint(n-linux.SIGRTMIN, 10)
	}
	return strconv.FormatUint(n, 10)
}

func sigsetText(set linux.Sigset) string {
	inverse := ""
	if n := set; n&(n>>32) != 0 && n>>33 == 1<<31-1 { // nearly all: strace shows what is missing
		inverse, set = "~", ^set
	}
	var names []string
	for i := range uint64(64) {
		if set&(1<<i) != 0 {
			names = append(names, strings.TrimPrefix(signalName(i+1), "SIG"))
		}
	}
	return inverse + "[" + strings.Join(names, " ") + "]"
}

func sigactionText(a linux.Sigaction) string {
	handler := trace.Pointer(a.Handler)
	switch a.Handler {
	case 0:
		handler = "SIG_DFL"
	case linux.SIG_IGN:
		handler = "SIG_IGN"
	}
	text := fmt.Sprintf("{sa_handler=%s, sa_mask=%s, sa_flags=%s", handler, sigsetText(a.Mask),
		trace.Flags(a.Flags, sigactionFlags, "SA_???"))
	if a.Flags&linux.SA_RESTORER != 0 {
		text += fmt.Sprintf(", sa_restorer=%#x", a.Restorer)
	}
	return text + "}"
}

var childCodes = []string{"", "CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"}

func siginfoText(s *linux.Siginfo) string {
	word := func(off int) int32 { return int32(binary.LittleEndian.Uint32(s.Fields[off:])) }
	addr := binary.LittleEndian.Uint64(s.Fields[:])
	head := "{si_signo=" + signalName(uint64(s.Signo)) + ", si_code="
	sender := fmt.Sprintf(", si_pid=%d, si_uid=%d", word(0), uint32(word(4)))
	switch {
	case s.Code == linux.SI_USER:
		return head + "SI_USER" + sender + "}"
	case s.Code == linux.SI_TKILL:
		return head + "SI_TKILL" + sender + "}"
	case s.Code == linux.SI_QUEUE:
		return fmt.Sprintf("%sSI_QUEUE%s, si_value={sival_int=%d}}", head, sender, word(8))
	case s.Code == linux.SI_TIMER:
		return fmt.Sprintf("%sSI_TIMER, si_timerid=%d, si_overrun=%d}", head, word(0), word(4))
	case s.Code == linux.SI_KERNEL:
		return head + "SI_KERNEL}"
	case s.Signo == linux.SIGCHLD && s.Code > 0 && int(s.Code) < len(childCodes):
		status := strconv.Itoa(int(word(8)))
		if s.Code != linux.CLD_EXITED {
			status = signalName(uint64(word(8)))
		}
		return fmt.Sprintf("%s%s%s, si_status=%s, si_utime=%d, si_stime=%d}", head, childCodes[s.Code], sender,
			status, binary.LittleEndian.Uint64(s.Fields[16:]), binary.LittleEndian.Uint64(s.Fields[24:]))
	case s.Signo == linux.SIGSEGV || s.Signo == linux.SIGBUS || s.Signo == linux.SIGILL || s.Signo == linux.SIGFPE || s.Signo == linux.SIGTRAP:
		return fmt.Sprintf("%s%s, si_addr=%s}", head, faultCode(s.Signo, s.Code), trace.Pointer(addr))
	}
	return fmt.Sprintf("%s%d}", head, s.Code)
}

func faultCode(signo, code int32) string {
	switch {
	case signo == linux.SIGSEGV && code == linux.SEGV_MAPERR:
		return "SEGV_MAPERR"
	case signo == linux.SIGSEGV && code == linux.SEGV_ACCERR:
		return "SEGV_ACCERR"
	case signo == linux.SIGBUS && code == linux.BUS_ADRERR:
		return "BUS_ADRERR"
	case signo == linux.SIGBUS && code == linux.BUS_ADRALN:
		return "BUS_ADRALN"
	case signo == linux.SIGFPE && code == linux.FPE_INTDIV:
		return "FPE_INTDIV"
	case signo == linux.SIGILL && code == linux.ILL_ILLOPN:
		return "ILL_ILLOPN"
	case signo == linux.SIGTRAP && code == linux.TRAP_BRKPT:
		return "TRAP_BRKPT"
	}
	return strconv.Itoa(int(code))
}

// waitStatusText prints what wait4(2) stores.
func waitStatusText(s int32) string {
	const stopped, continued, coreDumped = 0x7f, 0xffff, 0x80
	sig := signalName(uint64(s & 0x7f))
	switch {
	case s == continued:
		return "{WIFCONTINUED(s)}"
	case s&0xff == stopped:
		return "{WIFSTOPPED(s) && WSTOPSIG(s) == " + signalName(uint64(s>>8&0xff)) + "}"
	case s&0x7f == 0:
		return fmt.Sprintf("{WIFEXITED(s) && WEXITSTATUS(s) == %d}", s>>8&0xff)
	case s&coreDumped != 0:
		return "{WIFSIGNALED(s) && WTERMSIG(s) == " + sig + " && WCOREDUMP(s)}"
	}
	return "{WIFSIGNALED(s) && WTERMSIG(s) == " + sig + "}"
}
