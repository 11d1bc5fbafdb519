package syscalls

import (
	"fmt"
	"strings"

	"hornwork/linux"
)

// Row is one system call of the table.
type Row struct {
	Name    string
	Handler Handler
	Support Support
}

// Support says how complete a call is.
type Support struct {
	Level   Level
	Missing string // for Partial, in strace's words
}

// Level is a step of completeness.
type Level uint8

// The levels. The zero value belongs to the numbers without a row.
const (
	LevelNone Level = iota
	LevelUnsupported
	LevelPartial
	LevelFull
)

// String is how `hornwork syscalls` shows the level.
func (l Level) String() string {
	return [...]string{"none", "unsupported", "partial", "full"}[l]
}

// Full and Unsupported are the two ends; Partial names what is missing.
var (
	Full        = Support{Level: LevelFull}
	Unsupported = Support{Level: LevelUnsupported}
)

// Partial says that the call works but for what is named.
func Partial(missing string) Support { return Support{Level: LevelPartial, Missing: missing} }

// Info is a row as the outside sees it.
type Info struct {
	Number  int    `json:"number"`
	Name    string `json:"name"`
	Support string `json:"support"`
	Missing string `json:"missing,omitempty"`
	Errno   string `json:"errno,omitempty"` // of an unsupported call
}

// List returns every row in the order of numbers.
func List() []Info {
	var out []Info
	for nr := range table {
		row := &table[nr]
		if row.Support.Level == LevelNone {
			continue
		}
		info := Info{Number: nr, Name: row.Name, Support: row.Support.Level.String(), Missing: row.Support.Missing}
		if e, ok := row.Handler.fn.(missingErrno); ok {
			info.Errno = linux.Errno(e).Name()
		}
		out = append(out, info)
	}
	return out
}

// Name returns the name of system call nr, or "syscall_0x…" as strace shows a number that is none.
func Name(nr uintptr) string {
	if nr < tableSize && table[nr].Support.Level != LevelNone {
		return table[nr].Name
	}
	return fmt.Sprintf("syscall_%#x", nr)
}

// Number finds a call by its name.
func Number(name string) (int, bool) {
	for nr := range table {
		if table[nr].Name == name && name != "" {
			return nr, true
		}
	}
	return 0, false
}

// Markdown is docs/SYSCALLS.md.
func Markdown() string {
	var b strings.Builder
	rows := List()
	count := map[string]int{}
	for _, r := range rows {
		count[r.Support]++
	}
	fmt.Fprintf(&b, "# System calls\n\nGenerated from `sentry/syscalls/table.go` by "+
		"`go test ./sentry/syscalls -run Markdown -update`; do not edit.\n\n"+
		"Of the %d calls of amd64 Linux 6.6, %d are full, %d partial and %d unsupported. An unsupported call returns "+
		"the error that a Linux configured without the feature returns, and is counted: `hornwork do --debug` lists "+
		"who asked.\n\n| number | name | support | missing |\n|---:|---|---|---|\n",
		len(rows), count["full"], count["partial"], count["unsupported"])
	for _, r := range rows {
		missing := r.Missing
		if r.Errno != "" {
			missing = "returns " + r.Errno
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", r.Number, r.Name, r.Support, missing)
	}
	return b.String()
}
