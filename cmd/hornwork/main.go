// Command hornwork runs programs in a sandbox whose kernel is its own.
//
// The same binary is the launcher, the sentry ("sandbox") and the gofer: the launcher starts the other two from
// /proc/self/exe. Those two are looked for first, so that they pay for nothing of the command line.
//
// Go's runtime must not look at cgroup files by and by: in jail it may not, and an idle sandbox does nothing.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"hornwork/container/control"
)

// version is set by the linker from the Makefile.
var version = "0.1.0-dev"

// command is one subcommand of the command line.
type command struct {
	name, args, short string
	run               func(args []string) error
}

func commands() []command {
	return []command{
		{"do", "[flags] -- COMMAND [ARG…]", "run a command on the host's files, seen below a throw-away overlay", cmdDo},
		{"run", "[flags] BUNDLE", "run the process of an OCI bundle", cmdRun},
		{"syscalls", "[--json]", "list the system calls and how complete each is", cmdSyscalls},
		{"platforms", "", "tell which platforms work on this machine", cmdPlatforms},
		{"version", "", "print the version", cmdVersion},
	}
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "sandbox":
			sandboxMain()
			return
		case "gofer":
			goferMain()
			return
		}
	}
	os.Exit(exitCode(dispatch(os.Args[1:])))
}

func dispatch(args []string) error {
	if len(args) == 0 {
		usage(os.Stderr)
		return exitStatus(1)
	}
	switch args[0] {
	case "help", "--help", "-h":
		usage(os.Stdout)
		return nil
	case "--version":
		return cmdVersion(nil)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(args[1:])
		}
	}
	return fmt.Errorf("%q is not a command; `hornwork help` lists them", args[0])
}

func usage(w *os.File) {
	fmt.Fprintf(w, "hornwork runs programs in a sandbox with a kernel of its own.\n\nUsage: hornwork COMMAND …\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-34s %s\n", c.name+" "+c.args, c.short)
	}
	fmt.Fprintf(w, "\n`hornwork COMMAND --help` tells the flags. Exit codes are those of the program that ran, or 128 + the\nsignal that ended it; 127 if it was not found, 126 if it could not be run, 1 for other failures.\n")
}

// exitStatus is an error that carries an exit code and no message.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// exitCode prints err, if it has something to say, and chooses the process's exit code.
func exitCode(err error) int {
	var status exitStatus
	var failure *control.Error
	switch {
	case err == nil, errors.Is(err, pflag.ErrHelp):
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &failure):
		fmt.Fprintf(os.Stderr, "hornwork: %v\n", err)
		return failure.Code
	}
	fmt.Fprintf(os.Stderr, "hornwork: %v\n", err)
	return 1
}

// newFlags makes a flag set whose help shows the command's usage line and an explanation.
func newFlags(name, args, about string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetInterspersed(false)
	fs.SortFlags = false
	fs.Usage = func() {
		fmt.Fprintf(os.Stderr, "Usage: hornwork %s %s\n\n%s\n\nFlags:\n%s", name, args, about, fs.FlagUsages())
	}
	return fs
}

func cmdVersion([]string) error {
	_, err := fmt.Printf("hornwork %s\nspec: 1.3.0\nguest kernel: Linux 6.6\n", version)
	return err
}
