package jail

import (
	"fmt"
	"strings"

	"hornwork/linux"
)

// Markdown is docs/HOSTCALLS.md: every host call that our processes may make once they run guests or serve files.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Host calls\n\nWhat the seccomp filters of our processes let through, and why. Everything else ends the process by SIGSYS.\nWritten by `go test ./container/jail -update` from the filter itself.\n")
	section := func(title string, rules []Rule) {
		fmt.Fprintf(&b, "\n## %s (%d)\n\n| call | arguments | why |\n|---|---|---|\n", title, len(rules))
		for _, r := range rules {
			args := "any"
			if len(r.Any) > 0 {
				args = "checked"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", linux.SyscallName(int(r.Nr)), args, r.Why)
		}
	}
	section("The sentry, on every platform", SentryRules())
	section("The trap platform adds", TrapRules())
	section("The ptrace platform adds", PtraceRules())
	section("The gofer, with a writable root", GoferRules(true))
	return b.String()
}
