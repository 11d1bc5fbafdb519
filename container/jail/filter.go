package jail

import (
	"fmt"
	"sort"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rule is one host system call that the process may make, and why. Arg checks make it narrower: each set in
// Any is one allowed combination; no set means any arguments.
type Rule struct {
	Nr  uintptr
	Why string
	Any [][]Arg
}

// Arg is a condition on one argument: value&Mask == Value, over its 64 bits.
type Arg struct {
	Index       int
	Mask, Value uint64
}

// Is demands that argument i be v.
func Is(i int, v uint64) Arg { return Arg{i, ^uint64(0), v} }

// Low demands that the low 32 bits of argument i, an int to the kernel, be v.
func Low(i int, v uint32) Arg { return Arg{i, 0xffffffff, uint64(v)} }

// Offsets in struct seccomp_data.
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

const auditArchX8664 = 0xc000003e

func stmt(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
func jump(code uint16, k uint32, jt, jf uint8) unix.SockFilter {
	return unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k}
}

// Program is the filter as classic BPF: a call that no rule allows gets deny.
func Program(rules []Rule, deny uint32) ([]unix.SockFilter, error) {
	rules = append([]Rule(nil), rules...)
	sort.Slice(rules, func(i, j int) bool { return rules[i].Nr < rules[j].Nr })
	p := []unix.SockFilter{
		stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, dataArch),
		jump(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, auditArchX8664, 1, 0),
		stmt(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_KILL_PROCESS),
		stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, dataNr),
	}
	for i, r := range rules {
		if i > 0 && rules[i-1].Nr == r.Nr {
			return nil, fmt.Errorf("host call %d is listed twice", r.Nr)
		}
		body, err := ruleBody(r, deny)
		if err != nil {
			return nil, err
		}
		p = append(p, jump(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint32(r.Nr), 0, uint8(len(body))))
		p = append(p, body...)
	}
	return append(p, stmt(unix.BPF_RET|unix.BPF_K, deny)), nil
}

// ruleBody returns the instructions after the number has matched; all paths return.
func ruleBody(r Rule, deny uint32) ([]unix.SockFilter, error) {
	allow := stmt(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	if len(r.Any) == 0 {
		return []unix.SockFilter{allow}, nil
	}
	var body []unix.SockFilter
	for _, set := range r.Any {
		var check []unix.SockFilter
		for _, a := range set {
			for half := range 2 {
				mask, value := uint32(a.Mask>>(32*half)), uint32(a.Value>>(32*half))
				if mask == 0 {
					continue
				}
				check = append(check,
					stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, uint32(dataArgs+8*a.Index+4*half)),
					stmt(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, mask),
					jump(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, value, 0, 0))
			}
		}
		// Every failed comparison jumps behind this set's RET.
		for i := range check {
			if check[i].Code == unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K {
				check[i].Jf = uint8(len(check) - i)
			}
		}
		body = append(append(body, check...), allow)
	}
	body = append(body, stmt(unix.BPF_RET|unix.BPF_K, deny))
	if len(body) > 255 {
		return nil, fmt.Errorf("host call %d has too many argument checks", r.Nr)
	}
	return body, nil
}

// Filter installs the allow-list in every thread of the process. no_new_privs is set already.
func Filter(rules []Rule) error {
	p, err := Program(rules, unix.SECCOMP_RET_KILL_PROCESS)
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	r, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return fmt.Errorf("install the host call filter: %w", e)
	}
	if r != 0 {
		return fmt.Errorf("install the host call filter: thread %d could not take it", r)
	}
	return nil
}
