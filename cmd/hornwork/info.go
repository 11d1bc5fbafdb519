package main

import (
	"encoding/json"
	"fmt"
	"os"

	"hornwork/host/mem"
	"hornwork/platform/ptrace"
	"hornwork/platform/trap"
	"hornwork/sentry/syscalls"
)

// cmdSyscalls prints the table of system calls.
func cmdSyscalls(args []string) error {
	fs := newFlags("syscalls", "[--json]", "Lists the amd64 system calls: number, name, and how complete each is.")
	asJSON := fs.Bool("json", false, "print JSON")
	if err := fs.Parse(args); err != nil {
		return flagError(err)
	}
	list := syscalls.List()
	if *asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	for _, c := range list {
		if _, err := fmt.Printf("%3d %-26s %s\n", c.Number, c.Name, c.Support); err != nil {
			return err
		}
	}
	return nil
}

// cmdPlatforms starts each platform to see whether it works.
func cmdPlatforms(args []string) error {
	fs := newFlags("platforms", "", "Tells which platforms work on this machine, and why each other one does not.")
	if err := fs.Parse(args); err != nil {
		return flagError(err)
	}
	report := func(name string, try func() error) {
		if err := try(); err != nil {
			fmt.Printf("%-8s does not work: %v\n", name, err)
		} else {
			fmt.Printf("%-8s works\n", name)
		}
	}
	report("trap", func() error {
		f, err := mem.New()
		if err != nil {
			return err
		}
		defer f.Close()
		p, err := trap.New(trap.Options{MemoryFD: int(f.FD())})
		if err != nil {
			return err
		}
		p.Close()
		return nil
	})
	report("ptrace", func() error {
		p, err := ptrace.New()
		if err != nil {
			return err
		}
		p.Close()
		return nil
	})
	fmt.Printf("%-8s does not work: it is not written yet\n", "kvm")
	return nil
}
