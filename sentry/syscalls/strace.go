package syscalls

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/trace"
)

// Tracer prints system calls as strace -f does. A call's line is begun when the call is entered and ended when
// it returns; what another task prints in between cuts it in two.
type Tracer struct {
	wants [tableSize]bool
	other bool // numbers beyond the table

	mu   sync.Mutex // guards the fields below; a leaf
	w    io.Writer
	open *task.Task // whose line is unfinished at the end of the output
	col  int
}

// resultColumn is where strace aligns the equals sign.
const resultColumn = 40

// NewTracer makes a tracer that prints the calls named, all for "". Names are separated by commas; a leading !
// means all others.
func NewTracer(w io.Writer, calls string) (*Tracer, error) {
	tr := &Tracer{w: w}
	names, negate := strings.CutPrefix(calls, "!")
	if names == "" || names == "all" {
		negate = names == "" && !negate || names == "all" && !negate
		names = ""
	}
	for nr := range tr.wants {
		tr.wants[nr] = negate
	}
	tr.other = negate
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		nr, ok := Number(name)
		if !ok {
			return nil, fmt.Errorf("--strace: there is no system call %q", name)
		}
		tr.wants[nr] = !negate
	}
	return tr, nil
}

// SetTracer makes tr see every call from now on; nil stops tracing.
func SetTracer(tr *Tracer) { active.Store(tr) }

// dispatch is Dispatch with tracing.
func (tr *Tracer) dispatch(t *task.Task, nr uintptr) (uintptr, linux.Errno, task.Control) {
	n := uintptr(uint32(nr))
	if n < tableSize && !tr.wants[n] || n >= tableSize && !tr.other {
		return invoke(t, nr)
	}
	c := newTracedCall(t, n)
	tr.begin(t, c.name+"("+c.enter())
	ret, errno, control := invoke(t, nr)
	if control == task.ControlNoRet {
		ret = uintptr(t.Regs.RAX)
	}
	tr.end(t, c.name, c.leave(ret, errno)+")", c.result(ret, errno, control))
	return ret, errno, control
}

func prefix(t *task.Task) string { return fmt.Sprintf("[pid %5d] ", t.TID()) }

// begin prints the first half of a call's line.
func (tr *Tracer) begin(t *task.Task, text string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.cutLocked()
	tr.printLocked(prefix(t) + text)
	tr.open = t
}

// end prints the rest.
func (tr *Tracer) end(t *task.Task, name, args, result string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.open != t {
		tr.cutLocked()
		tr.printLocked(prefix(t) + "<... " + name + " resumed>")
	}
	tr.open = nil
	tr.printLocked(args)
	tr.printLocked(strings.Repeat(" ", max(1, resultColumn-tr.col)) + "= " + result + "\n")
	tr.col = 0
}

// line prints a whole line about t.
func (tr *Tracer) line(t *task.Task, text string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.cutLocked()
	tr.printLocked(prefix(t) + text + "\n")
	tr.col = 0
}

// Logf writes a line to w that does not tear the line of a traced call, as the log and the trace may be one file.
func Logf(w io.Writer, format string, args ...any) {
	tr := active.Load()
	if tr == nil {
		_, _ = fmt.Fprintf(w, format+"\n", args...) // a log that cannot be written must not stop the sandbox
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.cutLocked()
	tr.col = 0
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}

// cutLocked ends the line of a task whose call has not returned.
func (tr *Tracer) cutLocked() {
	if tr.open != nil {
		tr.printLocked(" <unfinished ...>\n")
		tr.open, tr.col = nil, 0
	}
}

func (tr *Tracer) printLocked(s string) {
	tr.col += len(s)
	// A log that cannot be written is the reader's loss; the guest must not notice.
	_, _ = io.WriteString(tr.w, s)
}

// TraceSignal prints the delivery of a signal, if somebody traces; the task's run loop calls it.
func TraceSignal(t *task.Task, info *linux.Siginfo) {
	if tr := active.Load(); tr != nil {
		tr.line(t, "--- "+signalName(uint64(info.Signo))+" "+siginfoText(info)+" ---")
	}
}

// TraceExit prints the end of a thread; status is what wait4(2) would report.
func TraceExit(t *task.Task, status int32) {
	tr := active.Load()
	if tr == nil {
		return
	}
	if sig := status & 0x7f; sig != 0 {
		core := ""
		if status&0x80 != 0 {
			core = " (core dumped)"
		}
		tr.line(t, "+++ killed by "+signalName(uint64(sig))+core+" +++")
		return
	}
	tr.line(t, fmt.Sprintf("+++ exited with %d +++", status>>8&0xff))
}

// tracedCall is one call on its way through the tracer.
type tracedCall struct {
	t     *task.Task
	name  string
	args  [6]uint64
	types []reflect.Type // nil: nothing is known of the arguments
	outs  uint8          // bit i: argument i is filled in by the call
	done  int            // arguments printed so far
	ret   uintptr        // of a call that has returned
	errno linux.Errno
}

func newTracedCall(t *task.Task, nr uintptr) *tracedCall {
	r := &t.Regs
	c := &tracedCall{t: t, name: Name(nr), args: [6]uint64{r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9}}
	if nr < tableSize {
		c.types = table[nr].Handler.params()
		c.outs = outArgs[c.name]
		for i, typ := range c.types {
			if outTypes[typ] {
				c.outs |= 1 << i
			}
		}
	}
	return c
}

// enter prints the arguments up to the first that the call fills in.
func (c *tracedCall) enter() string {
	var b strings.Builder
	for c.done < len(c.types) && c.outs&(1<<c.done) == 0 {
		c.print(&b, false)
	}
	if c.types == nil {
		for i, a := range c.args {
			if i > 0 {
				b.WriteString(", ")
			}
			if a == 0 {
				b.WriteByte('0') // as C prints %#x
			} else {
				fmt.Fprintf(&b, "%#x", a)
			}
		}
	}
	return b.String()
}

// leave prints the others.
func (c *tracedCall) leave(ret uintptr, errno linux.Errno) string {
	var b strings.Builder
	c.ret, c.errno = ret, errno
	for c.done < len(c.types) {
		c.print(&b, c.outs&(1<<c.done) != 0)
	}
	return b.String()
}

func (c *tracedCall) print(b *strings.Builder, out bool) {
	i := c.done
	c.done++
	if c.hidden(i) {
		return
	}
	if i > 0 {
		b.WriteString(", ")
	}
	if out && c.errno != 0 {
		b.WriteString(trace.Pointer(c.args[i])) // nothing was filled in
		return
	}
	b.WriteString(c.argText(i))
}

// addressResults are the calls whose result is an address.
var addressResults = map[string]bool{"mmap": true, "brk": true, "mremap": true, "shmat": true}

// restartText is strace's explanation of the restart codes.
var restartText = map[linux.Errno]string{
	linux.ERESTARTSYS:           "To be restarted if SA_RESTART is set",
	linux.ERESTARTNOINTR:        "To be restarted",
	linux.ERESTARTNOHAND:        "To be restarted if no handler",
	linux.ERESTART_RESTARTBLOCK: "Interrupted by signal",
}

func (c *tracedCall) result(ret uintptr, errno linux.Errno, control task.Control) string {
	switch text := restartText[errno]; {
	case control == task.ControlExit:
		return "?"
	case text != "":
		return "? " + errno.Name() + " (" + text + ")"
	case errno != 0:
		return "-1 " + errno.Name() + " (" + errno.Error() + ")"
	case addressResults[c.name]:
		return fmt.Sprintf("%#x", ret)
	}
	return strconv.FormatInt(int64(ret), 10)
}
